#include "world.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct peer_link {
	union peer_handle handle;
	uv_write_t write;
	struct peer *peer;
	struct peer_link *next;
	struct buf input;
	const struct peer_answer *answer; /* being written */
	size_t left;
	bool head_due;
};

static void answer_next(struct peer_link *link);

static void on_link_closed(uv_handle_t *handle)
{
	struct peer_link *link = handle->data, **at = &link->peer->links;

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	link->peer->closed++;
	buf_free(&link->input);
	free(link);
}

static void link_close(struct peer_link *link)
{
	if (!uv_is_closing(&link->handle.any))
		uv_close(&link->handle.any, on_link_closed);
}

static void write_some(struct peer_link *link);

static void on_written(uv_write_t *write, int status)
{
	struct peer_link *link = write->data;

	if (status != 0)
		link_close(link);
	else
		write_some(link);
}

static void write_some(struct peer_link *link)
{
	const struct peer_answer *answer = link->answer;
	const char *text = link->head_due ? answer->head : answer->text;
	size_t len = answer->text_bytes && !link->head_due ? answer->text_bytes : strlen(text);
	uv_buf_t bytes;

	if (link->left == 0 || len == 0) {
		link->answer = NULL;
		if (answer->then == PEER_CLOSE)
			link_close(link);
		else if (answer->then == PEER_RESET)
			uv_tcp_close_reset(&link->handle.tcp, on_link_closed);
		else
			answer_next(link);
		return;
	}
	if (link->head_due)
		link->head_due = false;
	else if (link->left != SIZE_MAX)
		link->left--;
	bytes = uv_buf_init((char *)(uintptr_t)text, (unsigned)len);
	link->write.data = link;
	uv_write(&link->write, &link->handle.stream, &bytes, 1, on_written);
}

static void start_answer(struct peer_link *link)
{
	struct peer *peer = link->peer;
	size_t k = peer->requests < peer->answer_count ? peer->requests : peer->answer_count - 1;

	peer->requests++;
	link->answer = &peer->answers[k];
	link->left = link->answer->repeat ? link->answer->repeat : 1;
	link->head_due = link->answer->head != NULL;
	write_some(link);
}

/* Bytes of a whole request at the start of the input; 0: not there yet. */
static size_t request_length(const struct buf *input)
{
	const char *end = strstr(buf_string(input), "\r\n\r\n");
	const char *length = strcasestr(buf_string(input), "\r\ncontent-length:");
	size_t head, body = 0;

	if (end == NULL)
		return 0;
	head = (size_t)(end + 4 - input->data);
	if (length != NULL && length < end)
		body = (size_t)strtoul(length + 17, NULL, 10);
	return input->len >= head + body ? head + body : 0;
}

static void answer_next(struct peer_link *link)
{
	size_t len = request_length(&link->input);
	struct buf rest = BUF_INIT(1 << 24);

	if (link->answer != NULL || len == 0)
		return;
	buf_clear(&link->peer->request);
	buf_append(&link->peer->request, link->input.data, len);
	buf_append(&rest, link->input.data + len, link->input.len - len);
	buf_free(&link->input);
	link->input = rest;
	start_answer(link);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	static char memory[65536];

	*buf = uv_buf_init(memory, sizeof(memory));
}

static void on_link_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes)
{
	struct peer_link *link = stream->data;

	if (len < 0) {
		link_close(link);
		return;
	}
	buf_append(&link->input, bytes->base, (size_t)len);
	answer_next(link);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct peer *peer = listener->data;
	struct peer_link *link = calloc(1, sizeof(*link));
	size_t k = peer->requests < peer->answer_count ? peer->requests : peer->answer_count - 1;

	assert_non_null(link);
	if (listener->type == UV_NAMED_PIPE)
		uv_pipe_init(listener->loop, &link->handle.pipe, 0);
	else
		uv_tcp_init(listener->loop, &link->handle.tcp);
	link->handle.any.data = link;
	link->peer = peer;
	link->next = peer->links;
	peer->links = link;
	buf_init(&link->input, 1 << 24);
	assert_int_equal(uv_accept(listener, &link->handle.stream), 0);
	peer->connections++;
	uv_read_start(&link->handle.stream, on_alloc, on_link_read);
	if (peer->answers[k].at_once)
		start_answer(link);
}

static void peer_set_up(struct peer *peer, const struct peer_answer *answers, size_t count)
{
	signal(SIGPIPE, SIG_IGN); /* libuv's writes need it; the client's and the server's do not */
	memset(peer, 0, sizeof(*peer));
	peer->answers = answers;
	peer->answer_count = count;
	buf_init(&peer->request, 1 << 24);
}

static void peer_listen(struct peer *peer)
{
	peer->listener.any.data = peer;
	assert_int_equal(uv_listen(&peer->listener.stream, 511, on_connection), 0);
}

void peer_open(
	struct peer *peer, struct world *world, const struct peer_answer *answers, size_t count)
{
	struct sockaddr_in address;
	int len = sizeof(address);

	peer_set_up(peer, answers, count);
	uv_tcp_init(&world->loop, &peer->listener.tcp);
	uv_ip4_addr("127.0.0.1", 0, &address);
	uv_tcp_bind(&peer->listener.tcp, (struct sockaddr *)&address, 0);
	peer_listen(peer);
	uv_tcp_getsockname(&peer->listener.tcp, (struct sockaddr *)&address, &len);
	snprintf(peer->address, sizeof(peer->address), "127.0.0.1:%d", ntohs(address.sin_port));
}

void peer_open_unix(struct peer *peer, struct world *world, const char *path,
	const struct peer_answer *answers, size_t count)
{
	peer_set_up(peer, answers, count);
	uv_pipe_init(&world->loop, &peer->listener.pipe, 0);
	assert_int_equal(uv_pipe_bind(&peer->listener.pipe, path), 0);
	peer_listen(peer);
}

void peer_close_links(struct peer *peer)
{
	for (struct peer_link *link = peer->links; link != NULL; link = link->next)
		link_close(link);
}

void peer_unref_links(struct peer *peer)
{
	for (struct peer_link *link = peer->links; link != NULL; link = link->next)
		uv_unref(&link->handle.any);
}

void peer_close(struct peer *peer)
{
	peer_close_links(peer);
	uv_close(&peer->listener.any, NULL);
	while (peer->links != NULL)
		uv_run(peer->listener.any.loop, UV_RUN_NOWAIT);
	buf_free(&peer->request);
}

static void on_raw_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *bytes)
{
	struct raw *raw = stream->data;

	if (len < 0) {
		raw->ended++;
		uv_read_stop(stream);
		return;
	}
	buf_append(&raw->received, bytes->base, (size_t)len);
	raw->answers = 0;
	for (const char *at = buf_string(&raw->received); (at = strstr(at, "HTTP/1.1 ")); at++)
		raw->answers++;
}

static void on_raw_connected(uv_connect_t *connect, int status)
{
	struct raw *raw = connect->data;

	assert_int_equal(status, 0);
	raw->connected++;
	uv_read_start((uv_stream_t *)&raw->tcp, on_alloc, on_raw_read);
}

void raw_open(struct raw *raw, struct world *world, const char *address)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} to;
	const char *colon = strrchr(address, ':');
	char host[64];

	signal(SIGPIPE, SIG_IGN);
	memset(raw, 0, sizeof(*raw));
	buf_init(&raw->received, 1 << 24);
	if (address[0] == '[') {
		snprintf(host, sizeof(host), "%.*s", (int)(colon - address - 2), address + 1);
		uv_ip6_addr(host, atoi(colon + 1), &to.v6);
	} else {
		snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
		uv_ip4_addr(host, atoi(colon + 1), &to.v4);
	}
	uv_tcp_init(&world->loop, &raw->tcp);
	raw->tcp.data = raw;
	raw->connect.data = raw;
	assert_int_equal(uv_tcp_connect(&raw->connect, &raw->tcp, &to.any, on_raw_connected), 0);
	world_until(world, &raw->connected, 1);
}

struct raw_write {
	uv_write_t write;
	char bytes[];
};

static void on_raw_written(uv_write_t *write, int status)
{
	free(write->data);
}

void raw_send(struct raw *raw, const void *bytes, size_t len)
{
	struct raw_write *write = malloc(sizeof(*write) + len);
	uv_buf_t buf;

	assert_non_null(write);
	memcpy(write->bytes, bytes, len);
	write->write.data = write;
	buf = uv_buf_init(write->bytes, (unsigned)len);
	assert_int_equal(
		uv_write(&write->write, (uv_stream_t *)&raw->tcp, &buf, 1, on_raw_written), 0);
}

void raw_send_string(struct raw *raw, const char *text)
{
	raw_send(raw, text, strlen(text));
}

void raw_shutdown(struct raw *raw)
{
	uv_os_fd_t fd;

	assert_int_equal(uv_fileno((uv_handle_t *)&raw->tcp, &fd), 0);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
}

static void on_raw_closed(uv_handle_t *handle)
{
	struct raw *raw = handle->data;

	raw->connected = 0;
}

void raw_close(struct raw *raw, struct world *world)
{
	uv_close((uv_handle_t *)&raw->tcp, on_raw_closed);
	while (raw->connected)
		uv_run(&world->loop, UV_RUN_NOWAIT);
	buf_free(&raw->received);
}
