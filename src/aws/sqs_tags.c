#include "aws/sqs_tags.h"

#include "aws/sqs_call.h"
#include "aws/sqs_codec.h"
#include "aws/sqs_queue.h"
#include "bunshin/error.h"

#include <string.h>

static int call_new(struct sqs_client *client, enum sqs_operation operation, const char *queue_url,
	sqs_tags_done *done, void *arg, struct queue_call **ret_call)
{
	int err = sqs_call_new(client, operation, arg, ret_call);

	if (err != 0)
		return err;
	(*ret_call)->fifo = sqs_queue_url_is_fifo(queue_url);
	(*ret_call)->done.tags = done;
	return 0;
}

int sqs_list_queue_tags(struct sqs_client *client, const char *queue_url, sqs_tags_done *done,
	void *arg, struct queue_call **ret_call)
{
	struct queue_call *call;
	int err = call_new(client, SQS_LIST_TAGS, queue_url, done, arg, &call);

	if (err != 0)
		return err;
	return sqs_call_send(call, sqs_encode_list_tags(&call->body, queue_url), ret_call);
}

int sqs_tag_queue(struct sqs_client *client, const char *queue_url, const struct sqs_tag tags[],
	size_t count, sqs_tags_done *done, void *arg, struct queue_call **ret_call)
{
	struct queue_call *call;
	int err = call_new(client, SQS_TAG, queue_url, done, arg, &call);

	if (err != 0)
		return err;
	return sqs_call_send(call, sqs_encode_tag(&call->body, queue_url, tags, count), ret_call);
}

int sqs_untag_queue(struct sqs_client *client, const char *queue_url, const char *const keys[],
	size_t count, sqs_tags_done *done, void *arg, struct queue_call **ret_call)
{
	struct queue_call *call;
	int err = call_new(client, SQS_UNTAG, queue_url, done, arg, &call);

	if (err != 0)
		return err;
	return sqs_call_send(call, sqs_encode_untag(&call->body, queue_url, keys, count), ret_call);
}

void sqs_tags_complete(struct queue_call *call, struct sqs_decoder *decoder,
	struct sqs_outcome *outcome, const struct buf *answer)
{
	struct sqs_tags tags = {.count = 0};
	char words[SQS_DETAIL_SIZE];

	/* The other two answer with an empty body, or an empty object. */
	if (outcome->err == 0 && call->operation == SQS_LIST_TAGS)
		sqs_outcome_fail(call, outcome,
			sqs_decode_list_tags(decoder, buf_string(answer), answer->len, &tags),
			answer, words);
	call->done.tags(call->arg, outcome, outcome->err == 0 ? &tags : NULL);
}

const char *sqs_tags_find(const struct sqs_tags *tags, const char *key)
{
	for (size_t i = 0; i < tags->count; i++)
		if (strcmp(tags->tags[i].key, key) == 0)
			return tags->tags[i].value;
	return NULL;
}
