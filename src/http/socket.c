#include "http/client_impl.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define KEEPALIVE_IDLE_S 60
#define KEEPALIVE_INTERVAL_S 15
#define DEAD_PEER_MAX_MS (2000 * 32767) /* what TCP_KEEPIDLE takes is half of it */
#define DEAD_PEER_PROBES 5

static struct socket *find(const struct http_client *client, curl_socket_t fd)
{
	return (size_t)fd < client->socket_capacity ? client->sockets[fd] : NULL;
}

int socket_port(curl_socket_t fd)
{
	struct sockaddr_storage address;
	socklen_t size = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &size) != 0)
		return 0;
	if (address.ss_family == AF_INET)
		return ntohs(((const struct sockaddr_in *)(const void *)&address)->sin_port);
	if (address.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)(const void *)&address)->sin6_port);
	return 0;
}

static bool make_room(struct http_client *client, curl_socket_t fd)
{
	size_t capacity = client->socket_capacity ? client->socket_capacity : 64;
	struct socket **sockets;

	if ((size_t)fd < client->socket_capacity)
		return true;
	while (capacity <= (size_t)fd)
		capacity *= 2;
	sockets = realloc(client->sockets, capacity * sizeof(struct socket *));
	if (sockets == NULL)
		return false;
	memset(sockets + client->socket_capacity, 0,
		(capacity - client->socket_capacity) * sizeof(struct socket *));
	client->sockets = sockets;
	client->socket_capacity = capacity;
	return true;
}

static struct socket *socket_new(struct http_client *client, curl_socket_t fd, bool ours)
{
	struct socket *socket;

	if (!make_room(client, fd))
		return NULL;
	socket = calloc(1, sizeof(*socket));
	if (socket == NULL)
		return NULL;
	if (uv_poll_init_socket(client->loop, &socket->poll, fd) != 0) {
		free(socket);
		return NULL;
	}
	socket->poll.data = socket;
	socket->client = client;
	socket->fd = fd;
	socket->ours = ours;
	client->sockets[fd] = socket;
	client->connections += ours;
	client->open_handles++;
	return socket;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct socket *socket = handle->data;
	struct http_client *client = socket->client;

	free(socket);
	client_handle_closed(client);
}

/*
 * Takes the descriptor out of epoll at once: the kernel may hand its number out again before the
 * memory goes.
 */
static void forget(struct socket *socket)
{
	channel_closed(socket);
	socket->client->connections -= socket->ours;
	socket->client->sockets[socket->fd] = NULL;
	uv_close((uv_handle_t *)&socket->poll, on_handle_closed);
}

static void watch(struct socket *socket);

static int curl_events(int events)
{
	return (events & UV_READABLE ? CURL_CSELECT_IN : 0) |
	       (events & UV_WRITABLE ? CURL_CSELECT_OUT : 0);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct socket *socket = poll->data;
	struct http_client *client = socket->client;
	curl_socket_t fd = socket->fd;

	if (status < 0)
		socket->watched = 0; /* libuv has stopped it */
	if (socket->wanted == 0) {
		/* An idle connection: closed by the server, most often. curl finds out when it
		 * wants to use it again; until then the event must not repeat. */
		uv_poll_stop(poll);
		socket->watched = 0;
		return;
	}
	if (status < 0) {
		/* With IN and OUT curl looks at the socket itself, and so reads what arrived before
		 * a reset and learns which error it was; ERR alone hides both. */
		shard_run(socket->shard, fd, curl_events(socket->wanted) | CURL_CSELECT_ERR);
		if (!client->closing && find(client, fd) == socket && socket->wanted != 0)
			watch(socket);
	} else {
		shard_run(socket->shard, fd, curl_events(events));
	}
	client_end_row(client);
}

static void watch(struct socket *socket)
{
	if (socket->watched == socket->wanted)
		return;
	if (uv_poll_start(&socket->poll, socket->wanted, on_poll) == 0)
		socket->watched = socket->wanted;
}

static void set_number(curl_socket_t fd, int level, int option, int number)
{
	setsockopt(fd, level, option, &number, sizeof(number));
}

/*
 * Half of the time without a byte, then probes to its end. The kernel counts no probes where there
 * is a TCP_USER_TIMEOUT, only the time since the last byte; the count is for the others.
 */
static void find_dead_peer(curl_socket_t fd, int64_t dead_peer_ms)
{
	int ms = dead_peer_ms < DEAD_PEER_MAX_MS ? (int)dead_peer_ms : DEAD_PEER_MAX_MS;
	int idle_s = ms / 2000, interval_s = ms / (2000 * DEAD_PEER_PROBES);

	set_number(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, ms);
	set_number(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_s > 0 ? idle_s : 1);
	set_number(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s > 0 ? interval_s : 1);
	set_number(fd, IPPROTO_TCP, TCP_KEEPCNT, DEAD_PEER_PROBES);
}

static void set_keepalive(const struct http_client *client, curl_socket_t fd)
{
	set_number(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_number(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEPALIVE_IDLE_S);
	set_number(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEPALIVE_INTERVAL_S);
	if (client->options.dead_peer_ms > 0)
		find_dead_peer(fd, client->options.dead_peer_ms);
}

curl_socket_t socket_open(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_exchange *exchange = arg;
	struct http_client *client = exchange->client;
	curl_socket_t fd;

	/* The very address that curl connects to, whatever its name resolved to before. */
	if (client->options.guard != NULL &&
		!address_guard_admits(client->options.guard, &address->addr, &exchange->refusal))
		return CURL_SOCKET_BAD;
	if (!channel_may_open(exchange))
		return CURL_SOCKET_BAD;
	/* Close-on-exec, which curl does not set: the process may spawn others. */
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
		address->protocol);
	if (fd < 0)
		return CURL_SOCKET_BAD;
	set_keepalive(client, fd);
	if (socket_new(client, fd, true) == NULL) {
		close(fd);
		return CURL_SOCKET_BAD;
	}
	client->connections_opened++;
	return fd;
}

int socket_close(void *arg, curl_socket_t fd)
{
	struct socket *socket = find(arg, fd);

	if (socket != NULL)
		forget(socket);
	return close(fd);
}

int socket_changed(CURL *easy, curl_socket_t fd, int what, void *arg, void *unused)
{
	struct shard *shard = arg;
	struct http_client *client = shard->client;
	struct socket *socket = find(client, fd);

	if (what == CURL_POLL_REMOVE) {
		if (socket == NULL)
			return 0;
		socket->wanted = 0;
		/* curl 7.88 closes what did not connect without socket_close(), and libuv refuses
		 * to watch the next descriptor of that number (or ends the process) unless it is
		 * told now. */
		if (socket->ours && socket->connected)
			uv_unref((uv_handle_t *)&socket->poll); /* no reason for the loop to stay */
		else
			forget(socket);
		return 0;
	}
	/* One that was forgotten while it connected, or the resolver's pair. */
	if (socket == NULL)
		socket = socket_new(client, fd, socket_port(fd) != 0);
	if (socket == NULL)
		return 0; /* the resolver's pair: curl asks it by timer as well */
	socket->shard = shard;
	socket->connected |= (what & CURL_POLL_IN) != 0; /* it connects by waiting to write */
	socket->wanted =
		(what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
	uv_ref((uv_handle_t *)&socket->poll);
	watch(socket);
	return 0;
}

void sockets_close_all(struct http_client *client)
{
	for (size_t i = 0; i < client->socket_capacity; i++)
		if (client->sockets[i] != NULL)
			forget(client->sockets[i]);
}

void sockets_close_unseen(struct http_client *client)
{
	for (size_t i = 0; i < client->socket_capacity; i++)
		if (client->sockets[i] != NULL && client->sockets[i]->shard == NULL)
			forget(client->sockets[i]);
}
