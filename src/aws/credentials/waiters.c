#include "aws/credentials/waiters.h"

#include "bunshin/error.h"

#include <stdlib.h>

struct credentials_waiters {
	struct clock clock;
	struct list waiting; /* for the end of what is under way */
	struct list ready;   /* for the loop to turn */
	struct list firing;
	struct clock_timer timer;
	bool is_firing, is_closed;
};

static void move(struct list *from, struct list *to)
{
	while (!list_is_empty(from)) {
		struct list *node = list_first(from);

		list_remove(node);
		list_append(to, node);
	}
}

static void drop(struct list *list)
{
	while (!list_is_empty(list))
		list_remove(list_first(list));
}

static void on_timer(struct clock_timer *timer)
{
	struct credentials_waiters *waiters = list_entry(timer, struct credentials_waiters, timer);

	/* Those that come in the meantime have their turn when the loop has turned. */
	move(&waiters->ready, &waiters->firing);
	waiters->is_firing = true;
	while (!list_is_empty(&waiters->firing)) {
		struct credentials_waiter *waiter =
			list_entry(list_first(&waiters->firing), struct credentials_waiter, node);

		list_remove(&waiter->node);
		waiter->fire(waiter);
	}
	waiters->is_firing = false;
	if (waiters->is_closed)
		free(waiters);
}

int credentials_waiters_new(struct clock clock, struct credentials_waiters **ret_waiters)
{
	struct credentials_waiters *waiters = calloc(1, sizeof(*waiters));

	if (waiters == NULL)
		return ERR_NOMEM;
	waiters->clock = clock;
	list_init(&waiters->waiting);
	list_init(&waiters->ready);
	list_init(&waiters->firing);
	waiters->timer.fire = on_timer;
	*ret_waiters = waiters;
	return 0;
}

void credentials_waiters_close(struct credentials_waiters *waiters)
{
	if (waiters == NULL)
		return;
	drop(&waiters->waiting);
	drop(&waiters->ready);
	drop(&waiters->firing);
	clock_timer_clear(waiters->clock, &waiters->timer);
	waiters->is_closed = true;
	if (!waiters->is_firing)
		free(waiters);
}

void credentials_waiters_add(
	struct credentials_waiters *waiters, struct credentials_waiter *waiter, bool at_once)
{
	credentials_unwait(waiter);
	list_append(at_once ? &waiters->ready : &waiters->waiting, &waiter->node);
	credentials_waiters_catch_up(waiters);
}

void credentials_waiters_release(struct credentials_waiters *waiters)
{
	move(&waiters->waiting, &waiters->ready);
	credentials_waiters_catch_up(waiters);
}

void credentials_waiters_catch_up(struct credentials_waiters *waiters)
{
	if (!list_is_empty(&waiters->ready) && !clock_timer_is_set(&waiters->timer))
		clock_timer_after(waiters->clock, &waiters->timer, 0);
}

void credentials_unwait(struct credentials_waiter *waiter)
{
	if (waiter->node.next != NULL)
		list_remove(&waiter->node);
}
