#include "http2_peer.h"
#include "tcp_segments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	PREFACE_BYTES = 24,
	FRAME_HEAD_BYTES = 9,
	BUFFER_BYTES = 1 << 20,
	LATER_MS = 2,
	ACK = 1,
	END_STREAM = 1,
};

enum { DATA = 0, HEADERS = 1, RST_STREAM = 3, SETTINGS = 4, PING = 6, GOAWAY = 7 };
enum { INTERNAL_ERROR = 2, REFUSED_STREAM = 7 };

struct http2_peer_link {
	struct http2_peer_link *next;
	struct http2_peer *peer;
	uv_tcp_t tcp;
	uv_timer_t later;
	uv_shutdown_t shutdown;
	unsigned handles;
	struct http2_tls *tls;
	struct buf in, out;
	bool greeted, warm, closed;
	unsigned number;
	struct {
		uint32_t id;
		char letter;
	} batch[BATCH];
	unsigned batch_count;
	char read[4096];
};

static void put_frame(struct http2_peer_link *link, int type, int flags, uint32_t stream,
	const void *payload, size_t len)
{
	const char head[FRAME_HEAD_BYTES] = {(char)(len >> 16), (char)(len >> 8), (char)len,
		(char)type, (char)flags, (char)(stream >> 24), (char)(stream >> 16),
		(char)(stream >> 8), (char)stream};
	char whole[64];

	assert_true(sizeof(head) + len <= sizeof(whole));
	memcpy(whole, head, sizeof(head));
	if (len > 0)
		memcpy(whole + sizeof(head), payload, len);
	if (link->tls != NULL)
		assert_int_equal(
			http2_tls_write(link->tls, whole, sizeof(head) + len, &link->out), 0);
	else
		buf_append(&link->out, whole, sizeof(head) + len);
}

/* All of it in one piece, and the client reads no half of it: loopback takes that much. */
static void send_out(struct http2_peer_link *link)
{
	uv_buf_t bytes = uv_buf_init(link->out.data, (unsigned)link->out.len);

	if (link->out.len > 0 && !link->closed)
		uv_try_write((uv_stream_t *)&link->tcp, &bytes, 1);
	buf_clear(&link->out);
}

static void on_closed(uv_handle_t *handle)
{
	struct http2_peer_link *link = handle->data;

	if (--link->handles > 0)
		return;
	http2_tls_free(link->tls);
	buf_free(&link->in);
	buf_free(&link->out);
	link->peer->open--;
	free(link);
}

static void link_close(struct http2_peer_link *link, bool reset)
{
	struct http2_peer_link **at = &link->peer->links;

	if (link->closed)
		return;
	link->closed = true;
	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	uv_close((uv_handle_t *)&link->later, on_closed);
	if (!reset || uv_tcp_close_reset(&link->tcp, on_closed) != 0)
		uv_close((uv_handle_t *)&link->tcp, on_closed);
}

static void answer(struct http2_peer_link *link, uint32_t stream)
{
	static const char status_200[] = "\x88"; /* HPACK, static table */

	put_frame(link, HEADERS, 4 | END_STREAM, stream, status_200, 1);
}

static void reset_stream(struct http2_peer_link *link, uint32_t stream, char code)
{
	const char payload[4] = {0, 0, 0, code};

	put_frame(link, RST_STREAM, 0, stream, payload, sizeof(payload));
}

static void go_away(struct http2_peer_link *link, uint32_t last)
{
	const char payload[8] = {(char)(last >> 24), (char)(last >> 16), (char)(last >> 8),
		(char)last, 0, 0, 0, link->peer->script.broken ? INTERNAL_ERROR : 0};

	put_frame(link, GOAWAY, 0, 0, payload, sizeof(payload));
}

static void on_shut_down(uv_shutdown_t *shutdown, int status)
{
}

static void finish(struct http2_peer_link *link)
{
	send_out(link);
	if (link->peer->script.end == END_RESET)
		link_close(link, true);
	else if (link->peer->script.end == END_CLOSE) /* and waits for the client to do so */
		uv_shutdown(&link->shutdown, (uv_stream_t *)&link->tcp, on_shut_down);
}

static unsigned acted_on(const struct script *script)
{
	return script->goaway >= 0 && !script->broken ? (unsigned)script->goaway : BATCH;
}

static void on_later(uv_timer_t *timer)
{
	struct http2_peer_link *link = timer->data;

	for (unsigned i = 0; i < acted_on(&link->peer->script); i++)
		if (link->peer->script.deeds[i] == DEED_LATER)
			answer(link, link->batch[i].id);
	finish(link);
}

/* Returns whether there is a second piece. */
static bool do_deed(struct http2_peer_link *link, unsigned i)
{
	switch (link->peer->script.deeds[i]) {
	case DEED_ANSWER:
		answer(link, link->batch[i].id);
		break;
	case DEED_REFUSE:
		reset_stream(link, link->batch[i].id, REFUSED_STREAM);
		break;
	case DEED_INTERNAL:
		reset_stream(link, link->batch[i].id, INTERNAL_ERROR);
		break;
	default:
		return true;
	}
	return false;
}

static void play(struct http2_peer_link *link)
{
	struct http2_peer *peer = link->peer;
	unsigned acted = acted_on(&peer->script);
	bool later = false;

	for (unsigned i = 0; i < BATCH; i++) {
		int at = link->batch[i].letter - 'a';

		peer->above[at] = i >= acted;
		peer->deed[at] = peer->script.deeds[i];
	}
	if (peer->script.goaway >= 0) /* 1 was the first */
		go_away(link,
			peer->script.goaway > 0 ? link->batch[peer->script.goaway - 1].id : 1);
	for (unsigned i = 0; i < acted; i++)
		later |= do_deed(link, i);
	if (!later) {
		finish(link);
		return;
	}
	send_out(link);
	uv_timer_start(&link->later, on_later, LATER_MS, 0);
}

static unsigned segments_of(const struct http2_peer_link *link)
{
	uv_os_fd_t fd;

	assert_int_equal(uv_fileno((const uv_handle_t *)&link->tcp, &fd), 0);
	return tcp_data_segments(fd);
}

static void take_request(struct http2_peer_link *link, uint32_t stream, char letter)
{
	struct http2_peer *peer = link->peer;
	int at = letter - 'a';

	if (link->number == 0 && letter < 'a')
		peer->segments = segments_of(link);
	if (link->number == 0 && letter >= 'a' && link->batch_count == BATCH - 1)
		peer->segments = segments_of(link) - peer->segments;

	if (link->number == 0 && letter >= 'a') {
		assert_in_range(at, 0, BATCH - 1);
		assert_true(link->batch_count < BATCH);
		peer->arrivals[at]++;
		link->batch[link->batch_count].id = stream;
		link->batch[link->batch_count++].letter = letter;
		if (link->batch_count == BATCH)
			play(link);
		return;
	}
	if (letter >= 'a') {
		peer->arrivals[at]++;
		peer->repeated |= !peer->above[at] && peer->deed[at] != DEED_REFUSE;
	}
	answer(link, stream);
}

static void take_frame(struct http2_peer_link *link, int type, int flags, uint32_t stream,
	const char *payload, size_t len)
{
	if (type == SETTINGS && (flags & ACK) == 0)
		put_frame(link, SETTINGS, ACK, 0, NULL, 0);
	else if (type == PING && (flags & ACK) == 0)
		put_frame(link, PING, ACK, 0, payload, len);
	else if (type == DATA && (flags & END_STREAM) != 0 && len == 1)
		take_request(link, stream, payload[0]);
}

static void take_frames(struct http2_peer_link *link)
{
	size_t at = 0;

	if (!link->greeted) {
		if (link->in.len < PREFACE_BYTES)
			return;
		link->greeted = true;
		at = PREFACE_BYTES;
		put_frame(link, SETTINGS, 0, 0, NULL, 0);
	}
	while (!link->closed && link->in.len - at >= FRAME_HEAD_BYTES) {
		const unsigned char *head = (const unsigned char *)link->in.data + at;
		size_t len = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];

		if (link->in.len - at < FRAME_HEAD_BYTES + len)
			break;
		take_frame(link, head[3], head[4],
			(uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 | (uint32_t)head[7] << 8 |
				head[8],
			(const char *)head + FRAME_HEAD_BYTES, len);
		at += FRAME_HEAD_BYTES + len;
	}
	memmove(link->in.data, link->in.data + at, link->in.len - at);
	buf_truncate(&link->in, link->in.len - at);
}

static void take(struct http2_peer_link *link, const char *bytes, size_t len)
{
	char plain[16 << 10];
	long n;

	if (link->tls == NULL) {
		buf_append(&link->in, bytes, len);
	} else {
		if (http2_tls_take(link->tls, bytes, len, &link->out) != 0) {
			link_close(link, false);
			return;
		}
		while ((n = http2_tls_read(link->tls, plain, sizeof(plain), &link->out)) > 0)
			buf_append(&link->in, plain, (size_t)n);
	}
	take_frames(link);
	send_out(link);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
	struct http2_peer_link *link = handle->data;

	*ret_buf = uv_buf_init(link->read, sizeof(link->read));
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	struct http2_peer_link *link = stream->data;

	if (len < 0)
		link_close(link, false);
	else if (len > 0)
		take(link, buf->base, (size_t)len);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct http2_peer *peer = listener->data;
	struct http2_peer_link *link = calloc(1, sizeof(*link));

	assert_non_null(link);
	link->peer = peer;
	link->number = peer->connections++;
	link->next = peer->links;
	peer->links = link;
	peer->open++;
	buf_init(&link->in, BUFFER_BYTES);
	buf_init(&link->out, BUFFER_BYTES);
	if (peer->tls != NULL)
		assert_non_null(link->tls = http2_tls_new(peer->tls));
	uv_tcp_init(&peer->world->loop, &link->tcp);
	link->tcp.data = link;
	uv_timer_init(&peer->world->loop, &link->later);
	link->later.data = link;
	link->handles = 2;
	assert_int_equal(uv_accept(listener, (uv_stream_t *)&link->tcp), 0);
	uv_tcp_nodelay(&link->tcp, 1);
	uv_read_start((uv_stream_t *)&link->tcp, on_alloc, on_read);
}

void http2_peer_open(struct http2_peer *peer, struct world *world, const struct script *script,
	struct http2_tls_context *tls)
{
	struct sockaddr_in name;
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
	} address;
	int len = sizeof(address);

	memset(peer, 0, sizeof(*peer));
	peer->world = world;
	peer->script = *script;
	peer->tls = tls;
	assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &name), 0);
	uv_tcp_init(&world->loop, &peer->listener);
	peer->listener.data = peer;
	address.v4 = name;
	assert_int_equal(uv_tcp_bind(&peer->listener, &address.any, 0), 0);
	assert_int_equal(uv_listen((uv_stream_t *)&peer->listener, 64, on_connection), 0);
	assert_int_equal(uv_tcp_getsockname(&peer->listener, &address.any, &len), 0);
	snprintf(peer->address, sizeof(peer->address), "%s:%d", tls ? "localhost" : "127.0.0.1",
		ntohs(address.v4.sin_port));
}

void http2_peer_close(struct http2_peer *peer)
{
	while (peer->links != NULL)
		link_close(peer->links, false);
	uv_close((uv_handle_t *)&peer->listener, NULL);
	while (peer->open > 0)
		uv_run(&peer->world->loop, UV_RUN_ONCE);
}
