/*
 * A campaign's report as a page: read on a screen, light or dark, on a phone, or on paper. It loads
 * nothing and runs nothing, so it can be kept and sent on. Everything that is not this file's own
 * is escaped.
 */
#include "base/html.h"
#include "campaign/figures.h"
#include "campaign/report_chart.h"
#include "campaign/report_summary.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

/* Of report.css, which scripts/embed makes a string of. */
extern const char report_style[];

static const char head[] =
	"<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	"<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	"<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
	"style-src 'unsafe-inline'\">\n";

/*
 * A text of somebody else's. Escaped; and apart from what stands around it, which no character that
 * turns the direction of writing then reaches.
 */
static void put(struct buf *out, const char *text)
{
	buf_append_string(out, "<bdi>");
	html_append(out, text);
	buf_append_string(out, "</bdi>");
}

static void put_percent(struct buf *out, uint64_t count, uint64_t whole)
{
	double percent = whole > 0 ? (double)count * 100 / (double)whole : 0;

	/* What is not all of them is never rounded to it, nor what is not nothing to nothing. */
	if (count < whole && percent > 99.9)
		buf_append_string(out, "&gt; 99.9");
	else if (count > 0 && percent < 0.1)
		buf_append_string(out, "&lt; 0.1");
	else
		buf_appendf(out, "%.1f", percent);
	buf_append_string(out, "&nbsp;%");
}

/* tables */

static void begin_table(struct buf *out, const char *class, const char *caption)
{
	buf_appendf(out, "<table%s%s%s>\n<caption>%s</caption>\n", *class ? " class=\"" : "", class,
		*class ? "\"" : "", caption);
}

static void end_table(struct buf *out)
{
	buf_append_string(out, "</tbody>\n</table>\n");
}

static void begin_section(struct buf *out, const char *class, const char *title)
{
	buf_appendf(out, "<section%s%s%s>\n<h2>%s</h2>\n", *class ? " class=\"" : "", class,
		*class ? "\"" : "", title);
}

static void end_section(struct buf *out)
{
	buf_append_string(out, "</section>\n");
}

/* The label is ours. */
static void begin_row(struct buf *out, const char *class, const char *label)
{
	buf_appendf(out, "<tr%s%s%s><th scope=\"row\">%s</th>", *class ? " class=\"" : "", class,
		*class ? "\"" : "", label);
}

/* What became of every row */

static void count_row(
	struct buf *out, const char *class, const char *label, uint64_t count, uint64_t whole)
{
	begin_row(out, class, label);
	buf_append_string(out, "<td class=\"n\">");
	figures_append_count(out, count);
	buf_append_string(out, "</td><td class=\"n\">");
	put_percent(out, count, whole);
	buf_append_string(out, "</td></tr>\n");
}

static void put_sum(const struct report_counts *counts, struct buf *out)
{
	uint64_t sum = 0;

	for (int i = 0; i < REPORT_OUTCOMES; i++)
		sum += counts->by_outcome[i];
	count_row(out, "sum", "rows of the list", counts->rows, counts->rows);
	end_table(out);
	buf_append_string(out, "<p class=\"soft\">");
	if (sum == counts->rows)
		buf_append_string(out,
			"It reconciles: the list was read again, it is the one that was sent, and "
			"each of its rows has exactly one outcome.");
	else
		buf_append_string(out, "It does not reconcile: the outcomes are not as many as "
				       "the rows.");
	if (counts->strangers > 0) {
		buf_append_string(out, " Results of a campaign of this name that belong to no row "
				       "of this list: ");
		figures_append_count(out, counts->strangers);
		buf_append_char(out, '.');
	}
	buf_append_string(out, "</p>\n");
}

static void put_identity(const struct report_summary *summary, struct buf *out)
{
	static const char *const labels[REPORT_OUTCOMES] = {
		[REPORT_ACCEPTED] = "accepted by the provider",
		[REPORT_FAILED] = "failed",
		[REPORT_EXPIRED] = "expired: past the deadline, not sent",
		[REPORT_CANCELLED] = "cancelled, not sent",
		[REPORT_RETRYING] = "retrying: an attempt failed, no end is known",
		[REPORT_WAITING] = "waiting: in the queue, nothing is known yet",
		[REPORT_NOT_SENT] = "not in the queue: the send is not finished",
		[REPORT_LEFT_OUT] = "left out of the list",
	};
	static const char *const rejects[JOURNAL_REJECTS] = {
		[JOURNAL_REJECT_INVALID] = "invalid: the row makes no message",
		[JOURNAL_REJECT_MALFORMED] = "malformed: a column breaks its rule",
		[JOURNAL_REJECT_DUPLICATE] = "duplicate: the recipient stood in an earlier row",
		[JOURNAL_REJECT_SUPPRESSED] = "suppressed: in the suppression file",
		[JOURNAL_REJECT_REFUSED] = "refused by the queue",
	};
	const struct report_counts *counts = &summary->counts;

	begin_section(out, "whole", "What became of every row");
	begin_table(out, "", "Rows of the list by outcome");
	buf_append_string(out,
		"<thead><tr><th scope=\"col\">outcome</th><th class=\"n\" scope=\"col\">rows</th>"
		"<th class=\"n\" scope=\"col\">of all</th></tr></thead>\n<tbody>\n");
	for (int i = 0; i < REPORT_OUTCOMES; i++)
		if (counts->by_outcome[i] > 0 || i <= REPORT_EXPIRED)
			count_row(out, "", labels[i], counts->by_outcome[i], counts->rows);
	for (int i = 0; i < JOURNAL_REJECTS; i++)
		if (counts->by_reject[i] > 0)
			count_row(out, "part", rejects[i], counts->by_reject[i], counts->rows);
	put_sum(counts, out);
	end_section(out);
}

/* When */

static bool is_one_day(int64_t a_epoch_ms, int64_t b_epoch_ms)
{
	time_t a = (time_t)(a_epoch_ms / 1000), b = (time_t)(b_epoch_ms / 1000);
	struct tm a_parts, b_parts;

	return localtime_r(&a, &a_parts) && localtime_r(&b, &b_parts) &&
	       a_parts.tm_year == b_parts.tm_year && a_parts.tm_yday == b_parts.tm_yday;
}

/* The time of day; on another day than the first acceptance's, the day, too. */
static void put_moment(const struct report_summary *summary, int64_t epoch_ms, struct buf *out)
{
	time_t seconds = (time_t)(epoch_ms / 1000);
	bool same_day = is_one_day(summary->first_epoch_ms, epoch_ms);
	char day[32] = "";
	struct tm parts;

	if (!same_day && localtime_r(&seconds, &parts))
		strftime(day, sizeof(day), "%Y-%m-%d ", &parts);
	buf_append_string(out, day);
	figures_append_time(out, epoch_ms, FIGURES_CLOCK);
	buf_appendf(out, ".%03d", (int)(epoch_ms % 1000));
}

static void moment_row(
	const struct report_summary *summary, const char *label, int64_t epoch_ms, struct buf *out)
{
	int64_t start = report_start_epoch_ms(summary);

	if (epoch_ms == 0)
		return;
	begin_row(out, "", label);
	buf_append_string(out, "<td class=\"t\">");
	put_moment(summary, epoch_ms, out);
	buf_append_string(out, "</td><td class=\"n\">");
	if (start != 0 && epoch_ms > start)
		figures_append_span(out, epoch_ms - start);
	buf_append_string(out, "</td></tr>\n");
}

static void put_times(const struct report_summary *summary, struct buf *out)
{
	const struct journal_campaign *campaign = summary->campaign;

	buf_append_string(out, "<table class=\"whole\">\n<caption>Moments of ");
	figures_append_time(out, summary->first_epoch_ms, FIGURES_DATE);
	buf_append_string(out,
		"</caption>\n<thead><tr><th scope=\"col\">moment</th>"
		"<th class=\"t\" scope=\"col\">at</th>"
		"<th class=\"n\" scope=\"col\">after the start</th></tr></thead>\n<tbody>\n");
	moment_row(summary, campaign->at_epoch_ms != 0 ? "set for" : "send begun",
		report_start_epoch_ms(summary), out);
	moment_row(summary, "first accepted", summary->first_epoch_ms, out);
	moment_row(summary, "50&nbsp;% accepted", summary->median_epoch_ms, out);
	moment_row(summary, "95&nbsp;% accepted", summary->p95_epoch_ms, out);
	moment_row(summary, "last accepted", summary->last_epoch_ms, out);
	moment_row(summary, "deadline", campaign->deadline_epoch_ms, out);
	end_table(out);
}

static void put_curve_words(const struct report_summary *summary, struct buf *out)
{
	int64_t ms = summary->last_epoch_ms - summary->first_epoch_ms;
	uint64_t accepted = 0;

	for (unsigned i = 0; i < summary->curve_buckets; i++)
		accepted += summary->curve[i];
	buf_append_string(out, "<p id=\"curve\">");
	if (ms < 1000) {
		buf_append_string(out, "All were accepted within a second");
	} else {
		buf_append_string(out, "From the first to the last ");
		figures_append_span(out, ms);
		buf_append_string(out, ": on average ");
		figures_append_count(out, (uint64_t)((double)accepted * 1000 / (double)ms + 0.5));
		buf_append_string(out, " a second, at most ");
		figures_append_count(out, report_peak_rate(summary));
	}
	buf_append_string(out, ".</p>\n");
}

static void put_when(const struct report_summary *summary, struct buf *out)
{
	if (summary->curve_buckets == 0)
		return;
	begin_section(out, "", "When");
	put_curve_words(summary, out);
	report_chart_append(summary, "curve", out);
	put_times(summary, out);
	end_section(out);
}

/* Why not */

static void put_reason(const struct tally_reason *reason, struct buf *out)
{
	buf_append_string(out, "<tr><td class=\"n\">");
	figures_append_count(out, reason->count);
	buf_appendf(out, "</td><td class=\"w\">%s", result_outcome_name(reason->outcome));
	if (reason->status != 0)
		buf_appendf(out, " %d", reason->status);
	buf_append_string(out, "</td><td>");
	if (reason->reason[0])
		put(out, reason->reason);
	else
		buf_append_string(out, "<i>no reason was given</i>");
	buf_append_string(out, "<div class=\"example\">for example key <code>");
	put(out, reason->sample_key);
	buf_append_string(out, "</code>");
	if (reason->sample_request_id[0]) {
		buf_append_string(out, ", request <code>");
		put(out, reason->sample_request_id);
		buf_append_string(out, "</code>");
	}
	buf_append_string(out, "</div></td></tr>\n");
}

static void put_reasons(const struct report_summary *summary, struct buf *out)
{
	if (summary->reason_count == 0)
		return;
	begin_section(out, "", "Why not");
	begin_table(
		out, "reasons", "Messages that were not accepted by reason, most frequent first");
	buf_append_string(out, "<thead><tr><th class=\"n\" scope=\"col\">messages</th>"
			       "<th class=\"w\" scope=\"col\">outcome</th>"
			       "<th scope=\"col\">reason</th></tr></thead>\n<tbody>\n");
	for (size_t i = 0; i < summary->reason_count; i++)
		put_reason(&summary->reasons[i], out);
	end_table(out);
	if (summary->reason_count == REPORT_REASONS)
		buf_append_string(out, "<p class=\"soft\">There may be others: these are the most "
				       "frequent. The CSV has them all.</p>\n");
	end_section(out);
}

static void put_uncertain(const struct report_summary *summary, struct buf *out)
{
	if (summary->counts.uncertain == 0)
		return;
	begin_section(out, "whole", "Uncertain");
	buf_append_string(out, "<p><b>");
	figures_append_count(out, summary->counts.uncertain);
	buf_append_string(out,
		"</b> of those that failed, expired or were cancelled had an attempt that got no "
		"answer: the provider may have accepted it all the same, so sending to them again "
		"may reach them twice. <code>bunshin campaign report NAME --csv FILE "
		"--only uncertain</code> lists them.</p>\n");
	end_section(out);
}

/* What it was */

static void text_row(struct buf *out, const char *label, const char *text)
{
	if (!text || !*text)
		return;
	begin_row(out, "", label);
	buf_append_string(out, "<td>");
	put(out, text);
	buf_append_string(out, "</td></tr>\n");
}

static void time_row(struct buf *out, const char *label, int64_t epoch_ms)
{
	if (epoch_ms == 0)
		return;
	begin_row(out, "", label);
	buf_append_string(out, "<td>");
	figures_append_time(out, epoch_ms, FIGURES_INSTANT);
	buf_append_string(out, "</td></tr>\n");
}

static void hash_row(struct buf *out, const char *label, const unsigned char *hash)
{
	begin_row(out, "", label);
	buf_append_string(out, "<td><code class=\"hash\">");
	for (size_t i = 0; i < JOURNAL_SHA256_BYTES; i++)
		buf_appendf(out, "%02x", hash[i]);
	buf_append_string(out, "</code></td></tr>\n");
}

static void put_facts(const struct report_summary *summary, struct buf *out)
{
	static const unsigned char none[JOURNAL_SHA256_BYTES];
	const struct journal_campaign *campaign = summary->campaign;

	begin_section(out, "", "What it was");
	begin_table(out, "facts", "As the journal has it");
	buf_append_string(out, "<tbody>\n");
	time_row(out, "set for", campaign->at_epoch_ms);
	time_row(out, "send begun", summary->progress.begun_epoch_ms);
	time_row(out, "all in the queue", summary->progress.finished_epoch_ms);
	time_row(out, "deadline", campaign->deadline_epoch_ms);
	text_row(out, "queue", campaign->queue_url);
	text_row(out, "endpoint", campaign->endpoint);
	text_row(out, "destination", campaign->destination);
	text_row(out, "list", campaign->list);
	hash_row(out, "SHA-256 of the list", campaign->list_sha256);
	text_row(out, "recipients are known by",
		campaign->key_column ? campaign->key_column : "the whole row");
	text_row(out, "group", campaign->group_column);
	text_row(out, "rules", campaign->rules);
	text_row(out, "suppression file", campaign->suppression);
	text_row(out, "template", campaign->template_file);
	if (memcmp(campaign->template_sha256, none, sizeof(none)) != 0)
		hash_row(out, "SHA-256 of the template", campaign->template_sha256);
	end_table(out);
	end_section(out);
}

/* The page */

static void put_headline(const struct report_summary *summary, struct buf *out)
{
	const struct report_counts *counts = &summary->counts;
	uint64_t messages = counts->rows - counts->by_outcome[REPORT_LEFT_OUT];
	uint64_t open = report_open_rows(summary);

	buf_append_string(out, "<h1>");
	put(out, summary->campaign->name);
	buf_append_string(out, "</h1>\n<p class=\"soft\">Report of ");
	figures_append_time(out, summary->now_epoch_ms, FIGURES_INSTANT);
	buf_append_string(out, "</p>\n<p class=\"head\"><b>");
	figures_append_count(out, counts->by_outcome[REPORT_ACCEPTED]);
	buf_append_string(out, "</b> of ");
	figures_append_count(out, messages);
	buf_append_string(out, " messages were accepted by the provider");
	if (messages > 0) {
		buf_append_string(out, " (");
		put_percent(out, counts->by_outcome[REPORT_ACCEPTED], messages);
		buf_append_char(out, ')');
	}
	buf_append_string(out, ".</p>\n");
	if (open == 0)
		return;
	buf_append_string(out, "<p class=\"open\">The end of ");
	figures_append_count(out, open);
	buf_append_string(out, " is not known yet.</p>\n");
}

int report_print_html(const struct report_summary *summary, struct buf *out)
{
	buf_append_string(out, head);
	buf_append_string(out, "<title>");
	html_append(out, summary->campaign->name);
	buf_append_string(out, "</title>\n<style>\n");
	buf_append_string(out, report_style);
	buf_append_string(out, "</style>\n</head>\n<body>\n<main>\n");
	put_headline(summary, out);
	put_identity(summary, out);
	put_when(summary, out);
	put_reasons(summary, out);
	put_uncertain(summary, out);
	put_facts(summary, out);
	return buf_append_string(out, "</main>\n</body>\n</html>\n");
}
