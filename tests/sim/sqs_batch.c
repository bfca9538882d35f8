/* What a receive brings, laid out in one block of the worker's memory. */
#include "sim.h"

#include <stdlib.h>
#include <string.h>

struct batch_block {
	struct queue_batch batch;
	struct queue_message messages[QUEUE_BATCH_MAX];
	struct queue_attribute attributes[];
	/* then the strings */
};

static void batch_free(struct queue_batch *batch)
{
	free(list_entry(batch, struct batch_block, batch));
}

static const char *put(char **at, const char *text, size_t bytes)
{
	char *to = *at;

	memcpy(to, text, bytes);
	to[bytes] = '\0';
	*at = to + bytes + 1;
	return to;
}

static const char *put_string(char **at, const char *text)
{
	return put(at, text, strlen(text));
}

/* "h" and the receipt's number. */
static const char *put_handle(char **at, size_t index)
{
	char text[16], *p = text + sizeof(text);

	do
		*--p = (char)('0' + index % 10);
	while (index /= 10);
	*--p = 'h';
	return put(at, p, (size_t)(text + sizeof(text) - p));
}

static void describe(struct queue_message *to, const struct receipt *receipt,
	struct queue_attribute *attributes, char **at)
{
	const struct mail *mail = receipt->mail;

	*to = (struct queue_message){.message_id = put_string(at, mail->id),
		.receipt_handle = put_handle(at, receipt->index),
		.body = put(at, mail->body, mail->body_bytes),
		.body_bytes = mail->body_bytes,
		.attributes = attributes,
		.attribute_count = mail->attribute_count,
		.idempotency_key = put_string(at, mail->idempotency_key),
		.group_id = mail->group_id[0] ? put_string(at, mail->group_id) : NULL,
		.receive_count = receipt->nth,
		.sent_epoch_ms = mail->sent_wall_ms,
		.first_received_epoch_ms = mail->first_wall_ms};
	for (size_t i = 0; i < mail->attribute_count; i++) {
		const struct queue_attribute *a = &mail->attributes[i];

		attributes[i] = (struct queue_attribute){.name = put_string(at, a->name),
			.type = put_string(at, a->type),
			.value = put(at, a->value, a->value_bytes),
			.value_bytes = a->value_bytes};
	}
}

struct queue_batch *sqs_batch_make(
	struct worker *worker, struct receipt *const receipts[], size_t count)
{
	size_t strings_bytes = 0, attribute_count = 0, n = 0;
	struct batch_block *block;
	char *at;

	for (size_t i = 0; i < count; i++) {
		strings_bytes += receipts[i]->mail->strings_bytes + 16;
		attribute_count += receipts[i]->mail->attribute_count;
	}
	block = arena_alloc(&worker->memory,
		sizeof(*block) + attribute_count * sizeof(block->attributes[0]) + strings_bytes);
	block->batch = (struct queue_batch){.messages = block->messages,
		.count = count,
		.bytes = strings_bytes,
		.references = 1,
		.free = batch_free};
	at = (char *)&block->attributes[attribute_count];
	for (size_t i = 0; i < count; i++) {
		describe(&block->messages[i], receipts[i], &block->attributes[n], &at);
		n += receipts[i]->mail->attribute_count;
	}
	return &block->batch;
}
