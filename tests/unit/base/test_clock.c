#include "base/loop_clock.h"
#include "base/manual_clock.h"
#include "base/random.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define WALL INT64_C(1795392000000) /* 2026-11-23T00:00:00Z */

/* A timer that counts, and may do something more when it fires. */
struct probe {
	struct clock_timer timer;
	struct clock clock;
	int fired;
	uint64_t fired_us;
	uint64_t again_us; /* set itself again, so many microseconds later */
	int again;
	struct clock_timer *victim; /* cleared */
	bool set_when_fired;
};

static void on_fire(struct clock_timer *timer)
{
	struct probe *probe =
		(struct probe *)(void *)((char *)timer - offsetof(struct probe, timer));

	probe->set_when_fired = clock_timer_is_set(timer);
	probe->fired++;
	probe->fired_us = clock_monotonic_us(probe->clock);
	if (probe->again > 0) {
		probe->again--;
		assert_int_equal(clock_timer_after(probe->clock, timer, probe->again_us), 0);
	}
	if (probe->victim)
		clock_timer_clear(probe->clock, probe->victim);
}

static struct probe probe_on(struct clock clock)
{
	return (struct probe){.timer = {.fire = on_fire}, .clock = clock};
}

static void manual_time_moves_only_when_told(void **state)
{
	struct manual_clock manual;
	struct clock clock = manual_clock_table(&manual);

	manual_clock_init(&manual, 1, WALL);
	assert_int_equal(clock_monotonic_us(clock), 0);
	assert_int_equal(clock_wall_epoch_ms(clock), WALL);
	manual_clock_advance(&manual, 1999);
	assert_int_equal(clock_monotonic_us(clock), 1999);
	assert_int_equal(clock_wall_epoch_ms(clock), WALL + 1);
	manual_clock_advance(&manual, 1);
	assert_int_equal(clock_wall_epoch_ms(clock), WALL + 2);
	assert_false(manual_clock_step(&manual));
	assert_int_equal(clock_monotonic_us(clock), 2000);
	manual_clock_free(&manual);
}

static void manual_random_comes_from_the_seed(void **state)
{
	struct manual_clock a, b, c;

	manual_clock_init(&a, 7, WALL);
	manual_clock_init(&b, 7, 0);
	manual_clock_init(&c, 8, WALL);
	for (int i = 0; i < 100; i++) {
		uint64_t x = clock_random(manual_clock_table(&a));

		assert_true(x == clock_random(manual_clock_table(&b)));
		assert_true(x != clock_random(manual_clock_table(&c)));
	}
}

static void manual_fires_in_order(void **state)
{
	struct manual_clock manual;
	struct clock clock = manual_clock_table(&manual);
	struct probe a = probe_on(clock), b = a, c = a;

	manual_clock_init(&manual, 1, WALL);
	assert_int_equal(clock_timer_set(clock, &a.timer, 300), 0);
	assert_int_equal(clock_timer_set(clock, &b.timer, 100), 0);
	assert_int_equal(clock_timer_after(clock, &c.timer, 200), 0);
	assert_true(clock_timer_is_set(&a.timer));
	assert_true(manual_clock_step(&manual));
	assert_int_equal(b.fired_us, 100);
	assert_false(b.set_when_fired);
	assert_int_equal(a.fired + c.fired, 0);
	manual_clock_advance(&manual, 150);
	assert_int_equal(c.fired_us, 200);
	assert_int_equal(a.fired, 0);
	assert_int_equal(manual.now_us, 250);
	manual_clock_advance(&manual, 50);
	assert_int_equal(a.fired_us, 300);
	assert_int_equal(a.fired + b.fired + c.fired, 3);
	manual_clock_free(&manual);
}

static void manual_timers_move_and_clear(void **state)
{
	struct manual_clock manual;
	struct clock clock = manual_clock_table(&manual);
	struct probe a = probe_on(clock), b = a;

	manual_clock_init(&manual, 1, WALL);
	clock_timer_clear(clock, &a.timer);
	clock_timer_set(clock, &a.timer, 100);
	clock_timer_set(clock, &a.timer, 500);
	clock_timer_set(clock, &b.timer, 600);
	manual_clock_advance(&manual, 400);
	assert_int_equal(a.fired, 0);
	clock_timer_set(clock, &b.timer, 450);
	clock_timer_clear(clock, &a.timer);
	assert_false(clock_timer_is_set(&a.timer));
	manual_clock_advance(&manual, 1000);
	assert_int_equal(a.fired, 0);
	assert_int_equal(b.fired_us, 450);
	/* The past is due at once, and time does not go back for it. */
	clock_timer_set(clock, &a.timer, 1);
	assert_true(manual_clock_step(&manual));
	assert_int_equal(a.fired_us, 1400);
	clock_timer_set(clock, &a.timer, 5000);
	manual_clock_free(&manual);
	assert_false(clock_timer_is_set(&a.timer));
}

static void manual_callbacks_may_set_and_clear(void **state)
{
	struct manual_clock manual;
	struct clock clock = manual_clock_table(&manual);
	struct probe a = probe_on(clock), b = a;

	manual_clock_init(&manual, 1, WALL);
	a.again = 4;
	a.again_us = 10;
	a.victim = &b.timer;
	clock_timer_set(clock, &a.timer, 10);
	clock_timer_set(clock, &b.timer, 11);
	manual_clock_advance(&manual, 1000);
	assert_int_equal(a.fired, 5);
	assert_int_equal(a.fired_us, 50);
	assert_int_equal(b.fired, 0);
	manual_clock_free(&manual);
}

#define MANY 500

/* Against the obvious model: an array of due times. */
static void heap_agrees_with_a_model(void **state)
{
	struct timer_heap heap = {0};
	struct clock_timer timers[MANY] = {0};
	struct random random;

	random_seed(&random, 20261123);
	for (int round = 0; round < 20000; round++) {
		struct clock_timer *timer = &timers[random_below(random_next(&random), MANY)];
		uint64_t least = UINT64_MAX;
		size_t count = 0;

		if (random_next(&random) % 3)
			assert_int_equal(timer_heap_set(&heap, timer,
						 random_below(random_next(&random), 1000)),
				0);
		else
			timer_heap_clear(&heap, timer);
		for (size_t i = 0; i < MANY; i++) {
			if (!clock_timer_is_set(&timers[i]))
				continue;
			assert_ptr_equal(heap.entries[timers[i].slot].timer, &timers[i]);
			count++;
			if (timers[i].due_us < least)
				least = timers[i].due_us;
		}
		assert_int_equal(heap.count, count);
		assert_int_equal(
			timer_heap_first(&heap) ? timer_heap_first(&heap)->due_us : UINT64_MAX,
			least);
	}
	for (uint64_t last = 0; timer_heap_first(&heap);) {
		struct clock_timer *first = timer_heap_first(&heap);

		assert_true(first->due_us >= last);
		last = first->due_us;
		timer_heap_clear(&heap, first);
	}
	timer_heap_free(&heap);
}

static void loop_time_is_real(void **state)
{
	struct loop_clock *real;
	struct clock clock;
	uv_loop_t loop;
	uint64_t last;
	int64_t before, wall, after;

	assert_int_equal(uv_loop_init(&loop), 0);
	assert_int_equal(loop_clock_new(&loop, &real), 0);
	clock = loop_clock_table(real);
	last = clock_monotonic_us(clock);
	for (int i = 0; i < 1000; i++) {
		uint64_t now = clock_monotonic_us(clock);

		assert_true(now >= last);
		last = now;
	}
	before = time(NULL);
	wall = clock_wall_epoch_ms(clock);
	after = time(NULL);
	assert_in_range(wall / 1000, before - 1, after + 1);
	assert_true(clock_random(clock) != clock_random(clock));
	loop_clock_close(real);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* Never before its time, and the loop ends when the last one has fired. */
static void loop_timers_fire(void **state)
{
	enum { TIMERS = 40 };
	struct probe probes[TIMERS], cleared;
	struct loop_clock *real;
	struct clock clock;
	uint64_t start, due[TIMERS];
	uv_loop_t loop;

	uv_loop_init(&loop);
	assert_int_equal(loop_clock_new(&loop, &real), 0);
	clock = loop_clock_table(real);
	start = clock_monotonic_us(clock);
	for (int i = 0; i < TIMERS; i++) {
		probes[i] = probe_on(clock);
		due[i] = start + (uint64_t)(i * 7919 % TIMERS) * 250;
		assert_int_equal(clock_timer_set(clock, &probes[i].timer, due[i]), 0);
		assert_int_equal(probes[i].fired, 0);
	}
	cleared = probe_on(clock);
	clock_timer_set(clock, &cleared.timer, start + 1000000000);
	clock_timer_clear(clock, &cleared.timer);
	assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
	for (int i = 0; i < TIMERS; i++) {
		assert_int_equal(probes[i].fired, 1);
		assert_false(probes[i].set_when_fired);
		assert_true(probes[i].fired_us >= due[i]);
	}
	assert_int_equal(cleared.fired, 0);
	loop_clock_close(real);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

/* The handle waits for the far one when the near one is set. */
static void loop_timer_may_come_before_the_others(void **state)
{
	struct loop_clock *real;
	struct probe near, far;
	struct clock clock;
	uv_loop_t loop;

	uv_loop_init(&loop);
	assert_int_equal(loop_clock_new(&loop, &real), 0);
	clock = loop_clock_table(real);
	near = far = probe_on(clock);
	near.victim = &far.timer;
	clock_timer_after(clock, &far.timer, UINT64_C(3600000000));
	clock_timer_after(clock, &near.timer, 1000);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(near.fired, 1);
	assert_int_equal(far.fired, 0);
	loop_clock_close(real);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static int turns;

static void on_turn(uv_prepare_t *prepare)
{
	turns++;
}

/* A timer that always sets itself for now must leave the loop its turns, or I/O starves. */
static void loop_timer_set_for_now_waits_for_the_next_turn(void **state)
{
	struct loop_clock *real;
	uv_prepare_t prepare;
	struct probe probe;
	struct clock clock;
	uv_loop_t loop;

	uv_loop_init(&loop);
	assert_int_equal(loop_clock_new(&loop, &real), 0);
	clock = loop_clock_table(real);
	uv_prepare_init(&loop, &prepare);
	uv_prepare_start(&prepare, on_turn);
	uv_unref((uv_handle_t *)&prepare);
	probe = probe_on(clock);
	probe.again = 20;
	turns = 0;
	clock_timer_set(clock, &probe.timer, 0);
	assert_int_equal(probe.fired, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(probe.fired, 21);
	assert_true(turns >= 20);
	uv_close((uv_handle_t *)&prepare, NULL);
	loop_clock_close(real);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

static void on_fire_close(struct clock_timer *timer)
{
	loop_clock_close(timer->due_us ? ((struct probe *)(void *)timer)->clock.impl : NULL);
}

static void loop_clock_may_be_closed_by_a_timer(void **state)
{
	struct loop_clock *real;
	struct probe closer, never;
	struct clock clock;
	uv_loop_t loop;

	uv_loop_init(&loop);
	assert_int_equal(loop_clock_new(&loop, &real), 0);
	clock = loop_clock_table(real);
	closer = never = probe_on(clock);
	closer.timer.fire = on_fire_close;
	clock_timer_set(clock, &closer.timer, 1);
	clock_timer_set(clock, &never.timer, 2);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(never.fired, 0);
	assert_false(clock_timer_is_set(&never.timer));
	assert_int_equal(uv_loop_close(&loop), 0);
	loop_clock_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(manual_time_moves_only_when_told),
		cmocka_unit_test(manual_random_comes_from_the_seed),
		cmocka_unit_test(manual_fires_in_order),
		cmocka_unit_test(manual_timers_move_and_clear),
		cmocka_unit_test(manual_callbacks_may_set_and_clear),
		cmocka_unit_test(heap_agrees_with_a_model),
		cmocka_unit_test(loop_time_is_real),
		cmocka_unit_test(loop_timers_fire),
		cmocka_unit_test(loop_timer_may_come_before_the_others),
		cmocka_unit_test(loop_timer_set_for_now_waits_for_the_next_turn),
		cmocka_unit_test(loop_clock_may_be_closed_by_a_timer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
