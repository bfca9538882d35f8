#include "cli/run/control_board.h"

#include "base/hash.h"

#include <string.h>

struct row {
	uint64_t queue;
	struct control_news news;
};

_Static_assert(sizeof(struct row) <= BOARD_CONTROL_BYTES, "its place on the board");

void control_board_set(struct board *board, const char *queue_url, const struct control_news *news)
{
	struct row row;

	/* What is between the members goes into shared memory, too. */
	memset(&row, 0, sizeof(row));
	row.queue = hash_bytes(queue_url, strlen(queue_url));
	row.news = *news;
	board_control_set(board, &row, sizeof(row));
}

bool control_board_get(
	const struct board *board, const char *queue_url, struct control_news *ret_news)
{
	unsigned char bytes[BOARD_CONTROL_BYTES];
	struct row row;

	if (board_control_get(board, bytes) != sizeof(row))
		return false;
	memcpy(&row, bytes, sizeof(row));
	if (row.queue != hash_bytes(queue_url, strlen(queue_url)))
		return false;
	*ret_news = row.news;
	ret_news->control.cancelled[CONTROL_TAG_MAX] = '\0';
	return true;
}

void control_board_update(
	struct board *board, const char *queue_url, const struct control_news *news)
{
	struct control_news later;

	if (control_board_get(board, queue_url, &later) && later.read_us > news->read_us)
		later.readable = news->readable;
	else
		later = *news;
	control_board_set(board, queue_url, &later);
}
