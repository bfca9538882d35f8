#include "post.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const struct post_header post_headers[POST_HEADERS] = {
	{"Content-Type", "application/json"},
	{"Authorization", "Bearer 0123456789012345678901234567890123456789"},
	{"X-Line-Retry-Key", "123e4567-e89b-12d3-a456-426614174000"},
};

static struct post_options options = {
	.shard = 64, .bytes = 300, .concurrency = 64, .requests = 100000};
static const char *program;
static long started, finished, failed, begin_kib;
static double begin_cpu_s, begin_s;
/* Between the clocks' begin and end. */
static long counted;
static double cpu_s, wall_s;

void post_check(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "%s: %s failed\n", program, what);
	exit(1);
}

static void usage(void)
{
	fprintf(stderr,
		"usage: %s --url URL [--http 1.1|2] [--ca FILE] [--shard N] [--bytes N]\n"
		"    [--concurrency N] [--requests N] [--warmup N]\n",
		program);
	exit(2);
}

static long parse_number(const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);

	if (*text == '\0' || *end != '\0' || number <= 0)
		usage();
	return number;
}

static bool parse_http(const char *text)
{
	if (strcmp(text, "1.1") != 0 && strcmp(text, "2") != 0)
		usage();
	return strcmp(text, "2") == 0;
}

static const char *make_body(size_t bytes)
{
	static const char head[] = "{\"to\":\"U00000000000000000000000000000000\",\"text\":\"";
	static const char tail[] = "\"}";
	char *body = malloc(bytes + 1);

	post_check(body != NULL, "malloc");
	memset(body, 'x', bytes);
	body[bytes] = '\0';
	if (bytes >= sizeof(head) + sizeof(tail)) {
		memcpy(body, head, sizeof(head) - 1);
		memcpy(body + bytes - (sizeof(tail) - 1), tail, sizeof(tail) - 1);
	}
	return body;
}

const struct post_options *post_parse(int argc, char **argv)
{
	static const struct option table[] = {
		{"url", required_argument, NULL, 'u'},
		{"http", required_argument, NULL, 'h'},
		{"ca", required_argument, NULL, 'a'},
		{"shard", required_argument, NULL, 's'},
		{"bytes", required_argument, NULL, 'b'},
		{"concurrency", required_argument, NULL, 'c'},
		{"requests", required_argument, NULL, 'n'},
		{"warmup", required_argument, NULL, 'w'},
		{0},
	};
	long *const numbers[] = {['s'] = &options.shard,
		['b'] = &options.bytes,
		['c'] = &options.concurrency,
		['n'] = &options.requests,
		['w'] = &options.warmup};
	int option;

	program = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
		if (option == '?')
			usage();
		if (option == 'u')
			options.url = optarg;
		else if (option == 'a')
			options.ca_file = optarg;
		else if (option == 'h')
			options.http2 = parse_http(optarg);
		else
			*numbers[option] = parse_number(optarg);
	}
	if (options.url == NULL || optind != argc || options.warmup >= options.requests)
		usage();
	options.body = make_body((size_t)options.bytes);
	return &options;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double cpu_seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Not getrusage()'s, which is that of whoever started the program, if larger. */
static long peak_kib(void)
{
	FILE *status = fopen("/proc/self/status", "r");
	char line[128];
	long kib = 0;

	post_check(status != NULL, "opening /proc/self/status");
	while (kib == 0 && fgets(line, sizeof(line), status) != NULL)
		sscanf(line, "VmHWM: %ld", &kib);
	fclose(status);
	return kib;
}

static void begin_clocks(void)
{
	begin_cpu_s = cpu_seconds();
	begin_s = seconds();
}

static void end_clocks(void)
{
	counted = finished - options.warmup;
	cpu_s = cpu_seconds() - begin_cpu_s;
	wall_s = seconds() - begin_s;
}

void post_begin(void)
{
	begin_kib = peak_kib();
	begin_clocks();
}

bool post_start(void)
{
	if (started >= options.requests)
		return false;
	if (++started == options.requests && finished > options.warmup)
		end_clocks();
	return true;
}

void post_finish(bool accepted)
{
	failed += !accepted;
	if (++finished == options.warmup)
		begin_clocks();
}

bool post_is_done(void)
{
	return finished >= started;
}

int post_report(void)
{
	if (counted == 0)
		end_clocks(); /* the last one was started before the warm-up had ended */
	printf("requests %ld failed %ld seconds %.3f rate %.0f cpu_us_per_request %.2f "
	       "kib_each %.1f\n",
		counted, failed, wall_s, (double)counted / wall_s, cpu_s * 1e6 / (double)counted,
		(double)(peak_kib() - begin_kib) / (double)options.concurrency);
	return failed == 0 ? 0 : 1;
}
