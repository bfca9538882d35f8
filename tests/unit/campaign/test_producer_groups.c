/*
 * The producer on a FIFO queue, in virtual time: whatever fails, the messages of a group arrive in
 * order. Calls under way overtake each other, requests whose answer is lost arrive or not, and the
 * queue drops what it has seen before (MessageDeduplicationId).
 */
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

struct fifo;

struct call {
	struct fifo *fifo;
	struct clock_timer arrival, answer;
	queue_batch_done *done;
	void *arg;
	size_t count;
	int rows[QUEUE_BATCH_MAX];
	int results[QUEUE_BATCH_MAX];
	bool lost; /* it arrives, and nobody is told */
};

struct fifo {
	struct manual_clock manual;
	struct clock clock;
	struct random random;
	struct producer *producer;
	struct producer_options options;
	void (*judge)(struct fifo *fifo, struct call *call);
	int rows, groups, next_row;
	int calls;
	int tried[ROWS_MAX + 1];
	bool there[ROWS_MAX + 1];
	int order[ROWS_MAX], arrived; /* rows as they arrived first */
	int errors[ROWS_MAX + 1];
	int settled;
	int most_ahead;
	bool finished;
	int err;
};

static int group_of(const struct fifo *fifo, int row)
{
	return row % fifo->groups;
}

static void arrive(struct clock_timer *timer)
{
	struct call *call = (struct call *)(void *)((char *)timer - offsetof(struct call, arrival));
	struct fifo *fifo = call->fifo;

	for (size_t i = 0; i < call->count; i++) {
		int row = call->rows[i];

		if ((call->results[i] != 0 && !call->lost) || fifo->there[row])
			continue;
		fifo->there[row] = true;
		fifo->order[fifo->arrived++] = row;
	}
}

static void answer(struct clock_timer *timer)
{
	struct call *call = (struct call *)(void *)((char *)timer - offsetof(struct call, answer));
	struct call copy = *call;

	free(call);
	copy.done(copy.arg, copy.results, copy.count, "");
}

static void note(struct fifo *fifo, struct call *call, const struct queue_send *send)
{
	int row = atoi(send->body);
	char text[32];

	snprintf(text, sizeof(text), "group-%d", group_of(fifo, row));
	assert_string_equal(send->group_id, text);
	snprintf(text, sizeof(text), "once-%d", row);
	assert_string_equal(send->deduplication_id, text);
	for (size_t i = 0; i < call->count && fifo->options.keep_group_order; i++)
		assert_int_not_equal(group_of(fifo, call->rows[i]), group_of(fifo, row));
	fifo->tried[row]++;
	call->rows[call->count++] = row;
}

static int fifo_send(void *impl, const struct queue_send entries[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct fifo *fifo = impl;
	struct call *call = calloc(1, sizeof(*call));
	uint64_t latency_us = 1000 + random_below(random_next(&fifo->random), 50000);

	assert_non_null(call);
	*call = (struct call){.fifo = fifo, .done = done, .arg = arg};
	call->arrival.fire = arrive;
	call->answer.fire = answer;
	for (size_t i = 0; i < count; i++)
		note(fifo, call, &entries[i]);
	fifo->calls++;
	if (fifo->judge)
		fifo->judge(fifo, call);
	assert_int_equal(clock_timer_after(fifo->clock, &call->arrival,
				 random_below(random_next(&fifo->random), latency_us)),
		0);
	assert_int_equal(clock_timer_after(fifo->clock, &call->answer, latency_us), 0);
	*ret_call = (struct queue_call *)(void *)call;
	return 0;
}

static void fifo_cancel(void *impl, struct queue_call *queue_call)
{
	struct fifo *fifo = impl;
	struct call *call = (struct call *)(void *)queue_call;

	clock_timer_clear(fifo->clock, &call->arrival);
	clock_timer_clear(fifo->clock, &call->answer);
	free(call);
}

static int fifo_next(void *arg, struct campaign_message *ret_message, struct buf *reason)
{
	static char body[16], group[32], once[32];
	struct fifo *fifo = arg;

	if (fifo->next_row > fifo->rows)
		return 0;
	snprintf(body, sizeof(body), "%d", fifo->next_row);
	snprintf(group, sizeof(group), "group-%d", group_of(fifo, fifo->next_row));
	snprintf(once, sizeof(once), "once-%d", fifo->next_row);
	*ret_message = (struct campaign_message){
		.body = body,
		.body_bytes = strlen(body),
		.place = {(uint64_t)fifo->next_row, (uint64_t)fifo->next_row + 1},
		.group_id = group,
		.deduplication_id = once,
	};
	if (fifo->next_row - fifo->settled > fifo->most_ahead)
		fifo->most_ahead = fifo->next_row - fifo->settled;
	fifo->next_row++;
	return 1;
}

static void on_settled(void *arg, const struct recipients_place *places, size_t count, int err,
	bool unconfirmed, const char *reason)
{
	struct fifo *fifo = arg;

	fifo->settled++;
	assert_int_equal(fifo->errors[places[0].row], -1000);
	fifo->errors[places[0].row] = err;
}

static void on_finished(void *arg, int err, const char *reason)
{
	struct fifo *fifo = arg;

	assert_false(fifo->finished);
	fifo->finished = true;
	fifo->err = err;
}

static struct fifo *fifo_new(int rows, int groups, void (*judge)(struct fifo *, struct call *))
{
	struct fifo *fifo = calloc(1, sizeof(*fifo));

	assert_non_null(fifo);
	manual_clock_init(&fifo->manual, 42, 0);
	fifo->manual.now_us = 1000000;
	fifo->clock = manual_clock_table(&fifo->manual);
	random_seed(&fifo->random, 1);
	fifo->options = producer_defaults;
	fifo->options.keep_group_order = true;
	fifo->judge = judge;
	fifo->rows = rows;
	fifo->groups = groups;
	fifo->next_row = 1;
	for (int row = 0; row <= ROWS_MAX; row++)
		fifo->errors[row] = -1000;
	return fifo;
}

static void fifo_start(struct fifo *fifo)
{
	static const struct queue_ops ops = {.send_batch = fifo_send, .cancel = fifo_cancel};
	const struct queue queue = {&ops, fifo};
	const struct producer_source source = {fifo_next, fifo};
	const struct producer_events events = {on_settled, on_finished, fifo};

	assert_int_equal(
		producer_new(queue, fifo->clock, &source, &events, &fifo->options, &fifo->producer),
		0);
	assert_int_equal(producer_start(fifo->producer), 0);
}

static void fifo_run(struct fifo *fifo)
{
	fifo_start(fifo);
	while (!fifo->finished && manual_clock_step(&fifo->manual))
		;
	assert_true(fifo->finished);
	while (manual_clock_step(&fifo->manual)) /* requests that arrive late */
		;
}

static void fifo_free(struct fifo *fifo)
{
	producer_free(fifo->producer);
	manual_clock_free(&fifo->manual);
	free(fifo);
}

static bool is_in_order(const struct fifo *fifo)
{
	int last[ROWS_MAX] = {0};

	for (int i = 0; i < fifo->arrived; i++) {
		int row = fifo->order[i], *before = &last[group_of(fifo, row)];

		if (row < *before)
			return false;
		*before = row;
	}
	return true;
}

static void groups_go_side_by_side(void **state)
{
	struct fifo *fifo = fifo_new(40, 10, NULL);

	fifo_run(fifo);
	assert_int_equal(fifo->arrived, 40);
	assert_true(is_in_order(fifo));
	assert_int_equal(producer_totals(fifo->producer)->accepted, 40);
	assert_in_range(fifo->calls, 4, 40);
	fifo_free(fifo);
}

static void one_group_goes_one_by_one(void **state)
{
	struct fifo *fifo = fifo_new(30, 1, NULL);

	fifo_run(fifo);
	assert_int_equal(fifo->calls, 30);
	assert_int_equal(fifo->arrived, 30);
	assert_true(is_in_order(fifo));
	fifo_free(fifo);
}

static void anything(struct fifo *fifo, struct call *call)
{
	static const int whole[] = {0, 0, 0, 0, 0, ERR_TIMEOUT, ERR_NETWORK, ERR_UNAVAILABLE,
		ERR_THROTTLED, ERR_CONNECT};
	static const int single[] = {0, 0, 0, 0, 0, ERR_THROTTLED, ERR_UNAVAILABLE};
	int code = whole[random_below(random_next(&fifo->random), 10)];

	call->lost = code != 0 && random_below(random_next(&fifo->random), 2) == 0;
	for (size_t i = 0; i < call->count; i++)
		call->results[i] =
			code ? code : single[random_below(random_next(&fifo->random), 7)];
}

static void in_order_whatever_happens(void **state)
{
	static const int groups[] = {1, 2, 3, 10, 17, 64, 400};

	for (uint64_t seed = 1; seed <= 140; seed++) {
		struct fifo *fifo = fifo_new(400, groups[seed % 7], anything);

		random_seed(&fifo->random, seed);
		fifo->manual.random_state = seed;
		fifo->options.in_flight = 1 + (unsigned)(seed % 8);
		fifo->options.max_attempts = 1000;
		fifo->options.base_ms = 10;
		fifo->options.throttled_base_ms = 20;
		fifo->options.cap_ms = 500;
		fifo->options.held_back = 1 + seed % 50;
		if (seed % 5 == 0) {
			fifo->options.rate_count = 500;
			fifo->options.rate_per_ms = 1000;
		}
		fifo_run(fifo);
		assert_int_equal(fifo->err, 0);
		assert_int_equal(producer_totals(fifo->producer)->accepted, 400);
		assert_int_equal(producer_totals(fifo->producer)->untried, 0);
		assert_int_equal(fifo->arrived, 400);
		assert_true(is_in_order(fifo));
		/* In flight, waiting to be tried again, and held back. */
		assert_in_range(fifo->most_ahead, 1,
			20 * (int)fifo->options.in_flight + (int)fifo->options.held_back + 1);
		fifo_free(fifo);
	}
}

/* The same without the order kept: so the test sees what it is there to see. */
static void without_it_there_is_no_order(void **state)
{
	struct fifo *fifo = fifo_new(400, 3, anything);

	fifo->options.keep_group_order = false;
	fifo->options.max_attempts = 1000;
	fifo_run(fifo);
	assert_int_equal(fifo->arrived, 400);
	assert_false(is_in_order(fifo));
	fifo_free(fifo);
}

static void refuse_row_4(struct fifo *fifo, struct call *call)
{
	for (size_t i = 0; i < call->count; i++)
		call->results[i] = call->rows[i] == 4 ? ERR_REFUSED : 0;
}

/* It will never be there: those behind it go on. */
static void refused_for_good_holds_up_nobody(void **state)
{
	struct fifo *fifo = fifo_new(30, 3, refuse_row_4);

	fifo_run(fifo);
	assert_int_equal(fifo->arrived, 29);
	assert_int_equal(fifo->errors[4], ERR_REFUSED);
	assert_true(is_in_order(fifo));
	fifo_free(fifo);
}

static void row_4_never_works(struct fifo *fifo, struct call *call)
{
	for (size_t i = 0; i < call->count; i++)
		call->results[i] = call->rows[i] == 4 ? ERR_UNAVAILABLE : 0;
}

/* It may be sent by a later run, and has to be there first then. */
static void given_up_holds_up_its_group(void **state)
{
	struct fifo *fifo = fifo_new(600, 3, row_4_never_works);
	const struct producer_totals *totals;

	fifo->options.max_attempts = 5;
	fifo->options.base_ms = 10;
	fifo_run(fifo);
	totals = producer_totals(fifo->producer);
	assert_int_equal(fifo->err, 0);
	assert_true(totals->source_ended);
	assert_int_equal(fifo->errors[4], ERR_UNAVAILABLE);
	assert_int_equal(fifo->tried[4], 5);
	for (int row = 5; row <= 600; row++) {
		assert_int_equal(fifo->tried[row], row % 3 != 1);
		assert_int_equal(fifo->there[row], row % 3 != 1);
	}
	assert_true(fifo->there[1]);
	assert_int_equal(totals->accepted, 401);
	assert_int_equal(totals->failed, 1);
	assert_int_equal(totals->untried, 198);
	assert_int_equal(totals->pulled, 600);
	assert_int_equal(totals->unsent.row, 7);
	fifo_free(fifo);
}

static void stop_leaves_what_is_held_back(void **state)
{
	struct fifo *fifo = fifo_new(500, 2, NULL);
	const struct producer_totals *totals;

	fifo_start(fifo);
	while (fifo->settled < 20)
		assert_true(manual_clock_step(&fifo->manual));
	producer_stop(fifo->producer);
	while (!fifo->finished && manual_clock_step(&fifo->manual))
		;
	totals = producer_totals(fifo->producer);
	assert_true(fifo->finished);
	assert_in_range(fifo->arrived, 20, 24);
	assert_int_equal(totals->accepted, fifo->arrived);
	assert_int_equal(totals->pulled, totals->accepted + totals->untried);
	assert_int_equal(totals->unsent.row, fifo->arrived + 1);
	fifo_free(fifo);
}

static void access_is_denied(struct fifo *fifo, struct call *call)
{
	for (size_t i = 0; i < call->count; i++)
		call->results[i] = fifo->calls > 10 ? ERR_ACCESS_DENIED : 0;
}

static void an_error_that_stops_it_leaves_them_too(void **state)
{
	struct fifo *fifo = fifo_new(500, 3, access_is_denied);
	const struct producer_totals *totals;

	fifo_run(fifo);
	totals = producer_totals(fifo->producer);
	assert_int_equal(fifo->err, ERR_ACCESS_DENIED);
	assert_int_equal(totals->pulled, totals->accepted + totals->failed + totals->untried);
	assert_true(totals->untried > 400);
	assert_true(is_in_order(fifo));
	fifo_free(fifo);
}

static void freed_at_every_step(void **state)
{
	for (int steps = 0; steps < 120; steps++) {
		struct fifo *fifo = fifo_new(60, 4, anything);

		fifo->options.in_flight = 4;
		fifo_start(fifo);
		for (int i = 0; i < steps && !fifo->finished; i++)
			if (!manual_clock_step(&fifo->manual))
				break;
		fifo_free(fifo);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_go_side_by_side),
		cmocka_unit_test(one_group_goes_one_by_one),
		cmocka_unit_test(in_order_whatever_happens),
		cmocka_unit_test(without_it_there_is_no_order),
		cmocka_unit_test(refused_for_good_holds_up_nobody),
		cmocka_unit_test(given_up_holds_up_its_group),
		cmocka_unit_test(stop_leaves_what_is_held_back),
		cmocka_unit_test(an_error_that_stops_it_leaves_them_too),
		cmocka_unit_test(freed_at_every_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
