#include "fake_message.h"

#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fake_message *fake_message_make(struct fake_queue *queue, const char *body,
	size_t body_bytes, const struct queue_attribute attributes[], size_t attribute_count)
{
	struct fake_message *message = world_alloc(sizeof(*message));

	*message = (struct fake_message){.queue = queue,
		.body = world_copy(body, body_bytes),
		.body_bytes = body_bytes,
		.attribute_count = attribute_count,
		.deadline_epoch_ms = INT64_MAX,
		.sent_epoch_ms = world_wall_ms(queue->world)};
	for (size_t i = 0; i < attribute_count; i++)
		message->attributes[i] = (struct queue_attribute){
			.name = world_copy(attributes[i].name, strlen(attributes[i].name)),
			.type = world_copy(attributes[i].type, strlen(attributes[i].type)),
			.value = world_copy(attributes[i].value, attributes[i].value_bytes),
			.value_bytes = attributes[i].value_bytes};
	list_init(&message->node);
	return message;
}

void fake_message_destroy(struct fake_message *message)
{
	if (!message)
		return;
	for (size_t i = 0; i < message->attribute_count; i++) {
		free((void *)(uintptr_t)message->attributes[i].name);
		free((void *)(uintptr_t)message->attributes[i].type);
		free((void *)(uintptr_t)message->attributes[i].value);
	}
	free(message->body);
	free(message->group_id);
	free(message->receipts);
	free(message);
}

const struct queue_attribute *fake_message_attribute(
	const struct fake_message *message, const char *name)
{
	for (size_t i = 0; i < message->attribute_count; i++)
		if (strcmp(message->attributes[i].name, name) == 0)
			return &message->attributes[i];
	return NULL;
}

bool fake_message_same_group(const struct fake_message *a, const struct fake_message *b)
{
	const char *of_a = a->group_id ? a->group_id : "", *of_b = b->group_id ? b->group_id : "";

	return strcmp(of_a, of_b) == 0;
}

static char *bump(char **at, const void *from, size_t size)
{
	char *to = *at;

	memcpy(to, from, size);
	to[size] = '\0';
	*at += size + 1;
	return to;
}

struct fake_batch {
	struct queue_batch batch;
	struct world *world;
	struct queue_message messages[QUEUE_BATCH_MAX];
	struct queue_attribute attributes[QUEUE_BATCH_MAX * QUEUE_ATTRIBUTES_MAX];
	char strings[];
};

static void batch_free(struct queue_batch *batch)
{
	struct fake_batch *fake = list_entry(batch, struct fake_batch, batch);

	fake->world->live_batches--;
	free(fake);
}

static size_t strings_bytes(const struct fake_message *message)
{
	size_t bytes = message->body_bytes + 256;

	if (message->group_id)
		bytes += strlen(message->group_id) + 1;
	for (size_t i = 0; i < message->attribute_count; i++)
		bytes += strlen(message->attributes[i].name) + strlen(message->attributes[i].type) +
			 message->attributes[i].value_bytes + 3;
	return bytes;
}

static void describe(const struct fake_message *message, struct queue_message *out,
	struct queue_attribute *attributes, char **at)
{
	char handle[48];

	snprintf(handle, sizeof(handle), "%c-%zu-%u", message->queue->name, message->index,
		message->receive_count);
	for (size_t i = 0; i < message->attribute_count; i++) {
		const struct queue_attribute *from = &message->attributes[i];

		attributes[i] =
			(struct queue_attribute){.name = bump(at, from->name, strlen(from->name)),
				.type = bump(at, from->type, strlen(from->type)),
				.value = bump(at, from->value, from->value_bytes),
				.value_bytes = from->value_bytes};
	}
	*out = (struct queue_message){.message_id = bump(at, message->id, strlen(message->id)),
		.receipt_handle = bump(at, handle, strlen(handle)),
		.body = bump(at, message->body, message->body_bytes),
		.body_bytes = message->body_bytes,
		.attributes = attributes,
		.attribute_count = message->attribute_count,
		.idempotency_key = bump(at, message->key, strlen(message->key)),
		.trace_header = FAKE_TRACE_HEADER,
		.group_id = message->group_id
				    ? bump(at, message->group_id, strlen(message->group_id))
				    : NULL,
		.receive_count = message->receive_count,
		.sent_epoch_ms = message->sent_epoch_ms,
		.first_received_epoch_ms = message->first_received_epoch_ms,
		.refused = message->refused};
}

struct queue_batch *fake_message_batch(
	struct world *world, struct fake_message *const messages[], size_t count)
{
	size_t bytes = 1;
	struct fake_batch *fake;
	char *at;

	for (size_t i = 0; i < count; i++)
		bytes += strings_bytes(messages[i]);
	fake = world_alloc(sizeof(*fake) + bytes);
	fake->world = world;
	fake->batch = (struct queue_batch){
		.messages = fake->messages, .count = count, .references = 1, .free = batch_free};
	at = fake->strings;
	for (size_t i = 0; i < count; i++) {
		describe(messages[i], &fake->messages[i],
			&fake->attributes[i * QUEUE_ATTRIBUTES_MAX], &at);
		fake->batch.bytes += messages[i]->body_bytes;
	}
	world->live_batches++;
	return &fake->batch;
}
