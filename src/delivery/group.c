#include "delivery/group.h"

#include "base/hash.h"
#include "delivery/core.h"

#include <stdlib.h>
#include <string.h>

struct list *group_buckets_new(void)
{
	struct list *buckets = calloc(2 * GROUP_BUCKETS, sizeof(*buckets));

	for (size_t i = 0; buckets && i < 2 * GROUP_BUCKETS; i++)
		list_init(&buckets[i]);
	return buckets;
}

static const char *id_of(const struct message *message)
{
	return message->queued->group_id ? message->queued->group_id : "";
}

/* Rows whose ids hash alike share a bucket; they are told apart by the id. */
static struct list *bucket_of(const struct message *message)
{
	const char *id = id_of(message);

	return &message->delivery->groups[hash_bytes(id, strlen(id)) % GROUP_BUCKETS];
}

static bool same_group(const struct message *a, const struct message *b)
{
	return strcmp(id_of(a), id_of(b)) == 0;
}

void group_join(struct message *message)
{
	if (message->delivery->groups)
		list_append(bucket_of(message), &message->group);
}

bool group_is_first(const struct message *message)
{
	const struct list *bucket;

	if (!message->delivery->groups)
		return true;
	bucket = bucket_of(message);
	list_for_each (node, bucket) {
		const struct message *other = list_entry(node, struct message, group);

		if (other == message)
			return true;
		if (same_group(other, message))
			return false;
	}
	return true;
}

void group_leave(struct message *message)
{
	if (list_is_empty(&message->group))
		return;
	list_remove(&message->group);
	message->delivery->groups_moved = true;
}

void group_join_deletes(struct message *message)
{
	if (message->delivery->groups)
		list_append(bucket_of(message) + GROUP_BUCKETS, &message->deletes);
}

bool group_may_delete(const struct message *message, const struct batch_call *call)
{
	const struct list *bucket;

	if (!message->delivery->groups)
		return true;
	bucket = bucket_of(message) + GROUP_BUCKETS;
	list_for_each (node, bucket) {
		const struct message *other = list_entry(node, struct message, deletes);

		if (other == message)
			return true;
		if (other->settle.call != call && same_group(other, message))
			return false;
	}
	return true;
}

void group_return_rest(struct message *message, int64_t delay_ms)
{
	const struct list *bucket;

	if (list_is_empty(&message->group))
		return;
	bucket = bucket_of(message);
	/* From the end, so that none of them has any behind it. */
	for (struct list *node = bucket->prev, *before; node != &message->group; node = before) {
		struct message *other = list_entry(node, struct message, group);

		before = node->prev;
		if (other->state == MESSAGE_RECEIVED && same_group(other, message))
			core_return(other, delay_ms);
	}
}
