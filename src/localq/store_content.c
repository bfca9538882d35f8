#include "localq/store_content.h"

#include "bunshin/error.h"

#include <string.h>

#define FORM 1
#define ID_AT 1
#define MD5_AT 17
#define LENGTHS_AT 33 /* three of u16, one of u32 */
#define PARTS_AT 43

static size_t text_bytes(const char *text)
{
	return text != NULL ? strlen(text) + 1 : 0;
}

int store_content_write(const struct store_message *message, struct buf *into)
{
	const char *texts[] = {message->trace_header, message->group_id, message->deduplication_id};
	uint8_t head[PARTS_AT] = {FORM};
	size_t bytes[3];

	memcpy(head + ID_AT, message->message_id, 16);
	memcpy(head + MD5_AT, message->md5, 16);
	for (size_t i = 0; i < 3; i++) {
		bytes[i] = text_bytes(texts[i]);
		if (bytes[i] > UINT16_MAX)
			return ERR_TOO_LARGE;
		store_put(head + LENGTHS_AT + 2 * i, 2, bytes[i]);
	}
	store_put(head + LENGTHS_AT + 6, 4, message->attributes_bytes);
	if (buf_reserve(into, PARTS_AT + bytes[0] + bytes[1] + bytes[2] +
				      message->attributes_bytes + message->body_bytes) == NULL)
		return into->err;
	buf_append(into, head, sizeof(head));
	for (size_t i = 0; i < 3; i++)
		buf_append(into, texts[i], bytes[i]);
	buf_append(into, message->attributes, message->attributes_bytes);
	return buf_append(into, message->body, message->body_bytes);
}

/* Takes a text of `bytes` bytes off; NULL for none. False: it does not end in a NUL. */
static bool take_text(const char **at, size_t bytes, const char **ret)
{
	*ret = bytes > 0 ? *at : NULL;
	*at += bytes;
	return bytes == 0 || (*at)[-1] == '\0';
}

bool store_content_read(const void *content, size_t bytes, struct store_message *ret)
{
	const uint8_t *head = content;
	const char *at = content;
	size_t texts[3], used = PARTS_AT;

	if (content == NULL || bytes < PARTS_AT || head[0] != FORM)
		return false;
	at += PARTS_AT;
	for (size_t i = 0; i < 3; i++) {
		texts[i] = store_get(head + LENGTHS_AT + 2 * i, 2);
		used += texts[i];
	}
	ret->attributes_bytes = store_get(head + LENGTHS_AT + 6, 4);
	used += ret->attributes_bytes;
	if (used > bytes || !take_text(&at, texts[0], &ret->trace_header) ||
		!take_text(&at, texts[1], &ret->group_id) ||
		!take_text(&at, texts[2], &ret->deduplication_id))
		return false;
	memcpy(ret->message_id, head + ID_AT, 16);
	memcpy(ret->md5, head + MD5_AT, 16);
	ret->attributes = ret->attributes_bytes > 0 ? at : NULL;
	ret->body = at + ret->attributes_bytes;
	ret->body_bytes = bytes - used;
	return true;
}

/* A copy of the content, by SQLite's own memory. NULL: the context holds the error. */
static uint8_t *copy_of(sqlite3_context *context, const void *bytes, size_t len)
{
	uint8_t *copy = sqlite3_malloc64(len);

	if (copy == NULL)
		sqlite3_result_error_nomem(context);
	else
		memcpy(copy, bytes, len);
	return copy;
}

static void with_id(sqlite3_context *context, int count, sqlite3_value **values)
{
	const void *content = sqlite3_value_blob(values[0]), *id = sqlite3_value_blob(values[1]);
	size_t len = (size_t)sqlite3_value_bytes(values[0]);
	uint8_t *copy;

	(void)count;
	if (content == NULL || len < PARTS_AT || id == NULL ||
		sqlite3_value_bytes(values[1]) != 16) {
		sqlite3_result_error(context, "a damaged row", -1);
		return;
	}
	copy = copy_of(context, content, len);
	if (copy == NULL)
		return;
	memcpy(copy + ID_AT, id, 16);
	sqlite3_result_blob64(context, copy, len, sqlite3_free);
}

static void from_columns(sqlite3_context *context, int count, sqlite3_value **values)
{
	struct store_message message = {
		.trace_header = (const char *)sqlite3_value_text(values[2]),
		.group_id = (const char *)sqlite3_value_text(values[3]),
		.attributes = sqlite3_value_blob(values[4]),
		.attributes_bytes = (size_t)sqlite3_value_bytes(values[4]),
		.body = (const char *)sqlite3_value_text(values[5]),
		.body_bytes = (size_t)sqlite3_value_bytes(values[5]),
	};
	struct buf content = BUF_INIT(SIZE_MAX / 2);
	uint8_t *copy;

	(void)count;
	if (sqlite3_value_bytes(values[0]) == 16)
		memcpy(message.message_id, sqlite3_value_blob(values[0]), 16);
	if (sqlite3_value_bytes(values[1]) == 16)
		memcpy(message.md5, sqlite3_value_blob(values[1]), 16);
	if (store_content_write(&message, &content) == 0) {
		copy = copy_of(context, content.data, content.len);
		if (copy != NULL)
			sqlite3_result_blob64(context, copy, content.len, sqlite3_free);
	} else {
		sqlite3_result_error_nomem(context);
	}
	buf_free(&content);
}

int store_content_register(sqlite3 *db)
{
	const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
	int code = sqlite3_create_function_v2(
		db, "content_with_id", 2, flags, NULL, with_id, NULL, NULL, NULL);

	if (code != SQLITE_OK)
		return code;
	return sqlite3_create_function_v2(
		db, "content", 6, flags, NULL, from_columns, NULL, NULL, NULL);
}
