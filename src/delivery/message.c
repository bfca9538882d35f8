#include "delivery/message.h"

#include "base/units.h"
#include "bunshin/error.h"
#include "delivery/core.h"
#include "delivery/gather.h"
#include "delivery/group.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define TO(state) (1u << MESSAGE_##state)

static const unsigned edges[MESSAGE_STATES] = {
	[MESSAGE_RECEIVED] = TO(SENDING) | TO(ACCEPTED) | TO(EXPIRED) | TO(CANCELLED) | TO(FAILED) |
			     TO(BACKING_OFF) | TO(LOST),
	[MESSAGE_SENDING] = TO(RECEIVED) | TO(ACCEPTED) | TO(FAILED) | TO(BACKING_OFF) | TO(LOST),
	[MESSAGE_ACCEPTED] = TO(DELETED) | TO(LOST),
	[MESSAGE_EXPIRED] = TO(DELETED) | TO(LOST),
	[MESSAGE_CANCELLED] = TO(DELETED) | TO(LOST),
	[MESSAGE_FAILED] = TO(COPIED) | TO(BACKING_OFF) | TO(LOST),
	[MESSAGE_COPIED] = TO(DELETED) | TO(LOST),
	[MESSAGE_BACKING_OFF] = TO(RETURNED) | TO(LOST),
};

bool message_edge_allowed(enum message_state from, enum message_state to)
{
	return (edges[from] >> to) & 1;
}

const char *message_state_name(enum message_state state)
{
	static const char *const names[MESSAGE_STATES] = {
		[MESSAGE_RECEIVED] = "received",
		[MESSAGE_SENDING] = "sending",
		[MESSAGE_ACCEPTED] = "accepted",
		[MESSAGE_EXPIRED] = "expired",
		[MESSAGE_CANCELLED] = "cancelled",
		[MESSAGE_FAILED] = "failed",
		[MESSAGE_COPIED] = "copied",
		[MESSAGE_BACKING_OFF] = "backing off",
		[MESSAGE_DELETED] = "deleted",
		[MESSAGE_RETURNED] = "returned",
		[MESSAGE_LOST] = "lost",
	};

	return names[state];
}

/* Where messages of a state are kept; NULL for the ends and before routing. */
static struct list *list_of(struct message *message, enum message_state state)
{
	if (state >= MESSAGE_END_FIRST)
		return NULL;
	if (state == MESSAGE_RECEIVED)
		return message->lane ? &message->lane->waiting : NULL;
	return &message->delivery->states[state];
}

static void count(struct message *message, enum message_state state, int by)
{
	struct delivery *delivery = message->delivery;

	if (state >= MESSAGE_END_FIRST)
		return;
	delivery->counts[state] += (size_t)by;
	gauge_add(delivery->metrics.states[state], by);
	if (state == MESSAGE_RECEIVED && message->lane)
		message->lane->waiting_count += (size_t)by;
	if (state == MESSAGE_SENDING && !message->follows)
		message->lane->sending += (unsigned)by;
}

struct message *message_new(struct delivery *delivery, struct queue_batch *batch, size_t index,
	uint64_t received_us, uint64_t visible_us)
{
	struct message *message = calloc(1, sizeof(*message));

	if (!message)
		return NULL;
	message->state = MESSAGE_RECEIVED;
	message->delivery = delivery;
	message->batch = queue_batch_ref(batch);
	message->queued = &batch->messages[index];
	message->deadline_epoch_ms = INT64_MAX;
	message->received_us = received_us;
	message->visible_us = visible_us;
	message->keeper.fire = keeper_fired;
	message->retry.fire = settle_retry_fired;
	list_init(&message->node);
	list_init(&message->group);
	list_init(&message->deletes);
	list_init(&message->mate);
	list_init(&message->settle.node);
	list_init(&message->extend.node);
	message->settle.message = message->extend.message = message;
	delivery->held++;
	delivery->held_bytes += batch->bytes / batch->count;
	gauge_set(delivery->metrics.held_bytes, (int64_t)delivery->held_bytes);
	delivery->counts[MESSAGE_RECEIVED]++;
	gauge_add(delivery->metrics.states[MESSAGE_RECEIVED], 1);
	return message;
}

void message_route(struct message *message, struct lane *lane)
{
	assert(message->state == MESSAGE_RECEIVED && !message->lane);
	message->lane = lane;
	lane->waiting_count++;
	list_append(&lane->waiting, &message->node);
	group_join(message);
}

void message_set_recipients(struct message *message, struct recipient_list *recipients)
{
	struct delivery *delivery = message->delivery;

	if (message->recipients)
		delivery->held_bytes -= message->recipients->bytes;
	if (recipients)
		delivery->held_bytes += recipients->bytes;
	recipient_list_free(message->recipients);
	message->recipients = recipients;
}

/* Everything that could still reach the message is told that it has gone. */
static void message_free(struct message *message)
{
	struct delivery *delivery = message->delivery;

	clock_timer_clear(delivery->clock, &message->keeper);
	clock_timer_clear(delivery->clock, &message->retry);
	batcher_forget(&message->extend);
	batcher_forget(&message->settle);
	if (message->lane && message->lane->gather)
		gather_moved(message, MESSAGE_STATES);
	group_leave(message);
	list_remove(&message->deletes);
	list_remove(&message->node);
	delivery->held--;
	delivery->held_bytes -= message->batch->bytes / message->batch->count;
	gauge_set(delivery->metrics.held_bytes, (int64_t)delivery->held_bytes);
	message_set_recipients(message, NULL);
	queue_batch_unref(message->batch);
	failure_unref(message->failure);
	free(message);
}

static void tell_left(struct message *message, enum delivery_left how)
{
	const struct delivery_observer *observer = &message->delivery->options.observer;

	if (observer->left)
		observer->left(observer->arg, message->queued, how);
}

void message_move(struct message *message, enum message_state to)
{
	assert(message_edge_allowed(message->state, to));
	count(message, message->state, -1);
	list_remove(&message->node);
	message->delivery->progress.moves++;
	message->state = to;
	if (message->lane->gather)
		gather_moved(message, to);
	if (to >= MESSAGE_END_FIRST) {
		tell_left(message, to == MESSAGE_DELETED    ? DELIVERY_LEFT_DELETED
				   : to == MESSAGE_RETURNED ? DELIVERY_LEFT_RETURNED
							    : DELIVERY_LEFT_LOST);
		message_free(message);
		return;
	}
	count(message, to, 1);
	list_append(list_of(message, to), &message->node);
	if (!message_is_extendable(message))
		group_leave(message); /* the next of its group may go */
	if (message_is_done(message))
		group_join_deletes(message);
	/* An extension that has not left yet must not follow a delete or overwrite a back-off. */
	if (!message_is_extendable(message) && batcher_is_waiting(&message->extend))
		batcher_forget(&message->extend);
}

void message_drop(struct message *message)
{
	if (message->attempt)
		message->lane->destination.target.ops->cancel(
			message->lane->destination.target.impl, message->attempt);
	message->attempt = NULL;
	count(message, message->state, -1);
	tell_left(message, DELIVERY_LEFT_DROPPED);
	message_free(message);
}

int message_set_failure(
	struct message *message, const char *reason, const struct target_result *result)
{
	struct failure *failure = failure_new(reason, result);

	if (!failure)
		return ERR_NOMEM;
	failure_unref(message->failure);
	message->failure = failure;
	return 0;
}

bool message_failure_result(const struct message *message, struct target_result *ret_result)
{
	return failure_result(message->failure, ret_result);
}

const struct queue_attribute *message_attribute(
	const struct queue_message *message, const char *name)
{
	for (size_t i = 0; i < message->attribute_count; i++)
		if (strcmp(message->attributes[i].name, name) == 0)
			return &message->attributes[i];
	return NULL;
}

/* "Number" or "Number.anything" */
static bool type_is(const char *type, const char *base)
{
	size_t n = strlen(base);

	return strncmp(type, base, n) == 0 && (type[n] == '\0' || type[n] == '.');
}

int message_instant(const struct queue_message *message, const char *name, int64_t absent,
	int64_t *ret_epoch_ms)
{
	const struct queue_attribute *attribute = message_attribute(message, name);
	char text[64];

	if (!attribute) {
		*ret_epoch_ms = absent;
		return 0;
	}
	if (attribute->value_bytes >= sizeof(text) ||
		memchr(attribute->value, '\0', attribute->value_bytes))
		return ERR_SYNTAX;
	memcpy(text, attribute->value, attribute->value_bytes);
	text[attribute->value_bytes] = '\0';
	if (type_is(attribute->type, "Number"))
		return units_parse_int(text, ret_epoch_ms) ? ERR_SYNTAX : 0;
	if (type_is(attribute->type, "String"))
		return units_parse_rfc3339(text, ret_epoch_ms) ? ERR_SYNTAX : 0;
	return ERR_SYNTAX;
}
