/* Messages through their operations, in virtual time. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define Q "\"QueueUrl\":\"http://h/000000000000/q\""
#define SEND "{" Q ",\"MessageBody\":\"x\""

static struct world world;

static int start(void **state)
{
	world_open(&world, NULL);
	world_create(&world, "q");
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

static const cJSON *message(const cJSON *answer, int index)
{
	const cJSON *item = cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "Messages"), index);

	assert_non_null(item);
	return item;
}

static void sent_received_deleted(void **state)
{
	const cJSON *answer;
	char id[64], handle[64];

	answer = world_ok(&world, "SendMessage", "{" Q ",\"MessageBody\":\"hello\"}");
	assert_string_equal(text(answer, "MD5OfMessageBody"), "5d41402abc4b2a76b9719d911017c592");
	assert_null(text(answer, "MD5OfMessageAttributes"));
	snprintf(id, sizeof(id), "%s", text(answer, "MessageId"));
	assert_string_equal(world_counts(&world, "q"), "1 0 0");
	answer = world_ok(&world, "ReceiveMessage", "{" Q "}");
	assert_string_equal(text(message(answer, 0), "MessageId"), id);
	assert_string_equal(text(message(answer, 0), "Body"), "hello");
	assert_string_equal(
		text(message(answer, 0), "MD5OfBody"), "5d41402abc4b2a76b9719d911017c592");
	assert_false(cJSON_HasObjectItem(message(answer, 0), "Attributes"));
	world_handle(answer, 0, handle);
	assert_string_equal(world_counts(&world, "q"), "0 1 0");
	world_ok(&world, "DeleteMessage", "{" Q ",\"ReceiptHandle\":\"%s\"}", handle);
	assert_string_equal(world_counts(&world, "q"), "0 0 0");
	/* again: success, and nothing */
	world_ok(&world, "DeleteMessage", "{" Q ",\"ReceiptHandle\":\"%s\"}", handle);
	assert_string_equal(world_counts(&world, "q"), "0 0 0");
}

static void an_empty_receive_is_an_empty_object(void **state)
{
	const cJSON *answer = world_ok(&world, "ReceiveMessage", "{" Q "}");

	assert_null(answer->child);
}

static void visibility_ends_to_the_millisecond(void **state)
{
	world_send(&world, "q", "a");
	assert_int_equal(world_receive(&world, "q"), 1);
	world_advance_ms(&world, 29999);
	assert_int_equal(world_receive(&world, "q"), 0);
	assert_string_equal(world_counts(&world, "q"), "0 1 0");
	world_advance_ms(&world, 1);
	assert_string_equal(world_counts(&world, "q"), "1 0 0");
	assert_int_equal(world_receive(&world, "q"), 1);
}

static void visibility_of_one_receive(void **state)
{
	char handle[64];

	world_send(&world, "q", "a");
	world_handle(
		world_ok(&world, "ReceiveMessage", "{" Q ",\"VisibilityTimeout\":2}"), 0, handle);
	world_advance_ms(&world, 2000);
	assert_int_equal(world_receive(&world, "q"), 1);
	/* it does not persist: this receive has the queue's 30 s again */
	world_advance_ms(&world, 29999);
	assert_int_equal(world_receive(&world, "q"), 0);
	world_advance_ms(&world, 1);
	/* 0: stays visible, but counts */
	world_ok(&world, "ReceiveMessage", "{" Q ",\"VisibilityTimeout\":0}");
	assert_string_equal(world_counts(&world, "q"), "1 0 0");
}

static void visibility_changes(void **state)
{
	char handle[64];

	world_send(&world, "q", "a");
	world_handle(world_ok(&world, "ReceiveMessage", "{" Q "}"), 0, handle);
	world_ok(&world, "ChangeMessageVisibility",
		"{" Q ",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":60}", handle);
	world_advance_ms(&world, 59999);
	assert_int_equal(world_receive(&world, "q"), 0);
	world_ok(&world, "ChangeMessageVisibility",
		"{" Q ",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":0}", handle);
	assert_string_equal(world_counts(&world, "q"), "1 0 0");
	/* visible again, but not received again: it can be hidden again */
	world_ok(&world, "ChangeMessageVisibility",
		"{" Q ",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":5}", handle);
	assert_string_equal(world_counts(&world, "q"), "0 1 0");
	world_advance_ms(&world, 5000);
	assert_string_equal(world_counts(&world, "q"), "1 0 0");
	/* received by another: the old handle is stale */
	assert_int_equal(world_receive(&world, "q"), 1);
	world_refused(&world, "InvalidParameterValue", "ChangeMessageVisibility",
		"{" Q ",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":0}", handle);
	assert_string_equal(world_counts(&world, "q"), "0 1 0");
}

/* Answers recorded of SQS: the last handle serves until somebody else receives the message. */
static void visibility_changes_after_it_ended(void **state)
{
	char handle[64];

	world_send(&world, "q", "a");
	world_handle(
		world_ok(&world, "ReceiveMessage", "{" Q ",\"VisibilityTimeout\":1}"), 0, handle);
	world_advance_ms(&world, 2000);
	assert_string_equal(world_counts(&world, "q"), "1 0 0");
	world_ok(&world, "ChangeMessageVisibility",
		"{" Q ",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":2}", handle);
	assert_string_equal(world_counts(&world, "q"), "0 1 0");
	world_advance_ms(&world, 1999);
	assert_int_equal(world_receive(&world, "q"), 0);
	world_advance_ms(&world, 1);
	assert_int_equal(world_receive(&world, "q"), 1);
}

static void twelve_hours_from_the_receive(void **state)
{
	char handle[64];

	world_send(&world, "q", "a");
	world_handle(world_ok(&world, "ReceiveMessage", "{" Q ",\"VisibilityTimeout\":43200}"), 0,
		handle);
	world_advance_ms(&world, 1000000);
	world_refused(&world, "InvalidParameterValue", "ChangeMessageVisibility",
		"{" Q ",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":42201}", handle);
	world_ok(&world, "ChangeMessageVisibility",
		"{" Q ",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":42200}", handle);
}

static void change_of_a_deleted_message(void **state)
{
	char handle[64];

	world_send(&world, "q", "a");
	world_handle(world_ok(&world, "ReceiveMessage", "{" Q "}"), 0, handle);
	world_ok(&world, "DeleteMessage", "{" Q ",\"ReceiptHandle\":\"%s\"}", handle);
	world_refused(&world, "InvalidParameterValue", "ChangeMessageVisibility",
		"{" Q ",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":0}", handle);
}

static void stale_handle_deletes_nothing(void **state)
{
	char old[64], new[64];

	world_send(&world, "q", "a");
	world_handle(world_ok(&world, "ReceiveMessage", "{" Q ",\"VisibilityTimeout\":1}"), 0, old);
	world_advance_ms(&world, 1000);
	world_handle(world_ok(&world, "ReceiveMessage", "{" Q "}"), 0, new);
	assert_string_not_equal(old, new);
	world_ok(&world, "DeleteMessage", "{" Q ",\"ReceiptHandle\":\"%s\"}", old);
	assert_string_equal(world_counts(&world, "q"), "0 1 0");
	world_ok(&world, "DeleteMessage", "{" Q ",\"ReceiptHandle\":\"%s\"}", new);
	assert_string_equal(world_counts(&world, "q"), "0 0 0");
}

static void late_delete_with_the_last_handle_works(void **state)
{
	char handle[64];

	world_send(&world, "q", "a");
	world_handle(
		world_ok(&world, "ReceiveMessage", "{" Q ",\"VisibilityTimeout\":1}"), 0, handle);
	world_advance_ms(&world, 5000);
	world_ok(&world, "DeleteMessage", "{" Q ",\"ReceiptHandle\":\"%s\"}", handle);
	assert_string_equal(world_counts(&world, "q"), "0 0 0");
}

static void handle_of_another_queue_deletes_nothing(void **state)
{
	char handle[64];

	world_create(&world, "other");
	world_send(&world, "q", "a");
	world_handle(world_ok(&world, "ReceiveMessage", "{" Q "}"), 0, handle);
	world_ok(&world, "DeleteMessage",
		"{\"QueueUrl\":\"http://h/0/other\",\"ReceiptHandle\":\"%s\"}", handle);
	assert_string_equal(world_counts(&world, "q"), "0 1 0");
}

static void receive_counts_and_timestamps(void **state)
{
	const cJSON *attributes;

	world_send(&world, "q", "a");
	world_advance_ms(&world, 1500);
	for (int count = 1; count <= 3; count++) {
		char expected[32];

		attributes = cJSON_GetObjectItem(
			message(world_ok(&world, "ReceiveMessage",
					"{" Q ",\"MessageSystemAttributeNames\":[\"All\"],"
					"\"VisibilityTimeout\":10}"),
				0),
			"Attributes");
		snprintf(expected, sizeof(expected), "%d", count);
		assert_string_equal(text(attributes, "ApproximateReceiveCount"), expected);
		assert_string_equal(text(attributes, "SentTimestamp"), "1767225600000");
		assert_string_equal(
			text(attributes, "ApproximateFirstReceiveTimestamp"), "1767225601500");
		assert_non_null(text(attributes, "SenderId"));
		assert_null(text(attributes, "AWSTraceHeader"));
		world_advance_ms(&world, 10000);
	}
}

static void system_attributes_by_name(void **state)
{
	static const char *const lists[] = {"MessageSystemAttributeNames", "AttributeNames"};

	world_ok(&world, "SendMessage",
		SEND ",\"MessageGroupId\":\"g-1\",\"MessageSystemAttributes\":{\"AWSTraceHeader\":{"
		     "\"DataType\":\"String\",\"StringValue\":\"Root=1\"}}}");
	for (size_t i = 0; i < 2; i++) {
		const cJSON *attributes = cJSON_GetObjectItem(
			message(world_ok(&world, "ReceiveMessage",
					"{" Q ",\"%s\":[\"MessageGroupId\",\"AWSTraceHeader\","
					"\"SequenceNumber\"],\"VisibilityTimeout\":0}",
					lists[i]),
				0),
			"Attributes");

		assert_int_equal(cJSON_GetArraySize(attributes), 2);
		assert_string_equal(text(attributes, "MessageGroupId"), "g-1");
		assert_string_equal(text(attributes, "AWSTraceHeader"), "Root=1");
	}
	world_refused(&world, "InvalidAttributeName", "ReceiveMessage",
		"{" Q ",\"AttributeNames\":[\"Nope\"]}");
}

static void digests_of_attributes(void **state)
{
	const cJSON *answer = world_ok(&world, "SendMessage",
		SEND ",\"MessageAttributes\":{\"Hello\":{\"DataType\":\"String\","
		     "\"StringValue\":\"There\"}},\"MessageSystemAttributes\":{\"AWSTraceHeader\":{"
		     "\"DataType\":\"String\",\"StringValue\":\"Root=1-5759e988-"
		     "bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1\"}}}");

	assert_string_equal(
		text(answer, "MD5OfMessageAttributes"), "a311262e065454b75da111d535b8dacd");
	assert_string_equal(
		text(answer, "MD5OfMessageSystemAttributes"), "5ae4d5d7636402d80f4eb6d213245a88");
	/* not asked for: neither shown nor digested */
	answer = world_ok(&world, "ReceiveMessage", "{" Q ",\"VisibilityTimeout\":0}");
	assert_false(cJSON_HasObjectItem(message(answer, 0), "MessageAttributes"));
	assert_null(text(message(answer, 0), "MD5OfMessageAttributes"));
	answer = world_ok(&world, "ReceiveMessage", "{" Q ",\"MessageAttributeNames\":[\"All\"]}");
	assert_string_equal(text(message(answer, 0), "MD5OfMessageAttributes"),
		"a311262e065454b75da111d535b8dacd");
}

static void delays(void **state)
{
	world_ok(&world, "SetQueueAttributes", "{" Q ",\"Attributes\":{\"DelaySeconds\":\"5\"}}");
	world_ok(&world, "SendMessage", "{" Q ",\"MessageBody\":\"queue\"}");
	world_ok(&world, "SendMessage", "{" Q ",\"MessageBody\":\"none\",\"DelaySeconds\":0}");
	world_ok(&world, "SendMessage", "{" Q ",\"MessageBody\":\"long\",\"DelaySeconds\":900}");
	assert_string_equal(world_counts(&world, "q"), "1 0 2");
	assert_int_equal(world_receive(&world, "q"), 1);
	assert_string_equal(world_bodies(world.done.answer), "none");
	world_advance_ms(&world, 4999);
	assert_int_equal(world_receive(&world, "q"), 0);
	world_advance_ms(&world, 1);
	assert_int_equal(world_receive(&world, "q"), 1);
	assert_string_equal(world_bodies(world.done.answer), "queue");
	world_advance_ms(&world, 894999);
	assert_string_equal(world_counts(&world, "q"), "2 0 1");
	world_advance_ms(&world, 1);
	assert_string_equal(world_counts(&world, "q"), "3 0 0");
}

static void oldest_first(void **state)
{
	static const char *const bodies[] = {"a", "b", "c", "d"};

	for (size_t i = 0; i < 4; i++) {
		world_send(&world, "q", bodies[i]);
		world_advance_ms(&world, 1);
	}
	world_ok(&world, "ReceiveMessage",
		"{" Q ",\"MaxNumberOfMessages\":2,\"VisibilityTimeout\":1}");
	assert_string_equal(world_bodies(world.done.answer), "a b");
	world_advance_ms(&world, 1000);
	assert_int_equal(world_receive(&world, "q"), 4);
	assert_string_equal(world_bodies(world.done.answer), "c d a b");
}

static void batches_report_per_entry(void **state)
{
	const cJSON *answer = world_ok(&world, "SendMessageBatch",
		"{" Q ",\"Entries\":[{\"Id\":\"a\",\"MessageBody\":\"1\"},"
		"{\"Id\":\"b\"},"
		"{\"Id\":\"c\",\"MessageBody\":\"\\u0001\"},"
		"{\"Id\":\"d\",\"MessageBody\":\"2\",\"DelaySeconds\":901},"
		"{\"Id\":\"e\",\"MessageBody\":\"\\u0000\"},"
		"{\"Id\":\"f\",\"MessageBody\":\"3\"}]}");
	const cJSON *good = cJSON_GetObjectItem(answer, "Successful");
	const cJSON *bad = cJSON_GetObjectItem(answer, "Failed");
	static const char *const failed[][2] = {{"b", "MissingParameter"},
		{"c", "InvalidMessageContents"}, {"d", "InvalidParameterValue"},
		{"e", "InvalidMessageContents"}};

	assert_int_equal(cJSON_GetArraySize(good), 2);
	assert_string_equal(text(cJSON_GetArrayItem(good, 0), "Id"), "a");
	assert_string_equal(text(cJSON_GetArrayItem(good, 1), "Id"), "f");
	assert_string_equal(text(cJSON_GetArrayItem(good, 1), "MD5OfMessageBody"),
		"eccbc87e4b5ce2fe28308fd9f2a7baf3");
	assert_int_equal(cJSON_GetArraySize(bad), 4);
	for (int i = 0; i < 4; i++) {
		const cJSON *entry = cJSON_GetArrayItem(bad, i);

		assert_string_equal(text(entry, "Id"), failed[i][0]);
		assert_string_equal(text(entry, "Code"), failed[i][1]);
		assert_true(cJSON_IsTrue(cJSON_GetObjectItem(entry, "SenderFault")));
		assert_true(strlen(text(entry, "Message")) > 0);
	}
	assert_string_equal(world_counts(&world, "q"), "2 0 0");
}

static void a_batch_may_fail_in_every_entry(void **state)
{
	const cJSON *answer = world_ok(&world, "DeleteMessageBatch",
		"{" Q ",\"Entries\":[{\"Id\":\"a\",\"ReceiptHandle\":\"x\"},{\"Id\":\"b\"}]}");

	assert_false(cJSON_HasObjectItem(answer, "Successful"));
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "Failed")), 2);
}

static void batches_of_handles(void **state)
{
	char a[64], b[64];
	const cJSON *answer;

	world_send(&world, "q", "1");
	world_send(&world, "q", "2");
	answer = world_ok(&world, "ReceiveMessage", "{" Q ",\"MaxNumberOfMessages\":10}");
	world_handle(answer, 0, a);
	world_handle(answer, 1, b);
	answer = world_ok(&world, "ChangeMessageVisibilityBatch",
		"{" Q
		",\"Entries\":[{\"Id\":\"x\",\"ReceiptHandle\":\"%s\",\"VisibilityTimeout\":0},"
		"{\"Id\":\"y\",\"ReceiptHandle\":\"%s\"}]}",
		a, b);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "Successful")), 1);
	assert_string_equal(
		text(cJSON_GetArrayItem(cJSON_GetObjectItem(answer, "Failed"), 0), "Code"),
		"MissingParameter");
	assert_string_equal(world_counts(&world, "q"), "1 1 0");
	answer = world_ok(&world, "DeleteMessageBatch",
		"{" Q ",\"Entries\":[{\"Id\":\"x\",\"ReceiptHandle\":\"%s\"},"
		"{\"Id\":\"y\",\"ReceiptHandle\":\"%s\"}]}",
		a, b);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(answer, "Successful")), 2);
	assert_false(cJSON_HasObjectItem(answer, "Failed"));
	assert_string_equal(world_counts(&world, "q"), "0 0 0");
}

/* Refusals of a whole call: operation, what follows Q in the request, code. */
static void refusals(void **state)
{
	static const char *const table[][3] = {
		{"SendMessage", "", "MissingParameter"},
		{"SendMessage", ",\"MessageBody\":\"\"", "MissingParameter"},
		{"SendMessage", ",\"MessageBody\":1", "MalformedInput"},
		{"SendMessage", ",\"MessageBody\":\"\\u0001\"", "InvalidMessageContents"},
		{"SendMessage", ",\"MessageBody\":\"\\uffff\"", "InvalidMessageContents"},
		{"SendMessage", ",\"MessageBody\":\"x\",\"DelaySeconds\":-1",
			"InvalidParameterValue"},
		{"SendMessage", ",\"MessageBody\":\"x\",\"DelaySeconds\":901",
			"InvalidParameterValue"},
		{"SendMessage", ",\"MessageBody\":\"x\",\"DelaySeconds\":\"1\"", "MalformedInput"},
		{"SendMessage", ",\"MessageBody\":\"x\",\"MessageGroupId\":\"a b\"",
			"InvalidParameterValue"},
		{"SendMessage", ",\"MessageBody\":\"x\",\"MessageDeduplicationId\":\"a\"",
			"InvalidParameterValue"},
		{"SendMessage", ",\"MessageBody\":\"x\",\"MessageAttributes\":[]",
			"MalformedInput"},
		{"ReceiveMessage", ",\"MaxNumberOfMessages\":0", "InvalidParameterValue"},
		{"ReceiveMessage", ",\"MaxNumberOfMessages\":11", "InvalidParameterValue"},
		{"ReceiveMessage", ",\"WaitTimeSeconds\":21", "InvalidParameterValue"},
		{"ReceiveMessage", ",\"WaitTimeSeconds\":-1", "InvalidParameterValue"},
		{"ReceiveMessage", ",\"VisibilityTimeout\":43201", "InvalidParameterValue"},
		{"ReceiveMessage", ",\"MessageAttributeNames\":\"All\"", "MalformedInput"},
		{"DeleteMessage", "", "MissingParameter"},
		{"DeleteMessage", ",\"ReceiptHandle\":\"garbage\"", "ReceiptHandleIsInvalid"},
		{"ChangeMessageVisibility",
			",\"ReceiptHandle\":\"garbage\",\"VisibilityTimeout\":1",
			"ReceiptHandleIsInvalid"},
		{"ChangeMessageVisibility", ",\"ReceiptHandle\":\"x\",\"VisibilityTimeout\":43201",
			"InvalidParameterValue"},
		{"SendMessageBatch", "", "AWS.SimpleQueueService.EmptyBatchRequest"},
		{"SendMessageBatch", ",\"Entries\":[]", "AWS.SimpleQueueService.EmptyBatchRequest"},
		{"SendMessageBatch", ",\"Entries\":{}", "MalformedInput"},
		{"SendMessageBatch", ",\"Entries\":[1]", "MalformedInput"},
		{"SendMessageBatch", ",\"Entries\":[{\"MessageBody\":\"x\"}]", "MissingParameter"},
		{"SendMessageBatch", ",\"Entries\":[{\"Id\":\"\",\"MessageBody\":\"x\"}]",
			"AWS.SimpleQueueService.InvalidBatchEntryId"},
		{"SendMessageBatch", ",\"Entries\":[{\"Id\":\"a b\",\"MessageBody\":\"x\"}]",
			"AWS.SimpleQueueService.InvalidBatchEntryId"},
		{"SendMessageBatch",
			",\"Entries\":[{\"Id\":\"a\",\"MessageBody\":\"x\"},"
			"{\"Id\":\"a\",\"MessageBody\":\"y\"}]",
			"AWS.SimpleQueueService.BatchEntryIdsNotDistinct"},
		{"DeleteMessageBatch",
			",\"Entries\":[{\"Id\":\"1\"},{\"Id\":\"2\"},{\"Id\":\"3\"},{\"Id\":\"4\"},"
			"{\"Id\":\"5\"},{\"Id\":\"6\"},{\"Id\":\"7\"},{\"Id\":\"8\"},{\"Id\":\"9\"}"
			","
			"{\"Id\":\"10\"},{\"Id\":\"11\"}]",
			"AWS.SimpleQueueService.TooManyEntriesInBatchRequest"},
		{"ChangeMessageVisibilityBatch", "", "AWS.SimpleQueueService.EmptyBatchRequest"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		world_refused(&world, table[i][2], table[i][0], "{" Q "%s}", table[i][1]);
	assert_string_equal(world_counts(&world, "q"), "0 0 0");
}

static void every_operation_on_a_queue_wants_one(void **state)
{
	static const char *const operations[] = {"SendMessage", "SendMessageBatch",
		"ReceiveMessage", "DeleteMessage", "DeleteMessageBatch", "ChangeMessageVisibility",
		"ChangeMessageVisibilityBatch", "GetQueueAttributes", "SetQueueAttributes",
		"PurgeQueue", "DeleteQueue"};

	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		world_refused(&world, "MissingParameter", operations[i], "{}");
		world_refused(&world, "MalformedInput", operations[i], "{\"QueueUrl\":1}");
		world_refused(&world, "InvalidAddress", operations[i], "{\"QueueUrl\":\"q\"}");
		world_refused(&world, "AWS.SimpleQueueService.NonExistentQueue", operations[i],
			"{\"QueueUrl\":\"http://h/000000000000/nope\"}");
		world_refused(&world, "MalformedInput", operations[i], "{\"QueueUrl\":");
	}
	world_refused(&world, "InvalidAction", "Nope", "{}");
	world_refused(&world, "InvalidAction", "", "{}");
}

/* Body and attributes share the queue's limit; the batch has its own. */
static void message_size(void **state)
{
	char *body = calloc(1, (1 << 20) + 2);

	assert_non_null(body);
	world_ok(&world, "SetQueueAttributes",
		"{" Q ",\"Attributes\":{\"MaximumMessageSize\":\"1024\"}}");
	memset(body, 'b', 1024);
	world_ok(&world, "SendMessage", "{" Q ",\"MessageBody\":\"%s\"}", body);
	body[1024] = 'b';
	assert_string_equal(world_refused(&world, "InvalidParameterValue", "SendMessage",
				    "{" Q ",\"MessageBody\":\"%s\"}", body),
		"One or more parameters are invalid. Reason: Message must be shorter than 1024 "
		"bytes.");
	/* a + Number + 1: 8 bytes */
	body[1016] = '\0';
	world_ok(&world, "SendMessage",
		"{" Q ",\"MessageBody\":\"%s\",\"MessageAttributes\":{\"a\":{\"DataType\":"
		"\"Number\",\"StringValue\":\"1\"}}}",
		body);
	world_refused(&world, "InvalidParameterValue", "SendMessage",
		"{" Q ",\"MessageBody\":\"%s\",\"MessageAttributes\":{\"a\":{\"DataType\":"
		"\"Number\",\"StringValue\":\"12\"}}}",
		body);
	/* the trace header does not count */
	world_ok(&world, "SendMessage",
		"{" Q ",\"MessageBody\":\"%s\",\"MessageSystemAttributes\":{\"AWSTraceHeader\":{"
		"\"DataType\":\"String\",\"StringValue\":\"0123456789abcdef\"}}}",
		body);
	free(body);
}

static void batch_size(void **state)
{
	static const char format[] = "{" Q ",\"Entries\":[{\"Id\":\"a\",\"MessageBody\":\"%s\"},"
				     "{\"Id\":\"b\",\"MessageBody\":\"%s\"}]}";
	char *half = calloc(1, (1 << 19) + 2);

	assert_non_null(half);
	memset(half, 'b', 1 << 19);
	world_ok(&world, "SendMessageBatch", format, half, half);
	assert_string_equal(world_counts(&world, "q"), "2 0 0");
	half[1 << 19] = 'b';
	assert_string_equal(world_refused(&world, "AWS.SimpleQueueService.BatchRequestTooLong",
				    "SendMessageBatch", format, half, half),
		"Batch requests cannot be longer than 1048576 bytes. You have sent 1048578 bytes.");
	assert_string_equal(world_counts(&world, "q"), "2 0 0");
	free(half);
}

static void a_full_receive_of_the_largest_messages(void **state)
{
	char *body = calloc(1, (1 << 20) + 1);

	assert_non_null(body);
	/* every character is escaped in the answer; in the request two bytes stand for one */
	for (int i = 0; i < 1 << 20; i += 2)
		memcpy(body + i, "\\n", 2);
	for (int i = 0; i < 10; i++)
		world_ok(&world, "SendMessage", "{" Q ",\"MessageBody\":\"%s%s\"}", body, body);
	assert_int_equal(world_receive(&world, "q"), 10);
	assert_int_equal(strlen(text(message(world.done.answer, 9), "Body")), 1 << 20);
	free(body);
}

static void retention(void **state)
{
	world_ok(&world, "SetQueueAttributes",
		"{" Q ",\"Attributes\":{\"MessageRetentionPeriod\":\"60\"}}");
	world_send(&world, "q", "old");
	world_advance_ms(&world, 30000);
	world_send(&world, "q", "new");
	world_advance_ms(&world, 29999);
	world_ok(&world, "ReceiveMessage",
		"{" Q ",\"MaxNumberOfMessages\":10,\"VisibilityTimeout\":0}");
	assert_string_equal(world_bodies(world.done.answer), "old new");
	world_advance_ms(&world, 1);
	assert_int_equal(world_receive(&world, "q"), 1);
	assert_string_equal(world_bodies(world.done.answer), "new");
	assert_string_equal(world_counts(&world, "q"), "0 1 0");
	/* nobody receives: the sweep deletes it */
	world_advance_ms(&world, 95000);
	assert_string_equal(world_counts(&world, "q"), "0 0 0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
		T(sent_received_deleted),
		T(an_empty_receive_is_an_empty_object),
		T(visibility_ends_to_the_millisecond),
		T(visibility_of_one_receive),
		T(visibility_changes),
		T(visibility_changes_after_it_ended),
		T(twelve_hours_from_the_receive),
		T(change_of_a_deleted_message),
		T(stale_handle_deletes_nothing),
		T(late_delete_with_the_last_handle_works),
		T(handle_of_another_queue_deletes_nothing),
		T(receive_counts_and_timestamps),
		T(system_attributes_by_name),
		T(digests_of_attributes),
		T(delays),
		T(oldest_first),
		T(batches_report_per_entry),
		T(a_batch_may_fail_in_every_entry),
		T(batches_of_handles),
		T(refusals),
		T(every_operation_on_a_queue_wants_one),
		T(message_size),
		T(batch_size),
		T(a_full_receive_of_the_largest_messages),
		T(retention),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
