/*
 * One worker: a configuration made into clients, targets and the delivery core, its events into
 * log lines.
 */
#ifndef CLI_RUN_WORKER_H
#define CLI_RUN_WORKER_H

#include "base/buf.h"
#include "base/metrics.h"
#include "bunshin/clock.h"
#include "cli/run/credentials_watch.h"
#include "cli/run/host.h"
#include "config/config.h"
#include "delivery/delivery.h"
#include "supervisor/board.h"

#include <uv.h>

struct worker;

struct worker_hooks {
	/*
	 * A receive failed (err), or what must be asked before the first one; or one worked for
	 * the first time or again (0). `detail` is borrowed, for people. The worker must not be
	 * closed from inside.
	 */
	void (*receive_result)(void *arg, int err, const char *detail);
	/* It receives from now on. May be NULL. */
	void (*begun)(void *arg);
	void *arg;
	const unsigned *interrupts; /* of struct runtime; for worker_new() */
	/* Where a monitor puts the control that it reads; NULL: the worker reads it itself. */
	const struct board *board;
	/* Where it then puts what it has read; NULL: nowhere. */
	struct board *shown_on;
};

/*
 * All is borrowed and outlives the worker. Runs the loop while credentials are looked for
 * (connect_open()). 0, or an error code with a sentence for people in `error`; nothing is left
 * behind then but handles that close on the next turns of the loop. ERR_CANCELLED: interrupted.
 */
int worker_new(uv_loop_t *loop, struct clock clock, const struct config *config, struct host *host,
	struct metrics *metrics, const struct worker_hooks *hooks, struct worker **ret_worker,
	struct buf *error);
/*
 * Asks the queue for its attributes and whether deletes and visibility changes are allowed (by a
 * receipt handle that is made up), and what the operator asks of its workers (worker_control.h),
 * again and again until it answers, then begins to receive. What stands in the way is told to the
 * hook.
 */
void worker_start(struct worker *worker);
/*
 * As delivery_drain(); besides, what is left of the outcomes is sent to the results queue within
 * what is left of the grace.
 */
void worker_drain(struct worker *worker, void (*done)(void *arg, size_t held), void *arg);
/* Frees the core at once and closes the clients; the rest goes on later turns of the loop. */
void worker_close(struct worker *worker);

const struct delivery *worker_delivery(const struct worker *worker);
/* As delivery_get_work(). */
void worker_get_work(struct worker *worker, struct delivery_work *ret_work);
/* Brings those of them up to date that are not kept so. */
void worker_show(struct worker *worker);
const struct credentials_watch *worker_credentials(const struct worker *worker);
/* What went wrong so far; NULL: nothing since it was asked last. Borrowed until the next event. */
const struct failures *worker_new_failures(struct worker *worker);
/* The queue has been asked, and receiving has begun. */
bool worker_has_begun(const struct worker *worker);
/* Appends the names of the destinations whose breaker is open, "a, b"; returns how many. */
size_t worker_open_breakers(const struct worker *worker, struct buf *names);

/*
 * Whether anything is left: in the queue (visible, in flight with anybody, delayed) or held here.
 * Calls done once, later; err as from the queue. One question at a time. Not answered after
 * worker_close().
 */
struct worker_left {
	int err;
	const char *detail; /* for people, when err; borrowed */
	int64_t in_queue;
	size_t held;
};
int worker_ask_left(
	struct worker *worker, void (*done)(void *arg, const struct worker_left *left), void *arg);

#endif
