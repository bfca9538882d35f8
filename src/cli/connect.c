#include "cli/connect.h"

#include "aws/sqs_queue.h"
#include "base/list.h"
#include "base/log.h"
#include "bunshin/error.h"
#include "cli/runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METADATA_CONNECT_TIMEOUT_MS 1000
#define METADATA_TIMEOUT_MS 5000
#define METADATA_ANSWER_MAX ((size_t)64 << 10)
#define PROVIDERS_MAX 5

static const char *getenv_lookup(const char *name)
{
	return getenv(name);
}

/* ---- endpoint and region */

static const char *region_origin(const struct aws_settings *settings)
{
	if (aws_settings_variable(settings, "AWS_REGION"))
		return "AWS_REGION";
	if (aws_settings_variable(settings, "AWS_DEFAULT_REGION"))
		return "AWS_DEFAULT_REGION";
	return "the profile's region";
}

static struct endpoint_wishes wishes_of(
	const struct connect *connect, const char *service, const struct connect_options *options)
{
	const struct aws_settings *settings = connect->settings;
	struct endpoint_wishes wishes = {
		.configured = options->endpoint,
		.variant = {aws_settings_fips(settings), aws_settings_dual_stack(settings)},
		.region = aws_settings_region(settings),
		.region_origin = region_origin(settings),
		.allow_insecure = options->allow_insecure,
	};

	wishes.from_settings = aws_settings_endpoint(settings, service, &wishes.settings_origin);
	return wishes;
}

static int choose_endpoint(
	struct connect *connect, const struct connect_options *options, struct buf *error)
{
	struct endpoint_wishes wishes = wishes_of(connect, "sqs", options);
	struct sqs_queue_url queue;
	int err = sqs_queue_url_parse(options->queue_url, &queue);

	if (err) {
		buf_appendf(error, "\"%s\" is not a queue URL (https://HOST/ACCOUNT/NAME)",
			options->queue_url);
		return err;
	}
	return endpoint_choice_sqs(&queue, &wishes, &connect->endpoint, error);
}

/* What is asked of the surroundings before there is a client. */
struct question {
	struct connect *connect;
	struct credentials_waiter waiter;
	bool answered;
};

static void region_known(void *arg, int err, int status, const char *body, const char *reason)
{
	struct question *question = arg;
	struct endpoint_choice *endpoint = &question->connect->endpoint;
	struct endpoint unused;
	char region[sizeof(endpoint->region)];

	question->answered = true;
	if (err) {
		log_warn("the region is not known", LOG_STR("assumed", endpoint->region),
			LOG_STR("reason", reason[0] ? reason : error_message(err)));
		return;
	}
	snprintf(region, sizeof(region), "%.*s", (int)strcspn(body, "\r\n"), body);
	if (endpoint_of_region("sqs", region, (struct endpoint_variant){0}, &unused)) {
		log_warn("the instance's metadata names no region",
			LOG_STR("assumed", endpoint->region));
		return;
	}
	memcpy(endpoint->region, region, sizeof(region));
	endpoint->region_named_by = "the instance's metadata";
}

static int ask_region(
	struct connect *connect, uv_loop_t *loop, const struct connect_options *options)
{
	struct question question = {.connect = connect};
	struct imds_call *call;
	int err = imds_new(&connect->context, &connect->imds);

	if (!err)
		err = imds_get(connect->imds, "/latest/meta-data/placement/region", region_known,
			&question, &call);
	if (!err)
		err = runtime_await(loop, &question.answered, options->interrupts);
	/* Cancels: the question is on the stack. */
	imds_free(connect->imds);
	connect->imds = NULL;
	return err;
}

/* ---- credentials */

static int open_metadata(struct connect *connect, uv_loop_t *loop, struct clock clock)
{
	const struct http_client_options options = {
		.connect_timeout_ms = METADATA_CONNECT_TIMEOUT_MS,
		.timeout_ms = METADATA_TIMEOUT_MS,
		.max_answer_bytes = METADATA_ANSWER_MAX,
		.version = HTTP_VERSION_1_1,
		/* Of a container's full URI, which may be https. */
		.ca_file = aws_settings_ca_bundle(connect->settings),
		.no_proxy = true,
		.secret_answers = true,
	};
	int err = http_client_new(loop, &options, &connect->metadata);

	connect->context = (struct credentials_context){.loop = loop,
		.clock = clock,
		.settings = connect->settings,
		.metadata = connect->metadata};
	return err;
}

static int open_sts(struct connect *connect, uv_loop_t *loop, struct clock clock,
	const struct connect_options *options, struct buf *error)
{
	struct endpoint_wishes wishes = wishes_of(connect, "sts", options);
	struct sts_options sts = {.ca_file = aws_settings_ca_bundle(connect->settings)};
	int err = endpoint_choice_sts(&connect->endpoint, &wishes, &connect->sts_endpoint, error);

	if (err)
		return err;
	sts.endpoint = &connect->sts_endpoint.endpoint;
	sts.region = connect->sts_endpoint.region;
	err = sts_new(loop, clock, &sts, &connect->sts);
	connect->context.sts = connect->sts;
	return err;
}

/* A task's or a pod's role is its own: the instance below it has another. */
static bool is_in_container(const struct aws_settings *settings)
{
	return aws_settings_variable(settings, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") ||
	       aws_settings_variable(settings, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
}

static int open_credentials(struct connect *connect, struct clock clock)
{
	typedef int make(const struct credentials_context *, struct credentials_provider *);
	make *const table[PROVIDERS_MAX] = {credentials_environment, credentials_profile,
		credentials_web_identity, credentials_container, credentials_instance};
	size_t wanted = is_in_container(connect->settings) ? PROVIDERS_MAX - 1 : PROVIDERS_MAX;
	struct credentials_provider providers[PROVIDERS_MAX];
	size_t count = 0;
	int err = 0;

	for (; count < wanted; count++) {
		err = table[count](&connect->context, &providers[count]);
		if (err)
			break;
	}
	if (!err)
		return credentials_new(clock, providers, count, &connect->credentials);
	while (count > 0) {
		count--;
		providers[count].free(providers[count].impl);
	}
	return err;
}

static void search_ended(struct credentials_waiter *waiter)
{
	struct question *question = list_entry(waiter, struct question, waiter);

	question->answered = true;
}

/* What a search that ended without keys comes to. ERR_PENDING: it is being repeated already. */
static int report_search(
	const struct connect_options *options, int err, const char *reason, struct buf *error)
{
	if (err == ERR_PENDING)
		err = ERR_UNAVAILABLE;
	if (!reason[0])
		reason = error_message(err);
	if (options->patient &&
		(error_class(err) == ERROR_TRANSIENT || error_class(err) == ERROR_THROTTLED)) {
		log_warn("no AWS credentials yet; the search goes on", LOG_STR("reason", reason));
		return 0;
	}
	buf_appendf(error, "AWS credentials: %s", reason);
	if (err == ERR_NO_CREDENTIALS)
		buf_append_string(error, " (the simplest way: set AWS_ACCESS_KEY_ID and "
					 "AWS_SECRET_ACCESS_KEY)");
	return err;
}

static int search(struct connect *connect, uv_loop_t *loop, const struct connect_options *options,
	struct buf *error)
{
	struct question question = {.connect = connect, .waiter = {.fire = search_ended}};
	const struct credentials_set *keys;
	char reason[CREDENTIALS_REASON_MAX] = "";
	int err;

	credentials_start(connect->credentials);
	err = credentials_get(connect->credentials, &keys, reason);
	if (err == ERR_PENDING) {
		credentials_wait(connect->credentials, &question.waiter);
		err = runtime_await(loop, &question.answered, options->interrupts);
		credentials_unwait(&question.waiter);
		if (err)
			return err;
		err = credentials_get(connect->credentials, &keys, reason);
	}
	return err ? report_search(options, err, reason, error) : 0;
}

/* ---- the client */

static void clock_corrected(void *arg, int64_t offset_ms)
{
	int64_t s = (offset_ms < 0 ? -offset_ms : offset_ms) / 1000;
	char text[256];

	if (s == 0) {
		log_info("this machine's clock agrees with SQS's again");
		return;
	}
	snprintf(text, sizeof(text),
		"this machine's clock is %02" PRId64 ":%02" PRId64 ":%02" PRId64
		" %s SQS's; requests are signed by SQS's time; deadlines are judged by this "
		"machine's, so set it",
		s / 3600, s / 60 % 60, s % 60, offset_ms > 0 ? "behind" : "ahead of");
	log_warn(text, LOG_INT("offset_ms", offset_ms));
}

static int open_client(
	struct connect *connect, uv_loop_t *loop, struct clock clock, struct buf *error)
{
	const struct sqs_client_options options = {
		.endpoint = connect->endpoint.endpoint.origin,
		.region = connect->endpoint.region,
		.max_attempts = aws_settings_max_attempts(connect->settings),
		.ca_file = aws_settings_ca_bundle(connect->settings),
		.clock_corrected = clock_corrected,
	};

	return sqs_client_new(loop, clock, connect->credentials, &options, &connect->client);
}

int connect_open(struct connect *connect, uv_loop_t *loop, struct clock clock,
	const struct connect_options *options, struct buf *error)
{
	int err = aws_settings_load(getenv_lookup, &connect->settings, error);

	if (!err)
		err = choose_endpoint(connect, options, error);
	if (!err)
		err = open_metadata(connect, loop, clock);
	if (!err && connect->endpoint.ask_region)
		err = ask_region(connect, loop, options);
	if (!err)
		err = open_sts(connect, loop, clock, options, error);
	if (!err)
		err = open_credentials(connect, clock);
	if (!err)
		err = search(connect, loop, options, error);
	if (!err)
		err = open_client(connect, loop, clock, error);
	if (err && error->len == 0)
		buf_append_string(error, error_message(err));
	return err;
}

void connect_close(struct connect *connect)
{
	sqs_client_close(connect->client);
	credentials_free(connect->credentials);
	sts_close(connect->sts);
	http_client_close(connect->metadata);
	aws_settings_free(connect->settings);
	*connect = (struct connect){0};
}
