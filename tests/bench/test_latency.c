#include "bench/latency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state)
{
	*state = calloc(1, sizeof(struct latency));
	return *state == NULL;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void test_nothing_is_zero(void **state)
{
	assert_true(latency_ms(*state, .99) == 0);
}

static void test_short_times_are_exact(void **state)
{
	struct latency *latency = *state;

	for (uint64_t ns = 1; ns <= 100; ns++)
		latency_add(latency, ns);
	assert_true(latency_ms(latency, .5) == 50 / 1e6);
	assert_true(latency_ms(latency, .99) == 99 / 1e6);
	assert_true(latency_ms(latency, 1) == 100 / 1e6);
	assert_int_equal(latency->worst_ns, 100);
}

/* Every power of two, and what lies right beside it: never less, at most 1/64 more. */
static void test_any_time_is_near(void **state)
{
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int beside = -1; beside <= 1; beside++) {
			uint64_t ns = ((uint64_t)1 << bit) + (uint64_t)(int64_t)beside;
			struct latency *latency = *state;
			double ms;

			memset(latency, 0, sizeof(*latency));
			latency_add(latency, ns);
			latency_add(latency, UINT64_MAX); /* the worst does not hide the slot */
			ms = latency_ms(latency, .5);
			assert_true(ms >= (double)ns / 1e6);
			assert_true(ms <= (double)ns / 1e6 * (1 + 1 / 64.));
		}
	}
}

/* The end of its slot is beyond the longest time. */
static void test_no_percentile_is_longer_than_the_worst(void **state)
{
	struct latency *latency = *state;

	latency_add(latency, 1000001);
	assert_true(latency_ms(latency, .99) == 1000001 / 1e6);
}

static void test_merge_adds(void **state)
{
	struct latency *latency = *state;
	static struct latency other;

	latency_add(latency, 10);
	latency_add(&other, 20);
	latency_add(&other, 30);
	latency_merge(latency, &other);
	assert_int_equal(latency->count, 3);
	assert_int_equal(latency->worst_ns, 30);
	assert_true(latency_ms(latency, .67) == 20 / 1e6);
}

static void test_print(void **state)
{
	struct latency *latency = *state;
	char text[256] = "";
	FILE *out = fmemopen(text, sizeof(text), "w");

	assert_non_null(out);
	latency_add(latency, 2000000);
	latency_print(out, "send", latency);
	fclose(out);
	assert_string_equal(text,
		"\"send\":{\"count\":1,\"p50_ms\":2.000,\"p90_ms\":2.000,\"p99_ms\":2.000,"
		"\"p999_ms\":2.000,\"max_ms\":2.000}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_nothing_is_zero, setup, teardown),
		cmocka_unit_test_setup_teardown(test_short_times_are_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(test_any_time_is_near, setup, teardown),
		cmocka_unit_test_setup_teardown(
			test_no_percentile_is_longer_than_the_worst, setup, teardown),
		cmocka_unit_test_setup_teardown(test_merge_adds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_print, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
