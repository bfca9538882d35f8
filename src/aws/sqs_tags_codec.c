#include "aws/sqs_codec.h"
#include "aws/sqs_limits.h"
#include "bunshin/error.h"

#include <string.h>
#include <strings.h>

#define TAG_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _.:/=+-@"

static bool key_is_valid(const char *key)
{
	size_t len = strspn(key, TAG_CHARACTERS);

	return len > 0 && len <= SQS_TAG_KEY_MAX && key[len] == '\0' &&
	       strncasecmp(key, "aws:", 4) != 0;
}

static bool value_is_valid(const char *value)
{
	size_t len = strspn(value, TAG_CHARACTERS);

	return len <= SQS_TAG_VALUE_MAX && value[len] == '\0';
}

static bool url_is_valid(const char *queue_url)
{
	size_t len = strnlen(queue_url, SQS_QUEUE_URL_MAX + 1);

	return len > 0 && len <= SQS_QUEUE_URL_MAX && sqs_text_is_valid(queue_url, len);
}

static void append_text(struct buf *body, const char *text)
{
	buf_append_char(body, '"');
	buf_append_json(body, text, strlen(text));
	buf_append_char(body, '"');
}

static void append_url(struct buf *body, const char *queue_url)
{
	buf_append_string(body, "{\"QueueUrl\":");
	append_text(body, queue_url);
}

int sqs_encode_list_tags(struct buf *body, const char *queue_url)
{
	if (!url_is_valid(queue_url))
		return ERR_ARGUMENT;
	append_url(body, queue_url);
	return buf_append_char(body, '}');
}

int sqs_encode_tag(
	struct buf *body, const char *queue_url, const struct sqs_tag tags[], size_t count)
{
	if (!url_is_valid(queue_url) || count < 1 || count > SQS_TAGS_MAX)
		return ERR_ARGUMENT;
	for (size_t i = 0; i < count; i++)
		if (!key_is_valid(tags[i].key) || !value_is_valid(tags[i].value))
			return ERR_ARGUMENT;
	append_url(body, queue_url);
	buf_append_string(body, ",\"Tags\":{");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_append_char(body, ',');
		append_text(body, tags[i].key);
		buf_append_char(body, ':');
		append_text(body, tags[i].value);
	}
	return buf_append_string(body, "}}");
}

int sqs_encode_untag(
	struct buf *body, const char *queue_url, const char *const keys[], size_t count)
{
	if (!url_is_valid(queue_url) || count < 1 || count > SQS_TAGS_MAX)
		return ERR_ARGUMENT;
	for (size_t i = 0; i < count; i++)
		if (!key_is_valid(keys[i]))
			return ERR_ARGUMENT;
	append_url(body, queue_url);
	buf_append_string(body, ",\"TagKeys\":[");
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			buf_append_char(body, ',');
		append_text(body, keys[i]);
	}
	return buf_append_string(body, "]}");
}

int sqs_decode_list_tags(
	struct sqs_decoder *decoder, const char *text, size_t len, struct sqs_tags *ret_tags)
{
	const struct json *json = &decoder->json;
	struct sqs_tags tags = {.count = 0};
	const struct json_value *map;
	int err = sqs_decoder_parse(decoder, text, len);

	if (err != 0)
		return err;
	map = sqs_member(json_root(json), "Tags");
	if (map != NULL && (map->kind != JSON_OBJECT || map->count > SQS_TAGS_MAX))
		return ERR_PROTOCOL;
	for (const struct json_value *item = json_first(map); item != NULL;
		item = json_next(map, item)) {
		const char *value = json_text(item);

		/* In bytes: a character takes up to four of them. */
		if (value == NULL || item->name_bytes != strlen(item->name) ||
			item->name_bytes == 0 || item->name_bytes > 4 * SQS_TAG_KEY_MAX ||
			strlen(value) > 4 * SQS_TAG_VALUE_MAX)
			return ERR_PROTOCOL;
		tags.tags[tags.count++] = (struct sqs_tag){.key = item->name, .value = value};
	}
	*ret_tags = tags;
	return 0;
}
