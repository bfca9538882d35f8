#include "tracing/exporter.h"

#include "base/list.h"
#include "bunshin/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BACKOFF_MIN_US UINT64_C(1000000)
#define BACKOFF_MAX_US UINT64_C(30000000)
#define RETRY_AFTER_MAX_MS INT64_C(3600000)
#define GIVE_UP_US UINT64_C(300000000)	 /* from a batch's first request on */
#define BODY_MAX_BYTES ((size_t)4 << 20) /* of a request */
#define HEAD_MAX_BYTES ((size_t)1 << 20) /* of the resource in it */

/* The whole body but for OTLP_TAIL. */
struct batch {
	struct list node;
	struct buf body;
	unsigned spans;
	uint64_t began_us; /* its first span */
	uint64_t sent_us;  /* its first request; 0: none yet */
};

enum drop { DROP_QUEUE_FULL, DROP_REFUSED, DROP_EXPIRED, DROP_STOPPED, DROP_MEMORY, DROPS };

struct exporter {
	struct exporter_options options;
	struct buf head, scratch;
	struct json json;
	struct list batches; /* the first is sent next; the last may still grow */
	size_t waiting_bytes;
	bool sending; /* the first batch is under way */
	unsigned failures;
	uint64_t retry_us; /* no request before; 0: no matter */
	struct clock_timer wake;
	bool finishing;
	struct clock_timer finish; /* the end; then calls finish_done */
	void (*finish_done)(void *arg);
	void *finish_arg;
	struct counter *exported, *dropped[DROPS], *failed;
	struct gauge *waiting;
};

static uint64_t now_of(const struct exporter *exporter)
{
	return clock_monotonic_us(exporter->options.clock);
}

/* ---- batches */

static struct batch *first_of(const struct exporter *exporter)
{
	struct list *node = list_first(&exporter->batches);

	return node ? list_entry(node, struct batch, node) : NULL;
}

/* So many bytes more wait, or fewer. During a reload two exporters share the gauge. */
static void hold(struct exporter *exporter, int64_t bytes)
{
	exporter->waiting_bytes += (size_t)bytes;
	gauge_add(exporter->waiting, bytes);
}

static void batch_free(struct exporter *exporter, struct batch *batch)
{
	hold(exporter, -(int64_t)batch->body.len);
	list_remove(&batch->node);
	buf_free(&batch->body);
	free(batch);
}

static void drop(struct exporter *exporter, struct batch *batch, enum drop why)
{
	counter_add(exporter->dropped[why], batch->spans);
	batch_free(exporter, batch);
}

static struct batch *batch_new(struct exporter *exporter)
{
	struct batch *batch = calloc(1, sizeof(*batch));

	if (!batch)
		return NULL;
	buf_init(&batch->body, BODY_MAX_BYTES + HEAD_MAX_BYTES);
	if (buf_append(&batch->body, exporter->head.data, exporter->head.len)) {
		free(batch);
		return NULL;
	}
	batch->began_us = now_of(exporter);
	list_append(&exporter->batches, &batch->node);
	hold(exporter, (int64_t)batch->body.len);
	return batch;
}

static bool batch_is_full(const struct exporter *exporter, const struct batch *batch)
{
	return batch->spans >= exporter->options.batch_spans ||
	       batch->body.len + SPAN_JSON_MAX_BYTES > BODY_MAX_BYTES;
}

/* The last batch while it may grow: one that has been sent stays as it is. */
static struct batch *open_batch(struct exporter *exporter)
{
	struct batch *last;

	if (list_is_empty(&exporter->batches))
		return batch_new(exporter);
	last = list_entry(exporter->batches.prev, struct batch, node);
	return last->sent_us || batch_is_full(exporter, last) ? batch_new(exporter) : last;
}

/* ---- sending */

static void answered(void *arg, const struct exporter_answer *answer);
static void failed(struct exporter *exporter, const struct exporter_answer *answer);
static void end(struct exporter *exporter);

static void start(struct exporter *exporter)
{
	const struct exporter_transport *transport = &exporter->options.transport;
	struct batch *batch = first_of(exporter);
	size_t len = batch->body.len;
	int err = buf_append_string(&batch->body, OTLP_TAIL);

	exporter->retry_us = 0;
	if (!batch->sent_us)
		batch->sent_us = now_of(exporter);
	if (!err)
		err = transport->start(transport->impl, buf_string(&batch->body), batch->body.len,
			answered, exporter);
	buf_truncate(&batch->body, len);
	batch->body.err = 0;
	exporter->sending = !err;
	if (err)
		failed(exporter, &(const struct exporter_answer){.err = err,
					 .retry_after_ms = -1,
					 .body = "",
					 .detail = error_message(err)});
}

/* The first batch need not be full: half of what may wait does. */
static bool is_crowded(const struct exporter *exporter)
{
	return exporter->waiting_bytes >= exporter->options.queue_bytes / 2;
}

/* When the first batch is to be sent. */
static uint64_t due_us(const struct exporter *exporter, const struct batch *batch)
{
	if (exporter->retry_us)
		return exporter->retry_us;
	if (batch->sent_us || batch_is_full(exporter, batch) || is_crowded(exporter))
		return 0;
	return batch->began_us + (uint64_t)exporter->options.interval_ms * 1000;
}

static void pump(struct exporter *exporter)
{
	const struct batch *batch = first_of(exporter);
	uint64_t due;

	if (exporter->sending || exporter->finishing || !batch)
		return;
	due = due_us(exporter, batch);
	if (due <= now_of(exporter))
		start(exporter);
	else
		clock_timer_set(exporter->options.clock, &exporter->wake, due);
}

static void woken(struct clock_timer *timer)
{
	pump(list_entry(timer, struct exporter, wake));
}

static void tell(struct exporter *exporter, int err, int status, const char *words)
{
	if (exporter->options.trouble)
		exporter->options.trouble(exporter->options.arg, err, status, words);
}

/* Full jitter above a half. */
static uint64_t backoff_us(struct exporter *exporter)
{
	unsigned doublings = exporter->failures < 10 ? exporter->failures : 10;
	uint64_t bound = BACKOFF_MIN_US << doublings;

	if (bound > BACKOFF_MAX_US)
		bound = BACKOFF_MAX_US;
	return bound / 2 + clock_random(exporter->options.clock) % (bound - bound / 2);
}

static bool is_worth_repeating(const struct exporter_answer *answer)
{
	return answer->err || answer->status == 429 || answer->status == 502 ||
	       answer->status == 503 || answer->status == 504;
}

static void wait(struct exporter *exporter, int64_t retry_after_ms)
{
	uint64_t delay_us = backoff_us(exporter);

	if (retry_after_ms > RETRY_AFTER_MAX_MS)
		retry_after_ms = RETRY_AFTER_MAX_MS;
	if (retry_after_ms > 0)
		delay_us = (uint64_t)retry_after_ms * 1000;
	exporter->failures++;
	exporter->retry_us = now_of(exporter) + delay_us;
}

static void failed(struct exporter *exporter, const struct exporter_answer *answer)
{
	struct batch *batch = first_of(exporter);

	counter_add(exporter->failed, 1);
	tell(exporter, answer->err, answer->status, answer->detail);
	if (!is_worth_repeating(answer)) {
		drop(exporter, batch, DROP_REFUSED);
	} else if (exporter->finishing) {
		drop(exporter, batch, DROP_STOPPED);
	} else {
		wait(exporter, answer->retry_after_ms);
		if (now_of(exporter) - batch->sent_us >= GIVE_UP_US)
			drop(exporter, batch, DROP_EXPIRED);
	}
	if (!exporter->finishing)
		pump(exporter);
}

static void succeeded(struct exporter *exporter, const struct exporter_answer *answer)
{
	struct batch *batch = first_of(exporter);
	const char *words;
	uint64_t rejected = otlp_rejected(
		&exporter->json, answer->body, answer->body_bytes, batch->spans, &words);

	exporter->failures = 0;
	counter_add(exporter->exported, batch->spans - rejected);
	counter_add(exporter->dropped[DROP_REFUSED], rejected);
	if (rejected)
		tell(exporter, 0, answer->status, words);
	batch_free(exporter, batch);
	if (!exporter->finishing)
		pump(exporter);
}

/* Of a stop: the next of what is left, or the end. */
static void finish_next(struct exporter *exporter)
{
	while (!exporter->sending && !list_is_empty(&exporter->batches))
		start(exporter);
	if (!exporter->sending)
		end(exporter);
}

static void answered(void *arg, const struct exporter_answer *answer)
{
	struct exporter *exporter = arg;

	exporter->sending = false;
	if (!answer->err && answer->status >= 200 && answer->status <= 299)
		succeeded(exporter, answer);
	else
		failed(exporter, answer);
	if (exporter->finishing)
		finish_next(exporter);
}

/* ---- the end */

static void drop_all(struct exporter *exporter)
{
	const struct exporter_transport *transport = &exporter->options.transport;

	if (exporter->sending)
		transport->cancel(transport->impl);
	exporter->sending = false;
	while (!list_is_empty(&exporter->batches))
		drop(exporter, first_of(exporter), DROP_STOPPED);
}

static void finish_fired(struct clock_timer *timer)
{
	struct exporter *exporter = list_entry(timer, struct exporter, finish);

	drop_all(exporter);
	exporter->finish_done(exporter->finish_arg);
}

/* Nothing is left to send: `done` at once, but from the loop. */
static void end(struct exporter *exporter)
{
	if (clock_timer_after(exporter->options.clock, &exporter->finish, 0))
		finish_fired(&exporter->finish);
}

void exporter_finish(
	struct exporter *exporter, uint64_t until_us, void (*done)(void *arg), void *arg)
{
	struct clock clock = exporter->options.clock;

	exporter->finishing = true;
	exporter->finish_done = done;
	exporter->finish_arg = arg;
	clock_timer_clear(clock, &exporter->wake);
	if (clock_timer_set(clock, &exporter->finish, until_us)) {
		finish_fired(&exporter->finish);
		return;
	}
	if (until_us > now_of(exporter))
		finish_next(exporter);
}

/* ---- spans in */

void exporter_miss(struct exporter *exporter, bool is_full)
{
	counter_add(exporter->dropped[is_full ? DROP_QUEUE_FULL : DROP_MEMORY], 1);
}

static int append(struct batch *batch, const struct buf *span)
{
	size_t len = batch->body.len;
	int err = 0;

	if (batch->spans > 0)
		err = buf_append_char(&batch->body, ',');
	if (!err)
		err = buf_append(&batch->body, span->data, span->len);
	if (err) {
		batch->body.err = 0;
		buf_truncate(&batch->body, len);
	}
	return err;
}

void exporter_add(
	struct exporter *exporter, const struct span *span, const struct span_source *source)
{
	struct buf *scratch = &exporter->scratch;
	struct batch *batch;
	size_t before;

	buf_clear(scratch);
	if (exporter->finishing) {
		counter_add(exporter->dropped[DROP_STOPPED], 1);
		return;
	}
	if (span_append_json(span, source, scratch)) {
		exporter_miss(exporter, false);
		return;
	}
	if (exporter->waiting_bytes + scratch->len > exporter->options.queue_bytes) {
		exporter_miss(exporter, true);
		return;
	}
	batch = open_batch(exporter);
	before = batch ? batch->body.len : 0;
	if (!batch || append(batch, scratch)) {
		exporter_miss(exporter, false);
		return;
	}
	batch->spans++;
	hold(exporter, (int64_t)(batch->body.len - before));
	/* A batch that is not the first is looked at when that one has gone. */
	if (!clock_timer_is_set(&exporter->wake) || batch_is_full(exporter, batch) ||
		is_crowded(exporter))
		pump(exporter);
}

/* ---- life */

static int open_metrics(struct exporter *exporter, struct metrics *metrics)
{
	static const char *const labels[DROPS] = {[DROP_QUEUE_FULL] = "reason=\"queue_full\"",
		[DROP_REFUSED] = "reason=\"refused\"",
		[DROP_EXPIRED] = "reason=\"expired\"",
		[DROP_STOPPED] = "reason=\"stopped\"",
		[DROP_MEMORY] = "reason=\"memory\""};

	exporter->exported = metrics_counter(metrics, "bunshin_trace_spans_exported_total",
		"Spans that the collector has taken.", "");
	exporter->failed = metrics_counter(metrics, "bunshin_trace_requests_failed_total",
		"Requests to the collector that failed.", "");
	exporter->waiting = metrics_gauge(
		metrics, "bunshin_trace_waiting_bytes", "Spans that have not been sent yet.", "");
	if (!exporter->exported || !exporter->failed || !exporter->waiting)
		return ERR_NOMEM;
	for (int i = 0; i < DROPS; i++) {
		exporter->dropped[i] = metrics_counter(metrics, "bunshin_trace_spans_dropped_total",
			"Spans that the collector has not got, by why.", labels[i]);
		if (!exporter->dropped[i])
			return ERR_NOMEM;
	}
	return 0;
}

int exporter_new(const struct exporter_options *options, struct exporter **ret_exporter)
{
	struct exporter *exporter = calloc(1, sizeof(*exporter));
	int err;

	if (!exporter)
		return ERR_NOMEM;
	exporter->options = *options;
	exporter->options.resource = NULL;
	list_init(&exporter->batches);
	exporter->wake.fire = woken;
	exporter->finish.fire = finish_fired;
	buf_init(&exporter->head, HEAD_MAX_BYTES);
	buf_init(&exporter->scratch, SPAN_JSON_MAX_BYTES);
	err = otlp_append_head(&exporter->head, options->resource, options->resource_count);
	if (!err)
		err = open_metrics(exporter, options->metrics);
	if (err) {
		exporter_free(exporter);
		return ERR_NOMEM;
	}
	*ret_exporter = exporter;
	return 0;
}

void exporter_free(struct exporter *exporter)
{
	if (!exporter)
		return;
	clock_timer_clear(exporter->options.clock, &exporter->wake);
	clock_timer_clear(exporter->options.clock, &exporter->finish);
	if (exporter->waiting)
		drop_all(exporter);
	json_free(&exporter->json);
	buf_free(&exporter->head);
	buf_free(&exporter->scratch);
	free(exporter);
}
