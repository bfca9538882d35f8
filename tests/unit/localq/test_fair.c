/* Fair queues in virtual time: groups of a standard queue, in their exact order. */
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

#define Q "\"QueueUrl\":\"/q\""

static struct world world;

static int start(void **state)
{
	world_open(&world, NULL);
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"q\",\"Attributes\":{\"VisibilityTimeout\":\"30\"}}");
	return 0;
}

static int end(void **state)
{
	world_close(&world);
	return 0;
}

static void send_later(const char *group, const char *body, int delay_s)
{
	world_ok(&world, "SendMessage",
		"{" Q ",\"MessageBody\":\"%s\",\"MessageGroupId\":\"%s\",\"DelaySeconds\":%d}",
		body, group, delay_s);
}

static void send(const char *group, const char *body)
{
	send_later(group, body, 0);
}

static void send_plain(const char *body)
{
	world_send(&world, "q", body);
}

/* `count` messages: the group's name and a number from `from` on. */
static void send_many(const char *group, int from, int count)
{
	for (int i = from; i < from + count; i++) {
		char body[24];

		snprintf(body, sizeof(body), "%s%d", group, i);
		send(group, body);
	}
}

static const cJSON *receive(int max)
{
	return world_ok(&world, "ReceiveMessage", "{" Q ",\"MaxNumberOfMessages\":%d}", max);
}

static void assert_received(int max, const char *expected)
{
	assert_string_equal(world_bodies(receive(max)), expected);
}

static void delete (const char *handle)
{
	world_ok(&world, "DeleteMessage", "{" Q ",\"ReceiptHandle\":\"%s\"}", handle);
}

static void delete_last(int count)
{
	char handles[10][64];

	for (int i = 0; i < count; i++)
		world_handle(world.done.answer, i, handles[i]);
	for (int i = 0; i < count; i++)
		delete (handles[i]);
}

static void change(const char *handle, int seconds)
{
	world_ok(&world, "ChangeMessageVisibility",
		"{" Q ",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":%d}", handle, seconds);
}

static void set_attribute(const char *name, const char *value)
{
	world_ok(&world, "SetQueueAttributes", "{" Q ",\"Attributes\":{\"%s\":\"%s\"}}", name,
		value);
}

static int64_t query(const char *sql)
{
	sqlite3_stmt *statement;
	int64_t value;

	assert_int_equal(
		sqlite3_prepare_v2(world.service.store->db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	value = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return value;
}

static int64_t tenants(void)
{
	return query("SELECT count(*) FROM tenants");
}

static bool has_tenants(void)
{
	return store_queue_find(world.service.store, "q")->has_tenants;
}

static void tenants_take_turns(void **state)
{
	send_many("a", 0, 5);
	send_many("b", 0, 3);
	assert_received(10, "a0 b0 a1 b1 a2 b2 a3 a4");
	assert_string_equal(world_counts(&world, "q"), "0 8 0");
}

/* The same, however few a receive takes. */
static void turns_go_on_from_receive_to_receive(void **state)
{
	static const char *const order[] = {"a0", "b0", "c0", "a1", "b1", "c1", "a2", "b2", "a3"};

	send_many("a", 0, 4);
	send_many("b", 0, 3);
	send_many("c", 0, 2);
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		assert_received(1, order[i]);
	assert_received(1, "");
}

static void a_quiet_tenant_comes_next(void **state)
{
	send_many("noisy", 0, 40);
	assert_received(
		10, "noisy0 noisy1 noisy2 noisy3 noisy4 noisy5 noisy6 noisy7 noisy8 noisy9");
	world_advance_ms(&world, 1);
	send_many("quiet", 0, 2);
	assert_received(4, "quiet0 noisy10 quiet1 noisy11");
	assert_received(2, "noisy12 noisy13");
}

/* What it did not use while it had nothing is lost: no messages in a row later. */
static void a_tenant_saves_nothing_up(void **state)
{
	send_many("b", 0, 1);
	send_many("a", 0, 30);
	for (int i = 0; i < 2; i++)
		receive(10);
	send_many("b", 1, 5);
	assert_received(6, "b1 a19 b2 a20 b3 a21");
}

/* And what it used while nobody else wanted it is not held against it. */
static void a_tenant_owes_nothing(void **state)
{
	send_many("a", 0, 20);
	receive(10);
	receive(10);
	assert_received(10, "");
	world_advance_ms(&world, 1);
	send_many("b", 0, 5);
	world_advance_ms(&world, 1);
	send_many("a", 20, 5);
	assert_received(10, "b0 b1 a20 b2 a21 b3 a22 b4 a23 a24");
}

static void equal_tenants_keep_the_order_of_time(void **state)
{
	world_ok(&world, "SendMessageBatch",
		"{" Q ",\"Entries\":["
		"{\"Id\":\"1\",\"MessageBody\":\"c\",\"MessageGroupId\":\"c\"},"
		"{\"Id\":\"2\",\"MessageBody\":\"-\"},"
		"{\"Id\":\"3\",\"MessageBody\":\"a\",\"MessageGroupId\":\"a\"},"
		"{\"Id\":\"4\",\"MessageBody\":\"b\",\"MessageGroupId\":\"b\"}]}");
	assert_received(10, "c - a b");
	/* All are hidden now and become visible at once. */
	world_advance_ms(&world, 30000);
	assert_received(3, "c - a");
	world_advance_ms(&world, 1);
	assert_received(1, "b");
}

static void messages_without_a_group_are_one_tenant(void **state)
{
	for (int i = 0; i < 4; i++) {
		char body[8];

		snprintf(body, sizeof(body), "-%d", i);
		send_plain(body);
	}
	send_many("a", 0, 2);
	send_many("b", 0, 2);
	assert_received(10, "-0 a0 b0 -1 a1 b1 -2 -3");
	assert_string_equal(world_counts(&world, "q"), "0 8 0");
}

static void a_message_without_a_group_comes_next(void **state)
{
	send_many("noisy", 0, 20);
	receive(5);
	send_plain("quiet");
	assert_received(2, "quiet noisy5");
}

/* A backlog of one tenant alone comes in its order, and all of it. */
static void nothing_is_held_back(void **state)
{
	char body[16];

	send_many("a", 0, 100);
	for (int i = 0; i < 100; i++) {
		snprintf(body, sizeof(body), "a%d", i);
		assert_received(1, body);
	}
	assert_received(10, "");
}

/* Each message is gone before the next is sent; the others have their turns nevertheless. */
static void one_message_at_a_time_does_not_come_first_each_time(void **state)
{
	static const char *const order[] = {
		"a0", "b0", "c", "a1", "b1", "c", "a2", "b2", "c", "a3", "b3", "c"};

	send_many("a", 0, 20);
	send_many("b", 0, 20);
	world_advance_ms(&world, 1);
	send("c", "c");
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		assert_received(1, order[i]);
		if (*order[i] == 'c') {
			delete_last(1);
			send("c", "c");
		}
	}
}

static void messages_in_flight_come_back(void **state)
{
	char handle[64];

	send_many("a", 0, 3);
	send_many("b", 0, 2);
	receive(5);
	assert_string_equal(world_bodies(world.done.answer), "a0 b0 a1 b1 a2");
	world_handle(world.done.answer, 1, handle);
	assert_received(10, "");
	change(handle, 0);
	assert_received(10, "b0");
	world_advance_ms(&world, 29999);
	assert_received(10, "");
	world_advance_ms(&world, 1);
	/* Each has had three by now, so b0 is not behind. */
	assert_received(10, "a0 b0 a1 b1 a2");
	assert_int_equal(tenants(), 2);
}

static void a_receive_with_no_visibility_takes_each_once(void **state)
{
	send_many("a", 0, 3);
	send_many("b", 0, 2);
	send_plain("-");
	for (int i = 0; i < 2; i++) {
		world_ok(&world, "ReceiveMessage",
			"{" Q ",\"MaxNumberOfMessages\":10,\"VisibilityTimeout\":0}");
		assert_int_equal(
			cJSON_GetArraySize(cJSON_GetObjectItem(world.done.answer, "Messages")), 6);
		assert_string_equal(world_counts(&world, "q"), "6 0 0");
	}
}

static void delayed_messages_hold_up_nobody(void **state)
{
	send_later("a", "late", 10);
	send("a", "1");
	send("b", "2");
	send_later("c", "later", 20);
	assert_string_equal(world_counts(&world, "q"), "2 0 2");
	assert_received(10, "1 2");
	world_advance_ms(&world, 9999);
	assert_received(10, "");
	world_advance_ms(&world, 1);
	assert_received(10, "late");
	world_advance_ms(&world, 10000);
	assert_received(10, "later");
}

static void a_delete_takes_what_is_visible_again(void **state)
{
	char handle[64];

	send_many("a", 0, 2);
	receive(1);
	world_handle(world.done.answer, 0, handle);
	world_advance_ms(&world, 30000);
	delete (handle);
	assert_string_equal(world_counts(&world, "q"), "1 0 0");
	assert_received(10, "a1");
}

static void a_tenant_goes_with_its_last_message(void **state)
{
	send_plain("-");
	assert_false(has_tenants());
	send_many("a", 0, 2);
	send_many("b", 0, 1);
	assert_true(has_tenants());
	assert_int_equal(tenants(), 2);
	receive(2);
	assert_string_equal(world_bodies(world.done.answer), "- a0");
	delete_last(2);
	assert_int_equal(tenants(), 2);
	receive(10);
	assert_string_equal(world_bodies(world.done.answer), "b0 a1");
	delete_last(2);
	assert_int_equal(tenants(), 0);
	assert_false(has_tenants());
	assert_string_equal(world_counts(&world, "q"), "0 0 0");
}

static void a_waiting_receive_gets_it(void **state)
{
	struct world_call waiting;

	send("a", "1");
	assert_received(1, "1");
	world_start(&world, &waiting, "ReceiveMessage", "{" Q ",\"WaitTimeSeconds\":20}");
	service_flush(&world.service);
	send("b", "2");
	assert_true(waiting.answered);
	assert_string_equal(world_bodies(waiting.answer), "2");
	world_end(&waiting);
	world_advance_ms(&world, 15000);
	world_start(&world, &waiting, "ReceiveMessage", "{" Q ",\"WaitTimeSeconds\":20}");
	service_flush(&world.service);
	world_advance_ms(&world, 14999);
	assert_false(waiting.answered);
	world_advance_ms(&world, 1);
	assert_true(waiting.answered);
	assert_string_equal(world_bodies(waiting.answer), "1");
	world_end(&waiting);
}

static void redrive_after(int max)
{
	world_create(&world, "dead");
	world_ok(&world, "SetQueueAttributes",
		"{" Q ",\"Attributes\":{\"VisibilityTimeout\":\"0\",\"RedrivePolicy\":"
		"\"{\\\"deadLetterTargetArn\\\":\\\"arn:aws:sqs:us-east-1:000000000000:dead\\\","
		"\\\"maxReceiveCount\\\":%d}\"}}",
		max);
}

static void dead_letters_keep_their_group(void **state)
{
	redrive_after(1);
	send_many("a", 0, 3);
	send_many("b", 0, 1);
	send_plain("-");
	assert_received(10, "a0 b0 - a1 a2");
	assert_received(10, "");
	assert_string_equal(world_counts(&world, "q"), "0 0 0");
	assert_false(has_tenants());
	assert_int_equal(tenants(), 2);
	/* There they are tenants, too. */
	assert_int_equal(world_receive(&world, "dead"), 5);
	assert_string_equal(world_bodies(world.done.answer), "a0 b0 - a1 a2");
	world_advance_ms(&world, 30000);
	world_ok(&world, "StartMessageMoveTask",
		"{\"SourceArn\":\"arn:aws:sqs:us-east-1:000000000000:dead\"}");
	world_advance_ms(&world, 1000);
	assert_string_equal(world_counts(&world, "q"), "5 0 0");
	assert_string_equal(world_counts(&world, "dead"), "0 0 0");
	assert_int_equal(tenants(), 2);
	assert_true(has_tenants());
	send("c", "c");
	/* a has had its message of the last round. */
	assert_received(10, "b0 - c a0 a1 a2");
}

/* Those that are dead do not count: the tenant still gets its message of this round. */
static void dead_letters_are_no_message_of_a_round(void **state)
{
	redrive_after(1);
	send_many("a", 0, 3);
	receive(3);
	send_many("a", 3, 2);
	world_advance_ms(&world, 1);
	send_many("b", 0, 2);
	assert_received(4, "b0 a3 b1 a4");
}

static void a_purge_and_a_deleted_queue_leave_no_tenant(void **state)
{
	send_many("a", 0, 3);
	send_many("b", 0, 3);
	receive(2);
	world_ok(&world, "PurgeQueue", "{" Q "}");
	assert_false(has_tenants());
	assert_received(10, "");
	send_many("a", 5, 1);
	assert_received(10, "a5");
	world_ok(&world, "DeleteQueue", "{" Q "}");
	world_advance_ms(&world, 20000);
	assert_int_equal(tenants(), 0);
	assert_int_equal(query("SELECT count(*) FROM messages"), 0);
	assert_int_equal(query("SELECT count(*) FROM tenant_order"), 0);
}

static void retention_ends_a_tenant(void **state)
{
	set_attribute("MessageRetentionPeriod", "60");
	send_many("a", 0, 2);
	send_plain("-");
	world_advance_ms(&world, 30000);
	send_many("a", 2, 1);
	send_many("b", 0, 1);
	world_advance_ms(&world, 30000);
	assert_received(10, "a2 b0");
	assert_int_equal(tenants(), 2);
	world_advance_ms(&world, 60000);
	assert_received(10, "");
	assert_int_equal(tenants(), 0);
	assert_string_equal(world_counts(&world, "q"), "0 0 0");
}

/* Nobody receives. */
static void the_sweep_ends_a_tenant(void **state)
{
	set_attribute("MessageRetentionPeriod", "60");
	send_many("a", 0, 150);
	send_many("b", 0, 150);
	send_plain("-");
	world_advance_ms(&world, 30000);
	send_many("b", 150, 1);
	world_advance_ms(&world, 35000);
	assert_string_equal(world_counts(&world, "q"), "1 0 0");
	assert_int_equal(tenants(), 1);
	assert_received(10, "b150");
	world_advance_ms(&world, 100000);
	assert_int_equal(tenants(), 0);
	assert_false(has_tenants());
}

static void a_peek_sees_all(void **state)
{
	const cJSON *message, *list;
	char bodies[64] = "";

	send_many("a", 0, 2);
	world_advance_ms(&world, 1);
	send_plain("-");
	world_advance_ms(&world, 1);
	send_many("b", 0, 1);
	receive(1);
	list = cJSON_GetObjectItem(
		world_ok(&world, "BunshinQueue.PeekMessages", "{" Q "}"), "Messages");
	cJSON_ArrayForEach(message, list)
	{
		strcat(bodies, cJSON_GetObjectItem(message, "Body")->valuestring);
		strcat(bodies, " ");
	}
	assert_string_equal(bodies, "a1 - b0 a0 ");
	assert_received(10, "- b0 a1");
}

static void everything_survives_a_restart(void **state)
{
	char dir[] = "/tmp/bunshin-fair-XXXXXX", command[64], handle[64];

	assert_non_null(mkdtemp(dir));
	world_close(&world);
	world_open(&world, dir);
	world_create(&world, "q");
	send_many("a", 0, 6);
	send_many("b", 0, 3);
	assert_received(3, "a0 b0 a1");
	world_handle(world.done.answer, 0, handle);
	world_reopen(&world, dir);
	assert_true(has_tenants());
	send_many("c", 0, 2);
	assert_received(4, "b1 c0 a2 b2");
	delete (handle);
	assert_string_equal(world_counts(&world, "q"), "4 6 0");
	assert_received(10, "c1 a3 a4 a5");
	world_close(&world);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	start(state);
}

/* Steps of SQLite's machine in one receive of ten. */
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

static void assert_no_more(int64_t many, int64_t few)
{
	if (many > few + few / 4)
		fail_msg("%lld steps with many, %lld with few", (long long)many, (long long)few);
}

static void fill(int count, int each)
{
	for (int i = 0; i < each; i++)
		for (int group = 0; group < count; group++) {
			char name[16];

			snprintf(name, sizeof(name), "g%d", group);
			send(name, "x");
		}
}

static void purge(void)
{
	world_ok(&world, "PurgeQueue", "{" Q "}");
	world_advance_ms(&world, 100000);
}

static void other_tenants_cost_nothing(void **state)
{
	int64_t few, many;

	fill(10, 4);
	few = cost_of_a_receive();
	purge();
	fill(3000, 2);
	many = cost_of_a_receive();
	assert_int_equal(
		cJSON_GetArraySize(cJSON_GetObjectItem(world.done.answer, "Messages")), 10);
	assert_no_more(many, few);
}

static void a_backlog_costs_nothing(void **state)
{
	int64_t few, many;

	fill(1, 20);
	send_plain("-");
	few = cost_of_a_receive();
	purge();
	fill(1, 3000);
	send_plain("-");
	receive(10);
	many = cost_of_a_receive();
	assert_no_more(many, few);
}

/* The same with messages without a group behind which it stands, and the other way round. */
static void a_backlog_without_a_group_costs_nothing(void **state)
{
	int64_t few, many;

	for (int i = 0; i < 20; i++)
		send_plain("-");
	fill(1, 20);
	few = cost_of_a_receive();
	purge();
	for (int i = 0; i < 1500; i++)
		send_plain("-");
	fill(1, 1500);
	many = cost_of_a_receive();
	assert_no_more(many, few);
	for (int i = 0; i < 250; i++)
		receive(10);
	many = cost_of_a_receive();
	assert_no_more(many, few);
	purge();
	/* Only a group has a backlog here. */
	fill(1, 20);
	send_plain("-");
	receive(2);
	few = cost_of_a_receive();
	purge();
	fill(1, 1500);
	send_plain("-");
	receive(2);
	many = cost_of_a_receive();
	assert_no_more(many, few);
}

static void waiting_tenants_cost_nothing(void **state)
{
	int64_t few, many;

	fill(10, 1);
	receive(10);
	fill(1, 10);
	few = cost_of_a_receive();
	purge();
	fill(3000, 1);
	for (int i = 0; i < 300; i++)
		receive(10);
	assert_received(10, "");
	fill(1, 10);
	many = cost_of_a_receive();
	assert_int_equal(
		cJSON_GetArraySize(cJSON_GetObjectItem(world.done.answer, "Messages")), 10);
	assert_no_more(many, few);
}

/* All of a crowd become ready at once: they are moved over few at a time, and all come. */
static void many_become_ready_at_once(void **state)
{
	int64_t few, many;
	int count = 0;

	fill(100, 1);
	for (int i = 0; i < 10; i++)
		receive(10);
	world_advance_ms(&world, 30000);
	few = cost_of_a_receive();
	purge();
	fill(3000, 1);
	for (int i = 0; i < 300; i++)
		receive(10);
	world_advance_ms(&world, 30000);
	many = cost_of_a_receive();
	assert_no_more(many, few);
	for (int i = 0; i < 299; i++)
		count += cJSON_GetArraySize(cJSON_GetObjectItem(receive(10), "Messages"));
	assert_int_equal(count, 2990);
	assert_received(10, "");
}

/* A queue without groups does not know that there are any. */
static void queues_without_groups_pay_nothing(void **state)
{
	struct store *store = world.service.store;
	char handle[64];

	for (int i = 0; i < STORE_STATEMENTS; i++)
		sqlite3_stmt_status(store->statements[i], SQLITE_STMTSTATUS_VM_STEP, 1);
	for (int i = 0; i < 20; i++)
		send_plain("-");
	receive(10);
	world_handle(world.done.answer, 0, handle);
	change(handle, 5);
	delete (handle);
	world_advance_ms(&world, 40000);
	receive(10);
	for (int i = 0; i < STORE_STATEMENTS; i++) {
		const char *sql = sqlite3_sql(store->statements[i]);

		/* What walks abandoned lanes and what is read at the start is for all queues. */
		if (strstr(sql, "tenant") == NULL)
			continue;
		assert_int_equal(
			sqlite3_stmt_status(store->statements[i], SQLITE_STMTSTATUS_VM_STEP, 0), 0);
	}
}

/* In a FIFO queue groups are what they were. */
static void fifo_queues_have_no_tenants(void **state)
{
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"f.fifo\",\"Attributes\":{\"FifoQueue\":\"true\"}}");
	world_ok(&world, "SendMessage",
		"{\"QueueUrl\":\"/f.fifo\",\"MessageBody\":\"1\",\"MessageGroupId\":\"a\","
		"\"MessageDeduplicationId\":\"1\"}");
	assert_int_equal(tenants(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
		T(tenants_take_turns),
		T(turns_go_on_from_receive_to_receive),
		T(a_quiet_tenant_comes_next),
		T(a_tenant_saves_nothing_up),
		T(a_tenant_owes_nothing),
		T(equal_tenants_keep_the_order_of_time),
		T(messages_without_a_group_are_one_tenant),
		T(a_message_without_a_group_comes_next),
		T(nothing_is_held_back),
		T(one_message_at_a_time_does_not_come_first_each_time),
		T(messages_in_flight_come_back),
		T(a_receive_with_no_visibility_takes_each_once),
		T(delayed_messages_hold_up_nobody),
		T(a_delete_takes_what_is_visible_again),
		T(a_tenant_goes_with_its_last_message),
		T(a_waiting_receive_gets_it),
		T(dead_letters_keep_their_group),
		T(dead_letters_are_no_message_of_a_round),
		T(a_purge_and_a_deleted_queue_leave_no_tenant),
		T(retention_ends_a_tenant),
		T(the_sweep_ends_a_tenant),
		T(a_peek_sees_all),
		T(everything_survives_a_restart),
		T(other_tenants_cost_nothing),
		T(a_backlog_costs_nothing),
		T(a_backlog_without_a_group_costs_nothing),
		T(waiting_tenants_cost_nothing),
		T(many_become_ready_at_once),
		T(queues_without_groups_pay_nothing),
		T(fifo_queues_have_no_tenants),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
