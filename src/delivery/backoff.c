#include "delivery/backoff.h"

#include "base/random.h"

/*
 * Links of a decorrelated chain that are drawn again. A longer chain is entered at base so many
 * links before its end, instead of at its beginning, which changes two things little.
 *
 * The draw of a link depends on its number alone. So, of two chains of one seed, the one that
 * stands lower at a link stands no higher ever after; the chain of the next attempt, entered one
 * link later and at the lowest point there is, stays at or below this one's, and what it ends with
 * is at most three times this one's delay: the promise holds beyond the bound too.
 *
 * And by then the delays have long been as long as they get: a chain grows by 3/e (1.1) a link, and
 * its spread by e to the square root of their number, until the cap holds it; for 1 s and 5 min
 * the mean is the same after 32 links as after 1,000, for 1 s and 12 h nearly so after 64.
 */
#define CHAIN_MAX 64

static int64_t full(const struct backoff *backoff, unsigned attempt, uint64_t random)
{
	int64_t bound = backoff->base_ms;

	while (attempt-- > 0 && bound < backoff->cap_ms)
		bound = bound > backoff->cap_ms / 2 ? backoff->cap_ms : bound * 2;
	return (int64_t)random_below(random, (uint64_t)bound);
}

static int64_t decorrelated(const struct backoff *backoff, unsigned attempt, uint64_t seed)
{
	unsigned link = attempt < CHAIN_MAX ? 0 : attempt - (CHAIN_MAX - 1);
	unsigned left = attempt - link + 1;
	int64_t delay_ms = backoff->base_ms;

	for (; left > 0; left--, link++) {
		uint64_t state = seed + link;
		int64_t top = delay_ms > INT64_MAX / 3 ? INT64_MAX : delay_ms * 3;

		delay_ms = backoff->base_ms + (int64_t)random_below(random_split_mix(&state),
						      (uint64_t)(top - backoff->base_ms) + 1);
		if (delay_ms > backoff->cap_ms)
			delay_ms = backoff->cap_ms;
	}
	return delay_ms;
}

int64_t backoff_delay_ms(const struct backoff *backoff, unsigned attempt, uint64_t random)
{
	switch (backoff->jitter) {
	case BACKOFF_DECORRELATED:
		return decorrelated(backoff, attempt, random);
	case BACKOFF_FULL:
	default:
		return full(backoff, attempt, random);
	}
}
