/*
 * What the HTTP tests share: a loop, the client and the server on it, a scripted peer that breaks
 * every rule, and a raw connection that sends any bytes.
 */
#ifndef TESTS_HTTP_WORLD_H
#define TESTS_HTTP_WORLD_H

#include "base/buf.h"
#include "http/client.h"
#include "http/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include <cmocka.h>

/* What came of an exchange, copied. */
struct outcome {
	unsigned calls; /* of `done` */
	unsigned departures;
	int err;
	int status;
	bool sent;
	bool stale;
	char *body;
	size_t body_bytes;
	char detail[256];
	char header[256]; /* the answer header named by header_name */
	const char *header_name;
};

struct world {
	uv_loop_t loop;
	uv_timer_t tick; /* see world_until() */
	struct http_client *client;
	struct http_server *server;
	struct outcome last; /* of world_request() */
	unsigned handled;    /* requests that the server's handler saw */
};

/* Fresh loop; NULL options: the client's defaults. Neither server nor client when not asked for. */
void world_open(struct world *world);
void world_client(struct world *world, const struct http_client_options *options);
void world_server(struct world *world, const struct http_server_options *options);
/* An answer of status 200 and the request's body; "/status/N" sets another status. */
void world_echo_server(struct world *world);
void world_echo(void *arg, struct http_call *call);
/* Closes all there is and demands that the loop has nothing left. */
void world_close(struct world *world);

/* Turns the loop until *counter reaches the number. */
void world_until(struct world *world, const unsigned *counter, unsigned number);
/* Turns the loop until nothing is ready any more, without waiting. */
void world_settle(struct world *world);

void outcome_done(void *arg, struct http_exchange *exchange, const struct http_response *response);
/* For http_exchange_tell_departure(). */
void outcome_departs(void *outcome);
void outcome_free(struct outcome *outcome);
/* "http://ADDRESS" and the path, into the exchange's URL. */
struct http_exchange *world_exchange(struct world *world, const char *address, const char *path);
/* One request, waited for; the outcome is in world->last. body NULL: GET. */
void world_request(struct world *world, const char *address, const char *path, const char *body);

/* One answer of the scripted peer, given to one request. */
struct peer_answer {
	const char *head; /* once, before the text; NULL: nothing */
	const char *text;
	size_t text_bytes; /* 0: strlen(text) */
	size_t repeat;	   /* how often; 0 is once, SIZE_MAX without end */
	enum { PEER_KEEP, PEER_CLOSE, PEER_RESET } then;
	bool at_once; /* when the connection opens, without waiting for a request */
};

union peer_handle {
	uv_handle_t any;
	uv_stream_t stream;
	uv_tcp_t tcp;
	uv_pipe_t pipe;
};

struct peer {
	union peer_handle listener;
	const struct peer_answer *answers; /* the k-th to the k-th request; the last one repeats */
	size_t answer_count;
	unsigned connections, requests, closed;
	char address[64];   /* of a TCP one */
	struct buf request; /* the last one, head and body */
	struct peer_link *links;
};

void peer_open(
	struct peer *peer, struct world *world, const struct peer_answer *answers, size_t count);
/* On a socket at that path, whatever host the request is for. */
void peer_open_unix(struct peer *peer, struct world *world, const char *path,
	const struct peer_answer *answers, size_t count);
/* Closes every open connection from the peer's side. */
void peer_close_links(struct peer *peer);
/* From now on its connections are no reason for the loop to go on. */
void peer_unref_links(struct peer *peer);
void peer_close(struct peer *peer);

/* A client without manners. */
struct raw {
	uv_tcp_t tcp;
	uv_connect_t connect;
	struct buf received;
	unsigned connected, ended; /* ended: by the other side */
	unsigned answers;	   /* status lines seen */
};

void raw_open(struct raw *raw, struct world *world, const char *address);
void raw_send(struct raw *raw, const void *bytes, size_t len);
void raw_send_string(struct raw *raw, const char *text);
void raw_shutdown(struct raw *raw);
void raw_close(struct raw *raw, struct world *world);

#endif
