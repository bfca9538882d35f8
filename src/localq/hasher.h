/*
 * The hashes SQS needs, on OpenSSL. The algorithms are looked up once, because a look-up costs
 * more than hashing a short message.
 */
#ifndef LOCALQ_HASHER_H
#define LOCALQ_HASHER_H

#include <stddef.h>
#include <stdint.h>

#define HASHER_MD5_BYTES 16
#define HASHER_SHA256_BYTES 32

struct hasher;

/* NULL: out of memory, or OpenSSL refuses MD5 (FIPS). */
struct hasher *hasher_new(void);
void hasher_free(struct hasher *hasher); /* NULL is fine */

/* Each returns 0 or ERR_NOMEM (the only way in which these can fail). */
int hasher_md5(struct hasher *hasher, const void *bytes, size_t len, uint8_t ret[HASHER_MD5_BYTES]);
int hasher_sha256(
	struct hasher *hasher, const void *bytes, size_t len, uint8_t ret[HASHER_SHA256_BYTES]);
int hasher_hmac_sha256(const void *key, size_t key_len, const void *bytes, size_t len,
	uint8_t ret[HASHER_SHA256_BYTES]);

/* SipHash-2-4 (Aumasson, Bernstein): a keyed 64-bit check over few bytes. */
uint64_t hasher_siphash(const uint8_t key[16], const void *bytes, size_t len);

#endif
