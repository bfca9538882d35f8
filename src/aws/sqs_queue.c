#include "aws/sqs_queue.h"

#include "aws/sqs_call.h"
#include "bunshin/error.h"

#include <stdlib.h>
#include <string.h>

/* Ids of receives whose answers were lost. More at once are the older ones' loss. */
#define LOST_MAX 16
#define ID_LIFE_MAX_S 300 /* SQS's deduplication interval of an id */
#define ID_MARGIN_S 1

struct lost_receive {
	struct sqs_receive_id id;
	uint64_t until_us; /* monotonic; it is of no use from then on */
};

struct sqs_queue {
	struct sqs_client *client;
	char *url;
	enum sqs_unwrap unwrap;
	bool all_attributes;
	struct lost_receive lost[LOST_MAX]; /* the oldest first */
	size_t lost_count;
};

int sqs_queue_new(struct sqs_client *client, const char *queue_url, struct sqs_queue **ret_queue)
{
	struct sqs_queue *queue = calloc(1, sizeof(*queue));

	if (queue == NULL)
		return ERR_NOMEM;
	queue->client = client;
	queue->url = strdup(queue_url);
	if (queue->url == NULL) {
		free(queue);
		return ERR_NOMEM;
	}
	*ret_queue = queue;
	return 0;
}

void sqs_queue_free(struct sqs_queue *queue)
{
	if (queue == NULL)
		return;
	free(queue->url);
	free(queue);
}

/* Takes the first `count` entries out. */
static void lost_drop(struct sqs_queue *queue, size_t count)
{
	queue->lost_count -= count;
	memmove(queue->lost, queue->lost + count, queue->lost_count * sizeof(queue->lost[0]));
}

static void lost_keep(struct sqs_queue *queue, const struct queue_call *call)
{
	unsigned life_s = call->receive.visibility_s < ID_LIFE_MAX_S ? call->receive.visibility_s
								     : ID_LIFE_MAX_S;
	uint64_t life_us = life_s > ID_MARGIN_S ? (uint64_t)(life_s - ID_MARGIN_S) * 1000000 : 0;

	if (queue->lost_count == LOST_MAX)
		lost_drop(queue, 1);
	queue->lost[queue->lost_count++] =
		(struct lost_receive){.id = call->id, .until_us = call->id.sent_us + life_us};
}

/* The oldest that is still of use, left where it is, or NULL. */
static const struct sqs_receive_id *lost_first(struct sqs_queue *queue)
{
	uint64_t now_us = clock_monotonic_us(queue->client->clock);
	size_t dead = 0;

	while (dead < queue->lost_count && queue->lost[dead].until_us <= now_us)
		dead++;
	lost_drop(queue, dead);
	return queue->lost_count > 0 ? &queue->lost[0].id : NULL;
}

static void receive_done(void *arg, const struct sqs_outcome *outcome, struct queue_batch *batch)
{
	struct queue_call *call = arg;

	/* Before `done`, which may well receive again. */
	if (call->id.lost && call->id.text[0] != '\0')
		lost_keep(call->queue, call);
	call->queue_done.receive(call->queue_arg, outcome->err, batch, outcome->detail);
}

static void batch_done(
	void *arg, const struct sqs_outcome *outcome, const int results[], size_t count)
{
	struct queue_call *call = arg;

	call->queue_done.batch(call->queue_arg, results, count, outcome->detail);
}

static int queue_receive(void *impl, const struct queue_receive *params, queue_receive_done *done,
	void *arg, struct queue_call **ret_call)
{
	struct sqs_queue *queue = impl;
	const struct sqs_receive_id *id = lost_first(queue);
	struct queue_receive receive = *params;
	struct queue_call *call;
	int err;

	receive.all_attributes |= queue->all_attributes;
	err = sqs_receive_with(queue->client, queue->url, &receive, id, receive_done, NULL, &call);
	if (err != 0)
		return err;
	if (id != NULL)
		lost_drop(queue, 1);
	/* Nothing completes before the loop turns, so there is time to fill these in. */
	call->arg = call;
	call->queue = queue;
	call->unwrap = queue->unwrap;
	call->queue_done.receive = done;
	call->queue_arg = arg;
	*ret_call = call;
	return 0;
}

static int batch_started(int err, struct queue_call *call, queue_batch_done *done, void *arg,
	struct queue_call **ret_call)
{
	if (err != 0)
		return err;
	call->arg = call;
	call->queue_done.batch = done;
	call->queue_arg = arg;
	*ret_call = call;
	return 0;
}

static int queue_delete_batch(void *impl, const char *const receipt_handles[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct sqs_queue *queue = impl;
	struct queue_call *call = NULL;
	int err = sqs_delete_batch(
		queue->client, queue->url, receipt_handles, count, batch_done, NULL, &call);

	return batch_started(err, call, done, arg, ret_call);
}

static int queue_change_visibility_batch(void *impl, const struct queue_visibility entries[],
	size_t count, queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct sqs_queue *queue = impl;
	struct queue_call *call = NULL;
	int err = sqs_change_visibility_batch(
		queue->client, queue->url, entries, count, batch_done, NULL, &call);

	return batch_started(err, call, done, arg, ret_call);
}

static int queue_send_batch(void *impl, const struct queue_send entries[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct sqs_queue *queue = impl;
	struct queue_call *call = NULL;
	int err =
		sqs_send_batch(queue->client, queue->url, entries, count, batch_done, NULL, &call);

	return batch_started(err, call, done, arg, ret_call);
}

static void attributes_done(
	void *arg, const struct sqs_outcome *outcome, const struct queue_attributes *attributes)
{
	struct queue_call *call = arg;

	call->queue_done.attributes(call->queue_arg, outcome->err, attributes, outcome->detail);
}

static int queue_get_attributes(
	void *impl, queue_attributes_done *done, void *arg, struct queue_call **ret_call)
{
	struct sqs_queue *queue = impl;
	struct queue_call *call = NULL;
	int err = sqs_get_attributes(queue->client, queue->url, attributes_done, NULL, &call);

	if (err != 0)
		return err;
	call->arg = call;
	call->queue_done.attributes = done;
	call->queue_arg = arg;
	*ret_call = call;
	return 0;
}

static void queue_cancel(void *impl, struct queue_call *call)
{
	struct sqs_queue *queue = impl;

	sqs_call_cancel(queue->client, call);
}

void sqs_queue_set_unwrap(struct sqs_queue *queue, enum sqs_unwrap unwrap)
{
	queue->unwrap = unwrap;
}

void sqs_queue_set_all_attributes(struct sqs_queue *queue, bool all)
{
	queue->all_attributes = all;
}

struct queue sqs_queue_table(struct sqs_queue *queue)
{
	static const struct queue_ops ops = {
		.receive = queue_receive,
		.delete_batch = queue_delete_batch,
		.change_visibility_batch = queue_change_visibility_batch,
		.send_batch = queue_send_batch,
		.get_attributes = queue_get_attributes,
		.cancel = queue_cancel,
	};

	return (struct queue){.ops = &ops, .impl = queue};
}
