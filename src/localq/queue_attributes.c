#include "localq/queue_attributes.h"

#include "bunshin/error.h"
#include "localq/params.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_RECEIVES_MAX 1000
#define ALLOWED_SOURCES_MAX 10

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

/* 5 or "5". */
static bool read_max_receives(const struct json_value *item, unsigned *ret)
{
	int64_t value = 0;

	if (json_int(item, &value) != 0 &&
		(json_text(item) == NULL || !text_to_int(item->string, &value)))
		return false;
	if (value < 1 || value > MAX_RECEIVES_MAX)
		return false;
	*ret = (unsigned)value;
	return true;
}

/* The text as a JSON object. 0, ERR_SYNTAX or ERR_NOMEM. */
static int parse_object(struct json *json, const char *text)
{
	int err = json_parse(json, text, strlen(text));

	if (err == 0 && json_root(json)->kind == JSON_OBJECT)
		return 0;
	return err == ERR_NOMEM ? err : ERR_SYNTAX;
}

int redrive_parse(const char *text, struct redrive *ret)
{
	struct json json = {0};
	const char *arn, *name = NULL;
	int err;

	memset(ret, 0, sizeof(*ret));
	if (text == NULL || *text == '\0')
		return 0;
	err = parse_object(&json, text);
	if (err == 0) {
		arn = json_text(json_member(json_root(&json), "deadLetterTargetArn"));
		if (arn != NULL)
			name = queue_arn_name(arn);
		if (name != NULL &&
			read_max_receives(json_member(json_root(&json), "maxReceiveCount"),
				&ret->max_receives))
			memcpy(ret->dead_letter_queue, name, strlen(name) + 1);
		else
			err = ERR_SYNTAX;
	}
	json_free(&json);
	return err;
}

static int check_json_object(const char *text)
{
	struct json json = {0};
	int err = parse_object(&json, text);

	json_free(&json);
	return err;
}

/* {"redrivePermission":"byQueue","sourceQueueArns":[1 to 10 ARNs]}, the ARNs with byQueue alone. */
static bool is_allow_policy(const struct json_value *policy)
{
	const char *permission = json_text(json_member(policy, "redrivePermission"));
	const struct json_value *arns = json_member(policy, "sourceQueueArns"), *arn;

	if (permission == NULL)
		return false;
	if (strcmp(permission, "byQueue") != 0)
		return arns == NULL &&
		       (strcmp(permission, "allowAll") == 0 || strcmp(permission, "denyAll") == 0);
	if (arns == NULL || arns->kind != JSON_ARRAY || arns->count < 1 ||
		arns->count > ALLOWED_SOURCES_MAX)
		return false;
	PARAMS_EACH(arn, arns)
	{
		if (json_text(arn) == NULL || queue_arn_name(arn->string) == NULL)
			return false;
	}
	return true;
}

static int check_allow_policy(const char *text)
{
	struct json json = {0};
	int err = parse_object(&json, text);

	if (err == 0 && !is_allow_policy(json_root(&json)))
		err = ERR_SYNTAX;
	json_free(&json);
	return err;
}

bool redrive_is_allowed(const char *policy, const char *source_arn)
{
	struct json json = {0};
	const struct json_value *arn;
	const char *permission;
	bool allowed = true;

	if (policy == NULL)
		return true;
	if (parse_object(&json, policy) < 0)
		return false;
	permission = json_text(json_member(json_root(&json), "redrivePermission"));
	if (permission != NULL && strcmp(permission, "allowAll") != 0) {
		allowed = false;
		PARAMS_EACH(arn, json_member(json_root(&json), "sourceQueueArns"))
		{
			if (json_text(arn) != NULL && strcmp(arn->string, source_arn) == 0)
				allowed = true;
		}
	}
	json_free(&json);
	return allowed;
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
	case ALLOW:
		return *value == '\0' ? 0 : check_allow_policy(value);
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

/* What is wrong with a redrive policy; the words are SQS's. */
static enum fault redrive_problem(const char *text, struct problem *problem)
{
	struct json json = {0};
	const struct json_value *policy, *count, *arn;
	const char *reason = NULL;
	unsigned receives;

	if (parse_object(&json, text) < 0) {
		json_free(&json);
		return problem_set(problem, FAULT_INVALID_ATTRIBUTE_VALUE,
			"Invalid value for the parameter RedrivePolicy. Reason: Redrive policy is "
			"not a valid JSON map.");
	}
	policy = json_root(&json);
	count = json_member(policy, "maxReceiveCount");
	arn = json_member(policy, "deadLetterTargetArn");
	if (count == NULL)
		reason = "Redrive policy does not contain mandatory attribute: maxReceiveCount.";
	else if (arn == NULL)
		reason = "Redrive policy does not contain mandatory attribute: "
			 "deadLetterTargetArn.";
	else if (!read_max_receives(count, &receives))
		reason = "Invalid value for maxReceiveCount, valid values are from 1 to 1000 both "
			 "inclusive.";
	else
		reason = "Dead-letter target ARN should be fully qualified ARN.";
	problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
		"Value %s for parameter RedrivePolicy is invalid. Reason: %s", text, reason);
	json_free(&json);
	return FAULT_INVALID_PARAMETER_VALUE;
}

static enum fault read_one(const struct json_value *item, bool fifo, struct queue_attributes *into,
	uint32_t *ret_given, struct problem *problem)
{
	enum queue_attribute attribute = queue_attribute_find(item->name);
	const char *value = item->string;
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
	err = check_value(&rows[attribute], item->string);
	if (err == 0 && attribute == QUEUE_ATTRIBUTE_FIFO_QUEUE && strcmp(value, "true") != 0)
		return problem_set(problem, FAULT_INVALID_ATTRIBUTE_VALUE,
			"Invalid value for the parameter FifoQueue. Reason: Modifying queue type "
			"is "
			"not supported.");
	if (err == ERR_NOMEM)
		return problem_set(problem, FAULT_INTERNAL, "Out of memory.");
	if (err != 0) {
		if (rows[attribute].kind == ALLOW)
			return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
				"Value %s for parameter RedriveAllowPolicy is invalid. Reason: It "
				"must be a JSON object with redrivePermission, one of allowAll, "
				"denyAll and byQueue, and with byQueue sourceQueueArns, 1 to %d "
				"ARNs.",
				item->string, ALLOWED_SOURCES_MAX);
		if (rows[attribute].kind == REDRIVE)
			return redrive_problem(item->string, problem);
		return problem_set(problem, FAULT_INVALID_ATTRIBUTE_VALUE,
			"Invalid value for the parameter %s.", item->name);
	}
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
	case REDRIVE:
	case ALLOW:
		return "a JSON object (or a map)";
	case SCOPE:
		return "queue or messageGroup";
	case THROUGHPUT:
		return "perQueue or perMessageGroupId";
	default:
		return "a shorter text";
	}
}
