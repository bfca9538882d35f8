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

void wire_open(struct wire *wire, const struct wire_address *address)
{
	int one = 1;

	wire->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (wire->fd < 0 || connect(wire->fd, (const struct sockaddr *)&address->socket,
				    sizeof(address->socket)) < 0)
		die("cannot connect to %s:%d: %s", address->host, ntohs(address->socket.sin_port),
			strerror(errno));
	setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
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
	const char *body, *field;
	size_t length = 0;

	if (got <= 0)
		die("the connection ended: %s", got < 0 ? strerror(errno) : "closed");
	wire->answer_bytes += (size_t)got;
	wire->answer[wire->answer_bytes] = '\0';
	body = strstr(wire->answer, "\r\n\r\n");
	if (body == NULL)
		return false;
	field = strcasestr(wire->answer, "\r\ncontent-length:");
	if (field != NULL && field < body)
		length = strtoul(field + strlen("\r\ncontent-length:"), NULL, 10);
	body += 4;
	if (wire->answer_bytes < (size_t)(body - wire->answer) + length)
		return false;
	if (strncmp(wire->answer, "HTTP/1.1 200", 12) != 0)
		die("not 200: %s", wire->answer);
	*ret_body = body;
	return true;
}
