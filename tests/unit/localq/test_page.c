/* Overview and PeekMessages: what the admin page asks, in virtual time. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define Q(name) "\"QueueUrl\":\"http://h/000000000000/" name "\""
#define OVERVIEW "BunshinQueue.Overview"
#define PEEK "BunshinQueue.PeekMessages"

static struct world world;

static int start(void **state)
{
	world_open(&world, NULL);
	return 0;
}

static int end(void **state)
{
	world_close(&world);
	return 0;
}

static const cJSON *member(const cJSON *object, const char *name)
{
	return cJSON_GetObjectItemCaseSensitive(object, name);
}

static int64_t number(const cJSON *object, const char *name)
{
	const cJSON *item = member(object, name);

	return item != NULL ? (int64_t)item->valuedouble : -1;
}

static const char *text(const cJSON *object, const char *name)
{
	const cJSON *item = member(object, name);

	return item != NULL && item->valuestring != NULL ? item->valuestring : "";
}

/* Of one queue. */
static const cJSON *overview_of(const char *name)
{
	const cJSON *answer = world_ok(&world, OVERVIEW, "{\"QueueName\":\"%s\"}", name);

	assert_int_equal(cJSON_GetArraySize(member(answer, "Queues")), 1);
	return cJSON_GetArrayItem(member(answer, "Queues"), 0);
}

/* How long ago the oldest was sent; -1: there is none. */
static int64_t oldest_age_ms(const char *name)
{
	int64_t sent_ms = number(overview_of(name), "OldestSentTimestamp");

	return sent_ms < 0 ? -1 : number(world.done.answer, "Time") - sent_ms;
}

/* "a,b,c" */
static const char *names(const cJSON *answer)
{
	static char joined[1024];
	const cJSON *queue;

	*joined = '\0';
	cJSON_ArrayForEach(queue, member(answer, "Queues"))
	{
		strcat(joined, *joined != '\0' ? "," : "");
		strcat(joined, text(queue, "QueueName"));
	}
	return joined;
}

/* "body:State:receives ..." */
static const char *messages(const cJSON *answer)
{
	static char joined[4096];
	const cJSON *message;

	*joined = '\0';
	cJSON_ArrayForEach(message, member(answer, "Messages"))
	{
		size_t len = strlen(joined);

		snprintf(joined + len, sizeof(joined) - len, "%s%s:%s:%d", len > 0 ? " " : "",
			text(message, "Body"), text(message, "State"),
			(int)number(message, "ReceiveCount"));
	}
	return joined;
}

static void test_overview_of_a_queue(void **state)
{
	const cJSON *queue;

	world_create(&world, "dlq");
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"q\",\"Attributes\":{\"RedrivePolicy\":"
		"\"{\\\"deadLetterTargetArn\\\":\\\"arn:aws:sqs:us-east-1:000000000000:dlq\\\","
		"\\\"maxReceiveCount\\\":7}\"}}");
	queue = overview_of("q");
	assert_int_equal(number(queue, "Visible"), 0);
	assert_null(member(queue, "OldestSentTimestamp"));
	world_send(&world, "q", "a");
	world_advance_ms(&world, 1000);
	world_ok(&world, "SendMessage", "{" Q("q") ",\"MessageBody\":\"d\",\"DelaySeconds\":9}");
	world_send(&world, "q", "b");
	world_ok(&world, "ReceiveMessage", "{" Q("q") "}");
	world_advance_ms(&world, 500);
	queue = overview_of("q");
	assert_string_equal(text(queue, "QueueUrl"), "http://h/000000000000/q");
	assert_string_equal(text(queue, "QueueArn"), "arn:aws:sqs:us-east-1:000000000000:q");
	assert_int_equal(number(queue, "Visible"), 1);
	assert_int_equal(number(queue, "InFlight"), 1);
	assert_int_equal(number(queue, "Delayed"), 1);
	assert_int_equal(number(queue, "OldestSentTimestamp"), WORLD_START_MS);
	assert_int_equal(number(world.done.answer, "Time"), WORLD_START_MS + 1500);
	assert_true(cJSON_IsFalse(member(queue, "Fifo")));
	assert_true(cJSON_IsFalse(member(queue, "IsDeadLetterQueue")));
	assert_string_equal(text(queue, "DeadLetterQueueName"), "dlq");
	assert_int_equal(number(queue, "MaxReceiveCount"), 7);
	queue = overview_of("dlq");
	assert_true(cJSON_IsTrue(member(queue, "IsDeadLetterQueue")));
	assert_null(member(queue, "DeadLetterQueueName"));
}

static void test_overview_searches_and_pages(void **state)
{
	const cJSON *answer;
	char token[81];

	answer = world_ok(&world, OVERVIEW, "{}");
	assert_string_equal(names(answer), "");
	assert_int_equal(number(answer, "QueueCount"), 0);
	for (const char *name = "bat\0cat\0rat\0cow\0"; *name != '\0'; name += 4)
		world_create(&world, name);
	answer = world_ok(&world, OVERVIEW, "{}");
	assert_string_equal(names(answer), "bat,cat,cow,rat");
	assert_null(member(answer, "NextToken"));
	answer = world_ok(&world, OVERVIEW, "{\"Search\":\"at\",\"MaxResults\":2}");
	assert_string_equal(names(answer), "bat,cat");
	assert_int_equal(number(answer, "QueueCount"), 4);
	assert_int_equal(number(answer, "MatchCount"), 3);
	snprintf(token, sizeof(token), "%s", text(answer, "NextToken"));
	answer = world_ok(&world, OVERVIEW,
		"{\"Search\":\"at\",\"MaxResults\":2,\"NextToken\":\"%s\"}", token);
	assert_string_equal(names(answer), "rat");
	assert_null(member(answer, "NextToken"));
	world_refused(&world, "InvalidParameterValue", OVERVIEW, "{\"MaxResults\":101}");
	world_refused(&world, "MalformedInput", OVERVIEW, "{\"Search\":1}");
}

/* The age follows deletes, purges, moves into the queue, and a restart. */
static void test_oldest(void **state)
{
	char handle[64];

	world_create(&world, "q");
	world_create(&world, "other");
	assert_int_equal(oldest_age_ms("q"), -1);
	world_send(&world, "q", "a");
	for (int i = 0; i < 20; i++)
		world_send(&world, "other", "x");
	world_advance_ms(&world, 1000);
	world_send(&world, "q", "b");
	assert_int_equal(oldest_age_ms("q"), 1000);
	world_handle(world_ok(&world, "ReceiveMessage", "{" Q("q") "}"), 0, handle);
	assert_int_equal(oldest_age_ms("q"), 1000);
	world_ok(&world, "DeleteMessage", "{" Q("q") ",\"ReceiptHandle\":\"%s\"}", handle);
	assert_int_equal(oldest_age_ms("q"), 0);
	assert_int_equal(oldest_age_ms("other"), 1000);
	world_ok(&world, "PurgeQueue", "{" Q("other") "}");
	assert_int_equal(oldest_age_ms("other"), -1);
	world_advance_ms(&world, 10);
	world_send(&world, "other", "y");
	assert_int_equal(oldest_age_ms("other"), 0);
	assert_int_equal(oldest_age_ms("q"), 10);
}

/* Rows of another queue lie in between. */
static void test_oldest_behind_a_backlog(void **state)
{
	char handle[64];

	world_create(&world, "q");
	world_create(&world, "other");
	world_send(&world, "q", "a");
	for (int i = 0; i < 1200; i++)
		world_send(&world, "other", "x");
	world_advance_ms(&world, 5000);
	world_send(&world, "q", "b");
	world_send(&world, "q", "c");
	world_handle(world_ok(&world, "ReceiveMessage", "{" Q("q") "}"), 0, handle);
	world_ok(&world, "DeleteMessage", "{" Q("q") ",\"ReceiptHandle\":\"%s\"}", handle);
	world_advance_ms(&world, 70);
	assert_int_equal(oldest_age_ms("q"), 70);
	assert_int_equal(oldest_age_ms("q"), 70);
	assert_int_equal(oldest_age_ms("other"), 5070);
}

/* A dead-lettered message keeps the time at which it was sent, and its smaller id. */
static void test_oldest_of_a_dead_letter_queue(void **state)
{
	world_create(&world, "dlq");
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"q\",\"Attributes\":{\"VisibilityTimeout\":\"1\","
		"\"RedrivePolicy\":"
		"\"{\\\"deadLetterTargetArn\\\":\\\"arn:aws:sqs:us-east-1:000000000000:dlq\\\","
		"\\\"maxReceiveCount\\\":1}\"}}");
	world_send(&world, "q", "a");
	world_send(&world, "dlq", "later");
	assert_int_equal(oldest_age_ms("dlq"), 0);
	assert_int_equal(world_receive(&world, "q"), 1);
	world_advance_ms(&world, 1000);
	world_send(&world, "dlq", "latest");
	assert_int_equal(world_receive(&world, "q"), 0);
	assert_int_equal(oldest_age_ms("q"), -1);
	assert_string_equal(messages(world_ok(&world, PEEK, "{" Q("dlq") "}")),
		"later:Visible:0 latest:Visible:0 a:Visible:1");
	assert_string_equal(text(cJSON_GetArrayItem(member(world.done.answer, "Messages"), 2),
				    "DeadLetterQueueSource"),
		"q");
	assert_int_equal(oldest_age_ms("dlq"), 1000);
}

static void test_oldest_after_a_restart(void **state)
{
	char dir[] = "/tmp/localq_page_XXXXXX", path[64];

	assert_non_null(mkdtemp(dir));
	world_close(&world);
	world_open(&world, dir);
	world_create(&world, "other");
	world_create(&world, "q");
	world_send(&world, "other", "x");
	world_send(&world, "q", "a");
	world_advance_ms(&world, 123);
	world_reopen(&world, dir);
	assert_int_equal(oldest_age_ms("q"), 123);
	world_close(&world);
	world_open(&world, NULL);
	for (const char *file = "queue.db\0lock\0queue.db-wal\0queue.db-shm\0"; *file != '\0';
		file += strlen(file) + 1) {
		snprintf(path, sizeof(path), "%s/%s", dir, file);
		unlink(path);
	}
	rmdir(dir);
}

/* In the order in which they would be received, and nothing about them changes. */
static void test_peek(void **state)
{
	const cJSON *answer, *message;

	world_create(&world, "q");
	world_ok(&world, "SendMessage",
		"{" Q("q") ",\"MessageBody\":\"a\",\"MessageAttributes\":{\"n\":{\"DataType\":"
			   "\"Number\",\"StringValue\":\"7\"}}}");
	world_advance_ms(&world, 1);
	world_send(&world, "q", "b");
	world_ok(&world, "SendMessage", "{" Q("q") ",\"MessageBody\":\"d\",\"DelaySeconds\":60}");
	assert_string_equal(messages(world_ok(&world, PEEK, "{" Q("q") "}")),
		"a:Visible:0 b:Visible:0 d:Delayed:0");
	world_ok(&world, "ReceiveMessage", "{" Q("q") "}");
	for (int i = 0; i < 3; i++) {
		answer = world_ok(&world, PEEK, "{" Q("q") "}");
		assert_string_equal(messages(answer), "b:Visible:0 a:InFlight:1 d:Delayed:0");
		assert_null(member(answer, "NextPosition"));
	}
	message = cJSON_GetArrayItem(member(answer, "Messages"), 1);
	assert_int_equal(number(message, "SentTimestamp"), WORLD_START_MS);
	assert_int_equal(number(message, "FirstReceiveTimestamp"), WORLD_START_MS + 1);
	assert_int_equal(number(message, "VisibleTimestamp"), WORLD_START_MS + 30001);
	assert_string_equal(text(message, "MD5OfBody"), "0cc175b9c0f1b6a831c399e269772661");
	assert_string_equal(
		text(member(member(message, "MessageAttributes"), "n"), "StringValue"), "7");
	assert_null(member(message, "ReceiptHandle"));
	assert_string_equal(messages(world_ok(&world, PEEK, "{" Q("q") ",\"From\":\"Hidden\"}")),
		"a:InFlight:1 d:Delayed:0");
	assert_string_equal(world_counts(&world, "q"), "1 1 1");
	assert_int_equal(world_receive(&world, "q"), 1);
}

static void test_peek_pages(void **state)
{
	char position[80] = "", all[256] = "";

	world_create(&world, "q");
	for (int i = 0; i < 7; i++) {
		char body[2] = {(char)('0' + i), '\0'};

		world_send(&world, "q", body);
	}
	for (int page = 0; page < 4; page++) {
		const cJSON *answer =
			world_ok(&world, PEEK, "{" Q("q") ",\"MaxNumberOfMessages\":2%s%s%s}",
				page > 0 ? ",\"Position\":\"" : "", position, page > 0 ? "\"" : "");

		strcat(all, messages(answer));
		strcat(all, "|");
		snprintf(position, sizeof(position), "%s", text(answer, "NextPosition"));
		assert_int_equal(*position == '\0', page == 3);
	}
	assert_string_equal(all, "0:Visible:0 1:Visible:0|2:Visible:0 3:Visible:0|"
				 "4:Visible:0 5:Visible:0|6:Visible:0|");
}

/* One message by its own position; bodies cut between characters. */
static void test_peek_cuts_bodies(void **state)
{
	static const struct {
		int max;
		const char *shown;
	} rows[] = {{0, ""}, {1, "a"}, {2, "a"}, {3, "a\u00e9"}, {6, "a\u00e9"},
		{7, "a\u00e9\U0001f600"}, {8, "a\u00e9\U0001f600z"}};
	const cJSON *message;

	world_create(&world, "q");
	world_send(&world, "q", "a\u00e9\U0001f600z");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		message = cJSON_GetArrayItem(
			member(world_ok(&world, PEEK, "{" Q("q") ",\"MaxBodyBytes\":%d}",
				       rows[i].max),
				"Messages"),
			0);
		assert_string_equal(text(message, "Body"), rows[i].shown);
		assert_int_equal(number(message, "BodyBytes"), 8);
		assert_int_equal(cJSON_IsTrue(member(message, "BodyIsWhole")), rows[i].max == 8);
	}
}

/* An answer ends early rather than growing without end. */
static void test_peek_bounds_the_answer(void **state)
{
	char *body = malloc(1000001);
	const cJSON *answer;

	assert_non_null(body);
	memset(body, 'x', 1000000);
	body[1000000] = '\0';
	world_create(&world, "q");
	for (int i = 0; i < 11; i++)
		world_send(&world, "q", body);
	free(body);
	answer = world_ok(&world, PEEK, "{" Q("q") ",\"MaxNumberOfMessages\":100}");
	assert_int_equal(cJSON_GetArraySize(member(answer, "Messages")), 9);
	assert_string_not_equal(text(answer, "NextPosition"), "");
}

static void test_peek_refuses(void **state)
{
	static const char *const positions[] = {"", "1", "1.2", "1.2.3", "1.2.3.4.5", "1.2.3.",
		"...", "-1.2.3.4", "1.2.3.x", "1 .2.3.4", "99999999999999999999.0.0.0",
		"1.2.3."
		"0000000000000000000000000000000000000000000000000000000000000000000000000000000000"
		"0000000000003"};

	world_create(&world, "q");
	for (size_t i = 0; i < sizeof(positions) / sizeof(positions[0]); i++)
		world_refused(&world, "InvalidParameterValue", PEEK,
			"{" Q("q") ",\"Position\":\"%s\"}", positions[i]);
	world_refused(&world, "InvalidParameterValue", PEEK, "{" Q("q") ",\"From\":\"there\"}");
	world_refused(
		&world, "InvalidParameterValue", PEEK, "{" Q("q") ",\"MaxNumberOfMessages\":101}");
	world_refused(
		&world, "InvalidParameterValue", PEEK, "{" Q("q") ",\"MaxBodyBytes\":1048577}");
	world_refused(&world, "AWS.SimpleQueueService.NonExistentQueue", PEEK, "{" Q("no") "}");
	world_refused(&world, "MissingParameter", PEEK, "{}");
	world_refused(&world, "InvalidAction", "BunshinQueue.Other", "{}");
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, start, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(overview_of_a_queue),
		TEST(overview_searches_and_pages),
		TEST(oldest),
		TEST(oldest_behind_a_backlog),
		TEST(oldest_of_a_dead_letter_queue),
		TEST(oldest_after_a_restart),
		TEST(peek),
		TEST(peek_pages),
		TEST(peek_cuts_bodies),
		TEST(peek_bounds_the_answer),
		TEST(peek_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
