/*
 * Keeps the order of message groups: of each group one item at a time is free to go, those behind
 * it are held until it is done. For the producer of a FIFO queue, where two messages of one group
 * that are under way together may arrive in either order, and one that has to be sent again comes
 * behind those that were not. Pure.
 */
#ifndef CAMPAIGN_GROUP_ORDER_H
#define CAMPAIGN_GROUP_ORDER_H

#include "base/list.h"

#include <stdbool.h>
#include <stddef.h>

struct group_order;
struct group;

/* Embedded in what is ordered, which outlives its stay here. */
struct group_item {
	struct list node;
	struct group *group; /* NULL: it is not here */
};

enum group_answer {
	GROUP_FREE,    /* nobody of its group is on its way: go */
	GROUP_HELD,    /* it waits for its turn: group_order_next() gives it back */
	GROUP_BLOCKED, /* one before it was not sent (group_order_block()): it is not here */
};

/* 0 or ERR_NOMEM. */
int group_order_new(struct group_order **ret_order);
/* Items that are held are forgotten. NULL is fine. */
void group_order_free(struct group_order *order);

/* An item arrives; `group` is copied. A group_answer, or ERR_NOMEM. */
int group_order_enter(struct group_order *order, struct group_item *item, const char *group);
/* One that was free is done. The next of its group, which is free now, or NULL. */
struct group_item *group_order_next(struct group_order *order, struct group_item *item);
/* One that was free is not sent, nor shall be those behind it: they come by group_order_take(). */
void group_order_block(struct group_order *order, struct group_item *item);
/* Any that is held and will not be sent, or with `all` any that is held; NULL: there is none. */
struct group_item *group_order_take(struct group_order *order, bool all);

size_t group_order_held(const struct group_order *order);

#endif
