#include "http/event_records.h"

#include "base/base64.h"
#include "bunshin/error.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <string.h>

enum { MD5_BYTES = 16 };

/* `,"name":"text"`; before: what stands in front of the name. Nothing for a text that is NULL. */
static void append_text(
	struct buf *out, const char *before, const char *name, const char *text, size_t bytes)
{
	if (text == NULL)
		return;
	buf_append_string(out, before);
	buf_append_char(out, '"');
	buf_append_string(out, name);
	buf_append_string(out, "\":\"");
	buf_append_json(out, text, bytes);
	buf_append_char(out, '"');
}

static void append_string(struct buf *out, const char *name, const char *text)
{
	append_text(out, ",", name, text, text != NULL ? strlen(text) : 0);
}

/* 0: unknown. */
static void append_time(struct buf *out, const char *name, int64_t epoch_ms)
{
	if (epoch_ms != 0)
		buf_appendf(out, ",\"%s\":\"%" PRId64 "\"", name, epoch_ms);
}

static void append_system_attributes(struct buf *out, const struct queue_message *message)
{
	buf_appendf(out, ",\"attributes\":{\"ApproximateReceiveCount\":\"%" PRIu32 "\"",
		message->receive_count);
	append_string(out, "AWSTraceHeader", message->trace_header);
	append_time(out, "SentTimestamp", message->sent_epoch_ms);
	append_string(out, "SequenceNumber", message->sequence_number);
	append_string(out, "MessageGroupId", message->group_id);
	append_string(out, "SenderId", message->sender_id);
	append_string(out, "MessageDeduplicationId", message->deduplication_id);
	append_time(out, "ApproximateFirstReceiveTimestamp", message->first_received_epoch_ms);
	append_string(out, "DeadLetterQueueSourceArn", message->dead_letter_source);
	buf_append_char(out, '}');
}

/* Binary, or Binary.label. */
static bool is_binary(const char *type)
{
	return strncmp(type, "Binary", 6) == 0 && (type[6] == '\0' || type[6] == '.');
}

static void append_attribute(struct buf *out, const struct queue_attribute *attribute)
{
	buf_append_char(out, '"');
	buf_append_json(out, attribute->name, strlen(attribute->name));
	buf_append_string(out, "\":{");
	if (is_binary(attribute->type)) {
		buf_append_string(out, "\"binaryValue\":\"");
		base64_encode(out, attribute->value, attribute->value_bytes);
		buf_append_char(out, '"');
	} else {
		append_text(out, "", "stringValue", attribute->value, attribute->value_bytes);
	}
	buf_append_string(out, ",\"stringListValues\":[],\"binaryListValues\":[]");
	append_string(out, "dataType", attribute->type);
	buf_append_char(out, '}');
}

static int append_md5(struct buf *out, const EVP_MD *md5, EVP_MD_CTX *context,
	const struct queue_message *message)
{
	unsigned char hash[MD5_BYTES];

	if (EVP_DigestInit_ex(context, md5, NULL) != 1 ||
		EVP_DigestUpdate(context, message->body, message->body_bytes) != 1 ||
		EVP_DigestFinal_ex(context, hash, NULL) != 1)
		return ERR_NOMEM;
	buf_append_string(out, ",\"md5OfBody\":\"");
	for (size_t i = 0; i < sizeof(hash); i++) {
		buf_append_char(out, "0123456789abcdef"[hash[i] >> 4]);
		buf_append_char(out, "0123456789abcdef"[hash[i] & 15]);
	}
	return buf_append_char(out, '"');
}

/* Up to messageAttributes. */
static void append_content(struct buf *out, const struct queue_message *message)
{
	append_text(out, "{", "messageId", message->message_id, strlen(message->message_id));
	append_string(out, "receiptHandle", message->receipt_handle);
	append_text(out, ",", "body", message->body, message->body_bytes);
	append_system_attributes(out, message);
	buf_append_string(out, ",\"messageAttributes\":{");
	for (size_t i = 0; i < message->attribute_count; i++) {
		if (i > 0)
			buf_append_char(out, ',');
		append_attribute(out, &message->attributes[i]);
	}
	buf_append_char(out, '}');
}

static int append_records(struct buf *out, const struct queue_message *const *messages,
	size_t count, const char *queue_arn, const char *region, const EVP_MD *md5,
	EVP_MD_CTX *context)
{
	buf_append_string(out, "{\"Records\":[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_append_char(out, ',');
		append_content(out, messages[i]);
		if (append_md5(out, md5, context, messages[i]) == ERR_NOMEM)
			return ERR_NOMEM;
		append_string(out, "eventSource", "aws:sqs");
		append_string(out, "eventSourceARN", queue_arn);
		append_string(out, "awsRegion", region);
		buf_append_char(out, '}');
	}
	return buf_append_string(out, "]}");
}

int event_records_append(struct buf *out, const struct queue_message *const *messages, size_t count,
	const char *queue_arn, const char *region)
{
	EVP_MD *md5 = EVP_MD_fetch(NULL, "MD5", NULL);
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	int err = ERR_NOMEM;

	if (md5 != NULL && context != NULL)
		err = append_records(out, messages, count, queue_arn, region, md5, context);
	EVP_MD_CTX_free(context);
	EVP_MD_free(md5);
	return err;
}
