/*
 * SHA-1 (FIPS 180-4), of data that comes in parts. Pure, and without a library that may be out of
 * memory. For UUIDs of version 5 alone: as a digest that somebody could want to forge it is broken.
 */
#ifndef BASE_SHA1_H
#define BASE_SHA1_H

#include <stddef.h>
#include <stdint.h>

#define SHA1_BYTES 20

struct sha1 {
	uint32_t hash[5];
	uint64_t bytes; /* so far */
	uint8_t block[64];
};

void sha1_begin(struct sha1 *sha1);
void sha1_update(struct sha1 *sha1, const void *data, size_t bytes);
/* It must be begun anew before it is used again. */
void sha1_end(struct sha1 *sha1, uint8_t ret[SHA1_BYTES]);

#endif
