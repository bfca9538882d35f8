/*
 * Whether the core gets its work done: what its owner's watchdog asks.
 *
 * Nearly everything in here waits for something with an end of its own: an attempt, a call, a
 * timer. What has passed that end, or waits for nothing at all, has been forgotten by somebody, and
 * no other code finds out.
 */
#include "delivery/core.h"

/* An attempt's completion may be a little late. */
#define ATTEMPT_SLACK_US 5000000ull
/*
 * Of a call to the queue but a receive: three attempts of 10 s and two to sign anew or by another
 * time, a wait for keys, and pauses (aws/sqs_client.h) end well before.
 */
#define CALL_MAX_US 120000000ull
/* Asked later than that after the question before, the process was stopped, or had no processor. */
#define ASKED_MAX_US 5000000ull

/* A call that never ended, or wishes that nothing will make a call of. */
static bool batcher_forgot(const struct batcher *batcher, uint64_t now_us)
{
	list_for_each (node, &batcher->calls) {
		const struct batch_call *call = list_entry(node, struct batch_call, node);

		if (now_us - call->started_us > CALL_MAX_US)
			return true;
	}
	return batcher->waiting_count > 0 && batcher->call_count < batcher->max_calls &&
	       !clock_timer_is_set(&batcher->linger);
}

static bool attempt_is_overdue(const struct message *message, uint64_t now_us)
{
	uint64_t max_us = (uint64_t)message->lane->destination.attempt_max_ms * 1000;

	return now_us - message->attempt_us > max_us + ATTEMPT_SLACK_US;
}

/* Nobody is going to settle it. */
static bool is_unsettled(const struct message *message)
{
	if (message->settle.batcher || clock_timer_is_set(&message->retry))
		return false;
	return message->state != MESSAGE_BACKING_OFF || !message->extend.call;
}

static bool state_is_overdue(
	const struct delivery *delivery, enum message_state state, uint64_t now_us)
{
	list_for_each (node, &delivery->states[state]) {
		const struct message *message = list_entry(node, struct message, node);

		if (state == MESSAGE_SENDING ? attempt_is_overdue(message, now_us)
					     : is_unsettled(message))
			return true;
	}
	return false;
}

static bool lanes_are_overdue(const struct delivery *delivery)
{
	bool woken = false;

	for (size_t i = 0; i < delivery->lane_count; i++) {
		if (lane_is_forgotten(&delivery->lanes[i]))
			return true;
		woken |= clock_timer_is_set(&delivery->lanes[i].wake);
	}
	return delivery->held == 0 && !woken && receiver_is_forgotten(&delivery->receiver);
}

static bool is_overdue(const struct delivery *delivery, uint64_t now_us)
{
	const struct batcher *const batchers[] = {
		&delivery->deleter, &delivery->returner, &delivery->extender, &delivery->copier};

	/* A drain has an end of its own. */
	if (!delivery->started || delivery->drain != DRAIN_NO)
		return false;
	for (size_t i = 0; i < sizeof(batchers) / sizeof(batchers[0]); i++)
		if (batcher_forgot(batchers[i], now_us))
			return true;
	for (int state = MESSAGE_SENDING; state < MESSAGE_END_FIRST; state++)
		if (state_is_overdue(delivery, state, now_us))
			return true;
	/* Paused, it waits for the operator. */
	return !delivery->hold.control.paused && lanes_are_overdue(delivery);
}

uint64_t progress_look(struct delivery *delivery)
{
	struct progress *progress = &delivery->progress;
	uint64_t now_us = clock_monotonic_us(delivery->clock);

	if (now_us - progress->asked_us > ASKED_MAX_US || progress->moves != progress->moves_seen ||
		!is_overdue(delivery, now_us))
		progress->latest_us = now_us;
	progress->asked_us = now_us;
	progress->moves_seen = progress->moves;
	return progress->latest_us;
}
