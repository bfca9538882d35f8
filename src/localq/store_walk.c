#include "bunshin/error.h"
#include "localq/store_private.h"

static void start(struct store *store, const struct store_queue *queue, int64_t fresh_id,
	enum store_statement which, struct store_walk *ret)
{
	*ret = (struct store_walk){.store = store, .which = which};
	ret->position.fresh_id = fresh_id > queue->fresh_id ? fresh_id : queue->fresh_id;
	store_bind_int(store, STORE_FRESH, 1, ret->position.fresh_id);
	store_bind_int(store, STORE_FRESH, 2, store_id(queue->lane, true, 0));
	store_bind_int(store, which, 1, queue->lane);
}

static int start_visible(struct store *store, struct store_queue *queue, enum store_statement which,
	int64_t now, size_t want, struct store_walk *ret)
{
	int err = store_flights_land(store, queue, INT64_MIN, now, want);

	if (err < 0)
		return err;
	start(store, queue, 0, which, ret);
	store_bind_int(store, which, 2, now);
	return 0;
}

int store_walk_plain(struct store *store, struct store_queue *queue, int64_t now, size_t want,
	struct store_walk *ret)
{
	return start_visible(store, queue, STORE_TIMED_VISIBLE, now, want, ret);
}

int store_walk_visible(struct store *store, struct store_queue *queue, int64_t now, size_t want,
	struct store_walk *ret)
{
	return start_visible(store, queue,
		queue->has_tenants ? STORE_ALL_VISIBLE : STORE_TIMED_VISIBLE, now, want, ret);
}

int store_walk_from(struct store *store, struct store_queue *queue,
	const struct store_position *from, size_t want, struct store_walk *ret)
{
	enum store_statement which = queue->has_tenants ? STORE_ALL_FROM : STORE_TIMED_FROM;
	int err = store_flights_land(store, queue, from->visible_ms, INT64_MAX, want);

	if (err < 0)
		return err;
	start(store, queue, from->fresh_id, which, ret);
	ret->position.visible_ms = from->visible_ms;
	ret->position.receives = from->receives;
	ret->position.id = from->id;
	store_bind_int(store, which, 2, from->visible_ms);
	store_bind_int(store, which, 3, from->receives);
	store_bind_int(store, which, 4, from->id);
	return 0;
}

/* Reads on in one part, and notes where its row is, or would be. */
static int read_part(struct store_walk *walk, struct store_part *part)
{
	bool fresh = part == &walk->fresh;
	enum store_statement which = fresh ? STORE_FRESH : walk->which;
	sqlite3_stmt *row = walk->store->statements[which];
	struct store_position *position = &walk->position;
	int err = store_step(walk->store, which);

	if (part->begun)
		*(fresh ? &position->fresh_id : &position->id) += 1;
	part->begun = true;
	part->has_row = err == 1;
	if (err != 1)
		return err;
	part->visible_ms = sqlite3_column_int64(row, 6);
	if (fresh) {
		position->fresh_id = sqlite3_column_int64(row, 0);
	} else {
		position->visible_ms = part->visible_ms;
		position->receives = sqlite3_column_int64(row, 1);
		position->id = sqlite3_column_int64(row, 0);
	}
	return 0;
}

int store_walk_next(struct store_walk *walk, sqlite3_stmt **ret_row)
{
	struct store_part *fresh = &walk->fresh, *timed = &walk->timed;
	int err = 0;

	if (!timed->begun || (timed->has_row && !walk->at_fresh))
		err = read_part(walk, timed);
	if (err == 0 && (!fresh->begun || (fresh->has_row && walk->at_fresh)))
		err = read_part(walk, fresh);
	if (err < 0)
		return err;
	if (!timed->has_row && !fresh->has_row)
		return 0;
	walk->at_fresh =
		!timed->has_row || (fresh->has_row && fresh->visible_ms <= timed->visible_ms);
	*ret_row = walk->store->statements[walk->at_fresh ? STORE_FRESH : walk->which];
	return 1;
}

const struct store_position *store_walk_position(const struct store_walk *walk)
{
	return &walk->position;
}

int64_t store_walk_end(struct store_walk *walk)
{
	store_reset(walk->store, walk->which);
	store_reset(walk->store, STORE_FRESH);
	return walk->position.fresh_id + (walk->fresh.has_row && walk->at_fresh);
}
