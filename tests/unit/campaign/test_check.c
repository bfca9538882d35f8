/* The first pass over a list: what is to be sent, and why the rest is not. */
#include "campaign/check.h"

#include "bunshin/error.h"
#include "text_source.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t hash_key[SIPHASH_KEY_BYTES] = {5};

/* One line a reject; ends the pass at row `end_at`. */
struct notes {
	struct buf text;
	uint64_t end_at;
};

static int note(void *arg, const struct campaign_reject *reject)
{
	struct notes *notes = arg;

	buf_appendf(&notes->text, "%s%" PRIu64 ":%" PRIu64 " row %" PRIu64 " ",
		reject->fatal ? "!!" : "", reject->line, reject->column, reject->place.row);
	buf_appendf(&notes->text, "%d [%.*s] %s\n", (int)reject->why,
		reject->key ? (int)reject->key_bytes : 1, reject->key ? reject->key : "-",
		reject->reason);
	return reject->place.row == notes->end_at ? ERR_CANCELLED : 0;
}

static int check(const char *list, const char *key_column, const char *rule, const char *suppressed,
	struct notes *notes, struct campaign_check *ret_check)
{
	const struct messages_options options = {.key_space = {9},
		.key = key_column ? MESSAGES_KEY_COLUMN : MESSAGES_KEY_ROW,
		.key_column = key_column};
	struct text_source source = {list, strlen(list)};
	const struct recipients_input input = {text_source_read, &source};
	struct campaign_check_rules rules = {0};
	struct recipients *recipients;
	struct messages *messages;
	struct buf error = BUF_INIT(1000);
	int err;

	notes->text.max = 100000;
	assert_int_equal(key_set_new(hash_key, &rules.keys), 0);
	if (suppressed)
		assert_int_equal(key_set_suppress(rules.keys, suppressed, strlen(suppressed)), 0);
	if (rule) {
		assert_int_equal(validate_new(&rules.validate), 0);
		assert_int_equal(validate_add(rules.validate, rule, &error), 0);
	}
	assert_int_equal(
		recipients_new(recipients_guess_format("-", list, source.len), &input, &recipients),
		0);
	assert_int_equal(messages_new(recipients, &options, &messages), 0);
	err = campaign_check(messages, recipients, &rules, note, notes, ret_check);
	messages_free(messages);
	recipients_free(recipients);
	validate_free(rules.validate);
	key_set_free(rules.keys);
	buf_free(&error);
	return err;
}

static void each_row_has_one_reason(void **state)
{
	struct campaign_check result;
	struct notes notes = {0};

	assert_int_equal(check("to,n\nU1,a\nx,b\nU2,c,d\nU1,e\nU3,f\nx,g\n\"\",h\nU4,i\n", "to",
				 "to=U[0-9]", "U3", &notes, &result),
		0);
	assert_string_equal(buf_string(&notes.text),
		"3:1 row 2 1 [x] to does not match U[0-9]\n"
		"4:6 row 3 0 [-] expected 2 fields, got 3\n"
		"5:1 row 4 2 [U1] its key stood in an earlier row\n"
		"6:1 row 5 3 [U3] its key is in the suppression file\n"
		"7:1 row 6 1 [x] to does not match U[0-9]\n"
		"8:1 row 7 0 [-] its key, \"to\", is missing or empty\n");
	assert_int_equal(result.rows, 8);
	assert_int_equal(result.valid, 2);
	assert_int_equal(result.invalid, 2);
	assert_int_equal(result.malformed, 2);
	assert_int_equal(result.duplicate, 1);
	assert_int_equal(result.suppressed, 1);
	assert_int_equal(result.requests, 1);
	assert_false(result.fatal);
	buf_free(&notes.text);
}

static void rows_alike_are_one(void **state)
{
	struct campaign_check result;
	struct notes notes = {0};

	assert_int_equal(check("to,n\nU1,a\nU1,b\nU1,a\n", NULL, NULL, NULL, &notes, &result), 0);
	assert_string_equal(buf_string(&notes.text),
		"4:1 row 3 2 [{\"to\":\"U1\",\"n\":\"a\"}] its key stood in an earlier row\n");
	assert_int_equal(result.valid, 2);
	assert_int_equal(result.duplicate, 1);
	buf_free(&notes.text);
}

static void lists_that_are_broken(void **state)
{
	struct campaign_check result;
	struct notes notes = {0};

	assert_int_equal(check("to\nU1\n\"U2\nU3\n", NULL, NULL, NULL, &notes, &result), 0);
	assert_true(result.fatal);
	assert_int_equal(result.rows, 2);
	assert_int_equal(result.valid, 1);
	assert_int_equal(result.invalid, 1);
	buf_clear(&notes.text);
	assert_int_equal(check("to\nU1\nU2\n", NULL, "id=.", NULL, &notes, &result), 0);
	assert_true(result.fatal);
	assert_int_equal(result.valid, 0);
	assert_string_equal(buf_string(&notes.text),
		"!!1:1 row 1 0 [-] --validate: the list does not have the column \"id\"\n");
	buf_clear(&notes.text);
	assert_int_equal(check("to\nU1\nU2\n", "id", NULL, NULL, &notes, &result), 0);
	assert_true(result.fatal);
	assert_string_equal(buf_string(&notes.text),
		"!!1:1 row 1 0 [-] the list does not have the key column \"id\"\n");
	buf_free(&notes.text);
}

/* As the producer will fill its batches. */
static void requests_and_what_they_hold(void **state)
{
	struct buf list = BUF_INIT(1 << 24);
	struct campaign_check result;
	struct notes notes = {0};

	buf_append_string(&list, "to\n");
	for (int i = 0; i < 21; i++)
		buf_appendf(&list, "U%d\n", i);
	assert_int_equal(check(buf_string(&list), NULL, NULL, NULL, &notes, &result), 0);
	assert_int_equal(result.requests, 3);
	assert_int_equal(result.chunks, 3);
	buf_clear(&list);
	buf_append_string(&list, "to\n");
	for (int i = 0; i < 4; i++) {
		for (int k = 0; k < 300000; k++)
			buf_append_char(&list, (char)('a' + i));
		buf_append_string(&list, "\n");
	}
	assert_int_equal(check(buf_string(&list), NULL, NULL, NULL, &notes, &result), 0);
	assert_int_equal(result.requests, 2);
	assert_int_equal(result.chunks, 14 + 5);
	buf_free(&list);
	buf_free(&notes.text);
}

static void a_pass_that_is_ended(void **state)
{
	struct campaign_check result = {.rows = 77};
	struct notes notes = {.end_at = 2};

	assert_int_equal(
		check("to\nU1\nU1\nU1\n", NULL, NULL, NULL, &notes, &result), ERR_CANCELLED);
	assert_int_equal(result.rows, 77);
	buf_free(&notes.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_has_one_reason),
		cmocka_unit_test(rows_alike_are_one),
		cmocka_unit_test(lists_that_are_broken),
		cmocka_unit_test(requests_and_what_they_hold),
		cmocka_unit_test(a_pass_that_is_ended),
	};

	return cmocka_run_group_tests_name("campaign/check", tests, NULL, NULL);
}
