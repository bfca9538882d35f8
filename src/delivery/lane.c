#include "bunshin/error.h"
#include "delivery/core.h"

#include <stdlib.h>
#include <string.h>

/* After a start that failed here (memory, a limit of ours), before the next. */
#define START_PAUSE_US 100000

static void wake_fired(struct clock_timer *timer)
{
	struct lane *lane = list_entry(timer, struct lane, wake);

	lane_pump(lane);
	core_advance(lane->delivery);
}

int lane_init(struct lane *lane, struct delivery *delivery, const struct delivery_destination *from)
{
	size_t bytes = from->accept_count * sizeof(*from->accept);

	*lane = (struct lane){.delivery = delivery,
		.target = from->target,
		.concurrency = from->concurrency,
		.accept_count = from->accept_count};
	list_init(&lane->waiting);
	breaker_init(&lane->breaker);
	lane->wake.fire = wake_fired;
	lane->name = strdup(from->name);
	lane->accept = malloc(bytes ? bytes : 1);
	if (!lane->name || !lane->accept) {
		lane_free(lane);
		return ERR_NOMEM;
	}
	if (bytes)
		memcpy(lane->accept, from->accept, bytes);
	return 0;
}

void lane_free(struct lane *lane)
{
	if (lane->delivery)
		clock_timer_clear(lane->delivery->clock, &lane->wake);
	free(lane->name);
	free(lane->accept);
	lane->name = NULL;
	lane->accept = NULL;
}

static void notify_breaker(
	struct lane *lane, enum delivery_event_kind kind, const struct target_result *result)
{
	core_notify(lane->delivery, &(struct delivery_event){.kind = kind,
					    .destination = lane->name,
					    .result = result,
					    .delay_ms = breaker_remaining_ms(&lane->breaker,
						    clock_monotonic_us(lane->delivery->clock))});
}

static void refused(struct lane *lane, const struct target_result *result)
{
	struct clock clock = lane->delivery->clock;

	if (!breaker_refused(&lane->breaker, clock_monotonic_us(clock)))
		return;
	notify_breaker(lane, DELIVERY_BREAKER_OPENED, result);
	/* Nothing else may ever wake the lane: without memory for the timer, probe at once. */
	if (clock_timer_set(clock, &lane->wake, lane->breaker.probe_us))
		lane->breaker.probe_us = clock_monotonic_us(clock);
	lane_release(lane);
}

static int64_t retry_delay_ms(const struct message *message, const struct target_result *result)
{
	return result->retry_after_ms >= 0 ? result->retry_after_ms : core_backoff_ms(message);
}

static const char *words(const struct target_result *result)
{
	return result->reason[0] ? result->reason : error_message(result->err);
}

/* The attempt brought no acceptance, but another may. */
static void try_later(struct message *message, const struct target_result *result, int64_t delay_ms)
{
	struct delivery *delivery = message->delivery;

	counter_add(delivery->metrics.retried, 1);
	core_notify(delivery, &(struct delivery_event){.kind = DELIVERY_ATTEMPT_FAILED,
				      .message = message->queued,
				      .destination = message->lane->name,
				      .result = result,
				      .reason = result->err ? words(result) : "",
				      .delay_ms = delay_ms});
	core_return(message, delay_ms);
}

static void judge(struct message *message, const struct target_result *result)
{
	struct lane *lane = message->lane;
	enum outcome outcome = outcome_classify(result, lane->accept, lane->accept_count);
	bool last = message->queued->receive_count >= message->delivery->options.max_attempts;

	if (outcome == OUTCOME_REFUSED) {
		refused(lane, result);
		try_later(message, result,
			breaker_remaining_ms(
				&lane->breaker, clock_monotonic_us(lane->delivery->clock)));
		return;
	}
	/* A provider that could not be reached says nothing about our credentials. */
	if (!result->err && breaker_answered(&lane->breaker))
		notify_breaker(lane, DELIVERY_BREAKER_CLOSED, result);
	if (outcome == OUTCOME_ACCEPTED)
		core_accept(message, result);
	else if (outcome == OUTCOME_PERMANENT)
		core_fail(message, result, result->err ? words(result) : "refused by the provider");
	else if (last)
		core_fail(message, result, "attempts exhausted");
	else
		try_later(message, result, retry_delay_ms(message, result));
}

static void attempt_done(void *arg, const struct target_result *result)
{
	struct message *message = arg;
	struct delivery *delivery = message->delivery;
	struct lane *lane = message->lane;

	message->attempt = NULL;
	histogram_record(delivery->metrics.attempt_us, result->duration_us);
	judge(message, result);
	lane_pump(lane);
	core_advance(delivery);
}

/* False: the lane cannot start anything for now. */
static bool start(struct message *message)
{
	struct lane *lane = message->lane;
	int err;

	message_move(message, MESSAGE_SENDING);
	err = lane->target.ops->start(
		lane->target.impl, message->queued, attempt_done, message, &message->attempt);
	if (!err) {
		counter_add(lane->delivery->metrics.attempts, 1);
		return true;
	}
	try_later(message,
		&(struct target_result){.err = err,
			.retry_after_ms = -1,
			.reason = error_message(err),
			.request_id = "",
			.excerpt = ""},
		START_PAUSE_US / 1000);
	if (clock_timer_after(lane->delivery->clock, &lane->wake, START_PAUSE_US))
		lane_release(lane); /* nothing else may ever wake it */
	return false;
}

void lane_pump(struct lane *lane)
{
	struct delivery *delivery = lane->delivery;
	struct list *first;

	while (!delivery->drain && (first = list_first(&lane->waiting))) {
		struct message *message = list_entry(first, struct message, node);
		uint64_t now_us = clock_monotonic_us(delivery->clock);

		if (lane->sending >= breaker_allows(&lane->breaker, now_us, lane->concurrency))
			break;
		/* The two checks that stand right before every attempt. */
		if (clock_wall_epoch_ms(delivery->clock) >= message->deadline_epoch_ms)
			core_expire(message);
		else if (!keeper_holds(message, now_us))
			core_lose(message);
		else if (!start(message))
			break;
	}
	/* What arrived while it opened need not sit here while its visibility runs. */
	if (lane->breaker.state == BREAKER_OPEN)
		lane_release(lane);
}

size_t lane_free_slots(struct lane *lane, size_t *total)
{
	uint64_t now_us = clock_monotonic_us(lane->delivery->clock);
	unsigned allowed = breaker_allows(&lane->breaker, now_us, lane->concurrency);

	*total += allowed;
	return allowed > lane->sending ? allowed - lane->sending : 0;
}

void lane_release(struct lane *lane)
{
	int64_t delay_ms = 0;

	if (!lane->delivery->drain)
		delay_ms = breaker_remaining_ms(
			&lane->breaker, clock_monotonic_us(lane->delivery->clock));
	while (!list_is_empty(&lane->waiting))
		core_return(list_entry(list_first(&lane->waiting), struct message, node), delay_ms);
}

void lane_abandon(struct lane *lane)
{
	list_for_each_safe (node, &lane->delivery->states[MESSAGE_SENDING]) {
		struct message *message = list_entry(node, struct message, node);

		if (message->lane != lane)
			continue;
		lane->target.ops->cancel(lane->target.impl, message->attempt);
		message->attempt = NULL;
		core_return(message, 0);
	}
}
