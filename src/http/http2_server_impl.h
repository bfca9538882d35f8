/*
 * Inside of the HTTP/2 server: http2_server.c listens, http2_link.c has a connection (socket, TLS,
 * nghttp2 session), http2_request.c a stream's request, which is an http_call.
 */
#ifndef HTTP_HTTP2_SERVER_IMPL_H
#define HTTP_HTTP2_SERVER_IMPL_H

#include "base/buf.h"
#include "base/list.h"
#include "http/call.h"
#include "http/http2_server.h"
#include "http/http2_tls.h"
#include "http/listen.h"

#include <nghttp2/nghttp2.h>

enum { HTTP2_READ_BYTES = 64 << 10, HTTP2_FIELDS_MAX = 128 };

struct http2_server {
	uv_loop_t *loop;
	struct http2_server_options options; /* defaults filled in; no texts */
	char *goaway_data;
	struct http2_tls_context *tls; /* NULL: clear */
	uv_tcp_t listener;
	uv_timer_t idle;
	uv_idle_t kick; /* a broken connection is to be closed */
	struct list links;
	unsigned link_count;
	bool full; /* somebody waits to be accepted */
	bool closing;
	unsigned open_handles;
	struct http2_server_totals totals;
	char read[HTTP2_READ_BYTES]; /* what a connection has just sent; used up at once */
	char address[LISTEN_TEXT_MAX];
};

/* A connection. */
struct http2_link {
	struct list node; /* in server->links */
	struct http2_server *server;
	uv_tcp_t tcp;
	uv_write_t write;
	uv_shutdown_t shutdown;
	nghttp2_session *session;
	struct http2_tls *tls; /* NULL: clear */
	struct list requests;
	unsigned open;		 /* requests */
	struct buf out, writing; /* what is to be written next; what is being written */
	uint64_t active_ms;
	unsigned taken;	 /* requests */
	unsigned resets; /* of those, by the client */
	int32_t last_id; /* the last stream that is acted on, once it goes away */
	bool goes_away;
	bool trusted; /* max_streams is announced, not first_streams */
	bool inside;  /* nghttp2 is at work: neither call it nor free anything of its */
	bool broken;  /* to be closed as soon as it is not inside */
	bool ended;   /* all is written and said: it waits for the client to close */
	bool closing;
};

struct http2_field {
	uint32_t name, value; /* offsets in a request's text */
};

enum http2_request_state {
	HTTP2_READING,
	HTTP2_HANDED,
	HTTP2_REPLIED, /* or not to be replied to */
};

struct http2_request {
	struct http_call base;
	struct list node; /* in link->requests */
	struct http2_link *link;
	int32_t stream_id;
	enum http2_request_state state;
	struct buf text; /* names and values, each with its NUL */
	struct http2_field fields[HTTP2_FIELDS_MAX];
	size_t field_count;
	uint32_t method, path; /* offsets; of the path as it is decoded */
	uint32_t query;	       /* of what stands behind the question mark; 0: nothing */
	bool bad_path, fields_too_large, body_too_large;
	size_t dropped_bytes; /* of a body that is too large */
	struct buf body, reply;
	size_t reply_sent;
};

/* http2_server.c */
void http2_server_link_closed(struct http2_server *server);
void http2_server_on_kick(uv_idle_t *kick);

/* http2_link.c */
void http2_link_accept(struct http2_server *server);
/* Sends what nghttp2 has to say, and ends what has ended. Does nothing inside of nghttp2. */
void http2_link_flush(struct http2_link *link);
/* Calls `gone` of what is unanswered. Not inside of nghttp2. */
void http2_link_close(struct http2_link *link);
/* The same, later: `gone` is not called from inside of this. */
void http2_link_break(struct http2_link *link);

/* http2_request.c; 0 or ERR_NOMEM. */
int http2_request_new(
	struct http2_link *link, int32_t stream_id, struct http2_request **ret_request);
int http2_request_add_field(struct http2_request *request, const uint8_t *name, size_t name_bytes,
	const uint8_t *value, size_t value_bytes);
/* False: so much more than it may have that the stream is to be ended. */
bool http2_request_add_body(struct http2_request *request, const uint8_t *bytes, size_t len);
/* It is whole: hands it to the handler, or answers it here. */
void http2_request_complete(struct http2_request *request);
/* Its stream is no more: `gone`, and the memory. */
void http2_request_end(struct http2_request *request);

#endif
