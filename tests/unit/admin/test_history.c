/* The history: its document to the byte, its bounds, and clocks that are set. */
#include "admin/history.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#define HEAD                                                                                     \
	"{\"now_ms\":5000,\"interval_ms\":1000,\"columns\":[\"t_ms\",\"received\",\"accepted\"," \
	"\"failed\",\"retried\",\"expired\",\"attempt_p50_ms\",\"attempt_p95_ms\","              \
	"\"attempt_p99_ms\",\"acceptance_p50_ms\",\"acceptance_p99_ms\",\"busy\",\"limit\","     \
	"\"held\",\"visible\",\"in_flight\"],\"rows\":["

static struct history history;

static int set_up(void **state)
{
	memset(&history, 0, sizeof(history));
	return 0;
}

static void add(int64_t t_ms, int64_t tenths)
{
	struct history_row row = {.t_ms = t_ms};

	for (size_t i = 0; i < HISTORY_COLUMNS; i++)
		row.tenths[i] = tenths + (int64_t)i;
	history_add(&history, &row);
}

static void assert_document(int64_t since_ms, const char *expected)
{
	struct buf out = BUF_INIT((size_t)1 << 20);

	assert_int_equal(history_write(&history, since_ms, 5000, &out), 0);
	assert_string_equal(buf_string(&out), expected);
	buf_free(&out);
}

static size_t rows_after(int64_t since_ms, int64_t now_ms)
{
	struct buf out = BUF_INIT((size_t)4 << 20);
	size_t rows = 0;
	const char *at;

	assert_int_equal(history_write(&history, since_ms, now_ms, &out), 0);
	at = strstr(buf_string(&out), "\"rows\":[");
	for (at += strlen("\"rows\":["); *at; at++)
		rows += *at == '[';
	buf_free(&out);
	return rows;
}

static void documents(void **state)
{
	assert_document(0, HEAD "]}\n");
	add(1000, 10);
	assert_document(
		0, HEAD "[1000,1,1.1,1.2,1.3,1.4,1.5,1.6,1.7,1.8,1.9,2,2.1,2.2,2.3,2.4]]}\n");
	add(2000, -20);
	assert_document(1000,
		HEAD "[2000,null,null,null,null,null,null,null,null,null,null,null,null,null,null,"
		     "null]]}\n");
	assert_document(2000, HEAD "]}\n");
}

static void fifteen_minutes(void **state)
{
	for (int64_t i = 1; i <= 2000; i++)
		add(i * 1000, 0);
	assert_int_equal(rows_after(0, 2000000), HISTORY_ROWS);
	assert_int_equal(rows_after(1990000, 2000000), 10);
	assert_int_equal(rows_after(1100000, 2000000), 900);
	assert_int_equal(rows_after(1101000, 2000000), 899);
	/* A client whose last row is of a clock that was set back. */
	assert_int_equal(rows_after(9000000, 2000000), HISTORY_ROWS);
}

static void clock_set_back(void **state)
{
	add(1000, 0);
	add(2000, 0);
	add(1500, 0);
	assert_int_equal(rows_after(0, 5000), 1);
	add(1500, 0);
	assert_int_equal(rows_after(0, 5000), 1);
	add(2500, 0);
	assert_int_equal(rows_after(0, 5000), 2);
}

static void any_bytes(void **state)
{
	memset(&history, 0xff, sizeof(history));
	assert_int_equal(rows_after(0, 5000), 0);
	memset(&history, 0x41, sizeof(history));
	assert_int_equal(rows_after(0, 5000), 0); /* times beyond what a reader can take */
	add(1000, 0);
	assert_true(rows_after(0, 5000) >= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(documents, set_up),
		cmocka_unit_test_setup(fifteen_minutes, set_up),
		cmocka_unit_test_setup(clock_set_back, set_up),
		cmocka_unit_test_setup(any_bytes, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
