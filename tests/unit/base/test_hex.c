#include "base/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Each byte, in a text of each length around the four bytes that are printed at once. */
static void prints_every_byte(void **state)
{
	for (unsigned value = 0; value < 256; value++) {
		for (size_t len = 0; len < 10; len++) {
			uint8_t bytes[10];
			char hex[24], expected[24] = "";

			for (size_t i = 0; i < len; i++) {
				bytes[i] = (uint8_t)(value + i * 77);
				snprintf(expected + 2 * i, 3, "%02x", bytes[i]);
			}
			memset(hex, '?', sizeof(hex));
			hex_print(bytes, len, hex);
			assert_string_equal(hex, expected);
			assert_int_equal(hex[2 * len + 1], '?');
		}
	}
}

static void prints_a_uuid(void **state)
{
	uint8_t bytes[16];
	char uuid[HEX_UUID_SIZE];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 17);
	hex_print_uuid(bytes, uuid);
	assert_string_equal(uuid, "00112233-4455-6677-8899-aabbccddeeff");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prints_every_byte),
		cmocka_unit_test(prints_a_uuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
