#include "bunshin/error.h"
#include "localq/store_private.h"

#include <stdio.h>
#include <string.h>

#define SLICE_MAX 500
#define PACE_MS 1000 /* what a rate allows is not saved up for longer */

/* SQS's words (Developer Guide, "Troubleshooting DLQ redrive"). */
#define NO_SOURCE "CouldNotDetermineMessageSource"
#define NO_QUEUE "AWS.SimpleQueueService.NonExistentQueue"

static bool is_active(const struct store_move *move)
{
	return move->status == STORE_MOVE_RUNNING || move->status == STORE_MOVE_CANCELLING;
}

static void copy_text(sqlite3_stmt *row, int column, char *ret, size_t size)
{
	const char *text = (const char *)sqlite3_column_text(row, column);

	snprintf(ret, size, "%s", text != NULL ? text : "");
}

/* The columns of the three statements that select moves. */
static void read_move(sqlite3_stmt *row, struct store_move *ret)
{
	*ret = (struct store_move){
		.id = sqlite3_column_int64(row, 0),
		.rate = sqlite3_column_int64(row, 4),
		.status = (enum store_move_status)sqlite3_column_int(row, 5),
		.moved = sqlite3_column_int64(row, 6),
		.to_move = sqlite3_column_int64(row, 7),
		.started_ms = sqlite3_column_int64(row, 8),
		.paced_ms = sqlite3_column_int64(row, 9),
	};
	copy_text(row, 1, ret->task, sizeof(ret->task));
	copy_text(row, 2, ret->source, sizeof(ret->source));
	copy_text(row, 3, ret->destination, sizeof(ret->destination));
	copy_text(row, 10, ret->failure, sizeof(ret->failure));
}

int store_moves_of(struct store *store, const struct store_queue *queue, size_t limit,
	struct store_move ret[], size_t *ret_count)
{
	size_t count = 0;
	int err = store_settle(store);

	if (err < 0)
		return err;
	store_bind_text(store, STORE_MOVES_OF, 1, queue->name);
	store_bind_int(store, STORE_MOVES_OF, 2, (int64_t)limit);
	while ((err = store_step(store, STORE_MOVES_OF)) == 1)
		read_move(store->statements[STORE_MOVES_OF], &ret[count++]);
	if (err == 0)
		*ret_count = count;
	return err;
}

int store_move_find(struct store *store, const char *task, struct store_move *ret)
{
	int err = store_settle(store);

	if (err < 0)
		return err;
	store_bind_text(store, STORE_MOVE_FIND, 1, task);
	err = store_step(store, STORE_MOVE_FIND);
	if (err != 1)
		return err < 0 ? err : ERR_NOT_FOUND;
	read_move(store->statements[STORE_MOVE_FIND], ret);
	store_reset(store, STORE_MOVE_FIND);
	return 0;
}

int store_move_update(struct store *store, const struct store_move *move)
{
	int err = store_settle(store);

	if (err < 0)
		return err;
	store_bind_int(store, STORE_MOVE_UPDATE, 1, move->id);
	store_bind_int(store, STORE_MOVE_UPDATE, 2, move->status);
	store_bind_int(store, STORE_MOVE_UPDATE, 3, move->moved);
	store_bind_int(store, STORE_MOVE_UPDATE, 4, move->paced_ms);
	store_bind_text(store, STORE_MOVE_UPDATE, 5, move->failure[0] ? move->failure : NULL);
	return store_run(store, STORE_MOVE_UPDATE);
}

int store_move_start(struct store *store, struct store_queue *queue,
	const struct store_queue *destination, int64_t rate, const char *task, int64_t now)
{
	struct store_counts counts;
	struct store_move last;
	size_t count = 0;
	int err = store_moves_of(store, queue, 1, &last, &count);

	if (err < 0)
		return err;
	if (count > 0 && is_active(&last))
		return ERR_LIMIT;
	err = store_count(store, queue, now, &counts);
	if (err < 0)
		return err;
	store_bind_text(store, STORE_MOVE_INSERT, 1, task);
	store_bind_text(store, STORE_MOVE_INSERT, 2, queue->name);
	store_bind_text(store, STORE_MOVE_INSERT, 3, destination ? destination->name : NULL);
	store_bind_int(store, STORE_MOVE_INSERT, 4, rate);
	store_bind_int(store, STORE_MOVE_INSERT, 5, counts.visible);
	store_bind_int(store, STORE_MOVE_INSERT, 6, now);
	err = store_run(store, STORE_MOVE_INSERT);
	if (err < 0)
		return err;
	store_bind_text(store, STORE_MOVES_FORGET, 1, queue->name);
	store_bind_int(store, STORE_MOVES_FORGET, 2, STORE_MOVES_KEPT);
	return store_run(store, STORE_MOVES_FORGET);
}

/* The next active one after `id`. 1, 0: there is none, or an error. */
static int next_active(struct store *store, int64_t id, struct store_move *ret)
{
	int err;

	store_bind_int(store, STORE_MOVES_ACTIVE, 1, id);
	err = store_step(store, STORE_MOVES_ACTIVE);
	if (err != 1)
		return err;
	read_move(store->statements[STORE_MOVES_ACTIVE], ret);
	store_reset(store, STORE_MOVES_ACTIVE);
	return 1;
}

int store_moves_any(struct store *store, bool *ret)
{
	struct store_move move;
	int found = next_active(store, 0, &move);

	if (found >= 0)
		*ret = found == 1;
	return found < 0 ? found : 0;
}

/* How many messages the rate and the task allow now; they count as moved in its pace. */
static size_t allowance(struct store_move *move, int64_t now, size_t budget)
{
	int64_t left = move->to_move - move->moved, elapsed_ms, count;

	if (left < (int64_t)budget)
		budget = left > 0 ? (size_t)left : 0;
	if (move->rate == 0)
		return budget;
	/* A wall clock that was set back, or a long pause, gives no more than a second's worth. */
	elapsed_ms = now - move->paced_ms;
	if (elapsed_ms < 0)
		elapsed_ms = 0;
	if (elapsed_ms > PACE_MS)
		elapsed_ms = PACE_MS;
	count = elapsed_ms * move->rate / 1000;
	if (count > (int64_t)budget)
		count = (int64_t)budget;
	/* Exact for what a second divides by; else the rest of the division is given away. */
	move->paced_ms = now - elapsed_ms + (count * 1000 + move->rate - 1) / move->rate;
	return (size_t)count;
}

/* A slice of one task. */
struct slice {
	struct {
		int64_t id;
		struct store_queue *to; /* NULL: past its retention */
	} rows[SLICE_MAX];
	size_t count;
	const char *failure; /* why it cannot go on after them; NULL: it can */
};

static struct store_queue *destination_of(
	struct store *store, const struct store_move *move, sqlite3_stmt *row, struct slice *slice)
{
	const char *source = (const char *)sqlite3_column_text(row, 5);
	const char *name = move->destination[0] ? move->destination : source;
	struct store_queue *queue = NULL;

	if (name != NULL)
		queue = store_queue_find(store, name);
	if (queue == NULL)
		slice->failure = name != NULL ? NO_QUEUE : NO_SOURCE;
	return queue;
}

/* Which messages go where, to be written once the index is no longer being read. */
static int find_movable(struct store *store, const struct store_move *move,
	struct store_queue *queue, int64_t now, size_t max, struct slice *slice)
{
	struct store_walk walk;
	sqlite3_stmt *row;
	int err = store_walk_visible(store, queue, now, max, &walk);

	if (err < 0)
		return err;
	while (slice->count < max && (err = store_walk_next(&walk, &row)) == 1) {
		bool expired = sqlite3_column_int64(row, 3) + queue->retention_ms <= now;
		struct store_queue *to = NULL;

		if (!expired)
			to = destination_of(store, move, row, slice);
		if (slice->failure != NULL)
			break;
		slice->rows[slice->count].id = sqlite3_column_int64(row, 0);
		slice->rows[slice->count++].to = to;
	}
	store_walk_end(&walk);
	return err < 0 ? err : 0;
}

static int redrive(struct store *store, const struct store_mover *mover, struct store_queue *from,
	int64_t id, struct store_queue *to, int64_t now)
{
	struct store_tenant tenant = {.row = 0};
	sqlite3_stmt *statement = store->statements[STORE_MESSAGE_REDRIVE];
	uint8_t message_id[16];
	int64_t number, new_id;
	int err = store_take_number(store, &number);

	if (err == 0 && from->has_tenants)
		err = store_tenant_of(store, id, &tenant);
	if (err < 0)
		return err;
	new_id = store_id(to->lane, true, number);
	mover->new_message_id(mover->arg, message_id);
	store_bind_int(store, STORE_MESSAGE_REDRIVE, 1, id);
	store_bind_int(store, STORE_MESSAGE_REDRIVE, 2, new_id);
	store_bind_int(store, STORE_MESSAGE_REDRIVE, 3, to->lane);
	store_bind_int(store, STORE_MESSAGE_REDRIVE, 4, now + to->delay_ms);
	store_bind_int(store, STORE_MESSAGE_REDRIVE, 5, now);
	sqlite3_bind_blob(statement, 6, message_id, 16, SQLITE_STATIC);
	if (to->is_fifo) {
		/* Its group first, while the row is there under the old id. */
		err = store_group_move(store, id, new_id, to, now);
		if (err < 0)
			return err;
		store_bind_int(store, STORE_MESSAGE_REDRIVE, 1, new_id);
	}
	err = store_run(store, STORE_MESSAGE_REDRIVE);
	if (err == 0 && tenant.row != 0)
		err = store_tenant_leave(store, &tenant, id);
	if (err == 0 && tenant.row != 0)
		err = store_tenant_join(store, to, &tenant, new_id, now + to->delay_ms, now);
	if (err == 0 && tenant.is_head)
		err = store_tenant_settle(store, from, tenant.row, now);
	return err == 0 && to->is_fifo ? store_group_settle_of(store, new_id, now) : err;
}

static int expire(struct store *store, struct store_queue *queue, int64_t id, int64_t now)
{
	struct store_tenant tenant = {.row = 0};
	int err = queue->has_tenants ? store_tenant_of(store, id, &tenant) : 0;

	if (err < 0)
		return err;
	store_bind_int(store, STORE_MESSAGE_EXPIRE, 1, id);
	err = store_run(store, STORE_MESSAGE_EXPIRE);
	if (err == 0 && tenant.row != 0)
		err = store_tenant_leave(store, &tenant, id);
	return err == 0 && tenant.is_head ? store_tenant_settle(store, queue, tenant.row, now)
					  : err;
}

static int write_slice(struct store *store, const struct store_mover *mover,
	struct store_move *move, struct store_queue *queue, int64_t now, const struct slice *slice)
{
	int err = 0;

	for (size_t i = 0; i < slice->count && err == 0; i++) {
		struct store_queue *to = slice->rows[i].to;

		if (to == NULL)
			err = expire(store, queue, slice->rows[i].id, now);
		else
			err = redrive(store, mover, queue, slice->rows[i].id, to, now);
		if (err < 0)
			break;
		store_count_change(store, queue, -1);
		move->moved += to != NULL;
		if (to != NULL) {
			store_count_change(store, to, 1);
			mover->moved(mover->arg, to);
		}
	}
	return err;
}

/* One slice of one task, which is told in *move. */
static int run_one(struct store *store, const struct store_mover *mover, struct store_move *move,
	int64_t now, size_t budget)
{
	struct store_queue *queue = store_queue_find(store, move->source);
	struct slice slice = {.count = 0};
	int64_t paced_ms = move->paced_ms;
	size_t wanted;
	int err;

	if (move->status == STORE_MOVE_CANCELLING || queue == NULL) {
		move->status = STORE_MOVE_CANCELLED;
		return store_move_update(store, move);
	}
	wanted = allowance(move, now, budget < SLICE_MAX ? budget : SLICE_MAX);
	if (wanted == 0 && move->moved < move->to_move)
		return move->paced_ms == paced_ms ? 0 : store_move_update(store, move);
	err = find_movable(store, move, queue, now, wanted, &slice);
	if (err == 0)
		err = write_slice(store, mover, move, queue, now, &slice);
	if (err < 0)
		return err;
	if (slice.failure != NULL) {
		move->status = STORE_MOVE_FAILED;
		snprintf(move->failure, sizeof(move->failure), "%s", slice.failure);
	} else if (slice.count < wanted || move->moved >= move->to_move) {
		move->status = STORE_MOVE_COMPLETED;
	}
	return store_move_update(store, move);
}

int store_moves_run(struct store *store, const struct store_mover *mover, int64_t now,
	size_t budget, enum store_moving *ret)
{
	enum store_moving moving = STORE_MOVING_NONE;
	struct store_move move = {.id = 0};
	int err = store_settle(store), found;

	if (err < 0)
		return err;
	while ((found = next_active(store, move.id, &move)) == 1) {
		err = run_one(store, mover, &move, now, budget);
		if (err < 0)
			return err;
		if (is_active(&move) && move.rate == 0)
			moving = STORE_MOVING_FAST;
		else if (is_active(&move) && moving == STORE_MOVING_NONE)
			moving = STORE_MOVING_PACED;
	}
	if (found < 0)
		return found;
	*ret = moving;
	return 0;
}
