/*
 * Waits for an instant of the wall clock, on an injected clock.
 *
 * The wall clock is read again at least every second, so that a step of it (or a machine that
 * slept) is noticed: the instant is what the clock says at its end, not what was left at its start.
 */
#ifndef CAMPAIGN_COUNTDOWN_H
#define CAMPAIGN_COUNTDOWN_H

#include "bunshin/clock.h"

#include <stdint.h>

#define COUNTDOWN_STEP_MS 2000 /* from here on a difference to the monotonic clock is a step */

struct countdown_events {
	/* Each second: what is left, and how far the wall clock has jumped meanwhile (0: not). */
	void (*tick)(void *arg, int64_t left_ms, int64_t jumped_ms);
	/* It is time: so long after the instant. Once; not after countdown_stop(). */
	void (*due)(void *arg, int64_t late_ms);
	void *arg;
};

/* Embedded by its owner, zeroed; stays where it is until it is due or stopped. */
struct countdown {
	struct clock clock;
	struct countdown_events events;
	int64_t until_epoch_ms;
	struct clock_timer timer;
	int64_t wall_epoch_ms; /* at the last tick */
	uint64_t monotonic_us;
};

/* Both events come from the loop, `due` at the earliest on its next turn. 0 or ERR_NOMEM. */
int countdown_start(struct countdown *countdown, struct clock clock, int64_t until_epoch_ms,
	const struct countdown_events *events);
void countdown_stop(struct countdown *countdown); /* harmless when zeroed or over */

#endif
