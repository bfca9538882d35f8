/*
 * A set of row numbers, kept in chunks of 4,096 so that what was changed can be written a chunk at
 * a time. A chunk takes memory once one of its rows is in the set: 250 KB for two million. Pure.
 */
#ifndef CAMPAIGN_ROW_SET_H
#define CAMPAIGN_ROW_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROW_SET_CHUNK_ROWS 4096
#define ROW_SET_CHUNK_BYTES (ROW_SET_CHUNK_ROWS / 8)

struct row_set_chunk {
	bool dirty;
	/* Row 1 of the list is the lowest bit of the first byte of chunk 0. */
	unsigned char bits[ROW_SET_CHUNK_BYTES];
};

struct row_set {
	struct row_set_chunk **chunks; /* NULL: none of its rows is in the set */
	size_t chunk_count;
	uint64_t rows;	/* 1..rows may be in the set */
	uint64_t count; /* are in it */
	uint64_t fresh; /* of them, added since row_set_clean() */
};

/* 0 or ERR_NOMEM. */
int row_set_init(struct row_set *set, uint64_t rows);
void row_set_free(struct row_set *set); /* harmless on a zeroed one */

/* 0, ERR_NOMEM, or ERR_ARGUMENT: not of 1..rows. Adding one twice is fine. */
int row_set_add(struct row_set *set, uint64_t row);
bool row_set_has(const struct row_set *set, uint64_t row);

/*
 * A chunk as it was written, `bits` of ROW_SET_CHUNK_BYTES; replaces it, and is not dirty. 0,
 * ERR_NOMEM, or ERR_ARGUMENT: there is no such chunk, or rows past the last are in it.
 */
int row_set_load(struct row_set *set, uint64_t chunk, const void *bits);
/* The first dirty chunk at or behind `from`; false: there is none. */
bool row_set_next_dirty(const struct row_set *set, size_t from, size_t *ret_chunk);
/* Nothing is dirty any more. */
void row_set_clean(struct row_set *set);

#endif
