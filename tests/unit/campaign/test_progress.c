/* Progress as text, with time as an argument. */
#include "campaign/progress.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SECOND_US ((uint64_t)1000000)

static void check_bar(const struct progress *progress, unsigned columns, const char *expected)
{
	struct buf out = BUF_INIT(1000);

	progress_bar(progress, columns, &out);
	assert_string_equal(buf_string(&out), expected);
	assert_true(out.len <= columns);
	buf_free(&out);
}

static void check_sentence(const struct progress *progress, const char *expected)
{
	struct buf out = BUF_INIT(1000);

	progress_sentence(progress, &out);
	assert_string_equal(buf_string(&out), expected);
	buf_free(&out);
}

static void the_rate_is_that_of_the_last_seconds(void **state)
{
	struct progress progress;

	progress_start(&progress, 100000, 7 * SECOND_US);
	assert_int_equal(progress_rate(&progress), 0);
	assert_int_equal(progress_left_s(&progress), -1);
	progress_update(&progress, 500, 8 * SECOND_US);
	assert_int_equal(progress_rate(&progress), 500);
	for (int i = 1; i <= 100; i++)
		progress_update(&progress, 500 + (uint64_t)i * 200,
			8 * SECOND_US + (uint64_t)i * SECOND_US / 5);
	assert_int_equal(progress_rate(&progress), 1000);
	assert_int_equal(progress_left_s(&progress), 80); /* 79,500 to go */
	/* a standstill shows within the window */
	progress_update(&progress, 20500, 60 * SECOND_US);
	progress_update(&progress, 20500, 61 * SECOND_US);
	assert_int_equal(progress_rate(&progress), 0);
	assert_int_equal(progress_left_s(&progress), -1);
}

static void bars(void **state)
{
	struct progress progress;

	progress_start(&progress, 10000, 0);
	check_bar(&progress, 100,
		"[>                                       ]   0%  0/10,000  0/s  ETA -");
	progress_update(&progress, 4520, SECOND_US);
	check_bar(&progress, 100,
		"[==================>                     ]  45%  4,520/10,000  4,520/s  ETA 2s");
	check_bar(&progress, 60, "[=========>           ]  45%  4,520/10,000  4,520/s  ETA 2s");
	check_bar(&progress, 40, " 45%  4,520/10,000  4,520/s  ETA 2s");
	check_bar(&progress, 10, " 45%  4,52");
	progress_update(&progress, 10000, 2 * SECOND_US);
	check_bar(&progress, 100,
		"[========================================] 100%  10,000/10,000  5,000/s  ETA 0s");
}

static void sentences(void **state)
{
	struct progress progress;

	progress_start(&progress, 2000000, 0);
	check_sentence(&progress, "0 of 2000000 (0%), 0/s");
	progress_update(&progress, 10000, 10 * SECOND_US);
	check_sentence(&progress, "10000 of 2000000 (0%), 1000/s, about 33m10s left");
	progress_start(&progress, 2000000, 0);
	progress_update(&progress, 1000, 10 * SECOND_US);
	check_sentence(&progress, "1000 of 2000000 (0%), 100/s, about 5h33m left");
	progress_update(&progress, 2000000, 20 * SECOND_US);
	check_sentence(&progress, "2000000 of 2000000 (100%), 199900/s, about 0s left");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_rate_is_that_of_the_last_seconds),
		cmocka_unit_test(bars),
		cmocka_unit_test(sentences),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
