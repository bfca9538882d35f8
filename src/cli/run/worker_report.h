/*
 * A worker's report: each second, what it is doing, onto its place on the board.
 */
#ifndef CLI_RUN_WORKER_REPORT_H
#define CLI_RUN_WORKER_REPORT_H

#include "cli/run/worker.h"
#include "supervisor/board.h"

struct worker_report;

/* Reports at once and every second. All is borrowed and outlives it. 0 or ERR_NOMEM. */
int worker_report_new(struct clock clock, struct worker *worker, struct board *board,
	unsigned place, struct worker_report **ret_report);
/* NULL is fine. */
void worker_report_free(struct worker_report *report);

/* Besides, now: something has changed, or somebody is about to read. */
void worker_report_now(struct worker_report *report);
/* As worker_hooks.receive_result. NULL is fine. */
void worker_report_receive_result(struct worker_report *report, int err, const char *detail);

#endif
