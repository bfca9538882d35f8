#include "base/buf.h"
#include "base/json.h"
#include "base/random.h"
#include "base/utf8.h"
#include "bunshin/error.h"
#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <cJSON.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct text {
	const char *bytes;
	size_t len;
};

/* A literal may hold NULs. */
#define T(literal)                           \
	{                                    \
		literal, sizeof(literal) - 1 \
	}

static int parse(struct json *json, const char *text)
{
	return json_parse(json, text, strlen(text));
}

/* Parses from a copy that ends where its memory ends, so that the sanitizer sees a read past it. */
static int parse_exactly(struct json *json, const char *bytes, size_t len)
{
	char *copy = malloc(len ? len : 1);
	int err;

	memcpy(copy, bytes, len);
	err = json_parse(json, copy, len);
	free(copy);
	return err;
}

/* The strings' exact content; what cJSON would do to them does not matter here. */
static const struct {
	struct text text;
	struct text string;
} strings[] = {
	{T("\"\""), T("")},
	{T("\"a\""), T("a")},
	{T("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), T("\"\\/\b\f\n\r\t")},
	{T("\"\\u0041\\u00e9\\u5206\\u8eAb\""), T("Aé分身")},
	{T("\"\\u0000\""), T("\0")},
	{T("\"a\\u0000b\""), T("a\0b")},
	{T("\"\\u007f\\u0080\\u07ff\\u0800\\uffff\""),
		T("\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF")},
	{T("\"\\ud83d\\ude00\""), T("\xF0\x9F\x98\x80")},
	{T("\"\\uD800\\uDC00\\uDBFF\\uDFFF\""), T("\xF0\x90\x80\x80\xF4\x8F\xBF\xBF")},
	{T("\"\\uD7FF\\uE000\""), T("\xED\x9F\xBF\xEE\x80\x80")},
	{T("\"分身 = clone\""), T("分身 = clone")},
	{T("\"\xF0\x9F\x98\x80\""), T("\xF0\x9F\x98\x80")},
	{T("\"\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\""),
		T("\xC2\x80\xDF\xBF\xE0\xA0\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4\x8F\xBF\xBF")},
	{T("\"\xEF\xBB\xBF\""), T("\xEF\xBB\xBF")},
	{T("\"\x7F\""), T("\x7F")},
	{T("\"0123456789abcdef0123456789abcdef0123456789\\n0123456789abcdef\""),
		T("0123456789abcdef0123456789abcdef0123456789\n0123456789abcdef")},
};

static const struct text accepted[] = {
	T("null"),
	T("true"),
	T("false"),
	T("0"),
	T("-0"),
	T("1"),
	T("-1"),
	T("10"),
	T("1.0"),
	T("0.5"),
	T("-0.0"),
	T("1e1"),
	T("1E+1"),
	T("1e-1"),
	T("0e0"),
	T("1.5e300"),
	T("1e999999"),
	T("123456789012345678901234567890"),
	T(" \t\r\n1 \t\r\n"),
	T("[]"),
	T("[ ]"),
	T("{}"),
	T("{ }"),
	T("[[]]"),
	T("[{}]"),
	T("[1,2,3]"),
	T("[ 1 , 2 , 3 ]"),
	T("[null,true,false,\"x\",-1.5e3,[],{}]"),
	T("{\"a\":1}"),
	T("{ \"a\" : 1 , \"b\" : [ ] }"),
	T("{\"\":0}"),
	T("{\"a\":1,\"a\":2}"),
	T("{\"a\":{\"b\":{\"c\":[{}]}}}"),
	T("\"\\u0061\""),
	T("\"/\""),
};

static const struct text refused[] = {
	/* no document, or not only one */
	T(""),
	T(" "),
	T("\n\t"),
	T("\0"),
	T("1\0"),
	T("null\0"),
	T("1 2"),
	T("{}{}"),
	T("[]]"),
	T("{}}"),
	T("1,"),
	T(",1"),
	T("\xEF\xBB\xBF{}"),
	T("\v1"),
	T("1\f"),
	T("\xC2\xA0"
	  "1"),
	T("// x\n1"),
	T("/* x */1"),
	T("1#"),
	/* literals */
	T("nul"),
	T("nulL"),
	T("nulll"),
	T("True"),
	T("tru"),
	T("fals"),
	T("falsey"),
	T("undefined"),
	T("NaN"),
	T("Infinity"),
	T("-Infinity"),
	/* numbers */
	T("-"),
	T("+1"),
	T("01"),
	T("-01"),
	T("00"),
	T("1."),
	T(".5"),
	T("-.5"),
	T("1.e1"),
	T("1e"),
	T("1e+"),
	T("1e-"),
	T("1e1.5"),
	T("1ee1"),
	T("0x10"),
	T("1_000"),
	T("1,5"),
	T("--1"),
	T("- 1"),
	T("1 e1"),
	T("\xEF\xBC\x91"),
	/* arrays and objects */
	T("["),
	T("]"),
	T("{"),
	T("}"),
	T("[1"),
	T("[1,"),
	T("[1,]"),
	T("[,1]"),
	T("[,]"),
	T("[1,,2]"),
	T("[1 2]"),
	T("[1;2]"),
	T("[1}"),
	T("{]"),
	T("[}"),
	T("{\"a\"}"),
	T("{\"a\":}"),
	T("{\"a\" 1}"),
	T("{\"a\":1,}"),
	T("{,\"a\":1}"),
	T("{\"a\":1,,\"b\":2}"),
	T("{\"a\":1 \"b\":2}"),
	T("{\"a\"::1}"),
	T("{\"a\":1]"),
	T("{a:1}"),
	T("{'a':1}"),
	T("{1:1}"),
	T("{null:1}"),
	T("{\"a\":1,\"b\"}"),
	T("{[]:1}"),
	T("[\"a\":1]"),
	/* strings */
	T("\""),
	T("\"a"),
	T("'a'"),
	T("\"\\\""),
	T("\"\\"),
	T("\"\\a\""),
	T("\"\\0\""),
	T("\"\\x41\""),
	T("\"\\U0041\""),
	T("\"\\'\""),
	T("\"\\\n\""),
	T("\"\\u\""),
	T("\"\\u0\""),
	T("\"\\u00\""),
	T("\"\\u004\""),
	T("\"\\u004g\""),
	T("\"\\u 041\""),
	T("\"\\u+041\""),
	T("\"\\u004"),
	T("\"\n\""),
	T("\"\t\""),
	T("\"\0\""),
	T("\"\x1F\""),
	T("\"0123456789abcdef\x1F\""),
	T("\"\\ud800\""),
	T("\"\\udbffx\""),
	T("\"\\udc00\""),
	T("\"\\udfff\\ud800\""),
	T("\"\\udc00\\udc00\""),
	T("\"\\ud800\\ud800\""),
	T("\"\\ud800\\u0041\""),
	T("\"\\ud800\\n\""),
	T("\"\\ud800\\udc0\""),
	T("\"\\ud800\\"),
	T("\"\\ud800udc00\""),
	/* ill-formed UTF-8 */
	T("\"\x80\""),
	T("\"\xBF\""),
	T("\"\xC0\x80\""),
	T("\"\xC1\xBF\""),
	T("\"\xC2\""),
	T("\"\xC2\x41\""),
	T("\"\xC2\xC2\""),
	T("\"\xE0\x80\x80\""),
	T("\"\xE0\x9F\xBF\""),
	T("\"\xE5\x88\""),
	T("\"\xE5\x88"),
	T("\"\xE5\x41\x86\""),
	T("\"\xED\xA0\x80\""),
	T("\"\xED\xBF\xBF\""),
	T("\"\xF0\x80\x80\x80\""),
	T("\"\xF0\x8F\xBF\xBF\""),
	T("\"\xF0\x9F\x98\""),
	T("\"\xF4\x90\x80\x80\""),
	T("\"\xF5\x80\x80\x80\""),
	T("\"\xFE\""),
	T("\"\xFF\""),
	T("\"0123456789abcdef\xFF\""),
	T("\xC2\xA9"),
};

static void accepts_what_the_rfc_accepts(void **state)
{
	struct json json = {0};

	for (size_t i = 0; i < COUNT(accepted); i++) {
		int err = parse_exactly(&json, accepted[i].bytes, accepted[i].len);

		if (err || !json_root(&json))
			fail_msg("%s: %s", accepted[i].bytes, error_name(err));
	}
	json_free(&json);
}

static void refuses_what_the_rfc_refuses(void **state)
{
	struct json json = {0};

	for (size_t i = 0; i < COUNT(refused); i++) {
		int err = parse_exactly(&json, refused[i].bytes, refused[i].len);

		if (err != ERR_SYNTAX || json_root(&json))
			fail_msg("row %zu, %s: %s", i, refused[i].bytes, error_name(err));
		assert_true(json.error_offset <= refused[i].len);
	}
	json_free(&json);
}

/* The same strings at every distance from a block's border, alone and inside a longer one. */
static void unescapes_strings(void **state)
{
	struct json json = {0};

	for (size_t i = 0; i < COUNT(strings); i++) {
		for (size_t shift = 0; shift < 40; shift++) {
			const struct text *text = &strings[i].text, *string = &strings[i].string;
			const struct json_value *value;
			char document[300] = "\"", content[300];

			memset(document + 1, 'x', shift);
			memcpy(document + 1 + shift, text->bytes + 1, text->len - 1);
			memset(content, 'x', shift);
			memcpy(content + shift, string->bytes, string->len);
			assert_int_equal(parse_exactly(&json, document, shift + text->len), 0);
			value = json_root(&json);
			assert_int_equal(value->kind, JSON_STRING);
			assert_int_equal(value->string_bytes, shift + string->len);
			assert_memory_equal(value->string, content, shift + string->len);
			assert_int_equal(value->string[value->string_bytes], '\0');
			assert_int_equal(value->raw_bytes, shift + text->len);
		}
	}
	json_free(&json);
}

/* Every byte in the place of every other one of a string of two blocks. */
static void every_byte_at_every_place(void **state)
{
	struct json json = {0};

	for (size_t at = 0; at < 33; at++) {
		for (int c = 0; c < 256; c++) {
			char document[36] = "\"0123456789abcdef0123456789abcdefg\"";
			int err;

			document[1 + at] = (char)c;
			err = parse_exactly(&json, document, 35);
			if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
				assert_int_equal(err, 0);
				assert_int_equal(json_root(&json)->string_bytes, 33);
				assert_memory_equal(json_root(&json)->string, document + 1, 33);
			} else if (c == '\\') {
				/* "\b" and "\f" are escapes, "\u" never comes up. */
				bool good = document[2 + at] == 'b' || document[2 + at] == 'f' ||
					    document[2 + at] == '"';

				assert_int_equal(err, !good || at == 32 ? ERR_SYNTAX : 0);
			} else {
				assert_int_equal(err, ERR_SYNTAX);
			}
			if (err && c != '"' && c != '\\')
				assert_int_equal(json.error_offset, 1 + at);
		}
	}
	json_free(&json);
}

static void error_offset_names_the_place(void **state)
{
	static const struct {
		const char *text;
		size_t offset;
	} rows[] = {
		{"", 0},
		{"  ", 2},
		{"[1, 2", 5},
		{"[1, x]", 4},
		{"{\"a\": tru}", 6},
		{"{\"a\" 1}", 5},
		{"{\"a\":1,}", 7},
		{"\"ab\\q\"", 3},
		{"\"ab\x01\"", 3},
		{"1 x", 2},
		{"012", 1},
		{"1.x", 2},
	};
	struct json json = {0};

	for (size_t i = 0; i < COUNT(rows); i++) {
		assert_int_equal(parse(&json, rows[i].text), ERR_SYNTAX);
		assert_int_equal(json.error_offset, rows[i].offset);
	}
	assert_int_equal(parse(&json, "1"), 0);
	assert_int_equal(json.error_offset, 0);
	json_free(&json);
}

#define HUGE 1000000

static void depth_is_bounded(void **state)
{
	static char huge[HUGE];
	struct json json = {0};
	for (int object = 0; object < 2; object++) {
		for (size_t depth = 1; depth <= JSON_DEPTH_MAX + 2; depth++) {
			struct buf text = BUF_INIT(1000);

			for (size_t i = 0; i < depth; i++)
				buf_append_string(&text, object ? "{\"a\":" : "[");
			buf_append_char(&text, '1');
			for (size_t i = 0; i < depth; i++)
				buf_append_char(&text, object ? '}' : ']');
			assert_int_equal(json_parse(&json, text.data, text.len),
				depth <= JSON_DEPTH_MAX ? 0 : ERR_TOO_LARGE);
			assert_int_equal(json.count, depth <= JSON_DEPTH_MAX ? depth + 1 : 0);
			buf_free(&text);
		}
	}
	memset(huge, '[', HUGE);
	assert_int_equal(json_parse(&json, huge, HUGE), ERR_TOO_LARGE);
	memset(huge, '{', HUGE);
	assert_int_equal(json_parse(&json, huge, HUGE), ERR_SYNTAX);
	/* Side by side is no depth. */
	for (size_t i = 0; i < HUGE; i += 4)
		memcpy(huge + i, i ? ",[] " : "[[] ", 4);
	huge[HUGE - 1] = ']';
	assert_int_equal(json_parse(&json, huge, HUGE), 0);
	assert_int_equal(json_root(&json)->count, HUGE / 4);
	assert_int_equal(json_parse(&json, huge, (size_t)UINT32_MAX / 2 + 1), ERR_TOO_LARGE);
	json_free(&json);
}

static const char receive[] =
	"{ \"Messages\": [{\"MessageId\": \"219f8380-5770-4cc2-8c3e-5c715e145f5e\",\n"
	"\t\"Attributes\": {\"SentTimestamp\": \"1795388400000\", \"n\": [-1, 2.5e3, 0]},\r\n"
	"\"Body\": \"{\\\"to\\\":\\\"U1\\\",\\\"text\\\":\\\"\\u304a\xE3\x81\xAF\\ud83c\\udf05 "
	"good morning\\\"}\", \"x\": null, \"y\": true, \"z\": false, \"e\": {}, \"f\": []}]}";

static void every_prefix_is_refused(void **state)
{
	struct json json = {0};

	for (size_t len = 0; len < sizeof(receive) - 1; len++) {
		assert_int_equal(parse_exactly(&json, receive, len), ERR_SYNTAX);
		assert_null(json_root(&json));
	}
	assert_int_equal(parse_exactly(&json, receive, sizeof(receive) - 1), 0);
	json_free(&json);
}

static void finds_its_way(void **state)
{
	struct json json = {0};
	const struct json_value *root, *message, *list, *value;
	int64_t number = 0;

	assert_int_equal(parse(&json, receive), 0);
	root = json_root(&json);
	message = json_element(json_member(root, "Messages"), 0);
	assert_string_equal(json_text(json_member(message, "MessageId")),
		"219f8380-5770-4cc2-8c3e-5c715e145f5e");
	assert_string_equal(json_text(json_member(message, "Body")),
		"{\"to\":\"U1\",\"text\":\"おは🌅 good morning\"}");
	assert_int_equal(message->count, 8);
	list = json_path(root, "Messages.0.Attributes.n");
	assert_int_equal(list->kind, JSON_ARRAY);
	assert_int_equal(list->count, 3);
	assert_int_equal(list->raw_bytes, 14);
	assert_memory_equal(list->raw, "[-1, 2.5e3, 0]", 14);
	assert_int_equal(list->name_bytes, 1);
	assert_string_equal(list->name, "n");
	assert_int_equal(json_int(json_element(list, 0), &number), 0);
	assert_int_equal(number, -1);
	value = json_element(list, 1);
	assert_int_equal(value->raw_bytes, 5);
	assert_memory_equal(value->raw, "2.5e3", 5);
	assert_null(value->name);
	assert_int_equal(json_path(message, "x")->kind, JSON_NULL);
	assert_int_equal(json_path(message, "y")->kind, JSON_TRUE);
	assert_int_equal(json_path(message, "z")->kind, JSON_FALSE);
	assert_ptr_equal(json_path(message, "Attributes.n.2"), json_element(list, 2));
	json_free(&json);
	assert_null(json_root(&json));
}

static void look_ups_tolerate_everything(void **state)
{
	struct json json = {0};
	const struct json_value *root;
	static const char *const missing[] = {"x", "a.x", "a.3", "a.-1", "a.01", "a.+1", "a.1x",
		"a.", "a.0.0", "s.0", "a.99999999999999999999", "", ".", "a..0", "b.c.d", "A"};

	assert_null(json_root(&json));
	assert_int_equal(
		parse(&json, "{\"a\":[1,2,3],\"s\":\"text\",\"b\":{\"c\":1,\"\":{\"\":7}}}"), 0);
	root = json_root(&json);
	for (size_t i = 0; i < COUNT(missing); i++)
		assert_null(json_path(root, missing[i]));
	assert_non_null(json_path(root, "a.2"));
	assert_non_null(json_path(root, "b..")); /* members named "" */
	assert_null(json_member(NULL, "a"));
	assert_null(json_member(json_path(root, "a"), "a"));
	assert_null(json_element(NULL, 0));
	assert_null(json_element(root, 0));
	assert_null(json_element(json_path(root, "a"), 3));
	assert_null(json_element(json_path(root, "a"), SIZE_MAX));
	assert_null(json_path(NULL, "a"));
	assert_null(json_first(NULL));
	assert_null(json_first(json_path(root, "s")));
	assert_null(json_text(NULL));
	assert_null(json_text(root));
	json_free(&json);
}

static void the_last_of_a_repeated_name_wins(void **state)
{
	struct json json = {0};
	const struct json_value *root, *child;
	int order = 0;

	assert_int_equal(parse(&json, "{\"a\":1,\"b\":[1,{}],\"\\u0061\":\"last\",\"c\":{}}"), 0);
	root = json_root(&json);
	assert_int_equal(root->count, 4);
	assert_string_equal(json_text(json_member(root, "a")), "last");
	for (child = json_first(root); child; child = json_next(root, child))
		order = order * 10 + (int)child->kind;
	assert_int_equal(
		order, JSON_NUMBER * 1000 + JSON_ARRAY * 100 + JSON_STRING * 10 + JSON_OBJECT);
	json_free(&json);
}

static void a_name_may_hold_a_nul(void **state)
{
	struct json json = {0};

	assert_int_equal(parse(&json, "{\"a\\u0000b\":1,\"s\":\"x\\u0000y\"}"), 0);
	assert_null(json_member(json_root(&json), "a"));
	assert_int_equal(json_first(json_root(&json))->name_bytes, 3);
	assert_null(json_text(json_member(json_root(&json), "s")));
	assert_int_equal(json_member(json_root(&json), "s")->string_bytes, 3);
	json_free(&json);
}

static void integers(void **state)
{
	static const struct {
		const char *text;
		int err;
		int64_t value;
	} rows[] = {
		{"0", 0, 0},
		{"-0", 0, 0},
		{"42", 0, 42},
		{"-42", 0, -42},
		{"9223372036854775807", 0, INT64_MAX},
		{"-9223372036854775808", 0, INT64_MIN},
		{"9223372036854775808", ERR_SYNTAX, 0},
		{"-9223372036854775809", ERR_SYNTAX, 0},
		{"100000000000000000000", ERR_SYNTAX, 0},
		{"1.0", ERR_SYNTAX, 0},
		{"1e3", ERR_SYNTAX, 0},
		{"\"1\"", ERR_SYNTAX, 0},
		{"null", ERR_SYNTAX, 0},
		{"[1]", ERR_SYNTAX, 0},
	};
	struct json json = {0};

	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t value = 77;

		assert_int_equal(parse(&json, rows[i].text), 0);
		assert_int_equal(json_int(json_root(&json), &value), rows[i].err);
		assert_true(value == (rows[i].err ? 77 : rows[i].value));
	}
	assert_int_equal(json_int(NULL, NULL), ERR_SYNTAX);
	json_free(&json);
}

static void memory_is_reused(void **state)
{
	struct json json = {0};

	assert_int_equal(parse(&json, receive), 0);
	failmalloc_arm(1);
	for (int i = 0; i < 100; i++)
		assert_int_equal(parse(&json, i % 2 ? receive : "[1,\"two\"]"), 0);
	assert_false(failmalloc_disarm());
	json_free(&json);
	json_free(&json);
}

/* cJSON as the oracle: the same document, walked in step. */
static void assert_same(
	const struct json *json, const struct json_value *value, const cJSON *oracle)
{
	const struct json_value *child;
	const cJSON *expected;

	switch (value->kind) {
	case JSON_NULL:
		assert_true(cJSON_IsNull(oracle));
		break;
	case JSON_TRUE:
		assert_true(cJSON_IsTrue(oracle));
		break;
	case JSON_FALSE:
		assert_true(cJSON_IsFalse(oracle));
		break;
	case JSON_NUMBER:
		assert_true(cJSON_IsNumber(oracle));
		assert_true(strtod(value->raw, NULL) == oracle->valuedouble);
		break;
	case JSON_STRING:
		assert_true(cJSON_IsString(oracle));
		assert_string_equal(value->string, oracle->valuestring);
		assert_int_equal(value->string_bytes, strlen(oracle->valuestring));
		break;
	case JSON_ARRAY:
	case JSON_OBJECT:
		assert_int_equal(value->kind == JSON_ARRAY, cJSON_IsArray(oracle));
		assert_int_equal(value->count, cJSON_GetArraySize(oracle));
		child = json_first(value);
		cJSON_ArrayForEach(expected, oracle)
		{
			if (value->kind == JSON_OBJECT)
				assert_string_equal(child->name, expected->string);
			assert_same(json, child, expected);
			child = json_next(value, child);
		}
		assert_null(child);
	}
}

/* A string of any code points but NUL, escaped and raw by turns. */
static void write_string(struct buf *out, struct random *random)
{
	uint64_t len = random_below(random_next(random), 40);

	buf_append_char(out, '"');
	while (len--) {
		static const uint32_t limits[] = {0x80, 0x80, 0x80, 0x800, 0x10000, 0x110000};
		uint32_t c = 1 + (uint32_t)random_below(
					 random_next(random), limits[random_next(random) % 6] - 1);
		char raw[UTF8_SEQUENCE_MAX];

		if (c >= 0xD800 && c <= 0xDFFF)
			c = 0xFFFD;
		if (random_next(random) % 8 == 0 && c < 0x10000)
			buf_appendf(out, "\\u%04x", c);
		else if (random_next(random) % 8 == 0 && c >= 0x10000)
			buf_appendf(out, "\\u%04X\\u%04x", 0xD800 + ((c - 0x10000) >> 10),
				0xDC00 + ((c - 0x10000) & 0x3FF));
		else
			buf_append_json(out, raw, utf8_encode(c, raw));
	}
	buf_append_char(out, '"');
}

static void write_space(struct buf *out, struct random *random)
{
	while (random_next(random) % 3 == 0)
		buf_append_char(out, " \t\r\n"[random_next(random) % 4]);
}

static void write_number(struct buf *out, struct random *random)
{
	double number = (double)(int64_t)random_next(random) /
			(double)(1 + (random_next(random) >> random_next(random) % 64));

	switch (random_next(random) % 3) {
	case 0:
		buf_appendf(out, "%.0f", number);
		break;
	case 1:
		buf_appendf(out, "%.3f", number);
		break;
	default:
		buf_appendf(out, "%.17G", number);
	}
}

static void write_value(struct buf *out, struct random *random, int depth)
{
	uint64_t kind = random_below(random_next(random), depth < 6 ? 10 : 6);
	uint64_t count = random_below(random_next(random), 6);

	write_space(out, random);
	if (kind == 0) {
		static const char *const literals[] = {"null", "true", "false"};

		buf_append_string(out, literals[random_next(random) % 3]);
	} else if (kind < 3) {
		write_number(out, random);
	} else if (kind < 6) {
		write_string(out, random);
	} else {
		buf_append_char(out, kind < 8 ? '[' : '{');
		write_space(out, random);
		for (uint64_t i = 0; i < count; i++) {
			if (i)
				buf_append_char(out, ',');
			if (kind >= 8) {
				write_space(out, random);
				write_string(out, random);
				write_space(out, random);
				buf_append_char(out, ':');
			}
			write_value(out, random, depth + 1);
		}
		buf_append_char(out, kind < 8 ? ']' : '}');
	}
	write_space(out, random);
}

static void agrees_with_cjson(void **state)
{
	struct buf text = BUF_INIT(1 << 20);
	struct json json = {0};
	struct random random;

	random_seed(&random, 20261123);
	for (int i = 0; i < 3000; i++) {
		cJSON *oracle;

		buf_clear(&text);
		write_value(&text, &random, 0);
		assert_int_equal(text.err, 0);
		oracle = cJSON_ParseWithLength(text.data, text.len);
		assert_non_null(oracle);
		if (parse_exactly(&json, text.data, text.len) != 0)
			fail_msg("round %d, byte %zu: %s", i, json.error_offset, text.data);
		assert_int_equal(json_parse(&json, text.data, text.len), 0);
		assert_same(&json, json_root(&json), oracle);
		cJSON_Delete(oracle);
	}
	buf_free(&text);
	json_free(&json);
}

/* What buf_append_json writes is read back as it was, whatever it is. */
static void round_trips_through_the_writer(void **state)
{
	struct buf out = BUF_INIT(10000);
	struct json json = {0};
	struct random random;

	random_seed(&random, 7);
	for (int i = 0; i < 5000; i++) {
		char text[200];
		size_t len = random_below(random_next(&random), sizeof(text));

		for (size_t j = 0; j < len; j++)
			text[j] = (char)(random_next(&random) & 0x7F);
		buf_clear(&out);
		buf_append_char(&out, '"');
		buf_append_json(&out, text, len);
		buf_append_char(&out, '"');
		assert_int_equal(parse_exactly(&json, out.data, out.len), 0);
		assert_int_equal(json_root(&json)->string_bytes, len);
		assert_memory_equal(json_root(&json)->string, text, len);
	}
	buf_free(&out);
	json_free(&json);
}

/* "[0,0,...,0]" */
static size_t write_zeros(char *text, size_t count)
{
	size_t len = 0;

	text[len++] = '[';
	for (size_t i = 0; i < count; i++) {
		text[len++] = '0';
		text[len++] = ',';
	}
	text[len - 1] = ']';
	return len;
}

static void values_are_bounded_and_given_back(void **state)
{
	char *text = malloc(2 * (JSON_VALUES_MAX + 2));
	struct json json = {0};
	size_t len;

	assert_non_null(text);
	len = write_zeros(text, JSON_VALUES_MAX - 1); /* and the array itself */
	assert_int_equal(json_parse(&json, text, len), 0);
	assert_int_equal(json.count, JSON_VALUES_MAX);
	len = write_zeros(text, JSON_VALUES_MAX);
	assert_int_equal(json_parse(&json, text, len), ERR_TOO_LARGE);
	assert_int_equal(json.count, 0);
	assert_int_equal(json_parse(&json, "[1]", 3), 0);
	assert_true(json.capacity < 1000);
	json_free(&json);
	free(text);
}

/* json_members() against json_member(), name by name. */
static void members_in_one_pass_are_those_found_one_by_one(void **state)
{
	static const struct json_name names[] = {
		JSON_NAME("a"), JSON_NAME("bb"), JSON_NAME("cc"), JSON_NAME("")};
	static const char *const texts[] = {"{}", "[1]", "7", "{\"a\":1,\"bb\":2,\"cc\":3}",
		"{\"cc\":1,\"bb\":2,\"x\":{\"a\":4},\"\":5}",
		"{\"a\":1,\"bb\":[2,{\"cc\":3}],\"a\":4,\"bb\":null,\"d\":5}",
		"{\"b\":1,\"A\":2,\"bbb\":3,\"a\\u0000\":4}"};
	const size_t count = sizeof(names) / sizeof(names[0]);

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct json json = {0};
		const struct json_value *found[4];

		assert_int_equal(json_parse(&json, texts[i], strlen(texts[i])), 0);
		json_members(json_root(&json), names, count, found);
		for (size_t k = 0; k < count; k++)
			assert_ptr_equal(found[k], json_member(json_root(&json), names[k].text));
		json_members(NULL, names, count, found);
		for (size_t k = 0; k < count; k++)
			assert_null(found[k]);
		json_free(&json);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_bounded_and_given_back),
		cmocka_unit_test(accepts_what_the_rfc_accepts),
		cmocka_unit_test(refuses_what_the_rfc_refuses),
		cmocka_unit_test(unescapes_strings),
		cmocka_unit_test(every_byte_at_every_place),
		cmocka_unit_test(error_offset_names_the_place),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(every_prefix_is_refused),
		cmocka_unit_test(finds_its_way),
		cmocka_unit_test(look_ups_tolerate_everything),
		cmocka_unit_test(the_last_of_a_repeated_name_wins),
		cmocka_unit_test(a_name_may_hold_a_nul),
		cmocka_unit_test(members_in_one_pass_are_those_found_one_by_one),
		cmocka_unit_test(integers),
		cmocka_unit_test(memory_is_reused),
		cmocka_unit_test(agrees_with_cjson),
		cmocka_unit_test(round_trips_through_the_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
