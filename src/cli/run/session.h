/*
 * A session: one worker at its place on the board, from its start until it has drained.
 */
#ifndef CLI_RUN_SESSION_H
#define CLI_RUN_SESSION_H

#include "base/buf.h"
#include "bunshin/clock.h"
#include "cli/run/generation.h"
#include "supervisor/board.h"

#include <stdbool.h>
#include <uv.h>

struct session;

struct session_options {
	uv_loop_t *loop;
	struct clock clock;
	struct generation *generation;
	struct board *board;
	unsigned place;
	bool exit_when_empty; /* it ends by itself once nothing is left in the queue or held */
	const unsigned *interrupts; /* of struct runtime; for session_new() */
	/*
	 * It receives from now on; at most once. From the loop or from inside session_start(). May
	 * be NULL.
	 */
	void (*begun)(void *arg);
	/*
	 * Once, from the loop: it has drained, having been stopped or having ended by itself: with
	 * CLI_DONE when the queue is empty, another code when it can never work, which was told of.
	 * May close it.
	 */
	void (*ended)(void *arg, struct session *session, int code);
	void *arg;
};

/*
 * All is borrowed and outlives it. Runs the loop while credentials are looked for. 0, or an error
 * with a sentence in `error`; ERR_CANCELLED: interrupted.
 */
int session_new(
	const struct session_options *options, struct session **ret_session, struct buf *error);
void session_start(struct session *session);
/* Drains it. Harmless when it does so already. May be called from anywhere in the loop. */
void session_stop(struct session *session);
/* At once: what is held will be received again. NULL is fine. */
void session_close(struct session *session);

/* Messages held. */
size_t session_held(const struct session *session);
/* Brings its report on the board up to date. */
void session_show(struct session *session);
/* When it last got something done, as its report says. */
uint64_t session_progress_us(const struct session *session);

#endif
