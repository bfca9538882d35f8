/* The sign of progress that a watchdog goes by: never old while all is well, or while others fail.
 */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "delivery/rate.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct world world;
static struct rate_cell cell;

static uint64_t age_us(void)
{
	struct delivery_work work;

	delivery_get_work(world.delivery, &work);
	assert_in_range(work.progress_us, 0, world_now_us(&world));
	return world_now_us(&world) - work.progress_us;
}

/* Asks each second until that instant; the oldest that was seen. */
static uint64_t oldest_until(uint64_t instant_us)
{
	uint64_t oldest_us = 0;

	while (world_now_us(&world) < instant_us) {
		uint64_t now_us;

		world_run_to(&world, world_now_us(&world) + S);
		now_us = age_us();
		oldest_us = now_us > oldest_us ? now_us : oldest_us;
	}
	return oldest_us;
}

static void assert_fresh_until(uint64_t instant_us)
{
	assert_int_equal(oldest_until(instant_us), 0);
}

static void before_the_start(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 5});
	assert_fresh_until(HOUR);
	world_start(&world);
	assert_fresh_until(HOUR + 60 * S);
	world_end(&world);
}

static void idle(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 500});
	world_start(&world);
	assert_fresh_until(HOUR);
	world_end(&world);
}

static void busy(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 5, .failure_queue = true});
	fake_target_answer(&world.targets[0], 100, (struct answer){.status = 400});
	fake_target_answer(&world.targets[0], 100, (struct answer){.status = 500});
	world.targets[0].latency_us = S;
	world_add(&world, 1000);
	world_start(&world);
	assert_fresh_until(600 * S);
	world_end(&world);
}

/* From the middle of the work on, for an hour, everything that the queue is asked fails. */
static void an_hour_without_the_queue(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 20});
	world.targets[0].latency_us = S;
	world_add(&world, 500);
	world_start(&world);
	world_run_to(&world, 5 * S);
	for (enum queue_op op = 0; op < OP_COUNT; op++)
		fake_queue_fail(&world.queue, (struct fault){.op = op,
						      .times = 1000000,
						      .err = ERR_CONNECT,
						      .entry = WHOLE_CALL});
	assert_fresh_until(HOUR);
	world_end(&world);
}

static void answer_after_100_s(
	struct fake_queue *queue, const struct call_record *call, struct call_plan *plan)
{
	*plan = (struct call_plan){
		.there_us = 50 * S, .back_us = 50 * S, .err = ERR_TIMEOUT, .lost = true};
}

/* The same, and it takes as long as the client's attempts and pauses may take to find out. */
static void an_hour_of_silence(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 20, .visibility_s = 300});
	world.targets[0].latency_us = S;
	world_add(&world, 500);
	world_start(&world);
	world_run_to(&world, 5 * S);
	world.queue.plan = answer_after_100_s;
	assert_fresh_until(HOUR);
	world_end(&world);
}

/* A receive that hangs is begun anew by itself. */
static void a_poll_that_hangs(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 5});
	fake_queue_fail(&world.queue,
		(struct fault){.op = OP_RECEIVE, .times = 20, .hangs = true, .entry = WHOLE_CALL});
	world_start(&world);
	assert_fresh_until(HOUR);
	world_end(&world);
}

/* Refused for an hour, with messages coming in. */
static void an_open_breaker(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 10, .lanes = 2});
	world.targets[0].otherwise.status = 401;
	world_add(&world, 200);
	world_start(&world);
	for (unsigned i = 0; i < 60; i++) {
		assert_fresh_until((i + 1) * 60 * S);
		world_add(&world, 10);
	}
	assert_true(world.event_totals[DELIVERY_BREAKER_OPENED] > 10);
	world_end(&world);
}

static void allow_ten_minutes(struct delivery_destination *destination, unsigned lane)
{
	destination->attempt_max_ms = 600000;
}

/* One slot, ten minutes an attempt, and more that waits. */
static void attempts_of_ten_minutes(void **state)
{
	world_init(&world,
		&(struct world_options){
			.concurrency = 1, .failure_queue = true, .adjust = allow_ten_minutes});
	world.targets[0].latency_us = 600 * S;
	world_add(&world, 12);
	world_start(&world);
	assert_fresh_until(HOUR);
	assert_int_equal(world_stats(&world).accepted, 5);
	world_end(&world);
}

static void one_in_ten_minutes(struct delivery_destination *destination, unsigned lane)
{
	destination->rate = rate_make(&cell, 6, 3600000, 1);
}

static void a_slow_rate(void **state)
{
	cell = (struct rate_cell){0};
	world_init(
		&world, &(struct world_options){.concurrency = 10, .adjust = one_in_ten_minutes});
	world_add(&world, 4);
	world_start(&world);
	assert_fresh_until(2400 * S);
	assert_int_equal(world_stats(&world).accepted, 4);
	world_end(&world);
}

/* The probe of a breaker waits for the token of a slow rate; nothing is held meanwhile. */
static void a_slow_rate_behind_a_breaker(void **state)
{
	cell = (struct rate_cell){0};
	world_init(
		&world, &(struct world_options){.concurrency = 10, .adjust = one_in_ten_minutes});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 401});
	world_add(&world, 2);
	world_start(&world);
	assert_fresh_until(1800 * S);
	assert_int_equal(world_stats(&world).accepted, 2);
	world_end(&world);
}

/* A group waits behind a copy that the failure queue does not take for a while. */
static void a_group_behind_a_copy(void **state)
{
	world_init(&world,
		&(struct world_options){.concurrency = 5, .failure_queue = true, .fifo = true});
	fake_target_answer(&world.targets[0], 1, (struct answer){.status = 400});
	fake_queue_fail(&world.failure_queue,
		(struct fault){
			.op = OP_SEND, .times = 300, .err = ERR_CONNECT, .entry = WHOLE_CALL});
	world_add_group(&world, "one", 5);
	world_start(&world);
	assert_fresh_until(HOUR);
	world_end(&world);
}

static void a_drain(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 5, .grace_ms = 600000});
	world.targets[0].otherwise.never = true;
	world_add(&world, 5);
	world_start(&world);
	world_run_to(&world, S);
	world_drain(&world);
	assert_fresh_until(590 * S);
	world_end(&world);
}

/*
 * Lost: 60 s for an attempt and 5 s. The rest of the slots work, so nothing is old; once they have
 * nothing to do any more, it is, though the message's visibility is still extended.
 */
static void an_attempt_that_never_ends(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 5});
	fake_target_answer(&world.targets[0], 1, (struct answer){.never = true});
	world.targets[0].latency_us = 500 * MS;
	world_add(&world, 2001);
	world_start(&world);
	assert_fresh_until(240 * S);
	assert_true(fake_queue_extensions(&world.queue) > 5);
	assert_in_range(oldest_until(600 * S), 300 * S, 360 * S);
	assert_int_equal(delivery_held(world.delivery), 1);
	/* Something to do: it gets that done. */
	world_add(&world, 1);
	world_run_to(&world, 601 * S);
	assert_int_equal(age_us(), 0);
	world_end(&world);
}

static void the_instant_at_which_it_is_lost(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1});
	world.targets[0].otherwise.never = true;
	world_add(&world, 3);
	world_start(&world);
	/* It began at 2 ms. */
	assert_fresh_until(65 * S);
	assert_int_equal(oldest_until(66 * S), S);
	assert_int_equal(oldest_until(120 * S), 55 * S);
	world_end(&world);
}

/* Every kind of call that settles. */
static void a_call_that_never_ends(void **state)
{
	static const struct {
		enum queue_op op;
		int status;
	} rows[] = {{OP_DELETE, 200}, {OP_CHANGE, 500}, {OP_SEND, 400}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct fault fault = {
			.op = rows[i].op, .times = 1000, .hangs = true, .entry = WHOLE_CALL};

		world_init(&world,
			&(struct world_options){
				.concurrency = 1, .failure_queue = true, .visibility_s = 1000});
		world.targets[0].otherwise.status = rows[i].status;
		world_add(&world, 1);
		world_start(&world);
		fake_queue_fail(rows[i].op == OP_SEND ? &world.failure_queue : &world.queue, fault);
		assert_fresh_until(120 * S);
		assert_in_range(oldest_until(200 * S), 79 * S, 80 * S);
		world_end(&world);
	}
}

/* Found forgotten although every part of it believes that another sees to it. */
static void what_nobody_wakes(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 10});
	world_start(&world);
	world_run_to(&world, S);
	assert_int_equal(age_us(), 0);
	receiver_cancel(&world.delivery->receiver);
	assert_int_equal(oldest_until(100 * S), 99 * S);
	receiver_pump(&world.delivery->receiver);
	assert_fresh_until(200 * S);
	world_end(&world);

	cell = (struct rate_cell){0};
	world_init(
		&world, &(struct world_options){.concurrency = 10, .adjust = one_in_ten_minutes});
	world_add(&world, 2);
	world_start(&world);
	world_run_to(&world, S);
	assert_int_equal(delivery_held(world.delivery), 1);
	assert_int_equal(age_us(), 0);
	clock_timer_clear(world.delivery->clock, &world.delivery->lanes[0].wake);
	assert_int_equal(oldest_until(100 * S), 99 * S);
	world_end(&world);
}

/* Everything is overdue then, and nobody has had a chance. */
static void a_process_that_was_stopped(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1});
	world.targets[0].otherwise.never = true;
	world_add(&world, 1);
	world_start(&world);
	assert_fresh_until(30 * S);
	world_run_to(&world, 1000 * S);
	assert_int_equal(age_us(), 0);
	assert_int_equal(oldest_until(1010 * S), 10 * S);
	world_end(&world);
}

static void what_it_says_of_the_work(void **state)
{
	struct delivery_work work;

	world_init(&world, &(struct world_options){.lanes = 2, .lane_concurrency = {30, 12}});
	world.targets[0].latency_us = 10 * S;
	world_add(&world, 25);
	world_start(&world);
	delivery_get_work(world.delivery, &work);
	assert_int_equal(work.busy, 0);
	assert_int_equal(work.slots, 42);
	assert_int_equal(work.ceiling, 42);
	assert_int_equal(work.full_polls, 0);
	assert_int_equal(work.polls, 0);
	world_run_to(&world, 5 * S);
	delivery_get_work(world.delivery, &work);
	assert_int_equal(work.busy, 25);
	assert_int_equal(work.waiting, 0);
	assert_int_equal(work.full_polls, 2);
	assert_true(work.polls >= 3);
	assert_int_equal(work.token_waits, 0);
	world_end(&world);
}

/* What was out, summed up over time: of what has ended, of what has not, of what was given up. */
static void the_use_of_slots_over_time(void **state)
{
	struct delivery_work work;
	uint64_t sum = 0;

	world_init(&world, &(struct world_options){.concurrency = 30, .visibility_s = 120});
	fake_target_answer(&world.targets[0], 5, (struct answer){.never = true});
	world.targets[0].otherwise.latency_us = 2 * S;
	world_add(&world, 25);
	world_start(&world);
	delivery_get_work(world.delivery, &work);
	assert_int_equal(work.busy_us, 0);
	assert_int_equal(work.slots_us, 0);
	world_run_to(&world, 5 * S);
	delivery_get_work(world.delivery, &work);
	for (size_t i = 0; i < 5; i++)
		sum += 5 * S - world.targets[0].log[i].at_us;
	assert_int_equal(work.busy_us, sum + 20 * 2 * S);
	assert_int_equal(work.slots_us, 30 * 5 * S);
	assert_int_equal(work.ceiling_us, 30 * 5 * S);
	world_drain(&world);
	world_run_to(&world, 60 * S);
	delivery_get_work(world.delivery, &work);
	sum = 0;
	for (size_t i = 0; i < 5; i++)
		sum += world.targets[0].log[i].ended_us - world.targets[0].log[i].at_us;
	assert_int_equal(work.busy_us, sum + 20 * 2 * S);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(before_the_start),
		cmocka_unit_test(idle),
		cmocka_unit_test(busy),
		cmocka_unit_test(an_hour_without_the_queue),
		cmocka_unit_test(an_hour_of_silence),
		cmocka_unit_test(a_poll_that_hangs),
		cmocka_unit_test(an_open_breaker),
		cmocka_unit_test(attempts_of_ten_minutes),
		cmocka_unit_test(a_slow_rate),
		cmocka_unit_test(a_slow_rate_behind_a_breaker),
		cmocka_unit_test(a_group_behind_a_copy),
		cmocka_unit_test(a_drain),
		cmocka_unit_test(an_attempt_that_never_ends),
		cmocka_unit_test(the_instant_at_which_it_is_lost),
		cmocka_unit_test(a_call_that_never_ends),
		cmocka_unit_test(what_nobody_wakes),
		cmocka_unit_test(a_process_that_was_stopped),
		cmocka_unit_test(what_it_says_of_the_work),
		cmocka_unit_test(the_use_of_slots_over_time),
	};

	return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
