/* The chain: renewal, jumps of the clock, refusals; over scripted providers in virtual time. */
#include "aws/credentials/renewal.h"
#include "bunshin/error.h"
#include "chain_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- renewal */

static void open_with_life(int64_t life_ms)
{
	scripted[0].life_ms = life_ms;
	open_chain(1);
	assert_keys(1, 1);
}

static void keys_are_renewed_before_they_expire(void **state)
{
	int64_t delay_ms = credentials_renewal_delay_ms(6 * HOUR, next_random());

	open_with_life(6 * HOUR);
	assert_int_equal(
		credentials_status(credentials)->expires_epoch_ms, WALL_EPOCH_MS + 6 * HOUR);
	for (unsigned i = 2; i < 50; i++) {
		int64_t next_ms = credentials_renewal_delay_ms(6 * HOUR, next_random());

		assert_asked_after(&scripted[0], delay_ms);
		assert_keys(i, i);
		delay_ms = next_ms;
		assert_int_equal(credentials_status(credentials)->renewals, i);
		assert_int_equal(credentials_status(credentials)->renewed_epoch_ms, now_ms());
		assert_state(CREDENTIALS_READY);
	}
}

static void old_keys_serve_while_new_ones_are_awaited(void **state)
{
	struct recorder recorder = {0};

	open_with_life(HOUR);
	scripted[0].later = true;
	advance_ms(HOUR - 7 * MINUTE);
	assert_true(scripted[0].asked);
	assert_keys(1, 1);
	wait_for(&recorder);
	advance_ms(7 * MINUTE - 1);
	assert_keys(1, 1);
	/* And when they end meanwhile, the new ones are waited for. */
	advance_ms(1);
	assert_none(ERR_PENDING, "first has not answered yet");
	advance_ms(HOUR);
	assert_none(ERR_PENDING, "first has not answered yet");
	assert_int_equal(recorder.fired, 0);
	assert_int_equal(scripted[0].gets, 2);
	scripted_answer(&scripted[0]);
	turn();
	assert_int_equal(recorder.fired, 1);
	assert_keys(2, 2);
	assert_string_equal(changes, " ready:1 ready:2");
}

/* The instance's service gives the same keys until shortly before their end. */
static void unchanged_keys_are_asked_for_in_ever_shorter_steps(void **state)
{
	int64_t delay_ms = credentials_renewal_delay_ms(HOUR, next_random());
	int64_t end_ms = WALL_EPOCH_MS + HOUR;

	scripted[0].expires_epoch_ms = end_ms;
	scripted[0].keep = true;
	open_chain(1);
	assert_keys(1, 1);
	while (now_ms() + delay_ms < end_ms) {
		int64_t left_ms = end_ms - now_ms() - delay_ms;
		int64_t next_ms = credentials_renewal_delay_ms(left_ms, next_random());

		assert_asked_after(&scripted[0], delay_ms);
		assert_keys(1, 1);
		assert_int_equal(credentials_status(credentials)->renewals, 1);
		assert_int_equal(credentials_status(credentials)->renewed_epoch_ms, WALL_EPOCH_MS);
		delay_ms = next_ms;
	}
	assert_in_range(scripted[0].gets, 6, 20);
	assert_string_equal(changes, " ready:1");
	/* Its clock, or ours, is wrong: they go on serving, and it is asked now and then. */
	for (unsigned gets = scripted[0].gets, i = 1; i < 60; i++) {
		advance_ms(delay_ms);
		assert_int_equal(scripted[0].gets, gets + i);
		assert_keys(1, 1);
		delay_ms = (int64_t)(timer_heap_first(&manual.heap)->due_us - manual.now_us) / 1000;
		assert_in_range(delay_ms, 45 * SECOND, 75 * SECOND);
	}
}

static void keys_that_come_expired_are_used(void **state)
{
	static const int64_t ages_ms[] = {0, 1, HOUR, 10000 * HOUR};

	for (size_t i = 0; i < 4; i++) {
		int64_t delay_ms, next_ms;

		setup(NULL);
		delay_ms = credentials_renewal_delay_ms(0, next_random());
		scripted[0].expires_epoch_ms = WALL_EPOCH_MS - ages_ms[i];
		open_chain(1);
		assert_keys(1, 1);
		assert_state(CREDENTIALS_READY);
		next_ms = credentials_renewal_delay_ms(0, next_random());
		assert_asked_after(&scripted[0], delay_ms);
		assert_keys(2, 2);
		/* Nor does a failure end them. */
		scripted[0].err = ERR_TIMEOUT;
		assert_asked_after(&scripted[0], next_ms);
		advance_ms(HOUR);
		assert_keys(2, 2);
		assert_state(CREDENTIALS_STALE);
		if (i < 3)
			teardown(NULL);
	}
}

/* Keys of a life too short for the pause between two requests: no gap in which there are none. */
static void the_last_second_of_keys_is_not_cut(void **state)
{
	for (int64_t life_ms = 1; life_ms < 3000; life_ms += 7) {
		setup(NULL);
		open_with_life(life_ms);
		for (int i = 0; i < 500; i++) {
			assert_int_equal(get(), 0);
			advance_ms(10);
		}
		assert_in_range(scripted[0].gets, 2, 6);
		teardown(NULL);
	}
	setup(NULL);
	open_chain(0);
}

static void failing_renewals_end_at_the_expiry(void **state)
{
	int64_t delay_ms, next_ms;

	open_with_life(HOUR);
	scripted[0].err = ERR_UNAVAILABLE;
	scripted[0].reason = "HTTP 500";
	/* The first failure, at the due instant. */
	manual_clock_step(&manual);
	assert_int_equal(scripted[0].gets, 2);
	assert_keys(1, 1);
	assert_state(CREDENTIALS_STALE);
	assert_string_equal(credentials_status(credentials)->reason, "first: HTTP 500");
	while (now_ms() < WALL_EPOCH_MS + HOUR - 1) {
		advance_ms(1);
		if (now_ms() % 1009 == 0)
			assert_keys(1, 1);
	}
	assert_keys(1, 1);
	assert_string_equal(changes, " ready:1 stale:1");
	advance_ms(1);
	assert_string_equal(changes, " ready:1 stale:1 ended:1");
	assert_none(ERR_EXPIRED_CREDENTIALS, "expired, and not renewed: first: HTTP 500");
	assert_state(CREDENTIALS_ENDED);
	assert_int_equal(credentials_status(credentials)->expires_epoch_ms, WALL_EPOCH_MS + HOUR);
	/* Asked on, at most a minute apart, and at any time good again. */
	next_ms = (int64_t)(timer_heap_first(&manual.heap)->due_us - manual.now_us) / 1000;
	for (unsigned i = 0; i < 20; i++) {
		unsigned failures = credentials_status(credentials)->failures_in_row + 1;

		delay_ms = next_ms;
		next_ms = credentials_retry_delay_ms(failures, next_random());
		assert_asked_after(&scripted[0], delay_ms);
	}
	assert_true(credentials_status(credentials)->failures > 25);
	scripted[0].err = 0;
	advance_ms(MINUTE);
	assert_keys(2, 2);
	assert_string_equal(changes, " ready:1 stale:1 ended:1 ready:2");
	assert_string_equal(credentials_status(credentials)->reason, "");
	assert_int_equal(credentials_status(credentials)->failures_in_row, 0);
}

/* Ten hours of keys that live for one, the k-th get failing: nobody ever lacks keys. */
static void life_with_failing_get(unsigned k, int err, bool later)
{
	setup(NULL);
	scripted[0].later = later;
	scripted[0].life_ms = HOUR;
	scripted[0].fail_at = k;
	scripted[0].fail_err = err;
	open_chain(1);
	for (int minute = 0; minute < 600; minute++) {
		credentials_start(credentials);
		if (scripted[0].asked)
			scripted_answer(&scripted[0]);
		if (minute > 0)
			assert_int_equal(get(), 0);
		advance_ms(MINUTE);
	}
	assert_true(scripted[0].gets >= k);
	assert_int_equal(credentials_status(credentials)->failures, 1);
	assert_int_equal(credentials_status(credentials)->renewals, scripted[0].number);
	assert_in_range(scripted[0].number, 10, 13);
	assert_state(CREDENTIALS_READY);
	teardown(NULL);
}

static void every_get_of_a_life_may_fail(void **state)
{
	for (unsigned k = 1; k <= 11; k++)
		for (int later = 0; later < 2; later++) {
			life_with_failing_get(k, ERR_TIMEOUT, later);
			life_with_failing_get(k, ERR_ACCESS_DENIED, later);
			life_with_failing_get(k, ERR_NOT_FOUND, later);
		}
	setup(NULL);
	open_chain(0);
}

static void a_provider_that_loses_its_keys_is_named(void **state)
{
	scripted[0].life_ms = HOUR;
	open_chain(2);
	assert_keys(1, 1);
	/* Only the one that answered is asked again, even when another could. */
	scripted[0].err = ERR_NOT_FOUND;
	advance_ms(2 * HOUR);
	assert_int_equal(scripted[1].gets, 0);
	assert_none(
		ERR_EXPIRED_CREDENTIALS, "expired, and not renewed: first: no longer configured");
}

static void keys_that_outlive_serve_on(void **state)
{
	unsigned gets;

	scripted[0].outlives = true;
	open_with_life(HOUR);
	scripted[0].err = ERR_TIMEOUT;
	advance_ms(HOUR - 1);
	assert_keys(1, 1);
	gets = scripted[0].gets;
	assert_in_range(gets, 10, 80);
	/* What was begun before the expiry, then every 2 to 10 minutes. */
	advance_ms(MINUTE);
	gets = scripted[0].gets;
	for (unsigned i = 1; i < 100; i++) {
		int64_t delay_ms =
			(int64_t)(timer_heap_first(&manual.heap)->due_us - manual.now_us) / 1000;

		assert_true(delay_ms <= 10 * MINUTE && (i == 1 || delay_ms >= 2 * MINUTE));
		advance_ms(delay_ms);
		assert_int_equal(scripted[0].gets, gets + i);
		assert_keys(1, 1);
	}
	assert_string_equal(changes, " ready:1 stale:1");
	scripted[0].err = 0;
	advance_ms(10 * MINUTE);
	assert_keys(2, 2);
	assert_state(CREDENTIALS_READY);
	/* Also while an answer is awaited. */
	scripted[0].later = true;
	advance_ms(2 * HOUR);
	assert_true(scripted[0].asked);
	assert_keys(2, 2);
}

/* ---- the wall clock jumps; a machine that slept looks the same */

static void a_jump_forward_renews_at_once(void **state)
{
	struct recorder recorder = {0};

	open_with_life(6 * HOUR);
	manual.wall_epoch_ms += 6 * HOUR;
	assert_none(ERR_PENDING, "first has not answered yet");
	wait_for(&recorder);
	assert_int_equal(scripted[0].gets, 1);
	turn();
	assert_int_equal(recorder.fired, 1);
	assert_keys(2, 2);
	/* Into the window: the old ones serve, new ones are asked for. */
	manual.wall_epoch_ms += 6 * HOUR - 7 * MINUTE;
	assert_keys(2, 2);
	turn();
	assert_keys(3, 3);
	/* Not as far as that: nothing. */
	manual.wall_epoch_ms += 5 * HOUR;
	assert_keys(3, 3);
	turn();
	assert_int_equal(scripted[0].gets, 3);
	assert_string_equal(changes, " ready:1 ready:2 ready:3");
}

static void a_clock_that_was_in_1970(void **state)
{
	manual.wall_epoch_ms = 5000;
	scripted[0].expires_epoch_ms = WALL_EPOCH_MS + HOUR;
	open_chain(1);
	assert_keys(1, 1);
	manual.wall_epoch_ms = WALL_EPOCH_MS;
	assert_keys(1, 1);
	turn();
	assert_keys(2, 2);
	advance_ms(HOUR - 16 * MINUTE);
	assert_keys(2, 2);
	assert_int_equal(scripted[0].gets, 2);
}

static void a_jump_backward_gives_ended_keys_back(void **state)
{
	open_with_life(HOUR);
	scripted[0].err = ERR_TIMEOUT;
	advance_ms(2 * HOUR);
	assert_int_equal(get(), ERR_EXPIRED_CREDENTIALS);
	manual.wall_epoch_ms -= 2 * HOUR;
	assert_keys(1, 1);
	assert_state(CREDENTIALS_STALE);
	advance_ms(MINUTE);
	assert_string_equal(changes, " ready:1 stale:1 ended:1 stale:1");
	/* The renewal comes by the clock that does not jump. */
	scripted[0].err = 0;
	advance_ms(MINUTE);
	assert_keys(2, 2);
	manual.wall_epoch_ms -= 1000 * HOUR;
	advance_ms(HOUR);
	assert_int_equal(get(), 0);
	assert_true(set->generation > 2);
}

/* ---- refusals */

static void refused_keys_that_are_fixed(void **state)
{
	struct recorder recorder = {0};

	scripted[0].keep = true;
	open_chain(1);
	assert_keys(1, 1);
	wait_for(&recorder);
	assert_false(credentials_refused(credentials, 1));
	assert_int_equal(scripted[0].gets, 2);
	turn();
	assert_int_equal(recorder.fired, 1);
	assert_keys(1, 1);
	assert_state(CREDENTIALS_READY);
	advance_ms(10 * SECOND - 1);
	assert_false(credentials_refused(credentials, 1));
	assert_int_equal(scripted[0].gets, 2);
	advance_ms(1);
	assert_false(credentials_refused(credentials, 1));
	assert_int_equal(scripted[0].gets, 3);
	/* A file that was written anew. */
	advance_ms(10 * SECOND);
	scripted[0].keep = false;
	assert_true(credentials_refused(credentials, 1));
	assert_keys(2, 2);
	assert_true(credentials_refused(credentials, 1));
	assert_false(credentials_refused(credentials, 2));
	assert_int_equal(scripted[0].gets, 4);
	assert_string_equal(changes, " ready:1 ready:2");
}

static void refused_keys_are_renewed_in_the_background(void **state)
{
	struct recorder recorder = {0};

	open_with_life(6 * HOUR);
	scripted[0].later = true;
	for (int i = 0; i < 5; i++) {
		assert_true(credentials_refused(credentials, 1));
		assert_keys(1, 1);
	}
	assert_int_equal(scripted[0].gets, 2);
	wait_for(&recorder);
	advance_ms(3 * SECOND);
	assert_int_equal(recorder.fired, 0);
	scripted_answer(&scripted[0]);
	turn();
	assert_int_equal(recorder.fired, 1);
	assert_keys(2, 2);
	assert_true(credentials_refused(credentials, 1));
	assert_false(credentials_refused(credentials, 2));
	assert_int_equal(scripted[0].gets, 2);
	/* Once more, and they come back the same. */
	advance_ms(10 * SECOND);
	scripted[0].keep = true;
	assert_true(credentials_refused(credentials, 2));
	wait_for(&recorder);
	scripted_answer(&scripted[0]);
	turn();
	assert_int_equal(recorder.fired, 2);
	assert_keys(2, 2);
	assert_false(credentials_refused(credentials, 2));
	assert_state(CREDENTIALS_READY);
}

static void a_refusal_while_renewing_fails(void **state)
{
	open_chain(1);
	assert_keys(1, 1);
	scripted[0].err = ERR_UNAVAILABLE;
	assert_false(credentials_refused(credentials, 1));
	assert_keys(1, 1);
	assert_state(CREDENTIALS_STALE);
	assert_string_equal(credentials_status(credentials)->reason, "first: the service failed");
	for (int i = 0; i < 20; i++)
		assert_false(credentials_refused(credentials, 1));
	assert_int_equal(scripted[0].gets, 2);
	/* Keys that never expire serve on, and new ones are asked for. */
	advance_ms(10 * HOUR);
	assert_keys(1, 1);
	scripted[0].err = 0;
	advance_ms(MINUTE);
	assert_keys(2, 2);
	assert_string_equal(changes, " ready:1 stale:1 ready:2");
}

static void refusals_before_there_are_keys(void **state)
{
	open_chain(1);
	assert_false(credentials_refused(credentials, 1));
	scripted[0].later = true;
	assert_int_equal(get(), ERR_PENDING);
	assert_true(credentials_refused(credentials, 1));
	scripted_answer(&scripted[0]);
	assert_int_equal(scripted[0].gets, 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(keys_are_renewed_before_they_expire),
		TEST(old_keys_serve_while_new_ones_are_awaited),
		TEST(unchanged_keys_are_asked_for_in_ever_shorter_steps),
		TEST(keys_that_come_expired_are_used),
		TEST(the_last_second_of_keys_is_not_cut),
		TEST(failing_renewals_end_at_the_expiry),
		TEST(every_get_of_a_life_may_fail),
		TEST(a_provider_that_loses_its_keys_is_named),
		TEST(keys_that_outlive_serve_on),
		TEST(a_jump_forward_renews_at_once),
		TEST(a_clock_that_was_in_1970),
		TEST(a_jump_backward_gives_ended_keys_back),
		TEST(refused_keys_that_are_fixed),
		TEST(refused_keys_are_renewed_in_the_background),
		TEST(a_refusal_while_renewing_fails),
		TEST(refusals_before_there_are_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
