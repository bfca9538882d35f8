/* What the fleet decides, rule by rule. */
#include "fleet_world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct fleet_world world;

static const struct supervisor_plan three = {
	.min = 3, .max = 3, .stall_ms = 60000, .grace_ms = 30000, .has_monitor = true};

static int enter(void **state)
{
	world_open(&world, 12, &three, false);
	world_run(&world, SECOND);
	return 0;
}

static int leave(void **state)
{
	world_close(&world);
	return 0;
}

static const struct fleet_process *process(int pid)
{
	return &world.processes[pid - 1];
}

static bool is_over(int *ret_code)
{
	return fleet_is_over(world.fleet, ret_code);
}

static void starts_workers_and_one_monitor(void **state)
{
	struct fleet_status status;

	assert_int_equal(world_alive(&world, 0), 3);
	assert_int_equal(world.process_count, 4);
	for (unsigned number = 1; number <= 3; number++)
		assert_int_not_equal(world_worker(&world, number), 0);
	fleet_get_status(world.fleet, &status);
	assert_int_equal(status.starting, 3);
	assert_int_equal(status.running, 0);
	world_begin(&world);
	fleet_get_status(world.fleet, &status);
	assert_int_equal(status.running, 3);
	assert_true(status.reported && status.progressing);
}

/* The first death draws from up to 200 ms, the next from up to 400 ms. */
static void a_death_is_followed_by_a_back_off(void **state)
{
	int pid = world_worker(&world, 2);

	world_begin(&world);
	world.random = 150000;
	world_end(&world, pid, SIGNALLED(SIGSEGV));
	assert_int_equal(world.events[SUPERVISOR_DIED], 1);
	assert_int_equal(world.last.number, 2);
	assert_int_equal(world.last.wait_status, SIGNALLED(SIGSEGV));
	assert_int_equal(world_worker(&world, 2), 0);
	world_run(&world, 149999);
	assert_int_equal(world_worker(&world, 2), 0);
	world_run(&world, 1);
	assert_int_not_equal(world_worker(&world, 2), 0);
	world.random =
		200001 + 5000; /* of 0 to 400,000: as it is; of 0 to 200,000 it would be 5 ms */
	world_end(&world, world_worker(&world, 2), SIGNALLED(SIGSEGV));
	world_run(&world, 205000);
	assert_int_equal(world_worker(&world, 2), 0);
	world_run(&world, 1);
	assert_int_not_equal(world_worker(&world, 2), 0);
	assert_int_equal(world_alive(&world, 0), 3);
}

static void back_off_ends_at_half_a_minute(void **state)
{
	world_begin(&world);
	world.random = 0;
	for (unsigned i = 0; i < 30; i++) {
		world_end(&world, world_worker(&world, 1), EXITED(3));
		world_run(&world, 1000);
	}
	world.random = 30000000;
	world_end(&world, world_worker(&world, 1), EXITED(3));
	world_run(&world, 30 * SECOND - 1);
	assert_int_equal(world_worker(&world, 1), 0);
	world_run(&world, 1);
	assert_int_not_equal(world_worker(&world, 1), 0);
}

static void after_a_minute_of_work_it_is_replaced_at_once(void **state)
{
	world_begin(&world);
	world.random = 0;
	world_end(&world, world_worker(&world, 1), SIGNALLED(SIGKILL));
	world_run(&world, FLEET_PROVEN_US + SECOND);
	world.random = 199999;
	world_end(&world, world_worker(&world, 1), SIGNALLED(SIGKILL));
	assert_int_not_equal(world_worker(&world, 1), 0);
	assert_int_equal(world.events[SUPERVISOR_CRASH_LOOP], 0);
}

static void a_crash_loop_is_told_once_and_leaves_the_others_alone(void **state)
{
	int second = world_worker(&world, 2), third = world_worker(&world, 3);
	struct fleet_status status;

	world_begin(&world);
	for (unsigned deaths = 1; deaths <= 8; deaths++) {
		assert_int_equal(world.events[SUPERVISOR_CRASH_LOOP], deaths > BOARD_CRASH_LOOP);
		world_end(&world, world_worker(&world, 1), SIGNALLED(SIGABRT));
		world_run(&world, SECOND);
	}
	assert_int_equal(world.events[SUPERVISOR_CRASH_LOOP], 1);
	assert_true(process(second)->alive && process(third)->alive);
	fleet_get_status(world.fleet, &status);
	assert_int_equal(status.crash_loops, 1);
	assert_int_equal(status.running, 2);
}

static void a_fork_that_fails_is_tried_again(void **state)
{
	world_begin(&world);
	world.forks_fail = true;
	world_end(&world, world_worker(&world, 1), SIGNALLED(SIGKILL));
	world_run(&world, 10 * SECOND);
	assert_true(world.events[SUPERVISOR_CANNOT_FORK] > 3);
	world.forks_fail = false;
	world_run(&world, 31 * SECOND);
	assert_int_not_equal(world_worker(&world, 1), 0);
}

static void one_that_gets_nothing_done_is_killed(void **state)
{
	int pid = world_worker(&world, 2);
	struct fleet_process *frozen = &world.processes[pid - 1];

	world_begin(&world);
	world_run(&world, SECOND);
	world.lively = false;
	for (unsigned s = 0; s <= 60; s++) {
		assert_false(frozen->killed);
		for (unsigned i = 0; i < world.process_count; i++)
			if ((int)i + 1 != pid)
				world.processes[i].report.heartbeat_us =
					world.processes[i].report.progress_us = world.now_us;
		world_run(&world, SECOND);
	}
	world_run(&world, SECOND);
	assert_true(frozen->killed);
	assert_int_equal(world.events[SUPERVISOR_STALLED], 1);
	world_obey(&world);
	world_run(&world, SECOND);
	assert_int_not_equal(world_worker(&world, 2), pid);
	assert_int_equal(world_alive(&world, 0), 3);
}

/* A heartbeat without progress is not enough. */
static void a_loop_that_turns_in_vain_is_killed(void **state)
{
	world_begin(&world);
	world_run(&world, SECOND);
	world.lively = false;
	for (unsigned s = 0; s <= 62; s++) {
		for (unsigned i = 0; i < world.process_count; i++)
			world.processes[i].report.heartbeat_us = world.now_us;
		world_run(&world, SECOND);
	}
	assert_int_equal(world.events[SUPERVISOR_STALLED], 3);
}

/* The whole machine, or the cgroup, stood still: nobody is to blame. */
static void what_was_slept_through_counts_for_nothing(void **state)
{
	world_begin(&world);
	world_run(&world, SECOND);
	world.lively = false;
	world.now_us += 3600 * SECOND;
	world_run(&world, 59 * SECOND);
	assert_int_equal(world.events[SUPERVISOR_STALLED], 0);
	world_run(&world, 2 * SECOND);
	assert_int_equal(world.events[SUPERVISOR_STALLED], 3);
}

/* Whatever lies in its place for a moment: one that has worked for an hour is not one that never
 * did. */
static void a_report_that_cannot_be_read_is_no_verdict(void **state)
{
	int pid = world_worker(&world, 2);

	world_begin(&world);
	world_run(&world, 3600 * SECOND);
	world.lively = false;
	world.processes[pid - 1].report = (struct board_report){.heartbeat_us = 0};
	world_run(&world, 30 * SECOND);
	assert_int_equal(world.events[SUPERVISOR_STALLED], 0);
	/* But silence is. */
	world_run(&world, 31 * SECOND);
	assert_true(world.processes[pid - 1].killed);
}

/* Credentials may take long to be had, but not for ever. */
static void one_that_never_starts_is_killed_in_the_end(void **state)
{
	world_close(&world);
	world_open(&world, 12, &three, false);
	world.lively = false;
	world_run(&world, FLEET_START_MAX_US + 59 * SECOND);
	assert_int_equal(world.events[SUPERVISOR_STALLED], 0);
	world_run(&world, 2 * SECOND);
	assert_int_equal(world.events[SUPERVISOR_STALLED], 3);
}

static void a_stop_tells_all_at_once_and_the_monitor_last(void **state)
{
	int code = -1;

	world_begin(&world);
	fleet_stop(world.fleet, 1, world.now_us);
	world_run(&world, SECOND);
	for (unsigned number = 1; number <= 3; number++)
		assert_int_equal(process(world_worker(&world, number))->terms, 1);
	assert_int_equal(process(world_monitor(&world))->terms, 0);
	for (unsigned number = 1; number <= 3; number++) {
		assert_false(is_over(&code));
		world_end(&world, world_worker(&world, number), EXITED(0));
	}
	assert_false(is_over(&code));
	assert_int_equal(process(world_monitor(&world))->terms, 1);
	world_end(&world, world_monitor(&world), EXITED(0));
	assert_true(is_over(&code));
	assert_int_equal(code, 0);
	assert_int_equal(world.process_count, 4);
}

static void what_dies_while_all_stop_is_not_replaced(void **state)
{
	world_begin(&world);
	fleet_stop(world.fleet, 1, world.now_us);
	world_end(&world, world_worker(&world, 1), SIGNALLED(SIGSEGV));
	world_run(&world, 10 * SECOND);
	assert_int_equal(world_alive(&world, 0), 2);
	assert_int_equal(world.events[SUPERVISOR_DIED], 0);
}

static void one_that_does_not_stop_is_killed_after_its_grace(void **state)
{
	int code;

	world_begin(&world);
	fleet_stop(world.fleet, 1, world.now_us);
	world_run(&world, 30 * SECOND + FLEET_KILL_AFTER_US - 1);
	assert_int_equal(world.events[SUPERVISOR_GRACE_OVER], 0);
	world_run(&world, 1);
	assert_int_equal(world.events[SUPERVISOR_GRACE_OVER], 3);
	world_obey(&world);
	world_obey(&world);
	assert_true(is_over(&code));
}

static void a_second_stop_is_passed_on(void **state)
{
	world_begin(&world);
	fleet_stop(world.fleet, 1, world.now_us);
	fleet_stop(world.fleet, 1, world.now_us);
	assert_int_equal(process(world_worker(&world, 1))->terms, 1);
	fleet_stop(world.fleet, 2, world.now_us);
	assert_int_equal(process(world_worker(&world, 1))->terms, 2);
	world_run(&world, FLEET_KILL_AFTER_US);
	assert_int_equal(world.events[SUPERVISOR_GRACE_OVER], 3);
}

static void reload(unsigned generation, unsigned workers)
{
	struct supervisor_plan plan = three;

	plan.min = plan.max = workers;
	assert_true(fleet_can_reload(world.fleet, workers));
	fleet_reload(world.fleet, generation, &plan);
	world_run(&world, SECOND);
}

static void a_reload_drains_the_old_when_the_new_receive(void **state)
{
	int monitor = world_monitor(&world);

	world_begin(&world);
	reload(1, 2);
	assert_int_equal(world_alive(&world, 0), 3);
	assert_int_equal(world_alive(&world, 1), 2);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(world.processes[i].terms, 0);
	/* One is not enough. */
	world.processes[4].report.begun = true;
	world_run(&world, SECOND);
	assert_int_equal(world.events[SUPERVISOR_RELOADED], 0);
	world_begin(&world);
	assert_int_equal(world.events[SUPERVISOR_RELOADED], 1);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(world.processes[i].terms, 1);
	assert_int_equal(world.unloaded[0], 0);
	world_obey(&world);
	world_run(&world, SECOND);
	assert_int_equal(world.unloaded[0], 1);
	assert_int_equal(world_alive(&world, 1), 2);
	assert_int_not_equal(world_monitor(&world), monitor);
	assert_int_equal(process(world_monitor(&world))->generation, 1);
}

/* The old ones drain by the configuration that they were started with. */
static void a_reload_leaves_the_old_their_grace(void **state)
{
	struct supervisor_plan plan = three;

	world_begin(&world);
	plan.grace_ms = 0;
	fleet_reload(world.fleet, 1, &plan);
	world_run(&world, SECOND);
	world_begin(&world);
	assert_int_equal(world.events[SUPERVISOR_RELOADED], 1);
	world_run(&world, 30 * SECOND + FLEET_KILL_AFTER_US - 1);
	assert_int_equal(world_alive(&world, 0), 3);
	assert_int_equal(process(1)->killed + process(2)->killed + process(3)->killed, 0);
	world_run(&world, 1);
	assert_true(process(1)->killed && process(2)->killed && process(3)->killed);
}

static void a_reload_whose_worker_dies_changes_nothing(void **state)
{
	world_begin(&world);
	reload(1, 2);
	world_end(&world, 5, EXITED(1));
	assert_int_equal(world.events[SUPERVISOR_RELOAD_FAILED], 1);
	assert_int_equal(process(6)->terms, 1);
	world_obey(&world);
	world_run(&world, 10 * SECOND);
	assert_int_equal(world.unloaded[1], 1);
	assert_int_equal(world_alive(&world, 0), 3);
	assert_int_equal(world_alive(&world, 1), 0);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(world.processes[i].terms, 0);
	/* And the next one may work. */
	reload(2, 3);
	world_begin(&world);
	assert_int_equal(world.events[SUPERVISOR_RELOADED], 1);
}

/* An old worker that dies in the middle is replaced, by the old configuration. */
static void a_death_of_the_old_does_not_end_a_reload(void **state)
{
	world_begin(&world);
	reload(1, 2);
	world_end(&world, world_worker(&world, 3), SIGNALLED(SIGKILL));
	world_run(&world, SECOND);
	assert_int_equal(world_alive(&world, 0), 3);
	assert_int_equal(world_alive(&world, 1), 2);
	world_begin(&world);
	assert_int_equal(world.events[SUPERVISOR_RELOADED], 1);
}

static void reloads_wait_for_each_other_and_for_places(void **state)
{
	world_begin(&world);
	reload(1, 3);
	assert_false(fleet_can_reload(world.fleet, 3));
	world_begin(&world);
	/* The old ones drain for long: there are places for two more generations. */
	reload(2, 3);
	world_begin(&world);
	reload(3, 3);
	world_begin(&world);
	assert_false(fleet_can_reload(world.fleet, 3));
	world_obey(&world);
	assert_true(fleet_can_reload(world.fleet, 3));
	assert_int_equal(world.unloaded[0] + world.unloaded[1] + world.unloaded[2], 3);
}

static void a_stop_ends_a_reload(void **state)
{
	int code;

	world_begin(&world);
	reload(1, 2);
	fleet_stop(world.fleet, 1, world.now_us);
	assert_int_equal(world.events[SUPERVISOR_RELOAD_FAILED], 0);
	for (unsigned i = 0; i < 6; i++)
		assert_int_equal(world.processes[i].terms, i != 3);
	world_obey(&world);
	world_obey(&world);
	assert_true(is_over(&code));
	assert_int_equal(world.unloaded[1], 1);
}

static void what_can_never_work_ends_with_its_code(void **state)
{
	int code = -1;

	world_end(&world, world_worker(&world, 2), EXITED(2));
	world_obey(&world);
	world_obey(&world);
	assert_true(is_over(&code));
	assert_int_equal(code, 2);
}

/* Once any has received, the same is a death like any other. */
static void later_it_is_a_death(void **state)
{
	int code;

	world_begin(&world);
	world_end(&world, world_worker(&world, 2), EXITED(2));
	world_run(&world, SECOND);
	assert_false(is_over(&code));
	assert_int_equal(world_alive(&world, 0), 3);
}

static void crashes_at_the_start_are_no_verdict(void **state)
{
	int code;

	world_end(&world, world_worker(&world, 2), SIGNALLED(SIGSEGV));
	world_run(&world, SECOND);
	assert_false(is_over(&code));
	assert_int_equal(world_alive(&world, 0), 3);
}

static void a_script_ends_when_all_are_done(void **state)
{
	int code = -1;

	world_close(&world);
	world_open(&world, 12, &three, true);
	world_run(&world, SECOND);
	world_begin(&world);
	world_end(&world, world_worker(&world, 1), EXITED(0));
	world_end(&world, world_worker(&world, 2), SIGNALLED(SIGKILL));
	world_run(&world, 10 * SECOND);
	assert_int_equal(world_alive(&world, 0), 2);
	world_end(&world, world_worker(&world, 3), EXITED(0));
	assert_false(is_over(&code));
	world_end(&world, world_worker(&world, 2), EXITED(0));
	world_obey(&world);
	assert_true(is_over(&code));
	assert_int_equal(code, 0);
}

static void a_script_ends_with_the_first_failure(void **state)
{
	int code = -1;

	world_close(&world);
	world_open(&world, 12, &three, true);
	world_run(&world, SECOND);
	world_begin(&world);
	world_end(&world, world_worker(&world, 1), EXITED(75));
	world_obey(&world);
	world_obey(&world);
	assert_true(is_over(&code));
	assert_int_equal(code, 75);
}

static void grows_and_lets_the_last_ones_go(void **state)
{
	const struct supervisor_plan plan = {.min = 1, .max = 4, .grace_ms = 1000};

	world_close(&world);
	world_open(&world, 16, &plan, false);
	world.backlog = 100;
	for (unsigned s = 0; s < 12; s++) {
		for (unsigned i = 0; i < world.process_count; i++) {
			world.processes[i].report.begun = true;
			world.processes[i].report.busy = world.processes[i].report.slots = 10;
		}
		world_run(&world, SECOND);
	}
	assert_int_equal(world_alive(&world, 0), 4);
	assert_int_equal(world.events[SUPERVISOR_SCALED], 2);
	world.backlog = 0;
	for (unsigned i = 0; i < world.process_count; i++)
		world.processes[i].report.busy = 0;
	world_run(&world, SCALE_SHRINK_US + 2 * SECOND);
	assert_int_equal(process(world_worker(&world, 4))->terms, 1);
	assert_int_equal(process(world_worker(&world, 1))->terms, 0);
	world_obey(&world);
	assert_int_equal(world_alive(&world, 0), 3);
}

/* A thousand that ask the queue in one instant would be throttled. */
static void not_all_start_at_once(void **state)
{
	const struct supervisor_plan plan = {.min = WORLD_PLACES, .max = WORLD_PLACES};

	assert_true(WORLD_PLACES <= FLEET_STARTING_MAX);
	world_close(&world);
	world_open(&world, WORLD_PLACES, &plan, false);
	world_run(&world, SECOND);
	assert_int_equal(world_alive(&world, 0), WORLD_PLACES);
}

static void the_monitor_is_replaced(void **state)
{
	int monitor = world_monitor(&world);

	world_begin(&world);
	world_end(&world, monitor, SIGNALLED(SIGSEGV));
	world_run(&world, SECOND);
	assert_int_not_equal(world_monitor(&world), 0);
	assert_true(world.events[SUPERVISOR_DIED] == 1);
	assert_int_equal(world_alive(&world, 0), 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, enter, leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(starts_workers_and_one_monitor),
		TEST(a_death_is_followed_by_a_back_off),
		TEST(back_off_ends_at_half_a_minute),
		TEST(after_a_minute_of_work_it_is_replaced_at_once),
		TEST(a_crash_loop_is_told_once_and_leaves_the_others_alone),
		TEST(a_fork_that_fails_is_tried_again),
		TEST(one_that_gets_nothing_done_is_killed),
		TEST(a_loop_that_turns_in_vain_is_killed),
		TEST(what_was_slept_through_counts_for_nothing),
		TEST(a_report_that_cannot_be_read_is_no_verdict),
		TEST(one_that_never_starts_is_killed_in_the_end),
		TEST(a_stop_tells_all_at_once_and_the_monitor_last),
		TEST(what_dies_while_all_stop_is_not_replaced),
		TEST(one_that_does_not_stop_is_killed_after_its_grace),
		TEST(a_second_stop_is_passed_on),
		TEST(a_reload_drains_the_old_when_the_new_receive),
		TEST(a_reload_leaves_the_old_their_grace),
		TEST(a_reload_whose_worker_dies_changes_nothing),
		TEST(a_death_of_the_old_does_not_end_a_reload),
		TEST(reloads_wait_for_each_other_and_for_places),
		TEST(a_stop_ends_a_reload),
		TEST(what_can_never_work_ends_with_its_code),
		TEST(later_it_is_a_death),
		TEST(crashes_at_the_start_are_no_verdict),
		TEST(a_script_ends_when_all_are_done),
		TEST(a_script_ends_with_the_first_failure),
		TEST(grows_and_lets_the_last_ones_go),
		TEST(not_all_start_at_once),
		TEST(the_monitor_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
