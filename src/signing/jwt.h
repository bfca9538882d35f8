/*
 * JSON Web Tokens (RFC 7519) in the compact form of RFC 7515, signed with ES256 or RS256 (RFC 7518,
 * 3.3 and 3.4). Claims come in as JSON, so time and names are the caller's; the random number of an
 * ECDSA signature is OpenSSL's.
 */
#ifndef SIGNING_JWT_H
#define SIGNING_JWT_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

enum jwt_algorithm { JWT_ES256, JWT_RS256 };

#define JWT_FINGERPRINT_BYTES 32
#define JWT_RSA_BITS_MIN 2048 /* RFC 7518, 3.3 */
#define JWT_RSA_BITS_MAX 8192

struct jwt_key;

/*
 * A private key in PEM (PKCS #8, SEC 1 or PKCS #1; what stands around it is ignored). 0; ERR_NOMEM;
 * ERR_SYNTAX: no private key in PEM, or one with a passphrase; ERR_ARGUMENT: of another kind than
 * the algorithm needs (a curve other than P-256; RSA of fewer or more bits).
 */
int jwt_key_read(
	enum jwt_algorithm algorithm, const char *pem, size_t len, struct jwt_key **ret_key);
/* Wipes it; NULL is fine. */
void jwt_key_free(struct jwt_key *key);
/* SHA-256 of the public key: which key it is, and nothing of its secret. */
void jwt_key_fingerprint(const struct jwt_key *key, uint8_t ret[JWT_FINGERPRINT_BYTES]);

/*
 * Appends header.claims.signature, each in base64url; header and claims are JSON and go in as they
 * are. 0, ERR_NOMEM, or the buffer's ERR_TOO_LARGE.
 */
int jwt_sign(const struct jwt_key *key, const char *header, const char *claims, struct buf *out);

#endif
