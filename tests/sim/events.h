/*
 * What happens in the world outside the workers, in order of time; of what falls on one instant,
 * in the order in which it was set. (The workers' own timers are in base/timer_heap.h heaps, one
 * each, so that a crash drops them as a whole.)
 */
#ifndef SIM_EVENTS_H
#define SIM_EVENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event {
	void (*fire)(struct event *event); /* the event is clear when this runs */
	uint32_t slot;			   /* 1-based; 0: clear */
};

struct event_entry {
	uint64_t due_us, nth;
	struct event *event;
};

struct events {
	struct event_entry *entries;
	size_t count, capacity;
	uint64_t nth;
};

static inline bool event_is_set(const struct event *event)
{
	return event->slot != 0;
}

/* Sets, or moves. */
void events_set(struct events *events, struct event *event, uint64_t due_us);
void events_clear(struct events *events, struct event *event);
/* UINT64_MAX: none. */
static inline uint64_t events_due_us(const struct events *events)
{
	return events->count ? events->entries[0].due_us : UINT64_MAX;
}
/* Takes the earliest out and runs it. */
void events_fire(struct events *events);
void events_free(struct events *events);

#endif
