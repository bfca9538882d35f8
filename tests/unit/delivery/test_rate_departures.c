/* The shared rate: what leaves later than it took its token. */
#include "base/random.h"
#include "delivery/rate.h"
#include "rate_draw.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void depart(const struct rate *rate, unsigned times, uint64_t now_us)
{
	while (times-- > 0)
		rate_depart(rate, now_us);
}

/* Tokens that can be had at that instant; all of them leave at once. */
static unsigned take_all(const struct rate *rate, uint64_t now_us)
{
	uint64_t wait_us;
	unsigned taken = 0;

	while (rate_take(rate, now_us, &wait_us)) {
		rate_depart(rate, now_us);
		taken++;
	}
	return taken;
}

/* 1,000 a second: 100 that leave together are 100 ms of the rate, 49 of which may be ahead. */
static void what_leaves_late_is_made_up_for(void **state)
{
	struct rate_cell cell = {0};
	struct rate rate = rate_make(&cell, 1000, SECOND_MS, 1), none = {.cell = NULL};
	uint64_t wait_us;
	unsigned taken = 0;

	rate_depart(&none, S);
	for (uint64_t now_us = S; now_us < S + 98 * MS; now_us += MS)
		while (rate_take(&rate, now_us, &wait_us))
			taken++;
	assert_int_equal(taken, 99); /* 1 ms ahead */
	depart(&rate, taken, S + 100 * MS);
	assert_int_equal(cell.departure_ns, (S + 198 * MS) * 1000);
	assert_int_equal(rate_within(&rate, S + 100 * MS, 0), 0);
	assert_false(rate_has(&rate, S + 100 * MS, &wait_us));
	assert_int_equal(wait_us, 49 * MS);
	assert_false(rate_take(&rate, S + 100 * MS, &wait_us));
	assert_int_equal(wait_us, 49 * MS);
	assert_int_equal(take_all(&rate, S + 149 * MS - 1), 0);
	assert_int_equal(take_all(&rate, S + 149 * MS), 1);
	assert_int_equal(take_all(&rate, S + 150 * MS - 1), 0);
	assert_int_equal(take_all(&rate, S + 150 * MS), 1);
	/* From the first that left: 99, 950 at a token a millisecond, and the one at its begin. */
	taken += 2;
	for (uint64_t now_us = S + 151 * MS; now_us < 2 * S + 100 * MS; now_us += MS)
		taken += take_all(&rate, now_us);
	assert_int_equal(taken, 1050);
}

/* Who goes out at once is held up by nobody, whatever the burst was used for. */
static void what_leaves_at_once_costs_nothing(void **state)
{
	struct rate_cell cell = {0}, alone = {0};
	struct rate rate = rate_make(&cell, 1000, SECOND_MS, 1);
	struct rate without = rate_make(&alone, 1000, SECOND_MS, 1);
	uint64_t random = 5, wait_us;

	for (uint64_t now_us = S; now_us < 60 * S;
		now_us += random_below(random_split_mix(&random), 80 * MS)) {
		unsigned taken = take_all(&rate, now_us);

		while (taken-- > 0)
			assert_true(rate_take(&without, now_us, &wait_us));
		assert_false(rate_take(&without, now_us, &wait_us));
		assert_int_equal(cell.arrival_ns, alone.arrival_ns);
	}
}

/* A provider that closes each connection: all are late by 100 ms, give and take ten. */
static void what_is_always_late_costs_nothing(void **state)
{
	struct rate_cell cell = {0};
	struct rate rate = rate_make(&cell, 1000, SECOND_MS, 1);
	uint64_t random = 6, wait_us, leaves_us[200] = {0};
	unsigned taken = 0, out = 0;

	for (uint64_t now_us = S; now_us < 61 * S; now_us += MS) {
		for (unsigned i = 0; i < out; i++)
			if (leaves_us[i] <= now_us) {
				rate_depart(&rate, now_us);
				leaves_us[i--] = leaves_us[--out];
			}
		while (rate_take(&rate, now_us, &wait_us)) {
			assert_true(out < 200);
			leaves_us[out++] =
				now_us + 90 * MS + random_below(random_split_mix(&random), 20 * MS);
			taken++;
		}
	}
	assert_in_range(taken, 59900, 60001);
}

static void a_slow_rate_does_not_look_at_departures(void **state)
{
	struct rate_cell cell = {0};
	struct rate rate = rate_make(&cell, 20, SECOND_MS, 1);
	uint64_t wait_us;

	assert_true(rate_take(&rate, S, &wait_us));
	depart(&rate, 10, S + 40 * MS);
	assert_int_equal(cell.departure_ns, 0);
	cell.departure_ns = 2 * S * 1000;
	assert_true(rate_take(&rate, S + 50 * MS, &wait_us));
}

/* Providers count by the second: no more than that is owed. A stale number is nobody's debt. */
static void a_debt_is_at_most_a_second(void **state)
{
	struct rate_cell cell = {0};
	struct rate rate = rate_make(&cell, 1000, SECOND_MS, 1);
	uint64_t wait_us;

	depart(&rate, 5000, 9 * S);
	assert_int_equal(cell.departure_ns, 10 * S * 1000);
	assert_false(rate_take(&rate, 9 * S, &wait_us));
	assert_int_equal(wait_us, 951 * MS);
	cell.departure_ns = 19 * S * 1000;
	assert_false(rate_take(&rate, 9 * S, &wait_us));
	cell.departure_ns = 19 * S * 1000 + 1;
	assert_true(rate_take(&rate, 9 * S, &wait_us));
	rate_depart(&rate, 9 * S);
	assert_int_equal(cell.departure_ns, 9 * S * 1000);
	cell.departure_ns = UINT64_MAX;
	assert_true(rate_take(&rate, 10 * S, &wait_us));
	rate_depart(&rate, 10 * S);
	assert_int_equal(cell.departure_ns, 10 * S * 1000);
}

/*
 * A begin: what is taken within the time that the first connections need leaves together at its
 * end, all else at once. The second that begins with them has one more than any other at most.
 */
static void no_second_sees_more_than_its_share(void **state)
{
	uint64_t random = 7;

	for (int run = 0; run < 300; run++) {
		struct rate_cell cell = {0};
		struct rate rate = rate_make(&cell, 21 + log_uniform(&random, 5000), SECOND_MS, 1);
		uint64_t opened_us = S + log_uniform(&random, 900 * MS), wait_us;
		uint64_t pause_us = 1 + log_uniform(&random, 60 * MS), now_us = S;
		unsigned late = 0, left;

		for (; now_us < opened_us;
			now_us += random_below(random_split_mix(&random), pause_us))
			while (rate_take(&rate, now_us, &wait_us))
				late++;
		depart(&rate, late, opened_us);
		left = late;
		for (now_us = opened_us; now_us < opened_us + S;
			now_us += random_below(random_split_mix(&random), pause_us))
			left += take_all(&rate, now_us);
		assert_true(left <= 2 + (S * 1000 + rate.burst_ns) / rate.interval_ns);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_leaves_late_is_made_up_for),
		cmocka_unit_test(what_leaves_at_once_costs_nothing),
		cmocka_unit_test(what_is_always_late_costs_nothing),
		cmocka_unit_test(a_slow_rate_does_not_look_at_departures),
		cmocka_unit_test(a_debt_is_at_most_a_second),
		cmocka_unit_test(no_second_sees_more_than_its_share),
	};

	return cmocka_run_group_tests_name("delivery/rate_departures", tests, NULL, NULL);
}
