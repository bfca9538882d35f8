/* When scale-in protection is held and let go: exact times. */
#include "aws/instance/protection.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#define START_MS 1000000
#define MOST UINT64_MAX

static void assert_waits(const struct protection *protection, int64_t now_ms, int64_t wait_ms)
{
	int64_t said_ms = -2;

	assert_int_equal(protection_next(protection, now_ms, &said_ms), PROTECTION_WAIT);
	assert_int_equal(said_ms, wait_ms);
}

static void assert_asks(
	const struct protection *protection, int64_t now_ms, enum protection_action action)
{
	int64_t wait_ms;

	assert_int_equal(protection_next(protection, now_ms, &wait_ms), action);
}

/* Asks and is told at once. */
static void ask(struct protection *protection, int64_t now_ms, enum protection_action action,
	int err, uint64_t random)
{
	assert_asks(protection, now_ms, action);
	protection_began(protection, action, now_ms);
	assert_waits(protection, now_ms, -1);
	protection_ended(protection, err, now_ms, random);
}

static void held_at_once_and_let_go_after_a_minute(void **state)
{
	struct protection protection;

	protection_init(&protection, 0, START_MS);
	protection_busy(&protection, true, START_MS + 7);
	ask(&protection, START_MS + 7, PROTECTION_HOLD, 0, 0);
	assert_waits(&protection, START_MS + 10000000, -1);
	protection_busy(&protection, false, START_MS + 100000);
	assert_waits(&protection, START_MS + 100000, 60000);
	assert_waits(&protection, START_MS + 159999, 1);
	ask(&protection, START_MS + 160000, PROTECTION_LET_GO, 0, 0);
	assert_waits(&protection, START_MS + 160000, -1);
}

/* The process before may have died with protection held. */
static void what_is_found_is_let_go_once_idle(void **state)
{
	struct protection protection;

	protection_init(&protection, 0, START_MS);
	assert_waits(&protection, START_MS, 60000);
	ask(&protection, START_MS + 60000, PROTECTION_LET_GO, 0, 0);
	assert_waits(&protection, START_MS + 60000, -1);
}

static void a_gap_between_two_messages_does_not_count(void **state)
{
	struct protection protection;

	protection_init(&protection, 0, START_MS);
	protection_busy(&protection, true, START_MS);
	ask(&protection, START_MS, PROTECTION_HOLD, 0, 0);
	for (int64_t ms = START_MS + 1000; ms < START_MS + 1000000; ms += 59999) {
		protection_busy(&protection, false, ms);
		protection_busy(&protection, false, ms + 1000);
		assert_waits(&protection, ms + 59998, 2);
		protection_busy(&protection, true, ms + 59998);
		assert_waits(&protection, ms + 59998, -1);
	}
}

static void changed_at_most_every_30_s(void **state)
{
	struct protection protection;

	protection_init(&protection, 0, START_MS);
	ask(&protection, START_MS + 60000, PROTECTION_LET_GO, 0, 0);
	protection_busy(&protection, true, START_MS + 61000);
	assert_waits(&protection, START_MS + 61000, 29000);
	assert_waits(&protection, START_MS + 89999, 1);
	ask(&protection, START_MS + 90000, PROTECTION_HOLD, 0, 0);
	/* The wish may go again before it is asked for. */
	protection_busy(&protection, false, START_MS + 91000);
	ask(&protection, START_MS + 151000, PROTECTION_LET_GO, 0, 0);
	protection_busy(&protection, true, START_MS + 152000);
	protection_busy(&protection, false, START_MS + 153000);
	assert_waits(&protection, START_MS + 500000, -1);
}

static void asked_for_again_before_it_ends(void **state)
{
	struct protection protection;

	protection_init(&protection, 1800000, START_MS);
	protection_busy(&protection, true, START_MS);
	ask(&protection, START_MS, PROTECTION_HOLD, 0, 0);
	assert_waits(&protection, START_MS, 1800000);
	assert_waits(&protection, START_MS + 1799999, 1);
	ask(&protection, START_MS + 1800000, PROTECTION_HOLD, 0, 0);
	assert_waits(&protection, START_MS + 1800000, 1800000);
	/* A renewal is no change: it can be let go right after one. */
	protection_busy(&protection, false, START_MS + 1750000);
	ask(&protection, START_MS + 1810000, PROTECTION_LET_GO, 0, 0);
}

static void failures_back_off(void **state)
{
	static const int64_t most_ms[] = {5000, 10000, 20000, 40000, 60000, 60000, 60000};
	struct protection protection;
	int64_t now_ms = START_MS;

	protection_init(&protection, 0, now_ms);
	protection_busy(&protection, true, now_ms);
	for (size_t i = 0; i < sizeof(most_ms) / sizeof(most_ms[0]); i++) {
		uint64_t random = i % 2 == 0 ? MOST : 0;
		int64_t delay_ms = i % 2 == 0 ? most_ms[i] : most_ms[i] / 2;

		ask(&protection, now_ms, PROTECTION_HOLD, ERR_UNAVAILABLE, random);
		assert_waits(&protection, now_ms, delay_ms);
		now_ms += delay_ms;
	}
	ask(&protection, now_ms, PROTECTION_HOLD, 0, 0);
	assert_waits(&protection, now_ms, -1);
	/* The count begins anew. */
	protection_busy(&protection, false, now_ms);
	ask(&protection, now_ms + 60000, PROTECTION_LET_GO, ERR_TIMEOUT, MOST);
	assert_waits(&protection, now_ms + 60000, 5000);
}

/* It may have been carried out: nothing may be left held, and nothing busy unprotected. */
static void after_a_failure_it_is_not_known(void **state)
{
	struct protection protection;

	protection_init(&protection, 0, START_MS);
	ask(&protection, START_MS + 60000, PROTECTION_LET_GO, 0, 0);
	protection_busy(&protection, true, START_MS + 100000);
	ask(&protection, START_MS + 100000, PROTECTION_HOLD, ERR_TIMEOUT, MOST);
	protection_busy(&protection, false, START_MS + 101000);
	ask(&protection, START_MS + 161000, PROTECTION_LET_GO, ERR_TIMEOUT, MOST);
	protection_busy(&protection, true, START_MS + 162000);
	ask(&protection, START_MS + 171000, PROTECTION_HOLD, 0, 0);
	assert_waits(&protection, START_MS + 171000, -1);
}

static void let_go_at_the_end(void **state)
{
	struct protection protection;

	protection_init(&protection, 0, START_MS);
	protection_busy(&protection, true, START_MS);
	ask(&protection, START_MS, PROTECTION_HOLD, 0, 0);
	protection_finish(&protection);
	/* Within 30 s of a change, and tried again on a failure. */
	ask(&protection, START_MS + 1, PROTECTION_LET_GO, ERR_UNAVAILABLE, MOST);
	assert_waits(&protection, START_MS + 1, 5000);
	ask(&protection, START_MS + 5001, PROTECTION_LET_GO, 0, 0);
	assert_waits(&protection, START_MS + 5001, -1);
}

static void the_end_overtakes_a_back_off(void **state)
{
	struct protection protection;

	protection_init(&protection, 0, START_MS);
	protection_busy(&protection, true, START_MS);
	ask(&protection, START_MS, PROTECTION_HOLD, ERR_UNAVAILABLE, MOST);
	protection_finish(&protection);
	ask(&protection, START_MS, PROTECTION_LET_GO, 0, 0);
}

static void the_end_of_one_that_is_under_way(void **state)
{
	struct protection protection;

	protection_init(&protection, 0, START_MS);
	protection_busy(&protection, true, START_MS);
	assert_asks(&protection, START_MS, PROTECTION_HOLD);
	protection_began(&protection, PROTECTION_HOLD, START_MS);
	protection_finish(&protection);
	assert_waits(&protection, START_MS, -1);
	protection_ended(&protection, 0, START_MS + 100, 0);
	ask(&protection, START_MS + 100, PROTECTION_LET_GO, 0, 0);
	/* What is free already needs nothing. */
	protection_finish(&protection);
	assert_waits(&protection, START_MS + 100, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held_at_once_and_let_go_after_a_minute),
		cmocka_unit_test(what_is_found_is_let_go_once_idle),
		cmocka_unit_test(a_gap_between_two_messages_does_not_count),
		cmocka_unit_test(changed_at_most_every_30_s),
		cmocka_unit_test(asked_for_again_before_it_ends),
		cmocka_unit_test(failures_back_off),
		cmocka_unit_test(after_a_failure_it_is_not_known),
		cmocka_unit_test(let_go_at_the_end),
		cmocka_unit_test(the_end_overtakes_a_back_off),
		cmocka_unit_test(the_end_of_one_that_is_under_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
