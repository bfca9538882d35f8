/*
 * `bunshin run`: one process that is the worker (alone.c), or a supervisor with many (many.c).
 */
#ifndef CLI_RUN_RUN_H
#define CLI_RUN_RUN_H

#include "cli/run/generation.h"
#include "supervisor/board.h"

/* The whole of it; returns the exit status. */
int run_as_configured(const struct run_request *request);

/* Its two ways. Both take the first generation over and return the exit status. */
int run_alone(const struct run_request *request, struct generation *generation);
int run_many(const struct run_request *request, struct generation *generation);

/* Lines for people, "FILE:3:1: ...", each as an error in the log. */
void run_log_errors(const char *message, const struct buf *errors);
void run_log_started(const struct generation *generation);
/* The end of either way: the last line of the log, and what goes to stdout. */
void run_report(const struct run_request *request, const struct board *board);

#endif
