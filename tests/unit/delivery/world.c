#include "world.h"

#include "bunshin/error.h"
#include "world_checks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- memory, words */

void *world_alloc(size_t size)
{
	/* tests/lib/failmalloc.h does not reach aligned_alloc. */
	void *memory = aligned_alloc(16, (size + 15) / 16 * 16 + (size == 0) * 16);

	if (!memory)
		abort();
	return memory;
}

void *world_grow(void *old, size_t old_size, size_t size)
{
	void *memory = world_alloc(size);

	if (old_size)
		memcpy(memory, old, old_size);
	free(old);
	return memory;
}

char *world_copy(const char *text, size_t size)
{
	char *copy = world_alloc(size + 1);

	memcpy(copy, text, size);
	copy[size] = '\0';
	return copy;
}

void world_fail(const struct world *world, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	print_error("%s: at %llu us: %s\n", world->options.label ? world->options.label : "world",
		(unsigned long long)world->clock.now_us, text);
	fail();
	abort(); /* not reached: fail() jumps */
}

void world_trace(const struct world *world, const char *format, ...)
{
	va_list args;

	if (!world->trace)
		return;
	fprintf(stderr, "%12llu  ", (unsigned long long)world->clock.now_us);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

/* ---- time and chance */

void world_timer_set(struct world *world, struct clock_timer *timer, uint64_t due_us)
{
	if (!clock_timer_is_set(timer))
		world->world_timers++;
	if (clock_timer_set(manual_clock_table(&world->clock), timer, due_us))
		abort(); /* the heap has been grown beforehand */
}

void world_timer_clear(struct world *world, struct clock_timer *timer)
{
	if (clock_timer_is_set(timer))
		world->world_timers--;
	clock_timer_clear(manual_clock_table(&world->clock), timer);
}

void world_timer_fired(struct world *world)
{
	world->world_timers--;
}

uint64_t world_random(struct world *world)
{
	return clock_random(manual_clock_table(&world->clock));
}

uint64_t world_now_us(const struct world *world)
{
	return world->clock.now_us;
}

int64_t world_wall_ms(const struct world *world)
{
	return world->clock.wall_epoch_ms + (int64_t)(world->clock.now_us / 1000);
}

/* The clock that the core sees. */

static uint64_t core_monotonic_us(void *impl)
{
	return world_now_us(impl);
}

static int64_t core_wall_epoch_ms(void *impl)
{
	return world_wall_ms(impl);
}

static uint64_t core_random(void *impl)
{
	struct world *world = impl;

	return world->random_is_fixed ? world->random_fixed : world_random(world);
}

static bool timer_fails(struct world *world)
{
	if (!world->fail_timer || --world->fail_timer)
		return false;
	if (world->fail_timers_more) {
		world->fail_timers_more--;
		world->fail_timer = 1;
	}
	world->failed_timers++;
	return true;
}

static int core_timer_set(void *impl, struct clock_timer *timer, uint64_t due_us)
{
	struct world *world = impl;

	if (!timer->fire)
		world_fail(world, "a timer without its fire");
	world->timers_set++;
	if (!clock_timer_is_set(timer) && timer_fails(world))
		return ERR_NOMEM;
	return clock_timer_set(manual_clock_table(&world->clock), timer, due_us);
}

static void core_timer_clear(void *impl, struct clock_timer *timer)
{
	struct world *world = impl;

	clock_timer_clear(manual_clock_table(&world->clock), timer);
}

static const struct clock_ops core_clock_ops = {
	.monotonic_us = core_monotonic_us,
	.wall_epoch_ms = core_wall_epoch_ms,
	.random = core_random,
	.timer_set = core_timer_set,
	.timer_clear = core_timer_clear,
};

/*
 * The heap is as large as it will ever be, so that only fail_timer makes a timer fail. Filled and
 * emptied at its end, since every test does it, many of them for each of their seeds.
 */
static void grow_heap(struct world *world)
{
	enum { ENOUGH = 4096 };
	struct clock_timer *timers = calloc(ENOUGH, sizeof(*timers));

	if (!timers)
		abort();
	for (size_t i = 0; i < ENOUGH; i++)
		if (clock_timer_set(manual_clock_table(&world->clock), &timers[i], i))
			abort();
	for (size_t i = ENOUGH; i-- > 0;)
		clock_timer_clear(manual_clock_table(&world->clock), &timers[i]);
	free(timers);
}

/* ---- the observer */

static void copy_text(char *to, size_t size, const char *from)
{
	snprintf(to, size, "%s", from);
}

static void keep(void *arg)
{
	struct world *world = arg;

	world->kept = world->told;
}

static void left(void *arg, const struct queue_message *message, enum delivery_left how)
{
	struct world *world = arg;

	if (!fake_queue_find(&world->queue, message->message_id))
		world_fail(world, "a message left that is none");
	world->left[how]++;
}

static void observe_recipients(struct world *world, const struct delivery_event *event)
{
	if (!event->packed || event->recipient_count == 0 || event->of >= DELIVERY_RECIPIENTS)
		world_fail(world, "an event of no recipients");
	for (size_t i = 0; i < event->recipient_count; i++)
		fake_list_tell(&world->list, &event->recipients[i], event->of);
}

static void observe(void *arg, const struct delivery_event *event)
{
	struct world *world = arg;
	struct world_event *seen;
	struct fake_message *message = NULL;

	if (!event->reason || !event->destination || !event->operation)
		world_fail(world, "an event with a NULL text");
	world_trace(world, "event %d %s %s %s", event->kind,
		event->message ? event->message->message_id : "", event->destination,
		event->reason);
	world->event_totals[event->kind]++;
	if (world->on_event)
		world->on_event(world, event);
	if (event->kind == DELIVERY_RECIPIENTS)
		observe_recipients(world, event);
	if (event->message)
		message = fake_queue_find(&world->queue, event->message->message_id);
	world->told++;
	if (message && delivery_event_is_end(event->kind))
		message->receipts[event->message->receive_count - 1].told = world->told;
	if (event->kind == DELIVERY_CANCELLED) {
		world_check_cancelled(world, message);
		message->cancelled_told = true;
	}
	if (world->event_count == WORLD_EVENTS_MAX)
		return;
	seen = &world->events[world->event_count++];
	*seen = (struct world_event){.kind = event->kind,
		.at_us = world_now_us(world),
		.message = SIZE_MAX,
		.err = event->err,
		.of = event->of,
		.recipients = event->recipient_count,
		.delay_ms = event->delay_ms};
	if (message)
		seen->message = message->index;
	copy_text(seen->destination, sizeof(seen->destination), event->destination);
	copy_text(seen->operation, sizeof(seen->operation), event->operation);
	copy_text(seen->reason, sizeof(seen->reason), event->reason);
}

const struct world_event *world_event(struct world *world, enum delivery_event_kind kind, size_t n)
{
	for (size_t i = 0; i < world->event_count; i++)
		if (world->events[i].kind == kind && n-- == 0)
			return &world->events[i];
	world_fail(world, "no such event of kind %d", kind);
}

/* ---- life of a world */

static void set_defaults(struct world_options *o)
{
	o->lanes = o->lanes ? o->lanes : 1;
	o->concurrency = o->concurrency ? o->concurrency : 10;
	for (unsigned i = 0; i < WORLD_LANES_MAX; i++)
		if (!o->lane_concurrency[i])
			o->lane_concurrency[i] = o->concurrency;
	o->wait_s = o->wait_s == WORLD_NO_WAIT ? 0 : o->wait_s ? o->wait_s : 20;
	o->visibility_s = o->visibility_s ? o->visibility_s : 30;
	o->held_bytes = o->held_bytes ? o->held_bytes : SIZE_MAX;
	o->max_attempts = o->max_attempts ? o->max_attempts : 10;
	o->backoff.base_ms = o->backoff.base_ms ? o->backoff.base_ms : 1000;
	o->backoff.cap_ms = o->backoff.cap_ms ? o->backoff.cap_ms : 300000;
	o->grace_ms = o->grace_ms == WORLD_NO_GRACE ? 0 : o->grace_ms ? o->grace_ms : 10000;
}

void world_init_outside(struct world *world, const struct world_options *options)
{
	memset(world, 0, offsetof(struct world, events));
	memset(&world->event_count, 0, sizeof(*world) - offsetof(struct world, event_count));
	world->options = *options;
	set_defaults(&world->options);
	world->trace = getenv("BUNSHIN_TEST_TRACE") != NULL;
	manual_clock_init(&world->clock, options->seed, WORLD_EPOCH_MS);
	grow_heap(world);
	fake_queue_init(&world->queue, world, 'm');
	fake_queue_init(&world->failure_queue, world, 'f');
	fake_list_init(&world->list, world);
	world->queue.fifo = world->options.fifo;
	for (unsigned i = 0; i < WORLD_LANES_MAX; i++) {
		char name[16];

		snprintf(name, sizeof(name), "lane%u", i);
		fake_target_init(
			&world->targets[i], world, name, world->options.lane_concurrency[i]);
	}
	world->metrics = metrics_new();
	assert_non_null(world->metrics);
}

static void wants_control(void *arg)
{
	struct world *world = arg;

	world->control_wanted++;
	if (world->on_control_wanted)
		world->on_control_wanted(world);
}

int world_init_core(struct world *world)
{
	static const struct status_range accept[] = {{200, 299}};
	struct delivery_destination destinations[WORLD_LANES_MAX];
	const struct world_options *o = &world->options;
	struct delivery_options options = {
		.clock = {.ops = &core_clock_ops, .impl = world},
		.queue = fake_queue_table(&world->queue),
		.destinations = destinations,
		.destination_count = o->lanes,
		.receivers = o->receivers,
		.wait_s = o->wait_s,
		.visibility_s = o->visibility_s,
		.held_bytes = o->held_bytes,
		.fifo = o->fifo,
		.ledger = o->ledger,
		.grace_ms = o->grace_ms,
		.metrics = world->metrics,
		.observer = {.notify = observe, .before_delete = keep, .left = left, .arg = world},
		.fleet_hosts = o->fleet_hosts,
		.wants_control = o->doubts ? wants_control : NULL,
		.wants_control_arg = world,
	};

	for (unsigned i = 0; i < o->lanes; i++) {
		destinations[i] = (struct delivery_destination){.name = world->targets[i].name,
			.target = fake_target_table(&world->targets[i]),
			.attempt_max_ms = 60000,
			.concurrency = o->lane_concurrency[i],
			.outcomes.sets[OUTCOME_ACCEPTED] = {accept, 1},
			.max_attempts = o->max_attempts,
			.backoff = o->backoff};
		if (o->adjust)
			o->adjust(&destinations[i], i);
	}
	if (o->failure_queue)
		options.failure_queue = fake_queue_table(&world->failure_queue);
	return delivery_new(&options, &world->delivery);
}

void world_init(struct world *world, const struct world_options *options)
{
	world_init_outside(world, options);
	assert_int_equal(world_init_core(world), 0);
	world_check(world);
}

void world_free_delivery(struct world *world)
{
	uint64_t held = world->delivery ? delivery_held(world->delivery) : 0;

	delivery_free(world->delivery);
	world->delivery = NULL;
	if (world->left[DELIVERY_LEFT_DROPPED] != held)
		world_fail(world, "not each message that was held has left");
	world_check_gone(world);
}

void world_restart(struct world *world)
{
	metrics_free(world->metrics);
	world->metrics = metrics_new();
	assert_non_null(world->metrics);
	world->draining = false;
	world->drained = 0;
	world->restarts++;
	world->attempts_before = 0;
	memset(world->left, 0, sizeof(world->left));
	for (unsigned i = 0; i < world->options.lanes; i++)
		world->attempts_before += world->targets[i].log_count;
	assert_int_equal(world_init_core(world), 0);
	/* A worker is told before it starts. */
	world_set_control(world, &world->control);
	world_start(world);
}

void world_end(struct world *world)
{
	if (world->delivery)
		world_free_delivery(world);
	manual_clock_advance(&world->clock, HOUR);
	world_check_gone(world);
	fake_queue_free(&world->queue);
	fake_queue_free(&world->failure_queue);
	fake_list_free(&world->list);
	for (unsigned i = 0; i < WORLD_LANES_MAX; i++)
		fake_target_free(&world->targets[i]);
	metrics_free(world->metrics);
	manual_clock_free(&world->clock);
}

static size_t put(
	struct world *world, const struct queue_attribute attributes[], size_t attribute_count)
{
	char body[32];

	snprintf(body, sizeof(body), "body %zu", world->queue.count);
	return fake_queue_put(&world->queue, body, strlen(body), attributes, attribute_count)
		->index;
}

size_t world_add(struct world *world, size_t count)
{
	size_t first = world->queue.count;

	while (count-- > 0)
		put(world, NULL, 0);
	return first;
}

size_t world_add_with(struct world *world, const char *const attributes[])
{
	struct queue_attribute list[QUEUE_ATTRIBUTES_MAX];
	size_t count = 0;

	for (; attributes[0]; attributes += 3)
		list[count++] = (struct queue_attribute){.name = attributes[0],
			.type = attributes[1],
			.value = attributes[2],
			.value_bytes = strlen(attributes[2])};
	return put(world, list, count);
}

void world_start(struct world *world)
{
	delivery_start(world->delivery);
	world_check(world);
}

size_t world_add_body(struct world *world, const char *body)
{
	return fake_queue_put(&world->queue, body, strlen(body), NULL, 0)->index;
}

size_t world_add_group(struct world *world, const char *group_id, size_t count)
{
	size_t first = world->queue.count;
	char body[32];

	while (count-- > 0) {
		snprintf(body, sizeof(body), "body %zu", world->queue.count);
		fake_queue_put_grouped(&world->queue, group_id, body, strlen(body), NULL, 0);
	}
	return first;
}

static void drained(void *arg, size_t held)
{
	struct world *world = arg;

	if (world->inside_drain && !world->short_of_memory)
		world_fail(world, "drain_done from inside delivery_drain");
	if (world->drained++)
		world_fail(world, "drain_done twice");
	world->drained_held = held;
	world->drained_us = world_now_us(world);
	world_trace(world, "drained, %zu held", held);
	if (world->free_when_drained)
		world_free_delivery(world);
}

void world_drain(struct world *world)
{
	world_trace(world, "drain");
	world->draining = world->inside_drain = true;
	delivery_drain(world->delivery, drained, world);
	world->inside_drain = false;
	world_check(world);
}

void world_set_control(struct world *world, const struct control *control)
{
	world_trace(world, "control: %spaused, rate %llu, cancelled \"%s\"",
		control->paused ? "" : "not ", (unsigned long long)control->rate_count,
		control->cancelled);
	world->control = *control;
	world->doubted = false;
	delivery_set_control(world->delivery, control);
	if (world->delivery)
		world_check(world);
}

void world_doubt_control(struct world *world)
{
	world->doubted = true;
	delivery_doubt_control(world->delivery);
}

void world_trust_control(struct world *world)
{
	world->doubted = false;
	delivery_trust_control(world->delivery);
	world_check(world);
}

#define SELDOM 64 /* steps, under memcheck */

static void check_step(struct world *world)
{
	static int seldom = -1; /* not known yet */

	if (seldom < 0) {
		seldom = getenv("BUNSHIN_TEST_MEMCHECK") != NULL;
		if (seldom)
			fprintf(stderr, "the whole is checked after one step in %d only\n", SELDOM);
	}
	if (world->steps++ % SELDOM == 0 || !seldom)
		world_check(world);
}

bool world_step(struct world *world)
{
	bool stepped = manual_clock_step(&world->clock);

	check_step(world);
	return stepped;
}

void world_run_to(struct world *world, uint64_t instant_us)
{
	const struct clock_timer *timer;

	while ((timer = timer_heap_first(&world->clock.heap)) && timer->due_us <= instant_us)
		world_step(world);
	world->clock.now_us = instant_us;
}

/* The next timer of the two worlds until then; of two at once either. NULL: none. */
static struct world *next_of(struct world *a, struct world *b, uint64_t instant_us)
{
	const struct clock_timer *first[] = {
		timer_heap_first(&a->clock.heap), timer_heap_first(&b->clock.heap)};
	struct world *next = NULL;

	if (first[0] && first[0]->due_us <= instant_us)
		next = a;
	if (first[1] && first[1]->due_us <= instant_us &&
		(!next || first[1]->due_us < first[0]->due_us ||
			(first[1]->due_us == first[0]->due_us && world_random(a) % 2)))
		next = b;
	return next;
}

void world_run_both_to(struct world *a, struct world *b, uint64_t instant_us)
{
	struct world *next;

	if (world_now_us(a) != world_now_us(b))
		world_fail(a, "not of one time");
	while ((next = next_of(a, b, instant_us))) {
		world_step(next);
		(next == a ? b : a)->clock.now_us = world_now_us(next);
	}
	a->clock.now_us = b->clock.now_us = instant_us;
}

void world_run_until_done(struct world *world, uint64_t limit_us)
{
	while (fake_queue_alive(&world->queue) || delivery_held(world->delivery)) {
		if (world_now_us(world) > limit_us || !world_step(world))
			world_fail(world, "%zu messages left, %zu held",
				fake_queue_alive(&world->queue), delivery_held(world->delivery));
	}
}

unsigned world_returned_for(struct world *world, size_t message, uint32_t receipt)
{
	const struct call_record *call;

	for (size_t n = 0; (call = fake_queue_call(&world->queue, OP_CHANGE, n)); n++)
		for (size_t i = 0; i < call->count; i++)
			if (call->messages[i] == message && call->receipts[i] == receipt)
				return call->visibility_s[i];
	world_fail(world, "message %zu was not put back", message);
}

struct delivery_stats world_stats(const struct world *world)
{
	struct delivery_stats stats;

	delivery_get_stats(world->delivery, &stats);
	return stats;
}
