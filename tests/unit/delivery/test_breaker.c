/* The circuit breaker around a destination that refuses our credentials. */
#include "bunshin/error.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct world world;

/*
 * Ten messages, all in flight; the first answer is a 401 at 12 ms. Nothing is sent before the
 * probe at 5.012 s, no receive is started, and what was received later goes back for the rest of
 * the wait.
 */
static void opens_at_the_first_refusal(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 4, .failure_queue = true});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401});
	fake_target_answer(&world.targets[0], 3, (struct answer){.status = 403, .latency_us = S});
	world_add(&world, 6);
	world_start(&world);
	world_run_to(&world, 12 * MS);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 1);
	assert_int_equal(world_event(&world, DELIVERY_BREAKER_OPENED, 0)->at_us, 12 * MS);
	assert_int_equal(world_event(&world, DELIVERY_BREAKER_OPENED, 0)->delay_ms, 5000);
	assert_string_equal(world_event(&world, DELIVERY_BREAKER_OPENED, 0)->destination, "lane0");
	assert_int_equal(world.targets[0].log_count, 4);
	world_run_to(&world, 5 * S + 11 * MS);
	assert_int_equal(world.targets[0].log_count, 4);
	assert_int_equal(fake_queue_calls(&world.queue, OP_RECEIVE), 1);
	/* The refused ones went back for what was left of the wait, in whole seconds. */
	assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->visibility_s[0], 5);
	assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 1)->visibility_s[0], 5);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 1);
	assert_int_equal(world.event_totals[DELIVERY_ATTEMPT_FAILED], 4);
	world_run_to(&world, 5 * S + 12 * MS);
	/* One message, the probe; until it is answered, no other. */
	assert_int_equal(fake_queue_call(&world.queue, OP_RECEIVE, 1)->at_us, 5 * S + 12 * MS);
	assert_int_equal(fake_queue_call(&world.queue, OP_RECEIVE, 1)->asked, 1);
	world_run_to(&world, 5 * S + 23 * MS);
	assert_int_equal(world.targets[0].log_count, 5);
	assert_int_equal(world.targets[0].log[4].at_us, 5 * S + 14 * MS);
	world_run_to(&world, 5 * S + 24 * MS);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_CLOSED], 1);
	assert_int_equal(world_event(&world, DELIVERY_BREAKER_CLOSED, 0)->at_us, 5 * S + 24 * MS);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(world_stats(&world).accepted, 6);
	assert_int_equal(world_stats(&world).failed, 0);
	world_end(&world);
}

/* What waits for a slot when it opens goes back for the whole wait, in one call. */
static void what_waits_goes_back(void **state)
{
	static const char *const to_first[] = {"Destination", "String", "lane0", NULL};
	const struct call_record *call;

	world_init(&world, &(struct world_options){.lanes = 2, .lane_concurrency = {1, 9}});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401});
	for (int i = 0; i < 5; i++)
		world_add_with(&world, to_first);
	world_start(&world);
	world_run_to(&world, 64 * MS);
	call = fake_queue_call(&world.queue, OP_CHANGE, 0);
	assert_int_equal(call->at_us, 62 * MS);
	assert_int_equal(call->count, 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(call->visibility_s[i], 5);
	assert_int_equal(delivery_held(world.delivery), 0);
	assert_int_equal(world.targets[0].log_count, 1);
	/* Only one attempt was made and refused. */
	assert_int_equal(world_stats(&world).retried, 1);
	world_run_until_done(&world, 60 * S);
	world_end(&world);
}

static void a_refused_probe_doubles_the_wait(void **state)
{
	static const uint64_t probes_us[] = {5 * S, 10 * S, 20 * S, 40 * S, 60 * S, 60 * S, 60 * S};
	uint64_t last_us = 0;

	/* More refusals than max_attempts: they are not the message's fault. */
	world_init(&world, &(struct world_options){
				   .concurrency = 1, .max_attempts = 2, .failure_queue = true});
	fake_target_answer(&world.targets[0], 8, (struct answer){.status = 403});
	world_add(&world, 20);
	world_start(&world);
	world_run_until_done(&world, 600 * S);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 8);
	for (size_t i = 0; i < sizeof(probes_us) / sizeof(probes_us[0]); i++) {
		uint64_t opened_us = world_event(&world, DELIVERY_BREAKER_OPENED, i)->at_us;

		assert_int_equal(world.targets[0].log[i].ended_us, opened_us);
		/* 2 ms for the receive that brings the probe. */
		assert_int_equal(
			world.targets[0].log[i + 1].at_us, opened_us + probes_us[i] + 2 * MS);
		last_us = opened_us;
	}
	assert_true(last_us > 0);
	assert_int_equal(world_stats(&world).accepted, 20);
	assert_int_equal(world_stats(&world).failed, 0);
	world_end(&world);
}

/* Not reached at all: the breaker stays half open, and the next message is a probe again. */
static void an_unreachable_provider_is_no_answer(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 5, .failure_queue = true});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401});
	fake_target_answer(&world.targets[0], 2, (struct answer){.err = ERR_CONNECT});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 4 * S);
	world_add(&world, 30);
	world_run_to(&world, 5 * S + 12 * MS + 2 * MS + 10 * MS);
	assert_int_equal(world.targets[0].log_count, 2);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_CLOSED], 0);
	world_run_until_done(&world, 600 * S);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_CLOSED], 1);
	/* The second failed probe had ended before the third went out. */
	assert_true(world.targets[0].log[3].at_us >= world.targets[0].log[2].ended_us);
	assert_int_equal(world.targets[0].log[3].ended_us,
		world_event(&world, DELIVERY_BREAKER_CLOSED, 0)->at_us);
	assert_int_equal(world_stats(&world).accepted, 31);
	world_end(&world);
}

/* A 500 is an answer to our credentials too: they were read. */
static void any_answer_closes(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 5});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 500});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 30 * S);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_CLOSED], 1);
	world_end(&world);
}

/* Polls that were out when it opened still bring messages: back they go, for the rest. */
static void late_messages_go_back(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 4, .failure_queue = true});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401, .latency_us = S});
	world_add(&world, 1);
	world_start(&world);
	/* The second poll left at 2 ms, for the three free slots, and waits. */
	world_run_to(&world, 2 * S);
	world_add(&world, 1);
	world_run_to(&world, 4 * S);
	assert_int_equal(world.targets[0].log_count, 1);
	/* Opened at 1.002 s until 6.002 s, arrived at 2.001 s: 4.001 s left. */
	assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 1)->messages[0], 1);
	assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 1)->visibility_s[0], 5);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(world_stats(&world).accepted, 2);
	world_end(&world);
}

/* One destination's open breaker leaves the others as they are, however few slots they have. */
static void the_neighbour_goes_on(void **state)
{
	static const char *const to_first[] = {"Destination", "String", "lane0", NULL};
	static const char *const to_second[] = {"Destination", "String", "lane1", NULL};

	world_init(&world, &(struct world_options){.lanes = 2,
				   .lane_concurrency = {500, 5},
				   .receivers = 1,
				   .failure_queue = true});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401});
	/* One of the neighbour's five takes its time. */
	fake_target_answer(&world.targets[1], 1, (struct answer){.latency_us = 3 * S});
	world_add_with(&world, to_first);
	world_start(&world);
	world_run_to(&world, 500 * MS);
	for (int i = 0; i < 30; i++)
		world_add_with(&world, to_second);
	world_run_to(&world, 4 * S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_int_equal(world.targets[1].log_count, 30);
	assert_true(world.targets[1].log[29].at_us < S);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_at_the_first_refusal),
		cmocka_unit_test(what_waits_goes_back),
		cmocka_unit_test(a_refused_probe_doubles_the_wait),
		cmocka_unit_test(an_unreachable_provider_is_no_answer),
		cmocka_unit_test(any_answer_closes),
		cmocka_unit_test(late_messages_go_back),
		cmocka_unit_test(the_neighbour_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
