/* The exporter before a collector in virtual time: what arrives, when, and what is dropped. */
#include "tracing/exporter.h"

#include "base/json.h"
#include "base/manual_clock.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MS UINT64_C(1000)
#define S UINT64_C(1000000)
#define CALLS_MAX 100

struct world {
	struct manual_clock clock;
	struct metrics *metrics;
	struct exporter *exporter;
	struct span_source source;
	unsigned added; /* spans */
	/* What the collector does from call `fail_from` on, fail_count times. */
	unsigned fail_from, fail_count;
	struct exporter_answer failure;
	int start_err; /* instead of an answer */
	bool hangs;
	const char *body; /* of a good answer */
	/* What it saw. */
	unsigned calls;
	uint64_t at_us[CALLS_MAX];
	unsigned spans[CALLS_MAX]; /* of each call */
	bool arrived[10000];	   /* by message id, once */
	unsigned cancels, troubles;
	int last_status, last_err;
	struct clock_timer answer;
	exporter_answered *done;
	void *arg;
	bool under_way, fails;
	unsigned finished;
	uint64_t finished_us;
};

static bool is_hit(const struct world *world)
{
	unsigned n = world->calls - 1;

	return n >= world->fail_from && n - world->fail_from < world->fail_count;
}

static const struct json_value *spans_of(const struct json *json)
{
	return json_path(json_root(json), "resourceSpans.0.scopeSpans.0.spans");
}

/* Each span arrives once. */
static void arrive(struct world *world, const char *body, size_t bytes)
{
	struct json json = {0};
	const struct json_value *spans;

	assert_int_equal(json_parse(&json, body, bytes), 0);
	spans = spans_of(&json);
	world->spans[world->calls - 1] = spans->count;
	for (const struct json_value *span = json_first(spans); span && !world->fails;
		span = json_next(spans, span)) {
		int number = atoi(json_text(json_path(span, "attributes.5.value.stringValue")) + 2);

		assert_false(world->arrived[number]);
		world->arrived[number] = true;
	}
	json_free(&json);
}

static int start(void *impl, const char *body, size_t bytes, exporter_answered *done, void *arg)
{
	struct world *world = impl;

	assert_false(world->under_way);
	assert_true(world->calls < CALLS_MAX);
	world->at_us[world->calls++] = world->clock.now_us;
	world->fails = is_hit(world);
	arrive(world, body, bytes);
	if (world->fails && world->start_err)
		return world->start_err;
	world->under_way = true;
	world->done = done;
	world->arg = arg;
	if (!world->hangs)
		clock_timer_after(manual_clock_table(&world->clock), &world->answer, 20 * MS);
	return 0;
}

static void cancel(void *impl)
{
	struct world *world = impl;

	assert_true(world->under_way);
	world->under_way = false;
	world->cancels++;
	clock_timer_clear(manual_clock_table(&world->clock), &world->answer);
}

static void answer(struct clock_timer *timer)
{
	struct world *world =
		(struct world *)(void *)((char *)timer - offsetof(struct world, answer));
	struct exporter_answer good = {.status = 200,
		.retry_after_ms = -1,
		.body = world->body,
		.body_bytes = strlen(world->body),
		.detail = ""};

	world->under_way = false;
	world->done(world->arg, world->fails ? &world->failure : &good);
}

static void trouble(void *arg, int err, int status, const char *words)
{
	struct world *world = arg;

	world->troubles++;
	world->last_err = err;
	world->last_status = status;
}

static void world_open(struct world *world, unsigned batch, size_t queue_bytes)
{
	static const struct otlp_attribute resource[] = {{"service.name", "test"}};

	*world = (struct world){
		.body = "{}", .failure = {.retry_after_ms = -1, .body = "", .detail = ""}};
	manual_clock_init(&world->clock, 7, 1764144000000);
	world->clock.now_us = S;
	world->answer.fire = answer;
	assert_int_equal(span_source_init(&world->source, "q", "http://h/0/q",
				 &(const struct span_server){0}),
		0);
	world->metrics = metrics_new();
	assert_non_null(world->metrics);
	assert_int_equal(exporter_new(&(const struct exporter_options){.clock = manual_clock_table(
									       &world->clock),
					      .metrics = world->metrics,
					      .transport = {start, cancel, world},
					      .resource = resource,
					      .resource_count = 1,
					      .batch_spans = batch,
					      .interval_ms = 5000,
					      .queue_bytes = queue_bytes,
					      .trouble = trouble,
					      .arg = world},
				 &world->exporter),
		0);
}

static void world_close(struct world *world)
{
	exporter_free(world->exporter);
	assert_false(world->under_way);
	span_source_free(&world->source);
	metrics_free(world->metrics);
	manual_clock_free(&world->clock);
}

static void add(struct world *world, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		char id[16];
		struct span span = {.context = {.trace_id = {1}},
			.id = {1},
			.message_id = id,
			.campaign = "",
			.destination = "d",
			.outcome = "accepted",
			.settled = "deleted",
			.words = "",
			.error_type = ""};

		snprintf(id, sizeof(id), "m-%u", world->added++);
		exporter_add(world->exporter, &span, &world->source);
	}
}

static uint64_t counted(struct world *world, const char *name, const char *labels)
{
	return metrics_counter(world->metrics, name, "", labels)->value;
}

static uint64_t exported(struct world *world)
{
	return counted(world, "bunshin_trace_spans_exported_total", "");
}

static uint64_t dropped(struct world *world, const char *reason)
{
	char labels[64];

	snprintf(labels, sizeof(labels), "reason=\"%s\"", reason);
	return counted(world, "bunshin_trace_spans_dropped_total", labels);
}

static int64_t waiting(struct world *world)
{
	return metrics_gauge(world->metrics, "bunshin_trace_waiting_bytes", "", "")->value;
}

static void finished(void *arg)
{
	struct world *world = arg;

	world->finished++;
	world->finished_us = world->clock.now_us;
}

static void pass(struct world *world, uint64_t us)
{
	manual_clock_advance(&world->clock, us);
}

/* A batch goes when it is full, or five seconds after its first span. */
static void test_batches(void **state)
{
	struct world world;

	world_open(&world, 10, 1 << 20);
	add(&world, 3);
	pass(&world, 4999 * MS);
	add(&world, 1);
	assert_int_equal(world.calls, 0);
	assert_true(waiting(&world) > 0);
	pass(&world, 1 * MS);
	assert_int_equal(world.calls, 1);
	assert_int_equal(world.spans[0], 4);
	pass(&world, 1 * S);
	assert_int_equal(exported(&world), 4);
	assert_int_equal(waiting(&world), 0);
	add(&world, 25);
	assert_int_equal(world.calls, 2);
	pass(&world, 40 * MS);
	assert_int_equal(world.calls, 3);
	pass(&world, 4 * S);
	assert_int_equal(world.calls, 3);
	pass(&world, 1 * S);
	assert_int_equal(world.calls, 4);
	assert_int_equal(world.spans[1], 10);
	assert_int_equal(world.spans[2], 10);
	assert_int_equal(world.spans[3], 5);
	pass(&world, 1 * S);
	assert_int_equal(exported(&world), 29);
	/* Nothing to send, nothing to do. */
	assert_false(manual_clock_step(&world.clock));
	world_close(&world);
}

/* A batch that would not find room before it is full does not wait for that. */
static void test_small_queue(void **state)
{
	struct world world;

	world_open(&world, 10000, 50000);
	for (int i = 0; i < 200; i++) {
		add(&world, 1);
		pass(&world, 10 * MS);
	}
	assert_in_range(world.calls, 2, 10);
	pass(&world, 10 * S);
	assert_int_equal(exported(&world), 200);
	assert_int_equal(dropped(&world, "queue_full"), 0);
	world_close(&world);
}

/* The same spans again, after a growing pause; what comes meanwhile waits behind them. */
static void repeated(struct exporter_answer failure, int start_err)
{
	struct world world;

	world_open(&world, 10, 1 << 20);
	failure.body = failure.detail = "";
	world.failure = failure;
	world.start_err = start_err;
	world.fail_count = 3;
	add(&world, 10);
	pass(&world, 100 * MS);
	assert_int_equal(world.calls, 1);
	add(&world, 5);
	pass(&world, 30 * S);
	assert_int_equal(exported(&world), 15);
	assert_int_equal(world.calls, 5);
	assert_int_equal(world.troubles, 3);
	for (int i = 0; i < 4; i++)
		assert_int_equal(world.spans[i], 10);
	assert_int_equal(world.spans[4], 5);
	if (failure.retry_after_ms < 0) {
		for (int i = 0; i < 3; i++) {
			uint64_t pause =
				world.at_us[i + 1] - world.at_us[i] - (start_err ? 0 : 20 * MS);

			assert_in_range(pause, S / 2 << i, S << i);
		}
	} else {
		assert_int_equal(world.at_us[1] - world.at_us[0],
			(uint64_t)failure.retry_after_ms * MS + 20 * MS);
	}
	assert_int_equal(counted(&world, "bunshin_trace_requests_failed_total", ""), 3);
	world_close(&world);
}

static void test_repeated(void **state)
{
	static const int statuses[] = {429, 502, 503, 504};

	for (int i = 0; i < 4; i++) {
		repeated((struct exporter_answer){.status = statuses[i], .retry_after_ms = -1}, 0);
		repeated(
			(struct exporter_answer){.status = statuses[i], .retry_after_ms = 7000}, 0);
	}
	repeated((struct exporter_answer){.err = ERR_CONNECT, .retry_after_ms = -1}, 0);
	repeated((struct exporter_answer){.retry_after_ms = -1}, ERR_NOMEM);
}

/* Any other answer ends a batch, and the next one goes. */
static void test_refused(void **state)
{
	static const int statuses[] = {301, 400, 401, 403, 404, 413, 500, 501, 505};
	struct world world;

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		world_open(&world, 10, 1 << 20);
		world.failure.status = statuses[i];
		world.fail_count = 1;
		add(&world, 20);
		pass(&world, 1 * S);
		assert_int_equal(world.calls, 2);
		assert_int_equal(exported(&world), 10);
		assert_int_equal(dropped(&world, "refused"), 10);
		assert_int_equal(world.last_status, statuses[i]);
		world_close(&world);
	}
}

static void test_partial_success(void **state)
{
	struct world world;

	world_open(&world, 10, 1 << 20);
	world.body = "{\"partialSuccess\":{\"rejectedSpans\":\"4\",\"errorMessage\":\"no\"}}";
	add(&world, 10);
	pass(&world, 1 * S);
	assert_int_equal(exported(&world), 6);
	assert_int_equal(dropped(&world, "refused"), 4);
	assert_int_equal(world.troubles, 1);
	world_close(&world);
}

/* A collector that never answers: memory stays within its bound, whatever comes. */
static void test_bound(void **state)
{
	struct world world;
	uint64_t full;

	world_open(&world, 10, 100000);
	world.hangs = true;
	add(&world, 5000);
	pass(&world, 60 * S);
	assert_int_equal(world.calls, 1);
	assert_true(waiting(&world) <= 100000 && waiting(&world) > 90000);
	full = dropped(&world, "queue_full");
	assert_in_range(full, 4000, 4990);
	/* It comes back: what was taken in arrives, each span once. */
	world.hangs = false;
	answer(&world.answer);
	pass(&world, 60 * S);
	assert_int_equal(exported(&world), 5000 - full);
	assert_int_equal(waiting(&world), 0);
	world_close(&world);
}

/* After five minutes of failures a batch is given up; what came later still has its time. */
static void test_given_up(void **state)
{
	struct world world;

	world_open(&world, 10, 1 << 20);
	world.failure.err = ERR_CONNECT;
	world.fail_count = CALLS_MAX;
	add(&world, 10);
	pass(&world, 200 * S);
	add(&world, 10);
	assert_int_equal(dropped(&world, "expired"), 0);
	pass(&world, 131 * S);
	assert_int_equal(dropped(&world, "expired"), 10);
	world.fail_count = 0;
	pass(&world, 60 * S);
	assert_int_equal(exported(&world), 10);
	world_close(&world);
}

/* A Retry-After of a day is an hour. */
static void test_long_retry_after(void **state)
{
	struct world world;

	world_open(&world, 10, 1 << 20);
	world.failure.status = 429;
	world.failure.retry_after_ms = 86400000;
	world.fail_count = 1;
	add(&world, 10);
	pass(&world, 3599 * S);
	assert_int_equal(world.calls, 1);
	pass(&world, 2 * S);
	assert_int_equal(world.calls, 2);
	assert_int_equal(exported(&world), 10);
	world_close(&world);
}

static void test_finish(void **state)
{
	struct world world;

	world_open(&world, 10, 1 << 20);
	add(&world, 25);
	exporter_finish(world.exporter, world.clock.now_us + 3 * S, finished, &world);
	assert_int_equal(world.finished, 0);
	pass(&world, 10 * S);
	assert_int_equal(world.finished, 1);
	assert_int_equal(world.calls, 3);
	assert_int_equal(exported(&world), 25);
	assert_int_equal(world.finished_us, S + 60 * MS);
	add(&world, 1);
	assert_int_equal(dropped(&world, "stopped"), 1);
	world_close(&world);
	/* Nothing to send. */
	world_open(&world, 10, 1 << 20);
	exporter_finish(world.exporter, world.clock.now_us + 3 * S, finished, &world);
	assert_int_equal(world.finished, 0);
	pass(&world, 1);
	assert_int_equal(world.finished, 1);
	world_close(&world);
}

/* Each batch is tried once more, and no longer than there is time. */
static void test_finish_in_trouble(void **state)
{
	struct world world;

	world_open(&world, 10, 1 << 20);
	world.failure.status = 503;
	world.fail_count = CALLS_MAX;
	add(&world, 25);
	pass(&world, 100 * MS);
	exporter_finish(world.exporter, world.clock.now_us + 3 * S, finished, &world);
	pass(&world, 1 * S);
	assert_int_equal(world.finished, 1);
	assert_int_equal(world.calls, 4);
	assert_int_equal(dropped(&world, "stopped"), 25);
	world_close(&world);
	/* One that hangs. */
	world_open(&world, 10, 1 << 20);
	world.hangs = true;
	add(&world, 25);
	exporter_finish(world.exporter, world.clock.now_us + 3 * S, finished, &world);
	pass(&world, 2999 * MS);
	assert_int_equal(world.finished, 0);
	pass(&world, 1 * MS);
	assert_int_equal(world.finished, 1);
	assert_int_equal(world.cancels, 1);
	assert_int_equal(dropped(&world, "stopped"), 25);
	world_close(&world);
	/* No time at all. */
	world_open(&world, 10, 1 << 20);
	add(&world, 5);
	exporter_finish(world.exporter, world.clock.now_us, finished, &world);
	pass(&world, 1);
	assert_int_equal(world.finished, 1);
	assert_int_equal(world.calls, 0);
	assert_int_equal(dropped(&world, "stopped"), 5);
	world_close(&world);
	/* A start that fails at once, for each. */
	world_open(&world, 10, 1 << 20);
	world.start_err = ERR_NOMEM;
	world.fail_count = CALLS_MAX;
	add(&world, 25);
	exporter_finish(world.exporter, world.clock.now_us + 3 * S, finished, &world);
	pass(&world, 1);
	assert_int_equal(world.finished, 1);
	assert_int_equal(dropped(&world, "stopped"), 25);
	world_close(&world);
}

/* Freed with a request under way. */
static void test_freed(void **state)
{
	struct world world;

	world_open(&world, 10, 1 << 20);
	add(&world, 15);
	assert_true(world.under_way);
	world_close(&world);
	assert_int_equal(world.cancels, 1);
	exporter_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_small_queue),
		cmocka_unit_test(test_repeated),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_partial_success),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_given_up),
		cmocka_unit_test(test_long_retry_after),
		cmocka_unit_test(test_finish),
		cmocka_unit_test(test_finish_in_trouble),
		cmocka_unit_test(test_freed),
	};

	return cmocka_run_group_tests_name("tracing/exporter", tests, NULL, NULL);
}
