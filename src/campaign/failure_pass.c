#include "campaign/failure_pass.h"

#include "base/list.h"
#include "bunshin/error.h"
#include "campaign/call_result.h"
#include "campaign/failure_slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_S 1
#define EMPTIES_MAX 2	/* empty answers in a row: nothing is visible */
#define REPEATS_MAX 20	/* and one in a hundred: SQS may hand a message out twice at any time */
#define GROWTH_MAX 1000 /* and a fifth: messages beyond those expected */

static void receive(struct failure_slot *slot);

/* ---- the end */

void failure_pass_end_by(struct failure_pass *pass, enum failure_pass_end why)
{
	if (pass->ending)
		return;
	pass->ending = true;
	pass->totals.end = why;
}

void failure_pass_fail(struct failure_pass *pass, int err, const char *reason)
{
	if (pass->err != 0)
		return;
	pass->err = err;
	snprintf(pass->reason, sizeof(pass->reason), "%s", *reason ? reason : error_message(err));
	pass->ending = true;
	pass->totals.end = FAILURE_PASS_FAILED;
}

static void finish(struct failure_pass *pass)
{
	pass->finished = true;
	pass->totals.unreleased += pass->left.failed;
	pass->events.finished(pass->events.arg, pass->err, pass->reason);
}

static void released(void *arg)
{
	finish(arg);
}

static bool is_idle(const struct failure_slot *slot)
{
	return !slot->batch && !slot->call && !clock_timer_is_set(&slot->timer);
}

static unsigned busy_slots(const struct failure_pass *pass)
{
	unsigned busy = 0;

	for (unsigned i = 0; i < pass->options.slots; i++)
		busy += !is_idle(&pass->slots[i]);
	return busy;
}

void failure_pass_advance(struct failure_pass *pass)
{
	unsigned busy = busy_slots(pass);

	/* After an empty answer one poll is enough to find out whether there is more. */
	for (unsigned i = 0; i < pass->options.slots && !pass->ending; i++) {
		if (!is_idle(&pass->slots[i]) || (pass->empties > 0 && busy > 0))
			continue;
		receive(&pass->slots[i]);
		busy = busy_slots(pass);
	}
	if (busy > 0 || pass->releasing || pass->finished)
		return;
	pass->releasing = true;
	if (!failure_left_release(&pass->left, released, pass))
		finish(pass);
}

/* ---- receive */

/* One message, new or not. */
static void visit(struct failure_slot *slot, size_t i)
{
	struct failure_pass *pass = slot->pass;
	const struct queue_message *message = &slot->batch->messages[i];
	struct failure_item *item = &slot->items[i];
	enum failure_sight sight = FAILURE_SEEN;
	enum failure_wish wish;
	int err = failure_seen_add(&pass->seen, message->message_id, &sight);

	memset(item, 0, sizeof(*item));
	if (err)
		failure_pass_fail(pass, err, "");
	if (err || sight != FAILURE_NEW) {
		item->repeated = true;
		pass->totals.repeats += err == 0;
		/* What was sent must not be sent again; what was left is left, by its new handle.
		 */
		if (sight == FAILURE_GONE)
			item->state = ITEM_DELETE;
		else
			failure_slot_leave(slot, i);
		return;
	}
	pass->totals.seen++;
	wish = pass->events.visit(pass->events.arg, message, &item->outgoing);
	if (wish == FAILURE_LEAVE) {
		pass->totals.left++;
		failure_slot_leave(slot, i);
		return;
	}
	item->state = wish == FAILURE_SEND ? ITEM_SEND : ITEM_DELETE;
	if (wish == FAILURE_DELETE)
		failure_seen_gone(&pass->seen, message->message_id);
}

static void judge_the_end(struct failure_pass *pass, size_t received)
{
	const struct failure_pass_totals *totals = &pass->totals;
	uint64_t expected = pass->options.expected;

	pass->empties = received > 0 ? 0 : pass->empties + 1;
	if (pass->empties >= EMPTIES_MAX)
		failure_pass_end_by(pass, FAILURE_PASS_EMPTY);
	if (totals->repeats > REPEATS_MAX + totals->seen / 100)
		failure_pass_end_by(pass, FAILURE_PASS_REPEATED);
	if (totals->seen > expected + expected / 5 + GROWTH_MAX)
		failure_pass_end_by(pass, FAILURE_PASS_GREW);
}

/* True: it is tried again. */
static bool receive_failed(struct failure_slot *slot, int err, const char *detail)
{
	struct failure_pass *pass = slot->pass;

	if (err == ERR_OVER_LIMIT) {
		failure_pass_end_by(pass, FAILURE_PASS_FULL);
		return false;
	}
	if (call_judge(err) != CALL_TRY_AGAIN || ++pass->receive_failures >= FAILURE_ATTEMPTS_MAX) {
		failure_pass_fail(pass, err, detail);
		return false;
	}
	return failure_slot_wait(slot, clock_monotonic_us(pass->options.clock) +
					       failure_backoff_us(pass, pass->receive_failures));
}

static void receive_done(void *arg, int err, struct queue_batch *batch, const char *detail)
{
	struct failure_slot *slot = arg;
	struct failure_pass *pass = slot->pass;

	slot->call = NULL;
	if (err) {
		if (receive_failed(slot, err, detail))
			return;
	} else {
		pass->receive_failures = 0;
		slot->batch = batch;
		slot->alone = false;
		slot->not_before_us = 0;
		for (size_t i = 0; i < batch->count; i++)
			visit(slot, i);
		judge_the_end(pass, batch->count);
	}
	failure_slot_next(slot);
	failure_pass_advance(pass);
}

static void receive(struct failure_slot *slot)
{
	struct failure_pass *pass = slot->pass;
	const struct queue_receive params = {
		.max_messages = pass->options.batch,
		.wait_s = WAIT_S,
		.visibility_s = pass->options.visibility_s,
	};
	int err;

	/* Visible again at the earliest. */
	slot->visible_us = clock_monotonic_us(pass->options.clock) +
			   (uint64_t)pass->options.visibility_s * 1000000;
	slot->called = pass->options.source;
	err = pass->options.source.ops->receive(
		pass->options.source.impl, &params, receive_done, slot, &slot->call);
	if (err == 0)
		return;
	slot->call = NULL;
	receive_failed(slot, err, "");
}

/* ---- the life of a slot, and of the pass */

static void start_due(struct clock_timer *timer)
{
	struct failure_pass *pass = list_entry(timer, struct failure_pass, start);

	failure_pass_advance(pass);
}

int failure_pass_new(const struct failure_pass_options *options,
	const struct failure_pass_events *events, struct failure_pass **ret_pass)
{
	struct failure_pass *pass = calloc(1, sizeof(*pass));
	uint64_t random[2];

	if (!pass)
		return ERR_NOMEM;
	pass->options = *options;
	pass->events = *events;
	if (pass->options.slots > FAILURE_SLOTS_MAX)
		pass->options.slots = FAILURE_SLOTS_MAX;
	/* A slow rate: a batch in each slot would wait longer than it may. */
	if (options->rate > 0 && options->rate < 10 * (int64_t)pass->options.slots)
		pass->options.slots = 1;
	if (options->rate > 0 && options->rate < pass->options.batch)
		pass->options.batch = (unsigned)options->rate;
	for (unsigned i = 0; i < pass->options.slots; i++)
		pass->slots[i].pass = pass;
	random[0] = clock_random(options->clock);
	random[1] = clock_random(options->clock);
	memcpy(pass->seen.key, random, sizeof(pass->seen.key));
	pass->left.queue = options->source;
	pass->left.clock = options->clock;
	pass->start.fire = start_due;
	*ret_pass = pass;
	return 0;
}

void failure_pass_free(struct failure_pass *pass)
{
	if (!pass)
		return;
	clock_timer_clear(pass->options.clock, &pass->start);
	for (unsigned i = 0; i < pass->options.slots; i++) {
		struct failure_slot *slot = &pass->slots[i];

		if (slot->call)
			slot->called.ops->cancel(slot->called.impl, slot->call);
		clock_timer_clear(pass->options.clock, &slot->timer);
		if (slot->batch)
			queue_batch_unref(slot->batch);
	}
	failure_left_free(&pass->left);
	failure_seen_free(&pass->seen);
	free(pass);
}

int failure_pass_start(struct failure_pass *pass)
{
	return clock_timer_set(
		pass->options.clock, &pass->start, clock_monotonic_us(pass->options.clock));
}

void failure_pass_stop(struct failure_pass *pass)
{
	failure_pass_end_by(pass, FAILURE_PASS_STOPPED);
}

const struct failure_pass_totals *failure_pass_totals(const struct failure_pass *pass)
{
	return &pass->totals;
}
