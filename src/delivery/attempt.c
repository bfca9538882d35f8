/*
 * One attempt: the claim in the ledger, the token, the start, and what its end means.
 *
 * If the process dies
 *  - before the claim is written: nothing has happened; the message comes back.
 *  - between claim and request: nobody sends it before the claim's end; then it is sent.
 *  - with the request out: it may have been accepted; once the claim has ended it is sent again.
 *    These are the duplicates that promise 3 allows, and the only ones.
 *  - after the acceptance is written and before the delete is answered: it comes back, the ledger
 *    knows it, it is deleted without a send.
 */
#include "bunshin/error.h"
#include "delivery/core.h"
#include "delivery/ledger.h"

/* After a start that failed here (memory, a limit of ours), before the next. */
#define START_PAUSE_US 100000
/* Woken for each single token of a high rate, a worker would do nothing else. */
#define TOKEN_PAUSE_MIN_US 5000
/* An attempt ends within its time; its completion may be a little late. */
#define CLAIM_SLACK_MS 1000

static void notify_breaker(struct lane *lane, enum delivery_event_kind kind,
	const struct target_result *result, const char *reason)
{
	gauge_set(lane->counts.open, kind == DELIVERY_BREAKER_OPENED);
	counter_add(lane->counts.opened, kind == DELIVERY_BREAKER_OPENED);
	core_notify(lane->delivery, &(struct delivery_event){.kind = kind,
					    .destination = lane->name,
					    .result = result,
					    .reason = reason,
					    .delay_ms = breaker_remaining_ms(&lane->breaker,
						    clock_monotonic_us(lane->delivery->clock))});
}

/* The breaker has just opened. */
static void opened(struct lane *lane, const struct target_result *result, const char *reason)
{
	notify_breaker(lane, DELIVERY_BREAKER_OPENED, result, reason);
	lane_pump(lane); /* which puts back what waits */
}

/* A Retry-After of nothing would spend every attempt within seconds. */
static int64_t retry_delay_ms(const struct message *message, const struct target_result *result)
{
	struct delivery *delivery = message->delivery;
	int64_t asked_ms = outcome_retry_after_ms(
		&message->lane->destination.outcomes, result, &delivery->json);

	return asked_ms > 0 ? asked_ms : core_backoff_ms(message);
}

static const char *words(const struct target_result *result)
{
	return result->reason[0] ? result->reason : error_message(result->err);
}

/* The attempt brought no acceptance, but another may. */
static void try_later(struct message *message, const struct target_result *result, int64_t delay_ms)
{
	struct delivery *delivery = message->delivery;

	core_count(message, COUNT_RETRIED);
	campaign_count(&delivery->campaigns, message->queued, message->deadline_epoch_ms,
		CAMPAIGN_RETRIED);
	core_notify(delivery, &(struct delivery_event){.kind = DELIVERY_ATTEMPT_FAILED,
				      .message = message->queued,
				      .destination = message->lane->name,
				      .result = result,
				      .reason = result->err ? words(result) : "",
				      .delay_ms = delay_ms,
				      .received_us = message->received_us,
				      .attempt_us = message->attempt_us});
	core_return(message, delay_ms);
}

/* The configuration, or the design's table, says that the answer is about the message alone. */
static bool is_about_message(enum outcome outcome)
{
	return outcome == OUTCOME_ACCEPTED || outcome == OUTCOME_PERMANENT ||
	       outcome == OUTCOME_UNREGISTERED;
}

static bool is_refusal(enum outcome outcome)
{
	return outcome == OUTCOME_REFUSED || outcome == OUTCOME_QUOTA;
}

/* No answer came, or one that says that the provider itself is broken. */
static bool is_outage(enum outcome outcome, const struct target_result *result)
{
	if (is_about_message(outcome))
		return false;
	return result->err ? error_class(result->err) == ERROR_TRANSIENT : result->status >= 500;
}

static enum limiter_signal signal_of(enum outcome outcome, const struct target_result *result)
{
	if (outcome == OUTCOME_THROTTLED || result->err == ERR_TIMEOUT)
		return LIMITER_CROWDED;
	/* A refusal costs the provider nothing, so its latency says nothing; nor does an error. */
	return result->err || is_refusal(outcome) ? LIMITER_IGNORE : LIMITER_OK;
}

/* What the answer says about the destination, whatever becomes of the message. */
static void judge_lane(struct lane *lane, uint64_t started_us, enum outcome outcome,
	const struct target_result *result)
{
	uint64_t now_us = clock_monotonic_us(lane->delivery->clock);
	bool is_news = breaker_is_news(&lane->breaker, started_us);
	uint64_t took_us = now_us - started_us;

	lane->delivery->load.ended_us += took_us;
	lane->trip_us = lane->trip_us ? (15 * lane->trip_us + took_us) / 16 : took_us;
	if (limiter_ended(&lane->limiter, now_us, started_us,
		    is_news ? signal_of(outcome, result) : LIMITER_IGNORE))
		lane_show_limit(lane);
	if (!is_news)
		return;
	if (is_refusal(outcome)) {
		if (!breaker_refused(&lane->breaker, now_us))
			return;
		lane->quota_used_up = outcome == OUTCOME_QUOTA;
		opened(lane, result,
			lane->quota_used_up ? "its quota is used up"
					    : "it refuses what we send: credentials, or a quota");
	} else if (is_outage(outcome, result)) {
		if (!breaker_failed(&lane->breaker, now_us))
			return;
		lane->quota_used_up = false;
		opened(lane, result, "it fails again and again");
	} else if (!result->err && breaker_answered(&lane->breaker)) {
		limiter_restart(&lane->limiter);
		lane_show_limit(lane);
		notify_breaker(lane, DELIVERY_BREAKER_CLOSED, result, "");
	}
}

static void judge(struct message *message, const struct target_result *result, enum outcome outcome)
{
	struct lane *lane = message->lane;
	bool last = message->queued->receive_count >= lane->destination.max_attempts;
	uint64_t now_us = clock_monotonic_us(lane->delivery->clock);
	int64_t delay_ms;

	switch (outcome) {
	case OUTCOME_ACCEPTED:
		core_accept(message, result);
		return;
	case OUTCOME_PERMANENT:
		core_fail(message, result, result->err ? words(result) : "refused by the provider");
		return;
	case OUTCOME_UNREGISTERED:
		core_fail(message, result, OUTCOME_UNREGISTERED_REASON);
		return;
	case OUTCOME_REFUSED:
	case OUTCOME_QUOTA:
		delay_ms = breaker_remaining_ms(&lane->breaker, now_us);
		try_later(message, result, delay_ms ? delay_ms : core_backoff_ms(message));
		return;
	case OUTCOME_AMBIGUOUS:
		if (!lane->destination.outcomes.ambiguous_is_final)
			break;
		core_fail(message, result, "the provider may have accepted it: not sent again");
		return;
	case OUTCOME_RETRY:
	case OUTCOME_THROTTLED:
	default:
		break;
	}
	if (last)
		core_fail(message, result, "attempts exhausted");
	else
		try_later(message, result, retry_delay_ms(message, result));
}

static void count_end(
	struct counts *counts, enum outcome outcome, const struct target_result *result)
{
	counter_add(counts->results[outcome], 1);
	counter_add(counts->unanswered, result->err && result->unanswered);
	histogram_record(counts->attempt_us, result->duration_us);
}

static void attempt_done(void *arg, const struct target_result *result)
{
	struct message *message = arg;
	struct delivery *delivery = message->delivery;
	struct lane *lane = message->lane;
	const struct outcome_rule *rule;
	enum outcome outcome =
		outcome_classify(&lane->destination.outcomes, result, &delivery->json, &rule);
	struct target_result unclear;

	message->attempt = NULL;
	/* First of all: before anybody is told of an acceptance, and before the delete. */
	if (outcome == OUTCOME_ACCEPTED)
		core_record(message);
	else
		core_unclaim(message);
	count_end(&lane->counts, outcome, result);
	if (outcome == OUTCOME_AMBIGUOUS) {
		unclear = *result;
		unclear.unanswered = true; /* an answer, but not to the question */
		result = &unclear;
	}
	judge_lane(lane, message->attempt_us, outcome, result);
	judge(message, result, outcome);
	lane_pump(lane);
	core_advance(delivery);
}

static void count_start(struct lane *lane, uint64_t now_us)
{
	uint64_t second = now_us / 1000000;

	counter_add(lane->counts.attempts, 1);
	limiter_started(&lane->limiter, now_us, lane->sending);
	if (second != lane->second) {
		lane->starts_before = second == lane->second + 1 ? lane->starts : 0;
		lane->starts = 0;
		lane->second = second;
	}
	lane->starts++;
}

/* No token now. */
static bool wait_for_token(struct message *message, uint64_t now_us, uint64_t wait_us)
{
	struct lane *lane = message->lane;

	core_unclaim(message);
	lane->delivery->load.token_waits++;
	lane->paused_until_us =
		now_us + (wait_us < TOKEN_PAUSE_MIN_US ? TOKEN_PAUSE_MIN_US : wait_us);
	if (!lane_wake_at(lane, lane->paused_until_us))
		lane_release(lane); /* nothing else may ever wake it */
	return false;
}

/* It could not even be started. */
static void start_failed(struct message *message, int err, uint64_t now_us)
{
	struct lane *lane = message->lane;

	core_unclaim(message);
	try_later(message,
		&(struct target_result){.err = err,
			.retry_after_ms = -1,
			.reason = error_message(err),
			.request_id = "",
			.excerpt = ""},
		START_PAUSE_US / 1000);
	lane->paused_until_us = now_us + START_PAUSE_US;
	if (!lane_wake_at(lane, lane->paused_until_us))
		lane_release(lane);
}

/* False: not to be sent now; the message has been seen to. */
static bool claim(struct message *message)
{
	struct delivery *delivery = message->delivery;
	struct lane *lane = message->lane;
	int64_t now_ms = clock_wall_epoch_ms(delivery->clock);
	int64_t until_ms = now_ms + lane->destination.attempt_max_ms + CLAIM_SLACK_MS;

	if (!delivery->options.ledger)
		return true;
	message->key = ledger_key_of(
		delivery->options.ledger, lane->name, message->queued->idempotency_key);
	switch (ledger_claim(delivery->options.ledger, message->key, now_ms, until_ms,
		&message->claim, &until_ms)) {
	case LEDGER_ACCEPTED:
		core_suppress(message);
		return false;
	case LEDGER_BUSY:
		core_postpone(message, until_ms - now_ms, "an attempt of it is out already");
		return false;
	case LEDGER_CLAIMED:
	default:
		return true;
	}
}

bool attempt_start(struct message *message)
{
	struct lane *lane = message->lane;
	struct target target = lane->destination.target;
	uint64_t now_us = clock_monotonic_us(lane->delivery->clock), wait_us;
	int err;

	if (!claim(message))
		return true; /* the next may be sent all the same */
	if (!lane_take_token(lane, now_us, &wait_us))
		return wait_for_token(message, now_us, wait_us);
	message_move(message, MESSAGE_SENDING);
	message->attempt_us = now_us;
	err = target.ops->start(
		target.impl, message->queued, attempt_done, message, &message->attempt);
	if (err) {
		start_failed(message, err, now_us);
		return false;
	}
	count_start(lane, now_us);
	return true;
}
