#include "aws/sqs_codec.h"
#include "aws/sqs_limits.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define URL "https://sqs.us-east-1.amazonaws.com/123456789012/demo"

static struct digest md5;
static struct sqs_sent_digests sent;

static int setup(void **state)
{
	return digest_init(&md5, "MD5");
}

static int teardown(void **state)
{
	digest_free(&md5);
	return 0;
}

#define assert_encodes(call, expected)                            \
	do {                                                      \
		struct buf body = BUF_INIT((size_t)8 << 20);      \
		assert_int_equal(call, 0);                        \
		assert_string_equal(buf_string(&body), expected); \
		buf_free(&body);                                  \
	} while (0)

#define assert_refuses(call, code)                           \
	do {                                                 \
		struct buf body = BUF_INIT((size_t)8 << 20); \
		assert_int_equal(call, code);                \
		assert_int_equal(body.len, 0);               \
		buf_free(&body);                             \
	} while (0)

static void receive(void **state)
{
	static const struct queue_receive params = {10, 20, 60, false};
	static const struct queue_receive least = {1, 0, 0, false};
	static const struct queue_receive all = {1, 0, 0, true};
	static const struct queue_receive most = {10, 20, 43200, false};
	static const struct queue_receive wrong[] = {
		{0, 0, 0, false}, {11, 0, 0, false}, {1, 21, 0, false}, {1, 0, 43201, false}};

	assert_encodes(sqs_encode_receive(&body, URL, &params, ""),
		"{\"QueueUrl\":\"" URL "\",\"MaxNumberOfMessages\":10,\"WaitTimeSeconds\":20,"
		"\"VisibilityTimeout\":60,\"MessageSystemAttributeNames\":["
		"\"ApproximateReceiveCount\",\"SentTimestamp\","
		"\"ApproximateFirstReceiveTimestamp\",\"MessageGroupId\",\"AWSTraceHeader\"],"
		"\"MessageAttributeNames\":[\"All\"]}");
	assert_encodes(sqs_encode_receive(&body, "a\"\\b", &least, "an-id"),
		"{\"QueueUrl\":\"a\\\"\\\\b\",\"MaxNumberOfMessages\":1,\"WaitTimeSeconds\":0,"
		"\"VisibilityTimeout\":0,\"MessageSystemAttributeNames\":["
		"\"ApproximateReceiveCount\",\"SentTimestamp\","
		"\"ApproximateFirstReceiveTimestamp\",\"MessageGroupId\",\"AWSTraceHeader\"],"
		"\"MessageAttributeNames\":[\"All\"],\"ReceiveRequestAttemptId\":\"an-id\"}");
	assert_encodes(sqs_encode_receive(&body, URL, &all, ""),
		"{\"QueueUrl\":\"" URL "\",\"MaxNumberOfMessages\":1,\"WaitTimeSeconds\":0,"
		"\"VisibilityTimeout\":0,\"MessageSystemAttributeNames\":[\"All\"],"
		"\"MessageAttributeNames\":[\"All\"]}");
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_refuses(sqs_encode_receive(&body, URL, &wrong[i], ""), ERR_ARGUMENT);
	assert_refuses(sqs_encode_receive(&body, "", &most, ""), ERR_ARGUMENT);
	assert_refuses(sqs_encode_receive(&body, "\xff", &most, ""), ERR_ARGUMENT);
}

static void deletes(void **state)
{
	static const char *const handles[] = {
		"h0", "h\"1", "h2", "h3", "h4", "h5", "h6", "h7", "h8", "h9", "h10"};
	static const char *const empty[] = {"a", ""};
	static const char *const none[] = {"a", NULL};
	char longest[SQS_RECEIPT_HANDLE_MAX + 2];
	const char *const one[] = {longest};

	assert_encodes(sqs_encode_delete_batch(&body, URL, handles, 2),
		"{\"QueueUrl\":\"" URL "\",\"Entries\":[{\"Id\":\"0\",\"ReceiptHandle\":\"h0\"},"
		"{\"Id\":\"1\",\"ReceiptHandle\":\"h\\\"1\"}]}");
	assert_encodes(sqs_encode_delete_batch(&body, "q", handles + 1, 10),
		"{\"QueueUrl\":\"q\",\"Entries\":["
		"{\"Id\":\"0\",\"ReceiptHandle\":\"h\\\"1\"},{\"Id\":\"1\",\"ReceiptHandle\":"
		"\"h2\"},"
		"{\"Id\":\"2\",\"ReceiptHandle\":\"h3\"},{\"Id\":\"3\",\"ReceiptHandle\":\"h4\"},"
		"{\"Id\":\"4\",\"ReceiptHandle\":\"h5\"},{\"Id\":\"5\",\"ReceiptHandle\":\"h6\"},"
		"{\"Id\":\"6\",\"ReceiptHandle\":\"h7\"},{\"Id\":\"7\",\"ReceiptHandle\":\"h8\"},"
		"{\"Id\":\"8\",\"ReceiptHandle\":\"h9\"},{\"Id\":\"9\",\"ReceiptHandle\":\"h10\"}]"
		"}");
	assert_refuses(sqs_encode_delete_batch(&body, URL, handles, 0), ERR_ARGUMENT);
	assert_refuses(sqs_encode_delete_batch(&body, URL, handles, 11), ERR_ARGUMENT);
	assert_refuses(sqs_encode_delete_batch(&body, URL, empty, 2), ERR_ARGUMENT);
	assert_refuses(sqs_encode_delete_batch(&body, URL, none, 2), ERR_ARGUMENT);
	memset(longest, 'h', sizeof(longest));
	longest[SQS_RECEIPT_HANDLE_MAX + 1] = '\0';
	assert_refuses(sqs_encode_delete_batch(&body, URL, one, 1), ERR_ARGUMENT);
}

static void visibility(void **state)
{
	static const struct queue_visibility entries[] = {{"h0", 0}, {"h1", 43200}, {"h2", 43201}};

	assert_encodes(sqs_encode_visibility_batch(&body, URL, entries, 2),
		"{\"QueueUrl\":\"" URL "\",\"Entries\":["
		"{\"Id\":\"0\",\"ReceiptHandle\":\"h0\",\"VisibilityTimeout\":0},"
		"{\"Id\":\"1\",\"ReceiptHandle\":\"h1\",\"VisibilityTimeout\":43200}]}");
	assert_refuses(sqs_encode_visibility_batch(&body, URL, entries, 3), ERR_ARGUMENT);
	assert_refuses(sqs_encode_visibility_batch(&body, URL, entries, 0), ERR_ARGUMENT);
}

static void names(void **state)
{
	static const char *const wrong[] = {"", "a b", "a.b", ".fifo", "a/b", "\xc3\xa9"};
	char name[100], expected[130];

	assert_encodes(sqs_encode_queue_name(&body, "a-B_9"), "{\"QueueName\":\"a-B_9\"}");
	assert_encodes(sqs_encode_queue_name(&body, "a.fifo"), "{\"QueueName\":\"a.fifo\"}");
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_refuses(sqs_encode_queue_name(&body, wrong[i]), ERR_ARGUMENT);
	snprintf(name, sizeof(name), "%081d", 0);
	assert_refuses(sqs_encode_queue_name(&body, name), ERR_ARGUMENT);
	snprintf(expected, sizeof(expected), "{\"QueueName\":\"%s\"}", name + 1);
	assert_encodes(sqs_encode_queue_name(&body, name + 1), expected);
	assert_encodes(sqs_encode_get_attributes(&body, URL),
		"{\"QueueUrl\":\"" URL "\",\"AttributeNames\":[\"ApproximateNumberOfMessages\","
		"\"ApproximateNumberOfMessagesNotVisible\",\"ApproximateNumberOfMessagesDelayed\","
		"\"VisibilityTimeout\"]}");
	assert_refuses(sqs_encode_get_attributes(&body, ""), ERR_ARGUMENT);
}

static void sends(void **state)
{
	static const struct queue_attribute attributes[] = {
		{"Hello", "String", "There", 5},
		{"n", "Number.epoch", "12", 2},
		{"b", "Binary.x", "\0\xff\"", 3},
	};
	static const struct queue_send entries[] = {
		{.body = "{\"to\":\"\xe5\x88\x86\xe8\xba\xab\"}\n", .body_bytes = 16},
		{.body = "abc",
			.body_bytes = 3,
			.attributes = attributes,
			.attribute_count = 3,
			.delay_s = 900,
			.group_id = "g!",
			.deduplication_id = "d\"d"},
	};

	assert_encodes(sqs_encode_send_batch(&body, URL, entries, 2, &md5, &sent),
		"{\"QueueUrl\":\"" URL "\",\"Entries\":["
		"{\"Id\":\"0\",\"MessageBody\":\"{\\\"to\\\":\\\"\xe5\x88\x86\xe8\xba\xab\\\"}"
		"\\n\"},"
		"{\"Id\":\"1\",\"MessageBody\":\"abc\",\"DelaySeconds\":900,\"MessageAttributes\":{"
		"\"Hello\":{\"DataType\":\"String\",\"StringValue\":\"There\"},"
		"\"n\":{\"DataType\":\"Number.epoch\",\"StringValue\":\"12\"},"
		"\"b\":{\"DataType\":\"Binary.x\",\"BinaryValue\":\"AP8i\"}},"
		"\"MessageGroupId\":\"g!\",\"MessageDeduplicationId\":\"d\\\"d\"}]}");
	assert_string_equal(sent.body[1], "900150983cd24fb0d6963f7d28e17f72");
	assert_string_equal(sent.attributes[0], "");
	assert_int_equal(strlen(sent.attributes[1]), 32);
	assert_encodes(sqs_encode_send_batch(&body, "q",
			       (struct queue_send[]){{.body = "x",
				       .body_bytes = 1,
				       .attributes = attributes,
				       .attribute_count = 1}},
			       1, &md5, &sent),
		"{\"QueueUrl\":\"q\",\"Entries\":[{\"Id\":\"0\",\"MessageBody\":\"x\","
		"\"MessageAttributes\":{\"Hello\":{\"DataType\":\"String\","
		"\"StringValue\":\"There\"}}}]}");
	assert_string_equal(sent.attributes[0], "a311262e065454b75da111d535b8dacd");
	assert_encodes(
		sqs_encode_send_batch(&body, "q",
			(struct queue_send[]){{.body = "x", .body_bytes = 1, .no_delay = true}}, 1,
			&md5, &sent),
		"{\"QueueUrl\":\"q\",\"Entries\":[{\"Id\":\"0\",\"MessageBody\":\"x\","
		"\"DelaySeconds\":0}]}");
	assert_encodes(sqs_encode_send_batch(&body, "q",
			       (struct queue_send[]){{.body = "x",
				       .body_bytes = 1,
				       .group_id = "g",
				       .trace_header = "Root=1-5759e988;\"x\""}},
			       1, &md5, &sent),
		"{\"QueueUrl\":\"q\",\"Entries\":[{\"Id\":\"0\",\"MessageBody\":\"x\","
		"\"MessageSystemAttributes\":{\"AWSTraceHeader\":{\"DataType\":\"String\","
		"\"StringValue\":\"Root=1-5759e988;\\\"x\\\"\"}},\"MessageGroupId\":\"g\"}]}");
}

static struct queue_send send_of(const struct queue_attribute *attributes, size_t count)
{
	return (struct queue_send){
		.body = "x", .body_bytes = 1, .attributes = attributes, .attribute_count = count};
}

static void wrong_sends(void **state)
{
	static const struct queue_attribute bad[][2] = {
		{{"", "String", "v", 1}},
		{{"AWS.x", "String", "v", 1}},
		{{"n", "Text", "v", 1}},
		{{"n", "String", "", 0}},
		{{"n", "String", "\x01", 1}},
		{{"n", "Number", "\xff", 1}},
		{{"n", "String", "a", 1}, {"n", "String", "b", 1}},
	};
	static const struct queue_send wrong[] = {
		{.body = "", .body_bytes = 0},
		{.body = "\xff", .body_bytes = 1},
		{.body = "\0", .body_bytes = 1},
		{.body = "\xef\xbf\xbf", .body_bytes = 3},
		{.body = "x", .body_bytes = 1, .delay_s = 901},
		{.body = "x", .body_bytes = 1, .trace_header = ""},
		{.body = "x", .body_bytes = 1, .trace_header = "a b"},
		{.body = "x", .body_bytes = 1, .trace_header = "a\r\nb"},
		{.body = "x", .body_bytes = 1, .group_id = ""},
		{.body = "x", .body_bytes = 1, .group_id = "a b"},
		{.body = "x", .body_bytes = 1, .deduplication_id = "\n"},
	};
	struct queue_attribute many[QUEUE_ATTRIBUTES_MAX + 1];
	struct queue_send send;
	char attribute_names[QUEUE_ATTRIBUTES_MAX + 1][2];

	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		assert_refuses(
			sqs_encode_send_batch(&body, URL, &wrong[i], 1, &md5, &sent), ERR_ARGUMENT);
		assert_refuses(
			sqs_encode_send_batch(&body, URL, &wrong[i], 0, &md5, &sent), ERR_ARGUMENT);
	}
	for (size_t i = 0; i < COUNT_OF(bad); i++) {
		send = send_of(bad[i], bad[i][1].name != NULL ? 2 : 1);
		assert_refuses(
			sqs_encode_send_batch(&body, URL, &send, 1, &md5, &sent), ERR_ARGUMENT);
	}
	for (size_t i = 0; i <= QUEUE_ATTRIBUTES_MAX; i++) {
		attribute_names[i][0] = (char)('a' + i);
		attribute_names[i][1] = '\0';
		many[i] = (struct queue_attribute){attribute_names[i], "String", "v", 1};
	}
	send = send_of(many, QUEUE_ATTRIBUTES_MAX + 1);
	assert_refuses(sqs_encode_send_batch(&body, URL, &send, 1, &md5, &sent), ERR_ARGUMENT);
	send.attribute_count--;
	assert_int_equal(send.attribute_count, 10);
	{
		struct buf body = BUF_INIT(10000);

		assert_int_equal(sqs_encode_send_batch(&body, URL, &send, 1, &md5, &sent), 0);
		buf_free(&body);
	}
}

/* Bodies, names, types and values together: 1 MiB goes, a byte more does not. */
static void the_whole_batch_has_a_limit(void **state)
{
	static const struct queue_attribute attribute = {"name", "String", "value", 5};
	size_t half = SQS_BATCH_MAX_BYTES / 2;
	char *text = malloc(half + 1);
	struct queue_send entries[2];
	struct buf body = BUF_INIT((size_t)8 << 20);

	assert_non_null(text);
	memset(text, '\n', half + 1);
	entries[0] = (struct queue_send){.body = text, .body_bytes = half};
	entries[1] = (struct queue_send){.body = text,
		.body_bytes = half - 15,
		.attributes = &attribute,
		.attribute_count = 1};
	assert_int_equal(sqs_encode_send_batch(&body, URL, entries, 2, &md5, &sent), 0);
	/* Every line feed as two characters. */
	assert_true(body.len > 2 * SQS_BATCH_MAX_BYTES - 100);
	buf_clear(&body);
	entries[1].body_bytes++;
	assert_int_equal(sqs_encode_send_batch(&body, URL, entries, 2, &md5, &sent), ERR_TOO_LARGE);
	entries[0].body_bytes = SIZE_MAX;
	assert_int_equal(sqs_encode_send_batch(&body, URL, entries, 2, &md5, &sent), ERR_TOO_LARGE);
	assert_int_equal(body.len, 0);
	buf_free(&body);
	free(text);
}

static void a_full_buffer_is_reported(void **state)
{
	static const struct queue_receive params = {1, 0, 0, false};
	static const char *const handles[] = {"h"};
	struct buf body = BUF_INIT(50);

	assert_int_equal(sqs_encode_receive(&body, URL, &params, ""), ERR_TOO_LARGE);
	buf_clear(&body);
	assert_int_equal(sqs_encode_delete_batch(&body, URL, handles, 1), ERR_TOO_LARGE);
	buf_free(&body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(receive),
		cmocka_unit_test(deletes),
		cmocka_unit_test(visibility),
		cmocka_unit_test(names),
		cmocka_unit_test(sends),
		cmocka_unit_test(wrong_sends),
		cmocka_unit_test(the_whole_batch_has_a_limit),
		cmocka_unit_test(a_full_buffer_is_reported),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
