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
	int last = fake->pack > 0 ? row + fake->pack - 1 : row;

	assert_in_range(row, 1, fake->rows);
	assert_int_equal(
		send->body_bytes, fake->body_bytes ? fake->body_bytes : strlen(send->body));
	assert_int_equal(send->attribute_count, 1);
	assert_string_equal(send->attributes[0].name, "IdempotencyKey");
	assert_string_equal(send->attributes[0].type, "String");
	if (fake->sent[row]++ == 0)
		memcpy(key, send->attributes[0].value, send->attributes[0].value_bytes + 1);
	assert_string_equal(key, send->attributes[0].value);
	for (int other = row + 1; other <= last && other <= fake->rows; other++)
		fake->sent[other]++;
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
		for (int row = 0; row < (fake->pack > 0 ? fake->pack : 1); row++)
			fake->stored[call->rows[i] + row] += call->results[i] == 0;
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
	static struct recipients_place places[ROWS_MAX];
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
	fake->next_row += fake->pack > 0 ? fake->pack : 1;
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
	for (int i = 0; i < fake->pack && row + i <= fake->rows; i++) {
		places[i] = (struct recipients_place){(uint64_t)(row + i), (uint64_t)(row + i + 1)};
		ret_message->places = places;
		ret_message->place_count = (size_t)i + 1;
	}
	ahead = row - fake->settled_count;
	if (ahead > fake->most_ahead)
		fake->most_ahead = ahead;
	return 1;
}

static void on_settled(void *arg, const struct recipients_place *places, size_t count, int err,
	bool unconfirmed, const char *reason)
{
	struct fake *fake = arg;

	assert_int_equal(fake->finished, 0);
	assert_in_range(count, 1, fake->pack > 0 ? fake->pack : 1);
	for (size_t i = 0; i < count; i++) {
		int row = (int)places[i].row;

		assert_int_equal(places[i].line, places[i].row + 1);
		assert_int_equal(places[i].row, places[0].row + i);
		fake->settled[row]++;
		fake->settled_count++;
		fake->errors[row] = err;
		fake->unconfirmed[row] = unconfirmed;
		snprintf(fake->reasons[row], sizeof(fake->reasons[row]), "%s", reason);
	}
}

static void on_finished(void *arg, int err, const char *reason)
{
	struct fake *fake = arg;

	fake->finished++;
	fake->err = err;
	fake->finished_us = fake->manual.now_us;
	snprintf(fake->reason, sizeof(fake->reason), "%s", reason);
}

struct fake *fake_new(int rows, int (*judge)(struct fake *, struct call *))
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

int fake_start(struct fake *fake)
{
	struct queue queue = {&fake_ops, fake};
	const struct producer_source source = {fake_next, fake};
	const struct producer_events events = {on_settled, on_finished, fake};
	int rc =
		producer_new(queue, fake->clock, &source, &events, &fake->options, &fake->producer);

	return rc < 0 ? rc : producer_start(fake->producer);
}

void fake_run(struct fake *fake)
{
	assert_int_equal(fake_start(fake), 0);
	assert_int_equal(fake->call_count, 0); /* nothing from inside start */
	while (!fake->finished && manual_clock_step(&fake->manual))
		;
	assert_int_equal(fake->finished, 1);
	assert_int_equal(fake->outstanding, 0);
	assert_false(manual_clock_step(&fake->manual)); /* no timer is left behind */
}

void fake_free(struct fake *fake)
{
	producer_free(fake->producer);
	for (size_t i = 0; i < fake->call_count; i++)
		free(fake->calls[i]);
	manual_clock_free(&fake->manual);
	free(fake->body);
	free(fake);
}

void assert_rows(const struct call *call, int first, int count)
{
	assert_int_equal(call->count, count);
	for (int i = 0; i < count; i++)
		assert_int_equal(call->rows[i], first + i);
}

void assert_all_accepted(const struct fake *fake)
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

int throttle_row_3_twice(struct fake *fake, struct call *call)
{
	for (size_t i = 0; i < call->count; i++)
		if (call->rows[i] == 3 && fake->sent[3] <= 2)
			call->results[i] = ERR_THROTTLED;
	return 0;
}

int outage_for_good(struct fake *fake, struct call *call)
{
	for (size_t i = 0; i < call->count; i++)
		call->results[i] = fake->manual.now_us > 1000000 ? ERR_UNAVAILABLE : 0;
	return 0;
}
