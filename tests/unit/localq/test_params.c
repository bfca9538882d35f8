#include "localq/params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct problem problem;

/* Reused from text to text, as a call's is. */
static struct json json;

static const struct json_value *parse(const char *text)
{
	const struct json_value *root = NULL;

	if (params_parse(&json, text, strlen(text), &root, &problem) != FAULT_NONE)
		fail_msg("%s: %s", text, problem.message);
	return root;
}

static void refused(const char *text, size_t len)
{
	const struct json_value *root = NULL;

	if (params_parse(&json, text, len, &root, &problem) != FAULT_SERIALIZATION)
		fail_msg("%s is taken", text);
	assert_null(root);
}

static void nothing_is_an_empty_object(void **state)
{
	const struct json_value *root = parse("");

	assert_int_equal(root->kind, JSON_OBJECT);
	assert_int_equal(params_count(root), 0);
}

static void broken_bodies(void **state)
{
	static const char *const table[] = {"{", "}", "[]", "1", "null", "\"x\"", "{}x", "{} {}",
		"{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}", "{\"a\":\"\\ud800\"}",
		"{\"a\":\"\\udc00\"}", "{\"a\":\"\\ud800\\u0041\"}", "{\"a\":\"\\x41\"}",
		"{\"a\":\"\xff\"}", "{\"a\":\"\xc0\x80\"}", "{\"a\":\"\xed\xa0\x80\"}", "{\"a",
		" "};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		refused(table[i], strlen(table[i]));
	refused("{\"a\":\"x\0y\"}", 11);
	refused("{}\0", 3);
}

static void white_space_around_is_fine(void **state)
{
	assert_int_equal(params_count(parse(" \t\r\n{ \"a\" : 1 } \n")), 1);
}

/* To C the string would end there; it must stay a character that SQS refuses. */
static void escaped_nul_does_not_end_a_string(void **state)
{
	static const struct {
		const char *json, *string;
	} table[] = {
		{"{\"a\":\"x\\u0000y\"}", "x\001y"},
		{"{\"a\":\"\\u0000\"}", "\001"},
		{"{\"a\":\"\\u0000\\u0000\"}", "\001\001"},
		{"{\"a\":\"\\\\u0000\"}", "\\u0000"},
		{"{\"a\":\"\\\\\\u0000\"}", "\\\001"},
		{"{\"a\":\"\\\\\\\\u0000\"}", "\\\\u0000"},
		{"{\"a\":\"\\\\u0000\\u0000\"}", "\\u0000\001"},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const struct json_value *root = parse(table[i].json);

		assert_string_equal(params_member(root, "a")->string, table[i].string);
	}
}

static void characters_beyond_the_first_plane(void **state)
{
	const struct json_value *root =
		parse("{\"a\":\"\\ud83d\\ude00\",\"b\":\"\xf0\x9f\x98\x80\"}");

	assert_string_equal(params_member(root, "a")->string, "\xf0\x9f\x98\x80");
	assert_string_equal(params_member(root, "b")->string, "\xf0\x9f\x98\x80");
}

static void names_are_case_sensitive_and_null_is_absent(void **state)
{
	const struct json_value *root = parse("{\"queueurl\":\"x\",\"A\":null,\"B\":{}}");
	const char *text = "untouched";

	assert_null(params_member(root, "QueueUrl"));
	assert_int_equal(params_text(root, "A", &text, &problem), FAULT_NONE);
	assert_null(text);
	assert_int_equal(params_required_text(root, "A", &text, &problem), FAULT_MISSING_PARAMETER);
	assert_string_equal(problem.message, "The request must contain the parameter A.");
	assert_non_null(params_member(root, "B"));
}

static void wrong_types(void **state)
{
	const struct json_value *root = parse(
		"{\"s\":\"x\",\"n\":1,\"o\":{},\"l\":[],\"ln\":[\"a\",1],\"b\":true,\"f\":1.5}");
	const struct json_value *value;
	const char *text;
	int64_t number = 7;

	assert_int_equal(params_text(root, "n", &text, &problem), FAULT_SERIALIZATION);
	assert_int_equal(params_text(root, "o", &text, &problem), FAULT_SERIALIZATION);
	assert_int_equal(params_object(root, "l", &value, &problem), FAULT_SERIALIZATION);
	assert_int_equal(params_object(root, "s", &value, &problem), FAULT_SERIALIZATION);
	assert_int_equal(params_list(root, "o", &value, &problem), FAULT_SERIALIZATION);
	assert_int_equal(params_texts(root, "ln", &value, &problem), FAULT_SERIALIZATION);
	assert_int_equal(params_texts(root, "l", &value, &problem), FAULT_NONE);
	assert_int_equal(params_int(root, "s", 0, 9, &number, NULL, &problem), FAULT_SERIALIZATION);
	assert_int_equal(params_int(root, "b", 0, 9, &number, NULL, &problem), FAULT_SERIALIZATION);
	assert_int_equal(params_int(root, "f", 0, 9, &number, NULL, &problem), FAULT_SERIALIZATION);
	assert_int_equal(number, 7);
}

static void integers_have_a_range(void **state)
{
	const struct json_value *root =
		parse("{\"a\":0,\"b\":10,\"c\":11,\"d\":-1,\"e\":1e300,\"f\":1e400,"
		      "\"g\":10.0,\"h\":-1e300}");
	static const char *const out[] = {"c", "d", "e", "f", "h"};
	int64_t number = 7;
	bool given = true;

	assert_int_equal(params_int(root, "z", 0, 10, &number, &given, &problem), FAULT_NONE);
	assert_false(given);
	assert_int_equal(number, 7);
	assert_int_equal(params_int(root, "a", 0, 10, &number, &given, &problem), FAULT_NONE);
	assert_true(given);
	assert_int_equal(number, 0);
	assert_int_equal(params_int(root, "g", 0, 10, &number, NULL, &problem), FAULT_NONE);
	assert_int_equal(number, 10);
	for (size_t i = 0; i < sizeof(out) / sizeof(out[0]); i++)
		assert_int_equal(params_int(root, out[i], 0, 10, &number, NULL, &problem),
			FAULT_INVALID_PARAMETER_VALUE);
	assert_int_equal(params_int(root, "c", 0, 10, &number, NULL, &problem),
		FAULT_INVALID_PARAMETER_VALUE);
	assert_string_equal(problem.message, "Value 11 for parameter c is invalid. Reason: Must be "
					     ">= 0 and <= 10, if provided.");
	assert_int_equal(number, 10);
}

static void problems_stay_utf8(void **state)
{
	char text[2000];

	/* Three-byte characters, cut at every offset by the message's limit. */
	for (size_t shift = 0; shift < 3; shift++) {
		size_t len = shift;

		memset(text, 'x', shift);
		for (; len + 4 < sizeof(text); len += 3)
			memcpy(text + len, "\xe3\x81\x82", 3);
		text[len] = '\0';
		problem_set(&problem, FAULT_SERIALIZATION, "%s", text);
		assert_int_equal(strlen(problem.message), PROBLEM_MESSAGE_MAX - 1);
		assert_int_equal(problem.message[PROBLEM_MESSAGE_MAX - 2] == '?',
			(PROBLEM_MESSAGE_MAX - 1 - shift) % 3 != 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_an_empty_object),
		cmocka_unit_test(broken_bodies),
		cmocka_unit_test(white_space_around_is_fine),
		cmocka_unit_test(escaped_nul_does_not_end_a_string),
		cmocka_unit_test(characters_beyond_the_first_plane),
		cmocka_unit_test(names_are_case_sensitive_and_null_is_absent),
		cmocka_unit_test(wrong_types),
		cmocka_unit_test(integers_have_a_range),
		cmocka_unit_test(problems_stay_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
