/*
 * Metrics in memory that other processes read: entries one behind the other, each with its value
 * and its texts. One process adds entries and writes values; any number read, at any time.
 *
 * An entry is published by a store of the number of bytes in use, after it is whole, and stays as
 * it is but for its value. Private to metrics.c.
 */
#ifndef BASE_METRICS_ARENA_H
#define BASE_METRICS_ARENA_H

#include "base/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define METRICS_TEXTS_MAX (METRICS_NAME_MAX + METRICS_LABELS_MAX + METRICS_HELP_MAX + 3)

/* A series. The lengths are those of the texts without the NUL. */
struct metrics_entry {
	enum metric_kind kind;
	enum metric_rule rule;
	unsigned decimals;
	const char *name, *labels, *help;
	size_t name_bytes, labels_bytes, help_bytes;
	void *value; /* struct counter, gauge or histogram, by kind */
};

/* Bytes that the value and the texts take: a multiple of 8. */
size_t metrics_entry_bytes(const struct metrics_entry *entry);
/*
 * Writes a value of zero and copies of the texts into memory of that size, aligned to 8 bytes. *ret
 * is the entry with pointers there; it may be *entry.
 */
void metrics_entry_place(
	const struct metrics_entry *entry, void *memory, struct metrics_entry *ret);

/* The side that writes. It never reads the memory, so others cannot lead it astray. */
struct metrics_arena {
	char *memory;
	size_t bytes, used;
};

void metrics_arena_init(struct metrics_arena *arena, void *memory, size_t bytes);
/* As metrics_entry_place(), and published. False: no room, or a text is too long (metrics.h). */
bool metrics_arena_add(
	struct metrics_arena *arena, const struct metrics_entry *entry, struct metrics_entry *ret);

/* The side that reads. */
struct metrics_reader {
	const char *memory;
	size_t at, used;
};

void metrics_reader_init(struct metrics_reader *reader, const void *memory, size_t bytes);
/*
 * The next entry. Its lengths are good, and all that it points to lies in the memory, which may
 * change: the texts can be compared, but before they are kept or relied on in any way they are
 * taken with metrics_entry_take(). False: there is none, or it is not well formed.
 */
bool metrics_reader_next(struct metrics_reader *reader, struct metrics_entry *ret);
/*
 * Copies the texts and makes the entry point to the copies. False: they are none that the
 * exposition format can show; the entry is not to be used.
 */
bool metrics_entry_take(struct metrics_entry *entry, char texts[METRICS_TEXTS_MAX + 8]);

#endif
