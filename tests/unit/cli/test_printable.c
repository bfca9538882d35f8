/* What others wrote, made safe for a terminal. */
#include "cli/printable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_shown(const char *text, size_t len, size_t max, const char *expected)
{
	struct buf out = BUF_INIT(4096);

	printable_append(&out, text, len, max);
	assert_string_equal(buf_string(&out), expected);
	buf_free(&out);
}

static void assert_json(const char *text, size_t len, const char *expected)
{
	struct buf out = BUF_INIT(4096);

	printable_append_json(&out, text, len);
	assert_string_equal(buf_string(&out), expected);
	buf_free(&out);
}

#define SHOWN(text, expected) assert_shown(text, sizeof(text) - 1, 1000, expected)
#define JSON(text, expected) assert_json(text, sizeof(text) - 1, expected)

static void text_is_left_as_it_is(void **state)
{
	SHOWN("", "");
	SHOWN("plain \"text\" \\ {}", "plain \"text\" \\ {}");
	SHOWN("\xe3\x81\x8a\xe6\x97\xa9\xe3\x81\x86 \xf0\x9f\x91\x8b",
		"\xe3\x81\x8a\xe6\x97\xa9\xe3\x81\x86 \xf0\x9f\x91\x8b");
	SHOWN("\xc2\xa0", "\xc2\xa0"); /* the first after C1 */
}

static void what_a_terminal_acts_upon_is_spelt_out(void **state)
{
	SHOWN("a\nb\r\tc", "a\\nb\\r\\tc");
	SHOWN("\x1b[31m\x07\x7f", "\\x1b[31m\\x07\\x7f");
	SHOWN("a\0b", "a\\x00b");
	SHOWN("\xc2\x9b"
	      "2J",
		"\\u{9b}2J");
	SHOWN("\xe2\x80\xaetxt", "\\u{202e}txt");
	SHOWN("\xe2\x80\xa8\xe2\x81\xa6\xd8\x9c\xef\xbb\xbf",
		"\\u{2028}\\u{2066}\\u{61c}\\u{feff}");
	SHOWN("\xff\xc3(\xe3\x81", "\\xff\\xc3(\\xe3\\x81");
}

static void it_is_cut_at_a_character(void **state)
{
	static const char text[] = "\xe3\x81\x8a\xe6\x97\xa9";

	assert_shown(text, 6, 6, text);
	assert_shown(text, 6, 5, "\xe3\x81\x8a... (6 bytes in all)");
	assert_shown(text, 6, 2, "... (6 bytes in all)");
	assert_shown("abc", 3, 0, "... (3 bytes in all)");
	assert_shown("\xff\xff", 2, 1, "\\xff... (2 bytes in all)");
}

static void as_json(void **state)
{
	JSON("", "\"\"");
	JSON("a\"\\\n\x1b", "\"a\\\"\\\\\\n\\u001b\"");
	JSON("\xc2\x9b\x7f", "\"\\u009b\\u007f\"");
	JSON("\xe2\x80\xae", "\"\\u202e\"");
	JSON("\xff\xe3\x81\x8a", "\"\\ufffd\xe3\x81\x8a\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_left_as_it_is),
		cmocka_unit_test(what_a_terminal_acts_upon_is_spelt_out),
		cmocka_unit_test(it_is_cut_at_a_character),
		cmocka_unit_test(as_json),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
