#include "campaign/pack_field.h"

#include "bunshin/error.h"

#include <stdint.h>
#include <string.h>

static bool is_named(const struct json_value *value, const char *name, size_t len)
{
	return value->name_bytes == len && memcmp(value->name, name, len) == 0;
}

/* The one member of that name; NULL with a reason: there is none, or more than one. */
static const struct json_value *find(
	const struct json_value *object, const char *name, const char **ret_reason)
{
	const struct json_value *found = NULL;
	size_t len = strlen(name);

	for (const struct json_value *value = json_first(object); value;
		value = json_next(object, value)) {
		if (!is_named(value, name, len))
			continue;
		if (found) {
			*ret_reason = "has this member more than once";
			return NULL;
		}
		found = value;
	}
	if (!found)
		*ret_reason = "does not have this member";
	return found;
}

static bool is_recipient(const struct json_value *value, const char **ret_reason)
{
	if (value->kind == JSON_NUMBER || (value->kind == JSON_STRING && value->string_bytes > 0))
		return true;
	*ret_reason = value->kind == JSON_STRING ? "has an empty text there"
						 : "has no text or number there";
	return false;
}

/* In a body of which nothing is known. */
static int find_anew(struct pack_finder *finder, const char *body, size_t body_bytes,
	struct pack_field *ret_field, const char **ret_reason)
{
	const struct json_value *value;
	int err = json_parse(&finder->json, body, body_bytes);

	if (err == ERR_NOMEM)
		return err;
	if (err != 0 || json_root(&finder->json)->kind != JSON_OBJECT) {
		*ret_reason = "is no JSON object";
		return ERR_SYNTAX;
	}
	value = find(json_root(&finder->json), finder->name, ret_reason);
	if (!value || !is_recipient(value, ret_reason))
		return ERR_SYNTAX;
	*ret_field = (struct pack_field){(size_t)(value->raw - body), value->raw_bytes};
	return 0;
}

/*
 * A body that begins and ends as the last one, with one JSON value between: it is JSON as that was,
 * and its value stands where that one's stood. True with the field when it is so.
 */
static bool find_alike(struct pack_finder *finder, const char *body, size_t body_bytes,
	struct pack_field *ret_field)
{
	const char *last = buf_string(&finder->last), *ignored;
	size_t head = finder->field.at, behind = head + finder->field.bytes;
	size_t tail = finder->last.len - behind;
	size_t bytes = body_bytes - head - tail;

	if (finder->last.len == 0 || body_bytes <= head + tail || memcmp(body, last, head) != 0 ||
		memcmp(body + body_bytes - tail, last + behind, tail) != 0)
		return false;
	/* White space around it would be taken for a part of it. */
	if (strchr(" \t\r\n", body[head]) || strchr(" \t\r\n", body[head + bytes - 1]) ||
		json_parse(&finder->json, body + head, bytes) != 0 ||
		!is_recipient(json_root(&finder->json), &ignored))
		return false;
	*ret_field = (struct pack_field){head, bytes};
	return true;
}

void pack_finder_init(struct pack_finder *finder, const char *name)
{
	*finder = (struct pack_finder){.name = name, .last = BUF_INIT(SIZE_MAX / 2)};
}

void pack_finder_free(struct pack_finder *finder)
{
	json_free(&finder->json);
	buf_free(&finder->last);
}

int pack_finder_find(struct pack_finder *finder, const char *body, size_t body_bytes,
	struct pack_field *ret_field, const char **ret_reason)
{
	int err;

	if (find_alike(finder, body, body_bytes, ret_field))
		return 0;
	err = find_anew(finder, body, body_bytes, ret_field, ret_reason);
	if (err != 0)
		return err;
	buf_clear(&finder->last);
	finder->field = *ret_field;
	return buf_append(&finder->last, body, body_bytes);
}
