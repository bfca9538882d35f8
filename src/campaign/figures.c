#include "campaign/figures.h"

#include "base/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

int figures_append_count(struct buf *out, uint64_t count)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, count);

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			buf_append_char(out, ',');
		buf_append_char(out, digits[i]);
	}
	return out->err;
}

int figures_append_duration(struct buf *out, int64_t seconds)
{
	if (seconds >= 3600)
		return buf_appendf(
			out, "%" PRId64 "h%02dm", seconds / 3600, (int)(seconds / 60 % 60));
	if (seconds >= 60)
		return buf_appendf(out, "%" PRId64 "m%02ds", seconds / 60, (int)(seconds % 60));
	return buf_appendf(out, "%" PRId64 "s", seconds);
}

int figures_append_span(struct buf *out, int64_t ms)
{
	if (ms < 60000)
		return buf_appendf(out, "%" PRId64 ".%ds", ms / 1000, (int)(ms % 1000 / 100));
	return figures_append_duration(out, (ms + 500) / 1000);
}

int figures_append_time(struct buf *out, int64_t epoch_ms, enum figures_time what)
{
	time_t seconds = (time_t)(epoch_ms / 1000);
	char text[64] = "";
	struct tm parts;

	if (!localtime_r(&seconds, &parts))
		return out->err;
	if (what == FIGURES_CLOCK)
		strftime(text, sizeof(text), "%H:%M:%S", &parts);
	else if (what == FIGURES_DATE)
		strftime(text, sizeof(text), "%Y-%m-%d (UTC%z)", &parts);
	else
		strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S (UTC%z)", &parts);
	return buf_append_string(out, text);
}

int figures_append_json(struct buf *out, const char *name, const char *text)
{
	buf_appendf(out, ",\"%s\":", name);
	if (!text)
		return buf_append_string(out, "null");
	buf_append_char(out, '"');
	buf_append_json(out, text, strlen(text));
	return buf_append_char(out, '"');
}

int figures_append_json_time(struct buf *out, const char *name, int64_t epoch_ms)
{
	char text[UNITS_TEXT_MAX];

	return figures_append_json(
		out, name, epoch_ms != 0 ? units_format_rfc3339(epoch_ms, text) : NULL);
}
