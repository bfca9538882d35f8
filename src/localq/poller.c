#include "localq/poller.h"

#include "bunshin/error.h"
#include "localq/receive.h"
#include "localq/service.h"

#include <stdlib.h>

struct watch {
	struct list node;  /* among the poller's watches */
	struct list awake; /* among those to be looked at; self-linked: is not */
	struct service *service;
	struct store_queue *queue;
	struct list waiters;	  /* calls, first come first */
	struct clock_timer timer; /* when the next hidden message becomes visible */
};

void poller_init(struct poller *poller)
{
	list_init(&poller->watches);
	list_init(&poller->awake);
}

static void wake(struct watch *watch)
{
	struct service *service = watch->service;

	if (!list_is_empty(&watch->awake))
		return;
	list_append(&service->poller.awake, &watch->awake);
	service->wants_flush(service->arg);
}

static void timer_fired(struct clock_timer *timer)
{
	wake(list_entry(timer, struct watch, timer));
}

static void timeout_fired(struct clock_timer *timer)
{
	struct call *call = list_entry(timer, struct call, timeout);

	poller_remove(call);
	service_finish(call->service, call);
}

static struct watch *watch_new(struct service *service, struct store_queue *queue)
{
	struct watch *watch = calloc(1, sizeof(*watch));

	if (watch == NULL)
		return NULL;
	watch->service = service;
	watch->queue = queue;
	watch->timer.fire = timer_fired;
	list_init(&watch->waiters);
	list_init(&watch->awake);
	list_append(&service->poller.watches, &watch->node);
	queue->owner_data = watch;
	return watch;
}

static void watch_free(struct watch *watch)
{
	clock_timer_clear(watch->service->clock, &watch->timer);
	list_remove(&watch->node);
	list_remove(&watch->awake);
	watch->queue->owner_data = NULL;
	free(watch);
}

/*
 * Sets the timer to the next instant at which something becomes visible by itself, after the one at
 * which nothing was found; by now it may be past.
 */
static int arm(struct watch *watch, int64_t looked_ms)
{
	struct service *service = watch->service;
	int64_t now = clock_wall_epoch_ms(service->clock), next;
	int err = store_next_visible(service->store, watch->queue, looked_ms, &next);

	if (err < 0)
		return err;
	clock_timer_clear(service->clock, &watch->timer);
	if (next == INT64_MAX)
		return 0;
	return clock_timer_after(
		service->clock, &watch->timer, next > now ? 1000 * (uint64_t)(next - now) : 0);
}

/* Takes the call off its watch, which may be left with none. */
static void detach(struct call *call)
{
	clock_timer_clear(call->service->clock, &call->timeout);
	list_remove(&call->node);
	call->watch = NULL;
}

void poller_remove(struct call *call)
{
	struct watch *watch = call->watch;

	if (watch == NULL)
		return;
	detach(call);
	if (list_is_empty(&watch->waiters))
		watch_free(watch);
}

int poller_add(struct service *service, struct call *call)
{
	struct watch *watch = call->receive.queue->owner_data;
	int err = 0;

	if (watch == NULL) {
		watch = watch_new(service, call->receive.queue);
		if (watch == NULL)
			return ERR_NOMEM;
		err = arm(watch, call->receive.looked_ms);
	}
	call->timeout.fire = timeout_fired;
	call->watch = watch;
	list_append(&watch->waiters, &call->node);
	if (err == 0)
		err = clock_timer_after(
			service->clock, &call->timeout, (uint64_t)call->receive.wait_us);
	if (err < 0)
		poller_remove(call);
	return err;
}

void poller_wake(struct service *service, struct store_queue *queue)
{
	if (queue->owner_data != NULL)
		wake(queue->owner_data);
}

/* One waiting receive, the watch's first. False: nothing is left for the others. */
static bool serve_first(struct watch *watch, bool *ret_more)
{
	struct service *service = watch->service;
	struct call *call = list_entry(list_first(&watch->waiters), struct call, node);
	struct store_received received = {0};
	enum fault fault = FAULT_NONE;

	/* Nobody could take back what a client that is gone was given. */
	if (call->is_alive(call)) {
		fault = receive_run(call, &received);
		if (fault == FAULT_NONE && received.count == 0) {
			*ret_more = received.more;
			return false;
		}
	}
	detach(call);
	service_finish(service, call);
	return true;
}

static void serve(struct watch *watch)
{
	bool more = false;

	list_remove(&watch->awake);
	if (store_begin(watch->service->store) < 0)
		return; /* the flush finds out and ends every wait */
	while (!list_is_empty(&watch->waiters) && serve_first(watch, &more))
		;
	if (list_is_empty(&watch->waiters)) {
		watch_free(watch);
		return;
	}
	if (more)
		wake(watch);
	else if (arm(watch, list_entry(list_first(&watch->waiters), struct call, node)
				    ->receive.looked_ms) == ERR_NOMEM)
		poller_end(watch->service, watch->queue, FAULT_INTERNAL, "Out of memory.");
}

void poller_serve(struct service *service, struct store_queue *queue)
{
	if (queue->owner_data != NULL)
		serve(queue->owner_data);
}

void poller_serve_awake(struct service *service)
{
	struct list awake;

	/* A watch that is woken again meanwhile has its turn in the next flush. */
	list_init(&awake);
	list_splice(&service->poller.awake, &awake);
	while (!list_is_empty(&awake))
		serve(list_entry(list_first(&awake), struct watch, awake));
}

static void end_watch(struct watch *watch, enum fault fault, const char *message)
{
	struct service *service = watch->service;

	while (!list_is_empty(&watch->waiters)) {
		struct call *call = list_entry(list_first(&watch->waiters), struct call, node);

		detach(call);
		if (fault != FAULT_NONE)
			problem_set(&call->problem, fault, "%s", message);
		service_finish(service, call);
	}
	watch_free(watch);
}

void poller_end(
	struct service *service, struct store_queue *queue, enum fault fault, const char *message)
{
	if (queue != NULL) {
		if (queue->owner_data != NULL)
			end_watch(queue->owner_data, fault, message);
		return;
	}
	list_for_each_safe (node, &service->poller.watches)
		end_watch(list_entry(node, struct watch, node), fault, message);
}
