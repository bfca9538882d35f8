/*
 * Control for one worker: read before it receives for the first time, then followed.
 *
 * A worker alone reads the tags itself (control_reader.h). One of several takes over what the
 * monitor has read and put on the board, four times a second; itself it reads only at its start,
 * when what is on the board is older than a reading every few seconds would make it, when it gets
 * work after an idle time, and when the monitor has read nothing for half a minute although there
 * is work.
 *
 * A worker that was idle for half a minute may not know what has been asked since. It holds back
 * the first messages until it has looked (delivery_doubt_control()), two seconds at most: if the
 * queue does not answer by then, what it asked last holds.
 *
 * If the process dies, its successor begins with a reading of its own or of the board: while the
 * queue is paused it does not receive.
 */
#ifndef CLI_RUN_WORKER_CONTROL_H
#define CLI_RUN_WORKER_CONTROL_H

#include "aws/sqs_client.h"
#include "base/metrics.h"
#include "bunshin/clock.h"
#include "cli/run/control_board.h"
#include "delivery/delivery.h"

struct worker_control;

struct worker_control_options {
	struct clock clock;
	struct sqs_client *client;
	const char *queue_url;
	const struct board *board; /* where the monitor puts what it has read; NULL: alone */
	/*
	 * Of a worker alone: where it puts what it has read itself, for the monitor to show, and
	 * finds what that has just set over the admin port; NULL: nowhere.
	 */
	struct board *shown_on;
	struct metrics *metrics;
	/* The delivery acts by another control, or begins paused; NULL: nobody asks. */
	void (*changed)(void *arg);
	void *arg;
};

/* All is borrowed and outlives it. 0 or ERR_NOMEM. */
int worker_control_new(
	const struct worker_control_options *options, struct worker_control **ret_control);
/* Before the client and after, or before, the delivery. NULL is fine. */
void worker_control_free(struct worker_control *control);

/*
 * The first look. `done` is called once, from the loop or from inside: err 0, control being set in
 * the delivery, which may start; or the error, with words for people, to be tried again. Tags that
 * may not be read are no error: nothing is asked then. It is not called after
 * worker_control_free().
 */
void worker_control_begin(struct worker_control *control, struct delivery *delivery,
	void (*done)(void *arg, int err, const char *words), void *arg);

/* The wants_control() of the delivery; arg: the struct worker_control. */
void worker_control_wanted(void *control);
/* Brings the metrics up to date. */
void worker_control_show(struct worker_control *control);

#endif
