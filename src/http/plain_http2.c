/*
 * HTTP/2 on plain connections with libcurl before 8.1.
 *
 * It begins HTTP/2 anew for each request with prior knowledge, also on a connection that speaks it
 * already, and that request fails ("Error in the HTTP2 framing layer"; its own tool does too). So
 * only the first request of a connection may have that option. The others have the one that asks
 * for an upgrade, which is no upgrade on a connection that speaks HTTP/2.
 *
 * Which of both a request is turns out when curl has a connection for it. One that was set up as
 * the other is stopped there, before a byte of it is sent, and starts again as what it is.
 */
#include "bunshin/error.h"
#include "http/client_impl.h"

/* Connections that come and go while one request looks for its own: it then gets one for itself. */
#define TURNS_MAX 4

static int set_way(struct http_exchange *exchange, bool first, bool alone)
{
	SET(exchange->easy, CURLOPT_HTTP_VERSION,
		first ? (long)CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE : (long)CURL_HTTP_VERSION_2_0);
	SET(exchange->easy, CURLOPT_FRESH_CONNECT, (long)alone);
	SET(exchange->easy, CURLOPT_FORBID_REUSE, (long)alone);
	exchange->begins_http2 = first;
	return 0;
}

int plain_http2_set(struct http_exchange *exchange, const struct shard *shard)
{
	exchange->turns = 0;
	exchange->wrong_way = false;
	return exchange->plain_http2 ? set_way(exchange, !shard->speaks_http2, false) : 0;
}

bool plain_http2_may_send(struct http_exchange *exchange)
{
	if (!exchange->plain_http2)
		return true;
	exchange->wrong_way = exchange->begins_http2 == exchange->reused;
	exchange->turn_due = exchange->wrong_way;
	/* The guess for the next: what came of this one. */
	exchange->shard->speaks_http2 = exchange->reused || exchange->begins_http2;
	return !exchange->wrong_way;
}

int plain_http2_turn(struct http_exchange *exchange)
{
	bool alone;

	if (!exchange->plain_http2)
		return 0;
	if (!exchange->wrong_way)
		return set_way(exchange, !exchange->shard->speaks_http2, false);
	exchange->wrong_way = false;
	alone = ++exchange->turns >= TURNS_MAX;
	return set_way(exchange, alone || !exchange->begins_http2, alone);
}
