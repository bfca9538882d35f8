/*
 * Asks an admin port for /status.json, and for what is new in /history.json after that.
 */
#ifndef CLI_TOP_POLL_H
#define CLI_TOP_POLL_H

#include "base/buf.h"
#include "cli/top/status.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct poll;

struct poll_options {
	uv_loop_t *loop;
	const char *address; /* as admin_address_find() gives it; borrowed */
	int64_t timeout_ms;  /* of each question */
	bool with_history;
	/*
	 * Once for each poll_start(), from the loop, or from inside poll_start() when nothing could
	 * be asked: poll_error() says how it went.
	 */
	void (*done)(void *arg);
	void *arg;
};

/* 0, ERR_NOMEM or ERR_IO. */
int poll_open(const struct poll_options *options, struct poll **ret_poll);
/* `done` is not called any more. The loop must turn once more. NULL is fine. */
void poll_close(struct poll *poll);

/* Asks; nothing happens while an answer is awaited. */
void poll_start(struct poll *poll);

/* Why the last question was not answered with a status, in words; NULL: it was. */
const char *poll_error(const struct poll *poll);
/* The last that came, borrowed until the next `done`; NULL: none has. */
const struct status *poll_status(const struct poll *poll);
/* Its text, one line, ending in "\n": with escapes for what a terminal would act upon. */
const struct buf *poll_text(const struct poll *poll);
/* What has come of it; empty where the port has none. */
const struct history *poll_history(const struct poll *poll);

#endif
