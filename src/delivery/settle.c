/*
 * Settlement: what ends a message's stay here. A state that wants a call (delete, visibility,
 * copy) has a batcher; a call that failed is tried again, each message at its own pace, until the
 * receipt runs out.
 */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "delivery/group.h"

#include <stdio.h>
#include <string.h>

static const struct backoff settle_backoff = {.base_ms = 100, .cap_ms = 5000};

#define SETTLE_CALLS_MAX 64
#define COPY_MAX_BYTES ((size_t)1024 * 1024) /* of one message with its attributes (SQS quota) */

static struct batcher *batcher_of(struct message *message)
{
	struct delivery *delivery = message->delivery;

	switch (message->state) {
	case MESSAGE_ACCEPTED:
	case MESSAGE_EXPIRED:
	case MESSAGE_CANCELLED:
	case MESSAGE_COPIED:
		return &delivery->deleter;
	case MESSAGE_BACKING_OFF:
		return &delivery->returner;
	case MESSAGE_FAILED:
		return &delivery->copier;
	case MESSAGE_RECEIVED:
	case MESSAGE_SENDING:
	case MESSAGE_DELETED:
	case MESSAGE_RETURNED:
	case MESSAGE_LOST:
	case MESSAGE_STATES:
	default:
		return NULL;
	}
}

void settle_start(struct message *message)
{
	/* An extension under way could land after the back-off and undo it: that waits. */
	if (message->state == MESSAGE_BACKING_OFF && message->extend.call)
		return;
	batcher_add(batcher_of(message), &message->settle);
}

void settle_retry_fired(struct clock_timer *timer)
{
	struct message *message = list_entry(timer, struct message, retry);
	struct delivery *delivery = message->delivery;

	settle_start(message);
	core_advance(delivery);
}

/* It did not work this time. Past its visibility there is nothing left to settle. */
static void settle_again(struct message *message)
{
	struct clock clock = message->delivery->clock;
	int64_t delay_ms =
		backoff_delay_ms(&settle_backoff, message->settle_attempts, clock_random(clock));
	uint64_t now_us = clock_monotonic_us(clock);

	message->settle_attempts++;
	if (now_us >= message->visible_us ||
		clock_timer_set(clock, &message->retry, now_us + (uint64_t)delay_ms * 1000 + 1000))
		core_lose(message);
}

static int delete_start(struct batcher *batcher, struct batch_call *call)
{
	struct queue queue = batcher->delivery->options.queue;
	const struct delivery_observer *observer = &batcher->delivery->options.observer;
	const char *handles[QUEUE_BATCH_MAX];

	if (observer->before_delete)
		observer->before_delete(observer->arg);
	for (size_t i = 0; i < call->count; i++)
		handles[i] = call->messages[i]->queued->receipt_handle;
	return queue.ops->delete_batch(
		queue.impl, handles, call->count, batcher_done, call, &call->call);
}

static void delete_settled(struct message *message, int result, uint64_t started_us)
{
	/*
	 * With an old handle SQS says "deleted" and may have deleted nothing: if so, the message
	 * comes back, and the ledger knows it.
	 */
	bool stale = started_us >= message->visible_us;

	if (!result || result == ERR_ACCESS_DENIED)
		receiver_deletes_denied(&message->delivery->receiver, result != 0);
	if (result == ERR_RECEIPT_INVALID || (!result && stale)) {
		core_lose(message);
	} else if (result) {
		settle_again(message);
	} else {
		counter_add(message->delivery->metrics.deleted, 1);
		message_move(message, MESSAGE_DELETED);
	}
}

static unsigned at_most(unsigned value, unsigned limit)
{
	return value < limit ? value : limit;
}

static int return_start(struct batcher *batcher, struct batch_call *call)
{
	struct queue queue = batcher->delivery->options.queue;
	struct queue_visibility entries[QUEUE_BATCH_MAX];

	for (size_t i = 0; i < call->count; i++)
		entries[i] = (struct queue_visibility){
			.receipt_handle = call->messages[i]->queued->receipt_handle,
			.visibility_s = at_most(call->messages[i]->return_after_s,
				keeper_seconds_left(call->messages[i], call->started_us))};
	return queue.ops->change_visibility_batch(
		queue.impl, entries, call->count, batcher_done, call, &call->call);
}

static void return_settled(struct message *message, int result, uint64_t started_us)
{
	if (result && result != ERR_RECEIPT_INVALID) {
		settle_again(message);
		return;
	}
	/* An invalid receipt: the message is visible, or was received by somebody else, already. */
	counter_add(message->delivery->metrics.returned, 1);
	message_move(message, MESSAGE_RETURNED);
}

/* What the copy says of the failure, most important first: SQS takes ten attributes in all. */
struct copy_text {
	char status[16], attempts[16], first[32];
	struct queue_attribute attributes[QUEUE_ATTRIBUTES_MAX];
	size_t count;
	size_t bytes_left; /* of what one message may have */
};

static void copy_add(struct copy_text *text, const char *name, const char *type, const char *value,
	size_t value_bytes)
{
	size_t bytes = strlen(name) + strlen(type) + value_bytes;

	if (text->count >= QUEUE_ATTRIBUTES_MAX || value_bytes == 0 || bytes > text->bytes_left)
		return;
	text->bytes_left -= bytes;
	text->attributes[text->count++] = (struct queue_attribute){
		.name = name, .type = type, .value = value, .value_bytes = value_bytes};
}

/* A message that failed before, and was put back into its queue, brings these along. */
static bool is_ours(const char *name)
{
	static const char *const names[] = {
		"FailureReason", "FailureStatus", "FailureBody", "Attempts", "FirstReceived"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* The copy is for those alone that failed. */
static bool is_keys_of_packed(
	const struct message *message, const struct queue_attribute *attribute)
{
	return message_is_packed(message) && strcmp(attribute->name, RECIPIENT_LIST_KEYS) == 0;
}

static void copy_describe(const struct message *message, struct copy_text *text)
{
	const struct queue_message *queued = message->queued;
	const struct failure *failure = message->failure;

	text->count = 0;
	text->bytes_left =
		queued->body_bytes < COPY_MAX_BYTES ? COPY_MAX_BYTES - queued->body_bytes : 0;
	for (size_t i = 0; i < queued->attribute_count; i++) {
		const struct queue_attribute *a = &queued->attributes[i];

		if (is_keys_of_packed(message, a))
			copy_add(text, a->name, a->type, message->recipients->copy_keys,
				message->recipients->copy_keys_bytes);
		else if (!is_ours(a->name))
			copy_add(text, a->name, a->type, a->value, a->value_bytes);
	}
	snprintf(text->status, sizeof(text->status), "%d", failure->status);
	snprintf(text->attempts, sizeof(text->attempts), "%u", queued->receive_count);
	snprintf(text->first, sizeof(text->first), "%lld",
		(long long)queued->first_received_epoch_ms);
	copy_add(text, "FailureReason", "String", failure->reason, strlen(failure->reason));
	if (failure->status)
		copy_add(text, "FailureStatus", "Number", text->status, strlen(text->status));
	/* The copy has a message id of its own; after a redrive the key must still be the same. */
	if (!message_attribute(queued, "IdempotencyKey"))
		copy_add(text, "IdempotencyKey", "String", queued->idempotency_key,
			strlen(queued->idempotency_key));
	copy_add(text, "Attempts", "Number", text->attempts, strlen(text->attempts));
	copy_add(text, "FirstReceived", "Number", text->first, strlen(text->first));
	copy_add(text, "FailureBody", "String", failure->excerpt, failure->excerpt_bytes);
}

static int copy_start(struct batcher *batcher, struct batch_call *call)
{
	struct queue queue = batcher->delivery->options.failure_queue;
	struct queue_send entries[QUEUE_BATCH_MAX];
	struct copy_text texts[QUEUE_BATCH_MAX];

	for (size_t i = 0; i < call->count; i++) {
		const struct queue_message *queued = call->messages[i]->queued;

		copy_describe(call->messages[i], &texts[i]);
		entries[i] = (struct queue_send){.body = queued->body,
			.body_bytes = queued->body_bytes,
			.attributes = texts[i].attributes,
			.attribute_count = texts[i].count,
			.group_id = queued->group_id,
			.trace_header = queued->trace_header};
		if (message_is_packed(call->messages[i])) {
			entries[i].body = call->messages[i]->recipients->copy_body;
			entries[i].body_bytes = call->messages[i]->recipients->copy_body_bytes;
		}
		if (!batcher->delivery->options.failure_fifo)
			continue;
		/* A FIFO queue wants both; a second copy within five minutes is dropped by it. */
		entries[i].deduplication_id = queued->message_id;
		if (!queued->group_id)
			entries[i].group_id = queued->message_id;
	}
	return queue.ops->send_batch(
		queue.impl, entries, call->count, batcher_done, call, &call->call);
}

static void copy_settled(struct message *message, int result, uint64_t started_us)
{
	bool for_good = error_class(result) == ERROR_PERMANENT;
	struct target_result failed;

	if (for_good && message->settle_alone) {
		message->settle_attempts = 0;
		core_leave(message, message_failure_result(message, &failed) ? &failed : NULL,
			message->failure->reason);
		return;
	}
	if (result) {
		message->settle_alone |= for_good;
		settle_again(message);
		return;
	}
	message->settle_alone = false;
	message->settle_attempts = 0;
	core_copied(message);
}

void settle_init(struct delivery *delivery)
{
	delivery->deleter = (struct batcher){.delivery = delivery,
		.operation = "delete",
		.start = delete_start,
		.settled = delete_settled,
		.may_join = delivery->options.fifo ? group_may_delete : NULL,
		.max_calls = SETTLE_CALLS_MAX};
	delivery->returner = (struct batcher){.delivery = delivery,
		.operation = "change visibility",
		.start = return_start,
		.settled = return_settled,
		.max_calls = SETTLE_CALLS_MAX};
	/* Half of what one send may carry: the attributes come on top. */
	delivery->copier = (struct batcher){.delivery = delivery,
		.operation = "send to the failure queue",
		.start = copy_start,
		.settled = copy_settled,
		.max_calls = SETTLE_CALLS_MAX,
		.max_bytes = 512 * 1024};
	batcher_init(&delivery->deleter);
	batcher_init(&delivery->returner);
	batcher_init(&delivery->copier);
}
