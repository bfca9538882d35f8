/* Events as files: Lambda's Records, bare bodies, and what is neither. */
#include "bunshin/error.h"
#include "cli/event_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

#define NOW INT64_C(1800000000000)

static struct event_file *parse(const char *text)
{
	struct event_file *file = NULL;
	struct buf error = BUF_INIT(1024);

	assert_int_equal(event_file_parse(text, strlen(text), NOW, &file, &error), 0);
	assert_int_equal(error.len, 0);
	buf_free(&error);
	return file;
}

static void test_bare_bodies(void **state)
{
	static const struct {
		const char *text, *body;
	} rows[] = {
		{"good morning\n", "good morning"},
		{"two\n\n", "two\n"},
		{"", ""},
		{"{\"to\":\"U1\"}", "{\"to\":\"U1\"}"},
		{"[1]\n", "[1]"},
		{"{\"Records\":7}", "{\"Records\":7}"},
		{"{\"Records\":[", "{\"Records\":["},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct event_file *file = parse(rows[i].text);
		const struct queue_message *m = event_file_message(file, 0);

		assert_int_equal(event_file_count(file), 1);
		assert_int_equal(m->body_bytes, strlen(rows[i].body));
		assert_memory_equal(m->body, rows[i].body, m->body_bytes + 1);
		assert_string_equal(m->message_id, "event-1");
		assert_int_equal(m->receive_count, 1);
		assert_int_equal(m->sent_epoch_ms, NOW);
		assert_int_equal(m->attribute_count, 0);
		assert_int_equal(strlen(m->idempotency_key), 36);
		event_file_free(file);
	}
}

static void test_records(void **state)
{
	struct event_file *file = parse(
		"{\"Records\":[{\"messageId\":\"m-1\",\"receiptHandle\":\"r\",\"body\":\"a\\nb\","
		"\"attributes\":{\"ApproximateReceiveCount\":\"3\",\"SentTimestamp\":\"17\","
		"\"ApproximateFirstReceiveTimestamp\":\"18\"},\"messageAttributes\":{"
		"\"Campaign\":{\"stringValue\":\"spring\",\"dataType\":\"String\","
		"\"stringListValues\":[]},\"Blob\":{\"binaryValue\":\"AA==\",\"dataType\":"
		"\"Binary\"},"
		"\"IdempotencyKey\":{\"stringValue\":\"key\",\"dataType\":\"String\"}}},"
		"{\"messageId\":\"m-2\",\"body\":\"\"}]}");
	const struct queue_message *m = event_file_message(file, 0);

	assert_int_equal(event_file_count(file), 2);
	assert_string_equal(m->message_id, "m-1");
	assert_string_equal(m->body, "a\nb");
	assert_int_equal(m->receive_count, 3);
	assert_int_equal(m->sent_epoch_ms, 17);
	assert_int_equal(m->first_received_epoch_ms, 18);
	assert_string_equal(m->receipt_handle, "r");
	assert_int_equal(m->attribute_count, 3);
	assert_string_equal(m->attributes[0].name, "Campaign");
	assert_int_equal(m->attributes[0].value_bytes, 6);
	assert_string_equal(m->attributes[1].name, "Blob");
	assert_string_equal(m->attributes[1].type, "Binary");
	assert_int_equal(m->attributes[1].value_bytes, 1);
	assert_memory_equal(m->attributes[1].value, "", 1);
	assert_string_equal(m->idempotency_key, "key");
	assert_string_equal(event_file_message(file, 1)->message_id, "m-2");
	assert_string_equal(event_file_message(file, 1)->receipt_handle, "");
	assert_string_not_equal(event_file_message(file, 1)->idempotency_key, "key");
	event_file_free(file);
}

static void test_a_record_of_a_fifo_queue(void **state)
{
	struct event_file *file =
		parse("{\"Records\":[{\"body\":\"a\",\"attributes\":{\"SenderId\":\"AIDAX\","
		      "\"SequenceNumber\":\"18849496460467696128\",\"MessageGroupId\":\"g\","
		      "\"MessageDeduplicationId\":\"d\",\"AWSTraceHeader\":\"Root=1\","
		      "\"DeadLetterQueueSourceArn\":\"arn\"}},"
		      "{\"body\":\"b\",\"attributes\":{\"MessageGroupId\":\"a b\","
		      "\"AWSTraceHeader\":\"\",\"SenderId\":7}}]}");
	const struct queue_message *m = event_file_message(file, 0);

	assert_string_equal(m->sender_id, "AIDAX");
	assert_string_equal(m->sequence_number, "18849496460467696128");
	assert_string_equal(m->group_id, "g");
	assert_string_equal(m->deduplication_id, "d");
	assert_string_equal(m->trace_header, "Root=1");
	assert_string_equal(m->dead_letter_source, "arn");
	m = event_file_message(file, 1);
	assert_null(m->group_id);
	assert_null(m->trace_header);
	assert_null(m->sender_id);
	event_file_free(file);
}

static void test_what_is_refused(void **state)
{
	static const struct {
		const char *text, *reason;
	} rows[] = {
		{"{\"Records\":[]}", "Records: expected 1 to 10000, got 0"},
		{"{\"Records\":[{\"body\":\"a\"},{}]}", "Records[1].body: expected a string"},
		{"{\"Records\":[7]}", "Records[0].body: expected a string"},
		{"{\"Records\":[{\"body\":{}}]}", "Records[0].body: expected a string"},
		{"{\"Records\":[{\"body\":\"\",\"messageAttributes\":{\"b\":{\"dataType\":"
		 "\"Binary\",\"binaryValue\":\"A\"}}}]}",
			"Records[0].messageAttributes.b.binaryValue: expected base64"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct event_file *file = NULL;
		struct buf error = BUF_INIT(1024);

		assert_int_equal(
			event_file_parse(rows[i].text, strlen(rows[i].text), NOW, &file, &error),
			ERR_SYNTAX);
		assert_string_equal(buf_string(&error), rows[i].reason);
		assert_null(file);
		buf_free(&error);
	}
}

static void test_too_many_attributes(void **state)
{
	struct buf text = BUF_INIT(4096), error = BUF_INIT(1024);
	struct event_file *file = NULL;

	buf_append_string(&text, "{\"Records\":[{\"body\":\"a\",\"messageAttributes\":{");
	for (int i = 0; i < 11; i++)
		buf_appendf(&text, "%s\"a%d\":{\"stringValue\":\"v\",\"dataType\":\"String\"}",
			i ? "," : "", i);
	buf_append_string(&text, "}}]}");
	assert_int_equal(event_file_parse(text.data, text.len, NOW, &file, &error), ERR_TOO_LARGE);
	assert_string_equal(buf_string(&error), "Records[0].messageAttributes: more than 10");
	buf_free(&text);
	buf_free(&error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bare_bodies),
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_a_record_of_a_fifo_queue),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_too_many_attributes),
	};

	return cmocka_run_group_tests_name("cli/event_file", tests, NULL, NULL);
}
