/* How long the queue takes: RFC 6298's estimator, worked out by hand. */
#include "delivery/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void expect(const struct latency *latency, uint64_t mean_us, uint64_t deviation_us)
{
	assert_int_equal(latency->mean_us, mean_us);
	assert_int_equal(latency->deviation_us, deviation_us);
}

static void unknown(void **state)
{
	struct latency latency = {0};

	assert_int_equal(latency_bound_us(&latency), 1000000);
}

/* (2.2) and (2.3): SRTT <- R, RTTVAR <- R/2; then alpha 1/8, beta 1/4. */
static void by_hand(void **state)
{
	static const struct {
		uint64_t us, mean_us, deviation_us, bound_us;
	} rows[] = {
		{100000, 100000, 50000, 300000},
		{200000, 112500, 62500, 362500}, /* (150000 + 100000) / 4, (700000 + 200000) / 8 */
		{50000, 104687, 62500, 354687},	 /* (187500 + 62500) / 4, (787500 + 50000) / 8 */
		{104687, 104687, 46875, 292187}, /* 187500 / 4 */
		{4687, 92187, 60156, 332811},	 /* (140625 + 100000) / 4, (732809 + 4687) / 8 */
		{2000000, 330663, 522070, 2418943},
	};
	struct latency latency = {0};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		latency_record(&latency, rows[i].us);
		expect(&latency, rows[i].mean_us, rows[i].deviation_us);
		assert_int_equal(latency_bound_us(&latency), rows[i].bound_us);
	}
}

/* At the first, at three measures: mean and four deviations, but 10 ms at least. */
static void the_least_bound(void **state)
{
	static const uint64_t first_us[] = {0, 1, 1000, 3333, 3334, 3336};
	static const uint64_t bounds_us[] = {10000, 10000, 10000, 10000, 10002, 10008};

	for (size_t i = 0; i < 6; i++) {
		struct latency latency = {0};

		latency_record(&latency, first_us[i]);
		assert_int_equal(latency_bound_us(&latency), bounds_us[i]);
	}
}

/* Nothing at all is a measure too: it must not look like none. */
static void an_instant_answer(void **state)
{
	struct latency latency = {0};

	latency_record(&latency, 0);
	expect(&latency, 1, 0);
	for (int i = 0; i < 100; i++)
		latency_record(&latency, 0);
	assert_int_equal(latency_bound_us(&latency), 10000);
	latency = (struct latency){0};
	latency_record(&latency, 1000000);
	for (int i = 0; i < 1000; i++) {
		latency_record(&latency, 0);
		assert_true(latency.mean_us > 0);
	}
	assert_int_equal(latency_bound_us(&latency), 10000);
}

/* The same again and again: the deviation goes, the mean stays. */
static void converges(void **state)
{
	struct latency latency = {0};
	uint64_t last_us = UINT64_MAX;

	for (int i = 0; i < 100; i++) {
		latency_record(&latency, 80000);
		assert_int_equal(latency.mean_us, 80000);
		assert_true(latency_bound_us(&latency) <= last_us);
		last_us = latency_bound_us(&latency);
	}
	assert_int_equal(last_us, 80000);
}

/* Hours, in the time that they take, overflow nothing. */
static void very_long(void **state)
{
	struct latency latency = {0};
	uint64_t day_us = UINT64_C(86400000000);

	for (int i = 0; i < 100; i++)
		latency_record(&latency, i % 2 ? day_us : 1);
	assert_true(latency.mean_us > day_us / 4 && latency.mean_us < day_us);
	assert_true(latency_bound_us(&latency) > day_us);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unknown),
		cmocka_unit_test(by_hand),
		cmocka_unit_test(the_least_bound),
		cmocka_unit_test(an_instant_answer),
		cmocka_unit_test(converges),
		cmocka_unit_test(very_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
