#include "campaign/group_order.h"

#include "base/hash.h"
#include "bunshin/error.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN 64

/* A group of which an item is free, or that is blocked. */
struct group {
	struct group *chain;
	uint64_t hash;
	struct list held;    /* items, in order */
	struct list holding; /* in order->holding while there are any */
	bool blocked;
	char name[];
};

struct group_order {
	struct group **buckets; /* a power of two */
	size_t bucket_count, group_count, held;
	struct list holding; /* groups */
	struct list doomed;  /* items that were held behind one that was not sent */
};

int group_order_new(struct group_order **ret_order)
{
	struct group_order *order = calloc(1, sizeof(*order));

	if (order)
		order->buckets = calloc(BUCKETS_MIN, sizeof(struct group *));
	if (!order || !order->buckets) {
		free(order);
		return ERR_NOMEM;
	}
	order->bucket_count = BUCKETS_MIN;
	list_init(&order->holding);
	list_init(&order->doomed);
	*ret_order = order;
	return 0;
}

void group_order_free(struct group_order *order)
{
	if (!order)
		return;
	for (size_t i = 0; i < order->bucket_count; i++) {
		struct group *group, *next;

		for (group = order->buckets[i]; group; group = next) {
			next = group->chain;
			free(group);
		}
	}
	free(order->buckets);
	free(order);
}

static struct group **bucket_of(struct group_order *order, uint64_t hash)
{
	return &order->buckets[hash & (order->bucket_count - 1)];
}

/* Without memory for it the chains get longer. */
static void grow(struct group_order *order)
{
	size_t before = order->bucket_count;
	struct group **old = order->buckets, **buckets;

	if (order->group_count < before)
		return;
	buckets = calloc(2 * before, sizeof(struct group *));
	if (!buckets)
		return;
	order->buckets = buckets;
	order->bucket_count = 2 * before;
	for (size_t i = 0; i < before; i++) {
		struct group *group, *next;

		for (group = old[i]; group; group = next) {
			struct group **bucket = bucket_of(order, group->hash);

			next = group->chain;
			group->chain = *bucket;
			*bucket = group;
		}
	}
	free(old);
}

static struct group *find(struct group_order *order, uint64_t hash, const char *name)
{
	struct group *group = *bucket_of(order, hash);

	while (group && (group->hash != hash || strcmp(group->name, name) != 0))
		group = group->chain;
	return group;
}

static struct group *add(struct group_order *order, uint64_t hash, const char *name, size_t len)
{
	struct group *group = malloc(sizeof(*group) + len + 1);
	struct group **bucket;

	if (!group)
		return NULL;
	grow(order);
	bucket = bucket_of(order, hash);
	group->chain = *bucket;
	group->hash = hash;
	group->blocked = false;
	list_init(&group->held);
	list_init(&group->holding);
	memcpy(group->name, name, len + 1);
	*bucket = group;
	order->group_count++;
	return group;
}

static void forget(struct group_order *order, struct group *group)
{
	struct group **link = bucket_of(order, group->hash);

	while (*link != group)
		link = &(*link)->chain;
	*link = group->chain;
	order->group_count--;
	free(group);
}

int group_order_enter(struct group_order *order, struct group_item *item, const char *name)
{
	size_t len = strlen(name);
	uint64_t hash = hash_bytes(name, len);
	struct group *group = find(order, hash, name);

	list_init(&item->node);
	item->group = NULL;
	if (group && group->blocked)
		return GROUP_BLOCKED;
	if (!group) {
		item->group = add(order, hash, name, len);
		return item->group ? GROUP_FREE : ERR_NOMEM;
	}
	if (list_is_empty(&group->held))
		list_append(&order->holding, &group->holding);
	list_append(&group->held, &item->node);
	item->group = group;
	order->held++;
	return GROUP_HELD;
}

static struct group_item *take_held(struct group_order *order, struct group *group)
{
	struct group_item *item = list_entry(list_first(&group->held), struct group_item, node);

	list_remove(&item->node);
	if (list_is_empty(&group->held))
		list_remove(&group->holding);
	order->held--;
	return item;
}

struct group_item *group_order_next(struct group_order *order, struct group_item *item)
{
	struct group *group = item->group;

	item->group = NULL;
	if (!list_is_empty(&group->held))
		return take_held(order, group);
	forget(order, group);
	return NULL;
}

void group_order_block(struct group_order *order, struct group_item *item)
{
	struct group *group = item->group;

	item->group = NULL;
	group->blocked = true;
	while (!list_is_empty(&group->held)) {
		struct group_item *held = take_held(order, group);

		held->group = NULL;
		list_append(&order->doomed, &held->node);
		order->held++;
	}
}

struct group_item *group_order_take(struct group_order *order, bool all)
{
	struct list *node = list_first(&order->doomed);
	struct group_item *item = NULL;

	if (node) {
		item = list_entry(node, struct group_item, node);
		list_remove(node);
		order->held--;
	} else if (all && !list_is_empty(&order->holding)) {
		item = take_held(
			order, list_entry(list_first(&order->holding), struct group, holding));
		item->group = NULL;
	}
	return item;
}

size_t group_order_held(const struct group_order *order)
{
	return order->held;
}
