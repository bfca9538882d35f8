#include "bunshin/error.h"
#include "localq/store_content.h"
#include "localq/store_private.h"

#include <string.h>

#define NUMBER_BLOCK ((int64_t)1 << 20)

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

/* Binds the message to the parameters from `at` on. */
static void bind_sending(struct store *store, enum store_statement which, int at,
	const struct store_sending *sending)
{
	sqlite3_stmt *row = store->statements[which];

	sqlite3_bind_int64(row, at, sending->id);
	sqlite3_bind_int64(row, at + 1, sending->lane);
	sqlite3_bind_int64(row, at + 2, sending->timed);
	sqlite3_bind_int64(row, at + 3, sending->visible_ms);
	/* Stands for first_received_ms, too, so that what lands leaves the row its size. */
	sqlite3_bind_int64(row, at + 4, sending->sent_ms);
	sqlite3_bind_blob64(row, at + 5, store->content.data + sending->content,
		sending->content_bytes, SQLITE_STATIC);
}

#define SENDING_PARAMETERS 6

static int write_sent(struct store *store)
{
	struct store_gathered *gathered = &store->gathered;
	size_t count = gathered->sent_count;
	bool all = count == STORE_GATHERED_MAX;
	enum store_statement which = all ? STORE_MESSAGES_INSERT : STORE_MESSAGE_INSERT;
	int err = 0;

	gathered->sent_count = 0;
	for (size_t i = 0; i < count && err == 0; i++) {
		bind_sending(store, which, all ? (int)i * SENDING_PARAMETERS + 1 : 1,
			&gathered->sent[i]);
		if (!all || i + 1 == count)
			err = store_run(store, which);
	}
	return err;
}

static int write_deleted(struct store *store)
{
	struct store_gathered *gathered = &store->gathered;
	size_t count = gathered->deleted_count;

	gathered->deleted_count = 0;
	return store_flights_delete(store, gathered->deleted_from, gathered->deleted, count);
}

int store_settle(struct store *store)
{
	int err = store_check(store);

	if (err == 0 && store->gathered.sent_count > 0)
		err = write_sent(store);
	if (err == 0 && store->gathered.deleted_count > 0)
		err = write_deleted(store);
	return err;
}

/* Its content goes behind what is there. */
static int gather_sent(struct store *store, const struct store_sending *sending,
	const struct store_message *message)
{
	struct store_gathered *gathered = &store->gathered;
	struct store_sending *at = &gathered->sent[gathered->sent_count];

	if (gathered->sent_count == 0)
		buf_clear(&store->content);
	*at = *sending;
	at->content = store->content.len;
	if (store_content_write(message, &store->content) < 0)
		return store_fail_nomem(store);
	at->content_bytes = store->content.len - at->content;
	if (++gathered->sent_count == STORE_GATHERED_MAX ||
		store->content.len >= STORE_GATHERED_BYTES)
		return write_sent(store);
	return 0;
}

/* A message of a group, or of a tenant, at once. */
static int insert(struct store *store, struct store_queue *queue,
	const struct store_sending *sending, const struct store_message *message, int64_t now)
{
	enum store_statement which =
		queue->is_fifo ? STORE_FIFO_INSERT : STORE_TENANT_MESSAGE_INSERT;
	struct store_sending written = *sending;
	int64_t row;
	int err = store_settle(store);

	if (err == 0 && queue->is_fifo)
		err = store_group_of(store, queue, message->group_id, sending->visible_ms, &row);
	else if (err == 0)
		err = store_tenant_enter(store, queue, message->group_id, sending->id,
			sending->visible_ms, now, &row);
	if (err < 0)
		return err;
	buf_clear(&store->content);
	if (store_content_write(message, &store->content) < 0)
		return store_fail_nomem(store);
	written.content_bytes = store->content.len;
	bind_sending(store, which, 1, &written);
	if (!queue->is_fifo)
		store_bind_int(store, which, 2, store_tenants_lane(queue));
	store_bind_int(store, which, SENDING_PARAMETERS + 1, row);
	return store_run(store, which);
}

int store_send(struct store *store, struct store_queue *queue, const struct store_message *message,
	int64_t now, int64_t delay_ms, struct store_sent *ret)
{
	bool grouped = queue->is_fifo || message->group_id != NULL;
	struct store_sending sending = {
		.lane = queue->lane,
		.timed = grouped || delay_ms > 0,
		.visible_ms = now + delay_ms,
		.sent_ms = message->sent_ms,
	};
	int err = store_check(store);

	if (err == 0)
		err = store_take_number(store, &ret->number);
	if (err < 0)
		return err;
	memcpy(ret->message_id, message->message_id, 16);
	sending.id = store_id(queue->lane, sending.timed, ret->number);
	err = grouped ? insert(store, queue, &sending, message, now)
		      : gather_sent(store, &sending, message);
	if (err == 0)
		store_count_change(store, queue, 1);
	return err;
}

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

static int gather_deleted(struct store *store, struct store_queue *queue, int64_t id)
{
	struct store_gathered *gathered = &store->gathered;
	int err = 0;

	if (gathered->deleted_count > 0 && gathered->deleted_from != queue)
		err = write_deleted(store);
	gathered->deleted_from = queue;
	gathered->deleted[gathered->deleted_count++] = id;
	if (err == 0 && gathered->deleted_count == STORE_GATHERED_MAX)
		err = write_deleted(store);
	return err;
}

int store_delete(struct store *store, struct store_queue *queue, const struct handle *handle,
	int64_t now, bool *ret_expired)
{
	int err = store_check(store);

	*ret_expired = false;
	if (err < 0 || handle->lane != queue->lane)
		return err;
	if (handle->receives == 1 && store_flights_has(queue, handle->message))
		return gather_deleted(store, queue, handle->message);
	err = store_settle(store);
	if (err < 0)
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
	int err = store_settle(store);

	if (err < 0)
		return err;
	*ret = STORE_CHANGE_GONE;
	err = handle->lane == queue->lane ? store_flight_leave(store, queue, handle->message) : 0;
	if (err < 0)
		return err;
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
