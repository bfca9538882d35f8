/*
 * What a worker says of its process, and of the ledger that it shares. What takes more than a call
 * to find out is looked at every WORKER_METRICS_LOOK_US.
 */
#ifndef CLI_RUN_WORKER_METRICS_H
#define CLI_RUN_WORKER_METRICS_H

#include "base/metrics.h"
#include "bunshin/clock.h"
#include "delivery/ledger.h"

#include <stdint.h>

#define WORKER_METRICS_LOOK_US UINT64_C(10000000)

struct worker_metrics {
	struct clock clock;
	const struct ledger *ledger; /* borrowed */
	uint64_t look_us;	     /* the next look; 0: at once */
	struct counter *cpu_us;
	struct gauge *resident_bytes, *open_fds, *max_fds;
	struct gauge *ledger_used, *ledger_places;
};

/* 0 or ERR_NOMEM. `ledger` outlives it. */
int worker_metrics_open(struct worker_metrics *worker, struct metrics *metrics, struct clock clock,
	const struct ledger *ledger);
/* Brings them up to date. */
void worker_metrics_show(struct worker_metrics *worker);

#endif
