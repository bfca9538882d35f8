/* What a message's life consists of: taken, routed, judged, ended. */
#include "delivery/core.h"

#include "bunshin/error.h"

#include <stdio.h>
#include <string.h>

#define SECOND_US 1000000ull

void core_notify(struct delivery *delivery, const struct delivery_event *event)
{
	struct delivery_event full = *event;

	if (!delivery->options.observer.notify)
		return;
	full.destination = full.destination ? full.destination : "";
	full.reason = full.reason ? full.reason : "";
	full.operation = full.operation ? full.operation : "";
	delivery->options.observer.notify(delivery->options.observer.arg, &full);
}

void core_queue_failed(
	struct delivery *delivery, const char *operation, int err, const char *detail)
{
	counter_add(delivery->metrics.queue_errors, 1);
	core_notify(delivery, &(struct delivery_event){.kind = DELIVERY_QUEUE_FAILED,
				      .operation = operation,
				      .err = err,
				      .reason = detail});
}

static void notify(struct message *message, enum delivery_event_kind kind,
	const struct target_result *result, const char *reason)
{
	core_notify(
		message->delivery, &(struct delivery_event){.kind = kind,
					   .message = message->queued,
					   .destination = message->lane ? message->lane->name : "",
					   .result = result,
					   .reason = reason});
}

static struct lane *find_lane(struct delivery *delivery, const struct queue_attribute *wanted)
{
	if (!wanted)
		return &delivery->lanes[0];
	for (size_t i = 0; i < delivery->lane_count; i++) {
		const char *name = delivery->lanes[i].name;

		if (strlen(name) == wanted->value_bytes &&
			memcmp(name, wanted->value, wanted->value_bytes) == 0)
			return &delivery->lanes[i];
	}
	return NULL;
}

int64_t core_backoff_ms(const struct message *message)
{
	return backoff_delay_ms(&message->delivery->options.backoff,
		message->queued->receive_count - 1, clock_random(message->delivery->clock));
}

/* Reads what the message asks for, and lets it wait for its slot unless that settles it already. */
static void admit(struct message *message)
{
	struct delivery *delivery = message->delivery;
	const struct queue_attribute *wanted = message_attribute(message->queued, "Destination");
	struct lane *lane = find_lane(delivery, wanted);
	int64_t wall_ms = clock_wall_epoch_ms(delivery->clock);
	int64_t not_before_ms;

	message_route(message, lane ? lane : &delivery->lanes[0]);
	keeper_watch(message);
	if (message_instant(message->queued, "Deadline", INT64_MAX, &message->deadline_epoch_ms)) {
		core_fail(message, NULL,
			"attribute Deadline is neither epoch milliseconds nor an RFC 3339 time");
	} else if (message_instant(message->queued, "NotBefore", INT64_MIN, &not_before_ms)) {
		core_fail(message, NULL,
			"attribute NotBefore is neither epoch milliseconds nor an RFC 3339 time");
	} else if (!lane) {
		char reason[160];

		snprintf(reason, sizeof(reason), "attribute Destination: no destination \"%.*s\"",
			(int)(wanted->value_bytes < 64 ? wanted->value_bytes : 64), wanted->value);
		core_fail(message, NULL, reason);
	} else if (wall_ms >= message->deadline_epoch_ms) {
		core_expire(message);
	} else if (not_before_ms > wall_ms) {
		counter_add(delivery->metrics.postponed, 1);
		notify(message, DELIVERY_POSTPONED, NULL, "");
		core_return(message, not_before_ms - wall_ms);
	} else if (delivery->drain) {
		core_return(message, 0);
	}
}

void core_take(struct delivery *delivery, struct queue_batch *batch)
{
	uint64_t now_us = clock_monotonic_us(delivery->clock);
	uint64_t visible_us = now_us + delivery->options.visibility_s * SECOND_US;

	counter_add(delivery->metrics.received, batch->count);
	for (size_t i = 0; i < batch->count; i++) {
		struct message *message = message_new(delivery, batch, i, now_us, visible_us);

		/* Out of memory: it is not held, and comes back when its visibility runs out. */
		if (message)
			admit(message);
	}
	queue_batch_unref(batch);
	for (size_t i = 0; i < delivery->lane_count; i++)
		lane_pump(&delivery->lanes[i]);
}

void core_accept(struct message *message, const struct target_result *result)
{
	struct delivery *delivery = message->delivery;
	int64_t sent_ms = message->queued->sent_epoch_ms;
	int64_t wall_ms = clock_wall_epoch_ms(delivery->clock);

	counter_add(delivery->metrics.accepted, 1);
	if (sent_ms > 0 && wall_ms >= sent_ms)
		histogram_record(
			delivery->metrics.latency_us, (uint64_t)(wall_ms - sent_ms) * 1000);
	notify(message, DELIVERY_ACCEPTED, result, "");
	message_move(message, MESSAGE_ACCEPTED);
	settle_start(message);
}

void core_leave(struct message *message, const struct target_result *result, const char *reason)
{
	counter_add(message->delivery->metrics.failed_left, 1);
	notify(message, DELIVERY_FAILED_LEFT, result, reason);
	core_return(message, core_backoff_ms(message));
}

void core_fail(struct message *message, const struct target_result *result, const char *reason)
{
	struct delivery *delivery = message->delivery;

	if (!delivery->options.failure_queue.ops) {
		core_leave(message, result, reason);
		return;
	}
	if (message_set_failure(message, reason, result)) {
		core_return(message, core_backoff_ms(message));
		return;
	}
	notify(message, DELIVERY_FAILED, result, reason);
	message_move(message, MESSAGE_FAILED);
	settle_start(message);
}

void core_expire(struct message *message)
{
	counter_add(message->delivery->metrics.expired, 1);
	notify(message, DELIVERY_EXPIRED, NULL, "past its deadline");
	message_move(message, MESSAGE_EXPIRED);
	settle_start(message);
}

/* A message that waits past its deadline only delays the record that it expired. */
static int64_t until_deadline(const struct message *message, int64_t delay_ms)
{
	int64_t left_ms;

	if (message->deadline_epoch_ms == INT64_MAX)
		return delay_ms;
	left_ms = message->deadline_epoch_ms - clock_wall_epoch_ms(message->delivery->clock);
	if (left_ms < 0)
		left_ms = 0;
	return delay_ms < left_ms ? delay_ms : left_ms;
}

void core_return(struct message *message, int64_t delay_ms)
{
	uint64_t now_us = clock_monotonic_us(message->delivery->clock);
	int64_t left_s = keeper_seconds_left(message, now_us);
	int64_t delay_s;

	/* With the visibility gone, somebody else may hold it: a change would be made to theirs. */
	if (now_us >= message->visible_us) {
		core_lose(message);
		return;
	}
	delay_ms = until_deadline(message, delay_ms);
	delay_s = delay_ms / 1000 + (delay_ms % 1000 != 0);
	message->return_after_s = (unsigned)(delay_s < left_s ? delay_s : left_s);
	message_move(message, MESSAGE_BACKING_OFF);
	settle_start(message);
}

void core_lose(struct message *message)
{
	counter_add(message->delivery->metrics.lost, 1);
	notify(message, DELIVERY_LOST, NULL, message_state_name(message->state));
	message_move(message, MESSAGE_LOST);
}

void core_advance(struct delivery *delivery)
{
	receiver_pump(&delivery->receiver);
	drain_advance(delivery);
}
