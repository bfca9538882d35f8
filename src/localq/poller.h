/*
 * Waiting receives (long polls): first come, first served, per queue.
 *
 * A queue that receives wait on is watched. It is looked at again, in the next flush, when
 * something may have become visible: poller_wake() after a send or a change, and by a timer at the
 * end of the next delay or visibility timeout.
 */
#ifndef LOCALQ_POLLER_H
#define LOCALQ_POLLER_H

#include "base/list.h"
#include "localq/fault.h"
#include "localq/store.h"

struct service;
struct call;

struct poller {
	struct list watches; /* of queues with waiting receives */
	struct list awake;   /* those of them to be looked at in the next flush */
};

void poller_init(struct poller *poller);

/* Parks a call that found nothing. Returns 0 or ERR_NOMEM, or ERR_STORE. */
int poller_add(struct service *service, struct call *call);
/* Takes a call out again, unanswered; harmless when it does not wait. */
void poller_remove(struct call *call);
/* Something may have become visible in the queue, or will sooner than known. */
void poller_wake(struct service *service, struct store_queue *queue);
/* Gives those who wait on this queue what there is, now, before somebody else takes it. */
void poller_serve(struct service *service, struct store_queue *queue);
/* Serves every queue that was woken. */
void poller_serve_awake(struct service *service);
/* Ends all waits of the queue with this fault (and the message), or (queue NULL) of all queues;
 * FAULT_NONE: with an empty answer. */
void poller_end(
	struct service *service, struct store_queue *queue, enum fault fault, const char *message);

#endif
