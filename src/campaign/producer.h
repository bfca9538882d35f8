/*
 * The producer: pulls messages from a source and puts each into the queue, once.
 *
 * Messages are packed in the source's order into batches of at most 10 entries and 1 MiB; many
 * batches are under way at a time. The source is asked only while there is room, so nothing is
 * held but what is under way or waiting to be tried again.
 *
 * An entry that was throttled, or met a transient failure (its own or the whole call's), is tried
 * again after an exponential back-off with full jitter, together with the others of its batch. A
 * whole call that can never work is taken apart and its entries tried alone, so that one bad entry
 * does not cost its neighbours. Refused credentials, a missing queue or a local failure stop the
 * producer, and so does a queue that accepted nothing for `patience_ms`.
 */
#ifndef CAMPAIGN_PRODUCER_H
#define CAMPAIGN_PRODUCER_H

#include "base/buf.h"
#include "bunshin/clock.h"
#include "bunshin/queue.h"
#include "campaign/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PRODUCER_BATCH_MAX_BYTES ((size_t)1 << 20) /* SQS quota */

struct producer_options {
	unsigned in_flight;    /* batches under way at most [64] */
	size_t held_bytes;     /* the source is not asked while this much is held [32 MiB] */
	unsigned max_attempts; /* of one entry that fails while others are accepted [10] */
	int64_t base_ms; /* back-off before the second attempt is 0..base, then doubles [100] */
	int64_t throttled_base_ms; /* the same after a throttling answer [500] */
	int64_t cap_ms;		   /* and never more than this [20000] */
	int64_t patience_ms;	   /* without any success after the first one [120000] */
	int64_t first_patience_ms; /* until the first success, and once told to stop [10000] */
	/*
	 * Messages of one group arrive in the source's order: one of each is under way at a time,
	 * the next ones are held back until it is in the queue or refused for good. When it could
	 * not be sent, those behind it are not sent either. Of others the source is asked for at
	 * most `held_back` ahead [10000]. Without it groups are only passed on [false].
	 */
	bool keep_group_order;
	size_t held_back;
	/*
	 * At most so many recipients are sent in so many milliseconds, repeated ones included, as
	 * campaign/pace.h says; a message for many takes the time of all of them. Count 0: as fast
	 * as it goes [0].
	 */
	int64_t rate_count, rate_per_ms;
	/*
	 * The instant at which messages are to become visible: each request has the DelaySeconds
	 * that are left when it is made (schedule_delay_s()), by the wall clock. What the queue's
	 * client repeats by itself keeps its first delay, and is visible later by what that took.
	 * 0: at once [0].
	 *
	 * If the process dies before that instant: what is in the queue becomes visible at it, by
	 * itself, and nobody else's message is there. After it: as without a delay.
	 */
	int64_t visible_epoch_ms;
};
extern const struct producer_options producer_defaults;

struct producer_source {
	/*
	 * The next message, borrowed until the next call (the producer copies it). 1; 0: there are
	 * no more; or a negative code, which stops the producer, with a text for people in reason.
	 */
	int (*next)(void *arg, struct campaign_message *ret_message, struct buf *reason);
	void *arg;
};

/* Called from the loop, never from inside a call of this header. */
struct producer_events {
	/*
	 * What became of one message, once for each that was tried: err 0, it is in the queue; else
	 * it is not known to be, for the given reason (borrowed, never NULL). `unconfirmed` says
	 * that an answer may have been lost and the message be there all the same. places: the rows
	 * it is made of (borrowed), `count` of them, at least one. May be NULL.
	 */
	void (*settled)(void *arg, const struct recipients_place *places, size_t count, int err,
		bool unconfirmed, const char *reason);
	/*
	 * Nothing is left to do: err 0, the source has ended or producer_stop() was called; else
	 * what stopped it. The last event; it may free the producer.
	 */
	void (*finished)(void *arg, int err, const char *reason);
	void *arg;
};

struct producer_totals {
	/* Recipients: of a message that is a pack each of its rows. */
	uint64_t pulled;    /* that the source gave */
	uint64_t accepted;  /* in the queue, confirmed */
	uint64_t failed;    /* settled with an error */
	uint64_t untried;   /* pulled, given up and never sent */
	uint64_t messages;  /* in the queue, confirmed */
	uint64_t calls;	    /* SendMessageBatch requests */
	uint64_t retried;   /* entries sent again */
	uint64_t in_flight; /* entries under way at this moment */
	uint64_t waiting;   /* entries backing off */
	bool source_ended;
	bool failing; /* something stopped it: what settles from now on, settles for that reason */
	/*
	 * After `finished`: the first message that was pulled but never sent (row 0: there is
	 * none). All before it were settled, it and all after it were not sent; but where the order
	 * of groups is kept, or messages are packs, some after it may have been.
	 */
	struct recipients_place unsent;
};

struct producer;

/* All tables are copied; what their args and impls point to outlives the producer. 0, ERR_NOMEM. */
int producer_new(struct queue queue, struct clock clock, const struct producer_source *source,
	const struct producer_events *events, const struct producer_options *options,
	struct producer **ret_producer);
/* Cancels what is under way; no event is called any more. NULL is fine. */
void producer_free(struct producer *producer);

/* Begins on the next turn of the loop. 0 or ERR_NOMEM. */
int producer_start(struct producer *producer);
/*
 * The source is not asked any more; what was pulled is still sent, then `finished` is called. With
 * a rate what was never sent stays unsent, and the rest is tried again without regard to it. What
 * is held back behind another of its group stays unsent, too.
 */
void producer_stop(struct producer *producer);

const struct producer_totals *producer_totals(const struct producer *producer);

#endif
