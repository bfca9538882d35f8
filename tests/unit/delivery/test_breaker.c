/* The circuit breaker around a destination that refuses our credentials, or fails again and again.
 */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct world world;
static char label[64];
static const char *const to_first[] = {"Destination", "String", "lane0", NULL};

/* What the destinations of the next world are like. */
static struct {
	bool adaptive; /* the first one */
	unsigned failures;
	struct status_set accept, permanent;
} like;

static void adjust(struct delivery_destination *destination, unsigned lane)
{
	destination->breaker_failures = like.failures;
	if (like.accept.count)
		destination->outcomes.sets[OUTCOME_ACCEPTED] = like.accept;
	destination->outcomes.sets[OUTCOME_PERMANENT] = like.permanent;
	destination->adaptive = like.adaptive && lane == 0;
}

static void open_world(const struct world_options *options)
{
	struct world_options full = *options;

	full.adjust = adjust;
	full.label = label;
	world_init(&world, &full);
}

static void be_plain(void)
{
	memset(&like, 0, sizeof(like));
	snprintf(label, sizeof(label), "breaker");
}

static const struct lane *first_lane(void)
{
	return &world.delivery->lanes[0];
}

/*
 * Ten messages, all in flight; the first answer is a 401 at 12 ms. Nothing is sent before the
 * probe at 5.012 s, no receive is started, and what was received later goes back for the rest of
 * the wait.
 */
static void opens_at_the_first_refusal(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 4, .failure_queue = true});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401});
	fake_target_answer(&world.targets[0], 3, (struct answer){.status = 403, .latency_us = S});
	world_add(&world, 6);
	world_start(&world);
	world_run_to(&world, 12 * MS);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 1);
	assert_int_equal(world_event(&world, DELIVERY_BREAKER_OPENED, 0)->at_us, 12 * MS);
	assert_int_equal(world_event(&world, DELIVERY_BREAKER_OPENED, 0)->delay_ms, 5000);
	assert_string_equal(world_event(&world, DELIVERY_BREAKER_OPENED, 0)->destination, "lane0");
	assert_int_equal(world.targets[0].log_count, 4);
	world_run_to(&world, 5 * S + 11 * MS);
	assert_int_equal(world.targets[0].log_count, 4);
	assert_int_equal(fake_queue_calls(&world.queue, OP_RECEIVE), 1);
	/* The refused ones went back for what was left of the wait, in whole seconds. */
	assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 0)->visibility_s[0], 5);
	assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 1)->visibility_s[0], 5);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 1);
	assert_int_equal(world.event_totals[DELIVERY_ATTEMPT_FAILED], 4);
	world_run_to(&world, 5 * S + 12 * MS);
	/* One message, the probe; until it is answered, no other. */
	assert_int_equal(fake_queue_call(&world.queue, OP_RECEIVE, 1)->at_us, 5 * S + 12 * MS);
	assert_int_equal(fake_queue_call(&world.queue, OP_RECEIVE, 1)->asked, 1);
	world_run_to(&world, 5 * S + 23 * MS);
	assert_int_equal(world.targets[0].log_count, 5);
	assert_int_equal(world.targets[0].log[4].at_us, 5 * S + 14 * MS);
	world_run_to(&world, 5 * S + 24 * MS);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_CLOSED], 1);
	assert_int_equal(world_event(&world, DELIVERY_BREAKER_CLOSED, 0)->at_us, 5 * S + 24 * MS);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(world_stats(&world).accepted, 6);
	assert_int_equal(world_stats(&world).failed, 0);
	world_end(&world);
}

/* What waits for a slot when it opens goes back for the whole wait, in one call. */
static void what_waits_goes_back(void **state)
{
	const struct call_record *call;

	world_init(&world, &(struct world_options){.lanes = 2, .lane_concurrency = {1, 9}});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401});
	for (int i = 0; i < 5; i++)
		world_add_with(&world, to_first);
	world_start(&world);
	world_run_to(&world, 64 * MS);
	call = fake_queue_call(&world.queue, OP_CHANGE, 0);
	assert_int_equal(call->at_us, 62 * MS);
	assert_int_equal(call->count, 5);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(call->visibility_s[i], 5);
	assert_int_equal(delivery_held(world.delivery), 0);
	assert_int_equal(world.targets[0].log_count, 1);
	/* Only one attempt was made and refused. */
	assert_int_equal(world_stats(&world).retried, 1);
	world_run_until_done(&world, 60 * S);
	world_end(&world);
}

static void a_refused_probe_doubles_the_wait(void **state)
{
	static const uint64_t probes_us[] = {5 * S, 10 * S, 20 * S, 40 * S, 60 * S, 60 * S, 60 * S};
	uint64_t last_us = 0;

	/* More refusals than max_attempts: they are not the message's fault. */
	world_init(&world, &(struct world_options){
				   .concurrency = 1, .max_attempts = 2, .failure_queue = true});
	fake_target_answer(&world.targets[0], 8, (struct answer){.status = 403});
	world_add(&world, 20);
	world_start(&world);
	world_run_until_done(&world, 600 * S);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_OPENED], 8);
	for (size_t i = 0; i < sizeof(probes_us) / sizeof(probes_us[0]); i++) {
		uint64_t opened_us = world_event(&world, DELIVERY_BREAKER_OPENED, i)->at_us;

		assert_int_equal(world.targets[0].log[i].ended_us, opened_us);
		/* 2 ms for the receive that brings the probe. */
		assert_int_equal(
			world.targets[0].log[i + 1].at_us, opened_us + probes_us[i] + 2 * MS);
		last_us = opened_us;
	}
	assert_true(last_us > 0);
	assert_int_equal(world_stats(&world).accepted, 20);
	assert_int_equal(world_stats(&world).failed, 0);
	world_end(&world);
}

/* Not reached at all: the breaker stays half open, and the next message is a probe again. */
static void an_unreachable_provider_is_no_answer(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 5, .failure_queue = true});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401});
	fake_target_answer(&world.targets[0], 2, (struct answer){.err = ERR_CONNECT});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 4 * S);
	world_add(&world, 30);
	world_run_to(&world, 5 * S + 12 * MS + 2 * MS + 10 * MS);
	assert_int_equal(world.targets[0].log_count, 2);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_CLOSED], 0);
	world_run_until_done(&world, 600 * S);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_CLOSED], 1);
	/* The second failed probe had ended before the third went out. */
	assert_true(world.targets[0].log[3].at_us >= world.targets[0].log[2].ended_us);
	assert_int_equal(world.targets[0].log[3].ended_us,
		world_event(&world, DELIVERY_BREAKER_CLOSED, 0)->at_us);
	assert_int_equal(world_stats(&world).accepted, 31);
	world_end(&world);
}

/* A 500 is an answer to our credentials too: they were read. */
static void any_answer_closes(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 5});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 500});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 30 * S);
	assert_int_equal(world.event_totals[DELIVERY_BREAKER_CLOSED], 1);
	world_end(&world);
}

/* Polls that were out when it opened still bring messages: back they go, for the rest. */
static void late_messages_go_back(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 4, .failure_queue = true});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401, .latency_us = S});
	world_add(&world, 1);
	world_start(&world);
	/* The second poll left at 2 ms, for the three free slots, and waits. */
	world_run_to(&world, 2 * S);
	world_add(&world, 1);
	world_run_to(&world, 4 * S);
	assert_int_equal(world.targets[0].log_count, 1);
	/* Opened at 1.002 s until 6.002 s, arrived at 2.001 s: 4.001 s left. */
	assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 1)->messages[0], 1);
	assert_int_equal(fake_queue_call(&world.queue, OP_CHANGE, 1)->visibility_s[0], 5);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(world_stats(&world).accepted, 2);
	world_end(&world);
}

/* One destination's open breaker leaves the others as they are, however few slots they have. */
static void the_neighbour_goes_on(void **state)
{
	static const char *const to_second[] = {"Destination", "String", "lane1", NULL};

	world_init(&world, &(struct world_options){.lanes = 2,
				   .lane_concurrency = {500, 5},
				   .receivers = 1,
				   .failure_queue = true});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401});
	/* One of the neighbour's five takes its time. */
	fake_target_answer(&world.targets[1], 1, (struct answer){.latency_us = 3 * S});
	world_add_with(&world, to_first);
	world_start(&world);
	world_run_to(&world, 500 * MS);
	for (int i = 0; i < 30; i++)
		world_add_with(&world, to_second);
	world_run_to(&world, 4 * S);
	assert_int_equal(world.targets[0].log_count, 1);
	assert_int_equal(world.targets[1].log_count, 30);
	assert_true(world.targets[1].log[29].at_us < S);
	world_end(&world);
}

/* ---- failures in a row */

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
	assert_int_equal(limit, 1);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(opens_at_the_first_refusal),
		cmocka_unit_test(what_waits_goes_back),
		cmocka_unit_test(a_refused_probe_doubles_the_wait),
		cmocka_unit_test(an_unreachable_provider_is_no_answer),
		cmocka_unit_test(any_answer_closes),
		cmocka_unit_test(late_messages_go_back),
		cmocka_unit_test(the_neighbour_goes_on),
		cmocka_unit_test(failures_in_a_row_open),
		cmocka_unit_test(what_ends_the_row),
		cmocka_unit_test(zero_failures_never_open),
		cmocka_unit_test(an_accepted_500_is_no_failure),
		cmocka_unit_test(a_permanent_500_is_no_failure),
		cmocka_unit_test(one_probe_at_a_time),
		cmocka_unit_test(old_attempts_say_nothing),
		cmocka_unit_test(what_comes_while_open_goes_back),
		cmocka_unit_test(closed_again_gently),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
