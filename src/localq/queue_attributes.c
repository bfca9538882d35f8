#include "localq/queue_attributes.h"

#include "bunshin/error.h"
#include "localq/params.h"
#include "localq/redrive.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { INTEGER, BOOLEAN, JSON, REDRIVE, ALLOW, TEXT, SCOPE, THROUGHPUT };

struct row {
	const char *name;
	enum kind kind;
	int64_t min, max;
	const char *initial;
};

static const struct row rows[QUEUE_ATTRIBUTE_COUNT] = {
#define X(id, name, kind, min, max, default) {name, kind, min, max, default},
	QUEUE_ATTRIBUTE_LIST(X)
#undef X
};

void queue_attributes_free(struct queue_attributes *attributes)
{
	for (int i = 0; i < QUEUE_ATTRIBUTE_COUNT; i++)
		free(attributes->set[i]);
	memset(attributes, 0, sizeof(*attributes));
}

const char *queue_attribute_name(enum queue_attribute attribute)
{
	return rows[attribute].name;
}

enum queue_attribute queue_attribute_find(const char *name)
{
	enum queue_attribute i = 0;

	while (i < QUEUE_ATTRIBUTE_COUNT && strcmp(rows[i].name, name) != 0)
		i++;
	return i;
}

const char *queue_attribute_text(
	const struct queue_attributes *attributes, enum queue_attribute attribute)
{
	const char *set = attributes->set[attribute];

	return set != NULL ? set : rows[attribute].initial;
}

int64_t queue_attribute_int(
	const struct queue_attributes *attributes, enum queue_attribute attribute)
{
	int64_t value = 0;

	text_to_int(queue_attribute_text(attributes, attribute), &value);
	return value;
}

int queue_attribute_set(
	struct queue_attributes *attributes, enum queue_attribute attribute, const char *value)
{
	char *copy = NULL;

	if (value != NULL && *value != '\0') {
		copy = strdup(value);
		if (copy == NULL)
			return ERR_NOMEM;
	}
	free(attributes->set[attribute]);
	attributes->set[attribute] = copy;
	return 0;
}

/* 0, ERR_SYNTAX, ERR_TOO_LARGE or ERR_NOMEM. */
static int check_policy(const char *text)
{
	struct json json = {0};
	int err;

	if (strlen(text) > QUEUE_POLICY_BYTES_MAX)
		return ERR_TOO_LARGE;
	err = json_parse(&json, text, strlen(text));

	if (err != ERR_NOMEM && (err != 0 || json_root(&json)->kind != JSON_OBJECT))
		err = ERR_SYNTAX;
	json_free(&json);
	return err;
}

/* 0, ERR_SYNTAX, ERR_TOO_LARGE or ERR_NOMEM. */
static int check_value(const struct row *row, const char *value)
{
	int64_t number;
	bool fits = false;

	switch (row->kind) {
	case INTEGER:
		fits = text_to_int(value, &number) && number >= row->min && number <= row->max;
		break;
	case BOOLEAN:
		fits = strcmp(value, "true") == 0 || strcmp(value, "false") == 0;
		break;
	case JSON:
		return *value == '\0' ? 0 : check_policy(value);
	case REDRIVE:
	case ALLOW:
		return 0; /* redrive.c has looked at it */
	case TEXT:
		fits = strlen(value) <= 2048;
		break;
	case SCOPE:
		fits = strcmp(value, "queue") == 0 || strcmp(value, "messageGroup") == 0;
		break;
	case THROUGHPUT:
		fits = strcmp(value, "perQueue") == 0 || strcmp(value, "perMessageGroupId") == 0;
		break;
	}
	return fits ? 0 : ERR_SYNTAX;
}

bool queue_attribute_is_fifo(enum queue_attribute attribute)
{
	return attribute >= QUEUE_ATTRIBUTE_FIFO_QUEUE &&
	       attribute <= QUEUE_ATTRIBUTE_THROUGHPUT_LIMIT;
}

static enum fault read_one(const struct json_value *item, bool fifo, struct queue_attributes *into,
	uint32_t *ret_given, struct problem *problem)
{
	enum queue_attribute attribute = queue_attribute_find(item->name);
	const char *value = item->string;
	enum fault fault = FAULT_NONE;
	int err;

	if (item->kind != JSON_STRING)
		return problem_set(problem, FAULT_SERIALIZATION,
			"The value of attribute %s must be a string.", item->name);
	if (!fifo && (attribute == QUEUE_ATTRIBUTE_DEDUPLICATION_SCOPE ||
			     attribute == QUEUE_ATTRIBUTE_THROUGHPUT_LIMIT))
		return problem_set(problem, FAULT_INVALID_ATTRIBUTE_NAME,
			"You can specify the %s only when FifoQueue is set to true.", item->name);
	if (attribute == QUEUE_ATTRIBUTE_COUNT || (!fifo && queue_attribute_is_fifo(attribute)))
		return problem_set(
			problem, FAULT_INVALID_ATTRIBUTE_NAME, "Unknown Attribute %s.", item->name);
	if (rows[attribute].kind == REDRIVE)
		fault = redrive_check(value, problem);
	else if (rows[attribute].kind == ALLOW)
		fault = redrive_check_allow(value, problem);
	if (fault != FAULT_NONE)
		return fault;
	err = check_value(&rows[attribute], value);
	if (err == 0 && attribute == QUEUE_ATTRIBUTE_FIFO_QUEUE && strcmp(value, "true") != 0)
		return problem_set(problem, FAULT_INVALID_ATTRIBUTE_VALUE,
			"Invalid value for the parameter FifoQueue. Reason: Modifying queue type "
			"is "
			"not supported.");
	if (err == ERR_NOMEM)
		return problem_set(problem, FAULT_INTERNAL, "Out of memory.");
	if (err == ERR_TOO_LARGE)
		return problem_set(problem, FAULT_INVALID_ATTRIBUTE_VALUE,
			"Invalid value for the parameter %s. Reason: It has more than %d bytes.",
			item->name, QUEUE_POLICY_BYTES_MAX);
	if (err != 0)
		return problem_set(problem, FAULT_INVALID_ATTRIBUTE_VALUE,
			"Invalid value for the parameter %s.", item->name);
	/* "030" is 30 and compares equal to it. */
	while (rows[attribute].kind == INTEGER && value[0] == '0' && value[1] != '\0')
		value++;
	if (queue_attribute_set(into, attribute, value) < 0)
		return problem_set(problem, FAULT_INTERNAL, "Out of memory.");
	*ret_given |= 1u << attribute;
	return FAULT_NONE;
}

static bool is(const struct queue_attributes *attributes, enum queue_attribute attribute,
	const char *value)
{
	const char *text = queue_attribute_text(attributes, attribute);

	return text != NULL && strcmp(text, value) == 0;
}

/* A key of KMS turns SQS's own encryption off; both at once are refused. */
static enum fault choose_encryption(
	struct queue_attributes *into, uint32_t given, struct problem *problem)
{
	bool key = (given & 1u << QUEUE_ATTRIBUTE_KMS_KEY) != 0 &&
		   into->set[QUEUE_ATTRIBUTE_KMS_KEY] != NULL;

	if (!key)
		return FAULT_NONE;
	if ((given & 1u << QUEUE_ATTRIBUTE_SSE) != 0 && is(into, QUEUE_ATTRIBUTE_SSE, "true"))
		return problem_set(problem, FAULT_INVALID_ATTRIBUTE_NAME,
			"You can use one type of server-side encryption (SSE) at one time. You can "
			"either enable KMS SSE or SQS SSE.");
	if (queue_attribute_set(into, QUEUE_ATTRIBUTE_SSE, "false") < 0)
		return problem_set(problem, FAULT_INTERNAL, "Out of memory.");
	return FAULT_NONE;
}

enum fault queue_attributes_read(const struct json_value *map, bool fifo,
	struct queue_attributes *into, uint32_t *ret_given, struct problem *problem)
{
	const struct json_value *item;
	enum fault fault = FAULT_NONE;

	*ret_given = 0;
	PARAMS_EACH(item, map)
	{
		fault = read_one(item, fifo, into, ret_given, problem);
		if (fault != FAULT_NONE)
			return fault;
	}
	fault = choose_encryption(into, *ret_given, problem);
	if (fault != FAULT_NONE)
		return fault;
	/* API: high throughput for FIFO queues. */
	if (is(into, QUEUE_ATTRIBUTE_THROUGHPUT_LIMIT, "perMessageGroupId") &&
		!is(into, QUEUE_ATTRIBUTE_DEDUPLICATION_SCOPE, "messageGroup"))
		return problem_set(problem, FAULT_INVALID_ATTRIBUTE_VALUE,
			"Invalid value for the parameter FifoThroughputLimit: perMessageGroupId "
			"needs the DeduplicationScope messageGroup.");
	return FAULT_NONE;
}

int queue_attributes_complete_fifo(struct queue_attributes *attributes)
{
	static const char *const initial[QUEUE_ATTRIBUTE_COUNT] = {
		[QUEUE_ATTRIBUTE_FIFO_QUEUE] = "true",
		[QUEUE_ATTRIBUTE_CONTENT_DEDUPLICATION] = "false",
		[QUEUE_ATTRIBUTE_DEDUPLICATION_SCOPE] = "queue",
		[QUEUE_ATTRIBUTE_THROUGHPUT_LIMIT] = "perQueue",
	};
	int err = 0;

	for (unsigned i = 0; i < QUEUE_ATTRIBUTE_COUNT && err == 0; i++)
		if (initial[i] != NULL && attributes->set[i] == NULL)
			err = queue_attribute_set(attributes, i, initial[i]);
	return err;
}

const char *queue_attribute_expected(
	enum queue_attribute attribute, char ret[QUEUE_ATTRIBUTE_EXPECTED_MAX])
{
	const struct row *row = &rows[attribute];

	switch (row->kind) {
	case INTEGER:
		snprintf(ret, QUEUE_ATTRIBUTE_EXPECTED_MAX,
			"a whole number from %" PRId64 " to %" PRId64, row->min, row->max);
		return ret;
	case BOOLEAN:
		return "true or false";
	case JSON:
		snprintf(ret, QUEUE_ATTRIBUTE_EXPECTED_MAX,
			"a JSON object (or a map) of at most %d bytes", QUEUE_POLICY_BYTES_MAX);
		return ret;
	case REDRIVE:
		return "a JSON object (or a map)";
	case ALLOW:
		return "a JSON object (or a map) with redrivePermission, one of allowAll, denyAll "
		       "and, with sourceQueueArns, byQueue";
	case SCOPE:
		return "queue or messageGroup";
	case THROUGHPUT:
		return "perQueue or perMessageGroupId";
	default:
		return "a shorter text";
	}
}
