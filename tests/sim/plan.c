#include "plan.h"

#include "chance.h"

#include <stdio.h>

#define STREAM_PLAN 10
#define STREAM_DESTINATION 11

/* A visibility far longer than any attempt, or so short that extensions never end. */
static void draw_queue(struct plan *plan, struct chance *chance)
{
	plan->fifo = chance_hits(chance, 300);
	plan->groups = (unsigned)CHANCE_ONE(chance, 1, 5, 50, 400);
	if (!plan->fifo && chance_hits(chance, 800))
		plan->groups = 0;
	plan->visibility_s = (unsigned)CHANCE_ONE(chance, 2, 5, 10, 30, 30, 60, 300, 3600, 43200);
	plan->wait_s = (unsigned)CHANCE_ONE(chance, 1, 5, 20, 20, 20);
	plan->receivers = (unsigned)chance_draw(chance, 9);
	plan->held_bytes = chance_hits(chance, 150) ? 200 + chance_draw(chance, 5000) : SIZE_MAX;
	plan->failure_queue = chance_hits(chance, 750);
	plan->failure_fifo = chance_hits(chance, 300);
	plan->redrive = chance_hits(chance, 250) ? (unsigned)CHANCE_ONE(chance, 2, 5, 20) : 0;
	plan->in_flight_limit =
		chance_hits(chance, 150) ? (size_t)CHANCE_ONE(chance, 10, 50, 300) : 120000;
	plan->stale_is_told = chance_hits(chance, 500);
	plan->queue_us = CHANCE_ONE(chance, 200, 2 * MS, 2 * MS, 10 * MS, 60 * MS, 300 * MS);
}

static void draw_fleet(struct plan *plan, struct chance *chance)
{
	plan->workers = 1 + (unsigned)chance_draw(chance, PLAN_WORKERS_MAX);
	plan->hosts = plan->workers > 1 && chance_hits(chance, 400) ? 2 : 1;
	plan->grace_ms = (int64_t)CHANCE_ONE(chance, 0, 1, 500, 3000, 10000, 30000, 30000);
	plan->ledger = chance_hits(chance, 150)	 ? PLAN_NO_LEDGER
		       : chance_hits(chance, 60) ? PLAN_TINY_LEDGER
						 : PLAN_LEDGER;
	plan->window_ms = (int64_t)CHANCE_ONE(chance, 60000, 3600000, 3600000, 86400000);
	plan->put_us = CHANCE_ONE(chance, 0, S, 20 * S, 120 * S);
	plan->storm_us = plan->put_us + CHANCE_ONE(chance, 2 * S, 20 * S, 60 * S, 300 * S);
}

static void draw_destination(struct plan *plan, unsigned i, struct faults *faults)
{
	struct chance row = chance_of(plan->seed, STREAM_DESTINATION, i), *chance = &row;
	struct plan_destination *d = &plan->destination[i];

	snprintf(d->name, sizeof(d->name), "lane%u", i);
	d->concurrency = 1 + (unsigned)chance_draw(chance, CHANCE_ONE(chance, 1, 8, 40, 120));
	d->adaptive = chance_hits(chance, 300);
	d->rate = chance_hits(chance, 350) ? CHANCE_ONE(chance, 3, 20, 100, 1000) : 0;
	d->rate_per_ms = 1000;
	d->breaker_failures = (unsigned)CHANCE_ONE(chance, 0, 0, 3, 20);
	d->attempt_max_ms = (int64_t)CHANCE_ONE(chance, 200, 1000, 10000, 30000);
	d->max_attempts = (unsigned)CHANCE_ONE(chance, 1, 3, 10, 10, 100);
	d->backoff.base_ms = (int64_t)CHANCE_ONE(chance, 1, 200, 1000, 5000);
	d->backoff.cap_ms = (int64_t)CHANCE_ONE(chance, 5000, 60000, 300000);
	d->backoff.jitter = chance_hits(chance, 300) ? BACKOFF_DECORRELATED : BACKOFF_FULL;
	d->looks = chance_hits(chance, 400);
	d->remembers = chance_hits(chance, 200);
	d->retry_after = chance_hits(chance, 500);
	d->latency = (enum latency_kind)chance_draw(chance, LATENCY_TWO_PEAKS + 1);
	d->latency_us = CHANCE_ONE(chance, 500, 5 * MS, 50 * MS, 50 * MS, 300 * MS);
	if (d->latency_us > (uint64_t)d->attempt_max_ms * MS / 4)
		d->latency_us = (uint64_t)d->attempt_max_ms * MS / 4;
	if (chance_hits(chance, 200) && fault_happens(faults, PROVIDER_LIMIT, i))
		d->limit_per_s = CHANCE_ONE(chance, 5, 50, 500);
	if (plan->destinations > 1 && i == 0 && chance_hits(chance, 250))
		d->dead = fault_happens(faults, PROVIDER_DEAD, i);
}

/* Far beyond what any honest end takes: the 12 hours that a message may be put back for, then
 * whatever the slowest destination needs for all of them. */
static uint64_t limit_us(const struct plan *plan)
{
	uint64_t slowest_us = 0;

	for (unsigned i = 0; i < plan->destinations; i++) {
		const struct plan_destination *d = &plan->destination[i];
		uint64_t each_us = d->latency_us * 4 + 2 * plan->queue_us;

		if (d->rate && each_us < 2 * S / d->rate)
			each_us = 2 * S / d->rate;
		if (d->limit_per_s && each_us < 4 * S / d->limit_per_s)
			each_us = 4 * S / d->limit_per_s;
		if (slowest_us < each_us)
			slowest_us = each_us;
	}
	return plan->storm_us + 20 * HOUR + slowest_us * plan->messages * 4;
}

/* Few events in a long time: what lasts 12 hours is not to cost as much. */
static void make_night(struct plan *plan, struct chance *chance)
{
	struct plan_destination *d = &plan->destination[0];

	plan->visibility_s = (unsigned)CHANCE_ONE(chance, 300, 3600, 43200);
	plan->wait_s = 20;
	plan->in_flight_limit = 120000;
	plan->held_bytes = SIZE_MAX;
	plan->night_us = plan->storm_us + 14 * HOUR;
	d->trickles = true;
	d->rate = 1;
	d->rate_per_ms = 3600000;
	d->dead = false;
}

void plan_draw(struct plan *plan, uint64_t seed, size_t messages, struct faults *faults)
{
	struct chance chance = chance_of(seed, STREAM_PLAN, 0);

	*plan = (struct plan){.seed = seed, .messages = messages};
	draw_queue(plan, &chance);
	draw_fleet(plan, &chance);
	plan->destinations = 1 + (unsigned)chance_draw(&chance, PLAN_DESTINATIONS_MAX);
	for (unsigned i = 0; i < plan->destinations; i++)
		draw_destination(plan, i, faults);
	/* The last takes what no other wants, but for once in a while, when nobody does. */
	for (unsigned i = 0; i < plan->destinations; i++)
		plan->destination[i].routes =
			chance_hits(&chance, i + 1 < plan->destinations ? 600 : 100);
	plan->limit_us = limit_us(plan);
	if (plan->destinations > 1 && chance_hits(&chance, 30))
		make_night(plan, &chance);
}
