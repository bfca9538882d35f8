/*
 * Asks GET /_health at a steady pace until SIGTERM, on one connection, and prints one JSON object
 * of how long the answers took.
 *
 * A probe that comes due while the one before is not answered has waited since it was due, and is
 * counted so: a server that stands still for 100 ms makes not one slow answer but many. That this
 * program itself was woken late does not count.
 */
#include "latency.h"
#include "wire.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REQUEST_MAX 256

static volatile sig_atomic_t stopped;

static void stop(int number)
{
	(void)number;
	stopped = 1;
}

static void usage(FILE *to)
{
	fprintf(to, "usage: health_probe [options] http://ADDRESS:PORT\n"
		    "  --every US       between two probes [2000]\n"
		    "\n"
		    "Ends with SIGTERM.\n");
}

static void sleep_until(uint64_t time_ns)
{
	struct timespec until = {
		.tv_sec = (time_t)(time_ns / 1000000000), .tv_nsec = (long)(time_ns % 1000000000)};

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static void probe(struct wire *wire, const char *request, uint64_t every_ns, struct latency *took)
{
	size_t len = strlen(request);
	uint64_t due = now_ns();

	for (; !stopped; due += every_ns) {
		uint64_t from = due;
		const char *body;

		if (now_ns() < due) {
			sleep_until(due);
			from = now_ns();
		}
		wire_write(wire, request, len);
		while (!wire_read(wire, &body))
			;
		latency_add(took, now_ns() - from);
	}
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"every", required_argument, NULL, 'e'}, {"help", no_argument, NULL, 'h'}, {0}};
	struct sigaction action = {.sa_handler = stop, .sa_flags = SA_RESTART};
	static struct latency took;
	struct wire_address address;
	struct wire wire;
	char request[REQUEST_MAX];
	uint64_t every_us = 2000;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'e') {
			usage(option == 'h' ? stdout : stderr);
			return option == 'h' ? 0 : 2;
		}
		every_us = strtoul(optarg, NULL, 10);
	}
	if (argc - optind != 1 || every_us == 0) {
		usage(stderr);
		return 2;
	}
	wire_parse(argv[optind], &address);
	wire_open(&wire, &address);
	snprintf(request, sizeof(request), "GET /_health HTTP/1.1\r\nHost: %s:%d\r\n\r\n",
		address.host, ntohs(address.socket.sin_port));
	sigaction(SIGTERM, &action, NULL);
	probe(&wire, request, every_us * 1000, &took);
	wire_close(&wire);
	printf("{");
	latency_print(stdout, "health", &took);
	printf("}\n");
	return 0;
}
