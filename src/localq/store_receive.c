/*
 * Receiving from a standard queue without tenants, and what all three kinds of receives share.
 */
#include "bunshin/error.h"
#include "localq/store_private.h"

#include <string.h>

int store_found_add(struct store *store, struct store_found *found, sqlite3_stmt *row)
{
	const struct store_queue *queue = found->queue;
	bool over = sqlite3_column_int64(row, 3) + queue->retention_ms <= found->now;
	bool dead = found->dead_letter != NULL &&
		    sqlite3_column_int64(row, 1) >= queue->redrive.max_receives;
	struct store_message message;
	int err;

	if (over || dead) {
		found->cleared[found->cleared_count].id = sqlite3_column_int64(row, 0);
		found->cleared[found->cleared_count++].dead = !over;
		return 0;
	}
	err = store_read_message(store, row, &message);
	if (err < 0)
		return err;
	if (message.receives++ == 0)
		message.first_received_ms = found->now;
	err = found->visit(found->arg, &message);
	if (err < 0)
		return err;
	found->taken[found->taken_count].id = message.id;
	found->taken[found->taken_count].first_received_ms = message.first_received_ms;
	found->taken[found->taken_count].visible_ms = sqlite3_column_int64(row, 6);
	found->taken[found->taken_count].tenant = 0;
	found->taken[found->taken_count].receives = message.receives;
	found->taken[found->taken_count++].fresh = false;
	return 1;
}

int store_found_hide(
	struct store *store, const struct store_found *found, size_t at, int64_t visible_ms)
{
	store_bind_int(store, STORE_MESSAGE_RECEIVED, 1, found->taken[at].id);
	store_bind_int(store, STORE_MESSAGE_RECEIVED, 2, found->taken[at].receives);
	store_bind_int(store, STORE_MESSAGE_RECEIVED, 3, found->taken[at].first_received_ms);
	store_bind_int(store, STORE_MESSAGE_RECEIVED, 4, visible_ms);
	return store_run(store, STORE_MESSAGE_RECEIVED);
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

static int expire(struct store *store, struct store_queue *queue, int64_t id)
{
	struct store_tenant tenant = {.row = 0};
	int err = queue->has_tenants ? store_tenant_of(store, id, &tenant) : 0;

	if (err == 0 && tenant.row != 0)
		err = store_tenant_leave(store, &tenant, id);
	if (err < 0)
		return err;
	store_bind_int(store, STORE_MESSAGE_EXPIRE, 1, id);
	err = store_run(store, STORE_MESSAGE_EXPIRE);
	if (err == 0)
		store_count_change(store, queue, -1);
	return err;
}

int store_found_clear(
	struct store *store, const struct store_found *found, struct store_received *ret)
{
	struct store_queue *to = found->dead_letter;
	int err = 0;

	for (size_t i = 0; i < found->cleared_count && err == 0; i++) {
		int64_t id = found->cleared[i].id;

		if (!found->cleared[i].dead) {
			err = expire(store, found->queue, id);
			continue;
		}
		/* Under its old number: it is as old as it was. */
		err = store_move_dead(store, found->queue, to, id,
			store_id(to->lane, true, store_id_number(id)), found->now);
		ret->moved = to;
	}
	return err;
}

static void pass_fresh(struct store *store, struct store_queue *queue, int64_t fresh_id)
{
	if (queue->fresh_id == fresh_id)
		return;
	queue->fresh_id = fresh_id;
	store_count_change(store, queue, 0);
}

/* Walks the visible messages, oldest first. Returns 0 or an error, the walk ended. */
static int find_messages(struct store *store, struct store_found *found)
{
	struct store_walk walk;
	sqlite3_stmt *row;
	int64_t fresh_id;
	int err = store_walk_visible(store, found->queue, found->now, STORE_FOUND_MAX, &walk);

	if (err < 0)
		return err;
	while (store_found_wants(found)) {
		err = store_walk_next(&walk, &row);
		if (err != 1)
			break;
		err = store_found_add(store, found, row);
		if (err < 0)
			break;
		if (err == 1)
			found->taken[found->taken_count - 1].fresh = walk.at_fresh;
	}
	fresh_id = store_walk_end(&walk);
	/* What a failed receive was shown is not received, and still fresh. */
	if (err < 0)
		return err;
	pass_fresh(store, found->queue, fresh_id);
	return 0;
}

/* Those that were fresh lie together, and leave in one flight, unless it would end at once. */
static int hide(struct store *store, const struct store_found *found, int64_t visible_ms)
{
	struct store_flight flight = {.visible_ms = visible_ms, .received_ms = found->now};
	int err = 0;

	for (size_t i = 0; i < found->taken_count && err == 0; i++) {
		if (!found->taken[i].fresh || visible_ms <= found->now) {
			err = store_found_hide(store, found, i, visible_ms);
			continue;
		}
		if (flight.left++ == 0)
			flight.id = found->taken[i].id;
		flight.last_id = found->taken[i].id;
	}
	return err == 0 && flight.left > 0 ? store_flight_begin(store, found->queue, &flight) : err;
}

static int receive_plain(struct store *store, struct store_found *found, int64_t visibility_ms,
	struct store_received *ret)
{
	int err = find_messages(store, found);

	if (err == 0)
		err = hide(store, found, found->now + visibility_ms);
	if (err == 0)
		err = store_found_clear(store, found, ret);
	if (err < 0)
		return err;
	ret->more = found->cleared_count == CLEARED_MAX;
	return 0;
}

/* Where the dead go. A policy whose queue is gone, or that names its own queue, moves nothing. */
static struct store_queue *dead_letter_queue(struct store *store, const struct store_queue *queue)
{
	struct store_queue *dead_letter;

	if (queue->redrive.max_receives == 0)
		return NULL;
	dead_letter = store_queue_find(store, queue->redrive.dead_letter_queue);
	if (dead_letter == NULL || dead_letter == queue || dead_letter->is_fifo != queue->is_fifo)
		return NULL;
	return dead_letter;
}

int store_receive(struct store *store, struct store_queue *queue, size_t max, int64_t visibility_ms,
	int64_t now, store_visit *visit, void *arg, struct store_received *ret)
{
	struct store_found found;
	int err = store_settle(store);

	memset(ret, 0, sizeof(*ret));
	if (err < 0)
		return err;
	found.queue = queue;
	found.dead_letter = dead_letter_queue(store, queue);
	found.max = max < RECEIVE_MAX ? max : RECEIVE_MAX;
	found.now = now;
	found.visit = visit;
	found.arg = arg;
	found.taken_count = found.cleared_count = 0;
	if (queue->is_fifo)
		err = store_groups_receive(store, &found, visibility_ms, ret);
	else if (queue->has_tenants)
		err = store_fair_receive(store, &found, visibility_ms, ret);
	else
		err = receive_plain(store, &found, visibility_ms, ret);
	if (err < 0)
		return err;
	ret->count = found.taken_count;
	ret->more |= store_flights_due(queue, now);
	queue->in_flight_bound += (int64_t)ret->count;
	return 0;
}
