/*
 * malloc() and its like for a library that takes and gives back the same sizes over and over, as
 * libcurl does: some thirty pieces for each request, more at a time than malloc() keeps at hand.
 *
 * Pieces of at most 4 KiB lie side by side with others of their size, which is a fifth too large at
 * most, without anything between them; one that was given back is handed out again, the latest
 * first. That costs a fifth of what malloc() and free() do, and touches less memory. It is never
 * given back to the system: there is as much of it as there was at the busiest time. Larger pieces
 * are malloc()'s, as all are when the system has no room for 1 GiB of addresses, or that is used
 * up.
 *
 * Only the thread that called pieces_keep() gets such pieces. Others get theirs from malloc(), and
 * may give back what that one got, as it may theirs.
 *
 * The signatures are those that curl_global_init_mem() wants.
 */
#ifndef BASE_PIECES_H
#define BASE_PIECES_H

#include <stddef.h>

/* From now on this thread gets pieces of its own. One thread of a process; again is harmless. */
void pieces_keep(void);

/* As malloc(), calloc(), realloc(), strdup() and free(), for pieces of these alone. */
void *pieces_get(size_t bytes);
void *pieces_get_zeroed(size_t count, size_t bytes);
void *pieces_resize(void *piece, size_t bytes);
char *pieces_copy(const char *text);
void pieces_give_back(void *piece);

#endif
