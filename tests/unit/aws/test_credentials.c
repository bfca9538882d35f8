/* The chain: search and waiters; over scripted providers in virtual time. */
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

/* ---- the search */

static void first_provider_that_has_keys_is_kept(void **state)
{
	scripted[0].err = ERR_NOT_FOUND;
	open_chain(3);
	assert_string_equal(credentials_status(credentials)->source, "none");
	assert_state(CREDENTIALS_SEARCHING);
	assert_int_equal(scripted[0].gets, 0);
	for (int i = 0; i < 3; i++) {
		assert_keys(1, 1);
		advance_ms(HOUR);
	}
	assert_string_equal(credentials_status(credentials)->source, "second");
	assert_string_equal(credentials_status(credentials)->account_id, "123456789012");
	assert_string_equal(credentials_status(credentials)->principal, "role 1");
	assert_int_equal(credentials_status(credentials)->renewed_epoch_ms, WALL_EPOCH_MS);
	assert_int_equal(credentials_status(credentials)->expires_epoch_ms, 0);
	assert_int_equal(credentials_status(credentials)->failures, 0);
	assert_int_equal(scripted[0].gets, 1);
	assert_int_equal(scripted[1].gets, 1);
	assert_int_equal(scripted[2].gets, 0);
	assert_string_equal(changes, " ready:1");
	/* Nothing is waited for, so nothing keeps the loop going. */
	assert_null(timer_heap_first(&manual.heap));
	credentials_free(credentials);
	credentials = NULL;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(scripted[i].frees, 1);
}

static void providers_may_take_their_time(void **state)
{
	struct recorder recorder = {0};

	for (size_t i = 0; i < 3; i++)
		scripted[i].later = true;
	scripted[0].err = ERR_NOT_FOUND;
	open_chain(3);
	credentials_start(credentials);
	credentials_start(credentials);
	assert_none(ERR_PENDING, "first has not answered yet");
	wait_for(&recorder);
	scripted_answer(&scripted[0]);
	turn();
	assert_none(ERR_PENDING, "second has not answered yet");
	assert_int_equal(recorder.fired, 0);
	assert_string_equal(changes, "");
	scripted_answer(&scripted[1]);
	/* Never from inside the provider's own callback. */
	assert_int_equal(recorder.fired, 0);
	assert_keys(1, 1);
	turn();
	assert_int_equal(recorder.fired, 1);
	assert_string_equal(changes, " ready:1");
	assert_int_equal(scripted[2].gets, 0);
	credentials_start(credentials);
	advance_ms(HOUR);
	assert_int_equal(recorder.fired, 1);
	assert_int_equal(scripted[0].gets + scripted[1].gets, 2);
}

static void nothing_found_names_what_was_tried(void **state)
{
	struct recorder recorder = {0};

	for (size_t i = 0; i < 3; i++)
		scripted[i].err = ERR_NOT_FOUND;
	scripted[1].later = true;
	open_chain(3);
	credentials_start(credentials);
	wait_for(&recorder);
	scripted_answer(&scripted[1]);
	turn();
	assert_int_equal(recorder.fired, 1);
	assert_state(CREDENTIALS_ABSENT);
	for (int i = 0; i < 2; i++) {
		assert_none(ERR_NO_CREDENTIALS,
			"no AWS credentials found; tried: first, second, third");
		advance_ms(24 * HOUR);
	}
	assert_int_equal(credentials_get(credentials, &set, NULL), ERR_NO_CREDENTIALS);
	assert_string_equal(credentials_status(credentials)->reason, reason);
	assert_int_equal(credentials_status(credentials)->failures, 1);
	assert_int_equal(scripted[0].gets, 1);
	/* Only who starts it again has it search again. */
	scripted[2].err = 0;
	credentials_start(credentials);
	assert_state(CREDENTIALS_SEARCHING);
	assert_int_equal(get(), ERR_PENDING);
	scripted_answer(&scripted[1]);
	assert_keys(1, 1);
	assert_string_equal(changes, " absent:0 searching:0 ready:1");
	assert_string_equal(credentials_status(credentials)->source, "third");
	assert_string_equal(credentials_status(credentials)->reason, "");
}

static void a_chain_of_nothing(void **state)
{
	open_chain(0);
	assert_none(ERR_NO_CREDENTIALS, "no AWS credentials found");
	assert_state(CREDENTIALS_ABSENT);
	assert_false(credentials_refused(credentials, 0));
	credentials_free(NULL);
}

static void an_error_for_good_ends_the_search(void **state)
{
	static const int errs[] = {ERR_ACCESS_DENIED, ERR_CONFIG, ERR_NO_CREDENTIALS};

	for (size_t i = 0; i < 3; i++) {
		setup(NULL);
		scripted[0].err = ERR_NOT_FOUND;
		scripted[1].err = errs[i];
		scripted[1].reason = i == 0 ? "why" : NULL;
		open_chain(3);
		assert_int_equal(get(), errs[i]);
		assert_state(CREDENTIALS_ABSENT);
		assert_string_equal(changes, " absent:0");
		assert_string_equal(reason, i == 0   ? "second: why"
					    : i == 1 ? "second: invalid configuration"
						     : "second: no credentials found");
		advance_ms(HOUR);
		assert_int_equal(scripted[0].gets, 1);
		assert_int_equal(scripted[2].gets, 0);
		if (i < 2)
			teardown(NULL);
	}
}

static void an_outage_at_the_start_is_survived(void **state)
{
	static const int errs[] = {ERR_TIMEOUT, ERR_THROTTLED, ERR_NOMEM};
	struct recorder recorder = {0};
	int64_t delay_ms = 0;

	scripted[0].err = ERR_NOT_FOUND;
	scripted[1].reason = "nobody there";
	open_chain(3);
	for (unsigned i = 0; i < 12; i++) {
		int64_t next_ms = credentials_retry_delay_ms(i + 1, next_random());

		scripted[1].err = errs[i % 3];
		if (i == 0)
			credentials_start(credentials);
		else
			assert_asked_after(&scripted[0], delay_ms);
		delay_ms = next_ms;
		assert_none(errs[i % 3], "second: nobody there");
		assert_state(CREDENTIALS_SEARCHING);
		assert_int_equal(credentials_status(credentials)->failures_in_row, i + 1);
		/* Who waits nevertheless hears at once that nothing is under way. */
		wait_for(&recorder);
		turn();
		assert_int_equal(recorder.fired, i + 1);
		credentials_start(credentials);
		assert_int_equal(scripted[0].gets, i + 1);
	}
	scripted[1].err = 0;
	assert_asked_after(&scripted[0], delay_ms);
	assert_keys(1, 1);
	assert_string_equal(changes, " ready:1");
	assert_int_equal(credentials_status(credentials)->failures, 12);
	assert_int_equal(credentials_status(credentials)->failures_in_row, 0);
	assert_int_equal(scripted[2].gets, 0);
}

/* Each of the first gets failing in turn, for good or in passing, at once or later. */
static void search_with_failing_get(unsigned k, int err, bool later)
{
	struct recorder recorder = {0};

	setup(NULL);
	for (size_t i = 0; i < 3; i++) {
		scripted[i].later = later;
		scripted[i].err = i < 2 ? ERR_NOT_FOUND : 0;
	}
	scripted[k].fail_at = 1;
	scripted[k].fail_err = err;
	open_chain(3);
	credentials_start(credentials);
	wait_for(&recorder);
	for (size_t i = 0; later && i <= k; i++)
		scripted_answer(&scripted[i]);
	turn();
	assert_int_equal(recorder.fired, 1);
	assert_int_equal(get(), err);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(scripted[i].gets, i <= k);
	if (err == ERR_NETWORK)
		advance_ms(SECOND);
	else
		credentials_start(credentials);
	for (size_t i = 0; later && i < 3; i++) {
		assert_int_equal(get(), ERR_PENDING);
		scripted_answer(&scripted[i]);
	}
	assert_keys(1, 1);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(scripted[i].gets, 1 + (i <= k));
	teardown(NULL);
}

static void every_get_of_a_search_may_fail(void **state)
{
	for (unsigned k = 0; k < 3; k++)
		for (int later = 0; later < 2; later++) {
			search_with_failing_get(k, ERR_NETWORK, later);
			search_with_failing_get(k, ERR_REFUSED, later);
		}
	setup(NULL);
	open_chain(0);
}

static void unusable_keys_are_not_used(void **state)
{
	static const struct {
		const char *id, *reason;
	} rows[] = {
		{"", "first: an empty access key id or secret access key"},
		{"a b", "first: a blank or control character in the access key id"},
		{"a\r\nX: y", "first: a blank or control character in the access key id"},
		{"a\x7f", "first: a blank or control character in the access key id"},
		{"\xC3\xA4", "first: a blank or control character in the access key id"},
	};

	open_chain(2);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		scripted[0].id = rows[i].id;
		credentials_start(credentials);
		assert_none(ERR_NO_CREDENTIALS, rows[i].reason);
	}
	assert_int_equal(scripted[1].gets, 0);
}

/* ---- waiters */

static void waiters_fire_once_each(void **state)
{
	struct recorder recorders[5] = {[0].again = 3, [2].gets = true, [3].refuses = true};

	scripted[0].later = true;
	open_chain(1);
	/* Nothing has begun. */
	wait_for(&recorders[0]);
	assert_int_equal(recorders[0].fired, 0);
	turn();
	assert_int_equal(recorders[0].fired, 4);
	credentials_start(credentials);
	for (size_t i = 0; i < 5; i++) {
		wait_for(&recorders[i]);
		wait_for(&recorders[i]);
	}
	credentials_unwait(&recorders[4].waiter);
	credentials_unwait(&recorders[4].waiter);
	advance_ms(HOUR);
	recorders[0].fired = 0;
	recorders[0].again = 1;
	recorders[0].unwaits = &recorders[1];
	scripted_answer(&scripted[0]);
	turn();
	assert_int_equal(recorders[0].fired, 2);
	assert_int_equal(recorders[1].fired, 0);
	assert_int_equal(recorders[2].fired, 1);
	assert_int_equal(recorders[3].fired, 1);
	assert_int_equal(recorders[4].fired, 0);
	assert_int_equal(scripted[0].gets, 2); /* the refusal */
	/* One who waits again during a renewal waits for its end. */
	recorders[2].again = 1;
	wait_for(&recorders[2]);
	turn();
	assert_int_equal(recorders[2].fired, 1);
	scripted[0].err = ERR_TIMEOUT;
	scripted_answer(&scripted[0]);
	turn();
	assert_int_equal(recorders[2].fired, 3);
}

static void a_waiter_that_waits_again_during_a_search(void **state)
{
	struct recorder first = {.refuses = true}, second = {.again = 1};

	open_chain(1);
	assert_keys(1, 1);
	scripted[0].later = true;
	wait_for(&first);
	wait_for(&second);
	turn();
	/* The first has begun a renewal; the second waits for that now. */
	assert_int_equal(first.fired, 1);
	assert_int_equal(second.fired, 1);
	turn();
	assert_int_equal(second.fired, 1);
	scripted_answer(&scripted[0]);
	turn();
	assert_int_equal(second.fired, 2);
}

static void a_waiter_may_free_them(void **state)
{
	struct recorder *recorders = calloc(4, sizeof(*recorders));

	scripted[0].later = true;
	open_chain(2);
	recorders[1].frees = true;
	credentials_start(credentials);
	for (size_t i = 0; i < 3; i++)
		wait_for(&recorders[i]);
	scripted_answer(&scripted[0]);
	/* It waits for the loop to turn, behind them. */
	wait_for(&recorders[3]);
	turn();
	assert_null(credentials);
	assert_int_equal(recorders[0].fired, 1);
	assert_int_equal(recorders[1].fired, 1);
	assert_int_equal(recorders[2].fired + recorders[3].fired, 0);
	credentials_unwait(&recorders[2].waiter);
	turn();
	assert_int_equal(recorders[2].fired + recorders[3].fired, 0);
	assert_int_equal(scripted[0].frees, 1);
	free(recorders);
}

static void freed_in_the_middle_of_a_get(void **state)
{
	struct recorder *recorder = calloc(1, sizeof(*recorder));

	scripted[0].later = true;
	open_chain(1);
	assert_int_equal(get(), ERR_PENDING);
	wait_for(recorder);
	credentials_free(credentials);
	credentials = NULL;
	assert_false(scripted[0].asked);
	turn();
	assert_int_equal(recorder->fired, 0);
	free(recorder);
}

static void unwaiting_what_never_waited(void **state)
{
	struct recorder recorder = {0};

	credentials_unwait(&recorder.waiter);
	open_chain(0);
}

static void states_have_names(void **state)
{
	static const char *const names[] = {"searching", "ready", "stale", "ended", "absent"};

	for (int i = 0; i < 5; i++)
		assert_string_equal(credentials_state_name((enum credentials_state)i), names[i]);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_provider_that_has_keys_is_kept),
		TEST(providers_may_take_their_time),
		TEST(nothing_found_names_what_was_tried),
		TEST(a_chain_of_nothing),
		TEST(an_error_for_good_ends_the_search),
		TEST(an_outage_at_the_start_is_survived),
		TEST(every_get_of_a_search_may_fail),
		TEST(unusable_keys_are_not_used),
		TEST(waiters_fire_once_each),
		TEST(a_waiter_that_waits_again_during_a_search),
		TEST(a_waiter_may_free_them),
		TEST(freed_in_the_middle_of_a_get),
		TEST(unwaiting_what_never_waited),
		cmocka_unit_test(states_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
