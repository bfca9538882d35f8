/* Rules for columns: what they take, and what is said of the rest. */
#include "campaign/validate.h"

#include "bunshin/error.h"
#include "text_source.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* What is said of the first row of the list, "" when it keeps the rules. */
static void check_row(const char *rule, const char *list, const char *expected)
{
	struct text_source source = {list, strlen(list)};
	const struct recipients_input input = {text_source_read, &source};
	struct buf reason = BUF_INIT(10000);
	struct recipients *recipients;
	struct validate *validate;

	assert_int_equal(validate_new(&validate), 0);
	assert_int_equal(validate_add(validate, rule, &reason), 0);
	assert_int_equal(
		recipients_new(recipients_guess_format("-", list, source.len), &input, &recipients),
		0);
	assert_int_equal(recipients_next(recipients), RECIPIENTS_ROW);
	assert_int_equal(validate_row(validate, recipients, &reason), *expected == '\0' ? 1 : 0);
	assert_string_equal(buf_string(&reason), expected);
	recipients_free(recipients);
	validate_free(validate);
	buf_free(&reason);
}

static void the_whole_value_has_to_match(void **state)
{
	check_row("to=[0-9]+", "to\n123\n", "");
	check_row("to=[0-9]+", "to\n123x\n", "to does not match [0-9]+");
	check_row("to=a|b", "to\nab\n", "to does not match a|b");
	check_row("to=a|b", "to\nb\n", "");
	check_row("to=[0-9]+", "to\n\"12\n3\"\n", "to does not match [0-9]+");
	check_row("n=[0-9]+", "{\"n\":5}\n", "");
	check_row("n=[0-9]+", "{\"n\":\"5\"}\n", "");
	check_row("a.b=x", "{\"a\":{\"b\":\"x\"}}\n", "");
	check_row("n=[0-9]+", "{\"m\":5}\n", "n is missing");
	check_row("n=.*", "{\"n\":\"a\\u0000b\"}\n", "n does not match .*");
}

/* Not bytes, whatever the locale of the process: the tests run in C. */
static void characters(void **state)
{
	check_row("to=.{3}", "to\n田中さ\n", "");
	check_row("to=.{3}", "to\n田中\n", "to does not match .{3}");
	check_row("to=[あいう]+", "to\nいう\n", "");
	check_row("to=[あいう]+", "to\nえ\n", "to does not match [あいう]+");
	check_row("to=[あa-z]+", "to\nあx\n", "");
	check_row("to=[^@]+@[^@]+", "to\n山田@例え.jp\n", "");
	check_row("to=[[:alpha:]]+", "to\n山田\n", "");
}

static void ids_of_line(void **state)
{
	check_row("to=@line", "to\nU0123456789abcdef0123456789abcdef\n", "");
	check_row("to=@line", "to\nC0123456789abcdef0123456789abcdef\n", "");
	check_row("to=@line", "to\nU0123456789ABCDEF0123456789abcdef\n",
		"to is not a LINE id (U, C or R and 32 hex digits)");
	check_row("to=@line", "to\nU0123456789abcdef0123456789abcdef0\n",
		"to is not a LINE id (U, C or R and 32 hex digits)");
}

static void phone_numbers(void **state)
{
	check_row("to=@e164", "to\n+819012345678\n", "");
	check_row("to=@e164", "to\n+123456789012345\n", "");
	check_row("to=@e164", "to\n+1234567890123456\n",
		"to is not a phone number as in +819012345678 (E.164)");
	check_row("to=@e164", "to\n09012345678\n",
		"to is not a phone number as in +819012345678 (E.164)");
	check_row("to=@e164", "to\n+09012345678\n",
		"to is not a phone number as in +819012345678 (E.164)");
	check_row("to=@e164", "to\n+81 90 1234 5678\n",
		"to is not a phone number as in +819012345678 (E.164)");
}

/* A token of `first` characters, a colon, and `second` more; 0: one part. */
static void check_token(int first, int second, bool taken)
{
	struct buf list = BUF_INIT(10000);

	buf_append_string(&list, "to\n");
	for (int i = 0; i < first; i++)
		buf_append_char(&list, "AZaz09_-"[i % 8]);
	if (second > 0)
		buf_append_char(&list, ':');
	for (int i = 0; i < second; i++)
		buf_append_char(&list, "APA91b-_"[i % 8]);
	buf_append_string(&list, "\n");
	check_row("to=@fcm", buf_string(&list), taken ? "" : "to is not an FCM registration token");
	buf_free(&list);
}

/* 152 and 163 characters in two parts, and 162 in one, are those that are met most. */
static void tokens_of_fcm(void **state)
{
	check_token(11, 140, true);
	check_token(22, 140, true);
	check_token(162, 0, true);
	check_token(22, 0, false);
	check_token(99, 0, false);
	check_token(100, 0, true);
	check_token(VALIDATE_VALUE_MAX, 0, true);
	check_token(VALIDATE_VALUE_MAX + 1, 0, false);
	check_row("to=@fcm", "to\nc1a2b3d4e5f6g7h8i9j0 :APA91b\n",
		"to is not an FCM registration token");
}

static void check_rule(const char *rule, const char *expected)
{
	struct buf error = BUF_INIT(10000);
	struct validate *validate;

	assert_int_equal(validate_new(&validate), 0);
	assert_int_equal(validate_add(validate, rule, &error), ERR_SYNTAX);
	assert_string_equal(buf_string(&error), expected);
	validate_free(validate);
	buf_free(&error);
}

static void rules_that_are_none(void **state)
{
	check_rule("to", "\"to\": expected COLUMN=REGEX or COLUMN=@PRESET");
	check_rule("=x", "\"=x\": expected COLUMN=REGEX or COLUMN=@PRESET");
	check_rule("to=", "\"to=\": expected COLUMN=REGEX or COLUMN=@PRESET");
	check_rule("to=@lime", "\"to=@lime\": no such preset; there are @line, @e164, @fcm");
	check_rule("to=(", "\"to=(\": not a regular expression: Unmatched ( or \\(");
	check_rule("to=[ぁ-ん]", "\"to=[ぁ-ん]\": not a regular expression: "
				 "a range in brackets can be of ASCII characters only");
	check_rule("to=[a", "\"to=[a\": not a regular expression: Unmatched [, [^, [:, [., or [=");
}

/* In parentheses, which the whole value's anchors stand around, it would be an expression. */
static void an_expression_that_only_parentheses_make_one(void **state)
{
	check_rule("to=a)|b", "\"to=a)|b\": not a regular expression: Unmatched ( or \\(");
	check_rule("to=a)", "\"to=a)\": not a regular expression: Unmatched ( or \\(");
	check_row("to=a[)]|b\\)", "to\nb)\n", "");
	check_rule("to=a)|(b", "\"to=a)|(b\": not a regular expression: Unmatched ( or \\(");
}

static void a_rule_as_long_as_can_be(void **state)
{
	struct buf rule = BUF_INIT(10000), list = BUF_INIT(10000);

	buf_append_string(&rule, "to=");
	buf_append_string(&list, "to\n");
	while (rule.len < VALIDATE_RULE_MAX) {
		buf_append_char(&rule, 'a');
		buf_append_char(&list, 'a');
	}
	check_row(buf_string(&rule), buf_string(&list), "");
	buf_append_char(&rule, 'a');
	check_rule(buf_string(&rule), "a rule is longer than 1024 bytes");
	buf_free(&rule);
	buf_free(&list);
}

static void a_column_that_the_list_lacks(void **state)
{
	static const char list[] = "to,n\na,b\n";
	struct text_source source = {list, strlen(list)};
	const struct recipients_input input = {text_source_read, &source};
	struct buf error = BUF_INIT(10000);
	struct recipients *recipients;
	struct validate *validate;

	assert_int_equal(validate_new(&validate), 0);
	assert_int_equal(validate_add(validate, "n=b", &error), 0);
	assert_int_equal(recipients_new(RECIPIENTS_CSV, &input, &recipients), 0);
	assert_int_equal(recipients_next(recipients), RECIPIENTS_ROW);
	assert_null(validate_missing_column(validate, recipients));
	assert_int_equal(validate_add(validate, "id=b", &error), 0);
	assert_string_equal(validate_missing_column(validate, recipients), "id");
	for (int i = 2; i < VALIDATE_RULES_MAX; i++)
		assert_int_equal(validate_add(validate, "n=b", &error), 0);
	assert_int_equal(validate_add(validate, "n=b", &error), ERR_SYNTAX);
	assert_string_equal(buf_string(&error), "more than 32 rules");
	recipients_free(recipients);
	validate_free(validate);
	validate_free(NULL);
	buf_free(&error);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_value_has_to_match),
		cmocka_unit_test(characters),
		cmocka_unit_test(ids_of_line),
		cmocka_unit_test(phone_numbers),
		cmocka_unit_test(tokens_of_fcm),
		cmocka_unit_test(rules_that_are_none),
		cmocka_unit_test(an_expression_that_only_parentheses_make_one),
		cmocka_unit_test(a_rule_as_long_as_can_be),
		cmocka_unit_test(a_column_that_the_list_lacks),
	};

	return cmocka_run_group_tests_name("campaign/validate", tests, NULL, NULL);
}
