/*
 * The monitor: what a host needs one of, however many workers it has. It answers the admin port
 * from what is on the board, asks the queue for its backlog when somebody needs it, writes embedded
 * metrics, watches for the end of the instance and holds its protection. A process of its own under
 * a supervisor; part of the worker where that runs alone.
 *
 * The status page (status_view.h) is sampled each second where there is an admin port, and the
 * queue is tagged for whoever pauses or resumes it there (pauser.h).
 *
 * The backlog is needed by workers that grow in number (workers.min below max), by protection, by
 * metrics.emf, and by whoever looks at the status page. For the first two it is asked every 5 s
 * while a worker has something to do or there are more than workers.min; for the last every 5 s,
 * until 30 s after the last look; else every minute, or as often as metrics.emf when that is
 * shorter. A host that needs it for none of these sends no request here; one whose day is idle
 * 1,440, and one that is busy, or looked at, all day 17,280 (0.7 US cents).
 *
 * For the workers of a supervisor it reads what the operator asks of them (control_reader.h): every
 * 5 s while any of them has work or the queue is paused, and not at all otherwise.
 *
 * It counts what a ledger that was there at the start holds (ledger_survey.h).
 *
 * Embedded metrics go to standard output, a line every metrics.emf and a last one when the monitor
 * closes; the log is on standard error. A line that standard output does not take at once is
 * dropped.
 */
#ifndef CLI_RUN_MONITOR_H
#define CLI_RUN_MONITOR_H

#include "base/buf.h"
#include "bunshin/clock.h"
#include "cli/run/host.h"
#include "config/config.h"
#include "supervisor/board.h"

#include <uv.h>

struct monitor;

struct monitor_options {
	uv_loop_t *loop;
	struct clock clock;
	const struct config *config;
	struct board *board;
	/*
	 * Listening already (admin_socket.h), so that a reload leaves no gap; -1: no admin port.
	 * Borrowed: closed by whoever opened it.
	 */
	int admin_fd;
	const char *admin_address; /* for the log */
	const struct host *host;   /* its ledger is surveyed; NULL: it is not */
	bool reads_control;	   /* for the workers: what the queue's tags ask, onto the board */
	/* Brings the board up to date before it is read; NULL: it is kept so by others. */
	void (*refresh)(void *arg);
	/* The instance is going to end: drain now. `why` is for people. Called once. */
	void (*leave)(void *arg, const char *why);
	void *arg;
	const unsigned *interrupts; /* of struct runtime: ends what monitor_new() waits for */
};

/*
 * All is borrowed and outlives it. Runs the loop while credentials are looked for, where any part
 * needs them. 0, or an error code with a sentence in `error`.
 */
int monitor_new(
	const struct monitor_options *options, struct monitor **ret_monitor, struct buf *error);
/*
 * It is told to end. When the workers have all stopped (board_counts.stopping, or nobody is on the
 * board) it completes the lifecycle hook and lets the protection go; after a reload, when they go
 * on, the next monitor does. Calls `done` once, from the loop, at the latest after 10 s; at once
 * (from inside) when there is nothing to do.
 */
void monitor_finish(struct monitor *monitor, void (*done)(void *arg), void *arg);
/* The memory goes on a later turn of the loop. NULL is fine. */
void monitor_close(struct monitor *monitor);

#endif
