#include "delivery/receiver.h"

#include "bunshin/error.h"
#include "delivery/core.h"

#include <stdlib.h>

/* After a receive that failed: quick at first, never a storm. */
static const struct backoff failure_backoff = {.base_ms = 200, .cap_ms = 20000};

struct poll {
	struct list node;
	struct receiver *receiver;
	struct queue_call *call;
	uint64_t asked_us;
	unsigned asked;
};

/* With half of the queue for others, so many in a row mean that nothing else is there. */
#define IN_VAIN_MAX 100
#define SCOUT_PAUSE_MIN_US 100000
#define SCOUT_PAUSE_MAX_US 1000000

static void wake_fired(struct clock_timer *timer)
{
	receiver_pump(list_entry(timer, struct receiver, wake));
}

static void scout_fired(struct clock_timer *timer)
{
	receiver_pump(list_entry(timer, struct receiver, scout));
}

void receiver_init(struct receiver *receiver, struct delivery *delivery, unsigned max_polls)
{
	*receiver = (struct receiver){.delivery = delivery, .max_polls = max_polls, .allowed = 1};
	list_init(&receiver->polls);
	receiver->wake.fire = wake_fired;
	receiver->scout.fire = scout_fired;
}

static void poll_free(struct poll *poll)
{
	struct receiver *receiver = poll->receiver;

	list_remove(&poll->node);
	receiver->poll_count--;
	receiver->reserved -= poll->asked;
	free(poll);
}

/* More polls while messages come, one fewer for each empty answer, one alone after a failure. */
static void adapt(struct receiver *receiver, unsigned asked, size_t got)
{
	if (got == asked)
		receiver->allowed *= 2;
	else if (got > 0)
		receiver->allowed += 1;
	else
		receiver->allowed -= 1;
	if (receiver->allowed > receiver->max_polls)
		receiver->allowed = receiver->max_polls;
	if (receiver->allowed < 1)
		receiver->allowed = 1;
}

static void back_off(struct receiver *receiver)
{
	struct clock clock = receiver->delivery->clock;
	int64_t delay_ms;

	/* Polls that were out when the first of them failed say nothing new. */
	if (clock_timer_is_set(&receiver->wake))
		return;
	delay_ms = backoff_delay_ms(&failure_backoff, receiver->failures, clock_random(clock));
	/* Full jitter may draw next to nothing; a floor keeps a broken queue from a busy loop. */
	if (delay_ms < failure_backoff.base_ms / 2)
		delay_ms = failure_backoff.base_ms / 2;
	receiver->failures++;
	receiver->connected = false;
	receiver->allowed = 1;
	clock_timer_after(clock, &receiver->wake, (uint64_t)delay_ms * 1000);
}

/* Whether anything of it found room says how eagerly to go on. */
static void take(struct receiver *receiver, struct queue_batch *batch, uint64_t asked_us)
{
	struct delivery *delivery = receiver->delivery;
	uint64_t crowded = delivery->metrics.crowded->value;
	size_t count = batch->count;

	intake_take(delivery, batch, asked_us);
	crowded = delivery->metrics.crowded->value - crowded;
	if (crowded < count || count == 0) {
		receiver->scout_pause_us = 0;
		receiver->in_vain = 0;
		return;
	}
	receiver->in_vain += (unsigned)crowded;
	if (receiver->in_vain < IN_VAIN_MAX || clock_timer_is_set(&receiver->scout))
		return;
	receiver->scout_pause_us =
		receiver->scout_pause_us ? receiver->scout_pause_us * 2 : SCOUT_PAUSE_MIN_US;
	if (receiver->scout_pause_us > SCOUT_PAUSE_MAX_US)
		receiver->scout_pause_us = SCOUT_PAUSE_MAX_US;
	receiver->in_vain = 0;
	clock_timer_after(delivery->clock, &receiver->scout, receiver->scout_pause_us);
}

static void received(void *arg, int err, struct queue_batch *batch, const char *detail)
{
	struct poll *poll = arg;
	struct receiver *receiver = poll->receiver;
	struct delivery *delivery = receiver->delivery;
	uint64_t asked_us = poll->asked_us;
	unsigned asked = poll->asked;

	poll->call = NULL;
	poll_free(poll);
	if (err) {
		core_queue_failed(delivery, "receive", err, detail);
		back_off(receiver);
	} else {
		receiver->failures = 0;
		if (!receiver->connected) {
			receiver->connected = true;
			core_notify(
				delivery, &(struct delivery_event){.kind = DELIVERY_QUEUE_CONNECTED,
						  .operation = "receive"});
		}
		adapt(receiver, asked, batch->count);
		take(receiver, batch, asked_us);
	}
	core_advance(delivery);
}

static int start_poll(struct receiver *receiver, unsigned asked)
{
	struct delivery *delivery = receiver->delivery;
	struct queue queue = delivery->options.queue;
	struct queue_receive params = {.max_messages = asked,
		.wait_s = delivery->options.wait_s,
		.visibility_s = delivery->options.visibility_s};
	struct poll *poll = calloc(1, sizeof(*poll));
	int err;

	if (!poll)
		return ERR_NOMEM;
	poll->receiver = receiver;
	poll->asked = asked;
	poll->asked_us = clock_monotonic_us(delivery->clock);
	list_append(&receiver->polls, &poll->node);
	receiver->poll_count++;
	receiver->reserved += asked;
	err = queue.ops->receive(queue.impl, &params, received, poll, &poll->call);
	if (err)
		poll_free(poll);
	return err;
}

/*
 * What the lanes have room for; total: slots that may be used, an open breaker's not. One lane's
 * backlog takes nothing from the others: what comes for it beyond its own room goes back.
 */
static size_t room(struct delivery *delivery, size_t *ret_total)
{
	size_t sum = 0;

	*ret_total = 0;
	for (size_t i = 0; i < delivery->lane_count; i++)
		sum += lane_room(&delivery->lanes[i], ret_total);
	return sum;
}

/* A lane that messages came for in vain still has no room. */
static bool is_crowded(const struct delivery *delivery)
{
	for (size_t i = 0; i < delivery->lane_count; i++)
		if (delivery->lanes[i].crowded)
			return true;
	return false;
}

/* What was sent but not yet settled is bounded too, or a queue that fails would fill the memory. */
static bool is_clogged(struct delivery *delivery, size_t total)
{
	size_t working = delivery->counts[MESSAGE_RECEIVED] + delivery->counts[MESSAGE_SENDING];

	return delivery->held_bytes > delivery->options.held_bytes ||
	       delivery->held - working > 2 * total + 100 * QUEUE_BATCH_MAX;
}

void receiver_pump(struct receiver *receiver)
{
	struct delivery *delivery = receiver->delivery;
	size_t total, quantum, free_slots;

	if (receiver->stopped || clock_timer_is_set(&receiver->wake))
		return;
	free_slots = room(delivery, &total);
	if (clock_timer_is_set(&receiver->scout)) {
		if (is_crowded(delivery))
			return;
		clock_timer_clear(delivery->clock, &receiver->scout);
	}
	/*
	 * Waiting for ten free slots makes full receives, which cost least; with few slots that
	 * would be a batch barrier, so there an eighth of them is enough.
	 */
	quantum = total / 8;
	quantum = quantum > QUEUE_BATCH_MAX ? QUEUE_BATCH_MAX : quantum < 1 ? 1 : quantum;
	/* Nothing is going to end and make more room. */
	if (delivery->held == 0 && receiver->poll_count == 0)
		quantum = 1;
	while (receiver->poll_count < receiver->allowed && !is_clogged(delivery, total)) {
		size_t left = free_slots > receiver->reserved ? free_slots - receiver->reserved : 0;

		if (left < quantum)
			break;
		if (start_poll(receiver,
			    (unsigned)(left > QUEUE_BATCH_MAX ? QUEUE_BATCH_MAX : left))) {
			back_off(receiver);
			break;
		}
	}
}

void receiver_stop(struct receiver *receiver)
{
	receiver->stopped = true;
	clock_timer_clear(receiver->delivery->clock, &receiver->wake);
	clock_timer_clear(receiver->delivery->clock, &receiver->scout);
}

void receiver_cancel(struct receiver *receiver)
{
	struct queue queue = receiver->delivery->options.queue;

	list_for_each_safe (node, &receiver->polls) {
		struct poll *poll = list_entry(node, struct poll, node);

		queue.ops->cancel(queue.impl, poll->call);
		poll_free(poll);
	}
}
