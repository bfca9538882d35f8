#include "aws/sqs_batch.h"

#include <stdbool.h>
#include <stdlib.h>

struct sqs_batch_pool {
	struct sqs_batch *free;
	size_t free_count;
	size_t out; /* batches that somebody holds */
	bool released;
};

static void batch_destroy(struct sqs_batch *batch)
{
	free(batch->strings);
	free(batch);
}

struct sqs_batch_pool *sqs_batch_pool_new(void)
{
	return calloc(1, sizeof(struct sqs_batch_pool));
}

static void pool_destroy_when_done(struct sqs_batch_pool *pool)
{
	if (pool->released && pool->out == 0)
		free(pool);
}

void sqs_batch_pool_release(struct sqs_batch_pool *pool)
{
	if (pool == NULL)
		return;
	while (pool->free != NULL) {
		struct sqs_batch *batch = pool->free;

		pool->free = batch->next_free;
		batch_destroy(batch);
	}
	pool->released = true;
	pool_destroy_when_done(pool);
}

static void batch_put(struct queue_batch *queue_batch)
{
	struct sqs_batch *batch = (struct sqs_batch *)queue_batch; /* its first member */
	struct sqs_batch_pool *pool = batch->pool;

	pool->out--;
	if (pool->released || pool->free_count == SQS_BATCH_POOL_MAX) {
		batch_destroy(batch);
		pool_destroy_when_done(pool);
		return;
	}
	if (batch->strings_capacity > SQS_BATCH_KEPT_BYTES) {
		free(batch->strings);
		batch->strings = NULL;
		batch->strings_capacity = 0;
	}
	batch->next_free = pool->free;
	pool->free = batch;
	pool->free_count++;
}

struct sqs_batch *sqs_batch_get(struct sqs_batch_pool *pool)
{
	struct sqs_batch *batch = pool->free;

	if (batch != NULL) {
		pool->free = batch->next_free;
		pool->free_count--;
	} else {
		batch = calloc(1, sizeof(*batch));
		if (batch == NULL)
			return NULL;
		batch->pool = pool;
	}
	pool->out++;
	batch->attribute_count = 0;
	batch->batch = (struct queue_batch){
		.messages = batch->messages, .references = 1, .free = batch_put};
	return batch;
}
