/*
 * Metrics in memory that other processes read: entries one behind the other, each with its texts
 * and its value. One process adds entries and writes values; any number read, at any time.
 *
 * An entry is published by a store of the bytes in use, after it is whole. A reader takes that
 * number once, and copies and checks every text before it uses it, since the memory may hold
 * anything.
 */
#ifndef BASE_METRICS_ARENA_H
#define BASE_METRICS_ARENA_H

#include "base/metrics.h"

#include <stdbool.h>
#include <stddef.h>

struct metrics_arena;

struct metrics_entry {
	enum metric_kind kind;
	enum metric_rule rule;
	const char *name, *help, *labels;
	void *value;
};

/* sizeof a struct counter, gauge or histogram; a whole number of words of 64 bits. */
size_t metrics_value_bytes(enum metric_kind kind);

/*
 * For the one that writes. memory: all zero, aligned to 64 bytes; it outlives the arena, which the
 * caller frees with free(). NULL: out of memory, or the memory is too small for anything.
 */
struct metrics_arena *metrics_arena_new(void *memory, size_t bytes);
/*
 * Copies the texts of an entry into the arena, with a value of zero behind them, and publishes it;
 * *ret has pointers into the arena. False: no room, or a text is longer than metrics.h allows or
 * has a control character in it.
 */
bool metrics_arena_add(
	struct metrics_arena *arena, const struct metrics_entry *entry, struct metrics_entry *ret);

/*
 * For those that read: visits every entry that is well formed, up to the first that is not. The
 * texts are copies that live for the visit; the value is where it lies, to be read word by word. A
 * visit that returns false ends it.
 */
void metrics_arena_each(const void *memory, size_t bytes,
	bool (*visit)(void *arg, const struct metrics_entry *entry), void *arg);
/* Bytes in use, at most `bytes`: what must be zeroed before the memory is used anew. */
size_t metrics_arena_used(const void *memory, size_t bytes);

#endif
