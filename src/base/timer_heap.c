#include "base/timer_heap.h"

#include "bunshin/error.h"

#include <stdlib.h>

#define FIRST_CAPACITY 64

/* Slots count from 1, as in the textbook: the children of n are 2n and 2n + 1. */
static struct clock_timer *at(const struct timer_heap *heap, size_t slot)
{
	return heap->timers[slot - 1];
}

static void put(struct timer_heap *heap, size_t slot, struct clock_timer *timer)
{
	heap->timers[slot - 1] = timer;
	timer->slot = slot;
}

static void sift_up(struct timer_heap *heap, struct clock_timer *timer)
{
	size_t slot = timer->slot;

	while (slot > 1 && at(heap, slot / 2)->due_us > timer->due_us) {
		put(heap, slot, at(heap, slot / 2));
		slot /= 2;
	}
	put(heap, slot, timer);
}

static void sift_down(struct timer_heap *heap, struct clock_timer *timer)
{
	size_t slot = timer->slot;

	for (;;) {
		size_t child = slot * 2;

		if (child > heap->count)
			break;
		if (child < heap->count && at(heap, child + 1)->due_us < at(heap, child)->due_us)
			child++;
		if (at(heap, child)->due_us >= timer->due_us)
			break;
		put(heap, slot, at(heap, child));
		slot = child;
	}
	put(heap, slot, timer);
}

static int make_room(struct timer_heap *heap)
{
	struct clock_timer **timers;
	size_t capacity;

	if (heap->count < heap->capacity)
		return 0;
	capacity = heap->capacity ? heap->capacity * 2 : FIRST_CAPACITY;
	timers = realloc(heap->timers, capacity * sizeof(struct clock_timer *));
	if (!timers)
		return ERR_NOMEM;
	heap->timers = timers;
	heap->capacity = capacity;
	return 0;
}

int timer_heap_set(struct timer_heap *heap, struct clock_timer *timer, uint64_t due_us)
{
	if (!clock_timer_is_set(timer)) {
		int err = make_room(heap);

		if (err)
			return err;
		put(heap, ++heap->count, timer);
	}
	timer->due_us = due_us;
	sift_up(heap, timer);
	sift_down(heap, timer);
	return 0;
}

void timer_heap_clear(struct timer_heap *heap, struct clock_timer *timer)
{
	struct clock_timer *last;

	if (!clock_timer_is_set(timer))
		return;
	last = at(heap, heap->count--);
	if (last != timer) {
		put(heap, timer->slot, last);
		sift_up(heap, last);
		sift_down(heap, last);
	}
	timer->slot = 0;
}

struct clock_timer *timer_heap_first(const struct timer_heap *heap)
{
	return heap->count ? at(heap, 1) : NULL;
}

void timer_heap_free(struct timer_heap *heap)
{
	for (size_t slot = 1; slot <= heap->count; slot++)
		at(heap, slot)->slot = 0;
	free(heap->timers);
	*heap = (struct timer_heap){0};
}
