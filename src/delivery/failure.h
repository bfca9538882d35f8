/*
 * Why something failed for good: what the failure queue's copy and the outcomes say of it. Private
 * to delivery.
 */
#ifndef DELIVERY_FAILURE_H
#define DELIVERY_FAILURE_H

#include "bunshin/target.h"

#include <stdbool.h>
#include <stddef.h>

#define FAILURE_EXCERPT_MAX 1024 /* bytes of the provider's answer */
#define FAILURE_REQUEST_ID_MAX 256

struct failure {
	unsigned references;
	char *reason;  /* for people; text that SQS takes, as the excerpt */
	char *excerpt; /* of the provider's answer; NULL: none */
	size_t excerpt_bytes;
	bool attempted;	 /* by an attempt; the rest is of that */
	int err, status; /* as struct target_result */
	bool unanswered;
	char *request_id; /* the provider's own, at most FAILURE_REQUEST_ID_MAX bytes; NULL: none */
};

/* Copies; result NULL: there was no attempt. One reference, or NULL: out of memory. */
struct failure *failure_new(const char *reason, const struct target_result *result);
struct failure *failure_ref(struct failure *failure);
/* NULL is fine. */
void failure_unref(struct failure *failure);
/* What it says of the attempt, borrowed; false: there was none. */
bool failure_result(const struct failure *failure, struct target_result *ret_result);

#endif
