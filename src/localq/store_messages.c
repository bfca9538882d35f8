#include "bunshin/error.h"
#include "localq/store_content.h"
#include "localq/store_private.h"

#include <string.h>

#define NUMBER_BLOCK ((int64_t)1 << 20)
#define RECOUNT_MS 100

int store_take_number(struct store *store, int64_t *ret)
{
	int64_t reserved = store->next_number + NUMBER_BLOCK;
	int err;

	if (store->next_number >= store->reserved_number) {
		store_bind_text(store, STORE_SETTING_PUT, 1, "next_message");
		store_bind_int(store, STORE_SETTING_PUT, 2, reserved);
		err = store_run(store, STORE_SETTING_PUT);
		if (err < 0)
			return err;
		store->reserved_number = reserved;
	}
	*ret = store->next_number++;
	return 0;
}

void store_count_change(struct store *store, struct store_queue *queue, int64_t more)
{
	queue->messages += more;
	if (queue->is_changed)
		return;
	queue->is_changed = true;
	queue->next_changed = store->changed;
	store->changed = queue;
}

int store_send(struct store *store, struct store_queue *queue, const struct store_message *message,
	int64_t now, int64_t delay_ms, struct store_sent *ret)
{
	bool of_tenant = !queue->is_fifo && message->group_id != NULL;
	enum store_statement which = queue->is_fifo ? STORE_FIFO_INSERT
				     : of_tenant    ? STORE_TENANT_MESSAGE_INSERT
						    : STORE_MESSAGE_INSERT;
	sqlite3_stmt *row = store->statements[which];
	bool timed = queue->is_fifo || of_tenant || delay_ms > 0;
	int64_t group_row = 0;
	int err = store_check(store);

	if (err == 0)
		err = store_take_number(store, &ret->number);
	if (err == 0 && queue->is_fifo)
		err = store_group_of(store, queue, message->group_id, now + delay_ms, &group_row);
	if (err == 0 && of_tenant)
		err = store_tenant_enter(store, queue, message->group_id,
			store_id(queue->lane, true, ret->number), now + delay_ms, now, &group_row);
	if (err < 0)
		return err;
	memcpy(ret->message_id, message->message_id, 16);
	buf_clear(&store->content);
	if (store_content_write(message, &store->content) < 0)
		return store_fail_nomem(store);
	sqlite3_bind_int64(row, 1, store_id(queue->lane, timed, ret->number));
	sqlite3_bind_int64(row, 2, of_tenant ? store_tenants_lane(queue) : queue->lane);
	sqlite3_bind_int64(row, 3, timed);
	sqlite3_bind_int64(row, 4, now + delay_ms);
	/* Stands for first_received_ms, too, so that the first receive leaves the row its size. */
	sqlite3_bind_int64(row, 5, message->sent_ms);
	sqlite3_bind_blob64(row, 6, store->content.data, store->content.len, SQLITE_STATIC);
	if (group_row != 0)
		sqlite3_bind_int64(row, 7, group_row);
	err = store_run(store, which);
	if (err == 0)
		store_count_change(store, queue, 1);
	return err;
}

/* What one receive found, to be written once the index is no longer being read. */
struct found {
	struct {
		int64_t id, first_received_ms;
		uint32_t receives;
	} taken[RECEIVE_MAX];
	size_t taken_count;
	struct {
		int64_t id;
		bool dead;
	} cleared[CLEARED_MAX];
	size_t cleared_count;
};

bool store_row_message(sqlite3_stmt *row, struct store_message *ret)
{
	*ret = (struct store_message){
		.id = sqlite3_column_int64(row, 0),
		.receives = (uint32_t)sqlite3_column_int64(row, 1),
		.first_received_ms = sqlite3_column_int64(row, 2),
		.sent_ms = sqlite3_column_int64(row, 3),
		.dead_letter_source = (const char *)sqlite3_column_text(row, 5),
	};
	return store_content_read(
		sqlite3_column_blob(row, 4), (size_t)sqlite3_column_bytes(row, 4), ret);
}

int store_read_message(struct store *store, sqlite3_stmt *row, struct store_message *ret)
{
	return store_row_message(row, ret) ? 0 : store_fail_damaged(store, ret->id);
}

static void pass_fresh(struct store *store, struct store_queue *queue, int64_t fresh_id)
{
	if (queue->fresh_id == fresh_id)
		return;
	queue->fresh_id = fresh_id;
	store_count_change(store, queue, 0);
}

/* Walks the visible messages, oldest first. Returns 0 or an error, the walk ended. */
static int find_messages(struct store *store, struct store_queue *queue,
	const struct store_queue *dead_letter, size_t max, int64_t now, store_visit *visit,
	void *arg, struct found *found)
{
	struct store_message message;
	struct store_walk walk;
	sqlite3_stmt *row;
	int64_t fresh_id;
	int err = 0;

	store_walk_visible(store, queue, now, &walk);
	while (found->taken_count < max && found->cleared_count < CLEARED_MAX) {
		int64_t sent_ms;
		bool dead;

		err = store_walk_next(&walk, &row);
		if (err != 1)
			break;
		sent_ms = sqlite3_column_int64(row, 3);
		dead = dead_letter != NULL &&
		       sqlite3_column_int64(row, 1) >= queue->redrive.max_receives;
		if (sent_ms + queue->retention_ms <= now || dead) {
			found->cleared[found->cleared_count].id = sqlite3_column_int64(row, 0);
			found->cleared[found->cleared_count++].dead =
				sent_ms + queue->retention_ms > now;
			continue;
		}
		err = store_read_message(store, row, &message);
		if (err < 0)
			break;
		if (message.receives++ == 0)
			message.first_received_ms = now;
		err = visit(arg, &message);
		if (err < 0)
			break;
		found->taken[found->taken_count].id = message.id;
		found->taken[found->taken_count].first_received_ms = message.first_received_ms;
		found->taken[found->taken_count++].receives = message.receives;
	}
	fresh_id = store_walk_end(&walk);
	/* What a failed receive was shown is not received, and still fresh. */
	if (err < 0)
		return err;
	pass_fresh(store, queue, fresh_id);
	return 0;
}

int store_hide(struct store *store, int64_t id, uint32_t receives, int64_t first_received_ms,
	int64_t visible_ms)
{
	store_bind_int(store, STORE_MESSAGE_RECEIVED, 1, id);
	store_bind_int(store, STORE_MESSAGE_RECEIVED, 2, receives);
	store_bind_int(store, STORE_MESSAGE_RECEIVED, 3, first_received_ms);
	store_bind_int(store, STORE_MESSAGE_RECEIVED, 4, visible_ms);
	return store_run(store, STORE_MESSAGE_RECEIVED);
}

static int hide_taken(struct store *store, struct found *found, int64_t visible_ms)
{
	int err = 0;

	for (size_t i = 0; i < found->taken_count && err == 0; i++)
		err = store_hide(store, found->taken[i].id, found->taken[i].receives,
			found->taken[i].first_received_ms, visible_ms);
	return err;
}

int store_move_dead(struct store *store, struct store_queue *queue, struct store_queue *dead_letter,
	int64_t id, int64_t new_id, int64_t now)
{
	struct store_tenant tenant = {.row = 0};
	int err = queue->has_tenants ? store_tenant_of(store, id, &tenant) : 0;

	if (err < 0)
		return err;
	store_bind_int(store, STORE_MESSAGE_MOVE, 1, id);
	store_bind_int(store, STORE_MESSAGE_MOVE, 2, new_id);
	store_bind_int(store, STORE_MESSAGE_MOVE, 3, dead_letter->lane);
	store_bind_int(store, STORE_MESSAGE_MOVE, 4, now);
	store_bind_text(store, STORE_MESSAGE_MOVE, 5, queue->name);
	err = store_run(store, STORE_MESSAGE_MOVE);
	if (err < 0)
		return err;
	store_count_change(store, queue, -1);
	store_count_change(store, dead_letter, 1);
	if (tenant.row == 0)
		return 0;
	err = store_tenant_leave(store, &tenant, id);
	return err == 0 ? store_tenant_join(store, dead_letter, &tenant, new_id, now, now) : err;
}

static int clear_found(struct store *store, struct store_queue *queue,
	struct store_queue *dead_letter, const struct found *found, int64_t now,
	struct store_received *ret)
{
	int err = 0;

	for (size_t i = 0; i < found->cleared_count && err == 0; i++) {
		int64_t id = found->cleared[i].id;

		if (found->cleared[i].dead) {
			/* Under its old number: it is as old as it was. */
			err = store_move_dead(store, queue, dead_letter, id,
				store_id(dead_letter->lane, true, store_id_number(id)), now);
			ret->moved = dead_letter;
		} else {
			store_bind_int(store, STORE_MESSAGE_EXPIRE, 1, id);
			err = store_run(store, STORE_MESSAGE_EXPIRE);
			if (err == 0)
				store_count_change(store, queue, -1);
		}
	}
	return err;
}

int store_receive(struct store *store, struct store_queue *queue, size_t max, int64_t visibility_ms,
	int64_t now, store_visit *visit, void *arg, struct store_received *ret)
{
	struct store_queue *dead_letter = NULL;
	struct found found = {.taken_count = 0};
	int err = store_check(store);

	memset(ret, 0, sizeof(*ret));
	if (err < 0)
		return err;
	/* A policy whose queue is gone, or that names its own queue, moves nothing. */
	if (queue->redrive.max_receives > 0)
		dead_letter = store_queue_find(store, queue->redrive.dead_letter_queue);
	if (dead_letter != NULL && (dead_letter == queue || dead_letter->is_fifo != queue->is_fifo))
		dead_letter = NULL;
	if (max > RECEIVE_MAX)
		max = RECEIVE_MAX;
	if (queue->is_fifo) {
		err = store_groups_receive(
			store, queue, dead_letter, max, visibility_ms, now, visit, arg, ret);
		if (err == 0)
			queue->in_flight_bound += (int64_t)ret->count;
		return err;
	}
	if (queue->has_tenants) {
		err = store_fair_receive(
			store, queue, dead_letter, max, visibility_ms, now, visit, arg, ret);
		if (err == 0)
			queue->in_flight_bound += (int64_t)ret->count;
		return err;
	}
	err = find_messages(store, queue, dead_letter, max, now, visit, arg, &found);
	if (err == 0)
		err = hide_taken(store, &found, now + visibility_ms);
	if (err == 0)
		err = clear_found(store, queue, dead_letter, &found, now, ret);
	if (err < 0)
		return err;
	queue->in_flight_bound += (int64_t)found.taken_count;
	ret->count = found.taken_count;
	ret->more = found.cleared_count == CLEARED_MAX;
	return 0;
}

/* The state of the handle's message. 1: it is of the last receive; 0: it is not, or is gone. */
static int find_state(struct store *store, const struct store_queue *queue,
	const struct handle *handle, int64_t *ret_visible_ms)
{
	sqlite3_stmt *row = store->statements[STORE_MESSAGE_STATE];
	int64_t lane;
	int err;

	store_bind_int(store, STORE_MESSAGE_STATE, 1, handle->message);
	err = store_step(store, STORE_MESSAGE_STATE);
	if (err <= 0)
		return err;
	lane = sqlite3_column_int64(row, 0);
	err = (lane == queue->lane || lane == store_tenants_lane(queue)) &&
	      handle->lane == queue->lane && sqlite3_column_int64(row, 1) == handle->receives;
	*ret_visible_ms = sqlite3_column_int64(row, 2);
	store_reset(store, STORE_MESSAGE_STATE);
	return err;
}

/* `lane`: as its row has it. 1: it is gone; 0: it was not there, or received again; or an error. */
static int delete_row(
	struct store *store, struct store_queue *queue, const struct handle *handle, int64_t lane)
{
	int err;

	store_bind_int(store, STORE_MESSAGE_DELETE, 1, handle->message);
	store_bind_int(store, STORE_MESSAGE_DELETE, 2, lane);
	store_bind_int(store, STORE_MESSAGE_DELETE, 3, handle->receives);
	err = store_run(store, STORE_MESSAGE_DELETE);
	if (err < 0 || sqlite3_changes(store->db) == 0)
		return err;
	store_count_change(store, queue, -1);
	if (queue->in_flight_bound > 0)
		queue->in_flight_bound--;
	return 1;
}

static int delete_of_tenant(
	struct store *store, struct store_queue *queue, const struct handle *handle, int64_t now)
{
	struct store_tenant tenant;
	int err = store_tenant_of(store, handle->message, &tenant);

	if (err == 0)
		err = delete_row(store, queue, handle,
			tenant.row != 0 ? store_tenants_lane(queue) : handle->lane);
	if (err <= 0 || tenant.row == 0)
		return err < 0 ? err : 0;
	err = store_tenant_leave(store, &tenant, handle->message);
	return err == 0 && tenant.is_head ? store_tenant_settle(store, queue, tenant.row, now)
					  : err;
}

static int delete_of_group(struct store *store, struct store_queue *queue,
	const struct handle *handle, int64_t now, bool *ret_expired)
{
	int64_t visible_ms, row;
	int err;

	store_bind_int(store, STORE_GROUP_OF_MESSAGE, 1, handle->message);
	err = store_step(store, STORE_GROUP_OF_MESSAGE);
	if (err != 1)
		return err;
	row = sqlite3_column_int64(store->statements[STORE_GROUP_OF_MESSAGE], 0);
	store_reset(store, STORE_GROUP_OF_MESSAGE);
	err = find_state(store, queue, handle, &visible_ms);
	if (err < 0)
		return err;
	*ret_expired = err == 0 || visible_ms <= now;
	if (*ret_expired)
		return 0;
	err = delete_row(store, queue, handle, handle->lane);
	return err >= 0 ? store_group_settle(store, row, now) : err;
}

int store_delete(struct store *store, struct store_queue *queue, const struct handle *handle,
	int64_t now, bool *ret_expired)
{
	int err = store_check(store);

	*ret_expired = false;
	if (err < 0 || handle->lane != queue->lane)
		return err;
	if (queue->is_fifo)
		return delete_of_group(store, queue, handle, now, ret_expired);
	if (queue->has_tenants)
		return delete_of_tenant(store, queue, handle, now);
	err = delete_row(store, queue, handle, handle->lane);
	return err < 0 ? err : 0;
}

int store_change_visibility(struct store *store, struct store_queue *queue,
	const struct handle *handle, int64_t visible_ms, int64_t now, enum store_change *ret)
{
	struct store_tenant tenant = {.row = 0};
	int64_t current_ms;
	int err = store_check(store);

	if (err < 0)
		return err;
	*ret = STORE_CHANGE_GONE;
	err = find_state(store, queue, handle, &current_ms);
	if (err <= 0)
		return err;
	if (queue->is_fifo && current_ms <= now)
		return 0;
	*ret = STORE_CHANGED;
	if (current_ms <= now && visible_ms > now)
		queue->in_flight_bound++; /* again */
	if (queue->has_tenants)
		err = store_tenant_of(store, handle->message, &tenant);
	if (err < 0)
		return err;
	store_bind_int(store, STORE_MESSAGE_VISIBILITY, 1, handle->message);
	store_bind_int(store, STORE_MESSAGE_VISIBILITY, 2, visible_ms);
	err = store_run(store, STORE_MESSAGE_VISIBILITY);
	if (err == 0 && queue->is_fifo)
		err = store_group_settle_of(store, handle->message, now);
	if (err < 0 || tenant.row == 0)
		return err;
	err = store_tenant_reorder(
		store, tenant.row, tenant.visible_ms, handle->message, visible_ms);
	return err == 0 ? store_tenant_settle(store, queue, tenant.row, now) : err;
}

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
	int64_t hidden = 0, in_flight = 0;
	int err = store_check(store);

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
	int err;

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
	int err = store_check(store);

	*ret_ms = INT64_MAX;
	if (err < 0)
		return err;
	if (queue->is_fifo)
		return store_groups_next(store, queue, now, ret_ms);
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
	int err;

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
	int err = store_check(store);

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
