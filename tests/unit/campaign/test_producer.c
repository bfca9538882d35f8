/* The producer against a fake queue in virtual time: what it sends, and what fails. */
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

/* packing */

static void packs_tens_in_order(void **state)
{
	struct fake *fake = fake_new(25, NULL);

	fake_run(fake);
	assert_all_accepted(fake);
	assert_int_equal(fake->call_count, 3);
	assert_rows(fake->calls[0], 1, 10);
	assert_rows(fake->calls[1], 11, 10);
	assert_rows(fake->calls[2], 21, 5);
	assert_int_equal(producer_totals(fake->producer)->calls, 3);
	assert_int_equal(fake->finished_us, 1000000 + DEFAULT_LATENCY_US);
	fake_free(fake);
}

static void nothing_to_send(void **state)
{
	struct fake *fake = fake_new(0, NULL);

	fake_run(fake);
	assert_all_accepted(fake);
	assert_int_equal(fake->call_count, 0);
	fake_free(fake);
}

/* With its attribute (20 bytes of name and type, 5 of "key-1") a message is 1 MiB / n. */
static void packs_one_mebibyte(void **state)
{
	static const struct {
		size_t message_bytes;
		int first_batch;
	} rows[] = {
		{(size_t)1 << 20, 1},
		{((size_t)1 << 19) + 1, 1},
		{(size_t)1 << 19, 2},
		{((size_t)1 << 20) / 9, 9},
		{((size_t)1 << 20) / 10, 10},
		{((size_t)1 << 20) / 11, 10},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fake *fake = fake_new(9, NULL);

		fake->rows = rows[i].first_batch >= 9 ? 12 : 9;
		fake->body_bytes = rows[i].message_bytes - strlen("IdempotencyKeyStringkey-1");
		if (fake->rows > 9)
			fake->body_bytes--; /* key-10 is longer */
		fake->options.held_bytes = (size_t)64 << 20;
		fake_run(fake);
		assert_all_accepted(fake);
		assert_rows(fake->calls[0], 1, rows[i].first_batch);
		fake_free(fake);
	}
}

/* failures of entries */

static void retries_one_entry_alone(void **state)
{
	struct fake *fake = fake_new(10, throttle_row_3_twice);

	fake_run(fake);
	assert_all_accepted(fake);
	assert_int_equal(fake->call_count, 3);
	assert_rows(fake->calls[1], 3, 1);
	assert_rows(fake->calls[2], 3, 1);
	assert_int_equal(fake->stored[3], 1);
	assert_int_equal(fake->stored[4], 1);
	assert_int_equal(producer_totals(fake->producer)->retried, 2);
	fake_free(fake);
}

/* Entries that failed together go out together, and the source's next ones with them. */
static int throttle_evens_once(struct fake *fake, struct call *call)
{
	for (size_t i = 0; i < call->count; i++)
		if (call->rows[i] % 2 == 0 && call->rows[i] <= 10 && fake->sent[call->rows[i]] == 1)
			call->results[i] = ERR_UNAVAILABLE;
	return 0;
}

static void retries_ride_with_new_entries(void **state)
{
	static const int expected[] = {2, 4, 6, 8, 10};
	struct fake *fake = fake_new(600, throttle_evens_once);
	const struct call *retry = NULL;

	fake->options.in_flight = 1;
	fake_run(fake);
	assert_all_accepted(fake);
	assert_int_equal(fake->call_count, 61); /* 605 entries */
	for (size_t i = 1; i < fake->call_count && !retry; i++)
		if (fake->calls[i]->rows[0] == 2)
			retry = fake->calls[i];
	assert_non_null(retry);
	assert_memory_equal(retry->rows, expected, sizeof(expected));
	assert_int_equal(retry->count, 10);
	fake_free(fake);
}

static int refuse_row_7(struct fake *fake, struct call *call)
{
	for (size_t i = 0; i < call->count; i++)
		if (call->rows[i] == 7)
			call->results[i] = ERR_REFUSED;
	call->detail = call->count > 6 ? "InvalidMessageContents: no" : "";
	return 0;
}

static void a_refused_entry_is_recorded(void **state)
{
	struct fake *fake = fake_new(30, refuse_row_7);
	const struct producer_totals *totals;

	fake_run(fake);
	totals = producer_totals(fake->producer);
	assert_int_equal(fake->err, 0);
	assert_int_equal(totals->accepted, 29);
	assert_int_equal(totals->failed, 1);
	assert_int_equal(totals->retried, 0);
	assert_int_equal(fake->settled[7], 1);
	assert_int_equal(fake->errors[7], ERR_REFUSED);
	assert_string_equal(fake->reasons[7], "InvalidMessageContents: no");
	assert_false(fake->unconfirmed[7]);
	fake_free(fake);
}

static int row_5_never_works(struct fake *fake, struct call *call)
{
	for (size_t i = 0; i < call->count; i++)
		if (call->rows[i] == 5)
			call->results[i] = ERR_UNAVAILABLE;
	return 0;
}

static void gives_one_entry_up_after_max_attempts(void **state)
{
	struct fake *fake = fake_new(40, row_5_never_works);

	fake->options.max_attempts = 4;
	fake_run(fake);
	assert_int_equal(fake->err, 0);
	assert_int_equal(fake->sent[5], 4);
	assert_int_equal(fake->errors[5], ERR_UNAVAILABLE);
	assert_true(fake->unconfirmed[5]);
	assert_int_equal(producer_totals(fake->producer)->accepted, 39);
	fake_free(fake);
}

/* failures of whole calls */

/* The queue took them, but the answer never came. */
static int lose_first_answer(struct fake *fake, struct call *call)
{
	if (fake->call_count > 1)
		return 0;
	for (size_t i = 0; i < call->count; i++) {
		fake->stored[call->rows[i]]++;
		call->results[i] = ERR_TIMEOUT;
	}
	return 0;
}

static void a_lost_answer_keeps_the_keys(void **state)
{
	struct fake *fake = fake_new(20, lose_first_answer);

	fake_run(fake); /* note_entry() compares the keys */
	assert_all_accepted(fake);
	assert_int_equal(fake->call_count, 3);
	assert_rows(fake->calls[2], 1, 10);
	assert_int_equal(fake->stored[1], 2);
	assert_int_equal(fake->stored[11], 1);
	fake_free(fake);
}

static int refuse_calls_with_row_4(struct fake *fake, struct call *call)
{
	bool has = false;

	for (size_t i = 0; i < call->count; i++)
		has = has || call->rows[i] == 4;
	for (size_t i = 0; has && i < call->count; i++)
		call->results[i] = ERR_TOO_LARGE;
	call->detail = has ? "BatchRequestTooLong" : "";
	return 0;
}

static void a_hopeless_call_is_taken_apart(void **state)
{
	struct fake *fake = fake_new(12, refuse_calls_with_row_4);

	fake_run(fake);
	assert_int_equal(fake->err, 0);
	assert_int_equal(fake->call_count, 12);
	for (int row = 1; row <= 12; row++)
		assert_int_equal(fake->errors[row], row == 4 ? ERR_TOO_LARGE : 0);
	assert_string_equal(fake->reasons[4], "BatchRequestTooLong");
	fake_free(fake);
}

static int connection_refused(struct fake *fake, struct call *call)
{
	for (size_t i = 0; i < call->count; i++)
		call->results[i] = ERR_CONNECT;
	call->detail = "connection refused";
	return 0;
}

static void an_unreachable_queue_ends_it_soon(void **state)
{
	struct fake *fake = fake_new(100, connection_refused);
	const struct producer_totals *totals;

	fake->options.in_flight = 2;
	fake_run(fake);
	totals = producer_totals(fake->producer);
	assert_int_equal(fake->err, ERR_CONNECT);
	assert_string_equal(fake->reason, "connection refused");
	assert_in_range(fake->finished_us, 11000000, 1000000 + 10000000 + 20000000);
	assert_int_equal(totals->accepted, 0);
	assert_int_equal(totals->failed, totals->pulled);
	assert_false(fake->unconfirmed[1]);
	fake_free(fake);
}

static int outage_of_100_s(struct fake *fake, struct call *call)
{
	bool down = fake->manual.now_us > 1000000 && fake->manual.now_us < 101000000;

	for (size_t i = 0; i < call->count; i++)
		call->results[i] = down ? ERR_UNAVAILABLE : 0;
	return 0;
}

static void an_outage_in_the_middle_is_sat_out(void **state)
{
	struct fake *fake = fake_new(500, outage_of_100_s);

	fake->options.in_flight = 4;
	fake->options.max_attempts = 3;
	fake_run(fake);
	assert_all_accepted(fake);
	fake_free(fake);
}

static void but_not_for_ever(void **state)
{
	struct fake *fake = fake_new(500, outage_for_good);

	fake->options.in_flight = 4;
	fake_run(fake);
	assert_int_equal(fake->err, ERR_UNAVAILABLE);
	assert_int_equal(producer_totals(fake->producer)->accepted, 40);
	assert_in_range(fake->finished_us, 121000000, 1000000 + 120000000 + 30000000);
	fake_free(fake);
}

static int stop_code;

/* The third call fails for good; the first two are answered later than it. */
static int third_call_is_fatal(struct fake *fake, struct call *call)
{
	if (fake->call_count < 3)
		return 0;
	for (size_t i = 0; i < call->count; i++)
		call->results[i] = stop_code;
	call->detail = "no, never";
	return 0;
}

static void some_errors_stop_it(void **state)
{
	static const int codes[] = {ERR_QUEUE_MISSING, ERR_NO_CREDENTIALS, ERR_BAD_CREDENTIALS,
		ERR_EXPIRED_CREDENTIALS, ERR_CLOCK_SKEW, ERR_ACCESS_DENIED, ERR_NOMEM};

	for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		struct fake *fake = fake_new(1000, third_call_is_fatal);
		const struct producer_totals *totals;

		stop_code = codes[i];
		fake->options.in_flight = 3;
		fake_run(fake);
		totals = producer_totals(fake->producer);
		assert_int_equal(fake->err, codes[i]);
		assert_string_equal(fake->reason, "no, never");
		assert_int_equal(totals->accepted, 20);
		/* calls that were under way, or made room for, before the third was answered */
		assert_in_range(totals->pulled, 30, 50);
		assert_int_equal(totals->failed, totals->pulled - 20);
		assert_false(totals->source_ended);
		for (int row = 21; row <= (int)totals->pulled; row++)
			assert_int_equal(fake->errors[row], codes[i]);
		fake_free(fake);
	}
}

/* An entry that waited in front of a batch it did not fit in is unsent, not failed. */
static void what_was_never_sent_is_told_apart(void **state)
{
	struct fake *fake = fake_new(9, third_call_is_fatal);
	const struct producer_totals *totals;

	stop_code = ERR_ACCESS_DENIED;
	fake->body_bytes = (size_t)300 << 10; /* three to a batch, and a fourth pulled */
	fake->options.in_flight = 2;
	fake->rows = 20;
	fake_run(fake);
	totals = producer_totals(fake->producer);
	assert_int_equal(fake->err, ERR_ACCESS_DENIED);
	assert_int_equal(totals->pulled, totals->accepted + totals->failed + 1);
	assert_int_equal(totals->unsent.row, totals->pulled);
	assert_int_equal(totals->unsent.line, totals->pulled + 1);
	assert_int_equal(fake->settled[totals->pulled], 0);
	assert_int_equal(fake->sent[totals->pulled], 0);
	fake_free(fake);
}

/* send_batch itself refuses */

static int client_is_full_at_first(struct fake *fake, struct call *call)
{
	return fake->call_count <= 3 ? ERR_LIMIT : 0;
}

static void a_full_client_is_tried_again(void **state)
{
	struct fake *fake = fake_new(100, client_is_full_at_first);

	fake_run(fake);
	assert_all_accepted(fake);
	fake_free(fake);
}

static int out_of_memory(struct fake *fake, struct call *call)
{
	return ERR_NOMEM;
}

static void a_local_failure_stops_it(void **state)
{
	struct fake *fake = fake_new(100, out_of_memory);

	fake_run(fake);
	assert_int_equal(fake->err, ERR_NOMEM);
	assert_string_equal(fake->reason, "out of memory");
	assert_int_equal(producer_totals(fake->producer)->pulled, 10);
	assert_int_equal(fake->settled_count, 10);
	fake_free(fake);
}

/* any mixture of faults */

static int anything(struct fake *fake, struct call *call)
{
	static const int whole[] = {0, 0, 0, 0, ERR_TIMEOUT, ERR_NETWORK, ERR_UNAVAILABLE,
		ERR_THROTTLED, ERR_CONNECT, ERR_PROTOCOL};
	static const int single[] = {0, 0, 0, 0, 0, 0, ERR_THROTTLED, ERR_UNAVAILABLE};
	uint64_t draw = random_next(&fake->random);
	int code = whole[random_below(draw, sizeof(whole) / sizeof(whole[0]))];

	if (random_below(random_next(&fake->random), 20) == 0)
		return ERR_LIMIT;
	for (size_t i = 0; i < call->count; i++) {
		draw = random_next(&fake->random);
		call->results[i] =
			code ? code
			     : single[random_below(draw, sizeof(single) / sizeof(single[0]))];
	}
	return 0;
}

static void every_row_is_settled_once_whatever_happens(void **state)
{
	for (uint64_t seed = 1; seed <= 100; seed++) {
		struct fake *fake = fake_new(500, anything);

		random_seed(&fake->random, seed);
		fake->manual.random_state = seed;
		fake->options.in_flight = 1 + (unsigned)(seed % 8);
		fake->options.max_attempts = 1000;
		fake->options.base_ms = 10;
		fake->options.throttled_base_ms = 20;
		fake->options.cap_ms = 1000;
		fake_run(fake);
		assert_all_accepted(fake);
		assert_true(fake->most_outstanding <= fake->options.in_flight);
		assert_true(fake->most_ahead <= 20 * (int)fake->options.in_flight);
		fake_free(fake);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packs_tens_in_order),
		cmocka_unit_test(nothing_to_send),
		cmocka_unit_test(packs_one_mebibyte),
		cmocka_unit_test(retries_one_entry_alone),
		cmocka_unit_test(retries_ride_with_new_entries),
		cmocka_unit_test(a_refused_entry_is_recorded),
		cmocka_unit_test(gives_one_entry_up_after_max_attempts),
		cmocka_unit_test(a_lost_answer_keeps_the_keys),
		cmocka_unit_test(a_hopeless_call_is_taken_apart),
		cmocka_unit_test(an_unreachable_queue_ends_it_soon),
		cmocka_unit_test(an_outage_in_the_middle_is_sat_out),
		cmocka_unit_test(but_not_for_ever),
		cmocka_unit_test(some_errors_stop_it),
		cmocka_unit_test(what_was_never_sent_is_told_apart),
		cmocka_unit_test(a_full_client_is_tried_again),
		cmocka_unit_test(a_local_failure_stops_it),
		cmocka_unit_test(every_row_is_settled_once_whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
