/* The CSV reader: exact tables, each read whole, byte by byte, and cut in two at every point. */
#include "campaign/csv.h"

#include "base/buf.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct csv_limits limits = {20, 40, 4};

/* "1[a|b]" for a row on line 1, "!2:3 why" for an error, "!!2:3 why" for a fatal one. */
static void show(const struct csv *csv, int event, struct buf *out)
{
	const struct csv_error *error = csv_error(csv);

	if (event == CSV_MORE)
		return;
	if (event == CSV_INVALID) {
		buf_appendf(out, "%s%d:%d %s\n", error->fatal ? "!!" : "!", (int)error->at.line,
			(int)error->at.column, error->reason);
		return;
	}
	assert_int_equal(event, CSV_ROW);
	buf_appendf(out, "%d[", (int)csv_row(csv)->line);
	for (size_t i = 0; i < csv_row(csv)->count; i++) {
		const struct csv_field *field = &csv_row(csv)->fields[i];

		assert_int_equal(strlen(field->text), field->bytes);
		buf_appendf(out, "%s%s", i ? "|" : "", field->text);
	}
	buf_append_string(out, "]\n");
}

static void feed(struct csv *csv, const char *bytes, size_t len, struct buf *out)
{
	size_t used;

	while (len > 0) {
		int event = csv_feed(csv, bytes, len, &used);

		assert_true(used > 0 && used <= len);
		bytes += used;
		len -= used;
		if (event == CSV_MORE)
			assert_int_equal(len, 0);
		show(csv, event, out);
	}
}

/* Reads the text in pieces that end at `cut` and then every `step` bytes. */
static char *read_all(const char *text, size_t len, size_t cut, size_t step)
{
	struct buf out = BUF_INIT(1 << 20);
	struct csv *csv;
	size_t taken;

	assert_int_equal(csv_new(&limits, &csv), 0);
	feed(csv, text, cut, &out);
	while (cut < len) {
		size_t piece = len - cut < step ? len - cut : step;

		feed(csv, text + cut, piece, &out);
		cut += piece;
	}
	show(csv, csv_end(csv), &out);
	assert_int_equal(csv_end(csv), CSV_MORE);
	csv_free(csv);
	buf_append_char(&out, '\0');
	assert_int_equal(out.err, 0);
	return buf_take(&out, &taken);
}

static void check(const char *text, size_t len, const char *expected)
{
	char *whole = read_all(text, len, len, 1), *bytewise = read_all(text, len, 0, 1);

	assert_string_equal(whole, expected);
	assert_string_equal(bytewise, expected);
	free(whole);
	free(bytewise);
	for (size_t cut = 0; cut <= len; cut++) {
		char *split = read_all(text, len, cut, len);

		assert_string_equal(split, expected);
		free(split);
	}
}

#define CHECK(text, expected) check(text, sizeof(text) - 1, expected)

static void rows_and_line_ends(void **state)
{
	CHECK("", "");
	CHECK("\n", "");
	CHECK("\r\n\n\r\n", "");
	CHECK("a", "1[a]\n");
	CHECK("a,b", "1[a|b]\n");
	CHECK("a,b\n", "1[a|b]\n");
	CHECK("a,b\r\n", "1[a|b]\n");
	CHECK("a,b\r\n1,2\n3,4\r\n", "1[a|b]\n2[1|2]\n3[3|4]\n");
	CHECK("a,b\n\n\r\n1,2\n", "1[a|b]\n4[1|2]\n");
	CHECK("a,b\n,\n1,\n,2\n", "1[a|b]\n2[|]\n3[1|]\n4[|2]\n");
	CHECK("a\n \n\"\"\n", "1[a]\n2[ ]\n3[]\n");
	CHECK("a, b ,c\n", "1[a| b |c]\n");
	CHECK("a\tb\n", "1[a\tb]\n");
}

static void quotes(void **state)
{
	CHECK("\"a\",\"b\"\n", "1[a|b]\n");
	CHECK("\"a,b\",c\n", "1[a,b|c]\n");
	CHECK("\"a\"\"b\",\"\"\"\"\n", "1[a\"b|\"]\n");
	CHECK("\"\",\"\"", "1[|]\n");
	CHECK("a,\"x\ny\"\n1,2\n", "1[a|x\ny]\n3[1|2]\n");
	CHECK("a,\"x\r\ny\"\r\n1,2\r\n", "1[a|x\r\ny]\n3[1|2]\n");
	CHECK("a,\"\n\n\n\",b\n1,2,3\n", "1[a|\n\n\n|b]\n5[1|2|3]\n");
	CHECK("\"a\rb\"\n", "1[a\rb]\n");
	CHECK("\"a\"\r\n\"b\"\r\n", "1[a]\n2[b]\n");
}

static void utf8_and_byte_order_mark(void **state)
{
	CHECK("\xef\xbb\xbf", "");
	CHECK("\xef\xbb\xbf"
	      "a,b\n",
		"1[a|b]\n");
	CHECK("\xef\xbb\xbf\"a\",b\n", "1[a|b]\n");
	CHECK("\xef\xbb\xbf\n\na\n", "3[a]\n");
	CHECK("名前,王 小明\n\"🎉\",\"é\"\n", "1[名前|王 小明]\n2[🎉|é]\n");
	/* a mark anywhere else is content */
	CHECK("a\n\xef\xbb\xbf"
	      "b\n",
		"1[a]\n2[\xef\xbb\xbf"
		"b]\n");
	/* what only begins like a mark */
	CHECK("\xef\xbb", "!1:1 invalid UTF-8 (the file must be UTF-8)\n");
	CHECK("\xef", "!1:1 invalid UTF-8 (the file must be UTF-8)\n");
	CHECK("\xef\xbb\nb\n", "!1:1 invalid UTF-8 (the file must be UTF-8)\n2[b]\n");
	CHECK("\xef\xbd\x81,b\n", "1[\xef\xbd\x81|b]\n");
	/* UTF-16 from a spreadsheet */
	CHECK("\xff\xfe"
	      "a\n",
		"!1:1 invalid UTF-8 (the file must be UTF-8)\n");
}

#define BAD(bytes)                         \
	CHECK("a,b\n名," bytes ",\nc,d\n", \
		"1[a|b]\n!2:3 invalid UTF-8 (the file must be UTF-8)\n3[c|d]\n")

static void invalid_utf8(void **state)
{
	BAD("\x80");
	BAD("\xbf");
	BAD("\xc0\xaf");
	BAD("\xc1\xbf");
	BAD("\xc3");
	BAD("\xe0\x9f\xbf");
	BAD("\xed\xa0\x80");
	BAD("\xe5\x90");
	BAD("\xf0\x8f\xbf\xbf");
	BAD("\xf4\x90\x80\x80");
	BAD("\xf5\x80\x80\x80");
	BAD("\xf0\x9f\x8e");
	BAD("\xfe");
	/* a line break or quote that cuts a character short still counts as itself */
	CHECK("a\n\xe5\nb\n", "1[a]\n!2:1 invalid UTF-8 (the file must be UTF-8)\n3[b]\n");
	CHECK("a\n\"\xe5\"\nb\n", "1[a]\n!2:2 invalid UTF-8 (the file must be UTF-8)\n3[b]\n");
	CHECK("a\n\xe5", "1[a]\n!2:1 invalid UTF-8 (the file must be UTF-8)\n");
	CHECK("a\n\xe5\xe5\x90\x8d\n", "1[a]\n!2:1 invalid UTF-8 (the file must be UTF-8)\n");
}

static void errors_inside_a_row(void **state)
{
	CHECK("a,b\nx\"y,z\n1,2\n", "1[a|b]\n!2:2 a quote inside an unquoted field\n3[1|2]\n");
	CHECK("a,b\n名\",z\n1,2\n", "1[a|b]\n!2:2 a quote inside an unquoted field\n3[1|2]\n");
	CHECK("a,b\n\"x\"y,\"z\n1,2\n", "1[a|b]\n!2:4 text after a closing quote\n3[1|2]\n");
	CHECK("a,b\n\"x\" ,z\n1,2\n", "1[a|b]\n!2:4 text after a closing quote\n3[1|2]\n");
	CHECK("a,b\n1\0,2\n3,4\n", "1[a|b]\n!2:2 a NUL character\n3[3|4]\n");
	CHECK("a,b\n\"\0\",2\n3,4\n", "1[a|b]\n!2:2 a NUL character\n3[3|4]\n");
	CHECK("a,b\n1\r2,3\n4,5\n", "1[a|b]\n!2:2 a carriage return without a line feed\n3[4|5]\n");
	CHECK("a,b\r1,2\r", "!1:4 a carriage return without a line feed\n");
	CHECK("a,b\n\r,1\n4,5\n", "1[a|b]\n!2:1 a carriage return without a line feed\n3[4|5]\n");
	CHECK("a\nb\r", "1[a]\n!2:2 a carriage return without a line feed\n");
	CHECK("a,b\n1\n1,2,3\n,\n",
		"1[a|b]\n!2:1 expected 2 fields, got 1\n!3:5 expected 2 fields, got 3\n4[|]\n");
	CHECK("a\n1,2\n", "1[a]\n!2:3 expected 1 field, got 2\n");
	/* the first error of a row is the one that is told */
	CHECK("a,b\n\x80\"\0\n1,2\n",
		"1[a|b]\n!2:1 invalid UTF-8 (the file must be UTF-8)\n3[1|2]\n");
	/* the row that is wrong ends where its quotes say */
	CHECK("a,b\n\0,\"x\ny\"\n1,2\n", "1[a|b]\n!2:1 a NUL character\n4[1|2]\n");
}

static void lost_row_boundaries(void **state)
{
	CHECK("a,b\n1,\"x", "1[a|b]\n!2:3 the quote that opens here is never closed\n");
	CHECK("a,b\n1,\"x\n2,y\n", "1[a|b]\n!!2:3 the quote that opens here is never closed\n");
	CHECK("a,b\n1,\"x\n2,\"y\"\n3,z\n4,z\n",
		"1[a|b]\n!!2:3 text after the closing quote of a field that starts here\n");
	/* even when the row had another error before */
	CHECK("a,b\n\0,\"x\n2,\"y\"\n3,z\n",
		"1[a|b]\n!!2:3 text after the closing quote of a field that starts here\n");
	CHECK("\"", "!1:1 the quote that opens here is never closed\n");
}

static void row_limits(void **state)
{
	CHECK("a,b\n12345678901234567890,x\n", "1[a|b]\n2[12345678901234567890|x]\n");
	CHECK("a,b\nx,123456789012345678901\n1,2\n",
		"1[a|b]\n!2:3 the field is longer than 20 bytes\n3[1|2]\n");
	CHECK("a,b\nx,\"12345678901234567890\"\"\"\n1,2\n",
		"1[a|b]\n!2:3 the field is longer than 20 bytes\n3[1|2]\n");
	CHECK("a,b,c\n12345678901234567890,1234567890123456789,0\n",
		"1[a|b|c]\n2[12345678901234567890|1234567890123456789|0]\n");
	CHECK("a,b,c\n12345678901234567890,1234567890123456789,01\n1,2,3\n",
		"1[a|b|c]\n!2:42 the row is longer than 40 bytes\n3[1|2|3]\n");
	CHECK("1,2,3,4\n", "1[1|2|3|4]\n");
	CHECK("1,2,3,4,5,6\n1,2\n", "!1:9 more than 4 fields\n2[1|2]\n");
}

/* Many more fields than the arrays begin with. */
static void wide_rows(void **state)
{
	static const struct csv_limits wide = {100, 10000, 1000};
	struct buf text = BUF_INIT(1 << 20);
	struct csv *csv;
	size_t used;

	for (int i = 0; i < 1000; i++)
		buf_appendf(&text, "%s%d", i ? "," : "", i);
	buf_append_char(&text, '\n');
	assert_int_equal(csv_new(&wide, &csv), 0);
	assert_int_equal(csv_feed(csv, text.data, text.len, &used), CSV_ROW);
	assert_int_equal(used, text.len);
	assert_int_equal(csv_row(csv)->count, 1000);
	assert_string_equal(csv_row(csv)->fields[0].text, "0");
	assert_string_equal(csv_row(csv)->fields[999].text, "999");
	assert_int_equal(csv_row(csv)->fields[999].start.column, 3887);
	csv_free(csv);
	buf_free(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_and_line_ends),
		cmocka_unit_test(quotes),
		cmocka_unit_test(utf8_and_byte_order_mark),
		cmocka_unit_test(invalid_utf8),
		cmocka_unit_test(errors_inside_a_row),
		cmocka_unit_test(lost_row_boundaries),
		cmocka_unit_test(row_limits),
		cmocka_unit_test(wide_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
