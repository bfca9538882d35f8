/*
 * What becomes of a worker's messages: its events as records of the outcome log, its status lines,
 * and the shipper to the results queue.
 *
 * A record is in the log before the delete of its message is sent: outcomes_flush() is the
 * delivery's before_delete (delivery/delivery.h says what is where when the process dies). What no
 * delete follows, such as an attempt that failed, is written within a tenth of a second.
 */
#ifndef CLI_RUN_OUTCOMES_H
#define CLI_RUN_OUTCOMES_H

#include "base/buf.h"
#include "base/metrics.h"
#include "bunshin/clock.h"
#include "bunshin/queue.h"
#include "config/config.h"
#include "delivery/delivery.h"

#include <stdint.h>

struct outcomes;

/*
 * The directory can be used: it is there, or was made, and may be written. For before a worker
 * starts. 0, or ERR_IO with a sentence in `error`. path NULL: 0.
 */
int outcomes_check(const char *path, struct buf *error);

/*
 * By config->outcomes, whose path is not NULL. results: the results queue; ops NULL: there is none.
 * All is borrowed and outlives it. 0 or ERR_NOMEM: a directory that cannot be used is logged, and
 * tried again.
 */
int outcomes_new(struct clock clock, const struct config *config, struct queue results,
	struct metrics *metrics, struct outcomes **ret_outcomes);
/* Writes what waits, and sends nothing more. NULL is fine. */
void outcomes_free(struct outcomes *outcomes);

/* Status lines are about this one from now on, with so many destinations; for a results queue. */
void outcomes_watch(struct outcomes *outcomes, struct delivery *delivery, size_t destination_count);
/*
 * The delivery acts by another control from now on: a status line says so at once, for those who
 * wait for it (`bunshin campaign pause`). arg is the struct outcomes.
 */
void outcomes_control_changed(void *arg);
/* An event of the delivery. */
void outcomes_note(struct outcomes *outcomes, const struct delivery_event *event);
/* Writes what waits; arg is the struct outcomes. */
void outcomes_flush(void *arg);
/*
 * The delivery has drained, and is asked nothing any more: sends what is left until until_us
 * (monotonic). `done` runs once, from the loop, and may free it; where there is no memory for a
 * timer, before this returns.
 */
void outcomes_finish(
	struct outcomes *outcomes, uint64_t until_us, void (*done)(void *arg), void *arg);
/* Brings its gauges up to date. */
void outcomes_show(struct outcomes *outcomes);

#endif
