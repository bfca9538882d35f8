/*
 * Long polls, sized to the free slots and to the memory left. Private to delivery.
 *
 * Idle, one scout polls and the other pollers are parked: an empty queue costs three requests a
 * minute. The first message after that wakes all of them, and so does every full answer. A thin
 * answer (less than half of what was asked for) or an empty one parks one: polls that come back
 * with a message or two cost as much as full ones.
 *
 * What a poll may bring is counted in bytes before it is started, at the size that messages had
 * lately; the first poll of all, whose messages may have any size, is alone.
 *
 * With several destinations on one queue, what a receive brings may be for one that has no room;
 * that goes back, and costs a receive count. When a hundred messages have gone back since a receive
 * brought something for another, that one alone is received for, by its own room, for a pause that
 * is longer each time, up to a second: a backlog of one must not be churned through the queue to
 * look for messages of the others.
 *
 * A receive has a deadline of its own below this layer. One that has not ended long after it (four
 * times its wait and 30 s) never will: it is given up, told of, and begun anew.
 */
#ifndef DELIVERY_RECEIVER_H
#define DELIVERY_RECEIVER_H

#include "base/list.h"
#include "base/metrics.h"
#include "bunshin/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct delivery;
struct poller;

/* full: as many as were asked for. */
enum receiver_result { RECEIVED_FULL, RECEIVED_PART, RECEIVED_EMPTY, RECEIVED_FAILED };
#define RECEIVER_RESULTS (RECEIVED_FAILED + 1)

struct receiver {
	struct delivery *delivery;
	struct poller *pollers; /* max_polls of them */
	unsigned max_polls;
	unsigned allowed;    /* 1..max_polls: the others are parked */
	bool idle;	     /* the latest answer was empty */
	struct list polling; /* pollers whose poll is out */
	struct list parked;
	unsigned poll_count;
	struct counter *results[RECEIVER_RESULTS];
	uint64_t answered_polls;
	uint64_t full_polls;  /* of them, those that brought as many as were asked for */
	size_t reserved;      /* messages that the polls under way may bring */
	size_t message_bytes; /* of one message, as they come lately; 0: none has come */
	unsigned failures;    /* receives that failed in a row */
	bool connected;	      /* the latest receive worked */
	bool deletes_denied;  /* the latest delete was: what is received would be sent in vain */
	bool stopped;
	struct clock_timer wake;  /* set while backing off: no poll is started */
	unsigned in_vain;	  /* messages without room since others came, or the latest pause */
	struct clock_timer scout; /* set while only crowded lanes are received for */
	uint64_t scout_pause_us;  /* the latest; 0: messages of others came since */
};

/* 0 or ERR_NOMEM; receiver_free() is needed after either. */
int receiver_init(struct receiver *receiver, struct delivery *delivery, unsigned max_polls);
void receiver_free(struct receiver *receiver);
/* The metrics of each poller; 0 or ERR_NOMEM. */
int receiver_open_metrics(struct receiver *receiver, struct metrics *metrics);
/* Brings them up to date. */
void receiver_show(struct receiver *receiver);
/* Starts as many polls as there is room for. */
void receiver_pump(struct receiver *receiver);
/*
 * A delete was refused for want of permission, or (false) one worked. While they are refused, each
 * receive is followed by a pause that grows to 20 s: what is sent is sent again when its visibility
 * ends.
 */
void receiver_deletes_denied(struct receiver *receiver, bool denied);
/* No more polls are started; those under way may still bring messages. */
void receiver_stop(struct receiver *receiver);
/* No poll is out, and nothing is going to start one but what frees a slot. */
bool receiver_is_forgotten(const struct receiver *receiver);
/* Gives up the polls under way. */
void receiver_cancel(struct receiver *receiver);

#endif
