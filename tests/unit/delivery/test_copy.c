/* Failures for good: copied to the failure queue, then deleted; or left to the queue's redrive.
 */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct world world;

static const struct call_record *call_of(enum queue_op op, size_t n)
{
	const struct call_record *call = fake_queue_call(&world.queue, op, n);

	if (!call)
		fail_msg("no call %zu of kind %d", n, op);
	return call;
}

static void expect_attribute(
	const struct fake_message *copy, const char *name, const char *type, const char *value)
{
	const struct queue_attribute *attribute = fake_message_attribute(copy, name);

	if (!attribute)
		fail_msg("no attribute %s", name);
	assert_string_equal(attribute->type, type);
	assert_int_equal(attribute->value_bytes, strlen(value));
	assert_memory_equal(attribute->value, value, strlen(value));
}

static void permanent_is_copied_then_deleted(void **state)
{
	world_init(&world, &(struct world_options){.failure_queue = true});
	world.failure_queue.back_us = 500 * MS;
	fake_target_answer(&world.targets[0], 1,
		(struct answer){.status = 400, .excerpt = "{\"message\":\"no such user\"}"});
	world_add(&world, 1);
	world_start(&world);
	/* Sent at 62 ms, in the failure queue at 63 ms, confirmed at 563 ms. */
	world_run_to(&world, 563 * MS - 1);
	assert_int_equal(world.failure_queue.count, 1);
	assert_int_equal(fake_queue_calls(&world.queue, OP_DELETE), 0);
	world_run_until_done(&world, S);
	assert_int_equal(call_of(OP_DELETE, 0)->at_us, 613 * MS);
	assert_int_equal(world_stats(&world).failed, 1);
	assert_int_equal(world_stats(&world).accepted, 0);
	assert_int_equal(world.event_totals[DELIVERY_FAILED], 1);

	const struct fake_message *copy = world.failure_queue.messages[0];

	assert_int_equal(copy->body_bytes, strlen("body 0"));
	assert_memory_equal(copy->body, "body 0", copy->body_bytes);
	assert_null(copy->group_id);
	assert_int_equal(copy->attribute_count, 6);
	expect_attribute(copy, "FailureReason", "String", "refused by the provider");
	expect_attribute(copy, "FailureStatus", "Number", "400");
	expect_attribute(copy, "FailureBody", "String", "{\"message\":\"no such user\"}");
	expect_attribute(copy, "Attempts", "Number", "1");
	expect_attribute(copy, "FirstReceived", "Number", "1800000000001");
	expect_attribute(copy, "IdempotencyKey", "String", "key-m0");
	world_end(&world);
}

static void a_template_error_is_copied_too(void **state)
{
	world_init(&world, &(struct world_options){.failure_queue = true});
	fake_target_answer(&world.targets[0], 1,
		(struct answer){.err = ERR_TEMPLATE, .reason = "missing variable \"name\""});
	world_add(&world, 1);
	world_start(&world);
	world_run_until_done(&world, S);

	const struct fake_message *copy = world.failure_queue.messages[0];

	assert_int_equal(copy->attribute_count, 4);
	expect_attribute(copy, "FailureReason", "String", "missing variable \"name\"");
	assert_null(fake_message_attribute(copy, "FailureStatus"));
	world_end(&world);
}

/* max_attempts counts receives: the attempt of the last one that fails is copied. */
static void attempts_exhausted(void **state)
{
	world_init(&world, &(struct world_options){.failure_queue = true, .max_attempts = 3});
	world.targets[0].otherwise = (struct answer){.status = 503, .retry_after_ms = 1000};
	world_add(&world, 1);
	world_start(&world);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(world.targets[0].log_count, 3);
	assert_int_equal(world_stats(&world).retried, 2);
	assert_int_equal(world_stats(&world).failed, 1);
	assert_int_equal(world.failure_queue.count, 1);
	expect_attribute(
		world.failure_queue.messages[0], "FailureReason", "String", "attempts exhausted");
	expect_attribute(world.failure_queue.messages[0], "FailureStatus", "Number", "503");
	expect_attribute(world.failure_queue.messages[0], "Attempts", "Number", "3");
	world_end(&world);
}

/* SQS takes ten attributes: the original's stay, what is left goes to the most important. */
static void ten_attributes_at_most(void **state)
{
	static const char *const ours[] = {"FailureReason", "FailureStatus", "IdempotencyKey",
		"Attempts", "FirstReceived", "FailureBody"};
	static const char *const names[] = {
		"a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9"};

	for (size_t n = 0; n <= 10; n++) {
		struct queue_attribute attributes[10];
		const struct fake_message *copy;

		for (size_t i = 0; i < n; i++)
			attributes[i] = (struct queue_attribute){.name = names[i],
				.type = "Binary.x",
				.value = "\xff\x00",
				.value_bytes = 2};
		world_init(&world, &(struct world_options){.failure_queue = true});
		fake_target_answer(
			&world.targets[0], 1, (struct answer){.status = 404, .excerpt = "gone"});
		fake_queue_put(&world.queue, "original", 8, attributes, n);
		world_start(&world);
		world_run_until_done(&world, S);
		copy = world.failure_queue.messages[0];
		assert_int_equal(copy->attribute_count, n + 6 < 10 ? n + 6 : 10);
		for (size_t i = 0; i < n; i++) {
			const struct queue_attribute *kept = fake_message_attribute(copy, names[i]);

			assert_non_null(kept);
			assert_string_equal(kept->type, "Binary.x");
			assert_int_equal(kept->value_bytes, 2);
			assert_memory_equal(kept->value, "\xff\x00", 2);
		}
		for (size_t i = 0; i < 6; i++)
			assert_int_equal(fake_message_attribute(copy, ours[i]) != NULL, n + i < 10);
		world_end(&world);
	}
}

/* Its own attributes, untouched; and of ours the first of `wanted`, as far as there is room. */
static void expect_copy(const struct fake_message *copy, const struct queue_attribute own[],
	size_t own_count, const char *const wanted[], size_t count)
{
	assert_int_equal(copy->attribute_count, own_count + count < 10 ? own_count + count : 10);
	for (size_t i = 0; i < own_count; i++)
		expect_attribute(copy, own[i].name, own[i].type, own[i].value);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(
			fake_message_attribute(copy, wanted[i]) != NULL, own_count + i < 10);
}

static void copy_with(size_t own, bool has_key, bool has_status, bool has_excerpt)
{
	static const char *const ours[] = {"FailureReason", "FailureStatus", "IdempotencyKey",
		"Attempts", "FirstReceived", "FailureBody"};
	const bool has[] = {true, has_status, !has_key, true, true, has_excerpt};
	const char *wanted[6];
	size_t count = 0;
	struct queue_attribute attributes[QUEUE_ATTRIBUTES_MAX];
	char names[QUEUE_ATTRIBUTES_MAX][8], values[QUEUE_ATTRIBUTES_MAX][32];

	for (size_t i = 0; i < own; i++) {
		snprintf(names[i], sizeof(names[i]), "own%zu", i);
		snprintf(values[i], sizeof(values[i]), "value %zu", i);
		attributes[i] = (struct queue_attribute){.name = names[i],
			.type = "String",
			.value = values[i],
			.value_bytes = strlen(values[i])};
	}
	if (has_key)
		attributes[own] = (struct queue_attribute){
			.name = "IdempotencyKey", .type = "String", .value = "k", .value_bytes = 1};
	for (size_t i = 0; i < 6; i++)
		if (has[i])
			wanted[count++] = ours[i];
	world_init(&world, &(struct world_options){.failure_queue = true});
	fake_target_answer(&world.targets[0], 1,
		(struct answer){.err = has_status ? 0 : ERR_TEMPLATE,
			.reason = "a reason",
			.status = 404,
			.excerpt = has_excerpt ? "gone" : ""});
	fake_queue_put(&world.queue, "original", 8, attributes, own + has_key);
	world_start(&world);
	world_run_until_done(&world, S);
	assert_int_equal(world.failure_queue.count, 1);
	expect_copy(world.failure_queue.messages[0], attributes, own + has_key, wanted, count);
	world_end(&world);
}

/* With 0 to 10 of its own, with and without a key, a status and a body of the answer. */
static void which_of_ours_survive(void **state)
{
	for (size_t own = 0; own <= 10; own++)
		for (unsigned bits = 0; bits < 8; bits++)
			if (own + (bits & 1) <= 10)
				copy_with(own, bits & 1, bits & 2, bits & 4);
}

/* The start of the answer: 1,024 bytes of it, and never half a character. */
static void a_long_answer(void **state)
{
	static const size_t sizes[] = {1, 1023, 1024, 1025, 4095, TARGET_EXCERPT_MAX};
	char excerpt[TARGET_EXCERPT_MAX];

	memset(excerpt, 'e', sizeof(excerpt));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		const struct queue_attribute *body;

		world_init(&world, &(struct world_options){.failure_queue = true});
		fake_target_answer(&world.targets[0], 1,
			(struct answer){
				.status = 400, .excerpt = excerpt, .excerpt_bytes = sizes[i]});
		world_add(&world, 1);
		world_start(&world);
		world_run_until_done(&world, S);
		body = fake_message_attribute(world.failure_queue.messages[0], "FailureBody");
		assert_int_equal(body->value_bytes, sizes[i] < 1024 ? sizes[i] : 1024);
		assert_memory_equal(body->value, excerpt, body->value_bytes);
		world_end(&world);
	}
}

/* Characters of two, three and four bytes across the cut: what is left of one is no text. */
static void a_character_across_the_cut(void **state)
{
	static const char *const characters[] = {"\xc3\xa9", "\xe5\x88\x86", "\xf0\x9f\x98\x80"};

	for (size_t i = 0; i < 3; i++) {
		size_t length = strlen(characters[i]);

		for (size_t before = 0; before <= length; before++) {
			char excerpt[1100], expected[1024];
			const struct queue_attribute *body;

			memset(excerpt, 'e', sizeof(excerpt));
			memcpy(excerpt + 1024 - before, characters[i], length);
			memcpy(expected, excerpt, sizeof(expected));
			if (before < length)
				memset(expected + 1024 - before, '?', before);
			world_init(&world, &(struct world_options){.failure_queue = true});
			fake_target_answer(&world.targets[0], 1,
				(struct answer){.status = 400,
					.excerpt = excerpt,
					.excerpt_bytes = sizeof(excerpt)});
			world_add(&world, 1);
			world_start(&world);
			world_run_until_done(&world, S);
			body = fake_message_attribute(
				world.failure_queue.messages[0], "FailureBody");
			assert_int_equal(body->value_bytes, 1024);
			assert_memory_equal(body->value, expected, 1024);
			world_end(&world);
		}
	}
}

/* A message out of the failure queue that fails again keeps the key it had. */
static void a_copy_of_a_copy(void **state)
{
	static const char *const attributes[] = {"IdempotencyKey", "String", "first-key",
		"FailureReason", "String", "the first time", NULL};
	const struct fake_message *copy;

	world_init(&world, &(struct world_options){.failure_queue = true});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 404});
	world_add_with(&world, attributes);
	world_start(&world);
	world_run_until_done(&world, S);
	copy = world.failure_queue.messages[0];
	expect_attribute(copy, "IdempotencyKey", "String", "first-key");
	/* What it failed of now is what counts. */
	expect_attribute(copy, "FailureReason", "String", "refused by the provider");
	world_end(&world);
}

/* Bytes that are no text must not keep the copy, nor the nine with it, from being taken. */
static void a_hostile_answer(void **state)
{
	static const struct {
		const char *excerpt;
		size_t bytes;
	} rows[] = {
		{"\x00\x01\x02", 3},
		{"\xff\xfe", 2},
		{"caf\xc3", 4},
		{"\xed\xa0\x80", 3},
		{"\xef\xbf\xbf", 3},
		{"\xef\xbf\xbe", 3},
		{"\x1b[2J", 4},
		{"\x7f", 1},
		{"\xf4\x90\x80\x80", 4},
		{"ok\r\n\t", 5},
	};

	world_init(&world, &(struct world_options){.failure_queue = true});
	for (size_t i = 0; i < 10; i++)
		fake_target_answer(&world.targets[0], 1,
			(struct answer){.status = 400,
				.excerpt = rows[i].excerpt,
				.excerpt_bytes = rows[i].bytes,
				.reason = "bad \x01 reason \xff"});
	world_add(&world, 10);
	world_start(&world);
	world_run_until_done(&world, S);
	assert_int_equal(world.failure_queue.count, 10);
	assert_int_equal(fake_queue_calls(&world.failure_queue, OP_SEND), 1);
	expect_attribute(world.failure_queue.messages[9], "FailureBody", "String", "ok\r\n\t");
	world_end(&world);
}

/* The copy is retried until it is there; the message is kept invisible meanwhile. */
static void a_failing_copy(void **state)
{
	static const struct fault faults[] = {
		{.op = OP_SEND, .times = 12, .err = ERR_UNAVAILABLE, .entry = WHOLE_CALL},
		{.op = OP_SEND, .times = 12, .err = ERR_THROTTLED, .entry = 0},
		{.op = OP_SEND, .times = 12, .err = ERR_NOMEM, .entry = WHOLE_CALL, .sync = true},
	};

	for (size_t i = 0; i < 3; i++) {
		world_init(
			&world, &(struct world_options){.failure_queue = true, .visibility_s = 6});
		fake_target_answer(&world.targets[0], 1, (struct answer){.status = 400});
		fake_queue_fail(&world.failure_queue, faults[i]);
		world_add(&world, 1);
		world_start(&world);
		world_run_until_done(&world, 120 * S);
		assert_int_equal(fake_queue_calls(&world.failure_queue, OP_SEND), 13);
		assert_int_equal(world.failure_queue.count, 1);
		assert_int_equal(world.targets[0].log_count, 1);
		assert_int_equal(world_stats(&world).lost, 0);
		assert_true(fake_queue_extensions(&world.queue) > 0);
		world_end(&world);
	}
}

/* The answer of the copy gets lost: it is sent again, and the original deleted once. */
static void a_lost_answer_of_a_copy(void **state)
{
	world_init(&world, &(struct world_options){.failure_queue = true});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 400});
	fake_queue_fail(&world.failure_queue,
		(struct fault){
			.op = OP_SEND, .err = ERR_TIMEOUT, .entry = WHOLE_CALL, .lost = true});
	world_add(&world, 1);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(world.failure_queue.count, 2);
	assert_int_equal(world_stats(&world).failed, 1);
	assert_int_equal(world_stats(&world).deleted, 1);
	world_end(&world);
}

/* A copy that can never be taken: left to the queue's redrive, not held for hours. */
static void a_copy_that_can_never_work(void **state)
{
	static const int errors[] = {ERR_QUEUE_MISSING, ERR_REFUSED, ERR_TOO_LARGE, ERR_ARGUMENT};

	for (size_t i = 0; i < 4; i++) {
		world_init(&world, &(struct world_options){.failure_queue = true});
		fake_target_answer(&world.targets[0], 1, (struct answer){.status = 400});
		fake_queue_fail(&world.failure_queue, (struct fault){.op = OP_SEND,
							      .times = 1000,
							      .err = errors[i],
							      .entry = WHOLE_CALL,
							      .sync = errors[i] == ERR_ARGUMENT});
		world_add(&world, 1);
		world_start(&world);
		world_run_to(&world, 20 * S);
		assert_int_equal(world_stats(&world).failed_left, 1);
		assert_int_equal(world_stats(&world).failed, 0);
		assert_int_equal(world_stats(&world).returned, 1);
		assert_int_equal(world.event_totals[DELIVERY_FAILED_LEFT], 1);
		world_end(&world);
	}
}

static void refuse_with_message_3(
	struct fake_queue *queue, const struct call_record *call, struct call_plan *plan)
{
	for (size_t i = 0; i < call->count; i++)
		if (call->messages[i] == 3)
			plan->err = ERR_TOO_LARGE;
}

/* One that can never be taken does not take the others of its batch along. */
static void a_poisonous_copy_is_alone(void **state)
{
	world_init(&world, &(struct world_options){.failure_queue = true});
	world.random_is_fixed = true; /* all of them are tried again at the same time */
	world.failure_queue.plan = refuse_with_message_3;
	fake_target_answer(&world.targets[0], 10, (struct answer){.status = 400});
	world_add(&world, 10);
	world_start(&world);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(world.failure_queue.count, 9);
	assert_int_equal(world_stats(&world).failed, 9);
	assert_int_equal(world_stats(&world).failed_left, 1);
	assert_int_equal(world_event(&world, DELIVERY_FAILED_LEFT, 0)->message, 3);
	world_end(&world);

	world_init(&world, &(struct world_options){.failure_queue = true});
	fake_target_answer(&world.targets[0], 10, (struct answer){.status = 400});
	fake_queue_fail(&world.failure_queue,
		(struct fault){.op = OP_SEND, .err = ERR_TOO_LARGE, .entry = WHOLE_CALL});
	world_add(&world, 10);
	world_start(&world);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(world.failure_queue.count, 10);
	assert_int_equal(world_stats(&world).failed, 10);
	assert_int_equal(world_stats(&world).failed_left, 0);
	world_end(&world);
}

static void put_large(size_t body_bytes, size_t value_bytes, char fill)
{
	char *body = malloc(body_bytes), *value = malloc(value_bytes + 1);
	struct queue_attribute attribute = {
		.name = "Extra", .type = "String", .value = value, .value_bytes = value_bytes};

	assert_true(body && value);
	memset(body, fill, body_bytes);
	memset(value, fill, value_bytes);
	fake_queue_put(&world.queue, body, body_bytes, &attribute, value_bytes > 0);
	free(body);
	free(value);
}

/* A batch is at most 1 MiB with its attributes (the queue's own check fails the test). */
static void large_copies(void **state)
{
	world_init(&world, &(struct world_options){.failure_queue = true});
	world.targets[0].otherwise = (struct answer){.status = 400, .excerpt = "no"};
	for (int i = 0; i < 10; i++)
		put_large((size_t)(i % 4 ? 1000 : 200000), (size_t)(i % 4 ? 200000 : 0),
			(char)('a' + i));
	world_start(&world);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(world.failure_queue.count, 10);
	world_end(&world);
}

/* As large as SQS takes: nothing of ours fits beside it, and still it is copied. */
static void the_largest_copy(void **state)
{
	static const size_t sizes[] = {1024 * 1024, 1024 * 1024 - 20, 1024 * 1024 - 200};

	for (size_t i = 0; i < 3; i++) {
		world_init(&world, &(struct world_options){.failure_queue = true});
		world.targets[0].otherwise = (struct answer){.status = 400, .excerpt = "no"};
		put_large(sizes[i], 0, 'x');
		world_start(&world);
		world_run_until_done(&world, 60 * S);
		assert_int_equal(world.failure_queue.count, 1);
		assert_int_equal(world.failure_queue.messages[0]->body_bytes, sizes[i]);
		world_end(&world);
	}
}

/* Without a failure queue the message goes back, for the queue's own redrive to end it. */
static void no_failure_queue(void **state)
{
	world_init(&world, &(struct world_options){.max_attempts = 2});
	world.random_is_fixed = true;
	world.random_fixed = UINT64_C(1) << 63;
	world.targets[0].otherwise = (struct answer){.status = 500};
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 410});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 10 * S);
	assert_int_equal(call_of(OP_CHANGE, 0)->visibility_s[0], 1); /* 500 ms */
	assert_int_equal(call_of(OP_CHANGE, 1)->visibility_s[0], 1); /* 1,000 ms */
	assert_int_equal(call_of(OP_CHANGE, 2)->visibility_s[0], 2);
	assert_int_equal(call_of(OP_CHANGE, 3)->visibility_s[0], 4);
	assert_int_equal(world_stats(&world).failed_left, world.targets[0].log_count);
	assert_string_equal(
		world_event(&world, DELIVERY_FAILED_LEFT, 0)->reason, "refused by the provider");
	assert_string_equal(
		world_event(&world, DELIVERY_FAILED_LEFT, 1)->reason, "attempts exhausted");
	assert_int_equal(fake_queue_calls(&world.queue, OP_DELETE), 0);
	world_end(&world);
}

/* A fair queue's group is the sender's own: a copy in a standard queue keeps it, unordered. */
static void a_fair_queues_group_goes_along(void **state)
{
	world_init(&world, &(struct world_options){.failure_queue = true});
	world.targets[0].otherwise.status = 400;
	world_add_group(&world, "tenant 7", 2);
	world_start(&world);
	world_run_until_done(&world, 5 * S);
	assert_int_equal(world.failure_queue.count, 2);
	for (size_t i = 0; i < 2; i++)
		assert_string_equal(world.failure_queue.messages[i]->group_id, "tenant 7");
	world_end(&world);
}

/* What FAILED_COPIED and FAILED_LEFT said. */
static struct {
	unsigned copied, left;
	bool attempted, unanswered;
	int err, status;
	char reason[64], request_id[512];
} heard;

static void hear(struct world *unused, const struct delivery_event *event)
{
	if (event->kind != DELIVERY_FAILED_COPIED && event->kind != DELIVERY_FAILED_LEFT)
		return;
	heard.copied += event->kind == DELIVERY_FAILED_COPIED;
	heard.left += event->kind == DELIVERY_FAILED_LEFT;
	heard.attempted = event->result != NULL;
	snprintf(heard.reason, sizeof(heard.reason), "%s", event->reason);
	if (!event->result)
		return;
	heard.err = event->result->err;
	heard.status = event->result->status;
	heard.unanswered = event->result->unanswered;
	snprintf(heard.request_id, sizeof(heard.request_id), "%s", event->result->request_id);
}

static void begin_to_hear(const struct answer *answer, unsigned max_attempts)
{
	memset(&heard, 0, sizeof(heard));
	world_init(&world,
		&(struct world_options){.failure_queue = true, .max_attempts = max_attempts});
	world.on_event = hear;
	world.targets[0].otherwise = *answer;
	world_add(&world, 1);
	world_start(&world);
}

/* The answer is long gone when the copy is confirmed: what counts of it has been kept. */
static void a_confirmed_copy_is_told_with_its_answer(void **state)
{
	char long_id[400];

	begin_to_hear(&(struct answer){.status = 400, .request_id = "req-7"}, 10);
	world_run_until_done(&world, 5 * S);
	assert_int_equal(heard.copied, 1);
	assert_true(heard.attempted);
	assert_int_equal(heard.status, 400);
	assert_int_equal(heard.err, 0);
	assert_false(heard.unanswered);
	assert_string_equal(heard.request_id, "req-7");
	assert_string_equal(heard.reason, "refused by the provider");
	world_end(&world);

	memset(long_id, 'r', sizeof(long_id) - 1);
	long_id[sizeof(long_id) - 1] = '\0';
	begin_to_hear(&(struct answer){.status = 404, .request_id = long_id}, 10);
	world_run_until_done(&world, 5 * S);
	assert_int_equal(strlen(heard.request_id), FAILURE_REQUEST_ID_MAX);
	world_end(&world);
}

static void a_confirmed_copy_says_that_nobody_answered(void **state)
{
	begin_to_hear(&(struct answer){.err = ERR_TIMEOUT, .unanswered = true}, 1);
	world_run_until_done(&world, 5 * S);
	assert_int_equal(heard.copied, 1);
	assert_int_equal(heard.err, ERR_TIMEOUT);
	assert_int_equal(heard.status, 0);
	assert_true(heard.unanswered);
	assert_string_equal(heard.request_id, "");
	assert_string_equal(heard.reason, "attempts exhausted");
	world_end(&world);
}

/* One that was never sent has no answer; one whose copy is refused is left, its answer told. */
static void what_is_told_of_other_failures(void **state)
{
	memset(&heard, 0, sizeof(heard));
	world_init(&world, &(struct world_options){.failure_queue = true});
	world.on_event = hear;
	world_add_with(&world, (const char *const[]){"Deadline", "String", "tomorrow", NULL});
	world_start(&world);
	world_run_until_done(&world, 5 * S);
	assert_int_equal(heard.copied, 1);
	assert_false(heard.attempted);
	world_end(&world);

	begin_to_hear(&(struct answer){.status = 400, .request_id = "req-8"}, 10);
	fake_queue_fail(&world.failure_queue,
		(struct fault){
			.op = OP_SEND, .times = 1000, .err = ERR_TOO_LARGE, .entry = WHOLE_CALL});
	world_run_to(&world, 20 * S);
	assert_true(heard.left >= 1); /* each time that it comes back */
	assert_int_equal(heard.status, 400);
	assert_string_equal(heard.request_id, "req-8");
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permanent_is_copied_then_deleted),
		cmocka_unit_test(a_template_error_is_copied_too),
		cmocka_unit_test(attempts_exhausted),
		cmocka_unit_test(ten_attributes_at_most),
		cmocka_unit_test(which_of_ours_survive),
		cmocka_unit_test(a_long_answer),
		cmocka_unit_test(a_character_across_the_cut),
		cmocka_unit_test(a_copy_of_a_copy),
		cmocka_unit_test(a_hostile_answer),
		cmocka_unit_test(a_failing_copy),
		cmocka_unit_test(a_lost_answer_of_a_copy),
		cmocka_unit_test(a_copy_that_can_never_work),
		cmocka_unit_test(a_poisonous_copy_is_alone),
		cmocka_unit_test(large_copies),
		cmocka_unit_test(the_largest_copy),
		cmocka_unit_test(no_failure_queue),
		cmocka_unit_test(a_fair_queues_group_goes_along),
		cmocka_unit_test(a_confirmed_copy_is_told_with_its_answer),
		cmocka_unit_test(a_confirmed_copy_says_that_nobody_answered),
		cmocka_unit_test(what_is_told_of_other_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
