#include "campaign/schedule.h"

#include "base/units.h"
#include "bunshin/error.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ZONE_DIRECTORY "/usr/share/zoneinfo"
#define ZONE_NAME_MAX 64
#define ZONE_MAGIC "TZif" /* tzfile(5) */

#define EXAMPLE_OFFSET "2026-11-27T08:00:00+09:00"
#define EXAMPLE_ZONE "2026-11-27 08:00 Asia/Tokyo"

/* A change of the clocks is looked for this far on both sides: offsets differ by up to a day. */
#define SEARCH_S (26 * 3600)
#define SEARCH_STEP_S (15 * 60)
#define OFFSETS_MAX 8

#define LAST_EPOCH_MS INT64_C(253402214400000) /* 9999-12-31T00:00:00Z */

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

static int offset_at(int64_t epoch_s)
{
	time_t instant = (time_t)epoch_s;
	struct tm local;

	return localtime_r(&instant, &local) ? (int)local.tm_gmtoff : 0;
}

/* the tz database */

/* The path of a zone, when its name can be one. "right/" counts leap seconds, which nobody means.
 */
static bool zone_path(const char *name, char path[], size_t size)
{
	const char *directory = getenv("TZDIR");
	size_t len = strspn(name, LETTERS DIGITS "_+-/");

	if (name[len] != '\0' || len > ZONE_NAME_MAX || strspn(name, LETTERS) == 0 ||
		strncmp(name, "right/", 6) == 0)
		return false;
	if (!directory || directory[0] != '/')
		directory = ZONE_DIRECTORY;
	return (size_t)snprintf(path, size, "%s/%s", directory, name) < size;
}

/* The C library takes what it cannot read for UTC, without a word: so the file is looked at. */
static bool zone_exists(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char magic[sizeof(ZONE_MAGIC) - 1];
	struct stat status;
	bool found;

	if (fd < 0)
		return false;
	found = fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
		read(fd, magic, sizeof(magic)) == (ssize_t)sizeof(magic) &&
		memcmp(magic, ZONE_MAGIC, sizeof(magic)) == 0;
	close(fd);
	return found;
}

/* What a local time can stand for in one zone. */
struct readings {
	int offsets[OFFSETS_MAX]; /* of the instants at which its clocks show that time */
	unsigned count;
	int before, after; /* the offsets in force on both sides of it */
};

/* local_s: the clock's time as if it were UTC. */
static void read_clocks(int64_t local_s, struct readings *ret)
{
	int seen[OFFSETS_MAX];
	unsigned seen_count = 0;

	*ret = (struct readings){
		.before = offset_at(local_s - SEARCH_S), .after = offset_at(local_s + SEARCH_S)};
	for (int64_t at = -SEARCH_S; at <= SEARCH_S; at += SEARCH_STEP_S) {
		int offset = offset_at(local_s + at);
		unsigned i = 0;

		while (i < seen_count && seen[i] != offset)
			i++;
		if (i < seen_count || seen_count == OFFSETS_MAX)
			continue;
		seen[seen_count++] = offset;
		if (offset_at(local_s - offset) == offset)
			ret->offsets[ret->count++] = offset;
	}
}

/* The same by the clocks of a zone; TZ is as before when it returns. 0 or ERR_NOMEM. */
static int read_zone(const char *path, int64_t local_s, struct readings *ret)
{
	const char *present = getenv("TZ");
	char *before = present ? strdup(present) : NULL;
	char value[512];
	int rc = 0;

	if (present && !before)
		return ERR_NOMEM;
	snprintf(value, sizeof(value), ":%s", path);
	if (setenv("TZ", value, 1) == 0) {
		tzset();
		read_clocks(local_s, ret);
		if (before && setenv("TZ", before, 1) < 0)
			rc = ERR_NOMEM;
		if (!before || rc < 0)
			unsetenv("TZ");
		tzset();
	} else {
		rc = ERR_NOMEM;
	}
	free(before);
	return rc;
}

/* parsing */

/* "2026-11-27 08:00[:00]": how many bytes of the text are one; 0: none. */
static size_t local_bytes(const char *text)
{
	static const char form[] = "0000-00-00T00:00:00";
	size_t i;

	for (i = 0; form[i] != '\0'; i++) {
		bool fits = form[i] == '0'   ? text[i] >= '0' && text[i] <= '9'
			    : form[i] == 'T' ? text[i] == 'T' || text[i] == 't' || text[i] == ' '
					     : text[i] == form[i];

		if (!fits)
			break;
	}
	return i == 19 ? 19 : i >= 16 && text[16] != ':' ? 16 : 0;
}

/* The first `len` bytes of the text, and what comes behind them, as RFC 3339. */
static int parse_with_offset(
	const char *text, size_t len, const char *offset, int64_t *ret_epoch_ms)
{
	char whole[64];

	snprintf(whole, sizeof(whole), "%.10sT%.*s%s%s", text, (int)(len - 11), text + 11,
		len == 16 ? ":00" : "", offset);
	return units_parse_rfc3339(whole, ret_epoch_ms);
}

/* The offset that an RFC 3339 text ends in. */
static int written_offset_s(const char *text)
{
	size_t len = strlen(text);
	int hours = 0, minutes = 0;
	char sign = '+';

	if (len < 6 || sscanf(text + len - 6, "%c%2d:%2d", &sign, &hours, &minutes) != 3)
		return 0; /* Z */
	return (sign == '-' ? -1 : 1) * (hours * 3600 + minutes * 60);
}

static void append_offset(struct buf *out, int offset_s)
{
	int minutes = (offset_s < 0 ? -offset_s : offset_s) / 60;

	buf_appendf(out, "%c%02d:%02d", offset_s < 0 ? '-' : '+', minutes / 60, minutes % 60);
}

static void append_with_offset(struct buf *out, const char *text, size_t len, int offset_s)
{
	buf_appendf(out, "%.10sT%.*s%s", text, (int)(len - 11), text + 11, len == 16 ? ":00" : "");
	append_offset(out, offset_s);
}

/* The local time is skipped (no reading) or repeated. */
static int refuse_change(const char *text, size_t len, const char *zone,
	const struct readings *readings, struct buf *error)
{
	bool repeated = readings->count > 1;

	buf_appendf(error, "%.*s ", (int)len, text);
	if (repeated)
		buf_appendf(error, "happens twice in %s, where the clocks are put back then", zone);
	else
		buf_appendf(
			error, "does not exist in %s, where the clocks are put forward then", zone);
	buf_append_string(error, "; write the offset: ");
	append_with_offset(error, text, len, repeated ? readings->offsets[0] : readings->before);
	buf_append_string(error, " or ");
	append_with_offset(error, text, len, repeated ? readings->offsets[1] : readings->after);
	return ERR_ARGUMENT;
}

static int parse_in_zone(const char *text, size_t len, const char *zone,
	struct schedule_instant *ret, struct buf *error)
{
	char path[400];
	struct readings readings;
	int64_t local_ms;
	int rc;

	if (parse_with_offset(text, len, "Z", &local_ms) < 0) {
		buf_appendf(error, "%.*s is no date and time of the calendar", (int)len, text);
		return ERR_SYNTAX;
	}
	if (!zone_path(zone, path, sizeof(path)) || !zone_exists(path)) {
		bool database = zone_path("UTC", path, sizeof(path)) && zone_exists(path);

		buf_appendf(error, "unknown zone \"%.*s\"", ZONE_NAME_MAX, zone);
		buf_append_string(error,
			database ? "; zones are named like Asia/Tokyo, or write the offset "
				   "(" EXAMPLE_OFFSET ")"
				 : ": there is no tz database here (package tzdata); write the "
				   "offset (" EXAMPLE_OFFSET ")");
		return ERR_NOT_FOUND;
	}
	rc = read_zone(path, local_ms / 1000, &readings);
	if (rc < 0)
		return rc;
	if (readings.count != 1)
		return refuse_change(text, len, zone, &readings, error);
	ret->epoch_ms = local_ms - (int64_t)readings.offsets[0] * 1000;
	ret->offset_s = readings.offsets[0];
	return 0;
}

static int refuse_form(const char *text, struct buf *error)
{
	buf_appendf(error,
		"expected a time like " EXAMPLE_OFFSET " or \"" EXAMPLE_ZONE "\", or seconds since "
		"1970, got \"%.100s\"",
		text);
	return ERR_SYNTAX;
}

static bool parse_number(const char *text, struct schedule_instant *ret)
{
	int64_t number;

	if (units_parse_int(text, &number) < 0 || number <= 0 || number > LAST_EPOCH_MS)
		return false;
	/* Seconds until the year 5138, milliseconds from 1973 on: the ranges do not meet. */
	*ret = schedule_local(number < INT64_C(100000000000) ? number * 1000 : number);
	return true;
}

int schedule_parse(const char *text, struct schedule_instant *ret_instant, struct buf *error)
{
	size_t len = local_bytes(text);
	const char *rest = text + len;

	if (units_parse_rfc3339(text, &ret_instant->epoch_ms) == 0) {
		ret_instant->offset_s = written_offset_s(text);
		return 0;
	}
	if (parse_number(text, ret_instant))
		return 0;
	if (len == 0)
		return refuse_form(text, error);
	rest += strspn(rest, " ");
	if (*rest == '\0') {
		buf_appendf(error,
			"%s has no zone: write the offset (" EXAMPLE_OFFSET
			") or the zone's name (" EXAMPLE_ZONE ")",
			text);
		return ERR_SYNTAX;
	}
	if (strlen(rest) <= 6 && parse_with_offset(text, len, rest, &ret_instant->epoch_ms) == 0) {
		ret_instant->offset_s = written_offset_s(rest);
		return 0;
	}
	if (rest == text + len || strspn(rest, LETTERS) == 0)
		return refuse_form(text, error);
	return parse_in_zone(text, len, rest, ret_instant, error);
}

int schedule_parse_deadline(const char *text, struct schedule_instant base,
	struct schedule_instant *ret_instant, struct buf *error)
{
	int64_t after_ms;

	if (*text != '+')
		return schedule_parse(text, ret_instant, error);
	if (units_parse_duration_ms(text + 1, &after_ms) < 0 || after_ms == 0 ||
		after_ms > LAST_EPOCH_MS - base.epoch_ms) {
		buf_appendf(error,
			"expected a time, or a duration after the start like +90m, got "
			"\"%.100s\"",
			text);
		return ERR_SYNTAX;
	}
	ret_instant->epoch_ms = base.epoch_ms + after_ms;
	ret_instant->offset_s = base.offset_s;
	return 0;
}

struct schedule_instant schedule_local(int64_t epoch_ms)
{
	return (struct schedule_instant){epoch_ms, offset_at(epoch_ms / 1000)};
}

unsigned schedule_delay_s(int64_t visible_epoch_ms, int64_t now_epoch_ms)
{
	int64_t left_s;

	if (visible_epoch_ms <= now_epoch_ms)
		return 0;
	left_s = (visible_epoch_ms - now_epoch_ms + 999) / 1000;
	return left_s < SCHEDULE_DELAY_MAX_S ? (unsigned)left_s : SCHEDULE_DELAY_MAX_S;
}

/* formatting */

const char *schedule_format(struct schedule_instant instant, char text[SCHEDULE_TEXT_MAX])
{
	int minutes = (instant.offset_s < 0 ? -instant.offset_s : instant.offset_s) / 60;
	char utc[UNITS_TEXT_MAX];
	const char *time;

	units_format_rfc3339(instant.epoch_ms + (int64_t)instant.offset_s * 1000, utc);
	time = strchr(utc, 'T');
	snprintf(text, SCHEDULE_TEXT_MAX, "%.*s %.8s %c%02d:%02d", (int)(time - utc), utc, time + 1,
		instant.offset_s < 0 ? '-' : '+', minutes / 60 % 100, minutes % 60);
	return text;
}

const char *schedule_format_time(struct schedule_instant instant, char text[SCHEDULE_TEXT_MAX])
{
	char utc[UNITS_TEXT_MAX];

	units_format_rfc3339(instant.epoch_ms + (int64_t)instant.offset_s * 1000, utc);
	snprintf(text, SCHEDULE_TEXT_MAX, "%.8s", strchr(utc, 'T') + 1);
	return text;
}

const char *schedule_format_span(int64_t ms, char text[SCHEDULE_TEXT_MAX])
{
	int64_t s = ms > 0 ? ms / 1000 : 0;

	if (s >= 86400)
		snprintf(text, SCHEDULE_TEXT_MAX, "%" PRId64 "d %dh", s / 86400,
			(int)(s / 3600 % 24));
	else if (s >= 3600)
		snprintf(text, SCHEDULE_TEXT_MAX, "%dh %02dm", (int)(s / 3600), (int)(s / 60 % 60));
	else if (s >= 60)
		snprintf(text, SCHEDULE_TEXT_MAX, "%dm %02ds", (int)(s / 60), (int)(s % 60));
	else
		snprintf(text, SCHEDULE_TEXT_MAX, "%ds", (int)s);
	return text;
}
