/*
 * Memory, swept: allocation k fails, timer k cannot be set, for every k. Nothing crashes or leaks,
 * nothing is deleted early, and every message is dealt with in the end all the same.
 */
#include "bunshin/error.h"
#include "failmalloc.h"
#include "scenario.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct world world;
static char label[64];

static void build(const char *what, unsigned long k)
{
	snprintf(label, sizeof(label), "%s %lu", what, k);
	scenario_build(&world, label);
	world.short_of_memory = true;
}

static void making_a_delivery(void **state)
{
	unsigned long k = 0;
	int err;

	do {
		build("allocation", ++k);
		failmalloc_arm(k);
		err = world_init_core(&world);
		if (failmalloc_disarm())
			assert_int_equal(err, ERR_NOMEM);
		else
			assert_int_equal(err, 0);
		world_end(&world);
	} while (err);
	assert_true(k > 10);
}

static void an_allocation_fails(void **state)
{
	unsigned long k = 0;
	bool failed;

	do {
		build("allocation", ++k);
		assert_int_equal(world_init_core(&world), 0);
		failmalloc_arm(k);
		world_start(&world);
		world_run_until_done(&world, SCENARIO_LIMIT_US);
		failed = failmalloc_disarm();
		world_end(&world);
	} while (failed);
	assert_true(k > 30);
	print_message("%lu allocations failed\n", k - 1);
}

static void a_timer_cannot_be_set(void **state)
{
	unsigned long k = 0;
	bool failed;

	do {
		build("timer", ++k);
		assert_int_equal(world_init_core(&world), 0);
		world.fail_timer = k;
		world_start(&world);
		world_run_until_done(&world, SCENARIO_LIMIT_US);
		failed = world.fail_timer == 0;
		world_end(&world);
	} while (failed);
	assert_true(k > 30);
	print_message("%lu timers failed\n", k - 1);
}

/* One slot, one message, one refusal: nothing but the breaker's own timer will wake it. */
static void an_open_breaker_without_a_timer(void **state)
{
	bool failed;
	unsigned long k = 0;

	do {
		snprintf(label, sizeof(label), "breaker, timer %lu", ++k);
		world_init(&world, &(struct world_options){.concurrency = 1, .label = label});
		world.short_of_memory = true;
		fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401});
		world_add(&world, 2);
		world.fail_timer = k;
		world_start(&world);
		world_run_until_done(&world, SCENARIO_LIMIT_US);
		failed = world.fail_timer == 0;
		world_end(&world);
	} while (failed);
	assert_true(k > 5);
}

static void remove_what_is_returned(
	struct fake_queue *queue, const struct call_record *call, struct call_plan *plan)
{
	if (call->op == OP_CHANGE && !call->is_extension && call->messages[0] == 0)
		fake_queue_remove(queue, 0);
}

/* Neither the attempt nor the pause after it can be started, and no other message comes. */
static void a_failed_start_without_a_timer(void **state)
{
	bool failed;
	unsigned long k = 0;

	do {
		snprintf(label, sizeof(label), "start, timer %lu", ++k);
		world_init(&world, &(struct world_options){.concurrency = 3, .label = label});
		world.short_of_memory = true;
		fake_target_answer(&world.targets[0], 1, (struct answer){.start_err = ERR_NOMEM});
		world_add(&world, 3);
		world.fail_timer = k;
		/* The one that goes back never returns: the two that wait are all there is. */
		world.queue.plan = remove_what_is_returned;
		world_start(&world);
		world_run_until_done(&world, 10 * S); /* not at the next answer of a poll */
		failed = world.fail_timer == 0;
		world_end(&world);
	} while (failed);
	assert_true(k > 5);
}

/* The same while draining, from several moments of the scenario: done is called once, in time. */
static bool drain_with(unsigned long k, uint64_t from_us, bool timers)
{
	bool failed;

	build(timers ? "drain, timer" : "drain, allocation", k);
	assert_int_equal(world_init_core(&world), 0);
	world_start(&world);
	world_run_to(&world, from_us);
	if (timers)
		world.fail_timer = k;
	else
		failmalloc_arm(k);
	world_drain(&world);
	world_run_to(&world, from_us + 3 * S);
	failed = timers ? world.fail_timer == 0 : false;
	if (!timers)
		failed = failmalloc_disarm();
	if (world.drained != 1)
		world_fail(&world, "not drained");
	world_end(&world);
	return failed;
}

static void draining(void **state)
{
	for (uint64_t from_us = 0; from_us < 6 * S; from_us += 97 * MS) {
		for (unsigned long k = 1; drain_with(k, from_us, true); k++)
			;
		for (unsigned long k = 1; drain_with(k, from_us, false); k++)
			;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(making_a_delivery),
		cmocka_unit_test(an_allocation_fails),
		cmocka_unit_test(a_timer_cannot_be_set),
		cmocka_unit_test(an_open_breaker_without_a_timer),
		cmocka_unit_test(a_failed_start_without_a_timer),
		cmocka_unit_test(draining),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
