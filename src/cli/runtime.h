/*
 * What every long-running subcommand needs: a loop, the clock on it, SIGTERM and SIGINT, and as
 * many descriptors as the limits allow.
 */
#ifndef CLI_RUNTIME_H
#define CLI_RUNTIME_H

#include "bunshin/clock.h"

#include <stdbool.h>
#include <uv.h>

struct runtime {
	uv_loop_t loop;
	struct loop_clock *loop_clock;
	struct clock clock;
	uv_signal_t signals[3];
	/* Called for each SIGTERM and SIGINT; count: 1 for the first. */
	void (*on_signal)(void *arg, unsigned count);
	/* Called for each SIGHUP; see runtime_watch_hangup(). */
	void (*on_hangup)(void *arg);
	void *arg;
	unsigned signal_count;
};

/* 0, ERR_NOMEM or ERR_IO. on_signal NULL: signals keep their default action. */
int runtime_open(struct runtime *runtime, void (*on_signal)(void *arg, unsigned count), void *arg);
/* From now on a SIGHUP is a call, not the end. 0 or ERR_IO. */
int runtime_watch_hangup(struct runtime *runtime, void (*on_hangup)(void *arg));
/*
 * Closes the signals and the clock, and runs the loop until every handle (of others too) has
 * closed. Asserts that none is left.
 */
void runtime_close(struct runtime *runtime);
/*
 * Turns the loop until *answered is true, which a completion sets. 0; ERR_CANCELLED once
 * *interrupts (signal_count; may be NULL) is not 0, answered or not; ERR_IO: nothing is left in the
 * loop that could answer. Not from inside the loop.
 */
int runtime_await(uv_loop_t *loop, const bool *answered, const unsigned *interrupts);

#endif
