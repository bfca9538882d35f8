#include "base/timer_heap.h"

#include "bunshin/error.h"

#include <stdlib.h>

#define FIRST_CAPACITY 64

/*
 * Slots count from 1, as in the textbook: the children of n are 2n and 2n + 1. Entry 0 is not used,
 * so that both lie in one cache line.
 */
static struct timer_entry *at(const struct timer_heap *heap, size_t slot)
{
	return &heap->entries[slot];
}

static void put(struct timer_heap *heap, size_t slot, struct timer_entry entry)
{
	*at(heap, slot) = entry;
	entry.timer->slot = slot;
}

static void sift_up(struct timer_heap *heap, size_t slot, struct timer_entry entry)
{
	while (slot > 1 && at(heap, slot / 2)->due_us > entry.due_us) {
		put(heap, slot, *at(heap, slot / 2));
		slot /= 2;
	}
	put(heap, slot, entry);
}

static void sift_down(struct timer_heap *heap, size_t slot, struct timer_entry entry)
{
	for (;;) {
		size_t child = slot * 2;

		if (child > heap->count)
			break;
		if (child < heap->count && at(heap, child + 1)->due_us < at(heap, child)->due_us)
			child++;
		if (at(heap, child)->due_us >= entry.due_us)
			break;
		put(heap, slot, *at(heap, child));
		slot = child;
	}
	put(heap, slot, entry);
}

/* Into a slot whose own entry is gone. */
static void fill(struct timer_heap *heap, size_t slot, struct timer_entry entry)
{
	if (slot > 1 && at(heap, slot / 2)->due_us > entry.due_us)
		sift_up(heap, slot, entry);
	else
		sift_down(heap, slot, entry);
}

static int make_room(struct timer_heap *heap)
{
	struct timer_entry *entries;
	size_t capacity;

	if (heap->count < heap->capacity)
		return 0;
	capacity = heap->capacity ? heap->capacity * 2 : FIRST_CAPACITY;
	entries = realloc(heap->entries, (capacity + 1) * sizeof(*entries));
	if (!entries)
		return ERR_NOMEM;
	heap->entries = entries;
	heap->capacity = capacity;
	return 0;
}

int timer_heap_set(struct timer_heap *heap, struct clock_timer *timer, uint64_t due_us)
{
	struct timer_entry entry = {.due_us = due_us, .timer = timer};

	if (!clock_timer_is_set(timer)) {
		int err = make_room(heap);

		if (err)
			return err;
		timer->slot = ++heap->count;
	}
	timer->due_us = due_us;
	fill(heap, timer->slot, entry);
	return 0;
}

void timer_heap_clear(struct timer_heap *heap, struct clock_timer *timer)
{
	struct timer_entry last;

	if (!clock_timer_is_set(timer))
		return;
	last = *at(heap, heap->count--);
	if (last.timer != timer)
		fill(heap, timer->slot, last);
	timer->slot = 0;
}

struct clock_timer *timer_heap_first(const struct timer_heap *heap)
{
	return heap->count ? at(heap, 1)->timer : NULL;
}

void timer_heap_free(struct timer_heap *heap)
{
	for (size_t slot = 1; slot <= heap->count; slot++)
		at(heap, slot)->timer->slot = 0;
	free(heap->entries);
	*heap = (struct timer_heap){0};
}
