#include "aws/endpoint.h"
#include "aws/sqs_limits.h"
#include "aws/sqs_queue.h"
#include "bunshin/error.h"

#include <stdio.h>
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

int sqs_queue_arn(const char *queue_url, const char *region, char ret_arn[SQS_QUEUE_ARN_SIZE])
{
	struct sqs_queue_url parts;
	char arn[SQS_QUEUE_ARN_SIZE];
	int err = sqs_queue_url_parse(queue_url, &parts);
	int len = 0;

	if (err == 0)
		len = snprintf(arn, sizeof(arn), "arn:%s:sqs:%s:%s:%s", endpoint_partition(region),
			region, parts.account, parts.name);
	if (err != 0 || len < 0 || (size_t)len >= sizeof(arn))
		return ERR_ARGUMENT;
	memcpy(ret_arn, arn, (size_t)len + 1);
	return 0;
}

bool sqs_queue_url_is_fifo(const char *url)
{
	static const char suffix[] = ".fifo";
	size_t n = strlen(url), len = sizeof(suffix) - 1;

	return n > len && strcmp(url + n - len, suffix) == 0;
}
