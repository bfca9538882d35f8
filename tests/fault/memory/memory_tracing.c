/* src/tracing: contexts and spans allocate nothing but for the JSON; the exporter counts what it
 * drops. */
#include "sweep.h"

#include "base/manual_clock.h"
#include "bunshin/error.h"
#include "tracing/carrier.h"
#include "tracing/exporter.h"

#include <stdio.h>
#include <string.h>

#define S UINT64_C(1000000)
#define SPANS 30

struct stage {
	struct manual_clock clock;
	struct metrics *metrics;
	struct span_source source;
	struct exporter *exporter;
	struct clock_timer answer;
	exporter_answered *done;
	void *arg;
	unsigned calls, finished;
};

static void answer(struct clock_timer *timer)
{
	struct stage *stage =
		(struct stage *)(void *)((char *)timer - offsetof(struct stage, answer));
	const struct exporter_answer good = {.status = stage->calls == 2 ? 503 : 200,
		.retry_after_ms = -1,
		.body = "{\"partialSuccess\":{\"rejectedSpans\":\"1\"}}",
		.body_bytes = 40,
		.detail = ""};

	stage->done(stage->arg, &good);
}

static int start(void *impl, const char *body, size_t bytes, exporter_answered *done, void *arg)
{
	struct stage *stage = impl;

	stage->done = done;
	stage->arg = arg;
	stage->calls++;
	return clock_timer_after(manual_clock_table(&stage->clock), &stage->answer, S / 10);
}

static void cancel(void *impl)
{
	struct stage *stage = impl;

	clock_timer_clear(manual_clock_table(&stage->clock), &stage->answer);
}

static int open_stage(struct stage *stage)
{
	static const struct otlp_attribute resource[] = {{"service.name", "test"}};
	int err = span_source_init(&stage->source, "q", "u", &(const struct span_server){"h", 1});

	if (err)
		return err;
	return exporter_new(
		&(const struct exporter_options){.clock = manual_clock_table(&stage->clock),
			.metrics = stage->metrics,
			.transport = {start, cancel, stage},
			.resource = resource,
			.resource_count = 1,
			.batch_spans = 7,
			.interval_ms = 1000,
			.queue_bytes = 20000},
		&stage->exporter);
}

static void add(struct stage *stage)
{
	const struct span span = {.context = {.trace_id = {1}},
		.id = {1},
		.message_id = "m",
		.campaign = "c",
		.destination = "d",
		.outcome = "accepted",
		.settled = "deleted",
		.words = "",
		.error_type = ""};

	exporter_add(stage->exporter, &span, &stage->source);
}

static void finished(void *arg)
{
	struct stage *stage = arg;

	stage->finished++;
}

static void sum(void *arg, const struct metric_series *series)
{
	uint64_t *spans = arg;

	if (strncmp(series->name, "bunshin_trace_spans_", 20) == 0)
		*spans += series->counter->value;
}

/* Each span has arrived or is counted as dropped; the end is told once. */
static int export(const void *arg)
{
	struct stage stage = {.answer.fire = answer};
	uint64_t counted = 0;
	int err;

	manual_clock_init(&stage.clock, 1, 1700000000000);
	stage.metrics = metrics_new();
	sweep_on();
	err = open_stage(&stage);
	for (int i = 0; !err && i < SPANS; i++) {
		add(&stage);
		manual_clock_advance(&stage.clock, S / 7);
	}
	if (!err)
		exporter_finish(stage.exporter, stage.clock.now_us + 3 * S, finished, &stage);
	sweep_off();
	if (!err) {
		manual_clock_advance(&stage.clock, 10 * S);
		assert_int_equal(stage.finished, 1);
		metrics_each(stage.metrics, sum, &counted);
		assert_int_equal(counted, SPANS);
	}
	exporter_free(stage.exporter);
	span_source_free(&stage.source);
	metrics_free(stage.metrics);
	manual_clock_free(&stage.clock);
	return err;
}

static int headers(const void *arg)
{
	static const struct queue_attribute attribute = {"traceparent", "String",
		"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", 55};
	const struct queue_message message = {.message_id = "m",
		.receipt_handle = "r",
		.attributes = &attribute,
		.attribute_count = 1,
		.trace_header = "Root=1-5759e988-bd862e3fe1be46a994272793"};
	struct trace_carrier carrier;
	struct trace_course course;
	struct trace_headers made;

	sweep_on();
	trace_carrier_read(&message, &carrier);
	trace_course_take(&carrier, &message, 0, &course);
	trace_headers_make(&carrier, &course, &made);
	sweep_off();
	assert_int_equal(made.count, 2);
	return 0;
}

int main(void)
{
	static const struct sweep table[] = {
		SWEEP("headers", headers, .allocates_nothing = true),
		SWEEP("exporter: each span arrives or is counted", export, .degrades = true),
	};

	return SWEEP_TABLE("tracing", table, NULL, NULL);
}
