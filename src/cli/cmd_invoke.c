#include "aws/sqs_queue.h"
#include "base/log.h"
#include "bunshin/error.h"
#include "cli/auth/auth.h"
#include "cli/auth/token_memory.h"
#include "cli/batch_request.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/destinations.h"
#include "cli/event_file.h"
#include "cli/runtime.h"
#include "config/config.h"
#include "delivery/item_failures.h"
#include "delivery/message.h"
#include "http/http_target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct invoke {
	struct runtime runtime;
	struct config *config;
	const struct config_destination *destination;
	struct event_file *events;
	struct connect connect; /* where the destination is signed for with AWS's credentials */
	struct mapped_file tokens;
	struct auth *auth;
	bool auth_ended; /* whatever it waited for */
	struct http_target *target;
	struct destinations destinations;
	struct json scratch;
	bool json;
	size_t index;
	int code; /* the worst so far */
};

static int read_all(FILE *stream, struct buf *text)
{
	char *room;
	size_t got;

	do {
		room = buf_reserve(text, 65536);
		if (!room)
			return text->err;
		got = fread(room, 1, 65536, stream);
		buf_advance(text, got);
	} while (got > 0);
	return ferror(stream) ? ERR_IO : 0;
}

static int read_event(struct invoke *invoke, const char *path)
{
	struct buf text = BUF_INIT(EVENT_FILE_MAX_BYTES + 65536);
	struct buf error = BUF_INIT(4096);
	FILE *stream = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	int err;

	if (!stream) {
		cli_error("invoke", "%s: %s", path, strerror(errno));
		return CLI_USAGE;
	}
	err = read_all(stream, &text);
	if (err)
		buf_appendf(&error, "%s", err == ERR_IO ? strerror(errno) : error_message(err));
	else
		err = event_file_parse(text.data ? text.data : "", text.len,
			clock_wall_epoch_ms(invoke->runtime.clock), &invoke->events, &error);
	if (err)
		cli_error("invoke", "%s: %s", path,
			error.len ? buf_string(&error) : error_message(err));
	if (stream != stdin)
		fclose(stream);
	buf_free(&text);
	buf_free(&error);
	return err ? CLI_USAGE : CLI_DONE;
}

static int code_of(enum outcome outcome)
{
	switch (outcome) {
	case OUTCOME_ACCEPTED:
		return CLI_DONE;
	case OUTCOME_RETRY:
	case OUTCOME_THROTTLED:
	case OUTCOME_AMBIGUOUS:
		return CLI_TEMPORARY;
	case OUTCOME_REFUSED:
	case OUTCOME_QUOTA:
	case OUTCOME_PERMANENT:
	case OUTCOME_UNREGISTERED:
	default:
		return CLI_FAILED;
	}
}

/* Failed outranks temporary, which outranks done. */
static void add_code(struct invoke *invoke, int code)
{
	if (code == CLI_FAILED || (code == CLI_TEMPORARY && invoke->code == CLI_DONE))
		invoke->code = code;
}

static void print_json_result(const struct queue_message *message,
	const struct config_destination *to, const struct target_result *result,
	const char *outcome)
{
	struct buf out = BUF_INIT(1 << 20);

	buf_append_string(&out, "{\"message_id\":\"");
	buf_append_json(&out, message->message_id, strlen(message->message_id));
	buf_appendf(&out, "\",\"destination\":\"%s\",\"outcome\":\"%s\",\"status\":", to->name,
		outcome);
	if (result->err)
		buf_append_string(&out, "null");
	else
		buf_appendf(&out, "%d", result->status);
	buf_appendf(&out, ",\"error\":%s%s%s", result->err ? "\"" : "",
		result->err ? error_name(result->err) : "null", result->err ? "\"" : "");
	buf_append_string(&out, ",\"reason\":\"");
	buf_append_json(&out, result->reason, strlen(result->reason));
	buf_appendf(&out, "\",\"latency_ms\":%.3f}", (double)result->duration_us / 1000);
	log_redact(out.data ? out.data : (char[]){""});
	puts(buf_string(&out));
	buf_free(&out);
}

static void print_text_result(const struct target_result *result, const char *outcome)
{
	char excerpt[TARGET_EXCERPT_MAX + 1];

	if (result->err)
		printf("< no answer: %s\n",
			result->reason[0] ? result->reason : error_message(result->err));
	else
		printf("< %d in %.1f ms%s%s\n", result->status, (double)result->duration_us / 1000,
			result->request_id[0] ? ", request id " : "", result->request_id);
	if (result->excerpt_bytes) {
		memcpy(excerpt, result->excerpt, result->excerpt_bytes);
		excerpt[result->excerpt_bytes] = '\0';
		log_redact(excerpt);
		printf("< %s\n", excerpt);
	}
	if (!result->err && result->reason[0])
		printf("reason: %s\n", result->reason);
	printf("outcome: %s\n", outcome);
}

static void print_request(struct invoke *invoke, const struct target_request *request)
{
	struct buf out = BUF_INIT((size_t)8 << 20);
	struct buf reason = BUF_INIT(4096);

	if (http_target_preview(invoke->target, request, &out, &reason) == 0 && out.data) {
		log_redact(out.data);
		for (char *line = out.data, *end; line; line = end) {
			end = strchr(line, '\n');
			if (end)
				*end++ = '\0';
			printf("> %s\n", line);
		}
	}
	buf_free(&out);
	buf_free(&reason);
}

static void next(struct invoke *invoke);

static void finish_one(
	struct invoke *invoke, const struct target_result *result, const char *outcome, int code)
{
	const struct queue_message *message = event_file_message(invoke->events, invoke->index);

	add_code(invoke, code);
	if (invoke->json)
		print_json_result(message, invoke->destination, result, outcome);
	else
		print_text_result(result, outcome);
	fflush(stdout);
	invoke->index++;
}

/* What a function says of the one record that it was sent (delivery/item_failures.h). */
static enum outcome read_failures(struct invoke *invoke, const struct target_result *result,
	char words[ITEM_FAILURES_REASON_SIZE])
{
	const char *id = event_file_message(invoke->events, invoke->index)->message_id;
	bool failed = true;
	int err;

	if (result->status < 200 || result->status > 299)
		return OUTCOME_ACCEPTED; /* a code that was configured as one */
	err = item_failures_read(&invoke->scratch, result->answer, result->answer_bytes,
		result->answer_is_whole, &id, 1, &failed, words);

	if (!err && failed)
		snprintf(words, ITEM_FAILURES_REASON_SIZE, "batchItemFailures has the message");
	return failed ? OUTCOME_RETRY : OUTCOME_ACCEPTED;
}

static void attempt_done(void *arg, const struct target_result *result)
{
	struct invoke *invoke = arg;
	size_t index = (size_t)(invoke->destination - invoke->config->destinations);
	const struct outcome_rule *rule;
	enum outcome outcome = outcome_classify(
		&invoke->destinations.rows[index].outcomes, result, &invoke->scratch, &rule);
	char words[ITEM_FAILURES_REASON_SIZE] = "";
	struct target_result read = *result;

	if (outcome == OUTCOME_ACCEPTED && invoke->destinations.rows[index].batch_records) {
		outcome = read_failures(invoke, result, words);
		read.reason = words;
		result = &read;
	}
	finish_one(invoke, result, outcome_name(outcome), code_of(outcome));
	next(invoke);
}

/* Sends the next record, or ends the loop. */
static void next(struct invoke *invoke)
{
	struct target target = http_target_table(invoke->target);
	struct target_attempt *attempt;
	int64_t deadline_ms;
	int err;

	while (invoke->index < event_file_count(invoke->events)) {
		const struct queue_message *message =
			event_file_message(invoke->events, invoke->index);
		struct target_result none = {
			.retry_after_ms = -1, .reason = "", .request_id = "", .excerpt = ""};

		struct batch_request batch = {.list = BUF_INIT(EVENT_FILE_MAX_BYTES)};

		err = batch_request_make(&batch, invoke->destination, &message, &invoke->scratch);
		if (!err && !invoke->json)
			print_request(invoke, &batch.request);
		if (message_instant(message, "Deadline", INT64_MAX, &deadline_ms) == 0 &&
			clock_wall_epoch_ms(invoke->runtime.clock) >= deadline_ms) {
			none.err = ERR_CANCELLED;
			none.reason = "past its deadline, not sent";
			finish_one(invoke, &none, "expired", CLI_FAILED);
			batch_request_free(&batch);
			continue;
		}
		if (!err)
			err = target.ops->start(
				target.impl, &batch.request, attempt_done, invoke, &attempt);
		if (!err) {
			batch_request_free(&batch);
			return;
		}
		none.err = err;
		none.reason = batch.problem[0] ? batch.problem : error_message(err);
		finish_one(invoke, &none, "not sent", CLI_FAILED);
		batch_request_free(&batch);
	}
	uv_stop(&invoke->runtime.loop);
}

static void on_signal(void *arg, unsigned count)
{
	struct invoke *invoke = arg;

	add_code(invoke, CLI_FAILED);
	uv_stop(&invoke->runtime.loop);
}

static int load(struct invoke *invoke, const char *path, const char *name)
{
	struct buf errors = BUF_INIT(1 << 20);
	int err = config_load(path, &config_process_environment, NULL, 0, &invoke->config, &errors);

	if (err)
		fputs(buf_string(&errors), stderr);
	buf_free(&errors);
	if (err)
		return CLI_USAGE;
	if (invoke->config->destination_count == 0)
		return cli_usage_error("invoke", "%s: no destination is configured", path);
	invoke->destination = name ? config_find_destination(invoke->config, name)
				   : &invoke->config->destinations[0];
	if (!invoke->destination)
		return cli_usage_error("invoke", "%s: no destination \"%s\"", path, name);
	if (destinations_new(invoke->config, &invoke->destinations)) {
		cli_error("invoke", "out of memory");
		return CLI_FAILED;
	}
	return CLI_DONE;
}

/* For a destination of records: the queue that they are said to come from, where one is known. */
static int set_queue(struct invoke *invoke)
{
	const char *url = invoke->config->queue.url, *region = invoke->connect.endpoint.region;
	char arn[SQS_QUEUE_ARN_SIZE] = "";

	if (url)
		sqs_queue_arn(url, region, arn);
	return http_target_set_queue(invoke->target, arn, region);
}

static int send_events(struct invoke *invoke)
{
	if (http_target_new(&invoke->runtime.loop, invoke->runtime.clock, invoke->destination,
		    &invoke->target)) {
		cli_error("invoke", "cannot set up the destination");
		return CLI_FAILED;
	}
	http_target_set_signer(invoke->target,
		auth_signer(invoke->auth,
			(size_t)(invoke->destination - invoke->config->destinations)));
	if (set_queue(invoke)) {
		cli_error("invoke", "out of memory");
		http_target_close(invoke->target);
		return CLI_FAILED;
	}
	next(invoke);
	if (invoke->index < event_file_count(invoke->events))
		uv_run(&invoke->runtime.loop, UV_RUN_DEFAULT);
	http_target_close(invoke->target);
	return invoke->code;
}

static void auth_ended(void *arg)
{
	struct invoke *invoke = arg;

	invoke->auth_ended = !auth_is_waiting(invoke->auth);
}

/* The credentials that the worker would have. */
static int open_credentials(struct invoke *invoke, struct buf *error)
{
	const struct config *config = invoke->config;
	const struct connect_options options = {.queue_url = config->queue.url,
		.endpoint = config->queue.endpoint,
		.allow_insecure = config->queue.allow_insecure_endpoint,
		.interrupts = &invoke->runtime.signal_count};

	if (invoke->destination->auth.type != CONFIG_AUTH_AWS)
		return 0;
	if (!config->queue.url) {
		buf_append_string(error, "auth.type aws signs with the queue's credentials, and "
					 "queue.url is not set");
		return ERR_CONFIG;
	}
	return connect_open(
		&invoke->connect, &invoke->runtime.loop, invoke->runtime.clock, &options, error);
}

static int open_auth(struct invoke *invoke)
{
	struct auth_options options = {.loop = &invoke->runtime.loop,
		.clock = invoke->runtime.clock,
		.config = invoke->config,
		.tokens = &invoke->tokens};
	struct buf error = BUF_INIT(4096);
	int err = open_credentials(invoke, &error);

	options.credentials = invoke->connect.credentials;
	options.region = invoke->connect.endpoint.region;
	/* The token that the host's workers send, where it can be had. */
	if (!err && auth_shares_tokens(invoke->config))
		err = token_memory_open_any(invoke->config->ledger.path, &invoke->tokens);
	if (!err)
		err = auth_new(&options, &invoke->auth, &error);
	if (!err && auth_is_waiting(invoke->auth)) {
		auth_observe(invoke->auth, auth_ended, invoke);
		err = runtime_await(
			&invoke->runtime.loop, &invoke->auth_ended, &invoke->runtime.signal_count);
	}

	if (err)
		cli_error("invoke", "%s", error.len ? buf_string(&error) : error_message(err));
	buf_free(&error);
	return err ? cli_exit_code(err) : CLI_DONE;
}

int cmd_invoke(int argc, char **argv)
{
	struct invoke invoke = {0};
	const char *path = CONFIG_DEFAULT_PATH, *name = NULL;
	const struct cli_option options[] = {
		{"config", 'c', CLI_STRING, "FILE", &path, 0, 0,
			"configuration (default: " CONFIG_DEFAULT_PATH ")"},
		{"destination", 0, CLI_STRING, "NAME", &name, 0, 0,
			"destination to send through (default: the first)"},
		{"json", 0, CLI_FLAG, NULL, &invoke.json, 0, 0, "one JSON object a message"},
		{0},
	};
	const struct cli_usage usage = {.command = "invoke",
		.arguments = "[options] EVENT.json|-",
		.description =
			"Sends one SQS event (Lambda's Records shape, or a bare message body) "
			"through a destination,\nwithout a queue. Exits 0 when every message "
			"was accepted, 75 when it may be later, else 1.",
		.options = options,
		.min_operands = 1,
		.max_operands = 1};
	int first, operands, code;

	code = cli_parse(&usage, argc, argv, &first, &operands);
	if (code >= 0)
		return code;
	if (runtime_open(&invoke.runtime, on_signal, &invoke)) {
		cli_error("invoke", "cannot start an event loop");
		return CLI_FAILED;
	}
	code = load(&invoke, path, name);
	if (code == CLI_DONE)
		code = read_event(&invoke, argv[first]);
	if (code == CLI_DONE)
		code = open_auth(&invoke);
	if (code == CLI_DONE)
		code = send_events(&invoke);
	auth_free(invoke.auth);
	connect_close(&invoke.connect);
	runtime_close(&invoke.runtime);
	mapped_file_close(&invoke.tokens);
	event_file_free(invoke.events);
	json_free(&invoke.scratch);
	destinations_free(&invoke.destinations);
	config_free(invoke.config);
	return code;
}
