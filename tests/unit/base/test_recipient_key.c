/* The values are those of Python's uuid.uuid5() and hashlib. */
#include "base/recipient_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *text_of(struct recipient_key key)
{
	static char text[RECIPIENT_KEY_TEXT_SIZE];

	recipient_key_print(&key, text);
	return text;
}

static void the_namespace_is_made_of_its_name(void **state)
{
	static const struct recipient_key url = {{0x6b, 0xa7, 0xb8, 0x11, 0x9d, 0xad, 0x11, 0xd1,
		0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8}};

	assert_string_equal(text_of(recipient_key_make(&url, "bunshin:recipients", 18)),
		"5483ae8e-d31d-508b-9738-10d231a4a424");
	assert_string_equal(
		text_of(recipient_key_namespace), "5483ae8e-d31d-508b-9738-10d231a4a424");
}

static void a_key_that_is_a_uuid_is_that_uuid(void **state)
{
	assert_string_equal(text_of(recipient_key_of_text("6fa459ea-ee8a-3ca4-894e-db77e160355e")),
		"6fa459ea-ee8a-3ca4-894e-db77e160355e");
	assert_string_equal(text_of(recipient_key_of_text("6FA459EA-EE8A-3CA4-894E-DB77E160355E")),
		"6fa459ea-ee8a-3ca4-894e-db77e160355e");
}

static void any_other_text_is_hashed(void **state)
{
	static const char *const others[] = {"", "6fa459ea-ee8a-3ca4-894e-db77e160355",
		"6fa459ea-ee8a-3ca4-894e-db77e160355e0", "6fa459eaee8a3ca4894edb77e160355e",
		"6fa459ea-ee8a-3ca4-894e-db77e160355g", "6fa459ea-ee8a-3ca4-894e-db77e160355e\n"};

	assert_string_equal(
		text_of(recipient_key_of_text("order-42")), "e0897b2b-e91e-50c7-a893-c069451a5b0b");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(text_of(recipient_key_of_text(others[i]))[14], '5');
}

static void a_recipient_without_a_key_has_one_of_the_message_and_itself(void **state)
{
	struct recipient_key message =
		recipient_key_of_text("6fa459ea-ee8a-3ca4-894e-db77e160355e");

	assert_string_equal(text_of(recipient_key_make(&message, "U4af4980629", 11)),
		"973bbfbc-df6a-5a02-8e99-12de69c9b8e2");
}

static void a_batch_has_a_key_of_its_recipients_in_their_order(void **state)
{
	struct recipient_key keys[2] = {
		recipient_key_of_text("6fa459ea-ee8a-3ca4-894e-db77e160355e"),
		recipient_key_of_text("00000000-0000-0000-0000-000000000001")};
	struct recipient_key turned[2] = {keys[1], keys[0]};

	assert_string_equal(
		text_of(recipient_key_batch(keys, 2)), "3a9a841f-78ec-5edc-914e-1ec2feee34b1");
	assert_string_equal(
		text_of(recipient_key_batch(turned, 2)), "da29d680-5031-516b-a1ff-f064efcba05b");
	assert_string_equal(
		text_of(recipient_key_batch(keys, 1)), "6fa459ea-ee8a-3ca4-894e-db77e160355e");
}

static void a_batch_of_five_hundred(void **state)
{
	static struct recipient_key keys[500];

	for (size_t i = 0; i < 500; i++) {
		keys[i].bytes[14] = (unsigned char)(i >> 8);
		keys[i].bytes[15] = (unsigned char)i;
	}
	assert_string_equal(
		text_of(recipient_key_batch(keys, 500)), "96baaeb0-18e3-579b-8155-4686fa37efa1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_namespace_is_made_of_its_name),
		cmocka_unit_test(a_key_that_is_a_uuid_is_that_uuid),
		cmocka_unit_test(any_other_text_is_hashed),
		cmocka_unit_test(a_recipient_without_a_key_has_one_of_the_message_and_itself),
		cmocka_unit_test(a_batch_has_a_key_of_its_recipients_in_their_order),
		cmocka_unit_test(a_batch_of_five_hundred),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
