#include "aws/sqs_codec.h"
#include "aws/sqs_limits.h"
#include "bunshin/error.h"

#include <string.h>

#define COUNT_MAX INT64_C(999999999999999999)
#define MAX_RECEIVES_MAX 1000 /* of a redrive policy (SQS quota) */

/* A text of 1 to `max` bytes, or NULL: absent, or out of bounds. */
static const char *bounded_text(const struct json_value *object, const char *name, size_t max)
{
	const char *text = json_text(sqs_member(object, name));

	return text != NULL && text[0] != '\0' && strlen(text) <= max ? text : NULL;
}

static const char *or_empty(const char *text)
{
	return text != NULL ? text : "";
}

/* A whole number of [0, max]: absent is `otherwise`, anything else ERR_PROTOCOL. */
static int number_member(const struct json_value *object, const char *name, int64_t max,
	int64_t otherwise, int64_t *ret)
{
	const struct json_value *value = sqs_member(object, name);
	int64_t number = otherwise;

	if (value != NULL && (json_int(value, &number) != 0 || number < 0 || number > max))
		return ERR_PROTOCOL;
	*ret = number;
	return 0;
}

/* {"deadLetterTargetArn": ARN, "maxReceiveCount": 5}; the number may stand in quotes (AWS CLI). */
static int redrive_policy(
	struct sqs_decoder *decoder, const char *policy, struct sqs_queue_description *ret)
{
	struct json *json = &decoder->inner;
	const struct json_value *count;
	int64_t receives = 0;
	int err;

	sqs_json_trim(json);
	err = json_parse(json, policy, strlen(policy));
	if (err != 0)
		return err == ERR_NOMEM ? err : ERR_PROTOCOL;
	ret->dead_letter_arn = json_text(json_member(json_root(json), "deadLetterTargetArn"));
	count = json_member(json_root(json), "maxReceiveCount");
	if (json_text(count) != NULL) {
		for (const char *p = json_text(count); *p != '\0'; p++) {
			if (*p < '0' || *p > '9' || receives > MAX_RECEIVES_MAX)
				return ERR_PROTOCOL;
			receives = receives * 10 + (*p - '0');
		}
	} else if (json_int(count, &receives) != 0) {
		return ERR_PROTOCOL;
	}
	if (receives < 1 || receives > MAX_RECEIVES_MAX || ret->dead_letter_arn == NULL ||
		strlen(ret->dead_letter_arn) > SQS_ARN_MAX)
		return ERR_PROTOCOL;
	ret->max_receives = (unsigned)receives;
	return 0;
}

int sqs_decode_describe(struct sqs_decoder *decoder, const char *text, size_t len,
	struct sqs_redrive_answer *ret_answer)
{
	struct sqs_queue_description queue = {.dead_letter_arn = ""};
	const struct json_value *attributes, *policy;
	/* The four counts are those of every GetQueueAttributes. */
	int err = sqs_decode_attributes(decoder, text, len, &queue.attributes);

	if (err != 0)
		return err;
	attributes = sqs_member(json_root(&decoder->json), "Attributes");
	queue.arn = bounded_text(attributes, "QueueArn", SQS_ARN_MAX);
	policy = sqs_member(attributes, "RedrivePolicy");
	if (queue.arn == NULL || (policy != NULL && json_text(policy) == NULL))
		return ERR_PROTOCOL;
	if (policy != NULL && json_text(policy)[0] != '\0')
		err = redrive_policy(decoder, json_text(policy), &queue);
	if (err == 0)
		ret_answer->queue = queue;
	return err;
}

int sqs_decode_list_sources(struct sqs_decoder *decoder, const char *text, size_t len,
	struct sqs_redrive_answer *ret_answer)
{
	const struct json *json = &decoder->json;
	struct sqs_sources sources = {.count = 0};
	const struct json_value *list;
	int err = sqs_decoder_parse(decoder, text, len);

	if (err != 0)
		return err;
	list = sqs_member(json_root(json), "queueUrls"); /* so, with a small q */
	if (list != NULL && list->kind != JSON_ARRAY)
		return ERR_PROTOCOL;
	for (const struct json_value *item = json_first(list); item != NULL;
		item = json_next(list, item)) {
		const char *url = json_text(item);

		if (url == NULL || url[0] == '\0' || strlen(url) > SQS_QUEUE_URL_MAX)
			return ERR_PROTOCOL;
		if (sources.count < SQS_SOURCES_MAX)
			sources.urls[sources.count++] = url;
		else
			sources.more = true;
	}
	if (sqs_member(json_root(json), "NextToken") != NULL)
		sources.more = true;
	ret_answer->sources = sources;
	return 0;
}

int sqs_decode_start_move(struct sqs_decoder *decoder, const char *text, size_t len,
	struct sqs_redrive_answer *ret_answer)
{
	const char *handle;
	int err = sqs_decoder_parse(decoder, text, len);

	if (err != 0)
		return err;
	handle = bounded_text(json_root(&decoder->json), "TaskHandle", SQS_TASK_HANDLE_MAX);
	if (handle == NULL)
		return ERR_PROTOCOL;
	ret_answer->task_handle = handle;
	return 0;
}

static int move_status(const char *text, enum sqs_move_status *ret)
{
	static const char *const names[] = {
		[SQS_MOVE_RUNNING] = "RUNNING",
		[SQS_MOVE_CANCELLING] = "CANCELLING",
		[SQS_MOVE_COMPLETED] = "COMPLETED",
		[SQS_MOVE_CANCELLED] = "CANCELLED",
		[SQS_MOVE_FAILED] = "FAILED",
	};

	for (size_t i = 0; text != NULL && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], text) != 0)
			continue;
		*ret = (enum sqs_move_status)i;
		return 0;
	}
	return ERR_PROTOCOL;
}

static int decode_move(
	const struct sqs_decoder *decoder, const struct json_value *entry, struct sqs_move *ret)
{
	int64_t rate;

	if (entry->kind != JSON_OBJECT)
		return ERR_PROTOCOL;
	ret->handle = or_empty(bounded_text(entry, "TaskHandle", SQS_TASK_HANDLE_MAX));
	ret->destination_arn = or_empty(bounded_text(entry, "DestinationArn", SQS_ARN_MAX));
	ret->failure = or_empty(json_text(sqs_member(entry, "FailureReason")));
	if (move_status(json_text(sqs_member(entry, "Status")), &ret->status) ||
		number_member(
			entry, "ApproximateNumberOfMessagesMoved", COUNT_MAX, 0, &ret->moved) ||
		number_member(
			entry, "ApproximateNumberOfMessagesToMove", COUNT_MAX, -1, &ret->to_move) ||
		number_member(entry, "StartedTimestamp", COUNT_MAX, 0, &ret->started_epoch_ms) ||
		number_member(entry, "MaxNumberOfMessagesPerSecond", SQS_MOVE_RATE_MAX, 0, &rate))
		return ERR_PROTOCOL;
	ret->messages_per_s = (unsigned)rate;
	return 0;
}

int sqs_decode_list_moves(struct sqs_decoder *decoder, const char *text, size_t len,
	struct sqs_redrive_answer *ret_answer)
{
	const struct json *json = &decoder->json;
	const struct json_value *list;
	size_t count = 0;
	int err = sqs_decoder_parse(decoder, text, len);

	if (err != 0)
		return err;
	list = sqs_member(json_root(json), "Results");
	if (list != NULL && (list->kind != JSON_ARRAY || list->count > SQS_MOVES_MAX))
		return ERR_PROTOCOL;
	for (const struct json_value *item = json_first(list); err == 0 && item != NULL;
		item = json_next(list, item))
		err = decode_move(decoder, item, &ret_answer->moves[count++]);
	if (err == 0)
		ret_answer->move_count = count;
	return err;
}

int sqs_decode_cancel_move(struct sqs_decoder *decoder, const char *text, size_t len,
	struct sqs_redrive_answer *ret_answer)
{
	int err = sqs_decoder_parse(decoder, text, len);

	if (err != 0)
		return err;
	return number_member(json_root(&decoder->json), "ApproximateNumberOfMessagesMoved",
		COUNT_MAX, 0, &ret_answer->moved);
}
