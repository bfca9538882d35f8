/* A received message out of its envelope. */
#include "aws/sqs_codec.h"
#include "aws/sqs_limits.h"
#include "base/base64.h"
#include "base/utf8.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <string.h>

/* How much of a name a refusal shows; S3 takes 63 and 1,024 bytes. */
#define SHOWN_BUCKET_BYTES 63
#define SHOWN_KEY_BYTES 90

static bool is_control(const char *sequence, size_t bytes)
{
	unsigned char first = (unsigned char)sequence[0];

	/* U+80 to U+9F are the second row of control characters. */
	return bytes == 1 ? first < 0x20 || first == 0x7f
			  : first == 0xc2 && (unsigned char)sequence[1] < 0xa0;
}

/* Cuts at a character and blanks control characters out. `shown` has room for max bytes and 4. */
static const char *show_name(char *shown, size_t max, const char *name, size_t len)
{
	size_t out = 0;

	for (size_t i = 0; i < len;) {
		size_t bytes = utf8_sequence(name + i, len - i);

		if (bytes == 0 || out + bytes > max) {
			memcpy(shown + out, "...", 3);
			out += 3;
			break;
		}
		if (is_control(name + i, bytes)) {
			shown[out++] = ' ';
		} else {
			memcpy(shown + out, name + i, bytes);
			out += bytes;
		}
		i += bytes;
	}
	shown[out] = '\0';
	return shown;
}

/* 0 whether it is one, which sets `refused`, or not; or ERR_NOMEM. */
static int refuse_s3(struct json *json, const struct queue_message *as_sent,
	char refusal[SQS_REFUSAL_SIZE], const char **ret_refused)
{
	char bucket[SHOWN_BUCKET_BYTES + 4], key[SHOWN_KEY_BYTES + 4];
	struct envelope_s3 place;
	int err = envelope_read_s3(json, as_sent, &place);

	if (err == ERR_NOT_FOUND)
		return 0;
	if (err != 0)
		return err;
	snprintf(refusal, SQS_REFUSAL_SIZE,
		"the body is in S3 (bucket %s, key %s): messages of the SQS extended client are "
		"not supported",
		show_name(bucket, SHOWN_BUCKET_BYTES, place.bucket, place.bucket_bytes),
		show_name(key, SHOWN_KEY_BYTES, place.key, place.key_bytes));
	*ret_refused = refusal;
	return 0;
}

/* Decodes Binary values where the parser has put them. False: one is not base64. */
static bool decode_binaries(const struct json *json, struct envelope_sns *sns)
{
	for (size_t i = 0; i < sns->attribute_count; i++) {
		struct envelope_attribute *attribute = &sns->attributes[i];
		char *text = json->strings + (attribute->value - json->strings);

		if (sqs_type_is_binary(attribute->type) &&
			base64_decode(text, attribute->value_bytes, &attribute->value_bytes) != 0)
			return false;
	}
	return true;
}

static bool has_attribute(const struct queue_message *message, const char *name)
{
	for (size_t i = 0; i < message->attribute_count; i++) {
		if (strcmp(message->attributes[i].name, name) == 0)
			return true;
	}
	return false;
}

/* The message as its sender meant it, its texts still the parser's. */
static void describe(const struct envelope_sns *sns, struct queue_attribute *attributes,
	struct queue_message *message)
{
	message->body = sns->message;
	message->body_bytes = sns->message_bytes;
	for (size_t i = 0; i < sns->attribute_count; i++) {
		const struct envelope_attribute *from = &sns->attributes[i];

		if (message->attribute_count == QUEUE_ATTRIBUTES_MAX)
			break;
		if (has_attribute(message, from->name))
			continue;
		attributes[message->attribute_count++] =
			(struct queue_attribute){.name = from->name,
				.type = from->type,
				.value = from->value,
				.value_bytes = from->value_bytes};
	}
}

static const char *put(char **at, const char *text, size_t len)
{
	char *put_at = *at;

	memcpy(put_at, text, len);
	put_at[len] = '\0';
	*at += len + 1;
	return put_at;
}

/*
 * Moves the texts from the parser's memory into the body's. They fit: unescaping makes nothing
 * longer, and where each had its quotes, two bytes, it needs one NUL.
 */
static void settle(
	struct queue_message *message, size_t own, struct queue_attribute *attributes, char *body)
{
	message->body = put(&body, message->body, message->body_bytes);
	for (size_t i = own; i < message->attribute_count; i++) {
		struct queue_attribute *attribute = &attributes[i];

		attribute->name = put(&body, attribute->name, strlen(attribute->name));
		attribute->type = put(&body, attribute->type, strlen(attribute->type));
		attribute->value = put(&body, attribute->value, attribute->value_bytes);
	}
}

static int open_sns(struct sqs_decoder *decoder, struct queue_message *message, char *body,
	struct queue_attribute *attributes, char refusal[SQS_REFUSAL_SIZE])
{
	struct queue_message opened = *message;
	struct envelope_sns sns;
	int err = envelope_read_sns(&decoder->envelope, message->body, message->body_bytes, &sns);

	if (err == ERR_SYNTAX) {
		message->refused = "the body is an SNS notification without a Message, or with an "
				   "attribute, that SQS could hold";
		return 0;
	}
	if (err == ERR_NOT_FOUND)
		return refuse_s3(&decoder->inner, message, refusal, &message->refused);
	if (err != 0)
		return err;
	if (!decode_binaries(&decoder->envelope, &sns)) {
		message->refused = "the body is an SNS notification with a Binary attribute that "
				   "is not base64";
		return 0;
	}
	describe(&sns, attributes, &opened);
	err = refuse_s3(&decoder->inner, &opened, refusal, &message->refused);
	if (err != 0 || message->refused != NULL)
		return err;
	settle(&opened, message->attribute_count, attributes, body);
	*message = opened;
	return 0;
}

int sqs_open_envelope(struct sqs_decoder *decoder, enum sqs_unwrap unwrap,
	struct queue_message *message, char *body, struct queue_attribute *attributes,
	char refusal[SQS_REFUSAL_SIZE])
{
	int err;

	if (unwrap == SQS_UNWRAP_SNS)
		err = open_sns(decoder, message, body, attributes, refusal);
	else
		err = refuse_s3(&decoder->inner, message, refusal, &message->refused);
	sqs_json_trim(&decoder->envelope);
	sqs_json_trim(&decoder->inner);
	return err;
}
