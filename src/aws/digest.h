/*
 * Message digests with the algorithm fetched once and the context kept: OpenSSL 3 spends more time
 * looking SHA-256 up than hashing a short string with it.
 */
#ifndef AWS_DIGEST_H
#define AWS_DIGEST_H

#include <openssl/types.h>
#include <stddef.h>

#define DIGEST_MD5_BYTES 16
#define DIGEST_SHA1_BYTES 20
#define DIGEST_SHA256_BYTES 32

struct digest {
	EVP_MD *algorithm;
	EVP_MD_CTX *context;
};

/* name: "MD5", "SHA1", "SHA256". 0, or ERR_NOMEM (then nothing is held). */
int digest_init(struct digest *digest, const char *name);
/* Harmless on a zeroed one. */
void digest_free(struct digest *digest);

/* begin, update any number of times, end. Each returns 0 or ERR_NOMEM. */
int digest_begin(struct digest *digest);
int digest_update(struct digest *digest, const void *bytes, size_t len);
int digest_end(struct digest *digest, unsigned char *ret_hash);
/* All three for one piece. */
int digest_once(struct digest *digest, const void *bytes, size_t len, unsigned char *ret_hash);

#endif
