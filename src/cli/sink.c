#include "cli/sink.h"

#include "base/list.h"
#include "base/random.h"
#include "bunshin/error.h"
#include "cli/sink_keys.h"
#include "cli/sink_record.h"
#include "http/listen.h"
#include "http/server.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLUSH_EVERY_US ((uint64_t)100000)
#define MAX_CONNECTIONS 20000
#define MAX_BODY_BYTES ((size_t)8 << 20)
/* As many servers take; it is cleared twice with each request (MHD_pool_reset()). */
#define HEADER_MEMORY_BYTES ((size_t)8 << 10)

enum fate { ACCEPT, FAIL, CUT, IGNORE };

/* A request that waits for its answer. */
struct pending {
	struct list node; /* in sink->pending, or sink->spare */
	struct sink *sink;
	struct http_call *call;
	struct clock_timer timer;
	int64_t arrived_epoch_ms;
	enum fate fate;
};

struct sink {
	struct sink_options options;
	struct clock clock;
	struct http_server *server; /* or: */
	struct http2_server *http2;
	char url[LISTEN_TEXT_MAX + sizeof("https://")];
	struct random random;
	struct sink_record record;
	struct sink_keys keys; /* accepted */
	struct play play;      /* with options.play.provider */
	struct sink_totals totals;
	struct list pending, spare;
	struct clock_timer flush;
	char retry_after[24];
	bool broken; /* told through fatal */
	void (*fatal)(void *arg, const char *reason);
	void *arg;
};

static void give_up(struct sink *sink, const char *what, int err)
{
	char reason[256];

	if (sink->broken)
		return;
	sink->broken = true;
	snprintf(reason, sizeof(reason), "%s: %s", what,
		err == ERR_IO ? strerror(errno) : error_message(err));
	sink->fatal(sink->arg, reason);
}

/* The record */

static void flush_due(struct clock_timer *timer)
{
	struct sink *sink = list_entry(timer, struct sink, flush);
	int err = sink_record_flush(&sink->record);

	if (err != 0)
		give_up(sink, "cannot write the record", err);
}

static void write_down_for(struct sink *sink, struct http_call *call, int64_t time_epoch_ms,
	int status, uint64_t recipients)
{
	int err;

	if (!sink->options.record)
		return;
	err = sink_record_add(&sink->record, call, time_epoch_ms, status, recipients);
	if (err == 0 && !clock_timer_is_set(&sink->flush))
		err = clock_timer_after(sink->clock, &sink->flush, FLUSH_EVERY_US);
	if (err != 0)
		give_up(sink, "cannot write the record", err);
}

static void write_down(struct sink *sink, struct http_call *call, int64_t time_epoch_ms, int status)
{
	write_down_for(sink, call, time_epoch_ms, status, 0);
}

/* Answers */

/* The key that a retry of the same message repeats; NULL: the request has none. */
static const char *idempotency_key(const struct http_call *call)
{
	static const char *const names[] = {
		"X-Line-Retry-Key", "Idempotency-Key", "X-Idempotency-Key", "Webhook-Id"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = http_call_header(call, names[i]);

		if (value && *value)
			return value;
	}
	return NULL;
}

/* Takes note of the key of a request that is being accepted. True: it is a duplicate. */
static bool accepted_before(struct sink *sink, const char *text)
{
	struct sink_key key;
	bool is_new = true;

	if (!text)
		return false;
	key = sink_key_of(text);
	if (sink_keys_add(&sink->keys, key, &is_new) < 0)
		give_up(sink, "cannot remember the keys", ERR_NOMEM);
	return !is_new;
}

static int judge(struct sink *sink, const struct http_call *call, enum fate fate)
{
	const char *key;

	if (fate == FAIL) {
		sink->totals.failed++;
		return sink->options.fail_status;
	}
	key = idempotency_key(call);
	if (accepted_before(sink, key)) {
		if (sink->options.dedup) {
			sink->totals.failed++;
			sink->totals.conflicts++;
			return 409;
		}
		sink->totals.duplicates++;
	}
	sink->totals.accepted++;
	return sink->options.status;
}

static void answer(
	struct sink *sink, struct http_call *call, enum fate fate, int64_t arrived_epoch_ms)
{
	static const char accepted[] = "{}", failed[] = "{\"message\":\"refused by the sink\"}",
			  conflict[] = "{\"message\":\"The retry key is already accepted\"}";
	int status = judge(sink, call, fate);
	bool ok = status >= 200 && status <= 299;
	const char *body = ok ? accepted : fate == FAIL ? failed : conflict;
	const char *headers[5] = {0};
	char request_id[32];
	size_t count = 0;

	snprintf(request_id, sizeof(request_id), "sink-%" PRIu64,
		sink->totals.accepted + sink->totals.failed);
	headers[count++] = "X-Request-Id";
	headers[count++] = request_id;
	if (fate == FAIL && sink->options.retry_after_s >= 0) {
		headers[count++] = "Retry-After";
		headers[count++] = sink->retry_after;
	}
	write_down(sink, call, arrived_epoch_ms, status);
	http_call_reply(call, &(struct http_reply){
				      .status = status,
				      .content_type = status == 204 ? NULL : "application/json",
				      .body = body,
				      .body_bytes = status == 204 ? 0 : strlen(body),
				      .headers = headers,
			      });
}

/* As the provider that is played does. */
static void answer_played(struct sink *sink, struct http_call *call, int64_t arrived_epoch_ms)
{
	struct play_answer answer;
	bool has_body;

	play_answer(&sink->play, call, clock_wall_epoch_ms(sink->clock),
		clock_monotonic_us(sink->clock), &answer);
	if (sink->play.broken)
		give_up(sink, "cannot play the provider", ERR_NOMEM);
	if (answer.verdict == PLAY_ACCEPTED)
		sink->totals.accepted++;
	else if (answer.verdict != PLAY_TOKEN)
		sink->totals.failed++;
	sink->totals.conflicts += answer.verdict == PLAY_REPEATED;
	if (answer.verdict != PLAY_TOKEN)
		write_down_for(sink, call, arrived_epoch_ms, answer.status, answer.recipients);
	has_body = answer.content_type != NULL && answer.status != 204;
	http_call_reply(call, &(struct http_reply){
				      .status = answer.status,
				      .content_type = has_body ? answer.content_type : NULL,
				      .body = buf_string(&answer.body),
				      .body_bytes = has_body ? answer.body.len : 0,
				      .headers = answer.headers,
			      });
	buf_free(&answer.body);
}

static void end(struct sink *sink, struct http_call *call, enum fate fate, int64_t arrived_epoch_ms)
{
	if (fate == ACCEPT && sink->options.play.provider) {
		answer_played(sink, call, arrived_epoch_ms);
		return;
	}
	if (fate != CUT) {
		answer(sink, call, fate, arrived_epoch_ms);
		return;
	}
	sink->totals.closed++;
	write_down(sink, call, arrived_epoch_ms, 0);
	http_call_abort(call);
}

/* Requests that wait */

static void pending_end(struct pending *pending)
{
	struct sink *sink = pending->sink;

	clock_timer_clear(sink->clock, &pending->timer);
	list_remove(&pending->node);
	list_prepend(&sink->spare, &pending->node);
}

static void pending_due(struct clock_timer *timer)
{
	struct pending *pending = list_entry(timer, struct pending, timer);
	struct sink *sink = pending->sink;

	pending_end(pending);
	end(sink, pending->call, pending->fate, pending->arrived_epoch_ms);
}

static void pending_gone(void *arg, struct http_call *call)
{
	struct pending *pending = arg;

	pending->sink->totals.unanswered++;
	pending_end(pending);
}

static struct pending *pending_new(struct sink *sink)
{
	struct list *node = list_first(&sink->spare);
	struct pending *pending;

	if (node) {
		list_remove(node);
		pending = list_entry(node, struct pending, node);
	} else {
		pending = malloc(sizeof(*pending));
	}
	if (!pending)
		return NULL;
	*pending = (struct pending){.sink = sink, .timer.fire = pending_due};
	list_append(&sink->pending, &pending->node);
	return pending;
}

static void wait(struct sink *sink, struct http_call *call, enum fate fate,
	int64_t arrived_epoch_ms, int64_t latency_ms)
{
	struct pending *pending = pending_new(sink);

	if (!pending) {
		http_call_abort(call);
		give_up(sink, "cannot keep a request", ERR_NOMEM);
		return;
	}
	pending->call = call;
	pending->fate = fate;
	pending->arrived_epoch_ms = arrived_epoch_ms;
	http_call_keep(call, pending_gone, pending);
	if (fate == IGNORE) /* nothing more will ever be known of it */
		write_down(sink, call, arrived_epoch_ms, 0);
	else if (clock_timer_after(sink->clock, &pending->timer, (uint64_t)latency_ms * 1000) < 0)
		give_up(sink, "cannot keep a request", ERR_NOMEM);
}

/* Arrivals */

static enum fate draw_fate(struct sink *sink)
{
	const struct sink_options *options = &sink->options;
	uint64_t drawn;

	if (options->never)
		return IGNORE;
	if (options->close_ppm == 0 && options->fail_ppm == 0)
		return ACCEPT;
	drawn = random_below(random_next(&sink->random), 1000000);
	if (drawn < options->close_ppm)
		return CUT;
	return drawn < options->close_ppm + options->fail_ppm ? FAIL : ACCEPT;
}

static int64_t draw_latency(struct sink *sink)
{
	int64_t low = sink->options.latency_low_ms, high = sink->options.latency_high_ms;

	if (low == high)
		return low;
	return low + (int64_t)random_below(random_next(&sink->random), (uint64_t)(high - low) + 1);
}

static void arrive(void *arg, struct http_call *call)
{
	struct sink *sink = arg;
	int64_t now_epoch_ms = clock_wall_epoch_ms(sink->clock);
	enum fate fate = draw_fate(sink);
	int64_t latency_ms = draw_latency(sink);

	sink->totals.requests++;
	if (fate == IGNORE || latency_ms > 0)
		wait(sink, call, fate, now_epoch_ms, latency_ms);
	else
		end(sink, call, fate, now_epoch_ms);
}

/* The outside */

static bool refuses(void *arg)
{
	struct sink *sink = arg;
	uint32_t ppm = sink->options.http2.refuse_ppm;

	return ppm != 0 && random_below(random_next(&sink->random), 1000000) < ppm;
}

static int listen_http1(uv_loop_t *loop, struct sink *sink, char *error, size_t error_bytes)
{
	const struct http_server_options server = {
		.listen = sink->options.listen,
		.max_body_bytes = MAX_BODY_BYTES,
		.header_memory_bytes = HEADER_MEMORY_BYTES,
		.max_connections = MAX_CONNECTIONS,
		.handler = arrive,
		.arg = sink,
	};
	int err = http_server_new(loop, &server, &sink->server);

	if (err != 0)
		snprintf(error, error_bytes, "cannot listen on %s: %s", server.listen,
			err == ERR_IO ? strerror(errno) : error_message(err));
	else
		snprintf(sink->url, sizeof(sink->url), "http://%s",
			http_server_address(sink->server));
	return err;
}

static int listen_http2(uv_loop_t *loop, struct sink *sink, char *error, size_t error_bytes)
{
	const struct play_provider *provider = sink->options.play.provider;
	const struct sink_http2 *http2 = &sink->options.http2;
	struct http2_server_options server = {
		.listen = sink->options.listen,
		.max_body_bytes = MAX_BODY_BYTES,
		.max_connections = MAX_CONNECTIONS,
		.max_streams = http2->streams,
		.goaway_after = http2->goaway_after,
		.certificate = http2->certificate,
		.key = http2->key,
		.refuses = refuses,
		.handler = arrive,
		.arg = sink,
	};
	int err;

	if (provider) {
		server.max_streams = http2->streams ? http2->streams : provider->max_streams;
		server.first_streams = provider->first_streams;
		server.goaway_data = provider->goaway_data;
	}
	err = http2_server_new(loop, &server, error, error_bytes, &sink->http2);
	if (err == 0)
		snprintf(sink->url, sizeof(sink->url), "%s://%s",
			http2->certificate ? "https" : "http", http2_server_address(sink->http2));
	return err;
}

int sink_new(uv_loop_t *loop, struct clock clock, const struct sink_options *options,
	void (*fatal)(void *arg, const char *reason), void *arg, char *error, size_t error_bytes,
	struct sink **ret_sink)
{
	struct sink *sink = calloc(1, sizeof(*sink));
	int err;

	if (!sink)
		return ERR_NOMEM;
	sink->options = *options;
	sink->clock = clock;
	sink->fatal = fatal;
	sink->arg = arg;
	sink->flush.fire = flush_due;
	list_init(&sink->pending);
	list_init(&sink->spare);
	random_seed(&sink->random, options->seed);
	play_init(&sink->play, &options->play);
	snprintf(sink->retry_after, sizeof(sink->retry_after), "%" PRId64, options->retry_after_s);
	err = sink_record_open(&sink->record, options->record);
	if (err != 0) {
		snprintf(error, error_bytes, "cannot write %s: %s", options->record,
			strerror(errno));
		free(sink);
		return err;
	}
	err = options->http2.on ? listen_http2(loop, sink, error, error_bytes)
				: listen_http1(loop, sink, error, error_bytes);
	if (err != 0) {
		sink_record_close(&sink->record);
		free(sink);
		return err;
	}
	*ret_sink = sink;
	return 0;
}

const char *sink_url(const struct sink *sink)
{
	return sink->url;
}

int sink_close(struct sink *sink, struct sink_totals *ret_totals)
{
	int err;

	if (!sink)
		return 0;
	list_for_each_safe (node, &sink->pending) {
		struct pending *pending = list_entry(node, struct pending, node);

		sink->totals.unanswered++;
		if (pending->fate != IGNORE)
			write_down(sink, pending->call, pending->arrived_epoch_ms, 0);
		pending_end(pending);
		http_call_abort(pending->call);
	}
	if (sink->http2)
		http2_server_totals(sink->http2, &sink->totals.http2);
	http_server_close(sink->server);
	http2_server_close(sink->http2);
	clock_timer_clear(sink->clock, &sink->flush);
	err = sink_record_close(&sink->record);
	list_for_each_safe (node, &sink->spare)
		free(list_entry(node, struct pending, node));
	sink_keys_free(&sink->keys);
	sink->totals.play = sink->play.totals;
	play_free(&sink->play);
	*ret_totals = sink->totals;
	free(sink);
	return err;
}
