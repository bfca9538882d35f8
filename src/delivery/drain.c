/*
 * The clean stop. Polls first: on a busy queue they answer at once and what they bring goes
 * back; those that do not answer are idle and can be given up. Then the attempts, then the calls
 * that settle them.
 */
#include "delivery/core.h"

#define POLLS_MAX_US 1000000ull
#define SETTLE_MAX_US 2000000ull

static uint64_t at_most(uint64_t value, uint64_t limit)
{
	return value < limit ? value : limit;
}

static void enter(struct delivery *delivery, enum drain_phase phase)
{
	uint64_t grace_us = (uint64_t)delivery->options.grace_ms * 1000;
	uint64_t end_us = delivery->drain_end_us;

	delivery->drain = phase;
	switch (phase) {
	case DRAIN_POLLS:
		end_us = clock_monotonic_us(delivery->clock) + at_most(grace_us / 4, POLLS_MAX_US);
		break;
	case DRAIN_ATTEMPTS:
		receiver_cancel(&delivery->receiver);
		end_us -= at_most(grace_us / 4, SETTLE_MAX_US);
		break;
	case DRAIN_SETTLE:
		for (size_t i = 0; i < delivery->lane_count; i++)
			lane_abandon(&delivery->lanes[i]);
		break;
	case DRAIN_NO:
	case DRAIN_OVER:
	default:
		return;
	}
	if (clock_timer_set(delivery->clock, &delivery->drain_timer, end_us) == 0)
		return;
	/* Short of memory, a phase ends at once rather than never. */
	if (phase < DRAIN_SETTLE)
		enter(delivery, phase + 1);
	else
		clock_timer_after(delivery->clock, &delivery->drain_over, 0);
}

/* From the loop only. */
static void finish(struct delivery *delivery)
{
	delivery->drain = DRAIN_OVER;
	clock_timer_clear(delivery->clock, &delivery->drain_timer);
	clock_timer_clear(delivery->clock, &delivery->drain_over);
	delivery->drain_done(delivery->drain_arg, delivery->held);
}

static bool is_settled(const struct delivery *delivery)
{
	return delivery->held == 0 && delivery->receiver.poll_count == 0;
}

static void phase_ended(struct clock_timer *timer)
{
	struct delivery *delivery = list_entry(timer, struct delivery, drain_timer);

	if (delivery->drain == DRAIN_SETTLE || is_settled(delivery)) {
		finish(delivery);
		return;
	}
	enter(delivery, delivery->drain + 1);
	drain_advance(delivery);
}

static void over_fired(struct clock_timer *timer)
{
	finish(list_entry(timer, struct delivery, drain_over));
}

void drain_init(struct delivery *delivery)
{
	delivery->drain_timer.fire = phase_ended;
	delivery->drain_over.fire = over_fired;
}

/* True: what remains is to tell, for which there is no timer. */
static bool arm_over(struct delivery *delivery)
{
	if (delivery->drain == DRAIN_NO || delivery->drain == DRAIN_OVER || !is_settled(delivery) ||
		clock_timer_is_set(&delivery->drain_over))
		return false;
	return clock_timer_after(delivery->clock, &delivery->drain_over, 0) != 0;
}

void drain_advance(struct delivery *delivery)
{
	if (arm_over(delivery))
		finish(delivery);
}

void delivery_drain(struct delivery *delivery, void (*done)(void *arg, size_t held), void *arg)
{
	if (delivery->drain != DRAIN_NO)
		return;
	delivery->drain_done = done;
	delivery->drain_arg = arg;
	delivery->drain_end_us =
		clock_monotonic_us(delivery->clock) + (uint64_t)delivery->options.grace_ms * 1000;
	receiver_stop(&delivery->receiver);
	inflight_stop(&delivery->inflight);
	enter(delivery, DRAIN_POLLS);
	for (size_t i = 0; i < delivery->lane_count; i++)
		lane_release(&delivery->lanes[i]);
	/* Without memory for it the end of the phase will do, and without that there is only now.
	 */
	if (arm_over(delivery) && !clock_timer_is_set(&delivery->drain_timer))
		finish(delivery);
}
