/* The workers: a core each, with a clock of its own; and what those of a host share. */
#include "base/random.h"
#include "delivery/core.h"
#include "scale.h"

#include <malloc.h>
#include <stdlib.h>

#define ATTEMPT_MAX_MS 10000
#define WINDOW_MS 3600000
#define GRACE_MS 30000
/* Seldom are more than these throttled in a row; what has no attempts left would be left over. */
#define ATTEMPTS_MAX 1000

/* ---- the clock table */

static uint64_t monotonic_us(void *impl)
{
	return ((const struct worker *)impl)->world->now_us;
}

static int64_t wall_epoch_ms(void *impl)
{
	return world_wall_ms(((const struct worker *)impl)->world);
}

static uint64_t next_random(void *impl)
{
	return random_split_mix(&((struct worker *)impl)->random);
}

/* A loop's timers have whole milliseconds: those of several workers fire in any order. */
static int timer_set(void *impl, struct clock_timer *timer, uint64_t due_us)
{
	struct worker *worker = impl;

	return timer_heap_set(&worker->world->timers, timer,
		due_us + random_below(random_split_mix(&worker->lag), MS));
}

static void timer_clear(void *impl, struct clock_timer *timer)
{
	timer_heap_clear(&((struct worker *)impl)->world->timers, timer);
}

static const struct clock_ops clock_ops = {.monotonic_us = monotonic_us,
	.wall_epoch_ms = wall_epoch_ms,
	.random = next_random,
	.timer_set = timer_set,
	.timer_clear = timer_clear};

/* ---- a host */

static void open_file(
	struct mapped_file *file, size_t bytes, const struct mapped_file_kind *kind, void *arg)
{
	if (mapped_file_anonymous(bytes, kind, arg, file))
		abort();
}

static void host_open(struct host *host, const struct world *world)
{
	const struct options *options = &world->options;
	/* Twice the keys that come to it, and some. */
	size_t bytes = LEDGER_BYTES_MIN +
		       (options->messages / world->host_count + 1000) * 2 * LEDGER_SLOT_BYTES;
	uint8_t key[16] = {0};

	open_file(&host->ledger, bytes, &ledger_file, key);
	open_file(&host->rates, RATE_FILE_BYTES, &rate_file, NULL);
	if (options->rate)
		host->rate =
			rate_make(rate_cell_of(host->rates.memory, host->rates.bytes, "provider"),
				options->rate, 1000, world->host_count);
}

/* ---- a worker */

static void worker_new(struct worker *worker)
{
	static const struct status_range ok[] = {{200, 299}};
	const struct options *options = &worker->world->options;
	struct host *host = worker->host;
	const struct delivery_destination destination = {.name = "provider",
		.target = provider_table(worker),
		.attempt_max_ms = ATTEMPT_MAX_MS,
		.concurrency = options->concurrency,
		.adaptive = options->adaptive,
		.rate = host->rate,
		.breaker_failures = 0,
		.outcomes.sets[OUTCOME_ACCEPTED] = {ok, 1},
		.max_attempts = ATTEMPTS_MAX,
		.backoff = {.base_ms = 1000, .cap_ms = 300000}};
	struct delivery_options delivery = {.clock = {.ops = &clock_ops, .impl = worker},
		.queue = queue_table(worker),
		.destinations = &destination,
		.destination_count = 1,
		.wait_s = options->wait_s,
		.visibility_s = options->visibility_s,
		.held_bytes = (size_t)256 << 20,
		.ledger = &worker->ledger,
		.fleet_hosts = worker->world->host_count,
		.grace_ms = GRACE_MS};

	worker->metrics = delivery.metrics = metrics_new();
	if (!worker->metrics ||
		ledger_attach(
			host->ledger.memory, host->ledger.bytes, WINDOW_MS, &worker->ledger) ||
		delivery_new(&delivery, &worker->delivery))
		abort();
}

static void start(struct event *event)
{
	delivery_start(list_entry(event, struct worker, start)->delivery);
}

void workers_open(struct world *world)
{
	const struct options *options = &world->options;
	size_t memory;

	world->host_count =
		(options->workers + options->workers_per_host - 1) / options->workers_per_host;
	world->hosts = world_alloc(world->host_count, sizeof(*world->hosts));
	world->workers = world_alloc(options->workers, sizeof(*world->workers));
	world->running = options->workers;
	for (unsigned i = 0; i < world->host_count; i++)
		host_open(&world->hosts[i], world);
	memory = mallinfo2().uordblks;
	for (uint32_t i = 0; i < options->workers; i++) {
		struct worker *worker = &world->workers[i];

		*worker = (struct worker){.world = world,
			.host = &world->hosts[i / options->workers_per_host],
			.index = i,
			.random = world_draw(world, UINT64_MAX),
			.lag = world_draw(world, UINT64_MAX),
			.start.fire = start};
		list_init(&worker->calls);
		worker_new(worker);
	}
	world->core_bytes = (mallinfo2().uordblks - memory) / options->workers;
	for (uint32_t i = 0; i < options->workers; i++)
		events_set(&world->events, &world->workers[i].start,
			world_draw(world, options->start_us + 1));
}

static void add_stats(struct delivery_stats *sum, const struct delivery_stats *more)
{
	sum->received += more->received;
	sum->attempts += more->attempts;
	sum->accepted += more->accepted;
	sum->suppressed += more->suppressed;
	sum->retried += more->retried;
	sum->expired += more->expired;
	sum->deleted += more->deleted;
	sum->returned += more->returned;
	sum->lost += more->lost;
	sum->extended += more->extended;
}

static void drained(void *arg, size_t held)
{
	struct worker *worker = arg;
	struct delivery_stats stats;

	if (held > 0)
		world_broken(worker->world, "worker %u stops with %zu held", worker->index, held);
	delivery_get_stats(worker->delivery, &stats);
	add_stats(&worker->world->stats, &stats);
	delivery_free(worker->delivery);
	worker->delivery = NULL;
	worker->world->running--;
	if (!list_is_empty(&worker->calls) || worker->out > 0)
		world_broken(worker->world, "worker %u leaves something behind", worker->index);
}

void workers_drain(struct world *world)
{
	for (uint32_t i = 0; i < world->options.workers; i++)
		delivery_drain(world->workers[i].delivery, drained, &world->workers[i]);
}

void workers_close(struct world *world)
{
	for (uint32_t i = 0; i < world->options.workers; i++)
		metrics_free(world->workers[i].metrics);
	for (unsigned i = 0; i < world->host_count; i++) {
		mapped_file_close(&world->hosts[i].ledger);
		mapped_file_close(&world->hosts[i].rates);
	}
	free(world->hosts);
	free(world->workers);
}
