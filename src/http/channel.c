/*
 * Connections that carry many requests at once (HTTP/2, RFC 9113).
 *
 * How many a server allows is in its SETTINGS, which libcurl reads and keeps to, but not before
 * they have come: it takes a new connection for one that allows 100. APNs allows one before it has
 * seen a token, and what comes at once with that one is refused, or the connection ended ("Maximum
 * active streams violated"). So the first request of a connection goes alone: the others wait here
 * for its answer. They are kept from libcurl, too, which would open another connection for those
 * that come once the first one's limit is known to be reached. So it does for those that it has
 * already, and lets go on when the first connection is there: they wait from the moment that it is
 * about to open one (channel_may_open()).
 *
 * An answer may take its time, and most servers allow many streams at once: after three seconds one
 * of those that wait is let go to try. libcurl knows the limit by then: where it gives it this
 * connection, there is room, and all go. Where it gives it another one, the others wait on, or each
 * would get a connection of its own, until that one has its answer or the next three seconds are
 * over.
 *
 * libcurl writes a request's headers, then its body, then the next one's headers, and each write
 * would be a segment of its own. What one run of the shard writes is gathered instead: TCP_CORK,
 * tcp(7), from the first request on until the end of the run.
 *
 * A request that the server did not look at is sent again at once: RFC 9113 says so of streams
 * above the last one of a GOAWAY (6.8) and of those that are reset with REFUSED_STREAM (8.7).
 * libcurl has no code for it, but words (channel_words.c). What it does not say that of may have
 * been acted on, and is for the caller to decide.
 *
 * The word of a GOAWAY with an error is not taken. libcurl 7.88 resets each stream once it has
 * ended (unless the answer had a Content-Length); servers count that (CVE-2023-44487), and those
 * made with nghttp2 end a connection after the thousandth: INTERNAL_ERROR, with a last stream above
 * which they have acted on what they had read already.
 */
#include "bunshin/error.h"
#include "http/client_impl.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

/*
 * RFC 9113, 8.7: what is refused again and again is not to be repeated for ever. A connection that
 * goes away after it has done some work is no refusal, but to that there is an end, too.
 */
#define REFUSALS_MAX 3
#define RESENDS_MAX 30
#define HOLD_MS 3000 /* a connection's first answer is waited for, before another request tries */

SSL *channel_tls(const struct http_exchange *exchange)
{
	const struct curl_tlssessioninfo *session = NULL;

	if (exchange->multiplexes != MULTIPLEXES_BY_ALPN ||
		curl_easy_getinfo(exchange->easy, CURLINFO_TLS_SSL_PTR, &session) != CURLE_OK ||
		session == NULL || session->backend != CURLSSLBACKEND_OPENSSL)
		return NULL;
	return session->internals;
}

static bool speaks_http2(const struct http_exchange *exchange)
{
	const SSL *tls = channel_tls(exchange);
	const unsigned char *name = NULL;
	unsigned len = 0;

	if (exchange->multiplexes == MULTIPLEXES_ALWAYS)
		return true;
	if (tls == NULL)
		return false;
	SSL_get0_alpn_selected(tls, &name, &len);
	return len == 2 && memcmp(name, "h2", 2) == 0;
}

/* curl tells where a connection comes from, not which descriptor it is. */
static struct socket *find_socket(const struct shard *shard, int local_port)
{
	const struct http_client *client = shard->client;

	for (size_t i = 0; i < client->socket_capacity; i++) {
		struct socket *socket = client->sockets[i];

		if (socket != NULL && socket->ours && socket->shard == shard &&
			socket->channel == NULL && socket_port(socket->fd) == local_port)
			return socket;
	}
	return NULL;
}

static void drop(struct channel *channel)
{
	if (--channel->refs == 0)
		free(channel);
}

static struct channel *channel_new(struct shard *shard)
{
	struct channel *channel = calloc(1, sizeof(*channel));

	if (channel == NULL)
		return NULL; /* then nothing is known of it, and nothing done */
	channel->shard = shard;
	channel->refs = 1;
	channel->last_stream = INT64_MAX;
	list_init(&channel->waiting);
	list_append(&shard->channels, &channel->node);
	return channel;
}

static struct channel *find(struct shard *shard, int local_port)
{
	list_for_each (node, &shard->channels) {
		struct channel *channel = list_entry(node, struct channel, node);

		if (channel->local_port == local_port)
			return channel;
	}
	return NULL;
}

static void leave_shard(struct channel *channel)
{
	list_remove(&channel->node);
	channel->shard = NULL;
}

void channel_closed(struct socket *socket)
{
	struct channel *channel = socket->channel;

	if (channel == NULL)
		return;
	socket->channel = NULL;
	leave_shard(channel);
	drop(channel);
}

void channels_leave(struct shard *shard)
{
	struct list *node;

	while ((node = list_first(&shard->channels)) != NULL)
		leave_shard(list_entry(node, struct channel, node));
}

/* They go on with the next turn of the loop. */
static void release(struct http_client *client, struct channel *channel)
{
	if (list_is_empty(&channel->waiting))
		return;
	list_splice(&channel->waiting, &client->released);
	if (!client->closing)
		client_start_kick(client);
}

static void release_one(struct http_client *client, struct channel *channel)
{
	struct list *node = list_first(&channel->waiting);

	list_remove(node);
	list_append(&client->released, node);
	client_start_kick(client);
}

static void open_to_all(struct http_client *client, struct channel *channel)
{
	channel->open = true;
	release(client, channel);
}

/* When the next of those that wait at these channels may try: in so many ms; 0: none waits. */
static uint64_t let_try(struct http_client *client, const struct list *channels)
{
	uint64_t now_ms = uv_now(client->loop), next_ms = 0;

	list_for_each (node, channels) {
		struct channel *channel = list_entry(node, struct channel, node);
		uint64_t left_ms;

		if (list_is_empty(&channel->waiting))
			continue;
		if (now_ms - channel->held_ms >= HOLD_MS) {
			channel->tried = true;
			channel->held_ms = now_ms;
			release_one(client, channel);
		}
		left_ms = HOLD_MS - (now_ms - channel->held_ms);
		if (next_ms == 0 || left_ms < next_ms)
			next_ms = left_ms;
	}
	return next_ms;
}

static void on_hold(uv_timer_t *timer)
{
	struct http_client *client = timer->data;
	uint64_t next_ms = 0;

	for (size_t i = 0; i < client->shard_count; i++) {
		uint64_t left_ms = let_try(client, &client->shards[i]->channels);

		if (left_ms > 0 && (next_ms == 0 || left_ms < next_ms))
			next_ms = left_ms;
	}
	if (next_ms > 0)
		uv_timer_start(timer, on_hold, next_ms, 0);
}

static void hold(struct http_exchange *exchange, struct channel *channel)
{
	struct http_client *client = exchange->client;

	if (list_is_empty(&channel->waiting))
		channel->held_ms = uv_now(client->loop);
	list_append(&channel->waiting, &exchange->waiting);
	exchange->turn_due = true;
	if (!uv_is_active((uv_handle_t *)&client->hold))
		uv_timer_start(&client->hold, on_hold, HOLD_MS, 0);
}

/* "https://host:443" of both is the same text. */
static bool is_same_origin(const struct http_exchange *a, const struct http_exchange *b)
{
	const char *text = buf_string(&a->set_url), *host = strstr(text, "//");
	size_t len =
		host != NULL ? (size_t)(host - text) + 2 + strcspn(host + 2, "/?") : a->set_url.len;

	return len < b->set_url.len && memcmp(text, b->set_url.data, len) == 0 &&
	       strchr("/?", b->set_url.data[len]) != NULL;
}

/* One that is not open to it yet; among those, where `tries`, one that nobody has tried. */
static struct channel *find_closed(
	const struct shard *shard, const struct http_exchange *exchange, bool tries)
{
	list_for_each (node, &shard->channels) {
		struct channel *channel = list_entry(node, struct channel, node);

		if (!channel->open && channel->leader != NULL && !(tries && channel->tried) &&
			is_same_origin(channel->leader, exchange))
			return channel;
	}
	return NULL;
}

bool channel_holds(struct shard *shard, struct http_exchange *exchange)
{
	struct channel *channel;

	if (exchange->multiplexes == MULTIPLEXES_NEVER)
		return false;
	channel = find_closed(shard, exchange, false);
	if (channel != NULL)
		hold(exchange, channel);
	return channel != NULL;
}

bool channel_may_open(struct http_exchange *exchange)
{
	struct shard *shard = exchange->shard;
	struct channel *channel;

	if (exchange->multiplexes == MULTIPLEXES_NEVER || exchange->opening != NULL ||
		(exchange->multiplexes == MULTIPLEXES_BY_ALPN && shard->speaks_http1))
		return true;
	if (!list_is_empty(&exchange->waiting))
		return false; /* and curl tries the next address */
	channel = find_closed(shard, exchange, true);
	if (channel != NULL) {
		hold(exchange, channel);
		return false;
	}
	exchange->opening = channel_new(shard);
	if (exchange->opening != NULL)
		exchange->opening->leader = exchange;
	return true;
}

/* It has got another connection, or none, or this one and it speaks HTTP/1.1. */
static void leave_opening(struct http_exchange *exchange)
{
	struct channel *channel = exchange->opening;

	if (channel == NULL)
		return;
	exchange->opening = NULL;
	channel->leader = NULL;
	leave_shard(channel);
	release(exchange->client, channel);
	drop(channel);
}

/* The connection that was just opened is that channel. */
static struct channel *bind_channel(struct http_exchange *exchange, int local_port)
{
	struct socket *socket = find_socket(exchange->shard, local_port);
	struct channel *channel = exchange->opening;

	if (socket == NULL)
		return NULL;
	if (channel == NULL)
		channel = channel_new(exchange->shard);
	if (channel == NULL)
		return NULL;
	exchange->opening = NULL;
	channel->leader = NULL;
	channel->local_port = local_port;
	channel->fd = socket->fd;
	socket->channel = channel;
	words_watch(exchange, channel);
	return channel;
}

static struct channel *find_or_bind(struct http_exchange *exchange, int local_port)
{
	struct shard *shard = exchange->shard;
	struct channel *channel = find(shard, local_port);

	if (channel == NULL) {
		shard->speaks_http1 = !speaks_http2(exchange);
		if (!shard->speaks_http1)
			channel = bind_channel(exchange, local_port);
	}
	leave_opening(exchange);
	return channel;
}

/* Without it, it is only slower. */
static void cork(struct channel *channel, bool on)
{
	int value = on;

	if (channel->corked != on)
		setsockopt(channel->fd, IPPROTO_TCP, TCP_CORK, &value, sizeof(value));
	channel->corked = on;
}

void channels_after_run(const struct shard *shard)
{
	list_for_each (node, &shard->channels) {
		struct channel *channel = list_entry(node, struct channel, node);

		cork(channel, false);
		words_listen(channel);
	}
}

bool channel_enter(struct http_exchange *exchange, int local_port)
{
	struct channel *channel;

	if (exchange->multiplexes == MULTIPLEXES_NEVER)
		return true;
	channel = find_or_bind(exchange, local_port);
	if (channel == NULL)
		return true;
	if (!channel->open && channel->leader != NULL) {
		if (!channel->tried) {
			hold(exchange, channel);
			return false;
		}
		open_to_all(exchange->client, channel);
	}
	if (!channel->open)
		channel->leader = exchange;
	channel->refs++;
	channel->streams++;
	exchange->channel = channel;
	cork(channel, true);
	words_begin(exchange);
	return true;
}

/* One that tried has its answer on this channel: there is room for those that wait at others. */
static void open_those_tried(const struct channel *channel, const struct http_exchange *leader)
{
	list_for_each (node, &channel->shard->channels) {
		struct channel *other = list_entry(node, struct channel, node);

		if (!other->open && other->tried && other->leader != NULL &&
			is_same_origin(other->leader, leader))
			open_to_all(leader->client, other);
	}
}

static void lose_leader(struct http_exchange *leader, struct channel *channel)
{
	channel->leader = NULL;
	channel->open |= leader->headers_complete;
	release(leader->client, channel);
	if (channel->open && channel->shard != NULL)
		open_those_tried(channel, leader);
}

void channel_leave(struct http_exchange *exchange)
{
	struct channel *channel = exchange->channel;

	list_remove(&exchange->waiting);
	leave_opening(exchange);
	if (channel == NULL)
		return;
	words_end(exchange);
	exchange->channel = NULL;
	channel->streams--;
	if (channel->leader == exchange)
		lose_leader(exchange, channel);
	drop(channel);
}

void channels_count(const struct shard *shard)
{
	list_for_each (node, &shard->channels) {
		const struct channel *channel = list_entry(node, struct channel, node);

		if (channel->streams > shard->client->most_streams)
			shard->client->most_streams = channel->streams;
	}
}

bool channel_is_unprocessed(const struct http_exchange *exchange)
{
	const struct channel *channel = exchange->channel;

	if (channel == NULL || exchange->answer_header_bytes > 0)
		return false;
	if (exchange->stream_id == 0)
		return exchange->client->tells_streams; /* it was not begun */
	return !channel->failed &&
	       (exchange->refused || exchange->stream_id > channel->last_stream);
}

bool channel_may_resend(const struct http_exchange *exchange, CURLcode result)
{
	return result != CURLE_OPERATION_TIMEDOUT && result != CURLE_OUT_OF_MEMORY &&
	       exchange->refusals < REFUSALS_MAX && exchange->resends < RESENDS_MAX &&
	       channel_is_unprocessed(exchange);
}

/* Its connection goes away, and has done something before. */
static bool goes_away(const struct channel *channel)
{
	return channel->last_stream > 0 && channel->last_stream < INT64_MAX;
}

void channel_resend(struct http_exchange *exchange)
{
	exchange->client->requests_refused++;
	exchange->resends++;
	exchange->refusals += !goes_away(exchange->channel);
	exchange->sends = 0;
	exchange->begins_anew = false;
	exchange->refused = false;
	channel_leave(exchange);
}
