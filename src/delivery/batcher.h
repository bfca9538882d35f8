/*
 * Coalesces single wishes (delete this, return that) into batch calls of up to ten. Private to
 * delivery. A batch that is not full waits for the linger time at most.
 */
#ifndef DELIVERY_BATCHER_H
#define DELIVERY_BATCHER_H

#include "base/list.h"
#include "bunshin/clock.h"
#include "bunshin/queue.h"
#include "delivery/message.h"

struct batcher;

/* One call under way. */
struct batch_call {
	struct batcher *batcher;
	struct list node;
	struct queue_call *call;
	uint64_t started_us;
	size_t count;
	struct message *messages[QUEUE_BATCH_MAX]; /* NULL: forgotten meanwhile */
	struct batch_link *links[QUEUE_BATCH_MAX]; /* theirs */
};

struct batcher {
	struct delivery *delivery;
	const char *operation; /* "delete", for events */
	/* Starts the operation for call->messages (none NULL) with batcher_done and call. */
	int (*start)(struct batcher *batcher, struct batch_call *call);
	/* One message's outcome; started_us is when the call began. Its link is in no batcher. */
	void (*settled)(struct message *message, int result, uint64_t started_us);
	/* Whether it may be in this call, which has what call->messages holds so far; NULL: any. */
	bool (*may_join)(const struct message *message, const struct batch_call *call);
	size_t max_calls;
	size_t max_bytes; /* of bodies and attributes in one call; 0: any */
	struct list waiting;
	size_t waiting_count;
	struct list calls;
	size_t call_count;
	struct clock_timer linger;
};

/* The rows above must be filled in. */
void batcher_init(struct batcher *batcher);
/* Frees what is under way, cancelled; no settled() follows. */
void batcher_stop(struct batcher *batcher);
/* The link must be in no batcher. */
void batcher_add(struct batcher *batcher, struct batch_link *link);
/* Takes it out of its batcher, if any; how a call under way ends for it is then nobody's concern.
 */
void batcher_forget(struct batch_link *link);
/* In a batcher's list, its call not yet started. */
static inline bool batcher_is_waiting(const struct batch_link *link)
{
	return link->batcher && !link->call;
}
/* The queue_batch_done of every call. */
queue_batch_done batcher_done;

#endif
