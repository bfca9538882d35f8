/* What is sent when a failure goes back. */
#include "campaign/redrive.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ATTRIBUTE(name, type, value)                 \
	{                                            \
		name, type, value, sizeof(value) - 1 \
	}
#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static struct failure_outgoing outgoing;
static bool keyless;

static void prepare(const struct queue_message *message, const struct redrive_options *options)
{
	struct failure failure;

	memset(&outgoing, 0, sizeof(outgoing));
	failure_read(message, &failure);
	assert_int_equal(redrive_prepare(&failure, options, &outgoing, &keyless), 0);
	assert_ptr_equal(outgoing.send.body, message->body);
	assert_int_equal(outgoing.send.body_bytes, message->body_bytes);
	assert_int_equal(outgoing.send.delay_s, 0);
	assert_ptr_equal(outgoing.send.trace_header, message->trace_header);
}

/* "Name=value Name=value" */
static const char *attributes(void)
{
	static char text[1000];
	size_t len = 0;

	text[0] = '\0';
	for (size_t i = 0; i < outgoing.send.attribute_count; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s=%.*s",
			i > 0 ? " " : "", outgoing.send.attributes[i].name,
			(int)outgoing.send.attributes[i].value_bytes,
			outgoing.send.attributes[i].value);
	return text;
}

static const struct queue_attribute copied[] = {ATTRIBUTE("Campaign", "String", "morning"),
	ATTRIBUTE("Deadline", "Number", "1767225600000"),
	ATTRIBUTE("FailureReason", "String", "refused by the provider"),
	ATTRIBUTE("FailureStatus", "Number", "400"), ATTRIBUTE("IdempotencyKey", "String", "k-1"),
	ATTRIBUTE("Attempts", "Number", "3"), ATTRIBUTE("FirstReceived", "Number", "1"),
	ATTRIBUTE("FailureBody", "String", "no such user")};

static struct queue_message message_with(const struct queue_attribute list[], size_t count)
{
	return (struct queue_message){.message_id = "m-1",
		.body = "hello",
		.body_bytes = 5,
		.trace_header = "Root=1",
		.attributes = list,
		.attribute_count = count,
		.receive_count = 3};
}

static void a_copy_goes_back_as_it_was(void **state)
{
	struct queue_message message = message_with(copied, COUNT_OF(copied));

	prepare(&message, &(struct redrive_options){.target_url = "http://h/1/q"});
	assert_string_equal(
		attributes(), "Campaign=morning Deadline=1767225600000 IdempotencyKey=k-1");
	assert_null(outgoing.send.group_id);
	assert_null(outgoing.send.deduplication_id);
	assert_false(keyless);
}

static void a_deadline_is_dropped_when_told_to(void **state)
{
	struct queue_message message = message_with(copied, COUNT_OF(copied));

	prepare(&message,
		&(struct redrive_options){.target_url = "http://h/1/q", .drop_deadline = true});
	assert_string_equal(attributes(), "Campaign=morning IdempotencyKey=k-1");
}

/* What SQS moved has the key that its queue's workers have always given it. */
static void a_moved_message_keeps_its_key(void **state)
{
	static const struct queue_attribute own[] = {ATTRIBUTE("Attempts", "String", "mine")};
	struct queue_message message = message_with(own, 1);

	message.message_id = "m-2";
	prepare(&message, &(struct redrive_options){.target_url = "http://127.0.0.1:9324/1/q"});
	/* uuid.uuid5(uuid.NAMESPACE_URL, "http://127.0.0.1:9324/1/q" + "m-2"), as the client has */
	assert_string_equal(
		attributes(), "Attempts=mine IdempotencyKey=8b64f27c-71ee-5e62-95b3-892e5c2bfa82");
	assert_string_equal(outgoing.send.attributes[1].type, "String");
}

static void ten_attributes_leave_no_room(void **state)
{
	struct queue_attribute ten[QUEUE_ATTRIBUTES_MAX];
	struct queue_message message = message_with(ten, QUEUE_ATTRIBUTES_MAX);
	char names[QUEUE_ATTRIBUTES_MAX][8];

	for (size_t i = 0; i < QUEUE_ATTRIBUTES_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "a%zu", i);
		ten[i] = (struct queue_attribute){names[i], "String", "v", 1};
	}
	prepare(&message, &(struct redrive_options){.target_url = "http://h/1/q"});
	assert_int_equal(outgoing.send.attribute_count, 10);
	assert_true(keyless);
}

static void to_a_fifo_queue(void **state)
{
	struct queue_message message = message_with(copied, COUNT_OF(copied));
	const struct redrive_options options = {
		.target_url = "http://h/1/q.fifo", .target_fifo = true};

	prepare(&message, &options);
	assert_string_equal(outgoing.send.group_id, "m-1");
	assert_string_equal(outgoing.send.deduplication_id, "m-1");
	message.group_id = "user-7";
	prepare(&message, &options);
	assert_string_equal(outgoing.send.group_id, "user-7");
	assert_string_equal(outgoing.send.deduplication_id, "m-1");
	/* and the group of a fair queue goes along, too */
	prepare(&message, &(struct redrive_options){.target_url = "http://h/1/q"});
	assert_string_equal(outgoing.send.group_id, "user-7");
	assert_null(outgoing.send.deduplication_id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_copy_goes_back_as_it_was),
		cmocka_unit_test(a_deadline_is_dropped_when_told_to),
		cmocka_unit_test(a_moved_message_keeps_its_key),
		cmocka_unit_test(ten_attributes_leave_no_room),
		cmocka_unit_test(to_a_fifo_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
