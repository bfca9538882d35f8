/*
 * Scale-in protection of the ECS task that the process is in, by the agent's endpoint
 * ($ECS_AGENT_URI/task-protection/v1/state): unsigned, never through a proxy. What is held ends by
 * itself after an hour, so it is to be asked for again before.
 * Source: ECS developer guide, "Amazon ECS task scale-in protection endpoint".
 */
#ifndef AWS_INSTANCE_TASK_PROTECTION_H
#define AWS_INSTANCE_TASK_PROTECTION_H

#include "aws/credentials/provider.h"
#include "base/buf.h"

#include <stdbool.h>

#define TASK_PROTECTION_MINUTES 60

struct task_protection;

/* context: borrowed. 0; ERR_NOMEM; ERR_CONFIG with a sentence: ECS_AGENT_URI cannot be used. */
int task_protection_new(const struct credentials_context *context,
	struct task_protection **ret_protection, struct buf *error);
/* Cancels. NULL is fine. */
void task_protection_close(struct task_protection *protection);

/*
 * Once, from the loop, never after cancel. err: 0, the transport's, or task_protection_read()'s;
 * reason: "" or a sentence, borrowed.
 */
typedef void task_protection_done(void *arg, int err, const char *reason);

/* One attempt, one at a time. 0, ERR_NOMEM, ERR_LIMIT or ERR_CONFIG. */
int task_protection_set(
	struct task_protection *protection, bool held, task_protection_done *done, void *arg);
/* Harmless when nothing is under way. */
void task_protection_cancel(struct task_protection *protection);

#endif
