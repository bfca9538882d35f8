#include "base/pieces.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STEP_BYTES ((size_t)16) /* the alignment that malloc() gives */
#define STEPS 8			/* so many sizes, then four for each doubling up to ... */
#define LARGEST_BYTES ((size_t)4096)
#define SIZES 28

#define REGION_BYTES ((size_t)1 << 30)
#define GROWTH_BYTES ((size_t)1 << 20)
#define BLOCK_BYTES ((size_t)64 << 10) /* of pieces of one size */
#define BLOCKS (REGION_BYTES / BLOCK_BYTES)

/* One that was given back. */
struct piece {
	struct piece *next;
};

/* Of one size. */
struct shelf {
	struct piece *first;
	char *rest, *end; /* of its latest block: has not been handed out yet */
};

static _Thread_local bool keeps;
static struct shelf shelves[SIZES]; /* of the thread that keeps */
static char *region;		    /* addresses ... */
static size_t region_bytes;	    /* ... so many, or none; ... */
static size_t writable, used;	    /* ... of which this has memory, and is blocks */
static uint8_t block_shelves[BLOCKS];
static _Atomic(struct piece *) returned; /* by other threads, of any size */

/* Of sizes up to LARGEST_BYTES: the shelf whose pieces are just large enough. */
static unsigned shelf_of(size_t bytes)
{
	unsigned doubling;

	if (bytes <= STEPS * STEP_BYTES)
		return bytes == 0 ? 0 : (unsigned)((bytes - 1) / STEP_BYTES);
	doubling = (unsigned)(63 - __builtin_clzll(bytes - 1)); /* 7: 129 to 256 */
	return STEPS + 4 * (doubling - 7) + (unsigned)(((bytes - 1) >> (doubling - 2)) & 3);
}

static size_t room_of(unsigned shelf)
{
	if (shelf < STEPS)
		return (shelf + 1) * STEP_BYTES;
	shelf -= STEPS;
	return (STEPS * STEP_BYTES << shelf / 4) / 4 * (5 + shelf % 4);
}

static bool is_ours(const void *piece)
{
	return (uintptr_t)piece - (uintptr_t)region < region_bytes;
}

static unsigned shelf_of_piece(const void *piece)
{
	return block_shelves[((uintptr_t)piece - (uintptr_t)region) / BLOCK_BYTES];
}

void pieces_keep(void)
{
	void *memory;

	keeps = true;
	if (region_bytes > 0)
		return;
	memory = mmap(
		NULL, REGION_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return;
	region = memory;
	region_bytes = REGION_BYTES;
}

static void put(struct piece *piece)
{
	struct shelf *shelf = &shelves[shelf_of_piece(piece)];

	piece->next = shelf->first;
	shelf->first = piece;
}

static void take_returned(void)
{
	struct piece *piece, *next;

	if (atomic_load_explicit(&returned, memory_order_relaxed) == NULL)
		return;
	for (piece = atomic_exchange(&returned, NULL); piece != NULL; piece = next) {
		next = piece->next;
		put(piece);
	}
}

static bool add_block(unsigned shelf, size_t room)
{
	if (used == region_bytes)
		return false;
	if (used == writable) {
		if (mprotect(region + writable, GROWTH_BYTES, PROT_READ | PROT_WRITE) != 0)
			return false;
		writable += GROWTH_BYTES;
	}
	block_shelves[used / BLOCK_BYTES] = (uint8_t)shelf;
	shelves[shelf].rest = region + used;
	shelves[shelf].end = region + used + BLOCK_BYTES / room * room;
	used += BLOCK_BYTES;
	return true;
}

/* The shelf has none; kept out of the way of when it has. */
static __attribute__((noinline)) void *get_new(unsigned index, size_t bytes)
{
	struct shelf *shelf = &shelves[index];
	size_t room = room_of(index);
	void *piece;

	take_returned();
	if (shelf->first != NULL)
		return pieces_get(bytes);
	if (shelf->rest == shelf->end && !add_block(index, room))
		return malloc(bytes);
	piece = shelf->rest;
	shelf->rest += room;
	return piece;
}

void *pieces_get(size_t bytes)
{
	struct piece *piece;
	unsigned shelf;

	if (!keeps || bytes > LARGEST_BYTES)
		return bytes <= PTRDIFF_MAX ? malloc(bytes) : NULL;
	shelf = shelf_of(bytes);
	piece = shelves[shelf].first;
	if (piece == NULL)
		return get_new(shelf, bytes);
	shelves[shelf].first = piece->next;
	return piece;
}

static __attribute__((noinline)) void give_back_from_elsewhere(struct piece *piece)
{
	piece->next = atomic_load(&returned);
	while (!atomic_compare_exchange_weak(&returned, &piece->next, piece))
		continue;
}

void pieces_give_back(void *piece)
{
	if (piece == NULL)
		return; /* most of what libcurl frees */
	if (!is_ours(piece))
		free(piece);
	else if (keeps)
		put(piece);
	else
		give_back_from_elsewhere(piece);
}

void *pieces_resize(void *piece, size_t bytes)
{
	size_t room;
	void *other;

	if (piece == NULL)
		return pieces_get(bytes);
	if (!is_ours(piece))
		return bytes <= PTRDIFF_MAX ? realloc(piece, bytes) : NULL;
	room = room_of(shelf_of_piece(piece));
	if (bytes <= room)
		return piece;
	other = pieces_get(bytes);
	if (other == NULL)
		return NULL;
	memcpy(other, piece, room);
	pieces_give_back(piece);
	return other;
}

void *pieces_get_zeroed(size_t count, size_t bytes)
{
	void *piece;

	if (__builtin_mul_overflow(count, bytes, &bytes))
		return NULL;
	if (bytes > LARGEST_BYTES)
		return calloc(1, bytes);
	piece = pieces_get(bytes);
	if (piece != NULL)
		memset(piece, 0, bytes);
	return piece;
}

char *pieces_copy(const char *text)
{
	size_t bytes = strlen(text) + 1;
	char *copy = pieces_get(bytes);

	if (copy != NULL)
		memcpy(copy, text, bytes);
	return copy;
}
