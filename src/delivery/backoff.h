/*
 * Exponential back-off with full jitter (Brooker, "Exponential Backoff And Jitter", AWS
 * Architecture Blog, 2015): a uniformly random delay below min(cap, base * 2^attempt). Pure.
 */
#ifndef DELIVERY_BACKOFF_H
#define DELIVERY_BACKOFF_H

#include <stdint.h>

struct backoff {
	int64_t base_ms; /* at least 1 */
	int64_t cap_ms;	 /* at least base_ms */
};

/* attempt: 0 for the delay after the first failure. random: 64 random bits. 0 <= delay < bound. */
int64_t backoff_delay_ms(const struct backoff *backoff, unsigned attempt, uint64_t random);

#endif
