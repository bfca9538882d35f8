#include "closed_loop.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define S UINT64_C(1000000)

static void push(struct closed_loop *loop, struct loop_event event)
{
	unsigned i = loop->event_count++;

	assert_true(loop->event_count <= LOOP_EVENTS_MAX);
	for (; i > 0 && loop->events[(i - 1) / 2].at_us > event.at_us; i = (i - 1) / 2)
		loop->events[i] = loop->events[(i - 1) / 2];
	loop->events[i] = event;
}

static struct loop_event pop(struct closed_loop *loop)
{
	struct loop_event first = loop->events[0];
	struct loop_event last = loop->events[--loop->event_count];
	unsigned i = 0, child;

	while ((child = 2 * i + 1) < loop->event_count) {
		if (child + 1 < loop->event_count &&
			loop->events[child + 1].at_us < loop->events[child].at_us)
			child++;
		if (loop->events[child].at_us >= last.at_us)
			break;
		loop->events[i] = loop->events[child];
		i = child;
	}
	loop->events[i] = last;
	return first;
}

/* 0 <= x < 1 */
static double draw(struct closed_loop *loop)
{
	return (double)(random_next(&loop->random) >> 11) / 9007199254740992.0;
}

static bool queue(struct closed_loop *loop, uint64_t service_us, uint64_t *ret_latency_us)
{
	unsigned first = 0;
	uint64_t begin_us;

	for (unsigned i = 1; i < loop->provider.count; i++)
		if (loop->free_at_us[i] < loop->free_at_us[first])
			first = i;
	begin_us = loop->free_at_us[first] > loop->now_us ? loop->free_at_us[first] : loop->now_us;
	loop->free_at_us[first] = begin_us + service_us;
	*ret_latency_us = begin_us + service_us - loop->now_us;
	if (*ret_latency_us <= LOOP_TIMEOUT_US)
		return true;
	*ret_latency_us = LOOP_TIMEOUT_US;
	return false;
}

static bool take_token(struct closed_loop *loop)
{
	const struct provider *provider = &loop->provider;
	double elapsed_us = (double)(loop->now_us - loop->tokens_us);

	if (provider->kind == PROVIDER_BUCKET)
		loop->tokens = fmin(loop->tokens + elapsed_us * provider->count / S,
			fmax(1, provider->count * provider->share));
	else if (loop->now_us / S != loop->tokens_us / S)
		loop->tokens = provider->count;
	loop->tokens_us = loop->now_us;
	if (loop->tokens < 1)
		return false;
	loop->tokens -= 1;
	return true;
}

/* False: rejected. */
static bool serve(struct closed_loop *loop, uint64_t *ret_latency_us)
{
	const struct provider *provider = &loop->provider;
	double latency_us = (double)provider->latency_us * (0.95 + 0.1 * draw(loop));

	*ret_latency_us = (uint64_t)latency_us;
	switch (provider->kind) {
	case PROVIDER_QUEUE:
		return queue(loop, (uint64_t)latency_us, ret_latency_us);
	case PROVIDER_MIX:
		if (draw(loop) < provider->share)
			*ret_latency_us = provider->slow_us;
		return true;
	case PROVIDER_TAIL:
		latency_us = sqrt(-2 * log(1 - draw(loop))) * cos(2 * M_PI * draw(loop));
		*ret_latency_us = (uint64_t)((double)provider->latency_us *
					     exp(provider->share * latency_us));
		return true;
	case PROVIDER_CAP:
		if (loop->serving < provider->count) {
			loop->serving++;
			return true;
		}
		break;
	case PROVIDER_NOISE:
		if (draw(loop) >= provider->share)
			return true;
		break;
	case PROVIDER_BUCKET:
	case PROVIDER_SECOND:
	default:
		if (take_token(loop))
			return true;
		break;
	}
	*ret_latency_us = provider->rejection_us;
	return false;
}

void closed_loop_init(struct closed_loop *loop, const struct provider *provider, unsigned ceiling,
	unsigned workers, uint64_t seed)
{
	*loop = (struct closed_loop){
		.provider = *provider, .workers = workers, .tokens = provider->count};
	random_seed(&loop->random, seed);
	for (unsigned i = 0; i < workers; i++)
		limiter_init(&loop->limiters[i], ceiling, true);
}

/* Starts what is allowed; until when to wait at the latest. */
static uint64_t start(struct closed_loop *loop, unsigned worker)
{
	struct limiter *limiter = &loop->limiters[worker];
	uint64_t network_us = loop->provider.latency_us / 10, wait_us;

	assert_true(limiter->limit >= LIMITER_MIN && limiter->limit <= limiter->ceiling);
	while (loop->in_flight[worker] < limiter_allows(limiter, loop->now_us)) {
		struct loop_event event = {
			.worker = worker, .arrives = true, .started_us = loop->now_us};

		event.at_us = loop->now_us + 1 + (uint64_t)(draw(loop) * (double)network_us);
		push(loop, event);
		limiter_started(limiter, loop->now_us, ++loop->in_flight[worker]);
		assert_true(loop->in_flight[worker] <= limiter->limit + 1);
	}
	wait_us = limiter_wait_us(limiter, loop->now_us);
	if (limiter_allows(limiter, loop->now_us) == 0)
		assert_in_range(wait_us, 1, 5 * S);
	return wait_us > 0 ? loop->now_us + wait_us : UINT64_MAX;
}

struct sums {
	double accepted, rejected, latency_us, limit;
};

static void happen(struct closed_loop *loop, struct sums *sums)
{
	struct loop_event event = pop(loop);
	struct limiter *limiter = &loop->limiters[event.worker];
	uint64_t latency_us;

	if (event.arrives) {
		event.arrives = false;
		event.accepted = serve(loop, &latency_us);
		event.at_us = loop->now_us + 1 + latency_us;
		push(loop, event);
		return;
	}
	if (event.accepted && loop->provider.kind == PROVIDER_CAP)
		loop->serving--;
	loop->in_flight[event.worker]--;
	limiter_ended(limiter, loop->now_us, event.started_us,
		event.accepted ? LIMITER_OK : LIMITER_CROWDED);
	sums->limit += loop->limiters[0].limit;
	if (event.accepted) {
		sums->accepted++;
		sums->latency_us += (double)(loop->now_us - event.started_us);
	} else {
		sums->rejected++;
	}
}

struct loop_result closed_loop_run(struct closed_loop *loop, uint64_t until_us)
{
	struct sums sums = {0};
	double answers, span_us = (double)(until_us - loop->now_us);

	for (;;) {
		uint64_t next_us = UINT64_MAX;

		for (unsigned i = 0; i < loop->workers; i++) {
			uint64_t wake_us = start(loop, i);

			next_us = wake_us < next_us ? wake_us : next_us;
		}
		if (loop->event_count > 0 && loop->events[0].at_us < next_us)
			next_us = loop->events[0].at_us;
		if (next_us >= until_us)
			break;
		loop->now_us = next_us;
		while (loop->event_count > 0 && loop->events[0].at_us == loop->now_us)
			happen(loop, &sums);
	}
	loop->now_us = until_us;
	answers = sums.accepted + sums.rejected;
	return (struct loop_result){.goodput = sums.accepted * S / span_us,
		.rejected = answers > 0 ? sums.rejected / answers : 0,
		.latency_us = sums.accepted > 0 ? sums.latency_us / sums.accepted : 0,
		.limit = answers > 0 ? sums.limit / answers : 0};
}
