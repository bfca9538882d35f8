/*
 * The receive of a queue with tenants: store_tenants.c says in which order.
 *
 * It reads first and writes once nothing is being read any more. Of each tenant that it takes from
 * it knows a few messages ahead; the ready ones come from their index, one after the other.
 */
#include "bunshin/error.h"
#include "localq/store_private.h"

#include <string.h>

/* Tenants that one receive looks into, each of which may have nothing but what is over. */
#define TENANTS_MAX 64
/* Tenants whose time has come, of which one receive takes notice. */
#define PROMOTED_MAX 64
/* What is known of a tenant ahead; most give one message, so at first it is less. */
#define HEADS_MAX 5
#define HEADS_FIRST 2

struct place {
	int64_t turn, visible_ms, number;
};

struct contender {
	int64_t row, turn;
	struct {
		int64_t visible_ms, id;
	} heads[HEADS_MAX];
	size_t head, head_count; /* heads[head] is the next */
	size_t passed;		 /* messages of it taken or cleared */
};

struct fair_receive {
	struct store_found *found;
	struct contender contenders[TENANTS_MAX]; /* tenants looked into */
	size_t contender_count;
	bool has_next; /* a ready tenant behind them */
	int64_t next_row;
	struct place next;
	struct store_walk walk; /* messages without a group */
	sqlite3_stmt *plain_row;
	bool has_plain;
	struct place plain;
	int64_t fresh_id; /* the first that is still fresh */
	int64_t turn;	  /* the virtual time */
};

static bool is_before(const struct place *a, const struct place *b)
{
	if (a->turn != b->turn)
		return a->turn < b->turn;
	if (a->visible_ms != b->visible_ms)
		return a->visible_ms < b->visible_ms;
	return a->number < b->number;
}

/* The next ready tenant of the index. 0 or an error. */
static int step_next(struct store *store, struct fair_receive *receive)
{
	sqlite3_stmt *row = store->statements[STORE_TENANTS_READY];
	int err = store_step(store, STORE_TENANTS_READY);

	receive->has_next = err == 1;
	if (err != 1)
		return err;
	receive->next_row = sqlite3_column_int64(row, 0);
	receive->next = (struct place){sqlite3_column_int64(row, 1), sqlite3_column_int64(row, 2),
		store_id_number(sqlite3_column_int64(row, 3))};
	return 0;
}

/* The next message without a group. 0 or an error. */
static int step_plain(struct fair_receive *receive)
{
	int err = store_walk_next(&receive->walk, &receive->plain_row);

	receive->has_plain = err == 1;
	if (err != 1)
		return err;
	receive->plain.visible_ms = sqlite3_column_int64(receive->plain_row, 6);
	receive->plain.number = store_id_number(sqlite3_column_int64(receive->plain_row, 0));
	return 0;
}

/* What comes next of a tenant, into `heads`. 0 or an error. */
static int read_heads(
	struct store *store, const struct fair_receive *receive, struct contender *contender)
{
	sqlite3_stmt *row = store->statements[STORE_TENANT_HEADS];
	int err;

	contender->head = contender->head_count = 0;
	store_bind_int(store, STORE_TENANT_HEADS, 1, contender->row);
	store_bind_int(store, STORE_TENANT_HEADS, 2, receive->found->now);
	store_bind_int(
		store, STORE_TENANT_HEADS, 3, contender->passed == 0 ? HEADS_FIRST : HEADS_MAX);
	store_bind_int(store, STORE_TENANT_HEADS, 4, (int64_t)contender->passed);
	while ((err = store_step(store, STORE_TENANT_HEADS)) == 1) {
		contender->heads[contender->head_count].visible_ms = sqlite3_column_int64(row, 0);
		contender->heads[contender->head_count++].id = sqlite3_column_int64(row, 1);
	}
	return err;
}

/* The ready tenant behind the contenders becomes one. 0 or an error. */
static int add_contender(struct store *store, struct fair_receive *receive)
{
	struct contender *contender = &receive->contenders[receive->contender_count++];

	*contender = (struct contender){.row = receive->next_row, .turn = receive->next.turn};
	return read_heads(store, receive, contender);
}

/* The contender whose turn it is; NULL: none has anything. */
static struct contender *first_contender(struct fair_receive *receive, struct place *ret)
{
	struct contender *first = NULL;

	for (size_t i = 0; i < receive->contender_count; i++) {
		struct contender *contender = &receive->contenders[i];
		struct place place;

		if (contender->head == contender->head_count)
			continue;
		place = (struct place){contender->turn,
			contender->heads[contender->head].visible_ms,
			store_id_number(contender->heads[contender->head].id)};
		if (first != NULL && !is_before(&place, ret))
			continue;
		first = contender;
		*ret = place;
	}
	return first;
}

static int take_plain(struct store *store, struct fair_receive *receive)
{
	int err = store_found_add(store, receive->found, receive->plain_row);

	if (err < 0)
		return err;
	if (err == 1)
		receive->turn = receive->plain.turn++;
	return step_plain(receive);
}

static int take_of(struct store *store, struct fair_receive *receive, struct contender *contender)
{
	struct store_found *found = receive->found;
	int64_t id = contender->heads[contender->head].id;
	int err;

	store_bind_int(store, STORE_TENANT_MESSAGE, 1, id);
	err = store_step(store, STORE_TENANT_MESSAGE);
	if (err < 0)
		return err;
	if (err == 0) /* in the index and not in the table */
		return store_fail_damaged(store, id);
	err = store_found_add(store, found, store->statements[STORE_TENANT_MESSAGE]);
	store_reset(store, STORE_TENANT_MESSAGE);
	if (err < 0)
		return err;
	if (err == 1) {
		found->taken[found->taken_count - 1].tenant = contender->row;
		receive->turn = contender->turn++;
	}
	contender->passed++;
	if (++contender->head < contender->head_count)
		return 0;
	return read_heads(store, receive, contender);
}

/* One message more, or one less in the way. 1; 0: there is nothing, or no room; or an error. */
static int take_next(struct store *store, struct fair_receive *receive)
{
	struct place place = {INT64_MAX, INT64_MAX, INT64_MAX};
	struct contender *contender = first_contender(receive, &place);
	bool plain = receive->has_plain && is_before(&receive->plain, &place);
	int err;

	if (receive->has_next && is_before(&receive->next, plain ? &receive->plain : &place)) {
		if (receive->contender_count == TENANTS_MAX)
			return 0;
		err = add_contender(store, receive);
		if (err == 0)
			err = step_next(store, receive);
	} else if (plain) {
		err = take_plain(store, receive);
	} else if (contender != NULL) {
		err = take_of(store, receive, contender);
	} else {
		return 0;
	}
	return err < 0 ? err : 1;
}

static int find_messages(struct store *store, struct fair_receive *receive)
{
	struct store_found *found = receive->found;
	int err =
		store_walk_plain(store, found->queue, found->now, STORE_FOUND_MAX, &receive->walk);

	if (err < 0)
		return err;
	store_bind_int(store, STORE_TENANTS_READY, 1, found->queue->lane);
	err = step_next(store, receive);
	if (err == 0)
		err = step_plain(receive);
	if (err == 0)
		err = 1;
	while (err == 1 && store_found_wants(found))
		err = take_next(store, receive);
	store_reset(store, STORE_TENANTS_READY);
	/* The row that it stands on was not taken. */
	receive->fresh_id = store_walk_position(&receive->walk)->fresh_id;
	store_walk_end(&receive->walk);
	return err < 0 ? err : 0;
}

static int hide(struct store *store, const struct store_found *found, int64_t visible_ms)
{
	int err = 0;

	for (size_t i = 0; i < found->taken_count && err == 0; i++) {
		err = store_found_hide(store, found, i, visible_ms);
		if (err == 0 && found->taken[i].tenant != 0)
			err = store_tenant_reorder(store, found->taken[i].tenant,
				found->taken[i].visible_ms, found->taken[i].id, visible_ms);
	}
	return err;
}

/*
 * What a tenant has been handed. Once what was taken is hidden, its next visible message is its
 * head.
 */
static int charge_tenant(struct store *store, const struct fair_receive *receive,
	const struct contender *contender, bool hidden)
{
	if (!hidden || contender->head == contender->head_count)
		return store_tenant_charge(store, receive->found->queue, contender->row,
			contender->turn, receive->found->now);
	if (contender->passed == 0)
		return 0;
	return store_tenant_advance(store, contender->row, contender->turn,
		contender->heads[contender->head].visible_ms, contender->heads[contender->head].id);
}

/* Turns of the tenants, and what the queue keeps of this receive. */
static int charge(struct store *store, const struct fair_receive *receive, bool hidden)
{
	struct store_queue *queue = receive->found->queue;
	int err = 0;

	queue->fresh_id = receive->fresh_id;
	queue->turn = receive->turn;
	queue->plain_turn = receive->plain.turn;
	for (size_t i = 0; i < receive->contender_count && err == 0; i++)
		err = charge_tenant(store, receive, &receive->contenders[i], hidden);
	store_count_change(store, queue, 0);
	return err;
}

/* Tenants whose first message has become visible are ready. The number of them, or an error. */
static int promote(struct store *store, const struct store_queue *queue, int64_t now)
{
	int err;

	store_bind_int(store, STORE_TENANTS_PROMOTE, 1, queue->lane);
	store_bind_int(store, STORE_TENANTS_PROMOTE, 2, now);
	store_bind_int(store, STORE_TENANTS_PROMOTE, 3, queue->turn);
	store_bind_int(store, STORE_TENANTS_PROMOTE, 4, PROMOTED_MAX);
	err = store_run(store, STORE_TENANTS_PROMOTE);
	return err < 0 ? err : sqlite3_changes(store->db);
}

int store_fair_receive(struct store *store, struct store_found *found, int64_t visibility_ms,
	struct store_received *ret)
{
	struct store_queue *queue = found->queue;
	struct fair_receive receive = {.found = found, .turn = queue->turn};
	int promoted = promote(store, queue, found->now), err;

	if (promoted < 0)
		return promoted;
	receive.plain.turn = queue->plain_turn > queue->turn ? queue->plain_turn : queue->turn;
	err = find_messages(store, &receive);
	if (err == 0)
		err = hide(store, found, found->now + visibility_ms);
	if (err == 0)
		err = store_found_clear(store, found, ret);
	if (err == 0)
		err = charge(store, &receive, visibility_ms > 0);
	if (err < 0)
		return err;
	ret->more = found->cleared_count == CLEARED_MAX ||
		    (found->taken_count < found->max &&
			    (receive.contender_count == TENANTS_MAX || promoted == PROMOTED_MAX));
	return 0;
}
