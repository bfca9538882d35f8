/* Queues through their operations, in virtual time. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define Q(name) "\"QueueUrl\":\"http://h/000000000000/" name "\""
#define POLICY(name, receives)                                                        \
	"\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"arn:aws:sqs:us-east-1:" \
	"000000000000:" name "\\\",\\\"maxReceiveCount\\\":" receives "}\""

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

static const char *text(const cJSON *object, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);

	return item != NULL ? item->valuestring : NULL;
}

static const char *attribute(const char *queue, const char *name)
{
	const cJSON *answer = world_ok(&world, "GetQueueAttributes",
		"{\"QueueUrl\":\"http://h/0/%s\",\"AttributeNames\":[\"%s\"]}", queue, name);

	return text(cJSON_GetObjectItem(answer, "Attributes"), name);
}

static void url_of_a_queue(void **state)
{
	assert_string_equal(
		text(world_ok(&world, "CreateQueue", "{\"QueueName\":\"a_B-9\"}"), "QueueUrl"),
		"http://h/000000000000/a_B-9");
	assert_string_equal(
		text(world_ok(&world, "GetQueueUrl",
			     "{\"QueueName\":\"a_B-9\",\"QueueOwnerAWSAccountId\":\"1\"}"),
			"QueueUrl"),
		"http://h/000000000000/a_B-9");
	world_refused(&world, "AWS.SimpleQueueService.NonExistentQueue", "GetQueueUrl",
		"{\"QueueName\":\"other\"}");
	world_refused(&world, "MissingParameter", "GetQueueUrl", "{}");
}

static void urls_of_any_host_and_account_name_the_queue(void **state)
{
	static const char *const urls[] = {
		"https://sqs.ap-northeast-1.amazonaws.com/123456789012/q",
		"http://127.0.0.1:9324/000000000000/q", "/q", "q://x/y/q"};

	world_create(&world, "q");
	for (size_t i = 0; i < sizeof(urls) / sizeof(urls[0]); i++)
		world_ok(&world, "GetQueueAttributes", "{\"QueueUrl\":\"%s\"}", urls[i]);
	world_refused(&world, "AWS.SimpleQueueService.NonExistentQueue", "GetQueueAttributes",
		"{\"QueueUrl\":\"http://h/0/q/\"}");
}

static void names(void **state)
{
	char name[82];

	memset(name, 'n', sizeof(name));
	name[80] = '\0';
	world_create(&world, name);
	name[80] = 'n';
	name[81] = '\0';
	world_refused(
		&world, "InvalidParameterValue", "CreateQueue", "{\"QueueName\":\"%s\"}", name);
	world_refused(&world, "InvalidParameterValue", "CreateQueue", "{\"QueueName\":\"a b\"}");
	world_refused(&world, "InvalidParameterValue", "CreateQueue", "{\"QueueName\":\"a.b\"}");
	world_refused(
		&world, "InvalidParameterValue", "CreateQueue", "{\"QueueName\":\"\\u5206\"}");
	world_refused(&world, "MissingParameter", "CreateQueue", "{\"QueueName\":\"\"}");
	world_refused(&world, "MissingParameter", "CreateQueue", "{}");
	world_refused(&world, "InvalidParameterValue", "CreateQueue", "{\"QueueName\":\"a.fifo\"}");
}

static void creating_again(void **state)
{
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"q\",\"Attributes\":{\"VisibilityTimeout\":\"5\"}}");
	/* the same, part of it, or a default spelt out: fine */
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"q\",\"Attributes\":{\"VisibilityTimeout\":\"5\"}}");
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"q\",\"Attributes\":{\"VisibilityTimeout\":\"005\"}}");
	world_ok(&world, "CreateQueue", "{\"QueueName\":\"q\"}");
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"q\",\"Attributes\":{\"DelaySeconds\":\"0\"}}");
	assert_string_equal(
		world_refused(&world, "QueueAlreadyExists", "CreateQueue",
			"{\"QueueName\":\"q\",\"Attributes\":{\"VisibilityTimeout\":\"6\"}}"),
		"A queue already exists with the same name and a different value for attribute "
		"VisibilityTimeout");
	world_refused(&world, "QueueAlreadyExists", "CreateQueue",
		"{\"QueueName\":\"q\",\"Attributes\":{\"Policy\":\"{}\"}}");
	world_refused(&world, "InvalidAttributeName", "CreateQueue",
		"{\"QueueName\":\"q\",\"Attributes\":{\"Nope\":\"6\"}}");
	assert_string_equal(attribute("q", "VisibilityTimeout"), "5");
}

static void attributes_come_back(void **state)
{
	const cJSON *map;

	world_advance_ms(&world, 1500);
	world_create(&world, "q");
	world_advance_ms(&world, 3000);
	world_ok(&world, "SetQueueAttributes",
		"{" Q("q") ",\"Attributes\":{\"DelaySeconds\":\"7\",\"Policy\":\"{\\\"a\\\":1}\"}"
			   "}");
	map = cJSON_GetObjectItem(
		world_ok(&world, "GetQueueAttributes", "{" Q("q") ",\"AttributeNames\":[\"All\"]}"),
		"Attributes");
	assert_string_equal(text(map, "QueueArn"), "arn:aws:sqs:us-east-1:000000000000:q");
	assert_string_equal(text(map, "CreatedTimestamp"), "1767225601");
	assert_string_equal(text(map, "LastModifiedTimestamp"), "1767225604");
	assert_string_equal(text(map, "VisibilityTimeout"), "30");
	assert_string_equal(text(map, "DelaySeconds"), "7");
	assert_string_equal(text(map, "MaximumMessageSize"), "1048576");
	assert_string_equal(text(map, "MessageRetentionPeriod"), "345600");
	assert_string_equal(text(map, "ReceiveMessageWaitTimeSeconds"), "0");
	assert_string_equal(text(map, "SqsManagedSseEnabled"), "true");
	assert_string_equal(text(map, "Policy"), "{\"a\":1}");
	assert_null(text(map, "RedrivePolicy"));
	assert_int_equal(cJSON_GetArraySize(map), 13);
}

static void attributes_by_name(void **state)
{
	const cJSON *answer;

	world_create(&world, "q");
	answer = world_ok(&world, "GetQueueAttributes", "{" Q("q") "}");
	assert_null(answer->child);
	answer = world_ok(&world, "GetQueueAttributes",
		"{" Q("q") ",\"AttributeNames\":[\"QueueArn\",\"DelaySeconds\"]}");
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "Attributes")), 2);
	world_refused(&world, "InvalidAttributeName", "GetQueueAttributes",
		"{" Q("q") ",\"AttributeNames\":[\"QueueArn\",\"Nope\"]}");
}

static void setting_attributes(void **state)
{
	world_create(&world, "q");
	world_refused(&world, "MissingParameter", "SetQueueAttributes", "{" Q("q") "}");
	world_refused(&world, "InvalidAttributeValue", "SetQueueAttributes",
		"{" Q("q") ",\"Attributes\":{\"DelaySeconds\":\"1\",\"VisibilityTimeout\":\"x\"}}");
	/* all or nothing */
	assert_string_equal(attribute("q", "DelaySeconds"), "0");
	world_ok(&world, "SetQueueAttributes",
		"{" Q("q") ",\"Attributes\":{\"VisibilityTimeout\":\"1\"}}");
	world_ok(&world, "SetQueueAttributes",
		"{" Q("q") ",\"Attributes\":{\"DelaySeconds\":\"2\"}}");
	assert_string_equal(attribute("q", "VisibilityTimeout"), "1");
	assert_string_equal(attribute("q", "DelaySeconds"), "2");
}

static void tags(void **state)
{
	world_ok(&world, "CreateQueue", "{\"QueueName\":\"q\",\"tags\":{\"a\":\"b\",\"c\":\"\"}}");
	world_refused(&world, "MalformedInput", "CreateQueue",
		"{\"QueueName\":\"p\",\"tags\":{\"a\":1}}");
	world_refused(&world, "InvalidParameterValue", "CreateQueue",
		"{\"QueueName\":\"p\",\"tags\":{\"\":\"x\"}}");
	world_refused(&world, "AWS.SimpleQueueService.NonExistentQueue", "GetQueueUrl",
		"{\"QueueName\":\"p\"}");
}

/* "KEY=VALUE KEY=VALUE", in order. */
static const char *tags_of(const char *queue)
{
	static char text[200];
	const cJSON *answer =
		world_ok(&world, "ListQueueTags", "{\"QueueUrl\":\"http://h/0/%s\"}", queue);
	const cJSON *tag, *map = cJSON_GetObjectItem(answer, "Tags");
	size_t len = 0;

	text[0] = '\0';
	cJSON_ArrayForEach(tag, map) len += (size_t)snprintf(text + len, sizeof(text) - len,
		"%s%s=%s", len > 0 ? " " : "", tag->string, tag->valuestring);
	return text;
}

static void tags_are_added_replaced_and_taken_away(void **state)
{
	world_ok(&world, "CreateQueue", "{\"QueueName\":\"q\",\"tags\":{\"c\":\"1\",\"a\":\"\"}}");
	world_create(&world, "other");
	assert_string_equal(tags_of("q"), "a= c=1");
	assert_string_equal(tags_of("other"), "");
	world_ok(&world, "TagQueue",
		"{" Q("q") ",\"Tags\":{\"c\":\"2\",\"bunshin:rate\":\"5/s\",\"Z "
			   "\\u00e9\":\"=+-@/._\"}}");
	assert_string_equal(tags_of("q"), "Z \u00e9==+-@/._ a= bunshin:rate=5/s c=2");
	world_ok(&world, "UntagQueue",
		"{" Q("q") ",\"TagKeys\":[\"bunshin:rate\",\"a\",\"never there\",\"a\"]}");
	assert_string_equal(tags_of("q"), "Z \u00e9==+-@/._ c=2");
	assert_string_equal(tags_of("other"), "");
	world_ok(&world, "DeleteQueue", "{" Q("q") "}");
	world_refused(
		&world, "AWS.SimpleQueueService.NonExistentQueue", "ListQueueTags", "{" Q("q") "}");
	world_refused(&world, "AWS.SimpleQueueService.NonExistentQueue", "TagQueue",
		"{" Q("q") ",\"Tags\":{\"a\":\"b\"}}");
	world_refused(&world, "AWS.SimpleQueueService.NonExistentQueue", "UntagQueue",
		"{" Q("q") ",\"TagKeys\":[\"a\"]}");
}

/* What is refused changes nothing. */
static void tags_that_sqs_does_not_take(void **state)
{
	static const char *const bad[] = {"\"\":\"x\"", "\"aws:x\":\"x\"", "\"AWS:x\":\"x\"",
		"\"a,\":\"x\"", "\"a\":\"x,y\"", "\"a\":\"\\n\"", "\"a\\\"\":\"x\""};
	char key[130], value[258], text[400];

	world_create(&world, "q");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		world_refused(&world, "InvalidParameterValue", "TagQueue",
			"{" Q("q") ",\"Tags\":{\"good\":\"x\",%s}}", bad[i]);
	world_refused(&world, "MalformedInput", "TagQueue", "{" Q("q") ",\"Tags\":{\"a\":1}}");
	world_refused(&world, "MalformedInput", "TagQueue", "{" Q("q") ",\"Tags\":[]}");
	world_refused(&world, "MissingParameter", "TagQueue", "{" Q("q") "}");
	world_refused(&world, "MissingParameter", "TagQueue", "{" Q("q") ",\"Tags\":{}}");
	world_refused(&world, "MissingParameter", "UntagQueue", "{" Q("q") "}");
	world_refused(&world, "MalformedInput", "UntagQueue", "{" Q("q") ",\"TagKeys\":[1]}");
	world_refused(
		&world, "InvalidParameterValue", "UntagQueue", "{" Q("q") ",\"TagKeys\":[\"\"]}");
	memset(key, 'k', sizeof(key));
	memset(value, 'v', sizeof(value));
	for (size_t longer = 0; longer < 2; longer++) {
		key[128 + longer] = '\0';
		value[256] = '\0';
		snprintf(text, sizeof(text), "\"%s\":\"%s\"", key, value);
		if (longer)
			world_refused(&world, "InvalidParameterValue", "TagQueue",
				"{" Q("q") ",\"Tags\":{%s}}", text);
		else
			world_ok(&world, "TagQueue", "{" Q("q") ",\"Tags\":{%s}}", text);
		key[128] = value[256] = 'x';
	}
	value[257] = '\0';
	world_refused(&world, "InvalidParameterValue", "TagQueue",
		"{" Q("q") ",\"Tags\":{\"a\":\"%s\"}}", value);
}

static void fifty_tags_a_queue(void **state)
{
	char key[16];

	world_create(&world, "q");
	for (int i = 0; i < 50; i++) {
		snprintf(key, sizeof(key), "%d", i);
		world_ok(&world, "TagQueue", "{" Q("q") ",\"Tags\":{\"%s\":\"\"}}", key);
	}
	world_refused(
		&world, "InvalidParameterValue", "TagQueue", "{" Q("q") ",\"Tags\":{\"50\":\"\"}}");
	world_ok(&world, "TagQueue", "{" Q("q") ",\"Tags\":{\"49\":\"x\"}}");
	world_ok(&world, "UntagQueue", "{" Q("q") ",\"TagKeys\":[\"0\"]}");
	world_ok(&world, "TagQueue", "{" Q("q") ",\"Tags\":{\"50\":\"\"}}");
}

static void deleting(void **state)
{
	char handle[64];

	world_create(&world, "q");
	world_send(&world, "q", "a");
	world_send(&world, "q", "b");
	world_handle(world_ok(&world, "ReceiveMessage", "{" Q("q") "}"), 0, handle);
	world_ok(&world, "DeleteQueue", "{" Q("q") "}");
	world_refused(
		&world, "AWS.SimpleQueueService.NonExistentQueue", "DeleteQueue", "{" Q("q") "}");
	world_advance_ms(&world, 59999);
	world_refused(&world, "AWS.SimpleQueueService.QueueDeletedRecently", "CreateQueue",
		"{\"QueueName\":\"q\"}");
	world_advance_ms(&world, 1);
	world_create(&world, "q");
	assert_string_equal(world_counts(&world, "q"), "0 0 0");
	/* a handle of the old queue does nothing in the new one */
	world_send(&world, "q", "c");
	world_ok(&world, "DeleteMessage", "{" Q("q") ",\"ReceiptHandle\":\"%s\"}", handle);
	assert_string_equal(world_counts(&world, "q"), "1 0 0");
}

static void purging(void **state)
{
	char handle[64];

	world_create(&world, "q");
	world_create(&world, "other");
	world_send(&world, "other", "stays");
	world_send(&world, "q", "a");
	world_send(&world, "q", "b");
	world_ok(&world, "SendMessage", "{" Q("q") ",\"MessageBody\":\"c\",\"DelaySeconds\":9}");
	world_handle(world_ok(&world, "ReceiveMessage", "{" Q("q") "}"), 0, handle);
	assert_string_equal(world_counts(&world, "q"), "1 1 1");
	world_ok(&world, "PurgeQueue", "{" Q("q") "}");
	assert_string_equal(world_counts(&world, "q"), "0 0 0");
	world_send(&world, "q", "d");
	world_ok(&world, "DeleteMessage", "{" Q("q") ",\"ReceiptHandle\":\"%s\"}", handle);
	world_refused(&world, "InvalidParameterValue", "ChangeMessageVisibility",
		"{" Q("q") ",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":0}", handle);
	world_advance_ms(&world, 59999);
	assert_string_equal(world_refused(&world, "AWS.SimpleQueueService.PurgeQueueInProgress",
				    "PurgeQueue", "{" Q("q") "}"),
		"Only one PurgeQueue operation on q is allowed every 60 seconds.");
	assert_string_equal(world_counts(&world, "q"), "1 0 0");
	assert_string_equal(world_counts(&world, "other"), "1 0 0");
	world_advance_ms(&world, 1);
	world_ok(&world, "PurgeQueue", "{" Q("q") "}");
	assert_string_equal(world_counts(&world, "q"), "0 0 0");
}

/* "a b c" and, when there is a token, " +" */
static const char *list(const char *parameters, char token[256])
{
	static char names_text[1024];
	const cJSON *answer = world_ok(&world, "ListQueues", "{%s}", parameters), *url;

	*names_text = '\0';
	cJSON_ArrayForEach(url, cJSON_GetObjectItem(answer, "QueueUrls"))
	{
		assert_memory_equal(url->valuestring, "http://h/000000000000/", 22);
		strcat(names_text, *names_text != '\0' ? " " : "");
		strcat(names_text, url->valuestring + 22);
	}
	if (text(answer, "NextToken") != NULL) {
		strcat(names_text, " +");
		if (token != NULL)
			snprintf(token, 256, ",\"NextToken\":\"%s\"", text(answer, "NextToken"));
	}
	return names_text;
}

static void listing(void **state)
{
	static const char *const created[] = {"b1", "a2", "c", "a1", "b", "A", "a_1", "b2"};
	char token[256] = "", page[300];

	assert_string_equal(list("", NULL), "");
	for (size_t i = 0; i < 8; i++)
		world_create(&world, created[i]);
	assert_string_equal(list("", NULL), "A a1 a2 a_1 b b1 b2 c");
	assert_string_equal(list("\"QueueNamePrefix\":\"\"", NULL), "A a1 a2 a_1 b b1 b2 c");
	assert_string_equal(list("\"QueueNamePrefix\":\"a\"", NULL), "a1 a2 a_1");
	assert_string_equal(list("\"QueueNamePrefix\":\"a_\"", NULL), "a_1");
	assert_string_equal(list("\"QueueNamePrefix\":\"%%\"", NULL), "");
	assert_string_equal(list("\"QueueNamePrefix\":\"b2x\"", NULL), "");
	assert_string_equal(list("\"MaxResults\":3", token), "A a1 a2 +");
	snprintf(page, sizeof(page), "\"MaxResults\":3%s", token);
	assert_string_equal(list(page, token), "a_1 b b1 +");
	snprintf(page, sizeof(page), "\"MaxResults\":3%s", token);
	assert_string_equal(list(page, token), "b2 c");
	assert_string_equal(list("\"MaxResults\":8", NULL), "A a1 a2 a_1 b b1 b2 c");
	assert_string_equal(list("\"MaxResults\":2,\"QueueNamePrefix\":\"b\"", token), "b b1 +");
	snprintf(page, sizeof(page), "\"MaxResults\":2,\"QueueNamePrefix\":\"b\"%s", token);
	assert_string_equal(list(page, NULL), "b2");
	world_refused(&world, "InvalidParameterValue", "ListQueues", "{\"MaxResults\":0}");
	world_refused(&world, "InvalidParameterValue", "ListQueues", "{\"MaxResults\":1001}");
	world_refused(&world, "InvalidParameterValue", "ListQueues", "{\"NextToken\":\"!\"}");
	world_refused(&world, "InvalidParameterValue", "ListQueues", "{\"NextToken\":\"\"}");
}

static void dead_letters(void **state)
{
	const cJSON *answer, *attributes;

	world_create(&world, "dead");
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"q\",\"Attributes\":{" POLICY(
			"dead", "2") ",\"VisibilityTimeout\":\"1\"}}");
	world_send(&world, "q", "poison");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(world_receive(&world, "q"), 1);
		world_advance_ms(&world, 1000);
	}
	assert_string_equal(world_counts(&world, "q"), "1 0 0");
	world_send(&world, "q", "good");
	/* the third receive moves it instead, and gives what is behind it */
	assert_int_equal(world_receive(&world, "q"), 1);
	assert_string_equal(world_bodies(world.done.answer), "good");
	assert_string_equal(world_counts(&world, "q"), "0 1 0");
	assert_string_equal(world_counts(&world, "dead"), "1 0 0");
	answer = world_ok(&world, "ReceiveMessage", "{" Q("dead") ",\"AttributeNames\":[\"All\"]}");
	assert_string_equal(world_bodies(answer), "poison");
	attributes = cJSON_GetObjectItem(
		cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "Messages"), 0), "Attributes");
	assert_string_equal(text(attributes, "ApproximateReceiveCount"), "3");
	assert_string_equal(text(attributes, "SentTimestamp"), "1767225600000");
	assert_string_equal(text(attributes, "DeadLetterQueueSourceArn"),
		"arn:aws:sqs:us-east-1:000000000000:q");
}

static void redrive_without_its_queue(void **state)
{
	world_refused(&world, "InvalidParameterValue", "CreateQueue",
		"{\"QueueName\":\"q\",\"Attributes\":{" POLICY("dead", "1") "}}");
	world_create(&world, "dead");
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"q\",\"Attributes\":{" POLICY("dead", "1") "}}");
	world_ok(&world, "DeleteQueue", "{" Q("dead") "}");
	/* nowhere to go: it is delivered on */
	world_send(&world, "q", "x");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(world_receive(&world, "q"), 1);
		world_advance_ms(&world, 30000);
	}
	/* changing something else does not ask for the queue again; removing the policy works */
	world_ok(&world, "SetQueueAttributes",
		"{" Q("q") ",\"Attributes\":{\"DelaySeconds\":\"1\"}}");
	world_refused(&world, "InvalidParameterValue", "SetQueueAttributes",
		"{" Q("q") ",\"Attributes\":{" POLICY("dead", "1") "}}");
	world_ok(&world, "SetQueueAttributes",
		"{" Q("q") ",\"Attributes\":{\"RedrivePolicy\":\"\"}}");
	assert_null(attribute("q", "RedrivePolicy"));
}

static void a_queue_that_is_its_own_dead_letter_queue(void **state)
{
	world_create(&world, "q");
	world_ok(
		&world, "SetQueueAttributes", "{" Q("q") ",\"Attributes\":{" POLICY("q", "1") "}}");
	world_send(&world, "q", "x");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(world_receive(&world, "q"), 1);
		world_advance_ms(&world, 30000);
	}
	assert_string_equal(world_counts(&world, "q"), "1 0 0");
}

static void many_poison_messages_do_not_hold_up_a_good_one(void **state)
{
	world_create(&world, "dead");
	world_create(&world, "q");
	for (int i = 0; i < 450; i++)
		world_send(&world, "q", "poison");
	for (int i = 0; i < 45; i++)
		assert_int_equal(world_receive(&world, "q"), 10);
	world_ok(&world, "SetQueueAttributes",
		"{" Q("q") ",\"Attributes\":{" POLICY("dead", "1") "}}");
	world_advance_ms(&world, 30001);
	world_send(&world, "q", "good");
	/* one receive clears a bounded number away, so it takes three */
	assert_int_equal(world_receive(&world, "q"), 0);
	assert_int_equal(world_receive(&world, "q"), 0);
	assert_int_equal(world_receive(&world, "q"), 1);
	assert_string_equal(world_bodies(world.done.answer), "good");
	assert_string_equal(world_counts(&world, "dead"), "450 0 0");
	assert_string_equal(world_counts(&world, "q"), "0 1 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
		T(url_of_a_queue),
		T(urls_of_any_host_and_account_name_the_queue),
		T(names),
		T(creating_again),
		T(attributes_come_back),
		T(attributes_by_name),
		T(setting_attributes),
		T(tags),
		T(tags_are_added_replaced_and_taken_away),
		T(tags_that_sqs_does_not_take),
		T(fifty_tags_a_queue),
		T(deleting),
		T(purging),
		T(listing),
		T(dead_letters),
		T(redrive_without_its_queue),
		T(a_queue_that_is_its_own_dead_letter_queue),
		T(many_poison_messages_do_not_hold_up_a_good_one),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
