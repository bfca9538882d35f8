/*
 * What was confirmed is deleted before anything else is sent, so that little is in both queues at
 * any instant.
 */
#include "campaign/failure_slot.h"

#include "base/list.h"
#include "base/random.h"
#include "bunshin/error.h"
#include "campaign/call_result.h"
#include "campaign/messages.h"

#include <string.h>

#define UNCONFIRMED_MAX                                                           \
	3 /* sends of a message whose answers are lost: each may be one more copy \
	   */
#define BACKOFF_BASE_MS 100
#define BACKOFF_CAP_MS 5000
/* A send must have been answered, and the delete made, before the message is visible again. */
#define VISIBLE_MARGIN_US UINT64_C(5000000)

/* ---- what became of a call */

uint64_t failure_backoff_us(const struct failure_pass *pass, unsigned attempts)
{
	uint64_t cap_ms = BACKOFF_CAP_MS;
	uint64_t ceiling_ms = attempts < 16 ? (uint64_t)BACKOFF_BASE_MS << (attempts - 1) : cap_ms;

	if (ceiling_ms > cap_ms)
		ceiling_ms = cap_ms;
	return 1 + random_below(clock_random(pass->options.clock), ceiling_ms * 1000);
}

static void timer_fired(struct clock_timer *timer)
{
	struct failure_slot *slot = list_entry(timer, struct failure_slot, timer);
	struct failure_pass *pass = slot->pass;

	failure_slot_next(slot);
	failure_pass_advance(pass);
}

bool failure_slot_wait(struct failure_slot *slot, uint64_t until_us)
{
	slot->timer.fire = timer_fired;
	if (clock_timer_set(slot->pass->options.clock, &slot->timer, until_us) == 0)
		return true;
	failure_pass_fail(slot->pass, ERR_NOMEM, "");
	return false;
}

void failure_slot_leave(struct failure_slot *slot, size_t i)
{
	struct failure_pass *pass = slot->pass;
	const char *handle = slot->batch->messages[i].receipt_handle;

	slot->items[i].state = ITEM_OVER;
	if (failure_left_add(&pass->left, handle, slot->visible_us))
		pass->totals.unreleased++;
	if (pass->left.count >= pass->options.left_max)
		failure_pass_end_by(pass, FAILURE_PASS_FULL);
}

static void tell(struct failure_slot *slot, size_t i, const char *reason)
{
	struct failure_pass *pass = slot->pass;

	if (pass->events.failed)
		pass->events.failed(
			pass->events.arg, &slot->batch->messages[i], slot->items[i].sent, reason);
}

static void give_up_send(struct failure_slot *slot, size_t i, const char *reason)
{
	struct failure_pass_totals *totals = &slot->pass->totals;

	totals->unsent++;
	totals->maybe_sent += slot->items[i].unconfirmed;
	tell(slot, i, reason);
	failure_slot_leave(slot, i);
}

static void give_up_delete(struct failure_slot *slot, size_t i, const char *reason)
{
	struct failure_pass_totals *totals = &slot->pass->totals;
	struct failure_item *item = &slot->items[i];

	item->state = ITEM_OVER;
	if (item->repeated)
		return;
	if (item->sent)
		totals->undeleted++;
	else
		totals->undropped++;
	tell(slot, i, reason);
}

/* One item's result, other than success. The most attempts of those to be tried again, or 0. */
static unsigned item_failed(struct failure_slot *slot, size_t i, int result, const char *reason,
	void (*give_up)(struct failure_slot *slot, size_t i, const char *reason))
{
	struct failure_item *item = &slot->items[i];
	unsigned most = item->unconfirmed && !item->sent ? UNCONFIRMED_MAX : FAILURE_ATTEMPTS_MAX;
	enum call_verdict verdict = call_judge(result);

	item->attempts++;
	if (verdict == CALL_HOPELESS)
		failure_pass_fail(slot->pass, result, reason);
	if (verdict == CALL_TRY_AGAIN && item->attempts < most && slot->pass->err == 0)
		return item->attempts;
	give_up(slot, i, reason);
	return 0;
}

static void back_off(struct failure_slot *slot, unsigned attempts)
{
	if (attempts > 0)
		slot->not_before_us = clock_monotonic_us(slot->pass->options.clock) +
				      failure_backoff_us(slot->pass, attempts);
}

/* `detail` is about the first failure only. */
static const char *words_of(int result, const char *detail, bool *explained)
{
	const char *words = *explained || !*detail ? error_message(result) : detail;

	*explained = true;
	return words;
}

/* ---- send */

static void send_landed(struct failure_slot *slot, const int results[], const char *detail)
{
	unsigned attempts = 0;
	bool explained = false;

	if (slot->chosen_count > 1 && call_judge(results[0]) == CALL_REFUSED &&
		call_failed_whole(results, slot->chosen_count)) {
		slot->alone = true; /* find out which of them it is */
		return;
	}
	for (size_t k = 0; k < slot->chosen_count; k++) {
		size_t i = slot->chosen[k];
		struct failure_item *item = &slot->items[i];
		unsigned tried;

		if (results[k] == 0) {
			item->state = ITEM_DELETE;
			item->sent = true;
			item->attempts = 0;
			failure_seen_gone(&slot->pass->seen, slot->batch->messages[i].message_id);
			continue;
		}
		item->unconfirmed |= call_may_have_arrived(results[k]);
		tried = item_failed(slot, i, results[k], words_of(results[k], detail, &explained),
			give_up_send);
		if (tried > attempts)
			attempts = tried;
	}
	back_off(slot, attempts);
}

static void send_done(void *arg, const int results[], size_t count, const char *detail)
{
	struct failure_slot *slot = arg;
	struct failure_pass *pass = slot->pass;

	slot->call = NULL;
	send_landed(slot, results, detail);
	failure_slot_next(slot);
	failure_pass_advance(pass);
}

static size_t batch_max(const struct failure_slot *slot)
{
	int64_t rate = slot->pass->options.rate;

	if (slot->alone)
		return 1;
	return rate > 0 && rate < QUEUE_BATCH_MAX ? (size_t)rate : QUEUE_BATCH_MAX;
}

static void choose_sends(struct failure_slot *slot)
{
	size_t bytes = 0;

	slot->chosen_count = 0;
	for (size_t i = 0; i < slot->batch->count; i++) {
		const struct queue_send *send = &slot->items[i].outgoing.send;

		if (slot->items[i].state != ITEM_SEND || slot->chosen_count == batch_max(slot))
			continue;
		bytes += message_bytes(send->body_bytes, send->attributes, send->attribute_count);
		if (slot->chosen_count > 0 && bytes > FAILURE_PASS_BATCH_MAX_BYTES)
			break;
		slot->chosen[slot->chosen_count++] = i;
	}
}

/* Gives up what may not be sent any more. True: so it was. */
static bool sends_are_off(struct failure_slot *slot, uint64_t now_us)
{
	bool late = now_us + VISIBLE_MARGIN_US >= slot->visible_us;

	if (!late && slot->pass->err == 0)
		return false;
	for (size_t k = 0; k < slot->chosen_count; k++)
		give_up_send(slot, slot->chosen[k],
			late ? "its visibility ran out before it could be sent"
			     : slot->pass->reason);
	return true;
}

static uint64_t send_due_us(struct failure_slot *slot)
{
	uint64_t rate_us = slot->pass->next_send_us;

	return rate_us > slot->not_before_us ? rate_us : slot->not_before_us;
}

static void take_from_rate(struct failure_pass *pass, size_t count, uint64_t now_us)
{
	if (pass->options.rate == 0)
		return;
	if (pass->next_send_us < now_us)
		pass->next_send_us = now_us;
	pass->next_send_us += count * UINT64_C(1000000) / (uint64_t)pass->options.rate;
}

static int start_send(struct failure_slot *slot)
{
	struct queue target = slot->pass->options.target;
	struct queue_send sends[QUEUE_BATCH_MAX];

	for (size_t k = 0; k < slot->chosen_count; k++)
		sends[k] = slot->items[slot->chosen[k]].outgoing.send;
	slot->called = target;
	return target.ops->send_batch(
		target.impl, sends, slot->chosen_count, send_done, slot, &slot->call);
}

/* True: a call is out, or a timer set. */
static bool send_some(struct failure_slot *slot)
{
	for (;;) {
		uint64_t now_us = clock_monotonic_us(slot->pass->options.clock);
		int results[QUEUE_BATCH_MAX], err;

		choose_sends(slot);
		if (slot->chosen_count == 0)
			return false;
		if (sends_are_off(slot, now_us))
			continue;
		if (now_us < send_due_us(slot)) {
			if (failure_slot_wait(slot, send_due_us(slot)))
				return true;
			continue;
		}
		take_from_rate(slot->pass, slot->chosen_count, now_us);
		err = start_send(slot);
		if (err == 0)
			return true;
		slot->call = NULL;
		for (size_t k = 0; k < slot->chosen_count; k++)
			results[k] = err;
		send_landed(slot, results, "");
	}
}

/* ---- delete */

static void delete_landed(struct failure_slot *slot, const int results[], const char *detail)
{
	struct failure_pass *pass = slot->pass;
	/* With an old handle SQS says "deleted" and may have deleted nothing. */
	bool stale = slot->call_us >= slot->visible_us, explained = false;
	unsigned attempts = 0;

	for (size_t k = 0; k < slot->chosen_count; k++) {
		size_t i = slot->chosen[k];
		struct failure_item *item = &slot->items[i];
		unsigned tried;

		if (results[k] == 0 && !stale) {
			item->state = ITEM_OVER;
			if (!item->repeated && item->sent)
				pass->totals.sent++;
			else if (!item->repeated)
				pass->totals.deleted++;
			continue;
		}
		if (results[k] == 0) {
			give_up_delete(slot, i, "its visibility ran out before the delete");
			continue;
		}
		tried = item_failed(slot, i, results[k], words_of(results[k], detail, &explained),
			give_up_delete);
		if (tried > attempts)
			attempts = tried;
	}
	back_off(slot, attempts);
}

static void delete_done(void *arg, const int results[], size_t count, const char *detail)
{
	struct failure_slot *slot = arg;
	struct failure_pass *pass = slot->pass;

	slot->call = NULL;
	delete_landed(slot, results, detail);
	failure_slot_next(slot);
	failure_pass_advance(pass);
}

static int start_delete(struct failure_slot *slot)
{
	struct queue source = slot->pass->options.source;
	const char *handles[QUEUE_BATCH_MAX];

	for (size_t k = 0; k < slot->chosen_count; k++)
		handles[k] = slot->batch->messages[slot->chosen[k]].receipt_handle;
	slot->called = source;
	slot->call_us = clock_monotonic_us(slot->pass->options.clock);
	return source.ops->delete_batch(
		source.impl, handles, slot->chosen_count, delete_done, slot, &slot->call);
}

/* True: a call is out, or a timer set. */
static bool delete_some(struct failure_slot *slot)
{
	for (;;) {
		uint64_t now_us = clock_monotonic_us(slot->pass->options.clock);
		int results[QUEUE_BATCH_MAX], err;

		slot->chosen_count = 0;
		for (size_t i = 0; i < slot->batch->count; i++)
			if (slot->items[i].state == ITEM_DELETE)
				slot->chosen[slot->chosen_count++] = i;
		if (slot->chosen_count == 0)
			return false;
		if (now_us < slot->not_before_us && slot->items[slot->chosen[0]].attempts > 0) {
			if (failure_slot_wait(slot, slot->not_before_us))
				return true;
		}
		err = start_delete(slot);
		if (err == 0)
			return true;
		slot->call = NULL;
		for (size_t k = 0; k < slot->chosen_count; k++)
			results[k] = err;
		delete_landed(slot, results, "");
	}
}

void failure_slot_next(struct failure_slot *slot)
{
	if (!slot->batch || delete_some(slot) || send_some(slot))
		return;
	queue_batch_unref(slot->batch);
	slot->batch = NULL;
}
