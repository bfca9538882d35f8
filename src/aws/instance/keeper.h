/*
 * Holds scale-in protection as protection.h wants it, through one of the ways to set it: a setter,
 * which is EC2's or ECS's.
 */
#ifndef AWS_INSTANCE_KEEPER_H
#define AWS_INSTANCE_KEEPER_H

#include "aws/instance/protection.h"
#include "bunshin/clock.h"

#include <stdbool.h>

typedef void protection_set_done(void *arg, int err, const char *reason);

struct protection_setter {
	/* One at a time. 0, and `done` once, from the loop; or an error code, and never. */
	int (*set)(void *impl, bool held, protection_set_done *done, void *arg);
	void (*cancel)(void *impl); /* harmless when nothing is under way */
	void *impl;
};

struct keeper;

/* Borrowed. The callbacks run from the loop; none may free the keeper. */
struct keeper_options {
	struct clock clock;
	struct protection_setter setter;
	int64_t renew_ms;				/* as in struct protection */
	void (*trouble)(void *arg, const char *reason); /* begins; NULL: ended */
	void (*event)(void *arg, const char *what);	/* held, let go */
	void *arg;
};

/* 0 or ERR_NOMEM. */
int keeper_new(const struct keeper_options *options, struct keeper **ret_keeper);
void keeper_busy(struct keeper *keeper, bool busy);
/*
 * Lets it go, and calls `done` once that is so, from the loop; true. Tries again until then.
 * False: it is let go already, and `done` will not be called.
 */
bool keeper_finish(struct keeper *keeper, void (*done)(void *arg), void *arg);
/* What is set stays. Not from inside of a callback; NULL is fine. */
void keeper_free(struct keeper *keeper);

#endif
