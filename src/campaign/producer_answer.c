/* What the answer of a batch makes of its entries: done, tried again, given up. */
#include "base/random.h"
#include "bunshin/error.h"
#include "campaign/call_result.h"
#include "campaign/producer_private.h"

#include <stdlib.h>

static bool out_of_patience(const struct producer *producer)
{
	bool short_one = producer->totals.accepted == 0 || producer->told_to_stop;
	int64_t patience_ms =
		short_one ? producer->options.first_patience_ms : producer->options.patience_ms;
	/* By the rate there may be minutes in which nothing is tried. */
	uint64_t since_us =
		producer->options.rate_count > 0 ? producer->failing_us : producer->progress_us;

	return clock_monotonic_us(producer->clock) - since_us >= (uint64_t)patience_ms * 1000;
}

static uint64_t backoff_us(const struct producer *producer, unsigned attempts, bool throttled)
{
	uint64_t base = (uint64_t)(throttled ? producer->options.throttled_base_ms
					     : producer->options.base_ms);
	uint64_t cap = (uint64_t)producer->options.cap_ms;
	unsigned doublings = attempts > 1 ? attempts - 1 : 0;
	uint64_t ceiling_ms = doublings < 32 ? base << doublings : cap;

	if (ceiling_ms > cap)
		ceiling_ms = cap;
	return random_below(clock_random(producer->clock), ceiling_ms * 1000 + 1);
}

static void retry_due(struct clock_timer *timer)
{
	struct flight *flight = list_entry(timer, struct flight, retry);
	struct producer *producer = flight->producer;

	for (size_t i = 0; i < flight->count; i++)
		producer_ready_append(producer, flight->entries[i]);
	producer->totals.waiting -= flight->count;
	list_remove(&flight->node);
	free(flight);
	producer_advance(producer);
}

/* Keeps the flight, with the entries left in it, until their next attempt. */
static void back_off(struct producer *producer, struct flight *flight, bool throttled)
{
	unsigned attempts = 0;
	uint64_t delay_us;

	for (size_t i = 0; i < flight->count; i++)
		if (flight->entries[i]->attempts > attempts)
			attempts = flight->entries[i]->attempts;
	delay_us = backoff_us(producer, attempts, throttled);
	list_append(&producer->waiting, &flight->node);
	producer->totals.waiting += flight->count;
	flight->retry.fire = retry_due;
	if (clock_timer_after(producer->clock, &flight->retry, delay_us) < 0)
		producer_fail(producer, ERR_NOMEM, "");
}

/* One entry's result. True: it stays in the flight, to be tried again. */
static bool keep(struct producer *producer, struct entry *entry, int result, const char *reason)
{
	enum call_verdict verdict = call_judge(result);

	entry->unconfirmed = entry->unconfirmed || call_may_have_arrived(result);
	if (verdict == CALL_DONE || verdict == CALL_REFUSED) {
		producer_settle(producer, entry, result, reason);
		return false;
	}
	if (verdict == CALL_TRY_AGAIN && producer->err == 0) {
		bool others_pass = producer->progress_us > entry->first_us;

		if (entry->attempts < producer->options.max_attempts || !others_pass)
			return true;
	}
	producer_settle(producer, entry, result, reason);
	return false;
}

/* A call that can never work, with several entries: find out which of them it is. */
static void isolate(struct producer *producer, struct flight *flight)
{
	for (size_t i = 0; i < flight->count; i++) {
		flight->entries[i]->alone = true;
		producer_ready_append(producer, flight->entries[i]);
	}
	free(flight);
}

/* Must-stop results first, since they change what becomes of the other entries. */
static void look_for_the_end(
	struct producer *producer, const int results[], size_t count, const char *detail)
{
	for (size_t i = 0; i < count; i++) {
		enum call_verdict verdict = call_judge(results[i]);

		if (verdict == CALL_HOPELESS)
			producer_fail(producer, results[i], detail);
		else if (verdict == CALL_TRY_AGAIN && out_of_patience(producer))
			producer_fail(producer, results[i], detail);
	}
}

static bool results_hold_success(const int results[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (results[i] == 0)
			return true;
	return false;
}

void producer_land(
	struct producer *producer, struct flight *flight, const int results[], const char *detail)
{
	size_t count = flight->count, kept = 0;
	bool throttled = false, explained = false;

	if (producer->failing_us == 0)
		producer->failing_us = flight->launched_us;
	if (results_hold_success(results, count))
		producer->progress_us = producer->failing_us = clock_monotonic_us(producer->clock);
	look_for_the_end(producer, results, count, detail);
	if (results_hold_success(results, count))
		producer->failing_us = 0;
	if (count > 1 && producer->err == 0 && call_failed_whole(results, count) &&
		call_judge(results[0]) == CALL_REFUSED) {
		isolate(producer, flight);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct entry *entry = flight->entries[i];
		const char *reason = results[i] == 0 ? "" : error_message(results[i]);

		/* `detail` describes the first failure only */
		if (results[i] != 0 && !explained && *detail)
			reason = detail;
		explained = explained || results[i] != 0;
		throttled = throttled || error_class(results[i]) == ERROR_THROTTLED;
		if (keep(producer, entry, results[i], reason))
			flight->entries[kept++] = entry;
	}
	flight->count = kept;
	if (kept > 0)
		back_off(producer, flight, throttled);
	else
		free(flight);
}
