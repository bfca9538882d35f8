/* Messages that the queue table itself says can never be delivered. */
#include "delivery/core.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define WORDS "the body is in S3 (bucket b, key k): messages of the SQS extended client are ..."

static struct world world;

static const char *copied_reason(size_t index)
{
	return fake_message_attribute(world.failure_queue.messages[index], "FailureReason")->value;
}

static void copied_with_its_reason(void **state)
{
	world_init(&world, &(struct world_options){.failure_queue = true});
	world_add(&world, 3);
	world.queue.messages[1]->refused = WORDS;
	world_start(&world);
	world_run_until_done(&world, S);
	assert_int_equal(world.targets[0].log_count, 2);
	assert_int_equal(world_stats(&world).attempts, 2);
	assert_int_equal(world_stats(&world).failed, 1);
	assert_int_equal(world_stats(&world).deleted, 3);
	assert_string_equal(world_event(&world, DELIVERY_FAILED, 0)->reason, WORDS);
	assert_int_equal(world.failure_queue.count, 1);
	assert_string_equal(copied_reason(0), WORDS);
	assert_int_equal(
		world.failure_queue.messages[0]->body_bytes, world.queue.messages[1]->body_bytes);
	assert_memory_equal(world.failure_queue.messages[0]->body, world.queue.messages[1]->body,
		world.queue.messages[1]->body_bytes);
	world_end(&world);
}

static void left_without_a_failure_queue(void **state)
{
	world_init(&world, &(struct world_options){.visibility_s = 30});
	world_add(&world, 1);
	world.queue.messages[0]->refused = WORDS;
	world_start(&world);
	world_run_to(&world, 5 * S);
	assert_int_equal(world.targets[0].log_count, 0);
	assert_true(world_stats(&world).failed_left > 0);
	assert_int_equal(fake_queue_calls(&world.queue, OP_DELETE), 0);
	world_end(&world);
}

/* Whatever its attributes say: they may be the envelope's, not the message's. */
static void before_anything_else(void **state)
{
	static const char *const attributes[][4] = {
		{"Deadline", "Number", "1", NULL},
		{"Deadline", "Number", "soon", NULL},
		{"NotBefore", "Number", "9223372036854775807", NULL},
		{"Destination", "String", "nobody", NULL},
	};

	world_init(&world, &(struct world_options){.failure_queue = true});
	for (size_t i = 0; i < 4; i++) {
		size_t index = world_add_with(&world, attributes[i]);

		world.queue.messages[index]->refused = WORDS;
	}
	world_start(&world);
	world_run_until_done(&world, S);
	assert_int_equal(world.targets[0].log_count, 0);
	assert_int_equal(world_stats(&world).failed, 4);
	assert_int_equal(world_stats(&world).expired, 0);
	assert_int_equal(world_stats(&world).postponed, 0);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(copied_reason(i), WORDS);
	world_end(&world);
}

/* Of a group, it does not keep the next one waiting for good. */
static void in_a_group(void **state)
{
	world_init(&world, &(struct world_options){.failure_queue = true, .fifo = true});
	world_add_group(&world, "g", 3);
	world.queue.messages[0]->refused = WORDS;
	world_start(&world);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(world.targets[0].log_count, 2);
	assert_int_equal(world_stats(&world).failed, 1);
	assert_int_equal(world_stats(&world).accepted, 2);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(copied_with_its_reason),
		cmocka_unit_test(left_without_a_failure_queue),
		cmocka_unit_test(before_anything_else),
		cmocka_unit_test(in_a_group),
	};

	return cmocka_run_group_tests_name("refused", tests, NULL, NULL);
}
