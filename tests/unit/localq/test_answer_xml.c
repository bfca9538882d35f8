#include "localq/answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEAD(op)                      \
	"<?xml version=\"1.0\"?><" op \
	"Response xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\">"
#define TAIL(op) "<ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></" op "Response>"

static struct answer answer = {
	.buf = BUF_INIT(ANSWER_MAX_BYTES), .is_xml = true, .request_id = "id"};

static void begin(const char *operation)
{
	answer.operation = operation;
	answer.has_result = true;
	answer_begin(&answer);
}

static void assert_answer(const char *expected)
{
	answer_end(&answer);
	assert_string_equal(buf_string(&answer.buf), expected);
}

static void with_and_without_a_result(void **state)
{
	begin("ReceiveMessage");
	assert_answer(HEAD("ReceiveMessage") "<ReceiveMessageResult></ReceiveMessageResult>" TAIL(
		"ReceiveMessage"));
	begin("DeleteMessage");
	answer.has_result = false;
	answer_begin(&answer);
	assert_answer(HEAD("DeleteMessage") TAIL("DeleteMessage"));
}

static void a_message(void **state)
{
	begin("ReceiveMessage");
	answer_open_list(&answer, "Messages");
	for (int i = 0; i < 2; i++) {
		answer_open(&answer, NULL);
		answer_text(&answer, "Body", i == 0 ? "a" : "b");
		answer_open_map(&answer, "Attributes");
		answer_int_text(&answer, "SentTimestamp", 7);
		answer_close_map(&answer);
		answer_open_map(&answer, "MessageAttributes");
		answer_open(&answer, "n");
		answer_text(&answer, "DataType", "Binary");
		answer_base64(&answer, "BinaryValue", (const uint8_t *)"\xff\x00", 2);
		answer_close(&answer);
		answer_close_map(&answer);
		answer_close(&answer);
	}
	answer_close_list(&answer);
#define MESSAGE(body)                                                                         \
	"<Message><Body>" body "</Body><Attribute><Name>SentTimestamp</Name><Value>7</Value>" \
	"</Attribute><MessageAttribute><Name>n</Name><Value><DataType>Binary</DataType>"      \
	"<BinaryValue>/wA=</BinaryValue></Value></MessageAttribute></Message>"
	assert_answer(HEAD("ReceiveMessage") "<ReceiveMessageResult>" MESSAGE("a")
			MESSAGE("b") "</ReceiveMessageResult>" TAIL("ReceiveMessage"));
}

static void a_batch_and_a_place_to_go_back_to(void **state)
{
	struct answer_mark mark;

	begin("SendMessageBatch");
	mark = answer_mark(&answer);
	answer_open_list(&answer, "Successful");
	answer_open(&answer, NULL);
	answer_text(&answer, "Id", "gone");
	answer_rewind(&answer, mark);
	answer_open_list(&answer, "Successful");
	answer_open(&answer, NULL);
	answer_text(&answer, "Id", "a");
	answer_close(&answer);
	answer_close_list(&answer);
	answer_open_list(&answer, "Failed");
	answer_open(&answer, NULL);
	answer_bool(&answer, "SenderFault", true);
	answer_int(&answer, "N", -1);
	answer_close(&answer);
	answer_close_list(&answer);
	assert_answer(
		HEAD("SendMessageBatch") "<SendMessageBatchResult>"
					 "<SendMessageBatchResultEntry><Id>a</Id>"
					 "</SendMessageBatchResultEntry><BatchResultErrorEntry>"
					 "<SenderFault>true</SenderFault><N>-1</N>"
					 "</BatchResultErrorEntry></SendMessageBatchResult>" TAIL(
						 "SendMessageBatch"));
}

static void lists_and_maps_of_every_kind(void **state)
{
	static const struct {
		const char *member, *expected;
	} table[] = {
		{"QueueUrls", "<QueueUrl>x</QueueUrl>"},
		{"queueUrls", "<QueueUrl>x</QueueUrl>"},
		{"Results", "<ListMessageMoveTasksResultEntry>x</ListMessageMoveTasksResultEntry>"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		begin("O");
		answer_open_list(&answer, table[i].member);
		answer_text(&answer, NULL, "x");
		answer_close_list(&answer);
		answer_end(&answer);
		assert_non_null(strstr(buf_string(&answer.buf), table[i].expected));
	}
	begin("O");
	answer_open_map(&answer, "Tags");
	answer_text(&answer, "k<", "v>");
	answer_close_map(&answer);
	answer_end(&answer);
	assert_non_null(strstr(buf_string(&answer.buf),
		"<OResult><Tag><Key>k&lt;</Key><Value>v&gt;</Value></Tag></OResult>"));
}

static void escapes(void **state)
{
	static const struct {
		const char *text, *expected;
	} table[] = {
		{"plain", "plain"},
		{"&<>\"'", "&amp;&lt;&gt;&quot;'"},
		{"]]>", "]]&gt;"},
		{"a\rb\r\nc\td\ne", "a&#13;b&#13;\nc\td\ne"},
		{"\xc2\x85 \xe2\x80\xa8 \xf0\x9f\x98\x80 \xef\xbf\xbd",
			"\xc2\x85 \xe2\x80\xa8 \xf0\x9f\x98\x80 \xef\xbf\xbd"},
		/* What XML cannot hold. */
		{"\x01\x0b\x1f", "???"},
		{"\xef\xbf\xbe|\xef\xbf\xbf", "?|?"},
		{"", ""},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char expected[256];

		begin("O");
		answer_text(&answer, "t", table[i].text);
		answer_end(&answer);
		snprintf(expected, sizeof(expected), "<OResult><t>%s</t></OResult>",
			table[i].expected);
		if (strstr(buf_string(&answer.buf), expected) == NULL)
			fail_msg("%s", buf_string(&answer.buf));
	}
}

static void an_error(void **state)
{
	begin("O");
	answer_error_xml(&answer, true, "InvalidAction", "<no>");
	assert_string_equal(buf_string(&answer.buf),
		"<?xml version=\"1.0\"?><ErrorResponse "
		"xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><Error><Type>Sender</Type>"
		"<Code>InvalidAction</Code><Message>&lt;no&gt;</Message><Detail/></Error>"
		"<RequestId>id</RequestId></ErrorResponse>");
	answer_error_xml(&answer, false, "InternalFailure", "");
	assert_non_null(strstr(buf_string(&answer.buf), "<Type>Receiver</Type>"));
}

static int end(void **state)
{
	buf_free(&answer.buf);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_and_without_a_result),
		cmocka_unit_test(a_message),
		cmocka_unit_test(a_batch_and_a_place_to_go_back_to),
		cmocka_unit_test(lists_and_maps_of_every_kind),
		cmocka_unit_test(escapes),
		cmocka_unit_test(an_error),
	};

	return cmocka_run_group_tests(tests, NULL, end);
}
