/*
 * The lifecycle hook of an instance that its group terminates: its time is extended while the work
 * drains, and it is completed in the end, upon which the group goes on to terminate the instance.
 * Source: EC2 Auto Scaling user guide, "Complete a lifecycle action in an Auto Scaling group".
 */
#ifndef AWS_INSTANCE_HOOK_H
#define AWS_INSTANCE_HOOK_H

#include "aws/instance/group.h"

#include <stdbool.h>

#define HOOK_HEARTBEAT_MS 30000
#define HOOK_AGAIN_MS 2000 /* between two tries to complete it */

struct hook;

/* Borrowed but for the name. The callbacks run from the loop; none may free the hook. */
struct hook_options {
	struct clock clock;
	struct group *group;
	const char *name;
	void (*trouble)(void *arg, const char *reason); /* begins; NULL: ended */
	void (*event)(void *arg, const char *what);
	void *arg;
};

/* 0 or ERR_NOMEM. */
int hook_new(const struct hook_options *options, struct hook **ret_hook);
/* The hook's time runs: a heartbeat each 30 s from now on. Harmless after the first. */
void hook_begin(struct hook *hook);
/*
 * Completes it; no heartbeat follows. `done` once, from the loop, when it is completed, or was not
 * under way, or cannot be for good; what is transient is tried again, without end. Once. 0 or
 * ERR_NOMEM, `done` then not being called.
 */
int hook_complete(struct hook *hook, void (*done)(void *arg), void *arg);
void hook_free(struct hook *hook); /* cancels; NULL is fine */

#endif
