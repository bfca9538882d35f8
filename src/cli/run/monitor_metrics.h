/*
 * What the monitor makes of the board: the metrics of /metrics, and lines of embedded ones.
 */
#ifndef CLI_RUN_MONITOR_METRICS_H
#define CLI_RUN_MONITOR_METRICS_H

#include "base/buf.h"
#include "base/metrics.h"
#include "supervisor/board.h"

#include <stdint.h>

/*
 * Those of all workers (board_collect()), and of what the supervisor and the monitor know: the
 * version, workers by state, their starts and deaths, reloads, and the backlog where it is known.
 * 0, ERR_NOMEM or ERR_PENDING.
 */
int monitor_metrics_collect(const struct board *board, uint64_t now_us, struct metrics *into);

/* What the line before said. */
struct monitor_emf {
	const char *namespace;
	char queue[128];	   /* by name */
	uint64_t accepted, failed; /* in all, so far */
};

/* The namespace is borrowed. Counts from now on. */
void monitor_emf_init(struct monitor_emf *emf, const char *namespace, const char *queue_url,
	const struct board *board);
/*
 * Appends one line (admin/emf.h) with the dimension Queue:
 *
 *	Workers		that receive
 *	Busy, Slots	attempts in flight, and how many could be
 *	Accepted, Failed  messages since the line before; left out when they cannot be read now,
 *			and then in the next line
 *	Backlog, InFlight  messages that wait in the queue, and that are with somebody
 *	BacklogPerWorker  the former by the workers of this host that receive, or by one
 *
 * While the backlog is not known the last three are left out: 0 would tell a scaling policy that
 * there is nothing to do. 0 or the buffer's error.
 */
int monitor_emf_line(struct monitor_emf *emf, const struct board *board, uint64_t now_us,
	int64_t epoch_ms, struct buf *out);

#endif
