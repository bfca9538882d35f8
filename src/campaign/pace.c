#include "campaign/pace.h"

unsigned pace_batch_max(const struct pace *pace, unsigned most)
{
	int64_t a_second;

	/* Many a second: they are not multiplied, so nothing overflows. */
	if (pace->count == 0 || pace->count / most >= pace->per_ms)
		return most;
	a_second = pace->count * 1000 / pace->per_ms;
	if (a_second < 1)
		return 1;
	return a_second < most ? (unsigned)a_second : most;
}

void pace_take(struct pace *pace, unsigned entries, uint64_t now_us)
{
	if (pace->count == 0)
		return;
	if (pace->due_us + PACE_LAG_US < now_us)
		pace->due_us = now_us - PACE_LAG_US;
	pace->due_us += (uint64_t)entries * 1000 * (uint64_t)pace->per_ms / (uint64_t)pace->count;
}
