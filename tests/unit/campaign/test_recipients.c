/* Recipient lists: CSV with a header and JSON lines as rows of variables. */
#include "campaign/recipients.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Gives `text` in blocks of `step` bytes, then the end or an error. */
struct source {
	const char *text;
	size_t len, step;
	int error;
};

static int read_source(void *arg, char *bytes, size_t size, size_t *ret_len)
{
	struct source *source = arg;
	size_t len = source->len < source->step ? source->len : source->step;

	if (source->len == 0 && source->error)
		return source->error;
	assert_true(len <= size);
	memcpy(bytes, source->text, len);
	source->text += len;
	source->len -= len;
	*ret_len = len;
	return 0;
}

/* "1:2{...}" for row 1 on line 2; "3:4!4:1 why" for an invalid one; "!!" when it is fatal. */
static int show_all(struct recipients *recipients, struct buf *out)
{
	int event;

	while ((event = recipients_next(recipients)) > 0) {
		const struct recipients_error *error = recipients_error(recipients);
		struct recipients_place place = recipients_place(recipients);

		buf_appendf(out, "%d:%d", (int)place.row, (int)place.line);
		if (event == RECIPIENTS_ROW)
			recipients_append_json(recipients, out);
		else
			buf_appendf(out, "%s%d:%d %s", error->fatal ? "!!" : "!", (int)error->line,
				(int)error->column, error->reason);
		buf_append_char(out, '\n');
	}
	if (event == 0)
		assert_int_equal(recipients_next(recipients), RECIPIENTS_END);
	return event;
}

static void check_step(enum recipients_format format, const char *text, size_t len, size_t step,
	const char *expected)
{
	struct source source = {text, len, step, 0};
	const struct recipients_input input = {read_source, &source};
	struct buf out = BUF_INIT(1 << 20);
	struct recipients *recipients;

	assert_int_equal(recipients_new(format, &input, &recipients), 0);
	assert_int_equal(show_all(recipients, &out), 0);
	assert_string_equal(buf_string(&out), expected);
	recipients_free(recipients);
	buf_free(&out);
}

static void check(enum recipients_format format, const char *text, size_t len, const char *expected)
{
	static const size_t steps[] = {1, 2, 3, 7, 4096};

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
		check_step(format, text, len, steps[i], expected);
}

#define CHECK_CSV(text, expected) check(RECIPIENTS_CSV, text, sizeof(text) - 1, expected)
#define CHECK_JSONL(text, expected) check(RECIPIENTS_JSONL, text, sizeof(text) - 1, expected)

static void csv_rows(void **state)
{
	CHECK_CSV("to,name\nU1,\"a \"\"b\"\"\n,c\"\nU2,\xe7\x8e\x8b\n",
		"1:2{\"to\":\"U1\",\"name\":\"a \\\"b\\\"\\n,c\"}\n"
		"2:4{\"to\":\"U2\",\"name\":\"\xe7\x8e\x8b\"}\n");
	CHECK_CSV("\n\nto\n\nU1\r\n\r\nU2", "1:5{\"to\":\"U1\"}\n2:7{\"to\":\"U2\"}\n");
	CHECK_CSV("a \"b\",c\n", "0:0!!1:3 a quote inside an unquoted field\n");
	CHECK_CSV("to\n", "");
	CHECK_CSV("\"a\"\"b\"\n1\n", "1:2{\"a\\\"b\":\"1\"}\n");
}

static void csv_headers_that_do_not_work(void **state)
{
	CHECK_CSV("", "0:0!!1:1 the list is empty; its first row must name the columns\n");
	CHECK_CSV("\n\r\n", "0:0!!1:1 the list is empty; its first row must name the columns\n");
	CHECK_CSV("to,,x\n1,2,3\n", "0:0!!1:4 the header has an empty column name\n");
	CHECK_CSV("to,\"\"\n1,2\n", "0:0!!1:4 the header has an empty column name\n");
	CHECK_CSV("to,name,to\n1,2,3\n", "0:0!!1:9 the header has this column name twice\n");
	CHECK_CSV("to,na\0me\n1,2\n", "0:0!!1:6 a NUL character\n");
}

static void csv_rows_that_do_not_work(void **state)
{
	CHECK_CSV("to,name\nU1\nU2,b\nU3,c,d\nU4,e\n",
		"1:2!2:1 expected 2 fields, got 1\n2:3{\"to\":\"U2\",\"name\":\"b\"}\n"
		"3:4!4:6 expected 2 fields, got 3\n4:5{\"to\":\"U4\",\"name\":\"e\"}\n");
	CHECK_CSV(
		"to,name\nU1,\"a\nU2,b\n", "1:2!!2:4 the quote that opens here is never closed\n");
}

static void json_rows(void **state)
{
	CHECK_JSONL("{\"to\":\"U1\"}\n{\"to\": \"U2\", \"n\": 1}\n",
		"1:1{\"to\":\"U1\"}\n2:2{\"to\": \"U2\", \"n\": 1}\n");
	CHECK_JSONL("\xef\xbb\xbf {\"to\":\"U1\"} \r\n\n \t\r\n{}", "1:1{\"to\":\"U1\"}\n2:4{}\n");
	CHECK_JSONL("", "");
	CHECK_JSONL("\n\n", "");
	CHECK_JSONL("\xef\xbb\xbf", "");
}

static void json_rows_that_do_not_work(void **state)
{
	CHECK_JSONL("{\"a\":1}\n{\"\xe5\x90\x8d\":}\n[1]\n\"x\"\n1\n{\"a\":1}{}\n{\"b\":2}\n",
		"1:1{\"a\":1}\n2:2!2:6 malformed JSON\n3:3!3:1 expected a JSON object\n"
		"4:4!4:1 expected a JSON object\n5:5!5:1 expected a JSON object\n"
		"6:6!6:8 malformed JSON\n7:7{\"b\":2}\n");
	CHECK_JSONL("{\"a\":\"\x80\"}\n{}\n",
		"1:1!1:7 malformed JSON (the file must be UTF-8)\n2:2{}\n");
	CHECK_JSONL("{\"a\":1}\0\n{}\n", "1:1!1:8 malformed JSON\n2:2{}\n");
	CHECK_JSONL("{\"a\":", "1:1!1:6 malformed JSON\n");
}

static void a_line_has_a_limit(void **state)
{
	size_t len = RECIPIENTS_ROW_MAX_BYTES;
	char *text = malloc(2 * len + 20);
	struct buf expected = BUF_INIT(4 << 20);

	assert_non_null(text);
	memset(text, ' ', 2 * len);
	text[len - 2] = '{';
	text[len - 1] = '}';
	memcpy(text + len, "\n ", 2);
	memcpy(text + 2 * len, " {}\n{\"a\":1}\n", 12);
	check_step(RECIPIENTS_JSONL, text, 2 * len + 12, 65536,
		"1:1{}\n2:2!2:1 the line is longer than 2 MiB\n3:3{\"a\":1}\n");
	buf_free(&expected);
	free(text);
}

static struct recipients *one_row(
	enum recipients_format format, struct source *source, const char *text)
{
	struct recipients_input input = {read_source, source};
	struct recipients *recipients;

	*source = (struct source){text, strlen(text), 4096, 0};
	assert_int_equal(recipients_new(format, &input, &recipients), 0);
	assert_int_equal(recipients_next(recipients), RECIPIENTS_ROW);
	return recipients;
}

static void check_variable(
	struct recipients *recipients, const char *name, const char *text, bool is_json)
{
	struct template_value value;

	if (!text) {
		assert_false(recipients_lookup(recipients, name, &value));
		return;
	}
	assert_true(recipients_lookup(recipients, name, &value));
	assert_int_equal(value.text_bytes, strlen(text));
	assert_memory_equal(value.text, text, value.text_bytes);
	assert_int_equal(value.is_json, is_json);
}

static void csv_variables(void **state)
{
	struct source source;
	struct recipients *recipients =
		one_row(RECIPIENTS_CSV, &source, "to,first name,a.b\nU1,\"x,y\",\n");

	check_variable(recipients, "to", "U1", false);
	check_variable(recipients, "first name", "x,y", false);
	check_variable(recipients, "a.b", "", false);
	check_variable(recipients, "a", NULL, false);
	check_variable(recipients, "TO", NULL, false);
	assert_true(recipients_may_have(recipients, "a.b"));
	assert_false(recipients_may_have(recipients, "a"));
	recipients_free(recipients);
}

static void json_variables(void **state)
{
	struct source source;
	struct recipients *recipients = one_row(RECIPIENTS_JSONL, &source,
		"{\"to\":\"U\\u0031\",\"n\":1.50,\"t\":true,\"z\":null,\"o\":{\"p\":[7,{\"q\":"
		"\"r\"}]},"
		"\"a.b\":\"exact\",\"a\":{\"b\":\"path\"},\"to2\":\"x\",\"to2\":\"y\"}");

	check_variable(recipients, "to", "U1", false);
	check_variable(recipients, "n", "1.50", true);
	check_variable(recipients, "t", "true", true);
	check_variable(recipients, "z", "null", true);
	check_variable(recipients, "o", "{\"p\":[7,{\"q\":\"r\"}]}", true);
	check_variable(recipients, "o.p.0", "7", true);
	check_variable(recipients, "o.p.1.q", "r", false);
	check_variable(recipients, "o.p.2", NULL, false);
	check_variable(recipients, "a.b", "exact", false);
	check_variable(recipients, "to2", "y", false);
	check_variable(recipients, "none", NULL, false);
	assert_true(recipients_may_have(recipients, "none"));
	recipients_free(recipients);
}

static void a_read_error_ends_it(void **state)
{
	static const enum recipients_format formats[] = {RECIPIENTS_CSV, RECIPIENTS_JSONL};
	static const char *const texts[] = {"to\nU1\nU2", "{}\n{\"a\""};

	for (size_t i = 0; i < 2; i++) {
		struct source source = {texts[i], strlen(texts[i]), 4, ERR_IO};
		struct recipients_input input = {read_source, &source};
		struct recipients *recipients;

		assert_int_equal(recipients_new(formats[i], &input, &recipients), 0);
		assert_int_equal(recipients_next(recipients), RECIPIENTS_ROW);
		assert_int_equal(recipients_next(recipients), ERR_IO);
		recipients_free(recipients);
	}
}

static void formats_are_guessed(void **state)
{
	static const struct {
		const char *name, *start;
		enum recipients_format format;
	} rows[] = {
		{"list.csv", "{}", RECIPIENTS_CSV},
		{"LIST.CSV", "{}", RECIPIENTS_CSV},
		{"list.jsonl", "to", RECIPIENTS_JSONL},
		{"list.ndjson", "", RECIPIENTS_JSONL},
		{"csv", "{\"a\":1}", RECIPIENTS_JSONL},
		{"<stdin>", "to,name\n", RECIPIENTS_CSV},
		{"<stdin>", "\n \t\r\n{", RECIPIENTS_JSONL},
		{"<stdin>", "\xef\xbb\xbf{\"a\":1}", RECIPIENTS_JSONL},
		{"<stdin>", "\xef\xbb\xbfto", RECIPIENTS_CSV},
		{"<stdin>", "", RECIPIENTS_CSV},
		{"<stdin>", "[1]", RECIPIENTS_CSV},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
			recipients_guess_format(rows[i].name, rows[i].start, strlen(rows[i].start)),
			rows[i].format);
	assert_int_equal(recipients_guess_format("-", "\0{", 2), RECIPIENTS_CSV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(csv_rows),
		cmocka_unit_test(csv_headers_that_do_not_work),
		cmocka_unit_test(csv_rows_that_do_not_work),
		cmocka_unit_test(json_rows),
		cmocka_unit_test(json_rows_that_do_not_work),
		cmocka_unit_test(a_line_has_a_limit),
		cmocka_unit_test(csv_variables),
		cmocka_unit_test(json_variables),
		cmocka_unit_test(a_read_error_ends_it),
		cmocka_unit_test(formats_are_guessed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
