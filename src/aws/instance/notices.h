/*
 * Watches for the end of an EC2 instance by its metadata, every 5 s, as AWS recommends: a spot
 * interruption (terminate, stop, hibernate), and the Auto Scaling group's wish to terminate it. A
 * recommendation to rebalance is only told: it is no end.
 * Sources: notices_codec.h.
 *
 * A failure of the metadata is never a reason to leave: it is told once, and the time between two
 * rounds doubles up to a minute until a round succeeds. After a spot notice the group's wish is
 * watched on, for the lifecycle hook's sake.
 */
#ifndef AWS_INSTANCE_NOTICES_H
#define AWS_INSTANCE_NOTICES_H

#include "aws/imds.h"
#include "bunshin/clock.h"

#include <stdbool.h>

#define NOTICES_POLL_MS 5000
#define NOTICES_POLL_MOST_MS 60000
#define NOTICES_LIFECYCLE_PATH "/latest/meta-data/autoscaling/target-lifecycle-state"

struct notices;

/* Borrowed. All from the loop; none may free the notices, each may stop them. */
struct notices_options {
	struct clock clock;
	struct imds *imds;
	void (*leave)(void *arg, const char *why);	/* at most once */
	void (*terminating)(void *arg);			/* at most once, before that `leave` */
	void (*trouble)(void *arg, const char *reason); /* begins; NULL: ended */
	void (*event)(void *arg, const char *what);
	void *arg;
};

/* 0 or ERR_NOMEM. The first round begins when the loop turns. */
int notices_new(const struct notices_options *options, struct notices **ret_notices);
/* No callback follows. */
void notices_stop(struct notices *notices);
void notices_free(struct notices *notices); /* stops; NULL is fine */

#endif
