/* What people write as a time, by the tz database of this machine. */
#include "campaign/schedule.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define HOUR 3600

static void read_instants(void **state)
{
	static const struct {
		const char *text;
		int64_t epoch_s;
		int offset_s;
	} rows[] = {
		{"2026-11-27T08:00:00+09:00", 1795734000, 9 * HOUR},
		{"2026-11-27 08:00:00+09:00", 1795734000, 9 * HOUR},
		{"2026-11-27T08:00+09:00", 1795734000, 9 * HOUR},
		{"2026-11-27 08:00 +09:00", 1795734000, 9 * HOUR},
		{"2026-11-26T23:00:00Z", 1795734000, 0},
		{"2026-11-26 23:00 Z", 1795734000, 0},
		{"2026-11-26T19:30:00-03:30", 1795734000, -12600},
		{"2026-11-27 08:00 Asia/Tokyo", 1795734000, 9 * HOUR},
		{"2026-11-27T08:00:00 Asia/Tokyo", 1795734000, 9 * HOUR},
		{"2026-11-27 08:00:30   Asia/Tokyo", 1795734030, 9 * HOUR},
		{"2026-11-26 23:00 UTC", 1795734000, 0},
		{"2026-11-26 23:00 Etc/GMT+0", 1795734000, 0},
		{"2026-11-26 18:00 America/New_York", 1795734000, -5 * HOUR},
		{"2026-07-26 18:00 America/New_York", 1785103200, -4 * HOUR},
		/* beyond every transition that a file lists */
		{"2090-07-26 18:00 America/New_York", 3804789600, -4 * HOUR},
		{"2026-11-27 04:45 Asia/Kathmandu", 1795734000, 5 * HOUR + 2700},
		/* right before and after a gap of one hour, and around a repeated hour */
		{"2026-03-29 01:59:59 Europe/Berlin", 1774745999, HOUR},
		{"2026-03-29 03:00 Europe/Berlin", 1774746000, 2 * HOUR},
		{"2026-10-25 01:59:59 Europe/Berlin", 1792886399, 2 * HOUR},
		{"2026-10-25 03:00 Europe/Berlin", 1792893600, HOUR},
		/* half an hour, and a whole day that never was */
		{"2026-10-04 01:59:59 Australia/Lord_Howe", 1791041399, 37800},
		{"2026-10-04 02:30 Australia/Lord_Howe", 1791041400, 11 * HOUR},
		{"2011-12-31 00:00 Pacific/Apia", 1325239200, 14 * HOUR},
	};

	for (size_t i = 0; i < COUNT(rows); i++) {
		struct schedule_instant instant = {7, 7};
		struct buf error = BUF_INIT(1000);
		int rc = schedule_parse(rows[i].text, &instant, &error);

		if (rc != 0 || instant.epoch_ms != rows[i].epoch_s * 1000 ||
			instant.offset_s != rows[i].offset_s)
			fail_msg("%s: %d %s %lld %d", rows[i].text, rc, buf_string(&error),
				(long long)instant.epoch_ms, instant.offset_s);
		buf_free(&error);
	}
}

static void check_refused(const char *text, int err, const char *sentence)
{
	struct schedule_instant instant = {7, 7};
	struct buf error = BUF_INIT(1000);
	int rc = schedule_parse(text, &instant, &error);

	if (rc != err || instant.epoch_ms != 7 || instant.offset_s != 7 ||
		!strstr(buf_string(&error), sentence))
		fail_msg("%s: %s: %s", text, error_name(rc), buf_string(&error));
	buf_free(&error);
}

static void refused_forms(void **state)
{
	static const char *const forms[] = {"", " ", "tomorrow", "08:00", "8:00", "2026-11-27",
		"2026-11-27T08", "2026-11-27T8:00+09:00", "2026-11-27T08:00:00+0900",
		"2026-11-27T08:00:00.5", "2026-11-27T08:00Asia/Tokyo", "2026-11-27T08:00:0Z",
		"2026-11-27T08:00 +25:00", "2026-11-27T24:00:00Z", "2026-02-30T08:00:00Z", "-5",
		"0", "99999999999999999", "2026-11-27 08:00 9", "+90m"};

	for (size_t i = 0; i < COUNT(forms); i++)
		check_refused(forms[i], ERR_SYNTAX, "expected a time like");
	check_refused("2026-11-27 08:00", ERR_SYNTAX, "has no zone: write the offset");
	check_refused("2026-11-27T08:00:00", ERR_SYNTAX, "has no zone");
	check_refused(
		"2026-02-30 08:00 Asia/Tokyo", ERR_SYNTAX, "no date and time of the calendar");
	check_refused(
		"2026-02-28 08:60 Asia/Tokyo", ERR_SYNTAX, "no date and time of the calendar");
}

static void unknown_zones(void **state)
{
	static const char *const zones[] = {"Asia/Tokio", "asia/tokyo", "JST", "Asia", "Asia/",
		"Asia/../Asia/Tokyo", "A/../../../etc/localtime", "right/Asia/Tokyo", "zone.tab",
		"tzdata.zi", "Asia/Tokyo ", "Asia/Tokyo;x", "A%s",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"};

	for (size_t i = 0; i < COUNT(zones); i++) {
		char text[200];

		snprintf(text, sizeof(text), "2026-11-27 08:00 %s", zones[i]);
		check_refused(text, ERR_NOT_FOUND, "unknown zone");
	}
}

static void changes_of_the_clocks(void **state)
{
	static const struct {
		const char *text, *sentence;
	} rows[] = {
		{"2026-10-25 02:30 Europe/Berlin",
			"2026-10-25 02:30 happens twice in Europe/Berlin, where the clocks are put "
			"back then; write the offset: 2026-10-25T02:30:00+02:00 or "
			"2026-10-25T02:30:00+01:00"},
		{"2026-10-25T02:00:00 Europe/Berlin", "+02:00 or 2026-10-25T02:00:00+01:00"},
		{"2026-10-25 02:59:59 Europe/Berlin", "happens twice"},
		{"2026-11-01 01:30 America/New_York", "-04:00 or 2026-11-01T01:30:00-05:00"},
		{"2026-03-29 02:30 Europe/Berlin",
			"2026-03-29 02:30 does not exist in Europe/Berlin, where the clocks are "
			"put "
			"forward then; write the offset: 2026-03-29T02:30:00+01:00 or "
			"2026-03-29T02:30:00+02:00"},
		{"2026-03-29 02:00 Europe/Berlin", "does not exist"},
		{"2026-03-29 02:59:59 Europe/Berlin", "does not exist"},
		{"2026-04-05 01:45 Australia/Lord_Howe", "+11:00 or 2026-04-05T01:45:00+10:30"},
		{"2026-10-04 02:15 Australia/Lord_Howe", "+10:30 or 2026-10-04T02:15:00+11:00"},
		{"2011-12-30 12:00 Pacific/Apia", "-10:00 or 2011-12-30T12:00:00+14:00"},
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		check_refused(rows[i].text, ERR_ARGUMENT, rows[i].sentence);
}

static void tz_is_put_back(void **state)
{
	static const char *const before[] = {"America/New_York", ":Asia/Tokyo", "", NULL};

	for (size_t i = 0; i < COUNT(before); i++) {
		struct buf error = BUF_INIT(1000);
		struct schedule_instant instant;
		time_t now = 1795734000;
		struct tm was, is;

		if (before[i])
			assert_int_equal(setenv("TZ", before[i], 1), 0);
		else
			unsetenv("TZ");
		tzset();
		localtime_r(&now, &was);
		assert_int_equal(
			schedule_parse("2026-11-27 08:00 Asia/Kathmandu", &instant, &error), 0);
		localtime_r(&now, &is);
		assert_int_equal(was.tm_gmtoff, is.tm_gmtoff);
		if (before[i])
			assert_string_equal(getenv("TZ"), before[i]);
		else
			assert_null(getenv("TZ"));
		buf_free(&error);
	}
}

static void without_a_database(void **state)
{
	char directory[] = "/tmp/schedule-XXXXXX";

	assert_non_null(mkdtemp(directory));
	setenv("TZDIR", directory, 1);
	check_refused("2026-11-27 08:00 Asia/Tokyo", ERR_NOT_FOUND, "there is no tz database here");
	unsetenv("TZDIR");
	rmdir(directory);
}

static void numbers(void **state)
{
	struct schedule_instant instant;
	struct buf error = BUF_INIT(1000);

	setenv("TZ", ":Asia/Tokyo", 1);
	tzset();
	assert_int_equal(schedule_parse("1795734000", &instant, &error), 0);
	assert_int_equal(instant.epoch_ms, INT64_C(1795734000000));
	assert_int_equal(instant.offset_s, 9 * HOUR);
	assert_int_equal(schedule_parse("1795734000123", &instant, &error), 0);
	assert_int_equal(instant.epoch_ms, INT64_C(1795734000123));
	unsetenv("TZ");
	tzset();
}

static void deadlines(void **state)
{
	const struct schedule_instant base = {INT64_C(1795734000000), 9 * HOUR};
	static const char *const wrong[] = {"+", "+0", "+90", "+-5m", "+1h30m", "+99999999999h"};
	struct schedule_instant instant = {7, 7};
	struct buf error = BUF_INIT(1000);

	assert_int_equal(schedule_parse_deadline("+90m", base, &instant, &error), 0);
	assert_int_equal(instant.epoch_ms, base.epoch_ms + 90 * 60000);
	assert_int_equal(instant.offset_s, 9 * HOUR);
	assert_int_equal(
		schedule_parse_deadline("2026-11-27 09:00 Asia/Tokyo", base, &instant, &error), 0);
	assert_int_equal(instant.epoch_ms, base.epoch_ms + 60 * 60000);
	for (size_t i = 0; i < COUNT(wrong); i++) {
		buf_clear(&error);
		instant.epoch_ms = 7;
		assert_int_equal(
			schedule_parse_deadline(wrong[i], base, &instant, &error), ERR_SYNTAX);
		assert_non_null(strstr(buf_string(&error), "like +90m"));
		assert_int_equal(instant.epoch_ms, 7);
	}
	buf_free(&error);
}

static void delays(void **state)
{
	static const struct {
		int64_t visible, now;
		unsigned delay_s;
	} rows[] = {{0, 0, 0}, {0, 5, 0}, {1000, 1000, 0}, {1000, 1001, 0}, {1000, 999, 1},
		{1000, 0, 1}, {1001, 0, 2}, {840000, 0, 840}, {899001, 0, 900}, {900000, 0, 900},
		{900001, 0, 900}, {INT64_C(1) << 60, 0, 900}};

	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(schedule_delay_s(rows[i].visible, rows[i].now), rows[i].delay_s);
}

static void texts(void **state)
{
	const struct schedule_instant tokyo = {INT64_C(1795734000999), 9 * HOUR};
	const struct schedule_instant half = {INT64_C(1795734000000), -12600};
	const struct schedule_instant utc = {0, 0};
	char text[SCHEDULE_TEXT_MAX];

	assert_string_equal(schedule_format(tokyo, text), "2026-11-27 08:00:00 +09:00");
	assert_string_equal(schedule_format_time(tokyo, text), "08:00:00");
	assert_string_equal(schedule_format(half, text), "2026-11-26 19:30:00 -03:30");
	assert_string_equal(schedule_format(utc, text), "1970-01-01 00:00:00 +00:00");
	assert_string_equal(schedule_format_span(-1, text), "0s");
	assert_string_equal(schedule_format_span(59999, text), "59s");
	assert_string_equal(schedule_format_span(60000, text), "1m 00s");
	assert_string_equal(schedule_format_span(3599000, text), "59m 59s");
	assert_string_equal(schedule_format_span(11520000, text), "3h 12m");
	assert_string_equal(schedule_format_span(INT64_C(187200000), text), "2d 4h");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(read_instants),
		cmocka_unit_test(refused_forms),
		cmocka_unit_test(unknown_zones),
		cmocka_unit_test(changes_of_the_clocks),
		cmocka_unit_test(tz_is_put_back),
		cmocka_unit_test(without_a_database),
		cmocka_unit_test(numbers),
		cmocka_unit_test(deadlines),
		cmocka_unit_test(delays),
		cmocka_unit_test(texts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
