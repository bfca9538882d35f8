/*
 * What control keeps from being started: everything while the queue is paused or control is in
 * doubt, the messages of a cancelled campaign, and what a rate has no token for (lane.c).
 *
 * Nothing here is written down anywhere: a process that dies and is started anew must be told
 * control before it starts, or it starts without.
 */
#include "delivery/core.h"

static void ask_fired(struct clock_timer *timer)
{
	struct delivery *delivery = list_entry(timer, struct delivery, hold.ask);

	delivery->options.wants_control(delivery->options.wants_control_arg);
}

void hold_init(struct delivery *delivery)
{
	delivery->hold.ask.fire = ask_fired;
}

bool hold_cancels(const struct message *message)
{
	const struct control *control = &message->delivery->hold.control;
	const struct queue_attribute *campaign;

	if (!control->cancelled[0])
		return false;
	campaign = message_attribute(message->queued, "Campaign");
	return campaign && control_cancels(control, campaign->value, campaign->value_bytes);
}

static void settle_doubt(struct delivery *delivery)
{
	delivery->hold.doubted = delivery->hold.asked = false;
	clock_timer_clear(delivery->clock, &delivery->hold.ask);
}

bool hold_keeps(struct delivery *delivery)
{
	struct hold *hold = &delivery->hold;

	if (hold->control.paused)
		return true;
	if (hold->doubted && !hold->asked) {
		hold->asked = true;
		/* Without memory to ask, better late news than no sends. */
		if (clock_timer_after(delivery->clock, &hold->ask, 0))
			settle_doubt(delivery);
	}
	return hold->doubted;
}

static void cancel_waiting(struct lane *lane)
{
	list_for_each_safe (node, &lane->waiting) {
		struct message *message = list_entry(node, struct message, node);

		if (hold_cancels(message))
			core_cancel(message);
	}
}

static void go_on(struct delivery *delivery)
{
	for (size_t i = 0; i < delivery->lane_count; i++)
		lane_pump(&delivery->lanes[i]);
	if (delivery->started)
		core_advance(delivery);
}

void delivery_set_control(struct delivery *delivery, const struct control *control)
{
	struct hold *hold = &delivery->hold;
	bool rate_changes = control->rate_count != hold->control.rate_count ||
			    control->rate_per_ms != hold->control.rate_per_ms;

	hold->known = true;
	hold->control = *control;
	settle_doubt(delivery);
	for (size_t i = 0; i < delivery->lane_count; i++) {
		struct lane *lane = &delivery->lanes[i];

		if (rate_changes)
			lane_set_rate(lane, control->rate_count, control->rate_per_ms);
		cancel_waiting(lane);
		if (control->paused)
			lane_release(lane);
	}
	go_on(delivery);
}

const struct control *delivery_control(const struct delivery *delivery)
{
	return delivery->hold.known ? &delivery->hold.control : NULL;
}

void delivery_doubt_control(struct delivery *delivery)
{
	if (!delivery->options.wants_control || delivery->hold.doubted)
		return;
	delivery->hold.doubted = true;
}

void delivery_trust_control(struct delivery *delivery)
{
	settle_doubt(delivery);
	go_on(delivery);
}
