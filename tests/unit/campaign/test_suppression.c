/* Suppression files: every format, in pieces of every size, and what is wrong in them. */
#include "campaign/suppression.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t hash_key[SIPHASH_KEY_BYTES] = {7};

struct source {
	const char *text;
	size_t len, piece;
	int err; /* after the last piece, when not 0 */
};

static int read_source(void *arg, char *bytes, size_t size, size_t *ret_len)
{
	struct source *source = arg;
	size_t len = source->len < size ? source->len : size;

	if (len > source->piece)
		len = source->piece;
	if (len == 0 && source->err)
		return source->err;
	memcpy(bytes, source->text, len);
	source->text += len;
	source->len -= len;
	*ret_len = len;
	return 0;
}

static int read_all(struct source source, enum suppression_format format, const char *column,
	struct key_set **ret_set, uint64_t *ret_count, struct buf *error)
{
	const struct recipients_input input = {read_source, &source};

	assert_int_equal(key_set_new(hash_key, ret_set), 0);
	buf_clear(error);
	return suppression_read(&input, format, column, *ret_set, ret_count, error);
}

/* `keys` are parted by bars; each is suppressed and nothing else is, whatever the pieces. */
static void check(
	const char *text, enum suppression_format format, const char *column, const char *keys)
{
	struct buf error = BUF_INIT(1000);

	for (size_t piece = 1; piece <= strlen(text) + 1; piece++) {
		const struct source source = {text, strlen(text), piece, 0};
		uint64_t count, expected = 0;
		struct key_set *set;

		assert_int_equal(read_all(source, format, column, &set, &count, &error), 0);
		for (const char *key = keys; *key; key += strcspn(key, "|"), key += *key == '|') {
			assert_int_equal(key_set_add(set, key, strcspn(key, "|")), KEY_SUPPRESSED);
			expected++;
		}
		assert_int_equal(count, expected);
		assert_int_equal(key_set_count(set), expected);
		key_set_free(set);
	}
	buf_free(&error);
}

static void lines(void **state)
{
	check("", SUPPRESSION_LINES, NULL, "");
	check("a\nb\n", SUPPRESSION_LINES, NULL, "a|b");
	check("\xef\xbb\xbf"
	      "a\r\n\r\n\n b c \nd",
		SUPPRESSION_LINES, NULL, "a| b c |d");
	check("\xe3\x81\x82\n", SUPPRESSION_LINES, NULL, "\xe3\x81\x82");
}

static void rows(void **state)
{
	check("n,to\n1,a\n2,\"b\"\n", SUPPRESSION_CSV, "to", "a|b");
	check("{\"to\":\"a\"}\n{\"to\":5}\n", SUPPRESSION_JSONL, "to", "a|5");
}

static void refused(
	const char *text, size_t len, enum suppression_format format, const char *expected)
{
	const struct source source = {text, len, 1000000, 0};
	struct buf error = BUF_INIT(1000);
	struct key_set *set;
	uint64_t count = 77;

	assert_int_equal(read_all(source, format, "to", &set, &count, &error), ERR_SYNTAX);
	assert_string_equal(buf_string(&error), expected);
	assert_int_equal(count, 77);
	key_set_free(set);
	buf_free(&error);
}

static void what_is_wrong(void **state)
{
	static char line[SUPPRESSION_LINE_MAX + 10];

	refused("a\n\xff\n", 4, SUPPRESSION_LINES, "2: the line is no text in UTF-8");
	refused("a\0b\n", 4, SUPPRESSION_LINES, "1: the line is no text in UTF-8");
	memset(line, 'a', sizeof(line));
	refused(line, SUPPRESSION_LINE_MAX + 1, SUPPRESSION_LINES,
		"1: the line is longer than 64 KiB");
	refused(line, sizeof(line), SUPPRESSION_LINES, "1: the line is longer than 64 KiB");
	line[0] = '\n';
	line[SUPPRESSION_LINE_MAX + 3] = '\n';
	refused(line, sizeof(line), SUPPRESSION_LINES, "2: the line is longer than 64 KiB");
	refused("n,m\n1,2\n", 8, SUPPRESSION_CSV, "1: there is no column \"to\"");
	refused("to,m\na,1\n\"\",2\n", 14, SUPPRESSION_CSV, "3: its key is missing or empty");
	refused("to,to\na,b\n", 10, SUPPRESSION_CSV, "1: the header has this column name twice");
	refused("to,m\na,1\n\"b\nc\"x,2\n", 19, SUPPRESSION_CSV,
		"3: text after the closing quote of a field that starts here");
	refused("to,m\na\n", 7, SUPPRESSION_CSV, "2: expected 2 fields, got 1");
	refused("{\"to\":\"a\"}\n{}\n", 14, SUPPRESSION_JSONL, "2: its key is missing or empty");
}

static void an_input_that_fails(void **state)
{
	const enum suppression_format formats[] = {
		SUPPRESSION_LINES, SUPPRESSION_CSV, SUPPRESSION_JSONL};
	struct buf error = BUF_INIT(1000);

	for (size_t i = 0; i < 3; i++) {
		const struct source source = {"to\na\n", i == 2 ? 0 : 5, 2, ERR_IO};
		struct key_set *set;
		uint64_t count;

		assert_int_equal(read_all(source, formats[i], "to", &set, &count, &error), ERR_IO);
		assert_int_equal(error.len, 0);
		key_set_free(set);
	}
	buf_free(&error);
}

static void formats_by_name(void **state)
{
	assert_int_equal(suppression_format_of("a.csv"), SUPPRESSION_CSV);
	assert_int_equal(suppression_format_of("a.CSV.gz"), SUPPRESSION_CSV);
	assert_int_equal(suppression_format_of("a.jsonl"), SUPPRESSION_JSONL);
	assert_int_equal(suppression_format_of("a.ndjson.gz"), SUPPRESSION_JSONL);
	assert_int_equal(suppression_format_of("a.txt"), SUPPRESSION_LINES);
	assert_int_equal(suppression_format_of("a.txt.gz"), SUPPRESSION_LINES);
	assert_int_equal(suppression_format_of(""), SUPPRESSION_LINES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(rows),
		cmocka_unit_test(what_is_wrong),
		cmocka_unit_test(an_input_that_fails),
		cmocka_unit_test(formats_by_name),
	};

	return cmocka_run_group_tests_name("campaign/suppression", tests, NULL, NULL);
}
