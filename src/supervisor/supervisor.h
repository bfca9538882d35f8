/*
 * The supervisor: one process that forks the workers and the monitor, replaces what dies, makes
 * more or fewer, reloads and stops. It opens no socket, reads no message and runs no library but
 * libc, so that nothing from outside can bring it down; what it knows of its workers is on the
 * board.
 *
 * Children are forked, not executed: what was loaded before supervisor_run() (configuration,
 * ledger, libraries initialised) is shared with all of them until it is written to. A child leads a
 * process group of its own, so a Ctrl-C on the terminal reaches the supervisor alone; when the
 * supervisor dies, the kernel sends every child a SIGTERM (PR_SET_PDEATHSIG).
 *
 * Signals: SIGTERM and SIGINT drain all workers in parallel, then the monitor; a second one is
 * passed on and makes them exit at once. SIGHUP reloads. SIGCHLD, SIGHUP, SIGTERM and SIGINT are
 * blocked here and taken from a signalfd; a child has them unblocked, at their default, before
 * `work` runs.
 *
 * A worker that dies is replaced: at once when it had worked for a minute, else after an
 * exponential back-off with full jitter (200 ms to 30 s), by itself, the others working on. Five
 * such deaths in a row are a crash loop, which is logged as an error once. What it held comes back
 * by its visibility timeout, what it had accepted is in the ledger: nothing is lost by a death at
 * any line.
 *
 * A worker whose heartbeat or progress on the board is older than stall_ms is killed (SIGKILL) and
 * counts as dead.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "base/buf.h"
#include "supervisor/board.h"

#include <stdbool.h>
#include <stdint.h>

/* How many workers a configuration asks for, and what goes with it. */
struct supervisor_plan {
	unsigned min, max; /* equal: no growing and shrinking */
	int64_t stall_ms;  /* 0: nobody is killed for want of progress */
	int64_t grace_ms;  /* of a worker's drain; it is killed 10 s after it */
	bool has_monitor;
};

/* What happened, for the log at the edge. */
enum supervisor_event_kind {
	SUPERVISOR_STARTED,	/* a child was forked */
	SUPERVISOR_CANNOT_FORK, /* tried again after delay_ms; `error` is the errno */
	SUPERVISOR_DIED,	/* a child has ended without being told to; it is replaced */
	SUPERVISOR_CRASH_LOOP,	/* for the fifth time in a row */
	SUPERVISOR_STALLED,	/* it gets nothing done: being killed */
	SUPERVISOR_GRACE_OVER,	/* it has not stopped in time: being killed */
	SUPERVISOR_SCALED,	/* from workers_before to workers */
	SUPERVISOR_RELOADING,
	SUPERVISOR_RELOADED, /* the old ones drain now */
	/*
	 * error 0: a worker of the new generation died before it received; EINVAL: load() failed;
	 * ENOSPC: the board has not enough places for the plan's `workers`.
	 */
	SUPERVISOR_RELOAD_FAILED,
	SUPERVISOR_STOPPING,
	SUPERVISOR_STOPPING_AT_ONCE,
};

struct supervisor_event {
	enum supervisor_event_kind kind;
	bool is_monitor; /* else the child is a worker */
	unsigned number;
	pid_t pid;
	int wait_status; /* DIED: of waitpid() */
	unsigned failures_in_row;
	int64_t delay_ms;
	int error;
	unsigned workers, workers_before;
};

struct supervisor_options {
	struct board *board; /* with places for supervisor_places() of the first plan at least */
	struct supervisor_plan plan;
	/*
	 * A worker that ends by itself with 0 is not replaced; when all have, supervisor_run()
	 * returns 0. One that ends with another code ends the whole run with that code.
	 */
	bool until_done;
	/*
	 * Both run in the child, and what they return is its exit status. `generation` is 0 for the
	 * plan in the options, and one more with each reload that was tried.
	 */
	int (*work)(void *arg, unsigned place, unsigned number, unsigned generation);
	int (*monitor)(void *arg, unsigned generation);
	/*
	 * SIGHUP: reads the configuration that the workers of `generation` will have. 0 with the
	 * new plan, or an error that was told of: nothing changes then.
	 */
	int (*load)(void *arg, unsigned generation, struct supervisor_plan *ret_plan);
	/* No process of that generation is left, nor will be: what load() made may be freed. */
	void (*unload)(void *arg, unsigned generation);
	void (*event)(void *arg, const struct supervisor_event *event);
	/* READY=1, STATUS=..., RELOADING=1, STOPPING=1, WATCHDOG=1 for the service manager. */
	void (*notify)(void *arg, const char *state);
	int64_t watchdog_ms; /* how often WATCHDOG=1 is due at least; 0: never */
	/*
	 * Appends to a line for people what they want to see of all workers: ", 4123 accepted".
	 * May be NULL.
	 */
	void (*describe)(void *arg, struct buf *status);
	void *arg;
};

/*
 * Places that a board needs for a plan: a generation may start while three others still drain, and
 * a reload may ask for more workers: for half as many as there are places.
 */
unsigned supervisor_places(const struct supervisor_plan *plan);

/*
 * Runs until stopped. Returns the exit status: 0 after a clean stop; the code with which the first
 * worker ended, when none has ever begun to receive and it was 1, 2 or 75 (what can never work at
 * the start must end, not loop); 1 when it cannot fork or has no signalfd.
 *
 * A reload starts the new generation beside the old one and, when as many of it have begun to
 * receive as the plan's min, drains the old one. When a worker of it dies before it has begun, the
 * reload has failed: the new ones are stopped, the old ones stay, which is logged. A SIGHUP during
 * a reload is kept and done after it; one that finds no free places waits for them. A plan
 * for more workers than half of the places is refused: it takes a restart.
 *
 * In a child it does not return: it ends with _exit() after flushing stdio.
 */
int supervisor_run(const struct supervisor_options *options);

#endif
