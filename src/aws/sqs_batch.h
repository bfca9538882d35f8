/*
 * The memory of received messages: one block a batch, with every array that SQS's quotas allow in
 * it, and one area of strings that the JSON reader has unescaped the answer into. Freed batches go
 * back to a pool, so a receive in steady state allocates nothing.
 */
#ifndef AWS_SQS_BATCH_H
#define AWS_SQS_BATCH_H

#include "aws/uuid.h"
#include "bunshin/queue.h"

#include <stddef.h>

#define SQS_BATCH_POOL_MAX 64			  /* free batches kept */
#define SQS_REFUSAL_SIZE 256			  /* why a message is refused, with its NUL */
#define SQS_BATCH_KEPT_BYTES ((size_t)256 * 1024) /* a larger area of strings is not kept */

struct sqs_batch_pool;

struct sqs_batch {
	struct queue_batch batch; /* first: what everybody else sees */
	struct sqs_batch_pool *pool;
	struct sqs_batch *next_free;
	char *strings; /* malloc'ed; the messages' pointers go in here, or into the arrays below */
	size_t strings_capacity;
	size_t attribute_count;
	struct queue_message messages[QUEUE_BATCH_MAX];
	struct queue_attribute attributes[QUEUE_BATCH_MAX * QUEUE_ATTRIBUTES_MAX];
	char keys[QUEUE_BATCH_MAX][UUID_TEXT_SIZE]; /* idempotency keys made here */
	char refusals[QUEUE_BATCH_MAX][SQS_REFUSAL_SIZE];
};

/* NULL: out of memory. */
struct sqs_batch_pool *sqs_batch_pool_new(void);
/* The owner lets go; the pool lives on until the last batch out of it is freed. NULL is fine. */
void sqs_batch_pool_release(struct sqs_batch_pool *pool);
/* An empty batch with one reference, or NULL: out of memory. */
struct sqs_batch *sqs_batch_get(struct sqs_batch_pool *pool);

#endif
