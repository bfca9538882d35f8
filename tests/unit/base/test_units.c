#include "base/random.h"
#include "base/units.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define UNTOUCHED 77

struct row {
	const char *text;
	int err;
	int64_t value;
};

static void assert_parses(const struct row *row, int err, int64_t value)
{
	if (err != row->err)
		fail_msg("\"%s\": %s", row->text, error_name(err));
	if (value != (row->err ? UNTOUCHED : row->value))
		fail_msg("\"%s\": %lld", row->text, (long long)value);
}

static void durations(void **state)
{
	static const struct row rows[] = {
		{"0", 0, 0},
		{"0ms", 0, 0},
		{"0h", 0, 0},
		{"1ms", 0, 1},
		{"500ms", 0, 500},
		{"20s", 0, 20000},
		{"5m", 0, 300000},
		{"2h", 0, 7200000},
		{"007s", 0, 7000},
		{"9223372036854775807ms", 0, INT64_MAX},
		{"9223372036854775808ms", ERR_LIMIT, 0},
		{"18446744073709551616ms", ERR_LIMIT, 0},
		{"99999999999999999999999s", ERR_LIMIT, 0},
		{"9223372036854775s", 0, INT64_C(9223372036854775000)},
		{"9223372036854776s", ERR_LIMIT, 0},
		{"2562047788015h", 0, INT64_C(9223372036854000000)},
		{"2562047788016h", ERR_LIMIT, 0},
		{"", ERR_SYNTAX, 0},
		{"00", ERR_SYNTAX, 0},
		{"5", ERR_SYNTAX, 0},
		{"ms", ERR_SYNTAX, 0},
		{"-1s", ERR_SYNTAX, 0},
		{"+1s", ERR_SYNTAX, 0},
		{" 1s", ERR_SYNTAX, 0},
		{"1 s", ERR_SYNTAX, 0},
		{"1s ", ERR_SYNTAX, 0},
		{"1.5s", ERR_SYNTAX, 0},
		{"1e3ms", ERR_SYNTAX, 0},
		{"1S", ERR_SYNTAX, 0},
		{"1M", ERR_SYNTAX, 0},
		{"1us", ERR_SYNTAX, 0},
		{"1d", ERR_SYNTAX, 0},
		{"1m30s", ERR_SYNTAX, 0},
		{"0x10s", ERR_SYNTAX, 0},
		{"99999999999999999999999x", ERR_SYNTAX, 0},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t value = UNTOUCHED;
		int err = units_parse_duration_ms(rows[i].text, &value);

		assert_parses(&rows[i], err, value);
	}
}

static void sizes(void **state)
{
	static const struct row rows[] = {
		{"0", 0, 0},
		{"512", 0, 512},
		{"1KiB", 0, 1024},
		{"64KiB", 0, 65536},
		{"1MiB", 0, 1048576},
		{"2GiB", 0, INT64_C(2147483648)},
		{"17179869183GiB", 0, (int64_t)(UINT64_C(17179869183) << 30)},
		{"17179869184GiB", ERR_LIMIT, 0},
		{"18446744073709551615", 0, -1},
		{"18446744073709551616", ERR_LIMIT, 0},
		{"", ERR_SYNTAX, 0},
		{"KiB", ERR_SYNTAX, 0},
		{"1K", ERR_SYNTAX, 0},
		{"1KB", ERR_SYNTAX, 0},
		{"1kib", ERR_SYNTAX, 0},
		{"1B", ERR_SYNTAX, 0},
		{"1 KiB", ERR_SYNTAX, 0},
		{"1KiB\n", ERR_SYNTAX, 0},
		{"-1", ERR_SYNTAX, 0},
		{"1.5MiB", ERR_SYNTAX, 0},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t value = UNTOUCHED;
		int err = units_parse_bytes(rows[i].text, &value);

		assert_parses(&rows[i], err, (int64_t)value);
	}
}

static void integers(void **state)
{
	static const struct row rows[] = {
		{"0", 0, 0},
		{"-0", 0, 0},
		{"42", 0, 42},
		{"-42", 0, -42},
		{"007", 0, 7},
		{"9223372036854775807", 0, INT64_MAX},
		{"-9223372036854775808", 0, INT64_MIN},
		{"9223372036854775808", ERR_LIMIT, 0},
		{"-9223372036854775809", ERR_LIMIT, 0},
		{"18446744073709551616", ERR_LIMIT, 0},
		{"184467440737095516160000", ERR_LIMIT, 0},
		{"", ERR_SYNTAX, 0},
		{"-", ERR_SYNTAX, 0},
		{"--1", ERR_SYNTAX, 0},
		{"+1", ERR_SYNTAX, 0},
		{" 1", ERR_SYNTAX, 0},
		{"1 ", ERR_SYNTAX, 0},
		{"1.0", ERR_SYNTAX, 0},
		{"0x1", ERR_SYNTAX, 0},
		{"1e3", ERR_SYNTAX, 0},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t value = UNTOUCHED;
		int err = units_parse_int(rows[i].text, &value);

		assert_parses(&rows[i], err, value);
	}
}

static void instants(void **state)
{
	static const struct row rows[] = {
		{"1970-01-01T00:00:00Z", 0, 0},
		{"2026-11-23T08:00:00+09:00", 0, INT64_C(1795388400000)},
		{"2026-11-22T23:00:00Z", 0, INT64_C(1795388400000)},
		{"2026-11-22t23:00:00z", 0, INT64_C(1795388400000)},
		{"2026-11-22 23:00:00Z", 0, INT64_C(1795388400000)},
		{"2026-11-22T23:00:00.1Z", 0, INT64_C(1795388400100)},
		{"2026-11-22T23:00:00.123Z", 0, INT64_C(1795388400123)},
		{"2026-11-22T23:00:00.123999999999999999999Z", 0, INT64_C(1795388400123)},
		{"2026-11-22T23:00:00-00:00", 0, INT64_C(1795388400000)},
		{"2026-11-22T18:45:00-04:15", 0, INT64_C(1795388400000)},
		{"1969-12-31T23:59:59.999Z", 0, -1},
		{"0000-01-01T00:00:00Z", 0, INT64_C(-62167219200000)},
		{"9999-12-31T23:59:59.999Z", 0, INT64_C(253402300799999)},
		{"2024-02-29T00:00:00Z", 0, INT64_C(1709164800000)},
		{"2000-02-29T00:00:00Z", 0, INT64_C(951782400000)},
		{"1990-12-31T23:59:60Z", 0, INT64_C(662688000000)},
		{"1990-12-31T15:59:60-08:00", 0, INT64_C(662688000000)},
		{"1990-12-31T15:59:60Z", ERR_SYNTAX, 0},
		{"2023-02-29T00:00:00Z", ERR_SYNTAX, 0},
		{"1900-02-29T00:00:00Z", ERR_SYNTAX, 0},
		{"2026-00-01T00:00:00Z", ERR_SYNTAX, 0},
		{"2026-13-01T00:00:00Z", ERR_SYNTAX, 0},
		{"2026-01-00T00:00:00Z", ERR_SYNTAX, 0},
		{"2026-04-31T00:00:00Z", ERR_SYNTAX, 0},
		{"2026-11-23T24:00:00Z", ERR_SYNTAX, 0},
		{"2026-11-23T08:60:00Z", ERR_SYNTAX, 0},
		{"2026-11-23T08:00:61Z", ERR_SYNTAX, 0},
		{"2026-11-23T08:00:00", ERR_SYNTAX, 0},
		{"2026-11-23T08:00Z", ERR_SYNTAX, 0},
		{"2026-11-23", ERR_SYNTAX, 0},
		{"2026-11-23T08:00:00.Z", ERR_SYNTAX, 0},
		{"2026-11-23T08:00:00,5Z", ERR_SYNTAX, 0},
		{"2026-11-23T08:00:00+0900", ERR_SYNTAX, 0},
		{"2026-11-23T08:00:00+24:00", ERR_SYNTAX, 0},
		{"2026-11-23T08:00:00+09:60", ERR_SYNTAX, 0},
		{"2026-11-23T08:00:00ZZ", ERR_SYNTAX, 0},
		{"2026-11-23T08:00:00Z ", ERR_SYNTAX, 0},
		{" 2026-11-23T08:00:00Z", ERR_SYNTAX, 0},
		{"20261123T080000Z", ERR_SYNTAX, 0},
		{"26-11-23T08:00:00Z", ERR_SYNTAX, 0},
		{"+2026-11-23T08:00:00Z", ERR_SYNTAX, 0},
		{"", ERR_SYNTAX, 0},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t value = UNTOUCHED;
		int err = units_parse_rfc3339(rows[i].text, &value);

		assert_parses(&rows[i], err, value);
	}
}

/* Every prefix of a good text is refused, but for those that are good texts themselves. */
static void instants_are_read_whole(void **state)
{
	static const char text[] = "2026-11-23T08:00:00.123+09:00";

	for (size_t len = 0; len < sizeof(text) - 1; len++) {
		char prefix[sizeof(text)] = {0};
		int64_t value = UNTOUCHED;

		memcpy(prefix, text, len);
		assert_int_equal(units_parse_rfc3339(prefix, &value), ERR_SYNTAX);
		assert_int_equal(value, UNTOUCHED);
	}
}

static void formatted_durations(void **state)
{
	char text[UNITS_TEXT_MAX];

	assert_string_equal(units_format_duration_ms(0, text), "0s");
	assert_string_equal(units_format_duration_ms(1, text), "1ms");
	assert_string_equal(units_format_duration_ms(1500, text), "1500ms");
	assert_string_equal(units_format_duration_ms(20000, text), "20s");
	assert_string_equal(units_format_duration_ms(60000, text), "1m");
	assert_string_equal(units_format_duration_ms(90000, text), "90s");
	assert_string_equal(units_format_duration_ms(7200000, text), "2h");
	assert_string_equal(units_format_duration_ms(-5000, text), "-5s");
	assert_string_equal(units_format_duration_ms(INT64_MAX, text), "9223372036854775807ms");
	assert_string_equal(units_format_duration_ms(INT64_MIN, text), "-9223372036854775808ms");
}

static void formatted_sizes(void **state)
{
	char text[UNITS_TEXT_MAX];

	assert_string_equal(units_format_bytes(0, text), "0");
	assert_string_equal(units_format_bytes(1, text), "1");
	assert_string_equal(units_format_bytes(1000, text), "1000");
	assert_string_equal(units_format_bytes(1536, text), "1536");
	assert_string_equal(units_format_bytes(65536, text), "64KiB");
	assert_string_equal(units_format_bytes(UINT64_C(3) << 20, text), "3MiB");
	assert_string_equal(units_format_bytes(UINT64_C(1) << 63, text), "8589934592GiB");
	assert_string_equal(units_format_bytes(UINT64_MAX, text), "18446744073709551615");
}

static void formatted_instants(void **state)
{
	char text[UNITS_TEXT_MAX];

	assert_string_equal(units_format_rfc3339(0, text), "1970-01-01T00:00:00.000Z");
	assert_string_equal(
		units_format_rfc3339(INT64_C(1795388400123), text), "2026-11-22T23:00:00.123Z");
	assert_string_equal(units_format_rfc3339(-1, text), "1969-12-31T23:59:59.999Z");
	assert_string_equal(
		units_format_rfc3339(INT64_C(1709164800000), text), "2024-02-29T00:00:00.000Z");
	assert_string_equal(
		units_format_rfc3339(INT64_C(253402300799999), text), "9999-12-31T23:59:59.999Z");
	assert_string_equal(units_format_rfc3339(INT64_MAX, text), "292278994-08-17T07:12:55.807Z");
	assert_string_equal(
		units_format_rfc3339(INT64_MIN, text), "-292275055-05-16T16:47:04.192Z");
}

/* Our calendar against libc's, on every day of 800 years and its last second. */
static void every_day_round_trips(void **state)
{
	for (int64_t day = -200000; day < 100000; day++) {
		time_t seconds = (time_t)(day * 86400 + 86399);
		char text[UNITS_TEXT_MAX], expected[UNITS_TEXT_MAX];
		int64_t back = UNTOUCHED;
		struct tm tm;

		units_format_rfc3339((int64_t)seconds * 1000, text);
		gmtime_r(&seconds, &tm);
		assert_true(strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%S.000Z", &tm));
		assert_string_equal(text, expected);
		assert_int_equal(units_parse_rfc3339(text, &back), 0);
		assert_true(back == (int64_t)seconds * 1000);
	}
}

static void what_is_formatted_parses_back(void **state)
{
	struct random random;

	random_seed(&random, 20261123);
	for (int i = 0; i < 20000; i++) {
		uint64_t number = random_next(&random) >> random_below(random_next(&random), 64);
		char text[UNITS_TEXT_MAX];
		uint64_t bytes;
		int64_t ms;

		assert_int_equal(units_parse_bytes(units_format_bytes(number, text), &bytes), 0);
		assert_true(bytes == number);
		number >>= 1;
		assert_int_equal(units_parse_duration_ms(
					 units_format_duration_ms((int64_t)number, text), &ms),
			0);
		assert_true(ms == (int64_t)number);
	}
}

static void rates(void **state)
{
	static const struct {
		const char *text;
		int err;
		int64_t count, per_ms;
	} rows[] = {
		{"2000/s", 0, 2000, 1000},
		{"1/m", 0, 1, 60000},
		{"050/h", 0, 50, 3600000},
		{"9223372036854775807/s", 0, INT64_MAX, 1000},
		{"9223372036854775808/s", ERR_LIMIT, 0, 0},
		{"99999999999999999999/s", ERR_LIMIT, 0, 0},
		{"0/s", ERR_SYNTAX, 0, 0},
		{"", ERR_SYNTAX, 0, 0},
		{"/s", ERR_SYNTAX, 0, 0},
		{"5", ERR_SYNTAX, 0, 0},
		{"-5/s", ERR_SYNTAX, 0, 0},
		{"5/S", ERR_SYNTAX, 0, 0},
		{"5/ms", ERR_SYNTAX, 0, 0},
		{"5 /s", ERR_SYNTAX, 0, 0},
		{"5/s ", ERR_SYNTAX, 0, 0},
		{"1.5/s", ERR_SYNTAX, 0, 0},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t count = UNTOUCHED, per_ms = UNTOUCHED;

		assert_int_equal(units_parse_rate(rows[i].text, &count, &per_ms), rows[i].err);
		assert_int_equal(count, rows[i].err ? UNTOUCHED : rows[i].count);
		assert_int_equal(per_ms, rows[i].err ? UNTOUCHED : rows[i].per_ms);
	}
}

static void shares(void **state)
{
	static const struct {
		const char *text;
		int err;
		int64_t millionths;
	} rows[] = {
		{"0", 0, 0},
		{"1", 0, 1000000},
		{"0.01", 0, 10000},
		{"0.5", 0, 500000},
		{"1.0", 0, 1000000},
		{"0.000001", 0, 1},
		{"0.999999", 0, 999999},
		{"0.0000001", ERR_SYNTAX, 0},
		{"1.000001", ERR_LIMIT, 0},
		{"1.5", ERR_LIMIT, 0},
		{"2", ERR_SYNTAX, 0},
		{"", ERR_SYNTAX, 0},
		{".5", ERR_SYNTAX, 0},
		{"0.", ERR_SYNTAX, 0},
		{"00.5", ERR_SYNTAX, 0},
		{"-0.1", ERR_SYNTAX, 0},
		{"0.1x", ERR_SYNTAX, 0},
		{"0,1", ERR_SYNTAX, 0},
		{"50%", ERR_SYNTAX, 0},
		{"1e-2", ERR_SYNTAX, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t millionths = UNTOUCHED;

		assert_int_equal(units_parse_share(rows[i].text, &millionths), rows[i].err);
		assert_int_equal(millionths, rows[i].err ? UNTOUCHED : rows[i].millionths);
	}
}

/* What is formatted is the shortest that parses to the same. */
static void formatted_shares(void **state)
{
	char text[UNITS_TEXT_MAX];
	int64_t back;

	assert_string_equal(units_format_share(0, text), "0");
	assert_string_equal(units_format_share(1000000, text), "1");
	assert_string_equal(units_format_share(10000, text), "0.01");
	assert_string_equal(units_format_share(123456, text), "0.123456");
	for (int64_t i = 0; i <= 1000000; i += 7) {
		assert_int_equal(units_parse_share(units_format_share(i, text), &back), 0);
		assert_int_equal(back, i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations),
		cmocka_unit_test(sizes),
		cmocka_unit_test(integers),
		cmocka_unit_test(rates),
		cmocka_unit_test(shares),
		cmocka_unit_test(formatted_shares),
		cmocka_unit_test(instants),
		cmocka_unit_test(instants_are_read_whole),
		cmocka_unit_test(formatted_durations),
		cmocka_unit_test(formatted_sizes),
		cmocka_unit_test(formatted_instants),
		cmocka_unit_test(every_day_round_trips),
		cmocka_unit_test(what_is_formatted_parses_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
