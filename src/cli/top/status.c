#include "cli/top/status.h"

#include "bunshin/error.h"
#include "cli/top/reader.h"

#include <math.h>
#include <string.h>

typedef void read_element(
	struct reader *reader, const struct json_value *element, struct status *status);

/* ---- the lists: each reads the element that `..._count` stands for */

static void read_destination(
	struct reader *reader, const struct json_value *element, struct status *status)
{
	struct status_destination *row = &status->destinations[status->destination_count];

	row->name = reader_text(reader, element, "name");
	row->breaker = reader_text(reader, element, "breaker");
	row->busy = reader_number(reader, element, "busy");
	row->limit = reader_number(reader, element, "limit");
	row->configured = reader_number(reader, element, "configured");
	row->rate = reader_number(reader, element, "rate");
	row->attempts_per_second = reader_number(reader, element, "attempts_per_second");
	row->accepted_per_second = reader_number(reader, element, "accepted_per_second");
}

static void read_campaign(
	struct reader *reader, const struct json_value *element, struct status *status)
{
	struct status_campaign *row = &status->campaigns[status->campaign_count];

	row->name = reader_text(reader, element, "name");
	row->accepted = reader_number(reader, element, "accepted");
	row->failed = reader_number(reader, element, "failed");
	row->expired = reader_number(reader, element, "expired");
	row->cancelled = reader_number(reader, element, "cancelled");
	row->suppressed = reader_number(reader, element, "suppressed");
	row->retried = reader_number(reader, element, "retried");
	row->accepted_per_second = reader_number(reader, element, "accepted_per_second");
	row->first_ms = reader_number(reader, element, "first_ms");
	row->last_ms = reader_number(reader, element, "last_ms");
	row->deadline_ms = reader_number(reader, element, "deadline_ms");
}

static void read_failure(
	struct reader *reader, const struct json_value *element, struct status *status)
{
	struct status_failure *row = &status->failures[status->failure_count];
	const struct json_value *sample = reader_object(reader, element, "sample");

	row->outcome = reader_text(reader, element, "outcome");
	row->destination = reader_text(reader, element, "destination");
	row->class = reader_text(reader, element, "class");
	row->reason = reader_text(reader, element, "reason");
	row->status = reader_number(reader, element, "status");
	row->count = reader_number(reader, element, "count");
	row->last_ms = reader_number(reader, element, "last_ms");
	row->message_id = reader_text(reader, sample, "message_id");
	row->campaign = reader_text(reader, sample, "campaign");
	row->request_id = reader_text(reader, sample, "request_id");
	row->answer = reader_text(reader, sample, "answer");
}

static void read_worker(
	struct reader *reader, const struct json_value *element, struct status *status)
{
	struct status_worker *row = &status->workers[status->worker_count];

	row->number = reader_number(reader, element, "number");
	row->pid = reader_number(reader, element, "pid");
	row->state = reader_text(reader, element, "state");
	row->generation = reader_number(reader, element, "generation");
	row->memory_bytes = reader_number(reader, element, "memory_bytes");
	row->busy = reader_number(reader, element, "busy");
	row->slots = reader_number(reader, element, "slots");
	row->held = reader_number(reader, element, "held");
	row->received = reader_number(reader, element, "received");
	row->since_ms = reader_number(reader, element, "since_ms");
	row->heartbeat_age_ms = reader_number(reader, element, "heartbeat_age_ms");
}

static void read_check(
	struct reader *reader, const struct json_value *element, struct status *status)
{
	struct status_check *row = &status->checks[status->check_count];

	row->name = reader_text(reader, element, "name");
	row->health = reader_text(reader, element, "health");
	row->detail = reader_text(reader, element, "detail");
}

static void read_cancelled(
	struct reader *reader, const struct json_value *element, struct status *status)
{
	const char *text = json_text(element);

	if (!text)
		reader_fail(reader, "cancelled", "a list of texts");
	status->cancelled[status->cancelled_count] = text ? text : "";
}

static void read_list(struct reader *reader, const struct json_value *array, struct status *status,
	read_element *read, enum json_kind kind, size_t max, size_t *count, size_t *ret_more)
{
	for (const struct json_value *element = json_first(array); element && *count < max;
		element = json_next(array, element)) {
		if (element->kind != kind)
			reader_fail(reader, array->name, "a list of its kind");
		read(reader, element, status);
		++*count;
	}
	*ret_more = array ? array->count - *count : 0;
}

static void read_lists(struct reader *reader, const struct json_value *root, struct status *status)
{
	const struct json_value *control = reader_object(reader, root, "control");

	read_list(reader, reader_array(reader, root, "destinations"), status, read_destination,
		JSON_OBJECT, STATUS_DESTINATIONS_MAX, &status->destination_count,
		&status->destinations_more);
	read_list(reader, reader_array(reader, root, "campaigns"), status, read_campaign,
		JSON_OBJECT, STATUS_CAMPAIGNS_MAX, &status->campaign_count,
		&status->campaigns_more);
	read_list(reader, reader_array(reader, root, "failures"), status, read_failure, JSON_OBJECT,
		STATUS_FAILURES_MAX, &status->failure_count, &status->failures_more);
	read_list(reader, reader_array(reader, root, "workers"), status, read_worker, JSON_OBJECT,
		STATUS_WORKERS_MAX, &status->worker_count, &status->workers_more);
	read_list(reader, reader_array(reader, root, "checks"), status, read_check, JSON_OBJECT,
		STATUS_CHECKS_MAX, &status->check_count, &status->checks_more);
	read_list(reader, reader_array(reader, control, "cancelled"), status, read_cancelled,
		JSON_STRING, STATUS_CANCELLED_MAX, &status->cancelled_count,
		&status->cancelled_more);
}

/* ---- what there is once */

static void read_head(struct reader *reader, const struct json_value *root, struct status *status)
{
	const struct json_value *verdict = reader_object(reader, root, "verdict");

	status->version = reader_text(reader, root, "version");
	status->host = reader_text(reader, root, "host");
	status->now_ms = reader_number(reader, root, "now_ms");
	status->started_ms = reader_number(reader, root, "started_ms");
	status->health = reader_text(reader, verdict, "health");
	status->state = reader_text(reader, verdict, "state");
	status->words = reader_text(reader, verdict, "words");
	if (isnan(status->now_ms))
		reader_fail(reader, "now_ms", "there");
	if (!status->health[0])
		reader_fail(reader, "verdict", "there, with its health");
}

static void read_queue(struct reader *reader, const struct json_value *root, struct status *status)
{
	const struct json_value *queue = reader_object(reader, root, "queue");
	const struct json_value *control = reader_object(reader, root, "control");
	const struct json_value *sqs = reader_object(reader, root, "sqs");

	status->queue_name = reader_text(reader, queue, "name");
	status->queue_url = reader_text(reader, queue, "url");
	status->visible = reader_number(reader, queue, "visible");
	status->in_flight = reader_number(reader, queue, "in_flight");
	status->delayed = reader_number(reader, queue, "delayed");
	status->falling_per_second = reader_number(reader, queue, "falling_per_second");
	status->empty_ms = reader_number(reader, queue, "empty_ms");
	status->paused = reader_flag(reader, control, "paused");
	status->control_rate_per_second = reader_number(reader, control, "rate_per_second");
	status->sqs_per_second = reader_number(reader, sqs, "requests_per_second");
	status->sqs_throttled = reader_number(reader, sqs, "throttled");
	status->sqs_errors = reader_number(reader, sqs, "errors");
	status->sqs_cost_usd = reader_number(reader, sqs, "cost_usd");
}

static void read_counts(struct reader *reader, const struct json_value *root, struct status *status)
{
	const struct json_value *rates = reader_object(reader, root, "rates");
	const struct json_value *totals = reader_object(reader, root, "totals");

	status->rates.received = reader_number(reader, rates, "received");
	status->rates.accepted = reader_number(reader, rates, "accepted");
	status->rates.failed = reader_number(reader, rates, "failed");
	status->rates.retried = reader_number(reader, rates, "retried");
	status->rates.expired = reader_number(reader, rates, "expired");
	status->rates.attempts = reader_number(reader, rates, "attempts");
	status->totals.received = reader_number(reader, totals, "received");
	status->totals.accepted = reader_number(reader, totals, "accepted");
	status->totals.suppressed = reader_number(reader, totals, "suppressed");
	status->totals.failed = reader_number(reader, totals, "failed");
	status->totals.failed_left = reader_number(reader, totals, "failed_left");
	status->totals.expired = reader_number(reader, totals, "expired");
	status->totals.cancelled = reader_number(reader, totals, "cancelled");
	status->totals.retried = reader_number(reader, totals, "retried");
	status->totals.postponed = reader_number(reader, totals, "postponed");
	status->totals.lost = reader_number(reader, totals, "lost");
	status->totals.attempts = reader_number(reader, totals, "attempts");
}

static struct status_latency read_latency(
	struct reader *reader, const struct json_value *latency, const char *name)
{
	const struct json_value *object = reader_object(reader, latency, name);

	return (struct status_latency){reader_number(reader, object, "p50"),
		reader_number(reader, object, "p95"), reader_number(reader, object, "p99")};
}

static void read_load(struct reader *reader, const struct json_value *root, struct status *status)
{
	const struct json_value *latency = reader_object(reader, root, "latency");
	const struct json_value *slots = reader_object(reader, root, "slots");

	status->attempt = read_latency(reader, latency, "attempt_ms");
	status->acceptance = read_latency(reader, latency, "acceptance_ms");
	status->busy = reader_number(reader, slots, "busy");
	status->limit = reader_number(reader, slots, "limit");
	status->held = reader_number(reader, slots, "held");
	status->held_bytes = reader_number(reader, slots, "held_bytes");
}

int status_read(struct status *status, const char *text, size_t len, struct buf *error)
{
	struct reader reader = {.error = error};
	struct json json = status->json;
	const struct json_value *root;
	int err = json_parse(&json, text, len);

	memset(status, 0, sizeof(*status));
	status->json = json; /* its memory is used again */
	root = json_root(&json);
	if (err == ERR_SYNTAX || (err == 0 && root->kind != JSON_OBJECT)) {
		buf_append_string(error, "the answer is not a JSON object");
		return ERR_PROTOCOL;
	}
	if (err != 0) {
		buf_append_string(error, error_message(err));
		return err;
	}
	read_head(&reader, root, status);
	read_queue(&reader, root, status);
	read_counts(&reader, root, status);
	read_load(&reader, root, status);
	read_lists(&reader, root, status);
	return reader.err;
}

void status_free(struct status *status)
{
	json_free(&status->json);
	status->json = (struct json){0};
}
