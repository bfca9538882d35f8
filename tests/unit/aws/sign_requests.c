/*
 * Signs the requests on standard input for check_sigv4_botocore.py: one a line, its fields in hex
 * and separated by blanks ("-" is empty): method path query body key secret token region service
 * epoch-milliseconds (decimal), then name and value of each header. Prints the Authorization
 * header of each.
 */
#include "aws/sigv4.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS_MAX 100

enum { METHOD, PATH, QUERY, BODY, KEY, SECRET, TOKEN, REGION, SERVICE, TIME, HEADERS };

static unsigned nibble(char c)
{
	return (unsigned)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

/* In place; returns the length. */
static size_t unhex(char *text)
{
	size_t len = text[0] == '-' ? 0 : strlen(text) / 2;

	for (size_t i = 0; i < len; i++)
		text[i] = (char)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
	text[len] = '\0';
	return len;
}

static int sign_line(struct sigv4 *signer, char *line)
{
	char *fields[FIELDS_MAX];
	struct sigv4_header headers[FIELDS_MAX / 2];
	struct credentials_set keys = {.generation = 0};
	struct buf authorization = BUF_INIT(65536);
	struct sigv4_request request;
	char date[SIGV4_DATE_SIZE];
	size_t count = 0, body_bytes = 0;
	int err;

	for (char *field = strtok(line, " \n"); field != NULL && count < FIELDS_MAX;
		field = strtok(NULL, " \n"), count++) {
		size_t len = count == TIME ? 0 : unhex(field);

		fields[count] = field;
		if (count == BODY)
			body_bytes = len;
	}
	if (count < HEADERS)
		return 1;
	for (size_t i = HEADERS; i + 1 < count; i += 2)
		headers[(i - HEADERS) / 2] = (struct sigv4_header){fields[i], fields[i + 1]};
	snprintf(keys.access_key_id, sizeof(keys.access_key_id), "%s", fields[KEY]);
	snprintf(keys.secret_access_key, sizeof(keys.secret_access_key), "%s", fields[SECRET]);
	snprintf(keys.session_token, sizeof(keys.session_token), "%s", fields[TOKEN]);
	request = (struct sigv4_request){.method = fields[METHOD],
		.path = fields[PATH],
		.query = fields[QUERY],
		.headers = headers,
		.header_count = (count - HEADERS) / 2,
		.body = fields[BODY],
		.body_bytes = body_bytes};
	err = sigv4_sign(signer, &request, &keys, fields[REGION], fields[SERVICE],
		strtoll(fields[TIME], NULL, 10), &authorization, date);
	printf("%s\n", err == 0 ? buf_string(&authorization) : "failed");
	buf_free(&authorization);
	return 0;
}

int main(void)
{
	struct sigv4 *signer;
	char *line = NULL;
	size_t capacity = 0;
	int status = 0;

	if (sigv4_new(&signer) != 0)
		return 1;
	while (status == 0 && getline(&line, &capacity, stdin) > 0)
		status = sign_line(signer, line);
	free(line);
	sigv4_free(signer);
	return status;
}
