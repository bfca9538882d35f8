/*
 * Message groups of a FIFO queue: one after the other, in order, whatever happens to each. (The
 * fake target fails a test at any attempt that is out of order.)
 */
#include "base/hash.h"
#include "bunshin/error.h"
#include "delivery/core.h"
#include "delivery/group.h"
#include "failmalloc.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct world world;
static char label[64];

static void open_world(const struct world_options *options)
{
	struct world_options fifo = *options;

	fifo.fifo = true;
	world_init(&world, &fifo);
}

static size_t add_with(const char *group_id, const char *name, const char *type, const char *value)
{
	char body[32];
	struct queue_attribute attribute = {
		.name = name, .type = type, .value = value, .value_bytes = strlen(value)};

	snprintf(body, sizeof(body), "body %zu", world.queue.count);
	return fake_queue_put_grouped(&world.queue, group_id, body, strlen(body), &attribute, 1)
		->index;
}

static size_t add_to_lane(const char *group_id, unsigned lane)
{
	static const char *const names[] = {"lane0", "lane1", "lane2", "lane3"};

	return add_with(group_id, "Destination", "String", names[lane]);
}

static void expect_attempts(unsigned lane, const size_t messages[], size_t count)
{
	assert_int_equal(world.targets[lane].log_count, count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(world.targets[lane].log[i].message, messages[i]);
}

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
