#include "cli/connect.h"

#include "aws/sqs_queue.h"
#include "base/log.h"
#include "bunshin/error.h"

#include <stdlib.h>
#include <string.h>

/* AWS tools take an empty variable for an unset one. */
static const char *variable(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static const char *first_of(const char *a, const char *b)
{
	return a ? a : b;
}

static int open_credentials(struct connect *connect, struct buf *error)
{
	struct credentials_provider providers[1];
	const struct credentials_set *set;
	char reason[512] = "";
	int err;

	err = credentials_environment(variable, &providers[0]);
	if (!err)
		err = credentials_new(providers, 1, &connect->credentials);
	if (!err)
		err = credentials_get(connect->credentials, &set, reason, sizeof(reason));
	if (!err)
		err = log_add_secret(set->secret_access_key);
	if (!err)
		err = log_add_secret(set->session_token);
	if (err == ERR_NO_CREDENTIALS)
		buf_append_string(error,
			"no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
	else if (err)
		buf_appendf(error, "AWS credentials: %s", reason[0] ? reason : error_message(err));
	return err;
}

int connect_open(struct connect *connect, uv_loop_t *loop, struct clock clock,
	const char *queue_url, const char *endpoint, struct buf *error)
{
	struct sqs_queue_url parts;
	struct sqs_client_options options = {0};
	const char *custom;
	int err;

	err = sqs_queue_url_parse(queue_url, &parts);
	if (err) {
		buf_appendf(
			error, "\"%s\" is not a queue URL (https://HOST/ACCOUNT/NAME)", queue_url);
		return err;
	}
	custom = first_of(
		endpoint, first_of(variable("AWS_ENDPOINT_URL_SQS"), variable("AWS_ENDPOINT_URL")));
	options.endpoint = custom ? custom : parts.endpoint;
	options.region = parts.region[0]
				 ? parts.region
				 : first_of(variable("AWS_REGION"), variable("AWS_DEFAULT_REGION"));
	if (!options.region)
		options.region = "us-east-1";
	err = open_credentials(connect, error);
	if (err)
		return err;
	err = sqs_client_new(loop, clock, connect->credentials, &options, &connect->client);
	if (err)
		buf_appendf(error, "endpoint \"%s\": %s", options.endpoint, error_message(err));
	return err;
}

void connect_close(struct connect *connect)
{
	sqs_client_close(connect->client);
	credentials_free(connect->credentials);
	*connect = (struct connect){0};
}
