#include "bunshin/error.h"
#include "localq/store_content.h"
#include "localq/store_private.h"

#include <string.h>

int store_first_sent(
	struct store *store, int64_t from, int64_t end, int64_t *ret_id, int64_t *ret_sent_ms)
{
	sqlite3_stmt *row = store->statements[STORE_OLDEST];
	int err;

	store_bind_int(store, STORE_OLDEST, 1, from);
	store_bind_int(store, STORE_OLDEST, 2, end);
	err = store_step(store, STORE_OLDEST);
	if (err != 1)
		return err;
	*ret_id = sqlite3_column_int64(row, 0);
	*ret_sent_ms = sqlite3_column_int64(row, 1);
	store_reset(store, STORE_OLDEST);
	return 1;
}

/* The first of each half of the lane: the one with the smaller number is older. */
int store_oldest_sent(struct store *store, struct store_queue *queue, int64_t *ret_sent_ms)
{
	int64_t oldest = INT64_MAX;
	int err = store_settle(store);

	*ret_sent_ms = 0;
	for (int timed = 0; timed < 2 && err == 0; timed++) {
		int64_t from = store_id(queue->lane, timed, 0);
		int64_t end = from + ((int64_t)1 << STORE_NUMBER_BITS), id, sent_ms;

		err = store_first_sent(store, from, end, &id, &sent_ms);
		if (err != 1)
			continue;
		err = 0;
		if (store_id_number(id) < oldest) {
			oldest = store_id_number(id);
			*ret_sent_ms = sent_ms;
		}
	}
	return err;
}

int store_peek(struct store *store, struct store_queue *queue, const struct store_position *from,
	store_peek_visit *visit, void *arg)
{
	struct store_peeked peeked;
	struct store_walk walk;
	sqlite3_stmt *row;
	int err = store_settle(store);

	if (err < 0)
		return err;
	err = store_walk_from(store, queue, from, STORE_PEEK_MAX, &walk);
	if (err < 0)
		return err;
	while ((err = store_walk_next(&walk, &row)) == 1) {
		/* What is damaged is passed over here; a receive fails, and says why. */
		if (!store_row_message(row, &peeked.message))
			continue;
		peeked.visible_ms = sqlite3_column_int64(row, 6);
		peeked.position = *store_walk_position(&walk);
		err = visit(arg, &peeked);
		if (err != 0)
			break;
	}
	store_walk_end(&walk);
	return err < 0 ? err : 0;
}
