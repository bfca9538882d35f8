/*
 * The visibility keeper: extends what is still at work ahead of its expiry, in batches, and ends
 * what could not be kept. Never after a delete or a back-off of the same message: message_move()
 * takes a waiting extension away, and a back-off waits for one under way.
 */
#include "bunshin/error.h"
#include "delivery/core.h"

#define SECOND_US 1000000ull
#define LATENCY_S 10 /* of a receive's answer and a change's request together, at most */

static uint64_t at_most(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

static uint64_t visibility_us(const struct delivery *delivery)
{
	return delivery->options.visibility_s * SECOND_US;
}

/*
 * How long before the expiry extending begins: the linger, a call as slow as they get here, a
 * pause, and one more of them. A third of the visibility at least, since the next outage cannot be
 * measured; half of it at most, or nothing but extensions would be sent.
 */
static uint64_t margin_us(const struct delivery *delivery)
{
	uint64_t wanted = CORE_LINGER_US + 4 * latency_bound_us(&delivery->latency);
	uint64_t third = visibility_us(delivery) / 3, half = visibility_us(delivery) / 2;

	return wanted < third ? third : wanted > half ? half : wanted;
}

/* An attempt that starts this close to the expiry may overlap with the next receiver's. */
static uint64_t safety_us(const struct delivery *delivery)
{
	uint64_t tenth = visibility_us(delivery) / 10;

	return tenth < SECOND_US ? tenth : SECOND_US;
}

uint64_t keeper_visible_us(const struct delivery *delivery, uint64_t asked_us, uint64_t now_us)
{
	/*
	 * The clock of the visibility began when SQS handed the messages out, somewhere between the
	 * question and the answer; a poll that waited was answered within what calls take here.
	 * What goes beyond the wait has not been waiting: a slow network, a process that was
	 * stopped.
	 */
	uint64_t total_us = now_us - asked_us, wait_us = delivery->options.wait_s * SECOND_US;
	uint64_t surplus_us = total_us > wait_us ? total_us - wait_us : 0;
	uint64_t answer_us = at_most(at_most(total_us, latency_bound_us(&delivery->latency)),
		visibility_us(delivery) / 4);

	return now_us + visibility_us(delivery) - (answer_us > surplus_us ? answer_us : surplus_us);
}

bool keeper_holds(const struct message *message, uint64_t now_us)
{
	return now_us + safety_us(message->delivery) < message->visible_us;
}

/* 12 hours count from the receive as SQS saw it, and until the change arrives there. */
unsigned keeper_seconds_left(const struct message *message, uint64_t now_us)
{
	uint64_t held_s = (now_us - message->received_us) / SECOND_US + LATENCY_S;

	return held_s >= QUEUE_VISIBILITY_MAX_S ? 0 : (unsigned)(QUEUE_VISIBILITY_MAX_S - held_s);
}

void keeper_watch(struct message *message)
{
	struct delivery *delivery = message->delivery;
	uint64_t due_us = message->visible_us;

	if (message_is_extendable(message))
		due_us -= margin_us(delivery);
	/* Unwatched for want of memory, it is still checked before an attempt and when it settles.
	 */
	clock_timer_set(delivery->clock, &message->keeper, due_us);
}

/* Seconds that an extension from then may ask for: not past the 12 hours. */
static unsigned extension_s(const struct message *message, uint64_t started_us)
{
	unsigned left = keeper_seconds_left(message, started_us);
	unsigned wanted = message->delivery->options.visibility_s;

	return wanted < left ? wanted : left;
}

/* At the end of the 12 hours an extension would bring next to nothing, again and again. */
static bool is_worth_extending(const struct message *message, uint64_t now_us)
{
	unsigned seconds = extension_s(message, now_us);

	if (!message_is_extendable(message) || message->extend.batcher)
		return false;
	return seconds == message->delivery->options.visibility_s ||
	       now_us + seconds * SECOND_US > message->visible_us + SECOND_US;
}

/* Its visibility has run out. What a call under way decides is left to that call. */
static void expired(struct message *message)
{
	if (message->state == MESSAGE_SENDING || message->settle.call)
		return;
	core_lose(message);
}

void keeper_fired(struct clock_timer *timer)
{
	struct message *message = list_entry(timer, struct message, keeper);
	struct delivery *delivery = message->delivery;
	uint64_t now_us = clock_monotonic_us(delivery->clock);

	if (now_us >= message->visible_us) {
		expired(message);
	} else {
		clock_timer_set(delivery->clock, &message->keeper, message->visible_us);
		if (is_worth_extending(message, now_us))
			batcher_add(&delivery->extender, &message->extend);
	}
	core_advance(delivery);
}

static int extend_start(struct batcher *batcher, struct batch_call *call)
{
	struct queue queue = batcher->delivery->options.queue;
	struct queue_visibility entries[QUEUE_BATCH_MAX];

	for (size_t i = 0; i < call->count; i++) {
		unsigned seconds = extension_s(call->messages[i], call->started_us);

		/* 0 would give it back. */
		entries[i] = (struct queue_visibility){
			.receipt_handle = call->messages[i]->queued->receipt_handle,
			.visibility_s = seconds ? seconds : 1};
	}
	return queue.ops->change_visibility_batch(
		queue.impl, entries, call->count, batcher_done, call, &call->call);
}

/* SQS counts from when it handled the call, which is later than its start: the safe side. */
static void prolong(struct message *message, uint64_t started_us)
{
	counter_add(message->delivery->metrics.extended, 1);
	message->visible_us = started_us + extension_s(message, started_us) * SECOND_US;
	keeper_watch(message);
}

static void extend_settled(struct message *message, int result, uint64_t started_us)
{
	struct delivery *delivery = message->delivery;
	uint64_t now_us = clock_monotonic_us(delivery->clock);

	if (!result)
		prolong(message, started_us);
	else if (result == ERR_RECEIPT_INVALID)
		message->visible_us = now_us;
	if (message->state == MESSAGE_BACKING_OFF) {
		settle_start(message); /* it waited for this call */
		return;
	}
	if (!result || !message_is_extendable(message))
		return;
	if (now_us >= message->visible_us) {
		expired(message);
		return;
	}
	/* Again soon, but not at once; at the expiry at the latest, which ends it. */
	uint64_t again_us = now_us + margin_us(delivery) / 4;
	clock_timer_set(delivery->clock, &message->keeper,
		again_us < message->visible_us ? again_us : message->visible_us);
}

void keeper_init(struct delivery *delivery)
{
	delivery->extender = (struct batcher){.delivery = delivery,
		.operation = "extend visibility",
		.start = extend_start,
		.settled = extend_settled,
		.max_calls = 64};
	batcher_init(&delivery->extender);
}
