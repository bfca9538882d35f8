#include "aws/envelope.h"

#include "aws/sqs_limits.h"
#include "bunshin/error.h"

#include <string.h>

static bool has_attribute(const struct queue_message *message, const char *name)
{
	for (size_t i = 0; i < message->attribute_count; i++) {
		if (strcmp(message->attributes[i].name, name) == 0)
			return true;
	}
	return false;
}

/* Most bodies are no envelope, and many of those no JSON of this kind: seen without parsing. */
static bool starts_with(const char *text, size_t len, char bracket)
{
	size_t i = 0;

	while (i < len && (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r'))
		i++;
	return i < len && text[i] == bracket;
}

/* 0, ERR_NOT_FOUND for what is no JSON within the reader's bounds, or ERR_NOMEM. */
static int parse(struct json *json, const char *text, size_t len, char bracket)
{
	int err;

	if (!starts_with(text, len, bracket))
		return ERR_NOT_FOUND;
	err = json_parse(json, text, len);
	return err == 0 || err == ERR_NOMEM ? err : ERR_NOT_FOUND;
}

static bool is_string(const struct json_value *value)
{
	return value != NULL && value->kind == JSON_STRING;
}

int envelope_read_s3(
	struct json *json, const struct queue_message *message, struct envelope_s3 *ret_pointer)
{
	const struct json_value *root, *place, *bucket, *key;
	int err;

	if (!has_attribute(message, "ExtendedPayloadSize") &&
		!has_attribute(message, "SQSLargePayloadSize"))
		return ERR_NOT_FOUND;
	err = parse(json, message->body, message->body_bytes, '[');
	if (err != 0)
		return err;
	root = json_root(json);
	place = json_element(root, 1);
	bucket = json_member(place, "s3BucketName");
	key = json_member(place, "s3Key");
	if (root->count != 2 || !is_string(json_element(root, 0)) || !is_string(bucket) ||
		!is_string(key))
		return ERR_NOT_FOUND;
	*ret_pointer = (struct envelope_s3){.bucket = bucket->string,
		.bucket_bytes = bucket->string_bytes,
		.key = key->string,
		.key_bytes = key->string_bytes};
	return 0;
}

/*
 * What the worker itself reads. A topic may put more attributes on a message than SQS takes, in
 * any order: a deadline must not be among those that there is no room for.
 */
static bool is_read_here(const char *name)
{
	static const char *const names[] = {"Deadline", "NotBefore", "Campaign", "IdempotencyKey",
		"Destination", "traceparent", "tracestate"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

/* The place of this name: its own, or the next free one; NULL: none is left. */
static struct envelope_attribute *place_of(struct envelope_sns *sns, const char *name)
{
	for (size_t i = 0; i < sns->attribute_count; i++) {
		if (strcmp(sns->attributes[i].name, name) == 0)
			return &sns->attributes[i];
	}
	if (sns->attribute_count == QUEUE_ATTRIBUTES_MAX)
		return NULL;
	return &sns->attributes[sns->attribute_count++];
}

static bool is_carried(const struct json_value *attribute, const char *type)
{
	return strlen(attribute->name) == attribute->name_bytes &&
	       sqs_attribute_name_is_valid(attribute->name) && sqs_attribute_type_is_valid(type) &&
	       strcmp(type, "String.Array") != 0;
}

/* own: takes it only when it is one that is read here; else only when it is not. 0, ERR_SYNTAX. */
static int read_attribute(const struct json_value *attribute, bool own, struct envelope_sns *sns)
{
	const char *type = json_text(json_member(attribute, "Type"));
	const struct json_value *value = json_member(attribute, "Value");
	struct envelope_attribute *place;

	if (type == NULL)
		return ERR_SYNTAX;
	if (!is_carried(attribute, type) || is_read_here(attribute->name) != own)
		return 0;
	if (!is_string(value) || value->string_bytes == 0)
		return ERR_SYNTAX;
	if (!sqs_type_is_binary(type) && !sqs_text_is_valid(value->string, value->string_bytes))
		return ERR_SYNTAX;
	place = place_of(sns, attribute->name);
	if (place != NULL)
		*place = (struct envelope_attribute){.name = attribute->name,
			.type = type,
			.value = value->string,
			.value_bytes = value->string_bytes};
	return 0;
}

static int read_attributes(const struct json *json, bool own, struct envelope_sns *sns)
{
	const struct json_value *all = json_member(json_root(json), "MessageAttributes");
	int err = 0;

	if (all == NULL || all->kind == JSON_NULL)
		return 0;
	if (all->kind != JSON_OBJECT)
		return ERR_SYNTAX;
	for (const struct json_value *child = json_first(all); child != NULL && err == 0;
		child = json_next(all, child))
		err = read_attribute(child, own, sns);
	return err;
}

int envelope_read_sns(
	struct json *json, const char *body, size_t body_bytes, struct envelope_sns *ret_sns)
{
	struct envelope_sns sns = {0};
	const struct json_value *message;
	const char *type;
	int err = parse(json, body, body_bytes, '{');

	if (err != 0)
		return err;
	type = json_text(json_member(json_root(json), "Type"));
	if (type == NULL || strcmp(type, "Notification") != 0)
		return ERR_NOT_FOUND;
	message = json_member(json_root(json), "Message");
	if (!is_string(message) || message->string_bytes == 0 ||
		!sqs_text_is_valid(message->string, message->string_bytes))
		return ERR_SYNTAX;
	sns.message = message->string;
	sns.message_bytes = message->string_bytes;
	err = read_attributes(json, true, &sns);
	if (err == 0)
		err = read_attributes(json, false, &sns);
	if (err == 0)
		*ret_sns = sns;
	return err;
}
