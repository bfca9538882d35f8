#include "base/pieces.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SMALLEST_BYTES ((size_t)64)
#define LARGEST_BYTES ((size_t)4096)
#define SIZES 25       /* 64, then four for each doubling up to 4096 */
#define KEPT_PIECES 64 /* of each size */

/* Before each piece, and of the alignment that malloc() gives. */
struct head {
	_Alignas(max_align_t) unsigned shelf; /* SIZES: none, it is too large */
	struct head *next;		      /* while it is kept */
};

struct shelf {
	struct head *first;
	size_t kept; /* pieces */
};

static _Thread_local bool keeps;
static struct shelf shelves[SIZES + 1]; /* of the thread that keeps; the last one stays empty */

/* Of sizes from 1 to LARGEST_BYTES: the shelf whose pieces are just large enough. */
static unsigned shelf_of(size_t bytes)
{
	unsigned doubling;

	if (bytes <= SMALLEST_BYTES)
		return 0;
	doubling = (unsigned)(63 - __builtin_clzll(bytes - 1)); /* 6: 65 to 128 */
	return 4 * (doubling - 6) + 1 + (unsigned)(((bytes - 1) >> (doubling - 2)) & 3);
}

static size_t room_of(unsigned shelf)
{
	unsigned step = (shelf + 3) / 4; /* 0: 64; 1: up to 128 */

	if (shelf == 0)
		return SMALLEST_BYTES;
	return (SMALLEST_BYTES << (step - 1)) / 4 * (5 + (shelf - 1) % 4);
}

static void *get_large(struct head *head, size_t bytes)
{
	if (bytes > SIZE_MAX - sizeof(*head))
		return NULL;
	head = realloc(head, sizeof(*head) + bytes);
	if (head == NULL)
		return NULL;
	head->shelf = SIZES;
	return head + 1;
}

void *pieces_get(size_t bytes)
{
	unsigned size;
	struct head *head;

	if (bytes > LARGEST_BYTES)
		return get_large(NULL, bytes);
	size = shelf_of(bytes);
	if (keeps && shelves[size].first != NULL) {
		head = shelves[size].first;
		shelves[size].first = head->next;
		shelves[size].kept--;
		return head + 1;
	}
	head = malloc(sizeof(*head) + room_of(size));
	if (head == NULL)
		return NULL;
	head->shelf = size;
	return head + 1;
}

void pieces_give_back(void *piece)
{
	struct head *head = piece;
	struct shelf *shelf;

	if (piece == NULL)
		return;
	head--;
	shelf = &shelves[head->shelf];
	if (!keeps || head->shelf == SIZES || shelf->kept >= KEPT_PIECES) {
		free(head);
		return;
	}
	head->next = shelf->first;
	shelf->first = head;
	shelf->kept++;
}

void *pieces_resize(void *piece, size_t bytes)
{
	struct head *head = piece;
	size_t room;
	void *other;

	if (piece == NULL)
		return pieces_get(bytes);
	head--;
	if (head->shelf == SIZES)
		return get_large(head, bytes);
	room = room_of(head->shelf);
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

void pieces_keep(void)
{
	keeps = true;
}

void pieces_drop(void)
{
	keeps = false;
	for (size_t i = 0; i < SIZES; i++) {
		struct head *head = shelves[i].first;

		while (head != NULL) {
			struct head *next = head->next;

			free(head);
			head = next;
		}
		shelves[i] = (struct shelf){.first = NULL};
	}
}
