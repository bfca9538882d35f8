/* When keys are asked for again: exact values, and bounds over all of them. */
#include "aws/credentials/renewal.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LOWEST UINT64_C(0)
#define MIDDLE (UINT64_C(1) << 63)
#define HIGHEST UINT64_MAX

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

static void renewals(void **state)
{
	static const struct {
		int64_t left_ms;
		uint64_t random;
		int64_t delay_ms;
	} rows[] = {
		/* 15 minutes, of which it takes the last half to all: u = 0, 1/2, nearly 1. */
		{6 * HOUR, LOWEST, 6 * HOUR - 450 * SECOND},
		{6 * HOUR, MIDDLE, 6 * HOUR - 675 * SECOND},
		{6 * HOUR, HIGHEST, 6 * HOUR - 900 * SECOND + 1},
		{30 * MINUTE, LOWEST, 30 * MINUTE - 450 * SECOND},
		{30 * MINUTE, HIGHEST, 15 * MINUTE + 1},
		/* Half of what is left. */
		{10 * MINUTE, LOWEST, 10 * MINUTE - 150 * SECOND},
		{10 * MINUTE, MIDDLE, 10 * MINUTE - 225 * SECOND},
		{10 * MINUTE, HIGHEST, 5 * MINUTE + 1},
		{4 * SECOND, LOWEST, 3 * SECOND},
		{4 * SECOND, HIGHEST, 2 * SECOND + 1},
		/* Never within a second. */
		{2 * SECOND, HIGHEST, SECOND + 1},
		{1500, HIGHEST, SECOND},
		{1500, LOWEST, 1125},
		{1001, HIGHEST, SECOND},
		{500, LOWEST, SECOND},
		{1, HIGHEST, SECOND},
		/* Nothing left. */
		{0, LOWEST, 45 * SECOND},
		{0, MIDDLE, 60 * SECOND},
		{-1, HIGHEST, 75 * SECOND - 1},
		{INT64_MIN, LOWEST, 45 * SECOND},
		/* Practically for ever. */
		{365 * DAY, LOWEST, 365 * DAY - 450 * SECOND},
		{INT64_MAX, LOWEST, 365 * DAY - 450 * SECOND},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(credentials_renewal_delay_ms(rows[i].left_ms, rows[i].random),
			rows[i].delay_ms);
}

static void renewals_never_spin_and_never_come_late(void **state)
{
	uint64_t random = 1;

	for (int i = 0; i < 100000; i++) {
		int64_t left_ms = 1 + (int64_t)(random_split_mix(&random) >> (i % 40 + 20));
		int64_t delay_ms = credentials_renewal_delay_ms(left_ms, random_split_mix(&random));

		assert_true(delay_ms >= SECOND);
		if (left_ms > 365 * DAY)
			left_ms = 365 * DAY;
		assert_true(delay_ms >= left_ms / 4);
		assert_true(delay_ms < left_ms || delay_ms == SECOND);
		assert_true(delay_ms >= left_ms - 15 * MINUTE);
	}
}

/* Unchanged keys, asked for again and again up to their end: a handful of times. */
static void a_provider_that_keeps_its_keys_is_asked_seldom(void **state)
{
	uint64_t random = 7;

	for (int i = 0; i < 1000; i++) {
		int64_t left_ms = HOUR;
		int asked = 0;

		for (; left_ms > 0; asked++)
			left_ms -= credentials_renewal_delay_ms(left_ms, random_split_mix(&random));
		assert_in_range(asked, 5, 20);
	}
}

static void retries(void **state)
{
	static const int64_t bounds[] = {1, 2, 4, 8, 16, 32, 60, 60, 60};

	for (unsigned i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		assert_int_equal(credentials_retry_delay_ms(i + 1, LOWEST), 250);
		assert_int_equal(credentials_retry_delay_ms(i + 1, MIDDLE), bounds[i] * SECOND / 2);
		assert_int_equal(
			credentials_retry_delay_ms(i + 1, HIGHEST), bounds[i] * SECOND - 1);
	}
	assert_int_equal(credentials_retry_delay_ms(UINT32_MAX, HIGHEST), MINUTE - 1);
	assert_int_equal(credentials_retry_delay_ms(1, UINT64_MAX / 5), 250);
}

static void outlived(void **state)
{
	assert_int_equal(credentials_outlived_delay_ms(LOWEST), 2 * MINUTE);
	assert_int_equal(credentials_outlived_delay_ms(MIDDLE), 6 * MINUTE);
	assert_int_equal(credentials_outlived_delay_ms(HIGHEST), 10 * MINUTE - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(renewals),
		cmocka_unit_test(renewals_never_spin_and_never_come_late),
		cmocka_unit_test(a_provider_that_keeps_its_keys_is_asked_seldom),
		cmocka_unit_test(retries),
		cmocka_unit_test(outlived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
