#include "cli/top/reader.h"

#include "bunshin/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUMBER_MAX_BYTES 40
/* What is larger is no count, no instant and no rate, and would not fit a column. */
#define NUMBER_MAX 9007199254740992.0 /* 2^53 */

void reader_fail(struct reader *reader, const char *name, const char *wanted)
{
	if (reader->err != 0)
		return;
	reader->err = ERR_PROTOCOL;
	buf_appendf(reader->error, "\"%s\" is not %s", name, wanted);
}

double reader_value(struct reader *reader, const struct json_value *value, const char *name)
{
	char text[NUMBER_MAX_BYTES + 1];
	double number;

	if (value->kind == JSON_NULL)
		return NAN;
	if (value->kind != JSON_NUMBER || value->raw_bytes > NUMBER_MAX_BYTES) {
		reader_fail(reader, name, "a number");
		return NAN;
	}
	memcpy(text, value->raw, value->raw_bytes);
	text[value->raw_bytes] = '\0';
	number = strtod(text, NULL);
	if (!(fabs(number) <= NUMBER_MAX)) {
		reader_fail(reader, name, "a number of a sensible size");
		return NAN;
	}
	return number;
}

/* NULL: unknown. */
static const struct json_value *find(const struct json_value *object, const char *name)
{
	const struct json_value *value = json_member(object, name);

	return value && value->kind != JSON_NULL ? value : NULL;
}

double reader_number(struct reader *reader, const struct json_value *object, const char *name)
{
	const struct json_value *value = find(object, name);

	return value ? reader_value(reader, value, name) : NAN;
}

const char *reader_text(struct reader *reader, const struct json_value *object, const char *name)
{
	const struct json_value *value = find(object, name);
	const char *text = json_text(value);

	if (value && !text)
		reader_fail(reader, name, "a text");
	return text ? text : "";
}

bool reader_flag(struct reader *reader, const struct json_value *object, const char *name)
{
	const struct json_value *value = find(object, name);

	if (value && value->kind != JSON_TRUE && value->kind != JSON_FALSE)
		reader_fail(reader, name, "true or false");
	return value && value->kind == JSON_TRUE;
}

const struct json_value *reader_object(
	struct reader *reader, const struct json_value *object, const char *name)
{
	const struct json_value *value = find(object, name);

	if (value && value->kind != JSON_OBJECT) {
		reader_fail(reader, name, "an object");
		return NULL;
	}
	return value;
}

const struct json_value *reader_array(
	struct reader *reader, const struct json_value *object, const char *name)
{
	const struct json_value *value = find(object, name);

	if (value && value->kind != JSON_ARRAY) {
		reader_fail(reader, name, "a list");
		return NULL;
	}
	return value;
}
