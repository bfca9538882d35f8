#include "cli/run/event_log.h"

#include "base/log.h"
#include "bunshin/error.h"
#include "delivery/message.h"

#define EXCERPT_MAX 1024 /* bytes of a provider's answer in a line */

static const struct event_row {
	enum log_level level;
	const char *text;
} rows[EVENT_LOG_KINDS] = {
	[DELIVERY_ACCEPTED] = {LOG_LEVEL_DEBUG, "accepted"},
	[DELIVERY_SUPPRESSED] = {LOG_LEVEL_DEBUG, "accepted before, deleted without a send"},
	[DELIVERY_ATTEMPT_FAILED] = {LOG_LEVEL_INFO, "attempt failed, will be tried again"},
	[DELIVERY_FAILED] = {LOG_LEVEL_WARN, "failed, copied to the failure queue"},
	[DELIVERY_FAILED_COPIED] = {LOG_LEVEL_DEBUG, "the copy is confirmed, being deleted"},
	[DELIVERY_FAILED_LEFT] = {LOG_LEVEL_WARN, "failed, left to the queue's redrive policy"},
	[DELIVERY_EXPIRED] = {LOG_LEVEL_WARN, "expired, not sent"},
	[DELIVERY_CANCELLED] = {LOG_LEVEL_INFO, "its campaign is cancelled, not sent"},
	[DELIVERY_POSTPONED] = {LOG_LEVEL_DEBUG, "not to be sent yet, put back"},
	[DELIVERY_LOST] = {LOG_LEVEL_WARN, "visibility ran out, will be received again"},
	[DELIVERY_BREAKER_OPENED] = {LOG_LEVEL_ERROR,
		"breaker opened, nothing is sent to the destination until a probe passes"},
	[DELIVERY_BREAKER_CLOSED] = {LOG_LEVEL_INFO, "destination answers again"},
	[DELIVERY_LEDGER_CUT_SHORT] = {LOG_LEVEL_WARN,
		"ledger is full, keys leave before the end of the window; make it larger"},
	[DELIVERY_QUEUE_FULL] = {LOG_LEVEL_ERROR,
		"SQS hands no messages out: as many as it allows (about 120,000) are in flight; "
		"look for receivers that hold them"},
	[DELIVERY_QUEUE_FLOWS] = {LOG_LEVEL_INFO, "SQS hands messages out again"},
	[DELIVERY_QUEUE_FAILED] = {LOG_LEVEL_WARN, "a call to the queue failed"},
	[DELIVERY_QUEUE_CONNECTED] = {LOG_LEVEL_INFO, "receiving"},
};

void event_log_init(struct event_log *log, struct clock clock)
{
	*log = (struct event_log){.clock = clock};
}

static bool passes(struct event_log *log, struct event_gate *gate)
{
	uint64_t second = clock_monotonic_us(log->clock) / 1000000;

	if (gate->second != second) {
		gate->second = second;
		gate->written = 0;
	}
	if (gate->written >= EVENT_LOG_PER_SECOND) {
		gate->left_out++;
		return false;
	}
	gate->written++;
	return true;
}

static const char *or_absent(const char *text)
{
	return text && text[0] ? text : NULL;
}

static struct log_field absent(void)
{
	return LOG_STR("-", NULL);
}

static struct log_field campaign_field(const struct queue_message *message)
{
	const struct queue_attribute *campaign =
		message ? message_attribute(message, "Campaign") : NULL;

	return campaign ? LOG_BYTES("campaign", campaign->value, campaign->value_bytes) : absent();
}

/* The attempt's part of a line; each field is left out where it says nothing. */
static struct log_field status_field(const struct target_result *result)
{
	return result && !result->err ? LOG_INT("status", result->status) : absent();
}

static struct log_field duration_field(const struct target_result *result)
{
	return result ? LOG_INT("duration_ms", result->duration_us / 1000) : absent();
}

static struct log_field excerpt_field(const struct target_result *result)
{
	if (!result || !result->excerpt_bytes)
		return absent();
	return LOG_BYTES("answer", result->excerpt,
		result->excerpt_bytes < EXCERPT_MAX ? result->excerpt_bytes : EXCERPT_MAX);
}

void event_log_write(struct event_log *log, const struct delivery_event *event)
{
	const struct event_row *row = &rows[event->kind];
	struct event_gate *gate = &log->gates[event->kind];
	const struct queue_message *message = event->message;
	const struct target_result *result = event->result;
	int err = event->err ? event->err : result ? result->err : 0;

	if (!log_enabled(row->level) || !passes(log, gate))
		return;
	const struct log_field fields[] = {
		LOG_STR("message_id", message ? message->message_id : NULL),
		campaign_field(message),
		LOG_STR("destination", or_absent(event->destination)),
		message ? LOG_INT("attempt", message->receive_count) : absent(),
		LOG_STR("operation", or_absent(event->operation)),
		status_field(result),
		LOG_STR("error", err ? error_name(err) : NULL),
		LOG_STR("class", err ? error_class_name(error_class(err)) : NULL),
		LOG_STR("reason", or_absent(event->reason)),
		LOG_STR("provider_request_id", result ? or_absent(result->request_id) : NULL),
		excerpt_field(result),
		duration_field(result),
		event->delay_ms ? LOG_INT("retry_in_ms", event->delay_ms) : absent(),
		gate->left_out ? LOG_INT("left_out", gate->left_out) : absent(),
		{0},
	};
	log_write(row->level, row->text, fields);
	gate->left_out = 0;
}
