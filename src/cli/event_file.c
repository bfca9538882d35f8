#include "cli/event_file.h"

#include "aws/sqs_limits.h"
#include "aws/uuid.h"
#include "base/base64.h"
#include "base/json.h"
#include "base/units.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_NAME "invoke"

struct record {
	struct queue_message message;
	struct queue_attribute attributes[QUEUE_ATTRIBUTES_MAX];
	char id[32];
	char key[UUID_TEXT_SIZE];
};

struct event_file {
	char *text; /* owned copy of a bare body */
	struct json json;
	struct record *records;
	size_t count;
};

void event_file_free(struct event_file *file)
{
	if (!file)
		return;
	json_free(&file->json);
	free(file->records);
	free(file->text);
	free(file);
}

size_t event_file_count(const struct event_file *file)
{
	return file->count;
}

const struct queue_message *event_file_message(const struct event_file *file, size_t index)
{
	return &file->records[index].message;
}

static void set_defaults(struct record *record, size_t index, int64_t now_epoch_ms)
{
	snprintf(record->id, sizeof(record->id), "event-%zu", index + 1);
	record->message = (struct queue_message){.message_id = record->id,
		.receipt_handle = "",
		.body = "",
		.attributes = record->attributes,
		.receive_count = 1,
		.sent_epoch_ms = now_epoch_ms,
		.first_received_epoch_ms = now_epoch_ms};
}

/* Binary, or Binary.label. */
static bool is_binary(const char *type)
{
	return strncmp(type, "Binary", 6) == 0 && (type[6] == '\0' || type[6] == '.');
}

static int set_key(struct record *record)
{
	struct queue_message *m = &record->message;

	for (size_t i = 0; i < m->attribute_count; i++) {
		const struct queue_attribute *a = &record->attributes[i];

		if (strcmp(a->name, "IdempotencyKey") == 0 && !is_binary(a->type) &&
			a->value[a->value_bytes] == '\0') {
			m->idempotency_key = a->value;
			return 0;
		}
	}
	m->idempotency_key = record->key;
	return uuid_v5(uuid_namespace_url, QUEUE_NAME, strlen(QUEUE_NAME), m->message_id,
		strlen(m->message_id), record->key);
}

/* Decodes over the parser's copy of the text. */
static int decode_binary(
	struct json *json, const struct json_value *value, struct queue_attribute *attribute)
{
	char *text = json->strings + (value->string - json->strings);

	attribute->value = text;
	return base64_decode(text, value->string_bytes, &attribute->value_bytes);
}

static int read_attributes(struct json *json, const struct json_value *map, size_t index,
	struct record *record, struct buf *error)
{
	for (const struct json_value *v = json_first(map); v; v = json_next(map, v)) {
		struct queue_attribute *attribute =
			&record->attributes[record->message.attribute_count];
		const char *type = json_text(json_member(v, "dataType"));
		bool binary = type && is_binary(type);
		const struct json_value *value =
			json_member(v, binary ? "binaryValue" : "stringValue");

		if (record->message.attribute_count == QUEUE_ATTRIBUTES_MAX) {
			buf_appendf(error, "Records[%zu].messageAttributes: more than %d", index,
				QUEUE_ATTRIBUTES_MAX);
			return ERR_TOO_LARGE;
		}
		if (!type || !value || value->kind != JSON_STRING)
			continue;
		*attribute = (struct queue_attribute){.name = v->name,
			.type = type,
			.value = value->string,
			.value_bytes = value->string_bytes};
		if (binary && decode_binary(json, value, attribute)) {
			buf_appendf(error,
				"Records[%zu].messageAttributes.%s.binaryValue: expected base64",
				index, v->name);
			return ERR_SYNTAX;
		}
		record->message.attribute_count++;
	}
	return 0;
}

/* A system attribute: a decimal string in Lambda's shape. */
static void read_number(const struct json_value *map, const char *name, int64_t *value)
{
	const char *text = json_text(json_member(map, name));
	int64_t number;

	if (text && !units_parse_int(text, &number) && number > 0)
		*value = number;
}

static void read_system_attributes(const struct json_value *map, struct queue_message *message)
{
	int64_t received = 1;

	read_number(map, "ApproximateReceiveCount", &received);
	message->receive_count = received > UINT32_MAX ? UINT32_MAX : (uint32_t)received;
	read_number(map, "SentTimestamp", &message->sent_epoch_ms);
	read_number(map, "ApproximateFirstReceiveTimestamp", &message->first_received_epoch_ms);
	message->group_id = json_text(json_member(map, "MessageGroupId"));
	if (message->group_id && !sqs_group_id_is_valid(message->group_id))
		message->group_id = NULL;
	message->trace_header = json_text(json_member(map, "AWSTraceHeader"));
	if (message->trace_header && !sqs_trace_header_is_valid(message->trace_header))
		message->trace_header = NULL;
	message->sender_id = json_text(json_member(map, "SenderId"));
	message->sequence_number = json_text(json_member(map, "SequenceNumber"));
	message->deduplication_id = json_text(json_member(map, "MessageDeduplicationId"));
	message->dead_letter_source = json_text(json_member(map, "DeadLetterQueueSourceArn"));
}

static int read_record(struct json *json, const struct json_value *from, size_t index,
	int64_t now_epoch_ms, struct record *record, struct buf *error)
{
	const struct json_value *body = json_member(from, "body");
	const char *id = json_text(json_member(from, "messageId"));
	const char *handle = json_text(json_member(from, "receiptHandle"));
	int err;

	set_defaults(record, index, now_epoch_ms);
	if (!body || body->kind != JSON_STRING) {
		buf_appendf(error, "Records[%zu].body: expected a string", index);
		return ERR_SYNTAX;
	}
	record->message.body = body->string;
	record->message.body_bytes = body->string_bytes;
	if (id && *id)
		record->message.message_id = id;
	if (handle)
		record->message.receipt_handle = handle;
	read_system_attributes(json_member(from, "attributes"), &record->message);
	err = read_attributes(json, json_member(from, "messageAttributes"), index, record, error);
	return err ? err : set_key(record);
}

static int read_records(struct event_file *file, const struct json_value *list,
	int64_t now_epoch_ms, struct buf *error)
{
	int err;

	if (list->count == 0 || list->count > EVENT_FILE_RECORDS_MAX) {
		buf_appendf(error, "Records: expected 1 to %d, got %u", EVENT_FILE_RECORDS_MAX,
			list->count);
		return ERR_SYNTAX;
	}
	file->records = calloc(list->count, sizeof(*file->records));
	if (!file->records)
		return ERR_NOMEM;
	for (const struct json_value *v = json_first(list); v;
		v = json_next(list, v), file->count++) {
		err = read_record(&file->json, v, file->count, now_epoch_ms,
			&file->records[file->count], error);
		if (err)
			return err;
	}
	return 0;
}

static int read_bare(struct event_file *file, size_t len, int64_t now_epoch_ms)
{
	if (len && file->text[len - 1] == '\n')
		file->text[--len] = '\0';
	file->records = calloc(1, sizeof(*file->records));
	if (!file->records)
		return ERR_NOMEM;
	file->count = 1;
	set_defaults(&file->records[0], 0, now_epoch_ms);
	file->records[0].message.body = file->text;
	file->records[0].message.body_bytes = len;
	return set_key(&file->records[0]);
}

int event_file_parse(const char *text, size_t len, int64_t now_epoch_ms,
	struct event_file **ret_file, struct buf *error)
{
	struct event_file *file;
	const struct json_value *records = NULL;
	int err;

	if (len > EVENT_FILE_MAX_BYTES) {
		buf_append_string(error, "larger than 16 MiB");
		return ERR_TOO_LARGE;
	}
	file = calloc(1, sizeof(*file));
	if (!file)
		return ERR_NOMEM;
	file->text = malloc(len + 1);
	if (!file->text) {
		event_file_free(file);
		return ERR_NOMEM;
	}
	memcpy(file->text, text, len);
	file->text[len] = '\0';
	err = json_parse(&file->json, file->text, len);
	if (!err)
		records = json_member(json_root(&file->json), "Records");
	if (err == ERR_NOMEM)
		;
	else if (records && records->kind == JSON_ARRAY)
		err = read_records(file, records, now_epoch_ms, error);
	else
		err = read_bare(file, len, now_epoch_ms);
	if (err) {
		event_file_free(file);
		return err;
	}
	*ret_file = file;
	return 0;
}
