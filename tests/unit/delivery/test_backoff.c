/* Exponential back-off, both jitters, to the exact value. */
#include "base/random.h"
#include "delivery/backoff.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HALF (UINT64_C(1) << 63)
#define QUARTER (UINT64_C(1) << 62)

static void exact_values(void **state)
{
	static const struct {
		int64_t base_ms, cap_ms;
		unsigned attempt;
		uint64_t random;
		int64_t expected_ms;
	} rows[] = {
		{1000, 300000, 0, 0, 0},
		{1000, 300000, 0, QUARTER, 250},
		{1000, 300000, 0, HALF, 500},
		{1000, 300000, 0, UINT64_MAX, 999},
		{1000, 300000, 1, HALF, 1000},
		{1000, 300000, 1, UINT64_MAX, 1999},
		{1000, 300000, 2, UINT64_MAX, 3999},
		{1000, 300000, 8, UINT64_MAX, 255999},
		{1000, 300000, 9, UINT64_MAX, 299999}, /* 512 s: the cap */
		{1000, 300000, 10, HALF, 150000},
		{1000, 300000, 63, UINT64_MAX, 299999},
		{1000, 300000, 64, UINT64_MAX, 299999},
		{1000, 300000, UINT_MAX, UINT64_MAX, 299999},
		{1000, 1000, 5, UINT64_MAX, 999},
		{1, 1, 0, UINT64_MAX, 0},
		{1, INT64_MAX, 62, UINT64_MAX, (INT64_C(1) << 62) - 1},
		{1, INT64_MAX, 63, UINT64_MAX, INT64_MAX - 1},
		{1, INT64_MAX, UINT_MAX, UINT64_MAX, INT64_MAX - 1},
		{3, 10, 1, UINT64_MAX, 5},
		{3, 10, 2, UINT64_MAX, 9}, /* 12: the cap */
		{700, 1000, 1, UINT64_MAX, 999},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct backoff backoff = {.base_ms = rows[i].base_ms, .cap_ms = rows[i].cap_ms};

		assert_int_equal(backoff_delay_ms(&backoff, rows[i].attempt, rows[i].random),
			rows[i].expected_ms);
	}
}

/* Every attempt below 100, over the whole range of random numbers: always below the bound. */
static void below_the_bound(void **state)
{
	struct backoff backoff = {.base_ms = 100, .cap_ms = 20000};
	int64_t bound = 100;

	for (unsigned attempt = 0; attempt < 100; attempt++) {
		for (unsigned k = 0; k < 256; k++) {
			uint64_t random = (uint64_t)k << 56;
			int64_t delay_ms = backoff_delay_ms(&backoff, attempt, random);

			assert_int_equal(delay_ms, bound * k / 256);
		}
		bound = bound * 2 > 20000 ? 20000 : bound * 2;
	}
}

/* The definition, link by link from the first: what the chain must give where it is not cut. */
static int64_t whole_chain(const struct backoff *backoff, unsigned attempt, uint64_t seed)
{
	int64_t delay_ms = backoff->base_ms;

	for (unsigned link = 0; link <= attempt; link++) {
		uint64_t state = seed + link;
		uint64_t range = (uint64_t)(3 * delay_ms - backoff->base_ms) + 1;

		delay_ms =
			backoff->base_ms + (int64_t)random_below(random_split_mix(&state), range);
		if (delay_ms > backoff->cap_ms)
			delay_ms = backoff->cap_ms;
	}
	return delay_ms;
}

static const struct backoff decorrelated_rows[] = {
	{.base_ms = 1000, .cap_ms = 300000, .jitter = BACKOFF_DECORRELATED},
	{.base_ms = 1, .cap_ms = 12 * 3600 * 1000, .jitter = BACKOFF_DECORRELATED},
	{.base_ms = 700, .cap_ms = 1000, .jitter = BACKOFF_DECORRELATED},
	{.base_ms = 500, .cap_ms = 500, .jitter = BACKOFF_DECORRELATED},
	{.base_ms = 12 * 3600 * 1000, .cap_ms = 12 * 3600 * 1000, .jitter = BACKOFF_DECORRELATED},
};

/* Any worker that knows the message's seed and attempt draws the same delay. */
static void the_chain_is_drawn_again(void **state)
{
	for (size_t i = 0; i < sizeof(decorrelated_rows) / sizeof(decorrelated_rows[0]); i++) {
		const struct backoff *backoff = &decorrelated_rows[i];

		for (uint64_t seed = 0; seed < 200; seed++)
			for (unsigned attempt = 0; attempt < 64; attempt++)
				assert_int_equal(backoff_delay_ms(backoff, attempt,
							 seed * UINT64_C(0xD6E8FEB86659FD93)),
					whole_chain(backoff, attempt,
						seed * UINT64_C(0xD6E8FEB86659FD93)));
	}
}

/* Across the bound of 64 links, and far beyond it, up to the last attempt that there can be. */
static void never_more_than_three_times_the_one_before(void **state)
{
	static const unsigned from[] = {0, 1000, UINT_MAX - 150};

	for (size_t i = 0; i < sizeof(decorrelated_rows) / sizeof(decorrelated_rows[0]); i++) {
		const struct backoff *backoff = &decorrelated_rows[i];

		for (size_t k = 0; k < 3 * 100; k++) {
			uint64_t seed = k * UINT64_C(0x9FB21C651E98DF25);
			int64_t before_ms = from[k % 3] ? backoff->cap_ms : backoff->base_ms;

			for (unsigned n = 0; n <= 150; n++) {
				int64_t delay_ms = backoff_delay_ms(backoff, from[k % 3] + n, seed);

				assert_in_range(delay_ms, backoff->base_ms, backoff->cap_ms);
				assert_true(delay_ms <= 3 * before_ms);
				before_ms = delay_ms;
			}
		}
	}
}

/* 10,000 messages each: the delays grow as they should, then stay, and are spread. */
static void the_mean_grows_and_stays(void **state)
{
	static const unsigned attempts[] = {0, 1, 2, 8, 32, 63, 64, 1000, UINT_MAX};
	/* Mean in ms; uniform in [1 s, 3 s] after the first failure. */
	static const int64_t expected_ms[] = {
		2002, 3527, 5793, 57768, 140212, 141214, 140482, 140960, 139009};
	struct random random;

	for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++) {
		int64_t sum_ms = 0;

		random_seed(&random, 1);
		for (int k = 0; k < 10000; k++)
			sum_ms += backoff_delay_ms(
				&decorrelated_rows[0], attempts[i], random_next(&random));
		assert_int_equal(sum_ms / 10000, expected_ms[i]);
	}
}

static void no_overflow(void **state)
{
	struct backoff backoff = {
		.base_ms = 1, .cap_ms = INT64_MAX, .jitter = BACKOFF_DECORRELATED};

	for (uint64_t seed = 0; seed < 1000; seed++)
		assert_true(backoff_delay_ms(&backoff, UINT_MAX, seed) >= 1);
	backoff.base_ms = INT64_MAX;
	assert_int_equal(backoff_delay_ms(&backoff, UINT_MAX, 1), INT64_MAX);
	backoff.base_ms = INT64_MAX - 1;
	assert_in_range(backoff_delay_ms(&backoff, 3, 1), INT64_MAX - 1, INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_values),
		cmocka_unit_test(below_the_bound),
		cmocka_unit_test(the_chain_is_drawn_again),
		cmocka_unit_test(never_more_than_three_times_the_one_before),
		cmocka_unit_test(the_mean_grows_and_stays),
		cmocka_unit_test(no_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
