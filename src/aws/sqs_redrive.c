#include "aws/sqs_redrive.h"

#include "aws/sqs_call.h"
#include "aws/sqs_codec.h"

static int call_new(struct sqs_client *client, enum sqs_operation operation, sqs_redrive_done *done,
	void *arg, struct queue_call **ret_call)
{
	int err = sqs_call_new(client, operation, arg, ret_call);

	if (err == 0)
		(*ret_call)->done.redrive = done;
	return err;
}

/* The three that say no more than which queue or task it is about. */
static int named_call(struct sqs_client *client, enum sqs_operation operation,
	int (*encode)(struct buf *body, const char *name), const char *name, sqs_redrive_done *done,
	void *arg, struct queue_call **ret_call)
{
	struct queue_call *call;
	int err = call_new(client, operation, done, arg, &call);

	if (err != 0)
		return err;
	return sqs_call_send(call, encode(&call->body, name), ret_call);
}

int sqs_describe_queue(struct sqs_client *client, const char *queue_url, sqs_redrive_done *done,
	void *arg, struct queue_call **ret_call)
{
	return named_call(
		client, SQS_DESCRIBE, sqs_encode_describe, queue_url, done, arg, ret_call);
}

int sqs_list_sources(struct sqs_client *client, const char *queue_url, sqs_redrive_done *done,
	void *arg, struct queue_call **ret_call)
{
	return named_call(
		client, SQS_LIST_SOURCES, sqs_encode_list_sources, queue_url, done, arg, ret_call);
}

int sqs_start_move(struct sqs_client *client, const char *source_arn, const char *destination_arn,
	unsigned messages_per_s, sqs_redrive_done *done, void *arg, struct queue_call **ret_call)
{
	struct queue_call *call;
	int err = call_new(client, SQS_START_MOVE, done, arg, &call);

	if (err != 0)
		return err;
	err = sqs_encode_start_move(&call->body, source_arn, destination_arn, messages_per_s);
	return sqs_call_send(call, err, ret_call);
}

int sqs_list_moves(struct sqs_client *client, const char *source_arn, sqs_redrive_done *done,
	void *arg, struct queue_call **ret_call)
{
	return named_call(
		client, SQS_LIST_MOVES, sqs_encode_list_moves, source_arn, done, arg, ret_call);
}

int sqs_cancel_move(struct sqs_client *client, const char *task_handle, sqs_redrive_done *done,
	void *arg, struct queue_call **ret_call)
{
	return named_call(
		client, SQS_CANCEL_MOVE, sqs_encode_cancel_move, task_handle, done, arg, ret_call);
}

int sqs_purge(struct sqs_client *client, const char *queue_url, sqs_redrive_done *done, void *arg,
	struct queue_call **ret_call)
{
	return named_call(client, SQS_PURGE, sqs_encode_purge, queue_url, done, arg, ret_call);
}

static int decode(struct sqs_decoder *decoder, enum sqs_operation operation,
	const struct buf *answer, struct sqs_redrive_answer *ret)
{
	const char *text = buf_string(answer);

	if (operation == SQS_DESCRIBE)
		return sqs_decode_describe(decoder, text, answer->len, ret);
	if (operation == SQS_LIST_SOURCES)
		return sqs_decode_list_sources(decoder, text, answer->len, ret);
	if (operation == SQS_START_MOVE)
		return sqs_decode_start_move(decoder, text, answer->len, ret);
	if (operation == SQS_LIST_MOVES)
		return sqs_decode_list_moves(decoder, text, answer->len, ret);
	if (operation == SQS_CANCEL_MOVE)
		return sqs_decode_cancel_move(decoder, text, answer->len, ret);
	return 0; /* PurgeQueue answers with an empty body or an empty object */
}

void sqs_redrive_complete(struct queue_call *call, struct sqs_decoder *decoder,
	struct sqs_outcome *outcome, const struct buf *answer)
{
	struct sqs_redrive_answer ret = {.task_handle = ""};
	char words[SQS_DETAIL_SIZE];

	if (outcome->err == 0)
		sqs_outcome_fail(call, outcome, decode(decoder, call->operation, answer, &ret),
			answer, words);
	call->done.redrive(call->arg, outcome, outcome->err == 0 ? &ret : NULL);
}
