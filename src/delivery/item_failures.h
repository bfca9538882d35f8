/*
 * Which messages of a batch failed, as a function says that AWS Lambda calls for a queue:
 * {"batchItemFailures": [{"itemIdentifier": MESSAGE ID}, ...]}.
 *
 * AWS Lambda developer guide, "Handling errors for an SQS event source in Lambda", "Implementing
 * partial batch responses": an empty or null list, and an empty or null answer, is full success;
 * what is no JSON, an itemIdentifier that is empty, null or has another name, and an id that is of
 * none of the messages, is full failure. Pure.
 */
#ifndef DELIVERY_ITEM_FAILURES_H
#define DELIVERY_ITEM_FAILURES_H

#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>

#define ITEM_FAILURES_REASON_SIZE 96

/*
 * Reads the body of a 2xx answer. failed[i] says whether ids[i] is to be tried again; of ids that
 * occur twice both are. `whole` is false when the body was cut: then it is a full failure, whatever
 * it says. `json` is scratch of the caller's.
 *
 * 0. ERR_SYNTAX: a full failure, failed[] is all true, and ret_reason says why, for people, in
 * words of our own. ERR_NOMEM: the same. An answer that is an object without batchItemFailures is
 * full success, as it is to Lambda; but not with an errorMessage in it, which is what Lambda's
 * Invoke answers, with status 200, when the function failed.
 */
int item_failures_read(struct json *json, const char *body, size_t body_bytes, bool whole,
	const char *const ids[], size_t count, bool failed[],
	char ret_reason[ITEM_FAILURES_REASON_SIZE]);

#endif
