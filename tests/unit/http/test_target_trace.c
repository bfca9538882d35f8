/* What a provider is told of a message's trace. */
#include "target_stage.h"

#include <strings.h>

#define TRACEPARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define SPAN_ID "9378c35b597656fe" /* of receipt-1 */
#define AMZN "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
#define TEXT(literal) literal, sizeof(literal) - 1

/* The lines of a request's head that are about a trace, in their order. */
static void sent_trace(const struct stage *stage, char lines[2048])
{
	const char *at = buf_string(&stage->peer.request);
	const char *end = strstr(at, "\r\n\r\n") + 2;

	lines[0] = '\0';
	while (at < end) {
		size_t len = strcspn(at, "\r") + 2;

		if (strncasecmp(at, "trace", 5) == 0 || strncasecmp(at, "x-amzn", 6) == 0)
			strncat(lines, at, len);
		at += len;
	}
}

static void test_trace(void **state)
{
	static const struct queue_attribute attributes[] = {{"a", "String", TEXT("x")},
		{"tracestate", "String.w3c", TEXT("rojo=00f067aa0ba902b7, congo=t61rcWkgMzE")},
		{"traceparent", "String", TEXT(TRACEPARENT)}};
	struct queue_message message = message_of("{}");
	struct buf out = BUF_INIT(10000), reason = BUF_INIT(1000);
	struct stage stage;
	char lines[2048], expected[1024];

	message.trace_header = AMZN;
	message.attributes = attributes;
	message.attribute_count = 3;
	stage_open(&stage, "/", "{}", TEMPLATE_JSON, &ok, 1);
	stage_header(&stage, "X-Own", "1");
	start(&stage, &message);
	world_until(&stage.world, &stage.attempt.calls, 1);
	sent_trace(&stage, lines);
	assert_string_equal(lines, "traceparent: " TRACEPARENT "\r\n"
				   "tracestate: rojo=00f067aa0ba902b7, congo=t61rcWkgMzE\r\n"
				   "X-Amzn-Trace-Id: " AMZN "\r\n");
	assert_int_equal(
		http_target_preview(stage.target, request_for(&message), &out, &reason), 0);
	snprintf(expected, sizeof(expected),
		"POST http://%s/\nX-Own: 1\ntraceparent: " TRACEPARENT "\n"
		"tracestate: rojo=00f067aa0ba902b7, congo=t61rcWkgMzE\n"
		"X-Amzn-Trace-Id: " AMZN "\n\n{}",
		stage.peer.address);
	assert_string_equal(buf_string(&out), expected);
	buf_free(&out);
	buf_free(&reason);
	stage_close(&stage);
}

/* What the destination sets itself is not sent twice, however it is written. */
static void test_trace_of_the_destination(void **state)
{
	static const struct queue_attribute attributes[] = {
		{"traceparent", "String", TEXT(TRACEPARENT)},
		{"tracestate", "String", TEXT("a=1")}};
	struct queue_message message = message_of("{}");
	struct stage stage;
	char lines[2048];

	message.trace_header = AMZN;
	message.attributes = attributes;
	message.attribute_count = 2;
	stage_open(&stage, "/", "{}", TEMPLATE_JSON, &ok, 1);
	stage_header(&stage, "x-amzn-trace-id", "own");
	stage_header(&stage, "TraceParent", "own");
	start(&stage, &message);
	world_until(&stage.world, &stage.attempt.calls, 1);
	sent_trace(&stage, lines);
	assert_string_equal(lines, "x-amzn-trace-id: own\r\nTraceParent: own\r\n");
	stage_close(&stage);
}

/* What a provider is told when spans are made: of a sampled message, our span is the parent. */
static void test_trace_with_spans(void **state)
{
	static const struct queue_attribute attributes[] = {
		{"traceparent", "String", TEXT(TRACEPARENT)}};
	static const struct queue_attribute unsampled[] = {{"traceparent", "String",
		TEXT("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")}};
	struct queue_message message = message_of("{}");
	struct stage stage;
	char lines[2048];

	message.attributes = attributes;
	message.attribute_count = 1;
	message.receipt_handle = "receipt-1";
	stage_open(&stage, "/", "{}", TEMPLATE_JSON, &ok, 1);
	http_target_make_spans(stage.target, 0);
	start(&stage, &message);
	world_until(&stage.world, &stage.attempt.calls, 1);
	sent_trace(&stage, lines);
	assert_string_equal(
		lines, "traceparent: 00-0af7651916cd43dd8448eb211c80319c-" SPAN_ID "-01\r\n");
	message.attributes = unsampled;
	start(&stage, &message);
	world_until(&stage.world, &stage.attempt.calls, 2);
	sent_trace(&stage, lines);
	assert_non_null(strstr(lines, "-b7ad6b7169203331-00\r\n"));
	stage_close(&stage);
}

/* A provider that is to know nothing of it is told nothing; what is not of its form is counted. */
static void test_trace_none_and_invalid(void **state)
{
	static const struct queue_attribute attributes[] = {
		{"traceparent", "String", TEXT("00-bad")}, {"tracestate", "String", TEXT("a=1")}};
	struct queue_message message = message_of("{}");
	struct stage stage;
	char lines[2048];

	message.attributes = attributes;
	message.attribute_count = 2;
	message.trace_header = "Root=1;nothing";
	stage_open(&stage, "/", "{}", TEMPLATE_JSON, &ok, 1);
	start(&stage, &message);
	world_until(&stage.world, &stage.attempt.calls, 1);
	sent_trace(&stage, lines);
	assert_string_equal(lines, "");
	assert_int_equal(http_target_invalid_traces(stage.target), 2);
	message.trace_header = AMZN;
	stage.destination.trace = CONFIG_TRACE_NONE;
	start(&stage, &message);
	world_until(&stage.world, &stage.attempt.calls, 2);
	sent_trace(&stage, lines);
	assert_string_equal(lines, "");
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_trace),
		cmocka_unit_test(test_trace_of_the_destination),
		cmocka_unit_test(test_trace_with_spans),
		cmocka_unit_test(test_trace_none_and_invalid),
	};

	return cmocka_run_group_tests_name("http/target_trace", tests, NULL, NULL);
}
