#include "bunshin/error.h"
#include "localq/store_private.h"

#include <stdlib.h>
#include <string.h>

static struct store_queue **bucket(struct store *store, const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (; *name != '\0'; name++)
		hash = (hash ^ (uint8_t)*name) * 16777619u;
	return &store->buckets[hash % STORE_BUCKETS];
}

struct store_queue *store_queue_find(struct store *store, const char *name)
{
	struct store_queue *queue = *bucket(store, name);

	while (queue != NULL && strcmp(queue->name, name) != 0)
		queue = queue->next;
	return queue;
}

static void free_queue(struct store_queue *queue)
{
	queue_attributes_free(&queue->attributes);
	store_flights_free(queue);
	free(queue);
}

void store_queues_free(struct store *store)
{
	store->changed = NULL;
	for (size_t i = 0; i < STORE_BUCKETS; i++) {
		while (store->buckets[i] != NULL) {
			struct store_queue *queue = store->buckets[i];

			store->buckets[i] = queue->next;
			free_queue(queue);
		}
	}
}

static struct store_queue *add_queue(struct store *store, const char *name)
{
	struct store_queue *queue = calloc(1, sizeof(*queue));
	struct store_queue **head = bucket(store, name);

	if (queue == NULL)
		return NULL;
	store_flights_free(queue); /* there are none */
	memcpy(queue->name, name, strlen(name) + 1);
	queue->next = *head;
	*head = queue;
	return queue;
}

static void remove_queue(struct store *store, struct store_queue *queue)
{
	struct store_queue **at = bucket(store, queue->name);

	while (*at != queue)
		at = &(*at)->next;
	*at = queue->next;
	for (at = &store->changed; *at != NULL; at = &(*at)->next_changed) {
		if (*at == queue) {
			*at = queue->next_changed;
			break;
		}
	}
	free_queue(queue);
}

/* What the queue works with, from its attributes. 0 or ERR_NOMEM. */
static int parse_attributes(struct store_queue *queue)
{
	const struct queue_attributes *attributes = &queue->attributes;
	int err;

	queue->visibility_ms =
		1000 * queue_attribute_int(attributes, QUEUE_ATTRIBUTE_VISIBILITY_TIMEOUT);
	queue->delay_ms = 1000 * queue_attribute_int(attributes, QUEUE_ATTRIBUTE_DELAY_SECONDS);
	queue->retention_ms =
		1000 * queue_attribute_int(attributes, QUEUE_ATTRIBUTE_RETENTION_PERIOD);
	queue->is_fifo = queue_attribute_text(attributes, QUEUE_ATTRIBUTE_FIFO_QUEUE) != NULL;
	err = redrive_parse(
		queue_attribute_text(attributes, QUEUE_ATTRIBUTE_REDRIVE_POLICY), &queue->redrive);
	return err == ERR_NOMEM ? ERR_NOMEM : 0;
}

static int load_queues(struct store *store)
{
	sqlite3_stmt *row = store->statements[STORE_LOAD_QUEUES];
	int err;

	while ((err = store_step(store, STORE_LOAD_QUEUES)) == 1) {
		const char *name = (const char *)sqlite3_column_text(row, 1);
		struct store_queue *queue = NULL;

		if (name != NULL && strlen(name) <= TEXT_QUEUE_NAME_MAX)
			queue = add_queue(store, name);
		if (queue == NULL) {
			store_reset(store, STORE_LOAD_QUEUES);
			return ERR_NOMEM;
		}
		queue->id = sqlite3_column_int64(row, 0);
		queue->created_ms = sqlite3_column_int64(row, 2);
		queue->modified_ms = sqlite3_column_int64(row, 3);
		queue->purged_ms = sqlite3_column_int64(row, 4);
		queue->lane = (uint32_t)sqlite3_column_int64(row, 5);
		queue->messages = queue->in_flight_bound = sqlite3_column_int64(row, 6);
		queue->fresh_id = sqlite3_column_int64(row, 7);
		queue->turn = sqlite3_column_int64(row, 8);
		queue->has_tenants = sqlite3_column_int64(row, 9) != 0;
		parse_attributes(queue); /* the defaults so far: cannot fail */
	}
	return err;
}

static int load_attributes(struct store *store)
{
	sqlite3_stmt *row = store->statements[STORE_LOAD_ATTRIBUTES];
	int err;

	while ((err = store_step(store, STORE_LOAD_ATTRIBUTES)) == 1) {
		const char *queue_name = (const char *)sqlite3_column_text(row, 0);
		const char *name = (const char *)sqlite3_column_text(row, 1);
		const char *value = (const char *)sqlite3_column_text(row, 2);
		struct store_queue *queue = NULL;
		enum queue_attribute attribute = QUEUE_ATTRIBUTE_COUNT;

		if (queue_name != NULL && name != NULL) {
			queue = store_queue_find(store, queue_name);
			attribute = queue_attribute_find(name);
		}
		if (queue == NULL || attribute == QUEUE_ATTRIBUTE_COUNT)
			continue;
		err = queue_attribute_set(&queue->attributes, attribute, value);
		if (err == 0)
			err = parse_attributes(queue);
		if (err < 0) {
			store_reset(store, STORE_LOAD_ATTRIBUTES);
			return err;
		}
	}
	return err;
}

static int load_reserved_number(struct store *store)
{
	int64_t stored = 1;
	int err;

	store_bind_text(store, STORE_SETTING_GET, 1, "next_message");
	err = store_step(store, STORE_SETTING_GET);
	if (err < 0)
		return err;
	if (err == 1)
		stored = sqlite3_column_int64(store->statements[STORE_SETTING_GET], 0);
	store_reset(store, STORE_SETTING_GET);
	store->reserved_number = stored;
	if (store->next_number < stored)
		store->next_number = stored;
	return 0;
}

static int load_flights(struct store *store)
{
	int err = 0;

	for (size_t i = 0; i < STORE_BUCKETS; i++)
		for (struct store_queue *queue = store->buckets[i]; queue != NULL && err == 0;
			queue = queue->next)
			err = store_flights_load(store, queue);
	return err;
}

int store_queues_load(struct store *store)
{
	int err = load_queues(store);

	if (err == 0)
		err = load_attributes(store);
	if (err == 0)
		err = load_reserved_number(store);
	if (err == 0)
		err = load_flights(store);
	if (err < 0)
		store_queues_free(store);
	return err;
}

int store_name_reserved_until(struct store *store, const char *name, int64_t *ret_ms)
{
	int err = store_settle(store);

	*ret_ms = 0;
	if (err < 0)
		return err;
	store_bind_text(store, STORE_NAME_RESERVED, 1, name);
	err = store_step(store, STORE_NAME_RESERVED);
	if (err < 0)
		return err;
	if (err == 1)
		*ret_ms = sqlite3_column_int64(store->statements[STORE_NAME_RESERVED], 0);
	store_reset(store, STORE_NAME_RESERVED);
	return 0;
}

static int insert_attributes(
	struct store *store, int64_t queue, const struct queue_attributes *attributes)
{
	int err = 0;

	for (int i = 0; i < QUEUE_ATTRIBUTE_COUNT && err == 0; i++) {
		if (attributes->set[i] == NULL)
			continue;
		store_bind_int(store, STORE_ATTRIBUTE_INSERT, 1, queue);
		store_bind_text(store, STORE_ATTRIBUTE_INSERT, 2,
			queue_attribute_name((enum queue_attribute)i));
		store_bind_text(store, STORE_ATTRIBUTE_INSERT, 3, attributes->set[i]);
		err = store_run(store, STORE_ATTRIBUTE_INSERT);
	}
	return err;
}

/* The first that is free. The database refuses what would be too many. */
static int insert_lane(struct store *store, int64_t queue, uint32_t *ret)
{
	int err = store_step(store, STORE_LANE_FREE);

	if (err != 1)
		return err;
	*ret = (uint32_t)sqlite3_column_int64(store->statements[STORE_LANE_FREE], 0);
	store_reset(store, STORE_LANE_FREE);
	store_bind_int(store, STORE_LANE_INSERT, 1, *ret);
	store_bind_int(store, STORE_LANE_INSERT, 2, queue);
	store_bind_int(store, STORE_LANE_INSERT, 3, store_id(*ret, false, 0));
	return store_run(store, STORE_LANE_INSERT);
}

static int run_with_id(struct store *store, enum store_statement which, int64_t id)
{
	store_bind_int(store, which, 1, id);
	return store_run(store, which);
}

int store_queue_create(struct store *store, const char *name, struct queue_attributes *attributes,
	int64_t now, struct store_queue **ret)
{
	struct store_queue *queue;
	uint32_t lane = 0;
	int64_t id;
	int err = store_settle(store);

	if (err < 0)
		return err;
	store_bind_text(store, STORE_QUEUE_INSERT, 1, name);
	store_bind_int(store, STORE_QUEUE_INSERT, 2, now);
	err = store_run(store, STORE_QUEUE_INSERT);
	if (err < 0)
		return err;
	id = sqlite3_last_insert_rowid(store->db);
	err = insert_lane(store, id, &lane);
	if (err == 0)
		err = insert_attributes(store, id, attributes);
	if (err < 0)
		return err;
	queue = add_queue(store, name);
	if (queue == NULL)
		return store_fail_nomem(store);
	queue->id = id;
	queue->lane = lane;
	queue->fresh_id = store_id(lane, false, 0);
	queue->created_ms = queue->modified_ms = now;
	queue->attributes = *attributes;
	memset(attributes, 0, sizeof(*attributes));
	if (parse_attributes(queue) < 0)
		return store_fail_nomem(store);
	*ret = queue;
	return 0;
}

int store_queue_change(struct store *store, struct store_queue *queue,
	struct queue_attributes *attributes, int64_t now)
{
	int err = store_settle(store);

	if (err == 0)
		err = run_with_id(store, STORE_ATTRIBUTES_DELETE, queue->id);
	if (err == 0)
		err = insert_attributes(store, queue->id, attributes);
	if (err < 0)
		return err;
	store_bind_int(store, STORE_QUEUE_MODIFIED, 2, now);
	err = run_with_id(store, STORE_QUEUE_MODIFIED, queue->id);
	if (err < 0)
		return err;
	queue->modified_ms = now;
	queue_attributes_free(&queue->attributes);
	queue->attributes = *attributes;
	memset(attributes, 0, sizeof(*attributes));
	return parse_attributes(queue) < 0 ? store_fail_nomem(store) : 0;
}

int store_queue_tag(
	struct store *store, struct store_queue *queue, const char *name, const char *value)
{
	int err = store_settle(store);

	if (err < 0)
		return err;
	store_bind_text(store, STORE_TAG_PUT, 2, name);
	store_bind_text(store, STORE_TAG_PUT, 3, value);
	return run_with_id(store, STORE_TAG_PUT, queue->id);
}

int store_queue_untag(struct store *store, struct store_queue *queue, const char *name)
{
	int err = store_settle(store);

	if (err < 0)
		return err;
	store_bind_text(store, STORE_TAG_DELETE, 2, name);
	return run_with_id(store, STORE_TAG_DELETE, queue->id);
}

int store_queue_tags(struct store *store, struct store_queue *queue,
	void (*visit)(void *arg, const char *name, const char *value), void *arg)
{
	sqlite3_stmt *row = store->statements[STORE_TAGS_OF];
	int err = store_settle(store);

	if (err < 0)
		return err;
	store_bind_int(store, STORE_TAGS_OF, 1, queue->id);
	while ((err = store_step(store, STORE_TAGS_OF)) == 1) {
		const char *name = (const char *)sqlite3_column_text(row, 0);
		const char *value = (const char *)sqlite3_column_text(row, 1);

		if (name != NULL && value != NULL)
			visit(arg, name, value);
	}
	return err;
}

int store_queue_delete(
	struct store *store, struct store_queue *queue, int64_t now, int64_t reserve_ms)
{
	int err = store_settle(store);

	if (err == 0)
		err = run_with_id(store, STORE_ATTRIBUTES_DELETE, queue->id);
	if (err == 0)
		err = run_with_id(store, STORE_TAGS_DELETE, queue->id);
	if (err == 0)
		err = run_with_id(store, STORE_LANE_ABANDON, queue->lane);
	if (err == 0)
		err = store_flights_drop(store, queue);
	if (err == 0)
		err = run_with_id(store, STORE_QUEUE_DELETE, queue->id);
	if (err < 0)
		return err;
	store_bind_text(store, STORE_MOVES_DELETE, 1, queue->name);
	err = store_run(store, STORE_MOVES_DELETE);
	if (err < 0)
		return err;
	store_bind_text(store, STORE_NAME_RESERVE, 1, queue->name);
	store_bind_int(store, STORE_NAME_RESERVE, 2, now + reserve_ms);
	err = store_run(store, STORE_NAME_RESERVE);
	if (err == 0)
		remove_queue(store, queue);
	return err;
}

int store_queue_purge(struct store *store, struct store_queue *queue, int64_t now)
{
	uint32_t lane = 0;
	int err = store_settle(store);

	if (err == 0)
		err = run_with_id(store, STORE_LANE_ABANDON, queue->lane);
	if (err == 0)
		err = insert_lane(store, queue->id, &lane);
	if (err < 0)
		return err;
	store_bind_int(store, STORE_QUEUE_PURGED, 2, now);
	err = run_with_id(store, STORE_QUEUE_PURGED, queue->id);
	if (err == 0)
		err = store_flights_drop(store, queue);
	if (err < 0)
		return err;
	queue->lane = lane;
	queue->purged_ms = now;
	queue->messages = queue->in_flight_bound = 0;
	queue->fresh_id = store_id(lane, false, 0);
	queue->has_tenants = false;
	queue->turn = queue->plain_turn = 0;
	return 0;
}

int store_queue_list(struct store *store, const char *prefix, const char *after, size_t limit,
	void (*visit)(void *arg, const char *name), void *arg)
{
	sqlite3_stmt *row = store->statements[STORE_QUEUE_LIST];
	int err = store_settle(store);

	if (err < 0)
		return err;
	store_bind_text(store, STORE_QUEUE_LIST, 1, after);
	store_bind_text(store, STORE_QUEUE_LIST, 2, prefix);
	store_bind_int(store, STORE_QUEUE_LIST, 3, (int64_t)limit);
	while ((err = store_step(store, STORE_QUEUE_LIST)) == 1) {
		const char *name = (const char *)sqlite3_column_text(row, 0);

		if (name != NULL)
			visit(arg, name);
	}
	return err;
}

bool store_queue_feeds(const struct store_queue *queue, const struct store_queue *dead_letters)
{
	return queue != NULL && queue->redrive.max_receives > 0 &&
	       strcmp(queue->redrive.dead_letter_queue, dead_letters->name) == 0;
}

bool store_queue_is_dead_letter(const struct store *store, const struct store_queue *dead_letters)
{
	for (size_t i = 0; i < STORE_BUCKETS; i++) {
		const struct store_queue *queue = store->buckets[i];

		for (; queue != NULL; queue = queue->next)
			if (store_queue_feeds(queue, dead_letters))
				return true;
	}
	return false;
}
