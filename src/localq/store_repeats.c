/*
 * What a FIFO queue remembers so that what a client repeats happens once: deduplication ids of
 * sends, and what receives with a ReceiveRequestAttemptId were given. Both for STORE_REPEAT_MS,
 * then the sweep takes them.
 */
#include "bunshin/error.h"
#include "localq/store_content.h"
#include "localq/store_private.h"

#include <string.h>

/* One message in an attempt's row: id 8, receives 4; little-endian. */
#define TAKEN_BYTES 12

int store_deduplication_find(struct store *store, const struct store_queue *queue,
	const char *scope, const char *id, int64_t now, struct store_sent *ret)
{
	sqlite3_stmt *row = store->statements[STORE_DEDUPLICATION_FIND];
	int err = store_settle(store);

	if (err < 0)
		return err;
	store_bind_int(store, STORE_DEDUPLICATION_FIND, 1, queue->id);
	store_bind_text(store, STORE_DEDUPLICATION_FIND, 2, scope);
	store_bind_text(store, STORE_DEDUPLICATION_FIND, 3, id);
	store_bind_int(store, STORE_DEDUPLICATION_FIND, 4, now);
	err = store_step(store, STORE_DEDUPLICATION_FIND);
	if (err < 0)
		return err;
	if (err == 0)
		return ERR_NOT_FOUND;
	ret->number = sqlite3_column_int64(row, 1);
	if (sqlite3_column_bytes(row, 0) == 16)
		memcpy(ret->message_id, sqlite3_column_blob(row, 0), 16);
	store_reset(store, STORE_DEDUPLICATION_FIND);
	return 0;
}

int store_deduplication_add(struct store *store, const struct store_queue *queue, const char *scope,
	const char *id, int64_t now, const struct store_sent *sent)
{
	store_bind_int(store, STORE_DEDUPLICATION_PUT, 1, queue->id);
	store_bind_text(store, STORE_DEDUPLICATION_PUT, 2, scope);
	store_bind_text(store, STORE_DEDUPLICATION_PUT, 3, id);
	store_bind_int(store, STORE_DEDUPLICATION_PUT, 4, now + STORE_REPEAT_MS);
	sqlite3_bind_blob(
		store->statements[STORE_DEDUPLICATION_PUT], 5, sent->message_id, 16, SQLITE_STATIC);
	store_bind_int(store, STORE_DEDUPLICATION_PUT, 6, sent->number);
	return store_run(store, STORE_DEDUPLICATION_PUT);
}

static int write_attempt(struct store *store, const struct store_queue *queue, const char *attempt,
	int64_t until_ms, int64_t received_ms, int64_t visible_ms,
	const struct store_received *received)
{
	uint8_t taken[RECEIVE_MAX * TAKEN_BYTES];

	for (size_t i = 0; i < received->count; i++) {
		store_put(taken + i * TAKEN_BYTES, 8, (uint64_t)received->taken[i].id);
		store_put(taken + i * TAKEN_BYTES + 8, 4, received->taken[i].receives);
	}
	store_bind_int(store, STORE_ATTEMPT_PUT, 1, queue->lane);
	store_bind_text(store, STORE_ATTEMPT_PUT, 2, attempt);
	store_bind_int(store, STORE_ATTEMPT_PUT, 3, until_ms);
	store_bind_int(store, STORE_ATTEMPT_PUT, 4, received_ms);
	store_bind_int(store, STORE_ATTEMPT_PUT, 5, visible_ms);
	sqlite3_bind_blob(store->statements[STORE_ATTEMPT_PUT], 6, taken,
		(int)(received->count * TAKEN_BYTES), SQLITE_STATIC);
	return store_run(store, STORE_ATTEMPT_PUT);
}

int store_attempt_add(struct store *store, const struct store_queue *queue, const char *attempt,
	int64_t now, int64_t visibility_ms, const struct store_received *received)
{
	return write_attempt(
		store, queue, attempt, now + STORE_REPEAT_MS, now, now + visibility_ms, received);
}

struct attempt {
	int64_t until_ms, received_ms, visible_ms;
	struct store_received received;
};

/* 0, ERR_NOT_FOUND, or what store_step returns. */
static int read_attempt(struct store *store, const struct store_queue *queue, const char *name,
	int64_t now, struct attempt *ret)
{
	sqlite3_stmt *row = store->statements[STORE_ATTEMPT_FIND];
	const uint8_t *taken;
	int err;

	store_bind_int(store, STORE_ATTEMPT_FIND, 1, queue->lane);
	store_bind_text(store, STORE_ATTEMPT_FIND, 2, name);
	store_bind_int(store, STORE_ATTEMPT_FIND, 3, now);
	err = store_step(store, STORE_ATTEMPT_FIND);
	if (err <= 0)
		return err < 0 ? err : ERR_NOT_FOUND;
	memset(ret, 0, sizeof(*ret));
	ret->until_ms = sqlite3_column_int64(row, 0);
	ret->received_ms = sqlite3_column_int64(row, 1);
	ret->visible_ms = sqlite3_column_int64(row, 2);
	taken = sqlite3_column_blob(row, 3);
	ret->received.count = (size_t)sqlite3_column_bytes(row, 3) / TAKEN_BYTES;
	if (ret->received.count > RECEIVE_MAX)
		ret->received.count = RECEIVE_MAX;
	for (size_t i = 0; i < ret->received.count; i++) {
		ret->received.taken[i].id = (int64_t)store_get(taken + i * TAKEN_BYTES, 8);
		ret->received.taken[i].receives =
			(uint32_t)store_get(taken + i * TAKEN_BYTES + 8, 4);
	}
	store_reset(store, STORE_ATTEMPT_FIND);
	return 0;
}

/*
 * Is the message as the attempt left it: in flight, neither received since nor its visibility
 * changed? With `visit` it is shown. 1: it is; 0: it is not; or an error.
 */
static int look_at(struct store *store, const struct store_queue *queue,
	const struct attempt *attempt, size_t i, int64_t now, store_visit *visit, void *arg)
{
	sqlite3_stmt *row = store->statements[STORE_ATTEMPT_MESSAGE];
	struct store_message message;
	int err;

	store_bind_int(store, STORE_ATTEMPT_MESSAGE, 1, attempt->received.taken[i].id);
	err = store_step(store, STORE_ATTEMPT_MESSAGE);
	if (err <= 0)
		return err;
	err = sqlite3_column_int64(row, 1) == attempt->received.taken[i].receives &&
	      sqlite3_column_int64(row, 6) == attempt->visible_ms && attempt->visible_ms > now &&
	      sqlite3_column_int64(row, 7) == queue->lane;
	if (err == 1 && visit != NULL) {
		int failed = store_read_message(store, row, &message);

		if (failed == 0)
			failed = visit(arg, &message);
		if (failed < 0)
			err = failed;
	}
	store_reset(store, STORE_ATTEMPT_MESSAGE);
	return err;
}

/* Their visibility begins anew, and with it their groups'. */
static int hide_again(
	struct store *store, const struct attempt *attempt, int64_t visible_ms, int64_t now)
{
	int err = 0;

	for (size_t i = 0; i < attempt->received.count && err == 0; i++) {
		int64_t id = attempt->received.taken[i].id;

		store_bind_int(store, STORE_MESSAGE_VISIBILITY, 1, id);
		store_bind_int(store, STORE_MESSAGE_VISIBILITY, 2, visible_ms);
		err = store_run(store, STORE_MESSAGE_VISIBILITY);
		if (err == 0)
			err = store_group_settle_of(store, id, now);
	}
	return err;
}

int store_attempt_repeat(struct store *store, const struct store_queue *queue, const char *name,
	int64_t visibility_ms, int64_t now, int64_t *ret_received_ms, store_visit *visit, void *arg,
	struct store_received *ret)
{
	struct attempt attempt = {.until_ms = 0};
	int err = store_settle(store);

	memset(ret, 0, sizeof(*ret));
	if (err == 0)
		err = read_attempt(store, queue, name, now, &attempt);
	if (err < 0)
		return err;
	for (size_t i = 0; i < attempt.received.count; i++) {
		err = look_at(store, queue, &attempt, i, now, NULL, NULL);
		if (err <= 0)
			return err < 0 ? err : ERR_NOT_FOUND;
	}
	*ret_received_ms = attempt.received_ms;
	for (size_t i = 0; i < attempt.received.count; i++) {
		err = look_at(store, queue, &attempt, i, now, visit, arg);
		if (err < 0)
			return err;
	}
	*ret = attempt.received;
	err = hide_again(store, &attempt, now + visibility_ms, now);
	if (err < 0)
		return err;
	return write_attempt(store, queue, name, attempt.until_ms, attempt.received_ms,
		now + visibility_ms, &attempt.received);
}

int store_repeats_sweep(struct store *store, int64_t now, size_t budget, size_t *swept)
{
	static const enum store_statement statements[] = {
		STORE_DEDUPLICATIONS_SWEEP, STORE_ATTEMPTS_SWEEP};
	int err = 0;

	for (size_t i = 0; i < 2 && err == 0; i++) {
		store_bind_int(store, statements[i], 1, now);
		store_bind_int(store, statements[i], 2, (int64_t)budget);
		err = store_run(store, statements[i]);
		if (err == 0)
			*swept += (size_t)sqlite3_changes(store->db);
	}
	return err;
}
