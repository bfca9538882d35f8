#include "aws/sigv4.h"
#include "aws/sqs_client.h"
#include "aws/sqs_codec.h"
#include "bunshin/error.h"
#include "fake_sqs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* One exchange at a time: what is repeated is test_sqs_resilience.c's. */
static const struct sqs_client_options defaults = {.max_attempts = 1};
static const struct queue_receive short_poll = {.max_messages = 10, .visibility_s = 30};
static const char *const handles[] = {"r0", "r1", "r2"};

/* What a call's done was told. */
struct told {
	bool done;
	int err;
	char code[100], detail[600], request_id[100];
	int64_t server_epoch_ms;
	unsigned dropped;
	struct queue_batch *batch;
	int results[QUEUE_BATCH_MAX];
	size_t count;
	struct queue_attributes counts;
	char url[200];
	struct sqs_client *close; /* closed from inside */
};

static void tell(struct told *told, const struct sqs_outcome *outcome)
{
	assert_false(told->done);
	told->done = true;
	told->err = outcome->err;
	snprintf(told->code, sizeof(told->code), "%s", outcome->code);
	snprintf(told->detail, sizeof(told->detail), "%s", outcome->detail);
	snprintf(told->request_id, sizeof(told->request_id), "%s", outcome->request_id);
	told->server_epoch_ms = outcome->server_epoch_ms;
	told->dropped = outcome->dropped;
	sqs_client_close(told->close);
	/* Closed or not, what is borrowed stays until the end of the callback. */
	assert_string_equal(told->detail, outcome->detail);
}

static void on_receive(void *arg, const struct sqs_outcome *outcome, struct queue_batch *batch)
{
	struct told *told = arg;

	told->batch = batch;
	assert_int_equal(batch == NULL, outcome->err != 0);
	tell(told, outcome);
}

static void on_batch(
	void *arg, const struct sqs_outcome *outcome, const int results[], size_t count)
{
	struct told *told = arg;

	memcpy(told->results, results, count * sizeof(results[0]));
	told->count = count;
	for (size_t i = 0; outcome->err != 0 && i < count; i++)
		assert_int_equal(results[i], outcome->err);
	tell(told, outcome);
}

static void on_counts(
	void *arg, const struct sqs_outcome *outcome, const struct queue_attributes *counts)
{
	struct told *told = arg;

	assert_int_equal(counts == NULL, outcome->err != 0);
	if (counts != NULL)
		told->counts = *counts;
	tell(told, outcome);
}

static void on_url(void *arg, const struct sqs_outcome *outcome, const char *queue_url)
{
	struct told *told = arg;

	assert_int_equal(queue_url == NULL, outcome->err != 0);
	if (queue_url != NULL)
		snprintf(told->url, sizeof(told->url), "%s", queue_url);
	tell(told, outcome);
}

static struct told receive(struct world *world)
{
	struct told told = {0};
	struct queue_call *call;

	assert_int_equal(
		sqs_receive(world->client, world->queue_url, &short_poll, on_receive, &told, &call),
		0);
	assert_false(told.done);
	world_run(world, &told.done);
	return told;
}

static struct told delete_three(struct world *world)
{
	struct told told = {0};
	struct queue_call *call;

	assert_int_equal(sqs_delete_batch(world->client, world->queue_url, handles, 3, on_batch,
				 &told, &call),
		0);
	assert_false(told.done);
	world_run(world, &told.done);
	return told;
}

/* Signs what arrived once more, from what arrived, and wants the same signature. */
static void assert_signed(struct world *world, size_t i, const char *target, const char *token)
{
	const struct fake_request *arrived = &world->fake.requests[i];
	char host[64];
	const struct sigv4_header headers[] = {
		{"Host", host},
		{"Content-Type", "application/x-amz-json-1.0"},
		{"X-Amz-Target", target},
		{"x-amzn-query-mode", "true"},
	};
	const struct sigv4_request request = {.method = "POST",
		.path = "/",
		.query = "",
		.headers = headers,
		.header_count = 4,
		.body = arrived->body,
		.body_bytes = arrived->body_bytes};
	struct credentials_set keys = {
		.access_key_id = "AKIDEXAMPLE", .secret_access_key = "secret"};
	struct buf authorization = BUF_INIT(4096);
	char date[SIGV4_DATE_SIZE];
	struct sigv4 *signer;

	snprintf(host, sizeof(host), "127.0.0.1:%d", world->fake.port);
	snprintf(keys.session_token, sizeof(keys.session_token), "%s", token);
	assert_int_equal(sigv4_new(&signer), 0);
	assert_int_equal(sigv4_sign(signer, &request, &keys, "eu-west-1", "sqs", WORLD_EPOCH_MS,
				 &authorization, date),
		0);
	assert_string_equal(
		fake_header(&world->fake, i, "Authorization"), buf_string(&authorization));
	buf_free(&authorization);
	sigv4_free(signer);
}

/* Request line and every header that matters; what must not be there; then the body. */
static void assert_request(struct world *world, size_t i, const char *operation, const char *body)
{
	static const char line[] = "POST / HTTP/1.1\r\n";
	const struct fake_sqs *fake = &world->fake;
	char expected[100];

	assert_memory_equal(fake->requests[i].head, line, sizeof(line) - 1);
	snprintf(expected, sizeof(expected), "127.0.0.1:%d", fake->port);
	assert_string_equal(fake_header(fake, i, "Host"), expected);
	assert_string_equal(fake_header(fake, i, "Content-Type"), "application/x-amz-json-1.0");
	snprintf(expected, sizeof(expected), "AmazonSQS.%s", operation);
	assert_string_equal(fake_header(fake, i, "X-Amz-Target"), expected);
	assert_string_equal(fake_header(fake, i, "x-amzn-query-mode"), "true");
	assert_string_equal(fake_header(fake, i, "X-Amz-Date"), "20260102T030405Z");
	assert_null(fake_header(fake, i, "Expect"));
	assert_null(fake_header(fake, i, "Transfer-Encoding"));
	assert_null(fake_header(fake, i, "Cookie"));
	assert_string_equal(fake->requests[i].body, body);
	assert_signed(world, i, expected, "");
}

static void receive_on_the_wire(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	const struct queue_receive params = {.max_messages = 7, .wait_s = 20, .visibility_s = 90};
	struct told told = {0};
	struct queue_call *call;
	struct buf body = BUF_INIT(4096);

	fake_answer(&world->fake, 200, "",
		"{\"Messages\":[{\"MessageId\":\"m\",\"ReceiptHandle\":\"r\",\"Body\":\"hello\","
		"\"MD5OfBody\":\"5d41402abc4b2a76b9719d911017c592\"},{}]}");
	assert_int_equal(
		sqs_receive(world->client, world->queue_url, &params, on_receive, &told, &call), 0);
	assert_int_equal(sqs_client_stats(world->client)->requests, 1);
	world_run(world, &told.done);
	assert_int_equal(sqs_encode_receive(&body, world->queue_url, &params, ""), 0);
	assert_request(world, 0, "ReceiveMessage", buf_string(&body));
	assert_null(fake_header(&world->fake, 0, "X-Amz-Security-Token"));
	assert_int_equal(told.err, 0);
	assert_string_equal(told.request_id, "id-0");
	assert_string_equal(told.code, "");
	assert_int_equal(told.server_epoch_ms, WORLD_EPOCH_MS);
	assert_int_equal(told.batch->count, 1);
	assert_string_equal(told.batch->messages[0].body, "hello");
	assert_int_equal(told.dropped, 1);
	assert_string_equal(told.detail, "message without an id dropped: no valid MessageId");
	assert_int_equal(sqs_client_stats(world->client)->dropped, 1);
	buf_free(&body);
	world_close(world);
	/* Batches outlive the client. */
	assert_string_equal(told.batch->messages[0].receipt_handle, "r");
	queue_batch_unref(told.batch);
}

static void batches_on_the_wire(void **state)
{
	static const struct queue_visibility visibility[] = {{"r0", 0}, {"r1", 40}};
	static const struct queue_send sends[] = {
		{.body = "x", .body_bytes = 1}, {.body = "hello", .body_bytes = 5, .delay_s = 3}};
	struct world *world = world_open(&defaults, NULL);
	struct told changed = {0}, sent = {0}, deleted;
	struct queue_call *call;
	struct buf body = BUF_INIT(4096);

	fake_answer(&world->fake, 200, "",
		"{\"Successful\":[{\"Id\":\"2\"},{\"Id\":\"0\"}],\"Failed\":[{\"Id\":\"1\","
		"\"SenderFault\":true,\"Code\":\"ReceiptHandleIsInvalid\",\"Message\":\"Old\"}]}");
	deleted = delete_three(world);
	sqs_encode_delete_batch(&body, world->queue_url, handles, 3);
	assert_request(world, 0, "DeleteMessageBatch", buf_string(&body));
	assert_int_equal(deleted.err, 0);
	assert_int_equal(deleted.count, 3);
	assert_int_equal(deleted.results[0], 0);
	assert_int_equal(deleted.results[1], ERR_RECEIPT_INVALID);
	assert_int_equal(deleted.results[2], 0);
	assert_string_equal(deleted.detail, "entry 1: ReceiptHandleIsInvalid: Old");

	fake_answer(&world->fake, 200, "", "{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"1\"}]}");
	assert_int_equal(sqs_change_visibility_batch(world->client, world->queue_url, visibility, 2,
				 on_batch, &changed, &call),
		0);
	world_run(world, &changed.done);
	buf_clear(&body);
	sqs_encode_visibility_batch(&body, world->queue_url, visibility, 2);
	assert_request(world, 1, "ChangeMessageVisibilityBatch", buf_string(&body));
	assert_int_equal(changed.count, 2);
	assert_int_equal(changed.results[0], 0);
	assert_int_equal(changed.results[1], 0);
	assert_string_equal(changed.detail, "");

	fake_answer(&world->fake, 200, "",
		"{\"Successful\":[{\"Id\":\"1\",\"MessageId\":\"m\",\"MD5OfMessageBody\":"
		"\"00000000000000000000000000000000\"},{\"Id\":\"0\",\"MessageId\":\"n\","
		"\"MD5OfMessageBody\":\"9dd4e461268c8034f5c8564e155c67a6\"}]}");
	assert_int_equal(
		sqs_send_batch(world->client, world->queue_url, sends, 2, on_batch, &sent, &call),
		0);
	world_run(world, &sent.done);
	assert_string_equal(
		fake_header(&world->fake, 2, "X-Amz-Target"), "AmazonSQS.SendMessageBatch");
	assert_non_null(strstr(world->fake.requests[2].body,
		"\"Entries\":[{\"Id\":\"0\",\"MessageBody\":\"x\"},"
		"{\"Id\":\"1\",\"MessageBody\":\"hello\",\"DelaySeconds\":3}]}"));
	assert_signed(world, 2, "AmazonSQS.SendMessageBatch", "");
	assert_int_equal(sent.count, 2);
	assert_int_equal(sent.results[0], 0);
	assert_int_equal(sent.results[1], ERR_PROTOCOL);
	buf_free(&body);
	world_close(world);
}

static void queues_on_the_wire(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	struct told counted = {0}, found = {0}, created = {0};
	struct queue_call *call;
	struct buf body = BUF_INIT(4096);

	fake_answer(&world->fake, 200, "",
		"{\"Attributes\":{\"ApproximateNumberOfMessages\":\"5\","
		"\"ApproximateNumberOfMessagesNotVisible\":\"6\","
		"\"ApproximateNumberOfMessagesDelayed\":\"7\",\"VisibilityTimeout\":\"30\"}}");
	assert_int_equal(
		sqs_get_attributes(world->client, world->queue_url, on_counts, &counted, &call), 0);
	world_run(world, &counted.done);
	sqs_encode_get_attributes(&body, world->queue_url);
	assert_request(world, 0, "GetQueueAttributes", buf_string(&body));
	assert_int_equal(counted.err, 0);
	assert_int_equal(counted.counts.visible, 5);
	assert_int_equal(counted.counts.in_flight, 6);
	assert_int_equal(counted.counts.delayed, 7);
	assert_int_equal(counted.counts.visibility_s, 30);

	fake_answer(&world->fake, 200, "", "{\"QueueUrl\":\"http://h/1/found\"}");
	assert_int_equal(sqs_get_queue_url(world->client, "found", on_url, &found, &call), 0);
	world_run(world, &found.done);
	assert_request(world, 1, "GetQueueUrl", "{\"QueueName\":\"found\"}");
	assert_string_equal(found.url, "http://h/1/found");

	fake_answer(&world->fake, 200, "", "{\"QueueUrl\":\"http://h/1/made\"}");
	assert_int_equal(sqs_create_queue(world->client, "made", on_url, &created, &call), 0);
	world_run(world, &created.done);
	assert_request(world, 2, "CreateQueue", "{\"QueueName\":\"made\"}");
	assert_string_equal(created.url, "http://h/1/made");
	assert_int_equal(sqs_client_stats(world->client)->requests, 3);
	buf_free(&body);
	world_close(world);
}

static void session_token_goes_along(void **state)
{
	struct world *world = world_open(&defaults, "TOKEN/+=");
	struct told told;

	fake_answer(&world->fake, 200, "", "{}");
	told = receive(world);
	assert_int_equal(told.batch->count, 0);
	queue_batch_unref(told.batch);
	assert_string_equal(fake_header(&world->fake, 0, "X-Amz-Security-Token"), "TOKEN/+=");
	assert_signed(world, 0, "AmazonSQS.ReceiveMessage", "TOKEN/+=");
	world_close(world);
}

static void answers_of_every_class(void **state)
{
	static const struct {
		int status;
		const char *headers, *body;
		int err;
		const char *code, *detail;
	} cases[] = {
		{400, "x-amzn-query-error: AWS.SimpleQueueService.NonExistentQueue;Sender\r\n",
			"{\"__type\":\"com.amazonaws.sqs#QueueDoesNotExist\",\"message\":\"Gone."
			"\"}",
			ERR_QUEUE_MISSING, "QueueDoesNotExist",
			"QueueDoesNotExist (HTTP 400, request id id-0): Gone."},
		{403, "x-amzn-query-error: RequestThrottled;Sender\r\n", "{}", ERR_THROTTLED,
			"RequestThrottled", "RequestThrottled (HTTP 403, request id id-1)"},
		{403, "", "{\"__type\":\"com.amazonaws.sqs#OverLimit\"}", ERR_OVER_LIMIT,
			"OverLimit", "OverLimit (HTTP 403, request id id-2)"},
		{403, "", "{\"__type\":\"ExpiredTokenException\",\"Message\":\"x\"}",
			ERR_EXPIRED_CREDENTIALS, "ExpiredTokenException",
			"ExpiredTokenException (HTTP 403, request id id-3): x"},
		{403, "", "{\"__type\":\"InvalidClientTokenId\"}", ERR_BAD_CREDENTIALS,
			"InvalidClientTokenId", "InvalidClientTokenId (HTTP 403, request id id-4)"},
		{403, "", "{\"__type\":\"AccessDenied\"}", ERR_ACCESS_DENIED, "AccessDenied",
			"AccessDenied (HTTP 403, request id id-5)"},
		{403, "", "{\"__type\":\"SignatureDoesNotMatch\"}", ERR_BAD_CREDENTIALS,
			"SignatureDoesNotMatch",
			"SignatureDoesNotMatch (HTTP 403, request id id-6)"},
		{403, "", "{\"__type\":\"RequestTimeTooSkewed\"}", ERR_CLOCK_SKEW,
			"RequestTimeTooSkewed", "RequestTimeTooSkewed (HTTP 403, request id id-7)"},
		{400, "", "{\"__type\":\"KmsThrottled\"}", ERR_THROTTLED, "KmsThrottled",
			"KmsThrottled (HTTP 400, request id id-8)"},
		{503, "", "<html>busy</html>", ERR_UNAVAILABLE, "",
			"no error code (HTTP 503, request id id-9)"},
		{404, "", "", ERR_REFUSED, "", "no error code (HTTP 404, request id id-10)"},
		/* Never followed. */
		{302, "Location: http://127.0.0.1:1/\r\n", "", ERR_PROTOCOL, "",
			"no error code (HTTP 302, request id id-11)"},
		{200, "", "<html>a portal</html>", ERR_PROTOCOL, "",
			"21 bytes that are not an answer of ReceiveMessage, request id id-12"},
		{200, "", "", ERR_PROTOCOL, "",
			"0 bytes that are not an answer of ReceiveMessage, request id id-13"},
		{200, "", "[]", ERR_PROTOCOL, "",
			"2 bytes that are not an answer of ReceiveMessage, request id id-14"},
	};
	struct world *world = world_open(&defaults, NULL);

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct told told;

		fake_answer(&world->fake, cases[i].status, cases[i].headers, cases[i].body);
		told = receive(world);
		assert_int_equal(told.err, cases[i].err);
		assert_string_equal(told.code, cases[i].code);
		assert_string_equal(told.detail, cases[i].detail);
	}
	world_close(world);
}

/* A failed call fails every entry, and every other kind of operation alike. */
static void other_operations_fail_alike(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	struct told told = {0}, counted = {0}, found = {0};
	struct queue_call *call;

	fake_answer(&world->fake, 500, "", "{\"__type\":\"InternalError\"}");
	told = delete_three(world);
	assert_int_equal(told.err, ERR_UNAVAILABLE);
	assert_int_equal(told.count, 3);
	fake_answer(&world->fake, 200, "", "{\"Successful\":7}");
	told = delete_three(world);
	assert_int_equal(told.err, ERR_PROTOCOL);
	assert_int_equal(told.results[2], ERR_PROTOCOL);
	fake_answer(&world->fake, 200, "", "{}");
	assert_int_equal(
		sqs_get_attributes(world->client, world->queue_url, on_counts, &counted, &call), 0);
	world_run(world, &counted.done);
	assert_int_equal(counted.err, ERR_PROTOCOL);
	fake_answer(&world->fake, 400, "", "{\"__type\":\"QueueDoesNotExist\"}");
	assert_int_equal(sqs_get_queue_url(world->client, "q", on_url, &found, &call), 0);
	world_run(world, &found.done);
	assert_int_equal(found.err, ERR_QUEUE_MISSING);
	world_close(world);
}

static void a_date_that_tells_of_no_wrong_clock(void **state)
{
	static const struct {
		const char *headers;
		int err;
		int64_t server_epoch_ms;
	} cases[] = {
		{"Date: Fri, 02 Jan 2026 03:07:05 GMT\r\n", ERR_BAD_CREDENTIALS, 1767323225000},
		{"Date: Fri, 02 Jan 2026 03:14:05 GMT\r\nAge: 600\r\n", ERR_BAD_CREDENTIALS,
			1767323645000},
		{"Date: tomorrow\r\n", ERR_BAD_CREDENTIALS, 0},
		{"", ERR_BAD_CREDENTIALS, 0},
	};
	struct world *world = world_open(&defaults, NULL);

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct told told;
		char raw[400];
		int len = snprintf(raw, sizeof(raw),
			"HTTP/1.1 403 No\r\n%sContent-Length: 34\r\n\r\n"
			"{\"__type\":\"SignatureDoesNotMatch\"}",
			cases[i].headers);

		fake_script(&world->fake, raw, (size_t)len);
		told = receive(world);
		assert_int_equal(told.err, cases[i].err);
		assert_int_equal(told.server_epoch_ms, cases[i].server_epoch_ms);
		assert_string_equal(told.request_id, "");
	}
	world_close(world);
}

/* Broken in transport: whatever it is called, it is transient, and there are no results. */
static void broken_answers(void **state)
{
	static const char *const raws[] = {
		"",
		"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\n{\"Successful\":[{\"Id\":\"0\"}]}",
		"HTTP/1.1 200 OK\r\nContent-Le",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
		"\x15\x03\x01\x00\x02\x02\x28",
	};
	struct world *world = world_open(&defaults, NULL);

	for (size_t i = 0; i < COUNT_OF(raws); i++) {
		struct told told;

		fake_script(&world->fake, raws[i], strlen(raws[i]))->close = true;
		told = delete_three(world);
		assert_int_not_equal(told.err, 0);
		assert_int_equal(error_class(told.err), ERROR_TRANSIENT);
		assert_string_not_equal(told.detail, "");
	}
	world_close(world);
}

/* Bytes past the promised length are not part of the answer, and what is left is not JSON. */
static void a_longer_body_than_promised_is_cut(void **state)
{
	static const char raw[] = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
				  "{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"1\"},{\"Id\":\"2\"}]}";
	struct world *world = world_open(&defaults, NULL);
	struct told told;

	fake_script(&world->fake, raw, sizeof(raw) - 1)->close = true;
	told = delete_three(world);
	assert_int_equal(told.err, ERR_PROTOCOL);
	world_close(world);
}

static void too_large_an_answer(void **state)
{
	size_t len = ((size_t)1 << 20) + 1;
	char *body = malloc(len + 1);
	struct world *world = world_open(&defaults, NULL);
	struct told told;

	assert_non_null(body);
	memset(body, ' ', len);
	memcpy(body, "{}", 2);
	body[len] = '\0';
	fake_answer(&world->fake, 200, "", body);
	told = delete_three(world);
	assert_int_equal(told.err, ERR_ANSWER_TOO_LARGE);
	/* A receive may be far larger. */
	fake_answer(&world->fake, 200, "", body);
	told = receive(world);
	assert_int_equal(told.err, 0);
	queue_batch_unref(told.batch);
	free(body);
	world_close(world);
}

static void silence_ends_in_a_timeout(void **state)
{
	const struct sqs_client_options options = {.timeout_ms = 100, .max_attempts = 1};
	struct world *world = world_open(&options, NULL);
	struct told told;

	fake_silence(&world->fake);
	told = delete_three(world);
	assert_int_equal(told.err, ERR_TIMEOUT);
	assert_string_not_equal(told.detail, "");
	world_close(world);
}

/* The wait comes on top of the time-out: an answer later than that is no time-out. */
static void a_long_poll_may_take_its_wait(void **state)
{
	const struct sqs_client_options options = {.timeout_ms = 50};
	const struct queue_receive params = {.max_messages = 10, .wait_s = 20, .visibility_s = 30};
	struct world *world = world_open(&options, NULL);
	struct told told = {0};
	struct queue_call *call;

	fake_answer(&world->fake, 200, "", "{}")->delay_ms = 300;
	assert_int_equal(
		sqs_receive(world->client, world->queue_url, &params, on_receive, &told, &call), 0);
	world_run(world, &told.done);
	assert_int_equal(told.err, 0);
	queue_batch_unref(told.batch);
	world_close(world);
}

static void long_polls_leave_room_for_deletes(void **state)
{
	const struct sqs_client_options options = {.max_in_flight = 2};
	struct world *world = world_open(&options, NULL);
	struct told polls[3] = {0}, told;
	struct queue_call *calls[3];

	for (size_t i = 0; i < 2; i++) {
		fake_silence(&world->fake);
		assert_int_equal(sqs_receive(world->client, world->queue_url, &short_poll,
					 on_receive, &polls[i], &calls[i]),
			0);
	}
	assert_int_equal(sqs_receive(world->client, world->queue_url, &short_poll, on_receive,
				 &polls[2], &calls[2]),
		ERR_LIMIT);
	world_run_requests(world, 2);
	fake_answer(&world->fake, 200, "",
		"{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"1\"},{\"Id\":\"2\"}]}");
	told = delete_three(world);
	assert_int_equal(told.err, 0);
	assert_int_equal(sqs_client_stats(world->client)->requests, 3);
	world_close(world); /* with two polls in flight */
	assert_false(polls[0].done || polls[1].done || polls[2].done);
}

static void cancelled_calls_are_never_done(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	struct told told[2] = {0}, again;
	struct queue_call *call;

	/* Before the loop has turned at all; then with the request at the other side. */
	assert_int_equal(sqs_receive(world->client, world->queue_url, &short_poll, on_receive,
				 &told[0], &call),
		0);
	sqs_call_cancel(world->client, call);
	fake_silence(&world->fake);
	assert_int_equal(sqs_delete_batch(world->client, world->queue_url, handles, 3, on_batch,
				 &told[1], &call),
		0);
	world_run_requests(world, 1);
	sqs_call_cancel(world->client, call);
	/* The memory of both is used again. */
	for (int i = 0; i < 3; i++) {
		fake_answer(&world->fake, 200, "", "{}");
		again = receive(world);
		assert_int_equal(again.err, 0);
		queue_batch_unref(again.batch);
	}
	world_close(world);
	assert_false(told[0].done || told[1].done);
}

static void closing_from_inside_a_callback(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	struct told told = {.close = world->client}, other = {0};
	struct queue_call *call;

	fake_silence(&world->fake);
	assert_int_equal(sqs_receive(world->client, world->queue_url, &short_poll, on_receive,
				 &other, &call),
		0);
	world_run_requests(world, 1);
	fake_answer(&world->fake, 400, "", "{\"__type\":\"OverLimit\",\"message\":\"m\"}");
	assert_int_equal(sqs_delete_batch(world->client, world->queue_url, handles, 3, on_batch,
				 &told, &call),
		0);
	world_run(world, &told.done);
	assert_int_equal(told.err, ERR_OVER_LIMIT);
	world->client = NULL;
	world_close(world);
	assert_false(other.done);
}

static void nobody_listens(void **state)
{
	/* Port 1 of the loopback: nothing listens there. */
	const struct sqs_client_options options = {
		.endpoint = "http://127.0.0.1:1/", .max_attempts = 1};
	struct world *world = world_open(&options, NULL);
	struct told told = receive(world);

	assert_int_equal(told.err, ERR_CONNECT);
	assert_string_not_equal(told.detail, "");
	world_close(world);
}

static void wrong_arguments_send_nothing(void **state)
{
	static const struct queue_send empty = {.body = "", .body_bytes = 0};
	static const struct queue_receive eleven = {.max_messages = 11};
	struct world *world = world_open(&defaults, NULL);
	struct told told = {0};
	struct queue_call *call;

	assert_int_equal(
		sqs_receive(world->client, world->queue_url, &eleven, on_receive, &told, &call),
		ERR_ARGUMENT);
	assert_int_equal(sqs_delete_batch(world->client, world->queue_url, handles, 0, on_batch,
				 &told, &call),
		ERR_ARGUMENT);
	assert_int_equal(sqs_change_visibility_batch(
				 world->client, world->queue_url, NULL, 11, on_batch, &told, &call),
		ERR_ARGUMENT);
	assert_int_equal(
		sqs_send_batch(world->client, world->queue_url, &empty, 1, on_batch, &told, &call),
		ERR_ARGUMENT);
	assert_int_equal(
		sqs_get_attributes(world->client, "", on_counts, &told, &call), ERR_ARGUMENT);
	assert_int_equal(
		sqs_get_queue_url(world->client, "a b", on_url, &told, &call), ERR_ARGUMENT);
	assert_int_equal(sqs_create_queue(world->client, "", on_url, &told, &call), ERR_ARGUMENT);
	assert_int_equal(sqs_client_stats(world->client)->requests, 0);
	world_close(world);
	assert_false(told.done);
}

/* Each 64 KiB of a payload that are begun are a request on the bill. */
static void requests_as_they_are_billed(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	static char body[200001], answer[131073 + 1];
	const struct queue_send large = {.body = body, .body_bytes = 200000};
	const struct sqs_client_stats *stats = sqs_client_stats(world->client);
	struct told told = {0};
	struct queue_call *call;
	char fifo[256];

	memset(body, 'x', sizeof(body) - 1);
	memset(answer, ' ', sizeof(answer) - 1);
	answer[0] = '{';
	answer[sizeof(answer) - 2] = '}';
	snprintf(fifo, sizeof(fifo), "%s.fifo", world->queue_url);
	fake_answer(&world->fake, 200, "", "{}");
	fake_answer(&world->fake, 200, "", answer); /* 131,073 bytes: 3 */
	fake_answer(&world->fake, 400, "", "{}");
	assert_int_equal(
		sqs_receive(world->client, world->queue_url, &short_poll, on_receive, &told, &call),
		0);
	world_run(world, &told.done);
	assert_int_equal(stats->billed, 1);
	queue_batch_unref(told.batch);
	told = (struct told){0};
	assert_int_equal(
		sqs_receive(world->client, fifo, &short_poll, on_receive, &told, &call), 0);
	assert_int_equal(stats->billed_fifo, 1);
	world_run(world, &told.done);
	assert_int_equal(stats->billed_fifo, 3);
	queue_batch_unref(told.batch);
	told = (struct told){0};
	assert_int_equal(
		sqs_send_batch(world->client, world->queue_url, &large, 1, on_batch, &told, &call),
		0);
	assert_int_equal(stats->billed, 1 + 4);
	world_run(world, &told.done);
	assert_int_equal(stats->billed, 1 + 4);
	assert_int_equal(stats->by_operation[SQS_RECEIVE], 2);
	assert_int_equal(stats->by_operation[SQS_SEND_BATCH], 1);
	assert_int_equal(stats->requests, 3);
	world_close(world);
}

static void no_credentials_send_nothing(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	struct told told = {0};
	struct queue_call *call;

	/* The client borrowed them; an empty chain takes their place. */
	sqs_client_close(world->client);
	credentials_free(world->credentials);
	assert_int_equal(
		credentials_new(manual_clock_table(&world->clock), NULL, 0, &world->credentials),
		0);
	assert_int_equal(
		sqs_client_new(&world->loop, manual_clock_table(&world->clock), world->credentials,
			&(struct sqs_client_options){
				.endpoint = world->endpoint, .region = "eu-west-1"},
			&world->client),
		0);
	assert_int_equal(
		sqs_receive(world->client, world->queue_url, &short_poll, on_receive, &told, &call),
		ERR_NO_CREDENTIALS);
	assert_int_equal(sqs_client_stats(world->client)->requests, 0);
	world_close(world);
	assert_false(told.done);
}

static void wrong_endpoints_and_regions(void **state)
{
	static const struct sqs_client_options wrong[] = {
		{.endpoint = "127.0.0.1:9324", .region = "r"},
		{.endpoint = "ftp://a", .region = "r"},
		{.endpoint = "http://a/b", .region = "r"},
		{.endpoint = "http://a//", .region = "r"},
		{.endpoint = "http://a/?", .region = "r"},
		{.endpoint = "http://a", .region = ""},
		{.endpoint = "http://a", .region = "us east"},
		{.endpoint = NULL, .region = "evil.io/"},
	};
	struct world *world = world_open(&defaults, NULL);
	struct sqs_client *client = NULL;

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		assert_int_equal(sqs_client_new(&world->loop, manual_clock_table(&world->clock),
					 world->credentials, &wrong[i], &client),
			ERR_ARGUMENT);
		assert_null(client);
	}
	assert_int_equal(
		sqs_client_new(&world->loop, manual_clock_table(&world->clock), world->credentials,
			&(struct sqs_client_options){.region = "ap-northeast-1"}, &client),
		0);
	sqs_client_close(client);
	sqs_client_close(NULL);
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receive_on_the_wire),
		cmocka_unit_test(requests_as_they_are_billed),
		cmocka_unit_test(batches_on_the_wire),
		cmocka_unit_test(queues_on_the_wire),
		cmocka_unit_test(session_token_goes_along),
		cmocka_unit_test(answers_of_every_class),
		cmocka_unit_test(other_operations_fail_alike),
		cmocka_unit_test(a_date_that_tells_of_no_wrong_clock),
		cmocka_unit_test(broken_answers),
		cmocka_unit_test(a_longer_body_than_promised_is_cut),
		cmocka_unit_test(too_large_an_answer),
		cmocka_unit_test(silence_ends_in_a_timeout),
		cmocka_unit_test(a_long_poll_may_take_its_wait),
		cmocka_unit_test(long_polls_leave_room_for_deletes),
		cmocka_unit_test(cancelled_calls_are_never_done),
		cmocka_unit_test(closing_from_inside_a_callback),
		cmocka_unit_test(nobody_listens),
		cmocka_unit_test(wrong_arguments_send_nothing),
		cmocka_unit_test(no_credentials_send_nothing),
		cmocka_unit_test(wrong_endpoints_and_regions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
