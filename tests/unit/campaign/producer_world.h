/* A queue, a source and a listener for one producer, in virtual time. */
#ifndef TEST_PRODUCER_WORLD_H
#define TEST_PRODUCER_WORLD_H

#include "campaign/producer.h"

#include "base/manual_clock.h"
#include "base/random.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ROWS_MAX 2000
#define CALLS_MAX 20000
#define DEFAULT_LATENCY_US 10000 /* of a call */

struct fake;

struct call {
	struct fake *fake;
	struct clock_timer timer;
	queue_batch_done *done;
	void *arg;
	size_t count;
	uint64_t at_us;
	unsigned delay_s; /* of all its entries */
	int rows[QUEUE_BATCH_MAX];
	int results[QUEUE_BATCH_MAX];
	const char *detail;
	bool over;
};

/* The queue, the source and the listener of one producer. */
struct fake {
	struct manual_clock manual;
	struct clock clock;
	struct random random;
	struct producer *producer;
	struct producer_options options;

	/* queue: fills in call->results, or returns an error of send_batch itself */
	int (*judge)(struct fake *fake, struct call *call);
	struct call *calls[CALLS_MAX];
	size_t call_count;
	unsigned outstanding, most_outstanding, cancelled;
	unsigned stored[ROWS_MAX + 1], sent[ROWS_MAX + 1];
	char keys[ROWS_MAX + 1][UINT8_MAX];

	/* source */
	int rows, next_row;
	int pack; /* rows of a message, named by the first; fewer in the last. 0: one each */
	size_t body_bytes;
	int source_error;
	char *body;
	int most_ahead; /* rows pulled and not settled */

	/* listener */
	int settled[ROWS_MAX + 1]; /* how often */
	int errors[ROWS_MAX + 1];
	bool unconfirmed[ROWS_MAX + 1];
	char reasons[ROWS_MAX + 1][64];
	int settled_count;
	int finished;
	int err;
	char reason[256];
	uint64_t finished_us;
};

/* A source of so many rows; `judge` NULL: the queue takes everything. Options may be set now. */
struct fake *fake_new(int rows, int (*judge)(struct fake *, struct call *));
/* What producer_new() or producer_start() returned. */
int fake_start(struct fake *fake);
/* Starts, and goes on until it has finished. */
void fake_run(struct fake *fake);
void fake_free(struct fake *fake);

/* Judges: row 3 is throttled twice; after the first instant the queue cannot be reached. */
int throttle_row_3_twice(struct fake *fake, struct call *call);
int outage_for_good(struct fake *fake, struct call *call);

/* The call has these rows, one after the other. */
void assert_rows(const struct call *call, int first, int count);
/* Every row was settled once, as accepted, and the totals say so. */
void assert_all_accepted(const struct fake *fake);

#endif
