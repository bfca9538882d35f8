/*
 * RedrivePolicy, where messages go that were received too often, and RedriveAllowPolicy, whose
 * messages a dead-letter queue takes.
 */
#ifndef LOCALQ_REDRIVE_H
#define LOCALQ_REDRIVE_H

#include "localq/fault.h"
#include "localq/text.h"

#include <stdbool.h>

/* "arn:aws:sqs:region:account:name": the name, which lies in `arn`; or NULL: it is none. */
const char *queue_arn_name(const char *arn);

/* A redrive policy; max_receives 0: none. */
struct redrive {
	unsigned max_receives;
	char dead_letter_queue[TEXT_QUEUE_NAME_MAX + 1];
};

/* What `text` (NULL or "": none) says. 0; ERR_SYNTAX: it is not a redrive policy; ERR_NOMEM. */
int redrive_parse(const char *text, struct redrive *ret);

/*
 * A policy that is being set ("": none). Stricter than redrive_parse, which also reads what was
 * stored. INVALID_ATTRIBUTE_VALUE, INVALID_PARAMETER_VALUE, INTERNAL; the words are SQS's.
 */
enum fault redrive_check(const char *text, struct problem *problem);
enum fault redrive_check_allow(const char *text, struct problem *problem);

/* The refusal of a redrive policy for this reason, which is whole however long the policy is. */
enum fault redrive_refuse(struct problem *problem, const char *text, const char *reason);

/*
 * May the queue with this ARN name a queue with this RedriveAllowPolicy (NULL: none) as its
 * dead-letter queue? Without memory to find out: no.
 */
bool redrive_is_allowed(const char *policy, const char *source_arn);

#endif
