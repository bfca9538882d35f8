/* A countdown against a clock that steps. */
#include "campaign/countdown.h"

#include "base/manual_clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define START INT64_C(1795734000000)

struct world {
	struct manual_clock manual;
	struct countdown countdown;
	unsigned ticks, due;
	int64_t left_ms, jumped_ms, late_ms;
	uint64_t due_us;
};

static void on_tick(void *arg, int64_t left_ms, int64_t jumped_ms)
{
	struct world *world = arg;

	assert_int_equal(world->due, 0);
	assert_true(left_ms > 0);
	world->ticks++;
	world->left_ms = left_ms;
	world->jumped_ms += jumped_ms;
}

static void on_due(void *arg, int64_t late_ms)
{
	struct world *world = arg;

	world->due++;
	world->late_ms = late_ms;
	world->due_us = world->manual.now_us;
}

static void begin(struct world *world, int64_t in_ms)
{
	const struct countdown_events events = {on_tick, on_due, world};

	memset(world, 0, sizeof(*world));
	manual_clock_init(&world->manual, 1, START);
	assert_int_equal(countdown_start(&world->countdown, manual_clock_table(&world->manual),
				 START + in_ms, &events),
		0);
	assert_int_equal(world->ticks + world->due, 0);
}

static void end(struct world *world)
{
	assert_false(manual_clock_step(&world->manual));
	manual_clock_free(&world->manual);
}

static void due_at_the_instant(void **state)
{
	static const struct {
		int64_t in_ms;
		unsigned ticks;
		uint64_t due_us;
		int64_t late_ms;
	} rows[] = {{2500, 2, 2500000, 0}, {1000, 0, 1000000, 0}, {1001, 1, 1001000, 0},
		{1, 0, 1000, 0}, {0, 0, 0, 0}, {-5, 0, 0, 5}, {3600000, 3599, 3600000000u, 0}};
	struct world world;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		begin(&world, rows[i].in_ms);
		while (manual_clock_step(&world.manual))
			;
		assert_int_equal(world.due, 1);
		assert_int_equal(world.ticks, rows[i].ticks);
		assert_int_equal(world.due_us, rows[i].due_us);
		assert_int_equal(world.late_ms, rows[i].late_ms);
		assert_int_equal(world.jumped_ms, 0);
		end(&world);
	}
}

static void a_clock_put_back_waits_longer(void **state)
{
	struct world world;

	begin(&world, 10000);
	manual_clock_advance(&world.manual, 5000000);
	world.manual.wall_epoch_ms -= 60000;
	manual_clock_advance(&world.manual, 64999999);
	assert_int_equal(world.due, 0);
	assert_int_equal(world.jumped_ms, -60000);
	manual_clock_advance(&world.manual, 1);
	assert_int_equal(world.due, 1);
	assert_int_equal(world.late_ms, 0);
	end(&world);
}

/* Put forward, or the machine slept, which the monotonic clock does not count. */
static void a_clock_put_forward_is_noticed_within_a_second(void **state)
{
	struct world world;

	begin(&world, 3600000);
	manual_clock_advance(&world.manual, 5500000);
	world.manual.wall_epoch_ms += 1800000;
	manual_clock_advance(&world.manual, 1000000);
	assert_int_equal(world.jumped_ms, 1800000);
	assert_int_equal(world.left_ms, 3600000 - 1800000 - 6000);
	world.manual.wall_epoch_ms += 7200000;
	manual_clock_advance(&world.manual, 1000000);
	assert_int_equal(world.due, 1);
	assert_int_equal(world.late_ms, 1800000 + 7200000 + 7000 - 3600000);
	end(&world);
}

static void small_corrections_are_no_steps(void **state)
{
	struct world world;

	begin(&world, 10000);
	world.manual.wall_epoch_ms += COUNTDOWN_STEP_MS - 1;
	manual_clock_advance(&world.manual, 1000000);
	assert_int_equal(world.jumped_ms, 0);
	world.manual.wall_epoch_ms -= COUNTDOWN_STEP_MS;
	manual_clock_advance(&world.manual, 1000000);
	assert_int_equal(world.jumped_ms, -COUNTDOWN_STEP_MS);
	manual_clock_advance(&world.manual, 8001000);
	assert_int_equal(world.due, 1);
	end(&world);
}

static void stopped_it_is_silent(void **state)
{
	struct countdown zeroed = {0};
	struct world world;

	countdown_stop(&zeroed);
	begin(&world, 5000);
	manual_clock_advance(&world.manual, 1000000);
	countdown_stop(&world.countdown);
	manual_clock_advance(&world.manual, 10000000);
	assert_int_equal(world.ticks, 1);
	assert_int_equal(world.due, 0);
	end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(due_at_the_instant),
		cmocka_unit_test(a_clock_put_back_waits_longer),
		cmocka_unit_test(a_clock_put_forward_is_noticed_within_a_second),
		cmocka_unit_test(small_corrections_are_no_steps),
		cmocka_unit_test(stopped_it_is_silent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
