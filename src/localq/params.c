#include "localq/params.h"

#include "bunshin/error.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* `string` lies in memory of the parser's. */
static void replace_nuls(struct json *json, const char *string, size_t len)
{
	char *start = json->strings + (string - json->strings);

	for (size_t i = 0; i < len; i++)
		if (start[i] == '\0')
			start[i] = '\1';
}

static void replace_all_nuls(struct json *json)
{
	for (size_t i = 0; i < json->count; i++) {
		const struct json_value *value = &json->values[i];

		if (value->name != NULL)
			replace_nuls(json, value->name, value->name_bytes);
		if (value->kind == JSON_STRING)
			replace_nuls(json, value->string, value->string_bytes);
	}
}

enum fault params_parse(struct json *json, const char *body, size_t len,
	const struct json_value **ret, struct problem *problem)
{
	int err;

	if (len == 0) {
		body = "{}";
		len = 2;
	}
	err = json_parse(json, body, len);
	if (err == ERR_NOMEM)
		return problem_set(problem, FAULT_INTERNAL, "Out of memory.");
	if (err == ERR_TOO_LARGE)
		return problem_set(problem, FAULT_SERIALIZATION,
			"The body is nested too deeply or has too many values.");
	if (err != 0 || json_root(json)->kind != JSON_OBJECT)
		return problem_set(problem, FAULT_SERIALIZATION,
			"The body must be one JSON object, in UTF-8.");
	if (json->has_nuls)
		replace_all_nuls(json);
	*ret = json_root(json);
	return FAULT_NONE;
}

const struct json_value *params_member(const struct json_value *object, const char *name)
{
	const struct json_value *member = json_member(object, name);

	return member == NULL || member->kind == JSON_NULL ? NULL : member;
}

const char *params_text_or_null(const struct json_value *object, const char *name)
{
	const struct json_value *member = params_member(object, name);

	return member != NULL && member->kind == JSON_STRING ? member->string : NULL;
}

static enum fault wrong_type(struct problem *problem, const char *name, const char *expected)
{
	return problem_set(problem, FAULT_SERIALIZATION, "%s must be %s.", name, expected);
}

enum fault params_text(const struct json_value *object, const char *name, const char **ret,
	struct problem *problem)
{
	const struct json_value *member = params_member(object, name);

	if (member != NULL && member->kind != JSON_STRING)
		return wrong_type(problem, name, "a string");
	*ret = member != NULL ? member->string : NULL;
	return FAULT_NONE;
}

enum fault params_object(const struct json_value *object, const char *name,
	const struct json_value **ret, struct problem *problem)
{
	const struct json_value *member = params_member(object, name);

	if (member != NULL && member->kind != JSON_OBJECT)
		return wrong_type(problem, name, "an object");
	*ret = member;
	return FAULT_NONE;
}

enum fault params_list(const struct json_value *object, const char *name,
	const struct json_value **ret, struct problem *problem)
{
	const struct json_value *member = params_member(object, name);

	if (member != NULL && member->kind != JSON_ARRAY)
		return wrong_type(problem, name, "a list");
	*ret = member;
	return FAULT_NONE;
}

enum fault params_texts(const struct json_value *object, const char *name,
	const struct json_value **ret, struct problem *problem)
{
	const struct json_value *list, *item;
	enum fault fault = params_list(object, name, &list, problem);

	if (fault != FAULT_NONE)
		return fault;
	PARAMS_EACH(item, list)
	{
		if (item->kind != JSON_STRING)
			return wrong_type(problem, name, "a list of strings");
	}
	*ret = list;
	return FAULT_NONE;
}

enum fault params_required_text(const struct json_value *object, const char *name, const char **ret,
	struct problem *problem)
{
	enum fault fault = params_text(object, name, ret, problem);

	if (fault == FAULT_NONE && (*ret == NULL || **ret == '\0'))
		return problem_set(problem, FAULT_MISSING_PARAMETER,
			"The request must contain the parameter %s.", name);
	return fault;
}

/* 1.0 and 1e3 are integers, too. */
static bool read_number(const struct json_value *value, double *ret)
{
	int64_t number;

	if (value->kind != JSON_NUMBER)
		return false;
	if (json_int(value, &number) == 0)
		*ret = (double)number;
	else
		*ret = strtod(value->raw, NULL);
	return *ret == floor(*ret);
}

enum fault params_int(const struct json_value *object, const char *name, int64_t min, int64_t max,
	int64_t *ret, bool *ret_given, struct problem *problem)
{
	const struct json_value *member = params_member(object, name);
	double value;

	if (ret_given != NULL)
		*ret_given = member != NULL;
	if (member == NULL)
		return FAULT_NONE;
	if (!read_number(member, &value))
		return wrong_type(problem, name, "an integer");
	if (value < (double)min || value > (double)max)
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Value %.0f for parameter %s is invalid. Reason: Must be >= %lld and <= "
			"%lld, if provided.",
			value, name, (long long)min, (long long)max);
	*ret = (int64_t)value;
	return FAULT_NONE;
}
