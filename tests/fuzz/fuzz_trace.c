/*
 * Trace contexts of hostile messages: what is taken goes out as printable ASCII of the right form,
 * and is read back as the same; the same message always makes the same spans.
 */
#include "fuzz.h"

#include "base/json.h"
#include "tracing/carrier.h"
#include "tracing/otlp.h"
#include "tracing/span.h"

#include <string.h>

static void check_header(const struct trace_header *row)
{
	FUZZ_CHECK(row->value_bytes > 0 && row->value_bytes <= TRACESTATE_MAX_BYTES);
	for (size_t i = 0; i < row->value_bytes; i++)
		FUZZ_CHECK((row->value[i] >= 0x20 && row->value[i] <= 0x7e) ||
			   (row->value[i] == '\t' && strcmp(row->name, "tracestate") == 0));
}

static void check_headers(const struct trace_headers *headers, bool sampled)
{
	struct trace_context context;

	for (size_t i = 0; i < headers->count; i++) {
		const struct trace_header *row = &headers->rows[i];

		check_header(row);
		if (strcmp(row->name, "traceparent") == 0)
			FUZZ_CHECK(traceparent_parse(row->value, row->value_bytes, &context) == 0 &&
				   (!sampled || context.decision == TRACE_SAMPLED));
		else if (strcmp(row->name, "tracestate") == 0)
			FUZZ_CHECK(tracestate_is_valid(row->value, row->value_bytes));
		else
			FUZZ_CHECK(xray_parse(row->value, row->value_bytes, &context) == 0);
	}
}

static void check_span(const struct queue_message *message, const struct trace_carrier *carrier,
	const struct trace_course *course, const uint8_t *data, size_t size)
{
	struct span_source source;
	char text[SPAN_TEXT_SIZE];
	struct span span = {.context = course->context,
		.tracestate = carrier->tracestate,
		.tracestate_bytes = carrier->tracestate_bytes,
		.message_id = message->message_id,
		.campaign = text,
		.destination = text,
		.outcome = "failed",
		.settled = "deleted",
		.failed = true,
		.words = text,
		.error_type = text,
		.attempted = true,
		.attempt = {.error_type = text, .error_class = "", .request_id = text}};
	struct buf out = BUF_INIT(SPAN_JSON_MAX_BYTES);
	struct json json = {0};

	span_text(text, (const char *)data, size);
	FUZZ_CHECK(span_source_init(&source, "q", "u", &(const struct span_server){0}) == 0);
	FUZZ_CHECK(span_append_json(&span, &source, &out) == 0);
	span_source_free(&source);
	FUZZ_CHECK(json_parse(&json, out.data, out.len) == 0);
	json_free(&json);
	buf_free(&out);
}

static void check_answer(const uint8_t *data, size_t size)
{
	struct json json = {0};
	const char *words;

	FUZZ_CHECK(otlp_rejected(&json, (const char *)data, size, 7, &words) <= 7);
	FUZZ_CHECK(words);
	json_free(&json);
}

/* traceparent, a line feed, tracestate, a line feed, AWSTraceHeader. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data, *end = text + size;
	const char *first = size ? memchr(text, '\n', size) : NULL;
	const char *second = first ? memchr(first + 1, '\n', (size_t)(end - first - 1)) : NULL;
	struct queue_attribute attributes[2] = {
		{"traceparent", "String", text, size}, {"tracestate", "String", "", 0}};
	struct queue_message message = {.message_id = "m-1",
		.receipt_handle = "r-1",
		.attributes = attributes,
		.attribute_count = 2};
	struct trace_carrier carrier;
	struct trace_course course;
	struct trace_headers headers;
	char *header = NULL;

	if (first) {
		attributes[0].value_bytes = (size_t)(first - text);
		attributes[1].value = first + 1;
		attributes[1].value_bytes = (size_t)((second ? second : end) - first - 1);
	}
	if (second)
		message.trace_header = header = strndup(second + 1, (size_t)(end - second - 1));
	trace_carrier_read(&message, &carrier);
	FUZZ_CHECK(carrier.invalid <= 3);
	trace_headers_make(&carrier, NULL, &headers);
	check_headers(&headers, false);
	trace_course_take(&carrier, &message, TRACE_SAMPLE_ALL / 2, &course);
	FUZZ_CHECK(course.sampled == trace_is_sampled(&message, TRACE_SAMPLE_ALL / 2));
	trace_headers_make(&carrier, &course, &headers);
	check_headers(&headers, course.sampled);
	check_span(&message, &carrier, &course, data, size);
	check_answer(data, size);
	free(header);
	return 0;
}
