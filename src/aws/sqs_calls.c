/* The operations: each writes its body, and reads its answer back when the call is done. */
#include "aws/sqs_call.h"
#include "aws/sqs_codec.h"
#include "aws/sqs_queue.h"
#include "bunshin/error.h"

#include <string.h>

static void id_make(struct queue_call *call)
{
	struct clock clock = call->client->clock;

	call->id.lost = false;
	uuid_v4(clock_random(clock), clock_random(clock), call->id.text);
}

int sqs_receive_renew_id(struct queue_call *call)
{
	id_make(call);
	buf_clear(&call->body);
	return sqs_encode_receive(
		&call->body, buf_string(&call->queue_url), &call->receive, call->id.text);
}

int sqs_receive_with(struct sqs_client *client, const char *queue_url,
	const struct queue_receive *params, const struct sqs_receive_id *id, sqs_receive_done *done,
	void *arg, struct queue_call **ret_call)
{
	struct queue_call *call;
	int err = sqs_call_new(client, SQS_RECEIVE, arg, &call);

	if (err != 0)
		return err;
	call->fifo = sqs_queue_url_is_fifo(queue_url);
	call->done.receive = done;
	call->receive = *params;
	call->unwrap = SQS_UNWRAP_NONE;
	call->timeout_ms = (int64_t)params->wait_s * 1000 + SQS_POLL_SLACK_MS;
	if (id != NULL)
		call->id = *id;
	else if (call->fifo)
		id_make(call);
	err = sqs_encode_receive(&call->body, queue_url, params, call->id.text);
	if (err == 0)
		err = buf_append_string(&call->queue_url, queue_url);
	return sqs_call_send(call, err, ret_call);
}

int sqs_receive(struct sqs_client *client, const char *queue_url,
	const struct queue_receive *params, sqs_receive_done *done, void *arg,
	struct queue_call **ret_call)
{
	return sqs_receive_with(client, queue_url, params, NULL, done, arg, ret_call);
}

int sqs_delete_batch(struct sqs_client *client, const char *queue_url,
	const char *const receipt_handles[], size_t count, sqs_batch_done *done, void *arg,
	struct queue_call **ret_call)
{
	struct queue_call *call;
	int err = sqs_call_new(client, SQS_DELETE_BATCH, arg, &call);

	if (err != 0)
		return err;
	call->fifo = sqs_queue_url_is_fifo(queue_url);
	call->done.batch = done;
	call->count = count;
	err = sqs_encode_delete_batch(&call->body, queue_url, receipt_handles, count);
	return sqs_call_send(call, err, ret_call);
}

int sqs_change_visibility_batch(struct sqs_client *client, const char *queue_url,
	const struct queue_visibility entries[], size_t count, sqs_batch_done *done, void *arg,
	struct queue_call **ret_call)
{
	struct queue_call *call;
	int err = sqs_call_new(client, SQS_VISIBILITY_BATCH, arg, &call);

	if (err != 0)
		return err;
	call->fifo = sqs_queue_url_is_fifo(queue_url);
	call->done.batch = done;
	call->count = count;
	err = sqs_encode_visibility_batch(&call->body, queue_url, entries, count);
	return sqs_call_send(call, err, ret_call);
}

int sqs_send_batch(struct sqs_client *client, const char *queue_url,
	const struct queue_send entries[], size_t count, sqs_batch_done *done, void *arg,
	struct queue_call **ret_call)
{
	struct queue_call *call;
	int err = sqs_call_new(client, SQS_SEND_BATCH, arg, &call);

	if (err != 0)
		return err;
	call->fifo = sqs_queue_url_is_fifo(queue_url);
	call->done.batch = done;
	call->count = count;
	err = sqs_encode_send_batch(
		&call->body, queue_url, entries, count, &client->decoder.md5, &call->sent);
	return sqs_call_send(call, err, ret_call);
}

int sqs_get_attributes(struct sqs_client *client, const char *queue_url, sqs_attributes_done *done,
	void *arg, struct queue_call **ret_call)
{
	struct queue_call *call;
	int err = sqs_call_new(client, SQS_GET_ATTRIBUTES, arg, &call);

	if (err != 0)
		return err;
	call->fifo = sqs_queue_url_is_fifo(queue_url);
	call->done.attributes = done;
	err = sqs_encode_get_attributes(&call->body, queue_url);
	return sqs_call_send(call, err, ret_call);
}

static int url_call(struct sqs_client *client, enum sqs_operation operation, const char *queue_name,
	sqs_url_done *done, void *arg, struct queue_call **ret_call)
{
	struct queue_call *call;
	int err = sqs_call_new(client, operation, arg, &call);

	if (err != 0)
		return err;
	call->done.url = done;
	err = sqs_encode_queue_name(&call->body, queue_name);
	return sqs_call_send(call, err, ret_call);
}

int sqs_get_queue_url(struct sqs_client *client, const char *queue_name, sqs_url_done *done,
	void *arg, struct queue_call **ret_call)
{
	return url_call(client, SQS_GET_URL, queue_name, done, arg, ret_call);
}

int sqs_create_queue(struct sqs_client *client, const char *queue_name, sqs_url_done *done,
	void *arg, struct queue_call **ret_call)
{
	return url_call(client, SQS_CREATE, queue_name, done, arg, ret_call);
}

void sqs_outcome_fail(const struct queue_call *call, struct sqs_outcome *outcome, int err,
	const struct buf *answer, char words[SQS_DETAIL_SIZE])
{
	char attempts[SQS_ATTEMPTS_SIZE];

	if (err == 0)
		return;
	outcome->err = err;
	outcome->detail = words;
	sqs_attempts_words(call, attempts);
	if (err == ERR_PROTOCOL)
		sqs_detail_set(words, "%zu bytes that are not an answer of %s%s%s%s", answer->len,
			sqs_operation_name(call->operation),
			outcome->request_id[0] != '\0' ? ", request id " : "", outcome->request_id,
			attempts);
	else
		sqs_detail_set(words, "%s%s", error_message(err), attempts);
}

static void receive_complete(struct queue_call *call, struct sqs_decoder *decoder,
	struct sqs_outcome *outcome, const struct buf *answer)
{
	struct queue_batch *batch = NULL;
	struct sqs_dropped dropped;
	char words[SQS_DETAIL_SIZE];

	if (outcome->err == 0) {
		int err = sqs_decode_receive(decoder, buf_string(&call->queue_url), call->unwrap,
			buf_string(answer), answer->len, &batch, &dropped);

		sqs_outcome_fail(call, outcome, err, answer, words);
	}
	if (outcome->err == 0) {
		outcome->dropped = dropped.corrupted + dropped.malformed;
		outcome->detail = dropped.detail;
	}
	call->done.receive(call->arg, outcome, batch);
}

static void batch_complete(struct queue_call *call, struct sqs_decoder *decoder,
	struct sqs_outcome *outcome, const struct buf *answer)
{
	const struct sqs_sent_digests *sent =
		call->operation == SQS_SEND_BATCH ? &call->sent : NULL;
	int results[QUEUE_BATCH_MAX];
	char words[SQS_DETAIL_SIZE];

	if (outcome->err == 0) {
		int err = sqs_decode_batch(decoder, call->operation, buf_string(answer),
			answer->len, sent, call->count, results, words);

		if (err == 0)
			outcome->detail = words;
		sqs_outcome_fail(call, outcome, err, answer, words);
	}
	for (size_t i = 0; outcome->err != 0 && i < call->count; i++)
		results[i] = outcome->err;
	call->done.batch(call->arg, outcome, results, call->count);
}

static void attributes_complete(struct queue_call *call, struct sqs_decoder *decoder,
	struct sqs_outcome *outcome, const struct buf *answer)
{
	struct queue_attributes counts = {0};
	char words[SQS_DETAIL_SIZE];

	if (outcome->err == 0)
		sqs_outcome_fail(call, outcome,
			sqs_decode_attributes(decoder, buf_string(answer), answer->len, &counts),
			answer, words);
	call->done.attributes(call->arg, outcome, outcome->err == 0 ? &counts : NULL);
}

static void url_complete(struct queue_call *call, struct sqs_decoder *decoder,
	struct sqs_outcome *outcome, const struct buf *answer)
{
	const char *url = NULL;
	char words[SQS_DETAIL_SIZE];

	if (outcome->err == 0)
		sqs_outcome_fail(call, outcome,
			sqs_decode_queue_url(decoder, buf_string(answer), answer->len, &url),
			answer, words);
	call->done.url(call->arg, outcome, url);
}

void sqs_call_complete(struct queue_call *call, struct sqs_decoder *decoder,
	struct sqs_outcome *outcome, const struct buf *answer)
{
	switch (call->operation) {
	case SQS_RECEIVE:
		receive_complete(call, decoder, outcome, answer);
		break;
	case SQS_DELETE_BATCH:
	case SQS_VISIBILITY_BATCH:
	case SQS_SEND_BATCH:
		batch_complete(call, decoder, outcome, answer);
		break;
	case SQS_GET_ATTRIBUTES:
		attributes_complete(call, decoder, outcome, answer);
		break;
	case SQS_GET_URL:
	case SQS_CREATE:
		url_complete(call, decoder, outcome, answer);
		break;
	case SQS_DESCRIBE:
	case SQS_LIST_SOURCES:
	case SQS_START_MOVE:
	case SQS_LIST_MOVES:
	case SQS_CANCEL_MOVE:
	case SQS_PURGE:
		sqs_redrive_complete(call, decoder, outcome, answer);
		break;
	case SQS_LIST_TAGS:
	case SQS_TAG:
	case SQS_UNTAG:
		sqs_tags_complete(call, decoder, outcome, answer);
		break;
	}
}
