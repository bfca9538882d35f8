/*
 * Message groups of a FIFO queue: one after the other, in order, whatever happens to each. (The
 * fake target fails a test at any attempt that is out of order.) test_group_faults.c goes on.
 */
#include "base/hash.h"
#include "bunshin/error.h"
#include "delivery/core.h"
#include "delivery/group.h"
#include "group_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- order */

/* The next is sent in the instant in which the one before it was accepted. */
static void one_after_the_other(void **state)
{
	open_world(&(struct world_options){.concurrency = 10});
	world_add_group(&world, "a", 5);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	expect_attempts(0, (const size_t[]){0, 1, 2, 3, 4}, 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(world.targets[0].log[i].at_us, (2 + 10 * i) * MS);
	assert_int_equal(world.targets[0].out_most, 1);
	assert_int_equal(world_stats(&world).received, 5);
	world_end(&world);
}

/* Without a group id of their own they are one group. */
static void no_group_is_a_group(void **state)
{
	open_world(&(struct world_options){.concurrency = 10});
	world_add(&world, 3);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	expect_attempts(0, (const size_t[]){0, 1, 2}, 3);
	assert_int_equal(world.targets[0].out_most, 1);
	world_end(&world);
}

/* A standard queue's group ids (its fair queues have them) mean nothing for the order. */
static void groups_of_a_standard_queue(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 10});
	world_add_group(&world, "a", 5);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(world.targets[0].out_most, 5);
	world_end(&world);
}

static void groups_run_side_by_side(void **state)
{
	char id[16];

	open_world(&(struct world_options){.concurrency = 20, .receivers = 4});
	for (int i = 0; i < 10; i++) {
		for (int group = 0; group < 20; group++) {
			snprintf(id, sizeof(id), "group %d", group);
			world_add_group(&world, id, 1);
		}
	}
	world_start(&world);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(world.targets[0].log_count, 200);
	assert_int_equal(world.targets[0].out_most, 20);
	assert_int_equal(world_stats(&world).accepted, 200);
	assert_int_equal(world_stats(&world).lost, 0);
	world_end(&world);
}

/* Two ids in one bucket are two groups all the same. */
static void groups_of_one_bucket(void **state)
{
	char id[16];
	uint64_t bucket = hash_bytes("a", 1) % GROUP_BUCKETS;

	for (unsigned n = 0;; n++) {
		snprintf(id, sizeof(id), "b%u", n);
		if (hash_bytes(id, strlen(id)) % GROUP_BUCKETS == bucket)
			break;
	}
	open_world(&(struct world_options){.concurrency = 10});
	fake_target_answer(
		&world.targets[0], 1, (struct answer){.status = 503, .retry_after_ms = 5000});
	for (int i = 0; i < 3; i++) {
		world_add_group(&world, "a", 1);
		world_add_group(&world, id, 1);
	}
	world_start(&world);
	world_run_to(&world, S);
	/* All of one went back with its head, none of the other. */
	expect_attempts(0, (const size_t[]){0, 1, 3, 5}, 4);
	assert_int_equal(world.targets[0].out_most, 2);
	assert_int_equal(world_stats(&world).returned, 3);
	world_run_until_done(&world, 20 * S);
	expect_attempts(0, (const size_t[]){0, 1, 3, 5, 0, 2, 4}, 7);
	world_end(&world);
}

/* ---- deletes */

static size_t slot_in(const struct call_record *call, size_t message)
{
	for (size_t i = 0; i < call->count; i++)
		if (call->messages[i] == message)
			return i;
	return SIZE_MAX;
}

/* When its delete was confirmed. */
static uint64_t deleted_us(size_t message)
{
	for (size_t n = 0; n < fake_queue_calls(&world.queue, OP_DELETE); n++) {
		const struct call_record *call = fake_queue_call(&world.queue, OP_DELETE, n);
		size_t slot = slot_in(call, message);

		if (slot != SIZE_MAX && !call->results[slot])
			return call->answered_us;
	}
	fail_msg("message %zu is not deleted", message);
	return 0;
}

/* Each delete of a group, failed or not, has the one before it in its call, or in its past. */
static void expect_deletes_in_order(size_t first, size_t count)
{
	for (size_t n = 0; n < fake_queue_calls(&world.queue, OP_DELETE); n++) {
		const struct call_record *call = fake_queue_call(&world.queue, OP_DELETE, n);

		for (size_t i = 0; i < call->count; i++) {
			size_t message = call->messages[i];

			if (message > first && message < first + count)
				assert_true(slot_in(call, message - 1) < i ||
					    call->at_us >= deleted_us(message - 1));
		}
	}
}

/* The first delete of the group takes 600 ms: the others wait for it, other groups do not. */
static void deletes_keep_the_order(void **state)
{
	static const int errors[] = {0, ERR_UNAVAILABLE, ERR_THROTTLED};

	for (size_t row = 0; row < 3; row++) {
		open_world(&(struct world_options){.concurrency = 10});
		fake_queue_fail(&world.queue, (struct fault){.op = OP_DELETE,
						      .times = row ? 2 : 0,
						      .err = errors[row],
						      .entry = row ? 0 : QUEUE_BATCH_MAX});
		world.targets[0].otherwise.latency_us = 40 * MS;
		world.queue.back_us = 600 * MS;
		world_add_group(&world, "a", 6);
		world_add_group(&world, "b", 6);
		world_start(&world);
		world_run_until_done(&world, 20 * S);
		expect_deletes_in_order(0, 6);
		expect_deletes_in_order(6, 6);
		world_end(&world);
	}
}

/* A FIFO queue's quota: 300 calls a second of each kind. */
static unsigned calls_in_second[OP_COUNT][64];
static unsigned most_in_second;

static void quota(struct fake_queue *queue, const struct call_record *call, struct call_plan *plan)
{
	unsigned *n = &calls_in_second[call->op][call->at_us / S];

	if (++*n > most_in_second)
		most_in_second = *n;
	if (*n > 300)
		plan->err = ERR_THROTTLED;
}

/*
 * 3,000 messages a second are what batches of ten make of it: with a destination that takes nearly
 * that, the quota is never passed, and the destination is kept busy.
 */
static void three_hundred_calls_a_second(void **state)
{
	memset(calls_in_second, 0, sizeof(calls_in_second));
	most_in_second = 0;
	open_world(&(struct world_options){.concurrency = 500, .visibility_s = 300});
	world.queue.plan = quota;
	world.queue.back_us = 40 * MS;
	world.targets[0].otherwise.latency_us = 168 * MS;
	for (unsigned i = 0; i < 4000; i++) {
		char id[8];

		snprintf(id, sizeof(id), "g%u", i % 400);
		world_add_group(&world, id, 1);
	}
	world_start(&world);
	world_run_until_done(&world, 20 * S);
	assert_in_range(most_in_second, 100, 300);
	/* 4,000, ten of a group one after the other. */
	assert_in_range(world_now_us(&world), 1700 * MS, 2700 * MS);
	world_end(&world);
}

/*
 * A hundred groups, whose next is accepted while the delete before it is under way: those that have
 * to wait for that do not make the others leave in threes and fours.
 */
static void deletes_are_full(void **state)
{
	open_world(&(struct world_options){.concurrency = 500, .visibility_s = 300});
	world.queue.back_us = 40 * MS;
	world.targets[0].otherwise.latency_us = 20 * MS;
	for (unsigned i = 0; i < 4000; i++) {
		char id[8];

		snprintf(id, sizeof(id), "g%u", i % 100);
		world_add_group(&world, id, 1);
	}
	world_start(&world);
	world_run_until_done(&world, 5 * S);
	assert_in_range(fake_queue_calls(&world.queue, OP_DELETE), 400, 520);
	world_end(&world);
}

/* ---- the head goes back */

static void all_behind_go_back_with_it(void **state)
{
	open_world(&(struct world_options){.concurrency = 10});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 200});
	fake_target_answer(
		&world.targets[0], 2, (struct answer){.status = 503, .retry_after_ms = 6500});
	world_add_group(&world, "a", 5);
	world_start(&world);
	world_run_to(&world, 6 * S);
	for (size_t i = 1; i < 5; i++)
		assert_int_equal(world_returned_for(&world, i, 1), 7);
	/* They cost no attempt; only what was sent counts as tried. */
	assert_int_equal(world_stats(&world).retried, 1);
	assert_int_equal(world_stats(&world).returned, 4);
	assert_int_equal(delivery_held(world.delivery), 0);
	world_run_until_done(&world, 60 * S);
	expect_attempts(0, (const size_t[]){0, 1, 1, 1, 2, 3, 4}, 7);
	for (size_t i = 1; i < 5; i++)
		assert_int_equal(world_returned_for(&world, i, 2), 7);
	world_end(&world);
}

/* Each outcome that sends a message back, at each place in the group. */
static void order_over_retries(void **state)
{
	static const struct answer answers[] = {{.status = 500}, {.status = 429}, {.status = 401},
		{.status = 302}, {.err = ERR_TIMEOUT}, {.err = ERR_CONNECT},
		{.start_err = ERR_LIMIT}, {.err = ERR_NOMEM}, {.status = 400} /* left */};

	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		for (unsigned k = 0; k < 6; k++) {
			snprintf(label, sizeof(label), "answer %zu to attempt %u", i, k);
			open_world(&(struct world_options){.concurrency = 4, .label = label});
			fake_target_answer(&world.targets[0], k, (struct answer){.status = 200});
			fake_target_answer(&world.targets[0], 2, answers[i]);
			world_add_group(&world, "a", 6);
			world_start(&world);
			world_run_until_done(&world, 100 * S);
			assert_int_equal(world_stats(&world).accepted, 6);
			assert_int_equal(world_stats(&world).lost, 0);
			world_end(&world);
		}
	}
}

/* One that may not be sent yet: it and what is behind it wait, what is before it does not. */
static void not_before(void **state)
{
	for (size_t place = 0; place < 4; place++) {
		snprintf(label, sizeof(label), "NotBefore at place %zu", place);
		open_world(&(struct world_options){.concurrency = 10, .label = label});
		world_add_group(&world, "a", place);
		add_with("a", "NotBefore", "Number", "1800000004500");
		world_add_group(&world, "a", 3 - place);
		world_start(&world);
		world_run_to(&world, S);
		assert_int_equal(world.targets[0].log_count, place);
		assert_int_equal(world_stats(&world).postponed, 1);
		assert_int_equal(world_stats(&world).returned, 4 - place);
		for (size_t i = place; i < 4; i++)
			assert_int_equal(world_returned_for(&world, i, 1), 5);
		world_run_until_done(&world, 20 * S);
		expect_attempts(0, (const size_t[]){0, 1, 2, 3}, 4);
		assert_true(world.targets[0].log[place].at_us >= 4500 * MS);
		world_end(&world);
	}
}

/* Expired ones hold nobody up. */
static void deadlines(void **state)
{
	for (size_t place = 0; place < 4; place++) {
		snprintf(label, sizeof(label), "Deadline at place %zu", place);
		open_world(&(struct world_options){.concurrency = 10, .label = label});
		world_add_group(&world, "a", place);
		add_with("a", "Deadline", "Number", "1800000000001");
		world.queue.messages[place]->deadline_epoch_ms = WORLD_EPOCH_MS + 1;
		world_add_group(&world, "a", 3 - place);
		world_start(&world);
		world_run_until_done(&world, S);
		assert_int_equal(world.targets[0].log_count, 3);
		assert_int_equal(world.targets[0].log[0].at_us, 2 * MS);
		assert_int_equal(world.targets[0].log[2].at_us, 22 * MS);
		assert_int_equal(world_stats(&world).expired, 1);
		world_end(&world);
	}
}

/* A head that would only expire does not keep the others back for longer than that. */
static void the_deadline_of_the_head(void **state)
{
	open_world(&(struct world_options){.concurrency = 10});
	fake_target_answer(
		&world.targets[0], 1, (struct answer){.status = 503, .retry_after_ms = 60000});
	add_with("a", "Deadline", "Number", "1800000003000");
	world.queue.messages[0]->deadline_epoch_ms = WORLD_EPOCH_MS + 3000;
	world_add_group(&world, "a", 2);
	world_start(&world);
	world_run_to(&world, S);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(world_returned_for(&world, i, 1), 3);
	world_run_until_done(&world, 10 * S);
	expect_attempts(0, (const size_t[]){0, 1, 2}, 3);
	assert_int_equal(world_stats(&world).expired, 1);
	world_end(&world);
}

static void claimed_elsewhere(void **state)
{
	static uint8_t key[SIPHASH_KEY_BYTES];
	struct mapped_file file;
	struct ledger ledger;
	struct ledger_claim claim;
	int64_t until_ms;

	assert_int_equal(mapped_file_anonymous(LEDGER_BYTES_MIN, &ledger_file, key, &file), 0);
	for (size_t place = 0; place < 4; place++) {
		char id[16];

		snprintf(label, sizeof(label), "claimed at place %zu", place);
		snprintf(id, sizeof(id), "key-m%zu", place);
		memset(file.memory, 0, file.bytes);
		assert_int_equal(ledger_file.format(key, file.memory, file.bytes), 0);
		assert_int_equal(ledger_attach(file.memory, file.bytes, 3600000, &ledger), 0);
		open_world(&(struct world_options){.ledger = &ledger, .label = label});
		assert_int_equal(ledger_claim(&ledger, ledger_key_of(&ledger, "lane0", id),
					 WORLD_EPOCH_MS, WORLD_EPOCH_MS + 4900, &claim, &until_ms),
			LEDGER_CLAIMED);
		world_add_group(&world, "a", 4);
		world_start(&world);
		world_run_to(&world, 2 * S);
		assert_int_equal(world.targets[0].log_count, place);
		for (size_t i = place; i < 4; i++)
			assert_int_equal(world_returned_for(&world, i, 1), 5);
		world_run_until_done(&world, 20 * S);
		expect_attempts(0, (const size_t[]){0, 1, 2, 3}, 4);
		world_end(&world);
	}
	mapped_file_close(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_after_the_other),
		cmocka_unit_test(no_group_is_a_group),
		cmocka_unit_test(groups_of_a_standard_queue),
		cmocka_unit_test(groups_run_side_by_side),
		cmocka_unit_test(groups_of_one_bucket),
		cmocka_unit_test(deletes_keep_the_order),
		cmocka_unit_test(three_hundred_calls_a_second),
		cmocka_unit_test(deletes_are_full),
		cmocka_unit_test(all_behind_go_back_with_it),
		cmocka_unit_test(order_over_retries),
		cmocka_unit_test(not_before),
		cmocka_unit_test(deadlines),
		cmocka_unit_test(the_deadline_of_the_head),
		cmocka_unit_test(claimed_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
