/*
 * How all workers together are doing, out of what each says of itself on the board. Pure: the board
 * and the time are arguments.
 *
 * A worker counts as what its seat says while its report is not older than READINESS_FRESH_US.
 *
 * A check is asked of the workers that receive; where none does, of those that start; where there
 * are none either, of those that stop: one more worker that is starting, or an old one that drains
 * in a reload, makes nothing worse. It has failed when it has in all of them; when it has in some,
 * or is degraded in any, it is degraded, and its words say in how many, with the worst of theirs.
 */
#ifndef CLI_RUN_READINESS_H
#define CLI_RUN_READINESS_H

#include "base/buf.h"
#include "supervisor/board.h"

#define READINESS_FRESH_US UINT64_C(10000000)
#define READINESS_ALIVE_US UINT64_C(60000000)
#define READINESS_CHECKS_MAX (BOARD_CHECKS_MAX + 1)

/* Workers by what they do, and what those report whose report is fresh, added up. */
struct readiness_sum {
	unsigned receiving; /* it has begun, and its report is fresh */
	unsigned starting, stopping;
	unsigned waiting; /* died, to be started again */
	unsigned looping; /* of the starting and waiting ones: in a crash loop */
	unsigned silent;  /* started, but its report is not fresh; in none of the others */
	uint64_t busy, slots, held, received;
};
void readiness_sum(const struct board *board, uint64_t now_us, struct readiness_sum *ret_sum);

/*
 * "workers" first, then the workers' own, in the order in which they name them. Returns how many.
 *
 * "workers" has failed while all are being stopped, or none receives; it is degraded while fewer do
 * than there should be (board_counts.wanted).
 */
size_t readiness_checks(const struct board *board, uint64_t now_us,
	struct board_check ret_checks[READINESS_CHECKS_MAX]);

/*
 * Liveness: one worker at least has reported, and made progress, within READINESS_ALIVE_US; or was
 * started, or is to be started again, and has not died too often for that to be hoped for; or there
 * are none at all. If not, why, appended to `words`.
 */
bool readiness_is_alive(const struct board *board, uint64_t now_us, struct buf *words);

#endif
