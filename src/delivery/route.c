#include "delivery/route.h"

#include <string.h>

static bool is_text(const struct json_value *value, const char *text)
{
	const char *found = value->kind == JSON_STRING ? value->string : value->raw;
	size_t bytes = value->kind == JSON_STRING ? value->string_bytes : value->raw_bytes;

	return strlen(text) == bytes && memcmp(found, text, bytes) == 0;
}

static bool holds(const struct route_condition *condition, const struct json_value *body)
{
	const struct json_value *value = json_path(body, condition->path);

	if (!value || value->kind == JSON_ARRAY || value->kind == JSON_OBJECT)
		return false;
	for (size_t i = 0; i < condition->value_count; i++)
		if (is_text(value, condition->values[i]))
			return true;
	return false;
}

bool route_matches(
	const struct route_condition conditions[], size_t count, const struct json_value *body)
{
	for (size_t i = 0; i < count; i++)
		if (!body || body->kind != JSON_OBJECT || !holds(&conditions[i], body))
			return false;
	return true;
}
