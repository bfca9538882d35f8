/* Slots: filled at once, refilled as they free, never more than allowed; routing; failed starts. */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct world world;

static void one_message(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, S);
	/* Receive 2 ms, attempt 10 ms, linger 50 ms, delete 2 ms. */
	assert_int_equal(fake_queue_call(&world.queue, OP_RECEIVE, 0)->at_us, 0);
	assert_int_equal(world.targets[0].log[0].at_us, 2 * MS);
	assert_int_equal(world.targets[0].log[0].ended_us, 12 * MS);
	assert_int_equal(fake_queue_call(&world.queue, OP_DELETE, 0)->at_us, 62 * MS);
	assert_int_equal(world.queue.messages[0]->deleted_us, 63 * MS);
	assert_int_equal(world_stats(&world).deleted, 1);
	assert_int_equal(world.event_totals[DELIVERY_ACCEPTED], 1);
	assert_int_equal(delivery_latency(world.delivery, 0)->count, 1);
	assert_int_equal(delivery_latency(world.delivery, 0)->sum, 12 * MS);
	world_end(&world);
}

/* One slow send in a batch of ten idles one slot: the other nine are refilled as they free. */
static void no_batch_barrier(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 10, .visibility_s = 120});
	fake_target_answer(&world.targets[0], 1, (struct answer){.latency_us = 60 * S});
	world_add(&world, 200);
	world_start(&world);
	world_run_to(&world, S);
	/* Nine slots, 10 ms each and a receive in between: far more than a batch. */
	assert_true(world_stats(&world).accepted >= 199);
	assert_int_equal(world_stats(&world).sending, 1);
	assert_int_equal(world.targets[0].out_most, 10);
	world_run_to(&world, 70 * S);
	assert_int_equal(world_stats(&world).deleted, 200);
	world_end(&world);
}

/* The slot that an answer frees is taken in the same instant by a message that waits. */
static void slots_are_refilled_at_once(void **state)
{
	static const char *const to_second[] = {"Destination", "String", "lane1", NULL};

	world_init(&world,
		&(struct world_options){.lanes = 2, .lane_concurrency = {9, 1}, .wait_s = 20});
	for (int i = 0; i < 4; i++)
		world_add_with(&world, to_second);
	world_start(&world);
	world_run_to(&world, S);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(world.targets[1].log[i].at_us, 2 * MS + i * 10 * MS);
	assert_int_equal(world.targets[1].out_most, 1);
	world_end(&world);
}

static void never_answered(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 2});
	fake_target_answer(&world.targets[0], 1, (struct answer){.never = true});
	world_add(&world, 21);
	world_start(&world);
	world_run_to(&world, 120 * S);
	assert_int_equal(world_stats(&world).deleted, 20);
	assert_int_equal(world_stats(&world).sending, 1);
	world_end(&world);
}

static void routes_by_destination(void **state)
{
	static const char *const to[][4] = {
		{"Destination", "String", "lane2", NULL},
		{"Destination", "String", "lane0", NULL},
		{"Destination", "String", "lane1", NULL},
		{"Campaign", "String", "lane1", NULL},
		{"Destination", "String", "lane", NULL},
		{"Destination", "String", "lane22", NULL},
	};

	world_init(&world, &(struct world_options){.lanes = 3, .failure_queue = true});
	for (size_t i = 0; i < 6; i++)
		world_add_with(&world, to[i]);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(world.targets[0].log_count, 2); /* by name, and the first by default */
	assert_int_equal(world.targets[0].log[0].message, 1);
	assert_int_equal(world.targets[0].log[1].message, 3);
	assert_int_equal(world.targets[1].log_count, 1);
	assert_int_equal(world.targets[1].log[0].message, 2);
	assert_int_equal(world.targets[2].log_count, 1);
	assert_int_equal(world.targets[2].log[0].message, 0);
	assert_int_equal(world_stats(&world).failed, 2);
	assert_string_equal(world_event(&world, DELIVERY_FAILED, 0)->reason,
		"attribute Destination: no destination \"lane\"");
	assert_string_equal(world_event(&world, DELIVERY_FAILED, 1)->reason,
		"attribute Destination: no destination \"lane22\"");
	for (size_t i = 0; i < 4; i++) {
		const struct world_event *event = world_event(&world, DELIVERY_ACCEPTED, i);

		if (event->message == 0)
			assert_string_equal(event->destination, "lane2");
	}
	world_end(&world);
}

/* Cut within a character and with control characters inside: the copy's reason must be text. */
static void hostile_destination(void **state)
{
	char name[200];
	const char *const binary[] = {"Destination", "Binary", "\x01\xff\x1b[2J", NULL};
	const char *const cut[] = {"Destination", "String", name, NULL};

	memset(name, 'a', sizeof(name));
	memcpy(name + 62, "\xe5\x88\x86\xe8\xba\xab", 6);
	name[199] = '\0';
	world_init(&world, &(struct world_options){.failure_queue = true});
	world_add_with(&world, binary);
	world_add_with(&world, cut);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(world_stats(&world).failed, 2);
	assert_int_equal(world.targets[0].log_count, 0);
	world_end(&world);
}

/* A start that fails here: the message goes back, the others wait 100 ms; nothing is lost. */
static void failed_starts(void **state)
{
	static const int errors[] = {ERR_NOMEM, ERR_LIMIT};

	for (size_t i = 0; i < 2; i++) {
		for (unsigned k = 0; k < 12; k++) {
			world_init(&world, &(struct world_options){.concurrency = 10, .seed = k});
			fake_target_answer(&world.targets[0], k, (struct answer){.status = 200});
			fake_target_answer(
				&world.targets[0], 1, (struct answer){.start_err = errors[i]});
			world_add(&world, 12);
			world_start(&world);
			world_run_until_done(&world, 10 * S);
			assert_int_equal(world_stats(&world).attempts, 12);
			assert_int_equal(world_stats(&world).retried, 1);
			assert_int_equal(world_stats(&world).returned, 1);
			assert_int_equal(
				fake_queue_call(&world.queue, OP_CHANGE, 0)->visibility_s[0], 1);
			assert_string_equal(world_event(&world, DELIVERY_ATTEMPT_FAILED, 0)->reason,
				error_message(errors[i]));
			world_end(&world);
		}
	}
}

static void a_failed_start_pauses_the_lane(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 10});
	fake_target_answer(&world.targets[0], 1, (struct answer){.start_err = ERR_LIMIT});
	world_add(&world, 10);
	world_start(&world);
	world_run_to(&world, 2 * MS);
	assert_int_equal(world.targets[0].log_count, 0);
	assert_int_equal(world.delivery->lanes[0].waiting_count, 9);
	world_run_to(&world, 102 * MS - 1);
	assert_int_equal(world.targets[0].log_count, 0);
	world_run_to(&world, 102 * MS);
	assert_int_equal(world.targets[0].log_count, 9);
	world_run_until_done(&world, 10 * S);
	world_end(&world);
}

static void rejects_bad_options(void **state)
{
	static const struct world_options bad[] = {
		{.wait_s = 21},
		{.visibility_s = 43201},
		{.receivers = DELIVERY_RECEIVERS_MAX + 1},
		{.backoff = {.base_ms = -1}},
		{.backoff = {.base_ms = 10, .cap_ms = 9}},
		{.grace_ms = -1},
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		world_init_outside(&world, &bad[i]);
		assert_int_equal(world_init_core(&world), ERR_ARGUMENT);
		assert_null(world.delivery);
		world_end(&world);
	}
	delivery_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_message),
		cmocka_unit_test(no_batch_barrier),
		cmocka_unit_test(slots_are_refilled_at_once),
		cmocka_unit_test(never_answered),
		cmocka_unit_test(routes_by_destination),
		cmocka_unit_test(hostile_destination),
		cmocka_unit_test(failed_starts),
		cmocka_unit_test(a_failed_start_pauses_the_lane),
		cmocka_unit_test(rejects_bad_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
