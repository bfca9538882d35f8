/*
 * One worker: a configuration made into clients, targets and the delivery core, its events into
 * log lines.
 */
#ifndef CLI_WORKER_H
#define CLI_WORKER_H

#include "base/buf.h"
#include "base/metrics.h"
#include "bunshin/clock.h"
#include "config/config.h"
#include "delivery/delivery.h"

#include <uv.h>

struct worker;

struct worker_hooks {
	/*
	 * A receive failed (err), or one worked for the first time or again (0). `detail` is
	 * borrowed, for people. The worker must not be closed from inside.
	 */
	void (*receive_result)(void *arg, int err, const char *detail);
	void *arg;
};

/*
 * loop and config are borrowed and outlive the worker. 0, or an error code with a sentence for
 * people in `error`; nothing is left behind then but handles that close on the next turns of the
 * loop.
 */
int worker_new(uv_loop_t *loop, struct clock clock, const struct config *config,
	const struct worker_hooks *hooks, struct worker **ret_worker, struct buf *error);
void worker_start(struct worker *worker);
/* As delivery_drain(). */
void worker_drain(struct worker *worker, void (*done)(void *arg, size_t held), void *arg);
/* Frees the core at once and closes the clients; the rest goes on later turns of the loop. */
void worker_close(struct worker *worker);

const struct delivery *worker_delivery(const struct worker *worker);
uint64_t worker_queue_requests(const struct worker *worker);

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
