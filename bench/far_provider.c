/*
 * A provider that answers 200 after a while, with the bytes that nginx would answer.
 *
 *	far_provider --log-normal LOW-HIGH [--seed N]
 *
 * The time is drawn from a log-normal distribution, in milliseconds: two standard deviations of the
 * logarithm lie between its middle and each bound, and a draw that is outside is taken anew.
 */
#include "far.h"

#include "base/list.h"
#include "wire.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUEST_MAX ((size_t)64 << 10)

/* A connection; requests come one after the other. */
struct taken {
	struct far_socket socket;
	struct clock_timer timer; /* set while the request waits for its answer */
	char *part;		  /* of a request, whose end has not come; NULL: none */
	size_t part_bytes;
};

static double low_ms, high_ms;

/* Less the two halves of a tick, which are waited for anyway. */
static uint64_t draw_us(void)
{
	double deviations, us;

	do
		deviations = sqrt(-2 * log(1 - drand48())) * cos(2 * M_PI * drand48());
	while (fabs(deviations) >= 2);
	us = 1000 * sqrt(low_ms * high_ms) * exp(log(high_ms / low_ms) / 4 * deviations);
	return us > FAR_TICK_US ? (uint64_t)us - FAR_TICK_US : 0;
}

static void on_due(struct clock_timer *timer)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n"
				     "Date: Thu, 26 Nov 2026 00:00:00 GMT\r\n"
				     "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n"
				     "Connection: keep-alive\r\n\r\n0\r\n\r\n";
	struct taken *taken = list_entry(timer, struct taken, timer);

	if (taken->socket.fd < 0) {
		free(taken->part);
		free(taken);
		return;
	}
	far_write(&taken->socket, answer, strlen(answer)); /* an end is seen by a read */
}

/* Keeps what has come of a request, behind what had. */
static void keep(struct taken *taken, const char *bytes, size_t len)
{
	if (taken->part == NULL) {
		taken->part = malloc(REQUEST_MAX);
		if (taken->part == NULL)
			die("out of memory");
	}
	if (taken->part_bytes + len > REQUEST_MAX)
		die("a request is too large");
	memcpy(taken->part + taken->part_bytes, bytes, len);
	taken->part_bytes += len;
}

static void on_bytes(struct far_socket *socket)
{
	struct taken *taken = list_entry(socket, struct taken, socket);
	static char request[REQUEST_MAX + 1];
	long got = far_read(socket, request, REQUEST_MAX);
	size_t len = (size_t)got;

	if (got == 0)
		return;
	if (got < 0) {
		far_close(socket);
		far_after(&taken->timer, 0);
		return;
	}
	if (clock_timer_is_set(&taken->timer))
		die("a request came before the last one was answered");
	if (taken->part != NULL) {
		keep(taken, request, len);
		len = taken->part_bytes;
		memcpy(request, taken->part, len);
	}
	request[len] = '\0';
	if (!wire_is_whole(request, len, NULL)) {
		if (taken->part == NULL)
			keep(taken, request, len);
		return;
	}
	free(taken->part);
	taken->part = NULL;
	taken->part_bytes = 0;
	far_after(&taken->timer, draw_us());
}

static void on_taken(int fd)
{
	struct taken *taken = calloc(1, sizeof(*taken));

	if (taken == NULL)
		die("out of memory");
	taken->timer.fire = on_due;
	far_watch(&taken->socket, fd, on_bytes);
}

static _Noreturn void usage(void)
{
	die("far_provider --log-normal LOW-HIGH [--seed N]");
}

int main(int argc, char **argv)
{
	static const struct option table[] = {{"log-normal", required_argument, NULL, 'l'},
		{"seed", required_argument, NULL, 's'}, {0}};
	int option;

	srand48(1);
	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (option == 's')
			srand48(strtol(optarg, NULL, 10));
		else if (option != 'l' || sscanf(optarg, "%lf-%lf", &low_ms, &high_ms) != 2)
			usage();
	}
	if (optind != argc || !(low_ms > 0) || !(high_ms > low_ms))
		usage();
	far_serve(on_taken);
}
