/*
 * Fair queues: who shares a standard queue gets an equal part of it. A tenant is a MessageGroupId;
 * messages without one are one tenant together, which has no row and is read by the plain walk.
 *
 * What SQS does (Developer Guide, "How Amazon SQS fair queues work"): a tenant that has more than
 * about a tenth of what is in flight, and 30 messages at least, or of the consumers' time, is
 * noisy; messages of others come before its own until its backlog is used up or it has sent nothing
 * for five minutes. Nothing is held back or dropped. Delays, retention, dead letters and limits are
 * as without groups. It counts each message without a group as a tenant of its own.
 *
 * Here nobody is called noisy: messages are handed out by start-time fair queueing (Goyal, Vin and
 * Cheng 1996) with a message as the unit of work.
 *
 *   - A tenant's `turn` is how many messages it has been handed, in the queue's virtual time. A
 *     receive takes one message at a time, of the tenant with the smallest turn among those that
 *     have something visible, and raises it by one. Where turns are equal the message comes first
 *     that became visible first.
 *   - The queue's virtual time is the turn at which a message was last handed out. A tenant that
 *     has something visible again begins there, if its turn is not beyond it already: what it did
 *     not use it has lost, what others used while it had nothing is not held against them.
 *
 * So no turn is ever more than one beyond the virtual time: each of those who have something
 * visible gets one message a round, however large the backlog of another is, and when only one has
 * some it gets all.
 *
 * Rows. A tenant has one as long as it has messages, in any state. `head` is its message that is or
 * becomes visible first. The ready ones, whose head is visible, lie in one index in the order of
 * their turns; the waiting ones lie in another by the time of their head, and a receive moves those
 * over whose time has come. So a receive looks at as many tenants as it takes messages from, and
 * neither a backlog nor tenants that wait cost it anything. The order of a tenant's messages is
 * a table of its own, tenant_order, and no index of messages, which every statement that writes
 * messages would have to open. For whoever looks at all of a queue they are in the index of times,
 * under the negative of its lane.
 *
 * Whoever changes a message of a tenant settles the tenant in the same transaction, so a death
 * leaves rows and messages in agreement. A tenant's row goes with its last message; that it has had
 * its message of this round is remembered in memory, or one that sends, and deletes, one at a time
 * would come first each time. That and the turn of the messages without a group are lost with the
 * process: then somebody gets one message early.
 */
#include "bunshin/error.h"
#include "localq/store_private.h"

#include <stdio.h>
#include <string.h>

struct tenant {
	int64_t row, turn, head_ms, head_id;
	bool ready;
};

static uint64_t departed_key(const struct store_queue *queue, const char *name)
{
	const uint64_t prime = UINT64_C(1099511628211);
	uint64_t hash = UINT64_C(14695981039346656037); /* FNV-1a */

	/* Not the lane: its number is used again. */
	hash = (hash ^ (uint64_t)queue->id) * prime;
	hash = (hash ^ (uint64_t)queue->purged_ms) * prime;
	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * prime;
	return hash;
}

/* Its row goes: keeps in mind that it is not to be served in this round again. */
static void remember_departed(struct store *store, const struct store_queue *queue,
	const char *name, const struct tenant *tenant)
{
	uint64_t key = departed_key(queue, name);

	store->departed[key % STORE_DEPARTED].key = key;
	store->departed[key % STORE_DEPARTED].turn = tenant->turn;
}

/* Where one begins that has no row. */
static int64_t first_turn(
	const struct store *store, const struct store_queue *queue, const char *name)
{
	uint64_t key = departed_key(queue, name);
	const struct store_departed *departed = &store->departed[key % STORE_DEPARTED];

	return queue->turn + (departed->key == key && departed->turn > queue->turn);
}

static void read_tenant(sqlite3_stmt *row, struct tenant *ret)
{
	*ret = (struct tenant){
		.row = sqlite3_column_int64(row, 0),
		.turn = sqlite3_column_int64(row, 1),
		.head_ms = sqlite3_column_int64(row, 2),
		.head_id = sqlite3_column_int64(row, 3),
		.ready = sqlite3_column_int64(row, 4) != 0,
	};
}

/* Which message is the first one now. Whoever has something visible is not behind the queue. */
static void set_head(const struct store_queue *queue, struct tenant *tenant, int64_t head_ms,
	int64_t head_id, int64_t now)
{
	tenant->head_ms = head_ms;
	tenant->head_id = head_id;
	tenant->ready = head_ms <= now;
	if (tenant->ready && tenant->turn < queue->turn)
		tenant->turn = queue->turn;
}

static int write_tenant(struct store *store, const struct tenant *tenant)
{
	store_bind_int(store, STORE_TENANT_UPDATE, 1, tenant->row);
	store_bind_int(store, STORE_TENANT_UPDATE, 2, tenant->turn);
	store_bind_int(store, STORE_TENANT_UPDATE, 3, tenant->head_ms);
	store_bind_int(store, STORE_TENANT_UPDATE, 4, tenant->head_id);
	store_bind_int(store, STORE_TENANT_UPDATE, 5, tenant->ready);
	return store_run(store, STORE_TENANT_UPDATE);
}

static int insert_tenant(struct store *store, struct store_queue *queue, const char *name,
	int64_t head_ms, int64_t head_id, int64_t now, int64_t *ret_row)
{
	int err;

	store_bind_int(store, STORE_TENANT_INSERT, 1, queue->lane);
	store_bind_text(store, STORE_TENANT_INSERT, 2, name);
	store_bind_int(store, STORE_TENANT_INSERT, 3, first_turn(store, queue, name));
	store_bind_int(store, STORE_TENANT_INSERT, 4, head_ms);
	store_bind_int(store, STORE_TENANT_INSERT, 5, head_id);
	store_bind_int(store, STORE_TENANT_INSERT, 6, head_ms <= now);
	err = store_run(store, STORE_TENANT_INSERT);
	if (err < 0)
		return err;
	*ret_row = sqlite3_last_insert_rowid(store->db);
	queue->has_tenants = true;
	return 0;
}

static int find_or_insert(struct store *store, struct store_queue *queue, const char *name,
	int64_t id, int64_t visible_ms, int64_t now, int64_t *ret_row)
{
	struct tenant tenant;
	int err;

	store_bind_int(store, STORE_TENANT_FIND, 1, queue->lane);
	store_bind_text(store, STORE_TENANT_FIND, 2, name);
	err = store_step(store, STORE_TENANT_FIND);
	if (err < 0)
		return err;
	if (err == 0)
		return insert_tenant(store, queue, name, visible_ms, id, now, ret_row);
	read_tenant(store->statements[STORE_TENANT_FIND], &tenant);
	store_reset(store, STORE_TENANT_FIND);
	*ret_row = tenant.row;
	if (visible_ms > tenant.head_ms || (visible_ms == tenant.head_ms && id > tenant.head_id))
		return 0;
	set_head(queue, &tenant, visible_ms, id, now);
	return write_tenant(store, &tenant);
}

int store_tenant_enter(struct store *store, struct store_queue *queue, const char *name, int64_t id,
	int64_t visible_ms, int64_t now, int64_t *ret_row)
{
	int err = find_or_insert(store, queue, name, id, visible_ms, now, ret_row);

	if (err < 0)
		return err;
	store_bind_int(store, STORE_ORDER_INSERT, 1, *ret_row);
	store_bind_int(store, STORE_ORDER_INSERT, 2, visible_ms);
	store_bind_int(store, STORE_ORDER_INSERT, 3, id);
	return store_run(store, STORE_ORDER_INSERT);
}

int store_tenant_of(struct store *store, int64_t id, struct store_tenant *ret)
{
	sqlite3_stmt *row = store->statements[STORE_TENANT_OF_MESSAGE];
	int err;

	ret->row = 0;
	ret->is_head = false;
	store_bind_int(store, STORE_TENANT_OF_MESSAGE, 1, id);
	err = store_step(store, STORE_TENANT_OF_MESSAGE);
	if (err != 1)
		return err;
	ret->row = sqlite3_column_int64(row, 0);
	ret->visible_ms = sqlite3_column_int64(row, 1);
	ret->is_head = sqlite3_column_int64(row, 2) != 0;
	snprintf(ret->name, sizeof(ret->name), "%s", (const char *)sqlite3_column_text(row, 3));
	store_reset(store, STORE_TENANT_OF_MESSAGE);
	return 0;
}

int store_tenant_reorder(
	struct store *store, int64_t row, int64_t visible_ms, int64_t id, int64_t new_visible_ms)
{
	store_bind_int(store, STORE_ORDER_MOVE, 1, row);
	store_bind_int(store, STORE_ORDER_MOVE, 2, visible_ms);
	store_bind_int(store, STORE_ORDER_MOVE, 3, id);
	store_bind_int(store, STORE_ORDER_MOVE, 4, new_visible_ms);
	return store_run(store, STORE_ORDER_MOVE);
}

static int delete_order(struct store *store, int64_t row, int64_t visible_ms, int64_t id)
{
	store_bind_int(store, STORE_ORDER_DELETE, 1, row);
	store_bind_int(store, STORE_ORDER_DELETE, 2, visible_ms);
	store_bind_int(store, STORE_ORDER_DELETE, 3, id);
	return store_run(store, STORE_ORDER_DELETE);
}

int store_tenant_leave(struct store *store, const struct store_tenant *tenant, int64_t id)
{
	return delete_order(store, tenant->row, tenant->visible_ms, id);
}

int store_tenant_join(struct store *store, struct store_queue *queue,
	const struct store_tenant *from, int64_t id, int64_t visible_ms, int64_t now)
{
	int64_t row = 0;
	int err = store_tenant_enter(store, queue, from->name, id, visible_ms, now, &row);

	if (err < 0)
		return err;
	store_bind_int(store, STORE_TENANT_JOIN, 1, id);
	store_bind_int(store, STORE_TENANT_JOIN, 2, store_tenants_lane(queue));
	store_bind_int(store, STORE_TENANT_JOIN, 3, row);
	return store_run(store, STORE_TENANT_JOIN);
}

/* The message of a tenant that is first. 1; 0: it has none; or an error. */
static int find_head(struct store *store, int64_t row, int64_t *ret_ms, int64_t *ret_id)
{
	sqlite3_stmt *head = store->statements[STORE_TENANT_HEAD];
	int err;

	store_bind_int(store, STORE_TENANT_HEAD, 1, row);
	err = store_step(store, STORE_TENANT_HEAD);
	if (err != 1)
		return err;
	*ret_ms = sqlite3_column_int64(head, 0);
	*ret_id = sqlite3_column_int64(head, 1);
	store_reset(store, STORE_TENANT_HEAD);
	return 1;
}

static int delete_tenant(struct store *store, struct store_queue *queue, int64_t row)
{
	int err;

	store_bind_int(store, STORE_TENANT_DELETE, 1, row);
	err = store_run(store, STORE_TENANT_DELETE);
	if (err < 0)
		return err;
	store_bind_int(store, STORE_TENANT_ANY, 1, queue->lane);
	err = store_step(store, STORE_TENANT_ANY);
	if (err < 0)
		return err;
	queue->has_tenants = err == 1;
	store_reset(store, STORE_TENANT_ANY);
	return 0;
}

int store_tenant_charge(
	struct store *store, struct store_queue *queue, int64_t row, int64_t turn, int64_t now)
{
	sqlite3_stmt *found = store->statements[STORE_TENANT_GET];
	struct tenant tenant, before;
	int64_t head_ms = 0, head_id = 0;
	int err, has_head = find_head(store, row, &head_ms, &head_id);

	if (has_head < 0)
		return has_head;
	store_bind_int(store, STORE_TENANT_GET, 1, row);
	err = store_step(store, STORE_TENANT_GET);
	if (err != 1)
		return err;
	read_tenant(found, &before);
	tenant = before;
	if (turn > tenant.turn)
		tenant.turn = turn;
	if (has_head == 0)
		remember_departed(
			store, queue, (const char *)sqlite3_column_text(found, 5), &tenant);
	store_reset(store, STORE_TENANT_GET);
	if (has_head == 0)
		return delete_tenant(store, queue, row);
	set_head(queue, &tenant, head_ms, head_id, now);
	if (tenant.turn == before.turn && tenant.head_ms == before.head_ms &&
		tenant.head_id == before.head_id && tenant.ready == before.ready)
		return 0;
	return write_tenant(store, &tenant);
}

int store_tenant_settle(struct store *store, struct store_queue *queue, int64_t row, int64_t now)
{
	return store_tenant_charge(store, queue, row, 0, now);
}

int store_tenant_advance(
	struct store *store, int64_t row, int64_t turn, int64_t head_ms, int64_t head_id)
{
	const struct tenant tenant = {row, turn, head_ms, head_id, true};

	return write_tenant(store, &tenant);
}

#define EXPIRED_MAX 100

/* Up to EXPIRED_MAX of them. *ret: how many. */
static int expire_some(struct store *store, struct store_queue *queue, int64_t until_ms,
	int64_t now, size_t budget, size_t *ret)
{
	sqlite3_stmt *row = store->statements[STORE_TENANTS_EXPIRED];
	struct {
		int64_t id, visible_ms, tenant;
	} expired[EXPIRED_MAX];
	size_t count = 0;
	int err;

	if (budget > EXPIRED_MAX)
		budget = EXPIRED_MAX;
	store_bind_int(store, STORE_TENANTS_EXPIRED, 1, store_tenants_lane(queue));
	store_bind_int(store, STORE_TENANTS_EXPIRED, 2, until_ms);
	store_bind_int(store, STORE_TENANTS_EXPIRED, 3, (int64_t)budget);
	while ((err = store_step(store, STORE_TENANTS_EXPIRED)) == 1) {
		expired[count].id = sqlite3_column_int64(row, 0);
		expired[count].visible_ms = sqlite3_column_int64(row, 1);
		expired[count++].tenant = sqlite3_column_int64(row, 2);
	}
	for (size_t i = 0; i < count && err == 0; i++) {
		bool last = i + 1 == count || expired[i + 1].tenant != expired[i].tenant;

		store_bind_int(store, STORE_MESSAGE_EXPIRE, 1, expired[i].id);
		err = store_run(store, STORE_MESSAGE_EXPIRE);
		if (err == 0)
			err = delete_order(
				store, expired[i].tenant, expired[i].visible_ms, expired[i].id);
		if (err == 0 && last)
			err = store_tenant_settle(store, queue, expired[i].tenant, now);
	}
	*ret = count;
	return err;
}

int store_tenants_expire(struct store *store, struct store_queue *queue, int64_t until_ms,
	int64_t now, size_t budget, size_t *swept)
{
	size_t some = EXPIRED_MAX;
	int err = 0;

	while (err == 0 && some == EXPIRED_MAX && budget > 0) {
		err = expire_some(store, queue, until_ms, now, budget, &some);
		*swept += some;
		budget -= some;
		store_count_change(store, queue, -(int64_t)some);
	}
	return err;
}

/* The first tenant of the lane, or as much of it as `budget`. 1; 0: there is none; or an error. */
static int sweep_one(struct store *store, int64_t lane, size_t budget, size_t *swept)
{
	int64_t row;
	int err;

	store_bind_int(store, STORE_TENANT_ANY, 1, lane);
	err = store_step(store, STORE_TENANT_ANY);
	if (err != 1)
		return err;
	row = sqlite3_column_int64(store->statements[STORE_TENANT_ANY], 0);
	store_reset(store, STORE_TENANT_ANY);
	store_bind_int(store, STORE_ORDER_SWEEP, 1, row);
	store_bind_int(store, STORE_ORDER_SWEEP, 2, (int64_t)budget);
	err = store_run(store, STORE_ORDER_SWEEP);
	if (err < 0)
		return err;
	*swept += (size_t)sqlite3_changes(store->db) + 1;
	if ((size_t)sqlite3_changes(store->db) == budget)
		return 1;
	store_bind_int(store, STORE_TENANT_DELETE, 1, row);
	err = store_run(store, STORE_TENANT_DELETE);
	return err < 0 ? err : 1;
}

int store_tenants_sweep(struct store *store, int64_t lane, size_t budget, size_t *swept)
{
	int err = 1;

	while (err == 1 && *swept < budget)
		err = sweep_one(store, lane, budget - *swept, swept);
	return err < 0 ? err : 0;
}
