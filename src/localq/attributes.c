#include "localq/attributes.h"

#include "base/hex.h"
#include "bunshin/error.h"
#include "localq/blob.h"
#include "localq/params.h"
#include "localq/text.h"

#include <stdlib.h>
#include <string.h>

#define TYPE_MAX 256
/* SQS API: precision of a Number, and between which powers of ten it lies. */
#define NUMBER_DIGITS_MAX 38
#define NUMBER_POWER_MIN (-128)
#define NUMBER_POWER_MAX 126

enum { KIND_STRING = 1, KIND_BINARY = 2 };

static void append_counted(struct buf *into, const void *bytes, size_t len)
{
	uint8_t count[4] = {
		(uint8_t)(len >> 24), (uint8_t)(len >> 16), (uint8_t)(len >> 8), (uint8_t)len};

	buf_append(into, count, sizeof(count));
	buf_append(into, bytes, len);
}

static bool has_type(const char *type, const char *base)
{
	size_t len = strlen(base);

	return strncmp(type, base, len) == 0 && (type[len] == '\0' || type[len] == '.');
}

/* The digits of an exponent, the whole rest of the text. */
static bool read_exponent(const char *text, int *ret)
{
	bool negative = *text == '-';
	int value = 0;

	text += *text == '-' || *text == '+';
	if (*text == '\0' || text[strspn(text, "0123456789")] != '\0')
		return false;
	for (; *text != '\0' && value < 10000; text++)
		value = 10 * value + (*text - '0');
	*ret = negative ? -value : value;
	return true;
}

/* Decimal, optional sign, fraction and exponent. */
static bool is_number(const char *text)
{
	int digits = 0, before_point = -1, leading_zeros = 0, exponent = 0, power;

	text += *text == '-' || *text == '+';
	for (; (*text >= '0' && *text <= '9') || (*text == '.' && before_point < 0); text++) {
		if (*text == '.') {
			before_point = digits;
			continue;
		}
		leading_zeros += *text == '0' && leading_zeros == digits;
		if (++digits > NUMBER_DIGITS_MAX)
			return false;
	}
	if (digits == 0)
		return false;
	if (*text == 'e' || *text == 'E') {
		if (!read_exponent(text + 1, &exponent))
			return false;
	} else if (*text != '\0') {
		return false;
	}
	/* Of its first digit that is no zero; there is none in a zero. */
	power = (before_point < 0 ? digits : before_point) - leading_zeros - 1 + exponent;
	return leading_zeros == digits || (power >= NUMBER_POWER_MIN && power <= NUMBER_POWER_MAX);
}

static enum fault append_string(const struct json_value *item, const char *type, const char *value,
	struct buf *into, struct problem *problem)
{
	size_t len = strlen(value);

	if (!text_is_message(value, len))
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"The value of message attribute '%s' contains an invalid character.",
			item->name);
	if (has_type(type, "Number") && !is_number(value))
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Can't cast the value of message (user) attribute '%s' to a number.",
			item->name);
	buf_append_char(into, KIND_STRING);
	append_counted(into, value, len);
	return FAULT_NONE;
}

static enum fault append_binary(
	const struct json_value *item, const char *value, struct buf *into, struct problem *problem)
{
	size_t text_len = strlen(value), len;
	uint8_t *decoded = malloc(BLOB_DECODED_MAX(text_len) + 1);
	enum fault fault = FAULT_NONE;

	if (decoded == NULL)
		return problem_set(problem, FAULT_INTERNAL, "Out of memory.");
	if (blob_decode(value, text_len, decoded, &len)) {
		buf_append_char(into, KIND_BINARY);
		append_counted(into, decoded, len);
	} else {
		fault = problem_set(problem, FAULT_SERIALIZATION,
			"BinaryValue of message attribute '%s' is not base64.", item->name);
	}
	free(decoded);
	return fault;
}

static enum fault check_type(
	const struct json_value *item, const char *type, struct problem *problem)
{
	if (type == NULL || *type == '\0')
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"The message attribute '%s' must contain non-empty message attribute type.",
			item->name);
	if (strlen(type) > TYPE_MAX || !text_is_message(type, strlen(type)) ||
		!(has_type(type, "String") || has_type(type, "Number") || has_type(type, "Binary")))
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"The message attribute '%s' has an invalid message attribute type, the set "
			"of supported type prefixes is Binary, Number, and String.",
			item->name);
	return FAULT_NONE;
}

/* Its type and value; exactly the value member that fits the type may be there. */
static enum fault read_value(const struct json_value *item, const char **ret_type,
	const char **ret_value, bool *ret_binary, struct problem *problem)
{
	const char *string = NULL, *binary = NULL;
	enum fault fault;

	if (item->kind != JSON_OBJECT)
		return problem_set(problem, FAULT_SERIALIZATION,
			"Message attribute '%s' must be an object.", item->name);
	fault = params_text(item, "DataType", ret_type, problem);
	if (fault == FAULT_NONE)
		fault = params_text(item, "StringValue", &string, problem);
	if (fault == FAULT_NONE)
		fault = params_text(item, "BinaryValue", &binary, problem);
	if (fault == FAULT_NONE &&
		(params_count(params_member(item, "StringListValues")) > 0 ||
			params_count(params_member(item, "BinaryListValues")) > 0))
		fault = problem_set(problem, FAULT_UNSUPPORTED_OPERATION,
			"Message attribute list values in SendMessage operation are not "
			"supported.");
	if (fault == FAULT_NONE)
		fault = check_type(item, *ret_type, problem);
	if (fault != FAULT_NONE)
		return fault;
	*ret_binary = has_type(*ret_type, "Binary");
	*ret_value = *ret_binary ? binary : string;
	if (*ret_value == NULL || **ret_value == '\0' || (string != NULL && binary != NULL))
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Message (user) attribute '%s' must contain a non-empty value of type "
			"'%.*s'.",
			item->name, (int)strcspn(*ret_type, "."), *ret_type);
	return FAULT_NONE;
}

static enum fault append_attribute(
	const struct json_value *item, struct buf *into, struct problem *problem)
{
	const char *type, *value = NULL;
	bool binary = false;
	enum fault fault = read_value(item, &type, &value, &binary, problem);

	if (fault != FAULT_NONE)
		return fault;
	append_counted(into, item->name, strlen(item->name));
	append_counted(into, type, strlen(type));
	if (binary)
		return append_binary(item, value, into, problem);
	return append_string(item, type, value, into, problem);
}

static int by_name(const void *a, const void *b)
{
	const struct json_value *const *left = a, *const *right = b;

	return strcmp((*left)->name, (*right)->name);
}

static size_t text_bytes(const struct json_value *item, const char *name)
{
	const char *text = params_text_or_null(item, name);

	return text != NULL ? strlen(text) : 0;
}

size_t attributes_size(const struct json_value *map)
{
	const struct json_value *item;
	size_t size = 0;

	PARAMS_EACH(item, map)
	{
		const char *binary = params_text_or_null(item, "BinaryValue");

		size += strlen(item->name) + text_bytes(item, "DataType") +
			text_bytes(item, "StringValue");
		if (binary != NULL)
			size += strcspn(binary, "=") * 3 / 4;
	}
	return size;
}

enum fault attributes_encode(
	const struct json_value *map, struct buf *into, struct problem *problem)
{
	const struct json_value *sorted[ATTRIBUTES_MAX];
	const struct json_value *item;
	size_t count = 0;
	enum fault fault = FAULT_NONE;

	PARAMS_EACH(item, map)
	{
		if (count == ATTRIBUTES_MAX)
			return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
				"Number of message attributes [%zu] exceeds the allowed maximum "
				"[%d].",
				params_count(map), ATTRIBUTES_MAX);
		if (!text_is_attribute_name(item->name, strlen(item->name)))
			return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
				"Message attribute name '%s' is invalid: 1 to 256 of A-Z, a-z, "
				"0-9, underscore, hyphen and period, no period at either end or "
				"two in a row, and no prefix AWS. or Amazon.",
				item->name);
		sorted[count++] = item;
	}
	if (count == 0)
		return FAULT_NONE;
	qsort(sorted, count, sizeof(const struct json_value *), by_name);
	for (size_t i = 0; i < count && fault == FAULT_NONE; i++) {
		if (i > 0 && strcmp(sorted[i]->name, sorted[i - 1]->name) == 0)
			return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
				"Message attribute '%s' is given twice.", sorted[i]->name);
		fault = append_attribute(sorted[i], into, problem);
	}
	return fault;
}

enum fault attributes_trace_header(
	const struct json_value *map, struct buf *into, const char **ret, struct problem *problem)
{
	const char *type, *value = NULL;
	const struct json_value *item;
	bool binary;
	enum fault fault;

	*ret = NULL;
	PARAMS_EACH(item, map)
	{
		if (strcmp(item->name, "AWSTraceHeader") != 0 || *ret != NULL)
			return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
				"Message system attribute name '%s' is invalid.", item->name);
		fault = read_value(item, &type, &value, &binary, problem);
		if (fault == FAULT_NONE && strlen(value) > ATTRIBUTES_TRACE_HEADER_MAX)
			fault = problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
				"The value of message system attribute 'AWSTraceHeader' is longer "
				"than %d bytes.",
				ATTRIBUTES_TRACE_HEADER_MAX);
		if (fault == FAULT_NONE && strcmp(type, "String") != 0)
			fault = problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
				"The message system attribute 'AWSTraceHeader' has an invalid "
				"type; "
				"it must be String.");
		if (fault == FAULT_NONE)
			fault = append_attribute(item, into, problem);
		if (fault != FAULT_NONE)
			return fault;
		*ret = value;
	}
	return FAULT_NONE;
}

static bool take_counted(const char **rest, size_t *rest_bytes, const char **ret, size_t *ret_bytes)
{
	const uint8_t *p = (const uint8_t *)*rest;
	size_t len;

	if (*rest_bytes < 4)
		return false;
	len = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
	if (len > *rest_bytes - 4)
		return false;
	*ret = *rest + 4;
	*ret_bytes = len;
	*rest += 4 + len;
	*rest_bytes -= 4 + len;
	return true;
}

bool attributes_next(const char **rest, size_t *rest_bytes, struct attribute *ret)
{
	ret->canonical = *rest;
	if (!take_counted(rest, rest_bytes, &ret->name, &ret->name_bytes) ||
		!take_counted(rest, rest_bytes, &ret->type, &ret->type_bytes) || *rest_bytes < 1)
		return false;
	ret->binary = **rest == KIND_BINARY;
	*rest += 1;
	*rest_bytes -= 1;
	if (!take_counted(rest, rest_bytes, &ret->value, &ret->value_bytes))
		return false;
	ret->canonical_bytes = (size_t)(*rest - ret->canonical);
	return true;
}

static bool is_selected(const struct json_value *names, const struct attribute *attribute)
{
	const struct json_value *item;

	PARAMS_EACH(item, names)
	{
		const char *name = item->string;
		size_t len = strlen(name);

		if (strcmp(name, "All") == 0)
			return true;
		if (len >= 2 && strcmp(name + len - 2, ".*") == 0) {
			if (len - 2 <= attribute->name_bytes &&
				memcmp(name, attribute->name, len - 2) == 0)
				return true;
		} else if (len == attribute->name_bytes &&
			   memcmp(name, attribute->name, len) == 0) {
			return true;
		}
	}
	return false;
}

static void answer_attribute(struct answer *answer, const struct attribute *attribute)
{
	char name[257];

	/* Names were checked on the way in: at most 256 bytes, no NUL. */
	if (attribute->name_bytes >= sizeof(name))
		return;
	memcpy(name, attribute->name, attribute->name_bytes);
	name[attribute->name_bytes] = '\0';
	answer_open(answer, name);
	answer_bytes(answer, "DataType", attribute->type, attribute->type_bytes);
	if (attribute->binary)
		answer_base64(answer, "BinaryValue", (const uint8_t *)attribute->value,
			attribute->value_bytes);
	else
		answer_bytes(answer, "StringValue", attribute->value, attribute->value_bytes);
	answer_close(answer);
}

int attributes_answer(struct answer *answer, struct hasher *hasher, struct buf *scratch,
	const struct json_value *names, const char *canonical, size_t canonical_bytes)
{
	uint8_t md5[HASHER_MD5_BYTES];
	char hex[2 * HASHER_MD5_BYTES + 1];
	struct attribute attribute;
	const char *rest = canonical;
	size_t left = canonical_bytes;
	int err;

	buf_clear(scratch);
	if (names == NULL)
		return 0;
	while (attributes_next(&rest, &left, &attribute))
		if (is_selected(names, &attribute))
			buf_append(scratch, attribute.canonical, attribute.canonical_bytes);
	if (scratch->err != 0 || scratch->len == 0)
		return scratch->err;
	err = hasher_md5(hasher, scratch->data, scratch->len, md5);
	if (err < 0)
		return err;
	hex_print(md5, sizeof(md5), hex);
	answer_plain(answer, "MD5OfMessageAttributes", hex);
	answer_open_map(answer, "MessageAttributes");
	rest = scratch->data;
	left = scratch->len;
	while (attributes_next(&rest, &left, &attribute))
		answer_attribute(answer, &attribute);
	answer_close_map(answer);
	return 0;
}
