/*
 * What a FIFO queue asks of a SendMessage and says of a message: groups, deduplication, sequence
 * numbers (SQS API: SendMessage, FIFO queues). On a standard queue a group id is fine (fair
 * queues), a deduplication id is not.
 */
#ifndef LOCALQ_FIFO_H
#define LOCALQ_FIFO_H

#include "base/json.h"
#include "localq/fault.h"
#include "localq/hasher.h"
#include "localq/store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIFO_DEDUPLICATION_BYTES (2 * HASHER_SHA256_BYTES + 1)

/*
 * Reads MessageGroupId, MessageDeduplicationId and what of them the queue wants; message->body is
 * there already. `content_id` is room for the id that stands for the body and outlives the message.
 * MISSING_PARAMETER, INVALID_PARAMETER_VALUE, SERIALIZATION, INTERNAL.
 */
enum fault fifo_read(const struct store_queue *queue, const struct json_value *source,
	struct hasher *hasher, char content_id[FIFO_DEDUPLICATION_BYTES],
	struct store_message *message, struct problem *problem);

/*
 * A batch in which one entry lacks its group id, or its deduplication id where bodies do not stand
 * for it, is refused as a whole. INVALID_PARAMETER_VALUE.
 */
enum fault fifo_check_batch(
	const struct store_queue *queue, const struct json_value *entries, struct problem *problem);

/* "" for the queue, or the message's group: within what a deduplication id counts. */
const char *fifo_scope(const struct store_queue *queue, const struct store_message *message);

/* 20 digits, which rise with the ids of messages. */
#define FIFO_SEQUENCE_BYTES 21
const char *fifo_sequence(int64_t number, char ret[FIFO_SEQUENCE_BYTES]);

/* ReceiveRequestAttemptId, NULL when absent. INVALID_PARAMETER_VALUE, SERIALIZATION. */
enum fault fifo_read_attempt(const struct store_queue *queue, const struct json_value *params,
	const char **ret, struct problem *problem);

#endif
