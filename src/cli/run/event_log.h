/*
 * The delivery's events as log lines: one line an event, at most so many a second of each kind,
 * with the count of what was left out.
 */
#ifndef CLI_RUN_EVENT_LOG_H
#define CLI_RUN_EVENT_LOG_H

#include "bunshin/clock.h"
#include "delivery/delivery.h"

#define EVENT_LOG_KINDS (DELIVERY_QUEUE_CONNECTED + 1)
#define EVENT_LOG_PER_SECOND 10

struct event_log {
	struct clock clock;
	struct event_gate {
		uint64_t second; /* of the monotonic clock */
		unsigned written;
		uint64_t left_out; /* since the last line of this kind */
	} gates[EVENT_LOG_KINDS];
};

void event_log_init(struct event_log *log, struct clock clock);
void event_log_write(struct event_log *log, const struct delivery_event *event);

#endif
