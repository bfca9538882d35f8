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
#include "delivery/attempt.h"

#include "bunshin/error.h"
#include "delivery/core.h"
#include "delivery/gather.h"
#include "delivery/ledger.h"
#include "delivery/packed.h"

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

const char *attempt_words(const struct target_result *result)
{
	return result->reason[0] ? result->reason : error_message(result->err);
}

/* The attempt brought no acceptance, but another may. */
static void try_later(struct message *message, const struct target_result *result, int64_t delay_ms)
{
	core_retry(message, result, result->err ? attempt_words(result) : result->reason, delay_ms);
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

/* A Retry-After of nothing would spend every attempt within seconds. */
static int64_t retry_delay_ms(const struct message *message, const struct target_result *result)
{
	struct delivery *delivery = message->delivery;
	int64_t asked_ms = outcome_retry_after_ms(
		&message->lane->destination.outcomes, result, &delivery->json);

	return asked_ms > 0 ? asked_ms : core_backoff_ms(message);
}

static struct verdict failed(const char *reason)
{
	return (struct verdict){.kind = VERDICT_FAILED, .reason = reason};
}

static struct verdict later(int64_t delay_ms)
{
	return (struct verdict){.kind = VERDICT_LATER, .delay_ms = delay_ms};
}

/* What was sent together may be refused for one in it, or for its size. */
static struct verdict failed_together(const char *reason)
{
	struct verdict verdict = failed(reason);

	verdict.may_be_one = true;
	return verdict;
}

struct verdict attempt_verdict(
	const struct message *message, enum outcome outcome, const struct target_result *result)
{
	struct lane *lane = message->lane;
	int64_t delay_ms;

	switch (outcome) {
	case OUTCOME_ACCEPTED:
		return (struct verdict){.kind = VERDICT_ACCEPTED};
	case OUTCOME_PERMANENT:
		return failed_together(
			result->err ? attempt_words(result) : "refused by the provider");
	case OUTCOME_UNREGISTERED:
		return failed_together(OUTCOME_UNREGISTERED_REASON);
	case OUTCOME_REFUSED:
	case OUTCOME_QUOTA:
		delay_ms = breaker_remaining_ms(
			&lane->breaker, clock_monotonic_us(lane->delivery->clock));
		return later(delay_ms ? delay_ms : core_backoff_ms(message));
	case OUTCOME_AMBIGUOUS:
		if (!lane->destination.outcomes.ambiguous_is_final)
			break;
		return failed("the provider may have accepted it: not sent again");
	case OUTCOME_RETRY:
	case OUTCOME_THROTTLED:
	default:
		break;
	}
	if (message->queued->receive_count >= lane->destination.max_attempts)
		return failed("attempts exhausted");
	return later(retry_delay_ms(message, result));
}

void attempt_judge(
	struct message *message, const struct target_result *result, enum outcome outcome)
{
	struct verdict verdict = attempt_verdict(message, outcome, result);

	if (verdict.kind == VERDICT_ACCEPTED)
		core_accept(message, result);
	else if (verdict.kind == VERDICT_FAILED)
		core_fail(message, result, verdict.reason);
	else
		try_later(message, result, verdict.delay_ms);
}

static void count_end(
	struct counts *counts, enum outcome outcome, const struct target_result *result)
{
	counter_add(counts->results[outcome], 1);
	counter_add(counts->unanswered, result->err && result->unanswered);
	histogram_record(counts->attempt_us, result->duration_us);
}

enum outcome attempt_outcome(
	struct lane *lane, const struct target_result **result, struct target_result *unclear)
{
	const struct outcome_rule *rule;
	enum outcome outcome = outcome_classify(
		&lane->destination.outcomes, *result, &lane->delivery->json, &rule);

	if (outcome == OUTCOME_AMBIGUOUS) {
		*unclear = **result;
		unclear->unanswered = true; /* an answer, but not to the question */
		*result = unclear;
	}
	return outcome;
}

void attempt_ended(struct lane *lane, uint64_t started_us, enum outcome outcome,
	const struct target_result *result)
{
	count_end(&lane->counts, outcome, result);
	judge_lane(lane, started_us, outcome, result);
}

static void attempt_done(void *arg, const struct target_result *result)
{
	struct message *message = arg;
	struct delivery *delivery = message->delivery;
	struct lane *lane = message->lane;
	struct target_result unclear;
	enum outcome outcome = attempt_outcome(lane, &result, &unclear);

	message->attempt = NULL;
	/* First of all: before anybody is told of an acceptance, and before the delete. */
	if (outcome == OUTCOME_ACCEPTED)
		core_record(message);
	else
		core_unclaim(message);
	attempt_ended(lane, message->attempt_us, outcome, result);
	attempt_judge(message, result, outcome);
	lane_pump(lane);
	core_advance(delivery);
}

void attempt_departs(void *arg)
{
	const struct message *message = arg;

	lane_depart(message->lane);
}

void attempt_started(struct lane *lane, uint64_t now_us)
{
	uint64_t second = now_us / 1000000;

	counter_add(lane->counts.attempts, 1);
	limiter_started(&lane->limiter, now_us, lane->sending);
	if (second != lane->second) {
		lane->starts_before = second == lane->second + 1 ? lane->starts : 0;
		lane->seconds = lane->starts_before > 0 ? lane->seconds + 1 : 0;
		lane->starts = 0;
		lane->second = second;
	}
	lane->starts++;
}

bool attempt_waits_for_token(struct lane *lane, uint64_t now_us, uint64_t wait_us)
{
	lane->delivery->load.token_waits++;
	lane->paused_until_us =
		now_us + (wait_us < TOKEN_PAUSE_MIN_US ? TOKEN_PAUSE_MIN_US : wait_us);
	if (!lane_wake_at(lane, lane->paused_until_us))
		lane_release(lane); /* nothing else may ever wake it */
	return false;
}

void attempt_pause(struct lane *lane, uint64_t now_us)
{
	lane->paused_until_us = now_us + ATTEMPT_START_PAUSE_MS * 1000;
	if (!lane_wake_at(lane, lane->paused_until_us))
		lane_release(lane);
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
		ATTEMPT_START_PAUSE_MS);
	attempt_pause(lane, now_us);
}

int64_t attempt_claim_end_ms(const struct lane *lane, int64_t now_ms)
{
	return now_ms + lane->destination.attempt_max_ms + CLAIM_SLACK_MS;
}

bool attempt_claim(struct message *message)
{
	struct delivery *delivery = message->delivery;
	struct lane *lane = message->lane;
	int64_t now_ms = clock_wall_epoch_ms(delivery->clock);
	int64_t until_ms = attempt_claim_end_ms(lane, now_ms);

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
	struct target_request request = target_request_for(&message->queued);
	uint64_t now_us = clock_monotonic_us(lane->delivery->clock), wait_us;
	int err;

	if (lane->gather)
		return message->bundle ? gather_start(message) : packed_start(message);
	if (!attempt_claim(message))
		return true; /* the next may be sent all the same */
	if (!lane_take_token(lane, now_us, &wait_us)) {
		core_unclaim(message);
		return attempt_waits_for_token(lane, now_us, wait_us);
	}
	message_move(message, MESSAGE_SENDING);
	message->attempt_us = now_us;
	request.departs = attempt_departs;
	err = target.ops->start(target.impl, &request, attempt_done, message, &message->attempt);
	if (err) {
		start_failed(message, err, now_us);
		return false;
	}
	attempt_started(lane, now_us);
	return true;
}
