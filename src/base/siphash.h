/*
 * SipHash-2-4 with a 128-bit result (Aumasson, Bernstein: "SipHash: a fast short-input PRF", and
 * the reference code's 128-bit variant). Keyed: who does not know the key cannot make two inputs
 * collide. Pure.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_BYTES 16

/* ret[0] holds the reference code's output bytes 0-7 as a little-endian number, ret[1] the rest. */
void siphash_128(
	const uint8_t key[SIPHASH_KEY_BYTES], const void *data, size_t bytes, uint64_t ret[2]);

#endif
