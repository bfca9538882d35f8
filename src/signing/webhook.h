/*
 * Signatures of webhooks: Standard Webhooks 1.0.0 ("Signature scheme", symmetric), and the HMAC of
 * a body in a header that most others are. Pure: the time comes in as an argument. Two secrets are
 * in force while one follows the other; every request then carries a signature by each.
 */
#ifndef SIGNING_WEBHOOK_H
#define SIGNING_WEBHOOK_H

#include "base/buf.h"
#include "signing/hmac.h"

#include <stddef.h>
#include <stdint.h>

#define WEBHOOK_SECRETS_MAX 2
#define WEBHOOK_SECRET_PREFIX "whsec_"
/* "Random. At least 24 bytes (192 bits, 512 maximum)" */
#define WEBHOOK_SECRET_BYTES_MIN 24
#define WEBHOOK_SECRET_BYTES_MAX 64
#define WEBHOOK_SIGNATURE_MAX 512 /* bytes of a header's value with two signatures */

/*
 * "whsec_" and base64, or the base64 alone, to the key. 0; ERR_SYNTAX (no base64); ERR_LIMIT (not
 * 24 to 64 bytes). ret_key is all zero on failure. Wipe it after use.
 */
int webhook_secret_decode(
	const char *text, unsigned char ret_key[WEBHOOK_SECRET_BYTES_MAX], size_t *ret_bytes);

struct webhook_keys {
	struct hmac_key *keys[WEBHOOK_SECRETS_MAX];
	size_t count;
};
/* Harmless on a zeroed one; it is zeroed then. */
void webhook_keys_free(struct webhook_keys *keys);

/*
 * Appends "v1,BASE64", of each key, with a blank between: over id.timestamp.body. 0; ERR_ARGUMENT:
 * the id is empty or has a full stop in it ("not be allowed to include any `.`"); ERR_NOMEM.
 */
int webhook_sign(const struct webhook_keys *keys, const char *id, int64_t timestamp_s,
	const void *body, size_t body_bytes, struct buf *out);

enum webhook_encoding { WEBHOOK_HEX, WEBHOOK_BASE64 };

/*
 * Appends prefix and MAC, of each key, with a comma between: over the body, or, with
 * timestamp_s not negative, over timestamp.body. prefix may be "". 0 or ERR_NOMEM.
 */
int webhook_sign_plain(const struct webhook_keys *keys, enum webhook_encoding encoding,
	const char *prefix, int64_t timestamp_s, const void *body, size_t body_bytes,
	struct buf *out);

#endif
