/* What a call goes through before it is over: repetitions, lost connections, an empty bucket. */
#include "aws/sqs_client.h"
#include "base/random.h"
#include "bunshin/error.h"
#include "fake_sqs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define DELETED "{\"Successful\":[{\"Id\":\"0\"}]}"
#define THROTTLED "{\"__type\":\"com.amazonaws.sqs#RequestThrottled\",\"message\":\"Slow.\"}"

static const struct sqs_client_options defaults = {0};
static const struct sqs_client_options hasty = {.timeout_ms = 100};
static const struct queue_receive short_poll = {.max_messages = 10, .visibility_s = 30};
static const char *const handles[] = {"r0"};

static struct queue_call *receive(struct world *world, struct ending *ending)
{
	struct queue_call *call;

	*ending = (struct ending){.done = false};
	assert_int_equal(sqs_receive(world->client, world->queue_url, &short_poll,
				 ending_of_receive, ending, &call),
		0);
	return call;
}

static struct queue_call *delete_one(struct world *world, struct ending *ending)
{
	struct queue_call *call;

	*ending = (struct ending){.done = false};
	assert_int_equal(sqs_delete_batch(world->client, world->queue_url, handles, 1,
				 ending_of_batch, ending, &call),
		0);
	return call;
}

static const struct sqs_client_stats *stats(const struct world *world)
{
	return sqs_client_stats(world->client);
}

/*
 * The attempt that is out fails: what follows is a pause of the random part of bound_ms that the
 * next draw makes, to the microsecond, and another request.
 */
static void expect_pause(struct world *world, uint64_t bound_ms)
{
	uint64_t delay_us = random_below(world_next_random(world), bound_ms) * 1000;
	uint64_t requests = stats(world)->requests;

	assert_int_equal(world_run_to_timer(world), delay_us);
	if (delay_us > 0) {
		manual_clock_advance(&world->clock, delay_us - 1);
		assert_int_equal(stats(world)->requests, requests);
	}
	manual_clock_advance(&world->clock, 1);
	assert_int_equal(stats(world)->requests, requests + 1);
}

static void assert_header(const struct world *world, size_t i, const char *name, const char *value)
{
	assert_string_equal(fake_header(&world->fake, i, name), value);
}

static void throttles_are_waited_for_and_counted(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	struct ending ending;
	char id[64], authorization[400];

	for (int i = 0; i < 3; i++)
		fake_answer(&world->fake, 403, "", THROTTLED);
	delete_one(world, &ending);
	world->clock.wall_epoch_ms += 7000; /* signed by the time of the attempt */
	expect_pause(world, 1000);
	expect_pause(world, 2000);
	world_run(world, &ending.done);
	assert_int_equal(ending.err, ERR_THROTTLED);
	assert_string_equal(
		ending.detail, "RequestThrottled (HTTP 403, request id id-2, 3 attempts): Slow.");
	assert_int_equal(stats(world)->requests, 3);
	assert_int_equal(stats(world)->retries, 2);
	assert_int_equal(stats(world)->throttled, 3);
	assert_int_equal(stats(world)->renewed, 0);
	assert_int_equal(stats(world)->exhausted, 0);

	/* Only repetitions say that they are. */
	assert_null(fake_header(&world->fake, 0, "amz-sdk-request"));
	assert_null(fake_header(&world->fake, 0, "amz-sdk-invocation-id"));
	assert_header(world, 1, "amz-sdk-request", "attempt=2; max=3");
	assert_header(world, 2, "amz-sdk-request", "attempt=3; max=3");
	snprintf(id, sizeof(id), "%s", fake_header(&world->fake, 1, "amz-sdk-invocation-id"));
	assert_int_equal(strlen(id), 36);
	assert_header(world, 0, "X-Amz-Date", "20260102T030405Z");
	assert_header(world, 1, "X-Amz-Date", "20260102T030412Z");
	snprintf(authorization, sizeof(authorization), "%s",
		fake_header(&world->fake, 1, "Authorization"));
	assert_null(strstr(authorization, "amz-sdk"));
	assert_string_not_equal(authorization, fake_header(&world->fake, 0, "Authorization"));
	for (size_t i = 1; i < 3; i++) {
		assert_header(world, i, "amz-sdk-invocation-id", id);
		assert_string_equal(world->fake.requests[i].body, world->fake.requests[0].body);
	}
	world_close(world);
}

static void the_last_attempt_decides(void **state)
{
	static const char sent[] = "{\"Successful\":[{\"Id\":\"0\",\"MD5OfMessageBody\":"
				   "\"9dd4e461268c8034f5c8564e155c67a6\"}]}";
	static const struct queue_send sends[] = {{.body = "x", .body_bytes = 1}};
	struct world *world = world_open(&defaults, NULL);
	struct ending ending = {.done = false};
	struct queue_call *call;
	char id[64];

	/* What was sent is still known when the third answer comes. */
	fake_answer(&world->fake, 500, "", "<html>");
	fake_answer(&world->fake, 503, "", "");
	fake_answer(&world->fake, 200, "", sent);
	assert_int_equal(sqs_send_batch(world->client, world->queue_url, sends, 1, ending_of_batch,
				 &ending, &call),
		0);
	expect_pause(world, 50);
	expect_pause(world, 100);
	world_run(world, &ending.done);
	assert_int_equal(ending.err, 0);
	assert_string_equal(ending.detail, "");
	/* From one kind of failure to another that is not repeated; a new call, a new id. */
	fake_answer(&world->fake, 500, "", "<html>");
	fake_answer(&world->fake, 400, "", "{\"__type\":\"QueueDoesNotExist\"}");
	delete_one(world, &ending);
	world_run(world, &ending.done);
	assert_int_equal(ending.err, ERR_QUEUE_MISSING);
	assert_string_equal(
		ending.detail, "QueueDoesNotExist (HTTP 400, request id id-4, 2 attempts)");
	snprintf(id, sizeof(id), "%s", fake_header(&world->fake, 1, "amz-sdk-invocation-id"));
	assert_header(world, 2, "amz-sdk-invocation-id", id);
	assert_null(fake_header(&world->fake, 3, "amz-sdk-invocation-id"));
	assert_string_not_equal(fake_header(&world->fake, 4, "amz-sdk-invocation-id"), id);
	/* An answer that is none is not repeated either: SQS has acted. */
	fake_answer(&world->fake, 500, "", "");
	fake_answer(&world->fake, 200, "", "[]");
	delete_one(world, &ending);
	world_run(world, &ending.done);
	assert_int_equal(ending.err, ERR_PROTOCOL);
	assert_string_equal(ending.detail,
		"2 bytes that are not an answer of DeleteMessageBatch, request id id-6, "
		"2 attempts");
	world_close(world);
}

static void what_cannot_get_better_is_not_repeated(void **state)
{
	static const struct {
		int status;
		const char *body;
		int err;
	} cases[] = {
		{403, "{\"__type\":\"OverLimit\"}", ERR_OVER_LIMIT},
		{403, "{\"__type\":\"AccessDenied\"}", ERR_ACCESS_DENIED},
		{400, "{\"__type\":\"InvalidAddress\"}", ERR_REFUSED},
		{403, "{\"__type\":\"InvalidClientTokenId\"}", ERR_BAD_CREDENTIALS}, /* fixed */
		{413, "", ERR_TOO_LARGE},
	};
	struct world *world = world_open(&defaults, NULL);
	struct ending ending;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		fake_answer(&world->fake, cases[i].status, "", cases[i].body);
		receive(world, &ending);
		world_run(world, &ending.done);
		assert_int_equal(ending.err, cases[i].err);
		assert_null(strstr(ending.detail, "attempts"));
	}
	assert_int_equal(stats(world)->requests, COUNT_OF(cases));
	assert_int_equal(stats(world)->retries, 0);
	assert_int_equal(stats(world)->throttled, 1); /* it asked to slow down all the same */
	world_close(world);
}

static void a_time_that_the_server_names(void **state)
{
	/* NULL: ignored. Drawn are at most 49 ms. */
	static const struct {
		const char *header;
		uint64_t least_us, slack_us;
	} cases[] = {
		{"x-amz-retry-after: 700\r\n", 700000, 0},
		{"X-Amz-Retry-After: 0\r\n", 0, 49000},
		{"x-amz-retry-after: 999999999\r\n", 5000000, 49000},
		{"x-amz-retry-after: 9999999999\r\n", 0, 49000},
		{"x-amz-retry-after: -700\r\n", 0, 49000},
		{"x-amz-retry-after: 700ms\r\n", 0, 49000},
		{"x-amz-retry-after: \r\n", 0, 49000},
		{"Retry-After: 700\r\n", 0, 49000},
	};
	struct world *world = world_open(&defaults, NULL);
	struct ending ending;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		uint64_t delay_us;

		fake_answer(&world->fake, 503, cases[i].header, "");
		fake_answer(&world->fake, 200, "", DELETED);
		delete_one(world, &ending);
		delay_us = world_run_to_timer(world);
		assert_in_range(delay_us, cases[i].least_us, cases[i].least_us + cases[i].slack_us);
		world_run(world, &ending.done);
		assert_int_equal(ending.err, 0);
	}
	world_close(world);
}

/* Two calls of up to 20 attempts spend the bucket; the third has one, and its pause. */
static void an_empty_bucket(void **state)
{
	const struct sqs_client_options options = {.max_attempts = 20};
	struct world *world = world_open(&options, NULL);
	struct ending ending;
	uint64_t delay_us;

	for (int i = 0; i < 20 + 17 + 1; i++)
		fake_answer(&world->fake, 500, "", "");
	delete_one(world, &ending);
	world_run(world, &ending.done);
	assert_int_equal(stats(world)->requests, 20); /* 19 repetitions: 234 tokens are left */
	assert_int_equal(stats(world)->exhausted, 0);
	delete_one(world, &ending);
	world_run(world, &ending.done);
	assert_int_equal(stats(world)->requests, 20 + 17); /* 10 are left */
	assert_int_equal(stats(world)->exhausted, 1);
	assert_non_null(strstr(ending.detail, "17 attempts"));

	receive(world, &ending);
	world_run_requests(world, 38);
	delay_us = random_below(world_next_random(world), 50) * 1000;
	assert_int_equal(world_run_to_timer(world), delay_us);
	assert_false(ending.done);
	manual_clock_advance(&world->clock, delay_us);
	assert_true(ending.done);
	assert_int_equal(ending.err, ERR_UNAVAILABLE);
	assert_string_equal(ending.detail, "no error code (HTTP 500, request id id-37)");
	assert_int_equal(stats(world)->requests, 38);
	assert_int_equal(stats(world)->exhausted, 2);
	/* Four calls that succeed are tokens enough for one repetition. */
	for (int i = 0; i < 4; i++) {
		fake_answer(&world->fake, 200, "", DELETED);
		delete_one(world, &ending);
		world_run(world, &ending.done);
	}
	fake_answer(&world->fake, 500, "", "");
	fake_answer(&world->fake, 200, "", DELETED);
	delete_one(world, &ending);
	world_run(world, &ending.done);
	assert_int_equal(ending.err, 0);
	world_close(world);
}

static void nobody_is_there(void **state)
{
	static const struct {
		const char *endpoint;
		int err;
	} cases[] = {
		{"http://127.0.0.1:1/", ERR_CONNECT},
		{"http://name.invalid/", ERR_DNS},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct world *world = world_open(
			&(struct sqs_client_options){.endpoint = cases[i].endpoint}, NULL);
		struct ending ending;

		receive(world, &ending);
		expect_pause(world, 50);
		expect_pause(world, 100);
		world_run(world, &ending.done);
		assert_int_equal(ending.err, cases[i].err);
		assert_non_null(strstr(ending.detail, ", 3 attempts"));
		assert_int_equal(stats(world)->requests, 3);
		world_close(world);
	}
}

/* Answers that stop somewhere, the connection staying open. */
static const char *const frozen[] = {
	NULL,
	"",
	"HTTP/1.1 200 OK\r\nContent-Ty",
	"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"Mess",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"Me",
};

static void freeze(struct world *world)
{
	for (size_t i = 0; i < COUNT_OF(frozen); i++) {
		if (frozen[i] == NULL)
			fake_silence(&world->fake);
		else
			fake_script(&world->fake, frozen[i], strlen(frozen[i]));
	}
}

/* All of them at once, for a receive's time-out cannot be set. */
static void polls_that_freeze_are_made_again(void **state)
{
	struct world *world = world_open(&hasty, NULL);
	struct ending endings[COUNT_OF(frozen)];

	freeze(world);
	fake_otherwise(&world->fake, 200, "{}");
	for (size_t i = 0; i < COUNT_OF(frozen); i++)
		receive(world, &endings[i]);
	for (size_t i = 0; i < COUNT_OF(frozen); i++) {
		world_run(world, &endings[i].done);
		assert_int_equal(endings[i].err, 0);
	}
	assert_int_equal(world->fake.request_count, 2 * COUNT_OF(frozen));
	assert_int_equal(stats(world)->retries, COUNT_OF(frozen));
	world_close(world);
}

static void other_calls_that_freeze_are_made_again(void **state)
{
	struct world *world = world_open(&hasty, NULL);
	struct ending ending;

	for (size_t i = 0; i < COUNT_OF(frozen); i++) {
		if (frozen[i] == NULL)
			fake_silence(&world->fake);
		else
			fake_script(&world->fake, frozen[i], strlen(frozen[i]));
		fake_answer(&world->fake, 200, "", DELETED);
		delete_one(world, &ending);
		expect_pause(world, 50);
		world_run(world, &ending.done);
		assert_int_equal(ending.err, 0);
	}
	/* Three times in a row is the end. */
	for (int i = 0; i < 3; i++)
		fake_silence(&world->fake);
	delete_one(world, &ending);
	expect_pause(world, 50);
	expect_pause(world, 100);
	world_run(world, &ending.done);
	assert_int_equal(ending.err, ERR_TIMEOUT);
	assert_non_null(strstr(ending.detail, ", 3 attempts"));
	world_close(world);
}

/* The connection ends behind each byte of the answer in turn; then a whole one comes. */
static void an_answer_cut_anywhere(void **state)
{
	static const char raw[] = "HTTP/1.1 200 OK\r\nx-amzn-RequestId: 1\r\nContent-Length: 27\r\n"
				  "\r\n" DELETED;
	struct world *world = world_open(&defaults, NULL);
	struct ending ending;

	_Static_assert(sizeof(DELETED) - 1 == 27, "the length that the answer names");
	for (size_t len = 0; len < sizeof(raw) - 1; len++) {
		fake_script(&world->fake, raw, len)->close = true;
		fake_answer(&world->fake, 200, "", DELETED);
		delete_one(world, &ending);
		world_run(world, &ending.done);
		assert_int_equal(ending.err, 0);
		assert_int_equal(world->fake.request_count, 2 * (len + 1));
	}
	assert_int_equal(stats(world)->requests, 2 * (sizeof(raw) - 1));
	assert_int_equal(stats(world)->retries, sizeof(raw) - 1);
	world_close(world);
}

/* Seen before the next request: another connection, and no repetition. */
static void a_connection_that_closed_between_two_calls(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	struct ending ending;

	fake_answer(&world->fake, 200, "", DELETED)->close = true;
	delete_one(world, &ending);
	world_run(world, &ending.done);
	while (!list_is_empty(&world->fake.connections))
		uv_run(&world->loop, UV_RUN_ONCE);
	fake_answer(&world->fake, 200, "", DELETED);
	delete_one(world, &ending);
	world_run(world, &ending.done);
	assert_int_equal(ending.err, 0);
	assert_int_equal(stats(world)->requests, 2);
	world_close(world);
}

/* The same while the request is on its way: at once, free of charge, once a call. */
static void a_connection_that_closes_under_a_request(void **state)
{
	const struct sqs_client_options options = {.max_attempts = 1};
	struct world *world = world_open(&options, NULL);
	struct ending ending;

	for (size_t call = 0; call < 3; call++) {
		fake_answer(&world->fake, 200, "", DELETED);
		delete_one(world, &ending);
		world_run(world, &ending.done);
		fake_script(&world->fake, "", 0)->close = true;
		fake_answer(&world->fake, 200, "", DELETED);
		delete_one(world, &ending);
		world_run(world, &ending.done);
		assert_int_equal(ending.err, 0);
		assert_header(world, 3 * call + 2, "amz-sdk-request", "attempt=1; max=1");
		assert_int_equal(stats(world)->retries, call + 1);
	}
	assert_int_equal(world->clock.now_us, 0); /* nothing was waited for */
	world_close(world);
}

static void a_call_that_pauses_keeps_its_slot(void **state)
{
	const struct sqs_client_options options = {.max_in_flight = 1};
	struct world *world = world_open(&options, NULL);
	struct ending polled, deleted;
	struct queue_call *call;

	fake_answer(&world->fake, 500, "", "");
	receive(world, &polled);
	world_run_to_timer(world);
	assert_int_equal(sqs_receive(world->client, world->queue_url, &short_poll,
				 ending_of_receive, &polled, &call),
		ERR_LIMIT);
	/* Deletes have slots of their own. */
	fake_answer(&world->fake, 200, "", DELETED);
	delete_one(world, &deleted);
	world_run_requests(world, 2);
	fake_answer(&world->fake, 200, "", "{}");
	world_run(world, &deleted.done);
	world_run(world, &polled.done);
	assert_int_equal(polled.err, 0);
	fake_answer(&world->fake, 200, "", "{}");
	receive(world, &polled);
	world_run(world, &polled.done);
	assert_int_equal(polled.err, 0);
	world_close(world);
}

/* Leaves a call of each state that needs no keys: sent, paused, about to fail. */
static void reach_each_state(
	struct world *world, struct queue_call *calls[3], struct ending endings[3])
{
	for (int i = 0; i < 20 + 17; i++)
		fake_answer(&world->fake, 500, "", "");
	for (int i = 0; i < 2; i++) {
		delete_one(world, &endings[0]);
		world_run(world, &endings[0].done);
	}
	fake_answer(&world->fake, 500, "", "");
	calls[0] = delete_one(world, &endings[0]); /* the bucket is empty: about to fail */
	world_run_to_timer(world);
	fake_answer(&world->fake, 403, "", THROTTLED);
	calls[1] = receive(world, &endings[1]); /* a throttle costs less: paused */
	world_run_requests(world, 39);
	while (world->clock.heap.count < 2)
		uv_run(&world->loop, UV_RUN_ONCE);
	fake_silence(&world->fake);
	calls[2] = delete_one(world, &endings[2]);
	world_run_requests(world, 40);
	assert_int_equal(stats(world)->exhausted, 2);
	assert_false(endings[0].done || endings[1].done || endings[2].done);
}

static const struct sqs_client_options persistent = {.max_attempts = 20};

static void cancelled_in_each_state(void **state)
{
	struct world *world = world_open(&persistent, NULL);
	struct ending endings[3] = {{.done = false}}, again;
	struct queue_call *calls[3];

	reach_each_state(world, calls, endings);
	for (size_t i = 0; i < 3; i++)
		sqs_call_cancel(world->client, calls[i]);
	manual_clock_advance(&world->clock, 60000000);
	assert_int_equal(stats(world)->requests, 40);
	/* The memory of all three is used again. */
	for (int i = 0; i < 4; i++) {
		fake_answer(&world->fake, 200, "", DELETED);
		delete_one(world, &again);
		world_run(world, &again.done);
		assert_int_equal(again.err, 0);
	}
	world_close(world);
	assert_false(endings[0].done || endings[1].done || endings[2].done);
}

static void closed_in_each_state(void **state)
{
	struct world *world = world_open(&persistent, NULL);
	struct ending endings[3] = {{.done = false}};
	struct queue_call *calls[3];

	reach_each_state(world, calls, endings);
	world_close(world);
	assert_false(endings[0].done || endings[1].done || endings[2].done);
}

/* The one that is about to fail closes the client when it does, from a timer. */
static void closed_from_inside_of_a_timer(void **state)
{
	struct world *world = world_open(&persistent, NULL);
	struct ending endings[3] = {{.done = false}};
	struct queue_call *calls[3];

	reach_each_state(world, calls, endings);
	endings[0].close = world->client;
	while (!endings[0].done)
		assert_true(manual_clock_step(&world->clock));
	world->client = NULL;
	world_close(world);
	assert_false(endings[2].done);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(throttles_are_waited_for_and_counted),
		cmocka_unit_test(the_last_attempt_decides),
		cmocka_unit_test(what_cannot_get_better_is_not_repeated),
		cmocka_unit_test(a_time_that_the_server_names),
		cmocka_unit_test(an_empty_bucket),
		cmocka_unit_test(nobody_is_there),
		cmocka_unit_test(polls_that_freeze_are_made_again),
		cmocka_unit_test(other_calls_that_freeze_are_made_again),
		cmocka_unit_test(an_answer_cut_anywhere),
		cmocka_unit_test(a_connection_that_closed_between_two_calls),
		cmocka_unit_test(a_connection_that_closes_under_a_request),
		cmocka_unit_test(a_call_that_pauses_keeps_its_slot),
		cmocka_unit_test(cancelled_in_each_state),
		cmocka_unit_test(closed_in_each_state),
		cmocka_unit_test(closed_from_inside_of_a_timer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
