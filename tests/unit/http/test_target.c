/* The real target: what it makes of a message, and what it makes of an answer. */
#include "target_stage.h"

#include "bunshin/error.h"

static void attempt(struct stage *stage, const char *body)
{
	struct queue_message message = message_of(body);
	unsigned calls = stage->attempt.calls, departures = stage->attempt.departures;

	start(stage, &message);
	world_until(&stage->world, &stage->attempt.calls, calls + 1);
	if (stage->attempt.err == 0)
		assert_int_equal(stage->attempt.departures, departures + 1);
	else if (!stage->attempt.unanswered)
		assert_int_equal(stage->attempt.departures, departures);
}

static const char *sent_body(const struct stage *stage)
{
	return strstr(buf_string(&stage->peer.request), "\r\n\r\n") + 4;
}

static void test_request(void **state)
{
	struct stage stage;

	stage_open(&stage, "/send/{{to}}?n={{text}}",
		"{\"to\":\"{{to}}\",\"text\":\"{{text}}\",\"n\":{{n}}}", TEMPLATE_JSON, &ok, 1);
	stage_header(&stage, "Content-Type", "application/json");
	stage_header(&stage, "X-Retry-Key", "{{idempotency_key}}");
	attempt(&stage, "{\"to\":\"U 1\",\"text\":\"a\\\"b \xe5\xa4\xa7\",\"n\":[1,null]}");
	assert_int_equal(stage.attempt.err, 0);
	assert_int_equal(stage.attempt.status, 200);
	assert_string_equal(stage.attempt.excerpt, "ok");
	assert_int_equal(stage.attempt.retry_after_ms, -1);
	assert_false(stage.attempt.unanswered);
	assert_string_equal(stage.attempt.reason, "");
	assert_string_equal(stage.attempt.request_id, "");
	assert_ptr_equal(strstr(buf_string(&stage.peer.request),
				 "POST /send/U%201?n=a%22b%20%E5%A4%A7 HTTP/1.1\r\n"),
		stage.peer.request.data);
	assert_non_null(strstr(buf_string(&stage.peer.request), "\r\nX-Retry-Key: key-1\r\n"));
	assert_non_null(
		strstr(buf_string(&stage.peer.request), "\r\nContent-Type: application/json\r\n"));
	assert_string_equal(sent_body(&stage),
		"{\"to\":\"U 1\",\"text\":\"a\\\"b \xe5\xa4\xa7\",\"n\":[1,null]}");
	stage_close(&stage);
}

static void test_body_as_it_is(void **state)
{
	struct stage stage;

	stage_open(&stage, "/", NULL, TEMPLATE_TEXT, &ok, 1);
	attempt(&stage, "any {{text}} at all");
	assert_string_equal(sent_body(&stage), "any {{text}} at all");
	attempt(&stage, "");
	assert_string_equal(sent_body(&stage), "");
	stage_close(&stage);
}

static void test_variables(void **state)
{
	static const struct {
		const char *template, *body, *expected;
	} cases[] = {
		{"{{body}}", "plain", "\"plain\""},
		{"{{body}}", "{\"body\":1}", "1"},
		{"{{message_id}} ", "x", "\"m-1\" "},
		{"{{message_id}}", "{\"message_id\":\"field\"}", "\"field\""},
		{"{{idempotency_key}}", "{\"idempotency_key\":\"field\"}", "\"key-1\""},
		{"{{receive_count}}", "x", "3"},
		{"{{sent_epoch_ms}}", "x", "1700000000123"},
		{"{{attributes.Campaign}}", "x", "\"spring\""},
		{"{{attributes.Count}}", "x", "42"},
		{"{{attributes.Odd}}", "x", "\"+1\""},
		{"{{attributes.Code}}", "x", "\"007\""},
		{"{{attributes.Count}}", "{\"attributes\":{\"Count\":1}}", "1"},
		{"{{attributes.None|5}}", "x", "5"},
		{"[{{a.b.1}},{{a.b}}]", "{\"a\":{\"b\":[1,\"two\"]}}", "[\"two\",[1,\"two\"]]"},
		{"\"{{receive_count}}/{{sent_epoch_ms}}\"", "x", "\"3/1700000000123\""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stage stage;

		stage_open(&stage, "/", cases[i].template, TEMPLATE_JSON, &ok, 1);
		attempt(&stage, cases[i].body);
		assert_int_equal(stage.attempt.err, 0);
		assert_string_equal(sent_body(&stage), cases[i].expected);
		stage_close(&stage);
	}
}

static void test_what_cannot_be_rendered(void **state)
{
	static const struct {
		const char *path, *header, *body, *message, *reason;
	} cases[] = {
		{"/", "v", "{\"a\":{{name}}}", "{\"nam\":1}", "missing variable \"name\""},
		{"/", "v", "{\"a\":{{name}}}", "not JSON",
			"missing variable \"name\" (the message body is not a JSON object)"},
		{"/", "v", "{\"a\":{{name}}}", "[1]",
			"missing variable \"name\" (the message body is not a JSON object)"},
		{"/{{name}}", "v", "{}", "{}", "missing variable \"name\""},
		{"/", "{{name}}", "{}", "{}", "missing variable \"name\""},
		{"/", "{{name}}", "{}", "{\"name\":\"a\\r\\nX-Evil: 1\"}", "line break"},
		{"/", "{{name}}", "{}", "{\"name\":\"a\\nb\"}", "line break"},
		{"/", "{{name}}", "{}", "{\"name\":\"a\\u0000b\"}", "\"name\""},
		{"/{{name}}/x", "v", "{}", "{\"name\":\"..\"}", "\"..\" as a step"},
		{"/{{name}}", "v", "{}", "{\"name\":\".\"}", "\"..\" as a step"},
		{"/{{{name}}}", "v", "{}", "{\"name\":\"a/../../admin\"}", "\"..\" as a step"},
		{"/{{{name}}}", "v", "{}", "{\"name\":\"%2e%2E/admin\"}", "\"..\" as a step"},
		{"/{{{name}}}", "v", "{}", "{\"name\":\".%2e\"}", "\"..\" as a step"},
		{"/{{{name}}}", "v", "{}", "{\"name\":\"..?x\"}", "\"..\" as a step"},
		{"/{{{name}}}", "v", "{}", "{\"name\":\"a b\"}", "must be percent-encoded"},
		{"/{{{name}}}", "v", "{}", "{\"name\":\"a\\r\\nHost: evil\"}",
			"must be percent-encoded"},
		{"/{{{name}}}", "v", "{}", "{\"name\":\"a\\\\..\\\\b\"}", "backslash"},
		{"/{{{name}}}", "v", "{}", "{\"name\":\"\\u5927\"}", "must be percent-encoded"},
		{"/", "v", "{\"a\":{{{name}}}}", "{\"name\":\"not json\"}", "not JSON"},
		{"/", "v", "{\"a\":\"{{{name}}}\"}", "{\"name\":\"\\\"\"}", "not JSON"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stage stage;

		stage_open(&stage, cases[i].path, cases[i].body, TEMPLATE_JSON, &ok, 1);
		stage_header(&stage, "Content-Type", "application/json; charset=utf-8");
		stage_header(&stage, "X-Name", cases[i].header);
		attempt(&stage, cases[i].message);
		print_message("%zu: %s\n", i, stage.attempt.reason);
		assert_int_equal(stage.attempt.err, ERR_TEMPLATE);
		assert_false(stage.attempt.unanswered);
		assert_int_equal(stage.attempt.status, 0);
		assert_int_equal(stage.attempt.calls, 1);
		assert_non_null(strstr(stage.attempt.reason, cases[i].reason));
		assert_int_equal(stage.peer.connections, 0);
		/* The target is none the worse for it. */
		attempt(&stage, "{\"name\":1}");
		assert_int_equal(stage.attempt.err, 0);
		stage_close(&stage);
	}
}

/* The URL is the message's; the host is the peer's, by a name. */
static void test_chosen_hosts(void **state)
{
	struct stage stage;
	struct host_rule rule;
	struct address_range loopback;
	const char *port;
	char text[128], message[256];

	stage_open(&stage, "/", NULL, TEMPLATE_TEXT, &ok, 1);
	port = strrchr(stage.peer.address, ':');
	snprintf(text, sizeof(text), "http://localhost%s", port);
	assert_null(host_rule_parse(text, &rule));
	assert_null(address_range_parse("127.0.0.0/8", &loopback));
	template_free(stage.destination.request.url);
	stage.destination.request.url = compile("{{{url}}}", TEMPLATE_URL);
	stage.destination.request.allow_hosts = (struct config_hosts){&rule, 1};
	http_target_close(stage.target);
	assert_int_equal(http_target_new(&stage.world.loop, manual_clock_table(&stage.clock),
				 &stage.destination, &stage.target),
		0);
	/* By its name. */
	snprintf(message, sizeof(message), "{\"url\":\"http://%s/\"}", stage.peer.address);
	attempt(&stage, message);
	assert_int_equal(stage.attempt.err, ERR_NOT_ALLOWED);
	assert_string_equal(
		stage.attempt.reason, "the URL has an address for a host; only names are allowed");
	assert_false(stage.attempt.unanswered);
	/* By its address. */
	snprintf(message, sizeof(message), "{\"url\":\"%s/x\"}", text);
	attempt(&stage, message);
	assert_int_equal(stage.attempt.err, ERR_NOT_ALLOWED);
	assert_non_null(strstr(stage.attempt.reason, "is a loopback address"));
	assert_false(stage.attempt.unanswered);
	assert_int_equal(stage.peer.connections, 0);
	http_target_close(stage.target);
	stage.destination.request.allow_addresses = (struct config_addresses){&loopback, 1};
	assert_int_equal(http_target_new(&stage.world.loop, manual_clock_table(&stage.clock),
				 &stage.destination, &stage.target),
		0);
	attempt(&stage, message);
	assert_int_equal(stage.attempt.err, 0);
	assert_int_equal(stage.attempt.status, 200);
	/* What every URL is held to. */
	snprintf(message, sizeof(message), "{\"url\":\"%s/a\\\\b\"}", text);
	attempt(&stage, message);
	assert_int_equal(stage.attempt.err, ERR_TEMPLATE);
	assert_non_null(strstr(stage.attempt.reason, "backslash"));
	snprintf(message, sizeof(message), "{\"url\":\"%s/a/../b\"}", text);
	attempt(&stage, message);
	assert_int_equal(stage.attempt.err, ERR_TEMPLATE);
	attempt(&stage, "{}");
	assert_int_equal(stage.attempt.err, ERR_TEMPLATE);
	assert_string_equal(stage.attempt.reason, "missing variable \"url\"");
	stage_close(&stage);
}

struct told {
	unsigned signed_, refused;
	int64_t started_epoch_ms;
};

static int sign_nothing(void *impl, const struct http_signer_request *request, http_signer_add *add,
	void *arg, struct buf *reason)
{
	struct told *told = impl;

	told->signed_++;
	return add(arg, "X-Signed", "yes", NULL);
}

static void note_refused(void *impl, int64_t started_epoch_ms)
{
	struct told *told = impl;

	told->refused++;
	told->started_epoch_ms = started_epoch_ms;
}

/* Of 401 and 403, with the time at which the request began, and of nothing else. */
static void test_signer_is_told_of_refusals(void **state)
{
	static const struct http_signer_ops ops = {.sign = sign_nothing, .refused = note_refused},
					    deaf = {.sign = sign_nothing};
	static const struct peer_answer answers[] = {
		{.text = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{.text = "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n"},
		{.text = "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"},
		{.text = "HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"},
		{.text = "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"},
		{.text = "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"},
		{.text = "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"},
	};
	struct told told = {0};
	struct stage stage;

	stage_open(&stage, "/", NULL, TEMPLATE_TEXT, answers, 7);
	http_target_set_signer(stage.target, (struct http_signer){&ops, &told});
	for (unsigned i = 0; i < 6; i++) {
		attempt(&stage, "{}");
		assert_int_equal(told.signed_, i + 1);
		assert_int_equal(told.refused, i < 4 ? 0 : i - 3);
	}
	/* The clock stands still, the request took a while. */
	assert_in_range(told.started_epoch_ms, NOW_EPOCH_MS - 60000, NOW_EPOCH_MS);
	http_target_set_signer(stage.target, (struct http_signer){&deaf, &told});
	attempt(&stage, "{}");
	assert_int_equal(stage.attempt.status, 401);
	assert_int_equal(told.refused, 2);
	stage_close(&stage);
}

static void test_answer(void **state)
{
	static const struct {
		const char *text;
		int status;
		int64_t retry_after_ms;
		const char *request_id, *excerpt;
	} cases[] = {
		{"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n", 429, 7000, "",
			""},
		{"HTTP/1.1 503 No\r\nretry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: "
		 "4\r\n\r\n"
		 "busy",
			503, 7000, "", "busy"},
		{"HTTP/1.1 503 No\r\nRetry-After: later\r\nContent-Length: 0\r\n\r\n", 503, -1, "",
			""},
		{"HTTP/1.1 200 OK\r\nX-Line-Request-Id: line-1\r\nX-Request-Id: x-1\r\n"
		 "Content-Length: 0\r\n\r\n",
			200, -1, "line-1", ""},
		{"HTTP/1.1 200 OK\r\nRequest-Id: r-1\r\nX-Request-Id: x-1\r\nContent-Length: "
		 "0\r\n\r\n",
			200, -1, "x-1", ""},
		{"HTTP/1.1 200 OK\r\nx-amzn-requestid: a-1\r\nContent-Length: 0\r\n\r\n", 200, -1,
			"a-1", ""},
		{"HTTP/1.1 200 OK\r\nREQUEST-ID: r-1\r\nContent-Length: 0\r\n\r\n", 200, -1, "r-1",
			""},
		{"HTTP/1.1 301 Moved\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
			301, -1, "", ""},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stage stage;
		const struct peer_answer answer = {.text = cases[i].text};

		stage_open(&stage, "/", NULL, TEMPLATE_TEXT, &answer, 1);
		attempt(&stage, "x");
		assert_int_equal(stage.attempt.err, 0);
		assert_int_equal(stage.attempt.status, cases[i].status);
		assert_int_equal(stage.attempt.retry_after_ms, cases[i].retry_after_ms);
		assert_string_equal(stage.attempt.request_id, cases[i].request_id);
		assert_string_equal(stage.attempt.excerpt, cases[i].excerpt);
		stage_close(&stage);
	}
}

static void test_excerpt_of_a_long_answer(void **state)
{
	static const struct peer_answer answer = {
		.head = "HTTP/1.1 400 No\r\nContent-Length: 20000\r\n\r\n",
		.text = "0123456789",
		.repeat = 2000};
	struct stage stage;

	stage_open(&stage, "/", NULL, TEMPLATE_TEXT, &answer, 1);
	for (int i = 0; i < 3; i++) {
		attempt(&stage, "x");
		assert_int_equal(stage.attempt.err, 0);
		assert_int_equal(stage.attempt.status, 400);
		assert_int_equal(stage.attempt.excerpt_bytes, TARGET_EXCERPT_MAX);
		assert_memory_equal(stage.attempt.excerpt, "01234567890123", 14);
	}
	assert_int_equal(stage.peer.connections, 1);
	stage_close(&stage);
}

static void test_failures(void **state)
{
	static const struct peer_answer closes = {.text = "", .then = PEER_CLOSE};
	static const struct peer_answer silence = {.text = ""};
	static const struct peer_answer garbage = {.text = "garbage\r\n\r\n", .then = PEER_CLOSE};
	const struct {
		const struct peer_answer *answer;
		int err;
	} cases[] = {{&closes, ERR_NETWORK}, {&silence, ERR_TIMEOUT}, {&garbage, ERR_PROTOCOL}};

	for (size_t i = 0; i < 3; i++) {
		struct stage stage;

		stage_open(&stage, "/", NULL, TEMPLATE_TEXT, cases[i].answer, 1);
		attempt(&stage, "x");
		assert_int_equal(stage.attempt.err, cases[i].err);
		assert_int_equal(stage.attempt.status, 0);
		assert_int_equal(stage.attempt.retry_after_ms, -1);
		assert_int_not_equal(stage.attempt.reason[0], 0);
		assert_true(stage.attempt.unanswered);
		stage_close(&stage);
	}
}

/* Both kinds of attempt, those on the wire and those that failed to render, at every turn. */
static void test_cancel(void **state)
{
	static const char *const bodies[] = {"{\"name\":1}", "{}"};

	for (size_t b = 0; b < 2; b++) {
		for (int turns = 0; turns < 6; turns++) {
			struct queue_message message = message_of(bodies[b]);
			struct stage stage;
			struct target table;

			stage_open(&stage, "/", "{\"a\":{{name}}}", TEMPLATE_JSON, &ok, 1);
			table = http_target_table(stage.target);
			start(&stage, &message);
			for (int i = 0; i < turns && stage.attempt.calls == 0; i++)
				uv_run(&stage.world.loop, UV_RUN_NOWAIT);
			if (stage.attempt.calls == 0) {
				table.ops->cancel(table.impl, stage.attempt.handle);
				world_settle(&stage.world);
				assert_int_equal(stage.attempt.calls, 0);
			}
			attempt(&stage, "{\"name\":2}");
			assert_int_equal(stage.attempt.status, 200);
			stage_close(&stage);
		}
	}
}

static void test_close_with_attempts(void **state)
{
	struct queue_message good = message_of("{\"name\":1}"), bad = message_of("{}");

	for (int turns = 0; turns < 6; turns++) {
		struct stage stage;

		stage_open(&stage, "/", "{\"a\":{{name}}}", TEMPLATE_JSON, &ok, 1);
		for (int i = 0; i < 10; i++) {
			start(&stage, &good);
			start(&stage, &bad);
		}
		for (int i = 0; i < turns; i++)
			uv_run(&stage.world.loop, UV_RUN_NOWAIT);
		stage_close(&stage);
	}
}

/* `done` of a failed rendering closes the target with others behind it. */
static void close_in_done(void *arg, const struct target_result *result)
{
	struct stage *stage = arg;

	stage->attempt.calls++;
	http_target_close(stage->target);
	stage->target = NULL;
}

static void test_close_in_done(void **state)
{
	static const char *const bodies[] = {"{\"name\":1}", "{}"};

	for (size_t b = 0; b < 2; b++) {
		struct queue_message message = message_of(bodies[b]);
		struct target_attempt *handle;
		struct stage stage;
		struct target table;

		stage_open(&stage, "/", "{\"a\":{{name}}}", TEMPLATE_JSON, &ok, 1);
		table = http_target_table(stage.target);
		for (int i = 0; i < 5; i++)
			assert_int_equal(table.ops->start(table.impl, request_for(&message),
						 close_in_done, &stage, &handle),
				0);
		world_until(&stage.world, &stage.attempt.calls, 1);
		world_settle(&stage.world);
		assert_int_equal(stage.attempt.calls, 1);
		stage_close(&stage);
	}
}

static void test_concurrency_is_a_limit(void **state)
{
	struct queue_message message = message_of("x");
	struct target_attempt *handle = NULL;
	struct stage stage;
	struct target table;

	stage_open(&stage, "/", NULL, TEMPLATE_TEXT, &ok, 1);
	table = http_target_table(stage.target);
	for (int i = 0; i < 100; i++)
		start(&stage, &message);
	assert_int_equal(table.ops->start(table.impl, request_for(&message), on_done,
				 &stage.attempt, &handle),
		ERR_LIMIT);
	world_until(&stage.world, &stage.attempt.calls, 100);
	start(&stage, &message);
	world_until(&stage.world, &stage.attempt.calls, 101);
	stage_close(&stage);
}

static void test_preview(void **state)
{
	struct queue_message message = message_of("{\"to\":\"U1\"}");
	struct queue_message incomplete = message_of("{}");
	struct buf out = BUF_INIT(10000), reason = BUF_INIT(1000);
	struct stage stage;
	char expected[256];

	stage_open(&stage, "/{{to}}", "{\"to\":\"{{to}}\"}", TEMPLATE_JSON, &ok, 1);
	stage_header(&stage, "Content-Type", "application/json");
	stage_header(&stage, "X-To", "{{to}}");
	assert_int_equal(
		http_target_preview(stage.target, request_for(&message), &out, &reason), 0);
	snprintf(expected, sizeof(expected),
		"POST http://%s/U1\nContent-Type: application/json\nX-To: U1\n\n{\"to\":\"U1\"}",
		stage.peer.address);
	assert_string_equal(buf_string(&out), expected);
	assert_string_equal(buf_string(&reason), "");
	buf_clear(&out);
	assert_int_equal(http_target_preview(stage.target, request_for(&incomplete), &out, &reason),
		ERR_TEMPLATE);
	assert_string_equal(buf_string(&reason), "missing variable \"to\"");
	buf_free(&out);
	buf_free(&reason);
	stage_close(&stage);
}

/* What is sent and what is shown are the same; a value that is no header ends the attempt. */
static void test_attributes_as_headers(void **state)
{
	static char prefix[] = "X-Attr-";
	static const struct queue_attribute with_nul[] = {{"Bad", "String", "a\0b", 3}};
	static const struct queue_attribute attributes[] = {{"Note", "String.x", "a b", 3},
		{"Raw", "Binary", "abc", 3}, {"Count", "Number", "42", 2}};
	struct queue_message message = message_of("{}");
	struct buf out = BUF_INIT(10000), reason = BUF_INIT(1000);
	struct stage stage;
	char expected[256];

	stage_open(&stage, "/", "{}", TEMPLATE_JSON, &ok, 1);
	stage_header(&stage, "X-Own", "1");
	stage.destination.request.attribute_headers = prefix;
	message.attributes = attributes;
	message.attribute_count = 3;
	start(&stage, &message);
	world_until(&stage.world, &stage.attempt.calls, 1);
	assert_non_null(strstr(buf_string(&stage.peer.request),
		"X-Own: 1\r\nX-Attr-Note: a b\r\nX-Attr-Count: 42\r\n"));
	assert_null(strstr(buf_string(&stage.peer.request), "X-Attr-Raw"));
	assert_int_equal(
		http_target_preview(stage.target, request_for(&message), &out, &reason), 0);
	snprintf(expected, sizeof(expected),
		"POST http://%s/\nX-Own: 1\nX-Attr-Note: a b\nX-Attr-Count: 42\n\n{}",
		stage.peer.address);
	assert_string_equal(buf_string(&out), expected);
	message.attributes = with_nul;
	message.attribute_count = 1;
	start(&stage, &message);
	world_until(&stage.world, &stage.attempt.calls, 2);
	assert_int_equal(stage.attempt.err, ERR_TEMPLATE);
	assert_string_equal(
		stage.attempt.reason, "header \"X-Attr-Bad\" cannot be sent with this value");
	buf_free(&out);
	buf_free(&reason);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_body_as_it_is),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_what_cannot_be_rendered),
		cmocka_unit_test(test_chosen_hosts),
		cmocka_unit_test(test_signer_is_told_of_refusals),
		cmocka_unit_test(test_answer),
		cmocka_unit_test(test_excerpt_of_a_long_answer),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_close_with_attempts),
		cmocka_unit_test(test_close_in_done),
		cmocka_unit_test(test_concurrency_is_a_limit),
		cmocka_unit_test(test_preview),
		cmocka_unit_test(test_attributes_as_headers),
	};

	return cmocka_run_group_tests_name("http/target", tests, NULL, NULL);
}
