/* ${...} in values: every form, every refusal. */
#include "base/log.h"
#include "bunshin/error.h"
#include "config/substitute.h"
#include "fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct good_case {
	const char *text, *value, *shown; /* shown NULL: as the value */
};

static const struct good_case good[] = {
	{"", "", NULL},
	{"plain", "plain", NULL},
	{"${HOST}", "api.example.com", NULL},
	{"a${HOST}b${HOST}", "aapi.example.combapi.example.com", NULL},
	{"${_a1}", "underscore", NULL},
	{"${EMPTY}", "", NULL},
	{"${EMPTY:-x}", "x", NULL},
	{"${GONE:-x}", "x", NULL},
	{"${GONE:-}", "", NULL},
	{"${GONE:-a b:-c$HOST}", "a b:-c$HOST", NULL},
	{"${GONE:-a}}", "a}", NULL},
	{"${HOST:-x}", "api.example.com", NULL},
	{"$$", "$", NULL},
	{"$${HOST}", "${HOST}", NULL},
	{"$$${HOST}", "$api.example.com", NULL},
	{"$$$${HOST}", "$${HOST}", NULL},
	{"$HOST $5 $", "$HOST $5 $", NULL},
	{"$", "$", NULL},
	{"{HOST}", "{HOST}", NULL},
	{"${YAML}", "x\n  wait: 1s # {[&*!|>%@`", NULL},
	{"${QUOTES}", "\"'", NULL},
	{"a ${file:one} b", "a one b", "a [hidden] b"},
	{"${file:two-lines}", "one\ntwo", "[hidden]"},
	{"${file:newlines}", "", "[hidden]"},
	{"${file:empty}", "", "[hidden]"},
	{"${file:dollars}", "${HOST} $$", "[hidden]"},
	{"${file:credentials/api}", "key", "[hidden]"},
	{"${credential:api}${credential:..api}", "keydots", "[hidden][hidden]"},
};

static void write_files(void)
{
	static const char binary[] = "a\0b";

	fixture_write("one", "one\r\n", 5);
	fixture_write("two-lines", "one\ntwo\n", 8);
	fixture_write("newlines", "\n\r\n\n", 4);
	fixture_write("empty", "", 0);
	fixture_write("dollars", "${HOST} $$", 10);
	fixture_write("binary", binary, 3);
	fixture_write("latin1", "caf\xe9", 4);
	fixture_write("credentials/api", "key\n", 4);
	fixture_write("credentials/..api", "dots", 4);
	assert_int_equal(mkfifo("pipe", 0600), 0);
}

static void test_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		struct substitution result = {0};
		struct buf error = BUF_INIT(1024);
		const char *shown = good[i].shown != NULL ? good[i].shown : good[i].value;

		print_message("%s\n", good[i].text);
		assert_int_equal(
			substitute(good[i].text, &fixture_environment, &result, &error), 0);
		assert_string_equal(buf_string(&result.text), good[i].value);
		assert_string_equal(buf_string(&result.shown), shown);
		assert_int_equal(result.hidden, good[i].shown != NULL);
		assert_string_equal(buf_string(&error), "");
		substitution_free(&result);
		buf_free(&error);
	}
}

struct bad_case {
	const char *text, *error;
};

#define FORMS "expected ${NAME}, ${NAME:-default}, ${file:PATH} or ${credential:NAME}, got "
#define HINT " in the braces; a literal ${ is written $${"

static const struct bad_case bad[] = {
	{"a ${GONE} b", "environment variable GONE is not set"},
	{"${BAD}", "environment variable BAD is not valid UTF-8"},
	{"${HOST", "${ without a closing brace; a literal ${ is written $${"},
	{"${", "${ without a closing brace; a literal ${ is written $${"},
	{"${}", FORMS "\"\"" HINT},
	{"${1A}", FORMS "\"1A\"" HINT},
	{"${A B}", FORMS "\"A B\"" HINT},
	{"${ HOST }", FORMS "\" HOST \"" HINT},
	{"${HOST-x}", FORMS "\"HOST-x\"" HINT},
	{"${HOST:x}", FORMS "\"HOST:x\"" HINT},
	{"${:-x}", FORMS "\":-x\"" HINT},
	{"${files:x}", FORMS "\"files:x\"" HINT},
	{"${file:}", "file \"\" cannot be read: No such file or directory"},
	{"${file:gone}", "file \"gone\" cannot be read: No such file or directory"},
	{"${file:credentials}", "file \"credentials\" cannot be read: Is a directory"},
	{"${file:pipe}", "file \"pipe\" cannot be read: Invalid argument"},
	{"${file:/dev/zero}", "file \"/dev/zero\" cannot be read: Invalid argument"},
	{"${file:binary}", "file \"binary\" is not UTF-8 text"},
	{"${file:latin1}", "file \"latin1\" is not UTF-8 text"},
	{"${file:big}", "file \"big\" is larger than 64KiB"},
	{"${credential:}", "not the name of a credential: \"\""},
	{"${credential:..}", "not the name of a credential: \"..\""},
	{"${credential:.}", "not the name of a credential: \".\""},
	{"${credential:../one}", "not the name of a credential: \"../one\""},
	{"${credential:/etc/passwd}", "not the name of a credential: \"/etc/passwd\""},
	{"${credential:gone}",
		"credential \"credentials/gone\" cannot be read: No such file or directory"},
};

static void assert_refused(
	const char *text, const struct config_environment *environment, const char *expected)
{
	struct substitution result = {0};
	struct buf error = BUF_INIT(1024);

	print_message("%s\n", text);
	assert_int_equal(substitute(text, environment, &result, &error), ERR_CONFIG);
	assert_string_equal(buf_string(&error), expected);
	substitution_free(&result);
	buf_free(&error);
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_refused(bad[i].text, &fixture_environment, bad[i].error);
}

static const char *no_getenv(void *arg, const char *name)
{
	(void)name;
	return arg;
}

static void test_credentials_directory(void **state)
{
	const struct config_environment unset = {.getenv = no_getenv};
	char empty[] = "";
	const struct config_environment set_empty = {.getenv = no_getenv, .arg = empty};
	char *long_path = calloc(1, 5000);
	const struct config_environment set_long = {.getenv = no_getenv, .arg = long_path};

	(void)state;
	assert_refused("${credential:api}", &unset,
		"credential api: CREDENTIALS_DIRECTORY is not set; systemd sets it for a service "
		"with "
		"LoadCredential=");
	assert_refused("${credential:api}", &set_empty,
		"credential api: CREDENTIALS_DIRECTORY is not set; systemd sets it for a service "
		"with "
		"LoadCredential=");
	assert_non_null(long_path);
	memset(long_path, 'x', 4999);
	assert_refused("${credential:api}", &set_long, "CREDENTIALS_DIRECTORY is too long");
	free(long_path);
}

static void test_bounds(void **state)
{
	struct substitution result = {0};
	struct buf error = BUF_INIT(1024), text = BUF_INIT(1 << 20);
	char *content = malloc(SUBSTITUTE_FILE_MAX_BYTES + 1);

	(void)state;
	assert_non_null(content);
	memset(content, 'x', SUBSTITUTE_FILE_MAX_BYTES + 1);
	fixture_write("full", content, SUBSTITUTE_FILE_MAX_BYTES);
	fixture_write("big", content, SUBSTITUTE_FILE_MAX_BYTES + 1);
	assert_int_equal(substitute("${file:full}", &fixture_environment, &result, &error), 0);
	assert_int_equal(result.text.len, SUBSTITUTE_FILE_MAX_BYTES);
	substitution_free(&result);
	for (int i = 0; i < 65; i++)
		buf_append_string(&text, "${file:full}");
	assert_refused(text.data, &fixture_environment, "larger than 4MiB when filled in");
	free(content);
	buf_free(&text);
	buf_free(&error);
}

static int set_up(void **state)
{
	fixture_enter(state);
	write_files();
	return 0;
}

/* For who has none of the secrets: all that cannot be had is "x", all else as ever. */
static void what_is_missing_can_be_replaced(void **state)
{
	static const struct good_case cases[] = {
		{"${HOST}/${GONE}", "api.example.com/x", NULL},
		{"${GONE:-y}", "y", NULL},
		{"a${file:no-such-file}b", "axb", NULL},
		{"${credential:token}${GONE}", "xx", NULL},
	};
	struct config_environment environment = fixture_environment;

	environment.missing = "x";
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct substitution result = {0};
		struct buf error = BUF_INIT(1000);

		buf_append_string(&error, "before");
		assert_int_equal(substitute(cases[i].text, &environment, &result, &error), 0);
		assert_string_equal(buf_string(&result.text), cases[i].value);
		assert_string_equal(buf_string(&error), "before");
		substitution_free(&result);
		buf_free(&error);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounds), /* writes the file that is too large */
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(what_is_missing_can_be_replaced),
		cmocka_unit_test(test_credentials_directory),
	};

	return cmocka_run_group_tests(tests, set_up, fixture_leave);
}
