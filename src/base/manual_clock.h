/*
 * A clock in virtual time, for tests and the simulator: time moves only when told to, random
 * numbers come from the seed.
 */
#ifndef BASE_MANUAL_CLOCK_H
#define BASE_MANUAL_CLOCK_H

#include "base/timer_heap.h"
#include "bunshin/clock.h"

#include <stdbool.h>

struct manual_clock {
	uint64_t now_us;       /* monotonic; freely settable between steps */
	int64_t wall_epoch_ms; /* wall time at now_us == 0; freely settable */
	uint64_t random_state;
	struct timer_heap heap;
};

void manual_clock_init(struct manual_clock *clock, uint64_t seed, int64_t wall_epoch_ms);
void manual_clock_free(struct manual_clock *clock);
struct clock manual_clock_table(struct manual_clock *clock);

/* Moves to the next timer's instant and fires that timer. False: none is set. */
bool manual_clock_step(struct manual_clock *clock);
/* Fires everything due up to now + delta_us, in order, and ends there. */
void manual_clock_advance(struct manual_clock *clock, uint64_t delta_us);

#endif
