/* Templates: what is written for which value in which context, and what is refused. */
#include "base/buf.h"
#include "bunshin/error.h"
#include "config/template.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A variable that is set; the list ends with a NULL name. */
struct variable {
	const char *name, *text;
	size_t bytes; /* 0: strlen */
	bool is_json;
};

static const struct variable variables[] = {
	{.name = "name", .text = "Mei"},
	{.name = "quote", .text = "a\"b\\c"},
	{.name = "lines", .text = "a\r\nb\tc"},
	{.name = "nul", .text = "a\0b", .bytes = 3},
	{.name = "control", .text = "\x01\x1f\x7f"},
	{.name = "separators", .text = "\xe2\x80\xa8\xe2\x80\xa9"},
	{.name = "kanji", .text = "\xe5\x88\x86\xe8\xba\xab"},
	{.name = "emoji", .text = "\xf0\x9f\x8d\xa3"},
	{.name = "latin1", .text = "caf\xe9"},
	{.name = "surrogate", .text = "\xed\xa0\x80"},
	{.name = "cut", .text = "\xf0\x9f\x8d"},
	{.name = "url", .text = "a b/c?d=e&f%g+h#i"},
	{.name = "unreserved", .text = "AZaz09-._~"},
	{.name = "dots", .text = ".."},
	{.name = "dot", .text = "."},
	{.name = "path", .text = "x/../y"},
	{.name = "encoded_dots", .text = "%2e%2E"},
	{.name = "empty", .text = ""},
	{.name = "tag", .text = "{{name}}"},
	{.name = "number", .text = "-12.5e3", .is_json = true},
	{.name = "true", .text = "true", .is_json = true},
	{.name = "null", .text = "null", .is_json = true},
	{.name = "word_null", .text = "null"},
	{.name = "array", .text = "[1,\"a\"]", .is_json = true},
	{.name = "object", .text = "{\"a\":\"b\"}", .is_json = true},
	{.name = "a.b.0", .text = "deep"},
	{.name = "first name", .text = "spaced"},
	{.name = "\xe5\x90\x8d\xe5\x89\x8d", .text = "Hanako"},
	{.name = "x-y_z@1:2", .text = "signs"},
	{.name = "members", .text = "\"a\":1"},
	{0},
};

static bool lookup(void *arg, const char *name, struct template_value *ret_value)
{
	(void)arg;
	for (const struct variable *v = variables; v->name != NULL; v++) {
		if (strcmp(v->name, name) != 0)
			continue;
		ret_value->text = v->text;
		ret_value->text_bytes = v->bytes != 0 ? v->bytes : strlen(v->text);
		ret_value->is_json = v->is_json;
		return true;
	}
	return false;
}

struct render_case {
	enum template_context context;
	const char *source;
	const char *expected; /* NULL: refused, with: */
	const char *reason;
};

static const struct render_case render_cases[] = {
	/* text: as it is */
	{TEMPLATE_TEXT, "", "", NULL},
	{TEMPLATE_TEXT, "plain } {x} }} text", "plain } {x} }} text", NULL},
	{TEMPLATE_TEXT, "Hi {{name}}!", "Hi Mei!", NULL},
	{TEMPLATE_TEXT, "{{name}}{{name}}", "MeiMei", NULL},
	{TEMPLATE_TEXT, "{{ name }}|{{\tname\n}}", "Mei|Mei", NULL},
	{TEMPLATE_TEXT, "{{{name}}}}", "Mei}", NULL},
	{TEMPLATE_TEXT, "{{{quote}}}", "a\"b\\c", NULL},
	{TEMPLATE_TEXT, "{{a.b.0}}/{{first name}}/{{x-y_z@1:2}}", "deep/spaced/signs", NULL},
	{TEMPLATE_TEXT, "{{\xe5\x90\x8d\xe5\x89\x8d}}", "Hanako", NULL},
	{TEMPLATE_TEXT, "{{latin1}}", "caf\xe9", NULL},
	{TEMPLATE_TEXT, "{{tag}}", "{{name}}", NULL},
	{TEMPLATE_TEXT, "{{number}} {{true}} {{array}}", "-12.5e3 true [1,\"a\"]", NULL},
	{TEMPLATE_TEXT, "{{word_null}}", "null", NULL},
	{TEMPLATE_TEXT, "{{null}}", NULL, "variable \"null\" is null"},
	{TEMPLATE_TEXT, "{{null|none}}", "none", NULL},
	{TEMPLATE_TEXT, "{{empty}}", "", NULL},
	{TEMPLATE_TEXT, "{{empty|x}}", "", NULL},
	{TEMPLATE_TEXT, "{{gone}}", NULL, "missing variable \"gone\""},
	{TEMPLATE_TEXT, "{{gone|}}", "", NULL},
	{TEMPLATE_TEXT, "{{ gone | you | me }}", " you | me ", NULL},
	{TEMPLATE_TEXT, "{{{gone|a\"b}}}", "a\"b", NULL},

	/* JSON, inside a string */
	{TEMPLATE_JSON, "\"{{name}}\"", "\"Mei\"", NULL},
	{TEMPLATE_JSON, "\"{{quote}}\"", "\"a\\\"b\\\\c\"", NULL},
	{TEMPLATE_JSON, "\"{{lines}}\"", "\"a\\r\\nb\\tc\"", NULL},
	{TEMPLATE_JSON, "\"{{nul}}\"", "\"a\\u0000b\"", NULL},
	{TEMPLATE_JSON, "\"{{control}}\"", "\"\\u0001\\u001f\x7f\"", NULL},
	{TEMPLATE_JSON, "\"{{separators}}\"", "\"\xe2\x80\xa8\xe2\x80\xa9\"", NULL},
	{TEMPLATE_JSON, "\"{{kanji}}{{emoji}}\"", "\"\xe5\x88\x86\xe8\xba\xab\xf0\x9f\x8d\xa3\"",
		NULL},
	{TEMPLATE_JSON, "\"{{latin1}}\"", NULL, "variable \"latin1\" is not valid UTF-8"},
	{TEMPLATE_JSON, "\"{{surrogate}}\"", NULL, "variable \"surrogate\" is not valid UTF-8"},
	{TEMPLATE_JSON, "\"{{cut}}\"", NULL, "variable \"cut\" is not valid UTF-8"},
	{TEMPLATE_JSON, "\"{{number}} {{object}}\"", "\"-12.5e3 {\\\"a\\\":\\\"b\\\"}\"", NULL},
	{TEMPLATE_JSON, "\"{{null}}\"", NULL, "variable \"null\" is null"},
	{TEMPLATE_JSON, "\"{{gone|a\"b}}\"", "\"a\\\"b\"", NULL},
	{TEMPLATE_JSON, "\"{{gone|0}}\"", "\"0\"", NULL},
	{TEMPLATE_JSON, "\"{{gone}}\"", NULL, "missing variable \"gone\""},
	{TEMPLATE_JSON, "\"\\\"{{quote}}\\\\\"", "\"\\\"a\\\"b\\\\c\\\\\"", NULL},
	{TEMPLATE_JSON, "{\"{{name}}\":1}", "{\"Mei\":1}", NULL},
	{TEMPLATE_JSON, "\"{{tag}}\"", "\"{{name}}\"", NULL},

	/* JSON, a whole value */
	{TEMPLATE_JSON, "{{name}}", "\"Mei\"", NULL},
	{TEMPLATE_JSON, "{\"a\":{{quote}}}", "{\"a\":\"a\\\"b\\\\c\"}", NULL},
	{TEMPLATE_JSON, "{\"a\":{{number}},\"b\":[{{true}},{{null}}]}",
		"{\"a\":-12.5e3,\"b\":[true,null]}", NULL},
	{TEMPLATE_JSON, "[{{array}}, {{object}}]", "[[1,\"a\"], {\"a\":\"b\"}]", NULL},
	{TEMPLATE_JSON, "[{{word_null}}]", "[\"null\"]", NULL},
	{TEMPLATE_JSON, "[{{latin1}}]", NULL, "variable \"latin1\" is not valid UTF-8"},
	{TEMPLATE_JSON, "[{{gone|0}},{{gone|you}},{{gone|}},{{gone|\"q\"}},{{gone|a\"b}}]",
		"[0,\"you\",\"\",\"q\",\"a\\\"b\"]", NULL},
	{TEMPLATE_JSON, "[{{null|0}}]", "[null]", NULL},
	{TEMPLATE_JSON, "[{{gone}}]", NULL, "missing variable \"gone\""},

	/* JSON, raw: proved again */
	{TEMPLATE_JSON, "{\"a\":{{{object}}}}", "{\"a\":{\"a\":\"b\"}}", NULL},
	{TEMPLATE_JSON, "[{{{number}}},{{{null}}}]", "[-12.5e3,null]", NULL},
	{TEMPLATE_JSON, "\"{{{name}}}\"", "\"Mei\"", NULL},
	{TEMPLATE_JSON, "[{{{name}}}]", NULL, "the filled-in text is not JSON at offset 1"},
	{TEMPLATE_JSON, "\"{{{quote}}}\"", NULL, "the filled-in text is not JSON at offset 3"},
	{TEMPLATE_JSON, "\"{{{latin1}}}\"", NULL, "the filled-in text is not JSON at offset 4"},
	{TEMPLATE_JSON, "[{{{members}}}]", NULL, "the filled-in text is not JSON at offset 4"},
	{TEMPLATE_JSON, "[{{{gone|nothing}}}]", NULL, "the filled-in text is not JSON at offset 1"},
	{TEMPLATE_JSON, "\"{{{null}}}\"", NULL, "variable \"null\" is null"},

	/* URL */
	{TEMPLATE_URL, "https://h/{{name}}", "https://h/Mei", NULL},
	{TEMPLATE_URL, "https://h/{{url}}", "https://h/a%20b%2Fc%3Fd%3De%26f%25g%2Bh%23i", NULL},
	{TEMPLATE_URL, "https://h/{{unreserved}}", "https://h/AZaz09-._~", NULL},
	{TEMPLATE_URL, "https://h/{{quote}}{{lines}}{{nul}}{{latin1}}",
		"https://h/a%22b%5Cca%0D%0Ab%09ca%00bcaf%E9", NULL},
	{TEMPLATE_URL, "https://h/{{kanji}}?x={{number}}&{{gone|a b}}",
		"https://h/%E5%88%86%E8%BA%AB?x=-12.5e3&a%20b", NULL},
	{TEMPLATE_URL, "https://h/{{{path}}}", NULL,
		"the filled-in URL has \".\" or \"..\" as a step of its path"},
	{TEMPLATE_URL, "https://h/{{path}}", "https://h/x%2F..%2Fy", NULL},
	{TEMPLATE_URL, "https://h/{{dots}}/x", NULL,
		"the filled-in URL has \".\" or \"..\" as a step of its path"},
	{TEMPLATE_URL, "https://h/{{dot}}{{dot}}", NULL,
		"the filled-in URL has \".\" or \"..\" as a step of its path"},
	{TEMPLATE_URL, "https://h/{{dot}}?x", NULL,
		"the filled-in URL has \".\" or \"..\" as a step of its path"},
	{TEMPLATE_URL, "https://h/{{{encoded_dots}}}", NULL,
		"the filled-in URL has \".\" or \"..\" as a step of its path"},
	{TEMPLATE_URL, "https://h/{{encoded_dots}}", "https://h/%252e%252E", NULL},
	{TEMPLATE_URL, "https://h/{{dots}}{{dot}}", "https://h/...", NULL},
	{TEMPLATE_URL, "https://h/x?{{dots}}/{{dots}}", "https://h/x?../..", NULL},
	{TEMPLATE_URL, "https://h/{{{unreserved}}}?{{{members}}}", "https://h/AZaz09-._~?\"a\":1",
		NULL},
	{TEMPLATE_URL, "https://h/{{{lines}}}", NULL,
		"variable \"lines\" holds a character that must be percent-encoded in a URL"},
	{TEMPLATE_URL, "https://h/{{{latin1}}}", NULL,
		"variable \"latin1\" holds a character that must be percent-encoded in a URL"},
	{TEMPLATE_URL, "https://h/{{{nul}}}", NULL,
		"variable \"nul\" holds a character that must be percent-encoded in a URL"},
	{TEMPLATE_URL, "https://h/{{null}}", NULL, "variable \"null\" is null"},
	{TEMPLATE_URL, "https://h/{{gone}}", NULL, "missing variable \"gone\""},

	/* form */
	{TEMPLATE_FORM, "to={{url}}&t={{kanji}}",
		"to=a+b%2Fc%3Fd%3De%26f%25g%2Bh%23i&t=%E5%88%86%E8%BA%AB", NULL},
	{TEMPLATE_FORM, "to={{unreserved}}{{lines}}", "to=AZaz09-._~a%0D%0Ab%09c", NULL},
	{TEMPLATE_FORM, "a={{{url}}}", "a=a b/c?d=e&f%g+h#i", NULL},
	{TEMPLATE_FORM, "a={{gone|a b}}", "a=a+b", NULL},

	/* header */
	{TEMPLATE_HEADER, "Bearer {{name}}", "Bearer Mei", NULL},
	{TEMPLATE_HEADER, "{{kanji}}{{quote}}",
		"\xe5\x88\x86\xe8\xba\xab"
		"a\"b\\c",
		NULL},
	{TEMPLATE_HEADER, "{{lines}}", NULL,
		"variable \"lines\" holds a line break, not allowed in a header"},
	{TEMPLATE_HEADER, "{{{lines}}}", NULL,
		"variable \"lines\" holds a line break, not allowed in a header"},
	{TEMPLATE_HEADER, "x{{nul}}", NULL,
		"variable \"nul\" holds a NUL byte, not allowed in a header"},
	{TEMPLATE_HEADER, "{{gone|}}", "", NULL},
};

static void check_render(const struct render_case *c)
{
	struct buf out = BUF_INIT(1 << 16), reason = BUF_INIT(1024), error = BUF_INIT(1024);
	struct template *template = NULL;
	int err;

	print_message("%s\n", c->source);
	assert_int_equal(template_compile(c->source, c->context, &template, &error), 0);
	assert_string_equal(buf_string(&error), "");
	assert_string_equal(template_source(template), c->source);
	/* Twice into the same buffer: the second leaves the first alone, and fails alike. */
	buf_append_string(&out, "before");
	for (int i = 0; i < 2; i++) {
		size_t start = out.len;

		err = template_render(template, lookup, NULL, &out, &reason);
		assert_int_equal(err, c->expected != NULL ? 0 : ERR_TEMPLATE);
		assert_string_equal(
			buf_string(&out) + start, c->expected != NULL ? c->expected : "");
		assert_string_equal(buf_string(&reason), c->expected != NULL ? "" : c->reason);
		buf_clear(&reason);
	}
	template_free(template);
	buf_free(&out);
	buf_free(&reason);
	buf_free(&error);
}

static void test_render(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(render_cases); i++)
		check_render(&render_cases[i]);
}

struct compile_case {
	enum template_context context;
	const char *source, *error;
};

static const struct compile_case compile_cases[] = {
	{TEMPLATE_TEXT, "ab{{c", "unclosed {{ at offset 2"},
	{TEMPLATE_TEXT, "{{c}", "unclosed {{ at offset 0"},
	{TEMPLATE_TEXT, "{{{c}}", "unclosed {{{ at offset 0"},
	{TEMPLATE_TEXT, "a{{", "unclosed {{ at offset 1"},
	{TEMPLATE_TEXT, "{{{", "unclosed {{{ at offset 0"},
	{TEMPLATE_TEXT, "{{}}", "empty variable name at offset 0"},
	{TEMPLATE_TEXT, "x{{ \t}}", "empty variable name at offset 1"},
	{TEMPLATE_TEXT, "{{|x}}", "empty variable name at offset 0"},
	{TEMPLATE_TEXT, "{{a..b}}", "malformed variable name \"a..b\" at offset 0"},
	{TEMPLATE_TEXT, "{{.a}}", "malformed variable name \".a\" at offset 0"},
	{TEMPLATE_TEXT, "{{a.}}", "malformed variable name \"a.\" at offset 0"},
	{TEMPLATE_TEXT, "{{a  b}}", "malformed variable name \"a  b\" at offset 0"},
	{TEMPLATE_TEXT, "{{#each x}}", "malformed variable name \"#each x\" at offset 0"},
	{TEMPLATE_TEXT, "{{/each}}", "malformed variable name \"/each\" at offset 0"},
	{TEMPLATE_TEXT, "{{&a}}", "malformed variable name \"&a\" at offset 0"},
	{TEMPLATE_TEXT, "{{>a}}", "malformed variable name \">a\" at offset 0"},
	{TEMPLATE_TEXT, "{{!a}}", "malformed variable name \"!a\" at offset 0"},
	{TEMPLATE_TEXT, "{{f(a)}}", "malformed variable name \"f(a)\" at offset 0"},
	{TEMPLATE_TEXT, "{{a\nb}}", "malformed variable name \"a\\nb\" at offset 0"},
	{TEMPLATE_TEXT, "{{{{a}}}}", "malformed variable name \"{a\" at offset 0"},
	{TEMPLATE_TEXT, "{{a{{b}}", "malformed variable name \"a{{b\" at offset 0"},

	{TEMPLATE_JSON, "", "not JSON at offset 0, the end"},
	{TEMPLATE_JSON, "{\"a\":1", "not JSON at offset 6, the end"},
	{TEMPLATE_JSON, "{\"a\":{{x}},}", "not JSON at offset 11, near \"}\""},
	{TEMPLATE_JSON, "{\"a\":x}", "not JSON at offset 5, near \"x}\""},
	{TEMPLATE_JSON, "{{{x}}:1}", "unclosed {{{ at offset 0"},
	{TEMPLATE_JSON, "{ {{x}}:1}", "not JSON at offset 2, near \"{{x}}:1}\""},
	{TEMPLATE_JSON, "[1{{x}}]", "not JSON at offset 2, near \"{{x}}]\""},
	{TEMPLATE_JSON, "[{{x}}1]", "not JSON at offset 6, near \"1]\""},
	{TEMPLATE_JSON, "[{{x}}{{y}}]", "not JSON at offset 6, near \"{{y}}]\""},
	{TEMPLATE_JSON, "[-{{x}}]", "not JSON at offset 2, near \"{{x}}]\""},
	{TEMPLATE_JSON, "\"\\{{x}}\"", "not JSON at offset 1, near \"\\\\{{x}}\\\"\""},
	{TEMPLATE_JSON, "\"\\u00{{x}}\"", "not JSON at offset 1, near \"\\\\u00{{x}}\\\"\""},
	{TEMPLATE_JSON, "\"a\nb\"", "not JSON at offset 2, near \"\\nb\\\"\""},
	{TEMPLATE_JSON, "\"{{x|caf\xe9}}\"", "the default is not valid UTF-8 at offset 1"},
	{TEMPLATE_JSON, "\"caf\xe9\"", "not JSON at offset 4, near \"\\xe9\\\"\""},

	{TEMPLATE_HEADER, "a\nb", "a line break, not allowed in a header, at offset 1"},
	{TEMPLATE_HEADER, "{{a}}\r", "a line break, not allowed in a header, at offset 5"},
	{TEMPLATE_HEADER, "{{a|\n}}",
		"the default holds a line break, not allowed in a header at offset 0"},
	{TEMPLATE_URL, "https://h/{{{a|b c}}}",
		"the default holds a character that must be percent-encoded in a URL at offset 10"},
};

static void test_compile_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(compile_cases); i++) {
		const struct compile_case *c = &compile_cases[i];
		char nothing;
		struct template *untouched = (struct template *)&nothing, *template = untouched;
		struct buf error = BUF_INIT(1024);

		print_message("%s\n", c->source);
		assert_int_equal(
			template_compile(c->source, c->context, &template, &error), ERR_SYNTAX);
		assert_string_equal(buf_string(&error), c->error);
		assert_ptr_equal(template, untouched);
		buf_free(&error);
	}
}

static void test_nesting_limit(void **state)
{
	struct buf source = BUF_INIT(1024), error = BUF_INIT(1024);
	struct template *template = NULL;

	(void)state;
	for (int i = 0; i < 100; i++)
		buf_append_char(&source, '[');
	for (int i = 0; i < 100; i++)
		buf_append_char(&source, ']');
	assert_int_equal(
		template_compile(source.data, TEMPLATE_JSON, &template, &error), ERR_SYNTAX);
	assert_string_equal(buf_string(&error), "nested deeper than 64 levels");
	buf_free(&source);
	buf_free(&error);
}

/* Every single byte as a value, in every context: what comes out is exact, or nothing does. */
static bool byte_lookup(void *arg, const char *name, struct template_value *ret_value)
{
	(void)name;
	*ret_value = (struct template_value){.text = arg, .text_bytes = 1};
	return true;
}

static int render_byte(
	enum template_context context, const char *source, char byte, struct buf *out)
{
	struct buf scratch = BUF_INIT(1024);
	struct template *template = NULL;
	int err;

	buf_clear(out);
	assert_int_equal(template_compile(source, context, &template, &scratch), 0);
	err = template_render(template, byte_lookup, &byte, out, &scratch);
	template_free(template);
	buf_free(&scratch);
	return err;
}

static void test_every_byte(void **state)
{
	struct buf out = BUF_INIT(1024);
	char expected[16];

	(void)state;
	for (int b = 0; b < 256; b++) {
		char c = (char)b;
		bool unreserved = b < 0x80 && b != 0 &&
				  strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
					 "0123456789-._~",
					  b) != NULL;

		snprintf(expected, sizeof(expected), unreserved ? "/x%c" : "/x%%%02X", (unsigned)b);
		assert_int_equal(render_byte(TEMPLATE_URL, "/x{{v}}", c, &out), 0);
		assert_string_equal(buf_string(&out), expected);
		assert_int_equal(render_byte(TEMPLATE_FORM, "/x{{v}}", c, &out), 0);
		assert_string_equal(buf_string(&out), b == ' ' ? "/x+" : expected);

		assert_int_equal(render_byte(TEMPLATE_HEADER, "{{v}}", c, &out),
			b == 0 || b == '\r' || b == '\n' ? ERR_TEMPLATE : 0);
		assert_int_equal(render_byte(TEMPLATE_JSON, "\"{{v}}\"", c, &out),
			b < 0x80 ? 0 : ERR_TEMPLATE);
		if (b >= 0x20 && b < 0x80) {
			bool escaped = b == '"' || b == '\\';

			snprintf(expected, sizeof(expected), escaped ? "\"\\%c\"" : "\"%c\"", b);
			assert_string_equal(buf_string(&out), expected);
		}
		for (size_t i = 0; i < out.len; i++)
			assert_true((unsigned char)out.data[i] >= 0x20);
		assert_int_equal(render_byte(TEMPLATE_TEXT, "{{v}}", c, &out), 0);
		assert_int_equal(out.len, 1);
		assert_int_equal(out.data[0], c);
	}
	buf_free(&out);
}

static void visit(void *arg, const char *name, bool has_default)
{
	buf_appendf(arg, "%s%s ", name, has_default ? "=" : "");
}

static void test_variables(void **state)
{
	struct buf names = BUF_INIT(1024), error = BUF_INIT(1024);
	struct template *template = NULL;

	(void)state;
	assert_int_equal(
		template_compile("{{a}}x{{{b.c}}}{{ a |d}}", TEMPLATE_TEXT, &template, &error), 0);
	assert_false(template_is_constant(template));
	template_each_variable(template, visit, &names);
	assert_string_equal(buf_string(&names), "a b.c a= ");
	template_free(template);
	buf_clear(&names);

	assert_int_equal(template_compile("a {b} }}", TEMPLATE_TEXT, &template, &error), 0);
	assert_true(template_is_constant(template));
	template_each_variable(template, visit, &names);
	assert_string_equal(buf_string(&names), "");
	template_free(template);
	template_free(NULL);
	buf_free(&names);
	buf_free(&error);
}

static void test_full_output(void **state)
{
	struct buf out = BUF_INIT(8), reason = BUF_INIT(64);
	struct template *template = NULL;

	(void)state;
	assert_int_equal(template_compile("{{name}}123456", TEMPLATE_TEXT, &template, &reason), 0);
	assert_int_equal(template_render(template, lookup, NULL, &out, &reason), ERR_TOO_LARGE);
	assert_int_equal(out.len, 0);
	assert_string_equal(buf_string(&reason), "");
	template_free(template);
	buf_free(&out);
	buf_free(&reason);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_render),
		cmocka_unit_test(test_compile_errors),
		cmocka_unit_test(test_nesting_limit),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_variables),
		cmocka_unit_test(test_full_output),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
