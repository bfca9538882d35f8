/* The producer against a fake queue in virtual time. */
#include "campaign/producer.h"

#include "base/manual_clock.h"
#include "base/random.h"
#include "bunshin/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS_MAX 2000
#define CALLS_MAX 20000
#define DEFAULT_LATENCY_US 10000

struct fake;

struct call {
	struct fake *fake;
	struct clock_timer timer;
	queue_batch_done *done;
	void *arg;
	size_t count;
	uint64_t at_us;
	unsigned delay_s; /* of all its entries */
	int rows[QUEUE_BATCH_MAX];
	int results[QUEUE_BATCH_MAX];
	const char *detail;
	bool over;
};

/* The queue, the source and the listener of one producer. */
struct fake {
	struct manual_clock manual;
	struct clock clock;
	struct random random;
	struct producer *producer;
	struct producer_options options;

	/* queue: fills in call->results, or returns an error of send_batch itself */
	int (*judge)(struct fake *fake, struct call *call);
	struct call *calls[CALLS_MAX];
	size_t call_count;
	unsigned outstanding, most_outstanding, cancelled;
	unsigned stored[ROWS_MAX + 1], sent[ROWS_MAX + 1];
	char keys[ROWS_MAX + 1][UINT8_MAX];

	/* source */
	int rows, next_row;
	size_t body_bytes;
	int source_error;
	char *body;
	int most_ahead; /* rows pulled and not settled */

	/* listener */
	int settled[ROWS_MAX + 1]; /* how often */
	int errors[ROWS_MAX + 1];
	bool unconfirmed[ROWS_MAX + 1];
	char reasons[ROWS_MAX + 1][64];
	int settled_count;
	int finished;
	int err;
	char reason[256];
	uint64_t finished_us;
};

static void call_over(struct clock_timer *timer)
{
	struct call *call = (struct call *)(void *)((char *)timer - offsetof(struct call, timer));
	struct fake *fake = call->fake;

	call->over = true;
	fake->outstanding--;
	call->done(call->arg, call->results, call->count, call->detail);
}

static void note_entry(struct fake *fake, struct call *call, const struct queue_send *send)
{
	int row = atoi(send->body + 1);
	char *key = fake->keys[row];

	assert_in_range(row, 1, fake->rows);
	assert_int_equal(
		send->body_bytes, fake->body_bytes ? fake->body_bytes : strlen(send->body));
	assert_int_equal(send->attribute_count, 1);
	assert_string_equal(send->attributes[0].name, "IdempotencyKey");
	assert_string_equal(send->attributes[0].type, "String");
	if (fake->sent[row]++ == 0)
		memcpy(key, send->attributes[0].value, send->attributes[0].value_bytes + 1);
	assert_string_equal(key, send->attributes[0].value);
	call->rows[call->count++] = row;
}

static int fake_send(void *impl, const struct queue_send entries[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct fake *fake = impl;
	struct call *call = calloc(1, sizeof(*call));
	size_t bytes = 0;
	int rc;

	if (!call)
		return ERR_NOMEM;
	assert_in_range(count, 1, QUEUE_BATCH_MAX);
	assert_true(fake->call_count < CALLS_MAX);
	*call = (struct call){.fake = fake, .done = done, .arg = arg, .detail = ""};
	call->timer.fire = call_over;
	call->at_us = fake->manual.now_us;
	call->delay_s = entries[0].delay_s;
	for (size_t i = 0; i < count; i++) {
		note_entry(fake, call, &entries[i]);
		assert_int_equal(entries[i].delay_s, call->delay_s);
		assert_int_equal(entries[i].no_delay,
			fake->options.visible_epoch_ms != 0 && call->delay_s == 0);
		bytes += message_bytes(
			entries[i].body_bytes, entries[i].attributes, entries[i].attribute_count);
	}
	assert_true(bytes <= PRODUCER_BATCH_MAX_BYTES);
	fake->calls[fake->call_count++] = call;
	rc = fake->judge ? fake->judge(fake, call) : 0;
	if (rc == 0)
		rc = clock_timer_after(fake->clock, &call->timer, DEFAULT_LATENCY_US);
	if (rc < 0) {
		call->over = true;
		return rc;
	}
	for (size_t i = 0; i < count; i++)
		fake->stored[call->rows[i]] += call->results[i] == 0;
	if (++fake->outstanding > fake->most_outstanding)
		fake->most_outstanding = fake->outstanding;
	*ret_call = (struct queue_call *)(void *)call;
	return 0;
}

static void fake_cancel(void *impl, struct queue_call *queue_call)
{
	struct fake *fake = impl;
	struct call *call = (struct call *)(void *)queue_call;

	assert_false(call->over);
	call->over = true;
	clock_timer_clear(fake->clock, &call->timer);
	fake->outstanding--;
	fake->cancelled++;
}

static int fake_next(void *arg, struct campaign_message *ret_message, struct buf *reason)
{
	static char key[32];
	static struct queue_attribute attribute;
	struct fake *fake = arg;
	int row = fake->next_row, ahead;

	assert_int_equal(fake->finished, 0);
	if (row > fake->rows) {
		fake->next_row =
			0; /* asking again after the end is an error, see assert_in_range */
		if (fake->source_error)
			buf_append_string(reason, "the source broke");
		return fake->source_error;
	}
	assert_in_range(row, 1, fake->rows);
	fake->next_row++;
	snprintf(fake->body, 16, "m%d", row);
	if (fake->body_bytes > 0)
		memset(fake->body + strlen(fake->body), ' ', fake->body_bytes - strlen(fake->body));
	snprintf(key, sizeof(key), "key-%d", row);
	attribute = (struct queue_attribute){"IdempotencyKey", "String", key, strlen(key)};
	*ret_message = (struct campaign_message){
		.body = fake->body,
		.body_bytes = fake->body_bytes ? fake->body_bytes : strlen(fake->body),
		.attributes = &attribute,
		.attribute_count = 1,
		.place = {(uint64_t)row, (uint64_t)row + 1},
	};
	ahead = row - fake->settled_count;
	if (ahead > fake->most_ahead)
		fake->most_ahead = ahead;
	return 1;
}

static void on_settled(
	void *arg, struct recipients_place place, int err, bool unconfirmed, const char *reason)
{
	struct fake *fake = arg;
	int row = (int)place.row;

	assert_int_equal(place.line, place.row + 1);
	assert_int_equal(fake->finished, 0);
	fake->settled[row]++;
	fake->settled_count++;
	fake->errors[row] = err;
	fake->unconfirmed[row] = unconfirmed;
	snprintf(fake->reasons[row], sizeof(fake->reasons[row]), "%s", reason);
}

static void on_finished(void *arg, int err, const char *reason)
{
	struct fake *fake = arg;

	fake->finished++;
	fake->err = err;
	fake->finished_us = fake->manual.now_us;
	snprintf(fake->reason, sizeof(fake->reason), "%s", reason);
}

static struct fake *fake_new(int rows, int (*judge)(struct fake *, struct call *))
{
	struct fake *fake = calloc(1, sizeof(*fake));

	assert_non_null(fake);
	manual_clock_init(&fake->manual, 42, 0);
	fake->manual.now_us = 1000000;
	fake->clock = manual_clock_table(&fake->manual);
	random_seed(&fake->random, 1);
	fake->options = producer_defaults;
	fake->judge = judge;
	fake->rows = rows;
	fake->next_row = 1;
	fake->body = calloc(1, PRODUCER_BATCH_MAX_BYTES + 1);
	assert_non_null(fake->body);
	return fake;
}

static const struct queue_ops fake_ops = {.send_batch = fake_send, .cancel = fake_cancel};

static int fake_start(struct fake *fake)
{
	struct queue queue = {&fake_ops, fake};
	const struct producer_source source = {fake_next, fake};
	const struct producer_events events = {on_settled, on_finished, fake};
	int rc =
		producer_new(queue, fake->clock, &source, &events, &fake->options, &fake->producer);

	return rc < 0 ? rc : producer_start(fake->producer);
}

static void fake_run(struct fake *fake)
{
	assert_int_equal(fake_start(fake), 0);
	assert_int_equal(fake->call_count, 0); /* nothing from inside start */
	while (!fake->finished && manual_clock_step(&fake->manual))
		;
	assert_int_equal(fake->finished, 1);
	assert_int_equal(fake->outstanding, 0);
	assert_false(manual_clock_step(&fake->manual)); /* no timer is left behind */
}

static void fake_free(struct fake *fake)
{
	producer_free(fake->producer);
	for (size_t i = 0; i < fake->call_count; i++)
		free(fake->calls[i]);
	manual_clock_free(&fake->manual);
	free(fake->body);
	free(fake);
}

static void assert_rows(const struct call *call, int first, int count)
{
	assert_int_equal(call->count, count);
	for (int i = 0; i < count; i++)
		assert_int_equal(call->rows[i], first + i);
}

static void assert_all_accepted(const struct fake *fake)
{
	const struct producer_totals *totals = producer_totals(fake->producer);

	assert_int_equal(fake->err, 0);
	assert_string_equal(fake->reason, "");
	for (int row = 1; row <= fake->rows; row++) {
		assert_int_equal(fake->settled[row], 1);
		assert_int_equal(fake->errors[row], 0);
		assert_true(fake->stored[row] >= 1);
	}
	assert_int_equal(totals->pulled, fake->rows);
	assert_int_equal(totals->accepted, fake->rows);
	assert_int_equal(totals->failed, 0);
	assert_int_equal(totals->in_flight, 0);
	assert_int_equal(totals->waiting, 0);
	assert_int_equal(totals->unsent.row, 0);
	assert_true(totals->source_ended);
}

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

/* failures of entries */

static int throttle_row_3_twice(struct fake *fake, struct call *call)
{
	for (size_t i = 0; i < call->count; i++)
		if (call->rows[i] == 3 && fake->sent[3] <= 2)
			call->results[i] = ERR_THROTTLED;
	return 0;
}

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

static int outage_for_good(struct fake *fake, struct call *call)
{
	for (size_t i = 0; i < call->count; i++)
		call->results[i] = fake->manual.now_us > 1000000 ? ERR_UNAVAILABLE : 0;
	return 0;
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
		cmocka_unit_test(packs_tens_in_order),
		cmocka_unit_test(nothing_to_send),
		cmocka_unit_test(packs_one_mebibyte),
		cmocka_unit_test(keeps_to_its_flights),
		cmocka_unit_test(keeps_to_its_bytes),
		cmocka_unit_test(throttling_stops_the_reading),
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
		cmocka_unit_test(a_delay_is_what_is_left_at_each_launch),
		cmocka_unit_test(a_delay_follows_the_wall_clock),
		cmocka_unit_test(every_row_is_settled_once_whatever_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
