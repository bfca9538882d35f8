/*
 * What the core counts by destination. Each series is there from the start, so that its first count
 * is seen as a change. Private to delivery.
 */
#ifndef DELIVERY_COUNTS_H
#define DELIVERY_COUNTS_H

#include "base/metrics.h"
#include "delivery/outcome.h"

#include <stdint.h>

/* bunshin_messages_total{outcome}: what became of a message, for good or until it comes again. */
enum count {
	COUNT_ACCEPTED,
	COUNT_SUPPRESSED,
	COUNT_RETRIED,
	COUNT_FAILED,
	COUNT_FAILED_LEFT,
	COUNT_EXPIRED,
	COUNT_CANCELLED,
	COUNT_POSTPONED,
	COUNT_CROWDED,
	COUNT_LOST,
	COUNTS
};

/* bunshin_recipients_total{outcome}: the same of recipients, where requests are for several. */
enum recipient_count {
	RECIPIENTS_ACCEPTED,
	RECIPIENTS_SUPPRESSED,
	RECIPIENTS_RETRIED,
	RECIPIENTS_FAILED,
	RECIPIENTS_FAILED_LEFT,
	RECIPIENTS_EXPIRED,
	RECIPIENTS_CANCELLED,
	RECIPIENTS_POSTPONED,
	RECIPIENTS_COUNTS
};

/* Those of one destination, whose name they carry. */
struct counts {
	struct counter *messages[COUNTS];
	struct counter *recipients[RECIPIENTS_COUNTS]; /* NULL: not of this destination */
	struct counter *sent_recipients;	       /* of the requests started; NULL as those */
	struct counter *attempts;
	struct counter *results[OUTCOME_COUNT]; /* of attempts that ended, as they were judged */
	struct counter *unanswered;		/* of them, those that ended without an answer */
	struct counter *opened;			/* times that the breaker opened */
	struct histogram *latency_us;		/* SentTimestamp to acceptance, resolution 1 ms */
	struct histogram *attempt_us;
	struct gauge *limit;	   /* attempts that may be in flight */
	struct gauge *configured;  /* that might be by configuration */
	struct gauge *open;	   /* 1 while the breaker is not closed */
	struct gauge *accepted_ms; /* when it accepted the latest, epoch */
	/* As of delivery_show(): they pass with time, or change too often. */
	struct gauge *sending, *waiting;
	struct gauge *rate; /* thousandths of attempts a second */
};

/* 0 or ERR_NOMEM. `destination` is one that labels need not escape, "" for messages of none. */
int counts_open(struct counts *counts, struct metrics *metrics, const char *destination);
/* Those of recipients, where the destination has batches. 0 or ERR_NOMEM. */
int counts_open_recipients(struct counts *counts, struct metrics *metrics, const char *destination);
/* The same for what has no destination: the messages alone. */
int counts_open_messages(struct counts *counts, struct metrics *metrics, const char *destination);

#endif
