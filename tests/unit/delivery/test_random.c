/*
 * Invented worlds, each from a seed: slow and failing queues, providers of every temper, crashes
 * and clean stops. After a while the world heals, and then every message must end: deleted because
 * it was accepted, copied to the failure queue or expired. The world's own checks hold all along.
 *
 * BUNSHIN_TEST_SEEDS=N runs that many, BUNSHIN_TEST_SEED=N just that one.
 */
#include "base/random.h"
#include "bunshin/error.h"
#include "world.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEEDS 2000
#define HEALED_MAX_US (900 * S)

static struct world world;

/* How this world is, drawn from its seed. */
static struct {
	uint64_t state;
	unsigned faults, slow, refusals; /* per thousand */
	unsigned control;		 /* of the steps: the operator changes something */
	uint64_t latency_us;		 /* of the queue, one way, at most */
	uint64_t receive_back_us;	 /* of a receive's answer: less than the core allows for */
	uint64_t target_us;
	bool healed;
} nature;

static uint64_t draw(uint64_t bound)
{
	return random_below(random_split_mix(&nature.state), bound);
}

static bool happens(unsigned per_thousand)
{
	return draw(1000) < per_thousand;
}

static uint64_t one_of(const uint64_t values[], size_t count)
{
	return values[draw(count)];
}

#define ONE_OF(...)                             \
	one_of((const uint64_t[]){__VA_ARGS__}, \
		sizeof((const uint64_t[]){__VA_ARGS__}) / sizeof(uint64_t))

static void fail_somehow(const struct call_record *call, struct call_plan *plan)
{
	static const int errors[] = {ERR_CONNECT, ERR_TIMEOUT, ERR_UNAVAILABLE, ERR_THROTTLED,
		ERR_ACCESS_DENIED, ERR_NOMEM};
	int err = errors[draw(6)];

	switch (draw(4)) {
	case 0:
		plan->sync_err = ERR_NOMEM;
		break;
	case 1:
		plan->err = err;
		break;
	case 2:
		plan->err = err;
		plan->lost = true;
		break;
	default:
		for (size_t i = 0; i < call->count; i++)
			if (happens(500))
				plan->entry_err[i] = err;
		break;
	}
}

static void plan_call(
	struct fake_queue *queue, const struct call_record *call, struct call_plan *plan)
{
	plan->there_us = draw(nature.latency_us);
	plan->back_us = draw(nature.latency_us);
	if (call->op != OP_RECEIVE && !nature.healed && happens(nature.slow))
		plan->back_us = draw(20 * S);
	if (call->op != OP_RECEIVE && !nature.healed && happens(nature.slow))
		plan->there_us = draw(20 * S);
	if (call->op == OP_RECEIVE)
		plan->back_us = draw(nature.receive_back_us);
	if (!nature.healed && happens(nature.faults))
		fail_somehow(call, plan);
}

static void plan_answer(
	struct fake_target *target, const struct fake_message *message, struct answer *answer)
{
	static const int statuses[] = {500, 502, 429, 503, 400, 404, 408, 302};
	static const int errors[] = {ERR_CONNECT, ERR_TIMEOUT, ERR_NETWORK, ERR_TEMPLATE};

	answer->latency_us = 1 + draw(nature.target_us);
	if (nature.healed)
		return;
	if (happens(nature.slow))
		answer->latency_us = draw(60 * S);
	if (happens(nature.refusals)) {
		answer->status = happens(500) ? 401 : 403;
	} else if (happens(nature.faults)) {
		answer->start_err = happens(500) ? ERR_NOMEM : ERR_LIMIT;
	} else if (happens(300)) {
		answer->status = statuses[draw(8)];
		answer->excerpt = "no";
		if (happens(300))
			answer->retry_after_ms = (int64_t)draw(20000);
	} else if (happens(100)) {
		answer->err = errors[draw(4)];
	}
}

static const char *const campaigns[] = {"morning", "noon", "night"};

/* The operator changes something: all of it, drawn anew. */
static void control_somehow(void)
{
	struct control control = {.paused = happens(400)};

	if (happens(300)) {
		control.rate_count = 1 + draw(50);
		control.rate_per_ms = happens(800) ? 1000 : 60000;
	}
	for (size_t i = 0; i < 3; i++)
		if (happens(200))
			control_cancelled_add(control.cancelled, campaigns[i], control.cancelled);
	world_set_control(&world, &control);
}

static void add_message(void)
{
	static const char *const destinations[] = {"lane0", "lane1", "lane2", "nowhere"};
	char deadline[32], not_before[32];
	const char *attributes[13] = {NULL};
	size_t n = 0, index;
	int64_t deadline_ms = INT64_MAX;

	if (happens(600)) {
		attributes[n++] = "Destination";
		attributes[n++] = "String";
		attributes[n++] = destinations[draw(world.options.lanes + happens(50))];
	}
	if (happens(150)) {
		deadline_ms = world_wall_ms(&world) + (int64_t)draw(30000) - 1000;
		snprintf(deadline, sizeof(deadline), "%" PRId64, deadline_ms);
		attributes[n++] = "Deadline";
		attributes[n++] = "Number";
		attributes[n++] = deadline;
	}
	if (happens(100)) {
		snprintf(not_before, sizeof(not_before), "%" PRId64,
			world_wall_ms(&world) + (int64_t)draw(20000));
		attributes[n++] = "NotBefore";
		attributes[n++] = "Number";
		attributes[n++] = happens(100) ? "?" : not_before;
	}
	if (happens(400)) {
		attributes[n++] = "Campaign";
		attributes[n++] = "String";
		attributes[n++] = campaigns[draw(3)];
	}
	index = world_add_with(&world, attributes);
	world.queue.messages[index]->deadline_epoch_ms = deadline_ms;
}

static void invent(uint64_t seed, const char *label)
{
	struct world_options options = {.seed = seed, .label = label};
	uint64_t safety_us;

	nature.state = seed;
	nature.healed = false;
	nature.faults = (unsigned)ONE_OF(0, 0, 10, 50, 200, 500);
	nature.slow = (unsigned)ONE_OF(0, 0, 10, 100);
	nature.refusals = (unsigned)ONE_OF(0, 0, 0, 20, 200);
	nature.latency_us = ONE_OF(1, 2 * MS, 40 * MS, 300 * MS);
	nature.target_us = ONE_OF(1, 20 * MS, 500 * MS, 5 * S);
	nature.control = (unsigned)ONE_OF(0, 0, 0, 1, 5);
	options.lanes = 1 + (unsigned)draw(3);
	for (unsigned i = 0; i < options.lanes; i++)
		options.lane_concurrency[i] = 1 + (unsigned)draw(ONE_OF(1, 3, 12, 100));
	options.receivers = (unsigned)draw(8);
	options.visibility_s = (unsigned)ONE_OF(1, 2, 5, 30, 60);
	options.wait_s = 1 + (unsigned)draw(20);
	options.max_attempts = 1 + (unsigned)draw(8);
	options.failure_queue = happens(750);
	options.grace_ms = (int64_t)ONE_OF(1, 500, 3000, 30000);
	options.backoff = (struct backoff){.base_ms = 1 + (int64_t)draw(2000), .cap_ms = 10000};
	if (happens(200))
		options.held_bytes = 1 + draw(100);
	safety_us = options.visibility_s * S / 10;
	nature.receive_back_us = safety_us < nature.latency_us ? safety_us : nature.latency_us;
	world_init(&world, &options);
	world.queue.plan = world.failure_queue.plan = plan_call;
	world.queue.stale_delete_err = happens(500) ? ERR_RECEIPT_INVALID : 0;
	world.queue.cancel_is_in_time = happens(500);
	world.queue.max_receives = options.failure_queue ? 0 : 30;
	for (unsigned i = 0; i < options.lanes; i++)
		world.targets[i].plan = plan_answer;
}

/* Steps until the instant, messages arriving meanwhile. */
static void live(uint64_t until_us)
{
	unsigned left = 1 + (unsigned)draw(40);
	uint64_t next_us = world_now_us(&world);

	while (world_now_us(&world) < until_us) {
		while (left && next_us <= world_now_us(&world)) {
			add_message();
			left--;
			if (happens(300))
				next_us += draw(2 * S);
		}
		if (happens(nature.control))
			control_somehow();
		if (!world_step(&world))
			break;
	}
}

static void stop_and_restart(void)
{
	if (happens(500)) {
		world_drain(&world);
		world_run_to(
			&world, world_now_us(&world) + (uint64_t)world.options.grace_ms * 1000);
		if (world.drained != 1)
			world_fail(&world, "not drained within the grace");
	}
	world_free_delivery(&world);
	world_restart(&world);
}

static void check_end(const struct fake_message *message)
{
	bool expired = world_wall_ms(&world) >= message->deadline_epoch_ms;

	if (message->redriven)
		return;
	if (!message->accepted_told && !message->copy_confirmed && !message->cancelled_told &&
		!expired)
		world_fail(&world, "%s was deleted for no reason", message->id);
	if (message->copy_confirmed && !message->copies)
		world_fail(
			&world, "%s was confirmed, but is not in the failure queue", message->id);
	/* A second acceptance needs an excuse: the first could not be settled in time. */
	if (message->accepted_told > 1 + message->ran_out)
		world_fail(&world, "%s was accepted %u times, its visibility ran out %u times",
			message->id, message->accepted_told, message->ran_out);
	if (message->ran_out && nature.faults == 0 && nature.slow == 0 &&
		nature.latency_us < 100 * MS && world.options.visibility_s > 1 && !world.restarts)
		world_fail(&world, "%s: the visibility ran out for no reason", message->id);
}

static void run(uint64_t seed)
{
	struct control control;
	char label[64];

	snprintf(label, sizeof(label), "BUNSHIN_TEST_SEED=%" PRIu64, seed);
	invent(seed, label);
	world_start(&world);
	live(draw(60 * S));
	for (uint64_t stops = draw(3); stops > 0; stops--) {
		stop_and_restart();
		live(world_now_us(&world) + draw(30 * S));
	}
	nature.healed = true;
	control.paused = false;
	control.rate_count = 0;
	control.rate_per_ms = 0;
	memcpy(control.cancelled, world.control.cancelled, sizeof(control.cancelled));
	world_set_control(&world, &control);
	world_run_until_done(&world, world_now_us(&world) + HEALED_MAX_US);
	for (size_t i = 0; i < world.queue.count; i++)
		check_end(world.queue.messages[i]);
	world_end(&world);
}

static void seeds(void **state)
{
	const char *one = getenv("BUNSHIN_TEST_SEED");
	const char *many = getenv("BUNSHIN_TEST_SEEDS");
	uint64_t count = many ? strtoull(many, NULL, 10) : SEEDS;
	size_t messages = 0, attempts = 0;

	if (one) {
		run(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= count; seed++) {
		run(seed);
		messages += world.queue.count;
		for (unsigned i = 0; i < WORLD_LANES_MAX; i++)
			attempts += world.targets[i].log_count;
	}
	print_message(
		"%" PRIu64 " worlds, %zu messages, %zu attempts\n", count, messages, attempts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seeds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
