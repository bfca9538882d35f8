/*
 * Those who wait for the chain's keys. They are fired from a timer of their own, so that one may
 * free the chain without pulling a provider away from under its own callback.
 */
#ifndef AWS_CREDENTIALS_WAITERS_H
#define AWS_CREDENTIALS_WAITERS_H

#include "aws/credentials.h"

#include <stdbool.h>

struct credentials_waiters;

/* 0 or ERR_NOMEM. */
int credentials_waiters_new(struct clock clock, struct credentials_waiters **ret_waiters);
/*
 * Lets go of all and of itself. May be called from a waiter's `fire`, after which no other is
 * fired. NULL is fine.
 */
void credentials_waiters_close(struct credentials_waiters *waiters);
/* To be fired after the next credentials_waiters_release() or, at_once, when the loop turns. */
void credentials_waiters_add(
	struct credentials_waiters *waiters, struct credentials_waiter *waiter, bool at_once);
void credentials_waiters_release(struct credentials_waiters *waiters);
/* Sets the timer if it should be and is not, which is how want of memory leaves it. */
void credentials_waiters_catch_up(struct credentials_waiters *waiters);

#endif
