/*
 * The results queue into the results database: long polls, several at once; the lines of each
 * message are added, committed, and only then is the message deleted.
 *
 * If the process dies
 *  - between a receive and the commit: the messages become visible again after
 *    RESULTS_QUEUE_VISIBILITY_S, and are read then.
 *  - between the commit and the delete: the same; adding them again changes nothing.
 *  - after the delete: they are in the database.
 *
 * A message without a single line that makes sense ("poisoned") is counted, the first one is told,
 * and it is deleted like the others. What cannot be committed is not deleted.
 *
 * Two readers of one queue split its messages between them, each seeing only a part.
 */
#ifndef CAMPAIGN_RESULTS_QUEUE_H
#define CAMPAIGN_RESULTS_QUEUE_H

#include "bunshin/clock.h"
#include "bunshin/queue.h"
#include "campaign/results_db.h"

#include <stdbool.h>
#include <stdint.h>

#define RESULTS_QUEUE_POLLS 4
#define RESULTS_QUEUE_WAIT_S 20
#define RESULTS_QUEUE_VISIBILITY_S 30
#define RESULTS_QUEUE_COMMIT_US ((uint64_t)200000) /* what is received waits at most so long */
#define RESULTS_QUEUE_HELD 1000 /* messages not deleted yet; polls wait above it */

struct results_queue;

struct results_queue_options {
	struct queue queue;
	struct clock clock;
	struct results_db *db; /* borrowed */
	/*
	 * true: reads what is there, then finishes. What counts as all of it: a poll brought
	 * nothing, or had to wait for what it brought.
	 */
	bool once;
	/* Each may be called at any time but from inside a call of this module. */
	/* err 0: it works again. Else what does not, for people; borrowed. */
	void (*trouble)(void *arg, int err, const char *words);
	void (*poisoned)(void *arg, const char *message_id, const char *body, size_t body_bytes);
	void (*finished)(void *arg); /* after results_queue_stop(), or with `once` */
	void *arg;
};

/* 0 or ERR_NOMEM. Starts nothing. */
int results_queue_new(
	const struct results_queue_options *options, struct results_queue **ret_queue);
/* Cancels what is under way; what was not committed is not deleted. NULL is fine. */
void results_queue_free(struct results_queue *queue);

void results_queue_start(struct results_queue *queue);
/* No more receives; what was received is committed and deleted. Then `finished`, from the loop. */
void results_queue_stop(struct results_queue *queue);

struct results_queue_counts {
	uint64_t messages, poisoned; /* received; of them */
	uint64_t records, broken;    /* lines */
	uint64_t receives, deletes;  /* requests */
	uint64_t answers;	     /* receives that worked */
};
struct results_queue_counts results_queue_counts(const struct results_queue *queue);

#endif
