/*
 * src/delivery: the core in the invented world of tests/unit/delivery, whose checks see to it at
 * every step that nothing is deleted that was not accepted, expired or copied. Whatever fails, and
 * for how long, every message ends; and when memory is back, the core works as before.
 */
#include "sweep.h"

#include "bunshin/error.h"
#include "scenario.h"
#include "world.h"

#include <string.h>

#define LIMIT_US (6000 * S) /* a hundred failures, each a receive in vain */

static struct world world;

/* ---- timers */

static void arm_timers(unsigned long k, unsigned long n)
{
	world.fail_timer = k;
	world.fail_timers_more = n - 1;
	world.failed_timers = 0;
}

static unsigned long disarm_timers(void)
{
	world.fail_timer = world.fail_timers_more = 0;
	return world.failed_timers;
}

static const struct sweep_kind timers = {"timers", arm_timers, disarm_timers};

/* ---- worlds */

static void build_accept(void)
{
	world_init_outside(&world, &(struct world_options){.concurrency = 2});
	world_add(&world, 5);
}

/* Everything that sends a message back: statuses, time-outs, Retry-After, a start that fails. */
static void build_retry(void)
{
	static const struct answer answers[] = {{.status = 500},
		{.status = 429, .retry_after_ms = 900}, {.err = ERR_TIMEOUT, .latency_us = 3 * S},
		{.start_err = ERR_LIMIT}, {.start_err = ERR_NOMEM}};

	world_init_outside(
		&world, &(struct world_options){.concurrency = 3, .failure_queue = true});
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++)
		fake_target_answer(&world.targets[0], 1, answers[i]);
	world_add(&world, 5);
}

/* The first copy fails. */
static void build_copy(void)
{
	world_init_outside(
		&world, &(struct world_options){.concurrency = 3, .failure_queue = true});
	fake_target_answer(&world.targets[0], 2,
		(struct answer){.status = 400, .excerpt = "no such user", .reason = "refused"});
	fake_queue_fail(&world.failure_queue,
		(struct fault){.op = OP_SEND, .err = ERR_UNAVAILABLE, .entry = WHOLE_CALL});
	world_add(&world, 3);
}

static void build_deadlines(void)
{
	static const char *const past[] = {"Deadline", "Number", "1799999999000", NULL};
	static const char *const late[] = {"Deadline", "Number", "1800000000500", NULL};
	static const char *const early[] = {"NotBefore", "Number", "1800000003000", NULL};
	size_t index;

	world_init_outside(&world, &(struct world_options){.concurrency = 1});
	world.targets[0].otherwise.latency_us = S;
	index = world_add_with(&world, past);
	world.queue.messages[index]->deadline_epoch_ms = WORLD_EPOCH_MS - 1000;
	world_add(&world, 1);
	index = world_add_with(&world, late);
	world.queue.messages[index]->deadline_epoch_ms = WORLD_EPOCH_MS + 500;
	world_add_with(&world, early);
}

/* One slot, one message, one refusal: nothing but the breaker's own timer will wake it. */
static void build_breaker(void)
{
	world_init_outside(&world, &(struct world_options){.concurrency = 1});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401});
	world_add(&world, 2);
}

/* Attempts that outlive the visibility three times, and one waiting behind them. */
static void build_extension(void)
{
	world_init_outside(&world, &(struct world_options){.concurrency = 2, .visibility_s = 4});
	world.targets[0].otherwise.latency_us = 11 * S;
	fake_queue_fail(
		&world.queue, (struct fault){.op = OP_CHANGE, .err = ERR_THROTTLED, .entry = 0});
	world_add(&world, 3);
}

/* The calls of the queue fail, in every one of its operations. */
static void build_queue_faults(void)
{
	static const struct fault faults[] = {
		{.op = OP_RECEIVE, .err = ERR_CONNECT, .entry = WHOLE_CALL},
		{.op = OP_DELETE, .err = ERR_NETWORK, .entry = WHOLE_CALL, .lost = true},
		{.op = OP_DELETE, .err = ERR_THROTTLED, .entry = 0},
		{.op = OP_CHANGE, .err = ERR_UNAVAILABLE, .entry = WHOLE_CALL},
		{.op = OP_DELETE, .err = ERR_NOMEM, .entry = WHOLE_CALL, .sync = true}};

	world_init_outside(&world, &(struct world_options){.concurrency = 4});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 503});
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		fake_queue_fail(&world.queue, faults[i]);
	world_add(&world, 4);
}

static void remove_what_is_returned(
	struct fake_queue *queue, const struct call_record *call, struct call_plan *plan)
{
	if (call->op == OP_CHANGE && !call->is_extension && call->messages[0] == 0)
		fake_queue_remove(queue, 0);
}

/*
 * Neither an attempt nor the pause after it can be started, and no other message comes: the one
 * that goes back never returns, the two that wait are all there is.
 */
static void build_failed_start(void)
{
	world_init_outside(&world, &(struct world_options){.concurrency = 3});
	fake_target_answer(&world.targets[0], 1, (struct answer){.start_err = ERR_NOMEM});
	world_add(&world, 3);
	world.queue.plan = remove_what_is_returned;
}

/*
 * The first destination takes what its condition fits and has a rule that looks into answers; the
 * second takes the rest.
 */
static void add_route_and_rule(struct delivery_destination *destination, unsigned lane)
{
	static const char *const values[] = {"line"};
	static const struct route_condition when = {"channel", values, 1};
	static const struct outcome_rule rule = {
		.path = "code", .equals = "again", .outcome = OUTCOME_RETRY};

	if (lane != 0)
		return;
	destination->when = &when;
	destination->when_count = 1;
	destination->outcomes.rules = &rule;
	destination->outcomes.rule_count = 1;
}

static void build_routes(void)
{
	static const char line[] = "{\"channel\":\"line\"}", other[] = "{\"channel\":\"sms\"}";
	static const struct queue_attribute campaign = {"Campaign", "String", "spring", 6};

	world_init_outside(&world, &(struct world_options){.lanes = 2,
					   .concurrency = 3,
					   .failure_queue = true,
					   .fifo = true,
					   .max_attempts = 1000,
					   .adjust = add_route_and_rule});
	fake_target_answer(&world.targets[0], 2,
		(struct answer){.status = 400, .excerpt = "{\"code\":\"again\"}"});
	for (int i = 0; i < 6; i++) {
		const char *body = i % 2 ? other : line;

		fake_queue_put_grouped(
			&world.queue, i < 3 ? "a" : "b", body, strlen(body), &campaign, 1);
	}
}

/* Nothing goes to another destination, or is given up, because it could not be read. */
static void check_routes(void)
{
	for (size_t lane = 0; lane < 2; lane++)
		for (size_t i = 0; i < world.targets[lane].log_count; i++)
			assert_int_equal(world.targets[lane].log[i].message % 2, lane);
	assert_int_equal(world.failure_queue.count, 0);
	assert_int_equal(world_stats(&world).accepted, 6);
}

static void build_everything(void)
{
	scenario_build(&world, NULL);
}

struct core_case {
	void (*build)(void);
	void (*check)(void); /* once every message has ended; NULL: nothing more */
	uint64_t limit_us;   /* 0: LIMIT_US */
};

static void build(const struct core_case *c)
{
	c->build();
	world.options.label = "the core";
	world.short_of_memory = true;
}

/* ---- operations */

static int make_core(const void *arg)
{
	int err;

	build(arg);
	sweep_on();
	err = world_init_core(&world);
	sweep_off();
	world_end(&world);
	return err;
}

/* As many messages as there are slots, and then some, at a provider that takes them. */
static void check_recovery(void)
{
	uint64_t accepted = world_stats(&world).accepted;

	world.targets[0].script_next = world.targets[0].script_count;
	world.targets[0].otherwise = (struct answer){0};
	world.queue.plan = NULL;
	world.queue.fault_count = 0;
	world_add(&world, 25);
	world_run_until_done(&world, world_now_us(&world) + LIMIT_US);
	assert_int_equal(world_stats(&world).accepted, accepted + 25);
}

static int run_core(const void *arg)
{
	const struct core_case *c = arg;

	build(c);
	assert_int_equal(world_init_core(&world), 0);
	sweep_on();
	world_start(&world);
	world_run_until_done(&world, c->limit_us ? c->limit_us : LIMIT_US);
	sweep_off();
	if (c->check)
		c->check();
	check_recovery();
	world_end(&world);
	return 0;
}

/* From every moment of it: done is called once, and within the limit. */
static int drain_core(const void *arg)
{
	const struct core_case *c = arg;

	for (uint64_t from_us = 0; from_us < 6 * S; from_us += 97 * MS) {
		build(c);
		assert_int_equal(world_init_core(&world), 0);
		world_start(&world);
		world_run_to(&world, from_us);
		sweep_on();
		world_drain(&world);
		world_run_to(&world, from_us + c->limit_us);
		sweep_off();
		if (world.drained != 1)
			world_fail(&world, "not drained");
		world_end(&world);
	}
	return 0;
}

int main(void)
{
	static const unsigned long stretches[] = {1, 2, 3, 5, 8, 13, 30, 100, 0};
	static const unsigned long few[] = {1, 7, 0};
	/* A drain does without seven timers in a row and still ends in time. */
	static const unsigned long in_a_row[] = {1, 2, 3, 4, 7, 0};
	static const struct core_case accept = {.build = build_accept},
				      retry = {.build = build_retry}, copy = {.build = build_copy},
				      deadlines = {.build = build_deadlines},
				      breaker = {.build = build_breaker},
				      extension = {.build = build_extension},
				      queue_faults = {.build = build_queue_faults},
				      routes = {.build = build_routes, .check = check_routes},
				      failed_start = {.build = build_failed_start},
				      /* not at the next answer of a poll */
		failed_start_soon = {.build = build_failed_start, .limit_us = 10 * S},
				      everything = {.build = build_everything},
				      drained = {.build = build_everything, .limit_us = 3 * S};
#define CORE(what, c)                                                               \
	SWEEP(what, run_core, .arg = &c, .degrades = true, .stretches = stretches), \
		SWEEP(what ", timers", run_core, .arg = &c, .degrades = true,       \
			.stretches = stretches, .kind = &timers)
	static const struct sweep table[] = {
		SWEEP("a core with two destinations is made", make_core, .arg = &everything),
		SWEEP("one with groups, routes and rules is made", make_core, .arg = &routes),
		CORE("accepted", accept),
		CORE("sent back: 500, 429, time-out, no start", retry),
		CORE("refused, copied to the failure queue", copy),
		CORE("expired, and not before", deadlines),
		CORE("the breaker opens", breaker),
		CORE("extended three times", extension),
		CORE("calls of the queue fail", queue_faults),
		CORE("groups, routes, rules and campaigns", routes),
		/* A message that is not taken for want of memory comes again in half a minute. */
		SWEEP("a start fails and nobody comes", run_core, .arg = &failed_start,
			.degrades = true, .stretches = stretches),
		SWEEP("a start fails and nobody comes, timers", run_core, .arg = &failed_start_soon,
			.degrades = true, .stretches = stretches, .kind = &timers),
		SWEEP("some of everything", run_core, .arg = &everything, .degrades = true,
			.stretches = few),
		SWEEP("some of everything, timers", run_core, .arg = &everything, .degrades = true,
			.stretches = few, .kind = &timers),
		SWEEP("drained, from 62 moments", drain_core, .arg = &drained, .degrades = true,
			.stretches = few),
		SWEEP("drained, from 62 moments, timers", drain_core, .arg = &drained,
			.degrades = true, .stretches = in_a_row, .kind = &timers),
	};

	return SWEEP_TABLE("delivery", table, NULL, NULL);
}
