#include "localq/fifo.h"

#include "base/hex.h"
#include "localq/params.h"
#include "localq/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Numbers of messages are far below 8.4e18. */
#define SEQUENCE_BASE UINT64_C(10000000000000000000)

static enum fault check_id(const char *name, const char *value, struct problem *problem)
{
	if (value == NULL || text_is_group_id(value, strlen(value)))
		return FAULT_NONE;
	return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
		"Value %s for parameter %s is invalid. Reason: %s can only include alphanumeric "
		"and punctuation characters. 1 to 128 in length.",
		value, name, name);
}

static enum fault unfit(const char *name, const char *value, struct problem *problem)
{
	return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
		"Value %s for parameter %s is invalid. Reason: The request include parameter that "
		"is not valid for this queue type.",
		value, name);
}

static bool deduplicates_by_content(const struct store_queue *queue)
{
	const char *by_content =
		queue_attribute_text(&queue->attributes, QUEUE_ATTRIBUTE_CONTENT_DEDUPLICATION);

	return by_content != NULL && strcmp(by_content, "true") == 0;
}

/* What a message of a FIFO queue cannot do without; `no_group` is the fault that SQS has for it. */
static enum fault check_presence(const struct store_queue *queue, const struct json_value *source,
	enum fault no_group, struct problem *problem)
{
	if (params_member(source, "MessageGroupId") == NULL)
		return problem_set(problem, no_group,
			"The request must contain the parameter MessageGroupId.");
	if (params_member(source, "MessageDeduplicationId") == NULL &&
		!deduplicates_by_content(queue))
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"The queue should either have ContentBasedDeduplication enabled or "
			"MessageDeduplicationId provided explicitly");
	return FAULT_NONE;
}

enum fault fifo_check_batch(
	const struct store_queue *queue, const struct json_value *entries, struct problem *problem)
{
	const struct json_value *entry;
	enum fault fault = FAULT_NONE;

	if (!queue->is_fifo)
		return FAULT_NONE;
	PARAMS_EACH(entry, entries)
	{
		if (fault == FAULT_NONE)
			fault = check_presence(
				queue, entry, FAULT_INVALID_PARAMETER_VALUE, problem);
	}
	return fault;
}

/* The SHA-256 of the body. */
static enum fault name_by_content(struct hasher *hasher, char content_id[FIFO_DEDUPLICATION_BYTES],
	struct store_message *message, struct problem *problem)
{
	uint8_t digest[HASHER_SHA256_BYTES];

	if (hasher_sha256(hasher, message->body, message->body_bytes, digest) < 0)
		return problem_set(problem, FAULT_INTERNAL, "Out of memory.");
	hex_print(digest, sizeof(digest), content_id);
	message->deduplication_id = content_id;
	return FAULT_NONE;
}

enum fault fifo_read(const struct store_queue *queue, const struct json_value *source,
	struct hasher *hasher, char content_id[FIFO_DEDUPLICATION_BYTES],
	struct store_message *message, struct problem *problem)
{
	enum fault fault = params_text(source, "MessageGroupId", &message->group_id, problem);

	if (fault == FAULT_NONE)
		fault = params_text(
			source, "MessageDeduplicationId", &message->deduplication_id, problem);
	if (fault == FAULT_NONE)
		fault = check_id("MessageGroupId", message->group_id, problem);
	if (fault == FAULT_NONE)
		fault = check_id("MessageDeduplicationId", message->deduplication_id, problem);
	if (fault != FAULT_NONE)
		return fault;
	if (!queue->is_fifo)
		return message->deduplication_id == NULL
			       ? FAULT_NONE
			       : unfit("MessageDeduplicationId", message->deduplication_id,
					 problem);
	fault = check_presence(queue, source, FAULT_MISSING_PARAMETER, problem);
	if (fault == FAULT_NONE && message->deduplication_id == NULL)
		fault = name_by_content(hasher, content_id, message, problem);
	return fault;
}

const char *fifo_scope(const struct store_queue *queue, const struct store_message *message)
{
	const char *scope =
		queue_attribute_text(&queue->attributes, QUEUE_ATTRIBUTE_DEDUPLICATION_SCOPE);

	return scope != NULL && strcmp(scope, "messageGroup") == 0 ? message->group_id : "";
}

const char *fifo_sequence(int64_t number, char ret[FIFO_SEQUENCE_BYTES])
{
	snprintf(ret, FIFO_SEQUENCE_BYTES, "%" PRIu64, SEQUENCE_BASE + (uint64_t)number);
	return ret;
}

enum fault fifo_read_attempt(const struct store_queue *queue, const struct json_value *params,
	const char **ret, struct problem *problem)
{
	enum fault fault = params_text(params, "ReceiveRequestAttemptId", ret, problem);

	if (fault != FAULT_NONE || *ret == NULL)
		return fault;
	if (!queue->is_fifo)
		return unfit("ReceiveRequestAttemptId", *ret, problem);
	return check_id("ReceiveRequestAttemptId", *ret, problem);
}
