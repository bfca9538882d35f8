/*
 * Why a worker is not faster: from what was counted over a few seconds. Pure.
 */
#ifndef RESULTS_LIMIT_H
#define RESULTS_LIMIT_H

#include "results/record.h"

#include <stdbool.h>
#include <stdint.h>

/* What a worker counts from its start on, and how things stand. */
struct result_load {
	uint64_t at_us;	      /* monotonic */
	uint64_t busy_us;     /* slots in use, integrated over time */
	uint64_t slots_us;    /* slots that might have been */
	uint64_t ceiling_us;  /* slots by configuration */
	uint64_t token_waits; /* starts put off for want of a token of a rate */
	uint64_t polls,
		full_polls; /* answered receives; those that brought all that was asked for */
	bool breaker_open;  /* a breaker is, now */
	bool quota_used_up; /* for that reason */
	bool paused;	    /* now */
};

/*
 * Of two such readings, the later and the one before it; the first of a worker is compared with a
 * zeroed one. What weighs most is told:
 *  - paused; a quota that is used up; a breaker that is open;
 *  - slots in use, nine of ten and more: by the provider when its limiter keeps them below nine of
 *    ten of what is configured, else by `concurrency`;
 *  - a token that was waited for;
 *  - receives that brought all they asked for, half of them and more: the queue has more than it
 *    hands out;
 *  - nothing.
 */
enum result_limit result_limit_of(const struct result_load *now, const struct result_load *before);

#endif
