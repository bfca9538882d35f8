/* From a message to its trace: whose ids, sampled or not, and what the provider is sent. */
#include "tracing/carrier.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(literal) literal, sizeof(literal) - 1
#define TRACEPARENT "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#define NOT_SAMPLED "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
#define XROOT "Root=1-5759e988-bd862e3fe1be46a994272793"
#define XRAY XROOT ";Parent=53995c3f42cd8ad8;Sampled=1"
#define ALL TRACE_SAMPLE_ALL
/* Of the message below. */
#define OWN_TRACE "0d8a1ceead7e785c6710c49ce89216db"
#define OWN_SPAN "9378c35b597656fe"

static struct queue_message message_of(const struct queue_attribute *attributes, size_t count)
{
	return (struct queue_message){.message_id = "5fea7756-0ea4-451a-a703-a558b933e274",
		.receipt_handle = "receipt-1",
		.attributes = attributes,
		.attribute_count = count};
}

/* The headers as lines; share below 0: no spans are made. */
static const char *headers(const struct queue_message *message, int64_t share)
{
	static char lines[2048];
	struct trace_carrier carrier;
	struct trace_course course;
	struct trace_headers made;
	size_t len = 0;

	trace_carrier_read(message, &carrier);
	if (share >= 0) {
		trace_course_take(&carrier, message, (uint32_t)share, &course);
		assert_int_equal(course.sampled, trace_is_sampled(message, (uint32_t)share));
	}
	trace_headers_make(&carrier, share >= 0 ? &course : NULL, &made);
	lines[0] = '\0';
	for (size_t i = 0; i < made.count; i++)
		len += (size_t)snprintf(lines + len, sizeof(lines) - len, "%s: %.*s\n",
			made.rows[i].name, (int)made.rows[i].value_bytes, made.rows[i].value);
	return lines;
}

static unsigned invalid(const struct queue_message *message)
{
	struct trace_carrier carrier;

	trace_carrier_read(message, &carrier);
	return carrier.invalid;
}

static void test_without_spans(void **state)
{
	static const struct queue_attribute both[] = {
		{"tracestate", "String.w3c", TEXT("rojo=00f067aa0ba902b7, congo=t61rcWkgMzE")},
		{"traceparent", "String", TEXT(TRACEPARENT)}};
	struct queue_message message = message_of(both, 2);

	assert_string_equal(headers(&message, -1),
		"traceparent: " TRACEPARENT "\n"
		"tracestate: rojo=00f067aa0ba902b7, congo=t61rcWkgMzE\n");
	message.trace_header = XRAY ";Lineage=a:1";
	assert_string_equal(headers(&message, -1),
		"traceparent: " TRACEPARENT "\n"
		"tracestate: rojo=00f067aa0ba902b7, congo=t61rcWkgMzE\n"
		"X-Amzn-Trace-Id: " XRAY ";Lineage=a:1\n");
	message.attribute_count = 0;
	assert_string_equal(headers(&message, -1), "X-Amzn-Trace-Id: " XRAY ";Lineage=a:1\n");
	message.trace_header = NULL;
	assert_string_equal(headers(&message, -1), "");
	assert_int_equal(invalid(&message), 0);
}

/* What is not of its form stays here, and is counted. */
static void test_invalid(void **state)
{
	static const struct queue_attribute attributes[] = {
		{"traceparent", "Binary", TEXT(TRACEPARENT)},
		{"tracestate", "String", TEXT("a=1")}};
	static const struct queue_attribute states[] = {
		{"traceparent", "String", TEXT(TRACEPARENT)}, {"tracestate", "Number", TEXT("1")}};
	static const struct queue_attribute other[] = {{"Traceparent", "String", TEXT("x")},
		{"traceparent", "Strings", TEXT(TRACEPARENT)}};
	struct queue_message message = message_of(attributes, 2);

	message.trace_header = "Root=1 2";
	assert_string_equal(headers(&message, -1), "");
	assert_int_equal(invalid(&message), 2); /* a tracestate alone means nothing */
	message = message_of(states, 2);
	assert_string_equal(headers(&message, -1), "traceparent: " TRACEPARENT "\n");
	assert_int_equal(invalid(&message), 1);
	message = message_of(other, 2);
	assert_string_equal(headers(&message, -1), "");
	assert_int_equal(invalid(&message), 1);
	/* A good one in the other form holds instead. */
	message.trace_header = XRAY;
	assert_string_equal(headers(&message, 0),
		"traceparent: 00-5759e988bd862e3fe1be46a994272793-" OWN_SPAN "-01\n"
		"X-Amzn-Trace-Id: " XROOT ";Parent=" OWN_SPAN ";Sampled=1\n");
}

static void test_with_spans(void **state)
{
	static const struct queue_attribute sampled[] = {
		{"traceparent", "String", TEXT(TRACEPARENT)},
		{"tracestate", "String", TEXT("a=1")}};
	static const struct queue_attribute not_sampled[] = {
		{"traceparent", "String", TEXT(NOT_SAMPLED)}};
	struct queue_message message = message_of(sampled, 2);

	/* Those before us decided, whatever the share. */
	assert_string_equal(headers(&message, 0),
		"traceparent: 00-0af7651916cd43dd8448eb211c80319c-" OWN_SPAN "-01\n"
		"tracestate: a=1\n");
	message.trace_header = XRAY;
	assert_string_equal(headers(&message, ALL),
		"traceparent: 00-0af7651916cd43dd8448eb211c80319c-" OWN_SPAN "-01\n"
		"tracestate: a=1\n"
		"X-Amzn-Trace-Id: " XRAY "\n");
	message = message_of(not_sampled, 1);
	assert_string_equal(headers(&message, ALL), "traceparent: " NOT_SAMPLED "\n");
	message.attribute_count = 0;
	message.trace_header = XROOT ";Parent=53995c3f42cd8ad8;Sampled=0";
	assert_string_equal(headers(&message, ALL),
		"X-Amzn-Trace-Id: " XROOT ";Parent=53995c3f42cd8ad8;Sampled=0\n");
	/* Nobody did. */
	message.trace_header = XROOT;
	assert_string_equal(headers(&message, 0), "X-Amzn-Trace-Id: " XROOT "\n");
	assert_string_equal(headers(&message, ALL),
		"traceparent: 00-5759e988bd862e3fe1be46a994272793-" OWN_SPAN "-01\n"
		"X-Amzn-Trace-Id: " XROOT ";Parent=" OWN_SPAN ";Sampled=1\n");
	message.trace_header = NULL;
	assert_string_equal(headers(&message, 0), "");
	assert_string_equal(
		headers(&message, ALL), "traceparent: 00-" OWN_TRACE "-" OWN_SPAN "-03\n");
}

/* The trace of a message is the same at each receive of it, its span is not. */
static void test_redelivery(void **state)
{
	struct queue_message message = message_of(NULL, 0);
	struct trace_carrier carrier;
	struct trace_course first, second;

	trace_carrier_read(&message, &carrier);
	trace_course_take(&carrier, &message, ALL, &first);
	assert_false(first.context.has_parent);
	message.receipt_handle = "receipt-2";
	message.receive_count = 2;
	trace_course_take(&carrier, &message, ALL, &second);
	assert_memory_equal(first.context.trace_id, second.context.trace_id, TRACE_ID_BYTES);
	assert_memory_not_equal(first.span_id, second.span_id, SPAN_ID_BYTES);
	message.message_id = "another";
	trace_course_take(&carrier, &message, ALL, &second);
	assert_memory_not_equal(first.context.trace_id, second.context.trace_id, TRACE_ID_BYTES);
}

/* The last seven bytes of the trace id decide, as OpenTelemetry's samplers have it. */
static void test_threshold(void **state)
{
	struct queue_message message = message_of(NULL, 0);
	char text[64];

	message.trace_header = text;
	snprintf(text, sizeof(text), "Root=1-5759e988-bd862e3fe1ffffffffffffff");
	assert_true(trace_is_sampled(&message, 1));
	assert_false(trace_is_sampled(&message, 0));
	snprintf(text, sizeof(text), "Root=1-5759e988-bd862e3fe100000000000000");
	assert_true(trace_is_sampled(&message, ALL));
	assert_false(trace_is_sampled(&message, ALL - 1));
	snprintf(text, sizeof(text), "Root=1-5759e988-bd862e3fe180000000000000");
	assert_true(trace_is_sampled(&message, ALL / 2));
	assert_false(trace_is_sampled(&message, ALL / 2 - 1));
}

/* Of a hundred thousand message ids, a tenth, and always the same. */
static void test_share(void **state)
{
	struct queue_message message = message_of(NULL, 0);
	char id[32];
	int taken = 0;

	message.message_id = id;
	for (int i = 0; i < 100000; i++) {
		snprintf(id, sizeof(id), "message-%d", i);
		taken += trace_is_sampled(&message, ALL / 10);
	}
	assert_in_range(taken, 9800, 10200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without_spans),
		cmocka_unit_test(test_invalid),
		cmocka_unit_test(test_with_spans),
		cmocka_unit_test(test_redelivery),
		cmocka_unit_test(test_threshold),
		cmocka_unit_test(test_share),
	};

	return cmocka_run_group_tests_name("tracing/carrier", tests, NULL, NULL);
}
