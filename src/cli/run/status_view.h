/*
 * What the monitor shows of itself at /status.json and /history.json: sampled from the board once a
 * second, put together when somebody asks. A request reads no metrics: however often it is asked,
 * it costs the same.
 */
#ifndef CLI_RUN_STATUS_VIEW_H
#define CLI_RUN_STATUS_VIEW_H

#include "base/buf.h"
#include "base/metrics.h"
#include "bunshin/clock.h"
#include "config/config.h"
#include "supervisor/board.h"

#include <stdbool.h>
#include <stdint.h>

#define STATUS_VIEW_LOOKED_US UINT64_C(30000000)

struct status_view;

struct status_view_options {
	struct clock clock;
	const struct config *config;
	struct board *board;
	/* Adds the metrics of all workers, and of the monitor, to an empty registry: 0 or an error.
	 */
	int (*collect)(void *arg, struct metrics *into);
	void *arg;
};

/* All is borrowed and outlives it. 0 or ERR_NOMEM. */
int status_view_new(const struct status_view_options *options, struct status_view **ret_view);
/* NULL is fine. */
void status_view_free(struct status_view *view);

/* Takes a sample; to be called each second, with the board up to date. */
void status_view_tick(struct status_view *view);
/* Somebody has asked for either document within STATUS_VIEW_LOOKED_US. */
bool status_view_is_looked_at(const struct status_view *view);

/* The documents. 0 or the buffer's error. */
int status_view_write(struct status_view *view, struct buf *out);
int status_view_write_history(struct status_view *view, int64_t since_ms, struct buf *out);

#endif
