/*
 * Retry-After (RFC 9110, section 10.2.3) and the three forms of an HTTP date (section 5.6.7).
 */
#include "http/http_target.h"

#include <string.h>
#include <time.h>

/* SQS lets nothing wait longer, so neither needs a delay to say more. */
#define RETRY_AFTER_MAX_MS ((int64_t)12 * 60 * 60 * 1000)

static const char *const short_days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", NULL};
static const char *const long_days[] = {
	"Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", NULL};
static const char *const months[] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", NULL};

/* What is left to read; NULL once something did not fit, and every later step is a no-op. */
struct cursor {
	const char *at;
};

static void expect(struct cursor *cursor, const char *text)
{
	size_t len = strlen(text);

	if (cursor->at != NULL)
		cursor->at = strncmp(cursor->at, text, len) == 0 ? cursor->at + len : NULL;
}

/* The index of the name that stands here; names are case-sensitive. */
static int expect_name(struct cursor *cursor, const char *const names[])
{
	for (int i = 0; cursor->at != NULL && names[i] != NULL; i++) {
		size_t len = strlen(names[i]);

		if (strncmp(cursor->at, names[i], len) == 0) {
			cursor->at += len;
			return i;
		}
	}
	cursor->at = NULL;
	return 0;
}

/* Exactly so many digits. */
static int expect_digits(struct cursor *cursor, size_t count)
{
	int number = 0;

	if (cursor->at == NULL || strspn(cursor->at, "0123456789") < count) {
		cursor->at = NULL;
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		number = number * 10 + (cursor->at[i] - '0');
	cursor->at += count;
	return number;
}

static void expect_time(struct cursor *cursor, struct tm *tm)
{
	tm->tm_hour = expect_digits(cursor, 2);
	expect(cursor, ":");
	tm->tm_min = expect_digits(cursor, 2);
	expect(cursor, ":");
	tm->tm_sec = expect_digits(cursor, 2);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static const char *read_imf(const char *text, struct tm *tm)
{
	struct cursor cursor = {text};

	expect_name(&cursor, short_days);
	expect(&cursor, ", ");
	tm->tm_mday = expect_digits(&cursor, 2);
	expect(&cursor, " ");
	tm->tm_mon = expect_name(&cursor, months);
	expect(&cursor, " ");
	tm->tm_year = expect_digits(&cursor, 4) - 1900;
	expect(&cursor, " ");
	expect_time(&cursor, tm);
	expect(&cursor, " GMT");
	return cursor.at;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT"; a year that seems over 50 ahead is the last one like it. */
static const char *read_rfc850(const char *text, int this_year, struct tm *tm)
{
	struct cursor cursor = {text};
	int year;

	expect_name(&cursor, long_days);
	expect(&cursor, ", ");
	tm->tm_mday = expect_digits(&cursor, 2);
	expect(&cursor, "-");
	tm->tm_mon = expect_name(&cursor, months);
	expect(&cursor, "-");
	year = this_year - this_year % 100 + expect_digits(&cursor, 2);
	tm->tm_year = (year > this_year + 50 ? year - 100 : year) - 1900;
	expect(&cursor, " ");
	expect_time(&cursor, tm);
	expect(&cursor, " GMT");
	return cursor.at;
}

/* "Sun Nov  6 08:49:37 1994" */
static const char *read_asctime(const char *text, struct tm *tm)
{
	struct cursor cursor = {text};

	expect_name(&cursor, short_days);
	expect(&cursor, " ");
	tm->tm_mon = expect_name(&cursor, months);
	expect(&cursor, " ");
	if (cursor.at != NULL && *cursor.at == ' ') {
		expect(&cursor, " ");
		tm->tm_mday = expect_digits(&cursor, 1);
	} else {
		tm->tm_mday = expect_digits(&cursor, 2);
	}
	expect(&cursor, " ");
	expect_time(&cursor, tm);
	expect(&cursor, " ");
	tm->tm_year = expect_digits(&cursor, 4) - 1900;
	return cursor.at;
}

static int year_of(int64_t epoch_ms)
{
	time_t seconds = (time_t)(epoch_ms / 1000);
	struct tm tm;

	return gmtime_r(&seconds, &tm) != NULL ? tm.tm_year + 1900 : 1970;
}

static const char *skip_blanks(const char *text)
{
	return text + strspn(text, " \t");
}

/* Seconds since 1970, or -1: no date, or one that there is not. */
static int64_t read_date(const char *text, int64_t now_epoch_ms)
{
	struct tm tm = {0}, given;
	const char *end = read_imf(text, &tm);
	time_t seconds;

	if (end == NULL)
		end = read_rfc850(text, year_of(now_epoch_ms), &tm);
	if (end == NULL)
		end = read_asctime(text, &tm);
	if (end == NULL || *skip_blanks(end) != '\0')
		return -1;
	if (tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return -1;
	tm.tm_wday = tm.tm_yday = tm.tm_isdst = 0;
	given = tm;
	seconds = timegm(&tm);
	if (seconds < 0)
		return given.tm_mday >= 1 && given.tm_mday <= 31 ? 0 : -1; /* long past */
	/* timegm() turns a February 30 into a March 2. */
	if (given.tm_sec < 60 && tm.tm_mday != given.tm_mday)
		return -1;
	return (int64_t)seconds;
}

static int64_t read_seconds(const char *text, size_t digits)
{
	int64_t seconds = 0;

	for (size_t i = 0; i < digits && seconds < RETRY_AFTER_MAX_MS / 1000; i++)
		seconds = seconds * 10 + (text[i] - '0');
	return seconds < RETRY_AFTER_MAX_MS / 1000 ? seconds * 1000 : RETRY_AFTER_MAX_MS;
}

int64_t http_retry_after_ms(const char *value, int64_t now_epoch_ms)
{
	const char *text = skip_blanks(value);
	size_t digits = strspn(text, "0123456789");
	int64_t date_s, delay_ms;

	if (digits > 0)
		return *skip_blanks(text + digits) == '\0' ? read_seconds(text, digits) : -1;
	date_s = read_date(text, now_epoch_ms);
	if (date_s < 0)
		return -1;
	if (date_s * 1000 <= now_epoch_ms)
		return 0;
	if (__builtin_sub_overflow(date_s * 1000, now_epoch_ms, &delay_ms))
		return RETRY_AFTER_MAX_MS;
	return delay_ms < RETRY_AFTER_MAX_MS ? delay_ms : RETRY_AFTER_MAX_MS;
}
