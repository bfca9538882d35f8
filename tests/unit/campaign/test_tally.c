/* Where a campaign stands, to the exact value. */
#include "campaign/tally.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW INT64_C(1767225600000)
#define S INT64_C(1000)

/* 1,000 messages, 400 of them ended in the 40 s up to now, 10/s all the time. */
static struct results_tally outcomes;

static struct tally_input steady(void)
{
	outcomes = (struct results_tally){
		.by_outcome = {[RESULT_RETRYING] = 20,
			[RESULT_CANCELLED] = 1,
			[RESULT_EXPIRED] = 2,
			[RESULT_FAILED] = 7,
			[RESULT_ACCEPTED] = 390},
		.uncertain = 3,
		.first_received_epoch_ms = NOW - 40 * S,
		.first_accepted_epoch_ms = NOW - 39 * S,
		.last_accepted_epoch_ms = NOW,
		.last_epoch_ms = NOW,
	};
	return (struct tally_input){.total = 1000,
		.outcomes = &outcomes,
		.workers = {.count = 3, .by_limit = {[RESULT_LIMIT_RATE] = 3}, .in_flight = 50},
		.last_heard_epoch_ms = NOW,
		.recent = 100,
		.now_epoch_ms = NOW};
}

static struct tally make(const struct tally_input *input)
{
	struct tally tally;

	tally_make(input, &tally);
	assert_int_equal(tally.total, tally.waiting + tally.in_flight + tally.accepted +
					      tally.retrying + tally.failed + tally.expired +
					      tally.cancelled);
	return tally;
}

static void the_identity(void **state)
{
	struct tally_input input = steady();
	struct tally tally = make(&input);

	assert_int_equal(tally.total, 1000);
	assert_int_equal(tally.waiting, 530);
	assert_int_equal(tally.in_flight, 50);
	assert_int_equal(tally.accepted, 390);
	assert_int_equal(tally.retrying, 20);
	assert_int_equal(tally.failed, 7);
	assert_int_equal(tally.expired, 2);
	assert_int_equal(tally.cancelled, 1);
	assert_int_equal(tally.uncertain, 3);
	assert_false(tally.at_least);
	assert_false(tally.done);
	/* The workers have more in flight than is left: other campaigns' messages. */
	input.workers.in_flight = UINT64_MAX;
	tally = make(&input);
	assert_int_equal(tally.in_flight, 580);
	assert_int_equal(tally.waiting, 0);
	/* The record of an acceptance was lost. */
	outcomes.by_outcome[RESULT_SUPPRESSED] = 10;
	assert_int_equal(make(&input).accepted, 400);
}

static void without_a_total_it_is_what_was_seen(void **state)
{
	struct tally_input input = steady();
	struct tally tally;

	input.total = 0;
	tally = make(&input);
	assert_true(tally.at_least);
	assert_int_equal(tally.total, 420);
	assert_int_equal(tally.waiting + tally.in_flight, 0);
	assert_false(tally.done);
	input.total = 419; /* too small */
	tally = make(&input);
	assert_true(tally.at_least);
	assert_int_equal(tally.total, 420);
	input.total = 420;
	assert_false(make(&input).at_least);
	assert_false(make(&input).done); /* 20 are retried */
	outcomes.by_outcome[RESULT_ACCEPTED] += 20;
	outcomes.by_outcome[RESULT_RETRYING] = 0;
	assert_true(make(&input).done);
}

static void an_empty_campaign_is_not_done_before_it_is_known(void **state)
{
	struct tally_input input = steady();
	struct tally tally;

	outcomes = (struct results_tally){.uncertain = 0};
	input.total = 0;
	tally = make(&input);
	assert_int_equal(tally.total, 0);
	assert_false(tally.done);
	assert_true(tally.rate_now < 0 && tally.rate_average < 0);
	assert_int_equal(tally.deadline, TALLY_NO_DEADLINE);
	input.total = 5;
	input.deadline_epoch_ms = NOW + 60 * S;
	tally = make(&input);
	assert_int_equal(tally.waiting + tally.in_flight, 5);
	assert_int_equal(tally.deadline, TALLY_UNCERTAIN);
	assert_int_equal(tally.end_from_epoch_ms, 0);
}

static void rates_and_the_end(void **state)
{
	struct tally_input input = steady();
	struct tally tally = make(&input);

	assert_true(tally.rate_now == 10.0);
	assert_true(tally.rate_average == 10.0);
	/* 600 left at 10.5/s and at 9.5/s */
	assert_int_equal(tally.end_from_epoch_ms, NOW + 57142);
	assert_int_equal(tally.end_to_epoch_ms, NOW + 63157);
	input.recent = 200; /* 20/s now, 10/s on average */
	tally = make(&input);
	assert_int_equal(tally.end_from_epoch_ms, NOW + 28571);
	assert_int_equal(tally.end_to_epoch_ms, NOW + 63157);
	input.recent = 0; /* stands still */
	tally = make(&input);
	assert_true(tally.rate_now == 0);
	assert_int_equal(tally.end_from_epoch_ms, 0);
	assert_int_equal(tally.end_to_epoch_ms, 0);
	input.recent = 100;
	input.workers.by_limit[RESULT_LIMIT_RATE] = 0;
	input.workers.by_limit[RESULT_LIMIT_PAUSED] = 3;
	assert_int_equal(make(&input).end_from_epoch_ms, 0);
	input.workers.by_limit[RESULT_LIMIT_PAUSED] = 0;
	input.total = UINT64_MAX; /* further off than a year */
	assert_int_equal(make(&input).end_from_epoch_ms, 0);
}

static void the_window_ends_before_what_was_heard_last(void **state)
{
	struct results_tally t = {
		.first_received_epoch_ms = NOW - 100 * S, .last_epoch_ms = NOW - 30 * S};
	int64_t from = 0, to = 0;

	assert_true(tally_window(&t, 0, NOW, &from, &to));
	assert_int_equal(to, NOW - 33 * S);
	assert_int_equal(from, NOW - 43 * S);
	assert_true(tally_window(&t, NOW - 1 * S, NOW, &from, &to));
	assert_int_equal(to, NOW - 4 * S);
	assert_true(tally_window(&t, NOW + 9 * S, NOW, &from, &to)); /* a clock that is ahead */
	assert_int_equal(to, NOW - 3 * S);
	t.first_received_epoch_ms = NOW - 5 * S; /* not before the campaign */
	assert_true(tally_window(&t, NOW, NOW, &from, &to));
	assert_int_equal(from, NOW - 5 * S);
	assert_int_equal(to, NOW - 3 * S);
	t.first_received_epoch_ms = NOW - 3 * S;
	assert_false(tally_window(&t, NOW, NOW, &from, &to));
	t.first_received_epoch_ms = 0;
	assert_false(tally_window(&t, NOW, NOW, &from, &to));
	t.first_received_epoch_ms = NOW - 200 * S;
	t.last_epoch_ms = NOW - 61 * S; /* long ago */
	assert_false(tally_window(&t, NOW - 60001, NOW, &from, &to));
	assert_true(tally_window(&t, NOW - 60000, NOW, &from, &to));
}

static void what_is_old_says_nothing_of_the_end(void **state)
{
	struct tally_input input = steady();
	struct tally tally;

	input.now_epoch_ms = NOW + 61 * S;
	input.deadline_epoch_ms = NOW + 100 * S;
	tally = make(&input);
	assert_true(tally.stale);
	assert_true(tally.rate_now < 0);
	assert_true(tally.rate_average == 10.0);
	assert_int_equal(tally.end_from_epoch_ms, 0);
	assert_int_equal(tally.deadline, TALLY_UNCERTAIN);
	input.deadline_epoch_ms = NOW + 60 * S; /* past, whatever is heard */
	tally = make(&input);
	assert_int_equal(tally.deadline, TALLY_LATE);
	assert_int_equal(tally.would_expire_from, 600);
	assert_int_equal(tally.would_expire_to, 600);
	input.total = 420;
	outcomes.by_outcome[RESULT_RETRYING] = 0;
	outcomes.by_outcome[RESULT_ACCEPTED] = 410;
	tally = make(&input);
	assert_true(tally.done);
	assert_false(tally.stale);
	assert_int_equal(tally.deadline, TALLY_NO_DEADLINE);
	assert_true(tally.rate_average == 10.5); /* 420 in the 40 s that it took */
}

static void deadlines(void **state)
{
	static const struct {
		int64_t in_s;
		enum tally_deadline verdict;
		uint64_t from, to;
	} rows[] = {
		{64, TALLY_IN_TIME, 0, 0},
		{60, TALLY_MAYBE_LATE, 0, 30}, /* 9.5 x 60 = 570 of 600 */
		{58, TALLY_MAYBE_LATE, 0, 49},
		{40, TALLY_LATE, 180, 220},
		{0, TALLY_LATE, 600, 600},
		{-10, TALLY_LATE, 600, 600},
	};
	struct tally_input input = steady();
	struct tally tally;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		input.deadline_epoch_ms = NOW + rows[i].in_s * S;
		tally = make(&input);
		assert_int_equal(tally.deadline, rows[i].verdict);
		assert_int_equal(tally.would_expire_from, rows[i].from);
		assert_int_equal(tally.would_expire_to, rows[i].to);
	}
	input.deadline_epoch_ms = NOW + 3600 * S;
	input.recent = 0; /* it stands still: all that is left expires */
	tally = make(&input);
	assert_int_equal(tally.deadline, TALLY_LATE);
	assert_int_equal(tally.would_expire_to, 600);
}

static void the_limit_is_what_most_say(void **state)
{
	struct tally_input input = steady();
	struct tally tally;

	memset(&input.workers, 0, sizeof(input.workers));
	assert_int_equal(make(&input).workers, 0);
	for (int i = 0; i < 5; i++) {
		struct result_status status = {.worker = "w",
			.at_epoch_ms = NOW - i,
			.in_flight = 3,
			.limit = i < 2	 ? RESULT_LIMIT_QUEUE
				 : i < 4 ? RESULT_LIMIT_BREAKER
					 : RESULT_LIMIT_PAUSED,
			.control = ""};

		tally_workers_add(&input.workers, &status, NOW);
		status.at_epoch_ms = NOW - TALLY_FRESH_MS - 1;
		tally_workers_add(&input.workers, &status, NOW);
		status.at_epoch_ms = NOW + TALLY_AHEAD_MS + 1;
		tally_workers_add(&input.workers, &status, NOW);
	}
	tally = make(&input);
	assert_int_equal(tally.workers, 5);
	assert_int_equal(tally.in_flight, 15);
	assert_int_equal(tally.limit, RESULT_LIMIT_BREAKER); /* the graver of the two */
	assert_int_equal(tally.limit_workers, 2);
}

/* ---- whatever happens, it sums */

static uint64_t random_state = 7;

static uint64_t draw(uint64_t below)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (random_state >> 20) % below;
}

static void random_histories_sum(void **state)
{
	for (int i = 0; i < 200000; i++) {
		struct results_tally random = {
			.first_received_epoch_ms = draw(2) ? NOW - (int64_t)draw(1000000) : 0,
			.last_epoch_ms = NOW + 500000 - (int64_t)draw(1000000)};
		struct tally_input input = {.total = draw(3) ? draw(1000) : 0,
			.outcomes = &random,
			.workers = {.count = (unsigned)draw(5), .in_flight = draw(1000)},
			.last_heard_epoch_ms = draw(2) ? NOW - (int64_t)draw(100000) : 0,
			.recent = draw(3) ? draw(1000) : 0,
			.now_epoch_ms = NOW,
			.deadline_epoch_ms = draw(2) ? NOW + 50000 - (int64_t)draw(100000) : 0};
		struct tally tally;
		uint64_t left;

		for (int o = 0; o < RESULT_OUTCOMES; o++)
			random.by_outcome[o] = draw(2) ? draw(300) : 0;
		for (int l = 0; l < RESULT_LIMITS; l++)
			input.workers.by_limit[l] = (unsigned)draw(3);
		tally = make(&input);
		left = tally.waiting + tally.in_flight + tally.retrying;
		assert_true(tally.total >= input.total);
		assert_int_equal(tally.done, left == 0 && !tally.at_least);
		assert_true(tally.would_expire_from <= tally.would_expire_to);
		assert_true(tally.would_expire_to <= left);
		assert_true(tally.end_from_epoch_ms <= tally.end_to_epoch_ms);
		assert_int_equal(tally.end_from_epoch_ms == 0, tally.end_to_epoch_ms == 0);
		assert_int_equal(tally.deadline == TALLY_NO_DEADLINE,
			left == 0 || input.deadline_epoch_ms == 0);
		if (tally.deadline == TALLY_IN_TIME)
			assert_true(tally.end_to_epoch_ms <= input.deadline_epoch_ms);
		if (tally.deadline == TALLY_LATE && tally.end_from_epoch_ms > 0)
			assert_true(tally.end_from_epoch_ms >= input.deadline_epoch_ms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_identity),
		cmocka_unit_test(without_a_total_it_is_what_was_seen),
		cmocka_unit_test(an_empty_campaign_is_not_done_before_it_is_known),
		cmocka_unit_test(rates_and_the_end),
		cmocka_unit_test(the_window_ends_before_what_was_heard_last),
		cmocka_unit_test(what_is_old_says_nothing_of_the_end),
		cmocka_unit_test(deadlines),
		cmocka_unit_test(the_limit_is_what_most_say),
		cmocka_unit_test(random_histories_sum),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
