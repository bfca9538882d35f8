/* The messages that a pass has left: their receipt handles, and making them visible again. */
#ifndef CAMPAIGN_FAILURE_LEFT_H
#define CAMPAIGN_FAILURE_LEFT_H

#include "bunshin/clock.h"
#include "bunshin/queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAILURE_LEFT_CALLS_MAX 8

struct failure_left;

struct failure_left_call {
	struct failure_left *left;
	struct queue_call *call; /* NULL: spare */
};

/* Zero it, and fill in queue and clock. */
struct failure_left {
	struct queue queue;
	struct clock clock;
	struct failure_left_entry {
		char *receipt_handle;
		uint64_t visible_us; /* by itself; monotonic */
	} * entries;
	size_t count, capacity, next; /* next: the first not yet made visible */
	struct failure_left_call calls[FAILURE_LEFT_CALLS_MAX];
	size_t calls_out;
	uint64_t failed; /* could not be made visible */
	void (*done)(void *arg);
	void *arg;
};

/* Copies the handle. 0 or ERR_NOMEM. */
int failure_left_add(struct failure_left *left, const char *receipt_handle, uint64_t visible_us);
/*
 * Makes all of them visible. True: `done` will be called, from the loop; false: there was nothing
 * to do or nothing could be asked for, it is over. A handle that is no longer good is none that
 * failed: its message is visible, or somebody else's.
 */
bool failure_left_release(struct failure_left *left, void (*done)(void *arg), void *arg);
/* Cancels what is under way. */
void failure_left_free(struct failure_left *left);

#endif
