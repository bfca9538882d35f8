/*
 * The two ends of an idle worker in one process, so that one clock measures: it sends a message,
 * and is the provider that the worker sends it on to.
 *
 *	idle_probe --queue-url URL [--messages N] [--every MS]
 *	idle_probe --queue-url URL --starts N -- PROGRAM ARGUMENTS...
 *
 * The first kind: one message at a time to a worker that runs; from the answer to SendMessage to
 * the arrival of the first byte of the provider's request. The request may be faster than the
 * answer, since the queue answers both in one turn: that counts as 0.
 *
 * The second kind: a message waits in the queue; from the exec of the program to the arrival of its
 * request, N times; it is then told to stop, and the next one is started.
 *
 * "listening on http://127.0.0.1:PORT" is printed first, then it reads a line of its standard input
 * before it begins; at the end one JSON object.
 */
#include "latency.h"
#include "wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64
#define REQUEST_MAX ((size_t)64 << 10)
#define MS_NS UINT64_C(1000000)
#define LONG_NS (30000 * MS_NS) /* a request that has not come by then never will */

/* A connection of the provider's; requests come one after the other. */
struct taken {
	int fd; /* -1: free */
	char request[REQUEST_MAX + 1];
	size_t bytes;
};

static struct taken connections[CONNECTIONS_MAX];
static int listener;
static uint64_t arrivals, arrived_ns; /* of requests; when the latest began to arrive */

static struct options {
	const char *queue_url;
	unsigned long messages, every_ms, starts;
} options = {.messages = 200, .every_ms = 50};

/* ---- the provider */

static void take_connection(void)
{
	int fd = wire_accept(listener);

	if (fd < 0)
		return;
	for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
		if (connections[i].fd >= 0)
			continue;
		connections[i].fd = fd;
		connections[i].bytes = 0;
		return;
	}
	die("more than %d connections", CONNECTIONS_MAX);
}

static void take_bytes(struct taken *taken)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
	ssize_t got = read(taken->fd, taken->request + taken->bytes, REQUEST_MAX - taken->bytes);

	if (got <= 0) {
		close(taken->fd);
		taken->fd = -1;
		return;
	}
	if (taken->bytes == 0) {
		arrived_ns = now_ns();
		arrivals++;
	}
	taken->bytes += (size_t)got;
	taken->request[taken->bytes] = '\0';
	if (!wire_is_whole(taken->request, taken->bytes, NULL))
		return;
	if (write(taken->fd, answer, strlen(answer)) < 0)
		die("the answer could not be written: %s", strerror(errno));
	taken->bytes = 0;
}

/* Serves until `until_ns`, or one of the others, or, with `more`, another request has come. True:
 * it was not the time. */
static bool serve(uint64_t until_ns, int other, bool more)
{
	uint64_t before = arrivals;

	for (;;) {
		struct pollfd polls[CONNECTIONS_MAX + 2] = {
			{listener, POLLIN, 0}, {other, POLLIN, 0}};
		uint64_t now = now_ns();
		struct timespec left = {.tv_sec = 0};

		if (now >= until_ns)
			return false;
		left.tv_sec = (time_t)((until_ns - now) / (1000 * MS_NS));
		left.tv_nsec = (long)((until_ns - now) % (1000 * MS_NS));
		for (size_t i = 0; i < CONNECTIONS_MAX; i++)
			polls[i + 2] = (struct pollfd){connections[i].fd, POLLIN, 0};
		if (ppoll(polls, CONNECTIONS_MAX + 2, &left, NULL) < 0 && errno != EINTR)
			die("poll: %s", strerror(errno));
		if (polls[0].revents)
			take_connection();
		for (size_t i = 0; i < CONNECTIONS_MAX; i++)
			if (polls[i + 2].revents && connections[i].fd >= 0)
				take_bytes(&connections[i]);
		if (polls[1].revents || (more && arrivals != before))
			return true;
	}
}

/* ---- the producer */

static size_t make_request(char *to, size_t room, const struct wire_address *address)
{
	char body[1024];
	int body_bytes = snprintf(body, sizeof(body),
		"{\"QueueUrl\":\"%s\",\"MessageBody\":\"{\\\"to\\\":\\\"U1\\\",\\\"text\\\":\\\""
		"good morning\\\"}\"}",
		options.queue_url);
	int bytes = snprintf(to, room,
		"POST / HTTP/1.1\r\nHost: %s:%d\r\nContent-Type: application/x-amz-json-1.0\r\n"
		"X-Amz-Target: AmazonSQS.SendMessage\r\nContent-Length: %d\r\n\r\n%s",
		address->host, ntohs(address->socket.sin_port), body_bytes, body);

	if (body_bytes >= (int)sizeof(body) || bytes >= (int)room)
		die("the queue's URL is too long");
	return (size_t)bytes;
}

/* When it was answered. A request that comes before is served meanwhile. */
static uint64_t send_message(struct wire *wire, const char *request, size_t bytes)
{
	uint64_t until_ns = now_ns() + LONG_NS;
	const char *body;

	wire_write(wire, request, bytes);
	do
		if (!serve(until_ns, wire->fd, false))
			die("the queue does not answer");
	while (!wire_read(wire, &body));
	return now_ns();
}

static void await_arrival(uint64_t before)
{
	if (arrivals == before && !serve(now_ns() + LONG_NS, -1, true))
		die("a message was not sent on");
}

static void measure_idle(struct wire *wire, const char *request, size_t bytes)
{
	static struct latency took;

	/* The first opens the connections, and is not counted. */
	for (unsigned long i = 0; i <= options.messages; i++) {
		uint64_t before = arrivals, answered_ns;

		answered_ns = send_message(wire, request, bytes);
		await_arrival(before);
		if (i > 0)
			latency_add(&took, arrived_ns > answered_ns ? arrived_ns - answered_ns : 0);
		/* Not in step with anything that goes round in the worker. */
		serve(now_ns() + options.every_ms * MS_NS + now_ns() % (options.every_ms * MS_NS),
			-1, false);
	}
	printf("{");
	latency_print(stdout, "idle", &took);
	printf("}\n");
}

/* ---- starts */

static pid_t start(char **argv)
{
	pid_t pid = vfork();

	if (pid < 0)
		die("cannot start a process: %s", strerror(errno));
	if (pid == 0) {
		execv(argv[0], argv);
		_exit(127);
	}
	return pid;
}

static void stop(pid_t pid)
{
	int status;
	pid_t ended;

	kill(pid, SIGTERM);
	/* Its requests are served until it has ended, or it would wait for them. */
	while ((ended = waitpid(pid, &status, WNOHANG)) == 0)
		serve(now_ns() + MS_NS, -1, false);
	if (ended != pid || !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		die("the program ended with %d", status);
}

static void measure_starts(struct wire *wire, const char *request, size_t bytes, char **argv)
{
	static struct latency took;

	for (unsigned long i = 0; i < options.starts; i++) {
		uint64_t before = arrivals, began_ns;
		pid_t pid;

		send_message(wire, request, bytes);
		began_ns = now_ns();
		pid = start(argv);
		await_arrival(before);
		latency_add(&took, arrived_ns - began_ns);
		stop(pid);
	}
	printf("{");
	latency_print(stdout, "start", &took);
	printf("}\n");
}

static void usage(FILE *to)
{
	fprintf(to, "usage: idle_probe --queue-url URL [options] [-- PROGRAM ARGUMENTS...]\n"
		    "  --messages N     sent one at a time [200]\n"
		    "  --every MS       between two of them, and up to twice as long [50]\n"
		    "  --starts N       start the program so often instead\n");
}

static bool read_options(int argc, char **argv)
{
	static const struct option known[] = {{"queue-url", required_argument, NULL, 'q'},
		{"messages", required_argument, NULL, 'm'}, {"every", required_argument, NULL, 'e'},
		{"starts", required_argument, NULL, 's'}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
		switch (option) {
		case 'q':
			options.queue_url = optarg;
			break;
		case 'm':
			options.messages = strtoul(optarg, NULL, 10);
			break;
		case 'e':
			options.every_ms = strtoul(optarg, NULL, 10);
			break;
		case 's':
			options.starts = strtoul(optarg, NULL, 10);
			break;
		default:
			return false;
		}
	}
	return options.queue_url != NULL && options.every_ms > 0 && options.messages > 0 &&
	       (options.starts > 0) == (optind < argc);
}

int main(int argc, char **argv)
{
	struct wire_address address;
	struct wire wire;
	char request[2048], line[16];
	size_t bytes;
	int port;

	if (!read_options(argc, argv)) {
		usage(stderr);
		return 2;
	}
	for (size_t i = 0; i < CONNECTIONS_MAX; i++)
		connections[i].fd = -1;
	signal(SIGPIPE, SIG_IGN);
	wire_parse(options.queue_url, &address);
	bytes = make_request(request, sizeof(request), &address);
	listener = wire_listen(CONNECTIONS_MAX, &port);
	printf("listening on http://127.0.0.1:%d\n", port);
	fflush(stdout);
	if (fgets(line, sizeof(line), stdin) == NULL)
		return 0; /* not wanted any more */
	wire_open(&wire, &address);
	if (options.starts > 0)
		measure_starts(&wire, request, bytes, argv + optind);
	else
		measure_idle(&wire, request, bytes);
	wire_close(&wire);
	return 0;
}
