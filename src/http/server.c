#include "http/server.h"

#include "base/buf.h"
#include "base/list.h"
#include "bunshin/error.h"
#include "http/call.h"
#include "http/listen.h"

#include <fcntl.h>
#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_BODY_DEFAULT ((size_t)2 << 20)
#define MAX_CONNECTIONS_DEFAULT 10000
#define IDLE_TIMEOUT_DEFAULT_S 75
/* Past it libmicrohttpd answers 431 itself. */
#define HEADER_MEMORY_DEFAULT ((size_t)32 << 10)
/*
 * An oversized body is read and dropped so far past the limit, because closing a socket with
 * unread bytes resets it, and a reset can overtake the 413 on its way to the client.
 */
#define OVERSIZE_DRAIN_BYTES ((size_t)4 << 20)
/* Idle calls kept for reuse, and the largest body buffer that is kept with one. */
#define IDLE_CALLS_MAX 256
#define IDLE_BODY_BYTES ((size_t)64 << 10)
/* Turns of libmicrohttpd in a row before the rest of the loop gets its turn. */
#define RUNS_MAX 4

enum call_state {
	CALL_READING, /* the request is still arriving */
	CALL_HANDED,  /* the handler has it and has not answered */
	CALL_REPLIED, /* `response` is set, or queued already */
	CALL_ABORTED, /* to be cut without an answer */
};

struct request {
	struct http_call base;
	struct list node; /* in the server's handed list, or its idle list */
	struct http_server *server;
	struct MHD_Connection *connection;
	const char *method, *path; /* libmicrohttpd's, good until the request is completed */
	struct buf body;
	size_t dropped_bytes; /* of an oversized body */
	enum call_state state;
	bool suspended;
	int status;
	struct MHD_Response *response; /* not queued yet */
};

static const struct http_call_ops call_ops;

static struct request *request_of(struct http_call *call)
{
	return (struct request *)(void *)call; /* it begins with it */
}

static const struct request *request_of_const(const struct http_call *call)
{
	return (const struct request *)(const void *)call;
}

struct http_server {
	struct MHD_Daemon *daemon;
	uv_poll_t poll;	  /* the daemon's epoll descriptor */
	uv_timer_t timer; /* its idle time-outs */
	uv_idle_t kick;	  /* a turn is due: without a thread of its own the daemon wakes nobody */
	unsigned open_handles;
	unsigned connections; /* after the last turn */
	bool closing;
	bool borrowed; /* the listening socket is */
	struct list handed;
	struct list idle;
	size_t idle_count;
	size_t max_body_bytes;
	http_handler *handler;
	void *arg;
	char address[LISTEN_TEXT_MAX];
};

static struct request *call_new(struct http_server *server)
{
	struct list *node = list_first(&server->idle);
	struct request *call;

	if (node != NULL) {
		list_remove(node);
		server->idle_count--;
		call = list_entry(node, struct request, node);
	} else {
		call = calloc(1, sizeof(*call));
		if (call == NULL)
			return NULL;
		list_init(&call->node);
		buf_init(&call->body, server->max_body_bytes);
		call->base.ops = &call_ops;
		call->server = server;
	}
	call->state = CALL_READING;
	return call;
}

static void call_free(struct request *call)
{
	buf_free(&call->body);
	free(call);
}

/* Back to the idle list, blank. */
static void call_release(struct request *call)
{
	struct http_server *server = call->server;
	struct buf body = call->body;

	list_remove(&call->node);
	if (call->response != NULL)
		MHD_destroy_response(call->response);
	if (server->closing || server->idle_count >= IDLE_CALLS_MAX) {
		call_free(call);
		return;
	}
	if (body.capacity > IDLE_BODY_BYTES)
		buf_free(&body);
	buf_clear(&body);
	*call = (struct request){.base.ops = &call_ops, .server = server, .body = body};
	list_init(&call->node);
	list_prepend(&server->idle, &call->node);
	server->idle_count++;
}

static void server_run(struct http_server *server);

static void on_kick(uv_idle_t *kick)
{
	uv_idle_stop(kick);
	server_run(kick->data);
}

/* Lets libmicrohttpd call the access handler again, which then settles the call. */
static void call_wake(struct request *call)
{
	struct http_server *server = call->server;

	if (!call->suspended || server->closing)
		return;
	MHD_resume_connection(call->connection);
	uv_idle_start(&server->kick, on_kick);
}

/* The end of each turn of the access handler: what the state asks of libmicrohttpd. */
static enum MHD_Result call_settle(struct request *call)
{
	enum MHD_Result queued;

	switch (call->state) {
	case CALL_HANDED:
		call->suspended = true;
		MHD_suspend_connection(call->connection);
		return MHD_YES;
	case CALL_REPLIED:
		if (call->response == NULL)
			return MHD_YES;
		queued = MHD_queue_response(
			call->connection, (unsigned)call->status, call->response);
		MHD_destroy_response(call->response);
		call->response = NULL;
		return queued;
	case CALL_READING:
	case CALL_ABORTED:
		break;
	}
	return MHD_NO;
}

static void reply_too_large(struct request *call)
{
	static const char text[] = "the request body is larger than this server takes\n";

	call->state = CALL_HANDED;
	http_call_reply(&call->base, &(struct http_reply){.status = MHD_HTTP_CONTENT_TOO_LARGE,
					     .content_type = "text/plain",
					     .body = text,
					     .body_bytes = sizeof(text) - 1,
					     .close = true});
}

/* The headers have arrived. */
static enum MHD_Result call_begin(struct request *call)
{
	size_t limit = call->server->max_body_bytes;
	const char *text = http_call_header(&call->base, "Content-Length");
	unsigned long long length;

	if (text == NULL)
		return MHD_YES;
	length = strtoull(text, NULL, 10); /* libmicrohttpd has refused what is not a number */
	if (length <= limit) {
		if (length > 0 && buf_reserve(&call->body, length) == NULL)
			return MHD_NO;
		return MHD_YES;
	}
	if (length <= limit + OVERSIZE_DRAIN_BYTES)
		return MHD_YES; /* answered once it has been read and dropped */
	reply_too_large(call);
	return call_settle(call);
}

static enum MHD_Result call_add_body(struct request *call, const char *bytes, size_t len)
{
	if (call->dropped_bytes == 0 && len <= call->server->max_body_bytes - call->body.len)
		return buf_append(&call->body, bytes, len) == 0 ? MHD_YES : MHD_NO;
	call->dropped_bytes += len;
	return call->dropped_bytes <= OVERSIZE_DRAIN_BYTES ? MHD_YES : MHD_NO;
}

/*
 * libmicrohttpd calls this when the headers are there (no call yet), for each piece of the body,
 * and at the end of the request; after a resume it repeats the last.
 */
static enum MHD_Result on_access(void *arg, struct MHD_Connection *connection, const char *url,
	const char *method, const char *version, const char *bytes, size_t *len, void **request)
{
	struct http_server *server = arg;
	struct request *call = *request;

	if (call == NULL) {
		call = call_new(server);
		if (call == NULL)
			return MHD_NO;
		call->connection = connection;
		call->method = method;
		call->path = url;
		*request = call;
		return call_begin(call);
	}
	if (*len > 0) {
		size_t taken = *len;

		*len = 0;
		return call_add_body(call, bytes, taken);
	}
	call->suspended = false;
	if (call->state == CALL_READING) {
		if (call->dropped_bytes > 0) {
			reply_too_large(call);
		} else {
			call->state = CALL_HANDED;
			list_append(&server->handed, &call->node);
			server->handler(server->arg, &call->base);
		}
	}
	return call_settle(call);
}

/* The last word on a request, whichever way it ended. */
static void on_completed(void *arg, struct MHD_Connection *connection, void **request,
	enum MHD_RequestTerminationCode code)
{
	struct request *call = *request;

	if (call == NULL)
		return;
	*request = NULL;
	if (call->state == CALL_HANDED && call->base.gone != NULL) {
		call->state = CALL_ABORTED;
		call->base.gone(call->base.gone_arg, &call->base);
	}
	call_release(call);
}

static void on_timer(uv_timer_t *timer)
{
	server_run(timer->data);
}

/* A poll error is libmicrohttpd's to find: its epoll_wait reports it on the connection concerned.
 */
static void on_poll(uv_poll_t *poll, int status, int events)
{
	server_run(poll->data);
}

static unsigned connection_count(struct http_server *server)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

	return info != NULL ? info->num_connections : 0;
}

/*
 * One turn of libmicrohttpd, or a few while it has more to do. It stops accepting when it is full,
 * and looks whether it may go on at the start of a turn only: so one more after a connection ended.
 */
static void server_run(struct http_server *server)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
	bool has_timeout = true, again = true;

	for (int i = 0; i < RUNS_MAX && again; i++) {
		unsigned before = server->connections;

		MHD_run(server->daemon);
		server->connections = connection_count(server);
		has_timeout = MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES;
		again = (has_timeout && timeout_ms == 0) || server->connections < before;
	}
	if (again)
		uv_idle_start(&server->kick, on_kick);
	if (has_timeout)
		uv_timer_start(&server->timer, on_timer, timeout_ms, 0);
	else
		uv_timer_stop(&server->timer);
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct http_server *server = handle->data;

	if (--server->open_handles == 0)
		free(server);
}

static int start_daemon(
	struct http_server *server, int fd, int family, const struct http_server_options *options)
{
	unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
	unsigned connections = options->max_connections;
	unsigned idle_s = options->idle_timeout_s;

	if (family == AF_INET6)
		flags |= MHD_USE_IPv6;
	server->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_access, server,
		MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
		connections ? connections : MAX_CONNECTIONS_DEFAULT, MHD_OPTION_CONNECTION_TIMEOUT,
		idle_s ? idle_s : IDLE_TIMEOUT_DEFAULT_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
		options->header_memory_bytes ? options->header_memory_bytes : HEADER_MEMORY_DEFAULT,
		MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
		MHD_OPTION_END);
	return server->daemon != NULL ? 0 : ERR_IO;
}

static int watch_daemon(uv_loop_t *loop, struct http_server *server)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	if (info == NULL || uv_poll_init(loop, &server->poll, info->epoll_fd) != 0)
		return ERR_IO;
	server->poll.data = server;
	uv_timer_init(loop, &server->timer);
	server->timer.data = server;
	uv_idle_init(loop, &server->kick);
	server->kick.data = server;
	server->open_handles = 3;
	uv_poll_start(&server->poll, UV_READABLE, on_poll);
	return 0;
}

/* It shuts its socket down, for every process that has it, unless it is taken away before. */
static void stop_daemon(struct http_server *server)
{
	int fd = server->borrowed ? MHD_quiesce_daemon(server->daemon) : -1;

	MHD_stop_daemon(server->daemon);
	if (fd >= 0)
		close(fd);
}

static int open_socket(struct http_server *server, const struct http_server_options *options,
	int *ret_fd, int *ret_family)
{
	server->borrowed = options->listen == NULL;
	if (!server->borrowed)
		return listen_open(options->listen, ret_fd, ret_family, server->address);
	if (options->listen_fd <= 0)
		return ERR_ARGUMENT;
	*ret_fd = fcntl(options->listen_fd, F_DUPFD_CLOEXEC, 3);
	return *ret_fd >= 0 ? 0 : ERR_IO;
}

int http_server_new(
	uv_loop_t *loop, const struct http_server_options *options, struct http_server **ret_server)
{
	struct http_server *server = calloc(1, sizeof(*server));
	int fd = -1, family = AF_INET, err;

	if (server == NULL)
		return ERR_NOMEM;
	list_init(&server->handed);
	list_init(&server->idle);
	server->max_body_bytes =
		options->max_body_bytes ? options->max_body_bytes : MAX_BODY_DEFAULT;
	server->handler = options->handler;
	server->arg = options->arg;
	err = open_socket(server, options, &fd, &family);
	if (err != 0)
		goto fail_server;
	err = start_daemon(server, fd, family, options);
	if (err != 0)
		goto fail_socket;
	err = watch_daemon(loop, server);
	if (err != 0)
		goto fail_daemon;
	*ret_server = server;
	return 0;
fail_daemon:
	stop_daemon(server); /* closes the socket too */
	goto fail_server;
fail_socket:
	close(fd);
fail_server:
	free(server);
	return err;
}

const char *http_server_address(const struct http_server *server)
{
	return server->address;
}

void http_server_close(struct http_server *server)
{
	if (server == NULL || server->closing)
		return;
	server->closing = true;
	uv_close((uv_handle_t *)&server->poll, on_handle_closed);
	uv_close((uv_handle_t *)&server->timer, on_handle_closed);
	uv_close((uv_handle_t *)&server->kick, on_handle_closed);
	/* libmicrohttpd stops the process when it is stopped with suspended connections. */
	list_for_each (node, &server->handed) {
		struct request *call = list_entry(node, struct request, node);

		if (call->suspended)
			MHD_resume_connection(call->connection);
	}
	stop_daemon(server);
	list_for_each_safe (node, &server->idle)
		call_free(list_entry(node, struct request, node));
}

static const char *request_method(const struct http_call *call)
{
	return request_of_const(call)->method;
}

static const char *request_path(const struct http_call *call)
{
	return request_of_const(call)->path;
}

static const char *request_query(const struct http_call *call, const char *name)
{
	return MHD_lookup_connection_value(
		request_of_const(call)->connection, MHD_GET_ARGUMENT_KIND, name);
}

static const char *request_header(const struct http_call *call, const char *name)
{
	return MHD_lookup_connection_value(
		request_of_const(call)->connection, MHD_HEADER_KIND, name);
}

static const char *request_body(const struct http_call *call, size_t *ret_len)
{
	const struct buf *body = &request_of_const(call)->body;

	*ret_len = body->len;
	return buf_string(body);
}

struct header_visit {
	void (*visit)(void *arg, const char *name, const char *value);
	void *arg;
};

static enum MHD_Result on_header(
	void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
	struct header_visit *visit = arg;

	visit->visit(visit->arg, name, value != NULL ? value : "");
	return MHD_YES;
}

static void request_each_header(const struct http_call *call,
	void (*visit)(void *arg, const char *name, const char *value), void *arg)
{
	struct header_visit header_visit = {.visit = visit, .arg = arg};

	MHD_get_connection_values(
		request_of_const(call)->connection, MHD_HEADER_KIND, on_header, &header_visit);
}

static bool add(struct MHD_Response *response, const char *name, const char *value)
{
	return MHD_add_response_header(response, name, value) == MHD_YES;
}

/* libmicrohttpd does not say whether it ran out of memory or the header has a line break. */
static bool add_headers(struct MHD_Response *response, const struct http_reply *reply)
{
	if (reply->content_type != NULL &&
		!add(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type))
		return false;
	if (reply->close && !add(response, MHD_HTTP_HEADER_CONNECTION, "close"))
		return false;
	for (const char *const *pair = reply->headers; pair != NULL && pair[0] != NULL; pair += 2)
		if (!add(response, pair[0], pair[1]))
			return false;
	return true;
}

static void *writable(const void *bytes)
{
	union {
		const void *from;
		void *to;
	} cast = {.from = bytes};

	return cast.to;
}

static void request_abort(struct http_call *call)
{
	request_of(call)->state = CALL_ABORTED;
	call_wake(request_of(call));
}

static int request_reply(struct http_call *call, const struct http_reply *reply)
{
	/* The parameter lacks its const; with MUST_COPY the bytes are only read. */
	struct MHD_Response *response = MHD_create_response_from_buffer(
		reply->body_bytes, writable(reply->body), MHD_RESPMEM_MUST_COPY);

	if (response == NULL) {
		request_abort(call);
		return ERR_NOMEM;
	}
	if (!add_headers(response, reply)) {
		MHD_destroy_response(response);
		request_abort(call);
		return ERR_ARGUMENT;
	}
	request_of(call)->response = response;
	request_of(call)->status = reply->status;
	request_of(call)->state = CALL_REPLIED;
	call_wake(request_of(call));
	return 0;
}

static const union MHD_ConnectionInfo *socket_of(const struct http_call *call)
{
	return MHD_get_connection_info(
		request_of_const(call)->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
}

static void request_peer(const struct http_call *call, char ret_peer[HTTP_PEER_SIZE])
{
	const union MHD_ConnectionInfo *info = socket_of(call);

	http_call_peer_of(info != NULL ? info->connect_fd : -1, ret_peer);
}

static bool request_is_alive(const struct http_call *call)
{
	const union MHD_ConnectionInfo *info = socket_of(call);

	return info != NULL && http_call_socket_is_alive(info->connect_fd);
}

static const struct http_call_ops call_ops = {
	.method = request_method,
	.path = request_path,
	.query = request_query,
	.header = request_header,
	.body = request_body,
	.each_header = request_each_header,
	.peer = request_peer,
	.reply = request_reply,
	.abort = request_abort,
	.is_alive = request_is_alive,
};
