/* A campaign's report for a terminal and for a program. */
#include "base/units.h"
#include "campaign/figures.h"
#include "campaign/report_summary.h"

#include <inttypes.h>
#include <string.h>

static void append_line(struct buf *out, const char *label, uint64_t count, uint64_t rows)
{
	struct buf number = BUF_INIT(64);

	figures_append_count(&number, count);
	buf_appendf(out, "  %-26s %13s", label, buf_string(&number));
	if (rows > 0 && count > 0)
		buf_appendf(out, "  %5.1f %%", (double)count * 100 / (double)rows);
	buf_append_char(out, '\n');
	buf_free(&number);
}

static void append_counts(const struct report_summary *summary, struct buf *out)
{
	static const char *const labels[REPORT_OUTCOMES] = {
		[REPORT_ACCEPTED] = "accepted by the provider",
		[REPORT_FAILED] = "failed",
		[REPORT_EXPIRED] = "expired, not sent",
		[REPORT_CANCELLED] = "cancelled, not sent",
		[REPORT_RETRYING] = "retrying",
		[REPORT_WAITING] = "waiting",
		[REPORT_NOT_SENT] = "not in the queue",
		[REPORT_LEFT_OUT] = "left out of the list",
	};
	const struct report_counts *counts = &summary->counts;

	for (int i = 0; i < REPORT_OUTCOMES; i++)
		if (counts->by_outcome[i] > 0 || i <= REPORT_EXPIRED)
			append_line(out, labels[i], counts->by_outcome[i], counts->rows);
	for (int i = 0; i < JOURNAL_REJECTS; i++)
		if (counts->by_reject[i] > 0) {
			buf_append_string(out, "    ");
			append_line(out, journal_reject_name((enum journal_reject)i),
				counts->by_reject[i], 0);
		}
	append_line(out, "rows of the list", counts->rows, 0);
	buf_append_string(out, "It reconciles: each row has exactly one outcome.\n");
}

static void append_time(
	const struct report_summary *summary, const char *label, int64_t epoch_ms, struct buf *out)
{
	int64_t start = report_start_epoch_ms(summary);

	buf_appendf(out, "  %-26s ", label);
	figures_append_time(out, epoch_ms, FIGURES_CLOCK);
	buf_appendf(out, ".%03d", (int)(epoch_ms % 1000));
	if (start != 0 && epoch_ms > start) {
		buf_append_string(out, "  after ");
		figures_append_span(out, epoch_ms - start);
	}
	buf_append_char(out, '\n');
}

static void append_times(const struct report_summary *summary, struct buf *out)
{
	if (summary->first_epoch_ms == 0)
		return;
	buf_append_string(out, "\nAccepted on ");
	figures_append_time(out, summary->first_epoch_ms, FIGURES_DATE);
	buf_append_char(out, '\n');
	append_time(summary, summary->campaign->at_epoch_ms != 0 ? "set for" : "the send began",
		report_start_epoch_ms(summary), out);
	append_time(summary, "the first", summary->first_epoch_ms, out);
	append_time(summary, "50 %", summary->median_epoch_ms, out);
	append_time(summary, "95 %", summary->p95_epoch_ms, out);
	append_time(summary, "the last", summary->last_epoch_ms, out);
	if (summary->campaign->deadline_epoch_ms != 0)
		append_time(summary, "the deadline", summary->campaign->deadline_epoch_ms, out);
}

static void append_reasons(const struct report_summary *summary, struct buf *out)
{
	if (summary->reason_count == 0)
		return;
	buf_append_string(out, "\nWhy not\n");
	for (size_t i = 0; i < summary->reason_count; i++) {
		const struct tally_reason *reason = &summary->reasons[i];

		buf_append_string(out, "  ");
		figures_append_count(out, reason->count);
		buf_appendf(out, " %s: %s", result_outcome_name(reason->outcome),
			reason->reason[0] ? reason->reason : "no reason was given");
		if (reason->status != 0)
			buf_appendf(out, " (status %d)", reason->status);
		buf_appendf(out, ", for example %s\n", reason->sample_key);
	}
}

static void append_notes(const struct report_summary *summary, struct buf *out)
{
	const struct report_counts *counts = &summary->counts;

	if (counts->uncertain > 0) {
		buf_append_string(out, "\nUncertain: ");
		figures_append_count(out, counts->uncertain);
		buf_append_string(out, " of these had an attempt that got no answer: the provider "
				       "may have accepted "
				       "it.\n");
	}
	if (counts->by_outcome[REPORT_NOT_SENT] > 0)
		buf_append_string(out,
			"\nThe send is not finished: `bunshin campaign send --resume` goes on.\n");
	if (counts->strangers > 0) {
		buf_append_string(out, "\nResults of a campaign of this name that belong to no "
				       "row of the list: ");
		figures_append_count(out, counts->strangers);
		buf_append_char(out, '\n');
	}
}

int report_print_text(const struct report_summary *summary, struct buf *out)
{
	buf_appendf(out, "%s\n", summary->campaign->name);
	append_counts(summary, out);
	append_times(summary, out);
	append_reasons(summary, out);
	append_notes(summary, out);
	return out->err;
}

/* JSON */

static void put_json_counts(const struct report_summary *summary, struct buf *out)
{
	static const char *const names[REPORT_OUTCOMES] = {"accepted", "failed", "expired",
		"cancelled", "retrying", "waiting", "not_sent", "left_out"};
	const struct report_counts *counts = &summary->counts;

	buf_appendf(out, ",\"rows\":%" PRIu64, counts->rows);
	for (int i = 0; i < REPORT_OUTCOMES; i++)
		buf_appendf(out, ",\"%s\":%" PRIu64, names[i], counts->by_outcome[i]);
	buf_append_string(out, ",\"left_out_by\":");
	for (int i = 0; i < JOURNAL_REJECTS; i++)
		buf_appendf(out, "%c\"%s\":%" PRIu64, i == 0 ? '{' : ',',
			journal_reject_name((enum journal_reject)i), counts->by_reject[i]);
	buf_appendf(out, "},\"uncertain\":%" PRIu64 ",\"unmatched\":%" PRIu64, counts->uncertain,
		counts->strangers);
}

static void put_json_reasons(const struct report_summary *summary, struct buf *out)
{
	buf_append_string(out, ",\"reasons\":[");
	for (size_t i = 0; i < summary->reason_count; i++) {
		const struct tally_reason *reason = &summary->reasons[i];

		buf_appendf(out, "%s{\"count\":%" PRIu64 ",\"status\":%d", i > 0 ? "," : "",
			reason->count, reason->status);
		figures_append_json(out, "outcome", result_outcome_name(reason->outcome));
		figures_append_json(out, "reason", reason->reason);
		figures_append_json(out, "sample_key", reason->sample_key);
		figures_append_json(out, "sample_request_id", reason->sample_request_id);
		buf_append_char(out, '}');
	}
	buf_append_char(out, ']');
}

int report_print_json(const struct report_summary *summary, struct buf *out)
{
	uint64_t sum = 0;

	for (int i = 0; i < REPORT_OUTCOMES; i++)
		sum += summary->counts.by_outcome[i];
	buf_appendf(out, "{\"reconciles\":%s", sum == summary->campaign->rows ? "true" : "false");
	figures_append_json(out, "campaign", summary->campaign->name);
	put_json_counts(summary, out);
	buf_appendf(out, ",\"open\":%" PRIu64, report_open_rows(summary));
	figures_append_json_time(out, "begun", summary->progress.begun_epoch_ms);
	figures_append_json_time(out, "enqueued", summary->progress.finished_epoch_ms);
	figures_append_json_time(out, "deadline", summary->campaign->deadline_epoch_ms);
	figures_append_json_time(out, "first", summary->first_epoch_ms);
	figures_append_json_time(out, "p50", summary->median_epoch_ms);
	figures_append_json_time(out, "p95", summary->p95_epoch_ms);
	figures_append_json_time(out, "last", summary->last_epoch_ms);
	put_json_reasons(summary, out);
	return buf_append_string(out, "}\n");
}
