/* Exponential back-off with full jitter, to the exact value. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exact_values),
		cmocka_unit_test(below_the_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
