/* bunshin-scale: ten thousand cores in virtual time. */
#include "base/units.h"
#include "scale.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
	"usage: bunshin-scale [options]\n"
	"\n"
	"Runs many delivery cores on virtual time against a queue with SQS's limits and one\n"
	"provider, until the last message is accepted, checks that nothing is lost or late,\n"
	"and prints the time beside what arithmetic says.\n"
	"\n"
	"  --workers N          [1000]\n"
	"  --workers-per-host N they share a ledger and a rate [8]\n"
	"  --messages N         all there at the start, or again after a back-off [1000000]\n"
	"  --concurrency N      attempts of a worker at once [10]\n"
	"  --fixed              that many from the start; else as many as the provider takes\n"
	"  --rate N             configured, a second, of all workers [none]\n"
	"  --provider-rate N    of attempts a second; beyond it the provider answers 429 [none]\n"
	"  --provider-window MS what the provider counts them in [1000]\n"
	"  --provider-ms N      median of its latency, log-normal, 1/3 to 3 times as long [63]\n"
	"  --in-flight N        that the queue hands out at most [120000]\n"
	"  --queue-rate N       requests of each kind a second; else throttled [none]\n"
	"  --queue-ms LO-HI     there and back, long polls aside [10-20]\n"
	"  --visibility S       [60]\n"
	"  --start-within MS    workers start at random within this time [1000]\n"
	"  --deadline S         of one message in a hundred, from the start [none]\n"
	"  --seed N             [1]\n"
	"  --ratio LO-HI        exit 1 when actual by predicted is not in there, in thousandths\n"
	"  --requests N         exit 1 when more are made for a thousand messages\n"
	"  --duplicates N       exit 1 when there are more\n"
	"  --most-receives N    exit 1 when a message was received more often\n"
	"  --cpu-seconds N      exit 1 when this program needs more [3600]\n"
	"  --memory MIB         exit 1 when this program needs more [4096]\n"
	"  --progress S         a line to stderr every so many seconds of virtual time [none]\n"
	"  --json               print one JSON object\n"
	"  --help\n";

#define RANGE_MAX 1000000

struct command {
	struct options options;
	uint64_t ratio_min, ratio_max; /* UINT64_MAX: any, as of the others */
	uint64_t requests_max, duplicates_max, receives_max;
	bool json;
};

enum word {
	OPTION_WORKERS = 256,
	OPTION_PER_HOST,
	OPTION_MESSAGES,
	OPTION_CONCURRENCY,
	OPTION_FIXED,
	OPTION_RATE,
	OPTION_PROVIDER_RATE,
	OPTION_PROVIDER_WINDOW,
	OPTION_PROVIDER_MS,
	OPTION_IN_FLIGHT,
	OPTION_QUEUE_RATE,
	OPTION_QUEUE_MS,
	OPTION_VISIBILITY,
	OPTION_START_WITHIN,
	OPTION_DEADLINE,
	OPTION_SEED,
	OPTION_RATIO,
	OPTION_REQUESTS,
	OPTION_DUPLICATES,
	OPTION_MOST_RECEIVES,
	OPTION_CPU_SECONDS,
	OPTION_MEMORY,
	OPTION_PROGRESS,
	OPTION_JSON,
	OPTION_HELP,
};

static bool parse_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret)
{
	int64_t n;

	if (units_parse_int(text, &n) || n < (int64_t)least || (uint64_t)n > most)
		return false;
	*ret = (uint64_t)n;
	return true;
}

/* "10-20" */
static bool parse_range(const char *text, uint64_t *ret_low, uint64_t *ret_high)
{
	const char *dash = strchr(text, '-');
	char low[16];

	if (!dash || (size_t)(dash - text) >= sizeof(low))
		return false;
	memcpy(low, text, (size_t)(dash - text));
	low[dash - text] = '\0';
	return parse_number(low, 0, RANGE_MAX, ret_low) &&
	       parse_number(dash + 1, *ret_low, RANGE_MAX, ret_high);
}

static bool apply_number(struct options *options, enum word option, uint64_t n)
{
	switch (option) {
	case OPTION_WORKERS:
		options->workers = (unsigned)n;
		return n >= 1 && n <= 100000;
	case OPTION_PER_HOST:
		options->workers_per_host = (unsigned)n;
		return n >= 1 && n <= 1000;
	case OPTION_MESSAGES:
		options->messages = (uint32_t)n;
		return n >= 1 && n <= 1000000000;
	case OPTION_CONCURRENCY:
		options->concurrency = (unsigned)n;
		return n >= 1 && n <= 10000;
	case OPTION_RATE:
		options->rate = n;
		return n >= 1;
	case OPTION_PROVIDER_RATE:
		options->provider_rate = n;
		return n >= 1;
	case OPTION_PROVIDER_WINDOW:
		options->provider_window_us = n * MS;
		return n >= 1 && n <= 60000;
	case OPTION_PROVIDER_MS:
		options->provider_us = n * MS;
		return n >= 1 && n <= 1000;
	case OPTION_IN_FLIGHT:
		options->in_flight_limit = n;
		return n >= 10 && n <= 10000000;
	case OPTION_QUEUE_RATE:
		options->queue_rate = n;
		return n >= 1;
	case OPTION_VISIBILITY:
		options->visibility_s = (unsigned)n;
		return n >= 1 && n <= 43200;
	case OPTION_START_WITHIN:
		options->start_us = n * MS;
		return n <= 600000;
	case OPTION_DEADLINE:
		options->deadline_us = n * S;
		return n >= 1;
	case OPTION_CPU_SECONDS:
		options->cpu_max_s = n;
		return n >= 1;
	case OPTION_MEMORY:
		options->memory_max_mib = n;
		return n >= 1;
	case OPTION_PROGRESS:
		options->progress_us = n * S;
		return n >= 1 && n <= 86400;
	case OPTION_SEED:
	default:
		options->seed = n;
		return true;
	}
}

/* False: wrong usage. */
static bool apply(struct command *command, enum word option, const char *value)
{
	struct options *options = &command->options;
	uint64_t n, low, high;

	switch (option) {
	case OPTION_FIXED:
		options->adaptive = false;
		return true;
	case OPTION_JSON:
		return command->json = true;
	case OPTION_QUEUE_MS:
		if (!parse_range(value, &low, &high))
			return false;
		options->queue_min_us = low * MS;
		options->queue_max_us = high * MS;
		return true;
	case OPTION_RATIO:
		return parse_range(value, &command->ratio_min, &command->ratio_max);
	case OPTION_REQUESTS:
		return parse_number(value, 0, INT64_MAX, &command->requests_max);
	case OPTION_DUPLICATES:
		return parse_number(value, 0, INT64_MAX, &command->duplicates_max);
	case OPTION_MOST_RECEIVES:
		return parse_number(value, 0, INT64_MAX, &command->receives_max);
	default:
		return parse_number(value, 0, INT64_MAX, &n) && apply_number(options, option, n);
	}
}

/* -1: go on; else the exit code. */
static int parse(struct command *command, int argc, char **argv)
{
	static const struct option long_options[] = {
		{"workers", required_argument, NULL, OPTION_WORKERS},
		{"workers-per-host", required_argument, NULL, OPTION_PER_HOST},
		{"messages", required_argument, NULL, OPTION_MESSAGES},
		{"concurrency", required_argument, NULL, OPTION_CONCURRENCY},
		{"fixed", no_argument, NULL, OPTION_FIXED},
		{"rate", required_argument, NULL, OPTION_RATE},
		{"provider-rate", required_argument, NULL, OPTION_PROVIDER_RATE},
		{"provider-window", required_argument, NULL, OPTION_PROVIDER_WINDOW},
		{"provider-ms", required_argument, NULL, OPTION_PROVIDER_MS},
		{"in-flight", required_argument, NULL, OPTION_IN_FLIGHT},
		{"queue-rate", required_argument, NULL, OPTION_QUEUE_RATE},
		{"queue-ms", required_argument, NULL, OPTION_QUEUE_MS},
		{"visibility", required_argument, NULL, OPTION_VISIBILITY},
		{"start-within", required_argument, NULL, OPTION_START_WITHIN},
		{"deadline", required_argument, NULL, OPTION_DEADLINE},
		{"seed", required_argument, NULL, OPTION_SEED},
		{"ratio", required_argument, NULL, OPTION_RATIO},
		{"requests", required_argument, NULL, OPTION_REQUESTS},
		{"duplicates", required_argument, NULL, OPTION_DUPLICATES},
		{"most-receives", required_argument, NULL, OPTION_MOST_RECEIVES},
		{"cpu-seconds", required_argument, NULL, OPTION_CPU_SECONDS},
		{"memory", required_argument, NULL, OPTION_MEMORY},
		{"progress", required_argument, NULL, OPTION_PROGRESS},
		{"json", no_argument, NULL, OPTION_JSON},
		{"help", no_argument, NULL, OPTION_HELP},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == OPTION_HELP) {
			fputs(help, stdout);
			return 0;
		}
		if (option == '?' || !apply(command, (enum word)option, optarg)) {
			fprintf(stderr, "bunshin-scale: wrong usage (try --help)\n");
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "bunshin-scale: unknown argument \"%s\" (try --help)\n",
			argv[optind]);
		return 2;
	}
	return -1;
}

/* What the caller expects of the figures. */
static int judge(const struct command *command, const struct world *world)
{
	double thousandths = report_ratio(world) * 1000;
	int code = 0;

	if (thousandths < (double)command->ratio_min || thousandths > (double)command->ratio_max) {
		printf("the last acceptance is not where it is expected\n");
		code = 1;
	}
	if (report_requests(world) * 1000 > (double)command->requests_max) {
		printf("more requests were made than expected\n");
		code = 1;
	}
	if (world->provider.duplicates > command->duplicates_max) {
		printf("more was sent twice than expected\n");
		code = 1;
	}
	if (report_most_receives(world) > command->receives_max) {
		printf("a message was received more often than expected\n");
		code = 1;
	}
	return code;
}

int main(int argc, char **argv)
{
	static struct world world;
	struct command command = {.options = {.seed = 1,
					  .workers = 1000,
					  .workers_per_host = 8,
					  .messages = 1000000,
					  .concurrency = 10,
					  .adaptive = true,
					  .provider_window_us = S,
					  .provider_us = 63 * MS,
					  .in_flight_limit = 120000,
					  .queue_min_us = 10 * MS,
					  .queue_max_us = 20 * MS,
					  .visibility_s = 60,
					  .wait_s = 20,
					  .start_us = S,
					  .limit_us = 24 * 3600 * S,
					  .cpu_max_s = 3600,
					  .memory_max_mib = 4096},
		.ratio_max = UINT64_MAX,
		.requests_max = UINT64_MAX,
		.duplicates_max = UINT64_MAX,
		.receives_max = UINT64_MAX};
	int code = parse(&command, argc, argv);

	if (code >= 0)
		return code;
	world_run(&world, &command.options);
	report_print(&world, command.json);
	code = judge(&command, &world);
	world_close(&world);
	return code;
}
