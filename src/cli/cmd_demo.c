#include "base/log.h"
#include "bunshin/error.h"
#include "cli/child.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/demo_check.h"
#include "cli/demo_files.h"
#include "cli/runtime.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TICK_US 250000
#define PLAIN_LINE_US 10000000
/* Nothing accepted for this long: give up. Twice the longest back-off, which may be all there is.
 */
#define STALL_US 600000000ull
#define QUEUE "morning-coupon"

enum { SINK, LOCAL_QUEUE, CAMPAIGN, WORKER, CHILDREN };

enum demo_stage { STARTING, CREATING, DELIVERING, STOPPING, OVER };

struct demo {
	struct runtime runtime;
	struct demo_files files;
	struct child children[CHILDREN];
	struct connect connect;
	struct clock_timer tick;
	enum demo_stage stage;
	int64_t messages, fail, close, latency;
	bool json, keep;
	bool progress; /* standard error is a terminal */
	char program[PATH_MAX];
	char *endpoint;
	char *queue_url;
	struct queue_attributes counts;
	bool asking;
	unsigned empty_answers;
	uint64_t started_us, moved_us, said_us;
	int64_t started_epoch_ms;
	uint64_t accepted;		 /* by the sink, so far */
	cJSON *campaign, *worker, *sink; /* what they printed at their end */
	int code;
};

static void advance(struct demo *demo);

static const char *const names[CHILDREN] = {"sink", "queue", "campaign", "worker"};

static void fail(struct demo *demo, const char *what, const char *detail)
{
	if (demo->code == CLI_DONE) {
		if (demo->progress)
			fputc('\n', stderr);
		cli_error("demo", "%s%s%s", what, detail[0] ? ": " : "", detail);
	}
	demo->code = CLI_FAILED;
	demo->keep = true; /* the logs are evidence */
	demo->stage = STOPPING;
	advance(demo);
}

/* ---- the processes ---- */

static void child_line(struct child *child, const char *line)
{
	struct demo *demo = child->arg;
	static const char listening[] = "listening on ";
	char **address = child == &demo->children[SINK]		 ? &demo->files.sink_url
			 : child == &demo->children[LOCAL_QUEUE] ? &demo->endpoint
								 : NULL;
	cJSON **json = child == &demo->children[SINK]	    ? &demo->sink
		       : child == &demo->children[CAMPAIGN] ? &demo->campaign
		       : child == &demo->children[WORKER]   ? &demo->worker
							    : NULL;

	if (address && !*address && strncmp(line, listening, sizeof(listening) - 1) == 0) {
		*address = strdup(line + sizeof(listening) - 1);
		advance(demo);
	} else if (json && line[0] == '{') {
		cJSON_Delete(*json);
		*json = cJSON_Parse(line);
	}
}

static void child_exit(struct child *child)
{
	struct demo *demo = child->arg;
	bool expected = demo->stage >= STOPPING || (child == &demo->children[CAMPAIGN] &&
							   child->status == 0 && !child->signal);
	char detail[PATH_MAX + 64];

	if (child->status != 0 || child->signal || !expected) {
		snprintf(detail, sizeof(detail), "exit code %lld, signal %d; its log: %s",
			(long long)child->status, child->signal,
			demo_files_log(&demo->files, child->name));
		fail(demo, child->name, detail);
	}
	advance(demo);
}

static void start(struct demo *demo, int which, char *argv[])
{
	struct child *child = &demo->children[which];
	int err;

	child->name = names[which];
	child->on_line = child_line;
	child->on_exit = child_exit;
	child->arg = demo;
	argv[0] = demo->program;
	err = child_start(
		child, &demo->runtime.loop, argv, demo_files_log(&demo->files, child->name));
	if (err)
		fail(demo, child->name, uv_strerror(err));
}

static char *text(char *into, size_t size, int64_t number)
{
	snprintf(into, size, "%lld", (long long)number);
	return into;
}

#define ARG(literal) ((char[]){literal})

static void start_services(struct demo *demo)
{
	char fail_text[32], close_text[32], latency_text[32];

	start(demo, SINK,
		(char *[]){NULL, ARG("sink"), ARG("--listen"), ARG("127.0.0.1:0"), ARG("--fail"),
			text(fail_text, sizeof(fail_text), demo->fail), ARG("--close"),
			text(close_text, sizeof(close_text), demo->close), ARG("--latency"),
			text(latency_text, sizeof(latency_text), demo->latency), ARG("--record"),
			demo->files.record, NULL});
	start(demo, LOCAL_QUEUE,
		(char *[]){NULL, ARG("queue"), ARG("--listen"), ARG("127.0.0.1:0"), ARG("--data"),
			demo->files.data, NULL});
}

static void start_delivery(struct demo *demo)
{
	demo->stage = DELIVERING;
	demo->started_us = demo->moved_us = demo->said_us = clock_monotonic_us(demo->runtime.clock);
	demo->started_epoch_ms = clock_wall_epoch_ms(demo->runtime.clock);
	setenv("SINK_URL", demo->files.sink_url, 1);
	setenv("LEDGER", demo->files.ledger, 1);
	setenv("LINE_RATE", "1000000/s", 1); /* nobody has to be spared */
	start(demo, CAMPAIGN,
		(char *[]){NULL, ARG("campaign"), ARG("send"), ARG("--queue-url"), demo->queue_url,
			ARG("--recipients"), demo->files.recipients, ARG("--template"),
			demo->files.message_template, ARG("--name"), ARG("morning-coupon"),
			ARG("--json"), NULL});
	start(demo, WORKER,
		(char *[]){NULL, ARG("run"), ARG("-c"), demo->files.config, ARG("--queue-url"),
			demo->queue_url, ARG("--json"), NULL});
}

/* ---- the queue ---- */

static void create_queue(struct demo *demo, const char *name);

static void created(void *arg, const struct sqs_outcome *outcome, const char *queue_url)
{
	struct demo *demo = arg;

	if (demo->stage != CREATING)
		return;
	if (outcome->err) {
		fail(demo, "creating a queue", outcome->detail);
	} else if (!demo->queue_url) {
		demo->queue_url = strdup(queue_url);
		create_queue(demo, QUEUE "-failures");
	} else {
		setenv("FAILURE_URL", queue_url, 1);
		start_delivery(demo);
	}
}

static void create_queue(struct demo *demo, const char *name)
{
	struct queue_call *call;

	if (sqs_create_queue(demo->connect.client, name, created, demo, &call))
		fail(demo, "creating a queue", name);
}

static void open_queue(struct demo *demo)
{
	struct buf error = BUF_INIT(4096);
	char url[512];
	const struct connect_options options = {.queue_url = url, .endpoint = demo->endpoint};

	demo->stage = CREATING;
	snprintf(url, sizeof(url), "%s/000000000000/" QUEUE, demo->endpoint);
	if (connect_open(
		    &demo->connect, &demo->runtime.loop, demo->runtime.clock, &options, &error))
		fail(demo, "connecting to the queue", buf_string(&error));
	else
		create_queue(demo, QUEUE);
	buf_free(&error);
}

static void counted(
	void *arg, const struct sqs_outcome *outcome, const struct queue_attributes *counts)
{
	struct demo *demo = arg;

	demo->asking = false;
	if (outcome->err || demo->stage != DELIVERING)
		return;
	demo->counts = *counts;
	if (demo->children[CAMPAIGN].ended && !counts->visible && !counts->in_flight &&
		!counts->delayed)
		demo->empty_answers++;
	else
		demo->empty_answers = 0;
	if (demo->empty_answers >= 2) {
		demo->stage = STOPPING;
		advance(demo);
	}
}

/* ---- the course of it ---- */

/* A line that renews itself on a terminal, else a plain one now and then. */
static void show_progress(struct demo *demo)
{
	uint64_t now_us = clock_monotonic_us(demo->runtime.clock);
	double seconds = (double)(now_us - demo->started_us) / 1e6;

	if (!demo->progress && now_us - demo->said_us < PLAIN_LINE_US)
		return;
	demo->said_us = now_us;
	fprintf(stderr,
		"%saccepted %llu of %lld | waiting %lld, in flight %lld, delayed %lld | %.0f/s%s",
		demo->progress ? "\r" : "", (unsigned long long)demo->accepted,
		(long long)demo->messages, (long long)demo->counts.visible,
		(long long)demo->counts.in_flight, (long long)demo->counts.delayed,
		seconds > 0 ? (double)demo->accepted / seconds : 0.0,
		demo->progress ? "   " : "\n");
	fflush(stderr);
}

static void tick_fired(struct clock_timer *timer)
{
	struct demo *demo = (struct demo *)(void *)((char *)timer - offsetof(struct demo, tick));
	uint64_t now_us = clock_monotonic_us(demo->runtime.clock);
	uint64_t accepted = demo_files_accepted(&demo->files);
	struct queue_call *call;

	clock_timer_after(demo->runtime.clock, timer, TICK_US);
	if (demo->stage != DELIVERING)
		return;
	if (accepted != demo->accepted)
		demo->moved_us = now_us;
	demo->accepted = accepted;
	show_progress(demo);
	if (now_us - demo->moved_us > STALL_US)
		fail(demo, "nothing was accepted for ten minutes", "");
	else if (!demo->asking)
		demo->asking = sqs_get_attributes(demo->connect.client, demo->queue_url, counted,
				       demo, &call) == 0;
}

/* One after the other: the worker drains while the queue and the sink still answer. */
static void stop_children(struct demo *demo)
{
	static const int order[] = {CAMPAIGN, WORKER, SINK, LOCAL_QUEUE};

	for (size_t i = 0; i < CHILDREN; i++) {
		struct child *child = &demo->children[order[i]];

		if (!child->running)
			continue;
		child_kill(child, SIGTERM);
		return;
	}
	demo->stage = OVER;
	uv_stop(&demo->runtime.loop);
}

static void advance(struct demo *demo)
{
	if (demo->stage == STARTING && demo->files.sink_url && demo->endpoint)
		open_queue(demo);
	else if (demo->stage == STOPPING)
		stop_children(demo);
}

static void on_signal(void *arg, unsigned count)
{
	struct demo *demo = arg;

	if (count == 1)
		fail(demo, "interrupted", "");
}

/* ---- the summary ---- */

static double number(const cJSON *json, const char *name)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, name);

	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static bool reconciles(const struct demo *demo, const struct demo_result *r)
{
	double failed = number(demo->worker, "failed") + number(demo->worker, "failed_left");
	double expired = number(demo->worker, "expired");

	return r->unexpected == 0 && r->recipients == (size_t)demo->messages &&
	       (double)r->recipients == (double)r->accepted + failed + expired;
}

static void print_summary(const struct demo *demo, const struct demo_result *r)
{
	const cJSON *latency = cJSON_GetObjectItemCaseSensitive(demo->worker, "latency_ms");
	double seconds = (double)(r->last_epoch_ms - demo->started_epoch_ms) / 1e3;
	double failed = number(demo->worker, "failed") + number(demo->worker, "failed_left");
	double expired = number(demo->worker, "expired");
	double requests =
		number(demo->worker, "sqs_requests") + number(demo->campaign, "sqs_requests");
	bool good = reconciles(demo, r);

	if (demo->json) {
		printf("{\"recipients\":%zu,\"accepted\":%zu,\"failed\":%.0f,\"expired\":%.0f,"
		       "\"missing\":%zu,\"duplicates\":%zu,\"unexpected\":%zu,\"seconds\":%.3f,"
		       "\"latency_ms\":{\"p50\":%.0f,\"p95\":%.0f,\"p99\":%.0f},"
		       "\"provider_requests\":%.0f,\"sqs_requests_per_message\":%.3f,"
		       "\"reconciles\":%s}\n",
			r->recipients, r->accepted, failed, expired, r->missing, r->duplicates,
			r->unexpected, seconds, number(latency, "p50"), number(latency, "p95"),
			number(latency, "p99"), number(demo->sink, "requests"),
			requests / (double)r->recipients, good ? "true" : "false");
		return;
	}
	printf("recipients   %8zu\n"
	       "= accepted   %8zu   every body byte for byte as expected: %s\n"
	       "+ failed     %8.0f\n"
	       "+ expired    %8.0f   %s\n\n",
		r->recipients, r->accepted, r->unexpected ? "NO" : "yes", failed, expired,
		good ? "the sum is right" : "THE SUM IS WRONG");
	printf("duplicates   %8zu   accepted by the provider more than once\n"
	       "requests     %8.0f   to the provider (%.0f of them failed on purpose)\n"
	       "SQS requests %8.3f   a message, producer and worker together\n"
	       "rate         %8.0f   messages/s, from the campaign's start to the last acceptance\n"
	       "latency      p50 %.0f ms, p95 %.0f ms, p99 %.0f ms, from queue to acceptance\n",
		r->duplicates, number(demo->sink, "requests"),
		number(demo->sink, "failed") + number(demo->sink, "closed"),
		requests / (double)r->recipients, (double)r->recipients / seconds,
		number(latency, "p50"), number(latency, "p95"), number(latency, "p99"));
}

static void reconcile(struct demo *demo)
{
	struct buf error = BUF_INIT(4096);
	struct demo_result result;
	int err = demo_files_check(&demo->files, &result, &error);

	if (demo->progress)
		fputs("\r\033[K", stderr);
	if (err) {
		cli_error("demo", "%s", buf_string(&error));
		demo->code = CLI_FAILED;
	} else {
		print_summary(demo, &result);
		if (!reconciles(demo, &result)) {
			cli_error("demo", "%s", result.example);
			demo->code = CLI_FAILED;
			demo->keep = true;
		}
	}
	buf_free(&error);
}

/* The children inherit it: local keys, and no other AWS settings of the surroundings. */
static void set_environment(void)
{
	static const char *const unwanted[] = {"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS",
		"AWS_ENDPOINT_URL_STS", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_USE_FIPS_ENDPOINT",
		"AWS_USE_DUALSTACK_ENDPOINT", "AWS_MAX_ATTEMPTS"};

	for (size_t i = 0; i < sizeof(unwanted) / sizeof(unwanted[0]); i++)
		unsetenv(unwanted[i]);
	setenv("AWS_CONFIG_FILE", "/dev/null", 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
	setenv("AWS_ACCESS_KEY_ID", "demo", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "demo-secret", 1);
	setenv("AWS_REGION", "us-east-1", 1);
	setenv("LINE_TOKEN", "demo-token", 1);
}

static int run(struct demo *demo)
{
	demo->tick.fire = tick_fired;
	demo->progress = cli_is_terminal(2);
	set_environment();
	start_services(demo);
	clock_timer_after(demo->runtime.clock, &demo->tick, TICK_US);
	uv_run(&demo->runtime.loop, UV_RUN_DEFAULT);
	clock_timer_clear(demo->runtime.clock, &demo->tick);
	connect_close(&demo->connect);
	if (demo->code == CLI_DONE)
		reconcile(demo);
	return demo->code;
}

static void close_demo(struct demo *demo)
{
	runtime_close(&demo->runtime);
	if (demo->keep && demo->files.directory[0])
		fprintf(stderr, "kept: %s\n", demo->files.directory);
	demo_files_close(&demo->files, demo->keep);
	free(demo->endpoint);
	free(demo->queue_url);
	cJSON_Delete(demo->campaign);
	cJSON_Delete(demo->worker);
	cJSON_Delete(demo->sink);
}

int cmd_demo(int argc, char **argv)
{
	static struct demo demo; /* its line buffers are large for a stack */
	const char *examples = NULL;
	struct buf error = BUF_INIT(4096);
	const struct cli_option options[] = {
		{"messages", 'n', CLI_INT, "N", &demo.messages, 1, 10000000,
			"recipients (default: 10000)"},
		{"fail", 0, CLI_INT, "PERCENT", &demo.fail, 0, 90,
			"provider answers that are a 500 (default: 0)"},
		{"close", 0, CLI_INT, "PERCENT", &demo.close, 0, 90,
			"provider connections cut without an answer (default: 0)"},
		{"latency", 0, CLI_INT, "MS", &demo.latency, 0, 60000,
			"of the provider (default: 5)"},
		{"examples", 0, CLI_STRING, "DIR", &examples, 0, 0,
			"recipients, template and configuration (default: the installed ones)"},
		{"keep", 0, CLI_FLAG, NULL, &demo.keep, 0, 0, "keep the working directory"},
		{"json", 0, CLI_FLAG, NULL, &demo.json, 0, 0, "print the summary as JSON"},
		{0},
	};
	const struct cli_usage usage = {.command = "demo",
		.arguments = "[options]",
		.description =
			"Starts a queue, a mock provider, a campaign and a worker as real "
			"processes on this machine,\ndelivers the example campaign, and checks "
			"what the provider got, byte for byte.",
		.options = options};
	int first, operands, code;

	demo.messages = 10000;
	demo.latency = 5;
	code = cli_parse(&usage, argc, argv, &first, &operands);
	if (code >= 0)
		return code;
	if (readlink("/proc/self/exe", demo.program, sizeof(demo.program) - 1) < 0) {
		cli_error("demo", "/proc/self/exe: %s", strerror(errno));
		return CLI_FAILED;
	}
	if (demo_files_open(&demo.files, examples, demo.program, (size_t)demo.messages, &error)) {
		cli_error("demo", "%s", buf_string(&error));
		buf_free(&error);
		return CLI_FAILED;
	}
	buf_free(&error);
	if (runtime_open(&demo.runtime, on_signal, &demo)) {
		cli_error("demo", "cannot start an event loop");
		return CLI_FAILED;
	}
	code = run(&demo);
	close_demo(&demo);
	return code;
}
