/*
 * Exponential back-off with jitter (Brooker, "Exponential Backoff And Jitter", AWS Architecture
 * Blog, 2015). Pure.
 *
 * Full jitter: a uniformly random delay below min(cap, base * 2^attempt). Decorrelated jitter: each
 * delay is drawn between base and three times the one before, up to the cap; since another worker
 * may have drawn the one before, the whole chain is drawn again from the message's own seed.
 */
#ifndef DELIVERY_BACKOFF_H
#define DELIVERY_BACKOFF_H

#include <stdint.h>

enum backoff_jitter { BACKOFF_FULL, BACKOFF_DECORRELATED };

struct backoff {
	int64_t base_ms; /* at least 1 */
	int64_t cap_ms;	 /* at least base_ms */
	enum backoff_jitter jitter;
};

/*
 * attempt: 0 for the delay after the first failure. random: 64 random bits; for decorrelated
 * jitter they are the chain's seed and must be the same for every attempt of one message. Full:
 * 0 <= delay < bound. Decorrelated: base <= delay <= cap, and never more than three times the delay
 * of the attempt before. At most 64 steps of work.
 */
int64_t backoff_delay_ms(const struct backoff *backoff, unsigned attempt, uint64_t random);

#endif
