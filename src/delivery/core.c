/* What a message's life consists of, once it has been taken: each step that it can go. */
#include "delivery/core.h"

#include "base/hash.h"
#include "bunshin/error.h"
#include "delivery/group.h"
#include "delivery/packed.h"

#include <stdio.h>
#include <string.h>

#define LEDGER_TELL_US 60000000ull /* a full ledger cuts every key short: once a minute will do */

void core_notify(struct delivery *delivery, const struct delivery_event *event)
{
	struct delivery_event full = *event;

	if (!delivery->options.observer.notify)
		return;
	full.destination = full.destination ? full.destination : "";
	full.reason = full.reason ? full.reason : "";
	full.operation = full.operation ? full.operation : "";
	delivery->options.observer.notify(delivery->options.observer.arg, &full);
}

void core_queue_failed(
	struct delivery *delivery, const char *operation, int err, const char *detail)
{
	counter_add(delivery->metrics.queue_errors, 1);
	core_notify(delivery, &(struct delivery_event){.kind = DELIVERY_QUEUE_FAILED,
				      .operation = operation,
				      .err = err,
				      .reason = detail});
}

/* Of a message for one, where requests are for several. */
static void count_recipient(const struct counts *counts, enum count what)
{
	static const enum recipient_count same[COUNTS] = {
		[COUNT_ACCEPTED] = RECIPIENTS_ACCEPTED,
		[COUNT_SUPPRESSED] = RECIPIENTS_SUPPRESSED,
		[COUNT_RETRIED] = RECIPIENTS_RETRIED,
		[COUNT_FAILED] = RECIPIENTS_FAILED,
		[COUNT_FAILED_LEFT] = RECIPIENTS_FAILED_LEFT,
		[COUNT_EXPIRED] = RECIPIENTS_EXPIRED,
		[COUNT_CANCELLED] = RECIPIENTS_CANCELLED,
		[COUNT_POSTPONED] = RECIPIENTS_POSTPONED,
		[COUNT_CROWDED] = RECIPIENTS_COUNTS,
		[COUNT_LOST] = RECIPIENTS_COUNTS,
	};

	if (same[what] < RECIPIENTS_COUNTS)
		counter_add(counts->recipients[same[what]], 1);
}

void core_count(struct message *message, enum count what)
{
	const struct counts *counts =
		message->unrouted ? &message->delivery->metrics.unrouted : &message->lane->counts;

	counter_add(counts->messages[what], 1);
	if (counts->recipients[0] && !message_is_packed(message))
		count_recipient(counts, what);
}

uint64_t core_counted(const struct delivery *delivery, enum count what)
{
	uint64_t sum = delivery->metrics.unrouted.messages[what]->value;

	for (size_t i = 0; i < delivery->lane_count; i++)
		sum += delivery->lanes[i].counts.messages[what]->value;
	return sum;
}

static void notify(struct message *message, enum delivery_event_kind kind,
	const struct target_result *result, const char *reason)
{
	core_notify(
		message->delivery, &(struct delivery_event){.kind = kind,
					   .message = message->queued,
					   .destination = message->lane ? message->lane->name : "",
					   .result = result,
					   .reason = reason,
					   .received_us = message->received_us,
					   .attempt_us = message->attempt_us,
					   .packed = message_is_packed(message)});
}

int64_t core_backoff_ms(const struct message *message)
{
	const struct backoff *backoff = &message->lane->destination.backoff;
	const char *key = message->queued->idempotency_key;
	uint64_t random = clock_random(message->delivery->clock);

	/* The chain of delays must be the same for whoever receives the message next. */
	if (backoff->jitter == BACKOFF_DECORRELATED)
		random = hash_bytes(key, strlen(key));
	return backoff_delay_ms(backoff, message->queued->receive_count - 1, random);
}

/* Entries younger than the window had to leave: the ledger is too small for this rate. */
void core_watch_ledger(struct delivery *delivery)
{
	const struct ledger *ledger = delivery->options.ledger;
	struct counter *counter = delivery->metrics.ledger_cut_short;
	uint64_t now_us;

	if (!ledger || ledger->cut_short == counter->value)
		return;
	now_us = clock_monotonic_us(delivery->clock);
	counter->value = ledger->cut_short;
	gauge_set(delivery->metrics.ledger_window_s, (ledger->cut_age_ms + 999) / 1000);
	if (delivery->ledger_told_us && now_us - delivery->ledger_told_us < LEDGER_TELL_US)
		return;
	delivery->ledger_told_us = now_us;
	core_notify(delivery, &(struct delivery_event){.kind = DELIVERY_LEDGER_CUT_SHORT,
				      .delay_ms = ledger->cut_age_ms});
}

void core_record(struct message *message)
{
	struct delivery *delivery = message->delivery;

	if (!delivery->options.ledger)
		return;
	ledger_accept(delivery->options.ledger, message->key, message->claim,
		clock_wall_epoch_ms(delivery->clock));
	core_watch_ledger(delivery);
}

void core_unclaim(struct message *message)
{
	if (message_is_packed(message))
		packed_unclaim(message);
	if (!message->claim.meta)
		return;
	ledger_release(message->delivery->options.ledger, message->key, message->claim);
	message->claim = (struct ledger_claim){0};
}

void core_suppress(struct message *message)
{
	core_count(message, COUNT_SUPPRESSED);
	campaign_count(&message->delivery->campaigns, message->queued, message->deadline_epoch_ms,
		CAMPAIGN_SUPPRESSED);
	notify(message, DELIVERY_SUPPRESSED, NULL, "");
	message_move(message, MESSAGE_ACCEPTED);
	settle_start(message);
}

void core_postpone(struct message *message, int64_t delay_ms, const char *reason)
{
	core_count(message, COUNT_POSTPONED);
	notify(message, DELIVERY_POSTPONED, NULL, reason);
	core_return(message, delay_ms);
}

void core_retry(struct message *message, const struct target_result *result, const char *reason,
	int64_t delay_ms)
{
	struct delivery *delivery = message->delivery;

	core_count(message, COUNT_RETRIED);
	campaign_count(&delivery->campaigns, message->queued, message->deadline_epoch_ms,
		CAMPAIGN_RETRIED);
	core_notify(delivery, &(struct delivery_event){.kind = DELIVERY_ATTEMPT_FAILED,
				      .message = message->queued,
				      .destination = message->lane->name,
				      .result = result,
				      .reason = reason,
				      .delay_ms = delay_ms,
				      .received_us = message->received_us,
				      .attempt_us = message->attempt_us,
				      .packed = message_is_packed(message)});
	core_return(message, delay_ms);
}

void core_give_up(struct message *message)
{
	const struct target_result result = {.err = ERR_CANCELLED,
		.retry_after_ms = -1,
		.reason = "given up: the worker stops",
		.request_id = "",
		.excerpt = "",
		.duration_us = clock_monotonic_us(message->delivery->clock) - message->attempt_us,
		.unanswered = true};

	if (!message->follows)
		message->delivery->load.ended_us += result.duration_us;
	if (message_is_packed(message))
		packed_tell_all(message, RECIPIENT_SENDING, DELIVERY_ATTEMPT_FAILED, &result,
			result.reason);
	notify(message, DELIVERY_ATTEMPT_FAILED, &result, result.reason);
	core_return(message, 0);
}

void core_accept(struct message *message, const struct target_result *result)
{
	struct delivery *delivery = message->delivery;
	struct counts *counts = &message->lane->counts;
	int64_t sent_ms = message->queued->sent_epoch_ms;
	int64_t wall_ms = clock_wall_epoch_ms(delivery->clock);

	core_count(message, COUNT_ACCEPTED);
	campaign_count(&delivery->campaigns, message->queued, message->deadline_epoch_ms,
		CAMPAIGN_ACCEPTED);
	if (sent_ms > 0 && wall_ms >= sent_ms)
		histogram_record(counts->latency_us, (uint64_t)(wall_ms - sent_ms) * 1000);
	gauge_set(counts->accepted_ms, wall_ms);
	notify(message, DELIVERY_ACCEPTED, result, "");
	message_move(message, MESSAGE_ACCEPTED);
	settle_start(message);
}

void core_leave(struct message *message, const struct target_result *result, const char *reason)
{
	if (message_is_packed(message))
		packed_tell_failed(message, DELIVERY_FAILED_LEFT);
	core_count(message, COUNT_FAILED_LEFT);
	notify(message, DELIVERY_FAILED_LEFT, result, reason);
	core_return(message, core_backoff_ms(message));
}

void core_fail(struct message *message, const struct target_result *result, const char *reason)
{
	bool packed = message_is_packed(message);
	int err = packed ? packed_fail_rest(message, reason, result) : 0;

	if (!err && !message->delivery->options.failure_queue.ops) {
		core_leave(message, result, reason);
		return;
	}
	if (!err)
		err = message_set_failure(message, reason, result);
	if (!err && packed)
		err = recipient_list_make_copy(message->recipients, message->queued);
	if (err) {
		core_return(message, core_backoff_ms(message));
		return;
	}
	notify(message, DELIVERY_FAILED, result, reason);
	message_move(message, MESSAGE_FAILED);
	settle_start(message);
}

void core_copied(struct message *message)
{
	struct delivery *delivery = message->delivery;
	struct target_result result;
	bool attempted = message_failure_result(message, &result);

	core_count(message, COUNT_FAILED);
	campaign_count(
		&delivery->campaigns, message->queued, message->deadline_epoch_ms, CAMPAIGN_FAILED);
	if (message_is_packed(message))
		packed_tell_failed(message, DELIVERY_FAILED_COPIED);
	notify(message, DELIVERY_FAILED_COPIED, attempted ? &result : NULL,
		message->failure->reason);
	message_move(message, MESSAGE_COPIED);
	settle_start(message);
}

void core_expire(struct message *message)
{
	if (message_is_packed(message) &&
		packed_end_unsent(message, DELIVERY_EXPIRED, "past its deadline"))
		return;
	core_count(message, COUNT_EXPIRED);
	campaign_count(&message->delivery->campaigns, message->queued, message->deadline_epoch_ms,
		CAMPAIGN_EXPIRED);
	notify(message, DELIVERY_EXPIRED, NULL, "past its deadline");
	message_move(message, MESSAGE_EXPIRED);
	settle_start(message);
}

void core_cancel(struct message *message)
{
	if (message_is_packed(message) &&
		packed_end_unsent(message, DELIVERY_CANCELLED, "its campaign is cancelled"))
		return;
	core_count(message, COUNT_CANCELLED);
	campaign_count(&message->delivery->campaigns, message->queued, message->deadline_epoch_ms,
		CAMPAIGN_CANCELLED);
	notify(message, DELIVERY_CANCELLED, NULL, "its campaign is cancelled");
	message_move(message, MESSAGE_CANCELLED);
	settle_start(message);
}

/* A message that waits past its deadline only delays the record that it expired. */
static int64_t until_deadline(const struct message *message, int64_t delay_ms)
{
	int64_t left_ms;

	if (message->deadline_epoch_ms == INT64_MAX)
		return delay_ms;
	left_ms = message->deadline_epoch_ms - clock_wall_epoch_ms(message->delivery->clock);
	if (left_ms < 0)
		left_ms = 0;
	return delay_ms < left_ms ? delay_ms : left_ms;
}

void core_return(struct message *message, int64_t delay_ms)
{
	uint64_t now_us = clock_monotonic_us(message->delivery->clock);
	int64_t left_s = keeper_seconds_left(message, now_us);
	int64_t delay_s;

	/* With the visibility gone, somebody else may hold it: a change would be made to theirs. */
	if (now_us >= message->visible_us) {
		core_lose(message);
		return;
	}
	delay_ms = until_deadline(message, delay_ms);
	group_return_rest(message, delay_ms);
	delay_s = delay_ms / 1000 + (delay_ms % 1000 != 0);
	message->return_after_s = (unsigned)(delay_s < left_s ? delay_s : left_s);
	message_move(message, MESSAGE_BACKING_OFF);
	settle_start(message);
}

void core_lose(struct message *message)
{
	core_count(message, COUNT_LOST);
	notify(message, DELIVERY_LOST, NULL, message_state_name(message->state));
	group_return_rest(message, 0);
	message_move(message, MESSAGE_LOST);
}

void core_advance(struct delivery *delivery)
{
	while (delivery->groups_moved) {
		delivery->groups_moved = false;
		for (size_t i = 0; i < delivery->lane_count; i++)
			lane_pump(&delivery->lanes[i]);
	}
	receiver_pump(&delivery->receiver);
	drain_advance(delivery);
}
