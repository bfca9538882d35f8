/* What the simulator found, each as small as it can be told. */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "failmalloc.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct world world;
static struct rate_cell cell;

static void three_a_second(struct delivery_destination *destination, unsigned lane)
{
	destination->rate = rate_make(&cell, 3, 1000, 1);
}

/*
 * A hundred slots, so receives waited for room for ten; the rate never left that much. Nothing was
 * in flight, so nothing ever made more, and the worker slept in front of a full queue.
 */
static void slots_that_a_rate_never_lets_be_used(void **state)
{
	cell = (struct rate_cell){0};
	world_init(&world, &(struct world_options){.concurrency = 100, .adjust = three_a_second});
	world_add(&world, 30);
	world_start(&world);
	world_run_until_done(&world, 12 * S);
	assert_int_equal(world.targets[0].log_count, 30);
	/* The first at once, then three a second. */
	assert_in_range(world.targets[0].log[29].at_us, 9666 * MS, 9700 * MS);
	world_end(&world);
}

static void refuse_extensions_of_group_a(
	struct fake_queue *queue, const struct call_record *call, struct call_plan *plan)
{
	for (size_t i = 0; call->is_extension && i < call->count; i++)
		if (call->messages[i] > 0 && call->receipts[i] == 1)
			plan->entry_err[i] = ERR_RECEIPT_INVALID;
}

/*
 * Two of a group wait, and the one call that extends both says that neither receipt is valid: the
 * first takes the second along, in the middle of the loop over the call's results.
 */
static void one_result_of_a_call_ends_another(void **state)
{
	static const struct queue_attribute to_first = {
		.name = "Destination", .type = "String", .value = "lane0", .value_bytes = 5};

	world_init(&world,
		&(struct world_options){.fifo = true, .lanes = 2, .lane_concurrency = {1, 9}});
	world.targets[0].otherwise.latency_us = 25 * S;
	world.queue.plan = refuse_extensions_of_group_a;
	fake_queue_put_grouped(&world.queue, "x", "0", 1, &to_first, 1);
	fake_queue_put_grouped(&world.queue, "a", "1", 1, &to_first, 1);
	fake_queue_put_grouped(&world.queue, "a", "2", 1, &to_first, 1);
	world_start(&world);
	world_run_to(&world, 21 * S);
	assert_int_equal(fake_queue_extension(&world.queue, 0)->count, 3);
	assert_int_equal(world.event_totals[DELIVERY_LOST], 1); /* the other went back */
	assert_int_equal(delivery_held(world.delivery), 1);
	world_run_until_done(&world, 200 * S);
	assert_int_equal(world.targets[0].log_count, 3);
	assert_int_equal(world.targets[0].log[1].message, 1);
	assert_int_equal(world.targets[0].log[2].message, 2);
	world_end(&world);
}

static void by_channel(struct delivery_destination *destination, unsigned lane)
{
	static const char *const values[] = {"line"};
	static const struct route_condition when = {"channel", values, 1};

	destination->when = &when;
	destination->when_count = lane == 0;
}

/* A body that could not be read for want of memory was taken for one without fields. */
static void no_memory_to_read_the_body(void **state)
{
	static const char body[] = "{\"channel\":\"line\"}";
	bool failed = true;

	for (unsigned long k = 1; failed; k++) {
		world_init(&world, &(struct world_options){.lanes = 2, .adjust = by_channel});
		world.short_of_memory = true;
		fake_queue_put(&world.queue, body, strlen(body), NULL, 0);
		world_start(&world);
		failmalloc_arm(k);
		world_run_until_done(&world, 100 * S);
		failed = failmalloc_disarm();
		assert_int_equal(world.targets[0].log_count, 1);
		assert_int_equal(world.targets[1].log_count, 0);
		world_end(&world);
	}
}

static void later(struct delivery_destination *destination, unsigned lane)
{
	static const struct outcome_rule rule = {
		.path = "code", .equals = "LATER", .outcome = OUTCOME_RETRY};

	destination->outcomes.rules = &rule;
	destination->outcomes.rule_count = 1;
}

/* And an answer that could not be read was judged by its status alone: 200, deleted. */
static void no_memory_to_read_the_answer(void **state)
{
	bool failed = true;

	for (unsigned long k = 1; failed; k++) {
		world_init(&world, &(struct world_options){.adjust = later});
		world.short_of_memory = true;
		fake_target_answer(&world.targets[0], 1,
			(struct answer){.status = 200, .excerpt = "{\"code\":\"LATER\"}"});
		world_add(&world, 1);
		world_start(&world);
		failmalloc_arm(k);
		world_run_to(&world, 100 * S);
		failed = failmalloc_disarm();
		assert_int_equal(world_stats(&world).accepted, 1);
		assert_int_equal(world.targets[0].log_count, 2);
		world_end(&world);
	}
}

/* The grace is over; without a timer for its last phase the drain ends all the same. */
static void no_timer_for_the_end_of_a_drain(void **state)
{
	for (unsigned long k = 1; k <= 4; k++) {
		world_init(&world, &(struct world_options){.concurrency = 1, .grace_ms = 1000});
		fake_target_answer(&world.targets[0], 1, (struct answer){.never = true});
		world_add(&world, 1);
		world_start(&world);
		world_run_to(&world, S);
		world.short_of_memory = true;
		world.fail_timer = k;
		world_drain(&world);
		world_run_to(&world, 3 * S);
		assert_int_equal(world.drained, 1);
		world_end(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slots_that_a_rate_never_lets_be_used),
		cmocka_unit_test(one_result_of_a_call_ends_another),
		cmocka_unit_test(no_memory_to_read_the_body),
		cmocka_unit_test(no_memory_to_read_the_answer),
		cmocka_unit_test(no_timer_for_the_end_of_a_drain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
