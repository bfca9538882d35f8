#include "base/siphash.h"

#include <string.h>

#define BLOCK_BYTES 8

struct state {
	uint64_t v0, v1, v2, v3;
};

static uint64_t rotate_left(uint64_t x, int k)
{
	return x << k | x >> (64 - k);
}

/* Byte by byte: the result is the same on every machine (compilers make one load of it). */
static uint64_t read_le64(const uint8_t *bytes)
{
	uint64_t word = 0;

	for (int i = 0; i < BLOCK_BYTES; i++)
		word |= (uint64_t)bytes[i] << 8 * i;
	return word;
}

static void do_rounds(struct state *s, int rounds)
{
	while (rounds-- > 0) {
		s->v0 += s->v1;
		s->v2 += s->v3;
		s->v1 = rotate_left(s->v1, 13) ^ s->v0;
		s->v3 = rotate_left(s->v3, 16) ^ s->v2;
		s->v0 = rotate_left(s->v0, 32);
		s->v2 += s->v1;
		s->v0 += s->v3;
		s->v1 = rotate_left(s->v1, 17) ^ s->v2;
		s->v3 = rotate_left(s->v3, 21) ^ s->v0;
		s->v2 = rotate_left(s->v2, 32);
	}
}

static void add_block(struct state *s, uint64_t block)
{
	s->v3 ^= block;
	do_rounds(s, 2);
	s->v0 ^= block;
}

void siphash_128(
	const uint8_t key[SIPHASH_KEY_BYTES], const void *data, size_t bytes, uint64_t ret[2])
{
	uint64_t k0 = read_le64(key), k1 = read_le64(key + BLOCK_BYTES);
	struct state s = {
		.v0 = k0 ^ UINT64_C(0x736f6d6570736575),
		.v1 = k1 ^ UINT64_C(0x646f72616e646f6d) ^ 0xee,
		.v2 = k0 ^ UINT64_C(0x6c7967656e657261),
		.v3 = k1 ^ UINT64_C(0x7465646279746573),
	};
	uint8_t last[BLOCK_BYTES] = {[BLOCK_BYTES - 1] = (uint8_t)bytes};
	const uint8_t *at = data;

	for (size_t left = bytes; left >= BLOCK_BYTES; left -= BLOCK_BYTES, at += BLOCK_BYTES)
		add_block(&s, read_le64(at));
	if (bytes % BLOCK_BYTES)
		memcpy(last, at, bytes % BLOCK_BYTES);
	add_block(&s, read_le64(last));
	s.v2 ^= 0xee;
	do_rounds(&s, 4);
	ret[0] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
	s.v1 ^= 0xdd;
	do_rounds(&s, 4);
	ret[1] = s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
