#include "aws/sqs_codec.h"
#include "aws/sqs_limits.h"
#include "base/base64.h"
#include "bunshin/error.h"

#include <string.h>

static void append_string_member(struct buf *body, const char *key, const char *value)
{
	buf_append_string(body, key);
	buf_append_json(body, value, strlen(value));
	buf_append_char(body, '"');
}

static bool url_is_valid(const char *queue_url)
{
	size_t len = strnlen(queue_url, SQS_QUEUE_URL_MAX + 1);

	return len > 0 && len <= SQS_QUEUE_URL_MAX && sqs_text_is_valid(queue_url, len);
}

static bool handle_is_valid(const char *handle)
{
	size_t len = handle != NULL ? strnlen(handle, SQS_RECEIPT_HANDLE_MAX + 1) : 0;

	return len > 0 && len <= SQS_RECEIPT_HANDLE_MAX && sqs_text_is_valid(handle, len);
}

static bool count_is_valid(size_t count)
{
	return count >= 1 && count <= QUEUE_BATCH_MAX;
}

int sqs_encode_receive(struct buf *body, const char *queue_url, const struct queue_receive *params,
	const char *attempt_id)
{
	static const char needed[] =
		"\"ApproximateReceiveCount\",\"SentTimestamp\","
		"\"ApproximateFirstReceiveTimestamp\",\"MessageGroupId\",\"AWSTraceHeader\"";

	if (!url_is_valid(queue_url) || !count_is_valid(params->max_messages) ||
		params->wait_s > SQS_WAIT_MAX_S || params->visibility_s > QUEUE_VISIBILITY_MAX_S)
		return ERR_ARGUMENT;
	append_string_member(body, "{\"QueueUrl\":\"", queue_url);
	buf_appendf(body,
		",\"MaxNumberOfMessages\":%u,\"WaitTimeSeconds\":%u,\"VisibilityTimeout\":%u,"
		"\"MessageSystemAttributeNames\":[%s],\"MessageAttributeNames\":[\"All\"]",
		params->max_messages, params->wait_s, params->visibility_s,
		params->all_attributes ? "\"All\"" : needed);
	if (attempt_id[0] != '\0')
		append_string_member(body, ",\"ReceiveRequestAttemptId\":\"", attempt_id);
	return buf_append_char(body, '}');
}

/* Opens the entry: the batch so far, and its positional id. */
static void entry_begin(struct buf *body, const char *queue_url, size_t i)
{
	if (i == 0) {
		append_string_member(body, "{\"QueueUrl\":\"", queue_url);
		buf_append_string(body, ",\"Entries\":[");
	} else {
		buf_append_char(body, ',');
	}
	buf_append_string(body, "{\"Id\":\"");
	buf_append_char(body, (char)('0' + i));
	buf_append_char(body, '"');
}

int sqs_encode_delete_batch(
	struct buf *body, const char *queue_url, const char *const receipt_handles[], size_t count)
{
	if (!url_is_valid(queue_url) || !count_is_valid(count))
		return ERR_ARGUMENT;
	for (size_t i = 0; i < count; i++) {
		if (!handle_is_valid(receipt_handles[i]))
			return ERR_ARGUMENT;
	}
	for (size_t i = 0; i < count; i++) {
		entry_begin(body, queue_url, i);
		append_string_member(body, ",\"ReceiptHandle\":\"", receipt_handles[i]);
		buf_append_char(body, '}');
	}
	return buf_append_string(body, "]}");
}

int sqs_encode_visibility_batch(struct buf *body, const char *queue_url,
	const struct queue_visibility entries[], size_t count)
{
	if (!url_is_valid(queue_url) || !count_is_valid(count))
		return ERR_ARGUMENT;
	for (size_t i = 0; i < count; i++) {
		if (!handle_is_valid(entries[i].receipt_handle) ||
			entries[i].visibility_s > QUEUE_VISIBILITY_MAX_S)
			return ERR_ARGUMENT;
	}
	for (size_t i = 0; i < count; i++) {
		entry_begin(body, queue_url, i);
		append_string_member(body, ",\"ReceiptHandle\":\"", entries[i].receipt_handle);
		buf_appendf(body, ",\"VisibilityTimeout\":%u}", entries[i].visibility_s);
	}
	return buf_append_string(body, "]}");
}

static bool attribute_is_valid(const struct queue_attribute *attribute)
{
	if (!sqs_attribute_name_is_valid(attribute->name) ||
		!sqs_attribute_type_is_valid(attribute->type) || attribute->value_bytes == 0)
		return false;
	return sqs_type_is_binary(attribute->type) ||
	       sqs_text_is_valid(attribute->value, attribute->value_bytes);
}

static bool send_is_valid(const struct queue_send *entry)
{
	if (entry->body_bytes == 0 || entry->attribute_count > QUEUE_ATTRIBUTES_MAX ||
		entry->delay_s > SQS_DELAY_MAX_S)
		return false;
	if (entry->group_id != NULL && !sqs_group_id_is_valid(entry->group_id))
		return false;
	if (entry->deduplication_id != NULL && !sqs_group_id_is_valid(entry->deduplication_id))
		return false;
	if (entry->trace_header != NULL && !sqs_trace_header_is_valid(entry->trace_header))
		return false;
	for (size_t i = 0; i < entry->attribute_count; i++) {
		if (!attribute_is_valid(&entry->attributes[i]))
			return false;
		for (size_t k = 0; k < i; k++) {
			if (strcmp(entry->attributes[i].name, entry->attributes[k].name) == 0)
				return false;
		}
	}
	return true;
}

/* As SQS counts it: body, and names, types and values of the attributes. */
static size_t send_bytes(const struct queue_send *entry)
{
	size_t bytes = entry->body_bytes;

	for (size_t i = 0; i < entry->attribute_count; i++)
		bytes += strlen(entry->attributes[i].name) + strlen(entry->attributes[i].type) +
			 entry->attributes[i].value_bytes;
	return bytes;
}

static int sends_check(const struct queue_send entries[], size_t count)
{
	size_t bytes = 0;

	for (size_t i = 0; i < count; i++) {
		if (!send_is_valid(&entries[i]))
			return ERR_ARGUMENT;
		if (entries[i].body_bytes > SQS_BATCH_MAX_BYTES)
			return ERR_TOO_LARGE;
		bytes += send_bytes(&entries[i]);
		if (bytes > SQS_BATCH_MAX_BYTES)
			return ERR_TOO_LARGE;
		if (!sqs_text_is_valid(entries[i].body, entries[i].body_bytes))
			return ERR_ARGUMENT;
	}
	return 0;
}

static void append_attributes(struct buf *body, const struct queue_send *entry)
{
	buf_append_string(body, ",\"MessageAttributes\":{");
	for (size_t i = 0; i < entry->attribute_count; i++) {
		const struct queue_attribute *attribute = &entry->attributes[i];

		append_string_member(body, i > 0 ? ",\"" : "\"", attribute->name);
		append_string_member(body, ":{\"DataType\":\"", attribute->type);
		if (sqs_type_is_binary(attribute->type)) {
			buf_append_string(body, ",\"BinaryValue\":\"");
			base64_encode(body, attribute->value, attribute->value_bytes);
		} else {
			buf_append_string(body, ",\"StringValue\":\"");
			buf_append_json(body, attribute->value, attribute->value_bytes);
		}
		buf_append_string(body, "\"}");
	}
	buf_append_char(body, '}');
}

static void append_send(struct buf *body, const struct queue_send *entry)
{
	buf_append_string(body, ",\"MessageBody\":\"");
	buf_append_json(body, entry->body, entry->body_bytes);
	buf_append_char(body, '"');
	/* Absent is the queue's own delay; 0 would override it. */
	if (entry->delay_s > 0 || entry->no_delay)
		buf_appendf(body, ",\"DelaySeconds\":%u", entry->delay_s);
	if (entry->attribute_count > 0)
		append_attributes(body, entry);
	if (entry->trace_header != NULL) {
		append_string_member(body,
			",\"MessageSystemAttributes\":{\"AWSTraceHeader\":{\"DataType\":"
			"\"String\",\"StringValue\":\"",
			entry->trace_header);
		buf_append_string(body, "}}");
	}
	if (entry->group_id != NULL)
		append_string_member(body, ",\"MessageGroupId\":\"", entry->group_id);
	if (entry->deduplication_id != NULL)
		append_string_member(
			body, ",\"MessageDeduplicationId\":\"", entry->deduplication_id);
	buf_append_char(body, '}');
}

static int digests_of(
	struct digest *md5, const struct queue_send *entry, char body[], char attributes[])
{
	int err = message_md5_body(md5, entry->body, entry->body_bytes, body);

	attributes[0] = '\0';
	if (err == 0 && entry->attribute_count > 0)
		err = message_md5_attributes(
			md5, entry->attributes, entry->attribute_count, attributes);
	return err;
}

int sqs_encode_send_batch(struct buf *body, const char *queue_url,
	const struct queue_send entries[], size_t count, struct digest *md5,
	struct sqs_sent_digests *ret_digests)
{
	int err;

	if (!url_is_valid(queue_url) || !count_is_valid(count))
		return ERR_ARGUMENT;
	err = sends_check(entries, count);
	for (size_t i = 0; err == 0 && i < count; i++)
		err = digests_of(
			md5, &entries[i], ret_digests->body[i], ret_digests->attributes[i]);
	if (err != 0)
		return err;
	for (size_t i = 0; i < count; i++) {
		entry_begin(body, queue_url, i);
		append_send(body, &entries[i]);
	}
	return buf_append_string(body, "]}");
}

int sqs_encode_get_attributes(struct buf *body, const char *queue_url)
{
	if (!url_is_valid(queue_url))
		return ERR_ARGUMENT;
	append_string_member(body, "{\"QueueUrl\":\"", queue_url);
	return buf_append_string(body,
		",\"AttributeNames\":[\"ApproximateNumberOfMessages\","
		"\"ApproximateNumberOfMessagesNotVisible\","
		"\"ApproximateNumberOfMessagesDelayed\",\"VisibilityTimeout\"]}");
}

int sqs_encode_queue_name(struct buf *body, const char *queue_name)
{
	if (!sqs_queue_name_is_valid(queue_name))
		return ERR_ARGUMENT;
	append_string_member(body, "{\"QueueName\":\"", queue_name);
	return buf_append_char(body, '}');
}

int sqs_encode_describe(struct buf *body, const char *queue_url)
{
	if (!url_is_valid(queue_url))
		return ERR_ARGUMENT;
	append_string_member(body, "{\"QueueUrl\":\"", queue_url);
	return buf_append_string(body,
		",\"AttributeNames\":[\"QueueArn\",\"RedrivePolicy\","
		"\"ApproximateNumberOfMessages\",\"ApproximateNumberOfMessagesNotVisible\","
		"\"ApproximateNumberOfMessagesDelayed\",\"VisibilityTimeout\"]}");
}

int sqs_encode_list_sources(struct buf *body, const char *queue_url)
{
	if (!url_is_valid(queue_url))
		return ERR_ARGUMENT;
	append_string_member(body, "{\"QueueUrl\":\"", queue_url);
	return buf_appendf(body, ",\"MaxResults\":%d}", SQS_SOURCES_MAX);
}

static bool word_is_valid(const char *word, size_t max)
{
	size_t len = strnlen(word, max + 1);

	return len > 0 && len <= max && sqs_text_is_valid(word, len);
}

int sqs_encode_start_move(struct buf *body, const char *source_arn, const char *destination_arn,
	unsigned messages_per_s)
{
	if (!word_is_valid(source_arn, SQS_ARN_MAX) || messages_per_s > SQS_MOVE_RATE_MAX ||
		(destination_arn != NULL && !word_is_valid(destination_arn, SQS_ARN_MAX)))
		return ERR_ARGUMENT;
	append_string_member(body, "{\"SourceArn\":\"", source_arn);
	if (destination_arn != NULL)
		append_string_member(body, ",\"DestinationArn\":\"", destination_arn);
	if (messages_per_s > 0)
		buf_appendf(body, ",\"MaxNumberOfMessagesPerSecond\":%u", messages_per_s);
	return buf_append_char(body, '}');
}

int sqs_encode_list_moves(struct buf *body, const char *source_arn)
{
	if (!word_is_valid(source_arn, SQS_ARN_MAX))
		return ERR_ARGUMENT;
	append_string_member(body, "{\"SourceArn\":\"", source_arn);
	return buf_appendf(body, ",\"MaxResults\":%d}", SQS_MOVES_MAX);
}

int sqs_encode_cancel_move(struct buf *body, const char *task_handle)
{
	if (!word_is_valid(task_handle, SQS_TASK_HANDLE_MAX))
		return ERR_ARGUMENT;
	append_string_member(body, "{\"TaskHandle\":\"", task_handle);
	return buf_append_char(body, '}');
}

int sqs_encode_purge(struct buf *body, const char *queue_url)
{
	if (!url_is_valid(queue_url))
		return ERR_ARGUMENT;
	append_string_member(body, "{\"QueueUrl\":\"", queue_url);
	return buf_append_char(body, '}');
}
