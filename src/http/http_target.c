#include "http/http_target.h"

#include "base/list.h"
#include "bunshin/error.h"
#include "http/address_guard.h"
#include "http/client.h"
#include "http/event_records.h"
#include "http/render.h"
#include "tracing/carrier.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REASON_MAX_BYTES 1024
#define HEADER_MAX_BYTES ((size_t)16 << 10)
#define SIGNED_HEADERS_MAX_BYTES ((size_t)128 << 10)
/* Ten thousand ids of messages have room in it. */
#define RECORDS_ANSWER_MAX_BYTES ((size_t)1 << 20)
/* Attempts kept for reuse. */
#define IDLE_ATTEMPTS_MAX 1024

struct target_attempt {
	struct list node; /* in the target's running, failed or idle list */
	struct http_target *target;
	struct http_exchange *exchange; /* NULL: nothing could be sent */
	target_done *done;
	target_departs *departs;
	void *arg;
	int err;	   /* without an exchange */
	struct buf reason; /* of err */
};

struct http_target {
	struct clock clock;
	const struct config_destination *destination;
	struct http_client *client;
	struct address_guard guard; /* for hosts that messages choose */
	struct json json;
	struct buf header; /* scratch */
	struct list running;
	struct list failed; /* rendering failed; told on the next turn of the loop */
	struct list idle;
	size_t idle_count;
	uv_idle_t tell;
	bool closing;
	char *queue_arn, *region; /* of records; NULL: not set */
	struct http_signer signer;
	struct buf signed_headers; /* scratch, for a signer that wants them */
	bool makes_spans;
	uint32_t span_share; /* millionths */
	uint64_t invalid_traces;
};

static void attempt_free(struct target_attempt *attempt)
{
	list_remove(&attempt->node);
	buf_free(&attempt->reason);
	free(attempt);
}

static struct target_attempt *attempt_new(struct http_target *target)
{
	struct list *node = list_first(&target->idle);
	struct target_attempt *attempt;

	if (node != NULL) {
		list_remove(node);
		target->idle_count--;
		return list_entry(node, struct target_attempt, node);
	}
	attempt = calloc(1, sizeof(*attempt));
	if (attempt == NULL)
		return NULL;
	attempt->target = target;
	list_init(&attempt->node);
	buf_init(&attempt->reason, REASON_MAX_BYTES);
	return attempt;
}

static void attempt_release(struct target_attempt *attempt)
{
	struct http_target *target = attempt->target;

	if (target->closing || target->idle_count >= IDLE_ATTEMPTS_MAX) {
		attempt_free(attempt);
		return;
	}
	list_remove(&attempt->node);
	attempt->exchange = NULL;
	attempt->err = 0;
	buf_clear(&attempt->reason);
	list_prepend(&target->idle, &attempt->node);
	target->idle_count++;
}

/* The last step of an attempt. `done` may close the target; its memory stays for this turn. */
static void finish(struct target_attempt *attempt, const struct target_result *result)
{
	list_remove(&attempt->node);
	attempt->done(attempt->arg, result);
	attempt_release(attempt);
}

static void tell_failure(struct target_attempt *attempt)
{
	finish(attempt, &(struct target_result){.err = attempt->err,
				.retry_after_ms = -1,
				.reason = buf_string(&attempt->reason),
				.request_id = "",
				.excerpt = ""});
}

static void on_tell(uv_idle_t *tell)
{
	struct http_target *target = tell->data;
	struct list due, *node;

	uv_idle_stop(tell);
	list_init(&due);
	while ((node = list_first(&target->failed)) != NULL) {
		list_remove(node);
		list_append(&due, node);
	}
	/* cancel() and close() take attempts off `due` just as well. */
	while ((node = list_first(&due)) != NULL && !target->closing)
		tell_failure(list_entry(node, struct target_attempt, node));
	list_for_each_safe (left, &due)
		attempt_free(list_entry(left, struct target_attempt, node));
}

/*
 * What providers call it. Of an acceptance only the first few are looked for: nobody asks a
 * provider about what worked, and each look costs.
 */
static const char *request_id(struct http_exchange *exchange, int status)
{
	static const char *const names[] = {"X-Line-Request-Id", "X-Request-Id", "x-amzn-RequestId",
		"request-id", "X-Correlation-Id", "x-ms-request-id", "Twilio-Request-Id",
		"X-Message-Id", "apns-id", "x-fb-trace-id", "X-Amzn-Trace-Id",
		"X-Cloud-Trace-Context", "X-Trace-Id", "CF-Ray"};
	const size_t common = 4, all = sizeof(names) / sizeof(names[0]);

	for (size_t i = 0; i < (status < 300 ? common : all); i++) {
		const char *value = http_exchange_answer_header(exchange, names[i]);

		if (value != NULL && value[0] != '\0')
			return value;
	}
	return "";
}

static bool is_records(const struct config_destination *destination)
{
	return destination->batch.max > 1 && destination->batch.format == CONFIG_BATCH_RECORDS;
}

/*
 * The answer says what has become of each record, unless the function has failed: that Lambda's
 * Invoke answers with 200, too (its API reference: X-Amz-Function-Error).
 */
static void give_whole(struct target_result *result, struct http_exchange *exchange,
	const struct http_response *response)
{
	if (http_exchange_answer_header(exchange, "X-Amz-Function-Error") != NULL) {
		result->err = ERR_UNAVAILABLE;
		result->reason = "the function failed (X-Amz-Function-Error)";
	}
	result->answer = buf_string(response->body);
	result->answer_bytes = response->body->len;
	result->answer_is_whole = response->body->len < RECORDS_ANSWER_MAX_BYTES;
	if (result->excerpt_bytes > TARGET_EXCERPT_MAX)
		result->excerpt_bytes = TARGET_EXCERPT_MAX;
}

static void tell_signer(struct http_target *target, const struct http_response *response)
{
	const struct http_signer *signer = &target->signer;

	if (signer->ops != NULL && signer->ops->refused != NULL)
		signer->ops->refused(signer->impl, clock_wall_epoch_ms(target->clock) -
							   (int64_t)(response->duration_us / 1000));
}

static void on_departure(void *arg)
{
	struct target_attempt *attempt = arg;

	attempt->departs(attempt->arg);
}

static void on_answer(
	void *arg, struct http_exchange *exchange, const struct http_response *response)
{
	struct target_attempt *attempt = arg;
	struct http_target *target = attempt->target;
	struct target_result result = {
		.err = response->err == ERR_ARGUMENT ? ERR_TEMPLATE : response->err,
		.status = response->status,
		.retry_after_ms = -1,
		.reason = response->detail,
		.request_id = "",
		.excerpt = "",
		.duration_us = response->duration_us,
		.unanswered = response->err != 0 && response->sent,
	};

	if (response->err == 0) {
		const char *after = http_exchange_answer_header(exchange, "Retry-After");

		if (after != NULL)
			result.retry_after_ms =
				http_retry_after_ms(after, clock_wall_epoch_ms(target->clock));
		result.request_id = request_id(exchange, response->status);
		result.excerpt = buf_string(response->body);
		result.excerpt_bytes = response->body->len;
		if (is_records(target->destination))
			give_whole(&result, exchange, response);
		if (response->status == 401 || response->status == 403)
			tell_signer(target, response);
	}
	finish(attempt, &result);
}

/* Where a request's headers go: into an exchange, or before somebody's eyes. */
struct outlet {
	http_signer_add *add;
	void *arg;
};

static int send_header(void *arg, const char *name, const char *value, const char *shown)
{
	return http_exchange_add_header(arg, name, value);
}

static int show_header(void *arg, const char *name, const char *value, const char *shown)
{
	return buf_appendf(arg, "%s: %s\n", name, shown != NULL ? shown : value);
}

/* For the signer. */
static int note_header(struct http_target *target, const char *name)
{
	if (target->signer.ops == NULL || !target->signer.ops->wants_headers)
		return 0;
	buf_append(&target->signed_headers, name, strlen(name) + 1);
	return buf_append(
		&target->signed_headers, buf_string(&target->header), target->header.len + 1);
}

static int refuse_header(const char *name, struct buf *reason)
{
	buf_appendf(reason, "header \"%s\" cannot be sent with this value", name);
	return ERR_TEMPLATE;
}

/* With the value in target->header; `shown` stands for it, NULL: itself. */
static int put_header(struct http_target *target, const struct outlet *outlet, const char *name,
	const char *shown, struct buf *reason)
{
	int err = target->header.err;

	if (err == 0)
		err = outlet->add(outlet->arg, name, buf_string(&target->header), shown);
	if (err == ERR_ARGUMENT || err == ERR_TOO_LARGE)
		return refuse_header(name, reason);
	return err == 0 ? note_header(target, name) : err;
}

static int put_configured(struct http_target *target, struct render *render,
	const struct outlet *outlet, struct buf *reason)
{
	int err = 0;

	for (size_t i = 0; i < target->destination->request.header_count && err == 0; i++) {
		const struct config_header *header = &target->destination->request.headers[i];

		buf_clear(&target->header);
		err = render_header(render, i, &target->header, reason);
		if (err == 0)
			err = put_header(target, outlet, header->name,
				header->secret ? "[hidden]" : NULL, reason);
	}
	return err;
}

static bool is_set(const struct config_destination *destination, const char *name)
{
	for (size_t i = 0; i < destination->request.header_count; i++)
		if (strcasecmp(destination->request.headers[i].name, name) == 0)
			return true;
	return false;
}

/* The destination has one of its own. A tracestate belongs to the traceparent beside it. */
static bool is_own(const struct http_target *target, const char *name)
{
	return is_set(target->destination, name) ||
	       (strcmp(name, "tracestate") == 0 && is_set(target->destination, "traceparent"));
}

/* How many were dropped for their form. */
static unsigned make_trace(const struct http_target *target, const struct queue_message *message,
	struct trace_headers *headers)
{
	struct trace_carrier carrier;
	struct trace_course course = {0};
	size_t kept = 0;

	headers->count = 0;
	if (target->destination->trace == CONFIG_TRACE_NONE)
		return 0;
	trace_carrier_read(message, &carrier);
	if (target->makes_spans)
		trace_course_take(&carrier, message, target->span_share, &course);
	trace_headers_make(&carrier, &course, headers);
	for (size_t i = 0; i < headers->count; i++)
		if (!is_own(target, headers->rows[i].name))
			headers->rows[kept++] = headers->rows[i];
	headers->count = kept;
	return carrier.invalid;
}

static int put_trace(struct http_target *target, const struct queue_message *message,
	const struct outlet *outlet, struct buf *reason)
{
	struct trace_headers headers;
	int err = 0;

	target->invalid_traces += make_trace(target, message, &headers);
	for (size_t i = 0; i < headers.count && err == 0; i++) {
		const struct trace_header *row = &headers.rows[i];

		buf_clear(&target->header);
		buf_append(&target->header, row->value, row->value_bytes);
		err = put_header(target, outlet, row->name, NULL, reason);
	}
	return err;
}

/* The message's attributes that are text, as headers. */
static int put_attributes(struct http_target *target, const struct queue_message *message,
	const struct outlet *outlet, struct buf *reason)
{
	const char *prefix = target->destination->request.attribute_headers;
	int err = 0;

	for (size_t i = 0; prefix != NULL && i < message->attribute_count && err == 0; i++) {
		const struct queue_attribute *attribute = &message->attributes[i];
		char name[512]; /* SQS: up to 256 bytes of letters, digits, _ - . */

		if (strncmp(attribute->type, "Binary", 6) == 0)
			continue;
		snprintf(name, sizeof(name), "%s%s", prefix, attribute->name);
		buf_clear(&target->header);
		buf_append(&target->header, attribute->value, attribute->value_bytes);
		err = memchr(attribute->value, '\0', attribute->value_bytes) != NULL
			      ? refuse_header(name, reason)
			      : put_header(target, outlet, name, NULL, reason);
	}
	return err;
}

static int sign(struct http_target *target, const struct target_request *to, const char *url,
	const struct buf *body, const struct outlet *outlet, struct buf *reason)
{
	const struct http_signer_request request = {
		.method = target->destination->request.method,
		.url = url,
		.body = body,
		.headers = &target->signed_headers,
		.idempotency_key = to->idempotency_key,
		.now_epoch_ms = clock_wall_epoch_ms(target->clock),
	};

	return target->signer.ops->sign(
		target->signer.impl, &request, outlet->add, outlet->arg, reason);
}

static int put_records(struct http_target *target, const struct target_request *request,
	struct buf *body, struct buf *reason)
{
	int err = event_records_append(body, request->messages, request->message_count,
		target->queue_arn != NULL ? target->queue_arn : "",
		target->region != NULL ? target->region : "");

	if (err == ERR_TOO_LARGE) {
		buf_appendf(reason, "the event is larger than %zu bytes", body->max);
		err = ERR_TEMPLATE;
	}
	return err;
}

/* The whole request: with what is rendered into url and body, headers go to the outlet. */
static int fill(struct http_target *target, const struct target_request *request, struct buf *url,
	struct buf *body, const struct outlet *outlet, struct buf *reason)
{
	const struct queue_message *message = request->messages[0];
	struct render render;
	int err;

	render_init(&render, target->destination, request, &target->json);
	buf_clear(&target->signed_headers);
	err = render_url(&render, url, reason);
	if (err == 0)
		err = put_configured(target, &render, outlet, reason);
	if (err == 0)
		err = put_attributes(target, message, outlet, reason);
	if (err == 0)
		err = put_trace(target, message, outlet, reason);
	if (err == 0)
		err = is_records(target->destination) ? put_records(target, request, body, reason)
						      : render_body(&render, body, reason);
	if (err == 0 && target->signer.ops != NULL)
		err = sign(target, request, buf_string(url), body, outlet, reason);
	return err;
}

static int fill_exchange(struct http_target *target, const struct target_request *request,
	struct http_exchange *exchange, struct buf *reason)
{
	const struct outlet outlet = {.add = send_header, .arg = exchange};

	http_exchange_set_method(exchange, target->destination->request.method);
	return fill(target, request, http_exchange_url(exchange), http_exchange_body(exchange),
		&outlet, reason);
}

/* What cannot be rendered or signed is an attempt that failed, and is told so later. */
static void fail_later(struct target_attempt *attempt, int err)
{
	struct http_target *target = attempt->target;

	attempt->err = err == ERR_ARGUMENT ? ERR_TEMPLATE : err;
	if (attempt->reason.len == 0)
		buf_append_string(&attempt->reason, "the HTTP client refuses this request");
	list_append(&target->failed, &attempt->node);
	uv_idle_start(&target->tell, on_tell);
}

static int target_start(void *impl, const struct target_request *request, target_done *done,
	void *arg, struct target_attempt **ret_attempt)
{
	struct http_target *target = impl;
	struct target_attempt *attempt = attempt_new(target);
	struct http_exchange *exchange = attempt != NULL ? http_exchange_new(target->client) : NULL;
	int err;

	if (exchange == NULL) {
		if (attempt != NULL)
			attempt_release(attempt);
		return ERR_NOMEM;
	}
	attempt->done = done;
	attempt->departs = request->departs;
	attempt->arg = arg;
	if (request->departs != NULL)
		http_exchange_tell_departure(exchange, on_departure);
	err = fill_exchange(target, request, exchange, &attempt->reason);
	if (err != 0)
		http_exchange_discard(exchange);
	else
		err = http_exchange_start(exchange, on_answer, attempt);
	if (err == 0) {
		attempt->exchange = exchange;
		list_append(&target->running, &attempt->node);
	} else if (err == ERR_TEMPLATE || err == ERR_ARGUMENT || err == ERR_NOT_ALLOWED ||
		   error_class(err) == ERROR_AUTH) {
		fail_later(attempt, err);
	} else {
		attempt_release(attempt);
		return err;
	}
	*ret_attempt = attempt;
	return 0;
}

static void target_cancel(void *impl, struct target_attempt *attempt)
{
	if (attempt->exchange != NULL)
		http_exchange_cancel(attempt->exchange);
	attempt_release(attempt);
}

static const struct target_ops ops = {.start = target_start, .cancel = target_cancel};

struct target http_target_table(struct http_target *target)
{
	return (struct target){.ops = &ops, .impl = target};
}

static enum http_version version_of(enum config_http_version version)
{
	switch (version) {
	case CONFIG_HTTP_1_1:
		return HTTP_VERSION_1_1;
	case CONFIG_HTTP_2:
		return HTTP_VERSION_2;
	case CONFIG_HTTP_AUTO:
		break;
	}
	return HTTP_VERSION_AUTO;
}

void http_target_set_signer(struct http_target *target, struct http_signer signer)
{
	target->signer = signer;
}

void http_target_make_spans(struct http_target *target, uint32_t share)
{
	target->makes_spans = true;
	target->span_share = share;
}

void http_target_get_connections(
	struct http_target *target, struct http_target_connections *ret_connections)
{
	*ret_connections = (struct http_target_connections){
		.open = http_client_connections(target->client),
		.most_streams = http_client_take_most_streams(target->client),
		.opened = http_client_connections_opened(target->client),
		.refused = http_client_requests_refused(target->client),
	};
}

uint64_t http_target_invalid_traces(const struct http_target *target)
{
	return target->invalid_traces;
}

int http_target_set_queue(struct http_target *target, const char *arn, const char *region)
{
	free(target->queue_arn);
	free(target->region);
	target->queue_arn = strdup(arn);
	target->region = strdup(region);
	return target->queue_arn != NULL && target->region != NULL ? 0 : ERR_NOMEM;
}

int http_target_new(uv_loop_t *loop, struct clock clock,
	const struct config_destination *destination, struct http_target **ret_target)
{
	struct http_target *target = calloc(1, sizeof(*target));
	const struct http_client_options options = {
		.max_in_flight = (unsigned)destination->concurrency,
		.max_connections = (unsigned)destination->connections,
		.connect_timeout_ms = destination->connect_timeout_ms,
		.timeout_ms = destination->timeout_ms,
		.max_answer_bytes =
			is_records(destination) ? RECORDS_ANSWER_MAX_BYTES : TARGET_EXCERPT_MAX,
		.truncate_answer = true,
		.version = version_of(destination->http_version),
		.ca_file = destination->ca_file,
		.guard = target != NULL && destination->request.allow_hosts.count > 0
				 ? &target->guard
				 : NULL,
	};
	int err;

	if (target == NULL)
		return ERR_NOMEM;
	target->guard = (struct address_guard){destination->request.allow_addresses.rows,
		destination->request.allow_addresses.count};
	err = http_client_new(loop, &options, &target->client);
	if (err != 0) {
		free(target);
		return err;
	}
	target->clock = clock;
	target->destination = destination;
	buf_init(&target->header, HEADER_MAX_BYTES);
	buf_init(&target->signed_headers, SIGNED_HEADERS_MAX_BYTES);
	list_init(&target->running);
	list_init(&target->failed);
	list_init(&target->idle);
	uv_idle_init(loop, &target->tell);
	target->tell.data = target;
	*ret_target = target;
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct http_target *target = handle->data;

	json_free(&target->json);
	free(target->queue_arn);
	free(target->region);
	buf_wipe(&target->header); /* may hold a token */
	buf_wipe(&target->signed_headers);
	free(target);
}

static void free_all(struct list *attempts)
{
	list_for_each_safe (node, attempts)
		attempt_free(list_entry(node, struct target_attempt, node));
}

void http_target_close(struct http_target *target)
{
	if (target == NULL || target->closing)
		return;
	target->closing = true;
	http_client_close(target->client);
	free_all(&target->running);
	free_all(&target->failed);
	free_all(&target->idle);
	uv_close((uv_handle_t *)&target->tell, on_closed);
}

int http_target_preview(struct http_target *target, const struct target_request *request,
	struct buf *out, struct buf *reason)
{
	struct buf url = BUF_INIT(out->max), body = BUF_INIT(out->max),
		   headers = BUF_INIT(out->max);
	const struct outlet outlet = {.add = show_header, .arg = &headers};
	int err = fill(target, request, &url, &body, &outlet, reason);

	buf_appendf(out, "%s %s\n%s", target->destination->request.method, buf_string(&url),
		buf_string(&headers));
	if (err == 0) {
		buf_append_char(out, '\n');
		buf_append(out, buf_string(&body), body.len);
	}
	buf_wipe(&url);
	buf_wipe(&headers);
	buf_wipe(&body);
	return err != 0 ? err : out->err;
}
