#include "cli/sink/window.h"

#include <string.h>

void window_init(struct window *window, uint64_t length_us)
{
	*window = (struct window){.step_us = length_us / WINDOW_STEPS};
}

/* Forgets the steps that have gone by. */
static void advance(struct window *window, uint64_t now_us)
{
	uint64_t step = now_us / window->step_us;

	if (step - window->step >= WINDOW_STEPS) {
		memset(window->counts, 0, sizeof(window->counts));
		window->sum = 0;
		window->step = step;
		return;
	}
	while (window->step < step) {
		uint64_t *oldest = &window->counts[++window->step % WINDOW_STEPS];

		window->sum -= *oldest;
		*oldest = 0;
	}
}

uint64_t window_count(struct window *window, uint64_t now_us)
{
	advance(window, now_us);
	return window->sum;
}

void window_add(struct window *window, uint64_t now_us)
{
	advance(window, now_us);
	window->counts[window->step % WINDOW_STEPS]++;
	if (++window->sum > window->most)
		window->most = window->sum;
}

uint64_t window_wait_us(struct window *window, uint64_t now_us)
{
	advance(window, now_us);
	for (uint64_t age = WINDOW_STEPS; age-- > 0;) {
		uint64_t step = window->step - age;

		if (age <= window->step && window->counts[step % WINDOW_STEPS] != 0)
			return (step + WINDOW_STEPS) * window->step_us - now_us;
	}
	return 0;
}
