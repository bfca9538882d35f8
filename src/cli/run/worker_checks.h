/*
 * What a worker's readiness depends on: draining, credentials, queue, deletes, destinations.
 */
#ifndef CLI_RUN_WORKER_CHECKS_H
#define CLI_RUN_WORKER_CHECKS_H

#include "cli/run/worker.h"
#include "supervisor/board.h"

#include <stdbool.h>

/* How the latest receive went. Zeroed before the first. */
struct worker_trouble {
	bool failed;
	char words[BOARD_CHECK_DETAIL_SIZE];
};
/* As worker_hooks.receive_result. */
void worker_trouble_set(struct worker_trouble *trouble, int err, const char *detail);

/* Fills in the checks; returns how many. Longer words are cut. */
size_t worker_checks(const struct worker *worker, const struct worker_trouble *trouble,
	struct board_check ret_checks[BOARD_CHECKS_MAX]);

#endif
