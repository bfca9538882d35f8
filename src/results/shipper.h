/*
 * Sends an outcome log to the results queue: lines in entries of up to 60 KiB, ten of them in one
 * SendMessageBatch, one call at a time. It reads what was flushed back from the files.
 *
 * A call is made when there is enough for one that is full, or else a second after the first line
 * that waits, but no more than one call for ten records: what is sent seldom is saved up for calls
 * that are not full. Nothing waits longer than SHIPPER_WAIT_MAX_US for that, so that a process
 * makes at most a tenth of a call a record, one in so long a time, and a few at its start.
 *
 * While the queue fails, calls are repeated with a growing delay, for as long as it takes; what is
 * written meanwhile stays in the files. If the process dies
 *  - while a call is under way, or before its position is written: its lines are sent again by
 *    whoever takes the files over; readers know them by their keys.
 *  - after that: they are sent once.
 * Files that nobody writes any more, and of which something has not been sent, are sent too: those
 * of a process that has gone and was not replaced.
 */
#ifndef RESULTS_SHIPPER_H
#define RESULTS_SHIPPER_H

#include "base/metrics.h"
#include "bunshin/clock.h"
#include "bunshin/queue.h"
#include "results/log.h"

#define SHIPPER_LINGER_US UINT64_C(1000000)
#define SHIPPER_WAIT_MAX_US UINT64_C(10000000)
#define SHIPPER_RECORDS_A_CALL 10
#define SHIPPER_ADOPT_US                                                        \
	UINT64_C(30000000) /* between two looks for files of nobody; half of it \
			    * to all of it */

struct results_shipper;

struct results_shipper_options {
	struct clock clock;
	struct queue queue;	 /* of which send_batch and cancel are used; a standard queue */
	struct results_log *log; /* borrowed, outlives it */
	struct metrics *metrics; /* borrowed */
	/*
	 * A call failed, or an entry of one, or a file cannot be read. detail: for people,
	 * borrowed. It must not call the shipper. NULL: nobody listens.
	 */
	void (*trouble)(void *arg, int err, const char *detail);
	void *arg;
};

/* 0 or ERR_NOMEM. What the files hold already is sent soon. */
int results_shipper_new(
	const struct results_shipper_options *options, struct results_shipper **ret_shipper);
/* Gives up the call under way. The log is still there. NULL is fine. */
void results_shipper_free(struct results_shipper *shipper);

/* The log was flushed: there may be something to send. Cheap. */
void results_shipper_poke(struct results_shipper *shipper);
/* The same, and somebody waits for it: it is sent at once, however little it is. */
void results_shipper_hurry(struct results_shipper *shipper);
/*
 * No more is written: what is left is sent at once. `done` runs once, from the loop, when all of
 * the log is sent, or at until_us (monotonic), or when the queue says that it will never take it;
 * `left` bytes have not been sent then. It may free the shipper. Where there is no memory for a
 * timer, it runs before this returns.
 */
void results_shipper_finish(struct results_shipper *shipper, uint64_t until_us,
	void (*done)(void *arg, uint64_t left), void *arg);
/* Brings the gauge of what waits up to date. */
void results_shipper_show(struct results_shipper *shipper);

#endif
