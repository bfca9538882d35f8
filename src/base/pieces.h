/*
 * malloc() and its like for a library that takes and gives back the same sizes over and over, as
 * libcurl does: some thirty pieces for each request. A piece that was given back is kept by its
 * size and handed out again, the latest first, which costs a quarter of what malloc() and free()
 * do.
 *
 * Kept are pieces of at most 4 KiB, 64 of each of the 25 sizes: 1.7 MiB when all are there. A piece
 * costs 16 bytes more than its size, and sizes are a quarter too large at most. Only the thread
 * that called pieces_keep() keeps any; others get theirs from malloc(), and may give back what that
 * one got, as it may theirs.
 *
 * The signatures are those that curl_global_init_mem() wants.
 */
#ifndef BASE_PIECES_H
#define BASE_PIECES_H

#include <stddef.h>

/* From now on this thread keeps what it gives back. One thread of a process; again is harmless. */
void pieces_keep(void);
/* Frees what is kept, and keeps no more; by the same thread. */
void pieces_drop(void);

/* As malloc(), calloc(), realloc(), strdup() and free(), for pieces of these alone. */
void *pieces_get(size_t bytes);
void *pieces_get_zeroed(size_t count, size_t bytes);
void *pieces_resize(void *piece, size_t bytes);
char *pieces_copy(const char *text);
void pieces_give_back(void *piece);

#endif
