/*
 * What goes wrong, and how often: the classes that --faults switches, the kinds in them, and the
 * one place where a fault is decided. A fault has an id made of what it hits, so a run can be
 * repeated with some of its faults only, which is how a failure is shrunk.
 */
#ifndef SIM_FAULTS_H
#define SIM_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_class {
	FAULT_CRASH,
	FAULT_DRAIN,
	FAULT_STOP,
	FAULT_QUEUE,
	FAULT_DUPLICATE,
	FAULT_SLOW,
	FAULT_PROVIDER,
	FAULT_CLOCK,
	FAULT_LEDGER,
	FAULT_MEMORY,
	FAULT_MESSAGE,
	FAULT_CLASSES
};

#define FAULTS_ALL ((1u << FAULT_CLASSES) - 1)
#define FAULT_ALWAYS 1000000

/* X(kind, class, parts per million at the lowest of three levels, each five times the one before;
 * FAULT_ALWAYS: whenever its class is on at all). */
#define FAULT_LIST(X)                                                                             \
	X(CRASH_WORKER, FAULT_CRASH, FAULT_ALWAYS) /* kill -9, anywhere */                        \
	X(CRASH_HOST, FAULT_CRASH, FAULT_ALWAYS)   /* all its workers; its clock restarts */      \
	X(DRAIN_WORKER, FAULT_DRAIN, FAULT_ALWAYS) /* SIGTERM */                                  \
	X(QUIT_WORKER, FAULT_DRAIN, FAULT_ALWAYS)  /* freed at once */                            \
	X(STOP_WORKER, FAULT_STOP, FAULT_ALWAYS)   /* SIGSTOP ... SIGCONT */                      \
	X(CALL_NOT_STARTED, FAULT_QUEUE, 800)	   /* the operation itself fails */               \
	X(CALL_REFUSED, FAULT_QUEUE, 2000)	   /* not carried out */                          \
	X(ANSWER_LOST, FAULT_QUEUE, 1500)	   /* carried out, told as failed */              \
	X(ENTRY_FAILED, FAULT_QUEUE, 2000)	   /* one entry of a batch */                     \
	X(RECEIVE_EMPTY, FAULT_QUEUE, 4000)	   /* although messages are there */              \
	X(RECEIVE_SHORT, FAULT_QUEUE, 10000)	   /* fewer than there are */                     \
	X(QUEUE_OUTAGE, FAULT_QUEUE, FAULT_ALWAYS) /* every call fails for a while */             \
	X(SEEN_TWICE, FAULT_DUPLICATE, 2000)	   /* visible still after a receive */            \
	X(OUT_OF_ORDER, FAULT_DUPLICATE, 20000)	   /* standard queues only */                     \
	X(DELETED_COMES_BACK, FAULT_DUPLICATE, 1000)                                              \
	X(STALE_TAKES_EFFECT, FAULT_DUPLICATE, 20000)	/* an old handle works once more */       \
	X(SLOW_REQUEST, FAULT_SLOW, 2000)		/* to the queue */                        \
	X(SLOW_ANSWER, FAULT_SLOW, 2000)		/* from it */                             \
	X(LOOP_LAG, FAULT_SLOW, FAULT_ALWAYS)		/* a worker's timers fire late */         \
	X(PROVIDER_STATUS, FAULT_PROVIDER, 10000)	/* a failure of one attempt */            \
	X(PROVIDER_RESET, FAULT_PROVIDER, 3000)		/* cut before or after acceptance */      \
	X(PROVIDER_HANGS, FAULT_PROVIDER, 2000)		/* no answer in time, accepted or not */  \
	X(PROVIDER_LATE, FAULT_PROVIDER, FAULT_ALWAYS)	/* it takes longer than an attempt may */ \
	X(PROVIDER_ODD, FAULT_PROVIDER, 3000)		/* an answer that the rules know */       \
	X(PROVIDER_PHASE, FAULT_PROVIDER, FAULT_ALWAYS) /* away, refusing, slowing for a while */ \
	X(PROVIDER_DEAD, FAULT_PROVIDER, FAULT_ALWAYS)	/* for good */                            \
	X(PROVIDER_LIMIT, FAULT_PROVIDER, FAULT_ALWAYS) /* 429 above a rate */                    \
	X(PROVIDER_REFUSES, FAULT_PROVIDER, 3000)	/* this message, for good */              \
	X(CLOCK_OFF, FAULT_CLOCK, FAULT_ALWAYS)		/* a host's wall clock, all the time */   \
	X(CLOCK_STEPS, FAULT_CLOCK, FAULT_ALWAYS)                                                 \
	X(LEDGER_DAMAGED, FAULT_LEDGER, FAULT_ALWAYS)                                             \
	X(ALLOCATION_FAILS, FAULT_MEMORY, FAULT_ALWAYS)                                           \
	X(TIMER_FAILS, FAULT_MEMORY, 40)                                                          \
	X(START_FAILS, FAULT_MEMORY, 500) /* of an attempt, for want of something */              \
	X(MESSAGE_DEADLINE, FAULT_MESSAGE, 20000)                                                 \
	X(MESSAGE_NOT_BEFORE, FAULT_MESSAGE, 8000)                                                \
	X(MESSAGE_MALFORMED, FAULT_MESSAGE, 1500)                                                 \
	X(MESSAGE_NOWHERE, FAULT_MESSAGE, 1500) /* no such destination */                         \
	X(MESSAGE_SHARES_KEY, FAULT_MESSAGE, 4000)                                                \
	X(MESSAGE_LARGE, FAULT_MESSAGE, 400)

enum fault_kind {
#define X(name, class, ppm) name,
	FAULT_LIST(X)
#undef X
		FAULT_KINDS
};

/* Ids of faults, sorted. */
struct fault_set {
	uint32_t *ids;
	size_t count;
};

struct faults {
	uint64_t seed;
	uint32_t ppm[FAULT_KINDS];
	bool healed;		      /* none any more */
	const struct fault_set *only; /* NULL: all that come */
	struct fault_set fired;	      /* in the order in which they came, when recording */
	size_t fired_capacity;
	bool recording;
	uint64_t counts[FAULT_KINDS];
};

/*
 * Draws how often each kind comes in this run; a class is off, or rare, common or heavy in it.
 * classes: which may be on at all.
 */
void faults_init(struct faults *faults, uint64_t seed, unsigned classes,
	const struct fault_set *only, bool recording);
void faults_free(struct faults *faults);

/* Whether this happens to what `which` stands for. Counted when it does. */
bool faults_decide(struct faults *faults, enum fault_kind kind, uint64_t which);
static inline bool fault_happens(struct faults *faults, enum fault_kind kind, uint64_t which)
{
	return faults->ppm[kind] && !faults->healed && faults_decide(faults, kind, which);
}
/* 0: the class of this kind is off in this run; else 1 to 3. */
unsigned faults_level(const struct faults *faults, enum fault_class class);

const char *fault_class_name(enum fault_class class); /* "crash"; static */
enum fault_class fault_class_of(enum fault_kind kind);
/* "all", "none", "crash,queue", "all,-clock". False: not of this form. */
bool faults_parse(const char *text, unsigned *ret_classes);
/* Hexadecimal ids between commas. False: not of this form. The ids are allocated. */
bool fault_set_parse(const char *text, struct fault_set *ret_set);
bool fault_set_has(const struct fault_set *set, uint32_t id);
void fault_set_sort(struct fault_set *set);

#endif
