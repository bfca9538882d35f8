/*
 * Circuit breaker of one destination (Nygard, "Release It!"): opened by a refusal of our
 * credentials (401, 403) at once, by failures in a row (no connection, timeouts, 5xx) when they are
 * many, or by a rule of the configuration (a quota that is used up); half open, one attempt at a
 * time is let through as a probe; an answer that is none of these closes it. Pure: time is an
 * argument.
 *
 * It cannot stay open: from probe_us on, something may be sent. A probe that ended without saying
 * anything (cancelled, expired, out of memory) is told to nobody: nothing changes, and the next
 * attempt is the probe.
 */
#ifndef DELIVERY_BREAKER_H
#define DELIVERY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_REFUSED_WAIT_MIN_MS 5000
#define BREAKER_FAILED_WAIT_MIN_MS 1000
#define BREAKER_WAIT_MAX_MS 60000

enum breaker_state {
	BREAKER_CLOSED,
	BREAKER_OPEN,	   /* nothing is sent until probe_us */
	BREAKER_HALF_OPEN, /* one attempt, the probe, may be out */
};

struct breaker {
	enum breaker_state state;
	unsigned failures_max; /* in a row, that open it; 0: failures never do */
	unsigned failures;     /* in a row so far; counted while closed */
	int64_t wait_ms;       /* of the latest opening, 0 when closed; doubles while probes fail */
	uint64_t probe_us; /* monotonic instant at which a probe is, or was, allowed; 0: never */
};

void breaker_init(struct breaker *breaker, unsigned failures_max);
/* Attempts that may be out at once: 0 open, 1 half open whatever the limit, else `limit`. */
unsigned breaker_allows(struct breaker *breaker, uint64_t now_us, unsigned limit);
/*
 * False: the attempt began before the latest opening, and what became of it is to be told to none
 * of the three below. Open, they ignore it anyway; but when half open or closed again, the
 * time-outs of many that were out would pass for failed probes, each doubling the wait.
 */
bool breaker_is_news(const struct breaker *breaker, uint64_t started_us);
/*
 * The provider refused us altogether. True when this opened it: for 5 s, or, as the probe's answer,
 * for twice the wait before if that is longer.
 */
bool breaker_refused(struct breaker *breaker, uint64_t now_us);
/*
 * No answer, or one that says that the provider is broken. True when this opened it: for 1 s, or,
 * as the end of the probe, for twice the wait before, whatever began it.
 */
bool breaker_failed(struct breaker *breaker, uint64_t now_us);
/* The provider gave any other answer, which ends the row of failures. True when this closed it. */
bool breaker_answered(struct breaker *breaker);
/* Time until a probe is allowed; 0 unless open. */
int64_t breaker_remaining_ms(const struct breaker *breaker, uint64_t now_us);

#endif
