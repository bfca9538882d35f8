#include "http/listen.h"

#include "bunshin/error.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

/* One to five digits, at most 65535, nothing else; -1 otherwise. */
static int parse_port(const char *text)
{
	size_t digits = strspn(text, "0123456789");
	int port = 0;

	if (digits < 1 || digits > 5 || text[digits] != '\0')
		return -1;
	for (size_t i = 0; i < digits; i++)
		port = port * 10 + (text[i] - '0');
	return port <= 65535 ? port : -1;
}

static bool parse(const char *text, union address *address, socklen_t *ret_len)
{
	const char *colon = strrchr(text, ':');
	size_t host_len = colon != NULL ? (size_t)(colon - text) : 0;
	char host[LISTEN_TEXT_MAX];
	int port = colon != NULL ? parse_port(colon + 1) : -1;

	if (port < 0 || host_len == 0 || host_len >= sizeof(host))
		return false;
	memcpy(host, text, host_len);
	host[host_len] = '\0';
	memset(address, 0, sizeof(*address));
	if (host[0] == '[' && host[host_len - 1] == ']') {
		host[host_len - 1] = '\0';
		address->v6.sin6_family = AF_INET6;
		address->v6.sin6_port = htons((uint16_t)port);
		*ret_len = sizeof(address->v6);
		return inet_pton(AF_INET6, host + 1, &address->v6.sin6_addr) == 1;
	}
	address->v4.sin_family = AF_INET;
	address->v4.sin_port = htons((uint16_t)port);
	*ret_len = sizeof(address->v4);
	return inet_pton(AF_INET, strcmp(host, "localhost") == 0 ? "127.0.0.1" : host,
		       &address->v4.sin_addr) == 1;
}

static int format(int fd, char ret_address[LISTEN_TEXT_MAX])
{
	union address address;
	socklen_t len = sizeof(address);
	char host[INET6_ADDRSTRLEN];

	if (getsockname(fd, &address.any, &len) != 0)
		return ERR_IO;
	if (address.any.sa_family == AF_INET6) {
		inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof(host));
		snprintf(
			ret_address, LISTEN_TEXT_MAX, "[%s]:%d", host, ntohs(address.v6.sin6_port));
	} else {
		inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof(host));
		snprintf(ret_address, LISTEN_TEXT_MAX, "%s:%d", host, ntohs(address.v4.sin_port));
	}
	return 0;
}

int listen_open(const char *text, int *ret_fd, int *ret_family, char ret_address[LISTEN_TEXT_MAX])
{
	union address address;
	socklen_t len;
	int one = 1, fd, saved;

	if (text == NULL || !parse(text, &address, &len))
		return ERR_ARGUMENT;
	fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return ERR_IO;
	/* The first two only make things nicer; a failure would show in bind or as latency. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	if (address.any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, &address.any, len) != 0 || listen(fd, SOMAXCONN) != 0 ||
		format(fd, ret_address) != 0) {
		saved = errno;
		close(fd);
		errno = saved;
		return ERR_IO;
	}
	*ret_fd = fd;
	*ret_family = address.any.sa_family;
	return 0;
}
