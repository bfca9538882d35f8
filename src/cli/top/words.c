#include "cli/top/words.h"

#include "campaign/figures.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

static bool is_unknown(struct buf *out, double number)
{
	if (!isnan(number))
		return false;
	buf_append_char(out, '-');
	return true;
}

void words_count(struct buf *out, double count)
{
	if (is_unknown(out, count))
		return;
	if (count <= -0.5)
		buf_append_char(out, '-');
	figures_append_count(out, (uint64_t)(fabs(count) + 0.5));
}

void words_rate(struct buf *out, double rate)
{
	if (!isnan(rate) && fabs(rate) < 9.95 && fabs(rate) >= 0.05)
		buf_appendf(out, "%.1f", rate);
	else
		words_count(out, rate);
}

void words_ms(struct buf *out, double ms)
{
	if (is_unknown(out, ms))
		return;
	if (ms < 10000)
		buf_appendf(out, "%.0f ms", ms);
	else
		buf_appendf(out, "%.1f s", ms / 1000);
}

void words_bytes(struct buf *out, double bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	size_t unit = 0;

	if (is_unknown(out, bytes))
		return;
	while (bytes >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		bytes /= 1024;
		unit++;
	}
	buf_appendf(out, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

void words_span(struct buf *out, double ms)
{
	if (!is_unknown(out, ms))
		figures_append_span(out, ms > 0 ? (int64_t)ms : 0);
}

void words_clock(struct buf *out, double epoch_ms)
{
	if (!is_unknown(out, epoch_ms))
		figures_append_time(out, (int64_t)epoch_ms, FIGURES_CLOCK);
}

void words_instant(struct buf *out, double epoch_ms)
{
	if (!is_unknown(out, epoch_ms))
		figures_append_time(out, (int64_t)epoch_ms, FIGURES_INSTANT);
}

void words_state(struct buf *out, const char *state)
{
	if (!state[0])
		buf_append_char(out, '-');
	for (; *state; state++)
		buf_append_char(out, *state == '_' ? ' ' : *state);
}
