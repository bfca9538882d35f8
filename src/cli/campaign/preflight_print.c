/* The preflight as text and as JSON. */
#include "cli/campaign/preflight.h"

#include "base/units.h"
#include "campaign/figures.h"
#include "cli/campaign/send.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RED "\033[31m"
#define PLAIN "\033[0m"

/* lines */

static void append_label(struct buf *out, const char *label)
{
	buf_appendf(out, "  %-10s ", label);
}

static void append_count_line(struct buf *out, const char *label, uint64_t count)
{
	append_label(out, label);
	forecast_append_count(out, count);
	buf_append_char(out, '\n');
}

static void append_begin(const struct preflight_facts *facts, struct buf *out)
{
	const struct campaign_when *when = &facts->plan->when;
	const struct schedule_instant first = {
		when->at.epoch_ms - when->prefill_ms, when->at.offset_s};
	char text[SCHEDULE_TEXT_MAX];

	if (!when->at_text) {
		buf_append_string(out, "at once");
		return;
	}
	buf_append_string(out, schedule_format(when->at, text));
	buf_appendf(out, ", in %s",
		schedule_format_span(when->at.epoch_ms - facts->now_epoch_ms, text));
	if (when->prefill_ms >= 0 && first.epoch_ms <= facts->now_epoch_ms)
		buf_append_string(out, "; put in from now on, hidden until then");
	else if (when->prefill_ms >= 0)
		buf_appendf(out, "; put in from %s on, hidden until then",
			schedule_format_time(first, text));
}

/* Where a request is for several. */
static void append_recipients_of_one(const struct preflight_facts *facts, struct buf *out)
{
	uint64_t attempts = facts->input.attempts, recipients = facts->input.recipients;

	if (attempts == 0 || attempts == recipients)
		return;
	buf_appendf(out, ", %s%.4g recipients a request", facts->plan->pack > 0 ? "" : "up to ",
		(double)recipients / (double)attempts);
}

/* What the rate of the forecast is. */
static void append_source(const struct preflight_facts *facts, struct buf *out)
{
	const struct campaign_fleet *fleet = &facts->plan->preflight.fleet;

	switch (facts->forecast.limit) {
	case FORECAST_PUSH:
		buf_append_string(out, "--rate");
		break;
	case FORECAST_DESTINATION:
		buf_appendf(out, "rate of destination %s", fleet->destination);
		append_recipients_of_one(facts, out);
		break;
	case FORECAST_QUEUE:
		buf_append_string(out, "the queue's tag bunshin:rate");
		break;
	case FORECAST_SLOTS:
		forecast_append_count(out, facts->input.slots);
		buf_appendf(out, " requests in flight%s at %" PRId64 " ms each",
			fleet->cores_guessed ? " (workers: auto, by this machine's cores)" : "",
			facts->input.latency_ms);
		append_recipients_of_one(facts, out);
		break;
	case FORECAST_UNKNOWN:
	default:
		break;
	}
}

static void append_forecast(const struct preflight_facts *facts, bool colour, struct buf *out)
{
	bool late = facts->forecast.expired > 0;

	if (late && colour)
		buf_append_string(out, RED);
	forecast_append(&facts->input, &facts->forecast, out);
	if (late && colour)
		buf_append_string(out, PLAIN);
}

static void append_sqs(const struct preflight_facts *facts, struct buf *out)
{
	const struct forecast_price *price = &facts->price;

	forecast_append_count(out, price->send_requests);
	buf_append_string(out, " requests to send, ");
	forecast_append_count(out, price->send_requests + price->worker_requests);
	buf_append_string(out, " with the workers': about ");
	forecast_append_money(out, price->sqs, facts->plan->preflight.sqs_currency);
}

static void append_provider(const struct preflight_facts *facts, struct buf *out)
{
	forecast_append_count(out, facts->input.recipients);
	buf_appendf(out, " x %s: ", facts->plan->preflight.price_text);
	forecast_append_money(out, facts->price.provider, facts->plan->preflight.currency);
}

static void append_queue(const struct preflight_facts *facts, struct buf *out)
{
	const struct queue_attributes *counts = &facts->answer.counts;

	if (facts->answer.err) {
		buf_append_string(out, facts->answer.words);
		return;
	}
	buf_append_string(out, "answers; holds ");
	forecast_append_count(out, (uint64_t)counts->visible);
	buf_append_string(out, " visible, ");
	forecast_append_count(out, (uint64_t)counts->in_flight);
	buf_append_string(out, " in flight, ");
	forecast_append_count(out, (uint64_t)counts->delayed);
	buf_append_string(out, " delayed");
}

static bool is_on_the_hour(const struct preflight_facts *facts)
{
	return facts->plan->when.at_text && forecast_is_on_the_hour(facts->input.begin);
}

/* Less than two recipients a message on average, and there could be more. */
static bool is_hardly_packed(const struct campaign_plan *plan)
{
	return plan->pack > 1 && plan->check.messages > 1 &&
	       plan->check.valid < 2 * plan->check.messages;
}

/* The workers' destination would not take the packs apart. */
static void append_batch_note(const struct campaign_plan *plan, bool colour, struct buf *out)
{
	const struct campaign_fleet *fleet = &plan->preflight.fleet;

	if (plan->pack == 0 || !plan->preflight.config_path ||
		strncmp(plan->pack_field, fleet->batch_field, sizeof(fleet->batch_field) - 1) == 0)
		return;
	append_label(out, "note");
	if (fleet->batch_field[0])
		buf_appendf(out,
			"%sdestination %s has the recipients in \"%s\", the packs have "
			"them in \"%s\"",
			colour ? RED : "", fleet->destination, fleet->batch_field,
			plan->pack_field);
	else
		buf_appendf(out,
			"%sdestination %s has no `batch` for lists of recipients: a pack "
			"is one request with one outcome",
			colour ? RED : "", fleet->destination);
	buf_appendf(out, "%s\n", colour ? PLAIN : "");
}

static void append_notes(const struct preflight_facts *facts, bool colour, struct buf *out)
{
	size_t before = out->len;

	append_label(out, "note");
	if (colour)
		buf_append_string(out, RED);
	if (facts->asked && campaign_answer_offset(&facts->answer, out))
		buf_appendf(out, "%s\n", colour ? PLAIN : "");
	else
		buf_truncate(out, before);
	append_batch_note(facts->plan, colour, out);
	if (is_hardly_packed(facts->plan)) {
		append_label(out, "note");
		buf_append_string(out, "few rows have the same content, so few are packed; with "
				       "--template you choose what a message holds\n");
	}
	if (!is_on_the_hour(facts))
		return;
	append_label(out, "note");
	buf_append_string(out, "push providers are busiest right on the hour (FCM for up to two "
			       "minutes); some minutes later is quieter\n");
}

static void append_samples(const struct preflight_facts *facts, struct buf *out)
{
	for (size_t i = 0; i < facts->sample_count; i++) {
		const struct campaign_sample *sample = &facts->samples[i];

		buf_appendf(out, "%s message, row %" PRIu64 ", line %" PRIu64,
			campaign_sample_name(i, facts->sample_count), sample->place.row,
			sample->place.line);
		if (sample->recipients > 1)
			buf_appendf(out, " and %zu more", sample->recipients - 1);
		campaign_sample_append_key(sample, out);
		buf_append_string(out, ":\n");
		campaign_sample_append(sample, out);
	}
}

static void append_left_out(const struct campaign_plan *plan, struct buf *out)
{
	append_label(out, "left out");
	forecast_append_count(out, campaign_check_left_out(&plan->check));
	if (campaign_check_left_out(&plan->check) > 0) {
		buf_append_string(out, ": ");
		campaign_plan_append_rejects(plan, out);
	}
	buf_append_char(out, '\n');
}

/* "in 4,000 messages, up to 500 recipients each, which take 4,000 requests" */
static void append_packs(const struct campaign_plan *plan, struct buf *out)
{
	buf_append_string(out, "in ");
	forecast_append_count(out, plan->check.messages);
	buf_appendf(out, " message%s, up to ", plan->check.messages == 1 ? "" : "s");
	forecast_append_count(out, (uint64_t)plan->pack);
	buf_append_string(out, " recipients each; to the provider ");
	forecast_append_count(out, plan->check.attempts);
	buf_appendf(out, " request%s", plan->check.attempts == 1 ? "" : "s");
}

void preflight_append(const struct preflight_facts *facts, bool colour, struct buf *out)
{
	const struct campaign_plan *plan = facts->plan;

	append_samples(facts, out);
	buf_appendf(out, "%s%s\n", plan->name ? plan->name : "(no name)",
		plan->dry_run ? ", dry run: nothing is sent" : "");
	append_count_line(out, "recipients", plan->check.rows);
	append_left_out(plan, out);
	append_count_line(out, "to send", plan->check.valid);
	if (plan->pack > 0) {
		append_label(out, "packed");
		append_packs(plan, out);
		buf_append_char(out, '\n');
	}
	append_label(out, "begins");
	append_begin(facts, out);
	buf_append_char(out, '\n');
	append_label(out, "delivery");
	append_forecast(facts, colour, out);
	buf_append_char(out, '\n');
	if (facts->forecast.limit != FORECAST_UNKNOWN) {
		append_label(out, "limit");
		append_source(facts, out);
		buf_append_char(out, '\n');
	}
	append_label(out, "SQS");
	append_sqs(facts, out);
	buf_append_char(out, '\n');
	if (plan->preflight.price_text) {
		append_label(out, "provider");
		append_provider(facts, out);
		buf_append_char(out, '\n');
	}
	if (facts->asked) {
		append_label(out, "queue");
		append_queue(facts, out);
		buf_append_char(out, '\n');
	}
	append_notes(facts, colour, out);
}

void preflight_append_brief(const struct preflight_facts *facts, struct buf *out)
{
	const struct campaign_plan *plan = facts->plan;

	buf_appendf(out, "bunshin " CAMPAIGN_COMMAND ": ");
	forecast_append_count(out, plan->check.rows);
	buf_append_string(out, " recipients, ");
	forecast_append_count(out, campaign_check_left_out(&plan->check));
	buf_append_string(out, " left out, ");
	forecast_append_count(out, plan->check.valid);
	buf_append_string(out, " to send");
	if (plan->pack > 0) {
		buf_append_char(out, ' ');
		append_packs(plan, out);
	}
	buf_append_string(out, "; begins ");
	append_begin(facts, out);
	if (facts->forecast.limit != FORECAST_UNKNOWN || facts->input.deadline.epoch_ms != 0) {
		buf_append_string(out, "\nbunshin " CAMPAIGN_COMMAND ": delivery: ");
		append_forecast(facts, false, out);
	}
	buf_append_string(out, "\nbunshin " CAMPAIGN_COMMAND ": SQS: ");
	append_sqs(facts, out);
	if (plan->preflight.price_text) {
		buf_append_string(out, "; provider: ");
		append_provider(facts, out);
	}
	buf_append_char(out, '\n');
}

/* JSON */

static void append_json_forecast(const struct preflight_facts *facts, struct buf *out)
{
	const struct forecast *forecast = &facts->forecast;
	struct buf source = BUF_INIT(1000);

	if (forecast->limit == FORECAST_UNKNOWN) {
		buf_append_string(out, ",\"forecast\":null");
		return;
	}
	append_source(facts, &source);
	buf_appendf(out, ",\"forecast\":{\"rate\":%.3f", forecast->per_s);
	figures_append_json(out, "limit", buf_string(&source));
	figures_append_json_time(out, "done", forecast->done_epoch_ms);
	figures_append_json_time(out, "done_with_retries", forecast->late_epoch_ms);
	buf_appendf(out, ",\"expired\":%" PRIu64 ",\"expired_with_retries\":%" PRIu64 "}",
		forecast->expired, forecast->expired_late);
	buf_free(&source);
}

static void append_json_price(const struct preflight_facts *facts, struct buf *out)
{
	const struct campaign_preflight *options = &facts->plan->preflight;

	buf_appendf(out,
		",\"price\":{\"sqs_requests\":%" PRIu64 ",\"worker_requests\":%" PRIu64
		",\"sqs\":%.6f",
		facts->price.send_requests, facts->price.worker_requests, facts->price.sqs);
	figures_append_json(out, "sqs_currency", options->sqs_currency);
	if (options->price_text)
		buf_appendf(out, ",\"provider\":%.4f", facts->price.provider);
	else
		buf_append_string(out, ",\"provider\":null");
	figures_append_json(out, "currency", options->price_text ? options->currency : NULL);
	buf_append_char(out, '}');
}

static void append_json_queue(const struct preflight_facts *facts, struct buf *out)
{
	const struct campaign_answer *answer = &facts->answer;

	if (!facts->asked) {
		buf_append_string(out, ",\"queue\":null");
		return;
	}
	buf_appendf(out,
		",\"queue\":{\"visible\":%" PRId64 ",\"in_flight\":%" PRId64
		",\"delayed\":%" PRId64,
		answer->counts.visible, answer->counts.in_flight, answer->counts.delayed);
	figures_append_json(out, "error", answer->err ? answer->words : NULL);
	if (answer->offset_known)
		buf_appendf(out,
			",\"clock_ahead_ms\":{\"least\":%" PRId64 ",\"most\":%" PRId64 "}}",
			answer->offset_least_ms, answer->offset_most_ms);
	else
		buf_append_string(out, ",\"clock_ahead_ms\":null}");
}

static void append_json_samples(const struct preflight_facts *facts, struct buf *out)
{
	buf_append_string(out, ",\"samples\":[");
	for (size_t i = 0; i < facts->sample_count; i++) {
		const struct campaign_sample *sample = &facts->samples[i];

		buf_appendf(out, "%s{\"row\":%" PRIu64 ",\"line\":%" PRIu64 ",\"bytes\":%zu",
			i > 0 ? "," : "", sample->place.row, sample->place.line, sample->bytes);
		if (facts->plan->pack > 0)
			buf_appendf(out, ",\"recipients\":%zu", sample->recipients);
		figures_append_json(out, "key", sample->key_bytes > 0 ? sample->key : NULL);
		figures_append_json(out, "body", sample->body);
		buf_append_char(out, '}');
	}
	buf_append_char(out, ']');
}

void preflight_append_json(const struct preflight_facts *facts, struct buf *out)
{
	const struct campaign_plan *plan = facts->plan;
	const struct campaign_check *check = &plan->check;

	buf_appendf(out,
		"{\"dry_run\":true,\"recipients\":%" PRIu64 ",\"valid\":%" PRIu64
		",\"skipped\":%" PRIu64 ",\"messages\":%" PRIu64 ",\"requests\":%" PRIu64
		",\"sqs_requests\":%" PRIu64,
		check->rows, check->valid, campaign_check_left_out(check), check->messages,
		check->attempts, check->requests);
	buf_append_string(out, ",\"rejected\":");
	campaign_plan_append_rejects_json(plan, out);
	figures_append_json(out, "name", plan->name);
	figures_append_json_time(out, "at", plan->when.at.epoch_ms);
	figures_append_json_time(out, "deadline", plan->when.deadline.epoch_ms);
	append_json_forecast(facts, out);
	append_json_price(facts, out);
	append_json_queue(facts, out);
	append_json_samples(facts, out);
	buf_append_string(out, "}\n");
}
