/*
 * What can be said of a queue's messages together, and their end by the clock.
 */
#include "bunshin/error.h"
#include "localq/store_private.h"

#define RECOUNT_MS 100

/* Adds those of one lane, or of its tenants. */
static int count_hidden(
	struct store *store, int64_t lane, int64_t now, int64_t *hidden, int64_t *in_flight)
{
	sqlite3_stmt *row = store->statements[STORE_COUNT_HIDDEN];
	int err;

	store_bind_int(store, STORE_COUNT_HIDDEN, 1, lane);
	store_bind_int(store, STORE_COUNT_HIDDEN, 2, now);
	err = store_step(store, STORE_COUNT_HIDDEN);
	if (err < 0)
		return err;
	*hidden += sqlite3_column_int64(row, 0);
	*in_flight += sqlite3_column_int64(row, 1);
	store_reset(store, STORE_COUNT_HIDDEN);
	return 0;
}

int store_count(
	struct store *store, struct store_queue *queue, int64_t now, struct store_counts *ret)
{
	int64_t hidden, in_flight;
	int err = store_settle(store);

	hidden = in_flight = store_flights_hidden(queue, now);
	if (err == 0)
		err = count_hidden(store, queue->lane, now, &hidden, &in_flight);
	if (err == 0 && queue->has_tenants)
		err = count_hidden(store, store_tenants_lane(queue), now, &hidden, &in_flight);
	if (err < 0)
		return err;
	ret->in_flight = in_flight;
	ret->delayed = hidden - in_flight;
	ret->visible = queue->messages - hidden;
	return 0;
}

int store_is_over_limit(
	struct store *store, struct store_queue *queue, int64_t limit, int64_t now, bool *ret)
{
	struct store_counts counts;
	int err = store_settle(store);

	if (err < 0)
		return err;
	if (queue->in_flight_bound >= limit && (now >= queue->in_flight_counted_ms + RECOUNT_MS ||
						       now < queue->in_flight_counted_ms)) {
		err = store_count(store, queue, now, &counts);
		if (err < 0)
			return err;
		queue->in_flight_bound = counts.in_flight;
		queue->in_flight_counted_ms = now;
	}
	*ret = queue->in_flight_bound >= limit;
	return 0;
}

/* Lowers *ret_ms to the time of one lane, or of its tenants. */
static int next_visible(struct store *store, int64_t lane, int64_t now, int64_t *ret_ms)
{
	int64_t found_ms;
	int err;

	store_bind_int(store, STORE_NEXT_VISIBLE, 1, lane);
	store_bind_int(store, STORE_NEXT_VISIBLE, 2, now);
	err = store_step(store, STORE_NEXT_VISIBLE);
	if (err != 1)
		return err;
	found_ms = sqlite3_column_int64(store->statements[STORE_NEXT_VISIBLE], 0);
	if (found_ms < *ret_ms)
		*ret_ms = found_ms;
	store_reset(store, STORE_NEXT_VISIBLE);
	return 0;
}

int store_next_visible(struct store *store, struct store_queue *queue, int64_t now, int64_t *ret_ms)
{
	int err = store_settle(store);

	*ret_ms = INT64_MAX;
	if (err < 0)
		return err;
	if (queue->is_fifo)
		return store_groups_next(store, queue, now, ret_ms);
	store_flights_next(queue, now, ret_ms);
	err = next_visible(store, queue->lane, now, ret_ms);
	if (err == 0 && queue->has_tenants)
		err = next_visible(store, store_tenants_lane(queue), now, ret_ms);
	return err;
}

static int sweep_lanes(struct store *store, size_t budget, size_t *swept)
{
	int64_t lane;
	int err = store_step(store, STORE_LANE_ABANDONED);

	if (err != 1)
		return err;
	lane = sqlite3_column_int64(store->statements[STORE_LANE_ABANDONED], 0);
	store_reset(store, STORE_LANE_ABANDONED);
	store_bind_int(store, STORE_SWEEP_LANE, 1, store_id((uint32_t)lane, false, 0));
	store_bind_int(store, STORE_SWEEP_LANE, 2, store_id((uint32_t)lane + 1, false, 0));
	store_bind_int(store, STORE_SWEEP_LANE, 3, (int64_t)budget);
	err = store_run(store, STORE_SWEEP_LANE);
	if (err < 0)
		return err;
	*swept = (size_t)sqlite3_changes(store->db);
	if (*swept == budget)
		return 0;
	store_bind_int(store, STORE_GROUPS_SWEEP, 1, lane);
	store_bind_int(store, STORE_GROUPS_SWEEP, 2, (int64_t)budget);
	err = store_run(store, STORE_GROUPS_SWEEP);
	if (err < 0)
		return err;
	*swept = (size_t)sqlite3_changes(store->db);
	if (*swept == budget)
		return 0;
	*swept = 0;
	err = store_tenants_sweep(store, lane, budget, swept);
	if (err < 0 || *swept >= budget)
		return err;
	/* It is empty now; there may be another one. */
	*swept = budget;
	store_bind_int(store, STORE_LANE_DELETE, 1, lane);
	return store_run(store, STORE_LANE_DELETE);
}

static int run_sweep(
	struct store *store, enum store_statement which, struct store_queue *queue, size_t *swept)
{
	int err = store_run(store, which), count = sqlite3_changes(store->db);

	if (err == 0 && count > 0) {
		*swept += (size_t)count;
		store_count_change(store, queue, -count);
	}
	return err;
}

/* They lie in the order in which they were sent. */
static int sweep_fresh(struct store *store, struct store_queue *queue, int64_t until_ms,
	size_t budget, size_t *swept)
{
	int64_t end = store_id(queue->lane, true, 0), oldest_id, sent_ms;
	int err = store_first_sent(store, queue->fresh_id, end, &oldest_id, &sent_ms);

	if (err <= 0 || sent_ms > until_ms)
		return err < 0 ? err : 0;
	store_bind_int(store, STORE_SWEEP_FRESH, 1, oldest_id);
	store_bind_int(store, STORE_SWEEP_FRESH, 2, end);
	store_bind_int(store, STORE_SWEEP_FRESH, 3, (int64_t)budget);
	store_bind_int(store, STORE_SWEEP_FRESH, 4, until_ms);
	return run_sweep(store, STORE_SWEEP_FRESH, queue, swept);
}

/* A message is sent before it becomes visible, so this finds no message too early. */
static int sweep_expired(
	struct store *store, struct store_queue *queue, int64_t now, size_t budget, size_t *swept)
{
	int64_t until_ms = now - queue->retention_ms;
	size_t before = *swept;
	int err = store_flights_land(store, queue, INT64_MIN, now, budget);

	/* Those that have ended since; the rest of them is for the next time. */
	if (err == 0 && store_flights_due(queue, now)) {
		*swept += budget;
		return 0;
	}
	if (err < 0)
		return err;
	store_bind_int(store, STORE_SWEEP_TIMED, 1, queue->lane);
	store_bind_int(store, STORE_SWEEP_TIMED, 2, until_ms);
	store_bind_int(store, STORE_SWEEP_TIMED, 3, (int64_t)budget);
	err = run_sweep(store, STORE_SWEEP_TIMED, queue, swept);
	if (err < 0 || *swept - before == budget)
		return err;
	err = sweep_fresh(store, queue, until_ms, budget - (*swept - before), swept);
	if (err < 0 || !queue->has_tenants)
		return err;
	return store_tenants_expire(store, queue, until_ms, now, budget - (*swept - before), swept);
}

int store_sweep(struct store *store, int64_t now, size_t budget, bool *ret_more)
{
	size_t swept = 0;
	int err = store_settle(store);

	*ret_more = false;
	if (err == 0)
		err = sweep_lanes(store, budget, &swept);
	for (size_t i = 0; i < STORE_BUCKETS && err == 0; i++) {
		struct store_queue *queue = store->buckets[i];

		for (; queue != NULL && err == 0 && swept < budget; queue = queue->next)
			err = sweep_expired(store, queue, now, budget - swept, &swept);
	}
	if (err == 0)
		err = store_repeats_sweep(store, now, budget, &swept);
	if (err == 0) {
		store_bind_int(store, STORE_NAMES_FORGET, 1, now);
		err = store_run(store, STORE_NAMES_FORGET);
	}
	*ret_more = err == 0 && swept >= budget;
	return err;
}
