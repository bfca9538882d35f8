/* Exact counts of a window in a hundred steps; time is an argument. */
#include "cli/sink/window.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND ((uint64_t)1000000)
#define STEP (SECOND / WINDOW_STEPS)

static void test_counts_what_came_within_its_length(void **state)
{
	struct window window;

	window_init(&window, SECOND);
	assert_int_equal(window_count(&window, 5 * SECOND), 0);
	for (uint64_t i = 0; i < 100; i++)
		window_add(&window, 5 * SECOND + i * STEP);
	assert_int_equal(window_count(&window, 6 * SECOND - 1), 100);
	assert_int_equal(window_count(&window, 6 * SECOND), 99);
	assert_int_equal(window_count(&window, 6 * SECOND + STEP - 1), 99);
	assert_int_equal(window_count(&window, 6 * SECOND + STEP), 98);
	assert_int_equal(window_count(&window, 7 * SECOND), 0);
	assert_int_equal(window.most, 100);
}

static void test_most_is_the_highest_of_all_moments(void **state)
{
	struct window window;

	window_init(&window, SECOND);
	for (int i = 0; i < 7; i++)
		window_add(&window, SECOND - 1);
	for (int i = 0; i < 5; i++)
		window_add(&window, 2 * SECOND - STEP - 1);
	assert_int_equal(window.most, 12);
	window_add(&window, 2 * SECOND);
	assert_int_equal(window_count(&window, 2 * SECOND), 6);
	assert_int_equal(window.most, 12);
}

static void test_a_long_silence_empties_it(void **state)
{
	struct window window;

	window_init(&window, SECOND);
	window_add(&window, 0);
	assert_int_equal(window_count(&window, UINT64_MAX), 0);
	window_add(&window, UINT64_MAX);
	assert_int_equal(window_count(&window, UINT64_MAX), 1);
}

static void test_wait_is_until_the_oldest_step_is_forgotten(void **state)
{
	struct window window;

	window_init(&window, 60 * SECOND);
	assert_int_equal(window_wait_us(&window, 7), 0);
	window_add(&window, 3 * SECOND); /* the step from 3.0 to 3.6 s */
	window_add(&window, 4 * SECOND);
	assert_int_equal(window_wait_us(&window, 4 * SECOND), 59 * SECOND);
	assert_int_equal(window_wait_us(&window, 63 * SECOND - 1), 1);
	assert_int_equal(window_count(&window, 63 * SECOND), 1);
	assert_int_equal(window_wait_us(&window, 63 * SECOND), 600000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_what_came_within_its_length),
		cmocka_unit_test(test_most_is_the_highest_of_all_moments),
		cmocka_unit_test(test_a_long_silence_empties_it),
		cmocka_unit_test(test_wait_is_until_the_oldest_step_is_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
