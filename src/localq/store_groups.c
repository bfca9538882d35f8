/*
 * FIFO queues: messages lie in groups, and what is in flight or delayed holds back the rest of its
 * group.
 *
 * A group is a row with the time from which something of it may be received: the end of what is in
 * flight, or of its first message's delay, or since when it is free. A receive walks those whose
 * time has come, the longest free first, so neither groups that wait nor messages behind them cost
 * it anything. A group without messages has no row.
 *
 * The order of a group is the order of ids. At most RECEIVE_MAX of its messages are in flight, for
 * it is not received from while any is, and these are among its first: what arrives by a move gets
 * a new id, which is the last.
 */
#include "bunshin/error.h"
#include "localq/store_private.h"

#include <stdio.h>
#include <string.h>

/* Groups that one receive looks into at most, each of which may have nothing but what is over. */
#define GROUPS_MAX 64

int store_group_of(struct store *store, const struct store_queue *queue, const char *name,
	int64_t ready_ms, int64_t *ret_row)
{
	int err;

	store_bind_int(store, STORE_GROUP_FIND, 1, queue->lane);
	store_bind_text(store, STORE_GROUP_FIND, 2, name);
	err = store_step(store, STORE_GROUP_FIND);
	if (err < 0)
		return err;
	if (err == 1) {
		*ret_row = sqlite3_column_int64(store->statements[STORE_GROUP_FIND], 0);
		store_reset(store, STORE_GROUP_FIND);
		return 0;
	}
	store_bind_int(store, STORE_GROUP_INSERT, 1, queue->lane);
	store_bind_text(store, STORE_GROUP_INSERT, 2, name);
	store_bind_int(store, STORE_GROUP_INSERT, 3, ready_ms);
	err = store_run(store, STORE_GROUP_INSERT);
	*ret_row = sqlite3_last_insert_rowid(store->db);
	return err;
}

/* When the group may be received from, by its first messages. 1: it has some; 0: none; or an error.
 */
static int ready_time(struct store *store, int64_t row, int64_t now, int64_t *ret_ms)
{
	sqlite3_stmt *state = store->statements[STORE_GROUP_STATES];
	int64_t head_ms = INT64_MIN, blocked_ms = INT64_MIN;
	int err;

	store_bind_int(store, STORE_GROUP_STATES, 1, row);
	store_bind_int(store, STORE_GROUP_STATES, 2, RECEIVE_MAX);
	while ((err = store_step(store, STORE_GROUP_STATES)) == 1) {
		int64_t visible_ms = sqlite3_column_int64(state, 0);
		bool received = sqlite3_column_int64(state, 1) > 0;

		if (head_ms == INT64_MIN)
			head_ms = visible_ms;
		if (received && visible_ms > now && visible_ms > blocked_ms)
			blocked_ms = visible_ms;
	}
	if (err < 0)
		return err;
	*ret_ms = blocked_ms != INT64_MIN ? blocked_ms : head_ms > now ? head_ms : now;
	return head_ms != INT64_MIN;
}

int store_group_settle(struct store *store, int64_t row, int64_t now)
{
	int64_t ready_ms;
	int err = ready_time(store, row, now, &ready_ms);

	if (err < 0)
		return err;
	if (err == 0) {
		store_bind_int(store, STORE_GROUP_DELETE, 1, row);
		return store_run(store, STORE_GROUP_DELETE);
	}
	store_bind_int(store, STORE_GROUP_READY, 1, row);
	store_bind_int(store, STORE_GROUP_READY, 2, ready_ms);
	return store_run(store, STORE_GROUP_READY);
}

int store_group_settle_of(struct store *store, int64_t id, int64_t now)
{
	int64_t row;
	int err;

	store_bind_int(store, STORE_GROUP_OF_MESSAGE, 1, id);
	err = store_step(store, STORE_GROUP_OF_MESSAGE);
	if (err != 1)
		return err;
	row = sqlite3_column_int64(store->statements[STORE_GROUP_OF_MESSAGE], 0);
	store_reset(store, STORE_GROUP_OF_MESSAGE);
	return store_group_settle(store, row, now);
}

int store_group_move(
	struct store *store, int64_t id, int64_t new_id, const struct store_queue *to, int64_t now)
{
	char name[TEXT_GROUP_ID_MAX + 1] = "";
	int64_t from_row, to_row;
	int err;

	store_bind_int(store, STORE_GROUP_OF_MESSAGE, 1, id);
	err = store_step(store, STORE_GROUP_OF_MESSAGE);
	if (err < 0)
		return err;
	if (err == 0) /* of a standard queue */
		return ERR_NOT_FOUND;
	from_row = sqlite3_column_int64(store->statements[STORE_GROUP_OF_MESSAGE], 0);
	snprintf(name, sizeof(name), "%s",
		(const char *)sqlite3_column_text(store->statements[STORE_GROUP_OF_MESSAGE], 1));
	store_reset(store, STORE_GROUP_OF_MESSAGE);
	err = store_group_of(store, to, name, now, &to_row);
	if (err < 0)
		return err;
	store_bind_int(store, STORE_MESSAGE_JOIN, 1, id);
	store_bind_int(store, STORE_MESSAGE_JOIN, 2, new_id);
	store_bind_int(store, STORE_MESSAGE_JOIN, 3, to->lane);
	store_bind_int(store, STORE_MESSAGE_JOIN, 4, to_row);
	err = store_run(store, STORE_MESSAGE_JOIN);
	return err == 0 ? store_group_settle(store, from_row, now) : err;
}

/* What a receive found; written once nothing is being read any more. */
struct group_receive {
	struct store_found *found;
	int64_t groups[GROUPS_MAX];
	size_t group_count;
};

/* From its first message on, as long as they are visible. */
static int take_from_group(struct store *store, struct group_receive *receive, int64_t row)
{
	sqlite3_stmt *message = store->statements[STORE_GROUP_MESSAGES];
	int err = 0;

	store_bind_int(store, STORE_GROUP_MESSAGES, 1, row);
	while (store_found_wants(receive->found)) {
		err = store_step(store, STORE_GROUP_MESSAGES);
		if (err != 1)
			return err;
		if (sqlite3_column_int64(message, 6) > receive->found->now)
			break;
		err = store_found_add(store, receive->found, message);
		if (err < 0)
			break;
	}
	store_reset(store, STORE_GROUP_MESSAGES);
	return err < 0 ? err : 0;
}

static int walk_groups(struct store *store, struct group_receive *receive)
{
	sqlite3_stmt *group = store->statements[STORE_GROUPS_READY];
	int err = 0;

	store_bind_int(store, STORE_GROUPS_READY, 1, receive->found->queue->lane);
	store_bind_int(store, STORE_GROUPS_READY, 2, receive->found->now);
	while (store_found_wants(receive->found) && receive->group_count < GROUPS_MAX) {
		err = store_step(store, STORE_GROUPS_READY);
		if (err != 1)
			return err;
		receive->groups[receive->group_count] = sqlite3_column_int64(group, 0);
		err = take_from_group(store, receive, receive->groups[receive->group_count++]);
		if (err < 0)
			break;
	}
	store_reset(store, STORE_GROUPS_READY);
	return err < 0 ? err : 0;
}

static int hide(struct store *store, const struct store_found *found, int64_t visible_ms)
{
	int err = 0;

	for (size_t i = 0; i < found->taken_count && err == 0; i++)
		err = store_found_hide(store, found, i, visible_ms);
	return err;
}

static int bury(struct store *store, const struct store_found *found, int64_t id)
{
	struct store_queue *to = found->dead_letter;
	int64_t number, new_id;
	int err = store_take_number(store, &number);

	if (err < 0)
		return err;
	new_id = store_id(to->lane, true, number);
	err = store_group_move(store, id, new_id, to, found->now);
	if (err == 0)
		err = store_move_dead(store, found->queue, to, new_id, new_id, found->now);
	return err;
}

static int clear(struct store *store, const struct store_found *found, struct store_received *ret)
{
	int err = 0;

	for (size_t i = 0; i < found->cleared_count && err == 0; i++) {
		int64_t id = found->cleared[i].id;

		if (found->cleared[i].dead) {
			err = bury(store, found, id);
			ret->moved = found->dead_letter;
		} else {
			store_bind_int(store, STORE_MESSAGE_EXPIRE, 1, id);
			err = store_run(store, STORE_MESSAGE_EXPIRE);
			store_count_change(store, found->queue, -1);
		}
	}
	return err;
}

int store_groups_receive(struct store *store, struct store_found *found, int64_t visibility_ms,
	struct store_received *ret)
{
	struct group_receive receive = {.found = found};
	int err = walk_groups(store, &receive);

	if (err == 0)
		err = hide(store, found, found->now + visibility_ms);
	if (err == 0)
		err = clear(store, found, ret);
	for (size_t i = 0; i < receive.group_count && err == 0; i++)
		err = store_group_settle(store, receive.groups[i], found->now);
	if (err < 0)
		return err;
	for (size_t i = 0; i < found->taken_count; i++) {
		ret->taken[i].id = found->taken[i].id;
		ret->taken[i].receives = found->taken[i].receives;
	}
	ret->more = found->cleared_count == CLEARED_MAX ||
		    (receive.group_count == GROUPS_MAX && found->taken_count < found->max);
	return 0;
}

int store_groups_next(
	struct store *store, const struct store_queue *queue, int64_t now, int64_t *ret_ms)
{
	int err;

	store_bind_int(store, STORE_GROUP_NEXT, 1, queue->lane);
	store_bind_int(store, STORE_GROUP_NEXT, 2, now);
	err = store_step(store, STORE_GROUP_NEXT);
	if (err == 1) {
		*ret_ms = sqlite3_column_int64(store->statements[STORE_GROUP_NEXT], 0);
		store_reset(store, STORE_GROUP_NEXT);
		err = 0;
	}
	return err;
}
