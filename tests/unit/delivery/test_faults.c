/*
 * Faults, swept: call k fails, for every k and every way to fail, in a scenario with some of
 * everything. Whatever fails, every message is dealt with in the end.
 */
#include "bunshin/error.h"
#include "scenario.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static struct world world;
static char label[64];

enum way { SYNC, FAILS, FAILS_FOR_GOOD, ANSWER_LOST, EACH_ENTRY, INVALID_ENTRY, SLOW_THEN_FAILS };

static unsigned long countdown; /* calls until the one that is hit */
static enum way way;
static bool was_hit;

static void disturb(
	struct fake_queue *queue, const struct call_record *call, struct call_plan *plan)
{
	if (countdown == 0 || --countdown > 0)
		return;
	was_hit = true;
	if (way == SYNC)
		plan->sync_err = ERR_NOMEM;
	else if (way == FAILS || way == ANSWER_LOST)
		plan->err = ERR_UNAVAILABLE;
	else if (way == FAILS_FOR_GOOD)
		plan->err = ERR_ACCESS_DENIED;
	plan->lost |= way == ANSWER_LOST;
	if (way == SLOW_THEN_FAILS) {
		plan->err = ERR_TIMEOUT;
		plan->back_us = 60 * S;
	}
	for (size_t i = 0; i < call->count; i++) {
		if (way == EACH_ENTRY && i % 2 == 0)
			plan->entry_err[i] = ERR_THROTTLED;
		if (way == INVALID_ENTRY && call->op != OP_SEND && i % 2 == 0)
			plan->entry_err[i] = ERR_RECEIPT_INVALID;
	}
}

static void sweep(enum way how)
{
	unsigned long k = 0;

	way = how;
	do {
		k++;
		snprintf(label, sizeof(label), "way %d, call %lu", how, k);
		scenario_build(&world, label);
		world.queue.plan = world.failure_queue.plan = disturb;
		countdown = k;
		was_hit = false;
		assert_int_equal(world_init_core(&world), 0);
		world_start(&world);
		world_run_until_done(&world, SCENARIO_LIMIT_US);
		world_end(&world);
	} while (was_hit);
	assert_true(k > 20);
}

static void a_call_does_not_start(void **state)
{
	sweep(SYNC);
}

static void a_call_fails(void **state)
{
	sweep(FAILS);
	sweep(FAILS_FOR_GOOD);
}

static void the_answer_of_a_call_is_lost(void **state)
{
	sweep(ANSWER_LOST);
}

static void entries_fail(void **state)
{
	sweep(EACH_ENTRY);
	sweep(INVALID_ENTRY);
}

static void a_call_times_out(void **state)
{
	sweep(SLOW_THEN_FAILS);
}

static unsigned long attempts_left;
static struct answer instead;

static void disturb_attempt(
	struct fake_target *target, const struct fake_message *message, struct answer *answer)
{
	if (attempts_left && --attempts_left == 0) {
		*answer = instead;
		was_hit = true;
	}
}

/* Attempt k does not start, or ends in any other way. */
static void an_attempt_fails(void **state)
{
	static const struct answer ways[] = {{.start_err = ERR_NOMEM}, {.start_err = ERR_LIMIT},
		{.err = ERR_TIMEOUT, .latency_us = 9 * S}, {.status = 500, .latency_us = MS},
		{.status = 400, .latency_us = MS}, {.status = 403, .latency_us = 2 * S},
		{.err = ERR_TEMPLATE, .reason = "missing", .latency_us = 1},
		{.status = 200, .latency_us = 20 * S}};

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		unsigned long k = 0;

		do {
			k++;
			snprintf(label, sizeof(label), "way %zu, attempt %lu", i, k);
			scenario_build(&world, label);
			world.targets[0].plan = world.targets[1].plan = disturb_attempt;
			attempts_left = k;
			instead = ways[i];
			was_hit = false;
			assert_int_equal(world_init_core(&world), 0);
			world_start(&world);
			world_run_until_done(&world, SCENARIO_LIMIT_US);
			world_end(&world);
		} while (was_hit);
		assert_true(k > 10);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_does_not_start),
		cmocka_unit_test(a_call_fails),
		cmocka_unit_test(the_answer_of_a_call_is_lost),
		cmocka_unit_test(entries_fail),
		cmocka_unit_test(a_call_times_out),
		cmocka_unit_test(an_attempt_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
