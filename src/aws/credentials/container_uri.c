#include "aws/credentials/container_uri.h"

#include "aws/endpoint.h"
#include "bunshin/error.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define URI_MAX_BYTES 2048
#define RELATIVE "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
#define FULL "AWS_CONTAINER_CREDENTIALS_FULL_URI"

static bool is_printable(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

bool container_token_is_valid(const char *token)
{
	size_t len = strlen(token);

	for (size_t i = 0; i < len; i++)
		if (token[i] < ' ' || token[i] > '~')
			return false;
	return len > 0;
}

static bool is_plain_ipv6(const char *name)
{
	static const char *const allowed[] = {"::1", "fd00:ec2::23"};
	char inside[INET6_ADDRSTRLEN];
	struct in6_addr address, one;
	size_t len = strcspn(name + 1, "]");

	if (len >= sizeof(inside))
		return false;
	memcpy(inside, name + 1, len);
	inside[len] = '\0';
	if (inet_pton(AF_INET6, inside, &address) != 1)
		return false;
	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		if (inet_pton(AF_INET6, allowed[i], &one) == 1 &&
			IN6_ARE_ADDR_EQUAL(&address, &one))
			return true;
	return false;
}

/* inet_pton() takes nothing but the plain spelling, so none that curl would read otherwise. */
static bool may_be_plain(const char *name)
{
	unsigned char ip[4];

	if (name[0] == '[')
		return is_plain_ipv6(name);
	if (inet_pton(AF_INET, name, ip) == 1)
		return ip[0] == 127 || strcmp(name, "169.254.170.2") == 0 ||
		       strcmp(name, "169.254.170.23") == 0;
	return strcmp(name, "localhost") == 0;
}

static int check_length(
	const char *variable, const char *given, char reason[CREDENTIALS_REASON_MAX])
{
	if (strlen(given) <= URI_MAX_BYTES)
		return 0;
	snprintf(reason, CREDENTIALS_REASON_MAX, "%s is longer than %d bytes", variable,
		URI_MAX_BYTES);
	return ERR_CONFIG;
}

int container_uri_check(const char *variable, const char *uri, char reason[CREDENTIALS_REASON_MAX])
{
	struct endpoint endpoint;
	size_t len;

	if (check_length(variable, uri, reason) != 0)
		return ERR_CONFIG;
	if (!is_printable(uri) || endpoint_parse(uri, &endpoint, &len) != 0) {
		snprintf(reason, CREDENTIALS_REASON_MAX, "%s is no http or https URL of a host",
			variable);
		return ERR_CONFIG;
	}
	if (strncmp(endpoint.origin, "http://", 7) == 0 && !may_be_plain(endpoint.name)) {
		snprintf(reason, CREDENTIALS_REASON_MAX,
			"%s names host %s: allowed are https, and "
			"http to 127.0.0.0/8, [::1], localhost, 169.254.170.2, 169.254.170.23 and "
			"[fd00:ec2::23]",
			variable, endpoint.name);
		return ERR_CONFIG;
	}
	return 0;
}

int container_uri(const char *relative, const char *full, struct buf *url,
	char reason[CREDENTIALS_REASON_MAX])
{
	const char *given = relative != NULL ? relative : full;
	int err;

	if (given == NULL)
		return ERR_NOT_FOUND;
	if (relative != NULL) {
		if (check_length(RELATIVE, relative, reason) != 0)
			return ERR_CONFIG;
		if (relative[0] != '/' || !is_printable(relative)) {
			snprintf(reason, CREDENTIALS_REASON_MAX,
				RELATIVE " is no path: it does not "
					 "begin with /, or has a blank or control character in it");
			return ERR_CONFIG;
		}
		buf_append_string(url, CONTAINER_HOST);
	} else {
		err = container_uri_check(FULL, full, reason);
		if (err != 0)
			return err;
	}
	return buf_append_string(url, given);
}
