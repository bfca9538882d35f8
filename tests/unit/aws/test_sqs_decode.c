#include "aws/sqs_codec.h"
#include "bunshin/error.h"
#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define URL "http://127.0.0.1:9324/1/q"
#define X16 "xxxxxxxxxxxxxxxx"
#define X128 X16 X16 X16 X16 X16 X16 X16 X16

/* Two messages with everything, the digests computed by Python's hashlib. */
static const char full[] =
	"{\"Messages\":[{\"MessageId\":\"m-1\",\"ReceiptHandle\":\"r+1==\",\"Body\":"
	"\"{\\\"to\\\":\\\"U1\\\",\\\"text\\\":\\\"\\u304a\xe6\x97\xa9\xe3\x81\x86 "
	"\\ud83d\\udc4b, \\\\\\\"x\\\\\\\"\\\\n\\\"}\","
	"\"MD5OfBody\":\"750e130422b82bcf9594b055c67dee81\",\"Attributes\":{"
	"\"ApproximateReceiveCount\":\"3\",\"SentTimestamp\":\"1767323045000\","
	"\"ApproximateFirstReceiveTimestamp\":\"1767323046001\",\"MessageGroupId\":\"g-1\","
	"\"AWSTraceHeader\":\"Root=1-5759e988-bd862e3fe1be46a994272793\",\"SenderId\":\"AIDAX\","
	"\"SequenceNumber\":\"18849496460467696128\",\"MessageDeduplicationId\":\"d-1\","
	"\"DeadLetterQueueSourceArn\":\"arn:aws:sqs:us-east-1:1:main\"},"
	"\"MD5OfMessageAttributes\":\"d8566d9c10a6664a93c3b4a711ac3172\",\"MessageAttributes\":{"
	"\"IdempotencyKey\":{\"DataType\":\"String\",\"StringValue\":\"k-1\"},"
	"\"Deadline\":{\"DataType\":\"Number\",\"StringValue\":\"1767323045000\"},"
	"\"Blob\":{\"DataType\":\"Binary.x\",\"BinaryValue\":\"AP8i\"}}},"
	"{\"MessageId\":\"m-2\",\"ReceiptHandle\":\"r-2\",\"Body\":\"hello\","
	"\"MD5OfBody\":\"5d41402abc4b2a76b9719d911017c592\"}]}";

static struct sqs_decoder decoder;
static volatile char sink; /* what is read for the sanitizer's sake */

static int setup(void **state)
{
	return sqs_decoder_init(&decoder);
}

static int teardown(void **state)
{
	sqs_decoder_free(&decoder);
	return 0;
}

/* Decodes from memory that is exactly as long as the text and is gone afterwards. */
static int decode(const char *text, size_t len, struct queue_batch **ret_batch,
	struct sqs_dropped *ret_dropped)
{
	char *copy = malloc(len + 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	err = sqs_decode_receive(&decoder, URL, SQS_UNWRAP_NONE, copy, len, ret_batch, ret_dropped);
	memset(copy, '#', len);
	free(copy);
	return err;
}

static struct queue_batch *decoded(const char *text, struct sqs_dropped *ret_dropped)
{
	struct queue_batch *batch = NULL;

	assert_int_equal(decode(text, strlen(text), &batch, ret_dropped), 0);
	assert_non_null(batch);
	assert_int_equal(batch->references, 1);
	return batch;
}

static void assert_attribute(const struct queue_attribute *attribute, const char *name,
	const char *type, const char *value, size_t value_bytes)
{
	assert_string_equal(attribute->name, name);
	assert_string_equal(attribute->type, type);
	assert_int_equal(attribute->value_bytes, value_bytes);
	assert_memory_equal(attribute->value, value, value_bytes);
}

static void assert_full(const struct queue_batch *batch)
{
	const struct queue_message *m = &batch->messages[0];
	static const char body[] =
		"{\"to\":\"U1\",\"text\":\"\xe3\x81\x8a\xe6\x97\xa9\xe3\x81\x86 \xf0\x9f\x91\x8b, "
		"\\\"x\\\"\\n\"}";

	assert_int_equal(batch->count, 2);
	assert_string_equal(m->message_id, "m-1");
	assert_string_equal(m->receipt_handle, "r+1==");
	assert_int_equal(m->body_bytes, sizeof(body) - 1);
	assert_string_equal(m->body, body);
	assert_int_equal(m->receive_count, 3);
	assert_int_equal(m->sent_epoch_ms, 1767323045000);
	assert_int_equal(m->first_received_epoch_ms, 1767323046001);
	assert_string_equal(m->group_id, "g-1");
	assert_string_equal(m->trace_header, "Root=1-5759e988-bd862e3fe1be46a994272793");
	assert_string_equal(m->sender_id, "AIDAX");
	assert_string_equal(m->sequence_number, "18849496460467696128");
	assert_string_equal(m->deduplication_id, "d-1");
	assert_string_equal(m->dead_letter_source, "arn:aws:sqs:us-east-1:1:main");
	assert_string_equal(m->idempotency_key, "k-1");
	assert_int_equal(m->attribute_count, 3);
	assert_attribute(&m->attributes[0], "IdempotencyKey", "String", "k-1", 3);
	assert_attribute(&m->attributes[1], "Deadline", "Number", "1767323045000", 13);
	assert_attribute(&m->attributes[2], "Blob", "Binary.x", "\0\xff\"", 3);
	m++;
	assert_string_equal(m->message_id, "m-2");
	assert_string_equal(m->receipt_handle, "r-2");
	assert_string_equal(m->body, "hello");
	assert_int_equal(m->body_bytes, 5);
	assert_int_equal(m->receive_count, 1);
	assert_int_equal(m->sent_epoch_ms, 0);
	assert_int_equal(m->first_received_epoch_ms, 0);
	assert_null(m->group_id);
	assert_null(m->trace_header);
	assert_int_equal(m->attribute_count, 0);
	/* uuid.uuid5(uuid.NAMESPACE_URL, "http://127.0.0.1:9324/1/q" + "m-2") */
	assert_string_equal(m->idempotency_key, "8b64f27c-71ee-5e62-95b3-892e5c2bfa82");
}

static void everything_is_read(void **state)
{
	struct sqs_dropped dropped;
	struct queue_batch *batch = decoded(full, &dropped);

	assert_full(batch);
	assert_int_equal(dropped.corrupted, 0);
	assert_int_equal(dropped.malformed, 0);
	assert_string_equal(dropped.detail, "");
	assert_true(batch->bytes > strlen(full));
	queue_batch_unref(batch);
}

/* Batches do not share memory with the parser, with each other, or with a decoder that is gone. */
static void batches_stay_as_they_are(void **state)
{
	struct queue_batch *batches[100];
	struct sqs_dropped dropped;

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < COUNT_OF(batches); i++)
			batches[i] = decoded(full, &dropped);
		queue_batch_ref(batches[0]);
		queue_batch_unref(batches[0]);
		queue_batch_unref(decoded("{\"Messages\":[{\"MessageId\":\"x\"}]}", &dropped));
		for (size_t i = 0; i < COUNT_OF(batches); i++) {
			assert_full(batches[i]);
			queue_batch_unref(batches[i]);
		}
	}
	batches[0] = decoded(full, &dropped);
	batches[1] = decoded(full, &dropped);
	sqs_decoder_free(&decoder);
	queue_batch_unref(batches[1]);
	assert_full(batches[0]);
	queue_batch_unref(batches[0]);
	assert_int_equal(sqs_decoder_init(&decoder), 0);
}

static void empty_answers(void **state)
{
	static const char *const cases[] = {"{}", " {\"Messages\":[]} ", "{\"Messages\":null}",
		"{\"New\":{\"Messages\":[1]},\"n\":1}"};
	struct sqs_dropped dropped;

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct queue_batch *batch = decoded(cases[i], &dropped);

		assert_int_equal(batch->count, 0);
		queue_batch_unref(batch);
	}
}

static void impossible_answers(void **state)
{
	static const char *const cases[] = {"", " ", "null", "[]", "7", "\"x\"", "{", "{}{}",
		"<html></html>", "{\"Messages\":{}}", "{\"Messages\":\"x\"}", "{\"Messages\":7}",
		"{\"Messages\":true}", "{\"Messages\":[1,2,3,4,5,6,7,8,9,10,11]}",
		"{\"Messages\":[{\"MessageId\":\"\\ud800\"}]}", "{\"a\":\"\xff\"}"};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct queue_batch *batch = NULL;
		struct sqs_dropped dropped;

		assert_int_equal(
			decode(cases[i], strlen(cases[i]), &batch, &dropped), ERR_PROTOCOL);
		assert_null(batch);
	}
}

/* A message between two good ones: only it is dropped, and the first reason is told. */
static void bad_messages_are_dropped_alone(void **state)
{
	static const char good[] = "{\"MessageId\":\"a\",\"ReceiptHandle\":\"r\",\"Body\":\"x\"}";
#define ID "\"MessageId\":\"m\","
#define REST "\"ReceiptHandle\":\"r\",\"Body\":\"hello\""
#define WITH(attributes) "{" ID REST ",\"MessageAttributes\":" attributes "}"
	static const struct {
		const char *message, *detail;
		unsigned corrupted;
	} cases[] = {
		{"null", "message without an id dropped: not an object", 0},
		{"[]", "message without an id dropped: not an object", 0},
		{"{}", "message without an id dropped: no valid MessageId", 0},
		{"{" REST "}", "message without an id dropped: no valid MessageId", 0},
		{"{\"MessageId\":null," REST "}",
			"message without an id dropped: no valid MessageId", 0},
		{"{\"MessageId\":\"\"," REST "}",
			"message without an id dropped: no valid MessageId", 0},
		{"{\"MessageId\":\"a\\nb\"," REST "}",
			"message without an id dropped: no valid MessageId", 0},
		{"{\"MessageId\":\"a\\u0000b\"," REST "}",
			"message without an id dropped: no valid MessageId", 0},
		{"{" ID "\"Body\":\"x\"}", "message m dropped: no valid ReceiptHandle", 0},
		{"{" ID "\"ReceiptHandle\":\"\",\"Body\":\"x\"}",
			"message m dropped: no valid ReceiptHandle", 0},
		{"{" ID "\"ReceiptHandle\":1,\"Body\":\"x\"}",
			"message m dropped: no valid ReceiptHandle", 0},
		{"{" ID "\"ReceiptHandle\":\"r\"}", "message m dropped: no Body", 0},
		{"{" ID "\"ReceiptHandle\":\"r\",\"Body\":{}}", "message m dropped: no Body", 0},
		{"{" ID REST ",\"Attributes\":[]}",
			"message m dropped: Attributes is not an object", 0},
		{"{" ID REST ",\"MD5OfBody\":\"5d41402abc4b2a76b9719d911017c593\"}",
			"message m dropped: the MD5 of its body differs", 1},
		{"{" ID REST ",\"MD5OfBody\":\"5D41402ABC4B2A76B9719D911017C592\"}",
			"message m dropped: the MD5 of its body differs", 1},
		{"{" ID REST ",\"MD5OfBody\":\"\"}",
			"message m dropped: the MD5 of its body differs", 1},
		{"{" ID REST ",\"MD5OfBody\":7}", "message m dropped: the MD5 of its body differs",
			1},
		{"{" ID REST ",\"MD5OfMessageAttributes\":\"a18cbb58171ebf4ce88d9fb787f9210b\"}",
			"message m dropped: the MD5 of its attributes differs", 1},
		{"{" ID REST ",\"MD5OfMessageAttributes\":\"a18cbb58171ebf4ce88d9fb787f9210b\","
		 "\"MessageAttributes\":{\"a\":{\"DataType\":\"String\",\"StringValue\":\"w\"}}}",
			"message m dropped: the MD5 of its attributes differs", 1},
		{WITH("[]"), "message m dropped: MessageAttributes is not an object", 0},
		{WITH("{\"a\":1}"), "message m dropped: a message attribute that is not an object",
			0},
		{WITH("{\"a\":null}"),
			"message m dropped: a message attribute that is not an object", 0},
		{WITH("{\"\":{\"DataType\":\"String\",\"StringValue\":\"v\"}}"),
			"message m dropped: a message attribute with an impossible name", 0},
		{WITH("{\"a\\u0000\":{\"DataType\":\"String\",\"StringValue\":\"v\"}}"),
			"message m dropped: a message attribute with an impossible name", 0},
		{WITH("{\"a\":{}}"),
			"message m dropped: a message attribute without a valid DataType", 0},
		{WITH("{\"a\":{\"DataType\":\"Text\",\"StringValue\":\"v\"}}"),
			"message m dropped: a message attribute without a valid DataType", 0},
		{WITH("{\"a\":{\"DataType\":\"String\",\"BinaryValue\":\"AA==\"}}"),
			"message m dropped: a message attribute without StringValue", 0},
		{WITH("{\"a\":{\"DataType\":\"Number\",\"StringValue\":7}}"),
			"message m dropped: a message attribute without StringValue", 0},
		{WITH("{\"a\":{\"DataType\":\"Binary\",\"StringValue\":\"v\"}}"),
			"message m dropped: a Binary attribute without BinaryValue", 0},
		{WITH("{\"a\":{\"DataType\":\"Binary\",\"BinaryValue\":\"A\"}}"),
			"message m dropped: a BinaryValue that is not base64", 0},
		{WITH("{\"a\":{\"DataType\":\"String\",\"StringValue\":\"v\"},"
		      "\"a\":{\"DataType\":\"String\",\"StringValue\":\"v\"}}"),
			"message m dropped: a message attribute twice", 0},
		{WITH("{\"1\":0,\"2\":0,\"3\":0,\"4\":0,\"5\":0,\"6\":0,\"7\":0,\"8\":0,\"9\":0,"
		      "\"10\":0,\"11\":0}"),
			"message m dropped: more message attributes than SQS allows", 0},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sqs_dropped dropped;
		struct queue_batch *batch;
		char text[2000];

		snprintf(text, sizeof(text), "{\"Messages\":[%s,%s,%s]}", good, cases[i].message,
			good);
		batch = decoded(text, &dropped);
		assert_int_equal(batch->count, 2);
		assert_string_equal(batch->messages[0].message_id, "a");
		assert_string_equal(batch->messages[1].message_id, "a");
		assert_string_equal(dropped.detail, cases[i].detail);
		assert_int_equal(dropped.corrupted, cases[i].corrupted);
		assert_int_equal(dropped.malformed, 1 - cases[i].corrupted);
		queue_batch_unref(batch);
	}
}

static void ten_messages_of_ten_attributes(void **state)
{
	struct buf text = BUF_INIT(100000);
	struct sqs_dropped dropped;
	struct queue_batch *batch;

	for (int m = 0; m < 10; m++) {
		buf_appendf(&text,
			"%s{\"MessageId\":\"m%d\",\"ReceiptHandle\":\"r\","
			"\"Body\":\"%d\",\"MessageAttributes\":{",
			m > 0 ? "," : "{\"Messages\":[", m, m);
		for (int a = 0; a < 10; a++)
			buf_appendf(&text,
				"%s\"a%d\":{\"DataType\":\"String\",\"StringValue\":\"v%d%d\"}",
				a > 0 ? "," : "", a, m, a);
		buf_append_string(&text, "}}");
	}
	buf_append_string(&text, "]}");
	batch = decoded(buf_string(&text), &dropped);
	assert_int_equal(batch->count, 10);
	for (int m = 0; m < 10; m++) {
		assert_int_equal(batch->messages[m].attribute_count, 10);
		for (int a = 0; a < 10; a++) {
			char name[10], value[10];

			snprintf(name, sizeof(name), "a%d", a);
			snprintf(value, sizeof(value), "v%d%d", m, a);
			assert_attribute(
				&batch->messages[m].attributes[a], name, "String", value, 3);
		}
	}
	queue_batch_unref(batch);
	buf_free(&text);
}

static void longest_ids(void **state)
{
	char id[102], handle[1026], text[2000];
	struct sqs_dropped dropped;

	for (size_t over = 0; over < 4; over++) {
		struct queue_batch *batch;

		memset(id, 'i', sizeof(id));
		memset(handle, 'h', sizeof(handle));
		id[100 + (over & 1)] = '\0';
		handle[1024 + (over >> 1)] = '\0';
		snprintf(text, sizeof(text),
			"{\"Messages\":[{\"MessageId\":\"%s\",\"ReceiptHandle\":\"%s\","
			"\"Body\":\"\"}]}",
			id, handle);
		batch = decoded(text, &dropped);
		assert_int_equal(batch->count, over == 0 ? 1 : 0);
		queue_batch_unref(batch);
	}
}

static void system_attributes_that_do_not_read_are_unknown(void **state)
{
	static const struct {
		const char *count;
		uint32_t receive_count;
	} counts[] = {{"\"1\"", 1}, {"\"2\"", 2}, {"\"0\"", 1}, {"\"-3\"", 1}, {"\"\"", 1},
		{"7", 1}, {"null", 1}, {"\"x\"", 1}, {"\"1e3\"", 1}, {"\"4294967295\"", UINT32_MAX},
		{"\"4294967296\"", UINT32_MAX}, {"\"99999999999999999999\"", 1}};
	static const char *const groups[] = {
		"\"\"", "\"a b\"", "7", "\"a\\n\"", "\"\xc3\xa9\"", "\"" X128 "x\""};
	struct sqs_dropped dropped;
	struct queue_batch *batch;
	char text[1000];

	for (size_t i = 0; i < COUNT_OF(counts); i++) {
		snprintf(text, sizeof(text),
			"{\"Messages\":[{" ID REST ",\"Attributes\":{"
			"\"ApproximateReceiveCount\":%s,\"SentTimestamp\":{},"
			"\"ApproximateFirstReceiveTimestamp\":\"+1\"}}]}",
			counts[i].count);
		batch = decoded(text, &dropped);
		assert_int_equal(batch->count, 1);
		assert_int_equal(batch->messages[0].receive_count, counts[i].receive_count);
		assert_int_equal(batch->messages[0].sent_epoch_ms, 0);
		assert_int_equal(batch->messages[0].first_received_epoch_ms, 0);
		queue_batch_unref(batch);
	}
	for (size_t i = 0; i < COUNT_OF(groups); i++) {
		snprintf(text, sizeof(text),
			"{\"Messages\":[{" ID REST ",\"Attributes\":{"
			"\"MessageGroupId\":%s,\"AWSTraceHeader\":\"a\\r\\nb\"}}]}",
			groups[i]);
		batch = decoded(text, &dropped);
		assert_int_equal(batch->count, 1);
		assert_null(batch->messages[0].group_id);
		assert_null(batch->messages[0].trace_header);
		queue_batch_unref(batch);
	}
}

static void idempotency_keys(void **state)
{
	static const struct {
		const char *attribute, *key; /* NULL: made of queue and message id */
	} cases[] = {
		{"\"IdempotencyKey\":{\"DataType\":\"String\",\"StringValue\":\"a b~\"}", "a b~"},
		{"\"IdempotencyKey\":{\"DataType\":\"String.x\",\"StringValue\":\"k\"}", "k"},
		{"\"IdempotencyKey\":{\"DataType\":\"String\",\"StringValue\":\"" X128 "\"}", X128},
		{"\"IdempotencyKey\":{\"DataType\":\"String\",\"StringValue\":\"" X128 "x\"}",
			NULL},
		{"\"IdempotencyKey\":{\"DataType\":\"String\",\"StringValue\":\"\"}", NULL},
		{"\"IdempotencyKey\":{\"DataType\":\"String\",\"StringValue\":\"a\\n\"}", NULL},
		{"\"IdempotencyKey\":{\"DataType\":\"String\",\"StringValue\":\"a\\u0000\"}", NULL},
		{"\"IdempotencyKey\":{\"DataType\":\"String\",\"StringValue\":\"\\u007f\"}", NULL},
		{"\"IdempotencyKey\":{\"DataType\":\"String\",\"StringValue\":\"\xc3\xa9\"}", NULL},
		{"\"IdempotencyKey\":{\"DataType\":\"Number\",\"StringValue\":\"7\"}", NULL},
		{"\"IdempotencyKey\":{\"DataType\":\"Binary\",\"BinaryValue\":\"YWJj\"}", NULL},
		{"\"idempotencykey\":{\"DataType\":\"String\",\"StringValue\":\"k\"}", NULL},
	};
	char made[UUID_TEXT_SIZE];

	assert_int_equal(uuid_v5(uuid_namespace_url, URL, strlen(URL), "m", 1, made), 0);
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		struct sqs_dropped dropped;
		struct queue_batch *batch;
		char text[1000];

		snprintf(text, sizeof(text),
			"{\"Messages\":[{" ID REST ",\"MessageAttributes\":{%s}}]}",
			cases[i].attribute);
		batch = decoded(text, &dropped);
		assert_int_equal(batch->count, 1);
		assert_string_equal(batch->messages[0].idempotency_key,
			cases[i].key != NULL ? cases[i].key : made);
		queue_batch_unref(batch);
	}
}

static void every_truncation_is_refused(void **state)
{
	for (size_t len = 0; len < strlen(full); len++) {
		struct queue_batch *batch = NULL;
		struct sqs_dropped dropped;

		assert_int_equal(decode(full, len, &batch, &dropped), ERR_PROTOCOL);
		assert_null(batch);
	}
}

/* What every delivered message must have, whatever the answer was. */
static void assert_sound(const struct queue_batch *batch)
{
	assert_true(batch->count <= QUEUE_BATCH_MAX);
	for (size_t i = 0; i < batch->count; i++) {
		const struct queue_message *m = &batch->messages[i];

		assert_in_range(strlen(m->message_id), 1, 100);
		assert_in_range(strlen(m->receipt_handle), 1, 1024);
		assert_in_range(strlen(m->idempotency_key), 1, 128);
		assert_int_equal(m->body[m->body_bytes], '\0');
		assert_true(m->receive_count >= 1);
		assert_true(m->attribute_count <= QUEUE_ATTRIBUTES_MAX);
		for (size_t k = 0; k < m->attribute_count; k++) {
			const struct queue_attribute *a = &m->attributes[k];

			assert_in_range(strlen(a->name), 1, 256);
			assert_in_range(strlen(a->type), 6, 256);
			assert_non_null(memchr("SNB", a->type[0], 3));
			for (size_t n = 0; n < a->value_bytes; n++)
				sink = a->value[n];
		}
	}
}

static const char batch_answer[] =
	"{\"Successful\":[{\"Id\":\"0\",\"MessageId\":\"a\","
	"\"MD5OfMessageBody\":\"9dd4e461268c8034f5c8564e155c67a6\"}],\"Failed\":["
	"{\"Id\":\"1\",\"SenderFault\":true,\"Code\":\"ReceiptHandleIsInvalid\",\"Message\":\"m\"}]"
	"}";
static const char counts_answer[] =
	"{\"Attributes\":{\"ApproximateNumberOfMessages\":\"12\","
	"\"ApproximateNumberOfMessagesNotVisible\":\"3\","
	"\"ApproximateNumberOfMessagesDelayed\":\"0\",\"VisibilityTimeout\":\"30\"}}";
static const char url_answer[] = "{\"QueueUrl\":\"http://h/1/q\"}";
static const char error_answer[] = "{\"__type\":\"ns#OverLimit\",\"message\":\"m\"}";

/* Runs every decoder over the text: none may crash, leak, or hand out something unsound. */
static void decode_all(const char *text, size_t len)
{
	static const struct sqs_sent_digests digests = {
		.body = {"9dd4e461268c8034f5c8564e155c67a6", ""}};
	int results[QUEUE_BATCH_MAX];
	char detail[SQS_DETAIL_SIZE], code[SQS_CODE_SIZE];
	struct queue_batch *batch = NULL;
	struct sqs_dropped dropped;
	struct queue_attributes counts;
	const char *url;
	int err = decode(text, len, &batch, &dropped);

	assert_true(err == 0 || err == ERR_PROTOCOL);
	if (err == 0) {
		assert_sound(batch);
		queue_batch_unref(batch);
	}
	for (int op = SQS_DELETE_BATCH; op <= SQS_SEND_BATCH; op++) {
		err = sqs_decode_batch(&decoder, op, text, len,
			op == SQS_SEND_BATCH ? &digests : NULL, 2, results, detail);
		assert_true(err == 0 || err == ERR_PROTOCOL);
		for (size_t i = 0; err == 0 && i < 2; i++)
			assert_string_not_equal(error_name(results[i]), "ERR_UNKNOWN");
	}
	err = sqs_decode_attributes(&decoder, text, len, &counts);
	assert_true(err == 0 || err == ERR_PROTOCOL);
	if (err == 0)
		assert_true(counts.visible >= 0 && counts.in_flight >= 0 && counts.delayed >= 0 &&
			    counts.visibility_s <= QUEUE_VISIBILITY_MAX_S);
	err = sqs_decode_queue_url(&decoder, text, len, &url);
	assert_true(err == 0 || err == ERR_PROTOCOL);
	if (err == 0)
		assert_in_range(strlen(url), 1, 1024);
	err = sqs_decode_error(&decoder, SQS_RECEIVE, 400, NULL, 0, text, len, code, detail);
	assert_string_not_equal(error_name(err), "ERR_UNKNOWN");
	assert_true(err != 0);
}

static const char *const valid_answers[] = {
	full, batch_answer, counts_answer, url_answer, error_answer};

/* Every value of every answer replaced by one of every kind. */
static void wrong_types_everywhere(void **state)
{
	static const char *const values[] = {"null", "false", "true", "0", "-1", "1e99", "\"\"",
		"\"x\"", "[]", "[null]", "{}", "{\"a\":1}", "\"\\u0000\"",
		"[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]"};

	for (size_t a = 0; a < COUNT_OF(valid_answers); a++) {
		const char *answer = valid_answers[a];
		struct json json = {0};

		assert_int_equal(json_parse(&json, answer, strlen(answer)), 0);
		for (size_t v = 0; v < json.count; v++) {
			size_t before = (size_t)(json.values[v].raw - answer);
			const char *after = answer + before + json.values[v].raw_bytes;

			for (size_t k = 0; k < COUNT_OF(values); k++) {
				struct buf text = BUF_INIT(10000);

				buf_append(&text, answer, before);
				buf_append_string(&text, values[k]);
				buf_append_string(&text, after);
				decode_all(buf_string(&text), text.len);
				buf_free(&text);
			}
		}
		json_free(&json);
	}
}

static void truncated_and_changed_bytes_everywhere(void **state)
{
	static const char bytes[] = "\"\\{}[],:0a \n\x01\x80\xff";

	for (size_t a = 0; a < COUNT_OF(valid_answers); a++) {
		size_t len = strlen(valid_answers[a]);
		char *text = malloc(len + 1);

		assert_non_null(text);
		for (size_t i = 0; i < len; i++) {
			decode_all(valid_answers[a], i);
			for (size_t k = 0; k < sizeof(bytes); k++) {
				memcpy(text, valid_answers[a], len + 1);
				text[i] = bytes[k];
				decode_all(text, len);
			}
		}
		free(text);
	}
}

static void batch_answers(void **state)
{
	static const struct {
		const char *text;
		int err;
		int results[3];
		const char *detail;
	} cases[] = {
		{"{\"Successful\":[{\"Id\":\"2\"},{\"Id\":\"0\"},{\"Id\":\"1\"}]}", 0, {0, 0, 0},
			""},
		{"{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"2\"}],\"Failed\":[{\"Id\":\"1\","
		 "\"SenderFault\":true,\"Code\":\"ReceiptHandleIsInvalid\",\"Message\":\"Bad\"}]}",
			0, {0, ERR_RECEIPT_INVALID, 0}, "entry 1: ReceiptHandleIsInvalid: Bad"},
		{"{\"Failed\":[{\"Id\":\"2\",\"Code\":\"InternalError\",\"SenderFault\":false},"
		 "{\"Id\":\"1\",\"Code\":\"AccessDenied\",\"SenderFault\":true},"
		 "{\"Id\":\"0\",\"Code\":\"RequestThrottled\",\"SenderFault\":true}]}",
			0, {ERR_THROTTLED, ERR_ACCESS_DENIED, ERR_UNAVAILABLE},
			"entry 0: RequestThrottled: "},
		{"{}", 0, {ERR_PROTOCOL, ERR_PROTOCOL, ERR_PROTOCOL}, "entry 0: not in the answer"},
		{"{\"Successful\":null,\"Failed\":null}", 0,
			{ERR_PROTOCOL, ERR_PROTOCOL, ERR_PROTOCOL}, "entry 0: not in the answer"},
		{"{\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"1\"}]}", 0, {0, 0, ERR_PROTOCOL},
			"entry 2: not in the answer"},
		/* Ids that were not sent, or are none. */
		{"{\"Successful\":[{\"Id\":\"3\"},{\"Id\":\"00\"},{\"Id\":\"\"},{\"Id\":0},{},1,"
		 "{\"Id\":\"-1\"},{\"Id\":\"1\\u0000\"},{\"Id\":\"1 \"},{\"Id\":\"a\"}],"
		 "\"Failed\":[{\"Id\":\"9\",\"Code\":\"x\"},null]}",
			0, {ERR_PROTOCOL, ERR_PROTOCOL, ERR_PROTOCOL},
			"entry 0: not in the answer"},
		/* The same id twice: a failure outweighs a success, wherever it stands. */
		{"{\"Failed\":[{\"Id\":\"0\",\"SenderFault\":false}],"
		 "\"Successful\":[{\"Id\":\"0\"},{\"Id\":\"1\"},{\"Id\":\"1\"},{\"Id\":\"2\"}]}",
			0, {ERR_UNAVAILABLE, 0, 0}, "entry 0: no code: "},
		{"{\"Successful\":{}}", ERR_PROTOCOL, {0}, NULL},
		{"{\"Failed\":\"x\"}", ERR_PROTOCOL, {0}, NULL},
		{"[]", ERR_PROTOCOL, {0}, NULL},
		{"", ERR_PROTOCOL, {0}, NULL},
		{"<html>", ERR_PROTOCOL, {0}, NULL},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int results[QUEUE_BATCH_MAX];
		char detail[SQS_DETAIL_SIZE];

		assert_int_equal(sqs_decode_batch(&decoder, SQS_DELETE_BATCH, cases[i].text,
					 strlen(cases[i].text), NULL, 3, results, detail),
			cases[i].err);
		if (cases[i].err != 0)
			continue;
		for (size_t k = 0; k < 3; k++)
			assert_int_equal(results[k], cases[i].results[k]);
		assert_string_equal(detail, cases[i].detail);
	}
}

static void sends_are_checked_by_digest(void **state)
{
	static const struct sqs_sent_digests digests = {
		.body = {"9dd4e461268c8034f5c8564e155c67a6", "9dd4e461268c8034f5c8564e155c67a6"},
		.attributes = {"", "a18cbb58171ebf4ce88d9fb787f9210b"}};
#define BODY_MD5 "\"MD5OfMessageBody\":\"9dd4e461268c8034f5c8564e155c67a6\""
#define ATTRIBUTES_MD5 "\"MD5OfMessageAttributes\":\"a18cbb58171ebf4ce88d9fb787f9210b\""
	static const struct {
		const char *entry0, *entry1;
		int result0, result1;
	} cases[] = {
		{BODY_MD5, BODY_MD5 "," ATTRIBUTES_MD5, 0, 0},
		{BODY_MD5 ",\"MD5OfMessageAttributes\":null", BODY_MD5, 0, ERR_PROTOCOL},
		{BODY_MD5 "," ATTRIBUTES_MD5, ATTRIBUTES_MD5, ERR_PROTOCOL, ERR_PROTOCOL},
		{"\"MD5OfMessageBody\":\"0\"",
			BODY_MD5 ",\"MD5OfMessageAttributes\":"
				 "\"b18cbb58171ebf4ce88d9fb787f9210b\"",
			ERR_PROTOCOL, ERR_PROTOCOL},
		{"\"MD5OfMessageBody\":7", BODY_MD5 ",\"MD5OfMessageAttributes\":{}", ERR_PROTOCOL,
			ERR_PROTOCOL},
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		int results[QUEUE_BATCH_MAX];
		char text[1000], detail[SQS_DETAIL_SIZE];

		snprintf(text, sizeof(text),
			"{\"Successful\":[{\"Id\":\"0\",%s},{\"Id\":\"1\",%s}]}", cases[i].entry0,
			cases[i].entry1);
		assert_int_equal(sqs_decode_batch(&decoder, SQS_SEND_BATCH, text, strlen(text),
					 &digests, 2, results, detail),
			0);
		assert_int_equal(results[0], cases[i].result0);
		assert_int_equal(results[1], cases[i].result1);
		if (results[0] != 0)
			assert_string_equal(detail,
				"entry 0: the MD5 in the answer is not that of what was sent");
	}
}

static void counts(void **state)
{
	static const char *const wrong[] = {"{}", "{\"Attributes\":{}}", "{\"Attributes\":[]}",
		"{\"Attributes\":{\"ApproximateNumberOfMessages\":\"1\","
		"\"ApproximateNumberOfMessagesNotVisible\":\"1\","
		"\"ApproximateNumberOfMessagesDelayed\":\"1\"}}",
		"{\"Attributes\":{\"ApproximateNumberOfMessages\":1,"
		"\"ApproximateNumberOfMessagesNotVisible\":\"1\","
		"\"ApproximateNumberOfMessagesDelayed\":\"1\",\"VisibilityTimeout\":\"1\"}}",
		"{\"Attributes\":{\"ApproximateNumberOfMessages\":\"-1\","
		"\"ApproximateNumberOfMessagesNotVisible\":\"1\","
		"\"ApproximateNumberOfMessagesDelayed\":\"1\",\"VisibilityTimeout\":\"1\"}}",
		"{\"Attributes\":{\"ApproximateNumberOfMessages\":\"1000000000000000000\","
		"\"ApproximateNumberOfMessagesNotVisible\":\"1\","
		"\"ApproximateNumberOfMessagesDelayed\":\"1\",\"VisibilityTimeout\":\"1\"}}"};
	struct queue_attributes counted;

	assert_int_equal(
		sqs_decode_attributes(&decoder, counts_answer, strlen(counts_answer), &counted), 0);
	assert_int_equal(counted.visible, 12);
	assert_int_equal(counted.in_flight, 3);
	assert_int_equal(counted.delayed, 0);
	assert_int_equal(counted.visibility_s, 30);
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(
			sqs_decode_attributes(&decoder, wrong[i], strlen(wrong[i]), &counted),
			ERR_PROTOCOL);
}

static void queue_urls(void **state)
{
	static const char *const wrong[] = {"{}", "{\"QueueUrl\":null}", "{\"QueueUrl\":\"\"}",
		"{\"QueueUrl\":[\"x\"]}", "{\"QueueUrl\":\"a\\u0000\"}", "[]"};
	const char *url;

	assert_int_equal(sqs_decode_queue_url(&decoder, url_answer, strlen(url_answer), &url), 0);
	assert_string_equal(url, "http://h/1/q");
	for (size_t i = 0; i < COUNT_OF(wrong); i++)
		assert_int_equal(sqs_decode_queue_url(&decoder, wrong[i], strlen(wrong[i]), &url),
			ERR_PROTOCOL);
}

/* Megabytes of nothing but values would cost a parser gigabytes; megabytes of text are fine. */
static void large_answers(void **state)
{
	size_t len = (size_t)3 << 20;
	char *text = malloc(len + 1);
	struct queue_batch *batch = NULL;
	struct sqs_dropped dropped;
	static const char head[] = "{\"Messages\":[{" ID "\"ReceiptHandle\":\"r\",\"Body\":\"";

	assert_non_null(text);
	memset(text, ',', len);
	for (size_t i = 0; i < len; i += 2)
		text[i] = '0';
	memcpy(text, "{\"a\":[", 6);
	memcpy(text + len - 4, "0]} ", 5);
	assert_int_equal(decode(text, len, &batch, &dropped), ERR_PROTOCOL);
	assert_null(batch);
	/* Nothing but its size was wrong with it. */
	memcpy(text + 100000 - 4, "0]} ", 4);
	assert_int_equal(decode(text, 100000, &batch, &dropped), 0);
	queue_batch_unref(batch);
	/* The same commas inside a string, with quotes among them. */
	memset(text, ',', len);
	memcpy(text, head, sizeof(head) - 1);
	for (size_t i = 1000; i + 1000 < len; i += 1000)
		memcpy(text + i, "\\\"\\\\", 4);
	memcpy(text + len - 4, "\"}]}", 5);
	assert_int_equal(decode(text, len, &batch, &dropped), 0);
	assert_int_equal(batch->count, 1);
	assert_true(batch->bytes >= len);
	queue_batch_unref(batch);
	/* What a large answer took is given back. */
	batch = decoded("{}", &dropped);
	assert_true(batch->bytes < 100000);
	queue_batch_unref(batch);
	free(text);
}

static void the_pool_keeps_no_large_area(void **state)
{
	static const size_t sizes[] = {1, SQS_BATCH_KEPT_BYTES, SQS_BATCH_KEPT_BYTES + 1};
	struct sqs_batch_pool *pool = sqs_batch_pool_new();

	assert_non_null(pool);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		struct sqs_batch *batch = sqs_batch_get(pool);

		assert_non_null(batch);
		free(batch->strings);
		batch->strings = malloc(sizes[i]);
		batch->strings_capacity = sizes[i];
		queue_batch_unref(&batch->batch);
		batch = sqs_batch_get(pool);
		assert_non_null(batch);
		assert_int_equal(
			batch->strings_capacity, sizes[i] <= SQS_BATCH_KEPT_BYTES ? sizes[i] : 0);
		assert_int_equal(batch->strings == NULL, sizes[i] > SQS_BATCH_KEPT_BYTES);
		queue_batch_unref(&batch->batch);
	}
	sqs_batch_pool_release(pool);
	sqs_batch_pool_release(NULL);
}

/* A receive in steady state allocates nothing at all. */
static void steady_state_allocates_nothing(void **state)
{
	struct sqs_dropped dropped;

	queue_batch_unref(decoded(full, &dropped));
	for (int i = 0; i < 100; i++) {
		struct queue_batch *batch = NULL;

		failmalloc_arm(1);
		assert_int_equal(sqs_decode_receive(&decoder, URL, SQS_UNWRAP_NONE, full,
					 strlen(full), &batch, &dropped),
			0);
		assert_false(failmalloc_disarm());
		queue_batch_unref(batch);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_is_read),
		cmocka_unit_test(batches_stay_as_they_are),
		cmocka_unit_test(empty_answers),
		cmocka_unit_test(impossible_answers),
		cmocka_unit_test(bad_messages_are_dropped_alone),
		cmocka_unit_test(ten_messages_of_ten_attributes),
		cmocka_unit_test(longest_ids),
		cmocka_unit_test(system_attributes_that_do_not_read_are_unknown),
		cmocka_unit_test(idempotency_keys),
		cmocka_unit_test(every_truncation_is_refused),
		cmocka_unit_test(wrong_types_everywhere),
		cmocka_unit_test(truncated_and_changed_bytes_everywhere),
		cmocka_unit_test(batch_answers),
		cmocka_unit_test(sends_are_checked_by_digest),
		cmocka_unit_test(counts),
		cmocka_unit_test(queue_urls),
		cmocka_unit_test(large_answers),
		cmocka_unit_test(the_pool_keeps_no_large_area),
		cmocka_unit_test(steady_state_allocates_nothing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
