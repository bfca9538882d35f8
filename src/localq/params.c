#include "localq/params.h"

#include "bunshin/error.h"
#include "localq/text.h"
#include "localq/tree.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define NUL_ESCAPE "\\u0000"

/* The first \u0000 whose backslash is not itself escaped, or NULL. */
static char *find_nul_escape(const char *start, const char *from, const char *end)
{
	for (;;) {
		char *hit = memmem(from, (size_t)(end - from), NUL_ESCAPE, strlen(NUL_ESCAPE));
		size_t backslashes = 0;

		if (hit == NULL)
			return NULL;
		while (hit - backslashes > start && hit[-1 - (ptrdiff_t)backslashes] == '\\')
			backslashes++;
		if (backslashes % 2 == 0)
			return hit;
		from = hit + 1;
	}
}

/* A copy with every \u0000 made \u0001; NULL: out of memory. */
static char *without_nul_escapes(const char *body, size_t len)
{
	char *copy = malloc(len + 1);
	char *at;

	if (copy == NULL)
		return NULL;
	memcpy(copy, body, len);
	copy[len] = '\0';
	at = copy;
	while ((at = find_nul_escape(copy, at, copy + len)) != NULL) {
		at += strlen(NUL_ESCAPE);
		at[-1] = '1';
	}
	return copy;
}

static enum fault parse(const char *body, size_t len, cJSON **ret, struct problem *problem)
{
	cJSON *root;
	int err = tree_parse(body, len, &root);

	if (err == 0 && !cJSON_IsObject(root)) {
		cJSON_Delete(root);
		err = ERR_SYNTAX;
	}
	if (err == ERR_NOMEM)
		return problem_set(problem, FAULT_INTERNAL, "Out of memory.");
	if (err != 0)
		return problem_set(
			problem, FAULT_SERIALIZATION, "The body must be one JSON object.");
	*ret = root;
	return FAULT_NONE;
}

enum fault params_parse_json(const char *body, size_t len, cJSON **ret, struct problem *problem)
{
	char *copy = NULL;
	enum fault fault;

	if (len == 0) {
		body = "{}";
		len = 2;
	}
	if (memchr(body, '\0', len) != NULL || text_valid_prefix(body, len) != len)
		return problem_set(problem, FAULT_SERIALIZATION, "The body is not valid UTF-8.");
	if (find_nul_escape(body, body, body + len) != NULL) {
		copy = without_nul_escapes(body, len);
		if (copy == NULL)
			return problem_set(problem, FAULT_INTERNAL, "Out of memory.");
		body = copy;
	}
	fault = parse(body, len, ret, problem);
	free(copy);
	return fault;
}

const cJSON *params_member(const cJSON *object, const char *name)
{
	const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, name);

	return cJSON_IsNull(member) ? NULL : member;
}

static enum fault wrong_type(struct problem *problem, const char *name, const char *expected)
{
	return problem_set(problem, FAULT_SERIALIZATION, "%s must be %s.", name, expected);
}

enum fault params_text(
	const cJSON *object, const char *name, const char **ret, struct problem *problem)
{
	const cJSON *member = params_member(object, name);

	if (member != NULL && !cJSON_IsString(member))
		return wrong_type(problem, name, "a string");
	*ret = member != NULL ? member->valuestring : NULL;
	return FAULT_NONE;
}

enum fault params_object(
	const cJSON *object, const char *name, const cJSON **ret, struct problem *problem)
{
	const cJSON *member = params_member(object, name);

	if (member != NULL && !cJSON_IsObject(member))
		return wrong_type(problem, name, "an object");
	*ret = member;
	return FAULT_NONE;
}

enum fault params_list(
	const cJSON *object, const char *name, const cJSON **ret, struct problem *problem)
{
	const cJSON *member = params_member(object, name);

	if (member != NULL && !cJSON_IsArray(member))
		return wrong_type(problem, name, "a list");
	*ret = member;
	return FAULT_NONE;
}

enum fault params_texts(
	const cJSON *object, const char *name, const cJSON **ret, struct problem *problem)
{
	const cJSON *list, *item;
	enum fault fault = params_list(object, name, &list, problem);

	if (fault != FAULT_NONE)
		return fault;
	cJSON_ArrayForEach(item, list) if (!cJSON_IsString(item)) return wrong_type(
		problem, name, "a list of strings");
	*ret = list;
	return FAULT_NONE;
}

enum fault params_required_text(
	const cJSON *object, const char *name, const char **ret, struct problem *problem)
{
	enum fault fault = params_text(object, name, ret, problem);

	if (fault == FAULT_NONE && (*ret == NULL || **ret == '\0'))
		return problem_set(problem, FAULT_MISSING_PARAMETER,
			"The request must contain the parameter %s.", name);
	return fault;
}

enum fault params_int(const cJSON *object, const char *name, int64_t min, int64_t max, int64_t *ret,
	bool *ret_given, struct problem *problem)
{
	const cJSON *member = params_member(object, name);
	double value;

	if (ret_given != NULL)
		*ret_given = member != NULL;
	if (member == NULL)
		return FAULT_NONE;
	value = member->valuedouble;
	if (!cJSON_IsNumber(member) || !(value == floor(value)))
		return wrong_type(problem, name, "an integer");
	if (value < (double)min || value > (double)max)
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Value %.0f for parameter %s is invalid. Reason: Must be >= %lld and <= "
			"%lld, if provided.",
			value, name, (long long)min, (long long)max);
	*ret = (int64_t)value;
	return FAULT_NONE;
}
