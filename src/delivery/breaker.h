/*
 * Circuit breaker of one destination: opened by a refusal of our credentials (401, 403), closed by
 * a probe that the provider answers otherwise. Pure: time is an argument.
 */
#ifndef DELIVERY_BREAKER_H
#define DELIVERY_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define BREAKER_WAIT_MIN_MS 5000
#define BREAKER_WAIT_MAX_MS 60000

enum breaker_state {
	BREAKER_CLOSED,
	BREAKER_OPEN,	   /* nothing is sent until probe_us */
	BREAKER_HALF_OPEN, /* one attempt, the probe, may be out */
};

struct breaker {
	enum breaker_state state;
	int64_t wait_ms;   /* of the next opening; doubles while probes fail */
	uint64_t probe_us; /* OPEN: monotonic instant at which a probe is allowed */
};

void breaker_init(struct breaker *breaker);
/* Attempts that may be out at once, of `limit`: 0 open, 1 half open, else the limit. */
unsigned breaker_allows(struct breaker *breaker, uint64_t now_us, unsigned limit);
/* The provider refused our credentials. True when this opened it. */
bool breaker_refused(struct breaker *breaker, uint64_t now_us);
/* The provider gave any other answer. True when this closed it. */
bool breaker_answered(struct breaker *breaker);
/* Time until a probe is allowed; 0 unless open. */
int64_t breaker_remaining_ms(const struct breaker *breaker, uint64_t now_us);

#endif
