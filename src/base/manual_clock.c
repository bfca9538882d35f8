#include "base/manual_clock.h"

#include "base/random.h"

static uint64_t monotonic_us(void *impl)
{
	return ((struct manual_clock *)impl)->now_us;
}

static int64_t wall_epoch_ms(void *impl)
{
	struct manual_clock *clock = impl;

	return clock->wall_epoch_ms + (int64_t)(clock->now_us / 1000);
}

static uint64_t next_random(void *impl)
{
	return random_split_mix(&((struct manual_clock *)impl)->random_state);
}

static int timer_set(void *impl, struct clock_timer *timer, uint64_t due_us)
{
	return timer_heap_set(&((struct manual_clock *)impl)->heap, timer, due_us);
}

static void timer_clear(void *impl, struct clock_timer *timer)
{
	timer_heap_clear(&((struct manual_clock *)impl)->heap, timer);
}

static const struct clock_ops ops = {
	.monotonic_us = monotonic_us,
	.wall_epoch_ms = wall_epoch_ms,
	.random = next_random,
	.timer_set = timer_set,
	.timer_clear = timer_clear,
};

void manual_clock_init(struct manual_clock *clock, uint64_t seed, int64_t wall_epoch_ms_at_0)
{
	*clock = (struct manual_clock){
		.wall_epoch_ms = wall_epoch_ms_at_0,
		.random_state = seed,
	};
}

void manual_clock_free(struct manual_clock *clock)
{
	timer_heap_free(&clock->heap);
}

struct clock manual_clock_table(struct manual_clock *clock)
{
	return (struct clock){.ops = &ops, .impl = clock};
}

bool manual_clock_step(struct manual_clock *clock)
{
	struct clock_timer *timer = timer_heap_first(&clock->heap);

	if (!timer)
		return false;
	if (timer->due_us > clock->now_us)
		clock->now_us = timer->due_us;
	timer_heap_clear(&clock->heap, timer);
	timer->fire(timer);
	return true;
}

void manual_clock_advance(struct manual_clock *clock, uint64_t delta_us)
{
	uint64_t end_us = clock->now_us + delta_us;
	const struct clock_timer *timer;

	while ((timer = timer_heap_first(&clock->heap)) && timer->due_us <= end_us)
		manual_clock_step(clock);
	clock->now_us = end_us;
}
