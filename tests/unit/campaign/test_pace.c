/* The pace of batches, to the microsecond. */
#include "campaign/pace.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define HOUR_MS 3600000
#define START_US UINT64_C(1000000000)

static void batches_hold_a_second(void **state)
{
	static const struct {
		int64_t count, per_ms;
		unsigned most;
	} rows[] = {{0, 0, 10}, {1, 1000, 1}, {9, 1000, 9}, {10, 1000, 10}, {11, 1000, 10},
		{1000000000, 1000, 10}, {59, 60000, 1}, {60, 60000, 1}, {120, 60000, 2},
		{1, HOUR_MS, 1}, {36000, HOUR_MS, 10}, {1000000000, HOUR_MS, 10}};

	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct pace pace = {rows[i].count, rows[i].per_ms, 0};

		assert_int_equal(pace_batch_max(&pace, 10), rows[i].most);
	}
}

static void a_batch_takes_its_time(void **state)
{
	struct pace pace = {100, 1000, 0};

	pace_take(&pace, 10, START_US);
	assert_int_equal(pace.due_us, START_US - PACE_LAG_US + 100000);
	pace_take(&pace, 3, pace.due_us); /* in time: from there on */
	assert_int_equal(pace.due_us, START_US - PACE_LAG_US + 130000);
	pace_take(&pace, 1, pace.due_us + 20000); /* late by less than is made up for */
	assert_int_equal(pace.due_us, START_US - PACE_LAG_US + 140000);
	pace_take(&pace, 1, START_US + 5000000);
	assert_int_equal(pace.due_us, START_US + 5000000 - PACE_LAG_US + 10000);
}

static void without_a_rate_everything_is_due(void **state)
{
	struct pace pace = {0};

	pace_take(&pace, 10, START_US);
	assert_int_equal(pace.due_us, 0);
}

static void the_slowest_does_not_overflow(void **state)
{
	struct pace pace = {1, HOUR_MS, 0};

	pace_take(&pace, 10, START_US);
	assert_int_equal(pace.due_us, START_US - PACE_LAG_US + UINT64_C(36000000000));
}

/* Whatever the sizes and however late: no span has more than its room, one batch and the lag. */
static void no_span_has_more_than_its_room(void **state)
{
	enum { BATCHES = 300 };
	static uint64_t at_us[BATCHES], entries[BATCHES];
	struct random random;

	random_seed(&random, 7);
	for (int round = 0; round < 50; round++) {
		struct pace pace = {1 + (int64_t)random_below(random_next(&random), 5000), 1000, 0};
		unsigned most = pace_batch_max(&pace, 10);
		uint64_t now_us = START_US;

		for (int i = 0; i < BATCHES; i++) {
			if (now_us < pace.due_us)
				now_us = pace.due_us;
			if (random_below(random_next(&random), 5) == 0)
				now_us += random_below(random_next(&random), 200000);
			at_us[i] = now_us;
			entries[i] = 1 + random_below(random_next(&random), most);
			pace_take(&pace, (unsigned)entries[i], now_us);
		}
		for (int from = 0; from < BATCHES; from++) {
			uint64_t sum = 0;

			for (int to = from; to < BATCHES; to++) {
				uint64_t room_us = at_us[to] - at_us[from] + PACE_LAG_US;

				/* an interval is cut to whole microseconds, each time */
				assert_true(sum * 1000000 <= (room_us + (uint64_t)(to - from)) *
								     (uint64_t)pace.count);
				sum += entries[to];
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(batches_hold_a_second),
		cmocka_unit_test(a_batch_takes_its_time),
		cmocka_unit_test(without_a_rate_everything_is_due),
		cmocka_unit_test(the_slowest_does_not_overflow),
		cmocka_unit_test(no_span_has_more_than_its_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
