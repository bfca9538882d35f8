#include "results/limit.h"

/* Nine of ten of whole, and more; of nothing, nothing is. */
static bool is_most(uint64_t part, uint64_t whole)
{
	return whole > 0 && part >= whole - whole / 10;
}

enum result_limit result_limit_of(const struct result_load *now, const struct result_load *before)
{
	uint64_t busy = now->busy_us - before->busy_us;
	uint64_t slots = now->slots_us - before->slots_us;
	uint64_t ceiling = now->ceiling_us - before->ceiling_us;
	uint64_t polls = now->polls - before->polls;
	uint64_t full = now->full_polls - before->full_polls;

	if (now->paused)
		return RESULT_LIMIT_PAUSED;
	if (now->quota_used_up)
		return RESULT_LIMIT_QUOTA;
	if (now->breaker_open)
		return RESULT_LIMIT_BREAKER;
	if (is_most(busy, slots))
		return is_most(slots, ceiling) ? RESULT_LIMIT_CONCURRENCY : RESULT_LIMIT_PROVIDER;
	if (now->token_waits != before->token_waits)
		return RESULT_LIMIT_RATE;
	if (polls > 0 && 2 * full >= polls)
		return RESULT_LIMIT_QUEUE;
	return RESULT_LIMIT_NONE;
}
