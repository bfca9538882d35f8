#include "localq/handle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t key[HANDLE_KEY_BYTES] = "0123456789abcde";
static const struct handle sample = {INT64_C(0x1122334455667788), 1795462372383, 77, 3};

static void comes_back_as_it_was(void **state)
{
	static const struct handle table[] = {
		{1, 1, 1, 1},
		{INT64_MAX, (INT64_C(1) << 48) - 1, UINT32_MAX, UINT32_MAX},
		{INT64_C(0x1122334455667788), 1795462372383, 77, 3},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		char text[HANDLE_TEXT_BYTES + 1];
		struct handle back;

		handle_write(&table[i], key, text);
		assert_int_equal(strlen(text), HANDLE_TEXT_BYTES);
		assert_true(handle_read(text, HANDLE_TEXT_BYTES, key, &back));
		assert_true(back.message == table[i].message);
		assert_true(back.received_ms == table[i].received_ms);
		assert_int_equal(back.lane, table[i].lane);
		assert_int_equal(back.receives, table[i].receives);
	}
}

static void every_changed_character_is_noticed(void **state)
{
	static const char alphabet[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_ ";
	char text[HANDLE_TEXT_BYTES + 1];
	struct handle back;

	handle_write(&sample, key, text);
	for (size_t at = 0; at < HANDLE_TEXT_BYTES; at++) {
		char right = text[at];

		for (const char *c = alphabet; *c != '\0'; c++) {
			text[at] = *c;
			assert_int_equal(
				handle_read(text, HANDLE_TEXT_BYTES, key, &back), *c == right);
		}
		text[at] = right;
	}
}

static void other_lengths_and_keys_are_refused(void **state)
{
	static const uint8_t other_key[HANDLE_KEY_BYTES] = "0123456789abcdf";
	char text[2 * HANDLE_TEXT_BYTES + 2];
	struct handle back;

	handle_write(&sample, key, text);
	handle_write(&sample, key, text + HANDLE_TEXT_BYTES);
	for (size_t len = 0; len <= 2 * HANDLE_TEXT_BYTES; len++)
		assert_int_equal(handle_read(text, len, key, &back), len == HANDLE_TEXT_BYTES);
	assert_false(handle_read(text, HANDLE_TEXT_BYTES, other_key, &back));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back_as_it_was),
		cmocka_unit_test(every_changed_character_is_noticed),
		cmocka_unit_test(other_lengths_and_keys_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
