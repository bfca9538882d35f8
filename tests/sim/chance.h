/*
 * Chance without a sequence: every draw is a hash of the seed and of what is being decided ("the
 * third receive of worker 2"). Leaving one fault or one message out, as shrinking does, changes no
 * other draw. Integers only, so that a seed means the same on every machine.
 */
#ifndef SIM_CHANCE_H
#define SIM_CHANCE_H

#include "base/random.h"

#include <stddef.h>
#include <stdint.h>

/* The finaliser of SplitMix64: every bit of the result depends on every bit of x. */
static inline uint64_t chance_mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
	x = (x ^ x >> 27) * UINT64_C(0x94D049BB133111EB);
	return x ^ x >> 31;
}

static inline uint64_t chance_bits(uint64_t seed, uint64_t what, uint64_t which)
{
	uint64_t x = chance_mix(seed + UINT64_C(0x9E3779B97F4A7C15));

	x = chance_mix(x ^ what * UINT64_C(0xD6E8FEB86659FD93));
	return chance_mix(x + which * UINT64_C(0xA0761D6478BD642F) + 1);
}

static inline uint64_t chance_below(uint64_t seed, uint64_t what, uint64_t which, uint64_t bound)
{
	return random_below(chance_bits(seed, what, which), bound);
}

/* A row of draws about one thing: the rows of two things have nothing in common. */
struct chance {
	uint64_t state;
};

static inline struct chance chance_of(uint64_t seed, uint64_t what, uint64_t which)
{
	return (struct chance){chance_bits(seed, what, which)};
}

static inline uint64_t chance_draw(struct chance *chance, uint64_t bound)
{
	return random_below(random_split_mix(&chance->state), bound);
}

static inline int chance_hits(struct chance *chance, unsigned per_thousand)
{
	return chance_draw(chance, 1000) < per_thousand;
}

static inline uint64_t chance_one(struct chance *chance, const uint64_t values[], size_t count)
{
	return values[chance_draw(chance, count)];
}

#define CHANCE_ONE(chance, ...)                             \
	chance_one(chance, (const uint64_t[]){__VA_ARGS__}, \
		sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

/* A key out of up to four small numbers. */
static inline uint64_t chance_key(uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	return chance_mix(chance_mix(chance_mix(a * 31 + b) + c) + d);
}

#endif
