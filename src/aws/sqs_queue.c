#include "aws/sqs_queue.h"

#include "aws/sqs_call.h"
#include "bunshin/error.h"

#include <stdlib.h>
#include <string.h>

struct sqs_queue {
	struct sqs_client *client;
	char *url;
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

static void receive_done(void *arg, const struct sqs_outcome *outcome, struct queue_batch *batch)
{
	struct queue_call *call = arg;

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
	struct queue_call *call;
	int err = sqs_receive(queue->client, queue->url, params, receive_done, NULL, &call);

	if (err != 0)
		return err;
	/* Nothing completes before the loop turns, so there is time to fill these in. */
	call->arg = call;
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

static void queue_cancel(void *impl, struct queue_call *call)
{
	struct sqs_queue *queue = impl;

	sqs_call_cancel(queue->client, call);
}

struct queue sqs_queue_table(struct sqs_queue *queue)
{
	static const struct queue_ops ops = {
		.receive = queue_receive,
		.delete_batch = queue_delete_batch,
		.change_visibility_batch = queue_change_visibility_batch,
		.send_batch = queue_send_batch,
		.cancel = queue_cancel,
	};

	return (struct queue){.ops = &ops, .impl = queue};
}
