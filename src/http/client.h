/*
 * HTTP client: libcurl's multi-socket interface on a libuv loop.
 *
 * Connections are sharded over several CURLMs, because one CURLM searches its connection list for
 * every transfer: 8,000 connections on one cost 92 us of CPU a request, 128 shards of 64 cost 39.
 * Easy handles and their buffers are pooled: a request in steady state allocates nothing
 * here. Over HTTP/1.1 curl gets the head of a request in one piece, see head.c.
 *
 *	struct http_exchange *x = http_exchange_new(client);
 *	buf_append_string(http_exchange_url(x), "https://...");
 *	http_exchange_set_method(x, "POST"); http_exchange_add_header(x, "Content-Type", "...");
 *	buf_append(http_exchange_body(x), bytes, len);
 *	err = http_exchange_start(x, done, arg);    // from here the client owns x
 *
 * One start is one request on the wire. libcurl would send a request once more by itself when a
 * kept-alive connection closes before an answer, though the other side may have acted on the first;
 * here that is ERR_NETWORK, and the caller decides. A connection known to be closed is not used.
 * Over HTTP/2 a server can say that it has not looked at a request: that one is sent again, thrice
 * at most (more often when connections go away that have done some work), and fails with `sent`
 * false then. Where it is not known for sure (no GOAWAY without an error, no REFUSED_STREAM of this
 * very stream) it is as with a connection that was cut: ERR_NETWORK, `sent`, and never sent again
 * here. The first request of an HTTP/2 connection goes alone, the others wait for its answer, a
 * second at most; channel.c says why.
 *
 * Limits that are not options: 64 KiB of answer headers (1xx and trailers included), 64 KiB of
 * request headers. A proxy is taken from the environment (http_proxy, HTTPS_PROXY, ALL_PROXY,
 * NO_PROXY, as it was when the client was made), but never for this machine's loopback.
 *
 * Redirects are never followed, TLS is always verified, an Expect header is never sent, cookies
 * and .netrc are never used. Not thread-safe: one client, one loop.
 */
#ifndef HTTP_CLIENT_H
#define HTTP_CLIENT_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct address_guard; /* http/address_guard.h */

enum http_version { HTTP_VERSION_AUTO, HTTP_VERSION_1_1, HTTP_VERSION_2 };

/* Zero means the default in brackets. Copied. */
struct http_client_options {
	unsigned shard_connections; /* connections (or HTTP/2 streams) on one CURLM [64] */
	/*
	 * TCP connections at once [as many as are needed]. A request that finds no room on them
	 * waits until another ends, or its time is over.
	 */
	unsigned max_connections;
	unsigned max_in_flight; /* requests at once; start fails with ERR_LIMIT past it [10000] */
	int64_t connect_timeout_ms; /* name look-up, TCP and TLS together [5000] */
	/*
	 * The whole exchange, from its start [30000]. An answer that has come by the time that the
	 * loop looks counts after it, too; what has not been sent by then is not sent.
	 */
	int64_t timeout_ms;
	size_t max_answer_bytes;   /* answer body; more is ERR_ANSWER_TOO_LARGE [1 MiB] */
	size_t max_request_bytes;  /* bound of each buffer of a request [4 MiB] */
	enum http_version version; /* auto: HTTP/2 where TLS's ALPN offers it, else 1.1;
				    * 2 on plain http: prior knowledge (through a proxy, with
				    * libcurl before 8.1: one connection a request) */
	const char *ca_file;	   /* PEM bundle instead of the system's; NULL: the system's */
	/* NULL: "bunshin/VERSION". Over HTTP/1.1 " HTTP/1.1" comes behind it, see head.c. */
	const char *user_agent;
	const char *unix_path; /* connect to this socket, whatever host the URL names; NULL:
				* to that host. Never through a proxy then */
	/*
	 * The addresses that may be connected to; it outlives the client, and no proxy is used
	 * then. A request that had no other is ERR_NOT_ALLOWED. NULL: any.
	 */
	const struct address_guard *guard;
	bool truncate_answer; /* past max_answer_bytes, drop the rest instead of failing */
	bool no_proxy;	      /* never through one, whatever the environment says */
	/*
	 * Answers, and the requests that they are to, are wiped from memory when they have been
	 * handled. What curl, TLS and the kernel hold of them meanwhile is not reached.
	 */
	bool secret_answers;
	/*
	 * Milliseconds after which a connection is given up whose other side takes no bytes
	 * (TCP_USER_TIMEOUT) or answers no keep-alive probe, the whole seconds of which make it a
	 * little later; 0: the system's minutes and hours.
	 */
	int64_t dead_peer_ms;
};

struct http_client;
struct http_exchange;

/* Borrowed for the callback. */
struct http_response {
	int err;    /* 0: a whole answer arrived. Else ERR_DNS, ERR_CONNECT, ERR_TLS, ERR_TIMEOUT,
		     * ERR_NETWORK, ERR_PROTOCOL, ERR_ANSWER_TOO_LARGE, ERR_NOMEM,
		     * ERR_NOT_ALLOWED (by options.guard), or ERR_ARGUMENT for a URL that curl cannot
		     * take apart */
	int status; /* 200-599; 0 when err */
	const char *detail; /* libcurl's own words on err; "" without; never NULL */
	struct buf *body;   /* may be moved out with buf_take(); on err what had come so far */
	uint64_t duration_us;
	bool sent;  /* on err: the other side may have acted on the request */
	bool stale; /* on err: a kept-alive connection was closed before the first line of any
		       answer */
};

/* Exactly once for each started exchange, from the loop, never from inside a call of this API. */
typedef void http_done(
	void *arg, struct http_exchange *exchange, const struct http_response *response);

/*
 * Initialises libcurl and its TLS library for the whole process, once. A program that forks does so
 * before, so that its children share the memory. 0 or ERR_NOMEM.
 */
int http_client_prepare(void);
/* The loop is borrowed. Returns 0, ERR_NOMEM or ERR_IO. Calls http_client_prepare(). */
int http_client_new(uv_loop_t *loop, const struct http_client_options *options,
	struct http_client **ret_client);
/*
 * Cancels what is in flight (no `done` is called) and closes every handle; the memory goes on a
 * later turn of the loop, when libuv has closed them all. NULL is fine.
 */
void http_client_close(struct http_client *client);
/* Requests in flight now. */
size_t http_client_in_flight(const struct http_client *client);
/* TCP connections opened since the start; for metrics and tests. */
uint64_t http_client_connections_opened(const struct http_client *client);

/* TCP connections that are open, or being opened. */
unsigned http_client_connections(const struct http_client *client);
/* Requests at once on the busiest HTTP/2 connection since the last call; 0: there was none. */
unsigned http_client_take_most_streams(struct http_client *client);
/* Requests that a server refused before it looked at them, each time; they were sent again. */
uint64_t http_client_requests_refused(const struct http_client *client);

/* A blank exchange from the pool (method POST, client's time-outs), or NULL: out of memory. */
struct http_exchange *http_exchange_new(struct http_client *client);
/* Puts an exchange that was never started back. */
void http_exchange_discard(struct http_exchange *exchange);

/* Both empty at first, bounded by max_request_bytes; not to be touched once it is started. */
struct buf *http_exchange_url(struct http_exchange *exchange);
struct buf *http_exchange_body(struct http_exchange *exchange);
void http_exchange_set_method(struct http_exchange *exchange, const char *method); /* static */
/* Before the start; instead of the client's. */
void http_exchange_set_timeout(struct http_exchange *exchange, int64_t timeout_ms);
/*
 * Before the start: called with `done`'s arg right before the request goes out, for which a
 * connection is there by then; again each time that it is sent again. From inside of libcurl: it
 * must not call the client.
 */
void http_exchange_tell_departure(struct http_exchange *exchange, void (*departs)(void *arg));
/*
 * Copies. Returns 0, ERR_ARGUMENT (not a token as name, CR or LF in the value, past the limit, or
 * a name that is the client's own: Content-Length, Transfer-Encoding, Expect), or ERR_NOMEM.
 */
int http_exchange_add_header(struct http_exchange *exchange, const char *name, const char *value);

/*
 * Starts it, in a row with all others of this turn of the loop. Returns 0 and later calls done; or
 * ERR_LIMIT, ERR_NOMEM, ERR_ARGUMENT (not an http or https URL, a byte in it that is not printable
 * ASCII, a method that is no token, a sticky buffer error), the exchange being discarded then and
 * done never called. The URL is sent as it is: "." and ".." stay in the path.
 */
int http_exchange_start(struct http_exchange *exchange, http_done *done, void *arg);
/*
 * Aborts a started exchange; `done` is not called and the exchange is gone. Not for an exchange
 * whose `done` has begun.
 */
void http_exchange_cancel(struct http_exchange *exchange);

/* In `done` only: a header of the final answer, or NULL; name in any case; borrowed. */
const char *http_exchange_answer_header(struct http_exchange *exchange, const char *name);

#endif
