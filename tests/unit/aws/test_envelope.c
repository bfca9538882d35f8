/* What other services put around a message: as they document it, and as nobody should send it. */
#include "aws/envelope.h"
#include "aws/sqs_codec.h"
#include "base/buf.h"
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

/* SNS developer guide, "HTTP/HTTPS notification JSON format"; the envelope in a queue is the same.
 */
static const char documented[] =
	"{\n"
	"  \"Type\" : \"Notification\",\n"
	"  \"MessageId\" : \"22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324\",\n"
	"  \"TopicArn\" : \"arn:aws:sns:us-west-2:123456789012:MyTopic\",\n"
	"  \"Subject\" : \"My First Message\",\n"
	"  \"Message\" : \"Hello world!\",\n"
	"  \"Timestamp\" : \"2012-05-02T00:54:06.655Z\",\n"
	"  \"SignatureVersion\" : \"1\",\n"
	"  \"Signature\" : "
	"\"EXAMPLEw6JRNwm1LFQL4ICB0bnXrdB8ClRMTQFGBqwLpGbM78tJ4etTwC5zU7O3tS6tGpey3ejedNdOJ+1fkIp9"
	"F2/LmNVKb5aFlYq+9rk9ZiPph5YlLmWsDcyC5T+Sy9/umic5S0UQc2PEtgdpVBahwNOdMW4JPwk0kAJJztnc=\",\n"
	"  \"SigningCertURL\" : \"https://sns.us-west-2.amazonaws.com/"
	"SimpleNotificationService-f3ecfb7224c7233fe7bb5f59f96de52f.pem\",\n"
	"  \"UnsubscribeURL\" : \"https://sns.us-west-2.amazonaws.com/?Action=Unsubscribe&"
	"SubscriptionArn=arn:aws:sns:us-west-2:123456789012:MyTopic:"
	"c9135db0-26c4-47ec-8998-413945fb5a96\"\n"
	"}";

/* The attributes of "Amazon SNS subscription filter policies", and one of each other kind. */
static const char with_attributes[] =
	"{\"Type\":\"Notification\","
	"\"MessageId\":\"63a3f6b6-d533-4a47-aef9-fcf5cf758c76\","
	"\"TopicArn\":\"arn:aws:sns:us-west-2:123456789012:MyTopic\","
	"\"Message\":\"{\\\"to\\\":\\\"U1\\\",\\\"text\\\":\\\"\\u304a\\u65e9\\u3046\\\\n\\\"}\","
	"\"MessageAttributes\":{"
	"\"customer_interests\":{\"Type\":\"String.Array\","
	"\"Value\":\"[\\\"soccer\\\", \\\"rugby\\\", \\\"hockey\\\"]\"},"
	"\"store\":{\"Type\":\"String\",\"Value\":\"example_corp\"},"
	"\"price_usd\":{\"Type\":\"Number\",\"Value\":\"210.75\"},"
	"\"picture\":{\"Type\":\"Binary\",\"Value\":\"AP8i\"},"
	"\"IdempotencyKey\":{\"Type\":\"String\",\"Value\":\"order-17\"},"
	"\"Deadline\":{\"Type\":\"Number\",\"Value\":\"1767323045000\"}}}";

static const char unwrapped_body[] =
	"{\"to\":\"U1\",\"text\":\"\xe3\x81\x8a\xe6\x97\xa9\xe3\x81\x86\\n\"}";

static struct sqs_decoder decoder;
static struct json json;

static int setup(void **state)
{
	return sqs_decoder_init(&decoder);
}

static int teardown(void **state)
{
	sqs_decoder_free(&decoder);
	json_free(&json);
	return 0;
}

/* From memory that is exactly as long as the body. */
static int read_sns(const char *body, size_t len, struct envelope_sns *ret_sns)
{
	char *copy = malloc(len > 0 ? len : 1);
	int err;

	assert_non_null(copy);
	memcpy(copy, body, len);
	err = envelope_read_sns(&json, copy, len, ret_sns);
	free(copy);
	return err;
}

static void assert_read(const struct envelope_attribute *attribute, const char *name,
	const char *type, const char *value)
{
	assert_string_equal(attribute->name, name);
	assert_string_equal(attribute->type, type);
	assert_int_equal(attribute->value_bytes, strlen(value));
	assert_string_equal(attribute->value, value);
}

static void the_documented_notification(void **state)
{
	struct envelope_sns sns;

	assert_int_equal(read_sns(documented, strlen(documented), &sns), 0);
	assert_string_equal(sns.message, "Hello world!");
	assert_int_equal(sns.message_bytes, 12);
	assert_int_equal(sns.attribute_count, 0);
}

static void attributes_are_read(void **state)
{
	struct envelope_sns sns;

	assert_int_equal(read_sns(with_attributes, strlen(with_attributes), &sns), 0);
	assert_string_equal(sns.message, unwrapped_body);
	assert_int_equal(sns.message_bytes, strlen(unwrapped_body));
	/* What the worker reads comes first; the list is not there; Binary is not decoded yet. */
	assert_int_equal(sns.attribute_count, 5);
	assert_read(&sns.attributes[0], "IdempotencyKey", "String", "order-17");
	assert_read(&sns.attributes[1], "Deadline", "Number", "1767323045000");
	assert_read(&sns.attributes[2], "store", "String", "example_corp");
	assert_read(&sns.attributes[3], "price_usd", "Number", "210.75");
	assert_read(&sns.attributes[4], "picture", "Binary", "AP8i");
}

static void what_is_no_notification(void **state)
{
	static const char *const bodies[] = {"", " ", "hello", "{", "{}", "[]", "null", "\"x\"",
		"17", "{\"Type\":\"SubscriptionConfirmation\",\"Message\":\"You have chosen ...\"}",
		"{\"Type\":\"notification\",\"Message\":\"x\"}", "{\"Type\":1,\"Message\":\"x\"}",
		"{\"Type\":null,\"Message\":\"x\"}", "{\"type\":\"Notification\"}",
		"{\"Type\":\"Notification\\u0000\",\"Message\":\"x\"}",
		"[{\"Type\":\"Notification\",\"Message\":\"x\"}]",
		"{\"Type\":\"Notification\",\"Message\":\"x\"} x",
		"\xef\xbb\xbf{\"Type\":\"Notification\",\"Message\":\"x\"}",
		/* The last of a name counts. */
		"{\"Type\":\"Notification\",\"Message\":\"x\",\"Type\":\"Other\"}",
		/* No JSON: half a character, and half a surrogate pair. */
		"{\"Type\":\"Notification\",\"Message\":\"\xe3\x81\"}",
		"{\"Type\":\"Notification\",\"Message\":\"\\ud83d\"}",
		"{\"Type\":\"Notification\",\"Message\":\"\\udc4b\\ud83d\"}"};

	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		struct envelope_sns sns;

		assert_int_equal(read_sns(bodies[i], strlen(bodies[i]), &sns), ERR_NOT_FOUND);
	}
}

#define NOTIFICATION(rest) "{\"Type\":\"Notification\"," rest "}"
#define ATTRIBUTES(inside) NOTIFICATION("\"Message\":\"x\",\"MessageAttributes\":{" inside "}")

static void broken_notifications(void **state)
{
	static const char *const bodies[] = {"{\"Type\":\"Notification\"}",
		NOTIFICATION("\"Message\":null"), NOTIFICATION("\"Message\":\"\""),
		NOTIFICATION("\"Message\":{\"a\":1}"), NOTIFICATION("\"Message\":1"),
		NOTIFICATION("\"Message\":\"a\\u0000b\""),
		NOTIFICATION("\"Message\":\"a\\u0001b\""),
		NOTIFICATION("\"Message\":\"a\\uffffb\""),
		NOTIFICATION("\"Message\":\"x\",\"MessageAttributes\":[]"),
		NOTIFICATION("\"Message\":\"x\",\"MessageAttributes\":\"\""), ATTRIBUTES("\"a\":1"),
		ATTRIBUTES("\"a\":null"), ATTRIBUTES("\"a\":{}"),
		ATTRIBUTES("\"a\":{\"Value\":\"x\"}"), ATTRIBUTES("\"a\":{\"Type\":\"String\"}"),
		ATTRIBUTES("\"a\":{\"Type\":\"String\",\"Value\":1}"),
		ATTRIBUTES("\"a\":{\"Type\":\"Number\",\"Value\":1}"),
		ATTRIBUTES("\"a\":{\"Type\":\"String\",\"Value\":\"\"}"),
		ATTRIBUTES("\"a\":{\"Type\":\"String\",\"Value\":\"\\u0000\"}"),
		ATTRIBUTES("\"a\":{\"Type\":\"Binary\",\"Value\":\"\"}"),
		ATTRIBUTES("\"a\":{\"Type\":\"String\\u0000\",\"Value\":\"x\"}")};

	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		struct envelope_sns sns;

		assert_int_equal(read_sns(bodies[i], strlen(bodies[i]), &sns), ERR_SYNTAX);
	}
}

/* Names and types that SQS has not are left out, whatever their values. */
static void attributes_that_sqs_would_refuse(void **state)
{
	static const char *const inside[] = {"\"\":{\"Type\":\"String\",\"Value\":\"x\"}",
		"\".a\":{\"Type\":\"String\",\"Value\":\"x\"}",
		"\"a..b\":{\"Type\":\"String\",\"Value\":\"x\"}",
		"\"AWS.a\":{\"Type\":\"String\",\"Value\":\"x\"}",
		"\"a b\":{\"Type\":\"String\",\"Value\":\"x\"}",
		"\"a\\u0000\":{\"Type\":\"String\",\"Value\":\"x\"}",
		"\"\\u3042\":{\"Type\":\"String\",\"Value\":\"x\"}",
		"\"a\":{\"Type\":\"\",\"Value\":\"x\"}",
		"\"a\":{\"Type\":\"string\",\"Value\":\"x\"}",
		"\"a\":{\"Type\":\"Stringy\",\"Value\":\"x\"}",
		"\"a\":{\"Type\":\"String.Array\",\"Value\":[\"x\"]}",
		"\"a\":{\"Type\":\"Boolean\",\"Value\":true}"};

	for (size_t i = 0; i < COUNT_OF(inside); i++) {
		char body[256];
		struct envelope_sns sns;

		snprintf(body, sizeof(body), ATTRIBUTES("%s"), inside[i]);
		assert_int_equal(read_sns(body, strlen(body), &sns), 0);
		assert_int_equal(sns.attribute_count, 0);
	}
}

/* A topic may hold more than SQS: a deadline is never among what there is no room for. */
static void more_attributes_than_sqs_takes(void **state)
{
	struct buf body = BUF_INIT(65536);
	struct envelope_sns sns;

	buf_append_string(
		&body, "{\"Type\":\"Notification\",\"Message\":\"x\",\"MessageAttributes\":{");
	for (int i = 0; i < 100; i++)
		buf_appendf(&body, "\"a%d\":{\"Type\":\"String\",\"Value\":\"%d\"},", i, i);
	buf_append_string(&body, "\"Deadline\":{\"Type\":\"Number\",\"Value\":\"1\"},"
				 "\"traceparent\":{\"Type\":\"String\",\"Value\":\"t\"},"
				 "\"NotBefore\":{\"Type\":\"Number\",\"Value\":\"2\"}}}");
	assert_int_equal(read_sns(body.data, body.len, &sns), 0);
	assert_int_equal(sns.attribute_count, QUEUE_ATTRIBUTES_MAX);
	assert_read(&sns.attributes[0], "Deadline", "Number", "1");
	assert_read(&sns.attributes[1], "traceparent", "String", "t");
	assert_read(&sns.attributes[2], "NotBefore", "Number", "2");
	assert_read(&sns.attributes[3], "a0", "String", "0");
	assert_read(&sns.attributes[9], "a6", "String", "6");
	buf_free(&body);
}

static void repeated_names(void **state)
{
	static const char body[] =
		"{\"Type\":\"Other\",\"Message\":\"first\",\"Type\":\"Notification\",\"Message\":"
		"\"last\",\"MessageAttributes\":{\"gone\":{\"Type\":\"String\",\"Value\":\"1\"}},"
		"\"MessageAttributes\":{\"a\":{\"Type\":\"String\",\"Value\":\"1\"},"
		"\"b\":{\"Type\":\"String\",\"Value\":\"2\"},"
		"\"a\":{\"Type\":\"Number\",\"Value\":\"3\",\"Value\":\"4\"}}}";
	struct envelope_sns sns;

	assert_int_equal(read_sns(body, strlen(body), &sns), 0);
	assert_string_equal(sns.message, "last");
	assert_int_equal(sns.attribute_count, 2);
	assert_read(&sns.attributes[0], "a", "Number", "4");
	assert_read(&sns.attributes[1], "b", "String", "2");
}

static void every_truncation(void **state)
{
	static const char *const bodies[] = {documented, with_attributes};

	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		for (size_t len = 0; len < strlen(bodies[i]); len++) {
			struct envelope_sns sns;

			assert_int_equal(read_sns(bodies[i], len, &sns), ERR_NOT_FOUND);
		}
	}
}

static void deep_and_huge(void **state)
{
	struct buf body = BUF_INIT(8 << 20);
	struct envelope_sns sns;

	/* Deeper than the reader goes: no notification that SNS made. */
	buf_append_string(&body, "{\"Type\":\"Notification\",\"Message\":\"x\",\"y\":");
	for (int i = 0; i < 100000; i++)
		buf_append_char(&body, '[');
	assert_int_equal(read_sns(body.data, body.len, &sns), ERR_NOT_FOUND);
	buf_clear(&body);
	/* As many attributes as a mebibyte holds, none of them of use. */
	buf_append_string(
		&body, "{\"Type\":\"Notification\",\"Message\":\"x\",\"MessageAttributes\":{");
	while (body.len < 1 << 20)
		buf_append_string(&body, "\"\":{\"Type\":\"\"},");
	buf_append_string(&body, "\"a\":{\"Type\":\"String\",\"Value\":\"x\"}}}");
	assert_int_equal(read_sns(body.data, body.len, &sns), 0);
	assert_int_equal(sns.attribute_count, 1);
	buf_clear(&body);
	/* A message that fills the queue's own limit. */
	buf_append_string(&body, "{\"Type\":\"Notification\",\"Message\":\"");
	for (int i = 0; i < 1 << 20; i++)
		buf_append_char(&body, 'm');
	buf_append_string(&body, "\"}");
	assert_int_equal(read_sns(body.data, body.len, &sns), 0);
	assert_int_equal(sns.message_bytes, 1 << 20);
	buf_free(&body);
}

#define POINTER "[\"software.amazon.payloadoffloading.PayloadS3Pointer\"," PLACE "]"
#define OLD_POINTER "[\"com.amazon.sqs.javamessaging.MessageS3Pointer\"," PLACE "]"
#define PLACE                                           \
	"{\"s3BucketName\":\"extended-client-bucket\"," \
	"\"s3Key\":\"9cc30888-0e2e-40da-b594-c9ca2cd58722\"}"
#define REFUSED                                                  \
	"the body is in S3 (bucket extended-client-bucket, key " \
	"9cc30888-0e2e-40da-b594-c9ca2cd58722"                   \
	"): messages of the SQS extended client are not supported"

static int read_s3(const char *body, const char *attribute, struct envelope_s3 *ret_pointer)
{
	const struct queue_attribute size = {
		.name = attribute, .type = "Number", .value = "300000", .value_bytes = 6};
	const struct queue_message message = {.body = body,
		.body_bytes = strlen(body),
		.attributes = &size,
		.attribute_count = 1};

	return envelope_read_s3(&json, &message, ret_pointer);
}

static void s3_pointers(void **state)
{
	static const char *const bodies[] = {
		POINTER, OLD_POINTER, " [ \"any.Class\" , " PLACE " ] "};
	static const char *const names[] = {"ExtendedPayloadSize", "SQSLargePayloadSize"};

	for (size_t i = 0; i < COUNT_OF(bodies) * COUNT_OF(names); i++) {
		struct envelope_s3 pointer;

		assert_int_equal(read_s3(bodies[i / 2], names[i % 2], &pointer), 0);
		assert_string_equal(pointer.bucket, "extended-client-bucket");
		assert_int_equal(pointer.bucket_bytes, strlen("extended-client-bucket"));
		assert_string_equal(pointer.key, "9cc30888-0e2e-40da-b594-c9ca2cd58722");
		assert_int_equal(pointer.key_bytes, 36);
		assert_int_equal(read_s3(bodies[i / 2], "PayloadSize", &pointer), ERR_NOT_FOUND);
	}
	for (size_t len = 0; len < strlen(POINTER); len++) {
		char body[sizeof(POINTER)];
		struct envelope_s3 pointer;

		memcpy(body, POINTER, len);
		body[len] = '\0';
		assert_int_equal(read_s3(body, names[0], &pointer), ERR_NOT_FOUND);
	}
}

static void what_is_no_s3_pointer(void **state)
{
	static const char *const bodies[] = {"", "[]", "{}", PLACE, "[" PLACE "]", "[1," PLACE "]",
		"[null," PLACE "]", "[\"c\"," PLACE ",1]", "[\"c\",[\"x\"]]",
		"[\"c\",{\"s3BucketName\":\"b\"}]", "[\"c\",{\"s3Key\":\"k\"}]",
		"[\"c\",{\"s3BucketName\":1,\"s3Key\":\"k\"}]",
		"[\"c\",{\"s3BucketName\":\"b\",\"s3Key\":null}]", "[\"c\",\"d\"]"};

	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		struct envelope_s3 pointer;

		assert_int_equal(
			read_s3(bodies[i], "ExtendedPayloadSize", &pointer), ERR_NOT_FOUND);
	}
}

/* An answer of one message. attributes: the inside of MessageAttributes. */
static struct queue_batch *received(
	enum sqs_unwrap unwrap, const char *body, size_t body_bytes, const char *attributes)
{
	struct buf answer = BUF_INIT(16 << 20);
	struct queue_batch *batch = NULL;
	struct sqs_dropped dropped;

	buf_append_string(&answer, "{\"Messages\":[{\"MessageId\":\"m-2\",\"ReceiptHandle\":\"r\","
				   "\"Body\":\"");
	buf_append_json(&answer, body, body_bytes);
	buf_appendf(&answer, "\",\"MessageAttributes\":{%s}}]}", attributes);
	assert_int_equal(answer.err, 0);
	assert_int_equal(sqs_decode_receive(
				 &decoder, URL, unwrap, answer.data, answer.len, &batch, &dropped),
		0);
	assert_string_equal(dropped.detail, "");
	assert_int_equal(batch->count, 1);
	buf_free(&answer);
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

static void assert_unwrapped(const struct queue_message *message)
{
	assert_null(message->refused);
	assert_int_equal(message->body_bytes, strlen(unwrapped_body));
	assert_string_equal(message->body, unwrapped_body);
	assert_int_equal(message->attribute_count, 5);
	assert_attribute(&message->attributes[0], "IdempotencyKey", "String", "order-17", 8);
	assert_attribute(&message->attributes[1], "Deadline", "Number", "1767323045000", 13);
	assert_attribute(&message->attributes[2], "store", "String", "example_corp", 12);
	assert_attribute(&message->attributes[3], "price_usd", "Number", "210.75", 6);
	assert_attribute(&message->attributes[4], "picture", "Binary", "\0\xff\"", 3);
	assert_string_equal(message->idempotency_key, "order-17");
}

/* The batch holds all of it: the decoder may be used, and be gone. */
static void a_received_notification(void **state)
{
	struct queue_batch *batches[3];

	for (int i = 0; i < 3; i++)
		batches[i] = received(SQS_UNWRAP_SNS, with_attributes, strlen(with_attributes), "");
	sqs_decoder_free(&decoder);
	for (int i = 0; i < 3; i++) {
		const struct sqs_batch *batch = (const struct sqs_batch *)batches[i];

		assert_unwrapped(&batches[i]->messages[0]);
		assert_int_equal(batches[i]->bytes, sizeof(*batch) + batch->strings_capacity);
		queue_batch_unref(batches[i]);
	}
	assert_int_equal(sqs_decoder_init(&decoder), 0);
}

/* Off unless asked for. */
static void no_unwrapping(void **state)
{
	struct queue_batch *batch =
		received(SQS_UNWRAP_NONE, with_attributes, strlen(with_attributes), "");

	assert_string_equal(batch->messages[0].body, with_attributes);
	assert_int_equal(batch->messages[0].attribute_count, 0);
	assert_string_equal(
		batch->messages[0].idempotency_key, "8b64f27c-71ee-5e62-95b3-892e5c2bfa82");
	queue_batch_unref(batch);
}

static void other_bodies_stay(void **state)
{
	static const char *const bodies[] = {
		"", "hello", "{\"to\":\"U1\"}", "[1]", "{\"Type\":\"UnsubscribeConfirmation\"}"};

	for (size_t i = 0; i < COUNT_OF(bodies); i++) {
		struct queue_batch *batch = received(SQS_UNWRAP_SNS, bodies[i], strlen(bodies[i]),
			"\"a\":{\"DataType\":\"String\",\"StringValue\":\"x\"}");

		assert_null(batch->messages[0].refused);
		assert_string_equal(batch->messages[0].body, bodies[i]);
		assert_int_equal(batch->messages[0].attribute_count, 1);
		queue_batch_unref(batch);
	}
}

static void the_messages_own_attributes_win(void **state)
{
	struct queue_batch *batch =
		received(SQS_UNWRAP_SNS, with_attributes, strlen(with_attributes),
			"\"store\":{\"DataType\":\"String\",\"StringValue\":\"own\"},"
			"\"IdempotencyKey\":{\"DataType\":\"String\",\"StringValue\":\"own key\"}");
	const struct queue_message *message = &batch->messages[0];

	assert_int_equal(message->attribute_count, 5);
	assert_attribute(&message->attributes[0], "store", "String", "own", 3);
	assert_attribute(&message->attributes[1], "IdempotencyKey", "String", "own key", 7);
	assert_attribute(&message->attributes[2], "Deadline", "Number", "1767323045000", 13);
	assert_attribute(&message->attributes[3], "price_usd", "Number", "210.75", 6);
	assert_attribute(&message->attributes[4], "picture", "Binary", "\0\xff\"", 3);
	assert_string_equal(message->idempotency_key, "own key");
	queue_batch_unref(batch);
}

/* Ten in all: the message's own, then as many as there is room for. */
static void ten_attributes_in_all(void **state)
{
	struct buf own = BUF_INIT(4096);
	struct queue_batch *batch;

	for (int i = 0; i < 9; i++)
		buf_appendf(&own, "%s\"o%d\":{\"DataType\":\"String\",\"StringValue\":\"x\"}",
			i > 0 ? "," : "", i);
	batch = received(SQS_UNWRAP_SNS, with_attributes, strlen(with_attributes), own.data);
	assert_int_equal(batch->messages[0].attribute_count, QUEUE_ATTRIBUTES_MAX);
	assert_attribute(&batch->messages[0].attributes[8], "o8", "String", "x", 1);
	assert_attribute(
		&batch->messages[0].attributes[9], "IdempotencyKey", "String", "order-17", 8);
	queue_batch_unref(batch);
	buf_free(&own);
}

/* The texts fill the body's place to its last byte. */
static void the_tightest_notification(void **state)
{
	static const char body[] =
		"{\"Type\":\"Notification\",\"Message\":\"m\","
		"\"MessageAttributes\":{\"a\":{\"Type\":\"String\",\"Value\":\"v\"}}}";
	struct queue_batch *batch = received(SQS_UNWRAP_SNS, body, strlen(body), "");

	assert_string_equal(batch->messages[0].body, "m");
	assert_int_equal(batch->messages[0].attribute_count, 1);
	assert_attribute(&batch->messages[0].attributes[0], "a", "String", "v", 1);
	queue_batch_unref(batch);
}

static void broken_ones_are_refused(void **state)
{
	static const struct {
		const char *body, *refused;
	} rows[] = {
		{"{\"Type\":\"Notification\"}",
			"the body is an SNS notification without a Message, or with an attribute, "
			"that SQS could hold"},
		{ATTRIBUTES("\"a\":{\"Type\":\"Binary\",\"Value\":\"AP8\"}"),
			"the body is an SNS notification with a Binary attribute that is not "
			"base64"},
		{ATTRIBUTES("\"a\":{\"Type\":\"Binary\",\"Value\":\"====\"}"),
			"the body is an SNS notification with a Binary attribute that is not "
			"base64"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		struct queue_batch *batch =
			received(SQS_UNWRAP_SNS, rows[i].body, strlen(rows[i].body), "");

		assert_string_equal(batch->messages[0].refused, rows[i].refused);
		assert_string_equal(batch->messages[0].body, rows[i].body);
		assert_int_equal(batch->messages[0].attribute_count, 0);
		queue_batch_unref(batch);
		batch = received(SQS_UNWRAP_NONE, rows[i].body, strlen(rows[i].body), "");
		assert_null(batch->messages[0].refused);
		queue_batch_unref(batch);
	}
}

#define SIZE(name) "\"" name "\":{\"DataType\":\"Number\",\"StringValue\":\"300000\"}"

static void s3_pointers_are_refused(void **state)
{
	static const struct {
		const char *body, *attributes;
	} rows[] = {
		{POINTER, SIZE("ExtendedPayloadSize")}, {OLD_POINTER, SIZE("SQSLargePayloadSize")}};

	for (size_t i = 0; i < 2 * COUNT_OF(rows); i++) {
		struct queue_batch *batch = received(i % 2 ? SQS_UNWRAP_SNS : SQS_UNWRAP_NONE,
			rows[i / 2].body, strlen(rows[i / 2].body), rows[i / 2].attributes);

		assert_string_equal(batch->messages[0].refused, REFUSED);
		assert_string_equal(batch->messages[0].body, rows[i / 2].body);
		assert_int_equal(batch->messages[0].attribute_count, 1);
		queue_batch_unref(batch);
		batch = received(SQS_UNWRAP_NONE, rows[i / 2].body, strlen(rows[i / 2].body), "");
		assert_null(batch->messages[0].refused);
		queue_batch_unref(batch);
	}
}

static const char pointer_inside[] =
	NOTIFICATION("\"Message\":\"[\\\"software.amazon.payloadoffloading.PayloadS3Pointer"
		     "\\\",{\\\"s3BucketName\\\":\\\"extended-client-bucket\\\","
		     "\\\"s3Key\\\":\\\"9cc30888-0e2e-40da-b594-c9ca2cd58722\\\"}]\","
		     "\"MessageAttributes\":{\"ExtendedPayloadSize\":{\"Type\":\"Number\","
		     "\"Value\":\"300000\"}}");

/* The extended client of SNS: the pointer is in the notification, which stays as it is. */
static void an_s3_pointer_in_a_notification(void **state)
{
	struct queue_batch *batch =
		received(SQS_UNWRAP_SNS, pointer_inside, strlen(pointer_inside), "");

	assert_string_equal(batch->messages[0].refused, REFUSED);
	assert_string_equal(batch->messages[0].body, pointer_inside);
	assert_int_equal(batch->messages[0].attribute_count, 0);
	queue_batch_unref(batch);
}

/* Names are cut at a character, and hold nothing that could do harm on a terminal. */
static void names_in_a_refusal(void **state)
{
	static const struct {
		const char *bucket, *key, *refused;
	} rows[] = {
		{"b\\n\\u001b[2Jx\\u0000\\u007f\\u009bm", "k",
			"the body is in S3 (bucket b  [2Jx   m, key k): messages of the SQS "
			"extended "
			"client are not supported"},
		{"", "",
			"the body is in S3 (bucket , key ): messages of the SQS extended client "
			"are "
			"not supported"},
		{"0123456789012345678901234567890123456789012345678901234567890123", "k",
			"the body is in S3 (bucket "
			"012345678901234567890123456789012345678901234567890123456789012..., key "
			"k): messages of the SQS extended client are not supported"},
		{"b",
			"\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d"
			"\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d"
			"0123456789012345678901234567890123456789012345678901\xe6\x9c\x9d!",
			"the body is in S3 (bucket b, key "
			"\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d"
			"\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d\xe6\x9c\x9d"
			"0123456789012345678901234567890123456789012345678901...): messages of the "
			"SQS extended client are not supported"},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char body[512];
		struct queue_batch *batch;

		snprintf(body, sizeof(body), "[\"c\",{\"s3BucketName\":\"%s\",\"s3Key\":\"%s\"}]",
			rows[i].bucket, rows[i].key);
		batch = received(SQS_UNWRAP_NONE, body, strlen(body), SIZE("ExtendedPayloadSize"));
		assert_string_equal(batch->messages[0].refused, rows[i].refused);
		queue_batch_unref(batch);
	}
}

/* Ten refusals in one batch keep apart. */
static void a_batch_of_refusals(void **state)
{
	struct buf answer = BUF_INIT(65536);
	struct queue_batch *batch = NULL;
	struct sqs_dropped dropped;

	buf_append_string(&answer, "{\"Messages\":[");
	for (int i = 0; i < QUEUE_BATCH_MAX; i++)
		buf_appendf(&answer,
			"%s{\"MessageId\":\"m%d\",\"ReceiptHandle\":\"r\",\"Body\":"
			"\"[\\\"c\\\",{\\\"s3BucketName\\\":\\\"b%d\\\",\\\"s3Key\\\":\\\"k\\\"}]"
			"\","
			"\"MessageAttributes\":{" SIZE("ExtendedPayloadSize") "}}",
			i > 0 ? "," : "", i, i);
	buf_append_string(&answer, "]}");
	assert_int_equal(sqs_decode_receive(&decoder, URL, SQS_UNWRAP_SNS, answer.data, answer.len,
				 &batch, &dropped),
		0);
	assert_int_equal(batch->count, QUEUE_BATCH_MAX);
	for (int i = 0; i < QUEUE_BATCH_MAX; i++) {
		char expected[160];

		snprintf(expected, sizeof(expected),
			"the body is in S3 (bucket b%d, key k): messages of the SQS extended "
			"client "
			"are not supported",
			i);
		assert_string_equal(batch->messages[i].refused, expected);
	}
	queue_batch_unref(batch);
	buf_free(&answer);
}

/* The digests are those of what was received, not of what was in it. */
static void digests_are_of_what_was_received(void **state)
{
	static const char answer[] =
		"{\"Messages\":[{\"MessageId\":\"m-1\",\"ReceiptHandle\":\"r\",\"Body\":"
		"\"{\\\"Type\\\":\\\"Notification\\\",\\\"Message\\\":\\\"hello\\\"}\","
		"\"MD5OfBody\":\"%s\"}]}";
	static const struct {
		const char *md5;
		size_t count;
	} rows[] = {
		/* hashlib.md5(b'{"Type":"Notification","Message":"hello"}'), then of b'hello'. */
		{"5c95fe3de8728fd419631009c3836a16", 1},
		{"5d41402abc4b2a76b9719d911017c592", 0},
	};

	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		char text[512];
		struct queue_batch *batch = NULL;
		struct sqs_dropped dropped;
		size_t len = 0;

		for (const char *p = answer; *p != '\0'; p++) {
			if (p[0] == '%' && p[1] == 's') {
				memcpy(text + len, rows[i].md5, 32);
				len += 32;
				p++;
			} else {
				text[len++] = *p;
			}
		}
		assert_int_equal(sqs_decode_receive(&decoder, URL, SQS_UNWRAP_SNS, text, len,
					 &batch, &dropped),
			0);
		assert_int_equal(batch->count, rows[i].count);
		assert_int_equal(dropped.corrupted, 1 - rows[i].count);
		if (batch->count > 0)
			assert_string_equal(batch->messages[0].body, "hello");
		queue_batch_unref(batch);
	}
}

/* Unwrapping costs no allocation once its parser has grown; an odd body's memory is not kept. */
static void memory(void **state)
{
	struct buf large = BUF_INIT(4 << 20);
	struct buf answer = BUF_INIT(65536);
	struct sqs_dropped dropped;

	buf_append_string(
		&large, "{\"Type\":\"Notification\",\"Message\":\"x\",\"MessageAttributes\":{");
	while (large.len < 1 << 20)
		buf_append_string(&large, "\"\":{\"Type\":\"\"},");
	buf_append_string(&large, "\"a\":{\"Type\":\"String\",\"Value\":\"x\"}}}");
	queue_batch_unref(received(SQS_UNWRAP_SNS, large.data, large.len, ""));
	assert_int_equal(decoder.envelope.capacity, 0);
	assert_int_equal(decoder.envelope.strings_capacity, 0);
	buf_free(&large);

	buf_append_string(&answer, "{\"Messages\":[{\"MessageId\":\"m-2\",\"ReceiptHandle\":\"r\","
				   "\"Body\":\"");
	buf_append_json(&answer, with_attributes, strlen(with_attributes));
	buf_append_string(&answer, "\"}]}");
	for (int i = 0; i < 100; i++) {
		struct queue_batch *batch = NULL;

		if (i > 0)
			failmalloc_arm(1);
		assert_int_equal(sqs_decode_receive(&decoder, URL, SQS_UNWRAP_SNS, answer.data,
					 answer.len, &batch, &dropped),
			0);
		assert_false(failmalloc_disarm());
		assert_unwrapped(&batch->messages[0]);
		queue_batch_unref(batch);
	}
	buf_free(&answer);
}

/* Never handed on half unwrapped, nor as the pointer that it is. */
static int receive_afresh(void *arg)
{
	struct sqs_decoder fresh = {0};
	struct sqs_dropped dropped;
	struct queue_batch *batch = NULL;
	int err = sqs_decoder_init(&fresh);

	if (err == 0)
		err = sqs_decode_receive(
			&fresh, URL, SQS_UNWRAP_SNS, arg, strlen(arg), &batch, &dropped);
	if (err == 0) {
		assert_string_equal(batch->messages[0].refused, REFUSED);
		queue_batch_unref(batch);
	}
	sqs_decoder_free(&fresh);
	return err;
}

static void out_of_memory(void **state)
{
	struct buf answer = BUF_INIT(65536);

	buf_append_string(&answer, "{\"Messages\":[{\"MessageId\":\"m-2\",\"ReceiptHandle\":\"r\","
				   "\"Body\":\"");
	buf_append_json(&answer, pointer_inside, strlen(pointer_inside));
	buf_append_string(&answer, "\"}]}");
	/* The pool, a batch, and three parsers' two areas each. */
	assert_int_equal(failmalloc_sweep(receive_afresh, answer.data), 8);
	buf_free(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_documented_notification),
		cmocka_unit_test(attributes_are_read),
		cmocka_unit_test(what_is_no_notification),
		cmocka_unit_test(broken_notifications),
		cmocka_unit_test(attributes_that_sqs_would_refuse),
		cmocka_unit_test(more_attributes_than_sqs_takes),
		cmocka_unit_test(repeated_names),
		cmocka_unit_test(every_truncation),
		cmocka_unit_test(deep_and_huge),
		cmocka_unit_test(s3_pointers),
		cmocka_unit_test(what_is_no_s3_pointer),
		cmocka_unit_test(a_received_notification),
		cmocka_unit_test(no_unwrapping),
		cmocka_unit_test(other_bodies_stay),
		cmocka_unit_test(the_messages_own_attributes_win),
		cmocka_unit_test(ten_attributes_in_all),
		cmocka_unit_test(the_tightest_notification),
		cmocka_unit_test(broken_ones_are_refused),
		cmocka_unit_test(s3_pointers_are_refused),
		cmocka_unit_test(an_s3_pointer_in_a_notification),
		cmocka_unit_test(names_in_a_refusal),
		cmocka_unit_test(a_batch_of_refusals),
		cmocka_unit_test(digests_are_of_what_was_received),
		cmocka_unit_test(memory),
		cmocka_unit_test(out_of_memory),
	};

	return cmocka_run_group_tests_name("envelope", tests, setup, teardown);
}
