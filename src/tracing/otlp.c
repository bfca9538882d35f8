#include "tracing/otlp.h"

#include "base/units.h"
#include "tracing/span.h"

#include <stdbool.h>
#include <string.h>

static bool is_known(const struct otlp_attribute attributes[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(attributes[i].name, attributes[count].name) == 0)
			return true;
	return false;
}

int otlp_append_head(struct buf *out, const struct otlp_attribute attributes[], size_t count)
{
	buf_append_string(out, "{\"resourceSpans\":[{\"resource\":{\"attributes\":[");
	for (size_t i = 0; i < count; i++)
		if (!is_known(attributes, i))
			span_append_string_attribute(out, attributes[i].name, attributes[i].value,
				strlen(attributes[i].value));
	return buf_append_string(out,
		"]},\"scopeSpans\":[{\"scope\":{\"name\":\"bunshin\",\"version\":"
		"\"" BUNSHIN_VERSION "\"},\"spans\":[");
}

/* int64 in protobuf's JSON: a text of digits, or a number. */
static int64_t count_of(const struct json_value *value)
{
	const char *text = json_text(value);
	int64_t number = 0;

	if (text ? units_parse_int(text, &number) : json_int(value, &number))
		return 0;
	return number;
}

uint64_t otlp_rejected(
	struct json *json, const char *body, size_t len, uint64_t sent, const char **ret_words)
{
	const struct json_value *partial;
	const char *words;
	int64_t rejected;

	*ret_words = "";
	if (len == 0 || json_parse(json, body, len))
		return 0;
	partial = json_member(json_root(json), "partialSuccess");
	rejected = count_of(json_member(partial, "rejectedSpans"));
	words = json_text(json_member(partial, "errorMessage"));
	if (words)
		*ret_words = words;
	if (rejected <= 0)
		return 0;
	return (uint64_t)rejected < sent ? (uint64_t)rejected : sent;
}
