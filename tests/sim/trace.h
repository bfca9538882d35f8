/*
 * What happened, as rows of numbers: always hashed, kept only when asked, words only when printed.
 * No address and no floating-point number is ever in it.
 */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include "chance.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define TRACE_NONE UINT32_MAX

/* X(kind, words): %a and %b stand for the two numbers, %e for error a, %s for operation a. */
#define TRACE_LIST(X)                                                         \
	X(TRACE_PUT, "put into the queue")                                    \
	X(TRACE_SHOWN, "visible again")                                       \
	X(TRACE_BACK, "deleted, and visible again all the same")              \
	X(TRACE_TWICE, "given out as receive %a, and still visible")          \
	X(TRACE_GIVEN, "given out as receive %a for %b s")                    \
	X(TRACE_ARRIVED, "arrived as receive %a")                             \
	X(TRACE_REDRIVEN, "moved to the dead-letter queue after %a receives") \
	X(TRACE_POLL, "receive of %a")                                        \
	X(TRACE_POLL_END, "receive answered with %a: %e")                     \
	X(TRACE_CALL, "%s of %b messages")                                    \
	X(TRACE_CALL_END, "%s answered: %f")                                  \
	X(TRACE_DELETE, "delete wanted, receive %a")                          \
	X(TRACE_DELETED, "delete carried out, receive %a: %f")                \
	X(TRACE_RETURN, "return wanted, receive %a, for %b s")                \
	X(TRACE_EXTEND, "extension wanted, receive %a, to %b s")              \
	X(TRACE_CHANGED, "visibility change carried out, receive %a: %f")     \
	X(TRACE_COPY, "copy to the failure queue wanted, receive %a")         \
	X(TRACE_COPIED, "copy carried out, receive %a: %f")                   \
	X(TRACE_TOLD, "told of %s: %f")                                       \
	X(TRACE_START, "attempt at destination %a, receive %b")               \
	X(TRACE_NOT_STARTED, "attempt at destination %a cannot start: %f")    \
	X(TRACE_STATUS, "attempt ended: status %a, %o")                       \
	X(TRACE_ERROR, "attempt ended: %e, %p")                               \
	X(TRACE_CANCELLED, "attempt cancelled, %p")                           \
	X(TRACE_CUT, "attempt lost with its worker, %p")                      \
	X(TRACE_EVENT, "the core says %v")                                    \
	X(TRACE_TIMER, "timer")                                               \
	X(TRACE_UP, "worker starts, life %a")                                 \
	X(TRACE_CRASH, "worker killed %c %s")                                 \
	X(TRACE_KILLED, "worker killed between two events")                   \
	X(TRACE_DRAIN, "worker told to stop, grace %a ms")                    \
	X(TRACE_DRAINED, "worker has stopped, %a held")                       \
	X(TRACE_QUIT, "worker ends at once")                                  \
	X(TRACE_STOP, "worker stopped (SIGSTOP)")                             \
	X(TRACE_GOES_ON, "worker goes on (SIGCONT)")                          \
	X(TRACE_REBOOT, "host %a restarts")                                   \
	X(TRACE_STEP, "wall clock of host %a jumps by %d ms")                 \
	X(TRACE_DAMAGE, "ledger of host %a damaged, word %b")                 \
	X(TRACE_PHASE, "destination %a: phase %b")                            \
	X(TRACE_CONTROL, "is told: paused %a, campaigns cancelled %b")        \
	X(TRACE_HEALED, "faults are off from here on")                        \
	X(TRACE_CLOSING, "all messages have ended; the workers are told to stop")

enum trace_kind {
#define X(name, words) name,
	TRACE_LIST(X)
#undef X
		TRACE_KINDS
};

struct trace_row {
	uint64_t at_us, a, b;
	uint32_t kind, worker, mail; /* TRACE_NONE: none */
};

struct trace {
	uint64_t hash;
	bool keeping;
	struct trace_row *rows;
	size_t count, capacity;
};

void trace_keep(struct trace *trace, const struct trace_row *row);
void trace_free(struct trace *trace);
/* Rows about this message (TRACE_NONE: about all) or about none; brief: without timers and calls.
 */
void trace_print(const struct trace *trace, uint32_t mail, bool brief, FILE *to);

static inline void trace_add(struct trace *trace, uint64_t at_us, enum trace_kind kind,
	uint32_t worker, uint32_t mail, uint64_t a, uint64_t b)
{
	uint64_t x = trace->hash ^ at_us ^ (uint64_t)kind << 56 ^ (uint64_t)worker << 40 ^ mail;

	trace->hash = chance_mix(chance_mix(x) + a * UINT64_C(0x9E3779B97F4A7C15) + b);
	if (trace->keeping)
		trace_keep(trace, &(struct trace_row){at_us, a, b, kind, worker, mail});
}

#endif
