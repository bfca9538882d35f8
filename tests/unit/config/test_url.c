/* Which URLs a configuration may hold. */
#include "config/url.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_origin(void **state)
{
	static const struct {
		const char *url;
		size_t bytes;
	} cases[] = {
		{"http://h", 8},
		{"https://api.example.com/x", 23},
		{"HTTPS://H:1/", 11},
		{"http://h:65535", 14},
		{"http://h:65536", 0},
		{"http://h:0", 0},
		{"http://h:", 0},
		{"http://h:123456/", 0},
		{"http://h:80x/", 11},
		{"http://[::1]:9324/", 17},
		{"http://[::1]", 12},
		{"http://[::1", 0},
		{"http://[]", 0},
		{"http://[:]", 0},
		{"http://[::g]", 0},
		{"http://", 0},
		{"http:///x", 0},
		{"http://.h", 0},
		{"http://-h", 0},
		{"http://a_b-c.d", 14},
		{"http://u:p@h/", 0},
		{"http://u@h/", 8},
		{"ftp://h/", 0},
		{"//h/", 0},
		{"h", 0},
		{"", 0},
		{"http:/h", 0},
		{" http://h", 0},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		print_message("%s\n", cases[i].url);
		assert_int_equal(url_origin_bytes(cases[i].url), cases[i].bytes);
	}
}

static void test_endpoint(void **state)
{
	static const char *const good[] = {
		"http://127.0.0.1:9324", "https://sqs.eu-west-1.amazonaws.com/", "http://[::1]:1"};
	static const char *const bad[] = {"", "http://h/x", "http://h?x", "http://h#x", "h:1",
		"http://u@h", "http://h:80x", "http://h //", "http://h/ ", "http://h\n"};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(url_is_endpoint(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_false(url_is_endpoint(bad[i]));
}

#define LETTERS_16 "abcdefghijklmnop"
#define LETTERS_80 LETTERS_16 LETTERS_16 LETTERS_16 LETTERS_16 LETTERS_16

static void test_queue(void **state)
{
	static const char *const good[] = {
		"https://sqs.eu-west-1.amazonaws.com/123456789012/name",
		"http://127.0.0.1:9324/000000000000/a-B_9",
		"http://h/queue/x.fifo",
		"http://h/1/" LETTERS_80,
	};
	static const char *const bad[] = {
		"",
		"http://h",
		"http://h/",
		"http://h/a",
		"http://h/a/",
		"http://h//b",
		"http://h/a/b/",
		"http://h/a/b/c",
		"http://h/a/b?c",
		"http://h/a/b c",
		"http://h/a/b.c",
		"http://h/a/.fifo",
		"http://h/a/b.fifo.fifo",
		"http://h/a/b\n",
		"http://u@h/a/b",
		"http://h/1/" LETTERS_80 "q",
		"http://h/1/" LETTERS_80 ".fifo",
		"sqs:name",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++)
		assert_true(url_is_queue(good[i]));
	for (size_t i = 0; i < COUNT(bad); i++) {
		print_message("%s\n", bad[i]);
		assert_false(url_is_queue(bad[i]));
	}
}

#define NO_VARIABLE                                                  \
	"no variable may stand in the scheme, host or port without " \
	"request.allow_hosts"
#define NOT_HTTP "not an http or https URL with a host (like https://api.example.com/send)"
#define NO_DOTS "\".\" and \"..\" may not be steps of the path"
#define NOT_ENCODED "holds a character that must be percent-encoded"

static void test_template(void **state)
{
	static const struct {
		const char *source, *problem;
	} cases[] = {
		{"http://h", NULL},
		{"https://h:8443/a/{{b}}?c={{d|e f}}#{{g}}", NULL},
		{"https://h?{{a}}", NULL},
		{"https://h/{{{a}}}/b", NULL},
		{"https://h/%20~!$&'()*+,;=:@-._a?/?", NULL},
		{"https://h/.../..a/b..", NULL},
		{"{{a}}", NO_VARIABLE},
		{"{{{a}}}", NO_VARIABLE},
		{"http{{s}}://h/", NO_VARIABLE},
		{"https://{{h}}/", NO_VARIABLE},
		{"https://h{{a}}/", NO_VARIABLE},
		{"https://h{{a}}", NO_VARIABLE},
		{"https://h.{{a}}.example.com/", NO_VARIABLE},
		{"https://h:{{port}}/", NO_VARIABLE},
		{"https://{{user}}@h/", NO_VARIABLE},
		{"https://h{{a|/}}", NO_VARIABLE},
		{"", NOT_HTTP},
		{"h/x", NOT_HTTP},
		{"file:///etc/passwd", NOT_HTTP},
		{"https://", NOT_HTTP},
		{"https:///x", NOT_HTTP},
		{"https://user@h/", NOT_HTTP},
		{"https://user:pw@h/{{x}}", NOT_HTTP},
		{"https://h:99999/", NOT_HTTP},
		{"https://h\\@evil/", NOT_HTTP},
		{"https://h a/", NOT_HTTP},
		{"https://h/../x", NO_DOTS},
		{"https://h/a/./x", NO_DOTS},
		{"https://h/a/..", NO_DOTS},
		{"https://h/a/.?x", NO_DOTS},
		{"https://h/a b", NOT_ENCODED},
		{"https://h/a\tb", NOT_ENCODED},
		{"https://h/{a}", NOT_ENCODED},
		{"https://h/{{a}}}", NOT_ENCODED},
		{"https://h/\xe5\x88\x86", NOT_ENCODED},
		{"https://h/\"", NOT_ENCODED},
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *problem = url_template_problem(cases[i].source);

		print_message("%s\n", cases[i].source);
		assert_string_equal(problem != NULL ? problem : "none",
			cases[i].problem != NULL ? cases[i].problem : "none");
	}
}

#define NEITHER                                                                                 \
	"not an http or https URL (like https://{{host}}/hook), nor a variable that holds one " \
	"(like {{{url}}})"
#define NOT_RAW "begins with a variable that would be percent-encoded; {{{ }}} leaves it as it is"
#define NO_USER "no user, password or address may stand before the path"

/* Where a message chooses the host. */
static void test_chosen_template(void **state)
{
	static const struct {
		const char *source, *problem;
	} cases[] = {
		{"{{{url}}}", NULL},
		{"{{{url}}}/a?{{b}}", NULL},
		{"{{{url|https://h/a@b}}}", NULL},
		{"https://{{h}}", NULL},
		{"HTTP://a.{{h|b/c}}.d:{{p}}?@[]", NULL},
		{"{{url}}", NOT_RAW},
		{"{{scheme}}://h", NOT_RAW},
		{"h{{a}}", NEITHER},
		{"ftp{{a}}://", NEITHER},
		{"", NEITHER},
		{"https://u@{{h}}/", NO_USER},
		{"https://{{h}}@h/", NO_USER},
		{"https://[{{h}}]/", NO_USER},
		{"{{{url}}}@h", NO_USER},
		{"https://{{h}}/a/../b", NO_DOTS},
		{"https://{{h}}/a/.", NO_DOTS},
		{"https://{{h}}?/../", NULL},
		{"https://{{h}} /", NOT_ENCODED},
		{"https://{{h}}\\a", NOT_ENCODED},
		{"https://{{h}}/\xe5\x88\x86", NOT_ENCODED},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *problem = url_chosen_template_problem(cases[i].source);

		print_message("%s\n", cases[i].source);
		assert_string_equal(problem != NULL ? problem : "none",
			cases[i].problem != NULL ? cases[i].problem : "none");
	}
	assert_true(url_template_chooses_host("{{{url}}}/x"));
	assert_true(url_template_chooses_host("https://h:{{p}}"));
	assert_false(url_template_chooses_host("https://h/{{p}}"));
	assert_false(url_template_chooses_host("https://h?{{p}}"));
	assert_false(url_template_chooses_host("h/{{p}}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_endpoint),
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_template),
		cmocka_unit_test(test_chosen_template),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
