/* xoshiro256** (Blackman, Vigna) and SplitMix64 seeding; not for secrets. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

struct random {
	uint64_t state[4];
};

/* Any seed is good; the same seed gives the same sequence on every machine. */
void random_seed(struct random *random, uint64_t seed);
uint64_t random_next(struct random *random);
/* bits scaled to 0 <= x < bound (bound 0: 0), without modulo bias worth naming. */
uint64_t random_below(uint64_t bits, uint64_t bound);

/* SplitMix64: a generator whose whole state is one word. Any state is good. */
uint64_t random_split_mix(uint64_t *state);

#endif
