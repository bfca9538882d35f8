/*
 * Load for an SQS endpoint: fills a queue, drains it, or both at once, on some connections, each of
 * which has one request under way. Prints one JSON object of what was done.
 *
 * It checks what it is told: every entry sent is acknowledged, every message received is deleted,
 * and with --distinct each of the messages, whose bodies begin with their numbers, is received
 * once. Exit 1 when messages are missing or came twice.
 */
#include "queue_steps.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1000
#define STALL_MS 30000

enum mode { MODE_SEND, MODE_DRAIN, MODE_BOTH, MODE_ROUNDS };

struct load {
	struct traffic traffic;
	enum mode mode;
	size_t messages, connections, round;
	bool distinct;
	long server_pid; /* 0: its CPU is not measured */
	clockid_t server_clock;
	struct connection *all;
	size_t busy; /* that have a request under way */
	int epoll_fd;
};

/* What one phase, or all phases of one kind, took. */
struct cost {
	uint64_t wall_ns, server_cpu_ns;
};

static uint64_t server_cpu_ns(const struct load *load)
{
	struct timespec time = {0};

	if (load->server_pid != 0 && clock_gettime(load->server_clock, &time) < 0)
		die("the server, process %ld, is gone", load->server_pid);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void open_all(struct load *load)
{
	load->all = calloc(load->connections, sizeof(*load->all));
	load->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (load->all == NULL || load->epoll_fd < 0)
		die("out of memory");
	for (size_t i = 0; i < load->connections; i++) {
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &load->all[i]};

		wire_open(&load->all[i].wire, &load->traffic.address);
		if (epoll_ctl(load->epoll_fd, EPOLL_CTL_ADD, load->all[i].wire.fd, &event) < 0)
			die("epoll_ctl failed");
	}
}

/*
 * All that still ask have asked twice and waited, and nothing else happened meanwhile: what is
 * missing is not there.
 */
static bool is_dry(const struct load *load)
{
	const struct traffic *traffic = &load->traffic;

	return traffic->to_send == 0 && traffic->sending == 0 &&
	       traffic->empty_in_a_row > 2 * load->busy;
}

/* The next request of this connection. False: nothing is left that it could do. */
static bool go_on(struct load *load, struct connection *connection)
{
	struct traffic *traffic = &load->traffic;

	if (connection->step == STEP_RECEIVE && connection->held > 0) {
		step_delete(traffic, connection);
		return true;
	}
	if (is_dry(load))
		return false;
	/* What has been sent is received next, so that the backlog stays what it is. */
	if (traffic->to_send > 0 && (connection->step != STEP_SEND || traffic->to_receive == 0))
		step_send(traffic, connection);
	else if (traffic->to_receive > 0)
		step_receive(traffic, connection);
	else
		return false;
	return true;
}

/* Until all claims are done, or the queue has nothing any more. */
static void run_phase(struct load *load, size_t to_send, size_t to_receive, struct cost *cost)
{
	struct traffic *traffic = &load->traffic;
	uint64_t cpu = server_cpu_ns(load), began = now_ns();

	traffic->to_send = to_send;
	traffic->to_receive = to_receive;
	traffic->empty_in_a_row = 0;
	for (size_t i = 0; i < load->connections; i++) {
		load->all[i].step = STEP_DELETE;
		load->busy += go_on(load, &load->all[i]);
	}
	while (load->busy > 0) {
		struct epoll_event events[64];
		int count = epoll_wait(load->epoll_fd, events, 64, STALL_MS);

		if (count <= 0)
			die("no answer for %d s", STALL_MS / 1000);
		for (int i = 0; i < count; i++) {
			struct connection *connection = events[i].data.ptr;
			const char *body;

			if (!wire_read(&connection->wire, &body))
				continue;
			step_finish(traffic, connection, body);
			if (!go_on(load, connection))
				load->busy--;
		}
	}
	cost->wall_ns += now_ns() - began;
	cost->server_cpu_ns += server_cpu_ns(load) - cpu;
}

/* Fills and drains by turns, so that the cost of each is seen with a backlog that stays. */
static void run_rounds(struct load *load, struct cost *fill, struct cost *drain)
{
	for (size_t done = 0; done < load->messages; done += load->round) {
		size_t left = load->messages - done, now = left < load->round ? left : load->round;

		run_phase(load, now, 0, fill);
		run_phase(load, 0, now, drain);
	}
}

static void run(struct load *load, struct cost *all, struct cost *drain)
{
	bool drains = load->mode == MODE_DRAIN;

	load->traffic.receives_sent = load->mode == MODE_BOTH;
	if (load->mode != MODE_ROUNDS) {
		run_phase(load, drains ? 0 : load->messages, drains ? load->messages : 0, all);
		return;
	}
	run_rounds(load, all, drain);
	all->wall_ns += drain->wall_ns;
	all->server_cpu_ns += drain->server_cpu_ns;
}

static double us_a_message(const struct load *load, const struct cost *cost)
{
	return (double)cost->server_cpu_ns / 1e3 / (double)load->messages;
}

/* How many of the messages did not come. */
static size_t lost(const struct load *load)
{
	const struct traffic *traffic = &load->traffic;
	size_t done = load->mode == MODE_SEND ? traffic->sent : traffic->deleted - traffic->twice;

	return load->messages - done;
}

static void print(const struct load *load, const struct cost *all, const struct cost *drain)
{
	static const char *const names[STEP_COUNT] = {"send", "receive", "delete"};
	const struct traffic *traffic = &load->traffic;
	double seconds = (double)all->wall_ns / 1e9;
	struct latency took = {0};

	printf("{\"messages\":%zu,\"connections\":%zu,\"batch\":%zu,\"seconds\":%.3f,"
	       "\"per_second\":%.0f,\"requests\":%zu,\"empty\":%zu,\"lost\":%zu,\"twice\":%zu",
		load->messages, load->connections, traffic->batch, seconds,
		(double)load->messages / seconds, traffic->requests, traffic->empty, lost(load),
		traffic->twice);
	if (load->server_pid != 0)
		printf(",\"server_cpu_us\":%.3f", us_a_message(load, all));
	if (load->server_pid != 0 && load->mode == MODE_ROUNDS)
		printf(",\"server_cpu_us_drain\":%.3f", us_a_message(load, drain));
	for (unsigned i = 0; i < STEP_COUNT; i++) {
		printf(",");
		latency_print(stdout, names[i], &traffic->took[i]);
		latency_merge(&took, &traffic->took[i]);
	}
	printf(",");
	latency_print(stdout, "all", &took);
	printf("}\n");
}

static void usage(FILE *to)
{
	fprintf(to, "usage: queue_load [options] send|drain|both|rounds QUEUE_URL\n"
		    "  send             fills the queue\n"
		    "  drain            receives and deletes\n"
		    "  both             each connection sends, receives and deletes by turns\n"
		    "  rounds           fills with --round messages and drains as many, by turns\n"
		    "\n"
		    "  --messages N     in all [10000]\n"
		    "  --connections N  each with one request under way [16]\n"
		    "  --batch N        messages a request; 1: the single operations [10]\n"
		    "  --bytes N        of a body [300]\n"
		    "  --round N        of rounds [1000]\n"
		    "  --distinct       look at the numbers: what came twice, what never came\n"
		    "  --server PID     also measure the CPU time of this process\n"
		    "  --endpoint URL   where requests go, when QUEUE_URL names another host\n");
}

static size_t parse_number(const char *name, const char *text, size_t low, size_t high)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0' || value < low || value > high) {
		fprintf(stderr, "queue_load: --%s takes a number from %zu to %zu, not %s\n", name,
			low, high, text);
		exit(2);
	}
	return value;
}

static enum mode parse_mode(const char *name)
{
	static const char *const names[] = {"send", "drain", "both", "rounds"};

	for (int i = 0; i < 4; i++)
		if (strcmp(name, names[i]) == 0)
			return (enum mode)i;
	usage(stderr);
	exit(2);
}

static void parse_server(struct load *load, const char *text)
{
	load->server_pid = (long)parse_number("server", text, 1, 1 << 30);
	if (clock_getcpuclockid((pid_t)load->server_pid, &load->server_clock) != 0)
		die("no process %ld", load->server_pid);
}

/* False: not one of the options. */
static bool set_option(struct load *load, int option, const char **ret_endpoint)
{
	switch (option) {
	case 'm':
		load->messages = parse_number("messages", optarg, 1, 9999999999);
		return true;
	case 'c':
		load->connections = parse_number("connections", optarg, 1, CONNECTIONS_MAX);
		return true;
	case 'n':
		load->traffic.batch = parse_number("batch", optarg, 1, BATCH_MAX);
		return true;
	case 'b':
		load->traffic.body_bytes = parse_number("bytes", optarg, NUMBER_DIGITS, BODY_MAX);
		return true;
	case 'r':
		load->round = parse_number("round", optarg, 1, 1000000);
		return true;
	case 'd':
		load->distinct = true;
		return true;
	case 's':
		parse_server(load, optarg);
		return true;
	case 'e':
		*ret_endpoint = optarg;
		return true;
	}
	return false;
}

static void parse_options(struct load *load, int argc, char **argv, const char **ret_endpoint)
{
	static const struct option options[] = {{"messages", required_argument, NULL, 'm'},
		{"connections", required_argument, NULL, 'c'},
		{"batch", required_argument, NULL, 'n'}, {"bytes", required_argument, NULL, 'b'},
		{"round", required_argument, NULL, 'r'}, {"distinct", no_argument, NULL, 'd'},
		{"server", required_argument, NULL, 's'},
		{"endpoint", required_argument, NULL, 'e'}, {"help", no_argument, NULL, 'h'}, {0}};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (!set_option(load, option, ret_endpoint)) {
			usage(option == 'h' ? stdout : stderr);
			exit(option == 'h' ? 0 : 2);
		}
	}
	if (argc - optind != 2) {
		usage(stderr);
		exit(2);
	}
	load->mode = parse_mode(argv[optind]);
	load->traffic.queue_url = argv[optind + 1];
	load->traffic.numbers = load->messages;
}

int main(int argc, char **argv)
{
	static struct load load = {.messages = 10000,
		.connections = 16,
		.round = 1000,
		.traffic = {.batch = 10, .body_bytes = 300}};
	struct cost all = {0}, drain = {0};
	const char *endpoint = NULL;

	parse_options(&load, argc, argv, &endpoint);
	wire_parse(endpoint != NULL ? endpoint : load.traffic.queue_url, &load.traffic.address);
	traffic_init(&load.traffic);
	if (load.distinct && (load.traffic.seen = calloc(1, load.messages / 8 + 1)) == NULL)
		die("out of memory");
	open_all(&load);
	run(&load, &all, &drain);
	print(&load, &all, &drain);
	return lost(&load) > 0 || load.traffic.twice > 0;
}
