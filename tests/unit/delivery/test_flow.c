/*
 * How much is sent, and when: the rate that workers share, the adaptive limit, the breaker, and all
 * three together. Each by itself is tested to the value elsewhere; here it is what the core does
 * with them.
 */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct world world, second;
static char label[64];
static struct rate_cell cell;
static const char *const to_first[] = {"Destination", "String", "lane0", NULL};

/* What the destinations of the next world are like. */
static struct {
	uint64_t count; /* a rate of the first lane; 0: none */
	int64_t per_ms;
	bool adaptive; /* the first lane */
	unsigned failures;
	struct status_set accept, permanent;
} like;

static void adjust(struct delivery_destination *destination, unsigned lane)
{
	destination->breaker_failures = like.failures;
	if (like.accept.count)
		destination->outcomes.sets[OUTCOME_ACCEPTED] = like.accept;
	destination->outcomes.sets[OUTCOME_PERMANENT] = like.permanent;
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

/* The gauge says what the limiter says, rounded. */
static void check_gauge(void)
{
	const struct lane *lane = first_lane();

	assert_int_equal(lane->counts.limit->value, (int64_t)(lane->limiter.limit + 0.5));
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
	check_gauge();
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
		check_gauge();
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
	check_gauge();
	assert_in_range(first_lane()->counts.limit->value, 5, 14);
	/* 200 a second are what it takes; few are refused. */
	assert_true(accepted >= 20 * 200 * 8 / 10);
	assert_true(attempts - accepted <= attempts / 8);
	capacity = 1000;
	world_run_to(&world, 70 * S);
	check_gauge();
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
	check_gauge();
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

/* ---- the breaker */

static const struct world_event *opened(size_t n)
{
	return world_event(&world, DELIVERY_BREAKER_OPENED, n);
}

/* Five in a row of any of these open it; what waits goes back for the second that it lasts. */
static void failures_in_a_row_open(void **state)
{
	static const struct answer rows[] = {{.status = 500}, {.status = 501}, {.status = 502},
		{.status = 503}, {.status = 504}, {.status = 599}, {.err = ERR_DNS},
		{.err = ERR_CONNECT}, {.err = ERR_TLS}, {.err = ERR_TIMEOUT}, {.err = ERR_NETWORK},
		{.err = ERR_PROTOCOL}, {.err = ERR_ANSWER_TOO_LARGE}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		be_plain();
		snprintf(label, sizeof(label), "row %zu", i);
		like.failures = 5;
		open_world(&(struct world_options){.concurrency = 1, .lanes = 2});
		fake_target_answer(&world.targets[0], 5, rows[i]);
		for (int n = 0; n < 8; n++)
			world_add_with(&world, to_first);
		world_start(&world);
		world_run_to(&world, S);
		/* One after the other, from 2 ms on, 10 ms each. */
		assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 1);
		assert_int_equal(opened(0)->at_us, world.targets[0].log[4].ended_us);
		assert_int_equal(opened(0)->delay_ms, 1000);
		assert_string_equal(opened(0)->reason, "it fails again and again");
		assert_int_equal(first_lane()->counts.open->value, 1);
		assert_int_equal(world.targets[0].log_count, 5);
		world_run_until_done(&world, 100 * S);
		assert_int_equal(world_stats(&world).accepted, 8);
		assert_int_equal(world.event_totals[DELIVERY_BREAKER_CLOSED], 1);
		assert_int_equal(first_lane()->counts.open->value, 0);
		world_end(&world);
	}
}

/* Four, one of these, four: nothing. */
static void what_ends_the_row(void **state)
{
	static const struct {
		struct answer answer;
		bool ends; /* or is no answer at all, and the row goes on */
	} rows[] = {
		{{.status = 200}, true},
		{{.status = 204}, true},
		{{.status = 404}, true},
		{{.status = 429}, true},
		{{.status = 408}, true},
		{{.status = 302}, true},
		{{.err = ERR_TEMPLATE}, false},
		{{.err = ERR_NOMEM}, false},
		{{.err = ERR_THROTTLED}, false},
		{{.start_err = ERR_LIMIT}, false},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		be_plain();
		snprintf(label, sizeof(label), "row %zu", i);
		like.failures = 5;
		open_world(&(struct world_options){.concurrency = 1, .failure_queue = true});
		fake_target_answer(&world.targets[0], 4, (struct answer){.status = 500});
		fake_target_answer(&world.targets[0], 1, rows[i].answer);
		fake_target_answer(&world.targets[0], 4, (struct answer){.status = 500});
		world_add(&world, 30);
		world_start(&world);
		world_run_until_done(&world, 100 * S);
		/* The fifth opens it, the other three are probes that fail. */
		assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], rows[i].ends ? 0 : 4);
		world_end(&world);
	}
}

static void zero_failures_never_open(void **state)
{
	be_plain();
	open_world(&(struct world_options){.concurrency = 10, .max_attempts = 1000});
	fake_target_answer(&world.targets[0], 250, (struct answer){.status = 500});
	world_add(&world, 60);
	world_start(&world);
	world_run_until_done(&world, 3000 * S);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 0);
	world_end(&world);
}

/* Some providers say 500 and mean that they have it already. */
static void an_accepted_500_is_no_failure(void **state)
{
	static const struct status_range accept[] = {{200, 299}, {500, 500}};

	be_plain();
	like.failures = 3;
	like.accept = (struct status_set){accept, 2};
	open_world(&(struct world_options){.concurrency = 1});
	world.targets[0].otherwise = (struct answer){.status = 500, .accepted = true};
	fake_target_answer(&world.targets[0], 2, (struct answer){.status = 502});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 500, .accepted = true});
	fake_target_answer(&world.targets[0], 2, (struct answer){.status = 502});
	world_add(&world, 30);
	world_start(&world);
	world_run_until_done(&world, 100 * S);
	assert_int_equal(world_stats(&world).accepted, 30);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 0);
	world_end(&world);
}

/* Nor is one that the configuration calls the message's own fault. */
static void a_permanent_500_is_no_failure(void **state)
{
	static const struct status_range permanent[] = {{500, 501}};

	be_plain();
	like.failures = 3;
	like.permanent = (struct status_set){permanent, 1};
	open_world(&(struct world_options){.concurrency = 1, .failure_queue = true});
	fake_target_answer(&world.targets[0], 2, (struct answer){.status = 502});
	fake_target_answer(&world.targets[0], 5, (struct answer){.status = 500});
	fake_target_answer(&world.targets[0], 2, (struct answer){.status = 501});
	fake_target_answer(&world.targets[0], 2, (struct answer){.status = 502});
	world_add(&world, 30);
	world_start(&world);
	world_run_until_done(&world, 100 * S);
	assert_int_equal(world_stats(&world).failed, 7);
	assert_int_equal(world_stats(&world).accepted, 23);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 0);
	world_end(&world);
}

/* One at a time; each that fails doubles the wait, to a minute at most. */
static void one_probe_at_a_time(void **state)
{
	static const uint64_t waits_us[] = {
		1 * S, 2 * S, 4 * S, 8 * S, 16 * S, 32 * S, 60 * S, 60 * S};

	be_plain();
	like.failures = 1;
	open_world(&(struct world_options){.concurrency = 10, .max_attempts = 100});
	world.targets[0].latency_us = 300 * MS;
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 500});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 500 * MS);
	fake_target_answer(&world.targets[0], 7, (struct answer){.status = 500});
	world_add(&world, 30);
	world.targets[0].out_most = 0;
	world_run_to(&world, 185 * S);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 8);
	assert_int_equal(world.targets[0].out_most, 1);
	for (size_t i = 0; i < 8; i++) {
		uint64_t due_us = opened(i)->at_us + waits_us[i];

		assert_int_equal(opened(i)->delay_ms, waits_us[i] / 1000);
		if (i + 1 < 8) {
			/* 2 ms for the receive that brings it. */
			assert_int_equal(world.targets[0].log[i + 1].at_us, due_us + 2 * MS);
			assert_int_equal(
				opened(i + 1)->at_us, world.targets[0].log[i + 1].ended_us);
		}
	}
	world_run_until_done(&world, 400 * S);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_CLOSED], 1);
	assert_int_equal(world_stats(&world).accepted, 31);
	world_end(&world);
}

/* Attempts that were out when it opened end later: they open nothing and close nothing. */
static void old_attempts_say_nothing(void **state)
{
	static const struct answer rows[] = {{.status = 500, .latency_us = 1500 * MS},
		{.status = 401, .latency_us = 1500 * MS}, {.status = 200, .latency_us = 1500 * MS},
		{.err = ERR_TIMEOUT, .latency_us = 1500 * MS}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		be_plain();
		snprintf(label, sizeof(label), "row %zu", i);
		like.failures = 1;
		open_world(&(struct world_options){.concurrency = 10});
		fake_target_answer(&world.targets[0], 1, (struct answer){.status = 500});
		fake_target_answer(&world.targets[0], 9, rows[i]);
		/* The probe goes out when the last of them has ended, and is out until 2.704 s. */
		world.targets[0].otherwise.latency_us = 1200 * MS;
		world_add(&world, 11);
		world_start(&world);
		world_run_to(&world, 2704 * MS - 1);
		assert_int_equal(world.targets[0].log[10].at_us, 1504 * MS);
		assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 1);
		assert_int_equal(world.event_totals[DELIVERY_BREAKER_CLOSED], 0);
		world_run_to(&world, 2704 * MS);
		assert_int_equal(world.event_totals[DELIVERY_BREAKER_CLOSED], 1);
		world_end(&world);
	}
}

/* Messages that come while it is open go back for what is left of its wait, and no longer. */
static void what_comes_while_open_goes_back(void **state)
{
	be_plain();
	like.failures = 1;
	open_world(&(struct world_options){.concurrency = 4});
	world.targets[0].otherwise.latency_us = 600 * MS;
	/* Two probes fail: open from 0.602, 2.204 s on, then for 4 s from 4.806 s on. */
	fake_target_answer(
		&world.targets[0], 3, (struct answer){.status = 500, .latency_us = 600 * MS});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 5 * S);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 3);
	for (size_t n = 0; n < 3; n++) {
		const struct call_record *call = fake_queue_call(&world.queue, OP_CHANGE, n);
		static const unsigned waits_s[] = {1, 2, 4};

		/* The failed ones have the back-off of their own; of the rest there is none. */
		assert_int_equal(call->count, 1);
		assert_int_equal(opened(n)->delay_ms, waits_s[n] * 1000);
	}
	world_end(&world);
}

/* After an outage it begins gently, not with all slots at once. */
static void closed_again_gently(void **state)
{
	uint64_t closed_us;
	unsigned in_100_ms = 0;
	int64_t limit;

	be_plain();
	like.failures = 5;
	like.adaptive = true;
	open_world(
		&(struct world_options){.concurrency = 100, .receivers = 10, .visibility_s = 120});
	world.targets[0].latency_us = 50 * MS;
	world_add(&world, 2000);
	world_start(&world);
	world_run_to(&world, 500 * MS);
	assert_true(first_lane()->counts.limit->value > 16);
	world.targets[0].otherwise.status = 500;
	world_run_to(&world, 700 * MS);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 1);
	world.targets[0].otherwise.status = 200;
	while (!world.event_totals[DELIVERY_BREAKER_CLOSED])
		world_step(&world);
	closed_us = world_event(&world, DELIVERY_BREAKER_CLOSED, 0)->at_us;
	limit = first_lane()->counts.limit->value;
	world.targets[0].out_most = world.targets[0].out;
	world_run_to(&world, closed_us + 40 * MS);
	assert_int_equal(world.targets[0].out_most, 1);
	world_run_to(&world, closed_us + 100 * MS);
	for (size_t i = 0; i < world.targets[0].log_count; i++)
		in_100_ms += world.targets[0].log[i].at_us >= closed_us;
	assert_in_range(in_100_ms, 1, 4);
	world_run_until_done(&world, 60 * S);
	assert_true(world.targets[0].out_most > 16);
	check_gauge();
	assert_int_equal(limit, 1);
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
	check_gauge();
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
		cmocka_unit_test(failures_in_a_row_open),
		cmocka_unit_test(what_ends_the_row),
		cmocka_unit_test(zero_failures_never_open),
		cmocka_unit_test(an_accepted_500_is_no_failure),
		cmocka_unit_test(a_permanent_500_is_no_failure),
		cmocka_unit_test(one_probe_at_a_time),
		cmocka_unit_test(old_attempts_say_nothing),
		cmocka_unit_test(what_comes_while_open_goes_back),
		cmocka_unit_test(closed_again_gently),
		cmocka_unit_test(rate_limit_and_breaker_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
