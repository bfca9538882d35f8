/* Units of the tests of rates, and what they draw. */
#ifndef TESTS_DELIVERY_RATE_DRAW_H
#define TESTS_DELIVERY_RATE_DRAW_H

#include "base/random.h"

#include <stdint.h>

#define MS UINT64_C(1000)
#define S UINT64_C(1000000)
#define SECOND_MS 1000

/* 1 to max; each number of bits as often. */
static inline uint64_t log_uniform(uint64_t *random, uint64_t max)
{
	unsigned bits = 64 - (unsigned)__builtin_clzll(max);
	uint64_t value =
		random_split_mix(random) >> random_below(random_split_mix(random), bits + 1);

	return 1 + value % max;
}

#endif
