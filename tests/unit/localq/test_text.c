#include "localq/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* UTF-8 of any number below 2^21, whether it is a character or not. */
static size_t encode(uint32_t c, char *ret)
{
	uint8_t *p = (uint8_t *)ret;

	if (c < 0x80) {
		p[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		p[0] = (uint8_t)(0xc0 | c >> 6);
		p[1] = (uint8_t)(0x80 | (c & 63));
		return 2;
	}
	if (c < 0x10000) {
		p[0] = (uint8_t)(0xe0 | c >> 12);
		p[1] = (uint8_t)(0x80 | (c >> 6 & 63));
		p[2] = (uint8_t)(0x80 | (c & 63));
		return 3;
	}
	p[0] = (uint8_t)(0xf0 | c >> 18);
	p[1] = (uint8_t)(0x80 | (c >> 12 & 63));
	p[2] = (uint8_t)(0x80 | (c >> 6 & 63));
	p[3] = (uint8_t)(0x80 | (c & 63));
	return 4;
}

static bool is_character(uint32_t c)
{
	return c <= 0x10ffff && !(c >= 0xd800 && c <= 0xdfff);
}

static bool is_message_character(uint32_t c)
{
	return c == 9 || c == 10 || c == 13 || (c >= 0x20 && c <= 0xd7ff) ||
	       (c >= 0xe000 && c <= 0xfffd) || (c >= 0x10000 && c <= 0x10ffff);
}

static void every_code_point(void **state)
{
	for (uint32_t c = 0; c < 0x200000; c++) {
		char text[4];
		size_t len = encode(c, text);

		if ((text_valid_prefix(text, len) == len) != is_character(c))
			fail_msg("U+%X is judged wrongly as UTF-8", c);
		if (is_character(c) && text_is_message(text, len) != is_message_character(c))
			fail_msg("U+%X is judged wrongly as a character of a body", c);
	}
}

static void every_pair_of_bytes_alone(void **state)
{
	/* Two bytes are UTF-8 when both are ASCII, or they are one character of two bytes. */
	for (unsigned first = 0; first < 256; first++) {
		for (unsigned second = 0; second < 256; second++) {
			const char text[2] = {(char)first, (char)second};
			bool ascii = first < 0x80 && second < 0x80;
			bool two =
				first >= 0xc2 && first <= 0xdf && second >= 0x80 && second <= 0xbf;

			assert_int_equal(text_valid_prefix(text, 2) == 2, ascii || two);
		}
	}
}

static void prefix_stops_at_the_first_bad_byte(void **state)
{
	for (size_t at = 0; at < 40; at++) {
		char text[40];

		memset(text, 'a', sizeof(text));
		text[at] = (char)0xff;
		assert_int_equal(text_valid_prefix(text, sizeof(text)), at);
		assert_int_equal(text_valid_prefix(text, at), at);
	}
}

static void cut_characters_are_not_utf8(void **state)
{
	static const char emoji[] = "\xf0\x9f\x98\x80";

	for (size_t len = 1; len < 4; len++)
		assert_int_equal(text_valid_prefix(emoji, len), 0);
	assert_int_equal(text_valid_prefix(emoji, 4), 4);
	/* overlong: U+0000 in two bytes, U+007F in three, U+FFFF in four */
	assert_int_equal(text_valid_prefix("\xc0\x80", 2), 0);
	assert_int_equal(text_valid_prefix("\xe0\x81\xbf", 3), 0);
	assert_int_equal(text_valid_prefix("\xf0\x8f\xbf\xbf", 4), 0);
}

/* Whatever the distance from the start and the end. */
static void forbidden_characters_at_every_place(void **state)
{
	static const char *const forbidden[] = {"\x01", "\x1f", "\xef\xbf\xbe", "\xef\xbf\xbf"};
	static const char *const allowed[] = {"\t", "\n", "\r", "\x20", "\x7f", "\xef\xbf\xbd"};

	for (size_t at = 0; at < 40; at++) {
		char text[64];

		for (size_t i = 0; i < 4; i++) {
			memset(text, 'a', sizeof(text));
			memcpy(text + at, forbidden[i], strlen(forbidden[i]));
			for (size_t len = at + strlen(forbidden[i]); len < 64; len++)
				assert_false(text_is_message(text, len));
			assert_true(text_is_message(text, at));
		}
		for (size_t i = 0; i < 6; i++) {
			memset(text, 'a', sizeof(text));
			memcpy(text + at, allowed[i], strlen(allowed[i]));
			for (size_t len = at + strlen(allowed[i]); len < 64; len++)
				assert_true(text_is_message(text, len));
		}
	}
}

static void queue_names(void **state)
{
	char name[82];

	memset(name, 'q', sizeof(name));
	assert_false(text_is_queue_name(name, 0));
	assert_true(text_is_queue_name(name, 1));
	assert_true(text_is_queue_name(name, 80));
	assert_false(text_is_queue_name(name, 81));
	for (int c = 0; c < 256; c++) {
		const char one = (char)c;
		bool allowed = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
			       (c >= 'a' && c <= 'z') || c == '_' || c == '-';

		assert_int_equal(text_is_queue_name(&one, 1), allowed);
		assert_int_equal(text_is_entry_id(&one, 1), allowed);
		assert_int_equal(text_is_attribute_name(&one, 1), allowed);
		assert_int_equal(text_is_group_id(&one, 1), c > 32 && c < 127);
	}
}

static void attribute_names(void **state)
{
	static const struct {
		const char *name;
		bool allowed;
	} table[] = {
		{"a.b", true},
		{"a.b.c", true},
		{"a..b", false},
		{".a", false},
		{"a.", false},
		{".", false},
		{"AWS.x", false},
		{"aws.x", false},
		{"aWs.x", false},
		{"AWSx", true},
		{"Amazon.x", false},
		{"AMAZON.x", false},
		{"Amazonx", true},
		{"xAWS.y", true},
	};
	char name[257];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (text_is_attribute_name(table[i].name, strlen(table[i].name)) !=
			table[i].allowed)
			fail_msg("%s is judged wrongly", table[i].name);
	memset(name, 'n', sizeof(name));
	assert_true(text_is_attribute_name(name, 256));
	assert_false(text_is_attribute_name(name, 257));
	assert_false(text_is_attribute_name(name, 0));
}

static void group_ids(void **state)
{
	char id[129];

	memset(id, '!', sizeof(id));
	assert_true(text_is_group_id(id, 128));
	assert_false(text_is_group_id(id, 129));
	assert_false(text_is_group_id(id, 0));
}

static void integers(void **state)
{
	static const char *const refused[] = {"", " 1", "1 ", "-1", "+1", "0x1", "1.0", "a",
		"9223372036854775808", "99999999999999999999"};
	int64_t value = 7;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_false(text_to_int(refused[i], &value));
	assert_int_equal(value, 7);
	assert_true(text_to_int("0", &value));
	assert_int_equal(value, 0);
	assert_true(text_to_int("9223372036854775807", &value));
	assert_true(value == INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_code_point),
		cmocka_unit_test(every_pair_of_bytes_alone),
		cmocka_unit_test(prefix_stops_at_the_first_bad_byte),
		cmocka_unit_test(cut_characters_are_not_utf8),
		cmocka_unit_test(forbidden_characters_at_every_place),
		cmocka_unit_test(queue_names),
		cmocka_unit_test(attribute_names),
		cmocka_unit_test(group_ids),
		cmocka_unit_test(integers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
