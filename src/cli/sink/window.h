/*
 * Requests of the last second, or of another window, in a hundred steps: what a provider's limit is
 * enforced by. Pure: time is an argument, in microseconds of a clock that does not go back.
 */
#ifndef CLI_SINK_WINDOW_H
#define CLI_SINK_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#define WINDOW_STEPS 100

struct window {
	uint64_t step_us;
	uint64_t step; /* of the latest call, counted from the clock's zero */
	uint64_t sum, most;
	uint64_t counts[WINDOW_STEPS];
};

/* length_us: at least WINDOW_STEPS. */
void window_init(struct window *window, uint64_t length_us);
/*
 * How many the window holds at this moment: of the length before it, up to a step more or less,
 * since a step is forgotten as a whole.
 */
uint64_t window_count(struct window *window, uint64_t now_us);
/* One more. `most` is the highest count so far. */
void window_add(struct window *window, uint64_t now_us);
/* Until the oldest of those it holds are forgotten; 0 when it is empty. */
uint64_t window_wait_us(struct window *window, uint64_t now_us);

#endif
