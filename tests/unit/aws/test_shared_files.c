#include "aws/credentials/shared_files.h"
#include "aws/credentials/words.h"
#include "bunshin/error.h"
#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int parse(const char *config, const char *credentials, struct shared_files **ret_files,
	struct buf *error)
{
	return shared_files_parse("CONFIG", config, config != NULL ? strlen(config) : 0,
		"CREDENTIALS", credentials, credentials != NULL ? strlen(credentials) : 0,
		ret_files, error);
}

static struct shared_files *parsed(const char *config, const char *credentials)
{
	struct buf error = BUF_INIT(1000);
	struct shared_files *files = NULL;

	assert_int_equal(parse(config, credentials, &files, &error), 0);
	assert_int_equal(error.len, 0);
	return files;
}

static void check_refused(const char *config, const char *credentials, const char *expected)
{
	struct buf error = BUF_INIT(1000);
	struct shared_files *files = NULL;

	assert_int_equal(parse(config, credentials, &files, &error), ERR_SYNTAX);
	assert_null(files);
	assert_string_equal(buf_string(&error), expected);
	buf_free(&error);
}

static void check_value(const char *value, const char *expected)
{
	if (expected == NULL)
		assert_null(value);
	else
		assert_string_equal(value != NULL ? value : "(absent)", expected);
}

/* The text as it is and with its line ends as CRLF and as CR. */
static void values_are_read(void **state)
{
	static const struct {
		const char *config, *value; /* of "name" in profile foo */
	} cases[] = {
		{"[profile foo]\nname = value", "value"},
		{"[profile foo]\nname=value\n", "value"},
		{"[profile foo]\nname \t=  \tvalue \t\n", "value"},
		{"[profile foo]\nNAME = Value\n", "Value"},
		{"[profile foo]\nname = val=ue\n", "val=ue"},
		{"[profile foo]\nname = val:ue\n", "val:ue"},
		{"[profile foo]\nname: value\n", "value"},
		{"[profile foo]\nname : val=ue\n", "val=ue"},
		{"[profile foo]\nname = \xF0\x9F\x98\x82\n", "\xF0\x9F\x98\x82"},
		{"[profile foo]\nname =\n", NULL},
		{"[profile foo]\nname = \t\nother = x\n", NULL},
		{"[profile foo]\nother = value\n", NULL},
		{"[profile bar]\nname = value\n", NULL},
		{"", NULL},
		{"\n\n \t\n", NULL},
		{"\xEF\xBB\xBF[profile foo]\nname = value\n", "value"},
		{"\xEF\xBB\xBF", NULL},
		/* comments */
		{"# c\n[profile foo]\n; c\nname = value\n  # name = x\n", "value"},
		{"[profile foo] # c\nname = value # c # d\n", "value"},
		{"[profile foo] ; c\nname = value\t;c\n", "value"},
		{"[profile foo];\nname = value ;\n", "value"},
		{"[profile foo]# c ]\nname = value; c\n", "value; c"},
		{"[profile foo]\nname = value# c\n", "value# c"},
		{"[profile foo]\nname = # c\n", NULL},
		{"[profile foo]\nname =#c\n", "#c"},
		{"[profile foo]\nname = https://h/start#/ # c\n", "https://h/start#/"},
		/* ... and quotes */
		{"[profile foo]\nname = sh -c \"a ; b\" # c\n", "sh -c \"a ; b\""},
		{"[profile foo]\nname = sh -c 'a # b' ; c\n", "sh -c 'a # b'"},
		{"[profile foo]\nname = a --x='b ; c' d\n", "a --x='b ; c' d"},
		{"[profile foo]\nname = \"a \\\" ; b\" ; c\n", "\"a \\\" ; b\""},
		{"[profile foo]\nname = it's # not 'a quote\n", "it's"},
		{"[profile foo]\nname = \"open # c\n", "\"open"},
		/* values that go on */
		{"[profile foo]\nname = value\n -more\n", "value\n-more"},
		{"[profile foo]\nname = value # c\n\t -more \n  and = more # c\n",
			"value\n-more\nand = more # c"},
		{"[profile foo]\nname = a\n\n # c\n  b\nname2 = x\n", "a\nb"},
		{"[profile foo]\nname = a\n [profile bar]\n", "a\n[profile bar]"},
		{"[profile foo]\n  name = a\n  other = b\n", "a"},
		{"[profile foo]\n  other = b\n name = a\n", "a"},
		{" [profile foo]\n name = a\n", "a"},
		/* what comes twice */
		{"[profile foo]\nname = a\nname = b\n", "b"},
		{"[profile foo]\nname = a\nname =\n", NULL},
		{"[profile foo]\nname = a\n[profile bar]\nname = x\n[profile foo]\nother = b\n",
			"a"},
		{"[profile foo]\nName = a\n[profile foo]\nname = b\n", "b"},
		{"[profile foo]\ns3 =\n name = x\n", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[2][300];
		size_t len[2] = {0, 0};
		struct shared_files *files = parsed(cases[i].config, NULL);

		check_value(shared_files_get(files, "foo", "name"), cases[i].value);
		check_value(shared_files_get(files, "foo", "nAmE"), cases[i].value);
		shared_files_free(files);
		for (const char *c = cases[i].config; *c != '\0'; c++) {
			if (*c == '\n')
				text[0][len[0]++] = '\r';
			text[0][len[0]++] = *c;
			text[1][len[1]++] = *c == '\n' ? '\r' : *c;
		}
		for (size_t k = 0; k < 2; k++) {
			text[k][len[k]] = '\0';
			files = parsed(text[k], NULL);
			check_value(shared_files_get(files, "foo", "name"), cases[i].value);
			shared_files_free(files);
		}
	}
}

static void sections_of_the_config_file(void **state)
{
	static const struct {
		const char *section, *profile;
		bool is;
	} cases[] = {
		{"[profile foo]", "foo", true},
		{"[profile\tfoo]", "foo", true},
		{"[ \tprofile  foo\t ]", "foo", true},
		{"[profile \"foo\"]", "foo", true},
		{"[profile 'foo bar']", "foo bar", true},
		{"[profile foo\\ bar]", "foo bar", true},
		{"[profile \"a]b\"]", "a]b", true},
		{"[profile a#b]", "a#b", true},
		{"[profile some-thing:long/the_one%only.foo@bar+]",
			"some-thing:long/the_one%only.foo@bar+", true},
		{"[profile foo] and so on", "foo", true},
		{"[profile foo] # [profile bar]", "foo", true},
		{"[profile foo] # [profile bar]", "bar", false},
		{"[profile Foo]", "foo", false},
		{"[profile foo bar]", "foo", false},
		{"[profile foo bar]", "foo bar", false},
		{"[profile \"foo]", "foo", false},
		{"[profilefoo]", "foo", false},
		{"[profilefoo]", "profilefoo", false},
		{"[profile]", "profile", false},
		{"[foo]", "foo", false},
		{"[services foo]", "foo", false},
		{"[sso-session foo]", "foo", false},
		{"[default]", "default", true},
		{"[ default ]", "default", true},
		{"[profile default]", "default", true},
		{"[\"default\"]", "default", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[200];
		struct shared_files *files;

		snprintf(text, sizeof(text), "%s\nkey = v\n", cases[i].section);
		files = parsed(text, NULL);
		assert_int_equal(shared_files_has_profile(files, cases[i].profile), cases[i].is);
		check_value(
			shared_files_get(files, cases[i].profile, "key"), cases[i].is ? "v" : NULL);
		shared_files_free(files);
	}
}

static void default_with_a_prefix_hides_the_one_without(void **state)
{
	static const char *const configs[] = {
		"[profile default]\na = 1\n[default]\nb = 2\n[profile default]\nc = 3\n",
		"[default]\nb = 2\n[profile default]\na = 1\nc = 3\n",
	};

	for (size_t i = 0; i < 2; i++) {
		struct shared_files *files = parsed(configs[i], "[default]\nd = 4\n");

		check_value(shared_files_get(files, "default", "a"), "1");
		check_value(shared_files_get(files, "default", "b"), NULL);
		check_value(shared_files_get(files, "default", "c"), "3");
		check_value(shared_files_get(files, "default", "d"), "4");
		shared_files_free(files);
	}
}

static void credentials_file_wins_key_by_key(void **state)
{
	struct shared_files *files = parsed("[profile foo]\na = 1\nb = 2\nc = 3\n[profile x]\n",
		"[foo]\nb = 20\nc =\nd = 4\n[ bar baz ]\ne = 5\n[profile x]\nf = 6\n");

	check_value(shared_files_get(files, "foo", "a"), "1");
	check_value(shared_files_get(files, "foo", "b"), "20");
	check_value(shared_files_get(files, "foo", "c"), NULL);
	check_value(shared_files_get(files, "foo", "d"), "4");
	check_value(shared_files_get(files, "bar baz", "e"), "5");
	check_value(shared_files_get(files, "x", "f"), NULL);
	assert_true(shared_files_has_profile(files, "x"));
	shared_files_free(files);
}

static void services_are_nested(void **state)
{
	struct shared_files *files = parsed("[services mine]\n"
					    "sqs =\n"
					    "  endpoint_url = http://a # b\n"
					    "\n"
					    "  # comment\n"
					    "    Other =  x \n"
					    "s3 = \n"
					    "  endpoint_url = http://s3\n"
					    "sts = value\n"
					    "  endpoint_url = part of the value\n"
					    "[services \"the other\"]\n"
					    "sqs =\n"
					    "\tendpoint_url = http://first\n"
					    "sqs = # none\n"
					    "\tother = y\n"
					    "[profile mine]\n"
					    "sqs =\n"
					    "  endpoint_url = http://profile\n",
		NULL);

	check_value(shared_files_get_service(files, "mine", "sqs", "endpoint_url"), "http://a # b");
	check_value(shared_files_get_service(files, "mine", "SQS", "oTHER"), "x");
	check_value(shared_files_get_service(files, "mine", "s3", "endpoint_url"), "http://s3");
	check_value(shared_files_get_service(files, "mine", "sts", "endpoint_url"), NULL);
	check_value(shared_files_get_service(files, "mine", "sns", "endpoint_url"), NULL);
	check_value(shared_files_get_service(files, "Mine", "sqs", "endpoint_url"), NULL);
	check_value(shared_files_get_service(files, "the other", "sqs", "endpoint_url"), NULL);
	check_value(shared_files_get_service(files, "the other", "sqs", "other"), "y");
	assert_false(shared_files_has_profile(files, "the other"));
	shared_files_free(files);
}

static void mistakes_name_file_and_line_and_no_value(void **state)
{
	static const struct {
		const char *config, *credentials, *error;
	} cases[] = {
		{"\n[profile foo\n", NULL, "CONFIG:2: a section without its ']'"},
		{"[profile foo]\n# c\n\n[]\n", NULL, "CONFIG:4: a section without a name"},
		{"[ \t]", NULL, "CONFIG:1: a section without a name"},
		{"name = SECRET\n", NULL, "CONFIG:1: a setting before the first [section]"},
		{" SECRET", NULL, "CONFIG:1: a setting before the first [section]"},
		{NULL, "[foo]\r\naws_secret_access_key SECRET\r\n",
			"CREDENTIALS:2: neither a [section] nor a setting: there is no '='"},
		{"[profile foo]\n -SECRET\n", NULL,
			"CONFIG:2: neither a [section] nor a setting: there is no '='"},
		{"[profile foo]\nname = value\n[profile foo]\n -SECRET\n", NULL,
			"CONFIG:4: neither a [section] nor a setting: there is no '='"},
		{"[profile foo]\n = SECRET\n", NULL, "CONFIG:2: a setting without a name"},
		{"[profile foo]\r\rs3 =\r SECRET\r", NULL,
			"CONFIG:4: a nested setting without '='"},
		{"[profile foo]\ns3 =\n = SECRET\n", NULL,
			"CONFIG:3: a nested setting without a name"},
		{"[profile foo]\nname = \xFF\n", NULL, "CONFIG:2: not UTF-8 text"},
		{"[profile foo]\n# \xE9t\xE9\n", NULL, "CONFIG:2: not UTF-8 text"},
		{"[preview]\nSECRET\n", NULL,
			"CONFIG:2: neither a [section] nor a setting: there is no '='"},
	};
	struct buf error = BUF_INIT(100);
	struct shared_files *files;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		check_refused(cases[i].config, cases[i].credentials, cases[i].error);
	assert_int_equal(
		shared_files_parse("C", "[a]\n\0", 5, "K", NULL, 0, &files, &error), ERR_SYNTAX);
	assert_string_equal(buf_string(&error), "C:2: not UTF-8 text");
	buf_free(&error);
}

static void keys_can_be_forgotten(void **state)
{
	struct shared_files *files = parsed("[default]\nregion = r\nAWS_SESSION_TOKEN = t\n more\n",
		"[default]\naws_access_key_id = i\naws_secret_access_key = old\n"
		"aws_secret_access_key = s\n");

	check_value(shared_files_get(files, "default", "aws_session_token"), "t\nmore");
	shared_files_forget_keys(files);
	check_value(shared_files_get(files, "default", "region"), "r");
	check_value(shared_files_get(files, "default", "aws_access_key_id"), NULL);
	check_value(shared_files_get(files, "default", "aws_secret_access_key"), NULL);
	check_value(shared_files_get(files, "default", "aws_session_token"), NULL);
	shared_files_free(files);
	shared_files_free(NULL);
}

static int parse_once(void *arg)
{
	struct buf error = BUF_INIT(1000);
	struct shared_files *files;
	int err = parse("[default]\na = 1\n", "[default]\nb = 2\n", &files, &error);

	if (err == 0)
		shared_files_free(files);
	return err;
}

static void memory_may_fail(void **state)
{
	assert_true(failmalloc_sweep(parse_once, NULL) >= 4);
}

/* ---- from disk */

static char directory[] = "/tmp/shared_files_XXXXXX";
static char config_path[100], credentials_path[100];
static const char *config_variable, *credentials_variable, *home;

static const char *lookup(const char *name)
{
	if (strcmp(name, "AWS_CONFIG_FILE") == 0)
		return config_variable;
	if (strcmp(name, "AWS_SHARED_CREDENTIALS_FILE") == 0)
		return credentials_variable;
	return strcmp(name, "HOME") == 0 ? home : NULL;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int make_home(void **state)
{
	char path[100];

	config_variable = credentials_variable = NULL;
	home = mkdtemp(directory);
	snprintf(path, sizeof(path), "%s/.aws", directory);
	snprintf(config_path, sizeof(config_path), "%s/.aws/config", directory);
	snprintf(credentials_path, sizeof(credentials_path), "%s/.aws/credentials", directory);
	return home == NULL || mkdir(path, 0700) != 0;
}

static int remove_home(void **state)
{
	char path[100];

	unlink(config_path);
	unlink(credentials_path);
	snprintf(path, sizeof(path), "%s/.aws", directory);
	rmdir(path);
	rmdir(directory);
	strcpy(directory, "/tmp/shared_files_XXXXXX");
	return 0;
}

static void check_read(const char *profile, const char *key, const char *expected)
{
	struct buf error = BUF_INIT(1000);
	struct shared_files *files;

	assert_int_equal(shared_files_read(lookup, &files, &error), 0);
	check_value(shared_files_get(files, profile, key), expected);
	shared_files_free(files);
}

static void files_are_found(void **state)
{
	check_read("default", "a", NULL); /* neither is there */
	write_file(config_path, "[default]\na = 1\nb = 2\n");
	check_read("default", "a", "1");
	write_file(credentials_path, "[default]\na = 10\n");
	check_read("default", "a", "10");
	check_read("default", "b", "2");
	config_variable = "/dev/null";
	check_read("default", "b", NULL);
	config_variable = "";
	check_read("default", "b", "2");
	config_variable = "~/.aws/credentials";
	credentials_variable = "/nonexistent/credentials";
	check_read("default", "a", "10");
	credentials_variable = "/dev/null/credentials";
	check_read("default", "a", "10");
	credentials_variable = config_path;
	check_read("default", "b", "2");
	home = NULL;
	check_read("default", "b", "2");
	credentials_variable = NULL;
	check_read("default", "b", NULL);
	home = "";
	check_read("default", "b", NULL);
}

static void check_unread(int expected_err, const char *format, const char *path)
{
	struct buf error = BUF_INIT(1000);
	struct shared_files *files = NULL;
	char expected[300];

	assert_int_equal(shared_files_read(lookup, &files, &error), expected_err);
	assert_null(files);
	snprintf(expected, sizeof(expected), "%s%s%s", expected_err == ERR_IO ? "cannot read " : "",
		path, format);
	assert_string_equal(buf_string(&error), expected);
	buf_free(&error);
}

static void files_that_cannot_be_read(void **state)
{
	FILE *file;

	write_file(credentials_path, "[default]\na\n");
	check_unread(ERR_SYNTAX, ":2: neither a [section] nor a setting: there is no '='",
		credentials_path);
	config_variable = directory;
	check_unread(ERR_IO, ": Is a directory", directory);
	config_variable = NULL;
	file = fopen(config_path, "w");
	for (size_t i = 0; i < SHARED_FILE_MAX_BYTES; i++)
		fputc('#', file);
	fclose(file);
	assert_int_equal(truncate(credentials_path, 0), 0);
	check_read("default", "a", NULL);
	assert_int_equal(truncate(config_path, (off_t)SHARED_FILE_MAX_BYTES + 1), 0);
	check_unread(ERR_TOO_LARGE, " is larger than 1048576 bytes", config_path);
}

static void a_named_pipe_is_not_waited_for(void **state)
{
	assert_int_equal(mkfifo(config_path, 0600), 0);
	check_read("default", "a", NULL);
}

/* ---- words.h */

static void check_words(const char *text, int expected_err, const char *expected)
{
	char copy[100], joined[200] = "";
	char *words[4];
	size_t count = 0;

	strcpy(copy, text);
	assert_int_equal(words_split(copy, words, 4, &count), expected_err);
	for (size_t i = 0; i < count; i++) {
		strcat(joined, words[i]);
		strcat(joined, "|");
	}
	assert_string_equal(joined, expected);
}

/* Expected: Python's shlex.split. */
static void words_are_split_like_a_shell(void **state)
{
	check_words("", 0, "");
	check_words(" \t\n", 0, "");
	check_words("a", 0, "a|");
	check_words("  a  bc\td\n", 0, "a|bc|d|");
	check_words("a '' \"\"", 0, "a|||");
	check_words("'a b' \"c d\"", 0, "a b|c d|");
	check_words("a'b c'd\"e f\"g", 0, "ab cde fg|");
	check_words("a\\ b \\'c \\\\", 0, "a b|'c|\\|");
	check_words("'a\\' b", 0, "a\\|b|");
	check_words("\"a\\\"b\\\\c\\d\"", 0, "a\"b\\c\\d|");
	check_words("\"it's\" '\"'", 0, "it's|\"|");
	check_words("$HOME *.c #x", 0, "$HOME|*.c|#x|");
	check_words("a b c d", 0, "a|b|c|d|");
	check_words("a b c d e", ERR_LIMIT, "");
	check_words("a 'b", ERR_SYNTAX, "");
	check_words("a \"b\\\"", ERR_SYNTAX, "");
	check_words("a \\", ERR_SYNTAX, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_read),
		cmocka_unit_test(sections_of_the_config_file),
		cmocka_unit_test(default_with_a_prefix_hides_the_one_without),
		cmocka_unit_test(credentials_file_wins_key_by_key),
		cmocka_unit_test(services_are_nested),
		cmocka_unit_test(mistakes_name_file_and_line_and_no_value),
		cmocka_unit_test(keys_can_be_forgotten),
		cmocka_unit_test(memory_may_fail),
		cmocka_unit_test_setup_teardown(files_are_found, make_home, remove_home),
		cmocka_unit_test_setup_teardown(files_that_cannot_be_read, make_home, remove_home),
		cmocka_unit_test_setup_teardown(
			a_named_pipe_is_not_waited_for, make_home, remove_home),
		cmocka_unit_test(words_are_split_like_a_shell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
