#include "localq/redrive.h"

#include "bunshin/error.h"
#include "localq/params.h"

#include <string.h>

#define MAX_RECEIVES_MAX 1000
#define ALLOWED_SOURCES_MAX 10
/* Of a policy, in a message: leaves room for the reason behind it. */
#define QUOTED_MAX 240

#define COUNT "maxReceiveCount"
#define TARGET "deadLetterTargetArn"
#define PERMISSION "redrivePermission"
#define SOURCES "sourceQueueArns"

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

/* Its third part, of an ARN that has a queue's name. */
static bool arn_is_of_sqs(const char *arn)
{
	const char *service = strchr(arn + strlen("arn:"), ':') + 1;

	return strncmp(service, "sqs:", 4) == 0;
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
		arn = json_text(json_member(json_root(&json), TARGET));
		if (arn != NULL)
			name = queue_arn_name(arn);
		if (name != NULL &&
			read_max_receives(json_member(json_root(&json), COUNT), &ret->max_receives))
			memcpy(ret->dead_letter_queue, name, strlen(name) + 1);
		else
			err = ERR_SYNTAX;
	}
	json_free(&json);
	return err;
}

enum fault redrive_refuse(struct problem *problem, const char *text, const char *reason)
{
	return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
		"Value %.*s for parameter RedrivePolicy is invalid. Reason: %s", QUOTED_MAX, text,
		reason);
}

static enum fault refuse_count(
	struct problem *problem, const char *text, const struct json_value *count)
{
	const char *shown = json_text(count);
	size_t bytes = shown != NULL ? count->string_bytes : count->raw_bytes;

	if (shown == NULL)
		shown = count->raw;
	return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
		"Value %.*s for parameter RedrivePolicy is invalid. Reason: Invalid value for "
		"maxReceiveCount: %.*s, valid values are from 1 to %d both inclusive.",
		QUOTED_MAX, text, bytes < 40 ? (int)bytes : 40, shown, MAX_RECEIVES_MAX);
}

/* Has it a member with another name than these two? */
static bool has_another(const struct json_value *object, const char *one, const char *two)
{
	const struct json_value *member;

	PARAMS_EACH(member, object)
	{
		if (strcmp(member->name, one) != 0 && strcmp(member->name, two) != 0)
			return true;
	}
	return false;
}

/* In the order in which SQS looks. */
static enum fault check(const struct json_value *policy, const char *text, struct problem *problem)
{
	const struct json_value *count = json_member(policy, COUNT);
	const struct json_value *target = json_member(policy, TARGET);
	const char *arn = json_text(target);
	unsigned receives;

	if (count == NULL)
		return redrive_refuse(problem, text,
			"Redrive policy does not contain mandatory attribute: maxReceiveCount.");
	if (target == NULL)
		return redrive_refuse(problem, text,
			"Redrive policy does not contain mandatory attribute: "
			"deadLetterTargetArn.");
	if (!read_max_receives(count, &receives))
		return refuse_count(problem, text, count);
	if (arn == NULL || queue_arn_name(arn) == NULL)
		return redrive_refuse(
			problem, text, "Dead-letter target ARN should be fully qualified ARN.");
	if (!arn_is_of_sqs(arn))
		return redrive_refuse(problem, text,
			"Only SQS queues are valid resources for deadLetterTargetArn.");
	if (has_another(policy, COUNT, TARGET))
		return redrive_refuse(problem, text,
			"Only following attributes are supported: [maxReceiveCount, "
			"deadLetterTargetArn].");
	return FAULT_NONE;
}

enum fault redrive_check(const char *text, struct problem *problem)
{
	struct json json = {0};
	enum fault fault;
	int err;

	if (*text == '\0')
		return FAULT_NONE;
	err = parse_object(&json, text);
	if (err == 0)
		fault = check(json_root(&json), text, problem);
	else if (err == ERR_NOMEM)
		fault = problem_set(problem, FAULT_INTERNAL, "Out of memory.");
	else
		fault = problem_set(problem, FAULT_INVALID_ATTRIBUTE_VALUE,
			"Invalid value for the parameter RedrivePolicy. Reason: Redrive policy is "
			"not a valid JSON map.");
	json_free(&json);
	return fault;
}

/* redrivePermission and, perhaps, a list of ARNs. */
static bool has_form_of_allow_policy(const struct json_value *policy)
{
	const char *permission = json_text(json_member(policy, PERMISSION));
	const struct json_value *sources = json_member(policy, SOURCES), *source;

	if (permission == NULL || has_another(policy, PERMISSION, SOURCES) ||
		(strcmp(permission, "allowAll") != 0 && strcmp(permission, "denyAll") != 0 &&
			strcmp(permission, "byQueue") != 0))
		return false;
	if (sources == NULL)
		return true;
	if (sources->kind != JSON_ARRAY)
		return false;
	PARAMS_EACH(source, sources)
	{
		if (json_text(source) == NULL || queue_arn_name(source->string) == NULL)
			return false;
	}
	return true;
}

/* Why an allow policy of the right form is refused; NULL: it is not. */
static const char *check_sources(const struct json_value *policy)
{
	const char *permission = json_text(json_member(policy, PERMISSION));
	const struct json_value *sources = json_member(policy, SOURCES);

	if (strcmp(permission, "byQueue") != 0)
		return sources != NULL ? "To specify one or more source queue ARNs, you must set "
					 "redrivePermission to byQueue."
				       : NULL;
	if (params_count(sources) == 0)
		return "When you specify the byQueue permission type, you must also specify one or "
		       "more sourceQueueArns values.";
	if (params_count(sources) > ALLOWED_SOURCES_MAX)
		return "The maximum number of source queue ARNs you can specify is 10.";
	return NULL;
}

enum fault redrive_check_allow(const char *text, struct problem *problem)
{
	struct json json = {0};
	const char *reason;
	enum fault fault = FAULT_NONE;
	int err;

	if (*text == '\0')
		return FAULT_NONE;
	err = parse_object(&json, text);
	if (err == ERR_NOMEM) {
		fault = problem_set(problem, FAULT_INTERNAL, "Out of memory.");
	} else if (err != 0 || !has_form_of_allow_policy(json_root(&json))) {
		/* The apostrophe of "it's" is U+2019 there. */
		fault = problem_set(problem, FAULT_INVALID_ATTRIBUTE_VALUE,
			"Invalid value for the parameter RedriveAllowPolicy. Reason: Amazon SQS "
			"can't create the redrive allow policy, as it\u2019s in an unsupported "
			"format.");
	} else {
		reason = check_sources(json_root(&json));
		if (reason != NULL)
			fault = problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
				"Value %.*s for parameter RedriveAllowPolicy is invalid. Reason: "
				"Amazon SQS can't create the redrive allow policy. %s",
				QUOTED_MAX, text, reason);
	}
	json_free(&json);
	return fault;
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
	permission = json_text(json_member(json_root(&json), PERMISSION));
	if (permission != NULL && strcmp(permission, "allowAll") != 0) {
		allowed = false;
		PARAMS_EACH(arn, json_member(json_root(&json), SOURCES))
		{
			if (json_text(arn) != NULL && strcmp(arn->string, source_arn) == 0)
				allowed = true;
		}
	}
	json_free(&json);
	return allowed;
}
