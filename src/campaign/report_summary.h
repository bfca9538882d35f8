/*
 * A campaign's report as a whole: what it was, how it came out, when, and why some failed. For a
 * terminal, a program, or a page that a person reads and prints.
 *
 * "Accepted" is by the provider; no text says "delivered".
 */
#ifndef CAMPAIGN_REPORT_SUMMARY_H
#define CAMPAIGN_REPORT_SUMMARY_H

#include "campaign/report.h"
#include "campaign/tally_print.h"

#define REPORT_BUCKETS 120 /* of the delivery curve, at most */
#define REPORT_REASONS 20

struct report_summary {
	const struct journal_campaign *campaign; /* borrowed from the journal */
	struct journal_progress progress;
	struct report_counts counts;
	int64_t now_epoch_ms;
	/* Of the acceptances: the first, when half and 95 % had been made, the last; 0: there are
	 * none. */
	int64_t first_epoch_ms, median_epoch_ms, p95_epoch_ms, last_epoch_ms;
	/*
	 * Acceptances in parts of [curve_from, curve_to), which holds first and last: each part is
	 * curve_width long, tenths of a second or whole seconds. No buckets: nothing was accepted.
	 */
	int64_t curve_from_epoch_ms, curve_to_epoch_ms, curve_width_ms;
	unsigned curve_buckets;
	uint64_t curve[REPORT_BUCKETS];
	size_t reason_count;
	struct tally_reason reasons[REPORT_REASONS];
};

/* db NULL: no result is known. counts: of report_read(). 0, ERR_IO, ERR_NOMEM. */
int report_summarise(struct journal *journal, struct results_db *db,
	const struct report_counts *counts, int64_t now_epoch_ms,
	struct report_summary *ret_summary);

/* Rows whose end is not known: retrying, waiting, not sent. */
uint64_t report_open_rows(const struct report_summary *summary);

/* What times are counted from: --at, else when the send began. */
int64_t report_start_epoch_ms(const struct report_summary *summary);

/* The most that were accepted in one second (or, of long campaigns, in one bucket, a second). */
uint64_t report_peak_rate(const struct report_summary *summary);

/* Each appends, and returns 0 or the buffer's error. Times are those of the process's zone. */
int report_print_text(const struct report_summary *summary, struct buf *out);
int report_print_json(const struct report_summary *summary, struct buf *out); /* one line */
/* A whole HTML document that loads nothing and runs nothing; at most REPORT_PAGE_MAX. */
#define REPORT_PAGE_MAX ((size_t)8 << 20)
int report_print_html(const struct report_summary *summary, struct buf *out);

#endif
