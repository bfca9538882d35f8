/*
 * The delivery's events as log lines, sampled where there are many alike.
 *
 * Alike is what has the same kind, destination, status, error, operation and reason; words of the
 * reason that have a digit in them do not count, since times, ports and request ids differ each
 * time. Of each such group the first EVENT_LOG_FIRST lines are written, then one in
 * EVENT_LOG_GAP_US. What was left out is told in `left_out`: of the next line of the group, or of a
 * line of its own at the end of each EVENT_LOG_INTERVAL_US, when the group makes room for another,
 * and at the end. Each left-out event is told of exactly once: lines of events and the sum of all
 * `left_out` are the number of events.
 *
 * The table is bounded; the group that was used least recently makes room. So that a reason which
 * is new each time cannot fill the log, a kind begins EVENT_LOG_NEW_GROUPS groups in an interval at
 * most; what comes after them is in one group of that kind, whatever its reason.
 *
 * An excerpt of the provider's answer goes through base/redact.h.
 */
#ifndef CLI_RUN_EVENT_LOG_H
#define CLI_RUN_EVENT_LOG_H

#include "bunshin/clock.h"
#include "delivery/delivery.h"

#define EVENT_LOG_KINDS (DELIVERY_QUEUE_CONNECTED + 1)
#define EVENT_LOG_GROUPS 128
#define EVENT_LOG_FIRST 10
#define EVENT_LOG_GAP_US UINT64_C(10000000)	 /* then six a minute */
#define EVENT_LOG_INTERVAL_US UINT64_C(60000000) /* of the lines that tell what was left out */
#define EVENT_LOG_FRESH_US UINT64_C(600000000)	 /* after so long without one, it begins anew */
#define EVENT_LOG_NEW_GROUPS 32
#define EVENT_LOG_NAME_SIZE 64
#define EVENT_LOG_REASON_SIZE 160
#define EVENT_LOG_EXCERPT_MAX 1024 /* bytes of a provider's answer in a line */

struct event_group {
	bool used;
	bool other; /* of those that came after EVENT_LOG_NEW_GROUPS */
	enum delivery_event_kind kind;
	int status, err;
	uint64_t words; /* a hash of destination, operation and reason */
	unsigned written;
	uint64_t last_us, line_us; /* of the last event, and of the last line */
	uint64_t left_out;	   /* and not told of yet */
	/* For the line that tells it; cut between two characters. */
	char destination[EVENT_LOG_NAME_SIZE], operation[EVENT_LOG_NAME_SIZE];
	char reason[EVENT_LOG_REASON_SIZE];
};

struct event_log {
	struct clock clock;
	struct clock_timer timer; /* set while something is left out and not told of */
	uint64_t interval_us;	  /* when this one began, for `begun` */
	unsigned begun[EVENT_LOG_KINDS];
	struct event_group groups[EVENT_LOG_GROUPS];
};

/* It stays where it is until event_log_close(). */
void event_log_init(struct event_log *log, struct clock clock);
/* An event whose level is not logged costs a comparison and is counted nowhere. */
void event_log_write(struct event_log *log, const struct delivery_event *event);
/* Tells what was left out. One that is zeroed is fine; a second call says nothing. */
void event_log_close(struct event_log *log);

#endif
