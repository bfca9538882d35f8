#include "fleet_world.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct fleet_process *process_of(struct fleet_world *world, int pid)
{
	assert_true(pid >= 1 && (unsigned)pid <= world->process_count);
	return &world->processes[pid - 1];
}

static pid_t add(struct fleet_world *world, const struct fleet_process *process)
{
	if (world->forks_fail)
		return -EAGAIN;
	assert_true(world->process_count < WORLD_PROCESSES);
	world->processes[world->process_count] = *process;
	return (pid_t)++world->process_count;
}

static pid_t start(void *arg, unsigned place, unsigned number, unsigned generation)
{
	struct fleet_world *world = arg;
	const struct fleet_process process = {
		.alive = true, .place = place, .number = number, .generation = generation};
	pid_t pid;

	assert_int_equal(world->occupant[place], 0);
	assert_int_equal(world->unloaded[generation], 0);
	pid = add(world, &process);
	if (pid > 0)
		world->occupant[place] = pid;
	return pid;
}

static pid_t start_monitor(void *arg, unsigned generation)
{
	struct fleet_world *world = arg;
	const struct fleet_process process = {
		.alive = true, .is_monitor = true, .generation = generation};

	assert_int_equal(world_monitor(world), 0);
	assert_int_equal(world->unloaded[generation], 0);
	return add(world, &process);
}

static void send_signal(void *arg, pid_t pid, int number)
{
	struct fleet_process *process = process_of(arg, pid);

	/* A pid that was reaped may be anybody's. */
	assert_true(process->alive);
	if (number == SIGTERM)
		process->terms++;
	else
		process->killed = true;
}

static void observe(void *arg, unsigned place, struct board_report *ret_report)
{
	struct fleet_world *world = arg;
	struct fleet_process *process;

	*ret_report = (struct board_report){.held = 0};
	if (world->occupant[place] == 0)
		return;
	process = process_of(world, world->occupant[place]);
	if (world->lively)
		process->report.heartbeat_us = process->report.progress_us = world->now_us;
	*ret_report = process->report;
}

static int64_t backlog(void *arg)
{
	const struct fleet_world *world = arg;

	return world->backlog;
}

static void clear(void *arg, unsigned place)
{
	struct fleet_world *world = arg;

	world->cleared[place]++;
}

static void seat(void *arg, unsigned place, const struct board_seat *seat)
{
	assert_true(place < WORLD_PLACES);
}

static void unload(void *arg, unsigned generation)
{
	struct fleet_world *world = arg;

	assert_int_equal(world_alive(world, generation), 0);
	assert_int_equal(world->unloaded[generation], 0);
	world->unloaded[generation]++;
}

static void event(void *arg, const struct supervisor_event *event)
{
	struct fleet_world *world = arg;

	world->events[event->kind]++;
	world->last = *event;
}

static uint64_t draw(void *arg)
{
	const struct fleet_world *world = arg;

	return world->random;
}

void world_open(struct fleet_world *world, unsigned places, const struct supervisor_plan *plan,
	bool until_done)
{
	struct fleet_options options = {
		.places = places, .plan = *plan, .until_done = until_done, .ops = &world->ops};

	memset(world, 0, sizeof(*world));
	world->ops = (struct fleet_ops){.start = start,
		.start_monitor = start_monitor,
		.signal = send_signal,
		.observe = observe,
		.backlog = backlog,
		.clear = clear,
		.seat = seat,
		.unload = unload,
		.event = event,
		.random = draw,
		.arg = world};
	world->now_us = START_US;
	world->lively = true;
	world->fleet = fleet_new(&options);
	assert_non_null(world->fleet);
}

void world_close(struct fleet_world *world)
{
	fleet_free(world->fleet);
}

void world_run(struct fleet_world *world, uint64_t us)
{
	uint64_t end_us = world->now_us + us;

	for (;;) {
		uint64_t next_us = fleet_step(world->fleet, world->now_us);

		assert_true(next_us > world->now_us);
		if (next_us > end_us)
			break;
		world->now_us = next_us;
	}
	world->now_us = end_us;
	fleet_step(world->fleet, end_us);
}

void world_begin(struct fleet_world *world)
{
	for (unsigned i = 0; i < world->process_count; i++)
		world->processes[i].report.begun = true;
	fleet_step(world->fleet, world->now_us);
}

void world_end(struct fleet_world *world, int pid, int status)
{
	struct fleet_process *process = process_of(world, pid);

	assert_true(process->alive);
	process->alive = false;
	if (!process->is_monitor)
		world->occupant[process->place] = 0;
	fleet_exited(world->fleet, pid, status, world->now_us);
	fleet_step(world->fleet, world->now_us);
}

void world_obey(struct fleet_world *world)
{
	for (unsigned i = 0; i < world->process_count; i++) {
		const struct fleet_process *process = &world->processes[i];

		if (process->alive && process->killed)
			world_end(world, (int)i + 1, SIGNALLED(SIGKILL));
		else if (process->alive && process->terms > 0)
			world_end(world, (int)i + 1, EXITED(0));
	}
}

unsigned world_alive(const struct fleet_world *world, unsigned generation)
{
	unsigned count = 0;

	for (unsigned i = 0; i < world->process_count; i++)
		count += world->processes[i].alive && !world->processes[i].is_monitor &&
			 world->processes[i].generation == generation;
	return count;
}

int world_worker(const struct fleet_world *world, unsigned number)
{
	for (unsigned i = world->process_count; i > 0; i--) {
		const struct fleet_process *process = &world->processes[i - 1];

		if (process->alive && !process->is_monitor && process->number == number)
			return (int)i;
	}
	return 0;
}

int world_monitor(const struct fleet_world *world)
{
	for (unsigned i = 0; i < world->process_count; i++)
		if (world->processes[i].alive && world->processes[i].is_monitor)
			return (int)i + 1;
	return 0;
}
