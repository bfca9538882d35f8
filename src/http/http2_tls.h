/*
 * TLS of a server's connection, without a socket: bytes in, bytes out. ALPN "h2" or no connection.
 */
#ifndef HTTP_HTTP2_TLS_H
#define HTTP_HTTP2_TLS_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

struct http2_tls_context;
struct http2_tls;

/* PEM files. 0, ERR_TLS with a sentence in `error`, or ERR_NOMEM. */
int http2_tls_context_new(const char *certificate, const char *key, char *error, size_t error_bytes,
	struct http2_tls_context **ret_context);
void http2_tls_context_free(struct http2_tls_context *context);

/* The context outlives it. NULL: out of memory. */
struct http2_tls *http2_tls_new(struct http2_tls_context *context);
void http2_tls_free(struct http2_tls *tls);
/*
 * Takes what the other side sent, all of it. What TLS has to answer is appended to `out`. 0, or
 * ERR_TLS: the connection cannot go on (`out` may have an alert); ERR_NOMEM.
 */
int http2_tls_take(struct http2_tls *tls, const void *bytes, size_t len, struct buf *out);
/* The next decrypted bytes: how many, 0: none now, or ERR_TLS. May answer, too. */
long http2_tls_read(struct http2_tls *tls, void *bytes, size_t size, struct buf *out);
/* HTTP/2 was agreed on: http2_tls_write() may be called. */
bool http2_tls_is_open(const struct http2_tls *tls);
/* Encrypts into `out`. 0, ERR_TLS or ERR_NOMEM. */
int http2_tls_write(struct http2_tls *tls, const void *bytes, size_t len, struct buf *out);

#endif
