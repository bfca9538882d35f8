#include "campaign/report_summary.h"

#include "bunshin/error.h"

#include <string.h>

uint64_t report_open_rows(const struct report_summary *summary)
{
	const uint64_t *by = summary->counts.by_outcome;

	return by[REPORT_RETRYING] + by[REPORT_WAITING] + by[REPORT_NOT_SENT];
}

static void keep_reason(void *arg, const struct results_reason *reason)
{
	struct report_summary *summary = arg;

	if (summary->reason_count < REPORT_REASONS)
		tally_reason_copy(&summary->reasons[summary->reason_count++], reason);
}

/*
 * Tenths of a second for what took a few seconds; else whole seconds, as few as suffice, so that
 * what a bucket holds is a rate and not a part of one.
 */
static void choose_buckets(struct report_summary *summary)
{
	int64_t first = summary->first_epoch_ms, last = summary->last_epoch_ms;
	int64_t width = 100, from = first / width * width, span = last - from + 1;

	if (span > width * REPORT_BUCKETS) {
		from = first / 1000 * 1000;
		span = last - from + 1;
		width = (span + REPORT_BUCKETS * 1000 - 1) / (REPORT_BUCKETS * 1000) * 1000;
	}
	summary->curve_width_ms = width;
	summary->curve_buckets = (unsigned)((span + width - 1) / width);
	summary->curve_from_epoch_ms = from;
	summary->curve_to_epoch_ms = from + summary->curve_buckets * width;
}

static int read_curve(struct results_db *db, struct report_summary *summary)
{
	choose_buckets(summary);
	return results_db_curve(db, summary->campaign->name, summary->curve_from_epoch_ms,
		summary->curve_to_epoch_ms, summary->curve, summary->curve_buckets);
}

int64_t report_start_epoch_ms(const struct report_summary *summary)
{
	int64_t at = summary->campaign->at_epoch_ms;

	return at != 0 ? at : summary->progress.begun_epoch_ms;
}

uint64_t report_peak_rate(const struct report_summary *summary)
{
	uint64_t most = 0, sum = 0;
	/* Buckets that make a second: a tenth of one says nothing of a rate. */
	unsigned together =
		summary->curve_width_ms < 1000 ? (unsigned)(1000 / summary->curve_width_ms) : 1;

	for (unsigned i = 0; i < summary->curve_buckets; i++) {
		sum += summary->curve[i];
		if (i >= together)
			sum -= summary->curve[i - together];
		if (sum > most)
			most = sum;
	}
	if (summary->curve_width_ms <= 1000)
		return most;
	return most * 1000 / (uint64_t)summary->curve_width_ms;
}

static int read_times(struct results_db *db, struct report_summary *summary)
{
	const char *name = summary->campaign->name;
	struct results_tally tally;
	int err = results_db_tally(db, name, &tally);

	if (err || tally.first_accepted_epoch_ms == 0)
		return err;
	summary->first_epoch_ms = tally.first_accepted_epoch_ms;
	summary->last_epoch_ms = tally.last_accepted_epoch_ms;
	err = results_db_quantile(db, name, 1, 2, &summary->median_epoch_ms);
	if (!err)
		err = results_db_quantile(db, name, 95, 100, &summary->p95_epoch_ms);
	return err ? err : read_curve(db, summary);
}

int report_summarise(struct journal *journal, struct results_db *db,
	const struct report_counts *counts, int64_t now_epoch_ms,
	struct report_summary *ret_summary)
{
	int err;

	*ret_summary = (struct report_summary){
		.campaign = journal_campaign(journal),
		.counts = *counts,
		.now_epoch_ms = now_epoch_ms,
	};
	err = journal_progress(journal, &ret_summary->progress);
	if (err || !db)
		return err;
	err = read_times(db, ret_summary);
	if (!err)
		err = results_db_each_reason(
			db, ret_summary->campaign->name, REPORT_REASONS, keep_reason, ret_summary);
	return err;
}
