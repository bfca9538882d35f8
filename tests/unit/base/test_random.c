#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* The published first outputs for these states. */
static void split_mix_matches_the_reference(void **state)
{
	static const uint64_t expected[] = {
		UINT64_C(6457827717110365317),
		UINT64_C(3203168211198807973),
		UINT64_C(9817491932198370423),
		UINT64_C(4593380528125082431),
		UINT64_C(16408922859458223821),
	};
	uint64_t word = 1234567;

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_true(random_split_mix(&word) == expected[i]);
}

static void xoshiro_matches_the_reference(void **state)
{
	static const uint64_t expected[] = {
		UINT64_C(11520),
		UINT64_C(0),
		UINT64_C(1509978240),
		UINT64_C(1215971899390074240),
		UINT64_C(1216172134540287360),
		UINT64_C(607988272756665600),
		UINT64_C(16172922978634559625),
		UINT64_C(8476171486693032832),
		UINT64_C(10595114339597558777),
		UINT64_C(2904607092377533576),
	};
	struct random random = {.state = {1, 2, 3, 4}};

	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_true(random_next(&random) == expected[i]);
}

static void the_seed_decides(void **state)
{
	struct random a, b, c;

	random_seed(&a, 0);
	random_seed(&b, 0);
	random_seed(&c, 1);
	for (int i = 0; i < 1000; i++) {
		uint64_t x = random_next(&a);

		assert_true(x == random_next(&b));
		assert_true(x != random_next(&c));
	}
}

static void below_scales_exactly(void **state)
{
	assert_int_equal(random_below(UINT64_MAX, 0), 0);
	assert_int_equal(random_below(0, 10), 0);
	assert_int_equal(random_below(UINT64_MAX, 1), 0);
	assert_int_equal(random_below(UINT64_MAX, 10), 9);
	assert_int_equal(random_below(UINT64_C(1) << 63, 10), 5);
	assert_int_equal(random_below((UINT64_C(1) << 63) - 1, 10), 4);
	assert_true(random_below(UINT64_MAX, UINT64_MAX) == UINT64_MAX - 1);
	for (uint64_t bound = 1; bound < 1000; bound++) {
		assert_int_equal(random_below(0, bound), 0);
		assert_int_equal(random_below(UINT64_MAX, bound), bound - 1);
	}
}

static void below_is_even(void **state)
{
	struct random random;
	unsigned seen[7] = {0};

	random_seed(&random, 42);
	for (int i = 0; i < 70000; i++)
		seen[random_below(random_next(&random), 7)]++;
	for (int i = 0; i < 7; i++)
		assert_in_range(seen[i], 9600, 10400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_mix_matches_the_reference),
		cmocka_unit_test(xoshiro_matches_the_reference),
		cmocka_unit_test(the_seed_decides),
		cmocka_unit_test(below_scales_exactly),
		cmocka_unit_test(below_is_even),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
