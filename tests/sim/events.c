#include "events.h"

#include "arena.h"

#include <stdlib.h>

#define FANOUT 4 /* of the heap: shallow, and the children share a cache line or two */

static bool is_before(const struct event_entry *a, const struct event_entry *b)
{
	return a->due_us != b->due_us ? a->due_us < b->due_us : a->nth < b->nth;
}

static void put(struct events *events, size_t at, struct event_entry entry)
{
	events->entries[at] = entry;
	entry.event->slot = (uint32_t)at + 1;
}

static size_t sift_up(struct events *events, size_t at, const struct event_entry *entry)
{
	while (at > 0) {
		size_t parent = (at - 1) / FANOUT;

		if (!is_before(entry, &events->entries[parent]))
			break;
		put(events, at, events->entries[parent]);
		at = parent;
	}
	return at;
}

static size_t sift_down(struct events *events, size_t at, const struct event_entry *entry)
{
	for (;;) {
		size_t first = at * FANOUT + 1, least = first;

		if (first >= events->count)
			return at;
		for (size_t i = first + 1; i < first + FANOUT && i < events->count; i++)
			if (is_before(&events->entries[i], &events->entries[least]))
				least = i;
		if (!is_before(&events->entries[least], entry))
			return at;
		put(events, at, events->entries[least]);
		at = least;
	}
}

static void settle(struct events *events, size_t at, struct event_entry entry)
{
	at = sift_up(events, at, &entry);
	put(events, sift_down(events, at, &entry), entry);
}

void events_set(struct events *events, struct event *event, uint64_t due_us)
{
	struct event_entry entry = {.due_us = due_us, .nth = ++events->nth, .event = event};

	if (!event_is_set(event)) {
		if (events->count == events->capacity) {
			events->capacity = events->capacity ? events->capacity * 2 : 1024;
			events->entries = arena_grow(
				events->entries, events->capacity * sizeof(events->entries[0]));
		}
		event->slot = (uint32_t)++events->count;
	}
	settle(events, event->slot - 1, entry);
}

void events_clear(struct events *events, struct event *event)
{
	size_t at = event->slot;

	if (!at--)
		return;
	event->slot = 0;
	if (at != --events->count)
		settle(events, at, events->entries[events->count]);
}

void events_fire(struct events *events)
{
	struct event *event = events->entries[0].event;

	events_clear(events, event);
	event->fire(event);
}

void events_free(struct events *events)
{
	free(events->entries);
	*events = (struct events){0};
}
