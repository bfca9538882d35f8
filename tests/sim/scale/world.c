#include "arena.h"
#include "base/random.h"
#include "scale.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define STEPS_A_LOOK 100000 /* at what the program has used */

_Noreturn void world_broken(const struct world *world, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf("broken at %" PRIu64 " us, seed %" PRIu64 ": ", world->now_us, world->options.seed);
	vprintf(format, args);
	printf("\n");
	va_end(args);
	exit(1);
}

void *world_alloc(size_t count, size_t bytes)
{
	void *memory = calloc(count ? count : 1, bytes);

	if (!memory)
		abort();
	return memory;
}

/* What events.c grows its heap with. */
void *arena_grow(void *old, size_t bytes)
{
	void *memory = realloc(old, bytes);

	if (!memory)
		abort();
	return memory;
}

uint64_t world_draw(struct world *world, uint64_t bound)
{
	return random_below(random_split_mix(&world->random), bound);
}

int64_t world_wall_ms(const struct world *world)
{
	return EPOCH_MS + (int64_t)(world->now_us / MS);
}

bool per_window_take(struct per_window *per, uint64_t now_us, uint64_t window_us, uint64_t limit)
{
	uint64_t window = now_us / window_us;

	if (window != per->window)
		*per = (struct per_window){.window = window};
	return ++per->count <= limit || limit == 0;
}

int64_t mail_deadline_ms(const struct options *options, uint32_t mail)
{
	if (options->deadline_us == 0 || mail % 100 != 7)
		return INT64_MAX;
	return EPOCH_MS + (int64_t)(options->deadline_us / MS);
}

/* The world outside comes first at one instant. */
static bool step(struct world *world, uint64_t until_us)
{
	struct clock_timer *timer = timer_heap_first(&world->timers);
	uint64_t timer_us = timer ? timer->due_us : UINT64_MAX;
	uint64_t event_us = events_due_us(&world->events);
	uint64_t due_us = event_us <= timer_us ? event_us : timer_us;

	if (due_us > until_us)
		return false;
	if (due_us > world->now_us)
		world->now_us = due_us;
	world->steps++;
	if (event_us <= timer_us) {
		events_fire(&world->events);
	} else {
		timer_heap_clear(&world->timers, timer);
		timer->fire(timer);
	}
	return true;
}

static void check_mails(const struct world *world)
{
	for (uint32_t i = 0; i < world->options.messages; i++) {
		const struct mail *mail = &world->mails[i];

		if (!mail->deleted)
			world_broken(world, "message %" PRIu32 " is left", i);
		if (!mail->accepted && mail_deadline_ms(&world->options, i) == INT64_MAX)
			world_broken(
				world, "message %" PRIu32 " was deleted and never accepted", i);
	}
}

/* What the cores count themselves is what was seen of them. */
static void check_counts(const struct world *world)
{
	const struct delivery_stats *stats = &world->stats;
	const struct queue_side *queue = &world->queue;

	if (queue->in_flight != 0)
		world_broken(world, "%zu messages are in flight", queue->in_flight);
	if (stats->attempts != world->provider.attempts ||
		stats->accepted != world->provider.accepted + world->provider.duplicates)
		world_broken(world,
			"%" PRIu64 " attempts and %" PRIu64 " accepted are counted: %" PRIu64
			" and %" PRIu64 " there were",
			stats->attempts, stats->accepted, world->provider.attempts,
			world->provider.accepted + world->provider.duplicates);
	if (stats->accepted + stats->expired + stats->suppressed < world->options.messages)
		world_broken(world, "%" PRIu64 " accepted and %" PRIu64 " expired are too few",
			stats->accepted, stats->expired);
}

/* This program's own bounds, and a sign of life. */
static void look_after(struct world *world)
{
	const struct options *options = &world->options;

	if (options->progress_us && world->now_us / options->progress_us != world->progress) {
		world->progress = world->now_us / options->progress_us;
		report_progress(world);
	}
	if (world->steps % STEPS_A_LOOK != 0)
		return;
	if (report_cpu_s() > (double)options->cpu_max_s)
		world_broken(world,
			"%" PRIu64 " s of CPU were not enough: %" PRIu32 " of %" PRIu32
			" messages have ended",
			options->cpu_max_s, world->queue.deleted, options->messages);
	if (report_memory_mib() > (double)options->memory_max_mib)
		world_broken(world, "%" PRIu64 " MiB were not enough", options->memory_max_mib);
}

void world_run(struct world *world, const struct options *options)
{
	*world = (struct world){.options = *options, .random = options->seed};
	world->mails = world_alloc(options->messages, sizeof(*world->mails));
	queue_open(world);
	workers_open(world);
	while (world->queue.deleted < options->messages) {
		if (!step(world, options->limit_us))
			world_broken(world, "%" PRIu32 " of %" PRIu32 " messages have ended",
				world->queue.deleted, options->messages);
		look_after(world);
	}
	workers_drain(world);
	while (world->running > 0)
		if (!step(world, options->limit_us + 60 * S))
			world_broken(world, "%u workers do not stop", world->running);
	check_mails(world);
	check_counts(world);
}

void world_close(struct world *world)
{
	workers_close(world);
	queue_close(world);
	provider_close(world);
	events_free(&world->events);
	timer_heap_free(&world->timers);
	free(world->mails);
}
