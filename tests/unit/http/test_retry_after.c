/* Retry-After in every form that RFC 9110 allows, and many that it does not. */
#include "http/http_target.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define HALF_DAY_MS ((int64_t)12 * 60 * 60 * 1000)
#define THEN_MS 784111777000 /* Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110 */

struct retry_case {
	const char *value;
	int64_t now_ms, expected;
};

static const struct retry_case cases[] = {
	{"0", 0, 0},
	{"1", 0, 1000},
	{"120", THEN_MS, 120000},
	{" 120\t", THEN_MS, 120000},
	{"00005", 0, 5000},
	{"43199", 0, HALF_DAY_MS - 1000},
	{"43200", 0, HALF_DAY_MS},
	{"43201", 0, HALF_DAY_MS},
	{"99999999999999999999999999999999999999", 0, HALF_DAY_MS},
	{"9223372036854775808", 0, HALF_DAY_MS},
	{"", 0, -1},
	{" ", 0, -1},
	{"-1", 0, -1},
	{"+1", 0, -1},
	{"1.5", 0, -1},
	{"1s", 0, -1},
	{"1 2", 0, -1},
	{"0x10", 0, -1},
	{"soon", 0, -1},

	{"Sun, 06 Nov 1994 08:49:37 GMT", THEN_MS - 5000, 5000},
	{"Sun, 06 Nov 1994 08:49:37 GMT", THEN_MS - 1, 1},
	{"Sun, 06 Nov 1994 08:49:37 GMT", THEN_MS, 0},
	{"Sun, 06 Nov 1994 08:49:37 GMT", THEN_MS + 1, 0},
	{"Sun, 06 Nov 1994 08:49:37 GMT", THEN_MS + 86400000, 0},
	{"Sun, 06 Nov 1994 08:49:37 GMT", THEN_MS - HALF_DAY_MS - 1, HALF_DAY_MS},
	{"Sun, 06 Nov 1994 08:49:37 GMT", INT64_MIN, HALF_DAY_MS},
	{"Sun, 06 Nov 1994 08:49:37 GMT", INT64_MAX, 0},
	{"  Sun, 06 Nov 1994 08:49:37 GMT ", THEN_MS - 5000, 5000},
	{"Sunday, 06-Nov-94 08:49:37 GMT", THEN_MS - 5000, 5000},
	{"Sun Nov  6 08:49:37 1994", THEN_MS - 5000, 5000},
	{"Sun Nov 16 08:49:37 1994", THEN_MS + 10 * INT64_C(86400000) - 7000, 7000},
	/* Two digits: 2026 + 50 = 2076 is still ahead, 77 is 1977. */
	{"Monday, 23-Nov-26 00:00:10 GMT", 1795392000000, 10000},
	{"Monday, 23-Nov-76 00:00:10 GMT", 1795392000000, HALF_DAY_MS},
	{"Wednesday, 23-Nov-77 00:00:10 GMT", 1795392000000, 0},
	{"Thursday, 01-Jan-70 00:00:10 GMT", 1000, 9000},
	/* A leap second and leap days. */
	{"Sat, 31 Dec 2016 23:59:60 GMT", 1483228799000, 1000},
	{"Tue, 29 Feb 2028 00:00:01 GMT", 1835395200000, 1000},
	{"Mon, 29 Feb 2027 00:00:01 GMT", 1803859200000, -1},
	{"Fri, 01 Jan 1960 00:00:00 GMT", THEN_MS, 0},

	{"Sun, 06 Nov 1994 08:49:37", 0, -1},
	{"Sun, 06 Nov 1994 08:49:37 UTC", 0, -1},
	{"Sun, 06 Nov 1994 08:49:37 +0000", 0, -1},
	{"Sun, 6 Nov 1994 08:49:37 GMT", 0, -1},
	{"Sun, 06 Nov 1994 24:00:00 GMT", 0, -1},
	{"Sun, 06 Nov 1994 08:60:00 GMT", 0, -1},
	{"Sun, 06 Nov 1994 08:49:61 GMT", 0, -1},
	{"Sun, 31 Nov 1994 08:49:37 GMT", 0, -1},
	{"Sun, 00 Nov 1994 08:49:37 GMT", 0, -1},
	{"sun, 06 nov 1994 08:49:37 gmt", 0, -1},
	{"Xyz, 06 Nov 1994 08:49:37 GMT", 0, -1},
	{"Sun, 06 Xyz 1994 08:49:37 GMT", 0, -1},
	{"Sun, 06 Nov 1994 08:49:37 GMT x", 0, -1},
	{"Sunday, 06-Nov-1994 08:49:37 GMT", 0, -1},
	{"Sun Nov 6 08:49:37 1994", 0, -1},
	{"Sun Nov  6 08:49:37 1994 GMT", 0, -1},
	{"1994-11-06T08:49:37Z", 0, -1},
};

static void test_every_form(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t found = http_retry_after_ms(cases[i].value, cases[i].now_ms);

		if (found != cases[i].expected)
			print_message("%zu: \"%s\"\n", i, cases[i].value);
		assert_int_equal(found, cases[i].expected);
	}
}

/* Every prefix of a date, and every date with one byte changed, is either a date or -1. */
static void test_damaged_dates(void **state)
{
	static const char *const dates[] = {"Sun, 06 Nov 1994 08:49:37 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"};

	for (size_t d = 0; d < 3; d++) {
		size_t len = strlen(dates[d]);
		char text[64];

		for (size_t i = 0; i < len; i++) {
			snprintf(text, sizeof(text), "%.*s", (int)i, dates[d]);
			assert_int_equal(http_retry_after_ms(text, THEN_MS), -1);
			for (int byte = 1; byte < 256; byte++) {
				int64_t found;

				memcpy(text, dates[d], len + 1);
				text[i] = (char)byte;
				found = http_retry_after_ms(text, THEN_MS);
				assert_true(found >= -1 && found <= HALF_DAY_MS);
			}
		}
	}
}

/* strftime's own dates, every hour and some of ten years, against the time that they name. */
static void test_round_trip(void **state)
{
	static const char *const formats[] = {
		"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};

	for (time_t t = 1767225600; t < 1767225600 + 10 * 366 * 86400; t += 3 * 3600 + 61) {
		for (size_t f = 0; f < 3; f++) {
			char text[64];
			struct tm tm;

			gmtime_r(&t, &tm);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-y2k"
			strftime(text, sizeof(text), formats[f], &tm);
#pragma GCC diagnostic pop
			assert_int_equal(http_retry_after_ms(text, (int64_t)t * 1000 - 4321), 4321);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_form),
		cmocka_unit_test(test_damaged_dates),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests_name("http/retry_after", tests, NULL, NULL);
}
