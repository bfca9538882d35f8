/*
 * What an SQS client counts, as metrics; workers and the monitor have a client each.
 *
 * The cost is an estimate: prices of the first tier in US East (N. Virginia), "Amazon SQS pricing":
 * 0.40 USD a million requests of standard queues, 0.50 of FIFO queues (campaign/forecast.h has the
 * same). The free million of each month is not taken off.
 */
#ifndef CLI_RUN_SQS_METRICS_H
#define CLI_RUN_SQS_METRICS_H

#include "aws/sqs_client.h"
#include "base/metrics.h"

/* Billionths of a dollar a request. */
#define SQS_COST_NANODOLLARS 400
#define SQS_COST_NANODOLLARS_FIFO 500

/* Operations that have a series of their own, and all others together. */
#define SQS_METRICS_OPERATIONS 7

struct sqs_metrics {
	struct counter *requests[SQS_METRICS_OPERATIONS];
	struct counter *cost; /* billionths of a dollar */
	struct counter *retries, *throttled, *renewed, *exhausted, *dropped;
	struct gauge *clock_offset_s;
};

/* `process`: whose they are, "worker" or "monitor". 0 or ERR_NOMEM. */
int sqs_metrics_open(struct sqs_metrics *sqs, struct metrics *metrics, const char *process);
/* Takes over what the client counts now. */
void sqs_metrics_show(struct sqs_metrics *sqs, const struct sqs_client *client);

#endif
