/* How many workers: growing, holding, shrinking, to the exact step. */
#include "supervisor/scale.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000)

static struct scale_load load(unsigned workers, unsigned busy_percent, int64_t backlog)
{
	return (struct scale_load){.workers = workers,
		.busy = workers * busy_percent,
		.slots = workers * 100,
		.backlog = backlog};
}

static unsigned step(struct scale *scale, struct scale_load load, uint64_t now_us)
{
	return scale_step(scale, &load, now_us);
}

static void doubles_while_busy(void **state)
{
	struct scale scale;

	scale_init(&scale, 1, 12);
	assert_int_equal(step(&scale, load(1, 80, 1), 1 * SECOND), 2);
	assert_int_equal(step(&scale, load(2, 100, 1), 1 * SECOND + SCALE_GROW_US - 1), 2);
	assert_int_equal(step(&scale, load(2, 100, 1), 1 * SECOND + SCALE_GROW_US), 4);
	assert_int_equal(step(&scale, load(4, 100, 1), 5 * SECOND), 8);
	assert_int_equal(step(&scale, load(8, 100, 1), 7 * SECOND), 12);
	assert_int_equal(step(&scale, load(12, 100, 1), 60 * SECOND), 12);
}

static void waits_for_those_that_start(void **state)
{
	struct scale_load starting = load(1, 100, 5);
	struct scale scale;

	scale_init(&scale, 1, 8);
	starting.starting = 1;
	assert_int_equal(step(&scale, starting, 10 * SECOND), 1);
	assert_int_equal(step(&scale, load(1, 100, 5), 11 * SECOND), 2);
	/* Fewer at work than wanted: one has died and will be back. */
	assert_int_equal(step(&scale, load(1, 100, 5), 20 * SECOND), 2);
}

/* A rate, a breaker or a slow provider holds them back: more would change nothing. */
static void a_backlog_alone_is_no_reason(void **state)
{
	struct scale scale;

	scale_init(&scale, 2, 8);
	assert_int_equal(step(&scale, load(2, 79, 1000000), 10 * SECOND), 2);
	assert_int_equal(step(&scale, load(2, 0, 1000000), 20 * SECOND), 2);
}

static void busy_alone_is_no_reason(void **state)
{
	struct scale_load full = load(2, 100, -1);
	struct scale scale;

	scale_init(&scale, 2, 8);
	assert_int_equal(step(&scale, load(2, 100, 0), 10 * SECOND), 2);
	assert_int_equal(step(&scale, full, 20 * SECOND), 2);
	/* The backlog is not known, but polls come back full. */
	full.wanting = 1;
	assert_int_equal(step(&scale, full, 30 * SECOND), 4);
}

static void shrinks_by_a_tenth_a_minute(void **state)
{
	struct scale scale;

	scale_init(&scale, 3, 40);
	scale.wanted = 40;
	assert_int_equal(step(&scale, load(40, 10, 0), 1 * SECOND), 40);
	assert_int_equal(step(&scale, load(40, 10, 0), 61 * SECOND - 1), 40);
	assert_int_equal(step(&scale, load(40, 10, 0), 61 * SECOND), 36);
	assert_int_equal(step(&scale, load(36, 10, 0), 120 * SECOND), 36);
	assert_int_equal(step(&scale, load(36, 10, 0), 121 * SECOND), 33);
	scale.wanted = 4;
	assert_int_equal(step(&scale, load(4, 0, 0), 181 * SECOND), 3);
	assert_int_equal(step(&scale, load(3, 0, 0), 900 * SECOND), 3);
}

static void work_in_between_begins_the_minute_anew(void **state)
{
	struct scale scale;

	scale_init(&scale, 1, 4);
	scale.wanted = 4;
	step(&scale, load(4, 0, 0), 1 * SECOND);
	assert_int_equal(step(&scale, load(4, 0, 7), 59 * SECOND), 4);
	assert_int_equal(step(&scale, load(4, 0, 0), 61 * SECOND), 4);
	assert_int_equal(step(&scale, load(4, 0, 0), 121 * SECOND), 3);
}

/* With one fewer the others would have more than half of their slots busy. */
static void keeps_what_is_half_busy(void **state)
{
	struct scale scale;

	scale_init(&scale, 1, 4);
	scale.wanted = 4;
	step(&scale, load(4, 38, 0), 1 * SECOND);
	assert_int_equal(step(&scale, load(4, 38, 0), 200 * SECOND), 4);
	step(&scale, load(4, 37, 0), 201 * SECOND);
	assert_int_equal(step(&scale, load(4, 37, 0), 261 * SECOND), 3);
}

static void a_fixed_number_stays(void **state)
{
	struct scale scale;

	scale_init(&scale, 3, 3);
	assert_int_equal(step(&scale, load(3, 100, 9), 10 * SECOND), 3);
	step(&scale, load(3, 0, 0), 20 * SECOND);
	assert_int_equal(step(&scale, load(3, 0, 0), 900 * SECOND), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(doubles_while_busy),
		cmocka_unit_test(waits_for_those_that_start),
		cmocka_unit_test(a_backlog_alone_is_no_reason),
		cmocka_unit_test(busy_alone_is_no_reason),
		cmocka_unit_test(shrinks_by_a_tenth_a_minute),
		cmocka_unit_test(work_in_between_begins_the_minute_anew),
		cmocka_unit_test(keeps_what_is_half_busy),
		cmocka_unit_test(a_fixed_number_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
