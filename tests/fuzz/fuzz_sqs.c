/* Every decoder of SQS's answers: no input crashes, and what is handed on is sound. */
#include "fuzz.h"

#include "aws/sqs_codec.h"
#include "bunshin/error.h"

#include <stdbool.h>
#include <string.h>

static struct sqs_decoder decoder;
static volatile char sink; /* what is read for the sanitizer's sake */

static void check_message(const struct queue_message *message)
{
	size_t id_bytes = strlen(message->message_id);
	size_t key_bytes = strlen(message->idempotency_key);

	FUZZ_CHECK(id_bytes >= 1 && id_bytes <= 100);
	FUZZ_CHECK(key_bytes >= 1 && key_bytes <= 128);
	FUZZ_CHECK(message->receipt_handle[0] != '\0');
	FUZZ_CHECK(message->body[message->body_bytes] == '\0');
	FUZZ_CHECK(message->receive_count >= 1);
	FUZZ_CHECK(message->sent_epoch_ms >= 0 && message->first_received_epoch_ms >= 0);
	FUZZ_CHECK(message->attribute_count <= QUEUE_ATTRIBUTES_MAX);
	for (size_t i = 0; i < message->attribute_count; i++) {
		const struct queue_attribute *attribute = &message->attributes[i];

		FUZZ_CHECK(attribute->name[0] != '\0' && strlen(attribute->type) >= 6);
		for (size_t k = 0; k < attribute->value_bytes; k++)
			sink = attribute->value[k];
	}
}

static void check_receive(const char *text, size_t len)
{
	struct queue_batch *batch;
	struct sqs_dropped dropped;

	if (sqs_decode_receive(
		    &decoder, "http://h/1/q", SQS_UNWRAP_SNS, text, len, &batch, &dropped) != 0)
		return;
	FUZZ_CHECK(batch->count + dropped.corrupted + dropped.malformed <= QUEUE_BATCH_MAX);
	FUZZ_CHECK((dropped.corrupted + dropped.malformed == 0) == (dropped.detail[0] == '\0'));
	for (size_t i = 0; i < batch->count; i++)
		check_message(&batch->messages[i]);
	queue_batch_unref(batch);
}

static void check_batch(enum sqs_operation operation, const char *text, size_t len)
{
	static const struct sqs_sent_digests sent = {.body = {"9dd4e461268c8034f5c8564e155c67a6"}};
	int results[QUEUE_BATCH_MAX];
	char detail[SQS_DETAIL_SIZE];
	bool failed = false;

	if (sqs_decode_batch(&decoder, operation, text, len,
		    operation == SQS_SEND_BATCH ? &sent : NULL, QUEUE_BATCH_MAX, results,
		    detail) != 0)
		return;
	for (size_t i = 0; i < QUEUE_BATCH_MAX; i++)
		failed = failed || results[i] != 0;
	FUZZ_CHECK(failed == (detail[0] != '\0'));
}

static void check_redrive(const char *text, size_t len)
{
	struct sqs_redrive_answer answer = {.task_handle = ""};

	if (sqs_decode_describe(&decoder, text, len, &answer) == 0)
		FUZZ_CHECK(answer.queue.arn[0] != '\0' && answer.queue.max_receives <= 1000 &&
			   (answer.queue.max_receives > 0) ==
				   (answer.queue.dead_letter_arn[0] != '\0'));
	if (sqs_decode_list_sources(&decoder, text, len, &answer) == 0) {
		FUZZ_CHECK(answer.sources.count <= SQS_SOURCES_MAX);
		for (size_t i = 0; i < answer.sources.count; i++)
			FUZZ_CHECK(answer.sources.urls[i][0] != '\0');
	}
	if (sqs_decode_start_move(&decoder, text, len, &answer) == 0)
		FUZZ_CHECK(answer.task_handle[0] != '\0');
	if (sqs_decode_list_moves(&decoder, text, len, &answer) == 0) {
		FUZZ_CHECK(answer.move_count <= SQS_MOVES_MAX);
		for (size_t i = 0; i < answer.move_count; i++)
			FUZZ_CHECK(answer.moves[i].moved >= 0 && answer.moves[i].to_move >= -1 &&
				   answer.moves[i].messages_per_s <= 500 &&
				   answer.moves[i].status <= SQS_MOVE_FAILED);
	}
	if (sqs_decode_cancel_move(&decoder, text, len, &answer) == 0)
		FUZZ_CHECK(answer.moved >= 0);
}

static void check_tags(const struct sqs_tags *tags)
{
	FUZZ_CHECK(tags->count <= SQS_TAGS_MAX);
	for (size_t i = 0; i < tags->count; i++)
		FUZZ_CHECK(tags->tags[i].key[0] != '\0' &&
			   strlen(tags->tags[i].value) <= 4 * SQS_TAG_VALUE_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	char code[SQS_CODE_SIZE], detail[SQS_DETAIL_SIZE];
	struct queue_attributes counts;
	struct sqs_tags tags;
	const char *url;

	if (decoder.pool == NULL)
		FUZZ_CHECK(sqs_decoder_init(&decoder) == 0);
	check_receive(text, size);
	check_batch(SQS_DELETE_BATCH, text, size);
	check_batch(SQS_VISIBILITY_BATCH, text, size);
	check_batch(SQS_SEND_BATCH, text, size);
	if (sqs_decode_attributes(&decoder, text, size, &counts) == 0)
		FUZZ_CHECK(counts.visible >= 0 && counts.in_flight >= 0 && counts.delayed >= 0 &&
			   counts.visibility_s <= QUEUE_VISIBILITY_MAX_S);
	if (sqs_decode_queue_url(&decoder, text, size, &url) == 0)
		FUZZ_CHECK(url[0] != '\0');
	check_redrive(text, size);
	if (sqs_decode_list_tags(&decoder, text, size, &tags) == 0)
		check_tags(&tags);
	FUZZ_CHECK(sqs_decode_error(&decoder, SQS_RECEIVE, 400, NULL, 0, text, size, code, detail) <
		   0);
	return 0;
}
