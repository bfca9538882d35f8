#include "cli/run/failure_notes.h"

#include "base/log.h"
#include "base/log_secrets.h"
#include "bunshin/error.h"
#include "delivery/message.h"

#include <string.h>

#define SAMPLE_MS 1000

void failure_notes_init(struct failure_notes *notes, struct clock clock)
{
	memset(notes, 0, sizeof(*notes));
	notes->clock = clock;
}

/* False: it is no failure, or one that is told of a second time. */
static bool outcome_of(enum delivery_event_kind kind, uint32_t *ret_outcome)
{
	switch (kind) {
	case DELIVERY_FAILED_COPIED: /* what is only on its way there is counted when it is there */
		*ret_outcome = FAILURE_FAILED;
		return true;
	case DELIVERY_FAILED_LEFT:
		*ret_outcome = FAILURE_FAILED_LEFT;
		return true;
	case DELIVERY_EXPIRED:
		*ret_outcome = FAILURE_EXPIRED;
		return true;
	case DELIVERY_LOST:
		*ret_outcome = FAILURE_LOST;
		return true;
	case DELIVERY_ATTEMPT_FAILED:
		*ret_outcome = FAILURE_RETRYING;
		return true;
	default:
		return false;
	}
}

static int status_of(const struct delivery_event *event)
{
	return event->result && !event->result->err ? event->result->status : 0;
}

static int error_of(const struct delivery_event *event)
{
	return event->err ? event->err : event->result ? event->result->err : 0;
}

static const char *class_of(const struct delivery_event *event, uint32_t outcome)
{
	int status = status_of(event), err = error_of(event);

	if (err)
		return error_class_name(error_class(err));
	if (outcome == FAILURE_EXPIRED || outcome == FAILURE_LOST)
		return error_class_name(ERROR_LOCAL);
	if (outcome != FAILURE_RETRYING)
		return error_class_name(ERROR_PERMANENT);
	if (status == 429 || status == 503)
		return error_class_name(ERROR_THROTTLED);
	if (status == 401 || status == 403)
		return error_class_name(ERROR_AUTH);
	return error_class_name(ERROR_TRANSIENT);
}

static const char *reason_of(const struct delivery_event *event)
{
	int status = status_of(event), err = error_of(event);

	if (event->kind == DELIVERY_LOST)
		return "visibility ran out";
	if (event->reason[0] != '\0')
		return event->reason;
	if (err)
		return error_message(err);
	if (status == 429 || status == 503)
		return "the provider asks to slow down";
	if (status == 401 || status == 403)
		return "the provider refuses the credentials";
	return status >= 500 ? "the provider fails" : "not accepted by the provider";
}

/*
 * The copy has all of the text that the group has room for and a little more, so that no part of a
 * secret is left at the cut.
 */
static void put_clean(char *to, size_t size, const char *from, size_t len)
{
	char text[2 * FAILURE_ANSWER_SIZE + 1];
	size_t count = from ? len : 0;

	if (count >= sizeof(text))
		count = sizeof(text) - 1;
	for (size_t i = 0; i < count; i++)
		text[i] = from[i] != '\0' ? from[i] : ' ';
	text[count] = '\0';
	log_redact(text);
	failure_text(to, size, text, strlen(text));
}

/* As the log shows it. The whole of what is known of the answer is looked at. */
static void put_answer(char *to, size_t size, const struct target_result *result)
{
	char text[FAILURE_ANSWER_SIZE];
	size_t len = result->excerpt_bytes;
	bool cut = len == FAILURE_EXCERPT_MAX || len >= TARGET_EXCERPT_MAX;
	size_t count =
		redact_excerpt(&log_secrets_known, result->excerpt, len, cut, text, sizeof(text));

	for (size_t i = 0; i < count; i++)
		text[i] = text[i] != '\0' ? text[i] : ' ';
	failure_text(to, size, text, count);
}

static void take_sample(struct failure_group *group, const struct delivery_event *event)
{
	const struct queue_message *message = event->message;
	const struct target_result *result = event->result;
	const struct queue_attribute *campaign = message_attribute(message, "Campaign");
	const char *request_id = result && result->request_id ? result->request_id : "";

	put_clean(group->message_id, sizeof(group->message_id), message->message_id,
		strlen(message->message_id));
	put_clean(group->campaign, sizeof(group->campaign), campaign ? campaign->value : NULL,
		campaign ? campaign->value_bytes : 0);
	put_clean(group->request_id, sizeof(group->request_id), request_id, strlen(request_id));
	group->answer[0] = '\0';
	if (result && result->excerpt)
		put_answer(group->answer, sizeof(group->answer), result);
	group->attempt = message->receive_count > 0 ? (uint32_t)message->receive_count : 0;
}

void failure_notes_take(struct failure_notes *notes, const struct delivery_event *event)
{
	struct failure_group like, *group;
	size_t count = delivery_event_recipients(event);
	const char *reason, *class;
	uint32_t outcome;
	int64_t now_ms;

	if (event->kind == DELIVERY_LOST)
		count = 1;
	if (count == 0 || !outcome_of(delivery_event_of(event), &outcome) || !event->message)
		return;
	reason = reason_of(event);
	class = class_of(event, outcome);
	memset(&like, 0, sizeof(like));
	like.outcome = outcome;
	like.status = status_of(event);
	failure_text(like.destination, sizeof(like.destination), event->destination,
		strlen(event->destination));
	failure_text(like.class, sizeof(like.class), class, strlen(class));
	put_clean(like.reason, sizeof(like.reason), reason, strlen(reason));
	group = failures_get(&notes->failures, &like);
	now_ms = clock_wall_epoch_ms(notes->clock);
	if (group->count == 0 || now_ms / SAMPLE_MS != group->last_ms / SAMPLE_MS)
		take_sample(group, event);
	group->count += count;
	group->last_ms = now_ms;
	notes->changed = true;
}
