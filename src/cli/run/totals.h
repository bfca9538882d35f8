/*
 * What all workers of this program have done since it started, out of their metrics.
 */
#ifndef CLI_RUN_TOTALS_H
#define CLI_RUN_TOTALS_H

#include "base/metrics.h"
#include "supervisor/board.h"

struct run_totals {
	uint64_t received, attempts, accepted, suppressed, retried, failed, failed_left, expired,
		cancelled, postponed, crowded, deleted, returned, lost, extended, left,
		sqs_requests;
	struct histogram latency_us; /* from SentTimestamp to acceptance */
};

/* Those that stopped are in it. 0, ERR_NOMEM or ERR_PENDING (board_collect()); then zeros. */
int run_totals_read(const struct board *board, struct run_totals *ret_totals);
/* One JSON object and a newline. */
void run_totals_print_json(const struct run_totals *totals);
/* The last line of the log. */
void run_totals_log(const struct run_totals *totals);

#endif
