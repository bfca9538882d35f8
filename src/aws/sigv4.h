/*
 * AWS Signature Version 4: a pure signer. Time, keys and the whole request come in as arguments;
 * what comes out are the headers to add. Source: "Create a signed AWS API request" (IAM user
 * guide); the rules for every service but S3.
 *
 * A signer keeps its digest contexts, its scratch memory and the last signing key with its HMAC key
 * schedule, so signing in steady state allocates next to nothing: one signer a client.
 */
#ifndef AWS_SIGV4_H
#define AWS_SIGV4_H

#include "aws/credentials.h"
#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

#define SIGV4_DATE_SIZE 17 /* "20260102T030405Z" and the NUL */
#define SIGV4_KEY_BYTES 32
#define SIGV4_HEADERS_MAX 64

struct sigv4;

struct sigv4_header {
	const char *name; /* any case */
	const char *value;
};

/* Borrowed for the call. */
struct sigv4_request {
	const char *method; /* "POST" */
	const char *path;   /* as it goes on the wire, already percent-encoded; "" is "/" */
	const char *query;  /* as it goes on the wire, without the '?'; "" is none */
	/*
	 * Host must be among them. All are signed but those that a proxy or libcurl may change
	 * (Connection, User-Agent, Expect, TE, Transfer-Encoding, Trailer, Upgrade, Keep-Alive,
	 * Proxy-*, X-Amzn-Trace-Id, Authorization). X-Amz-Date and X-Amz-Security-Token must not
	 * be: the signer makes them.
	 */
	const struct sigv4_header *headers;
	size_t header_count;
	const void *body;
	size_t body_bytes;
};

/* Returns 0 or ERR_NOMEM. */
int sigv4_new(struct sigv4 **ret_signer);
/* Wipes the key; NULL is fine. */
void sigv4_free(struct sigv4 *signer);

/*
 * Appends the value of the Authorization header to `authorization` and writes that of X-Amz-Date.
 * When credentials hold a session token, the request must also carry it as X-Amz-Security-Token.
 *
 * Returns 0; ERR_ARGUMENT (no Host, a header of the signer's own, more than SIGV4_HEADERS_MAX
 * headers, a year outside 1970-9999); ERR_NOMEM or ERR_TOO_LARGE (scratch past 1 MiB).
 */
int sigv4_sign(struct sigv4 *signer, const struct sigv4_request *request,
	const struct credentials_set *credentials, const char *region, const char *service,
	int64_t epoch_ms, struct buf *authorization, char ret_date[SIGV4_DATE_SIZE]);

/* Of the last sigv4_sign(); borrowed until the next. For tests and debugging a refused request. */
const struct buf *sigv4_canonical_request(const struct sigv4 *signer);
const struct buf *sigv4_string_to_sign(const struct sigv4 *signer);
/* How many signing keys were derived so far: once a day and per change of keys. */
uint64_t sigv4_derivations(const struct sigv4 *signer);

/* The signing key, for date "20150830". Wipe it after use. 0 or ERR_NOMEM. */
int sigv4_signing_key(struct sigv4 *signer, const char *secret, const char *date,
	const char *region, const char *service, unsigned char ret_key[SIGV4_KEY_BYTES]);

#endif
