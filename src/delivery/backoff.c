#include "delivery/backoff.h"

#include "base/random.h"

int64_t backoff_delay_ms(const struct backoff *backoff, unsigned attempt, uint64_t random)
{
	int64_t bound = backoff->base_ms;

	while (attempt-- > 0 && bound < backoff->cap_ms)
		bound = bound > backoff->cap_ms / 2 ? backoff->cap_ms : bound * 2;
	return (int64_t)random_below(random, (uint64_t)bound);
}
