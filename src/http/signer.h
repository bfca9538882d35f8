/*
 * What signs a request right before it goes out: a table that whoever puts the target together
 * fills in (cli/auth.h), so that this layer knows of no keys.
 */
#ifndef HTTP_SIGNER_H
#define HTTP_SIGNER_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The request as it is rendered; borrowed for the call. */
struct http_signer_request {
	const char *method;
	const char *url;
	const struct buf *body;
	/* Its header fields so far, each as name, NUL, value, NUL; empty unless `wants_headers`. */
	const struct buf *headers;
	const char *idempotency_key; /* of the request */
	int64_t now_epoch_ms;
};

/*
 * Adds a header field; the signer returns what it returns. `shown` is what people are shown of the
 * value, with what is secret in it hidden; NULL: the value itself. All is copied.
 */
typedef int http_signer_add(void *arg, const char *name, const char *value, const char *shown);

struct http_signer_ops {
	/*
	 * 0; an error that the attempt ends with, a sentence appended to `reason`:
	 * ERR_NO_CREDENTIALS or another of class auth while there is nothing to sign with,
	 * ERR_TEMPLATE when this message cannot be signed, ERR_NOMEM.
	 */
	int (*sign)(void *impl, const struct http_signer_request *request, http_signer_add *add,
		void *arg, struct buf *reason);
	/*
	 * The answer to a request that was signed was a 401 or 403; it was begun at that instant.
	 * NULL: nobody wants to know.
	 */
	void (*refused)(void *impl, int64_t started_epoch_ms);
	bool wants_headers;
};

/* A value type; ops NULL: nothing is signed. `impl` outlives every copy. */
struct http_signer {
	const struct http_signer_ops *ops;
	void *impl;
};

#endif
