#include "base/loop_clock.h"

#include "base/random.h"
#include "base/timer_heap.h"
#include "bunshin/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

struct loop_clock {
	uv_loop_t *loop;
	uv_timer_t handle;
	struct timer_heap heap;
	struct random random;
	uint64_t armed_us; /* what the handle waits for; 0: it is stopped */
	bool firing;
};

static uint64_t monotonic_us(void *impl)
{
	return uv_hrtime() / 1000;
}

static int64_t wall_epoch_ms(void *impl)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t next_random(void *impl)
{
	return random_next(&((struct loop_clock *)impl)->random);
}

static void on_timer(uv_timer_t *handle);

/* Makes the handle wait for the first timer; never earlier than `least_ms` from now. */
static void arm(struct loop_clock *clock, uint64_t least_ms)
{
	const struct clock_timer *first = timer_heap_first(&clock->heap);
	uint64_t loop_ms, due_ms, delay_ms;

	if (!first) {
		if (clock->armed_us)
			uv_timer_stop(&clock->handle);
		clock->armed_us = 0;
		return;
	}
	/* Waking too early is cheaper than moving the handle at every change. */
	if (clock->armed_us && clock->armed_us <= first->due_us)
		return;
	/*
	 * libuv counts a delay from the loop's time, which lags behind and is in milliseconds
	 * of the same clock as uv_hrtime. Rounded up, so that the timer is due when it wakes;
	 * what is due already must not wait for the millisecond to pass.
	 */
	loop_ms = uv_now(clock->loop);
	due_ms = first->due_us / 1000 + (first->due_us % 1000 != 0);
	delay_ms = due_ms > loop_ms && first->due_us > monotonic_us(clock) ? due_ms - loop_ms : 0;
	uv_timer_start(&clock->handle, on_timer, delay_ms > least_ms ? delay_ms : least_ms, 0);
	clock->armed_us = first->due_us ? first->due_us : 1;
}

static void on_timer(uv_timer_t *handle)
{
	struct loop_clock *clock = handle->data;
	uint64_t now_us = monotonic_us(clock);
	struct clock_timer *timer;

	clock->armed_us = 0;
	clock->firing = true;
	while ((timer = timer_heap_first(&clock->heap)) && timer->due_us <= now_us) {
		timer_heap_clear(&clock->heap, timer);
		timer->fire(timer);
		/* A callback may close the clock: then the heap is empty and stays so. */
	}
	clock->firing = false;
	/* At least 1 ms: with 0, libuv would call again before it polls for I/O. */
	if (!uv_is_closing((uv_handle_t *)handle))
		arm(clock, 1);
}

static int timer_set(void *impl, struct clock_timer *timer, uint64_t due_us)
{
	struct loop_clock *clock = impl;
	int err;

	/* A callback that sets a timer for the past must not make on_timer spin. */
	if (clock->firing && due_us <= monotonic_us(clock))
		due_us = monotonic_us(clock) + 1;
	err = timer_heap_set(&clock->heap, timer, due_us);
	if (!err && !clock->firing)
		arm(clock, 0);
	return err;
}

static void timer_clear(void *impl, struct clock_timer *timer)
{
	struct loop_clock *clock = impl;

	timer_heap_clear(&clock->heap, timer);
	/* Only the last one stops the handle, or the loop would be kept alive for nothing. */
	if (!clock->firing && clock->heap.count == 0)
		arm(clock, 0);
}

static const struct clock_ops ops = {
	.monotonic_us = monotonic_us,
	.wall_epoch_ms = wall_epoch_ms,
	.random = next_random,
	.timer_set = timer_set,
	.timer_clear = timer_clear,
};

int loop_clock_new(uv_loop_t *loop, struct loop_clock **ret_clock)
{
	struct loop_clock *clock = calloc(1, sizeof(*clock));
	uint64_t seed;

	if (!clock)
		return ERR_NOMEM;
	if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
		free(clock);
		return ERR_IO;
	}
	random_seed(&clock->random, seed);
	clock->loop = loop;
	uv_timer_init(loop, &clock->handle);
	clock->handle.data = clock;
	*ret_clock = clock;
	return 0;
}

struct clock loop_clock_table(struct loop_clock *clock)
{
	return (struct clock){.ops = &ops, .impl = clock};
}

static void on_close(uv_handle_t *handle)
{
	free(handle->data);
}

void loop_clock_close(struct loop_clock *clock)
{
	if (!clock)
		return;
	timer_heap_free(&clock->heap);
	uv_close((uv_handle_t *)&clock->handle, on_close);
}
