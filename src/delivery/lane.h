/*
 * One destination: its waiting messages, its slots, and what says how many may be used now: the
 * breaker, the limiter, the rate. Private to delivery.
 */
#ifndef DELIVERY_LANE_H
#define DELIVERY_LANE_H

#include "base/list.h"
#include "base/metrics.h"
#include "bunshin/clock.h"
#include "delivery/breaker.h"
#include "delivery/counts.h"
#include "delivery/delivery.h"
#include "delivery/limiter.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct message;

struct lane {
	struct delivery *delivery;
	char *name;
	struct delivery_destination destination; /* its name: the same */
	struct rate control_rate;		 /* beside the destination's; cell NULL: none */
	struct rate_cell own_cell;		 /* of it, where there is no shared one */
	struct list waiting;			 /* RECEIVED messages */
	size_t waiting_count;
	unsigned sending;
	struct breaker breaker;
	struct limiter limiter;
	bool crowded;		  /* a message found no room since there was room last */
	uint64_t paused_until_us; /* no token, or a start that failed: nothing is started before */
	uint64_t second;	  /* of the monotonic clock, that `starts` counts */
	unsigned starts, starts_before; /* in that second, in the one before it */
	uint64_t trip_us;		/* mean duration of its attempts; 0: none has ended */
	struct clock_timer wake;	/* nothing else may come that starts what waits */
	struct counts counts;
};

/* 0 or ERR_NOMEM, then freed already. */
int lane_init(
	struct lane *lane, struct delivery *delivery, const struct delivery_destination *from);
void lane_free(struct lane *lane);

/* The limiter's limit has changed: its gauge. */
void lane_show_limit(struct lane *lane);
/* The gauges that pass with time. */
void lane_show(struct lane *lane);
/* Starts what may be started. */
void lane_pump(struct lane *lane);
/*
 * How many messages more it can make use of soon. If any, what may be in flight now is added to
 * *total, and to *quantum how many are worth a receive.
 *
 * With few slots, to wait for ten free ones would be a batch barrier, so there an eighth of them is
 * enough. What waits for the tokens of a rate loses nothing by it: half of a second's.
 */
size_t lane_room(struct lane *lane, size_t *total, size_t *quantum);
/* More wait than it will get to soon, while other lanes could have their place. */
bool lane_is_full(const struct lane *lane);
/* Puts a message back until the lane may have got so far. */
void lane_crowd_out(struct lane *lane, struct message *message);
/* Pumps it at that instant, unless it is to be pumped earlier. Without memory for that: false. */
bool lane_wake_at(struct lane *lane, uint64_t instant_us);

/* A message could be sent, and nothing is going to: no attempt is out, no timer is set. */
bool lane_is_forgotten(const struct lane *lane);

/* The rate that control sets for the fleet; count 0: none. Nothing that waited for a token of the
 * one before waits any longer than this one says. */
void lane_set_rate(struct lane *lane, uint64_t count, int64_t per_ms);
/* A token of each of its rates. False: there is none; *ret_wait_us as rate_take(). */
bool lane_take_token(struct lane *lane, uint64_t now_us, uint64_t *ret_wait_us);

/* Puts everything that waits back. */
void lane_release(struct lane *lane);
/* Gives up every attempt in flight and puts its message back. */
void lane_abandon(struct lane *lane);

/*
 * attempt.c: sends a message, or sees to it in another way when the ledger says so. False: none of
 * the lane can be started for now.
 */
bool attempt_start(struct message *message);

#endif
