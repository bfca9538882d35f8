/* Cells: widths, marks, cuts, wraps, and what a terminal would act upon. */
#include "cli/top/canvas.h"

#include "cli/top/words.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define E_ACUTE "e\xcc\x81"	      /* e and a combining acute */
#define WIDE "\xe3\x81\x8a"	      /* hiragana o, two columns */
#define MORE "\xe2\x80\xa6"	      /* the ellipsis */
#define RIGHT_TO_LEFT "\xe2\x80\xae"  /* U+202E */
#define JOINER "\xe2\x80\x8d"	      /* U+200D */
#define WOMAN "\xf0\x9f\x91\xa9"      /* U+1F469, two columns */
#define PRIVATE "\xee\x80\x80"	      /* U+E000 */
#define UNASSIGNED "\xf0\x9f\xbf\xbf" /* U+1FFFF, no character */

static void assert_put(bool ascii, unsigned width, unsigned max, const char *text, unsigned used,
	const char *shown)
{
	struct buf out = BUF_INIT(65536);
	struct canvas canvas;

	assert_int_equal(canvas_init(&canvas, width, 1, ascii), 0);
	assert_int_equal(canvas_put(&canvas, 0, 0, max, STYLE_PLAIN, text), used);
	assert_int_equal(canvas_print(&canvas, 1, &out), 0);
	buf_truncate(&out, out.len - 1);
	assert_string_equal(buf_string(&out), shown);
	buf_free(&out);
	canvas_free(&canvas);
}

static void text_is_put(void **state)
{
	assert_put(false, 10, 10, "", 0, "");
	assert_put(false, 10, 10, "abc", 3, "abc");
	assert_put(false, 10, 3, "abc", 3, "abc");
	assert_put(false, 10, 0, "abc", 0, "");
	assert_put(false, 3, 10, "abc", 3, "abc");
}

static void what_is_cut_ends_in_an_ellipsis(void **state)
{
	assert_put(false, 10, 3, "abcd", 3, "ab" MORE);
	assert_put(false, 10, 1, "abcd", 1, MORE);
	assert_put(true, 10, 3, "abcd", 3, "ab~");
	/* Half of a wide one is not shown. */
	assert_put(false, 10, 4, WIDE WIDE WIDE, 3, WIDE MORE);
	assert_put(false, 10, 5, WIDE WIDE WIDE, 5, WIDE WIDE MORE);
	assert_put(false, 1, 1, WIDE, 1, MORE);
}

static void widths_count(void **state)
{
	struct canvas canvas;

	assert_put(false, 10, 10, WIDE "b", 3, WIDE "b");
	assert_put(false, 10, 10, E_ACUTE "b", 2, E_ACUTE "b");
	/* Alone at the beginning it stands on a blank; of many two are kept. */
	assert_put(false, 10, 10,
		"\xcc\x81"
		"b",
		2,
		" \xcc\x81"
		"b");
	assert_put(false, 10, 10,
		"e\xcc\x81\xcc\x82\xcc\x83\xcc\x84"
		"b",
		2,
		"e\xcc\x81\xcc\x82"
		"b");
	assert_put(false, 10, 10, WOMAN JOINER WOMAN, 4, WOMAN WOMAN);
	assert_int_equal(canvas_init(&canvas, 4, 1, false), 0);
	canvas_put(&canvas, 0, 1, 3, STYLE_BAD, WIDE);
	assert_int_equal(canvas_cell(&canvas, 0, 0)->columns, 1);
	assert_int_equal(canvas_cell(&canvas, 0, 1)->columns, 2);
	assert_int_equal(canvas_cell(&canvas, 0, 1)->c, 0x304a);
	assert_int_equal(canvas_cell(&canvas, 0, 2)->columns, 0);
	assert_int_equal(canvas_cell(&canvas, 0, 2)->style, STYLE_BAD);
	assert_int_equal(canvas_cell(&canvas, 0, 3)->c, ' ');
	canvas_free(&canvas);
}

static void nothing_acts(void **state)
{
	assert_put(false, 40, 40, "\x1b[2J", 7, "\\x1b[2J");
	assert_put(false, 40, 40, "a\nb\rc\td\x7f\a", 18, "a\\nb\\rc\\td\\x7f\\x07");
	assert_put(false, 40, 40,
		"\xc2\x9b"
		"31m",
		9, "\\u{9b}31m");
	assert_put(false, 40, 40, RIGHT_TO_LEFT "abc", 11, "\\u{202e}abc");
	assert_put(false, 40, 40, "\xff\xfe", 8, "\\xff\\xfe");
	assert_put(false, 40, 40, UNASSIGNED "b", 2, "?b");
	assert_put(true, 40, 40, WIDE E_ACUTE PRIVATE, 4, "?e??");
}

static void assert_wrap(unsigned rows, const char *text, unsigned taken, const char *shown)
{
	struct buf out = BUF_INIT(65536);
	struct canvas canvas;

	assert_int_equal(canvas_init(&canvas, 8, 4, false), 0);
	assert_int_equal(canvas_wrap(&canvas, 0, 0, rows, STYLE_PLAIN, text), taken);
	assert_int_equal(canvas_print(&canvas, taken, &out), 0);
	assert_string_equal(buf_string(&out), shown);
	buf_free(&out);
	canvas_free(&canvas);
}

static void long_texts_wrap(void **state)
{
	assert_wrap(2, "", 1, "\n");
	assert_wrap(2, "one two", 1, "one two\n");
	assert_wrap(2, "one  two three", 2, "one  two\nthree\n");
	assert_wrap(2, "onetwothree", 2, "onetwoth\nree\n");
	assert_wrap(2, "one two three four", 2, "one two\nthree f" MORE "\n");
	assert_wrap(3, WIDE WIDE WIDE WIDE WIDE, 2, WIDE WIDE WIDE WIDE "\n" WIDE "\n");
	assert_wrap(1, "one two three", 1, "one two" MORE "\n");
}

static void outside_is_outside(void **state)
{
	struct buf out = BUF_INIT(1024);
	struct canvas canvas;

	assert_int_equal(canvas_init(&canvas, 3, 2, false), 0);
	assert_int_equal(canvas_put(&canvas, 2, 0, 3, STYLE_PLAIN, "x"), 0);
	assert_int_equal(canvas_put(&canvas, 0, 3, 3, STYLE_PLAIN, "x"), 0);
	assert_int_equal(canvas_wrap(&canvas, 1, 0, 3, STYLE_PLAIN, "ab cd ef"), 3);
	canvas_style_row(&canvas, 5, STYLE_BAD);
	assert_int_equal(canvas_print(&canvas, 9, &out), 0);
	assert_string_equal(buf_string(&out), "\nab\n");
	buf_free(&out);
	canvas_free(&canvas);
	assert_int_equal(canvas_init(&canvas, 0, 0, false), 0);
	assert_int_equal(canvas.width, 1);
	assert_int_equal(canvas.height, 1);
	canvas_free(&canvas);
	assert_int_equal(canvas_init(&canvas, 5000, 1, false), 0);
	assert_int_equal(canvas.width, CANVAS_WIDTH_MAX);
	canvas_free(&canvas);
}

static void assert_words(void (*write)(struct buf *, double), double number, const char *words)
{
	struct buf out = BUF_INIT(256);

	write(&out, number);
	assert_string_equal(buf_string(&out), words);
	buf_free(&out);
}

static void figures(void **state)
{
	assert_words(words_count, NAN, "-");
	assert_words(words_count, 1234567.4, "1,234,567");
	assert_words(words_count, -1234.5, "-1,235");
	assert_words(words_count, 9007199254740992.0, "9,007,199,254,740,992");
	assert_words(words_rate, 1.25, "1.2");
	assert_words(words_rate, 9.94, "9.9");
	assert_words(words_rate, 9.96, "10");
	assert_words(words_rate, 0, "0");
	assert_words(words_rate, 0.04, "0");
	assert_words(words_rate, -2.5, "-2.5");
	assert_words(words_ms, 9999, "9999 ms");
	assert_words(words_ms, 12345, "12.3 s");
	assert_words(words_bytes, 1023, "1023 B");
	assert_words(words_bytes, 9000000, "8.6 MiB");
	assert_words(words_bytes, NAN, "-");
	assert_words(words_span, -5, "0.0s");
	assert_words(words_span, 125000, "2m05s");
	assert_words(words_clock, NAN, "-");
	assert_words(words_clock, 1764144000000.0, "08:00:00");
	assert_words(words_instant, 1764144000000.0, "2025-11-26 08:00:00 (UTC+0000)");
}

static int set_up(void **state)
{
	setenv("TZ", "UTC0", 1);
	return setlocale(LC_CTYPE, "C.UTF-8") ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_put),
		cmocka_unit_test(what_is_cut_ends_in_an_ellipsis),
		cmocka_unit_test(widths_count),
		cmocka_unit_test(nothing_acts),
		cmocka_unit_test(long_texts_wrap),
		cmocka_unit_test(outside_is_outside),
		cmocka_unit_test(figures),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
