#include "delivery/packed.h"

#include "bunshin/error.h"
#include "delivery/attempt.h"
#include "delivery/core.h"

#include <stdio.h>

#define SUMMARY_SIZE 96

static struct target_result local_result(int err)
{
	return (struct target_result){.err = err,
		.retry_after_ms = -1,
		.reason = error_message(err),
		.request_id = "",
		.excerpt = ""};
}

/* ---- what is told */

static enum recipient_count count_of(enum delivery_event_kind of)
{
	switch (of) {
	case DELIVERY_ACCEPTED:
		return RECIPIENTS_ACCEPTED;
	case DELIVERY_SUPPRESSED:
		return RECIPIENTS_SUPPRESSED;
	case DELIVERY_ATTEMPT_FAILED:
		return RECIPIENTS_RETRIED;
	case DELIVERY_FAILED_COPIED:
		return RECIPIENTS_FAILED;
	case DELIVERY_FAILED_LEFT:
		return RECIPIENTS_FAILED_LEFT;
	case DELIVERY_EXPIRED:
		return RECIPIENTS_EXPIRED;
	case DELIVERY_CANCELLED:
		return RECIPIENTS_CANCELLED;
	case DELIVERY_POSTPONED:
		return RECIPIENTS_POSTPONED;
	default: /* DELIVERY_FAILED: counted when it is copied or left */
		return RECIPIENTS_COUNTS;
	}
}

/* Of the first `count` keys in the scratch. */
static void tell(struct message *message, size_t count, struct delivery_event event)
{
	enum recipient_count what = count_of(event.of);

	if (count == 0)
		return;
	if (what < RECIPIENTS_COUNTS)
		counter_add(message->lane->counts.recipients[what], count);
	event.kind = DELIVERY_RECIPIENTS;
	event.message = message->queued;
	event.destination = message->lane->name;
	event.received_us = message->received_us;
	event.attempt_us = message->attempt_us;
	event.recipients = message->recipients->keys;
	event.recipient_count = count;
	event.packed = true;
	core_notify(message->delivery, &event);
}

void packed_tell_all(struct message *message, enum recipient_state state,
	enum delivery_event_kind of, const struct target_result *result, const char *reason)
{
	struct recipient_list *recipients = message->recipients;
	size_t count = recipient_list_keys(recipients, recipient_list_all(recipients), state);

	tell(message, count, (struct delivery_event){.of = of, .result = result, .reason = reason});
}

void packed_tell_failed(struct message *message, enum delivery_event_kind of)
{
	struct recipient_list *recipients = message->recipients;

	for (size_t i = 0, next; i < recipients->count; i = next) {
		struct failure *failure = recipients->all[i].failure;
		struct target_result result;
		size_t count = 0;

		/* Those that follow one another and failed together are told together. */
		for (next = i; next < recipients->count && recipients->all[next].failure == failure;
			next++)
			recipients->keys[count++] = recipients->all[next].key;
		if (failure)
			tell(message, count,
				(struct delivery_event){.of = of,
					.result = failure_result(failure, &result) ? &result : NULL,
					.reason = failure->reason});
	}
}

/* ---- claims */

/* The claim of one; the state that it leaves the recipient in. */
static enum recipient_state claim(struct message *message, struct recipient *recipient,
	int64_t now_ms, struct ledger_claim *ret_claim)
{
	struct recipient_list *recipients = message->recipients;
	struct ledger *ledger = message->delivery->options.ledger;
	int64_t until_ms = attempt_claim_end_ms(message->lane, now_ms);
	char text[RECIPIENT_KEY_TEXT_SIZE];

	*ret_claim = (struct ledger_claim){0};
	if (!ledger)
		return RECIPIENT_SENDING;
	recipient_key_print(&recipient->key, text);
	switch (ledger_claim(ledger, ledger_key_of(ledger, message->lane->name, text), now_ms,
		until_ms, ret_claim, &until_ms)) {
	case LEDGER_ACCEPTED:
		return RECIPIENT_SUPPRESSED;
	case LEDGER_BUSY:
		if (until_ms - now_ms > recipients->delay_ms)
			recipients->delay_ms = until_ms - now_ms;
		return RECIPIENT_LATER;
	case LEDGER_CLAIMED:
	default:
		return RECIPIENT_SENDING;
	}
}

/* Those of the range that is out; false: none of them is to be sent now. */
static bool claim_range(struct message *message)
{
	struct recipient_list *recipients = message->recipients;
	int64_t now_ms = clock_wall_epoch_ms(message->delivery->clock);
	size_t suppressed = 0, busy = 0;

	for (uint32_t i = recipients->out.from; i < recipients->out.to; i++) {
		struct recipient *recipient = &recipients->all[i];
		struct ledger_claim claimed;
		enum recipient_state state;

		if (recipient->state != RECIPIENT_WAITING)
			continue;
		state = claim(message, recipient, now_ms, &claimed);
		recipient_list_move(recipients, recipient, state);
		recipient->claim = claimed;
		if (state == RECIPIENT_SUPPRESSED)
			recipients->keys[suppressed++] = recipient->key;
		busy += state == RECIPIENT_LATER;
	}
	tell(message, suppressed, (struct delivery_event){.of = DELIVERY_SUPPRESSED, .reason = ""});
	if (busy > 0)
		counter_add(message->lane->counts.recipients[RECIPIENTS_POSTPONED], busy);
	return recipients->counts[RECIPIENT_SENDING] > 0;
}

static void release(struct message *message, struct recipient *recipient)
{
	struct ledger *ledger = message->delivery->options.ledger;
	char text[RECIPIENT_KEY_TEXT_SIZE];

	if (!recipient->claim.meta)
		return;
	recipient_key_print(&recipient->key, text);
	ledger_release(ledger, ledger_key_of(ledger, message->lane->name, text), recipient->claim);
	recipient->claim = (struct ledger_claim){0};
}

/* Calls it for each that is in the request. */
static void each_sending(struct message *message,
	void (*visit)(struct message *message, struct recipient *recipient))
{
	struct recipient_list *recipients = message->recipients;

	for (uint32_t i = recipients->out.from; i < recipients->out.to; i++)
		if (recipients->all[i].state == RECIPIENT_SENDING)
			visit(message, &recipients->all[i]);
}

void packed_unclaim(struct message *message)
{
	each_sending(message, release);
}

static void record(struct message *message, struct recipient *recipient)
{
	struct ledger *ledger = message->delivery->options.ledger;
	char text[RECIPIENT_KEY_TEXT_SIZE];

	recipient_key_print(&recipient->key, text);
	ledger_accept(ledger, ledger_key_of(ledger, message->lane->name, text), recipient->claim,
		clock_wall_epoch_ms(message->delivery->clock));
}

static void move_sending(struct message *message, enum recipient_state to)
{
	struct recipient_list *recipients = message->recipients;

	for (uint32_t i = recipients->out.from; i < recipients->out.to; i++)
		if (recipients->all[i].state == RECIPIENT_SENDING)
			recipient_list_move(recipients, &recipients->all[i], to);
}

/* ---- how a request ended */

static size_t sending_keys(struct message *message)
{
	struct recipient_list *recipients = message->recipients;

	return recipient_list_keys(recipients, recipients->out, RECIPIENT_SENDING);
}

static void accept(struct message *message, const struct target_result *result)
{
	size_t count = sending_keys(message);

	tell(message, count,
		(struct delivery_event){.of = DELIVERY_ACCEPTED, .result = result, .reason = ""});
	move_sending(message, RECIPIENT_ACCEPTED);
}

static void leave_for_later(
	struct message *message, const struct target_result *result, int64_t delay_ms)
{
	struct recipient_list *recipients = message->recipients;
	size_t count = sending_keys(message);

	tell(message, count,
		(struct delivery_event){.of = DELIVERY_ATTEMPT_FAILED,
			.result = result,
			.reason = result->err ? attempt_words(result) : "",
			.delay_ms = delay_ms});
	if (delay_ms > recipients->delay_ms)
		recipients->delay_ms = delay_ms;
	recipients->retried = true;
	move_sending(message, RECIPIENT_LATER);
}

static void fail(struct message *message, const struct target_result *result, const char *reason)
{
	struct recipient_list *recipients = message->recipients;
	struct failure *failure = failure_new(reason, result);

	if (!failure) {
		leave_for_later(message, result, core_backoff_ms(message));
		return;
	}
	tell(message, sending_keys(message),
		(struct delivery_event){.of = DELIVERY_FAILED, .result = result, .reason = reason});
	for (uint32_t i = recipients->out.from; i < recipients->out.to; i++) {
		if (recipients->all[i].state != RECIPIENT_SENDING)
			continue;
		recipient_list_move(recipients, &recipients->all[i], RECIPIENT_FAILED);
		recipients->all[i].failure = failure_ref(failure);
	}
	failure_unref(failure);
}

static void judge(struct message *message, const struct target_result *result, enum outcome outcome)
{
	struct verdict verdict = attempt_verdict(message, outcome, result);

	if (verdict.kind == VERDICT_ACCEPTED)
		accept(message, result);
	else if (verdict.kind == VERDICT_LATER)
		leave_for_later(message, result, verdict.delay_ms);
	else if (verdict.may_be_one && message->recipients->counts[RECIPIENT_SENDING] > 1)
		recipient_list_split(message->recipients);
	else
		fail(message, result, verdict.reason);
}

/* ---- the end */

static void put_back(struct message *message)
{
	struct recipient_list *recipients = message->recipients;
	char summary[SUMMARY_SIZE];

	snprintf(summary, sizeof(summary), "%zu of %zu recipients are to be tried again",
		recipients->counts[RECIPIENT_LATER], recipients->count);
	if (recipients->retried)
		core_retry(message, NULL, summary, recipients->delay_ms);
	else
		core_postpone(message, recipients->delay_ms,
			"an attempt for some of its recipients is out already");
}

/* Its copy says why the last of them failed. */
static void end_failed(struct message *message)
{
	const struct recipient_list *recipients = message->recipients;
	struct failure *failure = NULL;
	struct target_result result;
	bool attempted;

	for (size_t i = recipients->count; i > 0 && !failure; i--)
		failure = recipients->all[i - 1].failure;
	failure_ref(failure);
	attempted = failure_result(failure, &result);
	core_fail(message, attempted ? &result : NULL, failure->reason);
	failure_unref(failure);
}

/* Nothing is left to be sent. result: of the latest request; NULL: it was not just now. */
static void end(struct message *message, const struct target_result *result)
{
	const size_t *counts = message->recipients->counts;
	struct target_result accepted = {
		.retry_after_ms = -1, .reason = "", .request_id = "", .excerpt = "", .status = 200};

	if (counts[RECIPIENT_LATER] > 0)
		put_back(message);
	else if (counts[RECIPIENT_FAILED] > 0)
		end_failed(message);
	else if (counts[RECIPIENT_ACCEPTED] > 0)
		core_accept(message, result ? result : &accepted);
	else
		core_suppress(message);
}

/* To its next request, or its end. */
static void go_on(struct message *message, const struct target_result *result)
{
	const struct delivery *delivery = message->delivery;

	if (message->recipients->range_count == 0)
		end(message, result);
	else if (delivery->drain)
		core_return(message, 0);
	else if (delivery->hold.control.paused)
		core_return(message, DELIVERY_PAUSE_MS);
	else
		message_move(message, MESSAGE_RECEIVED);
}

static void packed_done(void *arg, const struct target_result *result)
{
	struct message *message = arg;
	struct delivery *delivery = message->delivery;
	struct lane *lane = message->lane;
	struct target_result unclear;
	enum outcome outcome = attempt_outcome(lane, &result, &unclear);

	message->attempt = NULL;
	/* First of all: before anybody is told of an acceptance. */
	if (outcome != OUTCOME_ACCEPTED)
		packed_unclaim(message);
	else if (delivery->options.ledger)
		each_sending(message, record);
	core_watch_ledger(delivery);
	attempt_ended(lane, message->attempt_us, outcome, result);
	judge(message, result, outcome);
	go_on(message, result);
	lane_pump(lane);
	core_advance(delivery);
}

/* ---- the start */

/* Those in the request as its list, in the delivery's scratch. 0 or ERR_NOMEM. */
static int list_recipients(struct message *message, struct target_request *request)
{
	struct buf *list = &message->delivery->list;
	const struct recipient_list *recipients = message->recipients;

	buf_clear(list);
	if (recipient_list_print(recipients, recipients->out, RECIPIENT_SENDING, list))
		return ERR_NOMEM;
	request->recipients = buf_string(list);
	request->recipients_bytes = list->len;
	return 0;
}

/* It could not even be started: all of the message goes back. */
static void start_failed(struct message *message, int err, uint64_t now_us)
{
	struct target_result result = local_result(err);
	struct lane *lane = message->lane;

	packed_unclaim(message);
	leave_for_later(message, &result, ATTEMPT_START_PAUSE_MS);
	put_back(message);
	attempt_pause(lane, now_us);
}

static bool send(struct message *message, uint64_t now_us)
{
	struct recipient_list *recipients = message->recipients;
	struct lane *lane = message->lane;
	struct target target = lane->destination.target;
	struct target_request request = target_request_for(&message->queued);
	size_t count = sending_keys(message);
	struct recipient_key key = recipient_key_batch(recipients->keys, count);
	char text[RECIPIENT_KEY_TEXT_SIZE];
	int err;

	recipient_key_print(&key, text);
	request.idempotency_key = text;
	request.departs = attempt_departs;
	message_move(message, MESSAGE_SENDING);
	message->attempt_us = now_us;
	err = list_recipients(message, &request);
	if (!err)
		err = target.ops->start(
			target.impl, &request, packed_done, message, &message->attempt);
	if (err) {
		start_failed(message, err, now_us);
		return false;
	}
	counter_add(lane->counts.sent_recipients, count);
	attempt_started(lane, now_us);
	return true;
}

/* Takes the claims back and lets the range wait. */
static void stay(struct message *message)
{
	packed_unclaim(message);
	move_sending(message, RECIPIENT_WAITING);
	recipient_list_put_back(message->recipients);
}

bool packed_start(struct message *message)
{
	struct recipient_list *recipients = message->recipients;
	struct lane *lane = message->lane;
	uint64_t now_us = clock_monotonic_us(lane->delivery->clock), wait_us;

	while (recipient_list_next(recipients, lane->destination.batch_max)) {
		/* Hundreds of claims would be made in vain. */
		if (!lane_has_token(lane, now_us, &wait_us)) {
			recipient_list_put_back(recipients);
			return attempt_waits_for_token(lane, now_us, wait_us);
		}
		if (!claim_range(message))
			continue;
		if (lane_take_token(lane, now_us, &wait_us))
			return send(message, now_us);
		stay(message);
		return attempt_waits_for_token(lane, now_us, wait_us);
	}
	end(message, NULL);
	return true; /* the next may be sent all the same */
}

/* ---- ends from outside */

int packed_fail_rest(
	struct message *message, const char *reason, const struct target_result *result)
{
	struct recipient_list *recipients = message->recipients;
	struct failure *failure = failure_new(reason, result);

	if (!failure)
		return ERR_NOMEM;
	for (size_t i = 0; i < recipients->count; i++) {
		struct recipient *recipient = &recipients->all[i];

		if (recipient->state != RECIPIENT_WAITING && recipient->state != RECIPIENT_LATER)
			continue;
		recipient_list_move(recipients, recipient, RECIPIENT_FAILED);
		recipient->failure = failure_ref(failure);
	}
	failure_unref(failure);
	return 0;
}

bool packed_end_unsent(struct message *message, enum delivery_event_kind of, const char *reason)
{
	struct recipient_list *recipients = message->recipients;

	for (size_t i = 0; i < recipients->count; i++)
		if (recipients->all[i].state == RECIPIENT_WAITING ||
			recipients->all[i].state == RECIPIENT_LATER)
			recipient_list_move(recipients, &recipients->all[i], RECIPIENT_UNSENT);
	packed_tell_all(message, RECIPIENT_UNSENT, of, NULL, reason);
	if (recipients->counts[RECIPIENT_FAILED] == 0)
		return false;
	end_failed(message);
	return true;
}
