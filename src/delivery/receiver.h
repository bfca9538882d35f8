/*
 * Long polls, sized to the free slots. Private to delivery.
 *
 * With several destinations on one queue, what a receive brings may be for one that has no room;
 * that goes back, and costs a receive count. When nothing else has come for a hundred messages,
 * receiving pauses, longer each time, up to a second, or until that destination has room: a backlog
 * of one must not be churned through the queue to look for messages of the others.
 *
 * Idle, one scout polls. Each answer with messages lets more polls run, up to the maximum; each
 * empty one lets one fewer.
 */
#ifndef DELIVERY_RECEIVER_H
#define DELIVERY_RECEIVER_H

#include "base/list.h"
#include "bunshin/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct delivery;

struct receiver {
	struct delivery *delivery;
	unsigned max_polls;
	unsigned allowed; /* 1..max_polls */
	struct list polls;
	unsigned poll_count;
	size_t reserved;   /* messages that the polls under way may bring */
	unsigned failures; /* receives that failed in a row */
	bool connected;	   /* the latest receive worked */
	bool stopped;
	struct clock_timer wake;  /* set while backing off: no poll is started */
	unsigned in_vain;	  /* messages in a row that found no room */
	struct clock_timer scout; /* set while receives bring only those */
	uint64_t scout_pause_us;  /* the latest; 0: they bring what can be used */
};

void receiver_init(struct receiver *receiver, struct delivery *delivery, unsigned max_polls);
/* Starts as many polls as there is room for. */
void receiver_pump(struct receiver *receiver);
/* No more polls are started; those under way may still bring messages. */
void receiver_stop(struct receiver *receiver);
/* Gives up the polls under way. */
void receiver_cancel(struct receiver *receiver);

#endif
