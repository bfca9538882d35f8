/*
 * The fleet under whatever comes: deaths, freezes, reloads, failing forks, growth, in any order, by
 * seed. What must hold in every instant is asserted by the world (a place has one process, a pid
 * that was reaped is never signalled, a generation is unloaded once and when nobody is left) and
 * here.
 */
#include "fleet_world.h"

#include "base/random.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define SEEDS 400
#define STEPS 300
#define PLACES 20

static struct fleet_world world;
static uint64_t seed;

static uint64_t draw(uint64_t below)
{
	return random_split_mix(&seed) % below;
}

static const struct supervisor_plan base = {
	.min = 2, .max = 5, .stall_ms = 20000, .grace_ms = 5000, .has_monitor = true};

static int any_alive(void)
{
	unsigned from = (unsigned)draw(world.process_count);

	for (unsigned i = 0; i < world.process_count; i++) {
		unsigned at = (from + i) % world.process_count;

		if (world.processes[at].alive)
			return (int)at + 1;
	}
	return 0;
}

static void let_some_begin(void)
{
	for (unsigned i = 0; i < world.process_count; i++)
		if (world.processes[i].alive && draw(2) == 0)
			world.processes[i].report.begun = true;
}

static void let_some_obey(void)
{
	for (unsigned i = 0; i < world.process_count; i++) {
		const struct fleet_process *process = &world.processes[i];

		if (!process->alive || draw(2) == 0)
			continue;
		if (process->killed)
			world_end(&world, (int)i + 1, SIGNALLED(SIGKILL));
		else if (process->terms > 0)
			world_end(&world, (int)i + 1, EXITED(0));
	}
}

static void work(void)
{
	for (unsigned i = 0; i < world.process_count; i++) {
		world.processes[i].report.slots = 10;
		world.processes[i].report.busy = draw(11);
	}
	world.backlog = (int64_t)draw(3) - 1;
}

static void try_reload(unsigned *generation)
{
	struct supervisor_plan plan = base;

	plan.min = 1 + (unsigned)draw(3);
	plan.max = plan.min + (unsigned)draw(3);
	if (*generation < 60 && fleet_can_reload(world.fleet, plan.min))
		fleet_reload(world.fleet, ++*generation, &plan);
}

static void one_step(unsigned *generation)
{
	switch (draw(9)) {
	case 0:
		if (any_alive())
			world_end(&world, any_alive(), SIGNALLED(SIGKILL));
		break;
	case 1:
		if (any_alive() && world.events[SUPERVISOR_RELOADED] + draw(2) > 0)
			world_end(&world, any_alive(), EXITED((int)draw(3)));
		break;
	case 2:
		try_reload(generation);
		break;
	case 3:
		world.forks_fail = draw(4) == 0;
		break;
	case 4:
		world.lively = draw(4) != 0;
		break;
	case 5:
		world.random = random_split_mix(&seed);
		break;
	case 6:
		work();
		break;
	case 7:
		let_some_obey();
		break;
	default:
		let_some_begin();
		break;
	}
	if (world.process_count < WORLD_PROCESSES - 100)
		world_run(&world, draw(3 * SECOND));
}

/* Left in peace, there are as many as there should be, all of one generation, and one monitor. */
static void settle(void)
{
	struct fleet_status status;

	world.forks_fail = false;
	world.lively = true;
	world.random = 0;
	for (unsigned i = 0; i < 20; i++) {
		world_obey(&world);
		world_begin(&world);
		world_run(&world, 2 * SECOND);
	}
	fleet_get_status(world.fleet, &status);
	assert_int_equal(status.running, status.wanted);
	assert_int_equal(status.starting + status.stopping + status.waiting, 0);
	assert_int_not_equal(world_monitor(&world), 0);
}

static void stop_all(void)
{
	int code;

	fleet_stop(world.fleet, 1 + (unsigned)draw(2), world.now_us);
	world_run(&world, 15 * SECOND);
	for (unsigned i = 0; i < 3 && !fleet_is_over(world.fleet, &code); i++) {
		world_obey(&world);
		world_run(&world, 21 * SECOND);
	}
	assert_true(fleet_is_over(world.fleet, &code));
	for (unsigned i = 0; i < world.process_count; i++)
		assert_false(world.processes[i].alive);
}

static void run_seed(uint64_t number)
{
	unsigned generation = 0;
	bool over = false;
	int code;

	seed = number;
	world_open(&world, PLACES, &base, false);
	world_run(&world, SECOND);
	for (unsigned i = 0; i < STEPS && !over; i++) {
		one_step(&generation);
		/* A start that can never work is an end of its own. */
		over = fleet_is_over(world.fleet, &code) || world.process_count > 3500;
	}
	if (!fleet_is_over(world.fleet, &code) && world.process_count <= 3500) {
		fleet_step(world.fleet, world.now_us);
		settle();
	}
	if (!fleet_is_over(world.fleet, &code))
		stop_all();
	world_close(&world);
}

static void whatever_comes(void **state)
{
	for (uint64_t number = 1; number <= SEEDS; number++) {
		print_message("seed %llu\n", (unsigned long long)number);
		run_seed(number);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_comes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
