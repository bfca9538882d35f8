#include "admin/history.h"

#include <inttypes.h>
#include <stddef.h>

/* More than that is a number that somebody has made up: JavaScript has no larger ones. */
#define VALUE_MAX INT64_C(9007199254740991)

static const char *const columns[HISTORY_COLUMNS] = {
	[HISTORY_RECEIVED] = "received",
	[HISTORY_ACCEPTED] = "accepted",
	[HISTORY_FAILED] = "failed",
	[HISTORY_RETRIED] = "retried",
	[HISTORY_EXPIRED] = "expired",
	[HISTORY_ATTEMPT_P50] = "attempt_p50_ms",
	[HISTORY_ATTEMPT_P95] = "attempt_p95_ms",
	[HISTORY_ATTEMPT_P99] = "attempt_p99_ms",
	[HISTORY_ACCEPTANCE_P50] = "acceptance_p50_ms",
	[HISTORY_ACCEPTANCE_P99] = "acceptance_p99_ms",
	[HISTORY_BUSY] = "busy",
	[HISTORY_LIMIT] = "limit",
	[HISTORY_HELD] = "held",
	[HISTORY_VISIBLE] = "visible",
	[HISTORY_IN_FLIGHT] = "in_flight",
};

static const struct history_row *row_at(const struct history *history, uint64_t number)
{
	return &history->rows[number % HISTORY_ROWS];
}

void history_add(struct history *history, const struct history_row *row)
{
	if (history->next > 0 && row->t_ms <= row_at(history, history->next - 1)->t_ms)
		history->next = 0;
	history->rows[history->next % HISTORY_ROWS] = *row;
	history->next++;
}

static void write_tenths(struct buf *out, int64_t tenths)
{
	if (tenths < 0 || tenths > VALUE_MAX)
		buf_append_string(out, "null");
	else if (tenths % 10 == 0)
		buf_appendf(out, "%" PRId64, tenths / 10);
	else
		buf_appendf(out, "%" PRId64 ".%d", tenths / 10, (int)(tenths % 10));
}

static void write_row(struct buf *out, const struct history_row *row)
{
	buf_appendf(out, "[%" PRId64, row->t_ms);
	for (size_t i = 0; i < HISTORY_COLUMNS; i++) {
		buf_append_char(out, ',');
		write_tenths(out, row->tenths[i]);
	}
	buf_append_char(out, ']');
}

int history_write(const struct history *history, int64_t since_ms, int64_t now_ms, struct buf *out)
{
	uint64_t next = history->next, first = next > HISTORY_ROWS ? next - HISTORY_ROWS : 0;
	int64_t after_ms = since_ms <= now_ms ? since_ms : 0;
	bool is_first = true;

	buf_appendf(out, "{\"now_ms\":%" PRId64 ",\"interval_ms\":%d,\"columns\":[\"t_ms\"", now_ms,
		HISTORY_INTERVAL_MS);
	for (size_t i = 0; i < HISTORY_COLUMNS; i++)
		buf_appendf(out, ",\"%s\"", columns[i]);
	buf_append_string(out, "],\"rows\":[");
	for (uint64_t number = first; number < next; number++) {
		const struct history_row *row = row_at(history, number);

		if (row->t_ms <= after_ms || row->t_ms > VALUE_MAX)
			continue;
		if (!is_first)
			buf_append_char(out, ',');
		is_first = false;
		write_row(out, row);
	}
	return buf_append_string(out, "]}\n");
}
