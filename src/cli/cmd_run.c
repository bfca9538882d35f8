#include "base/log.h"
#include "bunshin/error.h"
#include "cli/admin_port.h"
#include "cli/cli.h"
#include "cli/runtime.h"
#include "cli/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef HAVE_SYSTEMD
#include <systemd/sd-daemon.h>
#endif

/* --exit-when-empty: how often it asks, and how many answers in a row must say "empty". */
#define EMPTY_INTERVAL_US 1000000
#define EMPTY_ANSWERS 2
/* --exit-when-empty: a script is not kept waiting longer for a queue that does not answer. */
#define UNREACHABLE_MAX_US 30000000ull

struct run {
	struct runtime runtime;
	struct config *config;
	struct worker *worker;
	struct admin_port *admin;
	bool exit_when_empty, json;
	bool connected; /* a receive has worked */
	bool stopping;
	uint64_t failing_since_us; /* 0: the queue answers */
	struct clock_timer empty_timer;
	struct clock_timer stop_timer;
	unsigned empty_answers;
	int code;
};

static void notify_systemd(const char *state)
{
#ifdef HAVE_SYSTEMD
	sd_notify(0, state);
#else
	(void)state;
#endif
}

static void drained(void *arg, size_t held)
{
	struct run *run = arg;

	if (held)
		log_warn("stopped before everything was settled; it will be received again",
			LOG_INT("messages", held));
	uv_stop(&run->runtime.loop);
}

static void stop(struct run *run, int code)
{
	if (run->stopping)
		return;
	run->stopping = true;
	run->code = code;
	clock_timer_clear(run->runtime.clock, &run->empty_timer);
	notify_systemd("STOPPING=1");
	/* By a timer: this may be inside a call from the worker. */
	clock_timer_after(run->runtime.clock, &run->stop_timer, 0);
}

static void begin_drain(struct clock_timer *timer)
{
	struct run *run = (struct run *)(void *)((char *)timer - offsetof(struct run, stop_timer));

	worker_drain(run->worker, drained, run);
}

static void on_signal(void *arg, unsigned count)
{
	struct run *run = arg;

	/* worker_new() sees it by itself. */
	if (!run->worker)
		return;
	if (count > 1) {
		log_warn("second signal: stopping at once; what is held will be received again",
			LOG_INT("messages", delivery_held(worker_delivery(run->worker))));
		uv_stop(&run->runtime.loop);
		return;
	}
	log_info("stopping: no more receives, attempts in flight may finish",
		LOG_INT("messages", delivery_held(worker_delivery(run->worker))),
		LOG_INT("grace_ms", run->config->drain.grace_ms));
	stop(run, CLI_DONE);
}

/* A service stays and keeps trying; what can never work at the start, or a script, ends. */
static void receive_result(void *arg, int err, const char *detail)
{
	struct run *run = arg;
	uint64_t now_us = clock_monotonic_us(run->runtime.clock);
	enum error_class class = error_class(err);

	admin_port_receive_result(run->admin, err, detail);
	if (!err) {
		run->connected = true;
		run->failing_since_us = 0;
		return;
	}
	if (!run->failing_since_us)
		run->failing_since_us = now_us;
	if (!run->connected && (class == ERROR_AUTH || class == ERROR_PERMANENT)) {
		cli_error("run", "queue %s: %s", run->config->queue.url, detail);
		stop(run, CLI_FAILED);
	} else if (run->exit_when_empty && now_us - run->failing_since_us > UNREACHABLE_MAX_US) {
		cli_error("run", "queue %s does not answer: %s", run->config->queue.url, detail);
		stop(run, cli_exit_code(err));
	}
}

static void left_known(void *arg, const struct worker_left *left)
{
	struct run *run = arg;
	enum error_class class = error_class(left->err);

	if (run->stopping)
		return;
	if (class == ERROR_AUTH || class == ERROR_PERMANENT) {
		cli_error("run", "--exit-when-empty: asking queue %s for its counts: %s",
			run->config->queue.url, left->detail);
		stop(run, CLI_FAILED);
		return;
	}
	if (left->err || left->in_queue || left->held)
		run->empty_answers = 0;
	else
		run->empty_answers++;
	if (run->empty_answers >= EMPTY_ANSWERS)
		stop(run, CLI_DONE);
	else
		clock_timer_after(run->runtime.clock, &run->empty_timer, EMPTY_INTERVAL_US);
}

static void ask_left(struct clock_timer *timer)
{
	struct run *run = (struct run *)(void *)((char *)timer - offsetof(struct run, empty_timer));

	if (worker_ask_left(run->worker, left_known, run))
		clock_timer_after(run->runtime.clock, &run->empty_timer, EMPTY_INTERVAL_US);
}

/* What the program ends with. A run that was stopped before its worker was there has zeros. */
struct final {
	struct delivery_stats stats;
	struct histogram latency;
	size_t held;
	uint64_t requests;
};

static void final_read(const struct worker *worker, struct final *ret_final)
{
	const struct delivery *delivery;

	*ret_final = (struct final){.held = 0};
	if (!worker)
		return;
	delivery = worker_delivery(worker);
	delivery_get_stats(delivery, &ret_final->stats);
	ret_final->latency = *delivery_latency(delivery);
	ret_final->held = delivery_held(delivery);
	ret_final->requests = worker_queue_requests(worker);
}

static void print_json(const struct final *final)
{
	const struct delivery_stats *s = &final->stats;
	const struct histogram *latency = &final->latency;
	const struct {
		const char *name;
		uint64_t value;
	} counts[] = {{"received", s->received}, {"attempts", s->attempts},
		{"accepted", s->accepted}, {"suppressed", s->suppressed}, {"retried", s->retried},
		{"failed", s->failed}, {"failed_left", s->failed_left}, {"expired", s->expired},
		{"postponed", s->postponed}, {"crowded", s->crowded}, {"deleted", s->deleted},
		{"returned", s->returned}, {"lost", s->lost}, {"extended", s->extended},
		{"held", final->held}, {"sqs_requests", final->requests}};

	putchar('{');
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
		printf("\"%s\":%" PRIu64 ",", counts[i].name, counts[i].value);
	printf("\"latency_ms\":{\"p50\":%" PRIu64 ",\"p95\":%" PRIu64 ",\"p99\":%" PRIu64 "}}\n",
		histogram_quantile(latency, 0.50) / 1000, histogram_quantile(latency, 0.95) / 1000,
		histogram_quantile(latency, 0.99) / 1000);
}

static void report(const struct run *run)
{
	struct final final;
	const struct delivery_stats *s = &final.stats;

	final_read(run->worker, &final);
	log_info("stopped", LOG_INT("accepted", s->accepted), LOG_INT("suppressed", s->suppressed),
		LOG_INT("failed", s->failed), LOG_INT("expired", s->expired),
		LOG_INT("attempts", s->attempts), LOG_INT("returned", s->returned),
		LOG_INT("lost", s->lost), LOG_INT("sqs_requests", final.requests));
	if (run->json)
		print_json(&final);
	else if (run->exit_when_empty)
		printf("accepted %llu, failed %llu, expired %llu\n",
			(unsigned long long)s->accepted,
			(unsigned long long)(s->failed + s->failed_left),
			(unsigned long long)s->expired);
	fflush(stdout);
}

/* The worker, and its admin port. 0, or an error, told of, with how to end. */
static int open_worker(struct run *run, int *ret_code)
{
	struct worker_hooks hooks = {.receive_result = receive_result,
		.arg = run,
		.interrupts = &run->runtime.signal_count};
	struct buf error = BUF_INIT(4096);
	int err;

	err = worker_new(
		&run->runtime.loop, run->runtime.clock, run->config, &hooks, &run->worker, &error);
	if (!err)
		err = admin_port_open(&run->runtime.loop, run->config->admin.listen, run->worker,
			&run->admin, &error);
	if (err == ERR_CANCELLED)
		report(run);
	else if (err)
		cli_error("run", "%s", buf_string(&error));
	buf_free(&error);
	*ret_code = err && err != ERR_CANCELLED ? cli_exit_code(err) : CLI_DONE;
	return err;
}

static int deliver(struct run *run)
{
	int code;

	if (open_worker(run, &code)) {
		worker_close(run->worker);
		return code;
	}
	log_info("started", LOG_STR("version", BUNSHIN_VERSION),
		LOG_STR("queue", run->config->queue.url),
		LOG_STR("destination", run->config->destinations[0].name),
		LOG_INT("destinations", run->config->destination_count));
	notify_systemd("READY=1\nSTATUS=receiving");
	worker_start(run->worker);
	run->empty_timer.fire = ask_left;
	run->stop_timer.fire = begin_drain;
	if (run->exit_when_empty)
		clock_timer_after(run->runtime.clock, &run->empty_timer, EMPTY_INTERVAL_US);
	uv_run(&run->runtime.loop, UV_RUN_DEFAULT);
	report(run);
	clock_timer_clear(run->runtime.clock, &run->empty_timer);
	clock_timer_clear(run->runtime.clock, &run->stop_timer);
	admin_port_close(run->admin);
	worker_close(run->worker);
	return run->code;
}

static int load(
	struct run *run, const char *path, const struct config_override *overrides, size_t count)
{
	struct buf errors = BUF_INIT(1 << 20);
	int err = config_load(
		path, &config_process_environment, overrides, count, &run->config, &errors);

	if (err)
		fputs(buf_string(&errors), stderr);
	buf_free(&errors);
	if (err)
		return err == ERR_NOMEM ? CLI_FAILED : CLI_USAGE;
	log_configure(run->config->log.level, run->config->log.format, 2, &run->runtime.clock);
	if (!run->config->queue.url)
		return cli_usage_error(
			"run", "no queue: set queue.url in %s or give --queue-url", path);
	if (run->config->destination_count == 0)
		return cli_usage_error("run", "%s: no destination is configured", path);
	return CLI_DONE;
}

int cmd_run(int argc, char **argv)
{
	struct run run = {0};
	const char *path = CONFIG_DEFAULT_PATH, *url = NULL, *endpoint = NULL;
	const struct cli_option options[] = {
		{"config", 'c', CLI_STRING, "FILE", &path, 0, 0,
			"configuration (default: " CONFIG_DEFAULT_PATH ")"},
		{"queue-url", 0, CLI_STRING, "URL", &url, 0, 0,
			"queue to receive from (queue.url)"},
		{"endpoint", 0, CLI_STRING, "URL", &endpoint, 0, 0,
			"SQS endpoint instead of the queue URL's host (queue.endpoint)"},
		{"exit-when-empty", 0, CLI_FLAG, NULL, &run.exit_when_empty, 0, 0,
			"exit 0 once nothing is visible, in flight, delayed or held"},
		{"json", 0, CLI_FLAG, NULL, &run.json, 0, 0, "print the final counts as JSON"},
		{0},
	};
	const struct cli_usage usage = {.command = "run",
		.arguments = "[options]",
		.description =
			"Receives messages from an SQS queue, sends each to its destination "
			"and deletes it once\nthe destination has accepted it. SIGTERM stops "
			"cleanly; a second one stops at once.",
		.options = options};
	struct config_override overrides[2];
	size_t count = 0;
	int first, operands, code;

	code = cli_parse(&usage, argc, argv, &first, &operands);
	if (code >= 0)
		return code;
	if (url)
		overrides[count++] = (struct config_override){"queue.url", url, "--queue-url"};
	if (endpoint)
		overrides[count++] =
			(struct config_override){"queue.endpoint", endpoint, "--endpoint"};
	if (runtime_open(&run.runtime, on_signal, &run)) {
		cli_error("run", "cannot start an event loop");
		return CLI_FAILED;
	}
	code = load(&run, path, overrides, count);
	if (code == CLI_DONE)
		code = deliver(&run);
	runtime_close(&run.runtime);
	config_free(run.config);
	return code;
}
