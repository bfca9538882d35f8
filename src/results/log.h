/*
 * The log of outcomes: lines of results/record.h, appended to files in a directory (see
 * results/log_files.h for their names) by one process.
 *
 * What is appended waits in memory until it is flushed, with one write(2). If the process dies
 *  - before a flush has returned: what was appended since the one before may be gone, and its last
 *    line torn; whoever takes the file over ends it with a line feed, and readers leave it out.
 *  - after it: it is with the kernel, and outlives the process. It is not synced: when the machine
 *    itself dies, what was written in the latest seconds may be gone.
 *
 * Nothing here is waited for, and no error stops anything: while the directory cannot be used, or
 * the disk is full, lines wait in memory, LOG_WAITING_MAX bytes of them; what does not fit is
 * counted as lost. What is left of a line of which only a part could be written follows later.
 */
#ifndef RESULTS_LOG_H
#define RESULTS_LOG_H

#include "base/metrics.h"
#include "bunshin/clock.h"
#include "results/record.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_WAITING_MAX ((size_t)1 << 20)

struct results_log;
struct log_number;

struct results_log_options {
	struct clock clock;
	const char *directory;	 /* copied; made when it is missing and its parent is there */
	uint64_t file_bytes;	 /* what would make a file larger goes into the next */
	uint64_t keep_bytes;	 /* of all former files in the directory; the oldest go */
	bool shipped;		 /* somebody sends them on: those that were sent go first */
	struct metrics *metrics; /* borrowed */
	/*
	 * Something did not work; tried again a second later, and told of again. error: an errno.
	 * `what` is for people. It must not call the log. NULL: nobody listens.
	 */
	void (*trouble)(void *arg, const char *what, int error);
	void *arg;
};

/*
 * 0 or ERR_NOMEM. When the directory cannot be used now, that is told as trouble, and it is tried
 * again.
 */
int results_log_new(const struct results_log_options *options, struct results_log **ret_log);
/* Flushes; what cannot be written is counted as lost. Its number is free then. NULL is fine. */
void results_log_free(struct results_log *log);

/* Both copy. */
void results_log_append(struct results_log *log, const struct result_record *record);
void results_log_append_status(struct results_log *log, const struct result_status *status);
/* Writes what waits. Harmless when nothing does. */
void results_log_flush(struct results_log *log);
/* Bytes that wait in memory. */
size_t results_log_waiting(const struct results_log *log);

/* For the shipper: its number, which it may move the sent position of; NULL: it has none yet. */
struct log_number *results_log_number(struct results_log *log);
/* For the shipper: how much of the file that is being written is written. */
uint64_t results_log_end(const struct results_log *log);

#endif
