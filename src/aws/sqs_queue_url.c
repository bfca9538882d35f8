#include "aws/endpoint.h"
#include "aws/sqs_limits.h"
#include "aws/sqs_queue.h"
#include "bunshin/error.h"

#include <string.h>

static bool account_is_valid(const char *account, size_t len)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_-";

	return len > 0 && strspn(account, letters) >= len;
}

int sqs_queue_url_parse(const char *url, struct sqs_queue_url *ret_parts)
{
	struct sqs_queue_url parts;
	struct endpoint endpoint;
	const char *account, *name;
	size_t len;
	int err = endpoint_parse(url, &endpoint, &len);

	if (err != 0)
		return err;
	if (url[len] != '/')
		return ERR_ARGUMENT;
	account = url + len + 1;
	len = strcspn(account, "/");
	if (account[len] != '/' || len >= sizeof(parts.account) || !account_is_valid(account, len))
		return ERR_ARGUMENT;
	name = account + len + 1;
	if (!sqs_queue_name_is_valid(name))
		return ERR_ARGUMENT;
	memcpy(parts.account, account, len);
	parts.account[len] = '\0';
	memcpy(parts.name, name, strlen(name) + 1);
	_Static_assert(sizeof(parts.endpoint) >= sizeof(endpoint.origin), "an origin fits");
	memcpy(parts.endpoint, endpoint.origin, sizeof(endpoint.origin));
	endpoint_region(&endpoint, parts.region, sizeof(parts.region));
	*ret_parts = parts;
	return 0;
}

bool sqs_queue_url_is_fifo(const char *url)
{
	static const char suffix[] = ".fifo";
	size_t n = strlen(url), len = sizeof(suffix) - 1;

	return n > len && strcmp(url + n - len, suffix) == 0;
}
