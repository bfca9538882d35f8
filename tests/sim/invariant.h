/*
 * What must never happen, by name, checked when it could: at every call of the core into its
 * tables and at every end. No check looks at more than what the call is about.
 */
#ifndef SIM_INVARIANT_H
#define SIM_INVARIANT_H

#include "bunshin/queue.h"
#include "worker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim;
struct mail;
struct receipt;
struct queue_call;
struct target_attempt;

#define INVARIANT_LIST(X)                                                                        \
	X(INV_DELETE, "a delete only after an acceptance that somebody was told of, past the "   \
		      "deadline, or after a confirmed copy")                                     \
	X(INV_RECORD, "a delete only after its outcome was told, and time was given to keep it") \
	X(INV_STALE, "a handle that no longer works settles nothing")                            \
	X(INV_DEADLINE, "no attempt at or past the deadline")                                    \
	X(INV_CONTROL, "nothing received or sent while paused, nothing of a cancelled campaign " \
		       "sent, and none of another one cancelled")                                \
	X(INV_EARLY, "no attempt before NotBefore")                                              \
	X(INV_FIFO, "no attempt, and no delete, before an earlier one of the group is over")     \
	X(INV_BOUNDS, "concurrency, receives, bytes, batches and visibility stay in bounds")     \
	X(INV_RATE, "no more attempts within a second than the rate and its burst allow")        \
	X(INV_SENDS, "no attempt of what the host knows as accepted or out; one per receive")    \
	X(INV_HELD, "no attempt of a message whose visibility may have run out")                 \
	X(INV_EXTEND, "no extension after a delete or a return")                                 \
	X(INV_ROUTE, "an attempt goes where the message belongs")                                \
	X(INV_OUTCOME, "an answer means what the destination's table and rules say")             \
	X(INV_DRAIN, "a clean stop ends in time and puts back what was not started")             \
	X(INV_END, "every message ends for a reason, intact, and nothing is left behind")        \
	X(INV_LIVE, "with the faults off everything ends")                                       \
	X(INV_ASSERT, "no assertion of the core fails")

enum invariant {
#define X(name, words) name,
	INVARIANT_LIST(X)
#undef X
		INVARIANTS
};

/* The first that broke. */
struct verdict {
	bool broken;
	enum invariant invariant;
	uint64_t at_us;
	uint32_t mail; /* TRACE_NONE: none in particular */
	char words[400];
};

const char *invariant_name(enum invariant invariant);  /* "INV_DELETE"; static */
const char *invariant_words(enum invariant invariant); /* static */
/* The invariant of this name; INVARIANTS: none. */
enum invariant invariant_named(const char *name);

/* Ends the run. mail may be NULL. */
_Noreturn void invariant_broken(struct sim *sim, enum invariant invariant, const struct mail *mail,
	const char *format, ...) __attribute__((format(printf, 4, 5)));
/* The core's assert() comes here. */
_Noreturn void invariant_assertion(
	const char *assertion, const char *file, unsigned line, const char *function);

/* Assertions that fail from now on break this run; NULL: they abort. */
void invariant_watch(struct sim *sim);

/* Past its deadline by the worker's wall clock, or it has been so since that was set back. */
bool invariant_has_expired(const struct worker *worker, const struct mail *mail);

/* check_calls.c: the calls into the queue table, before they start. */
void invariant_receive(struct worker *worker, const struct queue_receive *params);
void invariant_batch(struct worker *worker, enum table_op op, size_t count);
void invariant_delete(struct worker *worker, struct receipt *receipt);
/* Of entry i of a delete, once sent: those before it of its group are in the call, too, or gone. */
void invariant_delete_order(struct worker *worker, struct receipt *const receipts[], size_t i);
void invariant_change(
	struct worker *worker, struct receipt *receipt, unsigned visibility_s, bool extends);
void invariant_send(struct worker *worker, const struct queue_send entries[], size_t count);
/* The copy is of the message with this handle, whole; its receipt. */
struct receipt *invariant_copy(
	struct worker *worker, const struct queue_send *entry, const char *handle);
/* A visibility change reaches the queue. */
void invariant_change_arrives(const struct queue_call *call, struct receipt *receipt);

/* check_attempts.c: the target table. */
struct receipt *invariant_start(
	struct worker *worker, unsigned destination, const struct queue_message *message);
void invariant_started(struct worker *worker, unsigned destination, struct receipt *receipt);
void invariant_told(struct worker *worker, struct target_attempt *attempt, bool accepted);
/* What the core makes of the attempt that it is being told of, says it to the observer. */
void invariant_judged(
	struct worker *worker, struct receipt *receipt, enum delivery_event_kind kind);
void invariant_cancelled(struct worker *worker, struct target_attempt *attempt);
/* A worker has died while it was being told: nobody knows what it wrote down. */
void invariant_untold(struct worker *worker);
/* The core says that its campaign is cancelled. */
void invariant_called_off(struct worker *worker, struct receipt *receipt);

/* check_ends.c: a worker has drained; one is gone; the run is over. */
void invariant_drained(struct worker *worker);
void invariant_counters(struct worker *worker);
void invariant_gone(struct worker *worker);
void invariant_ended(struct sim *sim);

#endif
