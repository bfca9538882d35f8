/* Long polls: how many, for how many messages, and when again after a failure. */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct world world;

static const struct call_record *receive(size_t n)
{
	const struct call_record *call = fake_queue_call(&world.queue, OP_RECEIVE, n);

	if (!call)
		fail_msg("no receive %zu", n);
	return call;
}

/* Idle: one poll at a time, the next the moment the last has come back empty. */
static void one_scout_when_idle(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 500, .receivers = 8});
	world_start(&world);
	world_run_to(&world, 100 * S);
	assert_int_equal(fake_queue_calls(&world.queue, OP_RECEIVE), 5);
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(receive(i)->at_us, i * (20 * S + 2 * MS));
		assert_int_equal(receive(i)->asked, 10);
		assert_int_equal(receive(i)->wait_s, 20);
	}
	world_end(&world);
}

/* The first full answer lets all of them poll at once; empty ones park one each. */
static void all_poll_after_the_first_full_answer(void **state)
{
	world_init(
		&world, &(struct world_options){.concurrency = 500, .receivers = 5, .wait_s = 1});
	world.targets[0].otherwise.latency_us = 100 * MS;
	world_add(&world, 400);
	world_start(&world);
	assert_int_equal(world.queue.calls_out[OP_RECEIVE], 1);
	world_run_to(&world, 2 * MS);
	assert_int_equal(world.queue.calls_out[OP_RECEIVE], 5);
	for (size_t i = 1; i < 5; i++)
		assert_int_equal(receive(i)->at_us, receive(0)->answered_us);
	while (fake_queue_alive(&world.queue)) {
		assert_in_range(world.queue.calls_out[OP_RECEIVE], 0, 5);
		world_step(&world);
	}
	world_run_to(&world, 10 * S);
	assert_int_equal(world.queue.calls_out[OP_RECEIVE], 1);
	assert_int_equal(world.delivery->receiver.allowed, 1);
	world_end(&world);
}

/* One message, after the queue was empty, is enough. */
static void all_wake_on_the_first_message(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 500, .receivers = 8});
	world_start(&world);
	world_run_to(&world, 65 * S);
	assert_int_equal(world.queue.calls_out[OP_RECEIVE], 1);
	world_add(&world, 1);
	world_run_to(&world, 65 * S + 2 * MS);
	assert_int_equal(world.queue.calls_out[OP_RECEIVE], 8);
	/* The queue is empty again: one by one they park. */
	world_run_to(&world, 90 * S);
	assert_int_equal(world.queue.calls_out[OP_RECEIVE], 1);
	world_end(&world);
}

/* Where single messages come in, polls that bring one each are parked: a few do the work. */
static void thin_answers_park_pollers(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 500, .receivers = 8});
	world_start(&world);
	for (unsigned i = 0; i < 40; i++) {
		world_run_to(&world, 25 * S + i * 100 * MS);
		world_add(&world, 1);
	}
	world_run_to(&world, 29 * S);
	assert_int_equal(world.queue.calls_out[OP_RECEIVE], 1);
	assert_int_equal(world_stats(&world).accepted, 40);
	world_end(&world);
}

/* Requests of any kind in each minute of an hour in which nothing comes: at most four. */
static void idle_costs_four_requests_a_minute_at_most(void **state)
{
	size_t asked;

	world_init(&world, &(struct world_options){.concurrency = 500});
	world_start(&world);
	world_run_to(&world, 3600 * S);
	asked = fake_queue_calls(&world.queue, OP_ATTRIBUTES);
	for (uint64_t from_us = 0; from_us < 3540 * S; from_us += S) {
		unsigned n = 0;

		for (size_t i = 0; i < world.queue.log_count; i++)
			n += world.queue.log[i].at_us >= from_us &&
			     world.queue.log[i].at_us < from_us + 60 * S;
		assert_in_range(n, 2, 4);
	}
	/* Every ten minutes at the end. */
	assert_in_range(asked, 6, 10);
	world_end(&world);
}

/* A receive that is never answered is given up long after its deadline, and told of. */
static void a_stalled_poll_is_begun_anew(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 500, .receivers = 2});
	world.random_is_fixed = true;
	fake_queue_fail(&world.queue,
		(struct fault){.op = OP_RECEIVE, .skip = 1, .hangs = true, .entry = WHOLE_CALL});
	world_start(&world);
	world_run_to(&world, 30 * S);
	delivery_show(world.delivery);
	assert_int_equal(world.queue.calls_out[OP_RECEIVE], 1);
	world_run_to(&world, 129 * S);
	assert_int_equal(world.event_totals[DELIVERY_QUEUE_FAILED], 0);
	world_run_to(&world, 131 * S);
	assert_int_equal(world.delivery->metrics.polls_overdue->value, 1);
	assert_int_equal(world_event(&world, DELIVERY_QUEUE_FAILED, 0)->err, ERR_TIMEOUT);
	assert_true(receive(1)->cancelled);
	assert_int_equal(receive(2)->at_us, 20 * S + 2 * MS + 110 * S + 100 * MS);
	world_add(&world, 3);
	world_run_until_done(&world, 140 * S);
	world_end(&world);
}

/* What /metrics shows of each poller: how long its receive has been out. */
static void each_poller_shows_its_age(void **state)
{
	struct gauge *first, *second;

	world_init(&world, &(struct world_options){.concurrency = 500, .receivers = 2});
	first = metrics_gauge(world.metrics, "bunshin_poll_age_seconds", "", "poller=\"0\"");
	second = metrics_gauge(world.metrics, "bunshin_poll_age_seconds", "", "poller=\"1\"");
	world_start(&world);
	world_run_to(&world, 17 * S);
	delivery_show(world.delivery);
	assert_int_equal(first->value + second->value, 17);
	world_run_to(&world, 23 * S);
	delivery_show(world.delivery);
	assert_int_equal(first->value + second->value, 2);
	world_end(&world);
}

/* Known only once the queue was asked, it is set before the start, and receives ask for it. */
static void the_visibility_that_was_set(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 5, .visibility_s = 30});
	world.targets[0].otherwise.latency_us = 5 * S;
	world_add(&world, 1);
	delivery_set_visibility(world.delivery, 77);
	world_start(&world);
	world_run_to(&world, S);
	assert_int_equal(
		world.queue.messages[0]->visible_us, world.queue.messages[0]->received_us + 77 * S);
	world_run_until_done(&world, 20 * S);
	world_end(&world);
}

static void receivers_follow_the_concurrency(void **state)
{
	static const struct {
		unsigned concurrency, expected;
	} rows[] = {{1, 1}, {19, 1}, {20, 2}, {500, 26}, {1260, 64}, {100000, 64}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		world_init(&world, &(struct world_options){.concurrency = rows[i].concurrency});
		assert_int_equal(world.delivery->receiver.max_polls, rows[i].expected);
		world_end(&world);
	}
}

/* Never more asked for than there is room, in any order of things; then all delivered. */
static void sized_to_free_slots(void **state)
{
	static const unsigned concurrencies[] = {1, 2, 3, 7, 9, 10, 11, 19, 20, 21, 79, 80, 500};

	for (size_t i = 0; i < sizeof(concurrencies) / sizeof(concurrencies[0]); i++) {
		unsigned n = concurrencies[i];
		char label[32];

		snprintf(label, sizeof(label), "concurrency %u", n);
		world_init(&world,
			&(struct world_options){
				.concurrency = n, .receivers = 20, .label = label, .seed = n});
		world_add(&world, 3 * n + 5);
		world_start(&world);
		assert_int_equal(receive(0)->asked, n < 10 ? n : 10);
		world_run_until_done(&world, 60 * S);
		/* Up to an eighth of the slots, at most nine, may be too few to ask for. */
		assert_in_range(world.targets[0].out_most,
			n < 16	 ? n
			: n < 80 ? n - n / 8 + 1
				 : n - 9,
			n);
		assert_int_equal(world_stats(&world).accepted, 3 * n + 5);
		assert_int_equal(world_stats(&world).received, 3 * n + 5);
		world_end(&world);
	}
}

static void between_50_and_100_ms(
	struct fake_target *target, const struct fake_message *message, struct answer *answer)
{
	answer->latency_us = 50 * MS + message->index % 50 * MS;
}

/* Few slots: a receive for one of them as soon as it is free. Many: full receives of ten. */
static void asks_early_with_few_slots(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 3});
	fake_target_answer(&world.targets[0], 1, (struct answer){.latency_us = 100 * MS});
	fake_target_answer(&world.targets[0], 2, (struct answer){.latency_us = 5 * S});
	world_add(&world, 4);
	world_start(&world);
	world_run_to(&world, S);
	assert_int_equal(receive(1)->at_us, 102 * MS);
	assert_int_equal(receive(1)->asked, 1);
	assert_int_equal(world.targets[0].log[3].at_us, 104 * MS);
	world_end(&world);

	world_init(&world, &(struct world_options){.concurrency = 80, .receivers = 1});
	world.targets[0].otherwise.latency_us = 5 * S;
	fake_target_answer(&world.targets[0], 7, (struct answer){.latency_us = 500 * MS});
	fake_target_answer(&world.targets[0], 1, (struct answer){.latency_us = S});
	world_add(&world, 200);
	world_start(&world);
	world_run_to(&world, 4 * S);
	/* Eight receives fill it by 16 ms; seven free slots at 502 ms, and two that soon will be,
	 * are not ten; at 1.002 s they are. */
	assert_int_equal(receive(7)->at_us, 14 * MS);
	assert_int_equal(receive(8)->at_us, S + 2 * MS);
	assert_int_equal(receive(8)->asked, 10);
	world_end(&world);
}

/*
 * 15 ms to the queue, 75 ms to the provider: a slot that asked for a message only when it is free
 * would be idle for 15 ms of 90. So as many more are asked for as will be free by then. 95 % of
 * what the slots could do are wanted, in full receives; and what waits here is only that.
 */
static void slots_are_not_idle_while_receives_are_under_way(void **state)
{
	static const unsigned concurrencies[] = {64, 500, 2000};

	for (size_t i = 0; i < 3; i++) {
		unsigned slots = concurrencies[i];
		uint64_t received, receives;

		world_init(&world, &(struct world_options){.concurrency = slots});
		world.queue.there_us = 5 * MS;
		world.queue.back_us = 10 * MS;
		world.targets[0].plan = between_50_and_100_ms;
		world_add(&world, 100 * slots);
		world_start(&world);
		world_run_to(&world, S);
		received = world_stats(&world).received;
		receives = fake_queue_calls(&world.queue, OP_RECEIVE);
		while (world_now_us(&world) < 3 * S) {
			world_step(&world);
			assert_true(world.delivery->lanes[0].waiting_count <= slots / 4 + 9);
		}
		received = world_stats(&world).received - received;
		receives = fake_queue_calls(&world.queue, OP_RECEIVE) - receives;
		/* The mean of what the provider takes is 74.5 ms. */
		assert_in_range(received, 2 * slots * 1000 / 75 * 95 / 100, 2 * slots * 1000 / 74);
		assert_true(receives <= received * 101 / 1000 + 1);
		world_end(&world);
	}
}

/*
 * Messages for one full destination must not pile up here because another has free slots. (The
 * queue's own check of every receive fails when they do.)
 */
/* What comes for a lane that has enough goes back; the others get theirs. */
static void a_backlog_takes_no_room_from_others(void **state)
{
	static const char *const to_first[] = {"Destination", "String", "lane0", NULL};
	static const char *const to_second[] = {"Destination", "String", "lane1", NULL};

	world_init(&world, &(struct world_options){.lanes = 2, .lane_concurrency = {2, 8}});
	world.targets[0].otherwise.latency_us = 2 * S;
	for (int i = 0; i < 60; i++)
		world_add_with(&world, to_first);
	world_start(&world);
	world_run_to(&world, S);
	assert_int_equal(world.delivery->lanes[0].sending, 2);
	assert_int_equal(world.delivery->lanes[0].waiting_count, 10);
	for (int i = 0; i < 20; i++)
		world_add_with(&world, to_second);
	world_run_to(&world, 20 * S);
	assert_int_equal(world.targets[1].log_count, 20);
	world_run_until_done(&world, 200 * S);
	assert_int_equal(world.targets[0].out_most, 2);
	assert_int_equal(world.targets[0].log_count, 60);
	/* At most a scout's batch a second, not the backlog over and over. */
	assert_in_range(world_stats(&world).crowded, 1, 800);
	world_end(&world);
}

/* 1000 bytes each; what comes first may have any size, so one poll alone asks for it. */
static void byte_limit(void **state)
{
	char body[1000];

	memset(body, 'x', sizeof(body));
	world_init(&world,
		&(struct world_options){.concurrency = 10, .receivers = 1, .held_bytes = 3500});
	world.targets[0].otherwise.latency_us = S;
	for (int i = 0; i < 20; i++) {
		body[0] = (char)('a' + i);
		fake_queue_put(&world.queue, body, sizeof(body), NULL, 0);
	}
	world_start(&world);
	world_run_to(&world, 500 * MS);
	/* Ten at once, 10,000 bytes; nothing more until some of 3,500 are free. */
	assert_int_equal(fake_queue_calls(&world.queue, OP_RECEIVE), 1);
	assert_int_equal(world.delivery->held_bytes, 10000);
	world_run_to(&world, 900 * MS + 102 * MS);
	assert_int_equal(world_stats(&world).sending, 0);
	assert_int_equal(fake_queue_calls(&world.queue, OP_RECEIVE), 1);
	/* Attempts end at 1.002 s, all ten at once: their delete is under way till 1.004 s. */
	world_run_to(&world, S + 4 * MS);
	assert_int_equal(receive(1)->at_us, S + 4 * MS);
	assert_int_equal(receive(1)->asked, 3);
	world_run_until_done(&world, 60 * S);
	world_end(&world);
}

/* Messages of a MiB: with memory for eight, no more are held, but for the very first receive. */
static void a_mebibyte_each(void **state)
{
	const size_t size = (size_t)1 << 20;
	char *body = world_alloc(size);
	size_t most = 0;

	memset(body, 'x', size);
	world_init(&world, &(struct world_options){
				   .concurrency = 500, .receivers = 26, .held_bytes = 8 * size});
	world.targets[0].otherwise.latency_us = 300 * MS;
	for (int i = 0; i < 60; i++) {
		snprintf(body, 8, "%07d", i);
		body[7] = 'x';
		fake_queue_put(&world.queue, body, size, NULL, 0);
	}
	free(body);
	world_start(&world);
	world_run_to(&world, 3 * MS);
	assert_int_equal(world.delivery->held_bytes, 10 * size);
	world_run_to(&world, 400 * MS);
	while (fake_queue_alive(&world.queue)) {
		if (world.delivery->held_bytes > most)
			most = world.delivery->held_bytes;
		world_step(&world);
	}
	assert_in_range(most, 7 * size, 8 * size);
	assert_int_equal(world_stats(&world).received, 60);
	world_end(&world);
}

/* One that is larger than all the memory allowed still goes, alone. */
static void larger_than_the_limit(void **state)
{
	char body[5000];

	memset(body, 'x', sizeof(body));
	world_init(&world, &(struct world_options){.concurrency = 10, .held_bytes = 3500});
	for (int i = 0; i < 12; i++) {
		body[0] = (char)('a' + i);
		fake_queue_put(&world.queue, body, sizeof(body), NULL, 0);
	}
	world_start(&world);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(receive(1)->asked, 1);
	world_end(&world);
}

/*
 * Each failure in a row draws from twice the range, from 100 ms up to 20 s; the first success
 * forgets them.
 */
static void backs_off_on_failures(void **state)
{
	static const struct {
		uint64_t random;
		uint64_t delays_us[10];
	} rows[] = {
		{UINT64_MAX, {199 * MS, 399 * MS, 799 * MS, 1599 * MS, 3199 * MS, 6399 * MS,
				     12799 * MS, 19999 * MS, 19999 * MS, 19999 * MS}},
		{0, {100 * MS, 100 * MS, 100 * MS, 100 * MS, 100 * MS, 100 * MS, 100 * MS, 100 * MS,
			    100 * MS, 100 * MS}},
		{UINT64_C(1) << 63, {100 * MS, 200 * MS, 400 * MS, 800 * MS, 1600 * MS, 3200 * MS,
					    6400 * MS, 10000 * MS, 10000 * MS, 10000 * MS}},
	};

	for (size_t row = 0; row < 3; row++) {
		world_init(&world, &(struct world_options){.concurrency = 500});
		world.random_is_fixed = true;
		world.random_fixed = rows[row].random;
		fake_queue_fail(&world.queue, (struct fault){.op = OP_RECEIVE,
						      .times = 10,
						      .err = ERR_CONNECT,
						      .entry = WHOLE_CALL});
		world_start(&world);
		world_run_to(&world, 200 * S);
		for (size_t i = 0; i < 10; i++)
			assert_int_equal(receive(i + 1)->at_us,
				receive(i)->answered_us + rows[row].delays_us[i]);
		assert_int_equal(world.event_totals[DELIVERY_QUEUE_FAILED], 10);
		assert_int_equal(world_event(&world, DELIVERY_QUEUE_FAILED, 0)->err, ERR_CONNECT);
		assert_string_equal(
			world_event(&world, DELIVERY_QUEUE_FAILED, 0)->operation, "receive");
		assert_int_equal(world.event_totals[DELIVERY_QUEUE_CONNECTED], 1);
		assert_int_equal(world.delivery->receiver.failures, 0);
		/* Working again, it goes on at once. */
		assert_int_equal(receive(11)->at_us, receive(10)->answered_us);
		world_end(&world);
	}
}

/* The same, when the receive cannot even be started. */
static void backs_off_when_none_can_be_started(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1});
	world.random_is_fixed = true;
	world.random_fixed = UINT64_MAX;
	fake_queue_fail(&world.queue, (struct fault){.op = OP_RECEIVE,
					      .times = 3,
					      .err = ERR_NOMEM,
					      .entry = WHOLE_CALL,
					      .sync = true});
	world_add(&world, 1);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(receive(1)->at_us, 199 * MS);
	assert_int_equal(receive(2)->at_us, 598 * MS);
	assert_int_equal(receive(3)->at_us, 1397 * MS);
	world_end(&world);
}

/* Polls that fail together are one failure: the wait starts short however many were out. */
static void failing_together_counts_once(void **state)
{
	world_init(&world,
		&(struct world_options){.concurrency = 500, .receivers = 8, .visibility_s = 600});
	world.random_is_fixed = true;
	world.random_fixed = UINT64_MAX;
	world.targets[0].otherwise.latency_us = 100 * S;
	world_add(&world, 30);
	fake_queue_fail(&world.queue, (struct fault){.op = OP_RECEIVE,
					      .skip = 1,
					      .times = 8,
					      .err = ERR_UNAVAILABLE,
					      .entry = WHOLE_CALL});
	world_start(&world);
	world_run_to(&world, 3 * MS);
	assert_int_equal(world.queue.calls_out[OP_RECEIVE], 8);
	world_run_to(&world, 4 * MS);
	assert_int_equal(world.event_totals[DELIVERY_QUEUE_FAILED], 8);
	assert_int_equal(world.queue.calls_out[OP_RECEIVE], 0);
	world_run_to(&world, 50 * S);
	/* One alone, 199 ms later. */
	assert_int_equal(receive(9)->at_us, 4 * MS + 199 * MS);
	assert_true(receive(10)->at_us > receive(9)->answered_us - 1);
	world_end(&world);
}

/* What is sent and cannot be deleted is bounded as well. */
static void stops_when_nothing_can_be_settled(void **state)
{
	world_init(&world,
		&(struct world_options){.concurrency = 10, .receivers = 4, .visibility_s = 600});
	world.random_is_fixed = true;
	world.random_fixed = UINT64_C(1) << 63;
	fake_queue_fail(&world.queue, (struct fault){.op = OP_DELETE,
					      .times = 1000000,
					      .err = ERR_UNAVAILABLE,
					      .entry = WHOLE_CALL});
	world_add(&world, 2000);
	world_start(&world);
	world_run_to(&world, 30 * S);
	/* Twice the slots and a thousand, and the last polls' catch. */
	assert_in_range(delivery_held(world.delivery), 1020, 1040);
	world.queue.faults[0].times = 0;
	world_run_until_done(&world, 120 * S);
	assert_int_equal(world_stats(&world).received, 2000);
	world_end(&world);
}

/*
 * Nothing is received for the bytes that are held; the last message that holds them is lost when
 * its delete cannot even be started. That must wake the receiver. (Found by seed 4086.)
 */
static void goes_on_when_the_last_message_is_lost(void **state)
{
	world_init(&world,
		&(struct world_options){.concurrency = 2, .held_bytes = 1, .visibility_s = 2});
	fake_target_answer(&world.targets[0], 1, (struct answer){.latency_us = 3 * S});
	fake_queue_fail(&world.queue,
		(struct fault){
			.op = OP_CHANGE, .times = 100, .err = ERR_CONNECT, .entry = WHOLE_CALL});
	fake_queue_fail(&world.queue,
		(struct fault){
			.op = OP_DELETE, .err = ERR_NOMEM, .entry = WHOLE_CALL, .sync = true});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 2 * MS);
	world_run_to(&world, 3 * S + 52 * MS);
	assert_int_equal(world_stats(&world).lost, 1);
	world_run_until_done(&world, 30 * S);
	world_end(&world);
}

/* ---- a burst comes to a worker that has been idle: when are all slots in use? */

/*
 * Idle for a minute, then six messages for each slot at once, or one and the others 10 ms later; 15
 * ms to the queue and back. Microseconds from the first message until so many attempts are out.
 */
static uint64_t ramp_us(
	const struct world_options *options, uint64_t provider_us, bool one_first, unsigned wanted)
{
	uint64_t came_us;

	world_init(&world, options);
	world.queue.there_us = 5 * MS;
	world.queue.back_us = 10 * MS;
	world.targets[0].otherwise.latency_us = provider_us;
	world_start(&world);
	world_run_to(&world, 65 * S);
	assert_int_equal(world.queue.calls_out[OP_RECEIVE], 1);
	came_us = world_now_us(&world);
	world_add(&world, one_first ? 1 : 6 * options->concurrency);
	if (one_first) {
		world_run_to(&world, came_us + 10 * MS);
		world_add(&world, 6 * options->concurrency);
	}
	while (world.targets[0].out < wanted) {
		assert_true(world_now_us(&world) < came_us + 10 * S);
		assert_true(world_step(&world));
	}
	return world_now_us(&world) - came_us;
}

/*
 * One way to the worker, and then one there and back for every time that all polls have brought ten
 * each: 300 ms are allowed. Whether it is 500 messages at once or one before the others makes no
 * difference, since one is enough to wake all.
 */
static void a_burst_fills_all_slots_at_once(void **state)
{
	static const struct {
		unsigned concurrency, receivers;
		uint64_t expected_us;
	} rows[] = {{10, 0, 10 * MS + 15 * MS}, {100, 0, 10 * MS + 2 * 15 * MS},
		{500, 0, 10 * MS + 2 * 15 * MS}, {2000, 0, 10 * MS + 4 * 15 * MS},
		{500, 8, 10 * MS + 7 * 15 * MS}};

	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		const struct world_options options = {
			.concurrency = rows[i / 2].concurrency, .receivers = rows[i / 2].receivers};
		unsigned slots = options.concurrency;
		/* Fewer than ten free ones wait for others. */
		unsigned wanted = slots < 80 ? slots : slots - 9;
		uint64_t took_us = ramp_us(&options, 500 * MS, i % 2, wanted);

		assert_int_equal(took_us, rows[i / 2].expected_us);
		/* Beside the scouts of a minute, no more receives than that many slots take. */
		assert_in_range(
			fake_queue_calls(&world.queue, OP_RECEIVE), slots / 10, slots / 10 + 5);
		world_run_to(&world, world_now_us(&world) + S);
		assert_in_range(world.targets[0].out_most, wanted, slots);
		world_end(&world);
	}
}

static void be_adaptive(struct delivery_destination *destination, unsigned lane)
{
	destination->adaptive = true;
}

/*
 * The first burst, whose limit must be found: 16 at once, 64 after the first answers, and twice as
 * many each time. Each step takes an answer and a receive.
 */
static void a_first_burst_doubles_by_round_trips(void **state)
{
	static const uint64_t providers_us[] = {20 * MS, 45 * MS, 100 * MS};

	for (size_t i = 0; i < sizeof(providers_us) / sizeof(providers_us[0]); i++) {
		const struct world_options options = {.concurrency = 500, .adjust = be_adaptive};
		uint64_t us = ramp_us(&options, providers_us[i], false, 491);

		assert_in_range(us, 4 * providers_us[i], 4 * (providers_us[i] + 15 * MS) + 40 * MS);
		assert_true(us < 300 * MS || providers_us[i] > 45 * MS);
		world_run_until_done(&world, 200 * S);
		world_end(&world);
	}
}

/*
 * A worker that has found once what the provider takes knows it after an hour of idleness, too: the
 * next burst fills all slots as fast as if there were no limit to find.
 */
static void a_later_burst_needs_no_slow_start(void **state)
{
	const struct world_options options = {.concurrency = 500, .adjust = be_adaptive};
	uint64_t first_us = ramp_us(&options, 100 * MS, false, 491), came_us;

	assert_in_range(first_us, 300 * MS,
		500 * MS); /* 16 at first, 64 then, and twice as many each time */
	world_run_until_done(&world, 200 * S);
	world_run_to(&world, 3800 * S);
	assert_int_equal(world.queue.calls_out[OP_RECEIVE], 1);
	came_us = world_now_us(&world);
	world_add(&world, 3000);
	while (world.targets[0].out < 491) {
		assert_true(world_now_us(&world) < came_us + 10 * S);
		assert_true(world_step(&world));
	}
	assert_in_range(world_now_us(&world) - came_us, 0, 10 * MS + 3 * 15 * MS);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_scout_when_idle),
		cmocka_unit_test(all_poll_after_the_first_full_answer),
		cmocka_unit_test(all_wake_on_the_first_message),
		cmocka_unit_test(thin_answers_park_pollers),
		cmocka_unit_test(idle_costs_four_requests_a_minute_at_most),
		cmocka_unit_test(a_stalled_poll_is_begun_anew),
		cmocka_unit_test(each_poller_shows_its_age),
		cmocka_unit_test(the_visibility_that_was_set),
		cmocka_unit_test(receivers_follow_the_concurrency),
		cmocka_unit_test(sized_to_free_slots),
		cmocka_unit_test(asks_early_with_few_slots),
		cmocka_unit_test(slots_are_not_idle_while_receives_are_under_way),
		cmocka_unit_test(a_backlog_takes_no_room_from_others),
		cmocka_unit_test(byte_limit),
		cmocka_unit_test(a_mebibyte_each),
		cmocka_unit_test(larger_than_the_limit),
		cmocka_unit_test(a_burst_fills_all_slots_at_once),
		cmocka_unit_test(a_first_burst_doubles_by_round_trips),
		cmocka_unit_test(a_later_burst_needs_no_slow_start),
		cmocka_unit_test(backs_off_on_failures),
		cmocka_unit_test(backs_off_when_none_can_be_started),
		cmocka_unit_test(failing_together_counts_once),
		cmocka_unit_test(stops_when_nothing_can_be_settled),
		cmocka_unit_test(goes_on_when_the_last_message_is_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
