#include "bunshin/error.h"
#include "localq/store_content.h"
#include "localq/store_private.h"

#include <string.h>

/*
 * Rows of other queues that are passed before the queue's own index is walked instead, whose
 * entries cost an eighth of a row.
 */
#define PASSED_MIN 1000
#define ENTRIES_A_ROW 8

void store_oldest_note(struct store_queue *queue, int64_t id)
{
	if (id < queue->oldest_id)
		queue->oldest_id = id;
}

/*
 * Goes on by id from where the last search ended, over the rows of all queues, at most `limit` of
 * them. 1: found; 0: not among these; or an error.
 */
static int search_by_id(
	struct store *store, struct store_queue *queue, int64_t limit, int64_t *ret_sent_ms)
{
	sqlite3_stmt *row = store->statements[STORE_OLDEST_FROM];
	int err;

	store_bind_int(store, STORE_OLDEST_FROM, 1, queue->oldest_id);
	while ((err = store_step(store, STORE_OLDEST_FROM)) == 1 && limit-- > 0) {
		queue->oldest_id = sqlite3_column_int64(row, 0);
		if (sqlite3_column_int64(row, 1) == queue->lane) {
			*ret_sent_ms = sqlite3_column_int64(row, 2);
			store_reset(store, STORE_OLDEST_FROM);
			return 1;
		}
	}
	store_reset(store, STORE_OLDEST_FROM);
	return err < 0 ? err : 0;
}

/* The smallest id in the lane's part of the index; the table is not touched. */
static int search_lane(struct store *store, struct store_queue *queue)
{
	int err;

	store_bind_int(store, STORE_OLDEST_OF_LANE, 1, queue->lane);
	err = store_step(store, STORE_OLDEST_OF_LANE);
	if (err != 1)
		return err;
	queue->oldest_id = sqlite3_column_int64(store->statements[STORE_OLDEST_OF_LANE], 0);
	store_reset(store, STORE_OLDEST_OF_LANE);
	return 0;
}

int store_oldest_sent(struct store *store, struct store_queue *queue, int64_t *ret_sent_ms)
{
	int64_t passed = queue->messages / ENTRIES_A_ROW;
	int err = store_check(store);

	*ret_sent_ms = 0;
	if (err < 0 || queue->messages == 0)
		return err;
	if (passed < PASSED_MIN)
		passed = PASSED_MIN;
	err = search_by_id(store, queue, passed, ret_sent_ms);
	if (err != 0)
		return err < 0 ? err : 0;
	err = search_lane(store, queue);
	if (err == 0)
		err = search_by_id(store, queue, 1, ret_sent_ms);
	return err < 0 ? err : 0;
}

/* False: the row is damaged. */
static bool read_peeked(sqlite3_stmt *row, struct store_peeked *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->message = (struct store_message){
		.id = sqlite3_column_int64(row, 0),
		.receives = (uint32_t)sqlite3_column_int64(row, 1),
		.first_received_ms = sqlite3_column_int64(row, 2),
		.sent_ms = sqlite3_column_int64(row, 3),
		.dead_letter_source = (const char *)sqlite3_column_text(row, 5),
	};
	ret->position.visible_ms = sqlite3_column_int64(row, 6);
	ret->position.receives = ret->message.receives;
	ret->position.id = ret->message.id;
	return store_content_read(
		sqlite3_column_blob(row, 4), (size_t)sqlite3_column_bytes(row, 4), &ret->message);
}

int store_peek(struct store *store, struct store_queue *queue, const struct store_position *from,
	store_peek_visit *visit, void *arg)
{
	struct store_peeked peeked;
	int err = store_check(store);

	if (err < 0)
		return err;
	store_bind_int(store, STORE_PEEK, 1, queue->lane);
	store_bind_int(store, STORE_PEEK, 2, from->visible_ms);
	store_bind_int(store, STORE_PEEK, 3, from->receives);
	store_bind_int(store, STORE_PEEK, 4, from->id);
	while ((err = store_step(store, STORE_PEEK)) == 1) {
		/* What is damaged is passed over here; a receive fails, and says why. */
		if (!read_peeked(store->statements[STORE_PEEK], &peeked))
			continue;
		err = visit(arg, &peeked);
		if (err != 0)
			break;
	}
	store_reset(store, STORE_PEEK);
	return err < 0 ? err : 0;
}
