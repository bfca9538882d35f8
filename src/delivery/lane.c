#include "delivery/lane.h"

#include "base/random.h"
#include "bunshin/error.h"
#include "delivery/attempt.h"
#include "delivery/core.h"
#include "delivery/gather.h"
#include "delivery/group.h"

#include <stdlib.h>
#include <string.h>

#define SOON_US 20000	     /* a message may wait here for so long */
#define ANSWER_MAX_US 100000 /* of a receive */

#define SECOND_US 1000000ull
#define NS_PER_S 1000000000ull
/* What finds no room waits here when its turn comes so soon, else comes back between these. */
#define BACKLOG_WAIT_US 2000000
#define BACKLOG_MIN_MS 1000
#define BACKLOG_MAX_MS 60000
/*
 * Messages that are hidden until then, of all hosts. They count as in flight, of which SQS allows
 * 120,000 a queue (20,000 of a FIFO queue); what is more comes back within BACKLOG_AGAIN_MS.
 */
#define BACKLOG_MAX 20000
#define BACKLOG_FIFO_MAX 4000
#define BACKLOG_AGAIN_MS 10000
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

static bool has_batches(const struct lane *lane)
{
	return lane->destination.batch_field || lane->destination.batch_records;
}

static int open_counts(struct lane *lane)
{
	/* A name has nothing in it that a label would have to escape (config: OPTION_NAME). */
	int err = counts_open(&lane->counts, lane->delivery->options.metrics, lane->name);

	if (!err && has_batches(lane))
		err = counts_open_recipients(
			&lane->counts, lane->delivery->options.metrics, lane->name);
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
	if (has_batches(lane))
		lane->gather = gather_new();
	if (!lane->name || (has_batches(lane) && !lane->gather) || open_counts(lane)) {
		lane_free(lane);
		return ERR_NOMEM;
	}
	return 0;
}

void lane_free(struct lane *lane)
{
	clock_timer_clear(lane->delivery->clock, &lane->wake);
	gather_free(lane->gather);
	lane->gather = NULL;
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
static struct message *first_of(const struct lane *lane)
{
	list_for_each (node, &lane->waiting) {
		struct message *message = list_entry(node, struct message, node);

		if (group_is_first(message))
			return message;
	}
	return NULL;
}

static struct message *next_of(struct lane *lane)
{
	return lane->gather ? gather_next(lane, clock_monotonic_us(lane->delivery->clock))
			    : first_of(lane);
}

/* What arrived while the breaker opened need not sit here while its visibility runs. */
static void wait_for_probe(struct lane *lane)
{
	/* Nothing else may ever wake the lane: without memory for the timer, probe at once. */
	if (!lane_wake_at(lane, lane->breaker.probe_us))
		lane->breaker.probe_us = clock_monotonic_us(lane->delivery->clock);
	lane_release(lane);
}

bool lane_may_send(struct message *message, uint64_t now_us)
{
	if (hold_cancels(message))
		core_cancel(message);
	else if (clock_wall_epoch_ms(message->delivery->clock) >= message->deadline_epoch_ms)
		core_expire(message);
	else if (!keeper_holds(message, now_us))
		core_lose(message);
	else
		return true;
	return false;
}

void lane_pump(struct lane *lane)
{
	struct delivery *delivery = lane->delivery;
	struct message *message;
	uint64_t now_us;

	while (!delivery->drain && !list_is_empty(&lane->waiting) && !hold_keeps(delivery) &&
		has_slot(lane, now_us = clock_monotonic_us(delivery->clock)) &&
		(message = next_of(lane))) {
		if (lane_may_send(message, now_us) && !attempt_start(message))
			break;
	}
	if (lane->breaker.state == BREAKER_OPEN &&
		allowed(lane, clock_monotonic_us(delivery->clock)) == 0)
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

bool lane_has_token(const struct lane *lane, uint64_t now_us, uint64_t *ret_wait_us)
{
	return rate_has(&lane->control_rate, now_us, ret_wait_us) &&
	       rate_has(&lane->destination.rate, now_us, ret_wait_us);
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

void lane_depart(const struct lane *lane)
{
	uint64_t now_us;

	if (!has_rate(lane))
		return;
	now_us = clock_monotonic_us(lane->delivery->clock);
	rate_depart(&lane->control_rate, now_us);
	rate_depart(&lane->destination.rate, now_us);
}

/*
 * The others of the host draw on the same tokens: what of a rate may fall to this worker in a
 * second, by what did of late, and what may come at once.
 */
static size_t rate_share(const struct lane *lane)
{
	size_t burst =
		at_most(rate_burst(&lane->destination.rate), rate_burst(&lane->control_rate));
	size_t starts = at_least(lane->starts, lane->starts_before);

	return at_least(2 * (starts + burst), QUEUE_BATCH_MAX);
}

/* Messages that a rate lets through within that time, as far as they fall to this worker. */
static size_t rate_room(const struct lane *lane, uint64_t now_us, uint64_t horizon_us)
{
	return at_most(at_most(rate_within(&lane->destination.rate, now_us, horizon_us),
			       rate_within(&lane->control_rate, now_us, horizon_us)),
		rate_share(lane) * (horizon_us / SECOND_US));
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

/* Messages of one request. */
static size_t messages_each(const struct lane *lane)
{
	return lane->gather ? gather_per_request(lane) : 1;
}

/* With a rate, tokens are what is waited for, and what they soon let through may wait here. */
static size_t rated_room(const struct lane *lane, uint64_t now_us)
{
	size_t most = lane->destination.concurrency, batch;

	most += taken_soon(lane, most, &batch);
	return at_most(most - lane->sending, rate_room(lane, now_us, SECOND_US));
}

size_t lane_room(struct lane *lane, size_t *total, size_t *quantum)
{
	uint64_t now_us = clock_monotonic_us(lane->delivery->clock);
	size_t limit = allowed(lane, now_us), batch;
	size_t soon = taken_soon(lane, limit, &batch);
	size_t room = limit + soon > lane->sending ? limit + soon - lane->sending : 0;
	size_t step = at_least(limit / 8, batch), each = messages_each(lane);

	if (has_rate(lane) && limit > 0) {
		room = rated_room(lane, now_us);
		limit = lane->sending + room;
		/* There was no token for the latest: more than slots wait for them. */
		step = now_us < lane->paused_until_us ? room / 2 : limit / 8;
	}
	/* A slow rate, or a limit below one: the next may wait here for its turn, a probe too. */
	if (room == 0 && lane->sending == 0 && lane->breaker.state != BREAKER_OPEN)
		room = 1;
	if (lane->gather && !has_rate(lane) && lane->breaker.state == BREAKER_CLOSED)
		room += gather_ahead(lane, limit);
	/* From requests to messages. */
	if (room * each <= lane->waiting_count)
		return 0;
	*total += (limit > 0 ? limit : room) * each;
	*quantum += step * each;
	return room * each - lane->waiting_count;
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

/* Between two starts, as things are. */
static double each_us(const struct lane *lane)
{
	double slots_us = (double)trip_us(lane) / lane->limiter.limit;
	uint64_t own_ns = lane->destination.rate.interval_ns;
	uint64_t control_ns = lane->control_rate.interval_ns;
	double rate_us = (double)(own_ns > control_ns ? own_ns : control_ns) / 1000;

	/* Of its share nothing is known before a whole second: the first had a beginning. */
	if (rate_us > 0 && lane->seconds >= 2 && rate_us < (double)SECOND_US / rate_share(lane))
		rate_us = (double)SECOND_US / rate_share(lane);
	return (slots_us > rate_us ? slots_us : rate_us) / (double)messages_each(lane);
}

/* What of those that were put back has not come back, as far as it was told when to. */
static void count_put_back(struct lane *lane, double each)
{
	uint64_t now_us = clock_monotonic_us(lane->delivery->clock);
	double elapsed_us = (double)(now_us - lane->put_back_us);

	lane->put_back_us = now_us;
	lane->in_turn = each > 0 ? lane->in_turn - elapsed_us / each : 0;
	/* By and by, after three quarters of the longest delay in the mean. */
	lane->out_of_turn -= lane->out_of_turn * elapsed_us / (BACKLOG_MAX_MS * 750.0);
	lane->in_turn = lane->in_turn > 0 ? lane->in_turn : 0;
	lane->out_of_turn = lane->out_of_turn > 0 ? lane->out_of_turn : 0;
}

static double put_back_max(const struct delivery *delivery)
{
	unsigned hosts = delivery->options.fleet_hosts;

	return (delivery->options.fifo ? BACKLOG_FIFO_MAX : BACKLOG_MAX) / (hosts > 0 ? hosts : 1);
}

/*
 * Until its turn comes, behind what waits here and what was put back before it: they come back one
 * by one as the lane gets to them, not all at once to find no room again. Who is too far behind to
 * be given a turn asks again later.
 */
static int64_t take_turn(struct lane *lane)
{
	uint64_t random = clock_random(lane->delivery->clock);
	double each = each_us(lane), ms;

	count_put_back(lane, each);
	if (lane->in_turn + lane->out_of_turn >= put_back_max(lane->delivery))
		return BACKLOG_AGAIN_MS / 2 + (int64_t)random_below(random, BACKLOG_AGAIN_MS / 2);
	ms = ((double)lane->waiting_count + lane->in_turn) * each / 1000;
	if (ms > BACKLOG_MAX_MS) {
		lane->out_of_turn++;
		return BACKLOG_MAX_MS / 2 + (int64_t)random_below(random, BACKLOG_MAX_MS / 2);
	}
	lane->in_turn++;
	/* In whole seconds, as visibility is: rather before its turn, or slots would wait for it.
	 */
	return ms < 2 * BACKLOG_MIN_MS ? BACKLOG_MIN_MS : (int64_t)(ms / 1000) * 1000;
}

void lane_crowd_out(struct lane *lane, struct message *message)
{
	int64_t open_ms =
		breaker_remaining_ms(&lane->breaker, clock_monotonic_us(lane->delivery->clock));

	core_count(message, COUNT_CROWDED);
	lane->crowding = true;
	core_return(message, open_ms ? open_ms : take_turn(lane));
}

bool lane_is_full(const struct lane *lane)
{
	size_t most = lane->destination.concurrency, batch, soon;

	/* Alone, it holds nothing up: what it has no use for is not even received. */
	if (lane->delivery->lane_count == 1)
		return false;
	/* What was asked for ahead of time may come on top of a receive that others had room for.
	 */
	soon = taken_soon(lane, most, &batch);
	if (soon > 0)
		most += soon + QUEUE_BATCH_MAX;
	if (lane->breaker.state == BREAKER_OPEN)
		return true;
	if (has_rate(lane))
		most = at_most(most, rate_room(lane, clock_monotonic_us(lane->delivery->clock),
					     BACKLOG_WAIT_US));
	return lane->waiting_count >
	       (most > QUEUE_BATCH_MAX ? most : QUEUE_BATCH_MAX) * messages_each(lane);
}

bool lane_is_forgotten(const struct lane *lane)
{
	if (lane->sending > 0 || clock_timer_is_set(&lane->wake))
		return false;
	return lane->gather ? !list_is_empty(&lane->waiting) : first_of(lane) != NULL;
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
		if (message->attempt)
			target.ops->cancel(target.impl, message->attempt);
		message->attempt = NULL;
		core_unclaim(message);
		core_give_up(message);
	}
}
