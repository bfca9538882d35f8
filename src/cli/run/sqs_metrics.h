/* What the SQS client counts, as metrics. */
#ifndef CLI_RUN_SQS_METRICS_H
#define CLI_RUN_SQS_METRICS_H

#include "aws/sqs_client.h"
#include "base/metrics.h"

struct sqs_metrics {
	struct counter *requests, *retries, *throttled, *renewed, *exhausted, *dropped;
	struct gauge *clock_offset_s;
};

int sqs_metrics_open(struct sqs_metrics *sqs, struct metrics *metrics); /* 0 or ERR_NOMEM */
/* Takes over what the client counts now. */
void sqs_metrics_show(struct sqs_metrics *sqs, const struct sqs_client *client);

#endif
