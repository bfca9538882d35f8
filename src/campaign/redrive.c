#include "campaign/redrive.h"

#include "aws/uuid.h"

#include <string.h>

_Static_assert(FAILURE_PASS_KEY_MAX >= UUID_TEXT_SIZE, "a key that is made here fits");

/* Does it go along? */
static bool is_kept(const struct failure *failure, const struct redrive_options *options,
	const struct queue_attribute *attribute)
{
	if (failure->origin == FAILURE_COPIED && failure_attribute_is_ours(attribute->name))
		return false;
	return !options->drop_deadline || strcmp(attribute->name, "Deadline") != 0;
}

static int add_key(const struct queue_message *message, const struct redrive_options *options,
	struct failure_outgoing *outgoing)
{
	size_t count = outgoing->send.attribute_count;
	int err = uuid_v5(uuid_namespace_url, options->target_url, strlen(options->target_url),
		message->message_id, strlen(message->message_id), outgoing->key);

	if (err)
		return err;
	outgoing->attributes[count] = (struct queue_attribute){.name = "IdempotencyKey",
		.type = "String",
		.value = outgoing->key,
		.value_bytes = strlen(outgoing->key)};
	outgoing->send.attribute_count++;
	return 0;
}

int redrive_prepare(const struct failure *failure, const struct redrive_options *options,
	struct failure_outgoing *ret_outgoing, bool *ret_keyless)
{
	const struct queue_message *message = failure->message;
	struct queue_send *send = &ret_outgoing->send;
	size_t count = 0;

	for (size_t i = 0; i < message->attribute_count && count < QUEUE_ATTRIBUTES_MAX; i++)
		if (is_kept(failure, options, &message->attributes[i]))
			ret_outgoing->attributes[count++] = message->attributes[i];
	*send = (struct queue_send){
		.body = message->body,
		.body_bytes = message->body_bytes,
		.attributes = ret_outgoing->attributes,
		.attribute_count = count,
		.group_id = message->group_id,
		.trace_header = message->trace_header,
	};
	if (options->target_fifo) {
		send->deduplication_id = message->message_id;
		if (!send->group_id)
			send->group_id = message->message_id;
	}
	*ret_keyless = false;
	if (failure_attribute(message, "IdempotencyKey"))
		return 0;
	*ret_keyless = count == QUEUE_ATTRIBUTES_MAX;
	return *ret_keyless ? 0 : add_key(message, options, ret_outgoing);
}
