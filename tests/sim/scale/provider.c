/* One provider for all: its latency, its rate, and what it has accepted. */
#include "scale.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define REJECTION_MIN_US (2 * MS)
#define REJECTION_MAX_US (10 * MS)

/*
 * exp(0.587 z) at every 64th of the normal distribution, in thousandths, so that one in forty is
 * below a third of the median or above three times it: 20 ms to 200 ms around 63 ms. A table, since
 * the last bits of libm's exp() differ between machines.
 */
#define STEPS 64
static const uint16_t log_normal[STEPS + 1] = {210, 282, 335, 374, 406, 435, 461, 486, 509, 531,
	553, 573, 594, 614, 634, 653, 673, 692, 712, 731, 750, 770, 790, 809, 829, 849, 870, 891,
	912, 933, 955, 977, 1000, 1023, 1047, 1072, 1097, 1123, 1150, 1177, 1206, 1236, 1267, 1299,
	1333, 1368, 1405, 1445, 1486, 1530, 1578, 1629, 1684, 1744, 1810, 1883, 1965, 2059, 2169,
	2300, 2462, 2676, 2987, 3544, 4771};

uint64_t provider_mean_us(const struct options *options)
{
	uint64_t twice = 0;

	for (size_t i = 0; i < STEPS; i++)
		twice += log_normal[i] + log_normal[i + 1];
	return options->provider_us * twice / (2000 * STEPS);
}

static uint64_t draw_latency_us(struct world *world)
{
	uint64_t at = world_draw(world, STEPS * 1000), step = at / 1000, part = at % 1000;

	return world->options.provider_us *
	       (log_normal[step] * (1000 - part) + log_normal[step + 1] * part) / 1000000;
}

static void attempt_put(struct target_attempt *attempt)
{
	struct world *world = attempt->worker->world;

	events_clear(&world->events, &attempt->event);
	attempt->worker->out--;
	world->provider.out--;
	attempt->pool_next = world->provider.pool;
	world->provider.pool = attempt;
}

static void accept_one(struct world *world, const struct target_attempt *attempt)
{
	struct provider_side *provider = &world->provider;
	struct mail *mail = &world->mails[attempt->mail];
	struct receipt *receipt = queue_receipt_at(world, attempt->receipt, attempt->serial);

	if (mail->accepted == 0)
		provider->accepted++;
	else
		provider->duplicates++;
	mail->accepted++;
	provider->last_accepted_us = world->now_us;
	if (receipt)
		receipt->accepted = true;
}

static void reject_one(struct world *world, const struct target_attempt *attempt)
{
	struct receipt *receipt = queue_receipt_at(world, attempt->receipt, attempt->serial);

	world->provider.throttled++;
	if (receipt)
		receipt->throttled = true;
}

static void attempt_ended(struct event *event)
{
	struct target_attempt *attempt = list_entry(event, struct target_attempt, event);
	struct target_attempt own = *attempt;
	struct world *world = own.worker->world;
	const struct target_result result = {.status = own.throttled ? 429 : 200,
		.retry_after_ms = -1,
		.reason = "",
		.request_id = "",
		.excerpt = "",
		.duration_us = world->now_us - own.started_us};

	if (own.throttled)
		reject_one(world, attempt);
	else
		accept_one(world, attempt);
	attempt_put(attempt);
	own.done(own.arg, &result);
}

static const struct receipt *check_start(struct worker *worker, const struct queue_message *message)
{
	struct world *world = worker->world;
	struct receipt *receipt = queue_receipt(world, message->receipt_handle);

	if (!receipt || receipt->worker != worker->index || world->now_us >= receipt->visible_us)
		world_broken(
			world, "worker %" PRIu32 " sends what it no longer has", worker->index);
	if (receipt->attempted)
		world_broken(world, "message %" PRIu32 " is sent twice within one receive",
			receipt->mail);
	if (world_wall_ms(world) >= mail_deadline_ms(&world->options, receipt->mail))
		world_broken(world, "message %" PRIu32 " is sent past its deadline", receipt->mail);
	if (worker->out >= world->options.concurrency)
		world_broken(world, "worker %" PRIu32 " has %u attempts out", worker->index,
			worker->out + 1);
	receipt->attempted = true;
	return receipt;
}

static int start(void *impl, const struct target_request *request, target_done *done, void *arg,
	struct target_attempt **ret_attempt)
{
	struct worker *worker = impl;
	struct world *world = worker->world;
	struct provider_side *provider = &world->provider;
	const struct options *options = &world->options;
	const struct receipt *receipt = check_start(worker, request->messages[0]);
	struct target_attempt *attempt = provider->pool;
	uint64_t took_us;

	if (attempt)
		provider->pool = attempt->pool_next;
	else
		attempt = world_alloc(1, sizeof(*attempt));
	*attempt = (struct target_attempt){.event.fire = attempt_ended,
		.worker = worker,
		.receipt = (uint32_t)(receipt - world->queue.receipts),
		.serial = receipt->serial,
		.mail = receipt->mail,
		.started_us = world->now_us,
		.done = done,
		.arg = arg};
	attempt->throttled =
		!per_window_take(&provider->started, world->now_us, options->provider_window_us,
			options->provider_rate * options->provider_window_us / S);
	took_us =
		attempt->throttled
			? REJECTION_MIN_US + world_draw(world, REJECTION_MAX_US - REJECTION_MIN_US)
			: draw_latency_us(world);
	worker->out++;
	provider->attempts++;
	if (++provider->out > provider->out_most)
		provider->out_most = provider->out;
	events_set(&world->events, &attempt->event, world->now_us + took_us);
	request->departs(arg);
	*ret_attempt = attempt;
	return 0;
}

static void cancel(void *impl, struct target_attempt *attempt)
{
	attempt_put(attempt);
}

struct target provider_table(struct worker *worker)
{
	static const struct target_ops ops = {.start = start, .cancel = cancel};

	return (struct target){.ops = &ops, .impl = worker};
}

void provider_close(struct world *world)
{
	struct target_attempt *attempt;

	while ((attempt = world->provider.pool) != NULL) {
		world->provider.pool = attempt->pool_next;
		free(attempt);
	}
}
