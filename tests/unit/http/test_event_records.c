/*
 * Messages as Lambda's event for a queue, to the byte. The values are those of AWS's documentation
 * ("Using Lambda with Amazon SQS", the standard and the FIFO example); the digests were made by
 * Python's hashlib.
 */
#include "base/json.h"
#include "bunshin/error.h"
#include "failmalloc.h"
#include "http/event_records.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#define ARN "arn:aws:sqs:us-east-2:123456789012:my-queue"
#define LISTS "\"stringListValues\":[],\"binaryListValues\":[]"
#define TAIL \
	",\"eventSource\":\"aws:sqs\",\"eventSourceARN\":\"" ARN "\",\"awsRegion\":\"us-east-2\"}"

static void assert_event(
	const struct queue_message *const *messages, size_t count, const char *expected)
{
	struct buf out = BUF_INIT(1 << 20);
	struct json json = {0};

	assert_int_equal(event_records_append(&out, messages, count, ARN, "us-east-2"), 0);
	assert_string_equal(buf_string(&out), expected);
	assert_int_equal(json_parse(&json, out.data, out.len), 0);
	json_free(&json);
	buf_free(&out);
}

static void test_the_documented_event(void **state)
{
	static const struct queue_attribute attributes[] = {
		{"myAttribute", "String", "myValue", 7}};
	const struct queue_message one = {.message_id = "059f36b4-87a3-44ab-83d2-661975830a7d",
		.receipt_handle = "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...",
		.body = "Test message.",
		.body_bytes = 13,
		.attributes = attributes,
		.attribute_count = 1,
		.idempotency_key = "k",
		.receive_count = 1,
		.sent_epoch_ms = 1545082649183,
		.first_received_epoch_ms = 1545082649185,
		.sender_id = "AIDAIENQZJOLO23YVJ4VO"};
	const struct queue_message two = {.message_id = "2e1424d4-f796-459a-8184-9c92662be6da",
		.receipt_handle = "AQEBzWwaftRI0KuVm4tP+/7q1rGgNqicHq...",
		.body = "Test message.",
		.body_bytes = 13,
		.idempotency_key = "k",
		.receive_count = 1,
		.sent_epoch_ms = 1545082650636,
		.first_received_epoch_ms = 1545082650649,
		.sender_id = "AIDAIENQZJOLO23YVJ4VO"};
	const struct queue_message *const messages[] = {&one, &two};

	assert_event(messages, 2,
		"{\"Records\":[{\"messageId\":\"059f36b4-87a3-44ab-83d2-661975830a7d\","
		"\"receiptHandle\":\"AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a...\","
		"\"body\":\"Test message.\",\"attributes\":{\"ApproximateReceiveCount\":\"1\","
		"\"SentTimestamp\":\"1545082649183\",\"SenderId\":\"AIDAIENQZJOLO23YVJ4VO\","
		"\"ApproximateFirstReceiveTimestamp\":\"1545082649185\"},\"messageAttributes\":{"
		"\"myAttribute\":{\"stringValue\":\"myValue\"," LISTS ",\"dataType\":\"String\"}},"
		"\"md5OfBody\":\"e4e68fb7bd0e697a0ae8f1bb342846b3\"" TAIL
		",{\"messageId\":\"2e1424d4-f796-459a-8184-9c92662be6da\","
		"\"receiptHandle\":\"AQEBzWwaftRI0KuVm4tP+/7q1rGgNqicHq...\","
		"\"body\":\"Test message.\",\"attributes\":{\"ApproximateReceiveCount\":\"1\","
		"\"SentTimestamp\":\"1545082650636\",\"SenderId\":\"AIDAIENQZJOLO23YVJ4VO\","
		"\"ApproximateFirstReceiveTimestamp\":\"1545082650649\"},\"messageAttributes\":{},"
		"\"md5OfBody\":\"e4e68fb7bd0e697a0ae8f1bb342846b3\"" TAIL "]}");
}

static void test_all_that_a_message_can_have(void **state)
{
	static const struct queue_attribute attributes[] = {
		{"Blob", "Binary.x", "\0\xff\"", 3},
		{"Deadline", "Number", "1767323045000", 13},
		{"q\"", "String.\xe3\x81\x82", "a\n\0\"b", 5},
		{"Binaryish", "String", "", 0},
		{"None", "Binary", "", 0},
	};
	const struct queue_message message = {.message_id = "m\"1",
		.receipt_handle = "r\\1",
		.body = "\xe3\x81\x82\t\0\x1f\x7f\"",
		.body_bytes = 8,
		.attributes = attributes,
		.attribute_count = 5,
		.idempotency_key = "k",
		.group_id = "1",
		.trace_header = "Root=1-5759e988-bd862e3fe1be46a994272793",
		.receive_count = UINT32_MAX,
		.sent_epoch_ms = 1573251510774,
		.first_received_epoch_ms = INT64_MAX,
		.sender_id = "AIDAIO23YVJENQZJOL4VO",
		.sequence_number = "18849496460467696128",
		.deduplication_id = "1",
		.dead_letter_source = "arn:aws:sqs:us-east-2:123456789012:main"};
	const struct queue_message *const messages[] = {&message};

	assert_event(messages, 1,
		"{\"Records\":[{\"messageId\":\"m\\\"1\",\"receiptHandle\":\"r\\\\1\","
		"\"body\":\"\xe3\x81\x82\\t\\u0000\\u001f\x7f\\\"\",\"attributes\":{"
		"\"ApproximateReceiveCount\":\"4294967295\","
		"\"AWSTraceHeader\":\"Root=1-5759e988-bd862e3fe1be46a994272793\","
		"\"SentTimestamp\":\"1573251510774\",\"SequenceNumber\":\"18849496460467696128\","
		"\"MessageGroupId\":\"1\",\"SenderId\":\"AIDAIO23YVJENQZJOL4VO\","
		"\"MessageDeduplicationId\":\"1\","
		"\"ApproximateFirstReceiveTimestamp\":\"9223372036854775807\","
		"\"DeadLetterQueueSourceArn\":\"arn:aws:sqs:us-east-2:123456789012:main\"},"
		"\"messageAttributes\":{"
		"\"Blob\":{\"binaryValue\":\"AP8i\"," LISTS ",\"dataType\":\"Binary.x\"},"
		"\"Deadline\":{\"stringValue\":\"1767323045000\"," LISTS
		",\"dataType\":\"Number\"},"
		"\"q\\\"\":{\"stringValue\":\"a\\n\\u0000\\\"b\"," LISTS
		",\"dataType\":\"String.\xe3\x81\x82\"},"
		"\"Binaryish\":{\"stringValue\":\"\"," LISTS ",\"dataType\":\"String\"},"
		"\"None\":{\"binaryValue\":\"\"," LISTS ",\"dataType\":\"Binary\"}},"
		"\"md5OfBody\":\"6da369d0269c35252084a12109c2f3f9\"" TAIL "]}");
}

/* What the queue did not say is left out. */
static void test_what_is_unknown(void **state)
{
	const struct queue_message message = {.message_id = "m",
		.receipt_handle = "r",
		.body = "",
		.idempotency_key = "k",
		.receive_count = 1};
	const struct queue_message *const messages[] = {&message};

	assert_event(messages, 1,
		"{\"Records\":[{\"messageId\":\"m\",\"receiptHandle\":\"r\",\"body\":\"\","
		"\"attributes\":{\"ApproximateReceiveCount\":\"1\"},\"messageAttributes\":{},"
		"\"md5OfBody\":\"d41d8cd98f00b204e9800998ecf8427e\"" TAIL "]}");
	assert_event(messages, 0, "{\"Records\":[]}");
}

static void test_the_limit_is_the_buffers(void **state)
{
	const struct queue_message message = {.message_id = "m",
		.receipt_handle = "r",
		.body = "",
		.idempotency_key = "k",
		.receive_count = 1};
	const struct queue_message *const messages[] = {&message};
	size_t whole;

	for (whole = 0; whole < 1000; whole++) {
		struct buf out = BUF_INIT(whole);
		int err = event_records_append(&out, messages, 1, ARN, "r");

		assert_true(err == 0 || err == ERR_TOO_LARGE);
		assert_int_equal(err, out.err);
		buf_free(&out);
		if (err == 0)
			break;
	}
	assert_in_range(whole, 200, 400);
}

static int append_one(void *arg)
{
	struct buf out = BUF_INIT(1 << 20);
	int err = event_records_append(&out, arg, 1, ARN, "r");

	buf_free(&out);
	return err;
}

static void test_allocations_that_fail(void **state)
{
	const struct queue_message message = {.message_id = "m",
		.receipt_handle = "r",
		.body = "b",
		.body_bytes = 1,
		.idempotency_key = "k",
		.receive_count = 1};
	const struct queue_message *messages[] = {&message};

	failmalloc_sweep(append_one, messages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_documented_event),
		cmocka_unit_test(test_all_that_a_message_can_have),
		cmocka_unit_test(test_what_is_unknown),
		cmocka_unit_test(test_the_limit_is_the_buffers),
		cmocka_unit_test(test_allocations_that_fail),
	};

	return cmocka_run_group_tests_name("http/event_records", tests, NULL, NULL);
}
