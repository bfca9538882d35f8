#include "scenario.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void script(struct world *world)
{
	static const struct answer answers[] = {{.status = 200}, {.status = 500}, {.status = 400},
		{.err = ERR_TIMEOUT, .latency_us = 3 * S}, {.status = 429, .retry_after_ms = 900},
		{.start_err = ERR_LIMIT}, {.latency_us = 4 * S}, {.status = 401}};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		fake_target_answer(&world->targets[0], 1, answers[i]);
	fake_target_answer(&world->targets[1], 2, (struct answer){.latency_us = 5 * S});
	fake_queue_fail(&world->queue, (struct fault){.op = OP_DELETE,
					       .skip = 1,
					       .err = ERR_NETWORK,
					       .entry = WHOLE_CALL,
					       .lost = true});
	fake_queue_fail(&world->queue,
		(struct fault){.op = OP_CHANGE, .skip = 2, .err = ERR_THROTTLED, .entry = 0});
	fake_queue_fail(&world->queue,
		(struct fault){
			.op = OP_RECEIVE, .skip = 4, .err = ERR_CONNECT, .entry = WHOLE_CALL});
	fake_queue_fail(&world->failure_queue,
		(struct fault){.op = OP_SEND, .err = ERR_UNAVAILABLE, .entry = WHOLE_CALL});
}

void scenario_build(struct world *world, const char *label)
{
	static const char *const to_second[] = {"Destination", "String", "lane1", NULL};
	static const char *const late[] = {"Deadline", "Number", "1800000000001", NULL};
	static const char *const early[] = {"NotBefore", "Number", "1800000003000", NULL};
	static const char *const nowhere[] = {"Destination", "String", "?", NULL};
	size_t index;

	world_init_outside(world, &(struct world_options){.lanes = 2,
					  .lane_concurrency = {8, 2},
					  .visibility_s = 4,
					  .wait_s = 2,
					  .failure_queue = true,
					  .grace_ms = 3000,
					  .max_attempts = 5,
					  .seed = 1,
					  .label = label});
	script(world);
	world_add(world, 10);
	for (int i = 0; i < 4; i++)
		world_add_with(world, to_second);
	index = world_add_with(world, late);
	world->queue.messages[index]->deadline_epoch_ms = WORLD_EPOCH_MS + 1;
	world_add_with(world, early);
	world_add_with(world, nowhere);
}

unsigned long scenario_steps(struct world *world)
{
	unsigned long steps = 0;
	struct delivery_stats stats;

	scenario_build(world, "undisturbed");
	assert_int_equal(world_init_core(world), 0);
	world_start(world);
	while (fake_queue_alive(&world->queue) || delivery_held(world->delivery)) {
		assert_true(world_step(world));
		steps++;
	}
	stats = world_stats(world);
	assert_true(stats.accepted > 0 && stats.retried > 0 && stats.expired > 0);
	assert_true(stats.postponed > 0);
	assert_true(stats.failed > 0);
	assert_true(stats.extended > 0);
	assert_int_equal(world->event_totals[DELIVERY_BREAKER_OPENED], 1);
	assert_true(steps > 60);
	world_end(world);
	return steps;
}
