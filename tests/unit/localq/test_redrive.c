/* RedrivePolicy and RedriveAllowPolicy: what is refused, with which words, and what they do. */
#include "world.h"

#include "bunshin/error.h"
#include "localq/redrive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ARN "arn:aws:sqs:us-east-1:000000000000:"

static void redrive_policies(void **state)
{
#define TARGET "\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:dead\""
	static const struct {
		const char *text;
		unsigned receives; /* 0: refused */
	} table[] = {
		{"{" TARGET ",\"maxReceiveCount\":1}", 1},
		{"{" TARGET ",\"maxReceiveCount\":\"5\"}", 5},
		{"{" TARGET ",\"maxReceiveCount\":1000}", 1000},
		{"{" TARGET ",\"maxReceiveCount\":1001}", 0},
		{"{" TARGET ",\"maxReceiveCount\":0}", 0},
		{"{" TARGET ",\"maxReceiveCount\":-1}", 0},
		{"{" TARGET ",\"maxReceiveCount\":1.5}", 0},
		{"{" TARGET ",\"maxReceiveCount\":1e99}", 0},
		{"{" TARGET ",\"maxReceiveCount\":\"\"}", 0},
		{"{" TARGET ",\"maxReceiveCount\":\"1001\"}", 0},
		{"{" TARGET "}", 0},
		{"{\"maxReceiveCount\":1}", 0},
		{"{\"deadLetterTargetArn\":1,\"maxReceiveCount\":1}", 0},
		{"{\"deadLetterTargetArn\":\"dead\",\"maxReceiveCount\":1}", 0},
		{"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:0:\",\"maxReceiveCount\":1}", 0},
		{"{\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:0:a b\",\"maxReceiveCount\":1}",
			0},
		{"{\"deadLetterTargetArn\":\"arn:aws:sqs:x:us-east-1:0:a\",\"maxReceiveCount\":1}",
			0},
		{"{" TARGET ",\"maxReceiveCount\":1} x", 0},
		{"[]", 0},
		{"x", 0},
	};
#undef TARGET
	struct redrive redrive;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		bool taken = redrive_parse(table[i].text, &redrive) == 0;

		if (taken != (table[i].receives > 0) ||
			(taken && redrive.max_receives != table[i].receives))
			fail_msg("%s is judged wrongly", table[i].text);
		if (taken)
			assert_string_equal(redrive.dead_letter_queue, "dead");
	}
	assert_int_equal(redrive_parse(NULL, &redrive), 0);
	assert_int_equal(redrive.max_receives, 0);
	assert_int_equal(redrive_parse("", &redrive), 0);
	assert_int_equal(redrive.max_receives, 0);
}

struct row {
	const char *policy;
	enum fault fault;
	const char *words; /* the whole message, or what is behind "Reason: " */
};

static void check_words(enum fault (*check)(const char *, struct problem *), const char *name,
	const struct row *rows, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct problem problem = {.fault = FAULT_NONE};
		enum fault fault = check(rows[i].policy, &problem);
		char expected[PROBLEM_MESSAGE_MAX] = "";

		if (rows[i].fault == FAULT_INVALID_PARAMETER_VALUE)
			snprintf(expected, sizeof(expected),
				"Value %s for parameter %s is invalid. Reason: %s", rows[i].policy,
				name, rows[i].words);
		else if (rows[i].fault == FAULT_INVALID_ATTRIBUTE_VALUE)
			snprintf(expected, sizeof(expected),
				"Invalid value for the parameter %s. Reason: %s", name,
				rows[i].words);
		if (fault != rows[i].fault || strcmp(problem.message, expected) != 0)
			fail_msg("%s: %s", rows[i].policy, problem.message);
	}
}

/* What other people recorded of SQS. */
static void words_about_a_redrive_policy(void **state)
{
#define MAP "Redrive policy is not a valid JSON map."
#define RANGE(value)                                \
	"Invalid value for maxReceiveCount: " value \
	", valid values are from 1 to 1000 both inclusive."
#define MISSING(name) "Redrive policy does not contain mandatory attribute: " name "."
#define FULL "Dead-letter target ARN should be fully qualified ARN."
#define TARGET "\"deadLetterTargetArn\":\"arn:aws:sqs:us-east-1:000000000000:dead\""
	static const struct row rows[] = {
		{"", FAULT_NONE, NULL},
		{"{" TARGET ",\"maxReceiveCount\":\"5\"}", FAULT_NONE, NULL},
		{"[]", FAULT_INVALID_ATTRIBUTE_VALUE, MAP},
		{"4", FAULT_INVALID_ATTRIBUTE_VALUE, MAP},
		{" ", FAULT_INVALID_ATTRIBUTE_VALUE, MAP},
		{"{} x", FAULT_INVALID_ATTRIBUTE_VALUE, MAP},
		{"{}", FAULT_INVALID_PARAMETER_VALUE, MISSING("maxReceiveCount")},
		{"{" TARGET "}", FAULT_INVALID_PARAMETER_VALUE, MISSING("maxReceiveCount")},
		{"{\"maxReceiveCount\":5}", FAULT_INVALID_PARAMETER_VALUE,
			MISSING("deadLetterTargetArn")},
		{"{" TARGET ",\"maxReceiveCount\":-36}", FAULT_INVALID_PARAMETER_VALUE,
			RANGE("-36")},
		{"{" TARGET ",\"maxReceiveCount\":\"4023\"}", FAULT_INVALID_PARAMETER_VALUE,
			RANGE("4023")},
		{"{" TARGET ",\"maxReceiveCount\":{}}", FAULT_INVALID_PARAMETER_VALUE, RANGE("{}")},
		{"{\"deadLetterTargetArn\":\"dead\",\"maxReceiveCount\":1}",
			FAULT_INVALID_PARAMETER_VALUE, FULL},
		{"{\"deadLetterTargetArn\":null,\"maxReceiveCount\":1}",
			FAULT_INVALID_PARAMETER_VALUE, FULL},
		{"{\"deadLetterTargetArn\":\"arn:::::x\",\"maxReceiveCount\":1}",
			FAULT_INVALID_PARAMETER_VALUE,
			"Only SQS queues are valid resources for deadLetterTargetArn."},
		{"{\"deadLetterTargetArn\":\"arn:aws:sns:us-east-1:000000000000:topic\","
		 "\"maxReceiveCount\":5}",
			FAULT_INVALID_PARAMETER_VALUE,
			"Only SQS queues are valid resources for deadLetterTargetArn."},
		{"{" TARGET ",\"maxReceiveCount\":5,\"dummyField\":\"x\"}",
			FAULT_INVALID_PARAMETER_VALUE,
			"Only following attributes are supported: [maxReceiveCount, "
			"deadLetterTargetArn]."},
	};

	check_words(redrive_check, "RedrivePolicy", rows, sizeof(rows) / sizeof(rows[0]));
}

static void words_about_an_allow_policy(void **state)
{
#define FORMAT                                                                \
	"Amazon SQS can't create the redrive allow policy, as it\xe2\x80\x99" \
	"s in an unsupported format."
#define CANNOT "Amazon SQS can't create the redrive allow policy. "
#define EMPTY                                                                                \
	CANNOT "When you specify the byQueue permission type, you must also specify one or " \
	       "more sourceQueueArns values."
#define BY_QUEUE "{\"redrivePermission\":\"byQueue\""
	static const struct row rows[] = {
		{"", FAULT_NONE, NULL},
		{"{\"redrivePermission\":\"allowAll\"}", FAULT_NONE, NULL},
		{"{\"redrivePermission\":\"denyAll\"}", FAULT_NONE, NULL},
		{BY_QUEUE ",\"sourceQueueArns\":[\"" ARN "q\"]}", FAULT_NONE, NULL},
		{"badjson", FAULT_INVALID_ATTRIBUTE_VALUE, FORMAT},
		{"[]", FAULT_INVALID_ATTRIBUTE_VALUE, FORMAT},
		{"{}", FAULT_INVALID_ATTRIBUTE_VALUE, FORMAT},
		{"{\"redrivePermission\":1}", FAULT_INVALID_ATTRIBUTE_VALUE, FORMAT},
		{"{\"redrivePermission\":\"some\"}", FAULT_INVALID_ATTRIBUTE_VALUE, FORMAT},
		{"{\"redrivePermission\":\"allowAll\",\"dummy\":\"x\"}",
			FAULT_INVALID_ATTRIBUTE_VALUE, FORMAT},
		{BY_QUEUE ",\"sourceQueueArns\":\"x\"}", FAULT_INVALID_ATTRIBUTE_VALUE, FORMAT},
		{BY_QUEUE ",\"sourceQueueArns\":[1]}", FAULT_INVALID_ATTRIBUTE_VALUE, FORMAT},
		{BY_QUEUE ",\"sourceQueueArns\":[\"x\"]}", FAULT_INVALID_ATTRIBUTE_VALUE, FORMAT},
		{BY_QUEUE "}", FAULT_INVALID_PARAMETER_VALUE, EMPTY},
		{BY_QUEUE ",\"sourceQueueArns\":[]}", FAULT_INVALID_PARAMETER_VALUE, EMPTY},
		{"{\"redrivePermission\":\"denyAll\",\"sourceQueueArns\":[\"" ARN "q\"]}",
			FAULT_INVALID_PARAMETER_VALUE,
			CANNOT "To specify one or more source queue ARNs, you must set "
			       "redrivePermission to byQueue."},
	};

	check_words(
		redrive_check_allow, "RedriveAllowPolicy", rows, sizeof(rows) / sizeof(rows[0]));
}

/* The reason is there, however long the policy is. */
static void ten_sources_at_most(void **state)
{
	char policy[1024] = BY_QUEUE ",\"sourceQueueArns\":[";
	struct problem problem = {.fault = FAULT_NONE};

	for (int i = 0; i < 10; i++)
		strcat(policy, i > 0 ? ",\"" ARN "q\"" : "\"" ARN "q\"");
	strcat(policy, "]}");
	assert_int_equal(redrive_check_allow(policy, &problem), FAULT_NONE);
	strcpy(policy + strlen(policy) - 2, ",\"" ARN "q\"]}");
	assert_int_equal(redrive_check_allow(policy, &problem), FAULT_INVALID_PARAMETER_VALUE);
	assert_non_null(strstr(problem.message,
		"Reason: " CANNOT
		"The maximum number of source queue ARNs you can specify is 10."));
}

#define Q "\"QueueUrl\":\"/q\""

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

/* Does a dead-letter queue with this policy take q's messages? */
static bool takes(const char *allow)
{
	static int number;
	char name[16];
	const cJSON *answer;

	snprintf(name, sizeof(name), "dead-%d", number++);
	world_ok(&world, "CreateQueue",
		"{\"QueueName\":\"%s\",\"Attributes\":{\"RedriveAllowPolicy\":\"%s\"}}", name,
		allow);
	answer = world_call(&world, "SetQueueAttributes",
		"{" Q ",\"Attributes\":{\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":\\\"" ARN
		"%s\\\",\\\"maxReceiveCount\\\":1}\"}}",
		name);
	return cJSON_GetObjectItem(answer, "__type") == NULL;
}

static void whose_letters_are_taken(void **state)
{
	assert_true(takes(""));
	assert_true(takes("{\\\"redrivePermission\\\":\\\"allowAll\\\"}"));
	assert_false(takes("{\\\"redrivePermission\\\":\\\"denyAll\\\"}"));
	assert_true(
		takes("{\\\"redrivePermission\\\":\\\"byQueue\\\",\\\"sourceQueueArns\\\":[\\\"" ARN
		      "other\\\",\\\"" ARN "q\\\"]}"));
	assert_false(
		takes("{\\\"redrivePermission\\\":\\\"byQueue\\\",\\\"sourceQueueArns\\\":[\\\"" ARN
		      "other\\\"]}"));
}

/* The name says of what type the other queue would be, so that is looked at before all else. */
static void the_other_queue(void **state)
{
	static const char *const rows[][2] = {
		{"nope.fifo", "Dead-letter queue must be same type of queue as the source.."},
		{"nope", "Dead letter target does not exist."},
	};

	for (size_t i = 0; i < 2; i++) {
		const char *words = world_refused(&world, "InvalidParameterValue",
			"SetQueueAttributes",
			"{" Q ",\"Attributes\":{\"RedrivePolicy\":\"{\\\"deadLetterTargetArn\\\":"
			"\\\"" ARN "%s\\\",\\\"maxReceiveCount\\\":1}\"}}",
			rows[i][0]);

		assert_non_null(strstr(words, "for parameter RedrivePolicy is invalid. Reason: "));
		assert_non_null(strstr(words, rows[i][1]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
		cmocka_unit_test(redrive_policies),
		cmocka_unit_test(words_about_a_redrive_policy),
		cmocka_unit_test(words_about_an_allow_policy),
		cmocka_unit_test(ten_sources_at_most),
		T(whose_letters_are_taken),
		T(the_other_queue),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
