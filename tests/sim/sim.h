/*
 * One run: the real core, several workers of it, in a world of virtual time made from a seed.
 *
 * sim.c runs the world; what is in it has a file each: mail (messages), sqs (the queue), provider
 * (destinations), worker (a process with the core in it), fleet (what befalls processes and
 * hosts), operator (what is asked of all of them), invariant (what must never happen).
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "arena.h"
#include "events.h"
#include "faults.h"
#include "fleet.h"
#include "invariant.h"
#include "mail.h"
#include "operator.h"
#include "plan.h"
#include "provider.h"
#include "sqs.h"
#include "trace.h"
#include "worker.h"

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SIM_EPOCH_MS INT64_C(1800000000000) /* wall time at instant 0, where no clock is off */

struct sim_options {
	uint64_t seed;
	size_t messages;
	unsigned classes;		     /* of faults */
	const struct fault_set *only_faults; /* NULL: all that come */
	const struct fault_set *only_mails;  /* indexes; NULL: all */
	bool keep_trace;
	bool record_faults;
};

struct sim_totals {
	uint64_t lives, sends, accepted, duplicates, receives, suppressed, expired, cancelled,
		copied, redriven, left, events, worker_lives;
	uint64_t faults[FAULT_CLASSES];
};

struct sim {
	struct sim_options options;
	struct plan plan;
	struct faults faults;
	struct trace trace;
	struct arena memory;
	uint64_t now_us;
	struct events events;
	struct mail **mails; /* NULL: left out */
	size_t open;	     /* messages that have not ended and can */
	struct group *groups;
	struct receipt **receipts;
	size_t receipt_count, receipt_capacity;
	struct sqs queue, failure_queue;
	struct provider providers[PLAN_DESTINATIONS_MAX];
	struct host hosts[PLAN_HOSTS_MAX];
	struct worker workers[PLAN_WORKERS_MAX];
	struct worker *running; /* whose code runs now; NULL: none */
	struct fleet fleet;
	struct operator operator;
	bool closing;
	jmp_buf broken;
	struct verdict verdict;
	struct sim_totals totals;
};

/*
 * Runs it to its end or to the first broken invariant, which sim->verdict tells. sim_end() frees
 * it; the trace and the faults fired can be read until then.
 */
void sim_run(struct sim *sim, const struct sim_options *options);
void sim_end(struct sim *sim);

/* A message has ended (for good, as far as one can tell now). */
void sim_mail_ended(struct mail *mail);

static inline void sim_trace(struct sim *sim, enum trace_kind kind, uint32_t worker, uint32_t mail,
	uint64_t a, uint64_t b)
{
	trace_add(&sim->trace, sim->now_us, kind, worker, mail, a, b);
}

#endif
