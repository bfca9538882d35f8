/*
 * A worker: one process with the core in it, a clock, memory of its own, and a life that may end
 * between any two events or within any call of the core into one of its tables.
 */
#ifndef SIM_WORKER_H
#define SIM_WORKER_H

#include "arena.h"
#include "base/list.h"
#include "base/mapped_file.h"
#include "base/timer_heap.h"
#include "delivery/delivery.h"
#include "mail.h"
#include "operator.h"
#include "plan.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim;
struct worker;

/* The core's calls into its tables. */
#define TABLE_OP_LIST(X)                             \
	X(OP_CLOCK, "a look at the clock")           \
	X(OP_TIMER, "a change of a timer")           \
	X(OP_RECEIVE, "receive")                     \
	X(OP_DELETE, "delete")                       \
	X(OP_CHANGE, "change visibility")            \
	X(OP_SEND, "send to the failure queue")      \
	X(OP_ATTRIBUTES, "get attributes")           \
	X(OP_CANCEL_CALL, "cancel of a call")        \
	X(OP_START, "attempt")                       \
	X(OP_CANCEL_ATTEMPT, "cancel of an attempt") \
	X(OP_NOTIFY, "notice to the observer")

enum table_op {
#define X(name, words) name,
	TABLE_OP_LIST(X)
#undef X
		TABLE_OPS
};

const char *table_op_name(enum table_op op); /* static */

/* What comes back to a worker from outside; while it is stopped, it waits. */
struct answer {
	struct list node;
	bool waiting;
	void (*deliver)(struct worker *worker, struct answer *answer);
};

/* The worker's end of a destination. */
struct provider_end {
	struct provider *provider;
	struct worker *worker;
};

#define RATE_RING_MAX 2048

/* The latest starts at one destination. */
struct rate_ring {
	uint64_t at_us[RATE_RING_MAX];
	unsigned next, size; /* size: one more than may start within a second; 0: no limit */
};

/* What the workers of one machine share, and what survives them. */
struct host {
	unsigned index;
	uint64_t boot_us; /* the monotonic clock counts from here */
	int64_t wall_offset_ms;
	int64_t wall_max_ms; /* the latest that the wall clock has shown */
	int64_t wall_min_ms; /* the earliest that it was set back to; INT64_MAX/2: never was */
	struct mapped_file ledger, rates;
	struct rate rate[PLAN_DESTINATIONS_MAX];
	struct rate_ring rings[PLAN_DESTINATIONS_MAX];
	bool ledger_is_whole; /* neither damaged nor too small */
};

/* Where it is going to be killed. */
struct crash {
	bool armed;
	bool any; /* call; else only those of `op` */
	enum table_op op;
	unsigned calls; /* until the one that kills */
	bool after;	/* its effect, else before */
};

/* The core is being told of an attempt's end. */
struct telling {
	struct receipt *receipt; /* NULL: it is not */
	struct key_facts before; /* what was known then */
	bool accepted, judged;
};

struct worker {
	struct sim *sim;
	unsigned index;
	struct host *host;
	uint32_t life; /* 0: never started */
	bool stopped, draining, inside_drain, drained;
	size_t drained_held;
	uint64_t drain_us;	      /* when it began */
	uint64_t stop_us, stopped_us; /* the latest SIGSTOP; all of them since the drain began */
	struct delivery *delivery;    /* NULL: the process is not there */
	struct metrics *metrics;
	struct ledger ledger;
	struct arena memory;
	bool short_of_memory; /* an allocation or a timer of this life has failed */
	struct timer_heap timers;
	uint64_t told_of, kept; /* events; those told at the latest before_delete() */
	uint64_t lag_us;	/* its timers fire so much late */
	uint64_t random;
	struct crash crash;
	jmp_buf killed;
	unsigned long table_calls; /* since its code was entered */
	uint64_t timers_ever, memory_gaps, calls_ever[TABLE_OPS];
	struct provider_end ends[PLAN_DESTINATIONS_MAX];
	struct list calls, attempts; /* under way */
	size_t calls_out;
	unsigned asked_out; /* messages that receives under way may bring */
	unsigned out[PLAN_DESTINATIONS_MAX];
	size_t soon[PLAN_DESTINATIONS_MAX]; /* see check_room() */
	struct list inbox;		    /* answers */
	struct list receipts; /* held: arrived, and neither delete nor return wanted yet */
	struct telling telling;
	struct asked asked; /* by the operator, as it was told */
	struct {
		uint64_t deleted, maybe_deleted, started, accepted, arrived;
	} told; /* of this life: what the core's own counters must say */
};

/* Code of the core in its worker: memory is the worker's, a crash leaves it. */
typedef void worker_code(struct worker *worker, void *arg);
/* False: it was killed in it. */
bool worker_run(struct worker *worker, worker_code *code, void *arg);

void worker_init(struct worker *worker, struct sim *sim, unsigned index);
void worker_free(struct worker *worker);
/* A process is there again. */
void worker_start(struct worker *worker);
/* kill -9, between two events. */
void worker_kill(struct worker *worker);
void worker_drain(struct worker *worker);
/* Ends it at once: everything is cancelled and freed. */
void worker_quit(struct worker *worker);
void worker_stop(struct worker *worker);
void worker_go_on(struct worker *worker);

/* Virtual instant of its next timer; UINT64_MAX: none, or it does not run. */
uint64_t worker_due_us(const struct worker *worker);
void worker_fire(struct worker *worker);
/* An answer has arrived: told now, or once it goes on. */
void worker_answered(struct worker *worker, struct answer *answer);
/* A receipt has arrived in a receive's answer. */
void worker_holds(
	struct worker *worker, struct receipt *receipt, unsigned visibility_s, uint64_t asked_us);

int64_t worker_wall_ms(const struct worker *worker);
/* A place where it may be killed: right before or after the effect of a call into a table. */
void worker_point(struct worker *worker, enum table_op op, bool after);

/* Of the core's own insides: whether a change visibility call is the keeper's, and the handle of
 * a copy's original. */
bool worker_call_extends(const void *arg);
const char *worker_call_handle(const void *arg, size_t i);

#endif
