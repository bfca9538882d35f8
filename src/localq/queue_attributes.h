/*
 * The attributes of a queue: one table of names, kinds, ranges and defaults. Values are kept as
 * the text that was set; the ones that the queue works with are also kept parsed.
 */
#ifndef LOCALQ_QUEUE_ATTRIBUTES_H
#define LOCALQ_QUEUE_ATTRIBUTES_H

#include "localq/fault.h"
#include "localq/text.h"

#include "base/json.h"
#include <stdbool.h>
#include <stdint.h>

/* X(id, name, kind, min, max, default): the settable ones. No default: absent until set. */
#define QUEUE_ATTRIBUTE_LIST(X)                                                          \
	X(VISIBILITY_TIMEOUT, "VisibilityTimeout", INTEGER, 0, 43200, "30")              \
	X(DELAY_SECONDS, "DelaySeconds", INTEGER, 0, 900, "0")                           \
	X(MAXIMUM_MESSAGE_SIZE, "MaximumMessageSize", INTEGER, 1024, 1048576, "1048576") \
	X(RETENTION_PERIOD, "MessageRetentionPeriod", INTEGER, 60, 1209600, "345600")    \
	X(WAIT_TIME_SECONDS, "ReceiveMessageWaitTimeSeconds", INTEGER, 0, 20, "0")       \
	X(POLICY, "Policy", JSON, 0, 0, NULL)                                            \
	X(REDRIVE_POLICY, "RedrivePolicy", REDRIVE, 0, 0, NULL)                          \
	X(REDRIVE_ALLOW_POLICY, "RedriveAllowPolicy", ALLOW, 0, 0, NULL)                 \
	X(KMS_KEY, "KmsMasterKeyId", TEXT, 0, 0, NULL)                                   \
	X(KMS_REUSE_PERIOD, "KmsDataKeyReusePeriodSeconds", INTEGER, 60, 86400, NULL)    \
	X(SSE, "SqsManagedSseEnabled", BOOLEAN, 0, 0, "true")                            \
	X(FIFO_QUEUE, "FifoQueue", BOOLEAN, 0, 0, NULL)                                  \
	X(CONTENT_DEDUPLICATION, "ContentBasedDeduplication", BOOLEAN, 0, 0, NULL)       \
	X(DEDUPLICATION_SCOPE, "DeduplicationScope", SCOPE, 0, 0, NULL)                  \
	X(THROUGHPUT_LIMIT, "FifoThroughputLimit", THROUGHPUT, 0, 0, NULL)

#define QUEUE_POLICY_BYTES_MAX 8192 /* SQS quotas: policies */

enum queue_attribute {
#define X(id, name, kind, min, max, default) QUEUE_ATTRIBUTE_##id,
	QUEUE_ATTRIBUTE_LIST(X)
#undef X
		QUEUE_ATTRIBUTE_COUNT,
};

/* A queue's own values; NULL where the default holds. Owned strings. */
struct queue_attributes {
	char *set[QUEUE_ATTRIBUTE_COUNT];
};

void queue_attributes_free(struct queue_attributes *attributes);
const char *queue_attribute_name(enum queue_attribute attribute);
/* QUEUE_ATTRIBUTE_COUNT when there is no settable attribute of this name. */
enum queue_attribute queue_attribute_find(const char *name);
/* The value that holds, or NULL when there is neither one set nor a default. */
const char *queue_attribute_text(
	const struct queue_attributes *attributes, enum queue_attribute attribute);
/* Of an INTEGER attribute with a default. */
int64_t queue_attribute_int(
	const struct queue_attributes *attributes, enum queue_attribute attribute);
/* Copies; "" or NULL goes back to the default. Returns 0 or ERR_NOMEM. */
int queue_attribute_set(
	struct queue_attributes *attributes, enum queue_attribute attribute, const char *value);

/* One of those that only FIFO queues have. */
bool queue_attribute_is_fifo(enum queue_attribute attribute);

/*
 * Reads an Attributes map (NULL: nothing) of CreateQueue or SetQueueAttributes on top of what is
 * in `into`, for a FIFO queue or a standard one. *ret_given has a bit for each attribute in the
 * map. On a fault `into` may hold part of it. INVALID_ATTRIBUTE_NAME, INVALID_ATTRIBUTE_VALUE,
 * INVALID_PARAMETER_VALUE (redrive policy), SERIALIZATION, INTERNAL.
 */
enum fault queue_attributes_read(const struct json_value *map, bool fifo,
	struct queue_attributes *into, uint32_t *ret_given, struct problem *problem);
/* Gives a new FIFO queue the values of what was not set. 0 or ERR_NOMEM. */
int queue_attributes_complete_fifo(struct queue_attributes *attributes);

/* What a value may be, for people: "a whole number from 0 to 43200". */
#define QUEUE_ATTRIBUTE_EXPECTED_MAX 128
const char *queue_attribute_expected(
	enum queue_attribute attribute, char ret[QUEUE_ATTRIBUTE_EXPECTED_MAX]);

#endif
