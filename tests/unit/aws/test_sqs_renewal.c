/* Keys that come late, end, or are refused; and clocks that are wrong. */
#include "aws/sqs_client.h"
#include "bunshin/error.h"
#include "fake_credentials.h"
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
#define EXPIRED "{\"__type\":\"ExpiredTokenException\",\"message\":\"Old.\"}"
#define MISMATCH "{\"__type\":\"SignatureDoesNotMatch\"}"
#define MINUTE_MS ((int64_t)60000)

static const struct sqs_client_options defaults = {0};
static const struct queue_receive poll = {.max_messages = 10, .wait_s = 20, .visibility_s = 30};
static const char *const handles[] = {"r0"};

static struct queue_call *receive(struct world *world, struct ending *ending)
{
	struct queue_call *call;

	*ending = (struct ending){.done = false};
	assert_int_equal(sqs_receive(world->client, world->queue_url, &poll, ending_of_receive,
				 ending, &call),
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

static void assert_signed_by(const struct world *world, size_t i, const char *id)
{
	char expected[100];

	snprintf(expected, sizeof(expected), "Credential=%s/", id);
	assert_non_null(strstr(fake_header(&world->fake, i, "Authorization"), expected));
}

static void run_until_waiting(struct world *world, size_t count)
{
	while (fake_credentials_waiting(world->credentials) < count)
		assert_int_not_equal(uv_run(&world->loop, UV_RUN_ONCE), 0);
}

/* ---- keys */

static void a_call_waits_for_the_first_keys(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	struct ending endings[2];

	fake_credentials_say(world->credentials, ERR_PENDING, "", "asking");
	receive(world, &endings[0]);
	delete_one(world, &endings[1]);
	assert_int_equal(fake_credentials_waiting(world->credentials), 2);
	assert_int_equal(stats(world)->requests, 0);
	/* A search that ends without keys and is followed by another. */
	fake_credentials_found(world->credentials);
	assert_int_equal(fake_credentials_waiting(world->credentials), 2);
	manual_clock_advance(&world->clock, 9999999);
	fake_credentials_say(world->credentials, 0, "NEW", "");
	fake_otherwise(&world->fake, 200, "{}");
	fake_credentials_found(world->credentials);
	assert_int_equal(stats(world)->requests, 2);
	world_run(world, &endings[0].done);
	world_run(world, &endings[1].done);
	assert_int_equal(endings[0].err, 0);
	assert_int_equal(endings[1].err, 0);
	assert_signed_by(world, 0, "NEW");
	assert_int_equal(stats(world)->retries + stats(world)->renewed, 0);
	world_close(world);
}

/* Its own time-out for a call, wait and slack for a receive; from when it began to wait. */
static void keys_that_do_not_come(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	struct ending polled, deleted;

	fake_credentials_say(world->credentials, ERR_PENDING, "", "IMDS does not answer");
	receive(world, &polled);
	delete_one(world, &deleted);
	manual_clock_advance(&world->clock, 5000000);
	fake_credentials_found(world->credentials);
	manual_clock_advance(&world->clock, 4999999);
	assert_false(deleted.done);
	manual_clock_advance(&world->clock, 1);
	assert_true(deleted.done);
	assert_int_equal(deleted.err, ERR_TIMEOUT);
	assert_string_equal(deleted.detail, "no credentials within 10000 ms: IMDS does not answer");
	manual_clock_advance(&world->clock, 14999999);
	assert_false(polled.done);
	fake_credentials_say(world->credentials, ERR_PENDING, "", "");
	manual_clock_advance(&world->clock, 1);
	assert_true(polled.done);
	assert_string_equal(polled.detail, "no credentials within 25000 ms");
	assert_int_equal(fake_credentials_waiting(world->credentials), 0);
	assert_int_equal(stats(world)->requests, 0);
	world_close(world);
}

static void a_search_that_fails(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	struct ending endings[2];
	struct queue_call *call;

	fake_credentials_say(world->credentials, ERR_PENDING, "", "");
	delete_one(world, &endings[0]);
	delete_one(world, &endings[1]);
	fake_credentials_say(world->credentials, ERR_NO_CREDENTIALS, "", "no provider has any");
	fake_credentials_found(world->credentials);
	for (int i = 0; i < 2; i++) {
		assert_true(endings[i].done);
		assert_int_equal(endings[i].err, ERR_NO_CREDENTIALS);
		assert_string_equal(endings[i].detail, "no provider has any");
	}
	/* A call that begins now is told at once. */
	assert_int_equal(sqs_delete_batch(world->client, world->queue_url, handles, 1,
				 ending_of_batch, &endings[0], &call),
		ERR_NO_CREDENTIALS);
	/* At the instant of the time-out the search has just ended, too. */
	fake_credentials_say(world->credentials, ERR_PENDING, "", "");
	delete_one(world, &endings[0]);
	fake_credentials_say(world->credentials, ERR_ACCESS_DENIED, "", "");
	manual_clock_advance(&world->clock, 10000000);
	assert_true(endings[0].done);
	assert_int_equal(endings[0].err, ERR_ACCESS_DENIED);
	assert_string_equal(endings[0].detail, "access denied");
	world_close(world);
}

static void keys_that_ended_between_two_attempts(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	struct ending ending;

	/* They are being renewed: the repetition waits. Then they are gone for good. */
	fake_answer(&world->fake, 500, "", "");
	delete_one(world, &ending);
	world_run_to_timer(world);
	fake_credentials_say(world->credentials, ERR_PENDING, "", "");
	manual_clock_step(&world->clock);
	assert_int_equal(fake_credentials_waiting(world->credentials), 1);
	fake_credentials_say(world->credentials, 0, "NEW", "");
	fake_answer(&world->fake, 500, "", "");
	fake_credentials_found(world->credentials);
	world_run_to_timer(world);
	assert_signed_by(world, 1, "NEW");
	fake_credentials_say(
		world->credentials, ERR_EXPIRED_CREDENTIALS, "", "the role is not there");
	manual_clock_step(&world->clock);
	assert_true(ending.done);
	assert_int_equal(ending.err, ERR_EXPIRED_CREDENTIALS);
	assert_string_equal(ending.detail, "the role is not there, 2 attempts");
	assert_int_equal(stats(world)->retries, 1);
	world_close(world);
}

static void refused_keys_are_renewed_once_for_all(void **state)
{
	struct world *world = world_open(&(struct sqs_client_options){.max_attempts = 1}, NULL);
	struct ending endings[2], third;
	char id[64];

	fake_credentials_renewable(world->credentials, true);
	fake_answer(&world->fake, 403, "", EXPIRED);
	fake_answer(&world->fake, 403, "", EXPIRED);
	delete_one(world, &endings[0]);
	delete_one(world, &endings[1]);
	run_until_waiting(world, 2);
	assert_int_equal(fake_credentials_searches(world->credentials), 1);
	/* A call of the meantime is refused as well, but when the new keys are there already. */
	fake_answer(&world->fake, 403, "", "{\"__type\":\"InvalidClientTokenId\"}")->delay_ms = 1;
	receive(world, &third);
	world_run_requests(world, 3);
	fake_otherwise(&world->fake, 200, DELETED);
	fake_credentials_say(world->credentials, 0, "NEW", "");
	fake_credentials_found(world->credentials);
	for (int i = 0; i < 2; i++) {
		world_run(world, &endings[i].done);
		assert_int_equal(endings[i].err, 0);
	}
	world_run(world, &third.done);
	assert_int_equal(third.err, 0);
	assert_int_equal(fake_credentials_searches(world->credentials), 1);
	assert_int_equal(stats(world)->requests, 6);
	assert_int_equal(stats(world)->renewed, 3);
	assert_int_equal(stats(world)->retries, 0);
	snprintf(id, sizeof(id), "%s", fake_header(&world->fake, 3, "amz-sdk-request"));
	assert_string_equal(id, "attempt=1; max=1");
	for (size_t i = 0; i < 6; i++)
		assert_signed_by(world, i, i < 3 ? "AKIDEXAMPLE" : "NEW");
	world_close(world);
}

static void new_keys_that_are_refused_too(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	struct ending ending;

	fake_credentials_renewable(world->credentials, true);
	fake_answer(&world->fake, 403, "", EXPIRED);
	fake_answer(&world->fake, 403, "", EXPIRED);
	delete_one(world, &ending);
	run_until_waiting(world, 1);
	fake_credentials_say(world->credentials, 0, "NEW", "");
	fake_credentials_found(world->credentials);
	world_run(world, &ending.done);
	assert_int_equal(ending.err, ERR_EXPIRED_CREDENTIALS);
	assert_string_equal(ending.detail,
		"ExpiredTokenException (HTTP 403, request id id-1, 2 attempts): Old.");
	assert_int_equal(fake_credentials_searches(world->credentials), 1);
	world_close(world);
}

static void refused_keys_without_others(void **state)
{
	static const char *const codes[] = {"ExpiredToken", "ExpiredTokenException",
		"InvalidClientTokenId", "UnrecognizedClientException"};
	struct world *world = world_open(&defaults, NULL);
	struct ending ending;

	/* Fixed keys: told at once. */
	for (size_t i = 0; i < COUNT_OF(codes); i++) {
		char body[100];

		snprintf(body, sizeof(body), "{\"__type\":\"%s\"}", codes[i]);
		fake_answer(&world->fake, 403, "", body);
		delete_one(world, &ending);
		world_run(world, &ending.done);
		assert_int_equal(error_class(ending.err), ERROR_AUTH);
	}
	assert_int_equal(stats(world)->requests, COUNT_OF(codes));
	/* A renewal that brings the same ones again: the refusal stands. */
	fake_credentials_renewable(world->credentials, true);
	fake_answer(&world->fake, 403, "", EXPIRED);
	delete_one(world, &ending);
	run_until_waiting(world, 1);
	fake_credentials_found(world->credentials);
	assert_true(ending.done);
	assert_string_equal(
		ending.detail, "ExpiredTokenException (HTTP 403, request id id-4): Old.");
	/* One that never ends: the same, when the time is over. */
	fake_answer(&world->fake, 403, "", EXPIRED);
	delete_one(world, &ending);
	run_until_waiting(world, 1);
	manual_clock_advance(&world->clock, 9999999);
	assert_false(ending.done);
	manual_clock_advance(&world->clock, 1);
	assert_true(ending.done);
	assert_int_equal(ending.err, ERR_EXPIRED_CREDENTIALS);
	/* One that fails says why. */
	fake_credentials_found(world->credentials);
	fake_answer(&world->fake, 403, "", EXPIRED);
	delete_one(world, &ending);
	run_until_waiting(world, 1);
	fake_credentials_say(world->credentials, ERR_EXPIRED_CREDENTIALS, "", "no role");
	fake_credentials_found(world->credentials);
	assert_true(ending.done);
	assert_string_equal(ending.detail, "no role");
	world_close(world);
}

/* Nothing of this is about the keys' age: asked for no others. */
static void other_refusals_renew_nothing(void **state)
{
	static const char *const codes[] = {"AccessDenied", "IncompleteSignature",
		"MissingAuthenticationToken", "SignatureDoesNotMatch"};
	struct world *world = world_open(&defaults, NULL);
	struct ending ending;

	fake_credentials_renewable(world->credentials, true);
	for (size_t i = 0; i < COUNT_OF(codes); i++) {
		char body[100];

		snprintf(body, sizeof(body), "{\"__type\":\"%s\"}", codes[i]);
		fake_answer(&world->fake, 403, "", body);
		delete_one(world, &ending);
		world_run(world, &ending.done);
		assert_int_equal(error_class(ending.err), ERROR_AUTH);
	}
	assert_int_equal(fake_credentials_searches(world->credentials), 0);
	world_close(world);
}

static void cancelled_while_waiting_for_keys(void **state)
{
	struct world *world = world_open(&defaults, NULL);
	struct ending endings[3];
	struct queue_call *call;

	fake_credentials_say(world->credentials, ERR_PENDING, "", "");
	call = delete_one(world, &endings[0]);
	delete_one(world, &endings[1]);
	sqs_call_cancel(world->client, call);
	assert_int_equal(fake_credentials_waiting(world->credentials), 1);
	/* Its memory serves the next, which waits when the client is closed. */
	receive(world, &endings[2]);
	fake_credentials_say(world->credentials, ERR_NO_CREDENTIALS, "", "");
	manual_clock_advance(&world->clock, 10000000);
	assert_true(endings[1].done);
	assert_int_equal(fake_credentials_waiting(world->credentials), 1);
	sqs_client_close(world->client);
	world->client = NULL;
	assert_int_equal(fake_credentials_waiting(world->credentials), 0);
	assert_false(manual_clock_step(&world->clock));
	world_close(world);
	assert_false(endings[0].done || endings[2].done);
}

/* ---- the clock */

struct corrections {
	unsigned count;
	int64_t offset_ms;
};

static void corrected(void *arg, int64_t offset_ms)
{
	struct corrections *corrections = arg;

	corrections->count++;
	corrections->offset_ms = offset_ms;
}

/* SQS's clock stands at WORLD_EPOCH_MS, the Date of all answers; ours is so far behind it. */
static struct world *world_behind(int64_t behind_ms, struct corrections *corrections)
{
	const struct sqs_client_options options = {
		.clock_corrected = corrected, .arg = corrections};
	struct world *world = world_open(&options, NULL);

	*corrections = (struct corrections){.count = 0};
	world->clock.wall_epoch_ms -= behind_ms;
	return world;
}

static void a_wrong_clock_is_corrected(void **state)
{
	static const int64_t behind_ms[] = {10 * MINUTE_MS, -10 * MINUTE_MS, 4 * MINUTE_MS,
		-20000 * 24 * 60 * MINUTE_MS, 56LL * 365 * 24 * 60 * MINUTE_MS};
	static const char *const bodies[] = {"{\"__type\":\"RequestTimeTooSkewed\"}",
		"{\"__type\":\"RequestExpired\"}", "{\"__type\":\"RequestInTheFuture\"}"};

	for (size_t i = 0; i < COUNT_OF(behind_ms) * COUNT_OF(bodies); i++) {
		struct corrections corrections;
		struct world *world = world_behind(behind_ms[i / COUNT_OF(bodies)], &corrections);
		struct ending ending;

		fake_answer(&world->fake, 403, "", bodies[i % COUNT_OF(bodies)]);
		fake_answer(&world->fake, 200, "", DELETED);
		delete_one(world, &ending);
		world_run(world, &ending.done);
		assert_int_equal(ending.err, 0);
		assert_string_not_equal(
			fake_header(&world->fake, 0, "X-Amz-Date"), "20260102T030405Z");
		assert_string_equal(fake_header(&world->fake, 1, "X-Amz-Date"), "20260102T030405Z");
		assert_string_equal(
			fake_header(&world->fake, 1, "amz-sdk-request"), "attempt=1; max=3");
		assert_int_equal(corrections.count, 1);
		assert_int_equal(corrections.offset_ms, behind_ms[i / COUNT_OF(bodies)]);
		assert_int_equal(stats(world)->clock_offset_ms, corrections.offset_ms);
		assert_int_equal(stats(world)->renewed, 1);
		assert_int_equal(stats(world)->retries, 0);
		assert_int_equal(world->clock.now_us, 0);
		world_close(world);
	}
}

/* A signature that does not match is taken for a wrong clock when the clock is wrong. */
static void a_signature_of_a_wrong_time(void **state)
{
	struct corrections corrections;
	struct world *world = world_behind(10 * MINUTE_MS, &corrections);
	struct ending endings[3];

	/* Both were signed by the old time; the answer of the first has corrected it. */
	fake_answer(&world->fake, 403, "", MISMATCH);
	fake_answer(&world->fake, 403, "", MISMATCH)->delay_ms = 20;
	fake_otherwise(&world->fake, 200, DELETED);
	delete_one(world, &endings[0]);
	delete_one(world, &endings[1]);
	world_run(world, &endings[0].done);
	world_run(world, &endings[1].done);
	assert_int_equal(endings[0].err, 0);
	assert_int_equal(endings[1].err, 0);
	assert_int_equal(stats(world)->renewed, 2);
	assert_int_equal(corrections.count, 1);
	world_close(world);
	/* By the corrected time it is the keys, and nothing is repeated. */
	world = world_behind(10 * MINUTE_MS, &corrections);
	fake_answer(&world->fake, 403, "", MISMATCH);
	fake_answer(&world->fake, 403, "", MISMATCH);
	delete_one(world, &endings[2]);
	world_run(world, &endings[2].done);
	assert_int_equal(endings[2].err, ERR_BAD_CREDENTIALS);
	assert_non_null(strstr(endings[2].detail, "2 attempts"));
	world_close(world);
}

/* The time is what it is: told once, signed again no second time. */
static void a_service_that_does_not_agree_with_its_own_date(void **state)
{
	struct corrections corrections;
	struct world *world = world_behind(10 * MINUTE_MS, &corrections);
	struct ending ending;

	for (int i = 0; i < 3; i++)
		fake_answer(&world->fake, 403, "", "{\"__type\":\"RequestExpired\"}");
	for (int i = 0; i < 2; i++) {
		delete_one(world, &ending);
		world_run(world, &ending.done);
		assert_int_equal(ending.err, ERR_CLOCK_SKEW);
	}
	assert_int_equal(stats(world)->requests, 3);
	world_close(world);
}

static void any_answer_corrects_the_clock(void **state)
{
	struct corrections corrections;
	struct world *world = world_behind(-10 * MINUTE_MS, &corrections);
	struct ending ending;

	fake_answer(&world->fake, 200, "", DELETED);
	delete_one(world, &ending);
	world_run(world, &ending.done);
	assert_int_equal(corrections.count, 1);
	assert_int_equal(corrections.offset_ms, -10 * MINUTE_MS);
	/* Somebody sets this machine's clock right: back to it, from the next answer on. */
	world->clock.wall_epoch_ms = WORLD_EPOCH_MS;
	fake_answer(&world->fake, 200, "", DELETED);
	fake_answer(&world->fake, 200, "", DELETED);
	delete_one(world, &ending);
	world_run(world, &ending.done);
	assert_int_equal(corrections.count, 2);
	assert_int_equal(corrections.offset_ms, 0);
	assert_int_equal(stats(world)->clock_offset_ms, 0);
	delete_one(world, &ending);
	world_run(world, &ending.done);
	assert_string_equal(fake_header(&world->fake, 1, "X-Amz-Date"), "20260102T025405Z");
	assert_string_equal(fake_header(&world->fake, 2, "X-Amz-Date"), "20260102T030405Z");
	assert_int_equal(corrections.count, 2);
	world_close(world);
}

static void a_clock_that_is_left_alone(void **state)
{
	static const struct {
		int64_t behind_ms;
		const char *headers; /* instead of those of fake_answer(), if not NULL */
		uint64_t took_ms;
		int err;
	} cases[] = {
		{3 * MINUTE_MS, NULL, 0, ERR_BAD_CREDENTIALS},
		{-3 * MINUTE_MS, NULL, 0, ERR_BAD_CREDENTIALS},
		{10 * MINUTE_MS, "Date: Fri, 02 Jan 2026 03:04:05 GMT\r\nAge: 0\r\n", 0,
			ERR_BAD_CREDENTIALS},
		{10 * MINUTE_MS, "Date: 2026-01-02T03:04:05Z\r\n", 0, ERR_BAD_CREDENTIALS},
		{10 * MINUTE_MS, "", 0, ERR_BAD_CREDENTIALS},
		/* An exchange of a quarter of an hour, the machine having slept perhaps. */
		{30 * MINUTE_MS, NULL, 15 * 60000, ERR_BAD_CREDENTIALS},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct corrections corrections;
		struct world *world = world_behind(cases[i].behind_ms, &corrections);
		struct ending ending;
		char raw[400];

		snprintf(raw, sizeof(raw), "HTTP/1.1 403 No\r\n%sContent-Length: 34\r\n\r\n%s",
			cases[i].headers != NULL ? cases[i].headers : "", MISMATCH);
		if (cases[i].headers != NULL)
			fake_script(&world->fake, raw, strlen(raw));
		else
			fake_answer(&world->fake, 403, "", MISMATCH);
		delete_one(world, &ending);
		world->clock.now_us += cases[i].took_ms * 1000;
		world_run(world, &ending.done);
		assert_int_equal(ending.err, cases[i].err);
		assert_int_equal(corrections.count, 0);
		assert_int_equal(stats(world)->clock_offset_ms, 0);
		world_close(world);
	}
}

/* The wait of a long poll lies between what was sent and what came: half of it each way. */
static void the_wait_of_a_poll_is_no_skew(void **state)
{
	struct corrections corrections;
	struct world *world = world_behind(0, &corrections);
	struct ending ending;

	fake_answer(&world->fake, 200, "", "{}");
	receive(world, &ending);
	world->clock.now_us += 20000000;
	world_run(world, &ending.done);
	assert_int_equal(corrections.count, 0);
	/* Four minutes off, and ten seconds of the wait that count as half of 20. */
	world->clock.wall_epoch_ms = WORLD_EPOCH_MS - 4 * MINUTE_MS - 20000 - 10000;
	fake_answer(&world->fake, 200, "", "{}");
	receive(world, &ending);
	world->clock.now_us += 20000000;
	world_run(world, &ending.done);
	assert_int_equal(corrections.count, 1);
	assert_int_equal(corrections.offset_ms, 4 * MINUTE_MS);
	world_close(world);
}

/*
 * A Date of the last second that can be signed, or a clock set by decades, leaves an offset behind
 * by which nothing can be signed: it is dropped.
 */
static void an_offset_that_cannot_be_signed_by(void **state)
{
	static const char raw[] = "HTTP/1.1 200 OK\r\nDate: Fri, 31 Dec 9999 23:59:59 GMT\r\n"
				  "Content-Length: 27\r\n\r\n" DELETED;
	struct corrections corrections;
	struct world *world = world_behind(0, &corrections);
	struct ending ending;

	fake_script(&world->fake, raw, sizeof(raw) - 1);
	delete_one(world, &ending);
	world_run(world, &ending.done);
	assert_int_equal(corrections.count, 1);
	manual_clock_advance(&world->clock, 2000000);
	fake_answer(&world->fake, 200, "", DELETED);
	delete_one(world, &ending);
	assert_int_equal(corrections.count, 2);
	world_run(world, &ending.done);
	assert_int_equal(ending.err, 0);
	assert_string_equal(fake_header(&world->fake, 1, "X-Amz-Date"), "20260102T030407Z");
	assert_int_equal(stats(world)->clock_offset_ms, 0);
	world_close(world);

	world = world_behind(-20000 * 24 * 60 * MINUTE_MS, &corrections);
	fake_answer(&world->fake, 200, "", DELETED);
	delete_one(world, &ending);
	world_run(world, &ending.done);
	assert_int_equal(corrections.count, 1);
	world->clock.wall_epoch_ms = 1000;
	fake_answer(&world->fake, 200, "", DELETED);
	delete_one(world, &ending);
	world_run(world, &ending.done);
	assert_int_equal(ending.err, 0);
	assert_string_equal(fake_header(&world->fake, 1, "X-Amz-Date"), "19700101T000001Z");
	assert_int_equal(corrections.offset_ms, WORLD_EPOCH_MS - 1000);
	world_close(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_waits_for_the_first_keys),
		cmocka_unit_test(keys_that_do_not_come),
		cmocka_unit_test(a_search_that_fails),
		cmocka_unit_test(keys_that_ended_between_two_attempts),
		cmocka_unit_test(refused_keys_are_renewed_once_for_all),
		cmocka_unit_test(new_keys_that_are_refused_too),
		cmocka_unit_test(refused_keys_without_others),
		cmocka_unit_test(other_refusals_renew_nothing),
		cmocka_unit_test(cancelled_while_waiting_for_keys),
		cmocka_unit_test(a_wrong_clock_is_corrected),
		cmocka_unit_test(a_signature_of_a_wrong_time),
		cmocka_unit_test(a_service_that_does_not_agree_with_its_own_date),
		cmocka_unit_test(any_answer_corrects_the_clock),
		cmocka_unit_test(a_clock_that_is_left_alone),
		cmocka_unit_test(the_wait_of_a_poll_is_no_skew),
		cmocka_unit_test(an_offset_that_cannot_be_signed_by),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
