#include "cli/campaign/watch.h"

#include "aws/sqs_queue.h"
#include "base/list.h"
#include "bunshin/error.h"
#include "cli/campaign/campaign.h"
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#define COMMAND WATCH_COMMAND
#define SHOW_EVERY_US ((uint64_t)1000000)
#define LINE_EVERY_US ((uint64_t)10000000)
#define CAMPAIGNS_SHOWN 10

struct watch {
	/* from the command line */
	const char *directory, *results_url, *outcomes, *endpoint;
	int64_t total;
	bool once, json, until_done, allow_insecure;
	/* what they lead to */
	struct runtime runtime;
	struct results_db *db;
	bool reads_only; /* nothing is brought in here */
	struct watch_sources *sources;
	struct watch_view view;
	struct watch_screen screen;
	bool terminal;
	struct clock_timer tick, more;
	uint64_t next_line_us;
	bool stopping, finished;
	int err; /* what ended it */
};

/* ---- what the command line says */

static int parse(struct watch *watch, int argc, char **argv)
{
	const struct cli_option options[] = {
		{"dir", 0, CLI_STRING, "DIR", &watch->directory, 0, 0,
			"the campaign directory, with journal and results.db [.]"},
		{"results-url", 0, CLI_STRING, "URL", &watch->results_url, 0, 0,
			"the workers' results queue: read into results.db"},
		{"outcomes", 0, CLI_STRING, "DIR", &watch->outcomes, 0, 0,
			"this host's outcome logs: read into results.db"},
		{"total", 0, CLI_INT, "N", &watch->total, 1, INT64_MAX,
			"messages of the campaign [what its journal says]"},
		{"once", 0, CLI_FLAG, NULL, &watch->once, 0, 0, "read what is there, show it, end"},
		{"until-done", 0, CLI_FLAG, NULL, &watch->until_done, 0, 0,
			"end when every message has ended; 0 if all were accepted, else 1"},
		{"json", 0, CLI_FLAG, NULL, &watch->json, 0, 0,
			"print a JSON object a second, one a line"},
		{"endpoint", 0, CLI_STRING, "URL", &watch->endpoint, 0, 0,
			"the SQS endpoint [AWS_ENDPOINT_URL_SQS, or the queue URL's host]"},
		{"allow-insecure-endpoint", 0, CLI_FLAG, NULL, &watch->allow_insecure, 0, 0,
			"plain http to SQS on another machine, which can be read on the way"},
		{0},
	};
	const struct cli_usage usage = {COMMAND, "NAME [options]",
		"Shows where a campaign stands, each second, and collects its results: from the\n"
		"results queue, or from the outcome logs of this host, into DIR/results.db. "
		"Without\n"
		"either it shows what is in there. It may be started, ended and started again at\n"
		"any time.",
		options, 1, 1};
	int first, count, code = cli_parse(&usage, argc, argv, &first, &count);

	if (code < 0)
		watch->view.campaign = argv[first];
	return code;
}

/* Returns -1 to go on, else the exit code. */
static int check_options(struct watch *watch)
{
	struct sqs_queue_url parts;

	if (watch->results_url && watch->outcomes)
		return cli_usage_error(
			COMMAND, "--results-url and --outcomes: one of them is enough");
	if (watch->once && watch->until_done)
		return cli_usage_error(COMMAND, "--once and --until-done exclude each other");
	if (watch->results_url && sqs_queue_url_parse(watch->results_url, &parts) < 0)
		return cli_usage_error(
			COMMAND, "--results-url: \"%s\" is no queue URL", watch->results_url);
	watch->reads_only = !watch->results_url && !watch->outcomes;
	watch->view.total = (uint64_t)watch->total;
	return -1;
}

/* ---- opening */

static int open_db(struct watch *watch, struct buf *error)
{
	struct buf path = BUF_INIT(8192);
	int err = buf_appendf(&path, "%s/" RESULTS_DB_NAME, watch->directory);

	if (err == 0)
		err = results_db_open(buf_string(&path), watch->reads_only, &watch->db, error);
	if (err == ERR_PENDING) {
		cli_error(COMMAND, "%s; this one shows what the other one collects",
			buf_string(error));
		buf_clear(error);
		watch->reads_only = true;
		err = results_db_open(buf_string(&path), true, &watch->db, error);
	}
	if (err == ERR_NOT_FOUND)
		buf_append_string(error, watch->results_url || watch->outcomes
						 ? "; try again"
						 : "; name the --results-url of the workers, or "
						   "the directory of their logs with --outcomes");
	buf_free(&path);
	watch->view.db = watch->db;
	return err;
}

/* ---- showing */

static int show_line(const struct watch *watch, const struct tally_view *shown)
{
	struct buf text = BUF_INIT(65536);
	char time_text[32] = "";
	time_t now = (time_t)(shown->now_epoch_ms / 1000);
	struct tm parts;
	int err;

	if (watch->json) {
		err = tally_print_json(shown, &text);
	} else {
		if (localtime_r(&now, &parts))
			strftime(time_text, sizeof(time_text), "%H:%M:%S", &parts);
		buf_appendf(&text, "%s %s: ", time_text, shown->campaign);
		err = tally_print_sentence(shown, &text);
	}
	if (err == 0 && (puts(buf_string(&text)) < 0 || fflush(stdout) < 0))
		err = ERR_IO;
	buf_free(&text);
	return err;
}

/* Everything at once, for --once. */
static int show_all(const struct tally_view *shown)
{
	struct buf text = BUF_INIT(65536);
	int err = tally_print_screen(shown, 1000, 1000, false, &text);

	if (err == 0 && (fputs(buf_string(&text), stdout) < 0 || fflush(stdout) < 0))
		err = ERR_IO;
	buf_free(&text);
	return err;
}

/* How it stands now, in watch->view. */
static int look(struct watch *watch)
{
	struct tally_view *shown = &watch->view.shown;
	struct buf error = BUF_INIT(1024);
	int err;

	shown->source = "database";
	shown->trouble = NULL;
	if (watch->sources) {
		shown->source = watch_sources_name(watch->sources);
		shown->unreadable = watch_sources_unreadable(watch->sources);
		if (watch_sources_trouble(watch->sources, &shown->trouble) == 0)
			shown->trouble = NULL;
	}
	err = watch_view_read(&watch->view, clock_wall_epoch_ms(watch->runtime.clock), &error);
	if (err < 0) {
		watch_screen_clear(&watch->screen);
		cli_error(COMMAND, "%s", buf_string(&error));
	}
	buf_free(&error);
	return err;
}

/* last: whatever the time, it is shown. */
static int show(struct watch *watch, bool last)
{
	uint64_t now_us = clock_monotonic_us(watch->runtime.clock);
	const struct tally_view *shown = &watch->view.shown;

	if (watch->terminal && !watch->json)
		return watch_screen_show(&watch->screen, shown);
	if (watch->once && !watch->json)
		return show_all(shown);
	if (!watch->json && !last && now_us < watch->next_line_us)
		return 0;
	watch->next_line_us = now_us + LINE_EVERY_US;
	return show_line(watch, shown);
}

/* ---- running */

static void finish(void *arg)
{
	struct watch *watch = arg;

	watch->finished = true;
	uv_stop(&watch->runtime.loop);
}

static void interrupt(void *arg)
{
	struct watch *watch = arg;

	watch_screen_clear(&watch->screen);
}

static void stop(struct watch *watch)
{
	watch->stopping = true;
	if (watch->sources)
		watch_sources_stop(watch->sources);
	else
		finish(watch);
}

static void fail(struct watch *watch, int err)
{
	watch->err = err;
	finish(watch);
}

/* Keys that are refused, or a queue that is not there, from the first receive on. */
static bool is_hopeless(const struct watch *watch)
{
	const char *words;
	int err = watch->sources ? watch_sources_trouble(watch->sources, &words) : 0;
	enum error_class class = error_class(err);

	if (err == 0 || watch_sources_worked(watch->sources))
		return false;
	if (!watch->once && (class == ERROR_TRANSIENT || class == ERROR_THROTTLED))
		return false;
	cli_error(COMMAND, "cannot read the results: %s", words);
	return true;
}

static void turn(struct watch *watch)
{
	bool more = false;

	if (watch->sources)
		watch_sources_turn(watch->sources, &more);
	if (more)
		(void)clock_timer_after(watch->runtime.clock, &watch->more, 0);
}

static void on_more(struct clock_timer *timer)
{
	turn(list_entry(timer, struct watch, more));
}

static void on_tick(struct clock_timer *timer)
{
	struct watch *watch = list_entry(timer, struct watch, tick);
	const char *ignored;
	int err;

	if (!clock_timer_is_set(&watch->more))
		turn(watch);
	if (is_hopeless(watch)) {
		fail(watch, watch_sources_trouble(watch->sources, &ignored));
		return;
	}
	err = look(watch);
	if (err == 0 && !watch->stopping)
		err = show(watch, false);
	if (err == 0)
		err = clock_timer_after(watch->runtime.clock, &watch->tick, SHOW_EVERY_US);
	if (err < 0)
		fail(watch, err);
	else if (watch->until_done && watch->view.shown.tally.done && !watch->stopping)
		stop(watch);
}

static void on_signal(void *arg, unsigned count)
{
	struct watch *watch = arg;

	if (count == 1 && (watch->sources || watch->reads_only) && !watch->stopping)
		stop(watch);
	else
		uv_stop(&watch->runtime.loop);
}

static void add_campaign(void *arg, const char *campaign, uint64_t keys)
{
	struct buf *names = arg;

	if (campaign[0])
		buf_appendf(names, "%s%s", names->len > 0 ? ", " : "", campaign);
}

/* A name that nobody knows is often mistyped. */
static void tell_unknown(struct watch *watch)
{
	struct buf names = BUF_INIT(512);

	if (watch->view.journal || watch->view.shown.tally.total > 0)
		return;
	(void)results_db_each_campaign(watch->db, add_campaign, &names);
	cli_error(COMMAND, "nothing is known of a campaign \"%s\" yet%s%s", watch->view.campaign,
		names.len > 0 ? "; there are " : "", buf_string(&names));
	buf_free(&names);
}

static int run_once(struct watch *watch)
{
	const char *ignored;
	bool more = true;
	int err;

	if (watch->results_url && !watch->reads_only)
		uv_run(&watch->runtime.loop, UV_RUN_DEFAULT);
	while (more && watch->sources && watch->runtime.signal_count == 0)
		watch_sources_turn(watch->sources, &more);
	if (is_hopeless(watch))
		return watch_sources_trouble(watch->sources, &ignored);
	err = look(watch);
	if (err == 0)
		tell_unknown(watch);
	return err < 0 ? err : show(watch, true);
}

static int run(struct watch *watch)
{
	int err;

	if (watch->once)
		return run_once(watch);
	err = clock_timer_after(watch->runtime.clock, &watch->tick, 0);
	if (err < 0)
		return err;
	uv_run(&watch->runtime.loop, UV_RUN_DEFAULT);
	if (watch->err < 0)
		return watch->err;
	err = look(watch);
	return err < 0 ? err : show(watch, true);
}

static int open_all(struct watch *watch, struct buf *error)
{
	const struct watch_sources_options options = {.results_url = watch->results_url,
		.outcomes = watch->outcomes,
		.endpoint = watch->endpoint,
		.allow_insecure = watch->allow_insecure,
		.once = watch->once,
		.runtime = &watch->runtime,
		.finished = finish,
		.interrupt = interrupt,
		.arg = watch};
	struct watch_sources_options with_db = options;
	int err = open_db(watch, error);

	if (err == 0)
		err = watch_view_open(&watch->view, watch->directory, error);
	with_db.db = watch->db;
	if (err == 0 && !watch->reads_only)
		err = watch_sources_open(&with_db, &watch->sources, error);
	return err;
}

static int exit_code(const struct watch *watch, int err)
{
	const struct tally *tally = &watch->view.shown.tally;

	if (err < 0)
		return err == ERR_NOT_FOUND || err == ERR_CONFIG ? CLI_USAGE : cli_exit_code(err);
	if (!watch->until_done)
		return CLI_DONE;
	return tally->done && tally->accepted == tally->total ? CLI_DONE : CLI_FAILED;
}

int campaign_watch(int argc, char **argv)
{
	struct watch watch = {.directory = "."};
	struct buf error = BUF_INIT(4096);
	int code = parse(&watch, argc, argv), err;

	if (code < 0)
		code = check_options(&watch);
	if (code >= 0)
		return code;
	err = runtime_open(&watch.runtime, on_signal, &watch);
	if (err < 0) {
		cli_error(COMMAND, "%s", error_message(err));
		return CLI_FAILED;
	}
	watch.terminal = watch_screen_is_possible();
	watch.tick.fire = on_tick;
	watch.more.fire = on_more;
	err = open_all(&watch, &error);
	if (err < 0)
		cli_error(COMMAND, "%s", error.len > 0 ? buf_string(&error) : error_message(err));
	else
		err = run(&watch);
	code = exit_code(&watch, err);
	watch_sources_close(watch.sources);
	watch_view_close(&watch.view);
	results_db_close(watch.db);
	clock_timer_clear(watch.runtime.clock, &watch.tick);
	clock_timer_clear(watch.runtime.clock, &watch.more);
	runtime_close(&watch.runtime);
	buf_free(&error);
	return code;
}
