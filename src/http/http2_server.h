/*
 * HTTP/2 server (RFC 9113): libnghttp2 on a libuv loop, with the handler and the calls of
 * http/server.h. In clear by prior knowledge; with a certificate over TLS, by ALPN "h2" and nothing
 * else. It speaks no HTTP/1.1 and is asked for no upgrade.
 *
 * It is what clients are tested and rehearsed against, so it also does what real servers do to
 * them: streams beyond the limit it announces are refused (REFUSED_STREAM), as are those that
 * `refuses` picks; after goaway_after requests a connection is ended gracefully (section 6.8:
 * GOAWAY with the last stream that is acted on, those are answered, later ones are not looked at).
 *
 * Of calls: names of headers are in lower case; the field ":authority" is the header "host"; a
 * reply that closes does not; http_call_abort() ends the connection with all of its streams, since
 * that is what an abort is over HTTP/1.1. A path with a NUL in it is answered 400.
 */
#ifndef HTTP_HTTP2_SERVER_H
#define HTTP_HTTP2_SERVER_H

#include "http/server.h"

struct http2_server;

/* Zero means the default in brackets. Texts are copied. */
struct http2_server_options {
	const char *listen;	    /* as of http_server_options */
	size_t max_body_bytes;	    /* a longer one is answered 413 [2 MiB] */
	size_t header_memory_bytes; /* names and values; more is answered 431 [32 KiB] */
	unsigned max_connections;   /* more wait to be accepted [10000] */
	unsigned idle_timeout_s;    /* without bytes from the client or an answer to come [75] */
	unsigned max_streams;	    /* announced and enforced, of each connection [100] */
	/*
	 * Announced at first, until a request of that connection was answered with something other
	 * than 401 or 403: APNs allows one stream until a token was accepted. [max_streams]
	 */
	unsigned first_streams;
	unsigned goaway_after;	       /* requests of a connection [no limit] */
	const char *goaway_data;       /* what the GOAWAY has as its debug data [none] */
	const char *certificate, *key; /* PEM files; both or neither: clear [neither] */
	bool (*refuses)(void *arg);    /* this request? May be NULL */
	http_handler *handler;
	void *arg; /* of both */
};

/* Since the start. */
struct http2_server_totals {
	uint64_t connections;  /* that began to speak HTTP/2 */
	uint64_t most_streams; /* open at once on one connection, refused ones not */
	uint64_t refused;      /* streams */
	uint64_t goaways;
};

/*
 * Listens. 0; or ERR_ARGUMENT, ERR_IO, ERR_NOMEM as http_server_new(); ERR_TLS: certificate or key
 * cannot be used. Each but ERR_NOMEM with a sentence in `error`.
 */
int http2_server_new(uv_loop_t *loop, const struct http2_server_options *options, char *error,
	size_t error_bytes, struct http2_server **ret_server);
/* "127.0.0.1:40123"; borrowed. */
const char *http2_server_address(const struct http2_server *server);
void http2_server_totals(const struct http2_server *server, struct http2_server_totals *ret_totals);
/*
 * Stops listening and drops connections (each unanswered call's `gone` runs, from inside); the
 * memory goes on a later turn of the loop. NULL is fine.
 */
void http2_server_close(struct http2_server *server);

#endif
