#include "http/call.h"

#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>

const char *http_call_method(const struct http_call *call)
{
	return call->ops->method(call);
}

const char *http_call_path(const struct http_call *call)
{
	return call->ops->path(call);
}

const char *http_call_query(const struct http_call *call, const char *name)
{
	return call->ops->query(call, name);
}

const char *http_call_header(const struct http_call *call, const char *name)
{
	return call->ops->header(call, name);
}

const char *http_call_body(const struct http_call *call, size_t *ret_len)
{
	return call->ops->body(call, ret_len);
}

void http_call_each_header(const struct http_call *call,
	void (*visit)(void *arg, const char *name, const char *value), void *arg)
{
	call->ops->each_header(call, visit, arg);
}

void http_call_peer(const struct http_call *call, char ret_peer[HTTP_PEER_SIZE])
{
	call->ops->peer(call, ret_peer);
}

int http_call_reply(struct http_call *call, const struct http_reply *reply)
{
	return call->ops->reply(call, reply);
}

void http_call_abort(struct http_call *call)
{
	call->ops->abort(call);
}

void http_call_keep(
	struct http_call *call, void (*gone)(void *arg, struct http_call *call), void *arg)
{
	call->gone = gone;
	call->gone_arg = arg;
}

bool http_call_is_alive(const struct http_call *call)
{
	return call->ops->is_alive(call);
}

/* The user at the other end of a unix socket (unix(7), SO_PEERCRED). */
static void user_of_socket(int fd, char ret_peer[HTTP_PEER_SIZE])
{
	struct ucred user;
	socklen_t size = sizeof(user);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &user, &size) == 0)
		snprintf(ret_peer, HTTP_PEER_SIZE, "uid %u", (unsigned)user.uid);
}

void http_call_peer_of(int fd, char ret_peer[HTTP_PEER_SIZE])
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	snprintf(ret_peer, HTTP_PEER_SIZE, "unknown");
	if (getpeername(fd, (struct sockaddr *)&address, &size) != 0)
		return;
	if (address.ss_family == AF_UNIX)
		user_of_socket(fd, ret_peer);
	else
		getnameinfo((const struct sockaddr *)&address, size, ret_peer, HTTP_PEER_SIZE, NULL,
			0, NI_NUMERICHOST);
}

bool http_call_socket_is_alive(int fd)
{
	/* Unlike a look at the next byte, this sees a close behind a pipelined request too. */
	struct pollfd peer = {.fd = fd, .events = POLLRDHUP};

	return poll(&peer, 1, 0) == 0;
}
