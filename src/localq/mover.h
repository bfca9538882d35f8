/*
 * Message move tasks at work: a timer that moves a slice of every running task, as long as there is
 * one. What a task is and has done lies in the store (store.h), so a task goes on after a restart.
 *
 * A slice is part of the turn's transaction: a message leaves its queue, arrives in the other, and
 * is counted, at once or not at all, whenever the process dies.
 */
#ifndef LOCALQ_MOVER_H
#define LOCALQ_MOVER_H

#include "bunshin/clock.h"

struct service;

struct mover {
	struct clock_timer timer;
};

void mover_init(struct service *service);
/* Goes on with what is in the store, if there is something. 0, ERR_NOMEM or ERR_STORE. */
int mover_resume(struct service *service);
void mover_close(struct service *service);
/* A task was started or cancelled. 0 or ERR_NOMEM: then the next mover_resume() does it. */
int mover_wake(struct service *service);

#endif
