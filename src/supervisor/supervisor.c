#include "supervisor/supervisor.h"

#include "bunshin/error.h"
#include "supervisor/fleet.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STATUS_INTERVAL_US UINT64_C(5000000)
#define GENERATIONS_AT_ONCE 4
#define PLACES_MIN 64 /* so that a reload may ask for more workers than there are */

struct supervisor {
	const struct supervisor_options *options;
	struct fleet *fleet;
	int signals; /* signalfd */
	sigset_t taken, former;
	pid_t pid;
	unsigned generations; /* that were tried */
	unsigned stop_level;
	bool hangup; /* a reload is wanted */
	bool ready;
	struct board_counts counts;
	uint64_t status_due_us, watchdog_due_us;
	struct buf status, told; /* as it is, and as the service manager knows it */
};

unsigned supervisor_places(const struct supervisor_plan *plan)
{
	unsigned places = plan->max * GENERATIONS_AT_ONCE;

	return places > PLACES_MIN ? places : PLACES_MIN;
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void show_counts(struct supervisor *supervisor)
{
	board_counts_set(supervisor->options->board, &supervisor->counts);
}

/* ---- what the fleet has done */

/* In the child: as if it had been started by itself, but for what the parent has loaded. */
static void become_child(const struct supervisor *supervisor)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};

	close(supervisor->signals);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		signal(numbers[i], SIG_DFL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	sigprocmask(SIG_SETMASK, &supervisor->former, NULL);
	/* It may have died before the kernel was asked to tell. */
	if (getppid() != supervisor->pid)
		_exit(0);
}

static _Noreturn void end_child(int code)
{
	fflush(NULL);
	_exit(code);
}

/* What stdio holds would be written once by each. */
static pid_t fork_clean(void)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	return pid < 0 ? -errno : pid;
}

static pid_t start(void *arg, unsigned place, unsigned number, unsigned generation)
{
	struct supervisor *supervisor = arg;
	const struct supervisor_options *options = supervisor->options;
	pid_t pid = fork_clean();

	if (pid == 0) {
		become_child(supervisor);
		end_child(options->work(options->arg, place, number, generation));
	}
	return pid;
}

static pid_t start_monitor(void *arg, unsigned generation)
{
	struct supervisor *supervisor = arg;
	const struct supervisor_options *options = supervisor->options;
	pid_t pid = fork_clean();

	if (pid == 0) {
		become_child(supervisor);
		end_child(options->monitor(options->arg, generation));
	}
	return pid;
}

static void send_signal(void *arg, pid_t pid, int number)
{
	kill(pid, number);
}

static void observe(void *arg, unsigned place, struct board_report *ret_report)
{
	const struct supervisor *supervisor = arg;

	board_report_get(supervisor->options->board, place, ret_report);
}

static int64_t backlog(void *arg)
{
	const struct supervisor *supervisor = arg;
	struct board_backlog known;

	board_backlog_get(supervisor->options->board, &known);
	return known.visible;
}

static void clear(void *arg, unsigned place)
{
	struct supervisor *supervisor = arg;

	board_clear(supervisor->options->board, place);
}

static void take_seat(void *arg, unsigned place, const struct board_seat *seat)
{
	struct supervisor *supervisor = arg;

	board_seat_set(supervisor->options->board, place, seat);
}

static void unload(void *arg, unsigned generation)
{
	struct supervisor *supervisor = arg;

	supervisor->options->unload(supervisor->options->arg, generation);
}

static uint64_t random_bits(void *arg)
{
	uint64_t bits = 0;

	(void)!getrandom(&bits, sizeof(bits), GRND_NONBLOCK);
	return bits;
}

static void notify(struct supervisor *supervisor, const char *state)
{
	supervisor->options->notify(supervisor->options->arg, state);
}

static void count(struct board_counts *counts, const struct supervisor_event *event)
{
	if (event->kind == SUPERVISOR_STARTED && !event->is_monitor)
		counts->started++;
	else if (event->kind == SUPERVISOR_DIED && !event->is_monitor)
		counts->died++;
	else if (event->kind == SUPERVISOR_STALLED)
		counts->killed++;
	else if (event->kind == SUPERVISOR_SCALED)
		counts->wanted = event->workers;
	else if (event->kind == SUPERVISOR_RELOADED)
		counts->reloads++;
	else if (event->kind == SUPERVISOR_RELOAD_FAILED)
		counts->reloads_failed++;
}

static void on_event(void *arg, const struct supervisor_event *event)
{
	struct supervisor *supervisor = arg;

	count(&supervisor->counts, event);
	if (event->kind == SUPERVISOR_RELOADED || event->kind == SUPERVISOR_RELOAD_FAILED) {
		supervisor->counts.reloading = false;
		notify(supervisor, "READY=1");
	}
	show_counts(supervisor);
	supervisor->options->event(supervisor->options->arg, event);
}

static void tell(struct supervisor *supervisor, enum supervisor_event_kind kind)
{
	on_event(supervisor, &(struct supervisor_event){.kind = kind});
}

/* ---- signals */

static void stop(struct supervisor *supervisor)
{
	if (supervisor->stop_level == 2)
		return;
	supervisor->stop_level++;
	supervisor->counts.stopping = true;
	supervisor->hangup = false;
	notify(supervisor, "STOPPING=1");
	tell(supervisor,
		supervisor->stop_level == 1 ? SUPERVISOR_STOPPING : SUPERVISOR_STOPPING_AT_ONCE);
	fleet_stop(supervisor->fleet, supervisor->stop_level, now_us());
}

static void take_signals(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	while (read(supervisor->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT)
			stop(supervisor);
		else if (info.ssi_signo == SIGHUP)
			supervisor->hangup = supervisor->stop_level == 0;
	}
}

/* All of them: it may be the first process of a container, which inherits every orphan. */
static void reap(struct supervisor *supervisor)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		fleet_exited(supervisor->fleet, pid, status, now_us());
}

static void reload(struct supervisor *supervisor)
{
	const struct supervisor_options *options = supervisor->options;
	struct supervisor_plan plan;
	unsigned generation;

	supervisor->hangup = false;
	generation = ++supervisor->generations;
	notify(supervisor, "RELOADING=1");
	supervisor->counts.reloading = true;
	tell(supervisor, SUPERVISOR_RELOADING);
	if (options->load(options->arg, generation, &plan)) {
		on_event(supervisor, &(struct supervisor_event){
					     .kind = SUPERVISOR_RELOAD_FAILED, .error = EINVAL});
	} else if (plan.max * 2 > board_places(options->board)) {
		on_event(supervisor, &(struct supervisor_event){.kind = SUPERVISOR_RELOAD_FAILED,
					     .error = ENOSPC,
					     .workers = plan.max});
		options->unload(options->arg, generation);
	} else {
		fleet_reload(supervisor->fleet, generation, &plan);
	}
}

/* ---- what the service manager hears */

static void describe(struct supervisor *supervisor, const struct fleet_status *fleet)
{
	const struct supervisor_options *options = supervisor->options;
	struct buf *status = &supervisor->status;

	buf_clear(status);
	buf_appendf(status, "STATUS=%u workers, %u receiving", fleet->wanted, fleet->running);
	if (fleet->starting > 0)
		buf_appendf(status, ", %u starting", fleet->starting);
	if (fleet->stopping > 0)
		buf_appendf(status, ", %u stopping", fleet->stopping);
	if (fleet->waiting > 0)
		buf_appendf(status, ", %u to be started again", fleet->waiting);
	if (fleet->crash_loops > 0)
		buf_appendf(status, ", %u in a crash loop", fleet->crash_loops);
	if (options->describe)
		options->describe(options->arg, status);
}

static void tell_status(struct supervisor *supervisor, const struct fleet_status *fleet)
{
	describe(supervisor, fleet);
	if (supervisor->status.err ||
		strcmp(buf_string(&supervisor->status), buf_string(&supervisor->told)) == 0)
		return;
	notify(supervisor, buf_string(&supervisor->status));
	buf_clear(&supervisor->told);
	buf_append_string(&supervisor->told, buf_string(&supervisor->status));
}

static void speak(struct supervisor *supervisor, uint64_t now)
{
	const int64_t watchdog_ms = supervisor->options->watchdog_ms;
	bool status_due = now >= supervisor->status_due_us;
	bool watchdog_due = watchdog_ms > 0 && now >= supervisor->watchdog_due_us;
	struct fleet_status fleet;

	if (!status_due && !watchdog_due && supervisor->ready)
		return;
	fleet_get_status(supervisor->fleet, &fleet);
	if (!supervisor->ready && fleet.reported) {
		supervisor->ready = true;
		notify(supervisor, "READY=1");
	}
	if (watchdog_due) {
		supervisor->watchdog_due_us = now + (uint64_t)watchdog_ms * 1000 / 3;
		if (fleet.progressing)
			notify(supervisor, "WATCHDOG=1");
	}
	if (status_due) {
		supervisor->status_due_us = now + STATUS_INTERVAL_US;
		supervisor->counts.wanted = fleet.wanted;
		show_counts(supervisor);
		tell_status(supervisor, &fleet);
	}
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static void wait_for_signals(struct supervisor *supervisor, uint64_t until)
{
	struct pollfd fd = {.fd = supervisor->signals, .events = POLLIN};
	uint64_t now = now_us();
	int timeout_ms = 0;

	until = earlier(until, supervisor->status_due_us);
	if (supervisor->options->watchdog_ms > 0)
		until = earlier(until, supervisor->watchdog_due_us);
	if (until > now)
		timeout_ms = (int)((until - now + 999) / 1000);
	if (poll(&fd, 1, timeout_ms) > 0)
		take_signals(supervisor);
}

static int run(struct supervisor *supervisor)
{
	uint64_t until = 0;
	int code;

	for (;;) {
		wait_for_signals(supervisor, until);
		reap(supervisor);
		if (supervisor->hangup &&
			fleet_can_reload(supervisor->fleet, supervisor->options->plan.min))
			reload(supervisor);
		until = fleet_step(supervisor->fleet, now_us());
		if (fleet_is_over(supervisor->fleet, &code))
			return code;
		speak(supervisor, now_us());
	}
}

static const struct fleet_ops ops = {.start = start,
	.start_monitor = start_monitor,
	.signal = send_signal,
	.observe = observe,
	.backlog = backlog,
	.clear = clear,
	.seat = take_seat,
	.unload = unload,
	.event = on_event,
	.random = random_bits};

static int open_signals(struct supervisor *supervisor)
{
	sigemptyset(&supervisor->taken);
	sigaddset(&supervisor->taken, SIGTERM);
	sigaddset(&supervisor->taken, SIGINT);
	sigaddset(&supervisor->taken, SIGHUP);
	sigaddset(&supervisor->taken, SIGCHLD);
	if (sigprocmask(SIG_BLOCK, &supervisor->taken, &supervisor->former) != 0)
		return ERR_IO;
	supervisor->signals = signalfd(-1, &supervisor->taken, SFD_NONBLOCK | SFD_CLOEXEC);
	return supervisor->signals < 0 ? ERR_IO : 0;
}

int supervisor_run(const struct supervisor_options *options)
{
	struct supervisor supervisor = {.options = options,
		.signals = -1,
		.pid = getpid(),
		.counts = {.wanted = options->plan.min}};
	struct fleet_ops own = ops;
	const struct fleet_options fleet = {.places = board_places(options->board),
		.plan = options->plan,
		.until_done = options->until_done,
		.ops = &own};
	int code = 1;

	own.arg = &supervisor;
	buf_init(&supervisor.status, 4096);
	buf_init(&supervisor.told, 4096);
	show_counts(&supervisor);
	supervisor.fleet = fleet_new(&fleet);
	if (supervisor.fleet && open_signals(&supervisor) == 0)
		code = run(&supervisor);
	if (supervisor.signals >= 0)
		close(supervisor.signals);
	sigprocmask(SIG_SETMASK, &supervisor.former, NULL);
	fleet_free(supervisor.fleet);
	buf_free(&supervisor.status);
	buf_free(&supervisor.told);
	return code;
}
