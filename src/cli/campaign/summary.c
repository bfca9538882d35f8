#include "cli/campaign/summary.h"

#include "cli/campaign/send.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void append_json_text(struct buf *out, const char *text)
{
	if (!text) {
		buf_append_string(out, "null");
		return;
	}
	buf_append_char(out, '"');
	buf_append_json(out, text, strlen(text));
	buf_append_char(out, '"');
}

static const char *word(bool truth)
{
	return truth ? "true" : "false";
}

static void print_json(const struct campaign_plan *plan, const struct campaign_summary *summary)
{
	struct buf out = BUF_INIT(32768);

	buf_append_string(&out, "{\"campaign\":");
	append_json_text(&out, plan->name);
	buf_appendf(&out,
		",\"recipients\":%" PRIu64 ",\"sent\":%" PRIu64 ",\"sent_before\":%" PRIu64
		",\"skipped\":%" PRIu64 ",\"failed\":%" PRIu64 ",\"unconfirmed\":%" PRIu64
		",\"unsent\":%" PRIu64 ",\"messages\":%" PRIu64 ",\"finished\":%s",
		summary->recipients, summary->sent, summary->sent_before, summary->skipped,
		summary->failed, summary->unconfirmed, summary->unsent, summary->messages,
		word(summary->finished));
	buf_append_string(&out, ",\"rejected\":");
	campaign_plan_append_rejects_json(plan, &out);
	buf_appendf(&out, ",\"seconds\":%.3f,\"rate\":%.1f,\"sqs_requests\":%" PRIu64,
		summary->seconds, summary->rate, summary->requests);
	if (summary->next.row != 0)
		buf_appendf(&out, ",\"next\":{\"row\":%" PRIu64 ",\"line\":%" PRIu64 "}",
			summary->next.row, summary->next.line);
	else
		buf_append_string(&out, ",\"next\":null");
	buf_appendf(&out, ",\"interrupted\":%s,\"error\":", word(summary->interrupted));
	append_json_text(&out, summary->error);
	printf("%s}\n", buf_string(&out));
	buf_free(&out);
}

static void print_text(const struct campaign_plan *plan, const struct campaign_summary *summary)
{
	struct buf rejects = BUF_INIT(200), before = BUF_INIT(100), packs = BUF_INIT(100);

	campaign_plan_append_rejects(plan, &rejects);
	if (summary->sent_before > 0)
		buf_appendf(&before, ", sent before %" PRIu64, summary->sent_before);
	if (plan->pack > 0)
		buf_appendf(&packs, " in %" PRIu64 " message%s", summary->messages,
			summary->messages == 1 ? "" : "s");
	printf("recipients %" PRIu64 ", sent %" PRIu64 "%s%s, skipped %" PRIu64
	       "%s%s%s, failed %" PRIu64 ", unsent %" PRIu64 "\n",
		summary->recipients, summary->sent, buf_string(&packs), buf_string(&before),
		summary->skipped, rejects.len > 0 ? " (" : "", buf_string(&rejects),
		rejects.len > 0 ? ")" : "", summary->failed, summary->unsent);
	printf("%.1f s, %.0f/s, %" PRIu64 " SQS requests\n", summary->seconds, summary->rate,
		summary->requests);
	buf_free(&rejects);
	buf_free(&before);
	buf_free(&packs);
}

void campaign_summary_print(
	const struct campaign_plan *plan, const struct campaign_summary *summary)
{
	if (plan->json)
		print_json(plan, summary);
	else
		print_text(plan, summary);
}
