/*
 * The instance in its Auto Scaling group: finds out by the metadata which instance in which region
 * and group this is, and makes the calls to autoscaling.h with that. What is known is kept; what is
 * not is asked for again by the next call.
 * Source: EC2 user guide, "Instance metadata categories"; EC2 Auto Scaling user guide, "Tag Auto
 * Scaling groups and instances" (aws:autoscaling:groupName).
 */
#ifndef AWS_INSTANCE_GROUP_H
#define AWS_INSTANCE_GROUP_H

#include "aws/imds.h"
#include "aws/instance/autoscaling.h"
#include "base/buf.h"

#include <stdbool.h>

struct group;
struct group_call;

struct group_options {
	const struct credentials_context *context;
	struct credentials *credentials;
	struct imds *imds;
	const char *name; /* NULL: the instance's tag says; copied */
	bool allow_insecure_endpoint;
};

/*
 * All borrowed. 0; ERR_NOMEM; or ERR_CONFIG with a sentence in `error`: the endpoint in the
 * settings is none that may be asked.
 */
int group_new(const struct group_options *options, struct group **ret_group, struct buf *error);
/* Cancels; handles close on later turns of the loop. NULL is fine. */
void group_close(struct group *group);

/*
 * As autoscaling_call(), whose codes it hands on; besides, from the metadata, imds_get()'s, where
 * ERR_NOT_FOUND becomes ERR_CONFIG: no instance, or no tag in the metadata. hook: copied; NULL for
 * protection.
 */
int group_call(struct group *group, int kind, const char *hook, autoscaling_done *done, void *arg,
	struct group_call **ret_call);
/* Not for a call whose `done` has begun. */
void group_cancel(struct group_call *call);

#endif
