#include "admin/status.h"

#include "admin/json_text.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* The largest that every reader of JSON takes whole: 2^53 - 1. */
#define NUMBER_MAX INT64_C(9007199254740991)
#define NAMES_MAX 64 /* of cancelled campaigns */

static const char *health_name(enum admin_health health)
{
	switch (health) {
	case ADMIN_OK:
		return "ok";
	case ADMIN_DEGRADED:
		return "degraded";
	case ADMIN_FAILED:
	default:
		return "failed";
	}
}

/* ---- members, each with a comma before it but behind an opening bracket */

static void begin(struct buf *out, const char *name)
{
	char last = out->len > 0 && out->err == 0 ? out->data[out->len - 1] : '{';

	if (last != '{' && last != '[')
		buf_append_char(out, ',');
	if (name != NULL)
		buf_appendf(out, "\"%s\":", name);
}

static void open_member(struct buf *out, const char *name, char bracket)
{
	begin(out, name);
	buf_append_char(out, bracket);
}

static void put_text(struct buf *out, const char *name, const char *text)
{
	begin(out, name);
	json_text_write(out, text);
}

static void put_count(struct buf *out, const char *name, int64_t value)
{
	begin(out, name);
	if (value < 0 || value > NUMBER_MAX)
		buf_append_string(out, "null");
	else
		buf_appendf(out, "%" PRId64, value);
}

static void put_number(struct buf *out, const char *name, double value, int decimals)
{
	begin(out, name);
	/* Written so that NAN is refused, too. */
	if (!(value >= 0 && value <= (double)NUMBER_MAX))
		buf_append_string(out, "null");
	else
		buf_appendf(out, "%.*f", decimals, value);
}

static void put_rate(struct buf *out, const char *name, double value)
{
	put_number(out, name, value, 1);
}

static void put_bool(struct buf *out, const char *name, bool value)
{
	begin(out, name);
	buf_append_string(out, value ? "true" : "false");
}

/* ---- the parts */

static void write_verdict(struct buf *out, const struct status *status)
{
	open_member(out, "verdict", '{');
	put_text(out, "health", health_name(status->verdict.health));
	put_text(out, "state", status->verdict.state);
	put_text(out, "words", status->verdict.words);
	buf_append_char(out, '}');
}

static void write_queue(struct buf *out, const struct status *status)
{
	open_member(out, "queue", '{');
	put_text(out, "url", status->queue.url);
	put_text(out, "name", status->queue.name);
	put_count(out, "visible", status->queue.visible);
	put_count(out, "in_flight", status->queue.in_flight);
	put_count(out, "delayed", status->queue.delayed);
	put_count(out, "asked_ms", status->queue.asked_ms);
	put_rate(out, "falling_per_second", status->queue.falling_per_second);
	put_count(out, "empty_ms", status->queue.empty_ms);
	buf_append_char(out, '}');
}

static void write_cancelled(struct buf *out, const char *names)
{
	char name[256];
	size_t count = 0, len;

	open_member(out, "cancelled", '[');
	for (; names != NULL && *names != '\0' && count < NAMES_MAX; names += len) {
		names += strspn(names, " ");
		len = strcspn(names, " ");
		if (len == 0 || len >= sizeof(name))
			continue;
		memcpy(name, names, len);
		name[len] = '\0';
		put_text(out, NULL, name);
		count++;
	}
	buf_append_char(out, ']');
}

static void write_control(struct buf *out, const struct status *status)
{
	open_member(out, "control", '{');
	put_bool(out, "writable", status->control.writable);
	if (status->control.paused != NULL)
		put_bool(out, "paused", *status->control.paused);
	else
		put_text(out, "paused", NULL);
	put_rate(out, "rate_per_second", status->control.rate_per_second);
	write_cancelled(out, status->control.cancelled);
	put_count(out, "read_ms", status->control.read_ms);
	buf_append_char(out, '}');
}

static void write_rates(struct buf *out, const struct status *status)
{
	open_member(out, "rates", '{');
	put_rate(out, "received", status->rates.received);
	put_rate(out, "accepted", status->rates.accepted);
	put_rate(out, "failed", status->rates.failed);
	put_rate(out, "retried", status->rates.retried);
	put_rate(out, "expired", status->rates.expired);
	put_rate(out, "attempts", status->rates.attempts);
	buf_append_char(out, '}');
}

static void write_totals(struct buf *out, const struct status *status)
{
	open_member(out, "totals", '{');
	put_count(out, "received", status->totals.received);
	put_count(out, "accepted", status->totals.accepted);
	put_count(out, "suppressed", status->totals.suppressed);
	put_count(out, "failed", status->totals.failed);
	put_count(out, "failed_left", status->totals.failed_left);
	put_count(out, "expired", status->totals.expired);
	put_count(out, "cancelled", status->totals.cancelled);
	put_count(out, "retried", status->totals.retried);
	put_count(out, "postponed", status->totals.postponed);
	put_count(out, "lost", status->totals.lost);
	put_count(out, "attempts", status->totals.attempts);
	put_count(out, "sqs_requests", status->totals.sqs_requests);
	buf_append_char(out, '}');
}

static void write_latency(struct buf *out, const char *name, const struct status_latency *latency)
{
	open_member(out, name, '{');
	put_rate(out, "p50", latency->p50);
	put_rate(out, "p95", latency->p95);
	put_rate(out, "p99", latency->p99);
	buf_append_char(out, '}');
}

static void write_work(struct buf *out, const struct status *status)
{
	open_member(out, "latency", '{');
	write_latency(out, "attempt_ms", &status->attempt_ms);
	write_latency(out, "acceptance_ms", &status->acceptance_ms);
	buf_append_char(out, '}');
	open_member(out, "slots", '{');
	put_count(out, "busy", status->slots.busy);
	put_count(out, "limit", status->slots.limit);
	put_count(out, "held", status->slots.held);
	put_count(out, "held_bytes", status->slots.held_bytes);
	buf_append_char(out, '}');
	open_member(out, "sqs", '{');
	put_rate(out, "requests_per_second", status->sqs.requests_per_second);
	put_count(out, "throttled", status->sqs.throttled);
	put_count(out, "errors", status->sqs.errors);
	put_number(out, "cost_usd", status->sqs.cost_usd, 6);
	buf_append_char(out, '}');
}

static void write_destination(struct buf *out, const struct status_destination *destination)
{
	open_member(out, NULL, '{');
	put_text(out, "name", destination->name);
	put_count(out, "busy", destination->busy);
	put_count(out, "limit", destination->limit);
	put_count(out, "configured", destination->configured);
	put_rate(out, "rate", destination->rate);
	put_text(out, "breaker", destination->breaker);
	put_rate(out, "attempts_per_second", destination->attempts_per_second);
	put_rate(out, "accepted_per_second", destination->accepted_per_second);
	buf_append_char(out, '}');
}

static void write_campaign(struct buf *out, const struct status_campaign *campaign)
{
	open_member(out, NULL, '{');
	put_text(out, "name", campaign->name);
	put_count(out, "accepted", campaign->accepted);
	put_count(out, "failed", campaign->failed);
	put_count(out, "expired", campaign->expired);
	put_count(out, "cancelled", campaign->cancelled);
	put_count(out, "suppressed", campaign->suppressed);
	put_count(out, "retried", campaign->retried);
	put_rate(out, "accepted_per_second", campaign->accepted_per_second);
	put_count(out, "first_ms", campaign->first_ms);
	put_count(out, "last_ms", campaign->last_ms);
	put_count(out, "deadline_ms", campaign->deadline_ms);
	buf_append_char(out, '}');
}

static void write_failure(struct buf *out, const struct status_failure *failure)
{
	open_member(out, NULL, '{');
	put_text(out, "outcome", failure->outcome);
	put_text(out, "destination", failure->destination);
	put_count(out, "status", failure->status);
	put_text(out, "class", failure->class);
	put_text(out, "reason", failure->reason);
	put_count(out, "count", failure->count);
	put_count(out, "last_ms", failure->last_ms);
	open_member(out, "sample", '{');
	put_text(out, "message_id", failure->message_id);
	put_text(out, "campaign", failure->campaign);
	put_count(out, "attempt", failure->attempt);
	put_text(out, "request_id", failure->request_id);
	put_text(out, "answer", failure->answer);
	buf_append_string(out, "}}");
}

static void write_worker(struct buf *out, const struct status_worker *worker)
{
	open_member(out, NULL, '{');
	put_count(out, "number", worker->number);
	put_count(out, "pid", worker->pid);
	put_text(out, "state", worker->state);
	put_count(out, "generation", worker->generation);
	put_count(out, "memory_bytes", worker->memory_bytes);
	put_count(out, "busy", worker->busy);
	put_count(out, "slots", worker->slots);
	put_count(out, "held", worker->held);
	put_count(out, "received", worker->received);
	put_count(out, "since_ms", worker->since_ms);
	put_count(out, "heartbeat_age_ms", worker->heartbeat_age_ms);
	buf_append_char(out, '}');
}

static void write_check(struct buf *out, const struct admin_check *check)
{
	open_member(out, NULL, '{');
	put_text(out, "name", check->name);
	put_text(out, "health", health_name(check->health));
	put_text(out, "detail", check->detail);
	buf_append_char(out, '}');
}

#define WRITE_LIST(out, status, list, count, max, write)                          \
	do {                                                                      \
		open_member(out, #list, '[');                                     \
		for (size_t i = 0; i < (status)->count && i < (size_t)(max); i++) \
			write(out, &(status)->list[i]);                           \
		buf_append_char(out, ']');                                        \
	} while (0)

int status_write(const struct status *status, struct buf *out)
{
	buf_append_char(out, '{');
	put_text(out, "version", status->version);
	put_count(out, "now_ms", status->now_ms);
	put_text(out, "host", status->host);
	put_count(out, "started_ms", status->started_ms);
	write_verdict(out, status);
	write_queue(out, status);
	write_control(out, status);
	write_rates(out, status);
	write_totals(out, status);
	write_work(out, status);
	WRITE_LIST(out, status, destinations, destination_count, STATUS_DESTINATIONS_MAX,
		write_destination);
	WRITE_LIST(out, status, campaigns, campaign_count, STATUS_CAMPAIGNS_MAX, write_campaign);
	WRITE_LIST(out, status, failures, failure_count, STATUS_FAILURES_MAX, write_failure);
	WRITE_LIST(out, status, workers, worker_count, STATUS_WORKERS_MAX, write_worker);
	WRITE_LIST(out, status, checks, check_count, STATUS_CHECKS_MAX, write_check);
	return buf_append_string(out, "}\n");
}
