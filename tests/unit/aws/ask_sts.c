/*
 * Asks an STS for what stands on standard input, for check_sts_botocore.py:
 *
 *	ask_sts ENDPOINT REGION
 *
 * One call a line, its fields in hex and separated by blanks ("-" is empty): operation, access key
 * id, secret, session token, role, session name, external id, duration (decimal, in hex too), web
 * identity token. Prints what came of each as hex fields: the error's name, reason, access key id,
 * secret, session token, expiry (epoch ms), account, principal or ARN.
 */
#include "aws/sts.h"
#include "base/loop_clock.h"
#include "bunshin/error.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPERATION, KEY, SECRET, TOKEN, ROLE, NAME, EXTERNAL, DURATION, WEB_TOKEN, FIELDS };

struct answer {
	bool done;
	int err;
	char reason[CREDENTIALS_REASON_MAX];
	struct credentials_set set;
	struct sts_identity identity;
};

static void on_done(void *arg, int err, const char *reason)
{
	struct answer *answer = arg;

	answer->done = true;
	answer->err = err;
	snprintf(answer->reason, sizeof(answer->reason), "%s", reason);
}

static unsigned nibble(char c)
{
	return (unsigned)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

static void unhex(char *text)
{
	size_t len = text[0] == '-' ? 0 : strlen(text) / 2;

	for (size_t i = 0; i < len; i++)
		text[i] = (char)(nibble(text[2 * i]) << 4 | nibble(text[2 * i + 1]));
	text[len] = '\0';
}

static void print_hex(const char *text, char end)
{
	if (*text == '\0')
		putchar('-');
	for (; *text != '\0'; text++)
		printf("%02x", (unsigned)(unsigned char)*text);
	putchar(end);
}

static int start(struct sts *sts, char *fields[], struct answer *answer)
{
	struct credentials_set keys = {.generation = 0};
	struct sts_role role = {fields[ROLE], fields[NAME],
		fields[EXTERNAL][0] != '\0' ? fields[EXTERNAL] : NULL,
		(unsigned)strtoul(fields[DURATION], NULL, 10)};
	struct query_call *call;

	snprintf(keys.access_key_id, sizeof(keys.access_key_id), "%s", fields[KEY]);
	snprintf(keys.secret_access_key, sizeof(keys.secret_access_key), "%s", fields[SECRET]);
	snprintf(keys.session_token, sizeof(keys.session_token), "%s", fields[TOKEN]);
	if (strcmp(fields[OPERATION], "AssumeRole") == 0)
		return sts_assume_role(sts, &keys, &role, &answer->set, on_done, answer, &call);
	if (strcmp(fields[OPERATION], "GetCallerIdentity") == 0)
		return sts_get_caller_identity(
			sts, &keys, &answer->identity, on_done, answer, &call);
	return sts_assume_role_with_web_identity(
		sts, &role, fields[WEB_TOKEN], &answer->set, on_done, answer, &call);
}

static void print(const struct answer *answer)
{
	bool identity = answer->identity.arn[0] != '\0';
	char expiry[32];

	snprintf(expiry, sizeof(expiry), "%lld", (long long)answer->set.expires_epoch_ms);
	print_hex(error_name(answer->err), ' ');
	print_hex(answer->reason, ' ');
	print_hex(answer->set.access_key_id, ' ');
	print_hex(answer->set.secret_access_key, ' ');
	print_hex(answer->set.session_token, ' ');
	print_hex(expiry, ' ');
	print_hex(identity ? answer->identity.account_id : answer->set.account_id, ' ');
	print_hex(identity ? answer->identity.arn : answer->set.principal, '\n');
}

static int ask(uv_loop_t *loop, struct sts *sts, char *line)
{
	static struct answer answer;
	char *fields[FIELDS];
	size_t count = 0;

	memset(&answer, 0, sizeof(answer));
	for (char *field = strtok(line, " \n"); field != NULL && count < FIELDS;
		field = strtok(NULL, " \n")) {
		unhex(field);
		fields[count++] = field;
	}
	if (count < FIELDS || start(sts, fields, &answer) != 0)
		return 1;
	while (!answer.done)
		uv_run(loop, UV_RUN_ONCE);
	print(&answer);
	return 0;
}

int main(int argc, char **argv)
{
	uv_loop_t loop;
	struct loop_clock *clock;
	struct endpoint endpoint;
	struct sts_options options = {.endpoint = &endpoint, .timeout_ms = 60000};
	struct sts *sts;
	char *line = NULL;
	size_t capacity = 0, len;
	int status = 0;

	if (argc != 3 || endpoint_parse(argv[1], &endpoint, &len) != 0 || uv_loop_init(&loop) != 0)
		return 2;
	options.region = argv[2];
	if (loop_clock_new(&loop, &clock) != 0 ||
		sts_new(&loop, loop_clock_table(clock), &options, &sts) != 0)
		return 2;
	while (status == 0 && getline(&line, &capacity, stdin) > 0)
		status = ask(&loop, sts, line);
	free(line);
	sts_close(sts);
	loop_clock_close(clock);
	uv_run(&loop, UV_RUN_DEFAULT);
	return status != 0 || uv_loop_close(&loop) != 0;
}
