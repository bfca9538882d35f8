#include "aws/sqs_codec.h"
#include "aws/sqs_limits.h"
#include "base/base64.h"
#include "bunshin/error.h"

#include <string.h>

#define IDEMPOTENCY_KEY_MAX 128

/* One answer on its way into a batch. */
struct receive {
	struct sqs_decoder *decoder;
	struct sqs_batch *batch;
	const char *queue_url;
	enum sqs_unwrap unwrap;
	struct sqs_dropped dropped;
};

/* A message's members that are of use, in the order in which SQS writes them. */
enum {
	MESSAGE_ID,
	RECEIPT_HANDLE,
	MD5_OF_BODY,
	BODY,
	SYSTEM_ATTRIBUTES,
	ATTRIBUTES,
	MD5_OF_ATTRIBUTES,
	MESSAGE_MEMBERS
};
static const struct json_name message_names[MESSAGE_MEMBERS] = {
	[MESSAGE_ID] = JSON_NAME("MessageId"),
	[RECEIPT_HANDLE] = JSON_NAME("ReceiptHandle"),
	[MD5_OF_BODY] = JSON_NAME("MD5OfBody"),
	[BODY] = JSON_NAME("Body"),
	[SYSTEM_ATTRIBUTES] = JSON_NAME("Attributes"),
	[MD5_OF_ATTRIBUTES] = JSON_NAME("MD5OfMessageAttributes"),
	[ATTRIBUTES] = JSON_NAME("MessageAttributes"),
};

enum {
	RECEIVE_COUNT,
	SENT,
	FIRST_RECEIVED,
	GROUP_ID,
	TRACE_HEADER,
	SENDER_ID,
	SEQUENCE_NUMBER,
	DEDUPLICATION_ID,
	DEAD_LETTER_SOURCE,
	SYSTEM_MEMBERS
};
static const struct json_name system_names[SYSTEM_MEMBERS] = {
	[RECEIVE_COUNT] = JSON_NAME("ApproximateReceiveCount"),
	[SENT] = JSON_NAME("SentTimestamp"),
	[FIRST_RECEIVED] = JSON_NAME("ApproximateFirstReceiveTimestamp"),
	[GROUP_ID] = JSON_NAME("MessageGroupId"),
	[TRACE_HEADER] = JSON_NAME("AWSTraceHeader"),
	[SENDER_ID] = JSON_NAME("SenderId"),
	[SEQUENCE_NUMBER] = JSON_NAME("SequenceNumber"),
	[DEDUPLICATION_ID] = JSON_NAME("MessageDeduplicationId"),
	[DEAD_LETTER_SOURCE] = JSON_NAME("DeadLetterQueueSourceArn"),
};

enum { STRING_VALUE, BINARY_VALUE, DATA_TYPE, ATTRIBUTE_MEMBERS };
static const struct json_name attribute_names[ATTRIBUTE_MEMBERS] = {
	[STRING_VALUE] = JSON_NAME("StringValue"),
	[BINARY_VALUE] = JSON_NAME("BinaryValue"),
	[DATA_TYPE] = JSON_NAME("DataType"),
};

/*
 * The decoders of a message's parts return why it is not handed on, for people, or NULL.
 */

static bool is_printable(const char *text, size_t len, char lowest)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] < lowest || text[i] > 0x7e)
			return false;
	}
	return true;
}

/* A string of 1 to max bytes without a NUL, or NULL. */
static const char *bounded_text(const struct json_value *value, size_t max)
{
	const char *text = json_text(value);

	return text != NULL && value->string_bytes >= 1 && value->string_bytes <= max ? text : NULL;
}

/* Decimal digits; 0 for anything else: the attribute is then unknown. */
static int64_t number_of(const struct json_value *value)
{
	const char *text = bounded_text(value, 18);
	int64_t number = 0;

	if (text == NULL)
		return 0;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return 0;
		number = number * 10 + (*text - '0');
	}
	return number;
}

/* What only a receive of all attributes brings: SenderId is then sure to be there. */
static void all_attributes_decode(
	const struct json_value *const members[], struct queue_message *message)
{
	message->sender_id = bounded_text(members[SENDER_ID], SQS_SENDER_ID_MAX);
	if (message->sender_id == NULL)
		return;
	message->sequence_number = bounded_text(members[SEQUENCE_NUMBER], SQS_GROUP_ID_MAX);
	message->deduplication_id = bounded_text(members[DEDUPLICATION_ID], SQS_GROUP_ID_MAX);
	message->dead_letter_source = bounded_text(members[DEAD_LETTER_SOURCE], SQS_ARN_MAX);
}

static const char *system_attributes_decode(
	const struct json_value *attributes, struct queue_message *message)
{
	const struct json_value *members[SYSTEM_MEMBERS];
	int64_t count;

	message->receive_count = 1;
	if (attributes == NULL)
		return NULL;
	if (attributes->kind != JSON_OBJECT)
		return "Attributes is not an object";
	sqs_members(attributes, system_names, SYSTEM_MEMBERS, members);
	count = number_of(members[RECEIVE_COUNT]);
	if (count > 1)
		message->receive_count = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
	message->sent_epoch_ms = number_of(members[SENT]);
	message->first_received_epoch_ms = number_of(members[FIRST_RECEIVED]);
	message->group_id = bounded_text(members[GROUP_ID], SQS_GROUP_ID_MAX);
	if (message->group_id != NULL && !sqs_group_id_is_valid(message->group_id))
		message->group_id = NULL;
	message->trace_header = bounded_text(members[TRACE_HEADER], SQS_TRACE_HEADER_MAX);
	if (message->trace_header != NULL && !sqs_trace_header_is_valid(message->trace_header))
		message->trace_header = NULL;
	all_attributes_decode(members, message);
	return NULL;
}

/* Decodes over the text, which is the parser's copy and about to be the batch's. */
static const char *binary_decode(const struct receive *receive, const struct json_value *value,
	struct queue_attribute *attribute)
{
	struct json *json = &receive->decoder->json;
	char *text;

	if (value == NULL || value->kind != JSON_STRING)
		return "a Binary attribute without BinaryValue";
	text = json->strings + (value->string - json->strings);
	if (base64_decode(text, value->string_bytes, &attribute->value_bytes) != 0)
		return "a BinaryValue that is not base64";
	attribute->value = text;
	return NULL;
}

static const char *attribute_decode(const struct receive *receive, const struct json_value *value,
	struct queue_attribute *attribute)
{
	const struct json_value *members[ATTRIBUTE_MEMBERS], *string;

	if (value->kind != JSON_OBJECT)
		return "a message attribute that is not an object";
	if (value->name_bytes == 0 || value->name_bytes > SQS_ATTRIBUTE_NAME_MAX ||
		strlen(value->name) != value->name_bytes)
		return "a message attribute with an impossible name";
	attribute->name = value->name;
	sqs_members(value, attribute_names, ATTRIBUTE_MEMBERS, members);
	attribute->type = bounded_text(members[DATA_TYPE], SQS_ATTRIBUTE_TYPE_MAX);
	if (attribute->type == NULL || !sqs_attribute_type_is_valid(attribute->type))
		return "a message attribute without a valid DataType";
	if (sqs_type_is_binary(attribute->type))
		return binary_decode(receive, members[BINARY_VALUE], attribute);
	string = members[STRING_VALUE];
	if (string == NULL || string->kind != JSON_STRING)
		return "a message attribute without StringValue";
	attribute->value = string->string;
	attribute->value_bytes = string->string_bytes;
	return NULL;
}

static bool attribute_is_known(const struct queue_message *message, const char *name)
{
	for (size_t i = 0; i < message->attribute_count; i++) {
		if (strcmp(message->attributes[i].name, name) == 0)
			return true;
	}
	return false;
}

static const char *attributes_decode(
	struct receive *receive, const struct json_value *attributes, struct queue_message *message)
{
	struct queue_attribute *room = receive->batch->attributes + receive->batch->attribute_count;

	message->attributes = room;
	if (attributes == NULL)
		return NULL;
	if (attributes->kind != JSON_OBJECT)
		return "MessageAttributes is not an object";
	if (attributes->count > QUEUE_ATTRIBUTES_MAX)
		return "more message attributes than SQS allows";
	for (const struct json_value *child = json_first(attributes); child != NULL;
		child = json_next(attributes, child)) {
		struct queue_attribute *attribute = &room[message->attribute_count];
		const char *wrong = attribute_decode(receive, child, attribute);

		if (wrong != NULL)
			return wrong;
		if (attribute_is_known(message, attribute->name))
			return "a message attribute twice";
		message->attribute_count++;
	}
	return NULL;
}

/* The part that a message cannot do without. */
static const char *identity_decode(
	const struct json_value *const members[], struct queue_message *message)
{
	const struct json_value *body = members[BODY];

	message->message_id = bounded_text(members[MESSAGE_ID], SQS_MESSAGE_ID_MAX);
	if (message->message_id == NULL ||
		!is_printable(message->message_id, strlen(message->message_id), 0x21)) {
		message->message_id = NULL;
		return "no valid MessageId";
	}
	message->receipt_handle = bounded_text(members[RECEIPT_HANDLE], SQS_RECEIPT_HANDLE_MAX);
	if (message->receipt_handle == NULL)
		return "no valid ReceiptHandle";
	if (body == NULL || body->kind != JSON_STRING)
		return "no Body";
	message->body = body->string;
	message->body_bytes = body->string_bytes;
	return NULL;
}

/* 0; ERR_PROTOCOL: the digest that came is another one; ERR_NOMEM. */
static int digests_check(const struct receive *receive, const struct json_value *const members[],
	const struct queue_message *message, const char **ret_wrong)
{
	struct sqs_decoder *decoder = receive->decoder;
	const struct json_value *body = members[MD5_OF_BODY];
	const struct json_value *attributes = members[MD5_OF_ATTRIBUTES];
	char md5[MESSAGE_MD5_SIZE];
	const char *expected;

	if (body != NULL) {
		if (message_md5_body(&decoder->md5, message->body, message->body_bytes, md5) != 0)
			return ERR_NOMEM;
		expected = json_text(body);
		*ret_wrong = "the MD5 of its body differs";
		if (expected == NULL || strcmp(expected, md5) != 0)
			return ERR_PROTOCOL;
	}
	if (attributes != NULL) {
		if (message_md5_attributes(
			    &decoder->md5, message->attributes, message->attribute_count, md5) != 0)
			return ERR_NOMEM;
		expected = json_text(attributes);
		*ret_wrong = "the MD5 of its attributes differs";
		if (expected == NULL || strcmp(expected, md5) != 0)
			return ERR_PROTOCOL;
	}
	return 0;
}

/* The body is the parser's copy and about to be the batch's, so what was in it goes over it. */
static int envelope_open(const struct receive *receive, struct queue_message *message,
	char refusal[SQS_REFUSAL_SIZE])
{
	struct json *json = &receive->decoder->json;
	struct sqs_batch *batch = receive->batch;

	return sqs_open_envelope(receive->decoder, receive->unwrap, message,
		json->strings + (message->body - json->strings),
		batch->attributes + batch->attribute_count, refusal);
}

/* The sender's own key when it can stand in a header, else one made of queue and message id. */
static int idempotency_key_set(
	struct receive *receive, struct queue_message *message, char made[UUID_TEXT_SIZE])
{
	int err;

	for (size_t i = 0; i < message->attribute_count; i++) {
		const struct queue_attribute *attribute = &message->attributes[i];

		if (strcmp(attribute->name, "IdempotencyKey") == 0 && attribute->type[0] == 'S' &&
			attribute->value_bytes >= 1 &&
			attribute->value_bytes <= IDEMPOTENCY_KEY_MAX &&
			is_printable(attribute->value, attribute->value_bytes, 0x20)) {
			message->idempotency_key = attribute->value;
			return 0;
		}
	}
	err = uuid_v5_with(&receive->decoder->sha1, uuid_namespace_url, receive->queue_url,
		strlen(receive->queue_url), message->message_id, strlen(message->message_id), made);
	message->idempotency_key = made;
	return err;
}

static void message_drop(struct receive *receive, unsigned *counter,
	const struct queue_message *message, const char *why)
{
	(*counter)++;
	if (receive->dropped.detail[0] == '\0')
		sqs_detail_set(receive->dropped.detail, "message %s dropped: %s",
			message->message_id != NULL ? message->message_id : "without an id", why);
}

/* Takes the message in, or drops it and counts that. 0 or ERR_NOMEM. */
static int message_decode(struct receive *receive, const struct json_value *value)
{
	struct sqs_batch *batch = receive->batch;
	size_t place = batch->batch.count;
	const struct json_value *members[MESSAGE_MEMBERS];
	struct queue_message message = {0};
	const char *wrong = value->kind == JSON_OBJECT ? NULL : "not an object";
	int err;

	sqs_members(value, message_names, MESSAGE_MEMBERS, members);
	if (wrong == NULL)
		wrong = identity_decode(members, &message);
	if (wrong == NULL)
		wrong = system_attributes_decode(members[SYSTEM_ATTRIBUTES], &message);
	if (wrong == NULL)
		wrong = attributes_decode(receive, members[ATTRIBUTES], &message);
	if (wrong != NULL) {
		message_drop(receive, &receive->dropped.malformed, &message, wrong);
		return 0;
	}
	err = digests_check(receive, members, &message, &wrong);
	if (err == ERR_PROTOCOL) {
		message_drop(receive, &receive->dropped.corrupted, &message, wrong);
		return 0;
	}
	if (err == 0)
		err = envelope_open(receive, &message, batch->refusals[place]);
	if (err == 0)
		err = idempotency_key_set(receive, &message, batch->keys[place]);
	if (err != 0)
		return err;
	batch->messages[place] = message;
	batch->attribute_count += message.attribute_count;
	batch->batch.count++;
	return 0;
}

static int messages_decode(struct receive *receive, const char *text, size_t len)
{
	struct sqs_decoder *decoder = receive->decoder;
	struct json *json = &decoder->json;
	const struct json_value *messages;
	int err = sqs_decoder_parse(decoder, text, len);

	if (err != 0)
		return err;
	messages = sqs_member(json_root(json), "Messages");
	if (messages == NULL)
		return 0;
	if (messages->kind != JSON_ARRAY || messages->count > QUEUE_BATCH_MAX)
		return ERR_PROTOCOL;
	for (const struct json_value *value = json_first(messages); value != NULL;
		value = json_next(messages, value)) {
		err = message_decode(receive, value);
		if (err != 0)
			return err;
	}
	return 0;
}

/* The parser's strings and the batch's change places, before and after parsing. */
static void strings_swap(struct json *json, struct sqs_batch *batch)
{
	char *strings = json->strings;
	size_t capacity = json->strings_capacity;

	json->strings = batch->strings;
	json->strings_capacity = batch->strings_capacity;
	batch->strings = strings;
	batch->strings_capacity = capacity;
}

int sqs_decode_receive(struct sqs_decoder *decoder, const char *queue_url, enum sqs_unwrap unwrap,
	const char *text, size_t len, struct queue_batch **ret_batch,
	struct sqs_dropped *ret_dropped)
{
	struct receive receive = {.decoder = decoder, .queue_url = queue_url, .unwrap = unwrap};
	int err;

	receive.batch = sqs_batch_get(decoder->pool);
	if (receive.batch == NULL)
		return ERR_NOMEM;
	strings_swap(&decoder->json, receive.batch);
	err = messages_decode(&receive, text, len);
	strings_swap(&decoder->json, receive.batch);
	if (err != 0) {
		queue_batch_unref(&receive.batch->batch);
		return err;
	}
	receive.batch->batch.bytes = sizeof(*receive.batch) + receive.batch->strings_capacity;
	*ret_batch = &receive.batch->batch;
	*ret_dropped = receive.dropped;
	return 0;
}
