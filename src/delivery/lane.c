#include "delivery/lane.h"

#include "base/random.h"
#include "bunshin/error.h"
#include "delivery/core.h"
#include "delivery/group.h"

#include <stdlib.h>
#include <string.h>

#define SOON_US 20000	     /* a message may wait here for so long */
#define ANSWER_MAX_US 100000 /* of a receive */

#define SECOND_US 1000000ull
#define NS_PER_S 1000000000ull
/* What finds no room comes back between these. */
#define BACKLOG_MIN_MS 1000
#define BACKLOG_MAX_MS 60000
#define REIN_TRIES 100

static void wake_fired(struct clock_timer *timer)
{
	struct lane *lane = list_entry(timer, struct lane, wake);

	lane_pump(lane);
	core_advance(lane->delivery);
}

void lane_show_limit(struct lane *lane)
{
	gauge_set(lane->counts.limit, (int64_t)(lane->limiter.limit + 0.5));
}

/* Thousandths of attempts a second that both rates let through; 0: there is none. */
static int64_t rate_thousandths(const struct lane *lane)
{
	uint64_t own_ns = lane->destination.rate.cell ? lane->destination.rate.interval_ns : 0;
	uint64_t control_ns = lane->control_rate.cell ? lane->control_rate.interval_ns : 0;
	uint64_t interval_ns = own_ns > control_ns ? own_ns : control_ns;

	return interval_ns > 0 ? (int64_t)(1000 * NS_PER_S / interval_ns) : 0;
}

void lane_show(struct lane *lane)
{
	gauge_set(lane->counts.sending, lane->sending);
	gauge_set(lane->counts.waiting, (int64_t)lane->waiting_count);
	gauge_set(lane->counts.rate, rate_thousandths(lane));
}

static int open_counts(struct lane *lane)
{
	/* A name has nothing in it that a label would have to escape (config: OPTION_NAME). */
	int err = counts_open(&lane->counts, lane->delivery->options.metrics, lane->name);

	if (err)
		return err;
	gauge_set(lane->counts.configured, lane->destination.concurrency);
	lane_show_limit(lane);
	lane_show(lane);
	return 0;
}

int lane_init(struct lane *lane, struct delivery *delivery, const struct delivery_destination *from)
{
	*lane = (struct lane){.delivery = delivery, .destination = *from};
	list_init(&lane->waiting);
	breaker_init(&lane->breaker, from->breaker_failures);
	limiter_init(&lane->limiter, from->concurrency, from->adaptive);
	lane->wake.fire = wake_fired;
	lane->destination.name = lane->name = strdup(from->name);
	if (!lane->name || open_counts(lane)) {
		lane_free(lane);
		return ERR_NOMEM;
	}
	return 0;
}

void lane_free(struct lane *lane)
{
	clock_timer_clear(lane->delivery->clock, &lane->wake);
	free(lane->name);
	lane->name = NULL;
}

bool lane_wake_at(struct lane *lane, uint64_t instant_us)
{
	if (clock_timer_is_set(&lane->wake) && lane->wake.due_us <= instant_us)
		return true;
	return clock_timer_set(lane->delivery->clock, &lane->wake, instant_us) == 0;
}

/* Attempts that breaker and limiter allow at once. */
static unsigned allowed(struct lane *lane, uint64_t now_us)
{
	return breaker_allows(&lane->breaker, now_us, limiter_allows(&lane->limiter, now_us));
}

/* False: nothing can start now; what will change that has been seen to. */
static bool has_slot(struct lane *lane, uint64_t now_us)
{
	uint64_t wait_us;

	if (now_us < lane->paused_until_us) {
		if (!lane_wake_at(lane, lane->paused_until_us))
			lane_release(lane); /* nothing else may ever wake it */
		return false;
	}
	if (lane->sending < allowed(lane, now_us))
		return true;
	/* The limit may grow by itself, without an answer that would pump the lane. */
	wait_us = limiter_wait_us(&lane->limiter, now_us);
	if (wait_us && !lane_wake_at(lane, now_us + wait_us) && lane->sending == 0)
		lane_release(lane);
	return false;
}

/* The first that waits for nothing but a slot; NULL: none. */
static struct message *next_of(const struct lane *lane)
{
	list_for_each (node, &lane->waiting) {
		struct message *message = list_entry(node, struct message, node);

		if (group_is_first(message))
			return message;
	}
	return NULL;
}

/* What arrived while the breaker opened need not sit here while its visibility runs. */
static void wait_for_probe(struct lane *lane)
{
	/* Nothing else may ever wake the lane: without memory for the timer, probe at once. */
	if (!lane_wake_at(lane, lane->breaker.probe_us))
		lane->breaker.probe_us = clock_monotonic_us(lane->delivery->clock);
	lane_release(lane);
}

void lane_pump(struct lane *lane)
{
	struct delivery *delivery = lane->delivery;
	struct message *message;

	while (!delivery->drain && !list_is_empty(&lane->waiting) && !hold_keeps(delivery) &&
		has_slot(lane, clock_monotonic_us(delivery->clock)) && (message = next_of(lane))) {
		uint64_t now_us = clock_monotonic_us(delivery->clock);

		/* The checks that stand right before every attempt. */
		if (hold_cancels(message))
			core_cancel(message);
		else if (clock_wall_epoch_ms(delivery->clock) >= message->deadline_epoch_ms)
			core_expire(message);
		else if (!keeper_holds(message, now_us))
			core_lose(message);
		else if (!attempt_start(message))
			break;
	}
	if (allowed(lane, clock_monotonic_us(delivery->clock)) == 0 &&
		lane->breaker.state == BREAKER_OPEN)
		wait_for_probe(lane);
}

static size_t at_most(size_t value, size_t limit)
{
	return value < limit ? value : limit;
}

static size_t at_least(size_t value, size_t limit)
{
	return value > limit ? value : limit;
}

static bool has_rate(const struct lane *lane)
{
	return lane->destination.rate.cell || lane->control_rate.cell;
}

/* Whoever takes tokens just now makes it begin anew, which so many in a row do not. */
static void rein_in(const struct lane *lane)
{
	for (int tries = 0; tries < REIN_TRIES; tries++) {
		uint64_t arrival_ns = rate_arrival_ns(&lane->control_rate);
		uint64_t now_us = clock_monotonic_us(lane->delivery->clock);

		if (rate_rein(&lane->control_rate, arrival_ns, now_us))
			return;
	}
}

void lane_set_rate(struct lane *lane, uint64_t count, int64_t per_ms)
{
	unsigned hosts = lane->delivery->options.fleet_hosts;
	struct rate_cell *cell = lane->destination.control_cell;

	lane->control_rate = (struct rate){.cell = NULL};
	if (count > 0)
		lane->control_rate = rate_make(
			cell ? cell : &lane->own_cell, count, per_ms, hosts > 0 ? hosts : 1);
	rein_in(lane);
	lane->paused_until_us = 0;
}

bool lane_take_token(struct lane *lane, uint64_t now_us, uint64_t *ret_wait_us)
{
	const struct rate *own = &lane->destination.rate;

	/* A token of the one is lost when the other has none, which is thus looked at first. */
	if (lane->control_rate.cell && !rate_has(own, now_us, ret_wait_us))
		return false;
	return rate_take(&lane->control_rate, now_us, ret_wait_us) &&
	       rate_take(own, now_us, ret_wait_us);
}

/*
 * Messages that a rate lets through in the next second, as far as they fall to this worker: the
 * others of the host draw on the same tokens, so its own share of late says how many.
 */
static size_t rate_room(const struct lane *lane, uint64_t now_us)
{
	uint64_t share = lane->starts > lane->starts_before ? lane->starts : lane->starts_before;

	return at_most(at_most(rate_within(&lane->destination.rate, now_us, SECOND_US),
			       rate_within(&lane->control_rate, now_us, SECOND_US)),
		2 * share > QUEUE_BATCH_MAX ? 2 * share : QUEUE_BATCH_MAX);
}

/*
 * What the slots take before a receive is answered: asked for only when they are free, they would
 * be idle meanwhile, 15 ms of 90 when the provider takes 75.
 */
static size_t taken_meanwhile(const struct lane *lane, size_t limit)
{
	const struct latency *queue = &lane->delivery->latency;
	uint64_t answer_us = queue->mean_us + queue->deviation_us;

	return limit * at_most(answer_us, ANSWER_MAX_US) / lane->trip_us;
}

/*
 * Messages beyond the free slots that are worth asking for, at most as many as there are slots, and
 * a batch; *ret_batch: how many make a receive. What comes waits here for SOON_US at most: so long,
 * ten slots that become free one by one wait for one receive, and a provider that answers in a
 * millisecond gets along with few slots, where a receive for each would cost a request a message.
 */
static size_t taken_soon(const struct lane *lane, size_t limit, size_t *ret_batch)
{
	size_t turns, batch;

	*ret_batch = 0;
	/* Half open, the breaker lets one through at a time. */
	if (lane->breaker.state != BREAKER_CLOSED || lane->trip_us == 0 || limit == 0)
		return 0;
	batch = at_most(limit * SOON_US / lane->trip_us, QUEUE_BATCH_MAX);
	turns = at_most(limit * (SOON_US / lane->trip_us), lane->destination.concurrency - limit);
	*ret_batch = batch;
	return at_least(turns,
		       at_most(taken_meanwhile(lane, limit), lane->destination.concurrency)) +
	       (batch > 0 ? batch - 1 : 0);
}

size_t lane_room(struct lane *lane, size_t *total, size_t *quantum)
{
	uint64_t now_us = clock_monotonic_us(lane->delivery->clock);
	size_t limit = allowed(lane, now_us), batch;
	size_t soon = taken_soon(lane, limit, &batch);
	size_t room = limit + soon > lane->sending ? limit + soon - lane->sending : 0;
	size_t step = at_least(limit / 8, batch);

	/* With a rate, tokens are what is waited for, and what they soon let through may wait here.
	 */
	if (has_rate(lane) && limit > 0) {
		room = at_most(lane->destination.concurrency + soon - lane->sending,
			rate_room(lane, now_us));
		limit = lane->sending + room;
		/* There was no token for the latest: more than slots wait for them. */
		step = now_us < lane->paused_until_us ? room / 2 : limit / 8;
	}
	/* A slow rate, or a limit below one: the next may wait here for its turn, a probe too. */
	if (room == 0 && lane->sending == 0 && lane->breaker.state != BREAKER_OPEN)
		room = 1;
	if (room <= lane->waiting_count)
		return 0;
	*total += limit > 0 ? limit : room;
	*quantum += step;
	lane->crowded = false;
	return room - lane->waiting_count;
}

/* How long one takes: the mean of late, or longer, when the oldest in flight already has. */
static uint64_t trip_us(const struct lane *lane)
{
	uint64_t now_us = clock_monotonic_us(lane->delivery->clock);

	list_for_each (node, &lane->delivery->states[MESSAGE_SENDING]) {
		const struct message *message = list_entry(node, struct message, node);

		if (message->lane == lane && now_us - message->attempt_us > lane->trip_us)
			return now_us - message->attempt_us;
		if (message->lane == lane)
			break; /* the list is in the order of their starts */
	}
	return lane->trip_us;
}

/* Until it has worked off what waits, roughly, with jitter. */
static int64_t backlog_ms(const struct lane *lane)
{
	double each_us = (double)trip_us(lane) / lane->limiter.limit;
	uint64_t own_ns = lane->destination.rate.interval_ns;
	uint64_t interval_ns = lane->control_rate.interval_ns;
	double interval_us = (double)(own_ns > interval_ns ? own_ns : interval_ns) / 1000;
	double ms = (double)lane->waiting_count * (each_us > interval_us ? each_us : interval_us) /
		    1000;
	int64_t bound = ms > BACKLOG_MAX_MS   ? BACKLOG_MAX_MS
			: ms < BACKLOG_MIN_MS ? BACKLOG_MIN_MS
					      : (int64_t)ms;

	return bound / 2 +
	       (int64_t)random_below(clock_random(lane->delivery->clock), (uint64_t)bound);
}

void lane_crowd_out(struct lane *lane, struct message *message)
{
	int64_t open_ms =
		breaker_remaining_ms(&lane->breaker, clock_monotonic_us(lane->delivery->clock));

	core_count(message, COUNT_CROWDED);
	lane->crowded = true;
	core_return(message, open_ms ? open_ms : backlog_ms(lane));
}

bool lane_is_full(const struct lane *lane)
{
	uint64_t now_us = clock_monotonic_us(lane->delivery->clock);
	size_t most = lane->destination.concurrency, batch;
	size_t soon = taken_soon(lane, most, &batch);

	/* What was asked for ahead of time may come on top of a receive that others had room for.
	 */
	if (soon > 0)
		most += soon + QUEUE_BATCH_MAX;
	/* Alone, it holds nothing up: what it has no use for is not even received. */
	if (lane->delivery->lane_count == 1)
		return false;
	if (lane->breaker.state == BREAKER_OPEN)
		return true;
	if (has_rate(lane))
		most = at_most(most, rate_room(lane, now_us));
	return lane->waiting_count > (most > QUEUE_BATCH_MAX ? most : QUEUE_BATCH_MAX);
}

bool lane_is_forgotten(const struct lane *lane)
{
	return lane->sending == 0 && !clock_timer_is_set(&lane->wake) && next_of(lane) != NULL;
}

void lane_release(struct lane *lane)
{
	int64_t delay_ms = 0;

	if (!lane->delivery->drain)
		delay_ms = breaker_remaining_ms(
			&lane->breaker, clock_monotonic_us(lane->delivery->clock));
	if (!lane->delivery->drain && lane->delivery->hold.control.paused &&
		delay_ms < DELIVERY_PAUSE_MS)
		delay_ms = DELIVERY_PAUSE_MS;
	while (!list_is_empty(&lane->waiting))
		core_return(list_entry(list_first(&lane->waiting), struct message, node), delay_ms);
}

void lane_abandon(struct lane *lane)
{
	struct target target = lane->destination.target;

	list_for_each_safe (node, &lane->delivery->states[MESSAGE_SENDING]) {
		struct message *message = list_entry(node, struct message, node);

		if (message->lane != lane)
			continue;
		target.ops->cancel(target.impl, message->attempt);
		message->attempt = NULL;
		core_unclaim(message);
		core_give_up(message);
	}
}
