/*
 * Message groups of a FIFO queue when something fails: a copy, a visibility, a lane, memory, the
 * process, at every step. The order holds. (The fake target fails a test at any attempt that is out
 * of it.)
 */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "delivery/group.h"
#include "failmalloc.h"
#include "group_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- permanent failures */

/* Linger 50 ms, 1 ms there, 500 ms back: the second is sent when the first's copy is confirmed. */
static void the_next_waits_for_the_copy(void **state)
{
	open_world(&(struct world_options){.concurrency = 10, .failure_queue = true});
	world.failure_queue.back_us = 500 * MS;
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 400});
	world_add_group(&world, "a", 3);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	expect_attempts(0, (const size_t[]){0, 1, 2}, 3);
	assert_int_equal(world.targets[0].log[1].at_us, 563 * MS);
	assert_string_equal(world.failure_queue.messages[0]->group_id, "a");
	world_end(&world);
}

/* A copy that takes several tries, or that can never be taken. */
static void the_copy_fails(void **state)
{
	static const struct {
		int err;
		unsigned times, copies;
		bool lost;
	} rows[] = {
		{ERR_UNAVAILABLE, 5, 1, false},
		{ERR_THROTTLED, 5, 1, false},
		{ERR_TIMEOUT, 1, 2, true},
		{ERR_REFUSED, 2, 0, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		snprintf(label, sizeof(label), "copy, row %zu", i);
		open_world(&(struct world_options){
			.concurrency = 10, .failure_queue = true, .label = label});
		fake_target_answer(&world.targets[0], 1, (struct answer){.status = 400});
		fake_queue_fail(&world.failure_queue, (struct fault){.op = OP_SEND,
							      .times = rows[i].times,
							      .err = rows[i].err,
							      .entry = WHOLE_CALL,
							      .lost = rows[i].lost});
		world_add_group(&world, "a", 3);
		world_start(&world);
		world_run_until_done(&world, 60 * S);
		assert_int_equal(world.failure_queue.count, rows[i].copies);
		if (rows[i].copies)
			expect_attempts(0, (const size_t[]){0, 1, 2}, 3);
		else
			expect_attempts(0, (const size_t[]){0, 0, 1, 2}, 4);
		assert_int_equal(world_stats(&world).failed_left, rows[i].copies ? 0 : 1);
		assert_int_equal(world_stats(&world).failed, rows[i].copies ? 1 : 0);
		world_end(&world);
	}
}

/* Failed for what it says itself, wherever it stands: it is copied, and the rest is sent. */
static void failed_at_the_door(void **state)
{
	for (size_t place = 0; place < 4; place++) {
		snprintf(label, sizeof(label), "nowhere, at place %zu", place);
		open_world(&(struct world_options){
			.concurrency = 10, .failure_queue = true, .label = label});
		world_add_group(&world, "a", place);
		add_with("a", "Destination", "String", "nowhere");
		world_add_group(&world, "a", 3 - place);
		world_start(&world);
		world_run_until_done(&world, 10 * S);
		assert_int_equal(world.targets[0].log_count, 3);
		assert_int_equal(world_stats(&world).failed, 1);
		assert_int_equal(world.failure_queue.count, 1);
		world_end(&world);
	}
}

/* ---- lost visibility */

static void refuse_extensions(
	struct fake_queue *queue, const struct call_record *call, struct call_plan *plan)
{
	if (call->is_extension)
		plan->err = ERR_UNAVAILABLE;
}

/*
 * The head is out for longer than the visibility, and cannot be extended. Those behind it are lost
 * when it ends; all come again; the head's second receive waits for the end of the first attempt.
 */
static void visibility_ends_under_the_head(void **state)
{
	open_world(&(struct world_options){.concurrency = 10, .visibility_s = 6});
	world.queue.plan = refuse_extensions;
	fake_target_answer(&world.targets[0], 1, (struct answer){.latency_us = 8 * S});
	world_add_group(&world, "a", 4);
	world_start(&world);
	world_run_to(&world, 7 * S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_int_equal(world_stats(&world).lost, 3);
	world_run_until_done(&world, 60 * S);
	/* Without a ledger the head is sent a second time, and it still goes first. */
	expect_attempts(0, (const size_t[]){0, 0, 1, 2, 3}, 5);
	assert_true(world.targets[0].log[1].at_us >= world.targets[0].log[0].ended_us);
	world_end(&world);
}

static size_t refused_message;

static void invalidate_one(
	struct fake_queue *queue, const struct call_record *call, struct call_plan *plan)
{
	for (size_t i = 0; call->is_extension && i < call->count; i++)
		if (call->messages[i] == refused_message)
			plan->entry_err[i] = ERR_RECEIPT_INVALID;
}

/* One that waits is no longer ours: neither is what is behind it. */
static void one_in_the_middle_is_lost(void **state)
{
	for (refused_message = 1; refused_message < 4; refused_message++) {
		snprintf(label, sizeof(label), "message %zu is lost", refused_message);
		open_world(&(struct world_options){
			.concurrency = 10, .visibility_s = 6, .label = label});
		world.queue.plan = invalidate_one;
		fake_target_answer(&world.targets[0], 1, (struct answer){.latency_us = 4 * S});
		world_add_group(&world, "a", 4);
		world_start(&world);
		world_run_to(&world, 3900 * MS);
		assert_int_equal(world_stats(&world).lost, 1);
		assert_int_equal(world_stats(&world).returned, 3 - refused_message);
		world_run_until_done(&world, 60 * S);
		assert_int_equal(world_stats(&world).accepted, 4);
		world_end(&world);
	}
}

/* The head fails while the extensions of those behind it are out, at every instant of the call. */
static void goes_back_while_extensions_are_out(void **state)
{
	for (uint64_t at_ms = 19500; at_ms <= 20600; at_ms += 5) {
		open_world(&(struct world_options){.concurrency = 5});
		world.queue.there_us = world.queue.back_us = 200 * MS;
		fake_target_answer(&world.targets[0], 1,
			(struct answer){
				.status = 503, .retry_after_ms = 3000, .latency_us = at_ms * MS});
		world_add_group(&world, "a", 4);
		world_start(&world);
		world_run_to(&world, 22 * S);
		assert_int_equal(world_stats(&world).returned, 4);
		for (size_t i = 0; i < 4; i++)
			assert_int_equal(world_returned_for(&world, i, 1), 3);
		world_run_until_done(&world, 60 * S);
		expect_attempts(0, (const size_t[]){0, 0, 1, 2, 3}, 5);
		world_end(&world);
	}
}

/* ---- one group, several destinations */

static void over_several_lanes(void **state)
{
	open_world(&(struct world_options){.lanes = 3, .concurrency = 4});
	for (unsigned i = 0; i < 9; i++)
		add_to_lane("a", i % 3);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	for (unsigned lane = 0; lane < 3; lane++)
		expect_attempts(lane, (const size_t[]){lane, lane + 3, lane + 6}, 3);
	for (size_t i = 0; i < 9; i++)
		assert_int_equal(world.targets[i % 3].log[i / 3].at_us, (2 + 10 * i) * MS);
	world_end(&world);
}

/* The breaker of one lane takes back what waits for another behind it. */
static void behind_an_open_breaker(void **state)
{
	open_world(&(struct world_options){.lanes = 2, .concurrency = 4});
	fake_target_answer(&world.targets[1], 1, (struct answer){.status = 401});
	add_to_lane("a", 0);
	add_to_lane("a", 1);
	add_to_lane("a", 0);
	add_to_lane("b", 0);
	world_start(&world);
	world_run_to(&world, S);
	expect_attempts(0, (const size_t[]){0, 3}, 2);
	assert_int_equal(world_returned_for(&world, 1, 1), 5);
	assert_int_equal(world_returned_for(&world, 2, 1), 5);
	world_run_until_done(&world, 60 * S);
	expect_attempts(0, (const size_t[]){0, 3, 2}, 3);
	world_end(&world);
}

/* A lane without room puts a message back: what is behind it goes too. */
static void behind_a_crowded_lane(void **state)
{
	open_world(&(struct world_options){.lanes = 2, .lane_concurrency = {1, 50}});
	world.targets[0].otherwise.latency_us = S;
	for (int i = 0; i < 40; i++) {
		char id[16];

		snprintf(id, sizeof(id), "%d", i);
		add_to_lane(id, 0);
		add_to_lane(id, 1);
	}
	world_start(&world);
	world_run_until_done(&world, 600 * S);
	assert_true(world_stats(&world).crowded > 0);
	assert_int_equal(world.targets[0].log_count, 40);
	assert_int_equal(world.targets[1].log_count, 40);
	world_end(&world);
}

/* ---- sweeps */

#define SCENARIO_GROUPS 4

static struct ledger *used_ledger;

/* Some of everything that may happen to a message of a group. */
static void build(const char *what, unsigned long k)
{
	static const struct answer answers[] = {{.status = 200}, {.status = 500}, {.status = 400},
		{.err = ERR_TIMEOUT, .latency_us = 3 * S}, {.status = 429, .retry_after_ms = 900},
		{.start_err = ERR_LIMIT}, {.latency_us = 4 * S}, {.status = 401}};

	snprintf(label, sizeof(label), "%s %lu", what, k);
	world_init_outside(&world, &(struct world_options){.fifo = true,
					   .lanes = 2,
					   .lane_concurrency = {8, 2},
					   .visibility_s = 4,
					   .wait_s = 2,
					   .failure_queue = true,
					   .ledger = used_ledger,
					   .grace_ms = 3000,
					   .seed = 1,
					   .label = label});
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		fake_target_answer(&world.targets[0], 1, answers[i]);
	fake_target_answer(&world.targets[1], 2, (struct answer){.latency_us = 5 * S});
	fake_queue_fail(&world.queue,
		(struct fault){.op = OP_DELETE, .err = ERR_NETWORK, .entry = WHOLE_CALL});
	fake_queue_fail(&world.failure_queue,
		(struct fault){.op = OP_SEND, .err = ERR_UNAVAILABLE, .entry = WHOLE_CALL});
	for (unsigned i = 0; i < 3 * SCENARIO_GROUPS; i++) {
		static const char *const ids[SCENARIO_GROUPS] = {"a", "b", "c", "d"};

		if (i == 5)
			add_with(ids[i % SCENARIO_GROUPS], "NotBefore", "Number", "1800000003000");
		else if (i == 6)
			add_with(ids[i % SCENARIO_GROUPS], "Destination", "String", "nowhere");
		else
			add_to_lane(ids[i % SCENARIO_GROUPS], i % 3 == 2);
	}
}

static void run_steps(const char *what, unsigned long k)
{
	build(what, k);
	assert_int_equal(world_init_core(&world), 0);
	world_start(&world);
	for (unsigned long n = 0; n < k; n++)
		world_step(&world);
}

static unsigned long count_steps(void)
{
	unsigned long steps = 0;

	run_steps("undisturbed", 0);
	while (fake_queue_alive(&world.queue) || delivery_held(world.delivery)) {
		assert_true(world_step(&world));
		steps++;
	}
	assert_true(world_stats(&world).retried > 0 && world_stats(&world).extended > 0);
	assert_int_equal(world_stats(&world).failed, 2);
	assert_true(world_stats(&world).postponed > 0);
	world_end(&world);
	return steps;
}

/* Drained after step k: done within the grace, nothing held; another core delivers the rest. */
static void drained_at_every_step(void **state)
{
	unsigned long steps = count_steps();

	for (unsigned long k = 0; k <= steps; k++) {
		uint64_t from_us;

		run_steps("drained after step", k);
		from_us = world_now_us(&world);
		world_drain(&world);
		world_run_to(&world, from_us + 4 * S);
		assert_int_equal(world.drained, 1);
		assert_int_equal(world.drained_held, 0);
		assert_true(world.drained_us <= from_us + 3 * S);
		world_free_delivery(&world);
		world_restart(&world);
		world_run_until_done(&world, 600 * S);
		world_end(&world);
	}
	print_message("drained at each of %lu steps\n", steps);
}

static void kill_after(const char *what, unsigned long k)
{
	run_steps(what, k);
	world_free_delivery(&world);
	world_restart(&world);
	world_run_until_done(&world, 900 * S);
	world_end(&world);
}

static void killed_at_every_step(void **state)
{
	unsigned long steps = count_steps();

	for (unsigned long k = 0; k <= steps; k++)
		kill_after("killed after step", k);
}

/* With a ledger nothing that was accepted is sent again, and the order is kept around its claims.
 */
static void killed_with_a_ledger(void **state)
{
	static uint8_t key[SIPHASH_KEY_BYTES];
	unsigned long steps = count_steps();

	for (unsigned long k = 0; k <= steps; k++) {
		struct mapped_file file;
		struct ledger ledger;

		assert_int_equal(
			mapped_file_anonymous(LEDGER_BYTES_MIN, &ledger_file, key, &file), 0);
		assert_int_equal(ledger_attach(file.memory, file.bytes, 3600000, &ledger), 0);
		used_ledger = &ledger;
		kill_after("killed with a ledger after step", k);
		used_ledger = NULL;
		mapped_file_close(&file);
	}
}

static void an_allocation_fails(void **state)
{
	unsigned long k = 0;
	bool failed;

	do {
		build("allocation", ++k);
		world.short_of_memory = true;
		assert_int_equal(world_init_core(&world), 0);
		failmalloc_arm(k);
		world_start(&world);
		world_run_until_done(&world, 600 * S);
		failed = failmalloc_disarm();
		world_end(&world);
	} while (failed);
	assert_true(k > 20);
	print_message("%lu allocations failed\n", k - 1);
}

/* Within a second: how many of a group were sent, which must be the first of it. */
static size_t sent_of(const char *group_id)
{
	size_t sent = 0;
	bool ended = false;

	for (size_t i = 0; i < world.queue.count; i++) {
		const struct fake_message *message = world.queue.messages[i];

		if (strcmp(message->group_id, group_id) != 0)
			continue;
		assert_false(ended && message->attempts);
		ended |= message->attempts == 0;
		sent += message->attempts;
	}
	return sent;
}

/* A message that cannot be held keeps those behind it out, and nobody else. */
static void no_memory_for_a_message(void **state)
{
	bool some_are_missing = false, failed;
	unsigned long k = 0;

	do {
		size_t a, b;

		snprintf(label, sizeof(label), "message, allocation %lu", ++k);
		open_world(&(struct world_options){.concurrency = 10, .label = label});
		world.short_of_memory = true;
		for (int i = 0; i < 5; i++) {
			world_add_group(&world, "a", 1);
			world_add_group(&world, "b", 1);
		}
		failmalloc_arm(k);
		world_start(&world);
		world_run_to(&world, S);
		failed = failmalloc_disarm();
		a = sent_of("a");
		b = sent_of("b");
		assert_true(a == 5 || b == 5);
		some_are_missing |= a < 5 || b < 5;
		world_end(&world);
	} while (failed);
	assert_true(some_are_missing);
}

/* Without the buckets there is no delivery. */
static void making_a_delivery(void **state)
{
	unsigned long k = 0;
	int err;

	do {
		build("making, allocation", ++k);
		failmalloc_arm(k);
		err = world_init_core(&world);
		if (failmalloc_disarm())
			assert_int_equal(err, ERR_NOMEM);
		else
			assert_int_equal(err, 0);
		world_end(&world);
	} while (err);
}

static void a_timer_cannot_be_set(void **state)
{
	unsigned long k = 0;
	bool failed;

	do {
		build("timer", ++k);
		world.short_of_memory = true;
		assert_int_equal(world_init_core(&world), 0);
		world.fail_timer = k;
		world_start(&world);
		world_run_until_done(&world, 600 * S);
		failed = world.fail_timer == 0;
		world_end(&world);
	} while (failed);
	assert_true(k > 20);
}

static unsigned long countdown;
static int fault;
static bool was_hit;

static void disturb(
	struct fake_queue *queue, const struct call_record *call, struct call_plan *plan)
{
	if (countdown == 0 || --countdown > 0)
		return;
	was_hit = true;
	if (fault == 0)
		plan->sync_err = ERR_NOMEM;
	else if (fault == 1 || fault == 2)
		plan->err = ERR_UNAVAILABLE;
	plan->lost |= fault == 2;
	for (size_t i = 0; i < call->count; i++) {
		if (fault == 3 && i % 2 == 0)
			plan->entry_err[i] = ERR_THROTTLED;
		if (fault == 4 && call->op != OP_SEND && i % 2 == 1)
			plan->entry_err[i] = ERR_RECEIPT_INVALID;
	}
	if (fault == 5 && call->op != OP_RECEIVE)
		plan->back_us = 10 * S;
}

static void a_call_fails(void **state)
{
	for (fault = 0; fault < 6; fault++) {
		unsigned long k = 0;
		char what[32];

		snprintf(what, sizeof(what), "way %d, call", fault);
		do {
			build(what, ++k);
			world.queue.plan = world.failure_queue.plan = disturb;
			countdown = k;
			was_hit = false;
			assert_int_equal(world_init_core(&world), 0);
			world_start(&world);
			world_run_until_done(&world, 600 * S);
			world_end(&world);
		} while (was_hit);
		assert_true(k > 20);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_next_waits_for_the_copy),
		cmocka_unit_test(the_copy_fails),
		cmocka_unit_test(failed_at_the_door),
		cmocka_unit_test(visibility_ends_under_the_head),
		cmocka_unit_test(one_in_the_middle_is_lost),
		cmocka_unit_test(goes_back_while_extensions_are_out),
		cmocka_unit_test(over_several_lanes),
		cmocka_unit_test(behind_an_open_breaker),
		cmocka_unit_test(behind_a_crowded_lane),
		cmocka_unit_test(drained_at_every_step),
		cmocka_unit_test(killed_at_every_step),
		cmocka_unit_test(killed_with_a_ledger),
		cmocka_unit_test(an_allocation_fails),
		cmocka_unit_test(no_memory_for_a_message),
		cmocka_unit_test(making_a_delivery),
		cmocka_unit_test(a_timer_cannot_be_set),
		cmocka_unit_test(a_call_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
