/*
 * Outcomes by campaign, for the metrics: the message attribute Campaign names one. Private to
 * delivery.
 *
 * The names come from outside: the first CAMPAIGNS_MAX have counters of their own, the rest, and
 * those that are no UTF-8 or longer than CAMPAIGN_NAME_MAX bytes, are counted together as "other".
 * A control character but the line feed is shown as a question mark.
 */
#ifndef DELIVERY_CAMPAIGN_H
#define DELIVERY_CAMPAIGN_H

#include "base/metrics.h"
#include "bunshin/queue.h"

#include <stddef.h>

#define CAMPAIGNS_MAX 64
#define CAMPAIGN_NAME_MAX 64
#define CAMPAIGN_DEADLINE_METRIC "bunshin_campaign_deadline_timestamp_seconds"

enum campaign_outcome {
	CAMPAIGN_ACCEPTED,
	CAMPAIGN_SUPPRESSED,
	CAMPAIGN_FAILED,
	CAMPAIGN_EXPIRED,
	CAMPAIGN_CANCELLED,
	CAMPAIGN_RETRIED, /* no end: an attempt failed, and there will be another */
	CAMPAIGN_OUTCOMES
};

struct campaigns {
	struct metrics *metrics; /* borrowed */
	struct campaign {
		char name[CAMPAIGN_NAME_MAX];
		size_t name_bytes;
		struct counter *counters[CAMPAIGN_OUTCOMES];
		struct gauge
			*deadline_s; /* the latest that one of its messages had; NULL: none had */
	} all[CAMPAIGNS_MAX + 1];    /* the last: "other" */
	size_t count;		     /* without "other" */
	size_t latest;		     /* found last: messages of one campaign come together */
};

/*
 * Counts a message's end, or a failed attempt of it, and keeps the latest deadline (INT64_MAX: it
 * has none). One without the attribute is not counted. Short of memory, neither.
 */
void campaign_count(struct campaigns *campaigns, const struct queue_message *message,
	int64_t deadline_epoch_ms, enum campaign_outcome outcome);

#endif
