/* AddPermission, RemovePermission and RedriveAllowPolicy. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define Q "\"QueueUrl\":\"/q\""
#define ARN "arn:aws:sqs:us-east-1:000000000000:"

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

/* "" when there is none. */
static const char *policy(void)
{
	const cJSON *attributes = cJSON_GetObjectItem(
		world_ok(&world, "GetQueueAttributes", "{" Q ",\"AttributeNames\":[\"Policy\"]}"),
		"Attributes");
	const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(attributes, "Policy"));

	return text != NULL ? text : "";
}

static void add(const char *label, const char *accounts, const char *actions)
{
	world_ok(&world, "AddPermission",
		"{" Q ",\"Label\":\"%s\",\"AWSAccountIds\":[%s],\"Actions\":[%s]}", label, accounts,
		actions);
}

#define HEAD "{\"Version\":\"2008-10-17\",\"Id\":\"" ARN "q/SQSDefaultPolicy\",\"Statement\":["
#define ONE                                                                                      \
	"{\"Sid\":\"one\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":"                          \
	"\"arn:aws:iam::111111111111:root\"},\"Action\":\"SQS:SendMessage\",\"Resource\":\"" ARN \
	"q\"}"
#define TWO                                                                        \
	"{\"Sid\":\"two\",\"Effect\":\"Allow\",\"Principal\":{\"AWS\":["           \
	"\"arn:aws:iam::111111111111:root\",\"arn:aws:iam::222222222222:root\"]}," \
	"\"Action\":[\"SQS:*\",\"SQS:GetQueueUrl\"],\"Resource\":\"" ARN "q\"}"

static void statements_come_and_go(void **state)
{
	add("one", "\"111111111111\"", "\"SendMessage\"");
	assert_string_equal(policy(), HEAD ONE "]}");
	add("two", "\"111111111111\",\"222222222222\"", "\"*\",\"GetQueueUrl\"");
	assert_string_equal(policy(), HEAD ONE "," TWO "]}");
	world_ok(&world, "RemovePermission", "{" Q ",\"Label\":\"one\"}");
	assert_string_equal(policy(), HEAD TWO "]}");
	world_ok(&world, "RemovePermission", "{" Q ",\"Label\":\"two\"}");
	assert_string_equal(policy(), "");
}

/* What somebody else wrote stays byte for byte, a single statement that is no list as well. */
static void a_policy_of_ones_own(void **state)
{
	world_ok(&world, "SetQueueAttributes",
		"{" Q ",\"Attributes\":{\"Policy\":\"{\\\"Version\\\": \\\"2012-10-17\\\","
		"\\\"Statement\\\":{\\\"Sid\\\": \\\"mine\\\", "
		"\\\"a\\\":[1,2]},\\\"x\\\\u0079\\\":{}}\"}}");
	add("one", "\"111111111111\"", "\"SendMessage\"");
	assert_string_equal(policy(), "{\"Version\":\"2012-10-17\",\"xy\":{},\"Statement\":["
				      "{\"Sid\": \"mine\", \"a\":[1,2]}," ONE "]}");
	world_refused(&world, "InvalidParameterValue", "AddPermission",
		"{" Q ",\"Label\":\"mine\",\"AWSAccountIds\":[\"111111111111\"],"
		"\"Actions\":[\"SendMessage\"]}");
	world_ok(&world, "RemovePermission", "{" Q ",\"Label\":\"mine\"}");
	assert_string_equal(
		policy(), "{\"Version\":\"2012-10-17\",\"xy\":{},\"Statement\":[" ONE "]}");
}

static void refusals(void **state)
{
	static const struct {
		const char *body, *code, *words;
	} table[] = {
		{"", "MissingParameter", "Label"},
		{",\"Label\":\"a b\"", "InvalidParameterValue", "Label"},
		{",\"Label\":\"a\"", "MissingParameter", "AWSAccountIds"},
		{",\"Label\":\"a\",\"AWSAccountIds\":[]", "MissingParameter", "AWSAccountIds"},
		{",\"Label\":\"a\",\"AWSAccountIds\":[\"1\"]", "InvalidParameterValue",
			"Value 1 for parameter PrincipalId is invalid. Reason: Unable to verify."},
		{",\"Label\":\"a\",\"AWSAccountIds\":[\"11111111111x\"]", "InvalidParameterValue",
			"PrincipalId"},
		{",\"Label\":\"a\",\"AWSAccountIds\":[1]", "MalformedInput", "AWSAccountIds"},
		{",\"Label\":\"a\",\"AWSAccountIds\":[\"111111111111\"]", "MissingParameter",
			"Actions"},
		{",\"Label\":\"a\",\"AWSAccountIds\":[\"111111111111\"],\"Actions\":[\"Nope\"]",
			"InvalidParameterValue",
			"Value SQS:Nope for parameter ActionName is invalid."},
		{",\"Label\":\"a\",\"AWSAccountIds\":[\"111111111111\"],\"Actions\":[\"*\",\"*\","
		 "\"*\",\"*\",\"*\",\"*\",\"*\",\"*\"]",
			"OverLimit", "8 Actions were found, maximum allowed is 7."},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *words = world_refused(
			&world, table[i].code, "AddPermission", "{" Q "%s}", table[i].body);

		if (strstr(words, table[i].words) == NULL)
			fail_msg("%s: %s", table[i].body, words);
	}
	add("one", "\"111111111111\"", "\"SendMessage\"");
	assert_string_equal(world_refused(&world, "InvalidParameterValue", "AddPermission",
				    "{" Q ",\"Label\":\"one\",\"AWSAccountIds\":"
				    "[\"111111111111\"],\"Actions\":[\"SendMessage\"]}"),
		"Value one for parameter Label is invalid. Reason: Already exists.");
	assert_string_equal(world_refused(&world, "InvalidParameterValue", "RemovePermission",
				    "{" Q ",\"Label\":\"two\"}"),
		"Value two for parameter Label is invalid. Reason: can't find label.");
	world_refused(&world, "AWS.SimpleQueueService.NonExistentQueue", "AddPermission",
		"{\"QueueUrl\":\"/nope\",\"Label\":\"a\"}");
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

static void allow_policies_that_are_none(void **state)
{
	static const char *const table[] = {"{}", "[]", "x",
		"{\\\"redrivePermission\\\":\\\"some\\\"}", "{\\\"redrivePermission\\\":1}",
		"{\\\"redrivePermission\\\":\\\"byQueue\\\"}",
		"{\\\"redrivePermission\\\":\\\"byQueue\\\",\\\"sourceQueueArns\\\":[]}",
		"{\\\"redrivePermission\\\":\\\"byQueue\\\",\\\"sourceQueueArns\\\":\\\"x\\\"}",
		"{\\\"redrivePermission\\\":\\\"byQueue\\\",\\\"sourceQueueArns\\\":[\\\"x\\\"]}",
		"{\\\"redrivePermission\\\":\\\"byQueue\\\",\\\"sourceQueueArns\\\":[1]}",
		"{\\\"redrivePermission\\\":\\\"denyAll\\\",\\\"sourceQueueArns\\\":[\\\"" ARN
		"q\\\"]}"};
	char many[1024] = "{\\\"redrivePermission\\\":\\\"byQueue\\\",\\\"sourceQueueArns\\\":[";

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		world_refused(&world, "InvalidParameterValue", "SetQueueAttributes",
			"{" Q ",\"Attributes\":{\"RedriveAllowPolicy\":\"%s\"}}", table[i]);
	for (int i = 0; i < 10; i++)
		strcat(many, i > 0 ? ",\\\"" ARN "q\\\"" : "\\\"" ARN "q\\\"");
	world_ok(&world, "SetQueueAttributes",
		"{" Q ",\"Attributes\":{\"RedriveAllowPolicy\":\"%s]}\"}}", many);
	world_refused(&world, "InvalidParameterValue", "SetQueueAttributes",
		"{" Q ",\"Attributes\":{\"RedriveAllowPolicy\":\"%s,\\\"" ARN "q\\\"]}\"}}", many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
		T(statements_come_and_go),
		T(a_policy_of_ones_own),
		T(refusals),
		T(whose_letters_are_taken),
		T(allow_policies_that_are_none),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
