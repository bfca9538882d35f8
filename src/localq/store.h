/*
 * Queues and messages in SQLite: schema, statements, transactions. No HTTP, no protocol, no clock:
 * the caller says what time it is (milliseconds since 1970).
 *
 * Everything between store_begin and store_commit is one transaction. The first error of the
 * database sticks: every later call returns ERR_STORE until store_abort, which undoes all of it
 * and reads the queues again.
 *
 * One thread at a time calls the store. Another one, which the store starts and ends with itself
 * when it lies in a directory, copies the log into the database (checkpoint.h). store_begin may
 * wait for it: two fsyncs of little data, each time that the log is long. Memory of SQLite is
 * configured once for the process, by the first store_open.
 *
 * Messages lie in lanes. A queue has one lane; a purge gives it a new one and leaves the old lane
 * to store_sweep, so that purging or deleting a queue costs the same however much is in it. Most
 * messages are received as soon as they are sent, so those that never were, and had no delay, are
 * read in the order in which they were sent; an index of times has the others. A receive merges the
 * two (store_walk.c) and takes what it needs; in a FIFO queue it walks groups instead
 * (store_groups.c), in a standard one whose messages have groups it goes by tenants
 * (store_tenants.c). How many messages a queue has is written with each transaction that changes
 * it, so opening costs the same however many there are.
 *
 * States of a message follow from its row: received or not (receives), hidden or not (visible_ms
 * in the future), but of one that is received for the first time from its flight
 * (store_flights.c). Delayed is hidden and never received, in flight is hidden and received.
 */
#ifndef LOCALQ_STORE_H
#define LOCALQ_STORE_H

#include "base/hex.h"
#include "localq/handle.h"
#include "localq/queue_attributes.h"
#include "localq/redrive.h"
#include "localq/text.h"

#include "base/json.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STORE_DETAIL_MAX 512
#define STORE_RECEIVE_MAX 10
/* How long a deduplication id and a receive attempt are remembered (SQS API). */
#define STORE_REPEAT_MS 300000

struct store;

/* Messages on their first receive: store_flights.c. */
struct store_flights {
	struct store_flight *all; /* by id, from `first` to `end` */
	size_t first, end, capacity;
	size_t messages; /* in all of them */
	int64_t due_ms;	 /* none ends before */
};

/* Read-only for callers, but for `owner_data`. Valid until it is deleted or store_abort. */
struct store_queue {
	struct store_queue *next; /* the store's */
	int64_t id;
	uint32_t lane;
	char name[TEXT_QUEUE_NAME_MAX + 1];
	int64_t created_ms, modified_ms;
	int64_t purged_ms; /* the last purge; 0: never */
	struct queue_attributes attributes;
	bool is_fifo;
	struct redrive redrive; /* parsed from the attributes, as the following ones */
	int64_t visibility_ms, delay_ms, retention_ms;
	int64_t messages;	      /* all of them, whatever their state */
	int64_t fresh_id;	      /* no message that was never received has a smaller id */
	struct store_flights flights; /* the store's */
	int64_t in_flight_bound; /* at least as many as are in flight; see store_is_over_limit */
	int64_t in_flight_counted_ms;
	struct store_queue *next_changed; /* the store's, as is_changed */
	bool is_changed;
	/* Of a standard queue, store_tenants.c: some of its messages have groups. */
	bool has_tenants;
	int64_t turn, plain_turn; /* the virtual time; of messages without a group */
	void *owner_data;	  /* the caller's; NULL to begin with */
};

/* Bits of an id that number the messages: they rise from send to send, over all queues. */
#define STORE_NUMBER_BITS 42

static inline int64_t store_id_number(int64_t id)
{
	return id & (((int64_t)1 << STORE_NUMBER_BITS) - 1);
}

/* To insert, or as seen by a receive; everything borrowed. */
struct store_message {
	int64_t id; /* not for insert */
	uint8_t message_id[16];
	uint8_t md5[16];
	const char *body;
	size_t body_bytes;
	const char *attributes; /* canonical form (attributes.h); NULL: none */
	size_t attributes_bytes;
	const char *trace_header; /* each NULL: none */
	const char *group_id;
	const char *deduplication_id;
	const char *dead_letter_source; /* name of the queue it was moved from; not for insert */
	int64_t sent_ms;
	int64_t first_received_ms; /* not for insert; this receive's time when it is the first */
	uint32_t receives;	   /* not for insert; this receive included */
};

/* What a commit has done when it returns. The process may die at any time in both cases. */
enum store_sync {
	STORE_SYNC_NORMAL, /* written; power loss may cost the last transactions, and those only */
	STORE_SYNC_FULL,   /* on the disk: survives power loss, too */
};

/*
 * Opens DIR/queue.db, making the directory when it is missing, or a database in memory when `dir`
 * is NULL (`sync` then means nothing). Returns 0 or ERR_NOMEM, ERR_IO, ERR_STORE, ERR_LIMIT
 * (another process has the directory), ERR_CONFIG (written by a newer version); `detail` then says
 * what is wrong.
 */
int store_open(
	const char *dir, enum store_sync sync, struct store **ret, char detail[STORE_DETAIL_MAX]);
/* Drops what was not committed. NULL is fine. */
void store_close(struct store *store);
/* What the database said when a call last returned ERR_STORE. Borrowed. */
const char *store_detail(const struct store *store);
/*
 * Why the log cannot be copied into the database, as it is now; false: it can. Nothing is lost by
 * it and it is tried again each second, but the log grows meanwhile.
 */
bool store_copy_trouble(struct store *store, char ret[STORE_DETAIL_MAX]);
/* Seals receipt handles; drawn once per database. */
const uint8_t *store_handle_key(const struct store *store);

/* Each returns 0 or ERR_STORE. begin is free when a transaction is open already. */
int store_begin(struct store *store);
/* 0: all is kept, even if this process dies. On an error call store_abort. */
int store_commit(struct store *store);
/* Has the open transaction changed anything? */
bool store_has_written(const struct store *store);
/* Writes something that has no meaning, to see whether writing works. 0 or ERR_STORE. */
int store_try_write(struct store *store, int64_t now);
/* Every struct store_queue is gone afterwards. When even reading fails, there are no queues. */
void store_abort(struct store *store);

/*
 * The calls below need an open transaction and return 0 or ERR_STORE, ERR_NOMEM (which also needs
 * store_abort), unless they say more.
 */

struct store_queue *store_queue_find(struct store *store, const char *name); /* NULL: none */
/* Until when the name of a deleted queue stays taken; 0: free. */
int store_name_reserved_until(struct store *store, const char *name, int64_t *ret_ms);
/* `attributes` is moved from on success. */
int store_queue_create(struct store *store, const char *name, struct queue_attributes *attributes,
	int64_t now, struct store_queue **ret);
/* Replaces all attributes; moved from on success. */
int store_queue_change(struct store *store, struct store_queue *queue,
	struct queue_attributes *attributes, int64_t now);
int store_queue_tag(
	struct store *store, struct store_queue *queue, const char *name, const char *value);
/* Fine when there is no such tag. */
int store_queue_untag(struct store *store, struct store_queue *queue, const char *name);
/* In the order of their names. `visit` must not call the store. */
int store_queue_tags(struct store *store, struct store_queue *queue,
	void (*visit)(void *arg, const char *name, const char *value), void *arg);
/* The queue is gone, its messages with it; the name stays reserved for reserve_ms. */
int store_queue_delete(
	struct store *store, struct store_queue *queue, int64_t now, int64_t reserve_ms);
int store_queue_purge(struct store *store, struct store_queue *queue, int64_t now);
/* Names that begin with prefix and sort after `after`, in order, at most limit. */
int store_queue_list(struct store *store, const char *prefix, const char *after, size_t limit,
	void (*visit)(void *arg, const char *name), void *arg);

/* Does the redrive policy of `queue` name `dead_letters`? queue NULL: no. */
bool store_queue_feeds(const struct store_queue *queue, const struct store_queue *dead_letters);
/* Does any queue's? */
bool store_queue_is_dead_letter(const struct store *store, const struct store_queue *dead_letters);

/* Of a message that was sent. */
struct store_sent {
	int64_t number;
	uint8_t message_id[16];
};

/* Becomes visible at now + delay_ms. In a FIFO queue it has a group id. */
int store_send(struct store *store, struct store_queue *queue, const struct store_message *message,
	int64_t now, int64_t delay_ms, struct store_sent *ret);

/* Shown one received message; a negative return ends the receive with that error. */
typedef int store_visit(void *arg, const struct store_message *message);

struct store_received {
	size_t count;		   /* messages visited */
	struct store_queue *moved; /* the dead-letter queue, when messages went there */
	bool more;		   /* stopped early: another call may find more */
	struct {
		int64_t id;
		uint32_t receives;
	} taken[STORE_RECEIVE_MAX]; /* of a FIFO queue: `count` of them */
};

/*
 * Takes up to `max` visible messages and hides them for visibility_ms. Messages whose retention is
 * over are deleted on the way, those received as often as the redrive policy allows are moved.
 */
int store_receive(struct store *store, struct store_queue *queue, size_t max, int64_t visibility_ms,
	int64_t now, store_visit *visit, void *arg, struct store_received *ret);

/*
 * Deletes, if the handle is of the last receive; otherwise nothing happens. In a FIFO queue the
 * message must also be in flight still: *ret_expired, then nothing happens either.
 */
int store_delete(struct store *store, struct store_queue *queue, const struct handle *handle,
	int64_t now, bool *ret_expired);

enum store_change {
	STORE_CHANGED,
	STORE_CHANGE_GONE, /* deleted, or received again since; in a FIFO queue also: visible again
			    */
};
/* A message of a standard queue that is visible again is hidden again, as SQS does. */
int store_change_visibility(struct store *store, struct store_queue *queue,
	const struct handle *handle, int64_t visible_ms, int64_t now, enum store_change *ret);

/*
 * FIFO queues: store_groups.c, store_repeats.c. `scope` is "" or the group. ERR_NOT_FOUND: nothing
 * is remembered.
 */
int store_deduplication_find(struct store *store, const struct store_queue *queue,
	const char *scope, const char *id, int64_t now, struct store_sent *ret);
int store_deduplication_add(struct store *store, const struct store_queue *queue, const char *scope,
	const char *id, int64_t now, const struct store_sent *sent);
/* Remembers what a receive with this attempt id was given. */
int store_attempt_add(struct store *store, const struct store_queue *queue, const char *attempt,
	int64_t now, int64_t visibility_ms, const struct store_received *received);
/*
 * Gives the same again, hidden for visibility_ms from now; *ret_received_ms, the time in its
 * handles, is set before the first visit. ERR_NOT_FOUND: the attempt is not known, or one of its
 * messages was deleted, has become visible, or its visibility was changed.
 */
int store_attempt_repeat(struct store *store, const struct store_queue *queue, const char *attempt,
	int64_t visibility_ms, int64_t now, int64_t *ret_received_ms, store_visit *visit, void *arg,
	struct store_received *ret);

struct store_counts {
	int64_t visible, in_flight, delayed;
};
int store_count(
	struct store *store, struct store_queue *queue, int64_t now, struct store_counts *ret);
/* Are `limit` messages or more in flight? O(1) as long as they are far fewer. */
int store_is_over_limit(
	struct store *store, struct store_queue *queue, int64_t limit, int64_t now, bool *ret);
/* When the next hidden message becomes visible; INT64_MAX: none is hidden. */
int store_next_visible(
	struct store *store, struct store_queue *queue, int64_t now, int64_t *ret_ms);

/*
 * Looking without receiving: store_peek.c. Nothing about a message changes.
 *
 * When the oldest message was sent, whatever its state; 0: there is none. Exact: numbers only grow,
 * so it is the one of the smallest. Two look-ups; nothing is kept up to date for it.
 */
int store_oldest_sent(struct store *store, struct store_queue *queue, int64_t *ret_sent_ms);

/*
 * Where a message stands in its queue: in the order of its next receive. Zeroed: before all. The
 * first three are of those with a time of their own, the last of those that were never received.
 */
struct store_position {
	int64_t visible_ms, receives, id;
	int64_t fresh_id;
};

struct store_peeked {
	struct store_message message; /* `receives` are those so far; everything borrowed */
	int64_t visible_ms;
	struct store_position position;
};

/* A positive return ends the peek, a negative one is an error that ends it. */
typedef int store_peek_visit(void *arg, const struct store_peeked *peeked);

/*
 * From the message at `from` (or the first behind it) on, until `visit` says so, which it does with
 * the STORE_PEEK_MAX-th at the latest.
 */
#define STORE_PEEK_MAX 101
int store_peek(struct store *store, struct store_queue *queue, const struct store_position *from,
	store_peek_visit *visit, void *arg);

/* Message move tasks: store_moves.c. The first two are active. The numbers lie in the database. */
enum store_move_status {
	STORE_MOVE_RUNNING,
	STORE_MOVE_CANCELLING,
	STORE_MOVE_COMPLETED,
	STORE_MOVE_CANCELLED,
	STORE_MOVE_FAILED,
};

#define STORE_MOVES_KEPT 10 /* of one source, the latest */
#define STORE_MOVE_FAILURE_MAX 64

struct store_move {
	int64_t id;
	char task[HEX_UUID_SIZE];
	char source[TEXT_QUEUE_NAME_MAX + 1];
	char destination[TEXT_QUEUE_NAME_MAX + 1]; /* "": each message's own */
	int64_t rate;				   /* messages a second; 0: no limit */
	enum store_move_status status;
	int64_t moved, to_move;
	int64_t started_ms;
	int64_t paced_ms;			  /* what the rate allows is used up until then */
	char failure[STORE_MOVE_FAILURE_MAX + 1]; /* "": none */
};

/*
 * Begins to move what is visible in `queue` now: that many messages, the oldest first, to
 * `destination` (NULL: each to the queue that it was moved from). ERR_LIMIT: one is active.
 */
int store_move_start(struct store *store, struct store_queue *queue,
	const struct store_queue *destination, int64_t rate, const char *task, int64_t now);
/* The latest first; *ret has room for `limit`. */
int store_moves_of(struct store *store, const struct store_queue *queue, size_t limit,
	struct store_move ret[], size_t *ret_count);
/* ERR_NOT_FOUND: there is none of this name. */
int store_move_find(struct store *store, const char *task, struct store_move *ret);
/* Writes status, moved, paced_ms and failure back. */
int store_move_update(struct store *store, const struct store_move *move);
/* Is one active? Needs no transaction. */
int store_moves_any(struct store *store, bool *ret);

/* What a slice needs of its caller. */
struct store_mover {
	void (*new_message_id)(void *arg, uint8_t ret[16]);
	void (*moved)(void *arg, struct store_queue *queue); /* something arrived there */
	void *arg;
};

enum store_moving {
	STORE_MOVING_NONE,  /* no task is active any more */
	STORE_MOVING_PACED, /* those that are wait for their rate */
	STORE_MOVING_FAST,
};

/*
 * One slice: up to `budget` messages of each active task. A moved message is a new one (SQS API):
 * another message id, sent now, never received. On an error *ret is untouched.
 */
int store_moves_run(struct store *store, const struct store_mover *mover, int64_t now,
	size_t budget, enum store_moving *ret);

/*
 * Deletes up to `budget` messages of abandoned lanes and past their retention. *ret_more: there is
 * more of it.
 */
int store_sweep(struct store *store, int64_t now, size_t budget, bool *ret_more);

#endif
