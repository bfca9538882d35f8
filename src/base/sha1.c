#include "base/sha1.h"

#include <string.h>

#define BLOCK 64

static uint32_t turn(uint32_t x, unsigned by)
{
	return x << by | x >> (32 - by);
}

/* The functions and constants of FIPS 180-4, 4.1.1 and 4.2.1. */
static uint32_t mix(int t, uint32_t b, uint32_t c, uint32_t d)
{
	if (t < 20)
		return ((b & c) | (~b & d)) + 0x5a827999;
	if (t < 40)
		return (b ^ c ^ d) + 0x6ed9eba1;
	if (t < 60)
		return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
	return (b ^ c ^ d) + 0xca62c1d6;
}

static void take_block(uint32_t hash[5], const uint8_t *block)
{
	uint32_t w[80];
	uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3], e = hash[4];

	for (int t = 0; t < 16; t++)
		w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
		       (uint32_t)block[4 * t + 2] << 8 | block[4 * t + 3];
	for (int t = 16; t < 80; t++)
		w[t] = turn(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
	for (int t = 0; t < 80; t++) {
		uint32_t next = turn(a, 5) + mix(t, b, c, d) + e + w[t];

		e = d;
		d = c;
		c = turn(b, 30);
		b = a;
		a = next;
	}
	hash[0] += a;
	hash[1] += b;
	hash[2] += c;
	hash[3] += d;
	hash[4] += e;
}

void sha1_begin(struct sha1 *sha1)
{
	static const uint32_t start[5] = {
		0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};

	memcpy(sha1->hash, start, sizeof(start));
	sha1->bytes = 0;
}

void sha1_update(struct sha1 *sha1, const void *data, size_t bytes)
{
	const uint8_t *from = data;

	while (bytes > 0) {
		size_t used = sha1->bytes % BLOCK;
		size_t step = bytes < BLOCK - used ? bytes : BLOCK - used;

		if (step == BLOCK) {
			take_block(sha1->hash, from);
		} else {
			memcpy(sha1->block + used, from, step);
			if (used + step == BLOCK)
				take_block(sha1->hash, sha1->block);
		}
		sha1->bytes += step;
		from += step;
		bytes -= step;
	}
}

void sha1_end(struct sha1 *sha1, uint8_t ret[SHA1_BYTES])
{
	static const uint8_t padding[BLOCK] = {0x80};
	uint64_t bits = sha1->bytes * 8;
	size_t used = sha1->bytes % BLOCK;
	uint8_t length[8];

	for (int i = 0; i < 8; i++)
		length[i] = (uint8_t)(bits >> (56 - 8 * i));
	sha1_update(sha1, padding, used < 56 ? 56 - used : 120 - used);
	sha1_update(sha1, length, sizeof(length));
	for (int i = 0; i < SHA1_BYTES; i++)
		ret[i] = (uint8_t)(sha1->hash[i / 4] >> (24 - 8 * (i % 4)));
}
