#include "base/hex.h"
#include "localq/blob.h"
#include "localq/hasher.h"
#include "localq/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct hasher *hasher;

static int open_hasher(void **state)
{
	hasher = hasher_new();
	return hasher == NULL ? -1 : 0;
}

static int close_hasher(void **state)
{
	hasher_free(hasher);
	return 0;
}

/* RFC 1321, A.5 */
static void md5_vectors(void **state)
{
	static const char *const table[][2] = {
		{"", "d41d8cd98f00b204e9800998ecf8427e"},
		{"a", "0cc175b9c0f1b6a831c399e269772661"},
		{"abc", "900150983cd24fb0d6963f7d28e17f72"},
		{"message digest", "f96b697d7cb7938d525a2f31aaf161d0"},
		{"abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
			"d174ab98d277d9f5a5611c2c9f419d9f"},
		{"1234567890123456789012345678901234567890123456789012345678901234567890123456789"
		 "0",
			"57edf4a22be3c955ac49da2e2107b67a"},
	};
	uint8_t md5[HASHER_MD5_BYTES];
	char hex[33];

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		assert_int_equal(hasher_md5(hasher, table[i][0], strlen(table[i][0]), md5), 0);
		hex_print(md5, sizeof(md5), hex);
		assert_string_equal(hex, table[i][1]);
	}
}

static void sha256_of_nothing(void **state)
{
	uint8_t hash[HASHER_SHA256_BYTES];
	char hex[65];

	assert_int_equal(hasher_sha256(hasher, "", 0, hash), 0);
	hex_print(hash, sizeof(hash), hex);
	assert_string_equal(
		hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231, case 2 */
static void hmac_vector(void **state)
{
	static const char data[] = "what do ya want for nothing?";
	uint8_t mac[HASHER_SHA256_BYTES];
	char hex[65];

	assert_int_equal(hasher_hmac_sha256("Jefe", 4, data, sizeof(data) - 1, mac), 0);
	hex_print(mac, sizeof(mac), hex);
	assert_string_equal(
		hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* From the paper's reference implementation: key 00..0f, message 00..len-1. */
static void siphash_vectors(void **state)
{
	static const struct {
		size_t len;
		uint64_t hash;
	} table[] = {
		{0, 0x726fdb47dd0e0e31},
		{1, 0x74f839c593dc67fd},
		{7, 0xab0200f58b01d137},
		{8, 0x93f5f5799a932462},
		{15, 0xa129ca6149be45e5},
		{16, 0x3f2acc7f57c29bdb},
		{63, 0x958a324ceb064572},
	};
	uint8_t key[16], message[64];

	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	memcpy(key, message, sizeof(key));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		assert_true(hasher_siphash(key, message, table[i].len) == table[i].hash);
}

/* RFC 4648, section 10 */
static void base64_vectors(void **state)
{
	static const char *const table[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="},
		{"foo", "Zm9v"}, {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
		{"foobar", "Zm9vYmFy"}};

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		size_t len = strlen(table[i][0]), encoded = strlen(table[i][1]), decoded;
		char text[16];
		uint8_t bytes[16];

		assert_int_equal(BLOB_ENCODED_BYTES(len), encoded);
		blob_encode((const uint8_t *)table[i][0], len, text);
		assert_memory_equal(text, table[i][1], encoded);
		assert_true(blob_decode(table[i][1], encoded, bytes, &decoded));
		assert_int_equal(decoded, len);
		assert_memory_equal(bytes, table[i][0], len);
	}
}

static void base64_round_trip_of_every_byte(void **state)
{
	for (unsigned first = 0; first < 256; first++) {
		for (unsigned second = 0; second < 256; second++) {
			uint8_t bytes[3] = {(uint8_t)first, (uint8_t)second, (uint8_t)~first},
				back[3];
			char text[4];
			size_t len;

			blob_encode(bytes, 3, text);
			assert_true(blob_decode(text, 4, back, &len));
			assert_int_equal(len, 3);
			assert_memory_equal(bytes, back, 3);
		}
	}
}

static void base64_is_strict(void **state)
{
	static const char *const refused[] = {"Z", "Zg", "Zg=", "Zg===", "====", "=",
		"Zm9v=", "Z===", "Zh==" /* stray bits */, "Zm9=" /* stray bits */,
		"Zg==Zg==", "Zm9 ", "Zm9\n", "Zm-v", "Zm_v", "Z=9v"};
	uint8_t bytes[16];
	size_t len;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (blob_decode(refused[i], strlen(refused[i]), bytes, &len))
			fail_msg("%s is taken", refused[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(md5_vectors),
		cmocka_unit_test(sha256_of_nothing),
		cmocka_unit_test(hmac_vector),
		cmocka_unit_test(siphash_vectors),
		cmocka_unit_test(base64_vectors),
		cmocka_unit_test(base64_round_trip_of_every_byte),
		cmocka_unit_test(base64_is_strict),
	};

	return cmocka_run_group_tests(tests, open_hasher, close_hasher);
}
