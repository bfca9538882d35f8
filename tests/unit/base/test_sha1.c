#include "base/sha1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* In parts of so many bytes. */
static const char *hex_of(const char *data, size_t bytes, size_t part)
{
	static char text[2 * SHA1_BYTES + 1];
	uint8_t hash[SHA1_BYTES];
	struct sha1 sha1;

	sha1_begin(&sha1);
	for (size_t at = 0; at < bytes; at += part)
		sha1_update(&sha1, data + at, bytes - at < part ? bytes - at : part);
	sha1_end(&sha1, hash);
	for (int i = 0; i < SHA1_BYTES; i++)
		snprintf(text + 2 * i, 3, "%02x", hash[i]);
	return text;
}

/* NIST's examples of FIPS 180-4, and the empty message. */
static void published_vectors(void **state)
{
	char *million = malloc(1000000);

	assert_string_equal(hex_of("", 0, 1), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
	assert_string_equal(hex_of("abc", 3, 3), "a9993e364706816aba3e25717850c26c9cd0d89d");
	assert_string_equal(
		hex_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, 56),
		"84983e441c3bd26ebaae4aa1f95129e5e54670f1");
	assert_non_null(million);
	memset(million, 'a', 1000000);
	assert_string_equal(
		hex_of(million, 1000000, 1000000), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
	free(million);
}

/* Around the ends of a block, in parts of every size; the values are those of coreutils. */
static void lengths_around_a_block(void **state)
{
	static const struct {
		size_t bytes;
		const char *hash;
	} cases[] = {
		{55, "c1c8bbdc22796e28c0e15163d20899b65621d65a"},
		{56, "c2db330f6083854c99d4b5bfb6e8f29f201be699"},
		{63, "03f09f5b158a7a8cdad920bddc29b81c18a551f5"},
		{64, "0098ba824b5c16427bd7a1122a5a442a25ec644d"},
		{65, "11655326c708d70319be2610e8a57d9a5b959d3b"},
		{119, "ee971065aaa017e0632a8ca6c77bb3bf8b1dfc56"},
		{120, "f34c1488385346a55709ba056ddd08280dd4c6d6"},
	};
	char text[120];

	memset(text, 'a', sizeof(text));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (size_t part = 1; part <= cases[i].bytes; part++)
			assert_string_equal(hex_of(text, cases[i].bytes, part), cases[i].hash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_vectors),
		cmocka_unit_test(lengths_around_a_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
