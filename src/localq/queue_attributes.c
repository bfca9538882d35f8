#include "localq/queue_attributes.h"

#include "bunshin/error.h"
#include "localq/tree.h"

#include <stdlib.h>
#include <string.h>

#define MAX_RECEIVES_MAX 1000

enum kind { INTEGER, BOOLEAN, JSON, REDRIVE, TEXT };

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

const char *queue_arn_name(const char *arn)
{
	const char *name = strrchr(arn, ':');
	int colons = 0;

	for (const char *p = arn; *p != '\0'; p++)
		colons += *p == ':';
	if (colons != 5 || strncmp(arn, "arn:", 4) != 0 ||
		!text_is_queue_name(name + 1, strlen(name + 1)))
		return NULL;
	return name + 1;
}

static bool read_max_receives(const cJSON *item, unsigned *ret)
{
	int64_t value = 0;

	if (cJSON_IsString(item)) {
		if (!text_to_int(item->valuestring, &value))
			return false;
	} else if (!cJSON_IsNumber(item) || item->valuedouble < 1 ||
		   item->valuedouble > MAX_RECEIVES_MAX ||
		   item->valuedouble != (double)(int64_t)item->valuedouble) {
		return false;
	} else {
		value = (int64_t)item->valuedouble;
	}
	if (value < 1 || value > MAX_RECEIVES_MAX)
		return false;
	*ret = (unsigned)value;
	return true;
}

int redrive_parse(const char *text, struct redrive *ret)
{
	const cJSON *arn;
	const char *name = NULL;
	cJSON *root;
	int err;

	memset(ret, 0, sizeof(*ret));
	if (text == NULL || *text == '\0')
		return 0;
	err = tree_parse(text, strlen(text), &root);
	if (err != 0)
		return err;
	arn = cJSON_GetObjectItemCaseSensitive(root, "deadLetterTargetArn");
	if (cJSON_IsString(arn))
		name = queue_arn_name(arn->valuestring);
	if (name != NULL &&
		read_max_receives(cJSON_GetObjectItemCaseSensitive(root, "maxReceiveCount"),
			&ret->max_receives))
		memcpy(ret->dead_letter_queue, name, strlen(name) + 1);
	else
		err = ERR_SYNTAX;
	cJSON_Delete(root);
	return err;
}

static int check_json_object(const char *text)
{
	cJSON *root;
	int err = tree_parse(text, strlen(text), &root);

	if (err != 0)
		return err;
	err = cJSON_IsObject(root) ? 0 : ERR_SYNTAX;
	cJSON_Delete(root);
	return err;
}

/* 0, ERR_SYNTAX or ERR_NOMEM. */
static int check_value(const struct row *row, const char *value)
{
	struct redrive redrive;
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
		return *value == '\0' ? 0 : check_json_object(value);
	case REDRIVE:
		return redrive_parse(value, &redrive);
	case TEXT:
		fits = strlen(value) <= 2048;
		break;
	}
	return fits ? 0 : ERR_SYNTAX;
}

static bool is_fifo_attribute(const char *name)
{
	static const char *const names[] = {"FifoQueue", "ContentBasedDeduplication",
		"DeduplicationScope", "FifoThroughputLimit"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(name, names[i]) == 0)
			return true;
	return false;
}

static enum fault read_one(const cJSON *item, struct queue_attributes *into, uint32_t *ret_given,
	struct problem *problem)
{
	enum queue_attribute attribute = queue_attribute_find(item->string);
	const char *value = item->valuestring;
	int err;

	if (!cJSON_IsString(item))
		return problem_set(problem, FAULT_SERIALIZATION,
			"The value of attribute %s must be a string.", item->string);
	if (is_fifo_attribute(item->string))
		return problem_set(problem, FAULT_UNSUPPORTED_OPERATION,
			"%s: this server has standard queues only.", item->string);
	if (attribute == QUEUE_ATTRIBUTE_COUNT)
		return problem_set(problem, FAULT_INVALID_ATTRIBUTE_NAME, "Unknown Attribute %s.",
			item->string);
	err = check_value(&rows[attribute], item->valuestring);
	if (err == ERR_NOMEM)
		return problem_set(problem, FAULT_INTERNAL, "Out of memory.");
	if (err != 0) {
		if (rows[attribute].kind == REDRIVE)
			return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
				"Value %s for parameter RedrivePolicy is invalid. Reason: It must "
				"be "
				"a JSON object with deadLetterTargetArn, the ARN of a queue, and "
				"maxReceiveCount, 1 to %d.",
				item->valuestring, MAX_RECEIVES_MAX);
		return problem_set(problem, FAULT_INVALID_ATTRIBUTE_VALUE,
			"Invalid value for the parameter %s.", item->string);
	}
	/* "030" is 30 and compares equal to it. */
	while (rows[attribute].kind == INTEGER && value[0] == '0' && value[1] != '\0')
		value++;
	if (queue_attribute_set(into, attribute, value) < 0)
		return problem_set(problem, FAULT_INTERNAL, "Out of memory.");
	*ret_given |= 1u << attribute;
	return FAULT_NONE;
}

enum fault queue_attributes_read(const cJSON *map, struct queue_attributes *into,
	uint32_t *ret_given, struct problem *problem)
{
	const cJSON *item;
	enum fault fault = FAULT_NONE;

	*ret_given = 0;
	cJSON_ArrayForEach(item, map)
	{
		fault = read_one(item, into, ret_given, problem);
		if (fault != FAULT_NONE)
			break;
	}
	return fault;
}
