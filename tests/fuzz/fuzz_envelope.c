/* A body of any kind: what is taken out of it is sound, and fits where the body was. */
#include "fuzz.h"

#include "aws/sqs_codec.h"
#include "aws/sqs_limits.h"
#include "base/utf8.h"

#include <string.h>

static struct sqs_decoder decoder;
static volatile char sink; /* what is read for the sanitizer's sake */

static void check_attribute(const struct queue_attribute *attribute)
{
	FUZZ_CHECK(sqs_attribute_name_is_valid(attribute->name));
	FUZZ_CHECK(sqs_attribute_type_is_valid(attribute->type));
	FUZZ_CHECK(attribute->value_bytes >= 1);
	if (!sqs_type_is_binary(attribute->type))
		FUZZ_CHECK(sqs_text_is_valid(attribute->value, attribute->value_bytes));
	for (size_t i = 0; i < attribute->value_bytes; i++)
		sink = attribute->value[i];
}

static void check_message(
	const struct queue_message *message, const char *body, const char *copy, size_t size)
{
	FUZZ_CHECK(message->body == body && message->body[message->body_bytes] == '\0');
	if (message->refused != NULL)
		FUZZ_CHECK(utf8_is_valid(message->refused, strlen(message->refused)));
	/* Refused, or no envelope: as it was. */
	if (message->refused != NULL || message->body_bytes == size)
		FUZZ_CHECK(message->attribute_count == 1 && memcmp(body, copy, size) == 0);
	else
		FUZZ_CHECK(sqs_text_is_valid(message->body, message->body_bytes));
	FUZZ_CHECK(message->attribute_count <= QUEUE_ATTRIBUTES_MAX);
	for (size_t i = 0; i < message->attribute_count; i++)
		check_attribute(&message->attributes[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Memory of exactly the body's size, so that a byte too many is seen. */
	char *body = malloc(size + 1), *copy = malloc(size + 1);
	struct queue_attribute attributes[QUEUE_ATTRIBUTES_MAX] = {
		{.name = "ExtendedPayloadSize", .type = "Number", .value = "1", .value_bytes = 1}};
	struct queue_message message = {
		.body_bytes = size, .attributes = attributes, .attribute_count = 1};
	char refusal[SQS_REFUSAL_SIZE];

	FUZZ_CHECK(body != NULL && copy != NULL);
	if (decoder.pool == NULL)
		FUZZ_CHECK(sqs_decoder_init(&decoder) == 0);
	if (size > 0)
		memcpy(body, data, size);
	body[size] = '\0';
	memcpy(copy, body, size + 1);
	message.body = body;
	FUZZ_CHECK(sqs_open_envelope(
			   &decoder, SQS_UNWRAP_SNS, &message, body, attributes, refusal) == 0);
	check_message(&message, body, copy, size);
	free(body);
	free(copy);
	return 0;
}
