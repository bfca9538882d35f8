/*
 * What became of every row of a campaign's list: the list is read once more and joined with its
 * journal (which rows are in the queue, which were left out) and the results database (what workers
 * said). Streams: nothing is held but one row.
 *
 * Every row has exactly one outcome, so the counts sum up to the rows of the list.
 */
#ifndef CAMPAIGN_REPORT_H
#define CAMPAIGN_REPORT_H

#include "base/buf.h"
#include "campaign/journal.h"
#include "campaign/recipients.h"
#include "campaign/results_db.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum report_outcome {
	REPORT_ACCEPTED, /* by the provider */
	REPORT_FAILED,
	REPORT_EXPIRED,
	REPORT_CANCELLED,
	REPORT_RETRYING, /* an attempt failed, no end is known */
	REPORT_WAITING,	 /* in the queue, nothing is known of it */
	REPORT_NOT_SENT, /* not known to be in the queue: an unfinished send */
	REPORT_LEFT_OUT, /* on purpose: see the journal's rejects */
	REPORT_OUTCOMES
};
const char *report_outcome_name(enum report_outcome outcome); /* "not sent"; static */

/* One row; all is borrowed for the call. */
struct report_row {
	struct recipients_place place;
	const char *key; /* the recipient's; "" when the row has none */
	size_t key_bytes;
	const char *idempotency_key; /* "" when it has none */
	enum report_outcome outcome;
	enum journal_reject reject; /* of REPORT_LEFT_OUT */
	const char *reason;	    /* for people; "" when there is nothing to say */
	/* As in struct result_record; 0 and "" when no record is known. */
	int status;
	unsigned attempts;
	int64_t first_epoch_ms, last_epoch_ms;
	const char *request_id;
	/* Not accepted as far as is known, but an attempt went unanswered: the provider may have
	 * it. */
	bool uncertain;
	/* Failed, since the provider does not know the recipient any more. */
	bool unregistered;
};

struct report_counts {
	uint64_t rows;
	uint64_t by_outcome[REPORT_OUTCOMES];
	uint64_t by_reject[JOURNAL_REJECTS];
	uint64_t uncertain;
	/* Results of this campaign that belong to no row of the list. */
	uint64_t strangers;
};

struct report_source {
	struct journal *journal;
	struct results_db *db;	       /* NULL: no result is known */
	struct recipients_input input; /* the list, from its start */
	enum recipients_format format;
};

/*
 * Calls `visit` for each row, in order; it returns 0, or a code that ends it. 0; ERR_SYNTAX with a
 * sentence in `error`: the list cannot be read to its end, or has another number of rows than when
 * it was sent; the input's error, visit's code; ERR_IO of journal or database; ERR_NOMEM.
 */
int report_read(const struct report_source *source,
	int (*visit)(void *arg, const struct report_row *row), void *arg,
	struct report_counts *ret_counts, struct buf *error);

/*
 * One line of CSV (RFC 4180) with its "\n", and the header: line, row, recipient, idempotency_key,
 * outcome, reason, status, attempts, first, last, request_id, uncertain. Times are RFC 3339 in UTC
 * with milliseconds. The words of the provider (reason, request_id) are kept from being a formula
 * in a spreadsheet: an apostrophe stands before = + - @ TAB and CR. Each returns 0 or the buffer's
 * error.
 */
/* One line of the recipient's key and "\n", as --suppress takes it; ERR_SYNTAX: the key holds a
 * line break, or is empty. */
int report_key_line(const struct report_row *row, struct buf *out);
int report_csv_header(struct buf *out);
int report_csv_row(const struct report_row *row, struct buf *out);

#endif
