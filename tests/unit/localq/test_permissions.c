/* AddPermission and RemovePermission. */
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

/* SQS drops the others without a word. */
static void accounts_that_are_some(void **state)
{
	add("one", "\"1\",\"111111111111\",\"11111111111x\"", "\"SendMessage\"");
	assert_string_equal(policy(), HEAD ONE "]}");
	add("two", "\"\",\"111111111111\",\"222222222222\"", "\"*\",\"GetQueueUrl\"");
	assert_string_equal(policy(), HEAD ONE "," TWO "]}");
}

/* A message quotes no more of a list than it has room for. */
static void many_accounts_that_are_none(void **state)
{
	char list[4096] = "\"x\"";

	for (int i = 0; i < 300; i++)
		strcat(list, ",\"0123456\"");
	assert_non_null(strstr(world_refused(&world, "InvalidParameterValue", "AddPermission",
				       "{" Q ",\"Label\":\"a\",\"AWSAccountIds\":[%s],"
				       "\"Actions\":[\"*\"]}",
				       list),
		"for parameter PrincipalId is invalid. Reason: Unable to verify."));
}

static void a_policy_has_its_limits(void **state)
{
	char list[8192] = "\"111111111111\"", label[8];

	for (int i = 0; i < 20; i++) {
		snprintf(label, sizeof(label), "l%d", i);
		add(label, "\"111111111111\"", "\"SendMessage\"");
	}
	assert_string_equal(world_refused(&world, "OverLimit", "AddPermission",
				    "{" Q ",\"Label\":\"one\",\"AWSAccountIds\":[\"111111111111\"],"
				    "\"Actions\":[\"SendMessage\"]}"),
		"21 statements were found in the submitted policy, max allowed is 20");
	world_ok(&world, "RemovePermission", "{" Q ",\"Label\":\"l7\"}");
	/* 300 accounts are more than one statement may have, 150 more than there is room for. */
	for (int accounts = 1; accounts < 300; accounts++) {
		strcat(list, ",\"111111111111\"");
		if (accounts == 149 || accounts == 299)
			assert_string_equal(world_refused(&world, "OverLimit", "AddPermission",
						    "{" Q ",\"Label\":\"one\","
						    "\"AWSAccountIds\":[%s],\"Actions\":"
						    "[\"SendMessage\"]}",
						    list),
				"The policy would have more than 8192 bytes.");
	}
	add("one", "\"111111111111\"", "\"SendMessage\"");
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
		{",\"Label\":\"a\"", "InvalidParameterValue",
			"Value [] for parameter PrincipalId is invalid. Reason: Unable to verify."},
		{",\"Label\":\"a\",\"AWSAccountIds\":[]", "InvalidParameterValue",
			"Value [] for parameter PrincipalId is invalid. Reason: Unable to verify."},
		{",\"Label\":\"a\",\"AWSAccountIds\":[\"1\",\"x\"]", "InvalidParameterValue",
			"Value [1, x] for parameter PrincipalId is invalid. Reason: Unable to "
			"verify."},
		{",\"Label\":\"a\",\"AWSAccountIds\":[\"11111111111x\"]", "InvalidParameterValue",
			"PrincipalId"},
		{",\"Label\":\"a\",\"AWSAccountIds\":[1]", "MalformedInput", "AWSAccountIds"},
		{",\"Label\":\"a\",\"AWSAccountIds\":[\"111111111111\"]", "MissingParameter",
			"Actions"},
		{",\"Label\":\"a\",\"AWSAccountIds\":[\"111111111111\"],\"Actions\":[\"Nope\"]",
			"InvalidParameterValue",
			"Value SQS:Nope for parameter ActionName is invalid. Reason: Please refer "
			"to the appropriate WSDL for a list of valid actions. "},
		{",\"Label\":\"a\",\"AWSAccountIds\":[\"111111111111\"],\"Actions\":"
		 "[\"SendMessage\",\"DeleteQueue\"]",
			"InvalidParameterValue",
			"Value SQS:DeleteQueue for parameter ActionName is invalid. Reason: Only "
			"the queue owner is allowed to invoke this action."},
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

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, end)
		T(statements_come_and_go),
		T(accounts_that_are_some),
		T(many_accounts_that_are_none),
		T(a_policy_has_its_limits),
		T(a_policy_of_ones_own),
		T(refusals),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
