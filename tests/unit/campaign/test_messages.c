/* Recipients x template -> messages. */
#include "campaign/messages.h"

#include "aws/uuid.h"
#include "bunshin/error.h"
#include "text_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One list being made into messages. */
struct fixture {
	struct text_source source;
	struct template *template;
	struct recipients *recipients;
	struct messages *messages;
};

static int open_fixture(struct fixture *fixture, const char *list, const char *template,
	const struct messages_options *options)
{
	const struct recipients_input input = {text_source_read, &fixture->source};
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
		.key_space = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
	};
	struct fixture fixture;
	struct campaign_message message;
	char key[UUID_TEXT_SIZE];

	assert_int_equal(open_fixture(&fixture, "to\nU1\n\"\nU2\n", NULL, &options), 0);
	assert_int_equal(messages_next(fixture.messages, &message), RECIPIENTS_ROW);
	assert_int_equal(message.attribute_count, 4);
	uuid_v5(options.key_space, "1", 1, "", 0, key);
	check_attribute(&message.attributes[0], "IdempotencyKey", "String", key);
	check_attribute(&message.attributes[1], "Campaign", "String", "morning");
	check_attribute(&message.attributes[2], "Destination", "String", "line");
	check_attribute(&message.attributes[3], "Deadline", "Number", "1795996800000");
	close_fixture(&fixture);
}

/* Invalid rows count, so that a key does not depend on which rows were skipped. */
static void keys_follow_the_rows(void **state)
{
	static const unsigned char key_space[16] = {9};
	const struct messages_options options = {.key_space = {9}};
	struct fixture fixture;
	struct campaign_message message;
	char key[UUID_TEXT_SIZE];

	assert_int_equal(open_fixture(&fixture, "to\nU1\nx,y\nU3\n", NULL, &options), 0);
	assert_int_equal(messages_next(fixture.messages, &message), RECIPIENTS_ROW);
	assert_int_equal(message.attribute_count, 1);
	assert_int_equal(messages_next(fixture.messages, &message), RECIPIENTS_INVALID);
	assert_int_equal(messages_next(fixture.messages, &message), RECIPIENTS_ROW);
	uuid_v5(key_space, "3", 1, "", 0, key);
	check_attribute(&message.attributes[0], "IdempotencyKey", "String", key);
	close_fixture(&fixture);
}

/* Everything else of the message is as it is with its key. */
static void keys_are_left_out(void **state)
{
	struct fixture fixture;
	struct campaign_message message;

	assert_int_equal(open_fixture(&fixture, "to\nU1\nU2\n", NULL, NULL), 0);
	messages_leave_keys_out(fixture.messages);
	for (uint64_t row = 1; row <= 2; row++) {
		assert_int_equal(messages_next(fixture.messages, &message), RECIPIENTS_ROW);
		assert_int_equal(message.place.row, row);
		check_attribute(&message.attributes[0], "IdempotencyKey", "String",
			"00000000-0000-0000-0000-000000000000");
		assert_string_equal(message.idempotency_key, message.attributes[0].value);
	}
	close_fixture(&fixture);
}

/* Rows that are passed over, broken ones too; what breaks the list is not. */
static bool is_even(void *arg, uint64_t row)
{
	return row % 2 == 0;
}

static void rows_are_passed_over(void **state)
{
	const struct messages_options options = {.skip = is_even};
	struct buf out = BUF_INIT(1000);
	struct fixture fixture;

	assert_int_equal(
		open_fixture(&fixture, "to\na\nb,b\nc,c\nd\ne\n\"f\nx\n", NULL, &options), 0);
	assert_int_equal(show_all(fixture.messages, &out), 0);
	assert_string_equal(buf_string(&out),
		"2 {\"to\":\"a\"}\n!4:3 expected 1 field, got 2\n6 {\"to\":\"e\"}\n"
		"!!7:1 the quote that opens here is never closed\n");
	close_fixture(&fixture);
	buf_free(&out);
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

/* "2 key" for each message, "!2:1 why" for an error. */
static void check_keys(
	const char *list, enum messages_key kind, const char *column, const char *expected)
{
	const struct messages_options options = {
		.key_space = {9}, .key = kind, .key_column = column};
	struct buf out = BUF_INIT(1 << 20);
	struct campaign_message message;
	struct fixture fixture;
	int event;

	assert_int_equal(open_fixture(&fixture, list, NULL, &options), 0);
	while ((event = messages_next(fixture.messages, &message)) > 0) {
		const struct recipients_error *error = messages_error(fixture.messages);
		char key[UUID_TEXT_SIZE];

		if (event == RECIPIENTS_INVALID) {
			buf_appendf(&out, "%s%d %s\n", error->fatal ? "!!" : "!", (int)error->line,
				error->reason);
			continue;
		}
		uuid_v5(options.key_space, message.key, message.key_bytes, "", 0, key);
		assert_string_equal(message.idempotency_key, key);
		assert_string_equal(message.attributes[0].name, "IdempotencyKey");
		assert_string_equal(message.attributes[0].value, key);
		buf_appendf(&out, "%d %.*s\n", (int)message.place.line, (int)message.key_bytes,
			message.key);
	}
	assert_int_equal(event, 0);
	assert_string_equal(buf_string(&out), expected);
	buf_free(&out);
	close_fixture(&fixture);
}

static void recipients_are_known_by_a_column(void **state)
{
	check_keys("to,n\nU1,a\n\"\",b\nU1,c\n", MESSAGES_KEY_COLUMN, "to",
		"2 U1\n!3 its key, \"to\", is missing or empty\n4 U1\n");
	check_keys("{\"a\":{\"id\":5}}\n{\"b\":1}\n", MESSAGES_KEY_COLUMN, "a.id",
		"1 5\n!2 its key, \"a.id\", is missing or empty\n");
	check_keys("to,n\nU1,a\n", MESSAGES_KEY_COLUMN, "id",
		"!!1 the list does not have the key column \"id\"\n");
}

static void recipients_are_known_by_the_row(void **state)
{
	check_keys("to,n\nU1,a\nU1,b\n", MESSAGES_KEY_ROW, NULL,
		"2 {\"to\":\"U1\",\"n\":\"a\"}\n3 {\"to\":\"U1\",\"n\":\"b\"}\n");
}

/* What every run of a campaign, here and elsewhere, has in common. */
static void a_campaigns_key_space(void **state)
{
	unsigned char space[16], expected[16];

	/* By Python's uuid.uuid5(). */
	assert_int_equal(uuid_parse("9a4e80f9-dbe9-5f21-9e94-d63f7eea8e73", expected), 0);
	assert_int_equal(campaign_key_space("morning", space), 0);
	assert_memory_equal(space, expected, 16);
	assert_int_equal(campaign_key_space("evening", space), 0);
	assert_memory_not_equal(space, expected, 16);
}

static void check_group(const struct messages_options *options, const char *list, const char *group,
	bool deduplicated)
{
	struct fixture fixture;
	struct campaign_message message;

	assert_int_equal(open_fixture(&fixture, list, NULL, options), 0);
	assert_int_equal(messages_next(fixture.messages, &message), RECIPIENTS_ROW);
	if (!group)
		assert_null(message.group_id);
	else
		assert_string_equal(message.group_id,
			strcmp(group, "KEY") == 0 ? message.idempotency_key : group);
	if (deduplicated)
		assert_string_equal(message.deduplication_id, message.idempotency_key);
	else
		assert_null(message.deduplication_id);
	close_fixture(&fixture);
}

static void groups(void **state)
{
	static const char list[] = "to,shop,n\nU1,s 1,!~\n";
	const struct messages_options by_column = {
		.key = MESSAGES_KEY_COLUMN, .key_column = "to", .fifo = true};
	struct messages_options options = {.key = MESSAGES_KEY_NUMBER};
	char long_list[200], id[130];

	check_group(&options, list, NULL, false);
	options.fifo = true;
	check_group(&options, list, "KEY", true); /* a number is another's in the next run */
	options = by_column;
	check_group(&options, list, "U1", true);
	options.key_column = "shop";
	check_group(&options, list, "KEY", true); /* a space */
	options.key = MESSAGES_KEY_ROW;
	check_group(&options, "{\"to\":1}\n", "{\"to\":1}", true);
	check_group(&options, "{\"to\": 1}\n", "KEY", true);
	options = by_column;
	options.group_column = "n";
	check_group(&options, list, "!~", true);
	options.fifo = false;
	check_group(&options, list, "!~", false);
	options = by_column;
	for (int len = 128; len <= 129; len++) {
		snprintf(id, sizeof(id), "%0*d", len, 1);
		snprintf(long_list, sizeof(long_list), "to\n%s\n", id);
		check_group(&options, long_list, len == 128 ? id : "KEY", true);
	}
}

static void a_group_that_is_none(void **state)
{
	const struct messages_options options = {.group_column = "shop", .fifo = true};
	struct buf out = BUF_INIT(2000);
	struct fixture fixture;

	assert_int_equal(open_fixture(&fixture, "to,shop\nU1,\nU2,s 2\nU3,s3\nU4,\xc3\xa9\n", NULL,
				 &options),
		0);
	assert_int_equal(show_all(fixture.messages, &out), 0);
#define WHY                                                                                \
	":1 its group, \"shop\", is no MessageGroupId (1 to 128 ASCII characters without " \
	"spaces)\n"
	assert_string_equal(
		buf_string(&out), "!2" WHY "!3" WHY "4 {\"to\":\"U3\",\"shop\":\"s3\"}\n!5" WHY);
	close_fixture(&fixture);
	buf_clear(&out);
	assert_int_equal(open_fixture(&fixture, "to\nU1\n", NULL, &options), 0);
	assert_int_equal(show_all(fixture.messages, &out), 0);
	assert_string_equal(
		buf_string(&out), "!!1:1 the list does not have the group column \"shop\"\n");
	close_fixture(&fixture);
	buf_free(&out);
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
		cmocka_unit_test(keys_are_left_out),
		cmocka_unit_test(rows_are_passed_over),
		cmocka_unit_test(templates_that_do_not_compile),
		cmocka_unit_test(recipients_are_known_by_a_column),
		cmocka_unit_test(recipients_are_known_by_the_row),
		cmocka_unit_test(a_campaigns_key_space),
		cmocka_unit_test(groups),
		cmocka_unit_test(a_group_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
