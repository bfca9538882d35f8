/* What the queue itself says: too much in flight, deletes that are not allowed. */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct world world;

static struct delivery_health health(void)
{
	struct delivery_health now;

	delivery_get_health(world.delivery, &now);
	return now;
}

static const struct call_record *question(size_t n)
{
	const struct call_record *call = fake_queue_call(&world.queue, OP_ATTRIBUTES, n);

	if (!call)
		fail_msg("no question %zu", n);
	return call;
}

/* Nobody asks a queue that gives messages; an empty one is asked more and more seldom. */
static void asked_when_receives_are_empty(void **state)
{
	static const uint64_t expected_s[] = {20, 80, 200, 440, 920, 1520, 2120};

	size_t before;

	world_init(&world, &(struct world_options){.concurrency = 10});
	world_start(&world);
	world_run_to(&world, 2600 * S);
	/* Each with the first empty answer that is late enough. */
	for (size_t i = 0; i < sizeof(expected_s) / sizeof(expected_s[0]); i++)
		assert_in_range(question(i)->at_us, expected_s[i] * S, (expected_s[i] + 21) * S);
	/* Messages begin it anew: a minute after the last question, not ten. */
	before = fake_queue_calls(&world.queue, OP_ATTRIBUTES);
	world_run_to(&world, question(before - 1)->at_us + 90 * S);
	assert_int_equal(fake_queue_calls(&world.queue, OP_ATTRIBUTES), before);
	world_add(&world, 1);
	world_run_to(&world, world_now_us(&world) + 25 * S);
	assert_int_equal(fake_queue_calls(&world.queue, OP_ATTRIBUTES), before + 1);
	world_end(&world);
}

/* A long poll of a queue at its limit looks like one of an empty queue. */
static void the_limit_is_told_from_an_empty_queue(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 10});
	world.queue.in_flight_elsewhere = INFLIGHT_NEAR - 1;
	world_start(&world);
	world_run_to(&world, 30 * S);
	assert_int_equal(fake_queue_calls(&world.queue, OP_ATTRIBUTES), 1);
	assert_int_equal(world.event_totals[DELIVERY_QUEUE_FULL], 0);
	/* As many as can be, but nothing waits behind them. */
	world.queue.in_flight_elsewhere = INFLIGHT_LIMIT;
	world_run_to(&world, 110 * S);
	assert_int_equal(fake_queue_calls(&world.queue, OP_ATTRIBUTES), 2);
	assert_false(health().in_flight_limit);
	/* Now something does, and no receive brings it. */
	world.queue.visible_elsewhere = 5;
	world_run_to(&world, 300 * S);
	assert_int_equal(world.event_totals[DELIVERY_QUEUE_FULL], 1);
	assert_string_equal(
		world_event(&world, DELIVERY_QUEUE_FULL, 0)->reason, "120000 in flight, 5 waiting");
	assert_true(health().in_flight_limit);
	assert_int_equal(world.delivery->inflight.reached_gauge->value, 1);
	/* While it lasts it is asked every minute, and told of once. */
	size_t before = fake_queue_calls(&world.queue, OP_ATTRIBUTES);
	world_run_to(&world, 900 * S);
	assert_in_range(fake_queue_calls(&world.queue, OP_ATTRIBUTES) - before, 7, 10);
	assert_int_equal(world.event_totals[DELIVERY_QUEUE_FULL], 1);
	world.queue.in_flight_elsewhere = 1000;
	world_run_to(&world, 1000 * S);
	assert_int_equal(world.event_totals[DELIVERY_QUEUE_FLOWS], 1);
	assert_false(health().in_flight_limit);
	world_end(&world);
}

/* OverLimit says it outright; the first messages end it. */
static void over_limit_says_it(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 10, .wait_s = WORLD_NO_WAIT});
	fake_queue_fail(&world.queue,
		(struct fault){
			.op = OP_RECEIVE, .times = 3, .err = ERR_OVER_LIMIT, .entry = WHOLE_CALL});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 3 * MS);
	assert_true(health().in_flight_limit);
	assert_false(health().connected);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(world.event_totals[DELIVERY_QUEUE_FULL], 1);
	assert_int_equal(world.event_totals[DELIVERY_QUEUE_FLOWS], 1);
	assert_true(health().connected);
	world_end(&world);
}

/* Without the permission to ask, it is asked once; other failures change nothing. */
static void not_allowed_to_ask(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 10});
	fake_queue_fail(&world.queue,
		(struct fault){.op = OP_ATTRIBUTES, .err = ERR_THROTTLED, .entry = WHOLE_CALL});
	fake_queue_fail(&world.queue, (struct fault){.op = OP_ATTRIBUTES,
					      .skip = 1,
					      .err = ERR_ACCESS_DENIED,
					      .entry = WHOLE_CALL});
	world_start(&world);
	world_run_to(&world, 3600 * S);
	assert_int_equal(fake_queue_calls(&world.queue, OP_ATTRIBUTES), 2);
	assert_string_equal(
		world_event(&world, DELIVERY_QUEUE_FAILED, 0)->operation, "get attributes");
	world_end(&world);
}

/* A question that is under way is given up by a stop and by the end, at any instant of it. */
static void given_up_at_the_end(void **state)
{
	for (unsigned drains = 0; drains < 2; drains++) {
		world_init(&world, &(struct world_options){.concurrency = 10});
		fake_queue_fail(&world.queue,
			(struct fault){.op = OP_ATTRIBUTES, .hangs = true, .entry = WHOLE_CALL});
		world_start(&world);
		world_run_to(&world, 30 * S);
		assert_int_equal(world.queue.calls_out[OP_ATTRIBUTES], 1);
		if (drains) {
			world_drain(&world);
			world_run_to(&world, 60 * S);
			assert_int_equal(world.drained, 1);
		}
		world_end(&world);
	}
}

/*
 * What is accepted and cannot be deleted comes back: with deletes refused, receiving slows down to
 * one poll every 10 to 20 s, and goes on at once when they work again.
 */
static void deletes_denied(void **state)
{
	uint64_t received;

	world_init(&world,
		&(struct world_options){.concurrency = 100, .receivers = 5, .visibility_s = 30});
	world.duplicates_are_fine = true;
	world.random_is_fixed = true;
	world.random_fixed = UINT64_C(1) << 63;
	fake_queue_fail(&world.queue, (struct fault){.op = OP_DELETE,
					      .times = 1000000,
					      .err = ERR_ACCESS_DENIED,
					      .entry = WHOLE_CALL});
	world_add(&world, 2000);
	world_start(&world);
	assert_false(health().deletes_denied);
	world_run_to(&world, S);
	assert_true(health().deletes_denied);
	world_run_to(&world, 60 * S);
	received = world_stats(&world).received;
	world_run_to(&world, 360 * S);
	/* Ten at a time, 10 s apart. */
	assert_in_range(world_stats(&world).received - received, 200, 320);
	world.queue.faults[0].times = 0;
	world_run_until_done(&world, 600 * S);
	assert_false(health().deletes_denied);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(asked_when_receives_are_empty),
		cmocka_unit_test(the_limit_is_told_from_an_empty_queue),
		cmocka_unit_test(over_limit_says_it),
		cmocka_unit_test(not_allowed_to_ask),
		cmocka_unit_test(given_up_at_the_end),
		cmocka_unit_test(deletes_denied),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
