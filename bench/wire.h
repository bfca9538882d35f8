/*
 * HTTP/1.1 as the load programs need it: one connection to an IPv4 address, one request under way,
 * answers with a Content-Length. Whatever goes wrong ends the program with a line on stderr.
 */
#ifndef BENCH_WIRE_H
#define BENCH_WIRE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WIRE_HOST_MAX 64

struct wire_address {
	char host[WIRE_HOST_MAX]; /* as given, for the Host header */
	struct sockaddr_in socket;
};

struct wire {
	int fd;
	char *answer;
	size_t answer_bytes;
};

/* Prints the line, behind the program's name, and exits with 1. */
__attribute__((format(printf, 1, 2), noreturn)) void die(const char *format, ...);

/* CLOCK_MONOTONIC. */
uint64_t now_ns(void);

/* Of http://ADDRESS:PORT, whatever follows; ADDRESS is IPv4 or localhost. */
void wire_parse(const char *url, struct wire_address *ret_address);

/* Waits for the connection; its descriptor. */
int wire_connect(const struct wire_address *address);

/* A descriptor on a free port of 127.0.0.1 that does not block. */
int wire_listen(int backlog, int *ret_port);

/* A new connection's descriptor; -1: there is none. */
int wire_accept(int listener);

/* Of a request or an answer, followed by a '\0': all of it is there. *ret_body (NULL: not
 * wanted): where its body begins. */
bool wire_is_whole(const char *text, size_t len, const char **ret_body);

void wire_open(struct wire *wire, const struct wire_address *address);

void wire_close(struct wire *wire);

/* Writes all of a request; forgets the last answer. */
void wire_write(struct wire *wire, const char *bytes, size_t len);

/* Reads what is there. True: the answer is whole, a 200, and *ret_body its body until the next
 * wire_write(). */
bool wire_read(struct wire *wire, const char **ret_body);

#endif
