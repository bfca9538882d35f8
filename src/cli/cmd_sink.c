/* bunshin sink: a mock provider to rehearse with. */
#include "base/units.h"
#include "bunshin/error.h"
#include "cli/cli.h"
#include "cli/runtime.h"
#include "cli/sink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMMAND "sink"
#define LATENCY_MAX_MS (60 * 60 * 1000)

struct command {
	struct runtime runtime;
	struct sink *sink;
	bool broken;
};

/* The options as they are typed. */
struct words {
	const char *latency, *fail, *close, *as, *rate, *refuse;
	int64_t status, seed, quota, streams, goaway_after;
};

/* "30", "0.5": at most 100 and four decimals, as parts of a million. */
static int parse_percent(const char *text, uint32_t *ret_ppm)
{
	uint64_t ppm = 0;
	size_t digits = strspn(text, "0123456789"), decimals = 0;

	if (digits == 0 || digits > 3)
		return ERR_SYNTAX;
	for (size_t i = 0; i < digits; i++)
		ppm = ppm * 10 + (uint64_t)(text[i] - '0');
	text += digits;
	if (*text == '.') {
		decimals = strspn(++text, "0123456789");
		if (decimals == 0 || decimals > 4)
			return ERR_SYNTAX;
	}
	for (size_t i = 0; i < 4; i++)
		ppm = ppm * 10 + (i < decimals ? (uint64_t)(text[i] - '0') : 0);
	if (text[decimals] != '\0' || ppm > 1000000)
		return ERR_SYNTAX;
	*ret_ppm = (uint32_t)ppm;
	return 0;
}

/* "20" or "10-50" */
static int parse_latency(const char *text, int64_t *ret_low_ms, int64_t *ret_high_ms)
{
	const char *dash = strchr(text, '-');
	size_t low_len = dash ? (size_t)(dash - text) : strlen(text);
	char low[16];
	int64_t low_ms, high_ms;

	if (low_len >= sizeof(low))
		return ERR_SYNTAX;
	memcpy(low, text, low_len);
	low[low_len] = '\0';
	if (units_parse_int(low, &low_ms) < 0 ||
		units_parse_int(dash ? dash + 1 : low, &high_ms) < 0)
		return ERR_SYNTAX;
	if (low_ms < 0 || high_ms < low_ms || high_ms > LATENCY_MAX_MS)
		return ERR_LIMIT;
	*ret_low_ms = low_ms;
	*ret_high_ms = high_ms;
	return 0;
}

/* A status without --fail is what every request gets, be it good or bad. */
static int apply_status(const struct words *words, struct sink_options *options)
{
	options->status = 200;
	options->fail_status = 500;
	if (words->status == 0)
		return -1;
	if (words->status <= 299 && words->fail)
		return cli_usage_error(COMMAND, "--status: %d is no failure, but --fail is given",
			(int)words->status);
	if (words->status <= 299) {
		options->status = (int)words->status;
		return -1;
	}
	options->fail_status = (int)words->status;
	if (!words->fail)
		options->fail_ppm = 1000000 - options->close_ppm;
	return -1;
}

/* --as and what goes with it only. */
static int apply_play(const struct words *words, struct sink_options *options)
{
	struct play_options *play = &options->play;

	if (!words->as) {
		if (words->rate || words->quota != 0)
			return cli_usage_error(
				COMMAND, "--%s: only with --as", words->rate ? "rate" : "quota");
		return -1;
	}
	play->provider = play_find(words->as);
	if (!play->provider)
		return cli_usage_error(
			COMMAND, "--as: there is no \"%s\"; expected %s", words->as, play_names());
	if (options->dedup)
		return cli_usage_error(COMMAND,
			"--dedup: not with --as; %s decides which keys it remembers", words->as);
	if (words->status != 0 && words->status <= 299)
		return cli_usage_error(COMMAND,
			"--status: not a success with --as; %s decides what one is", words->as);
	if (words->quota != 0 && !play->provider->has_quota)
		return cli_usage_error(COMMAND, "--quota: %s has none", words->as);
	play->quota = (uint64_t)words->quota;
	play->rate_count = play->provider->rate_count;
	play->rate_per_ms = play->provider->rate_per_ms;
	if (words->rate && strcmp(words->rate, "none") == 0)
		play->rate_count = 0;
	else if (words->rate &&
		 units_parse_rate(words->rate, &play->rate_count, &play->rate_per_ms) < 0)
		return cli_usage_error(COMMAND,
			"--rate: expected a rate like 2000/s or 100/m, or none, got \"%s\"",
			words->rate);
	return -1;
}

/* HTTP/2, and what goes with it only. */
static int apply_http2(const struct words *words, struct sink_options *options)
{
	struct sink_http2 *http2 = &options->http2;
	const char *without = http2->certificate	 ? "tls-cert"
			      : http2->key		 ? "tls-key"
			      : words->streams != 0	 ? "streams"
			      : words->goaway_after != 0 ? "goaway-after"
			      : words->refuse		 ? "refuse"
							 : NULL;

	if (options->play.provider && options->play.provider->speaks_http2)
		http2->on = true;
	if (!http2->on && without)
		return cli_usage_error(COMMAND, "--%s: only with --http2 (or --as apns)", without);
	if (!http2->certificate != !http2->key)
		return cli_usage_error(COMMAND, "--%s: --%s is missing",
			http2->key ? "tls-key" : "tls-cert", http2->key ? "tls-cert" : "tls-key");
	if (words->refuse && parse_percent(words->refuse, &http2->refuse_ppm) < 0)
		return cli_usage_error(COMMAND,
			"--refuse: expected a percentage from 0 to 100, got \"%s\"", words->refuse);
	http2->streams = (unsigned)words->streams;
	http2->goaway_after = (unsigned)words->goaway_after;
	return -1;
}

/* Returns -1 to go on, else the exit code. */
static int apply(const struct words *words, struct sink_options *options)
{
	int code;

	if (words->latency && parse_latency(words->latency, &options->latency_low_ms,
				      &options->latency_high_ms) < 0)
		return cli_usage_error(COMMAND,
			"--latency: expected milliseconds like 20 or 10-50, got \"%s\"",
			words->latency);
	if (words->fail && parse_percent(words->fail, &options->fail_ppm) < 0)
		return cli_usage_error(COMMAND,
			"--fail: expected a percentage from 0 to 100, got \"%s\"", words->fail);
	if (words->close && parse_percent(words->close, &options->close_ppm) < 0)
		return cli_usage_error(COMMAND,
			"--close: expected a percentage from 0 to 100, got \"%s\"", words->close);
	code = apply_status(words, options);
	if (code < 0)
		code = apply_play(words, options);
	if (code < 0)
		code = apply_http2(words, options);
	if (code >= 0)
		return code;
	if (options->fail_ppm + options->close_ppm > 1000000)
		return cli_usage_error(COMMAND, "--fail and --close are more than 100 together");
	return -1;
}

static int parse(struct words *words, struct sink_options *sink, int argc, char **argv)
{
	const struct cli_option options[] = {
		{"listen", 0, CLI_STRING, "ADDR", &sink->listen, 0, 0,
			"address and port; port 0: any free one [127.0.0.1:9400]"},
		{"latency", 0, CLI_STRING, "MS|LO-HI", &words->latency, 0, 0,
			"milliseconds before an answer, fixed or drawn from a range [0]"},
		{"fail", 0, CLI_STRING, "PERCENT", &words->fail, 0, 0,
			"this many requests fail [0; 100 with a --status that is a failure]"},
		{"close", 0, CLI_STRING, "PERCENT", &words->close, 0, 0,
			"this many connections are cut without an answer [0]"},
		{"status", 0, CLI_INT, "CODE", &words->status, 200, 599,
			"what a failing request is answered [500]; 2xx: an accepted one [200]"},
		{"retry-after", 0, CLI_INT, "S", &sink->retry_after_s, 0, 86400,
			"seconds, sent as Retry-After with every failure"},
		{"as", 0, CLI_STRING, "PROVIDER", &words->as, 0, 0,
			"answer as apns, fcm, lambda, line, slack, telegram or twilio does"},
		{"rate", 0, CLI_STRING, "N/s|none", &words->rate, 0, 0,
			"with --as: requests past it are refused [what the provider documents]"},
		{"quota", 0, CLI_INT, "N", &words->quota, 1, INT64_MAX,
			"with --as line: recipients after which the monthly limit is reached"},
		{"http2", 0, CLI_FLAG, NULL, &sink->http2.on, 0, 0,
			"speak HTTP/2 and nothing else [with --as apns]"},
		{"tls-cert", 0, CLI_STRING, "FILE", &sink->http2.certificate, 0, 0,
			"with --http2: speak it over TLS, with this certificate (PEM)"},
		{"tls-key", 0, CLI_STRING, "FILE", &sink->http2.key, 0, 0, "its key (PEM)"},
		{"streams", 0, CLI_INT, "N", &words->streams, 1, 100000,
			"with --http2: requests at once on a connection [100; apns: 1, then 1000]"},
		{"goaway-after", 0, CLI_INT, "N", &words->goaway_after, 1, 1000000000,
			"with --http2: end a connection gracefully after so many requests"},
		{"refuse", 0, CLI_STRING, "PERCENT", &words->refuse, 0, 0,
			"with --http2: this many requests are refused unseen (REFUSED_STREAM) [0]"},
		{"dedup", 0, CLI_FLAG, NULL, &sink->dedup, 0, 0,
			"answer 409 to an idempotency key that was accepted before"},
		{"never", 0, CLI_FLAG, NULL, &sink->never, 0, 0, "take requests and never answer"},
		{"seed", 0, CLI_INT, "N", &words->seed, 0, INT64_MAX, "makes the draws repeatable"},
		{"record", 0, CLI_STRING, "FILE", &sink->record, 0, 0,
			"append every request to this file, one JSON object a line"},
		{0},
	};
	const struct cli_usage usage = {COMMAND, "[options]",
		"A mock provider to rehearse with: takes every request, answers as told, counts.\n"
		"On SIGTERM or Ctrl-C it prints the counts as one JSON object.",
		options, 0, 0};
	int first, count;

	return cli_parse(&usage, argc, argv, &first, &count);
}

static void on_signal(void *arg, unsigned count)
{
	struct command *command = arg;

	uv_stop(&command->runtime.loop);
}

static void on_fatal(void *arg, const char *reason)
{
	struct command *command = arg;

	command->broken = true;
	cli_error(COMMAND, "%s", reason);
	uv_stop(&command->runtime.loop);
}

static void print_totals(const struct sink_totals *totals, const struct sink_options *options)
{
	const struct play_options *play = &options->play;

	printf("{\"requests\":%" PRIu64 ",\"accepted\":%" PRIu64 ",\"failed\":%" PRIu64
	       ",\"closed\":%" PRIu64 ",\"unanswered\":%" PRIu64 ",\"duplicates\":%" PRIu64
	       ",\"conflicts\":%" PRIu64,
		totals->requests, totals->accepted, totals->failed, totals->closed,
		totals->unanswered, totals->duplicates, totals->conflicts);
	if (play->provider)
		printf(",\"provider\":\"%s\",\"recipients\":%" PRIu64 ",\"throttled\":%" PRIu64
		       ",\"most_in_a_second\":%" PRIu64,
			play->provider->name, totals->play.recipients, totals->play.throttled,
			totals->play.most);
	if (play->provider && play->provider->knows_recipients)
		printf(",\"repeated_recipients\":%" PRIu64, totals->play.repeated);
	if (options->http2.on)
		printf(",\"connections\":%" PRIu64 ",\"most_streams\":%" PRIu64
		       ",\"refused\":%" PRIu64 ",\"goaways\":%" PRIu64,
			totals->http2.connections, totals->http2.most_streams,
			totals->http2.refused, totals->http2.goaways);
	printf("}\n");
	fflush(stdout);
}

static int serve(struct command *command, const struct sink_options *options)
{
	struct sink_totals totals;
	char error[512] = "out of memory";
	int err = sink_new(&command->runtime.loop, command->runtime.clock, options, on_fatal,
		command, error, sizeof(error), &command->sink);

	if (err != 0) {
		cli_error(COMMAND, "%s", error);
		return err == ERR_ARGUMENT ? CLI_USAGE : CLI_FAILED;
	}
	printf("listening on %s\n", sink_url(command->sink));
	fflush(stdout);
	uv_run(&command->runtime.loop, UV_RUN_DEFAULT);
	err = sink_close(command->sink, &totals);
	if (err != 0 && !command->broken)
		cli_error(COMMAND, "cannot write %s", options->record);
	print_totals(&totals, options);
	return err != 0 || command->broken ? CLI_FAILED : CLI_DONE;
}

int cmd_sink(int argc, char **argv)
{
	struct sink_options options = {.listen = "127.0.0.1:9400", .retry_after_s = -1};
	struct words words = {.seed = -1};
	struct command command = {0};
	int code = parse(&words, &options, argc, argv);

	if (code < 0)
		code = apply(&words, &options);
	if (code >= 0)
		return code;
	if (runtime_open(&command.runtime, on_signal, &command) < 0) {
		cli_error(COMMAND, "cannot start the event loop");
		return CLI_FAILED;
	}
	options.seed = words.seed >= 0 ? (uint64_t)words.seed : clock_random(command.runtime.clock);
	code = serve(&command, &options);
	runtime_close(&command.runtime);
	return code;
}
