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

struct gather;
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
	bool quota_used_up; /* why the breaker opened last */
	struct limiter limiter;
	bool came, crowding;  /* the latest receive brought something for it; more than it takes */
	bool crowded;	      /* the receives that brought too much last did so for it */
	double in_turn;	      /* put back for want of room, until its turn ... */
	double out_of_turn;   /* ... or for long, and not yet here again ... */
	uint64_t put_back_us; /* ... at this instant */
	uint64_t paused_until_us; /* no token, or a start that failed: nothing is started before */
	uint64_t second;	  /* of the monotonic clock, that `starts` counts */
	unsigned starts, starts_before; /* in that second, in the one before it */
	uint64_t seconds;		/* before that one, without a break, that had starts */
	uint64_t trip_us;		/* mean duration of its attempts; 0: none has ended */
	struct clock_timer wake;	/* nothing else may come that starts what waits */
	struct gather *gather;		/* where requests are for several; else NULL */
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
/* The checks that stand right before every attempt. False: it has been seen to. */
bool lane_may_send(struct message *message, uint64_t now_us);
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
/*
 * More wait than it will get to soon, while other lanes could have their place. With a rate, what
 * it gets to within two seconds may wait: put back, it would hardly be here sooner.
 */
bool lane_is_full(const struct lane *lane);
/*
 * Puts a message back until its turn, behind all that was put back before; for a minute at most. A
 * lane that becomes faster meanwhile does not get what is hidden any sooner.
 */
void lane_crowd_out(struct lane *lane, struct message *message);
/* Pumps it at that instant, unless it is to be pumped earlier. Without memory for that: false. */
bool lane_wake_at(struct lane *lane, uint64_t instant_us);

/* A message could be sent, and nothing is going to: no attempt is out, no timer is set. */
bool lane_is_forgotten(const struct lane *lane);

/* The rate that control sets for the fleet; count 0: none. Nothing that waited for a token of the
 * one before waits any longer than this one says. */
void lane_set_rate(struct lane *lane, uint64_t count, int64_t per_ms);
/* There was a token of each of its rates just now; else *ret_wait_us as rate_take(). */
bool lane_has_token(const struct lane *lane, uint64_t now_us, uint64_t *ret_wait_us);
/* A token of each of its rates. False: there is none; *ret_wait_us as rate_take(). */
bool lane_take_token(struct lane *lane, uint64_t now_us, uint64_t *ret_wait_us);
/* A request that took a token goes out now. */
void lane_depart(const struct lane *lane);

/* Puts everything that waits back. */
void lane_release(struct lane *lane);
/* Gives up every attempt in flight and puts its message back. */
void lane_abandon(struct lane *lane);

#endif
