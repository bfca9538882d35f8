#include "base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void every_code_point_encodes(void **state)
{
	for (uint32_t c = 0; c <= 0x10FFFF; c++) {
		char text[UTF8_SEQUENCE_MAX];
		size_t len;

		if (c >= 0xD800 && c <= 0xDFFF)
			continue;
		len = utf8_encode(c, text);
		if (len != (c < 0x80 ? 1u : c < 0x800 ? 2u : c < 0x10000 ? 3u : 4u))
			fail_msg("U+%04X: %zu bytes", c, len);
		if (utf8_sequence(text, len) != len || utf8_sequence(text, len - 1) != 0)
			fail_msg("U+%04X is not read back", c);
		if (utf8_decode(text, len) != c)
			fail_msg("U+%04X is decoded as U+%04X", c, utf8_decode(text, len));
	}
}

static void encodes_as_the_rfc_says(void **state)
{
	char text[UTF8_SEQUENCE_MAX];

	assert_int_equal(utf8_encode(0x2262, text), 3);
	assert_memory_equal(text, "\xE2\x89\xA2", 3);
	assert_int_equal(utf8_encode(0x233B4, text), 4);
	assert_memory_equal(text, "\xF0\xA3\x8E\xB4", 4);
	assert_int_equal(utf8_encode(0xE9, text), 2);
	assert_memory_equal(text, "\xC3\xA9", 2);
}

/* Every text of three bytes: as many sequences start one as there are code points. */
static void nothing_else_is_a_sequence(void **state)
{
	size_t seen[5] = {0};

	for (uint32_t bytes = 0; bytes < 1 << 24; bytes++) {
		const char text[] = {(char)(bytes >> 16), (char)(bytes >> 8), (char)bytes};

		seen[utf8_sequence(text, 3)]++;
	}
	assert_int_equal(seen[1], 0x80 << 16);
	assert_int_equal(seen[2], (0x800 - 0x80) << 8);
	assert_int_equal(seen[3], 0x10000 - 0x800 - 0x800);
	assert_int_equal(seen[4], 0);
}

/* The fourth byte only at its borders, or there would be too many. */
static void nothing_else_is_a_sequence_of_four(void **state)
{
	static const char last[] = {'\x7F', '\x80', '\xBF', '\xC0'};
	size_t seen = 0;

	for (uint32_t bytes = 0xE8 << 16; bytes < 1 << 24; bytes++) {
		for (int i = 0; i < 4; i++) {
			const char text[] = {
				(char)(bytes >> 16), (char)(bytes >> 8), (char)bytes, last[i]};

			seen += utf8_sequence(text, 4) == 4;
		}
	}
	assert_int_equal(seen, 0x100000 / 64 * 2);
}

static void a_text_is_valid_or_not(void **state)
{
	assert_true(utf8_is_valid(NULL, 0));
	assert_true(utf8_is_valid("分身\0é", 9));
	assert_int_equal(utf8_sequence(NULL, 0), 0);
	/* A bad byte at every place, on both sides of the eight that are read at once. */
	for (size_t at = 0; at < 40; at++) {
		char text[40];

		memset(text, 'x', sizeof(text));
		assert_true(utf8_is_valid(text, sizeof(text)));
		text[at] = '\x80';
		assert_false(utf8_is_valid(text, sizeof(text)));
		text[at] = '\xC3';
		assert_false(utf8_is_valid(text, at + 1));
		if (at < 39) {
			text[at + 1] = '\xA9';
			assert_true(utf8_is_valid(text, sizeof(text)));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_point_encodes),
		cmocka_unit_test(encodes_as_the_rfc_says),
		cmocka_unit_test(nothing_else_is_a_sequence),
		cmocka_unit_test(nothing_else_is_a_sequence_of_four),
		cmocka_unit_test(a_text_is_valid_or_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
