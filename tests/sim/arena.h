/*
 * Memory by owner. The linker sends every malloc, calloc, realloc, strdup, strndup and free of the
 * simulator and of the core through here (--wrap); what is allocated while an arena is entered
 * belongs to it, and dropping the arena frees it all: a process is dead. Each block is a block of
 * the real malloc, so that a sanitizer sees uses after free and overruns.
 */
#ifndef SIM_ARENA_H
#define SIM_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct arena_block;

struct arena {
	struct arena_block *blocks;
	size_t count;
	unsigned long fail_in; /* the n-th allocation from now is asked about; 0: none */
	/* Whether it fails; it may set fail_in anew. */
	bool (*fails)(struct arena *arena);
};

/* Allocations from now on are this arena's; NULL: nobody's. Returns the one before. */
struct arena *arena_enter(struct arena *arena);
/* Zeroed memory of this arena, whichever is entered. Never NULL; free() gives it back. */
void *arena_alloc(struct arena *arena, size_t bytes);
/* The simulator's own realloc: nobody's memory, whichever is entered. Never NULL. */
void *arena_grow(void *old, size_t bytes);
/* Frees everything. The arena is empty and usable again. */
void arena_drop(struct arena *arena);

#endif
