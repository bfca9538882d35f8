/* The clean stop, and the end of everything at any instant. */
#include "bunshin/error.h"
#include "scenario.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct world world;

static void before_the_start(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1});
	world_drain(&world);
	assert_int_equal(world.drained, 0);
	world_run_to(&world, 0);
	assert_int_equal(world.drained, 1);
	assert_int_equal(world.drained_held, 0);
	world_start(&world);
	world_run_to(&world, S);
	assert_int_equal(fake_queue_calls(&world.queue, OP_RECEIVE), 0);
	world_end(&world);
}

/* An idle poll is given a second, or a quarter of a short grace, to answer. */
static void with_an_idle_poll(void **state)
{
	static const struct {
		int64_t grace_ms;
		uint64_t expected_us;
	} rows[] = {
		{30000, S},
		{4000, S},
		{2000, 500 * MS},
		{4, MS},
		{WORLD_NO_GRACE, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world_init(&world, &(struct world_options){.grace_ms = rows[i].grace_ms});
		world_start(&world);
		world_run_to(&world, 5 * S);
		world_drain(&world);
		world_run_to(&world, 15 * S);
		assert_int_equal(world.drained, 1);
		assert_int_equal(world.drained_us, 5 * S + rows[i].expected_us);
		assert_int_equal(world.drained_held, 0);
		assert_true(fake_queue_call(&world.queue, OP_RECEIVE, 0)->cancelled);
		world_end(&world);
	}
}

/* What a poll still brings goes back with 0, unless it is past its deadline: that is deleted. */
static void late_messages_go_back(void **state)
{
	static const char *const late[] = {"Deadline", "Number", "1800000000000", NULL};

	world_init(&world, &(struct world_options){.concurrency = 10});
	world.queue.there_us = world.queue.back_us = 300 * MS;
	for (int i = 0; i < 4; i++)
		world_add(&world, 1);
	world_add_with(&world, late);
	world.queue.messages[4]->deadline_epoch_ms = WORLD_EPOCH_MS;
	world_start(&world);
	world_run_to(&world, 100 * MS);
	world_drain(&world);
	world_run_to(&world, 10 * S);
	assert_int_equal(world.targets[0].log_count, 0);
	assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->count, 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->visibility_s[i], 0);
	assert_int_equal(world_stats(&world).deleted, 1);
	/* Answer at 600 ms, linger, and 600 ms for the calls. */
	assert_int_equal(world.drained_us, 1250 * MS);
	assert_int_equal(world.drained_held, 0);
	world_end(&world);
}

/* Attempts finish, deletes are flushed, what waits goes back with 0; done as soon as that is so. */
static void attempts_finish_within_the_grace(void **state)
{
	static const char *const to_second[] = {"Destination", "String", "lane1", NULL};

	world_init(&world,
		&(struct world_options){
			.lanes = 2, .lane_concurrency = {8, 2}, .receivers = 1, .grace_ms = 30000});
	world.targets[1].otherwise.latency_us = 3 * S;
	for (int i = 0; i < 10; i++)
		world_add_with(&world, to_second);
	world_start(&world);
	world_run_to(&world, S);
	assert_int_equal(world_stats(&world).sending, 2);
	world_drain(&world);
	world_run_to(&world, 2 * S);
	/* One of them twice: the first lane's poll was still out. */
	assert_int_equal(world_stats(&world).returned, 9);
	assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->visibility_s[0], 0);
	assert_int_equal(world.drained, 0);
	world_run_to(&world, 40 * S);
	assert_int_equal(world.drained, 1);
	/* 2 ms + 3 s, 50 ms of linger, 2 ms for the delete. */
	assert_int_equal(world.drained_us, 3 * S + 54 * MS);
	assert_int_equal(world_stats(&world).deleted, 2);
	assert_int_equal(world.targets[1].log_count, 2);
	world_end(&world);
}

/* The last quarter of the grace, at most 2 s, is for the calls that give back what is abandoned. */
static void attempts_outlast_the_grace(void **state)
{
	static const struct {
		int64_t grace_ms;
		uint64_t abandoned_us;
	} rows[] = {{30000, 28 * S}, {8000, 6 * S}, {1000, 750 * MS}, {400, 300 * MS}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world_init(&world, &(struct world_options){.concurrency = 10,
					   .grace_ms = rows[i].grace_ms,
					   .visibility_s = 60});
		fake_target_answer(&world.targets[0], 7, (struct answer){.never = true});
		world_add(&world, 10);
		world_start(&world);
		world_run_to(&world, S);
		assert_int_equal(world_stats(&world).deleted, 3);
		world_drain(&world);
		world_run_to(&world, S + rows[i].abandoned_us - 1);
		assert_int_equal(world_stats(&world).sending, 7);
		world_run_to(&world, 40 * S);
		for (size_t k = 0; k < 7; k++) {
			assert_int_equal(
				world.targets[0].log[k].ended_us, S + rows[i].abandoned_us);
			assert_true(world.targets[0].log[k].cancelled);
		}
		assert_int_equal(world.event_totals[DELIVERY_ATTEMPT_FAILED], 7);
		assert_string_equal(world_event(&world, DELIVERY_ATTEMPT_FAILED, 6)->reason,
			"given up: the worker stops");
		assert_int_equal(world.drained, 1);
		assert_int_equal(world.drained_us, S + rows[i].abandoned_us + 52 * MS);
		assert_int_equal(world.drained_held, 0);
		assert_int_equal(world_stats(&world).returned, 7);
		assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->count, 7);
		assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->visibility_s[6], 0);
		world_end(&world);
	}
}

static void without_grace(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 10, .grace_ms = WORLD_NO_GRACE});
	world.targets[0].otherwise.never = true;
	world_add(&world, 5);
	world_start(&world);
	world_run_to(&world, S);
	world_drain(&world);
	world_run_to(&world, S);
	assert_int_equal(world.drained, 1);
	assert_int_equal(world.drained_held, 5);
	world_end(&world);
}

/* The queue is down: the grace ends it, with what is held. */
static void with_the_queue_down(void **state)
{
	static const struct fault faults[] = {
		{.err = ERR_CONNECT, .entry = WHOLE_CALL, .times = 100000},
		{.err = ERR_NOMEM, .entry = WHOLE_CALL, .times = 100000, .sync = true},
		{.err = 0, .entry = WHOLE_CALL, .times = 100000, .hangs = true},
	};

	for (size_t i = 0; i < 3; i++) {
		world_init(&world, &(struct world_options){.concurrency = 10, .visibility_s = 60});
		fake_target_answer(&world.targets[0], 2, (struct answer){.status = 500});
		for (int op = OP_DELETE; op <= OP_CHANGE; op++) {
			struct fault fault = faults[i];

			fault.op = op;
			fake_queue_fail(&world.queue, fault);
		}
		world_add(&world, 5);
		world_start(&world);
		world_run_to(&world, S);
		world_drain(&world);
		world_run_to(&world, 11 * S - 1);
		assert_int_equal(world.drained, 0);
		world_run_to(&world, 11 * S);
		assert_int_equal(world.drained, 1);
		assert_int_equal(world.drained_held, 5);
		/* Not freed, it may go on; done is called once all the same. */
		world_run_to(&world, 100 * S);
		assert_int_equal(world.drained, 1);
		world_end(&world);
	}
}

/* Nothing in flight, a receive that fails while draining: no other is started. */
static void a_failing_poll(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 10});
	fake_queue_fail(&world.queue,
		(struct fault){.op = OP_RECEIVE, .err = ERR_CONNECT, .entry = WHOLE_CALL});
	world.queue.there_us = 500 * MS;
	world_start(&world);
	world_drain(&world);
	world_run_to(&world, 60 * S);
	assert_int_equal(world.drained_us, 501 * MS);
	assert_int_equal(fake_queue_calls(&world.queue, OP_RECEIVE), 1);
	world_end(&world);
}

static void a_second_drain_is_ignored(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1});
	world.targets[0].otherwise.latency_us = 2 * S;
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, S);
	world_drain(&world);
	world_run_to(&world, 1500 * MS);
	world_drain(&world);
	world_run_to(&world, 60 * S);
	assert_int_equal(world.drained, 1);
	assert_int_equal(world.drained_us, 2 * S + 54 * MS);
	world_drain(&world);
	world_run_to(&world, 120 * S);
	assert_int_equal(world.drained, 1);
	world_end(&world);
}

static void done_may_free(void **state)
{
	for (int k = 0; k < 3; k++) {
		world_init(&world, &(struct world_options){.concurrency = 3, .grace_ms = 1000});
		world.free_when_drained = true;
		fake_target_answer(
			&world.targets[0], 1, (struct answer){.never = k == 1, .latency_us = S});
		world_add(&world, 5);
		world_start(&world);
		if (k)
			world_run_to(&world, 500 * MS);
		if (k == 2)
			fake_queue_fail(&world.queue, (struct fault){.op = OP_CHANGE,
							      .times = 1000,
							      .err = ERR_CONNECT,
							      .entry = WHOLE_CALL});
		world_drain(&world);
		world_run_to(&world, 60 * S);
		assert_int_equal(world.drained, 1);
		assert_null(world.delivery);
		world_end(&world);
	}
}

static void run_steps(unsigned long steps)
{
	scenario_build(&world, "cut short");
	assert_int_equal(world_init_core(&world), 0);
	world_start(&world);
	for (unsigned long i = 0; i < steps; i++)
		world_step(&world);
}

/* Freed after step k, for every k: nothing is left of it, and nothing calls back afterwards. */
static void freed_at_every_step(void **state)
{
	unsigned long steps = scenario_steps(&world);

	for (unsigned long k = 0; k <= steps; k++) {
		run_steps(k);
		world_end(&world);
	}
	print_message("freed at each of %lu steps\n", steps);
}

/*
 * Drained after step k, for every k: done once, within the grace, and what is not deleted then is
 * in the queue again, sooner than by its visibility unless a call failed.
 */
static void drained_at_every_step(void **state)
{
	unsigned long steps = scenario_steps(&world);

	for (unsigned long k = 0; k <= steps; k++) {
		uint64_t from_us;

		run_steps(k);
		from_us = world_now_us(&world);
		world_drain(&world);
		world.free_when_drained = k % 2;
		world_run_to(&world, from_us + 4 * S);
		assert_int_equal(world.drained, 1);
		assert_true(world.drained_us <= from_us + 3 * S);
		assert_int_equal(world.drained_held, 0);
		world_end(&world);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_the_start),
		cmocka_unit_test(with_an_idle_poll),
		cmocka_unit_test(late_messages_go_back),
		cmocka_unit_test(attempts_finish_within_the_grace),
		cmocka_unit_test(attempts_outlast_the_grace),
		cmocka_unit_test(without_grace),
		cmocka_unit_test(with_the_queue_down),
		cmocka_unit_test(a_failing_poll),
		cmocka_unit_test(a_second_drain_is_ignored),
		cmocka_unit_test(done_may_free),
		cmocka_unit_test(freed_at_every_step),
		cmocka_unit_test(drained_at_every_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
