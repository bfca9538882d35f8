#include "base/units.h"

#include "bunshin/error.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SHARE_WHOLE INT64_C(1000000) /* millionths */

struct unit {
	const char *name;
	uint64_t factor;
};

/* Largest first: formatting takes the first one that divides. */
static const struct unit durations[] = {
	{"h", 3600000},
	{"m", 60000},
	{"s", 1000},
	{"ms", 1},
	{NULL, 0},
};

static const struct unit sizes[] = {
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"", 1},
	{NULL, 0},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Digits, at least one. Moves *text past them; a value that does not fit saturates. */
static bool take_digits(const char **text, uint64_t *ret, bool *ret_fits)
{
	const char *p = *text;

	*ret = 0;
	*ret_fits = true;
	for (; is_digit(*p); p++)
		if (__builtin_mul_overflow(*ret, 10u, ret) ||
			__builtin_add_overflow(*ret, (uint64_t)(*p - '0'), ret))
			*ret_fits = false;
	if (p == *text)
		return false;
	*text = p;
	return true;
}

static int parse_with_unit(
	const char *text, const struct unit *unit, uint64_t max, uint64_t *ret_value)
{
	uint64_t value;
	bool fits;

	if (!take_digits(&text, &value, &fits))
		return ERR_SYNTAX;
	while (unit->name && strcmp(unit->name, text) != 0)
		unit++;
	if (!unit->name)
		return ERR_SYNTAX;
	if (!fits || __builtin_mul_overflow(value, unit->factor, &value) || value > max)
		return ERR_LIMIT;
	*ret_value = value;
	return 0;
}

int units_parse_duration_ms(const char *text, int64_t *ret_ms)
{
	uint64_t value = 0;
	int err;

	if (strcmp(text, "0") != 0) {
		err = parse_with_unit(text, durations, INT64_MAX, &value);
		if (err)
			return err;
	}
	*ret_ms = (int64_t)value;
	return 0;
}

int units_parse_bytes(const char *text, uint64_t *ret_bytes)
{
	return parse_with_unit(text, sizes, UINT64_MAX, ret_bytes);
}

int units_parse_int(const char *text, int64_t *ret)
{
	bool negative = *text == '-';
	uint64_t value;
	bool fits;

	text += negative;
	if (!take_digits(&text, &value, &fits) || *text != '\0')
		return ERR_SYNTAX;
	if (!fits || value > (uint64_t)INT64_MAX + negative)
		return ERR_LIMIT;
	*ret = (int64_t)(negative ? 0 - value : value);
	return 0;
}

int units_parse_rate(const char *text, int64_t *ret_count, int64_t *ret_per_ms)
{
	static const struct {
		const char *unit;
		int64_t ms;
	} units[] = {{"/s", 1000}, {"/m", 60000}, {"/h", 3600000}};
	uint64_t count;
	bool fits;

	if (!take_digits(&text, &count, &fits) || count == 0)
		return ERR_SYNTAX;
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text, units[i].unit) != 0)
			continue;
		if (!fits || count > INT64_MAX)
			return ERR_LIMIT;
		*ret_count = (int64_t)count;
		*ret_per_ms = units[i].ms;
		return 0;
	}
	return ERR_SYNTAX;
}

/* Exactly `width` digits. */
static bool take_fixed(const char **text, int width, int *ret)
{
	*ret = 0;
	for (int i = 0; i < width; i++, (*text)++) {
		if (!is_digit(**text))
			return false;
		*ret = *ret * 10 + (**text - '0');
	}
	return true;
}

static bool take_char(const char **text, const char *set)
{
	if (**text == '\0' || !strchr(set, **text))
		return false;
	(*text)++;
	return true;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar (Hinnant's days_from_civil). */
static int64_t days_from_civil(int64_t year, int month, int day)
{
	int64_t era, year_of_era, day_of_year;

	year -= month <= 2;
	era = (year >= 0 ? year : year - 399) / 400;
	year_of_era = year - era * 400;
	day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

static int days_in_month(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

	return days[month - 1] + (month == 2 && leap);
}

static bool take_date(const char **text, int64_t *ret_days)
{
	int year, month, day;

	if (!take_fixed(text, 4, &year) || !take_char(text, "-") || !take_fixed(text, 2, &month) ||
		!take_char(text, "-") || !take_fixed(text, 2, &day))
		return false;
	if (month < 1 || month > 12 || day < 1 || day > days_in_month(year, month))
		return false;
	*ret_days = days_from_civil(year, month, day);
	return true;
}

/* "08:00:00" with an optional fraction, of which milliseconds count. */
static bool take_time(const char **text, int *ret_minutes, int *ret_seconds, int *ret_ms)
{
	int hour, minute, scale = 100;

	if (!take_fixed(text, 2, &hour) || !take_char(text, ":") || !take_fixed(text, 2, &minute) ||
		!take_char(text, ":") || !take_fixed(text, 2, ret_seconds))
		return false;
	if (hour > 23 || minute > 59 || *ret_seconds > 60)
		return false;
	*ret_minutes = hour * 60 + minute;
	*ret_ms = 0;
	if (!take_char(text, "."))
		return true;
	if (!is_digit(**text))
		return false;
	for (; is_digit(**text); (*text)++, scale /= 10)
		*ret_ms += (**text - '0') * scale;
	return true;
}

static bool take_offset(const char **text, int *ret_minutes)
{
	bool west = **text == '-';
	int hour, minute;

	*ret_minutes = 0;
	if (take_char(text, "Zz"))
		return true;
	if (!take_char(text, "+-") || !take_fixed(text, 2, &hour) || !take_char(text, ":") ||
		!take_fixed(text, 2, &minute) || hour > 23 || minute > 59)
		return false;
	*ret_minutes = (hour * 60 + minute) * (west ? -1 : 1);
	return true;
}

int units_parse_rfc3339(const char *text, int64_t *ret_epoch_ms)
{
	int64_t days, utc_minutes;
	int minutes, seconds, ms, offset;

	if (!take_date(&text, &days) || !take_char(&text, "Tt ") ||
		!take_time(&text, &minutes, &seconds, &ms) || !take_offset(&text, &offset) ||
		*text != '\0')
		return ERR_SYNTAX;
	utc_minutes = days * 1440 + minutes - offset;
	/* A leap second stands only at the end of a UTC day (section 5.7); it counts as the next.
	 */
	if (seconds == 60 && (utc_minutes + 1) % 1440 != 0)
		return ERR_SYNTAX;
	*ret_epoch_ms = (utc_minutes * 60 + seconds) * 1000 + ms;
	return 0;
}

const char *units_format_duration_ms(int64_t ms, char text[UNITS_TEXT_MAX])
{
	const struct unit *unit = durations;

	if (ms == 0)
		return strcpy(text, "0s");
	while (ms % (int64_t)unit->factor != 0)
		unit++;
	snprintf(text, UNITS_TEXT_MAX, "%" PRId64 "%s", ms / (int64_t)unit->factor, unit->name);
	return text;
}

const char *units_format_bytes(uint64_t bytes, char text[UNITS_TEXT_MAX])
{
	const struct unit *unit = sizes;

	if (bytes == 0)
		return strcpy(text, "0");
	while (bytes % unit->factor != 0)
		unit++;
	snprintf(text, UNITS_TEXT_MAX, "%" PRIu64 "%s", bytes / unit->factor, unit->name);
	return text;
}

const char *units_format_rfc3339(int64_t epoch_ms, char text[UNITS_TEXT_MAX])
{
	int64_t ms_of_day = epoch_ms % 86400000;
	int64_t days = epoch_ms / 86400000 - (ms_of_day < 0);
	unsigned ms = (unsigned)(ms_of_day < 0 ? ms_of_day + 86400000 : ms_of_day);
	/* Hinnant's civil_from_days: years start in March, so a leap day comes last. */
	int64_t shifted = days + 719468;
	int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	unsigned day_of_era = (unsigned)(shifted - era * 146097);
	unsigned year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	unsigned day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	unsigned shifted_month = (5 * day_of_year + 2) / 153;
	unsigned day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
	unsigned month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
	int year = (int)((int64_t)year_of_era + era * 400) + (month <= 2);

	/* % 100 shows the compiler that the text fits: year has at most 10 characters. */
	snprintf(text, UNITS_TEXT_MAX, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", year, month % 100,
		day % 100, ms / 3600000 % 24, ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
	return text;
}

int units_parse_share(const char *text, int64_t *ret_millionths)
{
	int64_t share = text[0] - '0';
	int64_t place = SHARE_WHOLE / 10;

	if (text[0] != '0' && text[0] != '1')
		return ERR_SYNTAX;
	share *= SHARE_WHOLE;
	text++;
	if (*text == '.') {
		for (text++; *text >= '0' && *text <= '9' && place > 0; text++, place /= 10)
			share += (*text - '0') * place;
		if (text[-1] == '.')
			return ERR_SYNTAX;
	}
	if (*text != '\0')
		return ERR_SYNTAX;
	if (share > SHARE_WHOLE)
		return ERR_LIMIT;
	*ret_millionths = share;
	return 0;
}

const char *units_format_share(int64_t millionths, char text[UNITS_TEXT_MAX])
{
	size_t len = (size_t)snprintf(text, UNITS_TEXT_MAX, "%lld.%06lld",
		(long long)(millionths / SHARE_WHOLE), (long long)(millionths % SHARE_WHOLE));

	while (text[len - 1] == '0')
		text[--len] = '\0';
	if (text[len - 1] == '.')
		text[--len] = '\0';
	return text;
}
