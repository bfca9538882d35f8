/* Waiting receives, in virtual time. */
#include "localq/store_private.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define Q "\"QueueUrl\":\"http://h/000000000000/q\""
#define WAIT(seconds) "{" Q ",\"WaitTimeSeconds\":" #seconds "}"

static struct world world;
static struct world_call waiting[4];

static int start(void **state)
{
	world_open(&world, NULL);
	world_create(&world, "q");
	memset(waiting, 0, sizeof(waiting));
	return 0;
}

static int end(void **state)
{
	for (size_t i = 0; i < 4; i++)
		if (waiting[i].world != NULL)
			world_end(&waiting[i]);
	world_close(&world);
	return 0;
}

/* Starts a long poll, which finds nothing at first. */
static void wait_call(struct world_call *call, const char *request)
{
	world_start(&world, call, "ReceiveMessage", "%s", request);
	service_flush(&world.service);
	assert_false(call->answered);
}

static const char *bodies(const struct world_call *call)
{
	assert_true(call->answered);
	return world_bodies(call->answer);
}

static void ends_empty_after_its_time(void **state)
{
	wait_call(&waiting[0], WAIT(20));
	world_advance_ms(&world, 19999);
	assert_false(waiting[0].answered);
	world_advance_ms(&world, 1);
	assert_true(waiting[0].answered);
	assert_null(waiting[0].answer->child);
}

static void time_of_the_queue(void **state)
{
	world_ok(&world, "SetQueueAttributes",
		"{" Q ",\"Attributes\":{\"ReceiveMessageWaitTimeSeconds\":\"3\"}}");
	wait_call(&waiting[0], "{" Q "}");
	world_advance_ms(&world, 3000);
	assert_true(waiting[0].answered);
	/* 0 in the request wins */
	assert_int_equal(cJSON_GetArraySize(world_ok(&world, "ReceiveMessage", WAIT(0))), 0);
}

static void woken_by_a_send_in_the_same_turn(void **state)
{
	struct world_call send;

	wait_call(&waiting[0], WAIT(20));
	world_start(&world, &send, "SendMessage", "{" Q ",\"MessageBody\":\"a\"}");
	assert_false(waiting[0].answered); /* nothing is answered before the commit */
	assert_false(send.answered);
	service_flush(&world.service);
	assert_true(send.answered);
	assert_string_equal(bodies(&waiting[0]), "a");
	assert_string_equal(world_counts(&world, "q"), "0 1 0");
	world_end(&send);
}

static void woken_by_a_batch_once(void **state)
{
	wait_call(&waiting[0], "{" Q ",\"WaitTimeSeconds\":20,\"MaxNumberOfMessages\":10}");
	wait_call(&waiting[1], WAIT(20));
	world_ok(&world, "SendMessageBatch",
		"{" Q ",\"Entries\":[{\"Id\":\"1\",\"MessageBody\":\"a\"},"
		"{\"Id\":\"2\",\"MessageBody\":\"b\"}]}");
	assert_string_equal(bodies(&waiting[0]), "a b");
	assert_false(waiting[1].answered);
}

static void first_come_first_served(void **state)
{
	for (size_t i = 0; i < 3; i++) {
		wait_call(&waiting[i], WAIT(20));
		world_advance_ms(&world, 1);
	}
	world_send(&world, "q", "a");
	assert_string_equal(bodies(&waiting[0]), "a");
	assert_false(waiting[1].answered);
	assert_false(waiting[2].answered);
	world_ok(&world, "SendMessageBatch",
		"{" Q ",\"Entries\":[{\"Id\":\"1\",\"MessageBody\":\"b\"},"
		"{\"Id\":\"2\",\"MessageBody\":\"c\"}]}");
	assert_string_equal(bodies(&waiting[1]), "b");
	assert_string_equal(bodies(&waiting[2]), "c");
}

static void a_newcomer_in_the_same_turn_does_not_overtake(void **state)
{
	struct world_call send, late;

	wait_call(&waiting[0], WAIT(20));
	world_start(&world, &send, "SendMessage", "{" Q ",\"MessageBody\":\"a\"}");
	world_start(&world, &late, "ReceiveMessage", "{" Q "}");
	service_flush(&world.service);
	assert_string_equal(bodies(&waiting[0]), "a");
	assert_string_equal(bodies(&late), "");
	world_end(&send);
	world_end(&late);
}

static void woken_by_the_end_of_a_delay(void **state)
{
	world_ok(&world, "SendMessage", "{" Q ",\"MessageBody\":\"later\",\"DelaySeconds\":5}");
	wait_call(&waiting[0], WAIT(20));
	world_advance_ms(&world, 4999);
	assert_false(waiting[0].answered);
	world_advance_ms(&world, 1);
	assert_string_equal(bodies(&waiting[0]), "later");
}

static void woken_by_the_end_of_a_delay_sent_while_waiting(void **state)
{
	wait_call(&waiting[0], WAIT(20));
	world_ok(&world, "SendMessage", "{" Q ",\"MessageBody\":\"b\",\"DelaySeconds\":9}");
	world_ok(&world, "SendMessage", "{" Q ",\"MessageBody\":\"a\",\"DelaySeconds\":5}");
	world_advance_ms(&world, 4999);
	assert_false(waiting[0].answered);
	world_advance_ms(&world, 1);
	assert_string_equal(bodies(&waiting[0]), "a");
}

static void woken_by_the_end_of_a_visibility_timeout(void **state)
{
	world_send(&world, "q", "a");
	world_ok(&world, "ReceiveMessage", "{" Q ",\"VisibilityTimeout\":3}");
	wait_call(&waiting[0], WAIT(20));
	world_advance_ms(&world, 2999);
	assert_false(waiting[0].answered);
	world_advance_ms(&world, 1);
	assert_string_equal(bodies(&waiting[0]), "a");
}

static void woken_by_what_another_poll_took(void **state)
{
	wait_call(&waiting[0], "{" Q ",\"WaitTimeSeconds\":20,\"VisibilityTimeout\":4}");
	wait_call(&waiting[1], WAIT(20));
	world_send(&world, "q", "a");
	assert_string_equal(bodies(&waiting[0]), "a");
	world_advance_ms(&world, 3999);
	assert_false(waiting[1].answered);
	world_advance_ms(&world, 1);
	assert_string_equal(bodies(&waiting[1]), "a");
}

static void woken_by_a_change_of_visibility(void **state)
{
	char handle[64];

	world_send(&world, "q", "a");
	world_handle(world_ok(&world, "ReceiveMessage", "{" Q "}"), 0, handle);
	wait_call(&waiting[0], WAIT(20));
	world_ok(&world, "ChangeMessageVisibility",
		"{" Q ",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":2}", handle);
	world_advance_ms(&world, 1999);
	assert_false(waiting[0].answered);
	world_advance_ms(&world, 1);
	assert_string_equal(bodies(&waiting[0]), "a");
	world_handle(waiting[0].answer, 0, handle);
	wait_call(&waiting[1], WAIT(20));
	world_ok(&world, "ChangeMessageVisibility",
		"{" Q ",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":0}", handle);
	assert_string_equal(bodies(&waiting[1]), "a");
}

/* Extending what a timer was set for moves the timer. */
static void not_woken_by_what_was_hidden_longer(void **state)
{
	char handle[64];

	world_send(&world, "q", "a");
	world_handle(
		world_ok(&world, "ReceiveMessage", "{" Q ",\"VisibilityTimeout\":2}"), 0, handle);
	wait_call(&waiting[0], WAIT(20));
	world_ok(&world, "ChangeMessageVisibility",
		"{" Q ",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":6}", handle);
	world_advance_ms(&world, 5999);
	assert_false(waiting[0].answered);
	world_advance_ms(&world, 1);
	assert_string_equal(bodies(&waiting[0]), "a");
}

static void woken_by_a_dead_letter(void **state)
{
	world_create(&world, "source");
	world_ok(&world, "SetQueueAttributes",
		"{\"QueueUrl\":\"/source\",\"Attributes\":{\"RedrivePolicy\":"
		"\"{\\\"deadLetterTargetArn\\\":\\\"arn:aws:sqs:us-east-1:000000000000:q\\\","
		"\\\"maxReceiveCount\\\":1}\"}}");
	world_send(&world, "source", "poison");
	world_ok(&world, "ReceiveMessage", "{\"QueueUrl\":\"/source\",\"VisibilityTimeout\":0}");
	wait_call(&waiting[0], WAIT(20));
	assert_int_equal(world_receive(&world, "source"), 0);
	assert_string_equal(bodies(&waiting[0]), "poison");
}

static void a_dead_client_swallows_nothing(void **state)
{
	wait_call(&waiting[0], WAIT(20));
	wait_call(&waiting[1], WAIT(20));
	waiting[0].dead = true;
	world_send(&world, "q", "a");
	assert_string_equal(bodies(&waiting[0]), "");
	assert_string_equal(bodies(&waiting[1]), "a");
}

static void ends_with_its_queue(void **state)
{
	wait_call(&waiting[0], WAIT(20));
	world_ok(&world, "DeleteQueue", "{" Q "}");
	assert_true(waiting[0].answered);
	assert_int_equal(waiting[0].call.problem.fault, FAULT_QUEUE_DOES_NOT_EXIST);
}

static void survives_a_purge(void **state)
{
	wait_call(&waiting[0], WAIT(20));
	world_ok(&world, "PurgeQueue", "{" Q "}");
	assert_false(waiting[0].answered);
	world_send(&world, "q", "a");
	assert_string_equal(bodies(&waiting[0]), "a");
}

static void draining_answers_everybody(void **state)
{
	struct world_call late;

	wait_call(&waiting[0], WAIT(20));
	world_create(&world, "other");
	world_start(&world, &waiting[1], "ReceiveMessage",
		"{\"QueueUrl\":\"/other\",\"WaitTimeSeconds\":20}");
	service_drain(&world.service);
	service_flush(&world.service);
	assert_string_equal(bodies(&waiting[0]), "");
	assert_string_equal(bodies(&waiting[1]), "");
	world_start(&world, &late, "ReceiveMessage", WAIT(20));
	service_flush(&world.service);
	assert_string_equal(bodies(&late), "");
	world_end(&late);
}

static void queues_do_not_wake_each_other(void **state)
{
	world_create(&world, "other");
	wait_call(&waiting[0], WAIT(20));
	world_send(&world, "other", "x");
	assert_false(waiting[0].answered);
	world_send(&world, "q", "a");
	assert_string_equal(bodies(&waiting[0]), "a");
}

/* Puts so many messages in flight, without receiving them one by one. */
static void fill_flight(int count)
{
	struct store *store = world.service.store;
	struct store_queue *queue = store_queue_find(store, "q");
	char sql[512];

	snprintf(sql, sizeof(sql),
		"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<%d) "
		"INSERT INTO "
		"messages(id,lane,timed,visible_ms,receives,first_received_ms,sent_ms,content) "
		"SELECT %lld+i,%u,1,%lld,1,0,%lld,x'00' FROM n",
		count, (long long)store_id(queue->lane, true, 1000000000), queue->lane,
		(long long)WORLD_START_MS + 3600000, (long long)WORLD_START_MS);
	assert_int_equal(sqlite3_exec(store->db, sql, NULL, NULL, NULL), SQLITE_OK);
	queue->messages += count;
	queue->in_flight_bound += count;
}

static void too_many_messages_in_flight(void **state)
{
	uint32_t lane = store_queue_find(world.service.store, "q")->lane;
	struct handle handle = {store_id(lane, true, 1000000001), WORLD_START_MS, lane, 1};
	char text[HANDLE_TEXT_BYTES + 1];

	fill_flight(SERVICE_IN_FLIGHT_MAX);
	world_send(&world, "q", "a");
	world_refused(&world, "OverLimit", "ReceiveMessage", "{" Q "}");
	wait_call(&waiting[0], WAIT(20));
	world_advance_ms(&world, 1000);
	assert_false(waiting[0].answered);
	/* one is deleted: the long poll goes on at once */
	handle_write(&handle, store_handle_key(world.service.store), text);
	world_ok(&world, "DeleteMessage", "{" Q ",\"ReceiptHandle\":\"%s\"}", text);
	assert_string_equal(bodies(&waiting[0]), "a");
	assert_string_equal(world_counts(&world, "q"), "0 120000 0");
}

/* 450 dead letters lie in front: the poll goes on clearing them away, turn by turn. */
static void a_poll_gets_past_many_poison_messages(void **state)
{
	world_create(&world, "dead");
	for (int i = 0; i < 450; i++)
		world_send(&world, "q", "poison");
	for (int i = 0; i < 45; i++)
		assert_int_equal(world_receive(&world, "q"), 10);
	world_ok(&world, "SetQueueAttributes",
		"{" Q ",\"Attributes\":{\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":"
		"\\\"arn:aws:sqs:us-east-1:000000000000:dead\\\",\\\"maxReceiveCount\\\":1}\"}}");
	world_advance_ms(&world, 30001);
	world_send(&world, "q", "good");
	world_start(&world, &waiting[0], "ReceiveMessage", WAIT(20));
	for (int turn = 0; turn < 3 && !waiting[0].answered; turn++) {
		unsigned wanted = world.flushes_wanted;

		service_flush(&world.service);
		/* either it is answered or another turn was asked for */
		assert_true(waiting[0].answered || world.flushes_wanted > wanted);
	}
	assert_string_equal(bodies(&waiting[0]), "good");
	assert_string_equal(world_counts(&world, "dead"), "450 0 0");
}

static int64_t (*wall_epoch_ms)(void *impl);

/* Each look at it takes a millisecond. */
static int64_t slow_wall_epoch_ms(void *impl)
{
	((struct manual_clock *)impl)->now_us += 1000;
	return wall_epoch_ms(impl);
}

/* Between finding nothing and asking when there will be something, a message may become visible. */
static void a_delay_that_ends_while_a_receive_looks(void **state)
{
	const struct clock_ops *ops = world.service.clock.ops;
	struct clock_ops slow = *ops;

	wall_epoch_ms = ops->wall_epoch_ms;
	slow.wall_epoch_ms = slow_wall_epoch_ms;
	for (int before_ms = 0; before_ms < 10; before_ms++) {
		world_ok(&world, "SendMessage", "{" Q ",\"MessageBody\":\"a\",\"DelaySeconds\":1}");
		world_advance_ms(&world, 1000 - before_ms);
		world.service.clock.ops = &slow;
		world_start(&world, &waiting[0], "ReceiveMessage", WAIT(20));
		service_flush(&world.service);
		world.service.clock.ops = ops;
		world_advance_ms(&world, 20);
		assert_string_equal(bodies(&waiting[0]), "a");
		world_end(&waiting[0]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
		T(ends_empty_after_its_time),
		T(a_delay_that_ends_while_a_receive_looks),
		T(time_of_the_queue),
		T(woken_by_a_send_in_the_same_turn),
		T(woken_by_a_batch_once),
		T(first_come_first_served),
		T(a_newcomer_in_the_same_turn_does_not_overtake),
		T(woken_by_the_end_of_a_delay),
		T(woken_by_the_end_of_a_delay_sent_while_waiting),
		T(woken_by_the_end_of_a_visibility_timeout),
		T(woken_by_what_another_poll_took),
		T(woken_by_a_change_of_visibility),
		T(not_woken_by_what_was_hidden_longer),
		T(woken_by_a_dead_letter),
		T(a_dead_client_swallows_nothing),
		T(ends_with_its_queue),
		T(survives_a_purge),
		T(draining_answers_everybody),
		T(queues_do_not_wake_each_other),
		T(too_many_messages_in_flight),
		T(a_poll_gets_past_many_poison_messages),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
