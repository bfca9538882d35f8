#include "localq/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct buf json = BUF_INIT(1 << 20);
static struct problem problem;
static char action[QUERY_ACTION_MAX + 1];

static enum fault decode(const char *form, size_t len)
{
	/* A copy without a NUL behind it: the sanitizer sees what reads too far. */
	char *copy = malloc(len > 0 ? len : 1);
	enum fault fault;

	assert_non_null(copy);
	memcpy(copy, form, len);
	memset(&problem, 0, sizeof(problem));
	fault = query_decode(copy, len, action, &json, &problem);
	free(copy);
	return fault;
}

static void assert_json(const char *form, const char *expected)
{
	if (decode(form, strlen(form)) != FAULT_NONE)
		fail_msg("%s: %s", form, problem.message);
	assert_string_equal(buf_string(&json), expected);
}

static void assert_refused(const char *form, enum fault fault, const char *words)
{
	if (decode(form, strlen(form)) != fault)
		fail_msg("%s: %s", form, problem.message);
	if (strstr(problem.message, words) == NULL)
		fail_msg("%s: %s", form, problem.message);
}

/* As Debian's boto3 and awscli send them (captured). */
static void forms_of_clients(void **state)
{
	static const struct {
		const char *form, *json;
	} table[] = {
		{"Action=ListQueues&Version=2012-11-05", "{}"},
		{"Action=CreateQueue&Version=2012-11-05&QueueName=q&Attribute.1.Name=DelaySeconds&"
		 "Attribute.1.Value=5&Attribute.2.Name=VisibilityTimeout&Attribute.2.Value=9&"
		 "Tag.1.Key=team&Tag.1.Value=a+b",
			"{\"Attributes\":{\"DelaySeconds\":\"5\",\"VisibilityTimeout\":\"9\"},"
			"\"QueueName\":\"q\",\"tags\":{\"team\":\"a b\"}}"},
		{"Action=TagQueue&QueueUrl=u&Tag.1.Key=k&Tag.1.Value=",
			"{\"QueueUrl\":\"u\",\"Tags\":{\"k\":\"\"}}"},
		{"Action=UntagQueue&QueueUrl=u&TagKey.1=a&TagKey.2=b",
			"{\"QueueUrl\":\"u\",\"TagKeys\":[\"a\",\"b\"]}"},
		{"Action=SendMessage&QueueUrl=http%3A%2F%2Fh%2F0%2Fq&MessageBody=%F0%9F%98%80%0D%"
		 "0A%22+%2B&"
		 "DelaySeconds=0&MessageAttribute.1.Name=n&MessageAttribute.1.Value.DataType="
		 "Number&"
		 "MessageAttribute.1.Value.StringValue=1&MessageSystemAttribute.1.Name="
		 "AWSTraceHeader&"
		 "MessageSystemAttribute.1.Value.StringValue=r&"
		 "MessageSystemAttribute.1.Value.DataType=String",
			"{\"DelaySeconds\":0,\"MessageAttributes\":{\"n\":{\"DataType\":\"Number\","
			"\"StringValue\":\"1\"}},\"MessageBody\":\"\xf0\x9f\x98\x80\\r\\n\\\" +\","
			"\"MessageSystemAttributes\":{\"AWSTraceHeader\":{\"DataType\":\"String\","
			"\"StringValue\":\"r\"}},\"QueueUrl\":\"http://h/0/q\"}"},
		{"Action=DeleteMessageBatch&QueueUrl=u&DeleteMessageBatchRequestEntry.1.Id=a&"
		 "DeleteMessageBatchRequestEntry.1.ReceiptHandle=x%2F%2B%3D&"
		 "DeleteMessageBatchRequestEntry.2.Id=b&DeleteMessageBatchRequestEntry.2."
		 "ReceiptHandle=y",
			"{\"Entries\":[{\"Id\":\"a\",\"ReceiptHandle\":\"x/+=\"},"
			"{\"Id\":\"b\",\"ReceiptHandle\":\"y\"}],\"QueueUrl\":\"u\"}"},
		{"Action=SendMessageBatch&Entries=", "{\"Entries\":[]}"},
		{"Action=ReceiveMessage&QueueUrl=u&AttributeName.1=All&MessageAttributeName.1=a.%"
		 "2A&"
		 "MaxNumberOfMessages=10&WaitTimeSeconds=-1",
			"{\"AttributeNames\":[\"All\"],\"MaxNumberOfMessages\":10,"
			"\"MessageAttributeNames\":[\"a.*\"],\"QueueUrl\":\"u\","
			"\"WaitTimeSeconds\":-1}"},
		{"Action=AddPermission&AWSAccountId.1=1&ActionName.1=SendMessage&Label=l",
			"{\"AWSAccountIds\":[\"1\"],\"Actions\":[\"SendMessage\"],\"Label\":"
			"\"l\"}"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_json(table[i].form, table[i].json);
	assert_string_equal(action, "AddPermission");
}

static void lists(void **state)
{
	/* By their numbers, whatever the order and the gaps; 2 is before 10. */
	assert_json(
		"Action=A&TagKey.10=j&TagKey.2=b&TagKey.7=g", "{\"TagKeys\":[\"b\",\"g\",\"j\"]}");
	assert_json("Action=A&TagKey.member.2=b&TagKey.member.1=a", "{\"TagKeys\":[\"a\",\"b\"]}");
	/* Of a number that is repeated the last counts. */
	assert_json("Action=A&TagKey.1=a&TagKey.1=b", "{\"TagKeys\":[\"b\"]}");
	assert_json("Action=A&Label=a&Label=b", "{\"Label\":\"b\"}");
	assert_refused("Action=A&TagKey.0=a", FAULT_SERIALIZATION, "number");
	assert_refused("Action=A&TagKey.x=a", FAULT_SERIALIZATION, "number");
	assert_refused("Action=A&TagKey.1x=a", FAULT_SERIALIZATION, "number");
	assert_refused("Action=A&TagKey.-1=a", FAULT_SERIALIZATION, "number");
	assert_refused("Action=A&TagKey.=a", FAULT_SERIALIZATION, "number");
	assert_refused("Action=A&TagKey.9999999999=a", FAULT_SERIALIZATION, "number");
	assert_refused("Action=A&Attribute.1.Value=a", FAULT_MISSING_PARAMETER, "Attribute.1.Name");
}

static void what_is_unknown_is_left_out(void **state)
{
	assert_json("Action=A&Nope=1&Nope.1=2&Nope.1.2.3=4&SignatureVersion=2", "{}");
	assert_json("Action=A&QueueName.1=x", "{}");
	assert_json("Action=A&TagKey=x", "{\"TagKeys\":[]}");
	/* Entries within entries would be without end. */
	assert_json("Action=A&SendMessageBatchRequestEntry.1.Id=a&"
		    "SendMessageBatchRequestEntry.1.SendMessageBatchRequestEntry.1.Id=b",
		"{\"Entries\":[{\"Id\":\"a\"}]}");
	assert_json("&&Action=A&&", "{}");
}

static void integers(void **state)
{
	static const char *const wrong[] = {
		"", "-", "x", "1x", "1.0", "1e3", "+1", "1234567890123456789", "%20", "1%00"};
	char form[96];

	assert_json("Action=A&DelaySeconds=007", "{\"DelaySeconds\":7}");
	assert_json("Action=A&DelaySeconds=123456789012345678",
		"{\"DelaySeconds\":123456789012345678}");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		snprintf(form, sizeof(form), "Action=A&DelaySeconds=%s", wrong[i]);
		assert_refused(form, FAULT_INVALID_PARAMETER_VALUE, "DelaySeconds");
	}
}

static void actions_and_versions(void **state)
{
	char form[256] = "Action=";

	assert_refused("", FAULT_MISSING_ACTION, "Action");
	assert_refused("Action=", FAULT_MISSING_ACTION, "Action");
	assert_refused("Version=2012-11-05", FAULT_MISSING_ACTION, "Action");
	assert_refused("Action.1=x", FAULT_MISSING_ACTION, "Action");
	assert_refused("Action=ListQueues%00", FAULT_UNKNOWN_OPERATION, "ListQueues");
	assert_refused("Action=%00A", FAULT_UNKNOWN_OPERATION, "");
	assert_refused("Action=A&Version=2012-11-05%00", FAULT_NO_SUCH_VERSION, "2012-11-05");
	memset(form + 7, 'x', QUERY_ACTION_MAX);
	assert_json(form, "{}");
	strcat(form, "x");
	assert_refused(form, FAULT_UNKNOWN_OPERATION, "xxx");
	assert_json("Action=A&Version=2009-02-01", "{}");
	assert_refused("Action=A&Version=2013-01-01", FAULT_NO_SUCH_VERSION, "2013-01-01");
	assert_refused("Action=A&Version=", FAULT_NO_SUCH_VERSION, "version");
}

/* Each becomes six; the limit is the caller's, what has no room the sender's fault. */
static void a_form_of_control_characters(void **state)
{
	struct buf form = BUF_INIT(1 << 20);

	buf_append_string(&form, "Action=A&MessageBody=");
	for (size_t i = 0; i < (1 << 20) / 6; i++)
		buf_append_char(&form, '\x01');
	assert_int_equal(form.err, 0);
	assert_int_equal(decode(form.data, form.len), FAULT_SERIALIZATION);
	assert_string_equal(problem.message,
		"The form is too large: its values, with every control character, quote and "
		"backslash as an escape, have more than 1048576 bytes.");
	buf_free(&form);
	assert_json("Action=A&MessageBody=%01", "{\"MessageBody\":\"\\u0001\"}");
}

static void what_is_no_form(void **state)
{
	static const char *const table[] = {"Action=A&MessageBody=%", "Action=A&MessageBody=%4",
		"Action=A&MessageBody=%4g", "Action=A&%zz=1", "Action=A&a%00b=1",
		"Action=A&a.b.c.d.e.f.g.h.i=1",
		"Action=A&Attribute.1.Name=a%00b&Attribute.1.Value=x"};
	struct buf form = BUF_INIT(1 << 20);

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_refused(table[i], FAULT_SERIALIZATION, "malformed");
	buf_append_string(&form, "Action=A");
	for (int i = 1; i < QUERY_PARAMETERS_MAX; i++)
		buf_append_string(&form, "&a=1");
	assert_json(buf_string(&form), "{}");
	buf_append_string(&form, "&a=1");
	assert_refused(buf_string(&form), FAULT_SERIALIZATION, "too many");
	buf_free(&form);
}

static int end(void **state)
{
	buf_free(&json);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forms_of_clients),
		cmocka_unit_test(lists),
		cmocka_unit_test(what_is_unknown_is_left_out),
		cmocka_unit_test(integers),
		cmocka_unit_test(actions_and_versions),
		cmocka_unit_test(a_form_of_control_characters),
		cmocka_unit_test(what_is_no_form),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
