/* The producer against a fake queue in virtual time: bounds, stopping, its rate and delays. */
#include "producer_world.h"

#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* bounds */

static void keeps_to_its_flights(void **state)
{
	struct fake *fake = fake_new(1000, NULL);

	fake->options.in_flight = 4;
	fake_run(fake);
	assert_all_accepted(fake);
	assert_int_equal(fake->call_count, 100);
	assert_int_equal(fake->most_outstanding, 4);
	assert_int_equal(fake->most_ahead, 40);
	assert_int_equal(fake->finished_us, 1000000 + 25 * DEFAULT_LATENCY_US);
	fake_free(fake);
}

static void keeps_to_its_bytes(void **state)
{
	struct fake *fake = fake_new(100, NULL);

	fake->body_bytes = 1000;
	fake->options.held_bytes = 25 * 1000;
	fake_run(fake);
	assert_all_accepted(fake);
	assert_in_range(fake->most_ahead, 10, 25);
	fake_free(fake);
}

static int throttle_all(struct fake *fake, struct call *call)
{
	for (size_t i = 0; i < call->count; i++)
		call->results[i] = fake->manual.now_us < 60000000 ? ERR_THROTTLED : 0;
	return 0;
}

/* However long it lasts, a throttling queue does not make the producer read ahead. */
static void throttling_stops_the_reading(void **state)
{
	struct fake *fake = fake_new(1000, throttle_all);

	fake->options.in_flight = 4;
	fake->options.first_patience_ms = 120000;
	fake_run(fake);
	assert_all_accepted(fake);
	assert_in_range(fake->most_ahead, 40, 80);
	fake_free(fake);
}

/* stopping */

static void stop_finishes_what_was_pulled(void **state)
{
	struct fake *fake = fake_new(1000, throttle_row_3_twice);

	fake->options.in_flight = 4;
	assert_int_equal(fake_start(fake), 0);
	manual_clock_advance(&fake->manual, DEFAULT_LATENCY_US + 1);
	producer_stop(fake->producer);
	producer_stop(fake->producer);
	assert_int_equal(fake->finished, 0); /* never from inside */
	while (!fake->finished && manual_clock_step(&fake->manual))
		;
	assert_int_equal(fake->finished, 1);
	assert_int_equal(fake->err, 0);
	assert_int_equal(producer_totals(fake->producer)->pulled, 80);
	assert_int_equal(producer_totals(fake->producer)->accepted, 80);
	assert_false(producer_totals(fake->producer)->source_ended);
	for (int row = 1; row <= 1000; row++)
		assert_int_equal(fake->settled[row], row <= 80);
	fake_free(fake);
}

static void stop_before_the_first_row(void **state)
{
	struct fake *fake = fake_new(10, NULL);

	assert_int_equal(fake_start(fake), 0);
	producer_stop(fake->producer);
	while (!fake->finished && manual_clock_step(&fake->manual))
		;
	assert_int_equal(fake->finished, 1);
	assert_int_equal(fake->call_count, 0);
	fake_free(fake);
}

/* Told to stop while the queue is down: not two minutes more. */
static void stop_shortens_the_patience(void **state)
{
	struct fake *fake = fake_new(500, outage_for_good);

	fake->options.in_flight = 4;
	assert_int_equal(fake_start(fake), 0);
	manual_clock_advance(&fake->manual, 5000000);
	producer_stop(fake->producer);
	while (!fake->finished && manual_clock_step(&fake->manual))
		;
	assert_int_equal(fake->err, ERR_UNAVAILABLE);
	assert_true(fake->finished_us < 1000000 + 10000000 + 20000000);
	fake_free(fake);
}

static void a_broken_source_stops_it(void **state)
{
	struct fake *fake = fake_new(15, NULL);

	fake->source_error = ERR_IO;
	fake_run(fake);
	assert_int_equal(fake->err, ERR_IO);
	assert_string_equal(fake->reason, "the source broke");
	assert_int_equal(producer_totals(fake->producer)->accepted, 15);
	assert_int_equal(producer_totals(fake->producer)->failed, 0);
	assert_false(producer_totals(fake->producer)->source_ended);
	fake_free(fake);
}

static void free_cancels(void **state)
{
	struct fake *fake = fake_new(1000, throttle_row_3_twice);

	fake->options.in_flight = 4;
	assert_int_equal(fake_start(fake), 0);
	manual_clock_advance(&fake->manual, DEFAULT_LATENCY_US + 1);
	producer_free(fake->producer);
	fake->producer = NULL;
	assert_int_equal(fake->cancelled, 4);
	assert_false(manual_clock_step(&fake->manual));
	assert_int_equal(fake->finished, 0);
	fake_free(fake);
}

/* the rate */

/* In every second of it are as many as the rate allows, 50 ms' worth and one batch at most. */
static void a_rate_is_kept(void **state)
{
	static const struct {
		int64_t count, per_ms;
		int batch;
		uint64_t interval_us; /* from one batch to the next */
	} rows[] = {{1000, 1000, 10, 10000}, {15, 1000, 10, 666666}, {7, 1000, 7, 1000000},
		{1, 1000, 1, 1000000}, {90, 60000, 1, 666666}, {6000, 60000, 10, 100000},
		{20, 3600000, 1, 180000000}, {1000000, 1000, 10, 10}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake *fake = fake_new(60, NULL);

		fake->options.rate_count = rows[i].count;
		fake->options.rate_per_ms = rows[i].per_ms;
		fake->options.in_flight = 100;
		fake_run(fake);
		assert_all_accepted(fake);
		for (size_t k = 0; k + 1 < fake->call_count; k++) {
			uint64_t due_us = (k + 1) * rows[i].interval_us;

			assert_int_equal(fake->calls[k]->count, rows[i].batch);
			/* at the start 50 ms' worth are made up for, and never more */
			due_us = due_us > 50000 ? due_us - 50000 : 0;
			assert_int_equal(fake->calls[k + 1]->at_us, 1000000 + due_us);
		}
		fake_free(fake);
	}
}

static int throttle_the_first_ten(struct fake *fake, struct call *call)
{
	for (size_t i = 0; i < call->count && fake->call_count <= 10; i++)
		call->results[i] = ERR_THROTTLED;
	return 0;
}

/* What is sent again takes its time of the rate, too. */
static void retries_are_within_the_rate(void **state)
{
	struct fake *fake = fake_new(200, throttle_the_first_ten);
	uint64_t entries = 0;

	fake->options.rate_count = 100;
	fake->options.rate_per_ms = 1000;
	fake_run(fake);
	assert_all_accepted(fake);
	for (size_t k = 0; k < fake->call_count; k++) {
		/* 10 ms an entry, less the 50 ms of the start */
		assert_true(fake->calls[k]->at_us + 50000 >= 1000000 + entries * 10000);
		entries += fake->calls[k]->count;
	}
	assert_true(entries >= 300);
	fake_free(fake);
}

static int time_out_every_second_call(struct fake *fake, struct call *call)
{
	call->results[0] = fake->call_count % 2 == 0 ? ERR_TIMEOUT : 0;
	return 0;
}

/* Ten minutes between two messages are no outage of ten minutes. */
static void a_slow_rate_does_not_use_up_the_patience(void **state)
{
	struct fake *fake = fake_new(6, time_out_every_second_call);

	fake->options.rate_count = 6;
	fake->options.rate_per_ms = 3600000;
	fake_run(fake);
	assert_all_accepted(fake);
	fake_free(fake);
}

static int throttle_the_odd_ones(struct fake *fake, struct call *call)
{
	for (size_t i = 1; i < call->count; i += 2)
		call->results[i] = ERR_THROTTLED;
	return 0;
}

/* The clock starts at 1 s: a success right before is no failure since then. */
static void a_success_beside_a_failure_is_one(void **state)
{
	struct fake *fake = fake_new(40, throttle_the_odd_ones);

	fake->manual.now_us = 1000000000;
	fake->options.rate_count = 100;
	fake->options.rate_per_ms = 1000;
	fake_run(fake);
	assert_all_accepted(fake);
	fake_free(fake);
}

static void stop_does_not_wait_for_the_rate(void **state)
{
	struct fake *fake = fake_new(100, NULL);

	fake->options.rate_count = 1;
	fake->options.rate_per_ms = 3600000;
	assert_int_equal(fake_start(fake), 0);
	manual_clock_advance(&fake->manual, 1000000);
	assert_int_equal(fake->call_count, 1);
	producer_stop(fake->producer);
	manual_clock_advance(&fake->manual, 0);
	assert_int_equal(fake->finished, 1);
	assert_int_equal(fake->err, 0);
	assert_int_equal(producer_totals(fake->producer)->accepted, 1);
	fake_free(fake);
}

/* packs */

/* The rate is of recipients: a message takes the time of all of its own. */
static void a_rate_counts_recipients(void **state)
{
	static const struct {
		int64_t count;
		int pack, rows;
		int batch;	      /* messages */
		uint64_t interval_us; /* from one batch to the next */
	} rows[] = {{1000, 5, 200, 10, 50000}, {1000, 100, 1900, 10, 1000000},
		{1000, 300, 1800, 3, 900000}, {1000, 500, 1500, 2, 1000000},
		{100, 500, 1500, 1, 5000000}, {1, 3, 9, 1, 3000000}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake *fake = fake_new(rows[i].rows, NULL);

		fake->pack = rows[i].pack;
		fake->options.rate_count = rows[i].count;
		fake->options.rate_per_ms = 1000;
		fake_run(fake);
		assert_all_accepted(fake);
		assert_int_equal(producer_totals(fake->producer)->messages,
			(rows[i].rows + rows[i].pack - 1) / rows[i].pack);
		for (size_t k = 0; k + 1 < fake->call_count; k++) {
			assert_int_equal(fake->calls[k]->count, rows[i].batch);
			assert_int_equal(fake->calls[k + 1]->at_us,
				1000000 + (k + 1) * rows[i].interval_us - 50000);
		}
		fake_free(fake);
	}
}

static int refuse_row_8(struct fake *fake, struct call *call)
{
	for (size_t i = 0; i < call->count; i++)
		if (call->rows[i] == 8)
			call->results[i] = ERR_ARGUMENT;
	return 0;
}

static void all_of_a_pack_have_its_end(void **state)
{
	struct fake *fake = fake_new(100, refuse_row_8);

	fake->pack = 7;
	fake_run(fake);
	assert_int_equal(fake->err, 0);
	for (int row = 1; row <= 100; row++) {
		assert_int_equal(fake->settled[row], 1);
		assert_int_equal(fake->errors[row], row >= 8 && row <= 14 ? ERR_ARGUMENT : 0);
	}
	assert_int_equal(producer_totals(fake->producer)->pulled, 100);
	assert_int_equal(producer_totals(fake->producer)->accepted, 93);
	assert_int_equal(producer_totals(fake->producer)->failed, 7);
	assert_int_equal(producer_totals(fake->producer)->messages, 14);
	fake_free(fake);
}

static void what_was_not_sent_is_counted_in_recipients(void **state)
{
	struct fake *fake = fake_new(100, NULL);

	fake->pack = 7;
	fake->options.rate_count = 1;
	fake->options.rate_per_ms = 3600000;
	assert_int_equal(fake_start(fake), 0);
	manual_clock_advance(&fake->manual, 1000000);
	producer_stop(fake->producer);
	manual_clock_advance(&fake->manual, 0);
	assert_int_equal(fake->finished, 1);
	assert_int_equal(producer_totals(fake->producer)->accepted, 7);
	assert_int_equal(producer_totals(fake->producer)->untried, 7);
	assert_int_equal(producer_totals(fake->producer)->pulled, 14);
	assert_int_equal(producer_totals(fake->producer)->unsent.row, 8);
	fake_free(fake);
}

/* the delay */

static void a_delay_is_what_is_left_at_each_launch(void **state)
{
	struct fake *fake = fake_new(60, throttle_the_first_ten);

	/* wall time at the start is 1 s after 1970 */
	fake->options.visible_epoch_ms = 3500;
	fake->options.rate_count = 20;
	fake->options.rate_per_ms = 1000;
	fake_run(fake);
	assert_all_accepted(fake);
	assert_int_equal(fake->calls[0]->delay_s, 3);
	for (size_t k = 0; k < fake->call_count; k++) {
		const struct call *call = fake->calls[k];
		uint64_t visible_us = call->at_us + call->delay_s * (uint64_t)1000000;

		assert_true(visible_us >= 3500000);
		if (call->at_us < 3500000)
			assert_true(visible_us < 4500000);
		else
			assert_int_equal(call->delay_s, 0);
	}
	assert_int_equal(fake->calls[fake->call_count - 1]->delay_s, 0);
	fake_free(fake);
}

static void a_delay_follows_the_wall_clock(void **state)
{
	struct fake *fake = fake_new(30, NULL);

	fake->options.visible_epoch_ms = 100000;
	fake->options.rate_count = 10;
	fake->options.rate_per_ms = 1000;
	assert_int_equal(fake_start(fake), 0);
	manual_clock_advance(&fake->manual, 0);
	fake->manual.wall_epoch_ms += 60000;
	manual_clock_advance(&fake->manual, 1000000);
	fake->manual.wall_epoch_ms += 60000;
	manual_clock_advance(&fake->manual, 1000000);
	assert_int_equal(fake->call_count, 3);
	assert_int_equal(fake->calls[0]->delay_s, 99);
	assert_int_equal(fake->calls[1]->delay_s, 39);
	assert_int_equal(fake->calls[2]->delay_s, 0);
	fake_free(fake);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keeps_to_its_flights),
		cmocka_unit_test(keeps_to_its_bytes),
		cmocka_unit_test(throttling_stops_the_reading),
		cmocka_unit_test(stop_finishes_what_was_pulled),
		cmocka_unit_test(stop_before_the_first_row),
		cmocka_unit_test(stop_shortens_the_patience),
		cmocka_unit_test(a_broken_source_stops_it),
		cmocka_unit_test(free_cancels),
		cmocka_unit_test(a_rate_is_kept),
		cmocka_unit_test(retries_are_within_the_rate),
		cmocka_unit_test(a_slow_rate_does_not_use_up_the_patience),
		cmocka_unit_test(a_success_beside_a_failure_is_one),
		cmocka_unit_test(stop_does_not_wait_for_the_rate),
		cmocka_unit_test(a_rate_counts_recipients),
		cmocka_unit_test(all_of_a_pack_have_its_end),
		cmocka_unit_test(what_was_not_sent_is_counted_in_recipients),
		cmocka_unit_test(a_delay_is_what_is_left_at_each_launch),
		cmocka_unit_test(a_delay_follows_the_wall_clock),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
