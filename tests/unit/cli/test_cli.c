/* The option parser: what each kind takes, and the exit code for what it does not. */
#include "bunshin/error.h"
#include "cli/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
/* cmocka.h needs the headers above. */
#include <cmocka.h>

struct values {
	bool flag;
	const char *text;
	int64_t number, duration_ms, bytes;
	int first, count;
};

/* Parses a command line of at most fourteen words; the rest of *v is what the options set. */
static int parse(struct values *v, const char *words)
{
	const struct cli_option options[] = {
		{"flag", 'f', CLI_FLAG, NULL, &v->flag, 0, 0, "a flag"},
		{"text", 't', CLI_STRING, "TEXT", &v->text, 0, 0, "a text"},
		{"number", 0, CLI_INT, "N", &v->number, 1, 10, "a number"},
		{"duration", 0, CLI_DURATION, "TIME", &v->duration_ms, 0, 0, "a duration"},
		{"bytes", 0, CLI_BYTES, "SIZE", &v->bytes, 1024, 1 << 20, "a size"},
		{0},
	};
	const struct cli_usage usage = {.command = "test",
		.arguments = "[options] FILE...",
		.description = "A test.",
		.options = options,
		.max_operands = 2};
	static char copy[256];
	static char name[] = "test";
	char *argv[16] = {name};
	int argc = 1;

	strcpy(copy, words);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[argc++] = word;
	*v = (struct values){.number = 5};
	return cli_parse(&usage, argc, argv, &v->first, &v->count);
}

static void test_each_kind(void **state)
{
	struct values v;

	assert_int_equal(
		parse(&v, "-f --text hello --number 10 --duration 2m --bytes 64KiB a b"), -1);
	assert_true(v.flag);
	assert_string_equal(v.text, "hello");
	assert_int_equal(v.number, 10);
	assert_int_equal(v.duration_ms, 120000);
	assert_int_equal(v.bytes, 65536);
	assert_int_equal(v.count, 2);
	assert_int_equal(v.first, 10);
}

static void test_forms_and_defaults(void **state)
{
	struct values v;

	assert_int_equal(parse(&v, ""), -1);
	assert_false(v.flag);
	assert_null(v.text);
	assert_int_equal(v.number, 5);
	assert_int_equal(v.count, 0);
	assert_int_equal(parse(&v, "--text=a=b -tc"), -1);
	assert_string_equal(v.text, "c");
	/* Options may follow operands; they end at "--". */
	assert_int_equal(parse(&v, "file --flag other -tx"), -1);
	assert_true(v.flag);
	assert_string_equal(v.text, "x");
	assert_int_equal(v.count, 2);
	assert_int_equal(parse(&v, "-- --flag"), -1);
	assert_false(v.flag);
	assert_int_equal(v.count, 1);
	assert_int_equal(parse(&v, "-"), -1);
	assert_int_equal(v.count, 1);
}

static void test_what_is_refused(void **state)
{
	static const char *const lines[] = {"--unknown", "-x", "--text", "-t", "--number 0",
		"--number 11", "--number x", "--number 1.5", "--number 99999999999999999999",
		"--duration 20", "--duration -1s", "--bytes 1023", "--bytes 2MiB", "--bytes 16EiB",
		"a b c", "--flag=yes"};
	struct values v;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		if (parse(&v, lines[i]) != CLI_USAGE)
			fail_msg("taken: %s", lines[i]);
	}
	assert_int_equal(parse(&v, "--help"), CLI_DONE);
}

static void test_exit_codes(void **state)
{
	assert_int_equal(cli_exit_code(0), CLI_DONE);
	assert_int_equal(cli_exit_code(ERR_CONFIG), CLI_USAGE);
	assert_int_equal(cli_exit_code(ERR_ARGUMENT), CLI_USAGE);
	assert_int_equal(cli_exit_code(ERR_TIMEOUT), CLI_TEMPORARY);
	assert_int_equal(cli_exit_code(ERR_THROTTLED), CLI_TEMPORARY);
	assert_int_equal(cli_exit_code(ERR_ACCESS_DENIED), CLI_FAILED);
	assert_int_equal(cli_exit_code(ERR_QUEUE_MISSING), CLI_FAILED);
	assert_int_equal(cli_exit_code(ERR_NOMEM), CLI_FAILED);
}

static int parse_optional(int64_t *ret_ms, size_t operands, char *second, char *third)
{
	const struct cli_option options[] = {
		{"ahead", 0, CLI_DURATION_OPTIONAL, "TIME", ret_ms, 1000, 60000, "how far"},
		{0},
	};
	const struct cli_usage usage = {"test", "", "", options, 0, operands};
	static char name[] = "test";
	char *argv[] = {name, second, third, NULL};
	int first, count;

	*ret_ms = -1;
	return cli_parse(&usage, second ? third ? 3 : 2 : 1, argv, &first, &count);
}

static void test_a_value_that_may_be_missing(void **state)
{
	static char bare[] = "--ahead", with[] = "--ahead=5s", much[] = "--ahead=2m",
		    value[] = "5s", wrong[] = "--ahead=", other[] = "x";
	int64_t ms;

	assert_int_equal(parse_optional(&ms, 0, NULL, NULL), -1);
	assert_int_equal(ms, -1);
	assert_int_equal(parse_optional(&ms, 0, bare, NULL), -1);
	assert_int_equal(ms, 60000);
	assert_int_equal(parse_optional(&ms, 0, with, NULL), -1);
	assert_int_equal(ms, 5000);
	assert_int_equal(parse_optional(&ms, 0, bare, value), -1);
	assert_int_equal(ms, 5000);
	assert_int_equal(parse_optional(&ms, 0, bare, bare), -1);
	assert_int_equal(ms, 60000);
	assert_int_equal(parse_optional(&ms, 1, bare, value), -1);
	assert_int_equal(ms, 60000); /* "5s" is the operand */
	assert_int_equal(parse_optional(&ms, 0, much, NULL), CLI_USAGE);
	assert_int_equal(parse_optional(&ms, 0, wrong, NULL), CLI_USAGE);
	assert_int_equal(parse_optional(&ms, 0, bare, other), CLI_USAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_kind),
		cmocka_unit_test(test_a_value_that_may_be_missing),
		cmocka_unit_test(test_forms_and_defaults),
		cmocka_unit_test(test_what_is_refused),
		cmocka_unit_test(test_exit_codes),
	};

	return cmocka_run_group_tests_name("cli/cli", tests, NULL, NULL);
}
