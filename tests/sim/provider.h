/*
 * The destinations' other side: how long it takes, what it answers, and what it has really
 * accepted, whether or not anybody is told.
 */
#ifndef SIM_PROVIDER_H
#define SIM_PROVIDER_H

#include "base/list.h"
#include "bunshin/target.h"
#include "delivery/outcome.h"
#include "events.h"
#include "worker.h"

#include <stdbool.h>
#include <stdint.h>

/* How a provider is out of order for a while. */
enum phase_kind {
	PHASE_SILENT, /* takes requests, never answers */
	PHASE_AWAY,   /* refuses connections */
	PHASE_UNAUTHORIZED,
	PHASE_UNAVAILABLE, /* 503 */
	PHASE_BUSY,	   /* 429 */
	PHASE_BROKEN,	   /* 500 */
	PHASE_SLOWING,	   /* ever slower: twice as slow every five seconds */
	PHASE_KINDS
};

#define PROVIDER_PHASES_MAX 4

struct phase {
	enum phase_kind kind;
	uint64_t from_us, until_us;
};

struct provider {
	struct sim *sim;
	unsigned index;
	struct phase phases[PROVIDER_PHASES_MAX];
	uint64_t second, requests_in_second;
	struct target_attempt *pool;
};

struct target_attempt {
	struct event event;
	struct answer answer;
	struct list node; /* in its worker's attempts */
	struct provider *provider;
	struct worker *worker;
	struct receipt *receipt;
	uint64_t started_us, ends_us;
	bool accepts; /* the provider, whatever the worker is told */
	enum outcome meaning;
	int64_t claimed_wall_ms;
	struct target_result result;
	target_done *done;
	void *arg;
	struct target_attempt *pool_next;
};

void provider_init(struct provider *provider, struct sim *sim, unsigned index);
/* impl is `end`, which the caller fills in and keeps. */
struct target provider_table(struct provider_end *end);
/* The outcome table and the rules that a destination is configured with. */
struct outcome_table provider_outcomes(const struct plan_destination *plan);
/* Its worker has died: the request may have arrived or not. */
void provider_cut(struct target_attempt *attempt);

#endif
