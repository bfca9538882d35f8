/*
 * HTTP/1.1 server: libmicrohttpd, its epoll descriptor in a libuv loop, no threads.
 *
 * The handler sees whole requests only. It replies at once or keeps the call and replies later
 * (a long poll): the connection is suspended meanwhile.
 *
 * Requests past a limit are answered here: 413 (body; up to 4 MiB more are read and dropped first,
 * so that the answer arrives), 431 (request line and headers past their limit), 400, 505.
 */
#ifndef HTTP_SERVER_H
#define HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct http_server;
struct http_call;

/*
 * A request has arrived whole. The call is alive until it was replied to or `gone` ran. Must not
 * close the server. A body over the limit never gets here: the server answers 413 itself.
 */
typedef void http_handler(void *arg, struct http_call *call);

struct http_server_options {
	const char *listen; /* "127.0.0.1:9324", "[::1]:0"; port 0: any free one. NULL: listen_fd */
	/*
	 * A socket that listens already, of any family, non-blocking; 0 and below: none. The
	 * server uses a duplicate, so the caller may close its own whenever it likes; the server's
	 * end stops nobody else, in this process or another, from accepting on it.
	 */
	int listen_fd;
	size_t max_body_bytes; /* [2 MiB] */
	/*
	 * Request line and headers, with some room for itself [32 KiB]. It is cleared after each
	 * request, so that more drives everything else out of the core's first cache.
	 */
	size_t header_memory_bytes;
	unsigned max_connections; /* [10000] */
	unsigned idle_timeout_s;  /* without bytes either way, while not suspended [75] */
	http_handler *handler;
	void *arg;
};

/*
 * Listens (SO_REUSEADDR, TCP_NODELAY). Returns 0; ERR_ARGUMENT (listen does not parse, or there is
 * neither it nor a listen_fd); ERR_IO (errno says why, e.g. EADDRINUSE); ERR_NOMEM.
 */
int http_server_new(uv_loop_t *loop, const struct http_server_options *options,
	struct http_server **ret_server);
/* "127.0.0.1:40123": the address with the real port; borrowed. "" with a listen_fd. */
const char *http_server_address(const struct http_server *server);
/*
 * Stops listening, drops connections (each unanswered call's `gone` runs, from inside), closes the
 * handles; the memory goes on a later turn of the loop. NULL is fine.
 */
void http_server_close(struct http_server *server);

/*
 * Of the request; borrowed until the reply. Header names in any case; NULL when absent; blanks
 * behind a header's value are kept.
 */
const char *http_call_method(const struct http_call *call);
const char *http_call_path(const struct http_call *call); /* decoded, without the query */
const char *http_call_query(const struct http_call *call, const char *name);
const char *http_call_header(const struct http_call *call, const char *name);
const char *http_call_body(const struct http_call *call, size_t *ret_len); /* NUL-terminated */
void http_call_each_header(const struct http_call *call,
	void (*visit)(void *arg, const char *name, const char *value), void *arg);

/*
 * Who asks, for the log: "127.0.0.1", "2001:db8::1"; of a unix socket "uid 1000", as the kernel
 * says; "unknown".
 */
#define HTTP_PEER_SIZE 64
void http_call_peer(const struct http_call *call, char ret_peer[HTTP_PEER_SIZE]);

struct http_reply {
	int status;
	const char *content_type; /* NULL: none */
	const void *body;	  /* copied */
	size_t body_bytes;
	const char *const *headers; /* name, value, name, value, ..., NULL; NULL: none; copied */
	bool close;		    /* close the connection after the answer */
};

/*
 * Ends the call. Returns 0; or ERR_NOMEM, or ERR_ARGUMENT (a header with a line break or an empty
 * name), the connection then being closed without an answer.
 */
int http_call_reply(struct http_call *call, const struct http_reply *reply);
/* Cuts the connection without an answer; ends the call. */
void http_call_abort(struct http_call *call);

/*
 * The call is kept: `gone` (may be NULL) runs once if the connection ends before a reply; the call
 * is then dead. Not run after a reply or abort. As a suspended connection is not watched, that is
 * when the server closes. May answer other calls; must not close the server.
 */
void http_call_keep(
	struct http_call *call, void (*gone)(void *arg, struct http_call *call), void *arg);
/*
 * A suspended connection is not watched, so a client that left is noticed only when asked: true
 * while the peer has not closed. Ask before handing out what cannot be taken back.
 */
bool http_call_is_alive(const struct http_call *call);

#endif
