/*
 * What was, a sample a second for the last 15 minutes: /history.json. Pure: whoever adds a row says
 * what time it is.
 *
 * A second without a row is a gap in the times; a value that is not known, such as the counts of
 * the first sample after a gap, is null. Neither is ever made up.
 */
#ifndef ADMIN_HISTORY_H
#define ADMIN_HISTORY_H

#include "base/buf.h"

#include <stdint.h>

#define HISTORY_ROWS 900
#define HISTORY_INTERVAL_MS 1000
#define HISTORY_UNKNOWN (-1)

/* The columns behind t_ms, in their order in the document. */
enum history_column {
	HISTORY_RECEIVED, /* counts: of that second */
	HISTORY_ACCEPTED,
	HISTORY_FAILED,
	HISTORY_RETRIED,
	HISTORY_EXPIRED,
	HISTORY_ATTEMPT_P50, /* milliseconds */
	HISTORY_ATTEMPT_P95,
	HISTORY_ATTEMPT_P99,
	HISTORY_ACCEPTANCE_P50,
	HISTORY_ACCEPTANCE_P99,
	HISTORY_BUSY, /* at that instant */
	HISTORY_LIMIT,
	HISTORY_HELD,
	HISTORY_VISIBLE,
	HISTORY_IN_FLIGHT,
	HISTORY_COLUMNS
};

struct history_row {
	int64_t t_ms;			 /* of the wall clock: the end of the second */
	int64_t tenths[HISTORY_COLUMNS]; /* tenths of the value; below 0: not known */
};

/*
 * All zero: empty. It may lie in memory that other processes can write to: whatever is found there,
 * nothing outside of it is read, and the document is valid.
 */
struct history {
	uint64_t next; /* rows that were added */
	struct history_row rows[HISTORY_ROWS];
};

/* The oldest leaves. When the clock was set back, all that was before goes: times only rise. */
void history_add(struct history *history, const struct history_row *row);
/*
 * Appends the document with the rows after since_ms, oldest first; all of them when since_ms is
 * after now_ms, which is what a client has whose server's clock was set back. 0 or the buffer's
 * error.
 */
int history_write(const struct history *history, int64_t since_ms, int64_t now_ms, struct buf *out);

#endif
