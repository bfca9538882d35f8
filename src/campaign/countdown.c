#include "campaign/countdown.h"

#include "base/list.h"

#include <assert.h>

#define TICK_US ((uint64_t)1000000)

/* How far the wall clock went off from the monotonic one since the last tick; takes note of both.
 */
static int64_t take_step(struct countdown *countdown)
{
	int64_t wall_epoch_ms = clock_wall_epoch_ms(countdown->clock);
	uint64_t monotonic_us = clock_monotonic_us(countdown->clock);
	int64_t passed_ms = (int64_t)((monotonic_us - countdown->monotonic_us) / 1000);
	int64_t step_ms = wall_epoch_ms - countdown->wall_epoch_ms - passed_ms;

	countdown->wall_epoch_ms = wall_epoch_ms;
	countdown->monotonic_us = monotonic_us;
	return step_ms >= COUNTDOWN_STEP_MS || step_ms <= -COUNTDOWN_STEP_MS ? step_ms : 0;
}

static int arm(struct countdown *countdown)
{
	int64_t left_ms = countdown->until_epoch_ms - countdown->wall_epoch_ms;
	uint64_t left_us = left_ms > 0 ? (uint64_t)left_ms * 1000 : 0;

	return clock_timer_after(
		countdown->clock, &countdown->timer, left_us < TICK_US ? left_us : TICK_US);
}

static void fire(struct clock_timer *timer)
{
	struct countdown *countdown = list_entry(timer, struct countdown, timer);
	int64_t step_ms = take_step(countdown);
	int64_t left_ms = countdown->until_epoch_ms - countdown->wall_epoch_ms;

	int err;

	if (left_ms <= 0) {
		countdown->events.due(countdown->events.arg, -left_ms);
		return;
	}
	err = arm(countdown); /* in the place that this timer has just left */
	assert(err == 0);
	(void)err;
	countdown->events.tick(countdown->events.arg, left_ms, step_ms);
}

int countdown_start(struct countdown *countdown, struct clock clock, int64_t until_epoch_ms,
	const struct countdown_events *events)
{
	*countdown = (struct countdown){
		.clock = clock,
		.events = *events,
		.until_epoch_ms = until_epoch_ms,
		.timer.fire = fire,
		.wall_epoch_ms = clock_wall_epoch_ms(clock),
		.monotonic_us = clock_monotonic_us(clock),
	};
	return arm(countdown);
}

void countdown_stop(struct countdown *countdown)
{
	if (countdown->timer.fire)
		clock_timer_clear(countdown->clock, &countdown->timer);
}
