#include "campaign/row_set.h"

#include "bunshin/error.h"

#include <stdlib.h>
#include <string.h>

int row_set_init(struct row_set *set, uint64_t rows)
{
	size_t chunk_count = (size_t)((rows + ROW_SET_CHUNK_ROWS - 1) / ROW_SET_CHUNK_ROWS);
	struct row_set_chunk **chunks = calloc(chunk_count + 1, sizeof(*chunks));

	if (!chunks)
		return ERR_NOMEM;
	*set = (struct row_set){.chunks = chunks, .chunk_count = chunk_count, .rows = rows};
	return 0;
}

void row_set_free(struct row_set *set)
{
	for (size_t i = 0; i < set->chunk_count; i++)
		free(set->chunks[i]);
	free(set->chunks);
	*set = (struct row_set){.chunks = NULL};
}

static struct row_set_chunk *chunk_make(struct row_set *set, size_t chunk)
{
	if (!set->chunks[chunk])
		set->chunks[chunk] = calloc(1, sizeof(struct row_set_chunk));
	return set->chunks[chunk];
}

int row_set_add(struct row_set *set, uint64_t row)
{
	size_t at = (size_t)((row - 1) % ROW_SET_CHUNK_ROWS);
	unsigned char bit = (unsigned char)(1u << (at % 8));
	struct row_set_chunk *chunk;

	if (row == 0 || row > set->rows)
		return ERR_ARGUMENT;
	chunk = chunk_make(set, (size_t)((row - 1) / ROW_SET_CHUNK_ROWS));
	if (!chunk)
		return ERR_NOMEM;
	if (chunk->bits[at / 8] & bit)
		return 0;
	chunk->bits[at / 8] |= bit;
	chunk->dirty = true;
	set->count++;
	set->fresh++;
	return 0;
}

bool row_set_has(const struct row_set *set, uint64_t row)
{
	size_t at = (size_t)((row - 1) % ROW_SET_CHUNK_ROWS);
	const struct row_set_chunk *chunk;

	if (row == 0 || row > set->rows)
		return false;
	chunk = set->chunks[(row - 1) / ROW_SET_CHUNK_ROWS];
	return chunk && (chunk->bits[at / 8] & (1u << (at % 8)));
}

static uint64_t count_bits(const unsigned char *bits)
{
	uint64_t count = 0;

	for (size_t i = 0; i < ROW_SET_CHUNK_BYTES; i++)
		count += (uint64_t)__builtin_popcount(bits[i]);
	return count;
}

/* Is a row behind the last one in it? */
static bool overflows(const struct row_set *set, uint64_t chunk, const unsigned char *bits)
{
	uint64_t last = set->rows - chunk * ROW_SET_CHUNK_ROWS; /* rows that the chunk may have */

	for (uint64_t at = last; at < ROW_SET_CHUNK_ROWS; at++)
		if (bits[at / 8] & (1u << (at % 8)))
			return true;
	return false;
}

int row_set_load(struct row_set *set, uint64_t chunk, const void *bits)
{
	struct row_set_chunk *made;

	if (chunk >= set->chunk_count || overflows(set, chunk, bits))
		return ERR_ARGUMENT;
	made = chunk_make(set, (size_t)chunk);
	if (!made)
		return ERR_NOMEM;
	set->count -= count_bits(made->bits);
	memcpy(made->bits, bits, ROW_SET_CHUNK_BYTES);
	made->dirty = false;
	set->count += count_bits(made->bits);
	return 0;
}

bool row_set_next_dirty(const struct row_set *set, size_t from, size_t *ret_chunk)
{
	for (; from < set->chunk_count; from++)
		if (set->chunks[from] && set->chunks[from]->dirty) {
			*ret_chunk = from;
			return true;
		}
	return false;
}

void row_set_clean(struct row_set *set)
{
	for (size_t i = 0; i < set->chunk_count; i++)
		if (set->chunks[i])
			set->chunks[i]->dirty = false;
	set->fresh = 0;
}
