/*
 * The queue's limit of messages in flight. Private to delivery.
 *
 * SQS hands nothing out while about 120,000 messages are in flight, standard and FIFO alike, and a
 * long poll then looks like one of an empty queue ("Amazon SQS message quotas"). So an empty answer
 * is followed by a question for the counts: at once, then after a minute, two, four, at most every
 * ten, until messages come again.
 */
#ifndef DELIVERY_INFLIGHT_H
#define DELIVERY_INFLIGHT_H

#include "base/metrics.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INFLIGHT_LIMIT 120000
#define INFLIGHT_NEAR (INFLIGHT_LIMIT / 20 * 19) /* the counts are approximate */

struct delivery;
struct queue_call;

struct inflight {
	struct delivery *delivery;
	struct queue_call *call; /* the question under way */
	uint64_t asked_us;	 /* the latest one; 0: none yet */
	uint64_t interval_us;	 /* until the next */
	bool reached;
	bool denied; /* no permission to ask */
	struct gauge *visible, *in_flight, *delayed, *reached_gauge;
};

void inflight_init(struct inflight *inflight, struct delivery *delivery);
int inflight_open_metrics(struct inflight *inflight, struct metrics *metrics); /* 0, ERR_NOMEM */
/* A receive was answered with so many messages. */
void inflight_received(struct inflight *inflight, size_t count);
/* A receive failed: OverLimit says it outright. */
void inflight_refused(struct inflight *inflight, int err);
/* Gives a question under way up; none is asked until messages come. */
void inflight_stop(struct inflight *inflight);

#endif
