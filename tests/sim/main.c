/* bunshin-sim: the core against a world of faults, from seeds. */
#include "base/units.h"
#include "shrink.h"
#include "sim.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char help[] =
	"usage: bunshin-sim [options]\n"
	"\n"
	"Runs the delivery core on virtual time against a simulated queue, providers and fleet, "
	"with\n"
	"faults drawn from a seed, and checks its promises after every step. A run that breaks one "
	"is\n"
	"shrunk to a short trace. Exit 1 then, 2 for wrong usage.\n"
	"\n"
	"  --seed N            the first seed [1]\n"
	"  --runs N            this many seeds in a row [1]\n"
	"  --messages N        in each run [1000]\n"
	"  --faults LIST       all, none, or classes between commas; -CLASS leaves one out [all]\n"
	"  --twice             run each seed a second time, and compare\n"
	"  --trace             print what happens\n"
	"  --about N           of the trace, what is about this message or about none\n"
	"  --brief             the trace without timers and calls\n"
	"  --no-shrink         tell of a failure as it is\n"
	"  --expect INVARIANT  exit 0 only when this one breaks in one of the runs\n"
	"  --quiet             print nothing but failures\n"
	"  --only-faults IDS   of the faults that would come, these only; a failure prints them\n"
	"  --only-messages NS  of the messages, these only\n"
	"  --help\n"
	"\n"
	"Classes: ";

struct command {
	struct sim_options options;
	uint64_t runs;
	bool twice, trace, brief, shrink, quiet;
	uint32_t message;      /* of the trace; TRACE_NONE: all */
	enum invariant expect; /* INVARIANTS: none */
	struct fault_set faults, mails;
};

static void print_help(void)
{
	fputs(help, stdout);
	for (int class = 0; class < FAULT_CLASSES; class ++)
		printf("%s%s", class ? ", " : "", fault_class_name(class));
	puts(".\n\nInvariants:");
	for (int i = 0; i < INVARIANTS; i++)
		printf("  %-13s %s\n", invariant_name(i), invariant_words(i));
}

static bool parse_number(const char *text, int64_t least, int64_t most, int64_t *ret)
{
	return units_parse_int(text, ret) == 0 && *ret >= least && *ret <= most;
}

/* "3,17": decimal numbers. */
static bool parse_mails(const char *text, struct fault_set *ret_set)
{
	struct fault_set set = {.ids = malloc((strlen(text) + 1) * sizeof(set.ids[0]))};

	if (!set.ids)
		abort();
	for (char *end; *text; text = *end ? end + 1 : end) {
		unsigned long n = strtoul(text, &end, 10);

		if (end == text || (*end != ',' && *end != '\0') || n > UINT32_MAX)
			return false;
		set.ids[set.count++] = (uint32_t)n;
	}
	fault_set_sort(&set);
	*ret_set = set;
	return true;
}

enum word {
	OPTION_SEED = 256,
	OPTION_RUNS,
	OPTION_MESSAGES,
	OPTION_FAULTS,
	OPTION_TWICE,
	OPTION_TRACE,
	OPTION_ABOUT,
	OPTION_BRIEF,
	OPTION_NO_SHRINK,
	OPTION_EXPECT,
	OPTION_QUIET,
	OPTION_ONLY_FAULTS,
	OPTION_ONLY_MESSAGES,
	OPTION_HELP,
};

/* False: wrong usage. */
static bool apply(struct command *command, enum word option, const char *value)
{
	struct sim_options *options = &command->options;
	int64_t n;

	switch (option) {
	case OPTION_SEED:
		options->seed = parse_number(value, 0, INT64_MAX, &n) ? (uint64_t)n : 0;
		return parse_number(value, 0, INT64_MAX, &n);
	case OPTION_RUNS:
		command->runs = parse_number(value, 1, INT64_MAX, &n) ? (uint64_t)n : 0;
		return command->runs > 0;
	case OPTION_MESSAGES:
		options->messages = parse_number(value, 1, 10000000, &n) ? (size_t)n : 0;
		return options->messages > 0;
	case OPTION_FAULTS:
		return faults_parse(value, &options->classes);
	case OPTION_TWICE:
		return command->twice = true;
	case OPTION_TRACE:
		return command->trace = true;
	case OPTION_BRIEF:
		return command->brief = true;
	case OPTION_ABOUT:
		command->message = parse_number(value, 0, 9999999, &n) ? (uint32_t)n : TRACE_NONE;
		return command->message != TRACE_NONE;
	case OPTION_NO_SHRINK:
		command->shrink = false;
		return true;
	case OPTION_EXPECT:
		command->expect = invariant_named(value);
		return command->expect != INVARIANTS;
	case OPTION_QUIET:
		return command->quiet = true;
	case OPTION_ONLY_FAULTS:
		options->only_faults = &command->faults;
		return fault_set_parse(value, &command->faults);
	case OPTION_ONLY_MESSAGES:
		options->only_mails = &command->mails;
		return parse_mails(value, &command->mails);
	case OPTION_HELP:
	default:
		return false;
	}
}

/* -1: go on; else the exit code. */
static int parse(struct command *command, int argc, char **argv)
{
	static const struct option long_options[] = {
		{"seed", required_argument, NULL, OPTION_SEED},
		{"runs", required_argument, NULL, OPTION_RUNS},
		{"messages", required_argument, NULL, OPTION_MESSAGES},
		{"faults", required_argument, NULL, OPTION_FAULTS},
		{"twice", no_argument, NULL, OPTION_TWICE},
		{"trace", no_argument, NULL, OPTION_TRACE},
		{"about", required_argument, NULL, OPTION_ABOUT},
		{"brief", no_argument, NULL, OPTION_BRIEF},
		{"no-shrink", no_argument, NULL, OPTION_NO_SHRINK},
		{"expect", required_argument, NULL, OPTION_EXPECT},
		{"quiet", no_argument, NULL, OPTION_QUIET},
		{"only-faults", required_argument, NULL, OPTION_ONLY_FAULTS},
		{"only-messages", required_argument, NULL, OPTION_ONLY_MESSAGES},
		{"help", no_argument, NULL, OPTION_HELP},
		{0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
		if (option == OPTION_HELP) {
			print_help();
			return 0;
		}
		if (option == '?' || !apply(command, (enum word)option, optarg)) {
			fprintf(stderr, "bunshin-sim: wrong usage (try --help)\n");
			return 2;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "bunshin-sim: unknown argument \"%s\" (try --help)\n",
			argv[optind]);
		return 2;
	}
	return -1;
}

static void add_totals(struct sim_totals *to, const struct sim_totals *from)
{
	/* Nothing but counters. */
	uint64_t *sum = (uint64_t *)to;
	const uint64_t *more = (const uint64_t *)from;

	for (size_t i = 0; i < sizeof(*to) / sizeof(uint64_t); i++)
		sum[i] += more[i];
}

static void print_summary(const struct command *command, const struct sim_totals *totals,
	uint64_t runs, uint64_t hash, double cpu_s)
{
	printf("seeds %" PRIu64 "-%" PRIu64 ": %" PRIu64 " lives, %" PRIu64 " sends, %" PRIu64
	       " accepted, %" PRIu64 " duplicates, %" PRIu64 " suppressed, %" PRIu64
	       " receives, %" PRIu64 " expired, %" PRIu64 " cancelled, %" PRIu64 " copied, %" PRIu64
	       " redriven, %" PRIu64 " left; %" PRIu64 " worker lives, %" PRIu64 " events\n",
		command->options.seed, command->options.seed + runs - 1, totals->lives,
		totals->sends, totals->accepted, totals->duplicates, totals->suppressed,
		totals->receives, totals->expired, totals->cancelled, totals->copied,
		totals->redriven, totals->left, totals->worker_lives, totals->events);
	printf("faults:");
	for (int class = 0; class < FAULT_CLASSES; class ++)
		if (totals->faults[class])
			printf(" %s %" PRIu64, fault_class_name(class), totals->faults[class]);
	printf("\nhash %016" PRIx64 "; %.1f s of CPU, %.0f lives a minute\n", hash, cpu_s,
		cpu_s > 0 ? (double)totals->lives / cpu_s * 60 : 0);
}

static double cpu_seconds(void)
{
	return (double)clock() / CLOCKS_PER_SEC;
}

/* The same seed again gives the same run. */
static bool is_repeatable(const struct sim_options *options, uint64_t hash)
{
	static struct sim again;
	uint64_t second;

	sim_run(&again, options);
	second = again.trace.hash;
	sim_end(&again);
	if (second == hash)
		return true;
	printf("seed %" PRIu64 ": two runs differ: %016" PRIx64 " and %016" PRIx64 "\n",
		options->seed, hash, second);
	return false;
}

static bool is_wanted(const struct command *command, const struct verdict *verdict)
{
	return verdict->broken && verdict->invariant == command->expect;
}

static int run_all(struct command *command)
{
	static struct sim sim;
	struct sim_options options = command->options;
	struct sim_totals totals = {0};
	double start_s = cpu_seconds();
	uint64_t hash = 0, one, done = 0;
	bool good = true, stop = false;

	for (; done < command->runs && !stop; done++, options.seed++) {
		struct verdict verdict;

		options.keep_trace = command->trace;
		sim_run(&sim, &options);
		verdict = sim.verdict;
		add_totals(&totals, &sim.totals);
		one = sim.trace.hash;
		hash = chance_mix(hash ^ one);
		if (command->trace)
			trace_print(&sim.trace, command->message, command->brief, stdout);
		sim_end(&sim);
		if (verdict.broken) {
			good = is_wanted(command, &verdict);
			stop = true;
			if (!good || !command->quiet || command->expect != INVARIANTS)
				shrink_report(&options, &verdict, command->shrink, stdout);
		} else if (command->twice && !is_repeatable(&options, one)) {
			good = false;
		}
	}
	if (!command->quiet)
		print_summary(command, &totals, done, hash, cpu_seconds() - start_s);
	if (command->expect != INVARIANTS && !stop) {
		printf("%s did not break\n", invariant_name(command->expect));
		good = false;
	}
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	struct command command = {
		.options = {.seed = 1, .messages = 1000, .classes = FAULTS_ALL},
		.runs = 1,
		.shrink = true,
		.message = TRACE_NONE,
		.expect = INVARIANTS,
	};
	int code = parse(&command, argc, argv);

	if (code < 0)
		code = run_all(&command);
	free(command.faults.ids);
	free(command.mails.ids);
	return code;
}
