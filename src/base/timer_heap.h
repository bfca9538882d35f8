/*
 * A binary heap of clock_timer, earliest first; both clocks are built on it. Timers due at the
 * same instant fire in any order. It compares without looking at the timers, which with thousands
 * of them are in no cache.
 */
#ifndef BASE_TIMER_HEAP_H
#define BASE_TIMER_HEAP_H

#include "bunshin/clock.h"

struct timer_entry {
	uint64_t due_us;
	struct clock_timer *timer; /* borrowed */
};

struct timer_heap {
	struct timer_entry *entries; /* from 1 to count */
	size_t count;
	size_t capacity;
};

/* Inserts, or moves if set. Returns 0 or ERR_NOMEM (the timer then being clear). */
int timer_heap_set(struct timer_heap *heap, struct clock_timer *timer, uint64_t due_us);
void timer_heap_clear(struct timer_heap *heap, struct clock_timer *timer);
/* The earliest timer, or NULL. */
struct clock_timer *timer_heap_first(const struct timer_heap *heap);
/* Clears every timer still set and frees the heap. */
void timer_heap_free(struct timer_heap *heap);

#endif
