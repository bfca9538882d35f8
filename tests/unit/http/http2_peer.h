/*
 * A server that plays a script of HTTP/2 frames: it answers the first request of its first
 * connection, waits for a batch of others, does with each what the script says, in one piece, and
 * ends. Requests of later connections are answered. A request is known by its body, one letter.
 */
#ifndef TESTS_HTTP_HTTP2_PEER_H
#define TESTS_HTTP_HTTP2_PEER_H

#include "http/http2_tls.h"
#include "world.h"

enum { BATCH = 4 };

enum deed {
	DEED_ANSWER,
	DEED_LATER,    /* answered in a second piece */
	DEED_REFUSE,   /* RST_STREAM, REFUSED_STREAM */
	DEED_INTERNAL, /* RST_STREAM, INTERNAL_ERROR: it may have been acted on */
	DEED_COUNT,
};

struct script {
	enum deed deeds[BATCH]; /* in the order of arrival */
	int goaway;		/* so many of the batch are acted on; -1: no GOAWAY */
	bool broken; /* it has INTERNAL_ERROR, and the others are acted on nevertheless */
	enum { END_KEEP, END_CLOSE, END_RESET, END_COUNT } end;
};

struct http2_peer {
	uv_tcp_t listener;
	struct world *world;
	struct http2_tls_context *tls; /* NULL: clear */
	struct script script;
	unsigned connections, open;
	enum deed deed[BATCH]; /* what was done, by letter from 'a' on */
	bool above[BATCH];     /* nothing was done: it is above the GOAWAY's last */
	unsigned arrivals[BATCH];
	unsigned segments; /* of TCP, with data, from the first request to the batch's last */
	bool repeated;	   /* a request has come though it may have been acted on before */
	char address[64];
	struct http2_peer_link *links;
};

void http2_peer_open(struct http2_peer *peer, struct world *world, const struct script *script,
	struct http2_tls_context *tls);
void http2_peer_close(struct http2_peer *peer);

#endif
