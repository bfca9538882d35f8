/*
 * --at, --deadline, --prefill and --rate of `campaign send`: what they say, whether it can be, and
 * the wait for the instant.
 *
 * --at is an instant of this machine's clock, not of SQS's: an offset between the two is measured
 * and warned about, never corrected, since nobody can tell which of them is wrong.
 *
 * If the process dies
 *  - before the instant at which the push begins: nothing was sent.
 *  - while it is putting messages in ahead of time (--prefill): what is in becomes visible at --at
 *    by itself, the rest is not there.
 */
#ifndef CLI_CAMPAIGN_WHEN_H
#define CLI_CAMPAIGN_WHEN_H

#include "base/buf.h"
#include "campaign/producer.h"
#include "campaign/schedule.h"

#include <stdint.h>

struct runtime;
struct sqs_client;

/* --at without --deadline: so late the campaign's moment has passed (the machine slept). */
#define CAMPAIGN_LATE_MAX_MS 60000
/* From here on an offset between the clocks is warned about. */
#define CAMPAIGN_OFFSET_WARN_MS 2000

struct campaign_when {
	/* from the command line; borrowed from argv */
	const char *at_text, *deadline_text, *rate_text; /* NULL: not given */
	int64_t prefill_ms;				 /* -1: not given */
	/* what they lead to */
	struct schedule_instant at, deadline; /* epoch_ms 0: none */
	int64_t rate_count, rate_per_ms;      /* count 0: none */
};

/* Rows of the option table; `when` is a struct campaign_when. */
#define CAMPAIGN_WHEN_OPTIONS(when)                                                       \
	{"at", 0, CLI_STRING, "TIME", &(when).at_text, 0, 0,                              \
		"begin then: \"2026-11-27 08:00 Asia/Tokyo\", or RFC 3339 [at once]"},    \
		{"deadline", 0, CLI_STRING, "TIME", &(when).deadline_text, 0, 0,          \
			"never deliver after this: as --at, or +90m after the start"},    \
		{"prefill", 0, CLI_DURATION_OPTIONAL, "TIME", &(when).prefill_ms, 1000,   \
			SCHEDULE_PREFILL_MAX_MS,                                          \
			"put the messages in ahead of --at, hidden until then [14m]"},    \
	{                                                                                 \
		"rate", 0, CLI_STRING, "N/s", &(when).rate_text, 0, 0,                    \
			"put in at most so many a second (N/m, N/h) [as fast as it goes]" \
	}

/*
 * Fills in what they lead to. -1 to go on; else the exit code, the reason having been printed.
 * queue_url may be NULL.
 */
int campaign_when_check(struct campaign_when *when, const char *queue_url, int64_t now_epoch_ms);
/* What the producer has to know of it. */
void campaign_when_pace(const struct campaign_when *when, struct producer_options *options);
/* When the delivery begins, seen from now: --at, or at once. */
struct schedule_instant campaign_when_begin(const struct campaign_when *when, int64_t now_epoch_ms);

/*
 * With --at: asks the queue whether it is there and the keys are good, then waits until the push
 * is to begin; shows how long on stderr. Returns at once without it. Runs the loop.
 *
 * 0: it is time. ERR_CANCELLED: a signal came. Else with a sentence in `error`: what the queue
 * answered, or ERR_LIMIT: the instant was missed (the deadline has passed, or there is none and it
 * is later by CAMPAIGN_LATE_MAX_MS).
 */
int campaign_when_wait(const struct campaign_when *when, struct runtime *runtime,
	struct sqs_client *client, const char *queue_url, struct buf *error);

/* For who is told that the push ended early: what is in the queue is not to be seen until --at. */
void campaign_when_tell_hidden(
	const struct campaign_when *when, uint64_t sent, int64_t now_epoch_ms);

#endif
