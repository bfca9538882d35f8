#include "localq/queue_attributes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct problem problem;
/* Reused from text to text, as a call's is. */
static struct json tree;

static const struct json_value *parse(const char *text)
{
	assert_int_equal(json_parse(&tree, text, strlen(text)), 0);
	return json_root(&tree);
}

static enum fault read_map(const char *text, struct queue_attributes *into, uint32_t *given)
{
	const struct json_value *map = parse(text);
	enum fault fault;

	fault = queue_attributes_read(map, false, into, given, &problem);
	return fault;
}

static enum fault read_one(const char *json)
{
	struct queue_attributes attributes = {{NULL}};
	uint32_t given;
	enum fault fault = read_map(json, &attributes, &given);

	queue_attributes_free(&attributes);
	return fault;
}

static void defaults(void **state)
{
	static const struct {
		enum queue_attribute attribute;
		const char *text;
	} table[] = {
		{QUEUE_ATTRIBUTE_VISIBILITY_TIMEOUT, "30"},
		{QUEUE_ATTRIBUTE_DELAY_SECONDS, "0"},
		{QUEUE_ATTRIBUTE_MAXIMUM_MESSAGE_SIZE, "1048576"},
		{QUEUE_ATTRIBUTE_RETENTION_PERIOD, "345600"},
		{QUEUE_ATTRIBUTE_WAIT_TIME_SECONDS, "0"},
		{QUEUE_ATTRIBUTE_SSE, "true"},
	};
	struct queue_attributes attributes = {{NULL}};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_string_equal(
			queue_attribute_text(&attributes, table[i].attribute), table[i].text);
	assert_null(queue_attribute_text(&attributes, QUEUE_ATTRIBUTE_REDRIVE_POLICY));
	assert_int_equal(
		queue_attribute_int(&attributes, QUEUE_ATTRIBUTE_RETENTION_PERIOD), 345600);
}

static void names(void **state)
{
	for (unsigned i = 0; i < QUEUE_ATTRIBUTE_COUNT; i++)
		assert_int_equal(queue_attribute_find(queue_attribute_name(i)), i);
	assert_int_equal(queue_attribute_find("visibilitytimeout"), QUEUE_ATTRIBUTE_COUNT);
	assert_int_equal(queue_attribute_find(""), QUEUE_ATTRIBUTE_COUNT);
}

static void ranges(void **state)
{
	static const struct {
		const char *name;
		long min, max;
	} table[] = {
		{"VisibilityTimeout", 0, 43200},
		{"DelaySeconds", 0, 900},
		{"MaximumMessageSize", 1024, 1048576},
		{"MessageRetentionPeriod", 60, 1209600},
		{"ReceiveMessageWaitTimeSeconds", 0, 20},
		{"KmsDataKeyReusePeriodSeconds", 60, 86400},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const long values[] = {
			table[i].min, table[i].max, table[i].min - 1, table[i].max + 1};

		for (size_t j = 0; j < 4; j++) {
			char json[128];
			enum fault expected = j < 2 ? FAULT_NONE : FAULT_INVALID_ATTRIBUTE_VALUE;

			snprintf(json, sizeof(json), "{\"%s\":\"%ld\"}", table[i].name, values[j]);
			if (read_one(json) != expected)
				fail_msg("%s: %s", json, problem.message);
		}
	}
}

static void refusals(void **state)
{
	static const struct {
		const char *json;
		enum fault fault;
	} table[] = {
		{"{\"Nope\":\"1\"}", FAULT_INVALID_ATTRIBUTE_NAME},
		{"{\"QueueArn\":\"x\"}", FAULT_INVALID_ATTRIBUTE_NAME},
		{"{\"ApproximateNumberOfMessages\":\"1\"}", FAULT_INVALID_ATTRIBUTE_NAME},
		{"{\"VisibilityTimeout\":30}", FAULT_SERIALIZATION},
		{"{\"VisibilityTimeout\":null}", FAULT_SERIALIZATION},
		{"{\"VisibilityTimeout\":\"\"}", FAULT_INVALID_ATTRIBUTE_VALUE},
		{"{\"VisibilityTimeout\":\"3O\"}", FAULT_INVALID_ATTRIBUTE_VALUE},
		{"{\"VisibilityTimeout\":\"30.0\"}", FAULT_INVALID_ATTRIBUTE_VALUE},
		{"{\"SqsManagedSseEnabled\":\"yes\"}", FAULT_INVALID_ATTRIBUTE_VALUE},
		{"{\"Policy\":\"[]\"}", FAULT_INVALID_ATTRIBUTE_VALUE},
		{"{\"Policy\":\"{} x\"}", FAULT_INVALID_ATTRIBUTE_VALUE},
		{"{\"RedrivePolicy\":\"x\"}", FAULT_INVALID_ATTRIBUTE_VALUE},
		{"{\"RedrivePolicy\":\"{}\"}", FAULT_INVALID_PARAMETER_VALUE},
		{"{\"RedriveAllowPolicy\":\"{}\"}", FAULT_INVALID_ATTRIBUTE_VALUE},
		{"{\"KmsMasterKeyId\":\"k\",\"SqsManagedSseEnabled\":\"true\"}",
			FAULT_INVALID_ATTRIBUTE_NAME},
		{"{\"KmsMasterKeyId\":\"k\",\"SqsManagedSseEnabled\":\"false\"}", FAULT_NONE},
		{"{\"KmsMasterKeyId\":\"\",\"SqsManagedSseEnabled\":\"true\"}", FAULT_NONE},
		{"{\"FifoQueue\":\"true\"}", FAULT_INVALID_ATTRIBUTE_NAME},
		{"{\"ContentBasedDeduplication\":\"true\"}", FAULT_INVALID_ATTRIBUTE_NAME},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (read_one(table[i].json) != table[i].fault)
			fail_msg("%s: %s", table[i].json, problem.message);
}

static void given_and_normalised(void **state)
{
	struct queue_attributes attributes = {{NULL}};
	uint32_t given;

	assert_int_equal(read_map("{\"DelaySeconds\":\"007\",\"Policy\":\"{}\",\"KmsMasterKeyId\":"
				  "\"alias\",\"VisibilityTimeout\":\"000\"}",
				 &attributes, &given),
		FAULT_NONE);
	assert_int_equal(given, 1u << QUEUE_ATTRIBUTE_DELAY_SECONDS | 1u << QUEUE_ATTRIBUTE_POLICY |
					1u << QUEUE_ATTRIBUTE_KMS_KEY |
					1u << QUEUE_ATTRIBUTE_VISIBILITY_TIMEOUT);
	assert_string_equal(queue_attribute_text(&attributes, QUEUE_ATTRIBUTE_DELAY_SECONDS), "7");
	assert_string_equal(
		queue_attribute_text(&attributes, QUEUE_ATTRIBUTE_VISIBILITY_TIMEOUT), "0");
	/* "" takes a policy away again. */
	assert_int_equal(read_map("{\"Policy\":\"\"}", &attributes, &given), FAULT_NONE);
	assert_null(queue_attribute_text(&attributes, QUEUE_ATTRIBUTE_POLICY));
	assert_string_equal(queue_attribute_text(&attributes, QUEUE_ATTRIBUTE_KMS_KEY), "alias");
	queue_attributes_free(&attributes);
}

static void a_key_turns_the_other_encryption_off(void **state)
{
	struct queue_attributes attributes = {{NULL}};
	uint32_t given;

	assert_int_equal(read_map("{\"KmsMasterKeyId\":\"k\"}", &attributes, &given), FAULT_NONE);
	assert_string_equal(queue_attribute_text(&attributes, QUEUE_ATTRIBUTE_SSE), "false");
	assert_int_equal(read_map("{\"KmsMasterKeyId\":\"\"}", &attributes, &given), FAULT_NONE);
	assert_string_equal(queue_attribute_text(&attributes, QUEUE_ATTRIBUTE_SSE), "false");
	queue_attributes_free(&attributes);
}

static void attributes_of_fifo_queues(void **state)
{
	static const struct {
		const char *json;
		enum fault fault;
	} table[] = {
		{"{\"FifoQueue\":\"true\"}", FAULT_NONE},
		{"{\"FifoQueue\":\"false\"}", FAULT_INVALID_ATTRIBUTE_VALUE},
		{"{\"ContentBasedDeduplication\":\"true\"}", FAULT_NONE},
		{"{\"ContentBasedDeduplication\":\"yes\"}", FAULT_INVALID_ATTRIBUTE_VALUE},
		{"{\"DeduplicationScope\":\"queue\"}", FAULT_NONE},
		{"{\"DeduplicationScope\":\"messageGroup\"}", FAULT_NONE},
		{"{\"DeduplicationScope\":\"group\"}", FAULT_INVALID_ATTRIBUTE_VALUE},
		{"{\"FifoThroughputLimit\":\"perQueue\"}", FAULT_NONE},
		{"{\"FifoThroughputLimit\":\"perMessageGroupId\"}", FAULT_INVALID_ATTRIBUTE_VALUE},
		{"{\"FifoThroughputLimit\":\"perMessageGroupId\","
		 "\"DeduplicationScope\":\"messageGroup\"}",
			FAULT_NONE},
		{"{\"FifoThroughputLimit\":\"x\"}", FAULT_INVALID_ATTRIBUTE_VALUE},
	};
	struct queue_attributes attributes = {{NULL}};
	uint32_t given;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (queue_attributes_read(parse(table[i].json), true, &attributes, &given,
			    &problem) != table[i].fault)
			fail_msg("%s: %s", table[i].json, problem.message);
		queue_attributes_free(&attributes);
	}
	assert_int_equal(queue_attributes_read(parse("{\"DeduplicationScope\":\"messageGroup\"}"),
				 true, &attributes, &given, &problem),
		FAULT_NONE);
	assert_int_equal(queue_attributes_complete_fifo(&attributes), 0);
	assert_string_equal(queue_attribute_text(&attributes, QUEUE_ATTRIBUTE_FIFO_QUEUE), "true");
	assert_string_equal(
		queue_attribute_text(&attributes, QUEUE_ATTRIBUTE_CONTENT_DEDUPLICATION), "false");
	assert_string_equal(queue_attribute_text(&attributes, QUEUE_ATTRIBUTE_DEDUPLICATION_SCOPE),
		"messageGroup");
	assert_string_equal(
		queue_attribute_text(&attributes, QUEUE_ATTRIBUTE_THROUGHPUT_LIMIT), "perQueue");
	queue_attributes_free(&attributes);
}

/* SQS quotas: 8,192 bytes. */
static void a_policy_that_is_too_long(void **state)
{
	char json[8300];

	for (int bytes = 8192; bytes <= 8193; bytes++) {
		enum fault expected = bytes == 8192 ? FAULT_NONE : FAULT_INVALID_ATTRIBUTE_VALUE;

		snprintf(json, sizeof(json), "{\"Policy\":\"%*s\"}", bytes, "{}");
		assert_int_equal(read_one(json), expected);
	}
	assert_string_equal(problem.message,
		"Invalid value for the parameter Policy. Reason: It has more than 8192 bytes.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_turns_the_other_encryption_off),
		cmocka_unit_test(attributes_of_fifo_queues),
		cmocka_unit_test(defaults),
		cmocka_unit_test(names),
		cmocka_unit_test(ranges),
		cmocka_unit_test(refusals),
		cmocka_unit_test(given_and_normalised),
		cmocka_unit_test(a_policy_that_is_too_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
