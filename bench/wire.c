#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)256 << 10)

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void wire_parse(const char *url, struct wire_address *ret_address)
{
	struct wire_address address = {.socket.sin_family = AF_INET};
	int port;

	if (sscanf(url, "http://%63[^:/]:%d", address.host, &port) != 2 || port < 1 || port > 65535)
		die("not http://ADDRESS:PORT: %s", url);
	address.socket.sin_port = htons((uint16_t)port);
	if (strcmp(address.host, "localhost") == 0)
		strcpy(address.host, "127.0.0.1");
	if (inet_pton(AF_INET, address.host, &address.socket.sin_addr) != 1)
		die("not an IPv4 address: %s", address.host);
	*ret_address = address;
}

int wire_listen(int backlog, int *ret_port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&address, len) != 0 ||
		listen(fd, backlog) != 0 || getsockname(fd, (struct sockaddr *)&address, &len) != 0)
		die("cannot listen: %s", strerror(errno));
	*ret_port = ntohs(address.sin_port);
	return fd;
}

int wire_accept(int listener)
{
	int one = 1, fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

int wire_connect(const struct wire_address *address)
{
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0 ||
		connect(fd, (const struct sockaddr *)&address->socket, sizeof(address->socket)) < 0)
		die("cannot connect to %s:%d: %s", address->host, ntohs(address->socket.sin_port),
			strerror(errno));
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	return fd;
}

bool wire_is_whole(const char *text, size_t len, const char **ret_body)
{
	const char *body = strstr(text, "\r\n\r\n");
	const char *field = strcasestr(text, "\r\ncontent-length:");
	size_t length = 0;

	if (body == NULL)
		return false;
	if (field != NULL && field < body)
		length = strtoul(field + strlen("\r\ncontent-length:"), NULL, 10);
	body += 4;
	if (ret_body != NULL)
		*ret_body = body;
	return len >= (size_t)(body - text) + length;
}

void wire_open(struct wire *wire, const struct wire_address *address)
{
	wire->fd = wire_connect(address);
	wire->answer = malloc(ANSWER_MAX + 1);
	if (wire->answer == NULL)
		die("out of memory");
	wire->answer_bytes = 0;
}

void wire_close(struct wire *wire)
{
	close(wire->fd);
	free(wire->answer);
}

void wire_write(struct wire *wire, const char *bytes, size_t len)
{
	wire->answer_bytes = 0;
	while (len > 0) {
		ssize_t written = write(wire->fd, bytes, len);

		if (written <= 0)
			die("write: %s", strerror(errno));
		bytes += written;
		len -= (size_t)written;
	}
}

bool wire_read(struct wire *wire, const char **ret_body)
{
	ssize_t got =
		read(wire->fd, wire->answer + wire->answer_bytes, ANSWER_MAX - wire->answer_bytes);

	if (got <= 0)
		die("the connection ended: %s", got < 0 ? strerror(errno) : "closed");
	wire->answer_bytes += (size_t)got;
	wire->answer[wire->answer_bytes] = '\0';
	if (!wire_is_whole(wire->answer, wire->answer_bytes, ret_body))
		return false;
	if (strncmp(wire->answer, "HTTP/1.1 200", 12) != 0)
		die("not 200: %s", wire->answer);
	return true;
}
