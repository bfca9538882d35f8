/*
 * The inside of a pass: a few slots, each with one received batch at a time, which it takes
 * through: visit, send, delete. Shared by failure_pass.c (receiving, the end) and failure_slot.c
 * (what becomes of a batch).
 */
#ifndef CAMPAIGN_FAILURE_SLOT_H
#define CAMPAIGN_FAILURE_SLOT_H

#include "campaign/failure_left.h"
#include "campaign/failure_pass.h"
#include "campaign/failure_seen.h"

#define FAILURE_SLOTS_MAX 64
#define FAILURE_ATTEMPTS_MAX 8
#define FAILURE_PASS_REASON_MAX 512

enum failure_item_state {
	ITEM_SEND,   /* is to be sent */
	ITEM_DELETE, /* is to be deleted */
	ITEM_OVER,
};

struct failure_item {
	enum failure_item_state state;
	bool sent;     /* with a confirmation */
	bool repeated; /* seen, and counted, before */
	bool unconfirmed;
	unsigned attempts;
	struct failure_outgoing outgoing;
};

struct failure_slot {
	struct failure_pass *pass;
	struct queue_batch *batch; /* NULL: none */
	struct failure_item items[QUEUE_BATCH_MAX];
	uint64_t visible_us;	/* when the batch is visible again; monotonic */
	uint64_t not_before_us; /* of the next send or delete */
	bool alone;		/* entries are sent one by one: a call with several was refused */
	struct queue_call *call;
	struct queue called;			      /* where it was made */
	uint64_t call_us;			      /* and when */
	size_t chosen[QUEUE_BATCH_MAX], chosen_count; /* items that the call is about */
	struct clock_timer timer;
};

struct failure_pass {
	struct failure_pass_options options;
	struct failure_pass_events events;
	struct failure_pass_totals totals;
	struct failure_slot slots[FAILURE_SLOTS_MAX];
	struct failure_seen seen;
	struct failure_left left;
	struct clock_timer start;
	uint64_t next_send_us;		    /* by the rate */
	unsigned empties, receive_failures; /* in a row */
	bool ending, releasing, finished;
	int err;
	char reason[FAILURE_PASS_REASON_MAX];
};

/* failure_pass.c. The first one counts. */
void failure_pass_end_by(struct failure_pass *pass, enum failure_pass_end why);
/*
 * The first error counts, over any other end. What is confirmed is still deleted, all else is left.
 * reason "": err's own words.
 */
void failure_pass_fail(struct failure_pass *pass, int err, const char *reason);
/*
 * Starts the receives that there is room for, and ends it all when nothing is left to do. The last
 * thing that a callback does.
 */
void failure_pass_advance(struct failure_pass *pass);

/* failure_slot.c. Goes on with the batch, if there is one, and lets go of it at its end. */
void failure_slot_next(struct failure_slot *slot);
/* It stays in the failure queue, and is made visible at the end unless it is already. */
void failure_slot_leave(struct failure_slot *slot, size_t i);
/* True: the slot goes on at that instant. False: no memory for a timer, the pass has failed. */
bool failure_slot_wait(struct failure_slot *slot, uint64_t until_us);
/* Full jitter; attempts: those that have failed, at least 1. */
uint64_t failure_backoff_us(const struct failure_pass *pass, unsigned attempts);

#endif
