/* Packed messages in virtual time: requests, halves, claims, ends, one recipient by another. */
#include "batch_world.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned batch_max;
static unsigned max_attempts;

static void with_batches(struct delivery_destination *destination, unsigned lane)
{
	destination->batch_field = "to";
	destination->batch_max = batch_max;
}

static void open_world(unsigned max, struct world_options options)
{
	batch_max = max;
	options.adjust = with_batches;
	options.max_attempts = max_attempts;
	batch_world_open(options);
}

static void close_world(void)
{
	batch_world_close();
	max_attempts = 0;
}

/* {"n":N,"to":["r0","r1",...]}; those of the next message are "s0" and so on. */
static size_t add(unsigned count)
{
	char key[16];
	char *body = world_alloc(32 + 10 * (size_t)count);
	size_t at = (size_t)sprintf(body, "{\"n\":%zu,\"to\":", world.queue.count), index;

	for (unsigned i = 0; i < count; i++)
		at += (size_t)sprintf(
			body + at, "%c\"%c%u\"", i ? ',' : '[', (int)('r' + world.queue.count), i);
	strcpy(body + at, "]}");
	snprintf(key, sizeof(key), "key-m%zu", world.queue.count);
	fake_list_add(&world.list, body, key);
	index = world_add_body(&world, body);
	free(body);
	return index;
}

static struct fake_recipient *recipient(unsigned i)
{
	char text[16];

	snprintf(text, sizeof(text), "\"r%u\"", i);
	return fake_list_get(&world.list, text, strlen(text));
}

static void expect_request(size_t n, const char *recipients)
{
	assert_true(n < world.targets[0].log_count);
	assert_string_equal(world.targets[0].log[n].recipients, recipients);
}

/* ---- requests */

static void one_request_for_all_of_a_list(void **state)
{
	open_world(500, plain);
	add(3);
	run(S);
	assert_int_equal(world.targets[0].log_count, 1);
	expect_request(0, "[\"r0\",\"r1\",\"r2\"]");
	/* Python: uuid5(recipients, bytes of the three uuid5(uuid5(recipients, "key-m0"), "rN")) */
	assert_string_equal(world.targets[0].log[0].key, "900f4f56-cc95-5aa5-98f7-3aacf73dfb48");
	assert_int_equal(world_stats(&world).accepted, 1);
	assert_int_equal(world_stats(&world).deleted, 1);
	assert_int_equal(counted(RECIPIENTS_ACCEPTED), 3);
	assert_int_equal(world.delivery->lanes[0].counts.sent_recipients->value, 3);
	assert_int_equal(world.event_totals[DELIVERY_RECIPIENTS], 1);
	assert_int_equal(world_event(&world, DELIVERY_RECIPIENTS, 0)->of, DELIVERY_ACCEPTED);
	assert_int_equal(world_event(&world, DELIVERY_RECIPIENTS, 0)->recipients, 3);
	assert_int_equal(world.event_totals[DELIVERY_ACCEPTED], 1);
	close_world();
}

static void of_one_recipient_the_key_is_its_own(void **state)
{
	open_world(500, plain);
	add(1);
	run(S);
	expect_request(0, "[\"r0\"]");
	assert_string_equal(world.targets[0].log[0].key, "20a2b24c-9faf-54c4-8b81-224ff0cfd6e0");
	close_world();
}

static void one_value_is_a_list_of_one_with_the_key_of_the_message(void **state)
{
	open_world(500, plain);
	world_add_body(&world, "{\"n\":0,\"to\":\"r0\"}");
	world_add_body(&world, "{\"n\":1,\"to\":12345678901234567890}");
	run(S);
	assert_int_equal(world.targets[0].log_count, 2);
	expect_request(0, "[\"r0\"]");
	expect_request(1, "[12345678901234567890]");
	assert_string_equal(world.targets[0].log[0].key, "key-m0");
	assert_int_equal(world_stats(&world).accepted, 2);
	assert_int_equal(world.event_totals[DELIVERY_RECIPIENTS], 0);
	close_world();
}

static void more_than_max_are_several_requests_one_after_the_other(void **state)
{
	open_world(2, (struct world_options){.concurrency = 5});
	add(5);
	run(S);
	assert_int_equal(world.targets[0].log_count, 3);
	expect_request(0, "[\"r0\",\"r1\"]");
	expect_request(1, "[\"r2\",\"r3\"]");
	expect_request(2, "[\"r4\"]");
	assert_int_equal(world.targets[0].out_most, 1);
	for (size_t i = 1; i < 3; i++)
		assert_int_equal(
			world.targets[0].log[i].at_us, world.targets[0].log[i - 1].ended_us);
	assert_int_equal(world_stats(&world).accepted, 1);
	assert_int_equal(counted(RECIPIENTS_ACCEPTED), 5);
	assert_int_equal(world.event_totals[DELIVERY_RECIPIENTS], 3);
	close_world();
}

static void ten_thousand_are_taken_and_one_more_is_not(void **state)
{
	open_world(5000, plain);
	add(10000);
	add(10001);
	run(5 * S);
	assert_int_equal(world.targets[0].log_count, 2);
	assert_int_equal(world_stats(&world).accepted, 1);
	assert_int_equal(world_stats(&world).failed, 1);
	assert_string_equal(world_event(&world, DELIVERY_FAILED, 0)->reason,
		"the field \"to\" of the message body, for the recipients, is a list of more than "
		"10,000 recipient");
	close_world();
}

/* ---- halves */

static void a_bad_one_is_found_by_halves(void **state)
{
	static const char *const bad[] = {"\"r5\"", NULL};

	open_world(500, plain);
	world.targets[0].bad = bad;
	add(8);
	add(1); /* which comes after all halves */
	run(S);
	expect_request(0, "[\"r0\",\"r1\",\"r2\",\"r3\",\"r4\",\"r5\",\"r6\",\"r7\"]");
	expect_request(1, "[\"r0\",\"r1\",\"r2\",\"r3\"]");
	expect_request(2, "[\"r4\",\"r5\",\"r6\",\"r7\"]");
	expect_request(3, "[\"r4\",\"r5\"]");
	expect_request(4, "[\"r4\"]");
	expect_request(5, "[\"r5\"]");
	expect_request(6, "[\"r6\",\"r7\"]");
	expect_request(7, "[\"s0\"]");
	assert_int_equal(world.targets[0].log_count, 8);
	assert_string_equal(world.targets[0].log[5].key, recipient(5)->key);
	close_world();
}

static void the_copy_has_those_alone_that_failed(void **state)
{
	static const char *const bad[] = {"\"r1\"", "\"r6\"", NULL};
	struct fake_message *copy;

	open_world(500, plain);
	world.targets[0].bad = bad;
	add(8);
	run(S);
	assert_int_equal(world.failure_queue.count, 1);
	copy = world.failure_queue.messages[0];
	assert_string_equal(copy->body, "{\"n\":0,\"to\":[\"r1\",\"r6\"]}");
	assert_null(fake_message_attribute(copy, "RecipientKeys"));
	assert_memory_equal(fake_message_attribute(copy, "FailureReason")->value,
		"refused by the provider", 23);
	assert_memory_equal(fake_message_attribute(copy, "IdempotencyKey")->value, "key-m0", 6);
	assert_int_equal(world_stats(&world).failed, 1);
	assert_int_equal(world_stats(&world).accepted, 0);
	assert_int_equal(counted(RECIPIENTS_ACCEPTED), 6);
	assert_int_equal(counted(RECIPIENTS_FAILED), 2);
	for (unsigned i = 0; i < 8; i++) {
		bool is_bad = i == 1 || i == 6;

		assert_int_equal(recipient(i)->accepted, !is_bad);
		assert_int_equal(recipient(i)->told[DELIVERY_ACCEPTED], !is_bad);
		assert_int_equal(recipient(i)->told[DELIVERY_FAILED], is_bad);
		assert_int_equal(recipient(i)->told[DELIVERY_FAILED_COPIED], is_bad);
	}
	close_world();
}

/* Its copy is packed again, and its recipients have the keys that they had. */
static void keys_that_came_along_are_in_the_copy(void **state)
{
	static const char *const bad[] = {"\"b\"", NULL};
	static const char body[] = "{\"to\" : [ \"a\", \"b\" ], \"n\":7}";
	struct recipient_key keys[2] = {
		recipient_key_of_text("6fa459ea-ee8a-3ca4-894e-db77e160355e"),
		recipient_key_of_text("00000000-0000-0000-0000-000000000001")};
	const struct queue_attribute attributes[] = {{.name = "RecipientKeys",
		.type = "Binary",
		.value = (const char *)keys,
		.value_bytes = sizeof(keys)}};
	struct fake_message *copy;

	open_world(500, plain);
	world.targets[0].bad = bad;
	recipient_key_print(&keys[0], fake_list_get(&world.list, "\"a\"", 3)->key);
	recipient_key_print(&keys[1], fake_list_get(&world.list, "\"b\"", 3)->key);
	fake_queue_put(&world.queue, body, strlen(body), attributes, 1);
	run(S);
	assert_string_equal(world.targets[0].log[0].key, "3a9a841f-78ec-5edc-914e-1ec2feee34b1");
	assert_string_equal(world.targets[0].log[1].key, "6fa459ea-ee8a-3ca4-894e-db77e160355e");
	assert_int_equal(world.failure_queue.count, 1);
	copy = world.failure_queue.messages[0];
	assert_string_equal(copy->body, "{\"to\" : [\"b\"], \"n\":7}");
	assert_int_equal(fake_message_attribute(copy, "RecipientKeys")->value_bytes, 16);
	assert_memory_equal(fake_message_attribute(copy, "RecipientKeys")->value, &keys[1], 16);
	close_world();
}

static void all_may_be_bad(void **state)
{
	static const char *const bad[] = {"\"r0\"", "\"r1\"", "\"r2\"", NULL};

	open_world(500, plain);
	world.targets[0].bad = bad;
	add(3);
	run(S);
	assert_int_equal(world.targets[0].log_count, 5);
	assert_string_equal(
		world.failure_queue.messages[0]->body, "{\"n\":0,\"to\":[\"r0\",\"r1\",\"r2\"]}");
	assert_int_equal(counted(RECIPIENTS_FAILED), 3);
	close_world();
}

static void a_request_that_is_too_large_is_split(void **state)
{
	open_world(500, plain);
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 413});
	add(4);
	run(S);
	expect_request(1, "[\"r0\",\"r1\"]");
	expect_request(2, "[\"r2\",\"r3\"]");
	assert_int_equal(counted(RECIPIENTS_ACCEPTED), 4);
	close_world();
}

static void what_exhausts_its_attempts_fails_together(void **state)
{
	max_attempts = 1;
	open_world(500, plain);
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 503});
	add(4);
	run(S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_int_equal(counted(RECIPIENTS_FAILED), 4);
	assert_string_equal(world_event(&world, DELIVERY_FAILED, 0)->reason, "attempts exhausted");
	/* Told of once, all together, as failed and as copied. */
	assert_int_equal(world.event_totals[DELIVERY_RECIPIENTS], 2);
	close_world();
}

/* ---- again */

static void what_was_accepted_is_left_out_when_the_message_comes_again(void **state)
{
	open_world(2, plain);
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 200});
	fake_target_answer(
		&world.targets[0], 1, (struct answer){.status = 503, .retry_after_ms = 7000});
	add(6);
	run(20 * S);
	expect_request(0, "[\"r0\",\"r1\"]");
	expect_request(1, "[\"r2\",\"r3\"]");
	expect_request(2, "[\"r4\",\"r5\"]");
	expect_request(3, "[\"r2\",\"r3\"]");
	assert_int_equal(world.targets[0].log_count, 4);
	/* The same recipients, the same key. */
	assert_string_equal(world.targets[0].log[1].key, world.targets[0].log[3].key);
	assert_int_equal(world_returned_for(&world, 0, 1), 7);
	assert_int_equal(counted(RECIPIENTS_RETRIED), 2);
	assert_int_equal(counted(RECIPIENTS_SUPPRESSED), 4);
	assert_int_equal(counted(RECIPIENTS_ACCEPTED), 6);
	assert_int_equal(world_stats(&world).retried, 1);
	assert_string_equal(world_event(&world, DELIVERY_ATTEMPT_FAILED, 0)->reason,
		"2 of 6 recipients are to be tried again");
	assert_int_equal(world_stats(&world).accepted, 1);
	close_world();
}

static void what_failed_is_tried_again_beside_what_is_left(void **state)
{
	static const char *const bad[] = {"\"r0\"", NULL};

	open_world(1, plain);
	world.targets[0].bad = bad;
	add(2);
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 400});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 500});
	run(20 * S);
	assert_int_equal(world.targets[0].log_count, 4);
	assert_int_equal(world.failure_queue.count, 1);
	assert_string_equal(world.failure_queue.messages[0]->body, "{\"n\":0,\"to\":[\"r0\"]}");
	assert_int_equal(recipient(0)->told[DELIVERY_FAILED], 2);
	assert_int_equal(recipient(0)->told[DELIVERY_FAILED_COPIED], 1);
	assert_int_equal(counted(RECIPIENTS_FAILED), 1);
	close_world();
}

static struct ledger_key key_of(unsigned i)
{
	return ledger_key_of(&another, "lane0", recipient(i)->key);
}

static void what_another_has_sent_is_suppressed(void **state)
{
	open_world(500, plain);
	add(3);
	for (unsigned i = 0; i < 3; i += 2)
		ledger_accept(&another, key_of(i), (struct ledger_claim){0}, world_wall_ms(&world));
	recipient(0)->accepted = recipient(2)->accepted = 1;
	run(S);
	assert_int_equal(world.targets[0].log_count, 1);
	expect_request(0, "[\"r1\"]");
	assert_string_equal(world.targets[0].log[0].key, recipient(1)->key);
	assert_int_equal(recipient(0)->told[DELIVERY_SUPPRESSED], 1);
	assert_int_equal(recipient(2)->told[DELIVERY_SUPPRESSED], 1);
	assert_int_equal(world_stats(&world).accepted, 1);
	close_world();
}

static void all_of_it_may_be_suppressed(void **state)
{
	open_world(2, plain);
	add(3);
	for (unsigned i = 0; i < 3; i++) {
		ledger_accept(&another, key_of(i), (struct ledger_claim){0}, world_wall_ms(&world));
		recipient(i)->accepted = 1;
	}
	world.queue.messages[0]->accepted_elsewhere = true;
	run(S);
	assert_int_equal(world.targets[0].log_count, 0);
	assert_int_equal(world_stats(&world).suppressed, 1);
	assert_int_equal(counted(RECIPIENTS_SUPPRESSED), 3);
	close_world();
}

static void what_another_is_sending_is_left_for_later(void **state)
{
	struct ledger_claim claim;
	int64_t until_ms;

	open_world(500, plain);
	add(3);
	assert_int_equal(ledger_claim(&another, key_of(1), world_wall_ms(&world),
				 world_wall_ms(&world) + 9000, &claim, &until_ms),
		LEDGER_CLAIMED);
	run(20 * S);
	expect_request(0, "[\"r0\",\"r2\"]");
	expect_request(1, "[\"r1\"]");
	assert_int_equal(world.targets[0].log_count, 2);
	assert_int_equal(world_stats(&world).postponed, 1);
	assert_string_equal(world_event(&world, DELIVERY_POSTPONED, 0)->reason,
		"an attempt for some of its recipients is out already");
	assert_int_equal(counted(RECIPIENTS_POSTPONED), 1);
	close_world();
}

static void one_that_is_in_the_list_twice_is_sent_once(void **state)
{
	static const char body[] = "{\"n\":0,\"to\":[\"r0\",\"r0\"]}";

	open_world(500, plain);
	fake_list_add(&world.list, body, "key-m0");
	world_add_body(&world, body);
	run(200 * S);
	assert_int_equal(world.targets[0].log_count, 1);
	expect_request(0, "[\"r0\"]");
	assert_int_equal(recipient(0)->told[DELIVERY_SUPPRESSED], 2);
	close_world();
}

/* ---- what stands before each request */

static void the_deadline_is_looked_at_before_each_request(void **state)
{
	static const char *const bad[] = {"\"r0\"", NULL};
	static const char body[] = "{\"n\":0,\"to\":[\"r0\",\"r1\",\"r2\"]}";
	const struct queue_attribute attributes[] = {{.name = "Deadline",
		.type = "Number",
		.value = "1800000000015",
		.value_bytes = 13}};

	open_world(1, plain);
	world.targets[0].bad = bad;
	fake_list_add(&world.list, body, "key-m0");
	fake_queue_put(&world.queue, body, strlen(body), attributes, 1)->deadline_epoch_ms =
		WORLD_EPOCH_MS + 15;
	run(S);
	/* The second began before it, the third would have begun after it. */
	assert_int_equal(world.targets[0].log_count, 2);
	assert_int_equal(recipient(1)->accepted, 1);
	assert_int_equal(recipient(2)->told[DELIVERY_EXPIRED], 1);
	assert_int_equal(counted(RECIPIENTS_EXPIRED), 1);
	/* What failed before is in the failure queue all the same. */
	assert_string_equal(world.failure_queue.messages[0]->body, "{\"n\":0,\"to\":[\"r0\"]}");
	assert_int_equal(world_stats(&world).failed, 1);
	assert_int_equal(world_stats(&world).expired, 0);
	close_world();
}

static void past_its_deadline_all_of_it_expires(void **state)
{
	static const char body[] = "{\"n\":0,\"to\":[\"r0\",\"r1\"]}";
	const struct queue_attribute attributes[] = {{.name = "Deadline",
		.type = "Number",
		.value = "1800000000000",
		.value_bytes = 13}};

	open_world(500, plain);
	fake_list_add(&world.list, body, "key-m0");
	fake_queue_put(&world.queue, body, strlen(body), attributes, 1)->deadline_epoch_ms =
		WORLD_EPOCH_MS;
	run(S);
	assert_int_equal(world.targets[0].log_count, 0);
	assert_int_equal(world_stats(&world).expired, 1);
	assert_int_equal(counted(RECIPIENTS_EXPIRED), 2);
	close_world();
}

static void a_campaign_is_cancelled_between_two_requests(void **state)
{
	static const char body[] = "{\"n\":0,\"to\":[\"r0\",\"r1\",\"r2\"]}";
	const struct queue_attribute attributes[] = {
		{.name = "Campaign", .type = "String", .value = "c", .value_bytes = 1}};

	open_world(1, plain);
	fake_list_add(&world.list, body, "key-m0");
	fake_queue_put(&world.queue, body, strlen(body), attributes, 1);
	world_start(&world);
	world_run_to(&world, 8 * MS);
	assert_int_equal(world.targets[0].out, 1);
	world_set_control(&world, &(struct control){.cancelled = "c"});
	world_run_until_done(&world, S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_int_equal(world_stats(&world).cancelled, 1);
	assert_int_equal(counted(RECIPIENTS_ACCEPTED), 1);
	assert_int_equal(counted(RECIPIENTS_CANCELLED), 2);
	close_world();
}

static void paused_between_two_requests_it_goes_back(void **state)
{
	open_world(1, plain);
	add(2);
	world_start(&world);
	world_run_to(&world, 8 * MS);
	world_set_control(&world, &(struct control){.paused = true});
	world_run_to(&world, 2 * S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_int_equal(delivery_held(world.delivery), 0);
	assert_int_equal(world_returned_for(&world, 0, 1), 5);
	world_set_control(&world, &(struct control){.paused = false});
	world_run_until_done(&world, 20 * S);
	expect_request(1, "[\"r1\"]");
	assert_int_equal(world.targets[0].log_count, 2);
	close_world();
}

static void an_open_breaker_puts_back_what_is_left(void **state)
{
	open_world(1, plain);
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401});
	add(3);
	run(60 * S);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 1);
	assert_int_equal(world.targets[0].log_count, 4);
	assert_int_equal(counted(RECIPIENTS_ACCEPTED), 3);
	close_world();
}

static void a_drain_lets_the_request_end_and_puts_the_rest_back(void **state)
{
	open_world(1, plain);
	add(3);
	world_start(&world);
	world_run_to(&world, 8 * MS);
	world_drain(&world);
	world_run_to(&world, S);
	assert_int_equal(world.drained, 1);
	assert_int_equal(world.drained_held, 0);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_int_equal(counted(RECIPIENTS_ACCEPTED), 1);
	assert_int_equal(world_returned_for(&world, 0, 1), 0);
	close_world();
}

static void a_drain_gives_up_a_request_that_does_not_end(void **state)
{
	open_world(2, plain);
	fake_target_answer(&world.targets[0], 1, (struct answer){.never = true});
	add(3);
	world_start(&world);
	world_run_to(&world, 8 * MS);
	world_drain(&world);
	world_run_to(&world, 20 * S);
	assert_int_equal(world.drained_held, 0);
	assert_int_equal(recipient(0)->unclear, 1);
	assert_int_equal(recipient(1)->told[DELIVERY_ATTEMPT_FAILED], 1);
	assert_int_equal(recipient(2)->told[DELIVERY_ATTEMPT_FAILED], 0);
	close_world();
}

static void a_start_that_fails_puts_it_back(void **state)
{
	open_world(2, plain);
	fake_target_answer(&world.targets[0], 1, (struct answer){.start_err = ERR_LIMIT});
	add(3);
	run(20 * S);
	assert_int_equal(counted(RECIPIENTS_RETRIED), 2);
	assert_int_equal(counted(RECIPIENTS_ACCEPTED), 3);
	assert_int_equal(world.targets[0].log_count, 2);
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
	open_world(1, (struct world_options){.concurrency = 5});
	world_free_delivery(&world);
	world.options.adjust = slow;
	cell = (struct rate_cell){0};
	assert_int_equal(world_init_core(&world), 0);
	add(5);
	run(20 * S);
	assert_int_equal(world.targets[0].log_count, 5);
	for (size_t i = 2; i < 5; i++)
		assert_in_range(world.targets[0].log[i].at_us - world.targets[0].log[i - 1].at_us,
			499 * MS, 510 * MS);
	close_world();
}

/* ---- what cannot be sent */

static void what_is_no_list_of_recipients_fails(void **state)
{
	static const struct {
		const char *body, *reason;
	} cases[] = {
		{"hello",
			"the message body is not a JSON object, so it has no recipients in \"to\""},
		{"[\"a\"]",
			"the message body is not a JSON object, so it has no recipients in \"to\""},
		{"{\"n\":2}",
			"the field \"to\" of the message body, for the recipients, is not there"},
		{"{\"n\":3,\"to\":null}",
			"the field \"to\" of the message body, for the recipients, "
			"is neither a text, a number nor a list"},
		{"{\"n\":4,\"to\":{}}", "the field \"to\" of the message body, for the recipients, "
					"is neither a text, a number nor a list"},
		{"{\"n\":5,\"to\":\"\"}",
			"the field \"to\" of the message body, for the recipients, "
			"is neither a text, a number nor a list"},
		{"{\"n\":6,\"to\":[]}", "the field \"to\" of the message body, for the recipients, "
					"is an empty list"},
		{"{\"n\":7,\"to\":[\"a\",true]}",
			"the field \"to\" of the message body, for the recipients, is a list with "
			"something in it that is neither a text nor a number"},
		{"{\"n\":8,\"to\":[\"a\",[\"b\"]]}",
			"the field \"to\" of the message body, for the recipients, is a list with "
			"something in it that is neither a text nor a number"},
	};
	const size_t count = sizeof(cases) / sizeof(cases[0]);

	open_world(500, plain);
	for (size_t i = 0; i < count; i++)
		world_add_body(&world, cases[i].body);
	run(5 * S);
	assert_int_equal(world.targets[0].log_count, 0);
	assert_int_equal(world_stats(&world).failed, count);
	assert_int_equal(world.event_totals[DELIVERY_RECIPIENTS], 0);
	for (size_t i = 0; i < count; i++) {
		const struct world_event *event = world_event(&world, DELIVERY_FAILED, i);

		/* As much of it as this world keeps. */
		assert_memory_equal(
			event->reason, cases[event->message].reason, strlen(event->reason));
	}
	close_world();
}

static void keys_must_be_sixteen_bytes_each(void **state)
{
	static const char keys[48] = "";

	open_world(500, plain);
	for (size_t i = 0; i <= 48; i++) {
		char body[64];
		const struct queue_attribute attributes[] = {{.name = "RecipientKeys",
			.type = "Binary",
			.value = keys,
			.value_bytes = i}};

		snprintf(body, sizeof(body), "{\"n\":%zu,\"to\":[\"r0\",\"r1\"]}", i);
		if (i != 32 && i != 0)
			fake_queue_put(&world.queue, body, strlen(body), attributes, 1);
	}
	run(5 * S);
	assert_int_equal(world.targets[0].log_count, 0);
	assert_int_equal(world_stats(&world).failed, 47);
	assert_string_equal(world_event(&world, DELIVERY_FAILED, 0)->reason,
		"attribute RecipientKeys has 1 bytes; 2 recipients need 16 each");
	close_world();
}

static void without_a_failure_queue_it_is_left(void **state)
{
	static const char *const bad[] = {"\"r1\"", NULL};

	open_world(500, plain);
	world_free_delivery(&world);
	world.options.failure_queue = false;
	assert_int_equal(world_init_core(&world), 0);
	world.targets[0].bad = bad;
	add(2);
	world_start(&world);
	world_run_to(&world, 500 * MS);
	assert_int_equal(world_stats(&world).failed_left, 1);
	assert_int_equal(recipient(0)->told[DELIVERY_ACCEPTED], 1);
	assert_int_equal(recipient(1)->told[DELIVERY_FAILED_LEFT], 1);
	assert_int_equal(counted(RECIPIENTS_FAILED_LEFT), 1);
	close_world();
}

static void a_destination_without_batches_knows_no_lists(void **state)
{
	open_world(500, plain);
	world_free_delivery(&world);
	world.options.adjust = NULL;
	assert_int_equal(world_init_core(&world), 0);
	add(2);
	run(S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_null(world.targets[0].log[0].recipients);
	close_world();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_request_for_all_of_a_list),
		cmocka_unit_test(of_one_recipient_the_key_is_its_own),
		cmocka_unit_test(one_value_is_a_list_of_one_with_the_key_of_the_message),
		cmocka_unit_test(more_than_max_are_several_requests_one_after_the_other),
		cmocka_unit_test(ten_thousand_are_taken_and_one_more_is_not),
		cmocka_unit_test(a_bad_one_is_found_by_halves),
		cmocka_unit_test(the_copy_has_those_alone_that_failed),
		cmocka_unit_test(keys_that_came_along_are_in_the_copy),
		cmocka_unit_test(all_may_be_bad),
		cmocka_unit_test(a_request_that_is_too_large_is_split),
		cmocka_unit_test(what_exhausts_its_attempts_fails_together),
		cmocka_unit_test(what_was_accepted_is_left_out_when_the_message_comes_again),
		cmocka_unit_test(what_failed_is_tried_again_beside_what_is_left),
		cmocka_unit_test(what_another_has_sent_is_suppressed),
		cmocka_unit_test(all_of_it_may_be_suppressed),
		cmocka_unit_test(what_another_is_sending_is_left_for_later),
		cmocka_unit_test(one_that_is_in_the_list_twice_is_sent_once),
		cmocka_unit_test(the_deadline_is_looked_at_before_each_request),
		cmocka_unit_test(past_its_deadline_all_of_it_expires),
		cmocka_unit_test(a_campaign_is_cancelled_between_two_requests),
		cmocka_unit_test(paused_between_two_requests_it_goes_back),
		cmocka_unit_test(an_open_breaker_puts_back_what_is_left),
		cmocka_unit_test(a_drain_lets_the_request_end_and_puts_the_rest_back),
		cmocka_unit_test(a_drain_gives_up_a_request_that_does_not_end),
		cmocka_unit_test(a_start_that_fails_puts_it_back),
		cmocka_unit_test(each_request_takes_a_token),
		cmocka_unit_test(what_is_no_list_of_recipients_fails),
		cmocka_unit_test(keys_must_be_sixteen_bytes_each),
		cmocka_unit_test(without_a_failure_queue_it_is_left),
		cmocka_unit_test(a_destination_without_batches_knows_no_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
