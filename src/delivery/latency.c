#include "delivery/latency.h"

#define UNKNOWN_US 1000000u
#define BOUND_MIN_US 10000u

void latency_record(struct latency *latency, uint64_t us)
{
	uint64_t error = us > latency->mean_us ? us - latency->mean_us : latency->mean_us - us;

	if (latency->mean_us == 0) {
		latency->mean_us = us ? us : 1; /* 0 is "nothing measured" */
		latency->deviation_us = us / 2;
		return;
	}
	latency->deviation_us = (3 * latency->deviation_us + error) / 4;
	latency->mean_us = (7 * latency->mean_us + (us ? us : 1)) / 8;
}

uint64_t latency_bound_us(const struct latency *latency)
{
	uint64_t bound = latency->mean_us + 4 * latency->deviation_us;

	if (latency->mean_us == 0)
		return UNKNOWN_US;
	return bound < BOUND_MIN_US ? BOUND_MIN_US : bound;
}
