/*
 * A held message and the states it goes through. Private to delivery.
 *
 * The state is the list: message_move() takes the message out of one list and puts it into the
 * other, keeps the counts, and asserts that the edge is in the table. Nothing else changes state.
 *
 *	received <--> sending ---> accepted ---------------> deleted
 *	   |  |          |  `----> failed ---> copied -----> deleted
 *	   |  |          |            |
 *	   |  `----------+------------+---> backing off ---> returned
 *	   |---> expired ----------------------------------> deleted
 *	   |---> cancelled --------------------------------> deleted
 *	   |---> accepted, without a send: the ledger knows it
 *	   `---> lost, from any state: visibility ran out first
 *
 * A message is received again after sending when it is packed, once a request (packed.h), and when
 * those that were sent together are parted (gather.h).
 */
#ifndef DELIVERY_MESSAGE_H
#define DELIVERY_MESSAGE_H

#include "base/list.h"
#include "bunshin/clock.h"
#include "bunshin/queue.h"
#include "bunshin/target.h"
#include "delivery/failure.h"
#include "delivery/ledger.h"
#include "delivery/recipient_list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum message_state {
	MESSAGE_RECEIVED,    /* waits for a slot of its lane */
	MESSAGE_SENDING,     /* an attempt is out */
	MESSAGE_ACCEPTED,    /* the provider has it; its delete is wanted */
	MESSAGE_EXPIRED,     /* past its deadline; its delete is wanted */
	MESSAGE_CANCELLED,   /* its campaign is; its delete is wanted */
	MESSAGE_FAILED,	     /* terminal; its copy to the failure queue is wanted */
	MESSAGE_COPIED,	     /* the copy is confirmed; its delete is wanted */
	MESSAGE_BACKING_OFF, /* its visibility change is wanted */
	/* The ends. The message is freed on the way in. */
	MESSAGE_DELETED,
	MESSAGE_RETURNED,
	MESSAGE_LOST,
	MESSAGE_STATES
};

#define MESSAGE_END_FIRST MESSAGE_DELETED

struct delivery;
struct lane;
struct batch_call;
struct bundle;
struct batcher;

/* A message's place in a batcher: waiting in its list, or in slot `slot` of a call under way. */
struct batch_link {
	struct list node;
	struct message *message;
	struct batcher *batcher; /* NULL: in none */
	struct batch_call *call; /* NULL: waiting */
	unsigned slot;
};

struct message {
	enum message_state state;
	struct list node; /* in the list of its state */
	struct delivery *delivery;
	struct lane *lane;	   /* NULL only while it is being routed */
	struct queue_batch *batch; /* one reference */
	const struct queue_message *queued;
	int64_t deadline_epoch_ms; /* INT64_MAX: none */
	uint64_t received_us;
	uint64_t visible_us;	   /* the instant, at the earliest, at which SQS shows it again */
	struct clock_timer keeper; /* extends ahead of visible_us; then ends what is still held */
	struct clock_timer retry;  /* of a settlement that failed */
	struct batch_link settle;  /* in the deleter, the copier or the returner */
	struct batch_link extend;  /* in the extender */
	struct target_attempt *attempt; /* SENDING only */
	uint64_t attempt_us;		/* when it began */
	struct ledger_key key;		/* from the attempt on */
	struct ledger_claim claim;	/* of the attempt */
	struct list group, deletes;	/* its places in the rows of its message group (group.h) */
	unsigned settle_attempts;
	bool unrouted;		 /* no destination is for it; its lane only ends it */
	bool settle_alone;	 /* its batch failed for good: tried by itself once more */
	unsigned return_after_s; /* BACKING_OFF: the visibility wanted */
	struct failure *failure; /* FAILED and COPIED */
	struct list mate;	 /* in its bundle, or in the row of packed messages (gather.h) */
	struct bundle *bundle;	 /* NULL: it goes alone */
	bool follows;		 /* another of its bundle has the attempt that it is in */
	/* Where the destination has batches of format list; else NULL. */
	struct recipient_list *recipients;
};

const char *message_state_name(enum message_state state); /* "backing off"; static */
bool message_edge_allowed(enum message_state from, enum message_state to);

/* Visibility is worth extending: something is still to be done that takes time. */
static inline bool message_is_extendable(const struct message *message)
{
	return message->state == MESSAGE_RECEIVED || message->state == MESSAGE_SENDING ||
	       message->state == MESSAGE_FAILED;
}

/* It is for a list of recipients. */
static inline bool message_is_packed(const struct message *message)
{
	return message->recipients && message->recipients->packed;
}

/* Its delete is wanted. */
static inline bool message_is_done(const struct message *message)
{
	return message->state == MESSAGE_ACCEPTED || message->state == MESSAGE_EXPIRED ||
	       message->state == MESSAGE_CANCELLED || message->state == MESSAGE_COPIED;
}

/*
 * Takes one message of a batch over (one more reference on the batch); it is RECEIVED, in no list
 * yet: the caller routes it with message_route() before anything else. NULL: out of memory.
 */
struct message *message_new(struct delivery *delivery, struct queue_batch *batch, size_t index,
	uint64_t received_us, uint64_t visible_us);
/* Gives it its lane and appends it to the lane's waiting list. */
void message_route(struct message *message, struct lane *lane);
/*
 * Moves it along one edge of the table. Into an end state frees it: the pointer is dead afterwards.
 */
void message_move(struct message *message, enum message_state to);
/* What recipient_list_read() has made of it; the message owns it. */
void message_set_recipients(struct message *message, struct recipient_list *recipients);
/* Frees it wherever it is, its attempt cancelled; for the end of the process. */
void message_drop(struct message *message);

/* Records why it failed; strings are copied. 0 or ERR_NOMEM. */
int message_set_failure(
	struct message *message, const char *reason, const struct target_result *result);
/* What it says of the attempt that failed, borrowed; false: there was none. */
bool message_failure_result(const struct message *message, struct target_result *ret_result);

/*
 * An attribute as an instant: Number (epoch milliseconds) or String (RFC 3339). 0 with *ret set (to
 * `absent` when the message has no such attribute), or ERR_SYNTAX.
 */
int message_instant(const struct queue_message *message, const char *name, int64_t absent,
	int64_t *ret_epoch_ms);
/* NULL when it has none of this name. */
const struct queue_attribute *message_attribute(
	const struct queue_message *message, const char *name);

#endif
