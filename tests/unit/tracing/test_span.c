/* The exact JSON of a span, of a request around it, and what its texts are made of. */
#include "tracing/span.h"

#include "base/json.h"
#include "base/log.h"
#include "base/utf8.h"
#include "tracing/otlp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const struct span_server provider = {"api.line.me", 443};
#define URL "https://sqs.ap-northeast-1.amazonaws.com/123456789012/morning"

static const struct span_server queue = {"sqs.ap-northeast-1.amazonaws.com", 443};

static struct span span_of(void)
{
	struct span span = {.start_epoch_ns = 1764144000000123000,
		.end_epoch_ns = 1764144000200000000,
		.id = {0x53, 0x99, 0x5c, 0x3f, 0x42, 0xcd, 0x8a, 0xd8},
		.message_id = "m-1",
		.campaign = "",
		.destination = "line",
		.body_bytes = 42,
		.receive_count = 1,
		.queue_wait_ms = -1,
		.outcome = "accepted",
		.settled = "deleted",
		.words = "",
		.error_type = "",
		.attempt = {.error_type = "", .error_class = "", .request_id = ""}};

	assert_int_equal(
		traceparent_parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", 55,
			&span.context),
		0);
	return span;
}

#define COMMON                                                                              \
	"{\"key\":\"messaging.system\",\"value\":{\"stringValue\":\"aws_sqs\"}},"           \
	"{\"key\":\"messaging.operation.name\",\"value\":{\"stringValue\":\"process\"}},"   \
	"{\"key\":\"messaging.operation.type\",\"value\":{\"stringValue\":\"process\"}},"   \
	"{\"key\":\"messaging.destination.name\",\"value\":{\"stringValue\":\"morning\"}}," \
	"{\"key\":\"aws.sqs.queue.url\",\"value\":{\"stringValue\":\"" URL "\"}},"          \
	"{\"key\":\"server.address\",\"value\":{\"stringValue\":"                           \
	"\"sqs.ap-northeast-1.amazonaws.com\"}},"                                           \
	"{\"key\":\"server.port\",\"value\":{\"intValue\":\"443\"}},"                       \
	"{\"key\":\"messaging.message.id\",\"value\":{\"stringValue\":\"m-1\"}},"           \
	"{\"key\":\"messaging.message.body.size\",\"value\":{\"intValue\":\"42\"}},"

/* As a worker has it. */
static int append_span(const struct span *span, struct buf *out)
{
	struct span_source source;
	int err = span_source_init(&source, "morning", URL, &queue);

	assert_int_equal(err, 0);
	err = span_append_json(span, &source, out);
	span_source_free(&source);
	return err;
}

static void check(const struct span *span, const char *expected)
{
	struct buf out = BUF_INIT(SPAN_JSON_MAX_BYTES);
	struct json json = {0};

	assert_int_equal(append_span(span, &out), 0);
	assert_string_equal(buf_string(&out), expected);
	assert_int_equal(json_parse(&json, buf_string(&out), out.len), 0);
	json_free(&json);
	buf_free(&out);
}

static void test_accepted(void **state)
{
	struct span span = span_of();

	span.campaign = "spring \"26\"";
	span.queue_wait_ms = 0;
	span.tracestate = "a=1,b=\"2\"and more";
	span.tracestate_bytes = 9;
	span.attempted = true;
	span.attempt.start_epoch_ns = 1764144000001000000;
	span.attempt.duration_us = 120005;
	span.attempt.status = 200;
	span.attempt.server = &provider;
	span.attempt.request_id = "r-1";
	check(&span,
		"{\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"53995c3f42cd8ad8\","
		"\"traceState\":\"a=1,b=\\\"2\\\"\",\"parentSpanId\":\"b7ad6b7169203331\","
		"\"flags\":769,\"name\":\"process morning\",\"kind\":5,"
		"\"startTimeUnixNano\":\"1764144000000123000\","
		"\"endTimeUnixNano\":\"1764144000200000000\",\"attributes\":[" COMMON
		"{\"key\":\"http.response.status_code\",\"value\":{\"intValue\":\"200\"}},"
		"{\"key\":\"bunshin.outcome\",\"value\":{\"stringValue\":\"accepted\"}},"
		"{\"key\":\"bunshin.settled\",\"value\":{\"stringValue\":\"deleted\"}},"
		"{\"key\":\"bunshin.destination\",\"value\":{\"stringValue\":\"line\"}},"
		"{\"key\":\"bunshin.campaign\",\"value\":{\"stringValue\":\"spring \\\"26\\\"\"}},"
		"{\"key\":\"bunshin.receive_count\",\"value\":{\"intValue\":\"1\"}},"
		"{\"key\":\"bunshin.queue_wait_ms\",\"value\":{\"intValue\":\"0\"}}],"
		"\"events\":[{\"timeUnixNano\":\"1764144000001000000\",\"name\":\"attempt\","
		"\"attributes\":["
		"{\"key\":\"server.address\",\"value\":{\"stringValue\":\"api.line.me\"}},"
		"{\"key\":\"server.port\",\"value\":{\"intValue\":\"443\"}},"
		"{\"key\":\"http.response.status_code\",\"value\":{\"intValue\":\"200\"}},"
		"{\"key\":\"bunshin.duration_ms\",\"value\":{\"doubleValue\":120.005}},"
		"{\"key\":\"bunshin.request_id\",\"value\":{\"stringValue\":\"r-1\"}}]}]}");
}

/* No parent, no attempt. */
static void test_expired(void **state)
{
	struct span span = span_of();

	span.context.has_parent = false;
	span.outcome = "expired";
	span.failed = true;
	span.words = "past its deadline";
	span.error_type = "expired";
	check(&span,
		"{\"traceId\":\"0af7651916cd43dd8448eb211c80319c\",\"spanId\":\"53995c3f42cd8ad8\","
		"\"flags\":1,\"name\":\"process morning\",\"kind\":5,"
		"\"startTimeUnixNano\":\"1764144000000123000\","
		"\"endTimeUnixNano\":\"1764144000200000000\",\"attributes\":[" COMMON
		"{\"key\":\"error.type\",\"value\":{\"stringValue\":\"expired\"}},"
		"{\"key\":\"bunshin.outcome\",\"value\":{\"stringValue\":\"expired\"}},"
		"{\"key\":\"bunshin.settled\",\"value\":{\"stringValue\":\"deleted\"}},"
		"{\"key\":\"bunshin.destination\",\"value\":{\"stringValue\":\"line\"}},"
		"{\"key\":\"bunshin.receive_count\",\"value\":{\"intValue\":\"1\"}}],"
		"\"status\":{\"message\":\"past its deadline\",\"code\":2}}");
}

static void test_no_answer(void **state)
{
	struct span span = span_of();
	struct buf out = BUF_INIT(SPAN_JSON_MAX_BYTES);

	span.outcome = "retried";
	span.settled = "returned";
	span.failed = true;
	span.error_type = span.attempt.error_type = "ERR_TIMEOUT";
	span.attempt.error_class = "transient";
	span.attempted = true;
	assert_int_equal(append_span(&span, &out), 0);
	assert_non_null(strstr(buf_string(&out),
		"\"attributes\":[{\"key\":\"bunshin.duration_ms\",\"value\":{\"doubleValue\":0.000}"
		"},"
		"{\"key\":\"error.type\",\"value\":{\"stringValue\":\"ERR_TIMEOUT\"}},"
		"{\"key\":\"bunshin.error_class\",\"value\":{\"stringValue\":\"transient\"}}]}],"
		"\"status\":{\"code\":2}}"));
	assert_null(strstr(buf_string(&out), "status_code"));
	buf_free(&out);
}

/* The longest that there may be fits, whatever escapes it needs. */
static void test_longest(void **state)
{
	struct span span = span_of();
	struct buf out = BUF_INIT(SPAN_JSON_MAX_BYTES);
	char text[SPAN_TEXT_SIZE], tracestate[TRACESTATE_MAX_BYTES];

	memset(text, 1, sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memset(tracestate, '"', sizeof(tracestate));
	span.tracestate = tracestate;
	span.tracestate_bytes = sizeof(tracestate);
	span.message_id = span.campaign = span.destination = span.words = span.error_type = text;
	span.attempted = span.failed = true;
	span.attempt.error_type = span.attempt.error_class = span.attempt.request_id = text;
	assert_int_equal(append_span(&span, &out), 0);
	assert_true(out.len < SPAN_JSON_MAX_BYTES);
	buf_free(&out);
}

static void test_servers(void **state)
{
	static const struct {
		const char *url, *address;
		unsigned port;
	} rows[] = {
		{"https://api.line.me/v2/bot?x={{y}}", "api.line.me", 443},
		{"http://127.0.0.1:9324", "127.0.0.1", 9324},
		{"HTTPS://[::1]:8443/x", "::1", 8443},
		{"http://[::1]", "::1", 80},
		{"http://host#x", "host", 80},
		{"nothing", "", 80},
	};
	struct span_server server;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		span_server_of(rows[i].url, &server);
		assert_string_equal(server.address, rows[i].address);
		assert_int_equal(server.port, rows[i].port);
	}
}

static void test_texts(void **state)
{
	char text[SPAN_TEXT_SIZE], wide[600];

	span_text(text, "a\0b\xff\xc3", 5);
	assert_string_equal(text, "a?b??");
	/* Cut between two characters. */
	for (size_t i = 0; i + 3 <= sizeof(wide); i += 3)
		memcpy(wide + i, "\xe3\x81\x82", 3);
	span_text(text, wide, sizeof(wide));
	assert_int_equal(strlen(text), 255);
	assert_true(utf8_is_valid(text, 255));
	assert_int_equal(log_add_secret("s3cr3t-token"), 0);
	span_text(text, "with s3cr3t-token in it", 23);
	assert_string_equal(text, "with [redacted] in it");
	log_clear_secrets();
}

static void test_head(void **state)
{
	static const struct otlp_attribute attributes[] = {
		{"service.name", "morning \"worker\""}, {"env", "prod"}, {"service.name", "other"}};
	struct buf out = BUF_INIT(10000);

	assert_int_equal(otlp_append_head(&out, attributes, 3), 0);
	buf_append_string(&out, OTLP_TAIL);
	assert_string_equal(buf_string(&out),
		"{\"resourceSpans\":[{\"resource\":{\"attributes\":["
		"{\"key\":\"service.name\",\"value\":{\"stringValue\":\"morning \\\"worker\\\"\"}},"
		"{\"key\":\"env\",\"value\":{\"stringValue\":\"prod\"}}]},"
		"\"scopeSpans\":[{\"scope\":{\"name\":\"bunshin\",\"version\":\"" BUNSHIN_VERSION
		"\"},\"spans\":[]}]}]}");
	buf_free(&out);
}

static void test_answers(void **state)
{
	static const struct {
		const char *body;
		uint64_t rejected;
		const char *words;
	} rows[] = {
		{"", 0, ""},
		{"{}", 0, ""},
		{"{\"partialSuccess\":{}}", 0, ""},
		{"{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"why\"}}", 3,
			"why"},
		{"{\"partialSuccess\":{\"rejectedSpans\":3}}", 3, ""},
		{"{\"partialSuccess\":{\"errorMessage\":\"a warning\"}}", 0, "a warning"},
		{"{\"partialSuccess\":{\"rejectedSpans\":\"11\"}}", 10, ""},
		{"{\"partialSuccess\":{\"rejectedSpans\":\"-1\"}}", 0, ""},
		{"{\"partialSuccess\":{\"rejectedSpans\":\"99999999999999999999\"}}", 0, ""},
		{"{\"partialSuccess\":[1]}", 0, ""},
		{"[]", 0, ""},
		{"no JSON", 0, ""},
	};
	struct json json = {0};
	const char *words;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(
			otlp_rejected(&json, rows[i].body, strlen(rows[i].body), 10, &words),
			rows[i].rejected);
		assert_string_equal(words, rows[i].words);
	}
	json_free(&json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_no_answer),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_servers),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_head),
		cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests_name("tracing/span", tests, NULL, NULL);
}
