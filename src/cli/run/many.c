/*
 * `bunshin run` as a supervisor with workers and a monitor: what the supervisor's children do, and
 * what it cannot know itself.
 */
#include "base/log.h"
#include "bunshin/error.h"
#include "cli/cli.h"
#include "cli/run/monitor.h"
#include "cli/run/run.h"
#include "cli/run/service_manager.h"
#include "cli/run/session.h"
#include "cli/run/totals.h"
#include "cli/runtime.h"
#include "http/client.h"
#include "http/trust.h"
#include "supervisor/supervisor.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ERRORS_MAX_BYTES ((size_t)1 << 20)
#define GENERATIONS_MAX 8 /* that have a process at the same time; see supervisor_places() */

struct many {
	const struct run_request *request;
	struct board *board;
	struct generation *generations[GENERATIONS_MAX]; /* NULL: free */
	struct generation *latest;
	pid_t supervisor;
};

static struct generation *generation_of(const struct many *many, unsigned number)
{
	for (size_t i = 0; i < GENERATIONS_MAX; i++)
		if (many->generations[i] && many->generations[i]->number == number)
			return many->generations[i];
	return NULL;
}

static bool keep_generation(struct many *many, struct generation *generation)
{
	for (size_t i = 0; i < GENERATIONS_MAX; i++) {
		if (many->generations[i])
			continue;
		many->generations[i] = generation;
		many->latest = generation;
		return true;
	}
	return false;
}

static void plan_of(const struct generation *generation, struct supervisor_plan *ret_plan)
{
	*ret_plan = (struct supervisor_plan){.min = generation->workers_min,
		.max = generation->workers_max,
		.stall_ms = generation->config->watchdog_ms,
		.grace_ms = generation->config->drain.grace_ms,
		.has_monitor = true};
}

/* ---- in a child */

struct child_run {
	struct runtime runtime;
	const struct many *many;
	struct generation *generation;
	struct session *session; /* of a worker */
	struct monitor *monitor; /* of the monitor */
	bool finished;
	int code;
};

static void finish(struct child_run *child, int code)
{
	child->code = code;
	child->finished = true;
	uv_stop(&child->runtime.loop);
}

/* What a process needs before anything else of it runs. */
static int child_open(struct child_run *child, const struct many *many, const char *name,
	unsigned generation, void (*on_signal)(void *arg, unsigned count))
{
	prctl(PR_SET_NAME, name);
	/* Reloading is the supervisor's; a stray one must not end a worker. */
	signal(SIGHUP, SIG_IGN);
	child->many = many;
	child->generation = generation_of(many, generation);
	if (!child->generation || runtime_open(&child->runtime, on_signal, child))
		return ERR_IO;
	log_configure(child->generation->config->log.level, child->generation->config->log.format,
		STDERR_FILENO, &child->runtime.clock);
	return 0;
}

static void child_loop(struct child_run *child)
{
	while (!child->finished)
		uv_run(&child->runtime.loop, UV_RUN_DEFAULT);
}

static int child_failed(const char *what, int err, const struct buf *error)
{
	if (err == ERR_CANCELLED)
		return CLI_DONE;
	log_error(what, LOG_STR("reason", error->len > 0 ? buf_string(error) : error_message(err)));
	return cli_exit_code(err);
}

static void worker_signalled(void *arg, unsigned count)
{
	struct child_run *child = arg;

	/* session_new() sees it by itself. */
	if (!child->session)
		return;
	if (count > 1)
		finish(child, CLI_DONE);
	else
		session_stop(child->session);
}

static void worker_ended(void *arg, struct session *session, int code)
{
	finish(arg, code);
}

static int work(void *arg, unsigned place, unsigned number, unsigned generation)
{
	const struct many *many = arg;
	struct child_run child = {.code = CLI_DONE};
	struct buf error = BUF_INIT(4096);
	int err;

	log_set_worker(number);
	err = child_open(&child, many, "bunshin-worker", generation, worker_signalled);
	if (!err) {
		const struct session_options options = {.loop = &child.runtime.loop,
			.clock = child.runtime.clock,
			.generation = child.generation,
			.board = many->board,
			.place = place,
			.exit_when_empty = many->request->exit_when_empty,
			.interrupts = &child.runtime.signal_count,
			.ended = worker_ended,
			.arg = &child};

		/* The port must close with the monitor, not with the last worker that drains. */
		if (child.generation->listener->fd >= 0)
			close(child.generation->listener->fd);
		err = session_new(&options, &child.session, &error);
	}
	if (err) {
		child.code = child_failed("a worker cannot start", err, &error);
	} else {
		session_start(child.session);
		child_loop(&child);
		session_show(child.session);
		session_close(child.session);
		runtime_close(&child.runtime);
	}
	buf_free(&error);
	return child.code;
}

static void monitor_finished(void *arg)
{
	finish(arg, CLI_DONE);
}

static void monitor_signalled(void *arg, unsigned count)
{
	struct child_run *child = arg;

	if (!child->monitor)
		return;
	if (count > 1)
		finish(child, CLI_DONE);
	else
		monitor_finish(child->monitor, monitor_finished, child);
}

/* The supervisor drains everything, as for an operator. */
static void leave(void *arg, const char *why)
{
	const struct child_run *child = arg;

	log_warn("stopping: the instance is going to end", LOG_STR("reason", why));
	kill(child->many->supervisor, SIGTERM);
}

static int monitor(void *arg, unsigned generation)
{
	const struct many *many = arg;
	struct child_run child = {.code = CLI_DONE};
	struct buf error = BUF_INIT(4096);
	int err = child_open(&child, many, "bunshin-monitor", generation, monitor_signalled);

	if (!err) {
		const struct monitor_options options = {.loop = &child.runtime.loop,
			.clock = child.runtime.clock,
			.config = child.generation->config,
			.host = &child.generation->host,
			.board = many->board,
			.admin_fd = child.generation->listener->fd,
			.admin_address = child.generation->listener->address,
			.reads_control = true,
			.leave = leave,
			.arg = &child,
			.interrupts = &child.runtime.signal_count};

		err = monitor_new(&options, &child.monitor, &error);
	}
	if (err) {
		child.code = child_failed("the monitor cannot start", err, &error);
	} else {
		child_loop(&child);
		monitor_close(child.monitor);
		runtime_close(&child.runtime);
	}
	buf_free(&error);
	return child.code;
}

/* ---- in the supervisor */

static bool is_https(const char *url)
{
	return url && strncmp(url, "https:", 6) == 0;
}

/* What TLS trusts is read before the workers are forked: 1.6 MiB that they share. */
static void prepare_trust(const struct config *config)
{
	const char *bundle = getenv("AWS_CA_BUNDLE");

	if (is_https(config->queue.endpoint ? config->queue.endpoint : config->queue.url))
		trust_prepare(bundle && *bundle ? bundle : NULL);
	for (size_t i = 0; i < config->destination_count; i++) {
		const struct config_destination *destination = &config->destinations[i];

		if (is_https(template_source(destination->request.url)) ||
			destination->request.allow_hosts.count > 0)
			trust_prepare(destination->ca_file);
	}
}

static int load(void *arg, unsigned number, struct supervisor_plan *ret_plan)
{
	struct many *many = arg;
	struct buf errors = BUF_INIT(ERRORS_MAX_BYTES);
	struct generation *generation;
	int err = generation_load(many->request, number, many->latest, &generation, &errors);

	if (!err && !keep_generation(many, generation)) {
		generation_free(generation);
		buf_append_string(&errors, "too many former configurations are still in use\n");
		err = ERR_LIMIT;
	}
	if (err) {
		run_log_errors("reload failed: nothing was changed", &errors);
	} else {
		prepare_trust(generation->config);
		plan_of(generation, ret_plan);
	}
	buf_free(&errors);
	return err;
}

static void unload(void *arg, unsigned number)
{
	struct many *many = arg;

	for (size_t i = 0; i < GENERATIONS_MAX; i++) {
		if (!many->generations[i] || many->generations[i]->number != number)
			continue;
		/* One that was given up after a failed reload: the one before is in force again. */
		generation_free(many->generations[i]);
		many->generations[i] = NULL;
	}
	many->latest = NULL;
	for (size_t i = 0; i < GENERATIONS_MAX; i++)
		if (many->generations[i] &&
			(!many->latest || many->generations[i]->number > many->latest->number))
			many->latest = many->generations[i];
}

static void tell_death(const struct supervisor_event *event)
{
	const char *who = event->is_monitor ? "the monitor" : "a worker";
	int status = event->wait_status;
	char how[64];

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), "signal %d (%s)", WTERMSIG(status),
			strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), "exit status %d", WEXITSTATUS(status));
	if (event->kind == SUPERVISOR_CRASH_LOOP)
		log_error("again and again a process dies soon after its start",
			LOG_STR("who", who), LOG_INT("number", event->number), LOG_STR("how", how),
			LOG_INT("in_a_row", event->failures_in_row));
	else
		log_warn("a process died and will be replaced", LOG_STR("who", who),
			LOG_INT("number", event->number), LOG_INT("pid", event->pid),
			LOG_STR("how", how));
}

static void tell_reload_failed(const struct supervisor_event *event)
{
	/* load() has told of its own failure. */
	if (event->error == 0)
		log_error("reload failed: a worker died before it received; the old ones stay");
	else if (event->error == ENOSPC)
		log_error("reload failed: so many more workers take a restart",
			LOG_INT("workers", event->workers));
}

static void event(void *arg, const struct supervisor_event *event)
{
	const struct many *many = arg;

	switch (event->kind) {
	case SUPERVISOR_STARTED:
		log_debug("started a process", LOG_INT("number", event->number),
			LOG_INT("pid", event->pid));
		break;
	case SUPERVISOR_CANNOT_FORK:
		log_error("cannot start a process", LOG_STR("reason", strerror(event->error)),
			LOG_INT("retry_in_ms", event->delay_ms));
		break;
	case SUPERVISOR_DIED:
	case SUPERVISOR_CRASH_LOOP:
		tell_death(event);
		break;
	case SUPERVISOR_STALLED:
		log_error("a worker gets nothing done: killed", LOG_INT("number", event->number),
			LOG_INT("pid", event->pid));
		break;
	case SUPERVISOR_GRACE_OVER:
		log_error("a process has not stopped in time: killed",
			LOG_INT("number", event->number), LOG_INT("pid", event->pid));
		break;
	case SUPERVISOR_SCALED:
		log_info("as many workers as there is work for", LOG_INT("workers", event->workers),
			LOG_INT("before", event->workers_before));
		break;
	case SUPERVISOR_RELOADING:
		log_info("reloading", LOG_STR("path", many->request->path));
		break;
	case SUPERVISOR_RELOADED:
		log_configure(many->latest->config->log.level, many->latest->config->log.format,
			STDERR_FILENO, NULL);
		log_info("reloaded", LOG_INT("generation", many->latest->number));
		break;
	case SUPERVISOR_RELOAD_FAILED:
		tell_reload_failed(event);
		break;
	case SUPERVISOR_STOPPING:
		log_info("stopping: no more receives, attempts in flight may finish",
			LOG_INT("grace_ms", many->latest->config->drain.grace_ms));
		break;
	case SUPERVISOR_STOPPING_AT_ONCE:
		log_warn("second signal: stopping at once; what is held will be received again");
		break;
	}
}

static void notify(void *arg, const char *state)
{
	service_notify(state);
}

static void describe(void *arg, struct buf *status)
{
	const struct many *many = arg;
	struct run_totals totals;

	if (run_totals_read(many->board, &totals) == 0)
		buf_appendf(status, ", %" PRIu64 " accepted", totals.accepted);
}

static int supervise(struct many *many, const struct supervisor_plan *plan)
{
	const struct supervisor_options options = {.board = many->board,
		.plan = *plan,
		.until_done = many->request->exit_when_empty,
		.work = work,
		.monitor = monitor,
		.load = load,
		.unload = unload,
		.event = event,
		.notify = notify,
		.watchdog_ms = service_watchdog_ms(),
		.describe = describe,
		.arg = many};

	return supervisor_run(&options);
}

int run_many(const struct run_request *request, struct generation *generation)
{
	struct many many = {.request = request, .supervisor = getpid()};
	struct supervisor_plan plan;
	int code = CLI_FAILED;

	plan_of(generation, &plan);
	keep_generation(&many, generation);
	many.board = board_new(supervisor_places(&plan));
	if (!many.board || http_client_prepare()) {
		cli_error("run", "%s", error_message(ERR_NOMEM));
	} else {
		prepare_trust(generation->config);
		run_log_started(generation);
		code = supervise(&many, &plan);
		run_report(request, many.board);
	}
	board_free(many.board);
	for (size_t i = 0; i < GENERATIONS_MAX; i++)
		generation_free(many.generations[i]);
	return code;
}
