/* Recipients x template -> messages. */
#include "campaign/messages.h"

#include "aws/uuid.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct source {
	const char *text;
	size_t len;
};

static int read_source(void *arg, char *bytes, size_t size, size_t *ret_len)
{
	struct source *source = arg;
	size_t len = source->len < size ? source->len : size;

	memcpy(bytes, source->text, len);
	source->text += len;
	source->len -= len;
	*ret_len = len;
	return 0;
}

/* One list being made into messages. */
struct fixture {
	struct source source;
	struct template *template;
	struct recipients *recipients;
	struct messages *messages;
};

static int open_fixture(struct fixture *fixture, const char *list, const char *template,
	const struct messages_options *options)
{
	const struct recipients_input input = {read_source, &fixture->source};
	struct messages_options copy = options ? *options : (struct messages_options){0};
	struct buf error = BUF_INIT(1000);
	int rc = 0;

	*fixture = (struct fixture){.source = {list, strlen(list)}};
	if (template)
		rc = message_template_compile(
			template, strlen(template), &fixture->template, &error);
	buf_free(&error);
	copy.template = fixture->template;
	if (rc == 0)
		rc = recipients_new(recipients_guess_format("-", list, strlen(list)), &input,
			&fixture->recipients);
	return rc < 0 ? rc : messages_new(fixture->recipients, &copy, &fixture->messages);
}

static void close_fixture(struct fixture *fixture)
{
	messages_free(fixture->messages);
	recipients_free(fixture->recipients);
	template_free(fixture->template);
}

/* "2 body" for a message of line 2, "!2:1 why" for an error. */
static int show_all(struct messages *messages, struct buf *out)
{
	struct campaign_message message;
	int event;

	while ((event = messages_next(messages, &message)) > 0) {
		const struct recipients_error *error = messages_error(messages);

		if (event == RECIPIENTS_ROW)
			buf_appendf(out, "%d %.*s\n", (int)message.place.line,
				(int)message.body_bytes, message.body);
		else
			buf_appendf(out, "%s%d:%d %s\n", error->fatal ? "!!" : "!",
				(int)error->line, (int)error->column, error->reason);
	}
	return event < 0 ? event : out->err;
}

static void check(const char *list, const char *template, const char *expected)
{
	struct fixture fixture;
	struct buf out = BUF_INIT(1 << 20);

	assert_int_equal(open_fixture(&fixture, list, template, NULL), 0);
	assert_int_equal(show_all(fixture.messages, &out), 0);
	assert_string_equal(buf_string(&out), expected);
	close_fixture(&fixture);
	buf_free(&out);
}

static void without_a_template_the_row_is_the_body(void **state)
{
	check("to,name\nU1,\"a\n\"\"b\"\n", NULL, "2 {\"to\":\"U1\",\"name\":\"a\\n\\\"b\"}\n");
	check("{\"to\": \"U1\", \"n\": [1, 2]} \n", NULL, "1 {\"to\": \"U1\", \"n\": [1, 2]}\n");
}

static void templates_are_filled(void **state)
{
	check("to,name\nU1,\"a\n\"\"b\"\n", "{\"to\":\"{{to}}\",\"text\":\"Hi {{name}}!\"}\n",
		"2 {\"to\":\"U1\",\"text\":\"Hi a\\n\\\"b!\"}\n");
	check("to,name\nU1,\"a\n\"\"b\"\n", "Hi {{name}}!\n", "2 Hi a\n\"b!\n");
	/* a text that begins with a variable is not JSON */
	check("to,name\nU1,\"a\"\"b\"\n", "{{name}}, hello", "2 a\"b, hello\n");
	check("{\"n\":5,\"o\":{\"p\":\"q\"}}\n", " [{{n}},\"{{o.p}}\",{{o}}]",
		"1  [5,\"q\",{\"p\":\"q\"}]\n");
	check("to\nU1\n", "\xef\xbb\xbf{\"to\":\"{{to}}\"}\r\n", "2 {\"to\":\"U1\"}\n");
}

static void rows_that_make_no_message(void **state)
{
	check("{\"to\":\"U1\"}\n{\"name\":\"x\"}\n{\"to\":\"U3\"}\n", "{\"to\":\"{{to}}\"}",
		"1 {\"to\":\"U1\"}\n!2:1 missing variable \"to\"\n3 {\"to\":\"U3\"}\n");
	check("to\n\"\"\nx\n", "{{to}}",
		"!2:1 the message holds empty text, which SQS refuses\n3 x\n");
	check("to\n\x01\nx\n", "{{to}}",
		"!2:1 the message holds a control character, U+FFFE or U+FFFF, which SQS "
		"refuses\n3 x\n");
	check("to\n\xef\xbf\xbf\nx\n", "{{to}}",
		"!2:1 the message holds a control character, U+FFFE or U+FFFF, which SQS "
		"refuses\n3 x\n");
	/* in JSON they are escaped, and fit */
	check("to\n\x01\n", "{\"to\":\"{{to}}\"}", "2 {\"to\":\"\\u0001\"}\n");
	check("to,n\nU1\nU2,x\n", "{{to}}", "!2:1 expected 2 fields, got 1\n3 U2\n");
}

static void a_missing_column_is_one_error(void **state)
{
	check("to,name\nU1,a\nU2,b\n", "{{to}} {{nmae}}",
		"!!1:1 the template needs the column \"nmae\", which the list does not have\n");
	check("to\nU1\n", "{{to}} {{name|you}}", "2 U1 you\n");
}

static void messages_have_a_size(void **state)
{
	/* IdempotencyKey String 36 */
	size_t overhead = 14 + 6 + 36, fits = MESSAGE_MAX_BYTES - overhead;
	struct buf list = BUF_INIT(MESSAGE_MAX_BYTES + 100);

	for (size_t extra = 0; extra <= 1; extra++) {
		struct fixture fixture;
		struct campaign_message message;

		buf_clear(&list);
		buf_append_string(&list, "to\n");
		while (list.len < fits + extra + 3)
			buf_append_char(&list, 'x');
		assert_int_equal(open_fixture(&fixture, buf_string(&list), "{{to}}", NULL), 0);
		if (extra == 0) {
			assert_int_equal(messages_next(fixture.messages, &message), RECIPIENTS_ROW);
			assert_int_equal(message_bytes(message.body_bytes, message.attributes,
						 message.attribute_count),
				MESSAGE_MAX_BYTES);
		} else {
			assert_int_equal(
				messages_next(fixture.messages, &message), RECIPIENTS_INVALID);
			assert_string_equal(messages_error(fixture.messages)->reason,
				"the message is larger than 1 MiB");
		}
		close_fixture(&fixture);
	}
	buf_free(&list);
}

static void check_attribute(const struct queue_attribute *attribute, const char *name,
	const char *type, const char *value)
{
	assert_string_equal(attribute->name, name);
	assert_string_equal(attribute->type, type);
	assert_int_equal(attribute->value_bytes, strlen(value));
	assert_memory_equal(attribute->value, value, strlen(value));
}

static void attributes(void **state)
{
	struct messages_options options = {
		.campaign = "morning",
		.destination = "line",
		.deadline_epoch_ms = INT64_C(1795996800000),
		.run_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
	};
	struct fixture fixture;
	struct campaign_message message;
	char key[UUID_TEXT_SIZE];

	assert_int_equal(open_fixture(&fixture, "to\nU1\n\"\nU2\n", NULL, &options), 0);
	assert_int_equal(messages_next(fixture.messages, &message), RECIPIENTS_ROW);
	assert_int_equal(message.attribute_count, 4);
	uuid_v5(options.run_id, "1", 1, "", 0, key);
	check_attribute(&message.attributes[0], "IdempotencyKey", "String", key);
	check_attribute(&message.attributes[1], "Campaign", "String", "morning");
	check_attribute(&message.attributes[2], "Destination", "String", "line");
	check_attribute(&message.attributes[3], "Deadline", "Number", "1795996800000");
	close_fixture(&fixture);
}

/* Invalid rows count, so that a key does not depend on which rows were skipped. */
static void keys_follow_the_rows(void **state)
{
	static const unsigned char run_id[16] = {9};
	const struct messages_options options = {.run_id = {9}};
	struct fixture fixture;
	struct campaign_message message;
	char key[UUID_TEXT_SIZE];

	assert_int_equal(open_fixture(&fixture, "to\nU1\nx,y\nU3\n", NULL, &options), 0);
	assert_int_equal(messages_next(fixture.messages, &message), RECIPIENTS_ROW);
	assert_int_equal(message.attribute_count, 1);
	assert_int_equal(messages_next(fixture.messages, &message), RECIPIENTS_INVALID);
	assert_int_equal(messages_next(fixture.messages, &message), RECIPIENTS_ROW);
	uuid_v5(run_id, "3", 1, "", 0, key);
	check_attribute(&message.attributes[0], "IdempotencyKey", "String", key);
	close_fixture(&fixture);
}

static void count_error(void *arg, const struct recipients_error *error)
{
	(*(int *)arg)++;
}

static void a_whole_list_is_checked(void **state)
{
	struct fixture fixture;
	struct messages_check result;
	struct buf list = BUF_INIT(1 << 20);
	int errors = 0;

	buf_append_string(&list, "to\n");
	for (int i = 0; i < 25; i++)
		buf_appendf(&list, i == 7 || i == 9 ? "x,y\n" : "U%d\n", i);
	assert_int_equal(open_fixture(&fixture, buf_string(&list), NULL, NULL), 0);
	assert_int_equal(messages_check(fixture.messages, count_error, &errors, &result), 0);
	assert_int_equal(errors, 2);
	assert_int_equal(result.rows, 25);
	assert_int_equal(result.valid, 23);
	assert_int_equal(result.invalid, 2);
	assert_int_equal(result.requests, 3);
	assert_false(result.fatal);
	close_fixture(&fixture);
	buf_free(&list);
	assert_int_equal(open_fixture(&fixture, "to\nU1\n\"U2\nU3\n", NULL, NULL), 0);
	assert_int_equal(messages_check(fixture.messages, NULL, NULL, &result), 0);
	assert_int_equal(result.rows, 2);
	assert_int_equal(result.valid, 1);
	assert_int_equal(result.invalid, 1);
	assert_int_equal(result.requests, 1);
	assert_true(result.fatal);
	close_fixture(&fixture);
}

static void templates_that_do_not_compile(void **state)
{
	static const char *const texts[] = {"{{", "{\"a\":}", "[", "{{}}"};
	struct buf error = BUF_INIT(1000);
	struct template *template = NULL;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		buf_clear(&error);
		assert_int_equal(
			message_template_compile(texts[i], strlen(texts[i]), &template, &error),
			ERR_SYNTAX);
		assert_true(error.len > 0);
		assert_null(template);
	}
	assert_int_equal(message_template_compile("a\0b", 3, &template, &error), ERR_SYNTAX);
	buf_free(&error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_a_template_the_row_is_the_body),
		cmocka_unit_test(templates_are_filled),
		cmocka_unit_test(rows_that_make_no_message),
		cmocka_unit_test(a_missing_column_is_one_error),
		cmocka_unit_test(messages_have_a_size),
		cmocka_unit_test(attributes),
		cmocka_unit_test(keys_follow_the_rows),
		cmocka_unit_test(a_whole_list_is_checked),
		cmocka_unit_test(templates_that_do_not_compile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
