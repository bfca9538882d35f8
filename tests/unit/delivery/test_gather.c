/* Gathered messages in virtual time: what goes together, when, and how each ends. */
#include "batch_world.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned batch_max;
static uint64_t linger_us;
static bool records;

static void with_batches(struct delivery_destination *destination, unsigned lane)
{
	destination->batch_field = records ? NULL : "to";
	destination->batch_records = records;
	destination->batch_max = batch_max;
	destination->batch_linger_us = linger_us;
}

static void open_world(unsigned max, uint64_t linger, struct world_options options)
{
	batch_max = max;
	linger_us = linger;
	options.adjust = with_batches;
	batch_world_open(options);
}

static void close_world(void)
{
	batch_world_close();
	records = false;
}

/* {"to":"rN","text":TEXT}, N being the message's index. */
static size_t add(const char *text)
{
	char body[96];

	snprintf(body, sizeof(body), "{\"to\":\"r%zu\",\"text\":\"%s\"}", world.queue.count, text);
	return world_add_body(&world, body);
}

static void add_many(size_t count)
{
	while (count-- > 0)
		add("hello");
}

static const struct attempt_record *request(size_t n)
{
	assert_true(n < world.targets[0].log_count);
	return &world.targets[0].log[n];
}

/* ---- what goes together */

static void messages_for_one_each_are_one_request(void **state)
{
	open_world(500, 0, plain);
	add_many(3);
	run(S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_string_equal(request(0)->recipients, "[\"r0\",\"r1\",\"r2\"]");
	assert_int_equal(request(0)->count, 3);
	/* Python: uuid5(recipients, bytes of the three uuid5(recipients, "key-mN")) */
	assert_string_equal(request(0)->key, "6a680cba-a4e5-5f92-ba69-aab0da40329a");
	assert_int_equal(world_stats(&world).attempts, 1);
	assert_int_equal(world_stats(&world).accepted, 3);
	assert_int_equal(world_stats(&world).deleted, 3);
	assert_int_equal(world.event_totals[DELIVERY_ACCEPTED], 3);
	assert_int_equal(world.event_totals[DELIVERY_RECIPIENTS], 0);
	assert_int_equal(counted(RECIPIENTS_ACCEPTED), 3);
	assert_int_equal(world.delivery->lanes[0].counts.sent_recipients->value, 3);
	close_world();
}

static void other_content_is_another_request(void **state)
{
	open_world(500, 0, plain);
	add("a");
	add("b");
	add("a");
	add("b");
	add("c");
	run(S);
	assert_int_equal(world.targets[0].log_count, 3);
	assert_string_equal(request(0)->recipients, "[\"r0\",\"r2\"]");
	assert_string_equal(request(1)->recipients, "[\"r1\",\"r3\"]");
	assert_string_equal(request(2)->recipients, "[\"r4\"]");
	assert_string_equal(request(2)->key, "key-m4");
	close_world();
}

static void another_campaign_is_another_request(void **state)
{
	static const char *const names[] = {"spring", "summer", "spring", NULL};

	open_world(500, 0, plain);
	for (size_t i = 0; i < 4; i++) {
		char body[64];
		const struct queue_attribute campaign = {
			.name = "Campaign", .type = "String", .value = names[i], .value_bytes = 6};

		snprintf(body, sizeof(body), "{\"to\":\"r%zu\",\"text\":\"\"}", i);
		fake_queue_put(&world.queue, body, strlen(body), &campaign, names[i] ? 1 : 0);
	}
	run(S);
	assert_int_equal(world.targets[0].log_count, 3);
	assert_string_equal(request(0)->recipients, "[\"r0\",\"r2\"]");
	assert_string_equal(request(1)->recipients, "[\"r1\"]");
	assert_string_equal(request(2)->recipients, "[\"r3\"]");
	close_world();
}

/* What stands before and behind the recipient is the same only when both are. */
static void the_parts_are_told_apart(void **state)
{
	open_world(500, 0, plain);
	world_add_body(&world, "{\"to\":\"r0\",\"a\":1}");
	world_add_body(&world, "{\"a\":1,\"to\":\"r1\"}");
	world_add_body(&world, "{\"to\":1,\"a\":1}");
	world_add_body(&world, "{\"to\":\"r3\" ,\"a\":1}");
	run(S);
	assert_int_equal(world.targets[0].log_count, 3);
	assert_string_equal(request(0)->recipients, "[\"r0\",1]");
	close_world();
}

static void packed_ones_take_turns_with_them(void **state)
{
	open_world(500, 0, plain);
	for (int i = 0; i < 2; i++) {
		char body[64], key[16];

		snprintf(body, sizeof(body), "{\"n\":%d,\"to\":[\"a%d\",\"b%d\"]}", i, i, i);
		snprintf(key, sizeof(key), "key-m%d", i);
		fake_list_add(&world.list, body, key);
		world_add_body(&world, body);
	}
	add("x");
	add("y");
	run(S);
	assert_int_equal(world.targets[0].log_count, 4);
	assert_string_equal(request(0)->recipients, "[\"a0\",\"b0\"]");
	assert_string_equal(request(1)->recipients, "[\"r2\"]");
	assert_string_equal(request(2)->recipients, "[\"a1\",\"b1\"]");
	assert_string_equal(request(3)->recipients, "[\"r3\"]");
	close_world();
}

/* ---- when */

static void a_full_one_goes_at_once(void **state)
{
	open_world(4, 10 * S, plain);
	add_many(8);
	run(S);
	assert_int_equal(world.targets[0].log_count, 2);
	assert_int_equal(request(0)->count, 4);
	assert_int_equal(request(0)->at_us, 2 * MS);
	close_world();
}

static void the_first_waits_for_the_linger_time(void **state)
{
	open_world(500, 200 * MS, (struct world_options){.concurrency = 10});
	add_many(2);
	world_start(&world);
	world_run_to(&world, 100 * MS);
	add_many(3);
	world_run_until_done(&world, S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_int_equal(request(0)->count, 5);
	assert_int_equal(request(0)->at_us, 202 * MS);
	close_world();
}

static void more_is_asked_for_once_single_ones_come(void **state)
{
	open_world(500, 0, (struct world_options){.concurrency = 1});
	world.targets[0].latency_us = S;
	add_many(2000);
	run(60 * S);
	/* One slot: ten at first, then as many as came meanwhile. */
	assert_in_range(world.targets[0].log_count, 5, 20);
	assert_int_equal(world_stats(&world).accepted, 2000);
	close_world();
}

/* ---- ends */

static void a_bad_one_is_found_by_halves(void **state)
{
	static const char *const bad[] = {"\"r5\"", NULL};

	open_world(500, 100 * MS, plain);
	world.targets[0].bad = bad;
	add_many(8);
	run(S);
	assert_int_equal(world.targets[0].log_count, 7);
	assert_string_equal(request(1)->recipients, "[\"r0\",\"r1\",\"r2\",\"r3\"]");
	assert_string_equal(request(2)->recipients, "[\"r4\",\"r5\",\"r6\",\"r7\"]");
	assert_string_equal(request(3)->recipients, "[\"r4\",\"r5\"]");
	assert_string_equal(request(4)->recipients, "[\"r4\"]");
	assert_string_equal(request(5)->recipients, "[\"r5\"]");
	assert_string_equal(request(5)->key, "key-m5");
	assert_string_equal(request(6)->recipients, "[\"r6\",\"r7\"]");
	/* Halves wait for nothing but a slot. */
	for (size_t i = 1; i < 7; i++)
		assert_int_equal(request(i)->at_us, request(i - 1)->ended_us);
	assert_int_equal(world_stats(&world).accepted, 7);
	assert_int_equal(world_stats(&world).failed, 1);
	assert_string_equal(world.failure_queue.messages[0]->body, world.queue.messages[5]->body);
	close_world();
}

static void each_is_tried_again_by_itself(void **state)
{
	open_world(500, 100 * MS, plain);
	fake_target_answer(
		&world.targets[0], 1, (struct answer){.status = 429, .retry_after_ms = 3000});
	add_many(3);
	run(20 * S);
	assert_int_equal(world.targets[0].log_count, 2);
	assert_int_equal(world_stats(&world).retried, 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(world_returned_for(&world, i, 1), 3);
	assert_int_equal(request(1)->count, 3);
	close_world();
}

static void what_another_has_sent_is_left_out(void **state)
{
	open_world(500, 0, plain);
	add_many(3);
	ledger_accept(&another, ledger_key_of(&another, "lane0", "key-m1"),
		(struct ledger_claim){0}, world_wall_ms(&world));
	world.queue.messages[1]->accepted_elsewhere = true;
	run(S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_string_equal(request(0)->recipients, "[\"r0\",\"r2\"]");
	assert_int_equal(world_stats(&world).suppressed, 1);
	close_world();
}

static void one_past_its_deadline_is_left_out(void **state)
{
	static const char body[] = "{\"to\":\"r1\",\"text\":\"hello\"}";
	const struct queue_attribute attributes[] = {{.name = "Deadline",
		.type = "Number",
		.value = "1800000000050",
		.value_bytes = 13}};

	open_world(500, 100 * MS, plain);
	add_many(1);
	fake_queue_put(&world.queue, body, strlen(body), attributes, 1)->deadline_epoch_ms =
		WORLD_EPOCH_MS + 50;
	add_many(1);
	run(S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_string_equal(request(0)->recipients, "[\"r0\",\"r2\"]");
	assert_int_equal(world_stats(&world).expired, 1);
	close_world();
}

static void a_start_that_fails_puts_all_of_it_back(void **state)
{
	open_world(500, 0, plain);
	fake_target_answer(&world.targets[0], 1, (struct answer){.start_err = ERR_NOMEM});
	add_many(3);
	run(20 * S);
	assert_int_equal(world_stats(&world).retried, 3);
	assert_int_equal(world_stats(&world).accepted, 3);
	close_world();
}

static void a_drain_puts_back_what_waits_and_gives_up_what_is_out(void **state)
{
	open_world(3, 10 * S, (struct world_options){.concurrency = 2});
	fake_target_answer(&world.targets[0], 1, (struct answer){.never = true});
	add_many(5);
	world_start(&world);
	world_run_to(&world, 8 * MS);
	assert_int_equal(world.targets[0].out, 1);
	assert_int_equal(world_stats(&world).sending, 1);
	world_drain(&world);
	world_run_to(&world, 20 * S);
	assert_int_equal(world.drained_held, 0);
	assert_int_equal(world.event_totals[DELIVERY_ATTEMPT_FAILED], 3);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(world_returned_for(&world, i, 1), 0);
	close_world();
}

static void paused_it_goes_back(void **state)
{
	open_world(500, S, plain);
	add_many(3);
	world_start(&world);
	world_run_to(&world, 100 * MS);
	world_set_control(&world, &(struct control){.paused = true});
	world_run_to(&world, 3 * S);
	assert_int_equal(delivery_held(world.delivery), 0);
	assert_int_equal(world.targets[0].log_count, 0);
	world_set_control(&world, &(struct control){.paused = false});
	world_run_until_done(&world, 20 * S);
	assert_int_equal(request(0)->count, 3);
	close_world();
}

static struct rate_cell cell;

static void slow(struct delivery_destination *destination, unsigned lane)
{
	with_batches(destination, lane);
	destination->rate = rate_make(&cell, 2, 1000, 1);
}

static void each_request_takes_a_token(void **state)
{
	open_world(4, 0, (struct world_options){.concurrency = 5});
	world_free_delivery(&world);
	world.options.adjust = slow;
	cell = (struct rate_cell){0};
	assert_int_equal(world_init_core(&world), 0);
	add_many(40);
	run(60 * S);
	assert_in_range(world.targets[0].log_count, 10, 14);
	for (size_t i = 2; i < world.targets[0].log_count; i++)
		assert_true(request(i)->at_us - request(i - 1)->at_us >= 499 * MS);
	close_world();
}

/* Those behind it in its group must not go along. */
static void in_a_fifo_queue_each_goes_alone(void **state)
{
	open_world(500, 0, (struct world_options){.concurrency = 4, .fifo = true});
	for (size_t i = 0; i < 6; i++) {
		char body[64];

		snprintf(body, sizeof(body), "{\"to\":\"r%zu\",\"text\":\"\"}", i);
		fake_queue_put_grouped(
			&world.queue, i % 2 ? "a" : "b", body, strlen(body), NULL, 0);
	}
	run(S);
	assert_int_equal(world.targets[0].log_count, 6);
	close_world();
}

/* ---- records */

static void records_are_gathered_whatever_they_are(void **state)
{
	records = true;
	open_world(4, 0, plain);
	add("a");
	add("b");
	world_add_body(&world, "no JSON");
	run(S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_int_equal(request(0)->count, 3);
	assert_null(request(0)->recipients);
	assert_int_equal(world_stats(&world).accepted, 3);
	assert_int_equal(counted(RECIPIENTS_ACCEPTED), 3);
	close_world();
}

static void those_that_failed_are_tried_again(void **state)
{
	static const char *const failed[] = {"m1", NULL};

	records = true;
	open_world(10, 0, plain);
	world.targets[0].failed_ids = failed;
	fake_target_answer(&world.targets[0], 1,
		(struct answer){
			.excerpt = "{\"batchItemFailures\":[{\"itemIdentifier\":\"m1\"}]}"});
	add_many(3);
	world_start(&world);
	world_run_to(&world, 500 * MS);
	world.targets[0].failed_ids = NULL;
	world_run_until_done(&world, 20 * S);
	assert_int_equal(world.targets[0].log_count, 2);
	assert_int_equal(request(1)->count, 1);
	assert_int_equal(request(1)->message, 1);
	assert_int_equal(world_stats(&world).accepted, 3);
	assert_int_equal(world_stats(&world).retried, 1);
	assert_string_equal(world_event(&world, DELIVERY_ATTEMPT_FAILED, 0)->reason,
		"the answer says that it failed (batchItemFailures)");
	close_world();
}

static void an_answer_that_makes_no_sense_is_a_full_failure(void **state)
{
	static const struct answer answers[] = {
		{.excerpt = "{\"batchItemFailures\":[{\"itemIdentifier\":\"?\"}]}",
			.not_accepted = true},
		{.excerpt = "{\"batchItemFailures\":[]}", .cut = true, .not_accepted = true},
	};

	for (size_t i = 0; i < 2; i++) {
		records = true;
		open_world(10, 0, plain);
		fake_target_answer(&world.targets[0], 1, answers[i]);
		add_many(3);
		run(20 * S);
		assert_int_equal(world_stats(&world).retried, 3);
		assert_int_equal(world_stats(&world).accepted, 3);
		assert_true(world_event(&world, DELIVERY_ATTEMPT_FAILED, 0)->reason[0] != '\0');
		close_world();
	}
}

static void a_single_record_in_a_fifo_queue_may_fail(void **state)
{
	static const char *const failed[] = {"m0", NULL};

	records = true;
	open_world(10, 0, (struct world_options){.concurrency = 1, .fifo = true});
	world.targets[0].failed_ids = failed;
	fake_target_answer(&world.targets[0], 1,
		(struct answer){
			.excerpt = "{\"batchItemFailures\":[{\"itemIdentifier\":\"m0\"}]}"});
	world_add_group(&world, "a", 2);
	world_start(&world);
	world_run_to(&world, 500 * MS);
	world.targets[0].failed_ids = NULL;
	world_run_until_done(&world, 60 * S);
	assert_int_equal(world_stats(&world).retried, 1);
	assert_int_equal(world_stats(&world).accepted, 2);
	close_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(messages_for_one_each_are_one_request),
		cmocka_unit_test(other_content_is_another_request),
		cmocka_unit_test(another_campaign_is_another_request),
		cmocka_unit_test(the_parts_are_told_apart),
		cmocka_unit_test(packed_ones_take_turns_with_them),
		cmocka_unit_test(a_full_one_goes_at_once),
		cmocka_unit_test(the_first_waits_for_the_linger_time),
		cmocka_unit_test(more_is_asked_for_once_single_ones_come),
		cmocka_unit_test(a_bad_one_is_found_by_halves),
		cmocka_unit_test(each_is_tried_again_by_itself),
		cmocka_unit_test(what_another_has_sent_is_left_out),
		cmocka_unit_test(one_past_its_deadline_is_left_out),
		cmocka_unit_test(a_start_that_fails_puts_all_of_it_back),
		cmocka_unit_test(a_drain_puts_back_what_waits_and_gives_up_what_is_out),
		cmocka_unit_test(paused_it_goes_back),
		cmocka_unit_test(each_request_takes_a_token),
		cmocka_unit_test(in_a_fifo_queue_each_goes_alone),
		cmocka_unit_test(records_are_gathered_whatever_they_are),
		cmocka_unit_test(those_that_failed_are_tried_again),
		cmocka_unit_test(an_answer_that_makes_no_sense_is_a_full_failure),
		cmocka_unit_test(a_single_record_in_a_fifo_queue_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
