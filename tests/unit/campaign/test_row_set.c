/* Sets of rows. */
#include "campaign/row_set.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void rows_are_in_it(void **state)
{
	static const uint64_t rows[] = {1, 2, 8, 9, 4096, 4097, 8192, 9999, 10000};
	struct row_set set;
	size_t next = 0;

	assert_int_equal(row_set_init(&set, 10000), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(row_set_add(&set, rows[i]), 0);
		assert_int_equal(row_set_add(&set, rows[i]), 0);
		assert_int_equal(set.count, i + 1);
		assert_int_equal(set.fresh, i + 1);
	}
	for (uint64_t row = 0; row <= 20000; row++) {
		bool expected = next < sizeof(rows) / sizeof(rows[0]) && rows[next] == row;

		assert_int_equal(row_set_has(&set, row), expected);
		next += expected;
	}
	assert_false(row_set_has(&set, UINT64_MAX));
	row_set_free(&set);
}

static void others_are_refused(void **state)
{
	struct row_set set;

	assert_int_equal(row_set_init(&set, 4096), 0);
	assert_int_equal(row_set_add(&set, 0), ERR_ARGUMENT);
	assert_int_equal(row_set_add(&set, 4097), ERR_ARGUMENT);
	assert_int_equal(row_set_add(&set, UINT64_MAX), ERR_ARGUMENT);
	assert_int_equal(set.count, 0);
	row_set_free(&set);

	assert_int_equal(row_set_init(&set, 0), 0);
	assert_int_equal(row_set_add(&set, 1), ERR_ARGUMENT);
	assert_false(row_set_has(&set, 1));
	row_set_free(&set);
}

static void chunks_are_dirty_until_written(void **state)
{
	struct row_set set;
	size_t chunk = 99;

	assert_int_equal(row_set_init(&set, 5 * ROW_SET_CHUNK_ROWS), 0);
	assert_false(row_set_next_dirty(&set, 0, &chunk));
	assert_int_equal(row_set_add(&set, 4096), 0);
	assert_int_equal(row_set_add(&set, 4 * 4096 + 1), 0);
	assert_true(row_set_next_dirty(&set, 0, &chunk));
	assert_int_equal(chunk, 0);
	assert_true(row_set_next_dirty(&set, 1, &chunk));
	assert_int_equal(chunk, 4);
	assert_false(row_set_next_dirty(&set, 5, &chunk));
	row_set_clean(&set);
	assert_int_equal(set.fresh, 0);
	assert_int_equal(set.count, 2);
	assert_false(row_set_next_dirty(&set, 0, &chunk));
	assert_int_equal(row_set_add(&set, 4096), 0); /* it was there */
	assert_false(row_set_next_dirty(&set, 0, &chunk));
	row_set_free(&set);
}

static void a_written_chunk_is_read(void **state)
{
	unsigned char bits[ROW_SET_CHUNK_BYTES] = {0x81, [ROW_SET_CHUNK_BYTES - 1] = 0x80};
	struct row_set set;
	size_t chunk;

	assert_int_equal(row_set_init(&set, 2 * ROW_SET_CHUNK_ROWS), 0);
	assert_int_equal(row_set_add(&set, 5000), 0);
	assert_int_equal(row_set_load(&set, 1, bits), 0);
	assert_int_equal(set.count, 3);
	assert_true(row_set_has(&set, 4097) && row_set_has(&set, 4104) && row_set_has(&set, 8192));
	assert_false(row_set_has(&set, 5000));
	assert_false(row_set_next_dirty(&set, 0, &chunk));
	assert_int_equal(row_set_load(&set, 2, bits), ERR_ARGUMENT);
	assert_int_equal(row_set_load(&set, UINT64_MAX, bits), ERR_ARGUMENT);
	row_set_free(&set);
}

/* Each length of the last chunk, with its last row and with one row too many. */
static void rows_behind_the_last_are_refused(void **state)
{
	for (uint64_t rows = 1; rows < ROW_SET_CHUNK_ROWS; rows++) {
		unsigned char bits[ROW_SET_CHUNK_BYTES] = {0};
		struct row_set set;

		assert_int_equal(row_set_init(&set, rows), 0);
		bits[(rows - 1) / 8] = (unsigned char)(1u << (rows - 1) % 8);
		assert_int_equal(row_set_load(&set, 0, bits), 0);
		bits[rows / 8] = (unsigned char)(1u << rows % 8);
		assert_int_equal(row_set_load(&set, 0, bits), ERR_ARGUMENT);
		assert_int_equal(set.count, 1);
		row_set_free(&set);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_are_in_it),
		cmocka_unit_test(others_are_refused),
		cmocka_unit_test(chunks_are_dirty_until_written),
		cmocka_unit_test(a_written_chunk_is_read),
		cmocka_unit_test(rows_behind_the_last_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
