#include "aws/credentials/renewal.h"

#include "base/random.h"

#define SECOND_MS 1000
#define MINUTE_MS (60 * (int64_t)SECOND_MS)
#define YEAR_MS (365 * 24 * 60 * MINUTE_MS)

#define WINDOW_MAX_MS (15 * MINUTE_MS)
#define RETRY_FLOOR_MS 250

static int64_t max_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t min_of(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* from <= x < to */
static int64_t between(int64_t from, int64_t to, uint64_t random)
{
	return from + (int64_t)random_below(random, (uint64_t)(to - from));
}

int64_t credentials_renewal_delay_ms(int64_t left_ms, uint64_t random)
{
	int64_t window, early;

	if (left_ms <= 0)
		return between(45 * SECOND_MS, 75 * SECOND_MS, random);
	left_ms = min_of(left_ms, YEAR_MS);
	window = min_of(WINDOW_MAX_MS, left_ms / 2);
	early = between(window / 2, window, random);
	return max_of(left_ms - early, max_of(SECOND_MS, left_ms / 4));
}

int64_t credentials_retry_delay_ms(unsigned failures, uint64_t random)
{
	int64_t bound = SECOND_MS;

	for (unsigned i = 1; i < failures && bound < MINUTE_MS; i++)
		bound *= 2;
	return max_of(RETRY_FLOOR_MS, between(0, min_of(bound, MINUTE_MS), random));
}

int64_t credentials_outlived_delay_ms(uint64_t random)
{
	return between(2 * MINUTE_MS, 10 * MINUTE_MS, random);
}
