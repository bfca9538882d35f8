/* FIFO queues in virtual time: exact values. */
#include "world.h"

#include "localq/store_private.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define Q "\"QueueUrl\":\"/q.fifo\""

static struct world world;

static int start(void **state)
{
	world_open(&world, NULL);
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"q.fifo\",\"Attributes\":{\"FifoQueue\":\"true\","
		"\"VisibilityTimeout\":\"30\"}}");
	return 0;
}

static int end(void **state)
{
	world_close(&world);
	return 0;
}

static const cJSON *send(const char *group, const char *body)
{
	return world_ok(&world, "SendMessage",
		"{" Q ",\"MessageBody\":\"%s\",\"MessageGroupId\":\"%s\","
		"\"MessageDeduplicationId\":\"%s-%s\"}",
		body, group, group, body);
}

static const cJSON *receive(int max)
{
	return world_ok(&world, "ReceiveMessage",
		"{" Q ",\"MaxNumberOfMessages\":%d,\"AttributeNames\":[\"All\"]}", max);
}

static void assert_received(int max, const char *expected)
{
	assert_string_equal(world_bodies(receive(max)), expected);
}

static void delete (const char *handle)
{
	world_ok(&world, "DeleteMessage", "{" Q ",\"ReceiptHandle\":\"%s\"}", handle);
}

static void change(const char *handle, int seconds)
{
	world_ok(&world, "ChangeMessageVisibility",
		"{" Q ",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":%d}", handle, seconds);
}

static int64_t rows(const char *table)
{
	sqlite3_stmt *statement;
	char sql[64];
	int64_t count;

	snprintf(sql, sizeof(sql), "SELECT count(*) FROM %s", table);
	assert_int_equal(
		sqlite3_prepare_v2(world.service.store->db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	count = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return count;
}

static void order_within_groups(void **state)
{
	char first[64], second[64];

	send("a", "1");
	send("b", "x");
	send("a", "2");
	send("a", "3");
	receive(2);
	assert_string_equal(world_bodies(world.done.answer), "1 2");
	world_handle(world.done.answer, 0, first);
	world_handle(world.done.answer, 1, second);
	assert_received(10, "x");
	assert_received(10, "");
	delete (first);
	assert_received(10, "");
	change(second, 0);
	assert_received(10, "2 3");
	assert_string_equal(world_counts(&world, "q.fifo"), "0 3 0");
}

/* The group that has been free longest comes first; one that was served goes behind the others. */
static void fair_order_of_groups(void **state)
{
	char handle[64];

	for (int i = 0; i < 3; i++) {
		char body[8];

		snprintf(body, sizeof(body), "%d", i);
		send("a", body);
		send("b", body);
		send("c", body);
		world_advance_ms(&world, 1);
	}
	for (int i = 0; i < 3; i++)
		for (const char *group = "abc"; *group != '\0'; group++) {
			const cJSON *message =
				cJSON_GetArrayItem(cJSON_GetObjectItem(receive(1), "Messages"), 0);

			assert_int_equal(
				*cJSON_GetObjectItem(cJSON_GetObjectItem(message, "Attributes"),
					"MessageGroupId")
					 ->valuestring,
				*group);
			world_handle(world.done.answer, 0, handle);
			delete (handle);
			world_advance_ms(&world, 1);
		}
	assert_string_equal(world_counts(&world, "q.fifo"), "0 0 0");
	assert_int_equal(rows("groups"), 0);
}

static void the_end_of_the_visibility_frees_a_group(void **state)
{
	struct world_call waiting;

	send("a", "1");
	send("a", "2");
	assert_received(1, "1");
	world_start(&world, &waiting, "ReceiveMessage",
		"{" Q ",\"WaitTimeSeconds\":20,\"MaxNumberOfMessages\":10}");
	service_flush(&world.service);
	world_advance_ms(&world, 19999);
	assert_false(waiting.answered);
	world_end(&waiting);
	world_start(&world, &waiting, "ReceiveMessage",
		"{" Q ",\"WaitTimeSeconds\":20,\"MaxNumberOfMessages\":10}");
	service_flush(&world.service);
	world_advance_ms(&world, 10000);
	assert_false(waiting.answered);
	world_advance_ms(&world, 1);
	assert_true(waiting.answered);
	assert_string_equal(world_bodies(waiting.answer), "1 2");
	world_end(&waiting);
}

static void a_delete_frees_a_group(void **state)
{
	struct world_call waiting;
	char handle[64];

	send("a", "1");
	send("a", "2");
	receive(1);
	world_handle(world.done.answer, 0, handle);
	world_start(&world, &waiting, "ReceiveMessage", "{" Q ",\"WaitTimeSeconds\":20}");
	service_flush(&world.service);
	delete (handle);
	assert_true(waiting.answered);
	assert_string_equal(world_bodies(waiting.answer), "2");
	world_end(&waiting);
}

/* Another consumer may have the group by now. */
static void a_visibility_that_ended_is_not_changed(void **state)
{
	char handle[64];

	send("a", "1");
	receive(1);
	world_handle(world.done.answer, 0, handle);
	change(handle, 5);
	world_advance_ms(&world, 5000);
	for (int seconds = 0; seconds <= 60; seconds += 60)
		assert_non_null(strstr(
			world_refused(&world, "InvalidParameterValue", "ChangeMessageVisibility",
				"{" Q ",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":%d}", handle,
				seconds),
			"Message does not exist or is not available for visibility timeout "
			"change."));
	assert_received(1, "1");
}

static void the_longest_visibility_holds_the_group(void **state)
{
	char first[64];

	send("a", "1");
	send("a", "2");
	send("a", "3");
	receive(2);
	world_handle(world.done.answer, 0, first);
	change(first, 100);
	world_advance_ms(&world, 30001);
	assert_string_equal(world_counts(&world, "q.fifo"), "2 1 0");
	assert_received(10, "");
	world_advance_ms(&world, 70000);
	assert_received(10, "1 2 3");
}

static void delayed_messages_hold_their_group(void **state)
{
	world_ok(&world, "SetQueueAttributes", "{" Q ",\"Attributes\":{\"DelaySeconds\":\"10\"}}");
	send("a", "1");
	world_advance_ms(&world, 5000);
	send("a", "2");
	assert_string_equal(world_counts(&world, "q.fifo"), "0 0 2");
	world_advance_ms(&world, 4999);
	assert_received(10, "");
	world_advance_ms(&world, 1);
	assert_received(10, "1");
	assert_string_equal(world_counts(&world, "q.fifo"), "0 1 1");
}

static const char *text(const cJSON *object, const char *name)
{
	return cJSON_GetStringValue(cJSON_GetObjectItem(object, name));
}

static void deduplication_lasts_five_minutes(void **state)
{
	char id[40], sequence[24], handle[64];
	const cJSON *answer = send("a", "1");

	snprintf(id, sizeof(id), "%s", text(answer, "MessageId"));
	snprintf(sequence, sizeof(sequence), "%s", text(answer, "SequenceNumber"));
	assert_int_equal(strlen(sequence), 20);
	receive(1);
	world_handle(world.done.answer, 0, handle);
	delete (handle);
	world_advance_ms(&world, 299999);
	answer = send("a", "1");
	assert_string_equal(text(answer, "MessageId"), id);
	assert_string_equal(text(answer, "SequenceNumber"), sequence);
	assert_string_equal(world_counts(&world, "q.fifo"), "0 0 0");
	world_advance_ms(&world, 1);
	answer = send("a", "1");
	assert_string_not_equal(text(answer, "MessageId"), id);
	assert_true(strcmp(text(answer, "SequenceNumber"), sequence) > 0);
	assert_string_equal(world_counts(&world, "q.fifo"), "1 0 0");
	assert_int_equal(rows("deduplications"), 1);
	/* The sweep forgets what is over. */
	world_advance_ms(&world, 310000);
	assert_int_equal(rows("deduplications"), 0);
}

static void attempts(void **state)
{
	const char *const again = "{" Q ",\"MaxNumberOfMessages\":2,\"VisibilityTimeout\":%d,"
				  "\"ReceiveRequestAttemptId\":\"x\"}";
	char first[64], repeated[64];

	send("a", "1");
	send("a", "2");
	send("b", "1");
	world_ok(&world, "ReceiveMessage", again, 30);
	assert_string_equal(world_bodies(world.done.answer), "1 2");
	world_handle(world.done.answer, 0, first);
	world_advance_ms(&world, 20000);
	world_ok(&world, "ReceiveMessage", again, 30);
	assert_string_equal(world_bodies(world.done.answer), "1 2");
	world_handle(world.done.answer, 0, repeated);
	assert_string_equal(first, repeated);
	/* The visibility began anew, for the group as well. */
	world_advance_ms(&world, 29999);
	assert_string_equal(world_counts(&world, "q.fifo"), "1 2 0");
	assert_received(10, "1");
	/* Once one of them is changed the attempt is over: what is left is in flight. */
	change(repeated, 60);
	world_ok(&world, "ReceiveMessage", again, 30);
	assert_string_equal(world_bodies(world.done.answer), "");
	world_refused(&world, "InvalidParameterValue", "ReceiveMessage",
		"{" Q ",\"ReceiveRequestAttemptId\":\"a b\"}");
	world_create(&world, "standard");
	world_refused(&world, "InvalidParameterValue", "ReceiveMessage",
		"{\"QueueUrl\":\"/standard\",\"ReceiveRequestAttemptId\":\"x\"}");
}

static void an_attempt_is_known_for_five_minutes(void **state)
{
	static const char again[] = "{" Q ",\"VisibilityTimeout\":1000,"
				    "\"ReceiveRequestAttemptId\":\"x\"}";

	send("a", "1");
	world_ok(&world, "ReceiveMessage", again);
	assert_string_equal(world_bodies(world.done.answer), "1");
	world_advance_ms(&world, 299999);
	world_ok(&world, "ReceiveMessage", again);
	assert_string_equal(world_bodies(world.done.answer), "1");
	world_advance_ms(&world, 1);
	world_ok(&world, "ReceiveMessage", again);
	assert_string_equal(world_bodies(world.done.answer), "");
	world_advance_ms(&world, 310000);
	assert_int_equal(rows("attempts"), 0);
}

static void a_handle_expires(void **state)
{
	char handle[64];

	send("a", "1");
	receive(1);
	world_handle(world.done.answer, 0, handle);
	world_advance_ms(&world, 30000);
	assert_non_null(strstr(world_refused(&world, "InvalidParameterValue", "DeleteMessage",
				       "{" Q ",\"ReceiptHandle\":\"%s\"}", handle),
		"The receipt handle has expired"));
	receive(1);
	assert_non_null(strstr(world_refused(&world, "InvalidParameterValue", "DeleteMessage",
				       "{" Q ",\"ReceiptHandle\":\"%s\"}", handle),
		"expired"));
}

static void a_deleted_message_deletes_again(void **state)
{
	char handle[64];

	send("a", "1");
	receive(1);
	world_handle(world.done.answer, 0, handle);
	delete (handle);
	delete (handle);
}

static void dead_letters_keep_group_and_order(void **state)
{
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"dead.fifo\",\"Attributes\":{\"FifoQueue\":\"true\"}}");
	world_ok(&world, "SetQueueAttributes",
		"{" Q ",\"Attributes\":{\"VisibilityTimeout\":\"0\",\"RedrivePolicy\":"
		"\"{\\\"deadLetterTargetArn\\\":\\\"arn:aws:sqs:us-east-1:000000000000:dead."
		"fifo\\\","
		"\\\"maxReceiveCount\\\":1}\"}}");
	for (char body[2] = "1"; *body <= '3'; ++*body)
		send("a", body);
	send("b", "x");
	assert_received(3, "1 2 3");
	assert_received(10, "x");
	assert_received(10, "");
	assert_int_equal(rows("groups"), 2);
	assert_int_equal(world_receive(&world, "dead.fifo"), 4);
	assert_string_equal(world_bodies(world.done.answer), "1 2 3 x");
	assert_string_equal(world_counts(&world, "dead.fifo"), "0 4 0");
	world_advance_ms(&world, 30001);
	world_ok(&world, "StartMessageMoveTask",
		"{\"SourceArn\":\"arn:aws:sqs:us-east-1:000000000000:dead.fifo\"}");
	world_advance_ms(&world, 1000);
	assert_string_equal(world_counts(&world, "q.fifo"), "4 0 0");
	assert_string_equal(world_counts(&world, "dead.fifo"), "0 0 0");
	assert_received(10, "1 2 3 x");
}

static void a_purge_and_a_deleted_queue_leave_no_group(void **state)
{
	send("a", "1");
	send("b", "1");
	assert_received(1, "1");
	world_ok(&world, "PurgeQueue", "{" Q "}");
	assert_received(10, "");
	send("a", "2");
	assert_received(10, "2");
	world_ok(&world, "DeleteQueue", "{" Q "}");
	world_advance_ms(&world, 20000);
	assert_int_equal(rows("groups"), 0);
	assert_int_equal(rows("messages"), 0);
}

static void retention_ends_a_group(void **state)
{
	world_ok(&world, "SetQueueAttributes",
		"{" Q ",\"Attributes\":{\"MessageRetentionPeriod\":\"60\"}}");
	send("a", "1");
	world_advance_ms(&world, 30000);
	send("a", "2");
	world_advance_ms(&world, 30000);
	assert_received(10, "2");
	world_advance_ms(&world, 60000);
	assert_received(10, "");
	assert_string_equal(world_counts(&world, "q.fifo"), "0 0 0");
	assert_int_equal(rows("groups"), 0);
}

static void everything_survives_a_restart(void **state)
{
	char dir[] = "/tmp/bunshin-fifo-XXXXXX", command[64], handle[64];

	assert_non_null(mkdtemp(dir));
	world_close(&world);
	world_open(&world, dir);
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"q.fifo\",\"Attributes\":{\"FifoQueue\":\"true\"}}");
	send("a", "1");
	send("a", "2");
	receive(1);
	world_handle(world.done.answer, 0, handle);
	world_reopen(&world, dir);
	assert_received(10, "");
	send("a", "2"); /* is remembered */
	delete (handle);
	assert_received(10, "2");
	world_close(&world);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	start(state);
}

/* Steps of SQLite's machine in one receive. */
static int64_t cost_of_a_receive(void)
{
	struct store *store = world.service.store;
	int64_t steps = 0;

	for (int i = 0; i < STORE_STATEMENTS; i++)
		sqlite3_stmt_status(store->statements[i], SQLITE_STMTSTATUS_VM_STEP, 1);
	receive(10);
	for (int i = 0; i < STORE_STATEMENTS; i++)
		steps += sqlite3_stmt_status(store->statements[i], SQLITE_STMTSTATUS_VM_STEP, 0);
	return steps;
}

static void fill_groups(int from, int to)
{
	for (int i = from; i < to; i++) {
		char group[16];

		snprintf(group, sizeof(group), "g%d", i);
		send(group, "1");
		send(group, "2");
	}
}

static void blocked_groups_cost_nothing(void **state)
{
	int64_t few, many;

	fill_groups(0, 10);
	for (int i = 0; i < 2; i++)
		receive(10);
	assert_received(10, "");
	send("free", "x");
	few = cost_of_a_receive();
	assert_string_equal(world_bodies(world.done.answer), "x");
	world_ok(&world, "PurgeQueue", "{" Q "}");
	fill_groups(10, 3010);
	for (int i = 0; i < 600; i++)
		receive(10);
	assert_received(10, "");
	send("free", "y");
	many = cost_of_a_receive();
	assert_string_equal(world_bodies(world.done.answer), "y");
	if (many > few + few / 4)
		fail_msg("%lld steps with 3,000 groups, %lld with ten", (long long)many,
			(long long)few);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
		T(order_within_groups),
		T(fair_order_of_groups),
		T(the_end_of_the_visibility_frees_a_group),
		T(a_delete_frees_a_group),
		T(a_visibility_that_ended_is_not_changed),
		T(the_longest_visibility_holds_the_group),
		T(delayed_messages_hold_their_group),
		T(deduplication_lasts_five_minutes),
		T(attempts),
		T(an_attempt_is_known_for_five_minutes),
		T(a_handle_expires),
		T(a_deleted_message_deletes_again),
		T(dead_letters_keep_group_and_order),
		T(a_purge_and_a_deleted_queue_leave_no_group),
		T(retention_ends_a_group),
		T(everything_survives_a_restart),
		T(blocked_groups_cost_nothing),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
