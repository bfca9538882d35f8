/*
 * `bunshin run` as one process: worker, monitor and reload on one loop. A reload makes a second
 * session beside the first on the same loop; once it receives, the first drains.
 */
#include "base/log.h"
#include "bunshin/error.h"
#include "cli/cli.h"
#include "cli/run/monitor.h"
#include "cli/run/reaper.h"
#include "cli/run/run.h"
#include "cli/run/service_manager.h"
#include "cli/run/session.h"
#include "cli/run/totals.h"
#include "cli/runtime.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLACES 2
#define STATUS_INTERVAL_US UINT64_C(5000000)

/* A session, with the generation that it works by and its place on the board. */
struct shift {
	struct generation *generation; /* NULL: there is none */
	struct session *session;
	unsigned place;
};

struct alone {
	struct runtime runtime;
	const struct run_request *request;
	struct board *board;
	struct board_counts counts;
	struct shift current, coming, leaving;
	unsigned generations;
	struct monitor *monitor;
	bool ready; /* the first session was opened */
	bool reload_wanted, switch_wanted;
	bool stopping;
	bool finished; /* nothing is left to wait for */
	int code;
	struct clock_timer status_timer, watchdog_timer;
	struct reaper reaper;
	char status[160]; /* as last told */
};

static void set_seat(struct alone *alone, const struct shift *shift, enum board_state state)
{
	board_seat_set(alone->board, shift->place,
		&(struct board_seat){.state = state,
			.pid = getpid(),
			.number = 1,
			.generation = shift->generation->number,
			.since_us = clock_monotonic_us(alone->runtime.clock)});
}

static void shift_end(struct alone *alone, struct shift *shift)
{
	session_close(shift->session);
	if (shift->generation) {
		board_clear(alone->board, shift->place);
		generation_free(shift->generation);
	}
	*shift = (struct shift){.generation = NULL};
}

/* ---- stopping */

static void finish(struct alone *alone)
{
	alone->finished = true;
	uv_stop(&alone->runtime.loop);
}

static void monitor_finished(void *arg)
{
	finish(arg);
}

/* Whoever waits for the instance's end is told only when nothing is at work any more. */
static void check_end(struct alone *alone)
{
	if (!alone->stopping || alone->current.session || alone->coming.session ||
		alone->leaving.session)
		return;
	if (alone->monitor)
		monitor_finish(alone->monitor, monitor_finished, alone);
	else
		finish(alone);
}

static void stop(struct alone *alone, int code)
{
	struct shift *const shifts[] = {&alone->current, &alone->coming, &alone->leaving};

	if (alone->stopping)
		return;
	alone->stopping = true;
	alone->code = code;
	alone->counts.stopping = true;
	board_counts_set(alone->board, &alone->counts);
	service_notify("STOPPING=1");
	for (size_t i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++) {
		if (!shifts[i]->session)
			continue;
		set_seat(alone, shifts[i], BOARD_STOPPING);
		session_stop(shifts[i]->session);
	}
}

static size_t held(const struct alone *alone)
{
	const struct shift *const shifts[] = {&alone->current, &alone->coming, &alone->leaving};
	size_t sum = 0;

	for (size_t i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++)
		if (shifts[i]->session)
			sum += session_held(shifts[i]->session);
	return sum;
}

static void on_signal(void *arg, unsigned count)
{
	struct alone *alone = arg;

	/* session_new() sees it by itself. */
	if (!alone->ready)
		return;
	if (count > 1) {
		log_warn("second signal: stopping at once; what is held will be received again",
			LOG_INT("messages", held(alone)));
		finish(alone);
		return;
	}
	log_info("stopping: no more receives, attempts in flight may finish",
		LOG_INT("messages", held(alone)),
		LOG_INT("grace_ms", alone->current.generation->config->drain.grace_ms));
	stop(alone, CLI_DONE);
}

static void leave(void *arg, const char *why)
{
	struct alone *alone = arg;

	if (!alone->stopping)
		log_warn("stopping: the instance is going to end", LOG_STR("reason", why));
	stop(alone, CLI_DONE);
}

/* ---- sessions */

static void reload_over(struct alone *alone, bool done)
{
	if (done)
		alone->counts.reloads++;
	else
		alone->counts.reloads_failed++;
	alone->counts.reloading = false;
	board_counts_set(alone->board, &alone->counts);
	service_notify("READY=1");
}

static void ended(void *arg, struct session *session, int code)
{
	struct alone *alone = arg;

	if (session == alone->leaving.session) {
		shift_end(alone, &alone->leaving);
		/* A reload that had to wait for this one. */
		if (alone->reload_wanted)
			uv_stop(&alone->runtime.loop);
	} else if (session == alone->coming.session) {
		shift_end(alone, &alone->coming);
		if (!alone->stopping) {
			log_error("reload failed: the new configuration cannot receive, the old "
				  "one stays");
			reload_over(alone, false);
		}
	} else {
		/* Its generation goes last: the monitor has its configuration and its socket. */
		session_close(alone->current.session);
		alone->current.session = NULL;
		stop(alone, code);
	}
	check_end(alone);
}

static void begun(void *arg)
{
	struct alone *alone = arg;

	if (alone->coming.session) {
		alone->switch_wanted = true;
		uv_stop(&alone->runtime.loop);
	} else {
		set_seat(alone, &alone->current, BOARD_RUNNING);
	}
}

static int open_session(struct alone *alone, struct shift *shift, struct buf *error)
{
	const struct session_options options = {.loop = &alone->runtime.loop,
		.clock = alone->runtime.clock,
		.generation = shift->generation,
		.board = alone->board,
		.place = shift->place,
		.exit_when_empty = alone->request->exit_when_empty,
		.interrupts = &alone->runtime.signal_count,
		.begun = begun,
		.ended = ended,
		.arg = alone};

	set_seat(alone, shift, BOARD_STARTING);
	return session_new(&options, &shift->session, error);
}

static void refresh(void *arg)
{
	struct alone *alone = arg;
	struct shift *const shifts[] = {&alone->current, &alone->coming, &alone->leaving};

	for (size_t i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++)
		if (shifts[i]->session)
			session_show(shifts[i]->session);
}

static int open_monitor(struct alone *alone, struct buf *error)
{
	const struct generation *generation = alone->current.generation;
	const struct monitor_options options = {.loop = &alone->runtime.loop,
		.clock = alone->runtime.clock,
		.config = generation->config,
		.host = &generation->host,
		.board = alone->board,
		.admin_fd = generation->listener->fd,
		.admin_address = generation->listener->address,
		.refresh = refresh,
		.leave = leave,
		.arg = alone,
		.interrupts = &alone->runtime.signal_count};

	return monitor_new(&options, &alone->monitor, error);
}

/* ---- reload */

static void on_hangup(void *arg)
{
	struct alone *alone = arg;

	alone->reload_wanted = true;
	uv_stop(&alone->runtime.loop);
}

static int load_next(struct alone *alone, struct buf *errors)
{
	int err = generation_load(alone->request, alone->generations, alone->current.generation,
		&alone->coming.generation, errors);

	if (err || alone->coming.generation->workers_max == 1)
		return err;
	buf_append_string(errors, "workers: one worker has no supervisor; more of them take a "
				  "restart\n");
	generation_free(alone->coming.generation);
	alone->coming.generation = NULL;
	return ERR_CONFIG;
}

/* Not from inside the loop: it runs it, while the session that is there goes on. */
static void reload(struct alone *alone)
{
	struct buf errors = BUF_INIT((size_t)1 << 20);
	int err;

	alone->reload_wanted = false;
	alone->generations++;
	alone->counts.reloading = true;
	board_counts_set(alone->board, &alone->counts);
	service_notify("RELOADING=1");
	err = load_next(alone, &errors);
	if (!err) {
		alone->coming.place = 1 - alone->current.place;
		err = open_session(alone, &alone->coming, &errors);
		if (err)
			shift_end(alone, &alone->coming);
	}
	if (err && err != ERR_CANCELLED) {
		run_log_errors("reload failed: nothing was changed", &errors);
		reload_over(alone, false);
	}
	buf_free(&errors);
	if (err)
		return;
	log_info("reloading", LOG_STR("path", alone->request->path));
	session_start(alone->coming.session);
}

/* The new session receives: the old one drains. */
static void switch_over(struct alone *alone)
{
	struct buf error = BUF_INIT(4096);

	alone->switch_wanted = false;
	if (alone->stopping || !alone->coming.session)
		return;
	alone->leaving = alone->current;
	alone->current = alone->coming;
	alone->coming = (struct shift){.generation = NULL};
	set_seat(alone, &alone->current, BOARD_RUNNING);
	set_seat(alone, &alone->leaving, BOARD_STOPPING);
	session_stop(alone->leaving.session);
	log_configure(alone->current.generation->config->log.level,
		alone->current.generation->config->log.format, STDERR_FILENO,
		&alone->runtime.clock);
	log_info("reloaded", LOG_INT("generation", alone->current.generation->number));
	monitor_close(alone->monitor);
	alone->monitor = NULL;
	if (open_monitor(alone, &error) && !alone->stopping)
		log_error("no admin port after the reload", LOG_STR("reason", buf_string(&error)));
	buf_free(&error);
	reload_over(alone, true);
}

/* ---- what the service manager hears */

static void tell_status(struct clock_timer *timer)
{
	struct alone *alone =
		(struct alone *)(void *)((char *)timer - offsetof(struct alone, status_timer));
	struct board_report report;
	struct run_totals totals;
	char status[sizeof(alone->status)];

	clock_timer_after(alone->runtime.clock, &alone->status_timer, STATUS_INTERVAL_US);
	if (!alone->current.session)
		return;
	board_report_get(alone->board, alone->current.place, &report);
	run_totals_read(alone->board, &totals);
	snprintf(status, sizeof(status),
		"STATUS=%s; %" PRIu64 " accepted, %" PRIu64 " in flight, %zu held",
		alone->stopping ? "stopping"
		: report.begun	? "receiving"
				: "waiting for the queue",
		totals.accepted, report.busy, held(alone));
	if (strcmp(status, alone->status) != 0)
		service_notify(status);
	memcpy(alone->status, status, sizeof(status));
}

/* Only while the worker gets something done, so that one that does not is replaced. */
static void feed_watchdog(struct clock_timer *timer)
{
	struct alone *alone =
		(struct alone *)(void *)((char *)timer - offsetof(struct alone, watchdog_timer));
	uint64_t now_us = clock_monotonic_us(alone->runtime.clock), stall_us;

	clock_timer_after(alone->runtime.clock, &alone->watchdog_timer,
		(uint64_t)service_watchdog_ms() * 1000 / 3);
	if (!alone->current.session) {
		service_notify("WATCHDOG=1");
		return;
	}
	stall_us = (uint64_t)alone->current.generation->config->watchdog_ms * 1000;
	if (stall_us == 0 || now_us - session_progress_us(alone->current.session) <= stall_us)
		service_notify("WATCHDOG=1");
}

static void serve(struct alone *alone)
{
	run_log_started(alone->current.generation);
	service_notify("READY=1\nSTATUS=starting");
	session_start(alone->current.session);
	alone->status_timer.fire = tell_status;
	alone->watchdog_timer.fire = feed_watchdog;
	clock_timer_after(alone->runtime.clock, &alone->status_timer, 0);
	if (service_watchdog_ms() > 0)
		clock_timer_after(alone->runtime.clock, &alone->watchdog_timer, 0);
	reaper_start(&alone->reaper, alone->runtime.clock);
	while (!alone->finished) {
		uv_run(&alone->runtime.loop, UV_RUN_DEFAULT);
		if (alone->switch_wanted)
			switch_over(alone);
		else if (alone->reload_wanted && !alone->stopping && !alone->coming.session &&
			 !alone->leaving.session)
			reload(alone);
	}
	reaper_stop(&alone->reaper);
	clock_timer_clear(alone->runtime.clock, &alone->status_timer);
	clock_timer_clear(alone->runtime.clock, &alone->watchdog_timer);
}

static int open_all(struct alone *alone, struct buf *error)
{
	int err;

	alone->board = board_new(PLACES);
	if (!alone->board)
		return ERR_NOMEM;
	alone->counts = (struct board_counts){.started = 1, .wanted = 1};
	board_counts_set(alone->board, &alone->counts);
	err = runtime_watch_hangup(&alone->runtime, on_hangup);
	if (!err)
		err = open_session(alone, &alone->current, error);
	if (!err)
		err = open_monitor(alone, error);
	if (err && error->len == 0)
		buf_append_string(error, error_message(err));
	return err;
}

static void close_all(struct alone *alone)
{
	/* What was not drained is counted too. */
	refresh(alone);
	monitor_close(alone->monitor);
	shift_end(alone, &alone->leaving);
	shift_end(alone, &alone->coming);
	shift_end(alone, &alone->current);
	if (alone->board && (alone->ready || alone->code == CLI_DONE))
		run_report(alone->request, alone->board);
	runtime_close(&alone->runtime);
	board_free(alone->board);
}

int run_alone(const struct run_request *request, struct generation *generation)
{
	struct alone alone = {.request = request, .current = {.generation = generation}};
	struct buf error = BUF_INIT(4096);
	int err;

	if (runtime_open(&alone.runtime, on_signal, &alone)) {
		cli_error("run", "cannot start an event loop");
		generation_free(generation);
		return CLI_FAILED;
	}
	log_configure(generation->config->log.level, generation->config->log.format, STDERR_FILENO,
		&alone.runtime.clock);
	err = open_all(&alone, &error);
	if (!err) {
		alone.ready = true;
		serve(&alone);
	} else if (err != ERR_CANCELLED) {
		cli_error("run", "%s", buf_string(&error));
		alone.code = cli_exit_code(err);
	}
	buf_free(&error);
	close_all(&alone);
	return alone.code;
}
