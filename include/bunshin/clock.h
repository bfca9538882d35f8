/*
 * The clock table: time, randomness and timers, injected everywhere.
 *
 * The real one runs on libuv (base/loop_clock.h); tests and the simulator have one in virtual
 * time (base/manual_clock.h). Nothing in the delivery core reads time any other way.
 */
#ifndef BUNSHIN_CLOCK_H
#define BUNSHIN_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/*
 * A one-shot timer. The owner embeds it, zeroed, and keeps it alive while it is set. Callbacks
 * run from the loop, never from inside timer_set or timer_clear.
 */
struct clock_timer {
	uint64_t due_us;			 /* monotonic; meaningful while set */
	void (*fire)(struct clock_timer *timer); /* the timer is already clear when this runs */
	size_t slot;				 /* 1-based place in the heap; 0: not set */
};

struct clock_ops {
	/* Microseconds since an arbitrary start; never goes back. */
	uint64_t (*monotonic_us)(void *impl);
	/* Milliseconds since 1970-01-01 UTC; may jump. */
	int64_t (*wall_epoch_ms)(void *impl);
	/* 64 uniformly random bits. */
	uint64_t (*random)(void *impl);
	/*
	 * Arms a timer for a monotonic instant (past: next turn of the loop); a set timer is
	 * moved. `fire` must be filled in. Returns 0 or ERR_NOMEM, the timer then being clear.
	 */
	int (*timer_set)(void *impl, struct clock_timer *timer, uint64_t due_us);
	/* Disarms; harmless on a clear timer. `fire` is not called afterwards. */
	void (*timer_clear)(void *impl, struct clock_timer *timer);
};

/* A value type: copy it freely. `impl` outlives every copy. */
struct clock {
	const struct clock_ops *ops;
	void *impl;
};

static inline uint64_t clock_monotonic_us(struct clock clock)
{
	return clock.ops->monotonic_us(clock.impl);
}

static inline int64_t clock_wall_epoch_ms(struct clock clock)
{
	return clock.ops->wall_epoch_ms(clock.impl);
}

static inline uint64_t clock_random(struct clock clock)
{
	return clock.ops->random(clock.impl);
}

static inline int clock_timer_set(struct clock clock, struct clock_timer *timer, uint64_t due_us)
{
	return clock.ops->timer_set(clock.impl, timer, due_us);
}

static inline int clock_timer_after(
	struct clock clock, struct clock_timer *timer, uint64_t delay_us)
{
	return clock_timer_set(clock, timer, clock_monotonic_us(clock) + delay_us);
}

static inline void clock_timer_clear(struct clock clock, struct clock_timer *timer)
{
	clock.ops->timer_clear(clock.impl, timer);
}

static inline int clock_timer_is_set(const struct clock_timer *timer)
{
	return timer->slot != 0;
}

#endif
