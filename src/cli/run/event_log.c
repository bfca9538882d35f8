#include "cli/run/event_log.h"

#include "base/log.h"
#include "base/log_secrets.h"
#include "base/utf8.h"
#include "bunshin/error.h"
#include "delivery/message.h"

#include <string.h>

static const struct event_row {
	enum log_level level;
	const char *event; /* its name, for programs */
	const char *text;
} rows[EVENT_LOG_KINDS] = {
	[DELIVERY_ACCEPTED] = {LOG_LEVEL_DEBUG, "accepted", "accepted"},
	[DELIVERY_SUPPRESSED] = {LOG_LEVEL_DEBUG, "suppressed",
		"accepted before, deleted without a send"},
	[DELIVERY_ATTEMPT_FAILED] = {LOG_LEVEL_INFO, "retrying",
		"attempt failed, will be tried again"},
	[DELIVERY_FAILED] = {LOG_LEVEL_WARN, "failed", "failed, copied to the failure queue"},
	[DELIVERY_FAILED_COPIED] = {LOG_LEVEL_DEBUG, "copied",
		"the copy is confirmed, being deleted"},
	[DELIVERY_FAILED_LEFT] = {LOG_LEVEL_WARN, "failed_left",
		"failed, left to the queue's redrive policy"},
	[DELIVERY_EXPIRED] = {LOG_LEVEL_WARN, "expired", "expired, not sent"},
	[DELIVERY_CANCELLED] = {LOG_LEVEL_INFO, "cancelled", "its campaign is cancelled, not sent"},
	[DELIVERY_POSTPONED] = {LOG_LEVEL_DEBUG, "postponed", "not to be sent yet, put back"},
	[DELIVERY_LOST] = {LOG_LEVEL_WARN, "lost", "visibility ran out, will be received again"},
	[DELIVERY_BREAKER_OPENED] = {LOG_LEVEL_ERROR, "breaker_opened",
		"breaker opened, nothing is sent to the destination until a probe passes"},
	[DELIVERY_BREAKER_CLOSED] = {LOG_LEVEL_INFO, "breaker_closed", "destination answers again"},
	[DELIVERY_LEDGER_CUT_SHORT] = {LOG_LEVEL_WARN, "ledger_full",
		"ledger is full, keys leave before the end of the window; make it larger"},
	[DELIVERY_QUEUE_FULL] = {LOG_LEVEL_ERROR, "queue_full",
		"SQS hands no messages out: as many as it allows (about 120,000) are in flight; "
		"look for receivers that hold them"},
	[DELIVERY_QUEUE_FLOWS] = {LOG_LEVEL_INFO, "queue_flows", "SQS hands messages out again"},
	[DELIVERY_QUEUE_FAILED] = {LOG_LEVEL_WARN, "queue_failed", "a call to the queue failed"},
	[DELIVERY_QUEUE_CONNECTED] = {LOG_LEVEL_INFO, "queue_connected", "receiving"},
};

/* Of the lines that say that a message failed for good: journalctl MESSAGE_ID=... */
#define FAILURE_ID "3b0f6a1c5d7e4c0e9a52d1f84c6be7a9"
#define OTHER_REASON "many different reasons"

static uint64_t hash_byte(uint64_t hash, unsigned char byte)
{
	return (hash ^ byte) * UINT64_C(0x100000001b3); /* FNV-1a */
}

static bool is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '-' || c == '_';
}

/* A word with a digit in it is as good as any other. */
static uint64_t hash_words(uint64_t hash, const char *text)
{
	while (*text) {
		size_t n = 0;
		bool digit = false;

		while (is_word(text[n])) {
			digit |= text[n] >= '0' && text[n] <= '9';
			n++;
		}
		if (n == 0)
			n = 1;
		for (size_t i = 0; !digit && i < n; i++)
			hash = hash_byte(hash, (unsigned char)text[i]);
		if (digit)
			hash = hash_byte(hash, '#');
		text += n;
	}
	return hash_byte(hash, 0);
}

static uint64_t hash_name(uint64_t hash, const char *name)
{
	for (; *name; name++)
		hash = hash_byte(hash, (unsigned char)*name);
	return hash_byte(hash, 0);
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static const char *or_absent(const char *text)
{
	return text && text[0] ? text : NULL;
}

static struct log_field absent(void)
{
	return LOG_STR("-", NULL);
}

static void copy_text(char *to, size_t size, const char *from)
{
	size_t len = 0, step;

	for (; from[len]; len += step) {
		step = utf8_sequence(from + len, strnlen(from + len, UTF8_SEQUENCE_MAX));
		step += step == 0;
		if (len + step >= size)
			break;
	}
	memcpy(to, from, len);
	to[len] = '\0';
}

static const char *class_of(enum delivery_event_kind kind, int status, int err)
{
	enum error_class class = ERROR_PERMANENT;

	if (err)
		class = error_class(err);
	else if (kind == DELIVERY_EXPIRED || kind == DELIVERY_LOST)
		class = ERROR_LOCAL;
	else if (status == 429 || status == 503)
		class = ERROR_THROTTLED;
	else if (status == 401 || status == 403)
		class = ERROR_AUTH;
	else if (kind == DELIVERY_ATTEMPT_FAILED)
		class = ERROR_TRANSIENT;
	else if (kind != DELIVERY_FAILED && kind != DELIVERY_FAILED_LEFT &&
		 kind != DELIVERY_FAILED_COPIED)
		return NULL;
	return error_class_name(class);
}

/* ---- groups */

static void describe(struct event_group *like, const struct delivery_event *event)
{
	const struct target_result *result = event->result;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	like->kind = delivery_event_of(event);
	like->err = event->err ? event->err : result ? result->err : 0;
	like->status = result && !result->err ? result->status : 0;
	hash = hash_name(hash, or_empty(event->destination));
	hash = hash_name(hash, or_empty(event->operation));
	like->words = hash_words(hash, or_empty(event->reason));
}

static bool is_alike(const struct event_group *group, const struct event_group *like)
{
	if (!group->used || group->kind != like->kind || group->other != like->other)
		return false;
	return group->other || (group->status == like->status && group->err == like->err &&
				       group->words == like->words);
}

static struct event_group *find(struct event_log *log, const struct event_group *like)
{
	for (size_t i = 0; i < EVENT_LOG_GROUPS; i++)
		if (is_alike(&log->groups[i], like))
			return &log->groups[i];
	return NULL;
}

static void tell_left_out(struct event_group *group)
{
	const struct event_row *row = &rows[group->kind];
	const struct log_field fields[] = {
		LOG_STR("event", row->event),
		LOG_STR("destination", or_absent(group->destination)),
		LOG_STR("operation", or_absent(group->operation)),
		group->status ? LOG_INT("status", group->status) : absent(),
		LOG_STR("error", group->err ? error_name(group->err) : NULL),
		LOG_STR("class",
			group->other ? NULL : class_of(group->kind, group->status, group->err)),
		LOG_STR("reason", or_absent(group->reason)),
		LOG_INT("left_out", group->left_out),
		{0},
	};

	if (group->left_out > 0)
		log_write(row->level, "more like those before, left out", fields);
	group->left_out = 0;
}

static bool is_terminal(enum delivery_event_kind kind)
{
	return kind == DELIVERY_FAILED || kind == DELIVERY_FAILED_LEFT ||
	       kind == DELIVERY_EXPIRED || kind == DELIVERY_LOST;
}

static struct event_group *oldest(struct event_log *log)
{
	struct event_group *oldest = &log->groups[0];

	for (size_t i = 0; i < EVENT_LOG_GROUPS; i++) {
		struct event_group *group = &log->groups[i];

		if (!group->used)
			return group;
		if (group->last_us < oldest->last_us)
			oldest = group;
	}
	return oldest;
}

static struct event_group *begin(
	struct event_log *log, const struct delivery_event *event, const struct event_group *like)
{
	struct event_group *group = oldest(log);

	if (group->used)
		tell_left_out(group);
	*group = *like;
	group->used = true;
	if (group->other) {
		group->status = group->err = 0;
		copy_text(group->reason, sizeof(group->reason), OTHER_REASON);
		return group;
	}
	copy_text(group->destination, sizeof(group->destination), or_empty(event->destination));
	copy_text(group->operation, sizeof(group->operation), or_empty(event->operation));
	copy_text(group->reason, sizeof(group->reason), or_empty(event->reason));
	return group;
}

static struct event_group *group_of(
	struct event_log *log, const struct delivery_event *event, uint64_t now_us)
{
	struct event_group like = {.used = true}, *group;

	describe(&like, event);
	group = find(log, &like);
	if (group)
		return group;
	if (now_us - log->interval_us >= EVENT_LOG_INTERVAL_US) {
		log->interval_us = now_us;
		memset(log->begun, 0, sizeof(log->begun));
	}
	if (log->begun[like.kind] < EVENT_LOG_NEW_GROUPS) {
		log->begun[like.kind]++;
		return begin(log, event, &like);
	}
	like.other = true;
	group = find(log, &like);
	return group ? group : begin(log, event, &like);
}

static bool passes(struct event_group *group, uint64_t now_us)
{
	if (group->written > 0 && now_us - group->last_us >= EVENT_LOG_FRESH_US)
		group->written = 0;
	group->last_us = now_us;
	if (group->written >= EVENT_LOG_FIRST && now_us - group->line_us < EVENT_LOG_GAP_US) {
		group->left_out++;
		return false;
	}
	if (group->written < EVENT_LOG_FIRST)
		group->written++;
	group->line_us = now_us;
	return true;
}

static void tell_all(struct event_log *log)
{
	for (size_t i = 0; i < EVENT_LOG_GROUPS; i++)
		tell_left_out(&log->groups[i]);
}

static void on_timer(struct clock_timer *timer)
{
	tell_all((struct event_log *)(void *)((char *)timer - offsetof(struct event_log, timer)));
}

void event_log_init(struct event_log *log, struct clock clock)
{
	memset(log, 0, sizeof(*log));
	log->clock = clock;
	log->timer.fire = on_timer;
	log->interval_us = clock_monotonic_us(clock);
}

void event_log_close(struct event_log *log)
{
	if (!log->clock.ops)
		return;
	clock_timer_clear(log->clock, &log->timer);
	tell_all(log);
}

/* ---- lines */

static struct log_field campaign_field(const struct queue_message *message)
{
	const struct queue_attribute *campaign =
		message ? message_attribute(message, "Campaign") : NULL;

	return campaign ? LOG_BYTES("campaign", campaign->value, campaign->value_bytes) : absent();
}

/* Of a packed message: the one that it is about, by its key, or how many. */
static struct log_field recipients_field(
	const struct delivery_event *event, char key[RECIPIENT_KEY_TEXT_SIZE])
{
	if (!event->recipients)
		return absent();
	if (event->recipient_count != 1)
		return LOG_INT("recipients", event->recipient_count);
	recipient_key_print(event->recipients, key);
	return LOG_STR("recipient_key", key);
}

static struct log_field duration_field(const struct target_result *result)
{
	return result ? LOG_INT("duration_ms", result->duration_us / 1000) : absent();
}

/* What the core keeps of an answer, and what the HTTP client does, are beginnings of it. */
static struct log_field excerpt_field(
	const struct target_result *result, char text[EVENT_LOG_EXCERPT_MAX])
{
	size_t len = result ? result->excerpt_bytes : 0;
	bool cut = len == FAILURE_EXCERPT_MAX || len >= TARGET_EXCERPT_MAX;

	if (len == 0)
		return absent();
	return LOG_BYTES("answer", text,
		redact_excerpt(&log_secrets_known, result->excerpt, len, cut, text,
			EVENT_LOG_EXCERPT_MAX));
}

/* SQS's own, which stands in the words: "(HTTP 403, request id 0a1b..., attempt 3)". */
static struct log_field sqs_request_field(const struct delivery_event *event)
{
	static const char before[] = ", request id ";
	const char *id = event->kind == DELIVERY_QUEUE_FAILED && event->reason
				 ? strstr(event->reason, before)
				 : NULL;
	size_t len = 0;

	if (!id)
		return absent();
	id += sizeof(before) - 1;
	while (is_word(id[len]))
		len++;
	return len > 0 ? LOG_BYTES("sqs_request_id", id, len) : absent();
}

static void write_line(const struct delivery_event *event, struct event_group *group)
{
	enum delivery_event_kind kind = delivery_event_of(event);
	const struct event_row *row = &rows[kind];
	const struct queue_message *message = event->message;
	const struct target_result *result = event->result;
	int err = event->err ? event->err : result ? result->err : 0;
	int status = result && !result->err ? result->status : 0;
	char excerpt[EVENT_LOG_EXCERPT_MAX], key[RECIPIENT_KEY_TEXT_SIZE];
	const struct log_field fields[] = {
		is_terminal(kind) ? LOG_ID(FAILURE_ID) : absent(),
		LOG_STR("event", row->event),
		LOG_STR("message_id", message ? message->message_id : NULL),
		recipients_field(event, key),
		campaign_field(message),
		LOG_STR("destination", or_absent(event->destination)),
		message ? LOG_INT("attempt", message->receive_count) : absent(),
		LOG_STR("operation", or_absent(event->operation)),
		status ? LOG_INT("status", status) : absent(),
		LOG_STR("error", err ? error_name(err) : NULL),
		LOG_STR("class", class_of(kind, status, err)),
		LOG_STR("reason", or_absent(event->reason)),
		LOG_STR("provider_request_id", result ? or_absent(result->request_id) : NULL),
		sqs_request_field(event),
		excerpt_field(result, excerpt),
		duration_field(result),
		kind == DELIVERY_ATTEMPT_FAILED || event->delay_ms
			? LOG_INT("retry_in_ms", event->delay_ms)
			: absent(),
		group->left_out ? LOG_INT("left_out", group->left_out) : absent(),
		{0},
	};

	log_write(row->level, row->text, fields);
	group->left_out = 0;
}

void event_log_write(struct event_log *log, const struct delivery_event *event)
{
	struct event_group *group;
	uint64_t now_us;

	if (!log_enabled(rows[delivery_event_of(event)].level))
		return;
	now_us = clock_monotonic_us(log->clock);
	group = group_of(log, event, now_us);
	if (passes(group, now_us))
		write_line(event, group);
	else if (!clock_timer_is_set(&log->timer))
		/* Without memory for it, the next line of the group tells. */
		(void)clock_timer_after(log->clock, &log->timer, EVENT_LOG_INTERVAL_US);
}
