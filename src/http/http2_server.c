#include "bunshin/error.h"
#include "http/http2_server_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_BODY_DEFAULT ((size_t)2 << 20)
#define HEADER_MEMORY_DEFAULT ((size_t)32 << 10)
#define MAX_CONNECTIONS_DEFAULT 10000
#define MAX_STREAMS_DEFAULT 100
#define IDLE_TIMEOUT_DEFAULT_S 75
#define IDLE_CHECK_MS 1000
#define BACKLOG 1024

static void on_handle_closed(uv_handle_t *handle)
{
	struct http2_server *server = handle->data;

	if (--server->open_handles > 0)
		return;
	http2_tls_context_free(server->tls);
	free(server->goaway_data);
	free(server);
}

static void on_connection(uv_stream_t *listener, int status)
{
	struct http2_server *server = listener->data;

	server->full = server->link_count >= server->options.max_connections;
	if (status == 0 && !server->full)
		http2_link_accept(server);
}

void http2_server_link_closed(struct http2_server *server)
{
	server->link_count--;
	if (server->full && !server->closing) {
		server->full = false;
		http2_link_accept(server); /* libuv calls again for the next only after this one */
	}
	on_handle_closed((uv_handle_t *)&server->listener);
}

void http2_server_on_kick(uv_idle_t *kick)
{
	struct http2_server *server = kick->data;

	uv_idle_stop(kick);
	/* `gone` may break others: then it is kicked again. */
	list_for_each_safe (node, &server->links) {
		struct http2_link *link = list_entry(node, struct http2_link, node);

		if (link->broken)
			http2_link_close(link);
	}
}

static bool waits_for_an_answer(const struct http2_link *link)
{
	list_for_each (node, &link->requests)
		if (list_entry(node, struct http2_request, node)->state == HTTP2_HANDED)
			return true;
	return false;
}

static void on_idle(uv_timer_t *timer)
{
	struct http2_server *server = timer->data;
	uint64_t now_ms = uv_now(server->loop);

	list_for_each_safe (node, &server->links) {
		struct http2_link *link = list_entry(node, struct http2_link, node);

		if (now_ms - link->active_ms >= server->options.idle_timeout_s * 1000 &&
			!waits_for_an_answer(link))
			http2_link_close(link);
	}
}

static int set_options(struct http2_server *server, const struct http2_server_options *given,
	char *error, size_t error_bytes)
{
	struct http2_server_options *options = &server->options;

	*options = *given;
	if (options->max_body_bytes == 0)
		options->max_body_bytes = MAX_BODY_DEFAULT;
	if (options->header_memory_bytes == 0)
		options->header_memory_bytes = HEADER_MEMORY_DEFAULT;
	if (options->max_connections == 0)
		options->max_connections = MAX_CONNECTIONS_DEFAULT;
	if (options->idle_timeout_s == 0)
		options->idle_timeout_s = IDLE_TIMEOUT_DEFAULT_S;
	if (options->max_streams == 0)
		options->max_streams = MAX_STREAMS_DEFAULT;
	if (options->first_streams == 0 || options->first_streams > options->max_streams)
		options->first_streams = options->max_streams;
	if (given->goaway_data != NULL &&
		(server->goaway_data = strdup(given->goaway_data)) == NULL)
		return ERR_NOMEM;
	if (given->certificate == NULL)
		return 0;
	return http2_tls_context_new(
		given->certificate, given->key, error, error_bytes, &server->tls);
}

static int listen_on(struct http2_server *server, const char *text, char *error, size_t error_bytes)
{
	int fd, family, err = listen_open(text, &fd, &family, server->address);

	if (err == 0 && uv_tcp_open(&server->listener, fd) != 0) {
		close(fd);
		err = ERR_IO;
	}
	if (err == 0 && uv_listen((uv_stream_t *)&server->listener, BACKLOG, on_connection) != 0)
		err = ERR_IO;
	if (err != 0)
		snprintf(error, error_bytes, "cannot listen on %s: %s", text,
			err == ERR_IO ? strerror(errno) : error_message(err));
	return err;
}

int http2_server_new(uv_loop_t *loop, const struct http2_server_options *options, char *error,
	size_t error_bytes, struct http2_server **ret_server)
{
	struct http2_server *server = calloc(1, sizeof(*server));
	int err;

	if (server == NULL)
		return ERR_NOMEM;
	server->loop = loop;
	list_init(&server->links);
	uv_tcp_init(loop, &server->listener);
	server->listener.data = server;
	uv_timer_init(loop, &server->idle);
	server->idle.data = server;
	uv_idle_init(loop, &server->kick);
	server->kick.data = server;
	server->open_handles = 3;
	err = set_options(server, options, error, error_bytes);
	if (err == 0)
		err = listen_on(server, options->listen, error, error_bytes);
	if (err != 0) {
		http2_server_close(server);
		return err;
	}
	uv_timer_start(&server->idle, on_idle, IDLE_CHECK_MS, IDLE_CHECK_MS);
	uv_unref((uv_handle_t *)&server->idle);
	*ret_server = server;
	return 0;
}

const char *http2_server_address(const struct http2_server *server)
{
	return server->address;
}

void http2_server_totals(const struct http2_server *server, struct http2_server_totals *ret_totals)
{
	*ret_totals = server->totals;
}

void http2_server_close(struct http2_server *server)
{
	struct list *node;

	if (server == NULL || server->closing)
		return;
	server->closing = true;
	while ((node = list_first(&server->links)) != NULL)
		http2_link_close(list_entry(node, struct http2_link, node));
	uv_close((uv_handle_t *)&server->listener, on_handle_closed);
	uv_close((uv_handle_t *)&server->idle, on_handle_closed);
	uv_close((uv_handle_t *)&server->kick, on_handle_closed);
}
