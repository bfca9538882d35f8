/*
 * Control on the board: what one process of a host read of the queue's tags, for the others.
 */
#ifndef CLI_RUN_CONTROL_BOARD_H
#define CLI_RUN_CONTROL_BOARD_H

#include "delivery/control.h"
#include "supervisor/board.h"

#include <stdbool.h>
#include <stdint.h>

struct control_news {
	struct control control; /* in force from now on */
	uint64_t read_us; /* monotonic: when the latest answer was asked for; 0: there was none */
	bool readable;	  /* the tags may be read; else nothing is asked of anybody */
};

/* Where tags may not be read `control` is what was in force before. */
void control_board_set(struct board *board, const char *queue_url, const struct control_news *news);
/*
 * The same, by one of several who read: where what is there was asked for later, it stays, but for
 * `readable`.
 */
void control_board_update(
	struct board *board, const char *queue_url, const struct control_news *news);
/* False: there is none, or it is of another queue (a reload may change it). */
bool control_board_get(
	const struct board *board, const char *queue_url, struct control_news *ret_news);

#endif
