/*
 * One pass over a failure queue: every message is received once and shown to a visitor, who says
 * what becomes of it: it is left, sent to another queue and deleted, or deleted.
 *
 * What is left stays invisible until the pass ends and is then made visible again, so that nothing
 * is seen twice. A reader beside it (a worker, another pass) finds fewer messages meanwhile; it is
 * not disturbed in what it holds itself. Every receive counts as one, of which a redrive policy of
 * the failure queue itself would take note.
 *
 * Where the process may die, and what is there then:
 *  - after the receive, before the send: the message is in the failure queue, and becomes visible
 *    when its visibility has run out;
 *  - after the send, before its answer, or after the answer, before the delete: it is in both. The
 *    next redrive sends it once more, with the same idempotency key, which the ledger of the
 *    workers knows once the first was accepted; and to a FIFO queue with the same deduplication id,
 *    which the queue drops within five minutes;
 *  - after the delete: it is in the other queue alone;
 *  - before it was made visible again: that happens by itself.
 * Deleted is only what was sent with a confirmation, or what the visitor said to delete.
 */
#ifndef CAMPAIGN_FAILURE_PASS_H
#define CAMPAIGN_FAILURE_PASS_H

#include "bunshin/clock.h"
#include "bunshin/queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAILURE_PASS_BATCH_MAX_BYTES ((size_t)1 << 20) /* of one send (SQS quota) */
#define FAILURE_PASS_KEY_MAX 40

enum failure_wish {
	FAILURE_LEAVE,
	FAILURE_SEND,	/* then delete it */
	FAILURE_DELETE, /* without sending it anywhere */
};

/* A message on its way; it points into the received one and into itself. */
struct failure_outgoing {
	struct queue_send send;
	struct queue_attribute attributes[QUEUE_ATTRIBUTES_MAX];
	char key[FAILURE_PASS_KEY_MAX];
};

struct failure_pass_options {
	struct queue source;
	struct queue target; /* ops NULL: nothing is sent */
	struct clock clock;
	unsigned slots;	       /* received batches at work at a time, 1-64 [8] */
	unsigned batch;	       /* messages of a receive, 1-10 [10] */
	unsigned visibility_s; /* of a receive: longer than the pass will take */
	uint64_t expected;     /* about how many there are; the pass ends well above it */
	uint64_t left_max;     /* it ends when this many have been left [110000] */
	int64_t rate;	       /* messages sent a second at most; 0: no limit */
};

/* Why a pass has ended. */
enum failure_pass_end {
	FAILURE_PASS_EMPTY,    /* nothing is visible any more */
	FAILURE_PASS_REPEATED, /* what was seen comes again */
	FAILURE_PASS_GREW, /* far more than were expected: messages arrive as fast as they are seen
			    */
	FAILURE_PASS_FULL, /* left_max, or SQS's limit of messages in flight */
	FAILURE_PASS_STOPPED,
	FAILURE_PASS_FAILED,
};

struct failure_pass_totals {
	uint64_t seen;	     /* messages, each once */
	uint64_t repeats;    /* received again */
	uint64_t left;	     /* as the visitor said */
	uint64_t sent;	     /* and deleted */
	uint64_t deleted;    /* unsent */
	uint64_t unsent;     /* should have been sent and were not; they are in the failure queue */
	uint64_t maybe_sent; /* of them, those whose send may have arrived all the same */
	uint64_t undeleted;  /* sent, and not known to be deleted: they may be in both queues */
	uint64_t undropped;  /* should have been deleted unsent and are not known to be */
	uint64_t unreleased; /* could not be made visible: that happens by itself later */
	enum failure_pass_end end;
};

/* Called from the loop, never from inside a call of this header. */
struct failure_pass_events {
	/* Once a message. `outgoing` is to be filled in for FAILURE_SEND. */
	enum failure_wish (*visit)(
		void *arg, const struct queue_message *message, struct failure_outgoing *outgoing);
	/*
	 * What the visitor wished did not come about; sent: the message is in the target queue, and
	 * only the delete failed. reason: borrowed. May be NULL.
	 */
	void (*failed)(
		void *arg, const struct queue_message *message, bool sent, const char *reason);
	/*
	 * The last event; it may free the pass. err 0, or what stopped it early, in words in
	 * `reason`.
	 */
	void (*finished)(void *arg, int err, const char *reason);
	void *arg;
};

struct failure_pass;

/* options, events: copied; their queues outlive the pass. 0 or ERR_NOMEM. */
int failure_pass_new(const struct failure_pass_options *options,
	const struct failure_pass_events *events, struct failure_pass **ret_pass);
/* Gives up what is under way: as if the process died. NULL is fine. */
void failure_pass_free(struct failure_pass *pass);
/* 0 or ERR_NOMEM. */
int failure_pass_start(struct failure_pass *pass);
/* No more receives: what is being sent is finished, the rest is made visible. From `visit`, too. */
void failure_pass_stop(struct failure_pass *pass);
const struct failure_pass_totals *failure_pass_totals(const struct failure_pass *pass);

#endif
