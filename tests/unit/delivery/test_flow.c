/*
 * How much is sent, and when: the rate that workers share, the adaptive limit, and both with a
 * breaker. Each by itself is tested to the value elsewhere; here it is what the core does with
 * them.
 */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct world world, second;
static char label[64];
static struct rate_cell cell;

/* What the destinations of the next world are like. */
static struct {
	uint64_t count; /* a rate of the first lane; 0: none */
	int64_t per_ms;
	bool adaptive; /* the first lane */
	unsigned failures;
} like;

static void adjust(struct delivery_destination *destination, unsigned lane)
{
	destination->breaker_failures = like.failures;
	if (lane > 0)
		return;
	destination->adaptive = like.adaptive;
	if (like.count)
		destination->rate = rate_make(&cell, like.count, like.per_ms, 1);
}

static struct world_options options_of(const struct world_options *options)
{
	struct world_options full = *options;

	full.adjust = adjust;
	full.label = full.label ? full.label : label;
	return full;
}

static void open_world(const struct world_options *options)
{
	struct world_options full = options_of(options);

	world_init(&world, &full);
}

static void be_plain(void)
{
	memset(&like, 0, sizeof(like));
	cell = (struct rate_cell){0};
	snprintf(label, sizeof(label), "flow");
}

static size_t accepted_of(unsigned lane)
{
	size_t n = 0;

	for (size_t i = 0; i < world.targets[lane].log_count; i++)
		n += world.targets[lane].log[i].accepted;
	return n;
}

static uint64_t started_us(const struct fake_target *target, size_t i)
{
	return i < target->log_count ? target->log[i].at_us : UINT64_MAX;
}

/* No more starts within any second than the rate promises, whoever they are by. */
static void check_rate(const struct fake_target *a, const struct fake_target *b)
{
	struct rate rate = rate_make(&cell, like.count, like.per_ms, 1);
	uint64_t most = 1 + (1000000000 + rate.burst_ns) / rate.interval_ns;
	size_t n[2] = {0}, first[2] = {0};

	/* In order of time: the window that ends with each start. */
	for (;;) {
		uint64_t next_us[2] = {started_us(a, n[0]), b ? started_us(b, n[1]) : UINT64_MAX};
		int by = next_us[1] < next_us[0];
		uint64_t in_window;

		if (next_us[by] == UINT64_MAX)
			break;
		n[by]++;
		while (first[0] < n[0] && started_us(a, first[0]) + S <= next_us[by])
			first[0]++;
		while (first[1] < n[1] && started_us(b, first[1]) + S <= next_us[by])
			first[1]++;
		in_window = n[0] - first[0] + n[1] - first[1];
		if (in_window > most)
			fail_msg("%s: %lu within a second", label, (unsigned long)in_window);
	}
}

/* ---- the rate */

static int by_time(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* Two workers with more than enough to do: never above the rate, none of it lost, both get some. */
static void a_rate_shared_by_two_cores(void **state)
{
	static const struct {
		uint64_t count;
		int64_t per_ms;
		size_t messages; /* for each */
	} rows[] = {{2, 1000, 20}, {7, 1000, 60}, {100, 1000, 800}, {60, 60000, 20},
		{1000, 1000, 6000}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world_options options = {.concurrency = 100, .visibility_s = 120};
		double rate = (double)rows[i].count * 1000 / (double)rows[i].per_ms;
		size_t a, b;

		be_plain();
		snprintf(label, sizeof(label), "row %zu", i);
		like.count = rows[i].count;
		like.per_ms = rows[i].per_ms;
		options.seed = i;
		options = options_of(&options);
		world_init(&world, &options);
		world_init(&second, &options);
		world_add(&world, rows[i].messages);
		world_add(&second, rows[i].messages);
		world_start(&world);
		world_start(&second);
		world_run_both_to(&world, &second, 10 * S + 2 * MS);
		check_rate(&world.targets[0], &second.targets[0]);
		a = world.targets[0].log_count;
		b = second.targets[0].log_count;
		/* Whoever waits is woken when there is a token: none is lost. */
		assert_true((double)(a + b) >= 10 * rate);
		assert_true(a >= (a + b) / 5 && b >= (a + b) / 5);
		assert_int_equal(world_stats(&world).lost + world_stats(&second).lost, 0);
		world_end(&world);
		world_end(&second);
	}
}

/* For two seconds each connection is still to be opened, which takes this long. */
static void late_at_first(
	struct fake_target *target, const struct fake_message *message, struct answer *answer)
{
	answer->latency_us = 130 * MS;
	answer->leaves_us = world_now_us(target->world) < 230 * MS ? 100 * MS : 0;
}

/*
 * A campaign begins: connections that take 100 ms for each of the first requests, whose answers
 * come 30 ms later; from then on there are enough. The provider counts what arrives within a
 * second.
 */
static void what_leaves_late_is_made_up_for(void **state)
{
	static uint64_t left_us[2][8192];
	size_t most[2] = {0};

	for (int told = 0; told < 2; told++) {
		const struct fake_target *target = &world.targets[0];
		size_t first = 0;

		be_plain();
		like.count = 1000;
		like.per_ms = 1000;
		open_world(&(struct world_options){
			.concurrency = 500, .receivers = 20, .visibility_s = 120});
		world.targets[0].plan = late_at_first;
		world.targets[0].tells_nothing = !told;
		world_add(&world, 5000);
		world_start(&world);
		world_run_to(&world, 3 * S);
		for (size_t i = 0; i < target->log_count; i++)
			left_us[told][i] = target->log[i].left_us;
		qsort(left_us[told], target->log_count, sizeof(left_us[told][0]), by_time);
		for (size_t i = 0; i < target->log_count; i++) {
			while (left_us[told][first] + S <= left_us[told][i])
				first++;
			if (i - first + 1 > most[told])
				most[told] = i - first + 1;
		}
		world_end(&world);
	}
	/* The burst is 49. Those under way when the first came too early leave all the same. */
	assert_in_range(most[1], 1000, 1052);
	assert_true(most[0] > 1090); /* or this shows nothing */
}

/* One worker alone gets all of it, to the instant: a token each 100 ms, 1 ms early at the first. */
static void woken_for_each_token(void **state)
{
	be_plain();
	like.count = 10;
	like.per_ms = 1000;
	open_world(&(struct world_options){.concurrency = 100, .visibility_s = 120});
	world_add(&world, 100);
	world_start(&world);
	world_run_to(&world, 8 * S);
	assert_int_equal(world.targets[0].log[0].at_us, 2 * MS);
	for (size_t i = 1; i < 80; i++)
		assert_int_equal(world.targets[0].log[i].at_us, i * 100 * MS + MS);
	world_end(&world);
}

/* One a minute: it goes on, holds one message for it, and does next to nothing meanwhile. */
static void a_slow_rate(void **state)
{
	unsigned long timers;
	size_t receives;

	be_plain();
	like.count = 1;
	like.per_ms = 60000;
	open_world(&(struct world_options){.concurrency = 10});
	world_add(&world, 20);
	world_start(&world);
	world_run_to(&world, S);
	assert_int_equal(world.targets[0].log_count, 1);
	timers = world.timers_set;
	receives = fake_queue_calls(&world.queue, OP_RECEIVE);
	world_run_to(&world, 60 * S);
	/* Only the extensions of what waits. */
	assert_true(world.timers_set - timers <= 12 * (delivery_held(world.delivery) + 1));
	assert_int_equal(fake_queue_calls(&world.queue, OP_RECEIVE), receives);
	assert_int_equal(world_stats(&world).returned, 0);
	assert_int_equal(world_stats(&world).crowded, 0);
	world_run_to(&world, 600 * S);
	assert_int_equal(world.targets[0].log_count, 10);
	for (size_t i = 1; i < 10; i++)
		assert_int_equal(world.targets[0].log[i].at_us, i * 60 * S + MS);
	/* Each was received once and kept until its turn, but for the ten at the beginning. */
	assert_true(world_stats(&world).received <= 20);
	assert_int_equal(world_stats(&world).lost, 0);
	world_end(&world);
}

/* Tokens faster than timers: one wake for several, not one each. */
static void a_fast_rate(void **state)
{
	unsigned long timers, started;

	be_plain();
	like.count = 5000;
	like.per_ms = 1000;
	open_world(
		&(struct world_options){.concurrency = 400, .receivers = 20, .visibility_s = 120});
	world_add(&world, 12000);
	world_start(&world);
	world_run_to(&world, S);
	timers = world.timers_set;
	started = world.targets[0].log_count;
	world_run_to(&world, 2 * S);
	started = world.targets[0].log_count - started;
	timers = world.timers_set - timers;
	check_rate(&world.targets[0], NULL);
	assert_in_range(started, 4700, 5300);
	/* A watch for what is received, one more for the batches, and 200 wakes at most. */
	assert_true(timers <= 2 * started + 400);
	world_end(&world);
}

/* Other workers take every token: woken again and again, but never more often than each 5 ms. */
static void without_a_token(void **state)
{
	unsigned long timers, steps = 0;

	be_plain();
	like.count = 5000;
	like.per_ms = 1000;
	open_world(&(struct world_options){.concurrency = 10, .wait_s = WORLD_NO_WAIT});
	world.queue.there_us = world.queue.back_us = 50 * MS;
	world_add(&world, 10);
	world_start(&world);
	timers = world.timers_set;
	while (world_now_us(&world) < 10 * S) {
		/* As if somebody else had just taken all there are. */
		uint64_t next_us = timer_heap_first(&world.clock.heap)->due_us;

		atomic_store(&cell.arrival_ns, next_us * 1000 + UINT64_C(60000000));
		world_step(&world);
		steps++;
	}
	assert_int_equal(world.targets[0].log_count, 0);
	assert_true(world.timers_set - timers <= 2100);
	assert_true(steps <= 2500);
	/* And then it gets one. */
	atomic_store(&cell.arrival_ns, 0);
	world_run_to(&world, 11 * S);
	assert_int_equal(world_stats(&world).accepted, 10);
	world_end(&world);
}

/* What waits for tokens is kept, and sent within its deadline or not at all. */
static void deadlines_while_waiting_for_tokens(void **state)
{
	be_plain();
	like.count = 1;
	like.per_ms = 1000;
	open_world(&(struct world_options){.concurrency = 10});
	for (int i = 0; i < 6; i++) {
		char deadline[32];
		const char *const attributes[] = {"Deadline", "Number", deadline, NULL};
		int64_t at_ms = WORLD_EPOCH_MS + 2500;
		size_t index;

		snprintf(deadline, sizeof(deadline), "%lld", (long long)at_ms);
		index = world_add_with(&world, attributes);
		world.queue.messages[index]->deadline_epoch_ms = at_ms;
	}
	world_start(&world);
	world_run_until_done(&world, 30 * S);
	assert_int_equal(world_stats(&world).accepted, 3);
	assert_int_equal(world_stats(&world).expired, 3);
	world_end(&world);
}

/* ---- the adaptive limit */

static const struct lane *first_lane(void)
{
	return &world.delivery->lanes[0];
}

static void the_gauge_at_the_start(void **state)
{
	be_plain();
	open_world(&(struct world_options){.concurrency = 100});
	assert_int_equal(first_lane()->counts.limit->value, 100);
	world_end(&world);
	like.adaptive = true;
	open_world(&(struct world_options){.concurrency = 100});
	assert_int_equal(first_lane()->counts.limit->value, 16);
	world_end(&world);
	open_world(&(struct world_options){.concurrency = 5});
	assert_int_equal(first_lane()->counts.limit->value, 5);
	world_end(&world);
}

/* Which answers ask for less: 429, 503, a timeout, whatever the table calls throttled. */
static void what_lowers_the_limit(void **state)
{
	static const struct {
		struct answer answer;
		bool lowers;
	} rows[] = {
		{{.status = 429}, true},
		{{.status = 503}, true},
		{{.err = ERR_TIMEOUT}, true},
		{{.err = ERR_THROTTLED}, true},
		{{.status = 200}, false},
		{{.status = 500}, false},
		{{.status = 502}, false},
		{{.status = 404}, false},
		{{.status = 408}, false},
		{{.err = ERR_CONNECT}, false},
		{{.err = ERR_DNS}, false},
		{{.err = ERR_TEMPLATE}, false},
		{{.err = ERR_NOMEM}, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		be_plain();
		snprintf(label, sizeof(label), "row %zu", i);
		like.adaptive = true;
		open_world(&(struct world_options){.concurrency = 16, .max_attempts = 100});
		/* A round trip is known. */
		fake_target_answer(&world.targets[0], 32, (struct answer){.latency_us = 50 * MS});
		world.targets[0].otherwise = rows[i].answer;
		world.targets[0].otherwise.latency_us = 50 * MS;
		world_add(&world, 120);
		world_start(&world);
		world_run_to(&world, 2 * S);
		if (rows[i].lowers)
			assert_in_range(first_lane()->counts.limit->value, 0, 12);
		else
			assert_int_equal(first_lane()->counts.limit->value, 16);
		/* And no more than that are out. */
		assert_true(world.targets[0].out <= 16);
		if (rows[i].lowers)
			assert_true(world.targets[0].out <= 13);
		world_end(&world);
	}
}

static unsigned capacity;

/* 503 to what comes while so many are being served. */
static void busy_above_capacity(
	struct fake_target *target, const struct fake_message *message, struct answer *answer)
{
	answer->latency_us = 50 * MS;
	if (target->out >= capacity)
		answer->status = 503;
}

/* A provider that takes ten at once, then forty: found, kept to, and found again. */
static void finds_the_capacity(void **state)
{
	uint64_t attempts, accepted;

	be_plain();
	like.adaptive = true;
	capacity = 10;
	open_world(&(struct world_options){.concurrency = 40,
		.receivers = 10,
		.max_attempts = 1000,
		.visibility_s = 120,
		.backoff = {.base_ms = 1000, .cap_ms = 1000}});
	world.targets[0].plan = busy_above_capacity;
	world_add(&world, 12000);
	world_start(&world);
	world_run_to(&world, 20 * S);
	attempts = world_stats(&world).attempts;
	accepted = world_stats(&world).accepted;
	world_run_to(&world, 40 * S);
	attempts = world_stats(&world).attempts - attempts;
	accepted = world_stats(&world).accepted - accepted;
	assert_in_range(first_lane()->counts.limit->value, 5, 14);
	/* 200 a second are what it takes; few are refused. */
	assert_true(accepted >= 20 * 200 * 8 / 10);
	assert_true(attempts - accepted <= attempts / 8);
	capacity = 1000;
	world_run_to(&world, 70 * S);
	assert_int_equal(first_lane()->counts.limit->value, 40);
	assert_int_equal(world.targets[0].out_most, 40);
	world_end(&world);
}

static uint64_t next_token_us;

/* 429 to all but one each two seconds. */
static void two_milliseconds(
	struct fake_target *target, const struct fake_message *message, struct answer *answer)
{
	answer->latency_us = 2 * MS;
}

/*
 * 1,000 messages a second to a provider that answers in 2 ms: a handful of slots do, and yet
 * receives are full, since what the slots take within 20 ms may wait for them.
 */
static void few_slots_and_full_receives(void **state)
{
	size_t before = 0;

	be_plain();
	like.adaptive = true;
	open_world(&(struct world_options){.concurrency = 500, .receivers = 26});
	world.targets[0].plan = two_milliseconds;
	world_start(&world);
	for (unsigned ms = 0; ms < 6000; ms += 10) {
		world_run_to(&world, ms * MS);
		world_add(&world, 10);
		if (ms == 2990)
			before = fake_queue_calls(&world.queue, OP_RECEIVE);
	}
	world_run_until_done(&world, 8 * S);
	assert_int_equal(world_stats(&world).accepted, 6000);
	/* 3,000 messages in the second half. */
	assert_in_range(fake_queue_calls(&world.queue, OP_RECEIVE) - before, 300, 800);
	world_end(&world);
}

static void one_in_two_seconds(
	struct fake_target *target, const struct fake_message *message, struct answer *answer)
{
	uint64_t now_us = world_now_us(target->world);

	answer->latency_us = 100 * MS;
	if (now_us < next_token_us)
		answer->status = 429;
	else
		next_token_us = now_us + 2 * S;
}

/* Less than one at once: one is out at most, and the next waits for its time, asleep. */
static void a_limit_below_one(void **state)
{
	unsigned long timers;
	size_t attempts, accepted;

	be_plain();
	like.adaptive = true;
	next_token_us = 0;
	open_world(&(struct world_options){.concurrency = 20,
		.max_attempts = 10000,
		.visibility_s = 120,
		.backoff = {.base_ms = 1000, .cap_ms = 2000}});
	world.targets[0].plan = one_in_two_seconds;
	world_add(&world, 300);
	world_start(&world);
	world_run_to(&world, 60 * S);
	assert_true(first_lane()->limiter.limit < 1);
	attempts = world.targets[0].log_count;
	accepted = accepted_of(0);
	timers = world.timers_set;
	world.targets[0].out_most = world.targets[0].out;
	world_run_to(&world, 180 * S);
	assert_int_equal(world.targets[0].out_most, 1);
	attempts = world.targets[0].log_count - attempts;
	accepted = accepted_of(0) - accepted;
	/* Of the 60 that it takes in two minutes it gets most, with few in vain. */
	assert_in_range(accepted, 40, 61);
	assert_true(attempts <= 3 * accepted);
	/* A few for each attempt, a pace for the next; what else was received is kept. */
	assert_true(world.timers_set - timers <= 40 * attempts);
	world_end(&world);
}

/* ---- all of them */

static void of_every_temper(
	struct fake_target *target, const struct fake_message *message, struct answer *answer)
{
	uint64_t now_us = world_now_us(target->world);

	answer->latency_us = 40 * MS;
	if (now_us < 5 * S && target->out >= 4)
		answer->status = 429;
	if (now_us >= 5 * S && now_us < 12 * S)
		answer->status = 503;
	if (now_us >= 12 * S && now_us < 15 * S)
		answer->status = 401;
}

static void rate_limit_and_breaker_together(void **state)
{
	be_plain();
	like.count = 50;
	like.per_ms = 1000;
	like.adaptive = true;
	like.failures = 10;
	open_world(&(struct world_options){.concurrency = 40,
		.max_attempts = 1000,
		.visibility_s = 60,
		.backoff = {.base_ms = 500, .cap_ms = 2000}});
	world.targets[0].plan = of_every_temper;
	world_add(&world, 1500);
	world_start(&world);
	world_run_until_done(&world, 120 * S);
	check_rate(&world.targets[0], NULL);
	assert_int_equal(world_stats(&world).accepted, 1500);
	assert_int_equal(world_stats(&world).lost, 0);
	assert_true(world.event_totals[DELIVERY_BREAKER_OPENED] >= 2);
	assert_true(world.event_totals[DELIVERY_BREAKER_CLOSED] >= 1);
	/* Not a storm while it refuses: a probe now and then. */
	assert_true(world.targets[0].log_count <= 1500 + 400);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rate_shared_by_two_cores),
		cmocka_unit_test(what_leaves_late_is_made_up_for),
		cmocka_unit_test(woken_for_each_token),
		cmocka_unit_test(a_slow_rate),
		cmocka_unit_test(a_fast_rate),
		cmocka_unit_test(without_a_token),
		cmocka_unit_test(deadlines_while_waiting_for_tokens),
		cmocka_unit_test(the_gauge_at_the_start),
		cmocka_unit_test(what_lowers_the_limit),
		cmocka_unit_test(finds_the_capacity),
		cmocka_unit_test(few_slots_and_full_receives),
		cmocka_unit_test(a_limit_below_one),
		cmocka_unit_test(rate_limit_and_breaker_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
