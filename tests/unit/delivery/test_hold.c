/*
 * Control in the core: paused, a rate, cancelled campaigns, and doubt about them. That nothing is
 * started against control is checked by the world at every attempt.
 */
#include "base/mapped_file.h"
#include "bunshin/error.h"
#include "delivery/core.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct world world;
static struct rate_cell cell;

static const struct control nothing, paused = {.paused = true};

static struct control rate(uint64_t count, int64_t per_ms)
{
	return (struct control){.rate_count = count, .rate_per_ms = per_ms};
}

static struct control cancelled(const char *names)
{
	struct control control = {.paused = false};

	strcpy(control.cancelled, names);
	return control;
}

static size_t starts(void)
{
	return world.targets[0].log_count;
}

static size_t starts_until(uint64_t instant_us)
{
	world_run_to(&world, instant_us);
	return starts();
}

static uint64_t stall_us(void)
{
	struct delivery_work work;

	delivery_get_work(world.delivery, &work);
	return world_now_us(&world) - work.progress_us;
}

/* ---- paused */

static void paused_before_the_start_nothing_is_received(void **state)
{
	struct delivery_health health;

	world_init(&world, &(struct world_options){.concurrency = 2});
	assert_null(delivery_control(world.delivery));
	world_add(&world, 5);
	world_set_control(&world, &paused);
	world_start(&world);
	world_run_to(&world, HOUR);
	assert_int_equal(fake_queue_calls(&world.queue, OP_RECEIVE), 0);
	delivery_get_health(world.delivery, &health);
	assert_true(health.paused);
	assert_true(delivery_control(world.delivery)->paused);
	world_set_control(&world, &nothing);
	assert_int_equal(fake_queue_calls(&world.queue, OP_RECEIVE), 1);
	world_run_until_done(&world, HOUR + 5 * S);
	assert_int_equal(world_stats(&world).accepted, 5);
	delivery_get_health(world.delivery, &health);
	assert_false(health.paused);
	world_end(&world);
}

/* What is in flight ends and is settled, what waits goes back for five seconds; resumed, it goes
 * on. */
static void attempts_in_flight_finish(void **state)
{
	struct control slow = rate(5, 1000);
	size_t calls, out;

	world_init(&world, &(struct world_options){.concurrency = 10});
	world.targets[0].latency_us = 3 * S;
	world_add(&world, 10);
	world_set_control(&world, &slow);
	world_start(&world);
	out = starts_until(500 * MS);
	assert_in_range(out, 2, 4);
	assert_true(delivery_held(world.delivery) > out);
	slow.paused = true;
	world_set_control(&world, &slow);
	world_run_to(&world, 4 * S);
	assert_int_equal(world_stats(&world).accepted, out);
	assert_int_equal(world_stats(&world).deleted, out);
	assert_int_equal(delivery_held(world.delivery), 0);
	assert_int_equal(world_returned_for(&world, out, 1), DELIVERY_PAUSE_MS / 1000);
	/* Polls that were out have ended; there is no other. */
	world_run_to(&world, 60 * S);
	calls = fake_queue_calls(&world.queue, OP_RECEIVE);
	world_run_to(&world, HOUR);
	assert_int_equal(fake_queue_calls(&world.queue, OP_RECEIVE), calls);
	assert_int_equal(starts(), out);
	world_set_control(&world, &nothing);
	world_run_until_done(&world, HOUR + 60 * S);
	assert_int_equal(world_stats(&world).accepted, 10);
	world_end(&world);
}

/* A receive that waits when the queue is paused brings what comes then, once. */
static void what_a_poll_brings_goes_back(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 2});
	world_start(&world);
	world_run_to(&world, S);
	world_set_control(&world, &paused);
	world_run_to(&world, 2 * S);
	world_add(&world, 3);
	world_run_to(&world, 60 * S);
	assert_int_equal(starts(), 0);
	for (size_t i = 0; i < 3; i++)
		assert_true(world.queue.messages[i]->receive_count <= 1);
	assert_int_equal(world_returned_for(&world, 0, 1), DELIVERY_PAUSE_MS / 1000);
	world_set_control(&world, &nothing);
	world_run_until_done(&world, 90 * S);
	world_end(&world);
}

/* Nothing is wrong with a worker that waits for its operator. */
static void the_watchdog_is_not_alarmed(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 2});
	world_add(&world, 5);
	world_start(&world);
	world_run_to(&world, MS);
	world_set_control(&world, &paused);
	for (uint64_t second = 1; second < 3600; second++) {
		world_run_to(&world, second * S);
		assert_int_equal(stall_us(), 0);
	}
	world_set_control(&world, &nothing);
	world_run_until_done(&world, HOUR + 60 * S);
	world_end(&world);
}

static void a_failed_attempt_backs_off_all_the_same(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1});
	fake_target_answer(&world.targets[0], 1,
		(struct answer){.status = 503, .retry_after_ms = 2000, .latency_us = S});
	world_add(&world, 1);
	world_start(&world);
	world_run_to(&world, 500 * MS);
	world_set_control(&world, &paused);
	world_run_to(&world, 10 * S);
	assert_int_equal(world_returned_for(&world, 0, 1), 2);
	assert_int_equal(starts(), 1);
	world_set_control(&world, &nothing);
	world_run_until_done(&world, 20 * S);
	assert_int_equal(world_stats(&world).accepted, 1);
	world_end(&world);
}

static void drained_while_paused(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1});
	world.targets[0].latency_us = S;
	world_add(&world, 3);
	world_start(&world);
	world_run_to(&world, 500 * MS);
	world_set_control(&world, &paused);
	world_drain(&world);
	world_run_to(&world, 20 * S);
	assert_int_equal(world.drained, 1);
	assert_int_equal(world.drained_held, 0);
	assert_int_equal(world_stats(&world).accepted, 1);
	world_end(&world);
}

/* Paused in the middle of a drain, and resumed in it: that starts nothing either. */
static void paused_and_resumed_while_draining(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1});
	world.targets[0].latency_us = S;
	world_add(&world, 3);
	world_start(&world);
	world_run_to(&world, 500 * MS);
	world_drain(&world);
	world_set_control(&world, &paused);
	world_set_control(&world, &nothing);
	world_run_to(&world, 20 * S);
	assert_int_equal(world.drained, 1);
	assert_int_equal(starts(), 1);
	world_end(&world);
}

static void groups_go_back_in_order(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 4, .fifo = true});
	world.targets[0].latency_us = S;
	world_add_group(&world, "a", 5);
	world_add_group(&world, "b", 5);
	world_start(&world);
	world_run_to(&world, 1500 * MS);
	world_set_control(&world, &paused);
	world_run_to(&world, 30 * S);
	assert_int_equal(delivery_held(world.delivery), 0);
	world_set_control(&world, &nothing);
	world_run_until_done(&world, 90 * S);
	assert_int_equal(world_stats(&world).accepted, 10);
	world_end(&world);
}

/* ---- a rate */

static void limit_to_100(struct delivery_destination *destination, unsigned lane)
{
	destination->rate = rate_make(&cell, 100, 1000, 1);
}

static void a_rate_holds_from_then_on(void **state)
{
	struct control ten = rate(10, 1000), hundred = rate(100, 1000);
	size_t before;

	world_init(&world, &(struct world_options){.concurrency = 100});
	world_add(&world, 2000);
	world_set_control(&world, &ten);
	world_start(&world);
	before = starts_until(10 * S);
	assert_in_range(before, 95, 101);
	world_set_control(&world, &hundred);
	/* Within a second, and without a burst: ten tokens at once are 50 ms worth and one. */
	assert_in_range(starts_until(11 * S) - before, 95, 106);
	before = starts();
	world_set_control(&world, &ten);
	assert_in_range(starts_until(21 * S) - before, 95, 102);
	before = starts();
	world_set_control(&world, &nothing);
	assert_in_range(starts_until(21 * S + 500 * MS) - before, 500, 2000);
	world_run_until_done(&world, 60 * S);
	world_end(&world);
}

/* From one an hour: nobody waits for the hour's end. */
static void a_slow_rate_is_raised_at_once(void **state)
{
	struct control slow = rate(1, 3600000), fast = rate(50, 1000);

	world_init(&world, &(struct world_options){.concurrency = 10});
	world_add(&world, 100);
	world_set_control(&world, &slow);
	world_start(&world);
	assert_int_equal(starts_until(10 * S), 1);
	world_set_control(&world, &fast);
	assert_in_range(starts_until(11 * S), 45, 54);
	world_run_until_done(&world, 60 * S);
	world_end(&world);
}

/* Raised and lowered again and again, there are no more than the faster one gives. */
static void no_burst_of_changes(void **state)
{
	struct control ten = rate(10, 1000), hundred = rate(100, 1000);

	world_init(&world, &(struct world_options){.concurrency = 100});
	world_add(&world, 2000);
	world_set_control(&world, &hundred);
	world_start(&world);
	for (uint64_t i = 1; i <= 200; i++) {
		world_run_to(&world, i * 50 * MS);
		world_set_control(&world, i % 2 ? &ten : &hundred);
	}
	assert_in_range(starts(), 300, 1006);
	world_set_control(&world, &nothing);
	world_run_until_done(&world, 60 * S);
	world_end(&world);
}

static void the_lower_of_the_two_counts(void **state)
{
	struct control higher = rate(1000, 1000), lower = rate(20, 1000);
	size_t before;

	cell = (struct rate_cell){0};
	world_init(&world, &(struct world_options){.concurrency = 100, .adjust = limit_to_100});
	world_add(&world, 1500);
	world_set_control(&world, &higher);
	world_start(&world);
	before = starts_until(5 * S);
	assert_in_range(before, 480, 506);
	world_set_control(&world, &lower);
	assert_in_range(starts_until(10 * S) - before, 95, 102);
	before = starts();
	world_set_control(&world, &nothing);
	assert_in_range(starts_until(11 * S) - before, 95, 106);
	world_run_until_done(&world, 60 * S);
	world_end(&world);
}

static void the_hosts_of_a_fleet_share_it(void **state)
{
	struct control forty = rate(40, 1000);

	world_init(&world, &(struct world_options){.concurrency = 100, .fleet_hosts = 4});
	world_add(&world, 500);
	world_set_control(&world, &forty);
	world_start(&world);
	assert_in_range(starts_until(10 * S), 95, 101);
	world_set_control(&world, &nothing);
	world_run_until_done(&world, 60 * S);
	world_end(&world);
}

static struct rate_cell shared;

static void share_cell(struct delivery_destination *destination, unsigned lane)
{
	destination->control_cell = &shared;
}

/* Two workers of a host that take it over a second apart, raised as well as lowered. */
static void the_workers_of_a_host_share_it(void **state)
{
	static struct world other;
	struct control ten = rate(10, 1000), hundred = rate(100, 1000);
	const struct world_options options = {.concurrency = 50, .adjust = share_cell};
	struct world *both[] = {&world, &other};
	size_t before;

	shared = (struct rate_cell){0};
	for (int i = 0; i < 2; i++) {
		world_init(both[i], &options);
		world_add(both[i], 1000);
		world_set_control(both[i], &ten);
		world_start(both[i]);
	}
	world_run_both_to(&world, &other, 10 * S);
	before = starts() + other.targets[0].log_count;
	assert_in_range(before, 95, 101);
	world_set_control(&world, &hundred);
	world_run_both_to(&world, &other, 11 * S);
	world_set_control(&other, &hundred);
	world_run_both_to(&world, &other, 12 * S);
	assert_in_range(starts() + other.targets[0].log_count - before, 120, 206);
	before = starts() + other.targets[0].log_count;
	world_set_control(&other, &ten);
	world_run_both_to(&world, &other, 13 * S);
	world_set_control(&world, &ten);
	assert_in_range(starts() + other.targets[0].log_count - before, 10, 106);
	before = starts() + other.targets[0].log_count;
	world_run_both_to(&world, &other, 23 * S);
	assert_in_range(starts() + other.targets[0].log_count - before, 95, 102);
	for (int i = 0; i < 2; i++)
		world_end(both[i]);
}

/* ---- cancelled */

static size_t add_of(const char *campaign)
{
	const char *const attributes[] = {"Campaign", "String", campaign, NULL};

	return world_add_with(&world, attributes);
}

static void cancelled_messages_are_deleted_unsent(void **state)
{
	struct control control = cancelled("noon morning");

	world_init(&world, &(struct world_options){.concurrency = 2});
	add_of("morning");
	add_of("evening");
	add_of("noon");
	add_of("noo");
	world_add(&world, 1);
	world_set_control(&world, &control);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(world_stats(&world).cancelled, 2);
	assert_int_equal(world_stats(&world).accepted, 3);
	assert_int_equal(world.event_totals[DELIVERY_CANCELLED], 2);
	assert_string_equal(
		world_event(&world, DELIVERY_CANCELLED, 0)->reason, "its campaign is cancelled");
	assert_int_equal(world_event(&world, DELIVERY_CANCELLED, 0)->message, 0);
	world_end(&world);
}

/* What waits goes at once; what is out finishes; what backs off is cancelled when it returns. */
static void cancelled_in_the_middle(void **state)
{
	struct control control = cancelled("morning"), slow = rate(5, 1000);
	size_t out;

	world_init(&world, &(struct world_options){.concurrency = 10});
	world.targets[0].latency_us = 5 * S;
	fake_target_answer(&world.targets[0], 1,
		(struct answer){.status = 500, .latency_us = 100 * MS, .retry_after_ms = 3000});
	for (int i = 0; i < 12; i++)
		add_of("morning");
	world_set_control(&world, &slow);
	world_start(&world);
	out = starts_until(S);
	assert_in_range(out, 4, 6);
	world_set_control(&world, &control);
	assert_true(world_stats(&world).cancelled > 0);
	world_run_until_done(&world, 60 * S);
	assert_int_equal(starts(), out);
	assert_int_equal(world_stats(&world).accepted, out - 1);
	assert_int_equal(world_stats(&world).cancelled, 12 - out + 1);
	world_end(&world);
}

/* Paused, a queue that is still received from by polls of before gets rid of them all the same. */
static void cancelled_while_paused(void **state)
{
	struct control control = cancelled("morning");

	world_init(&world, &(struct world_options){.concurrency = 2});
	world_start(&world);
	control.paused = true;
	world_run_to(&world, S);
	world_set_control(&world, &control);
	add_of("morning");
	world_run_until_done(&world, 30 * S);
	assert_int_equal(world_stats(&world).cancelled, 1);
	world_end(&world);
}

/* Neither a deadline that is past nor an attribute that does not read is told of then. */
static void cancelled_comes_first(void **state)
{
	static const char *const late[] = {
		"Campaign", "String", "morning", "Deadline", "Number", "1", NULL};
	static const char *const wrong[] = {
		"Campaign", "String", "morning", "Deadline", "String", "soon", NULL};
	struct control control = cancelled("morning");

	world_init(&world, &(struct world_options){.concurrency = 2});
	world_add_with(&world, late);
	world_add_with(&world, wrong);
	world_set_control(&world, &control);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(world_stats(&world).cancelled, 2);
	world_end(&world);
}

static void a_delete_that_fails_is_made_again(void **state)
{
	struct control control = cancelled("morning");

	world_init(&world, &(struct world_options){.concurrency = 2});
	fake_queue_fail(&world.queue,
		(struct fault){
			.op = OP_DELETE, .times = 2, .err = ERR_UNAVAILABLE, .entry = WHOLE_CALL});
	add_of("morning");
	world_set_control(&world, &control);
	world_start(&world);
	world_run_until_done(&world, 20 * S);
	assert_int_equal(world_stats(&world).cancelled, 1);
	assert_int_equal(fake_queue_calls(&world.queue, OP_DELETE), 3);
	world_end(&world);
}

/* FIFO: those behind it may go. */
static void a_cancelled_one_holds_nobody_up(void **state)
{
	struct control control = cancelled("morning");
	const struct queue_attribute attribute = {
		.name = "Campaign", .type = "String", .value = "morning", .value_bytes = 7};

	world_init(&world, &(struct world_options){.concurrency = 2, .fifo = true});
	fake_queue_put_grouped(&world.queue, "a", "x", 1, &attribute, 1);
	world_add_group(&world, "a", 2);
	world_set_control(&world, &control);
	world_start(&world);
	world_run_until_done(&world, 10 * S);
	assert_int_equal(world_stats(&world).cancelled, 1);
	assert_int_equal(world_stats(&world).accepted, 2);
	world_end(&world);
}

static void undone_they_are_sent(void **state)
{
	struct control control = cancelled("morning");

	world_init(&world, &(struct world_options){.concurrency = 2});
	world_set_control(&world, &control);
	world_start(&world);
	world_set_control(&world, &nothing);
	add_of("morning");
	world_run_until_done(&world, 10 * S);
	assert_int_equal(world_stats(&world).accepted, 1);
	world_end(&world);
}

/* ---- doubt */

static uint64_t wanted_at_us;

static void note(struct world *of)
{
	wanted_at_us = world_now_us(of);
}

static void in_doubt_the_first_message_asks(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 2, .doubts = true});
	world.on_control_wanted = note;
	world_start(&world);
	world_run_to(&world, S);
	world_doubt_control(&world);
	world_run_to(&world, 100 * S);
	assert_int_equal(world.control_wanted, 0);
	world_add(&world, 5);
	world_run_to(&world, 102 * S);
	assert_int_equal(world.control_wanted, 1);
	assert_in_range(wanted_at_us, 100 * S, 100 * S + 100 * MS);
	assert_int_equal(starts(), 0);
	world_set_control(&world, &nothing);
	world_run_until_done(&world, 110 * S);
	assert_int_equal(world_stats(&world).accepted, 5);
	/* Again. */
	world_doubt_control(&world);
	world_add(&world, 1);
	world_run_to(&world, 112 * S);
	assert_int_equal(world.control_wanted, 2);
	world_trust_control(&world);
	world_run_until_done(&world, 120 * S);
	world_end(&world);
}

static void pause_now(struct world *of)
{
	world_set_control(of, &paused);
}

/* The answer may come from inside of the question; a pause that was set in the idle time holds. */
static void the_answer_may_be_a_pause(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 2, .doubts = true});
	world.on_control_wanted = pause_now;
	world_start(&world);
	world_doubt_control(&world);
	world_add(&world, 5);
	world_run_to(&world, 60 * S);
	assert_int_equal(world.control_wanted, 1);
	assert_int_equal(starts(), 0);
	assert_int_equal(delivery_held(world.delivery), 0);
	world_set_control(&world, &nothing);
	world_run_until_done(&world, 90 * S);
	world_end(&world);
}

static void without_anybody_to_ask_there_is_no_doubt(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 2});
	world_start(&world);
	delivery_doubt_control(world.delivery);
	world_add(&world, 1);
	world_run_until_done(&world, 10 * S);
	world_end(&world);
}

/* Whoever is asked and never answers is found out by the watchdog. */
static void a_question_that_is_forgotten_is_overdue(void **state)
{
	world_init(&world, &(struct world_options){.concurrency = 1, .doubts = true});
	world_start(&world);
	world_doubt_control(&world);
	world_add(&world, 3);
	for (uint64_t second = 1; second <= 20; second++) {
		world_run_to(&world, second * S);
		stall_us();
	}
	assert_true(stall_us() > 5 * S);
	world_trust_control(&world);
	world_run_until_done(&world, 40 * S);
	world_end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paused_before_the_start_nothing_is_received),
		cmocka_unit_test(attempts_in_flight_finish),
		cmocka_unit_test(what_a_poll_brings_goes_back),
		cmocka_unit_test(the_watchdog_is_not_alarmed),
		cmocka_unit_test(a_failed_attempt_backs_off_all_the_same),
		cmocka_unit_test(drained_while_paused),
		cmocka_unit_test(paused_and_resumed_while_draining),
		cmocka_unit_test(groups_go_back_in_order),
		cmocka_unit_test(a_rate_holds_from_then_on),
		cmocka_unit_test(a_slow_rate_is_raised_at_once),
		cmocka_unit_test(no_burst_of_changes),
		cmocka_unit_test(the_lower_of_the_two_counts),
		cmocka_unit_test(the_hosts_of_a_fleet_share_it),
		cmocka_unit_test(the_workers_of_a_host_share_it),
		cmocka_unit_test(cancelled_messages_are_deleted_unsent),
		cmocka_unit_test(cancelled_in_the_middle),
		cmocka_unit_test(cancelled_while_paused),
		cmocka_unit_test(cancelled_comes_first),
		cmocka_unit_test(a_delete_that_fails_is_made_again),
		cmocka_unit_test(a_cancelled_one_holds_nobody_up),
		cmocka_unit_test(undone_they_are_sent),
		cmocka_unit_test(in_doubt_the_first_message_asks),
		cmocka_unit_test(the_answer_may_be_a_pause),
		cmocka_unit_test(without_anybody_to_ask_there_is_no_doubt),
		cmocka_unit_test(a_question_that_is_forgotten_is_overdue),
	};

	return cmocka_run_group_tests_name("hold", tests, NULL, NULL);
}
