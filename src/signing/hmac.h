/*
 * HMAC with the key scheduled once (RFC 2104): a key object signs any number of texts, of which
 * each costs the hashing of its bytes and nothing else. Not thread-safe. OpenSSL wipes the key.
 */
#ifndef SIGNING_HMAC_H
#define SIGNING_HMAC_H

#include <stddef.h>

#define HMAC_BYTES_MAX 64 /* of SHA-512 */

enum hmac_algorithm { HMAC_SHA256, HMAC_SHA512 };

struct hmac_key;

struct hmac_part {
	const void *bytes;
	size_t len;
};

/* Copies the key, of at least one byte. 0, ERR_ARGUMENT or ERR_NOMEM. */
int hmac_key_new(enum hmac_algorithm algorithm, const void *key, size_t key_bytes,
	struct hmac_key **ret_key);
/* NULL is fine. */
void hmac_key_free(struct hmac_key *key);

/* Over the parts, one behind the other: 32 or 64 bytes. 0 or ERR_NOMEM. */
int hmac_sign(struct hmac_key *key, const struct hmac_part *parts, size_t count,
	unsigned char ret_mac[HMAC_BYTES_MAX], size_t *ret_bytes);

#endif
