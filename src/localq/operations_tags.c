#include "localq/operations_tags.h"

#include "localq/operations.h"
#include "localq/params.h"
#include "localq/service.h"

#include <string.h>
#include <strings.h>

#define TAG_KEY_MAX 128
#define TAG_VALUE_MAX 256
#define TAG_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789 _.:/=+-@"

/* UTF-8 that is valid: a character for each byte that does not continue one. */
static size_t characters(const char *text)
{
	size_t count = 0;

	for (; *text != '\0'; text++)
		count += ((unsigned char)*text & 0xc0) != 0x80;
	return count;
}

static bool is_of_tags(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x80 && strchr(TAG_CHARACTERS, *text) == NULL)
			return false;
	return true;
}

static enum fault check_key(const char *key, struct problem *problem)
{
	size_t length = characters(key);

	if (length < 1 || length > TAG_KEY_MAX)
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Tag keys must be between 1 and %d characters in length.", TAG_KEY_MAX);
	if (strncasecmp(key, "aws:", 4) == 0)
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Tag keys cannot start with aws:, which is reserved.");
	if (!is_of_tags(key))
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Tag keys can only include letters, digits, blanks and _ . : / = + - @");
	return FAULT_NONE;
}

static enum fault check_value(const char *value, struct problem *problem)
{
	if (characters(value) > TAG_VALUE_MAX)
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Tag values must be at most %d characters in length.", TAG_VALUE_MAX);
	if (!is_of_tags(value))
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Tag values can only include letters, digits, blanks and _ . : / = + - @");
	return FAULT_NONE;
}

static enum fault too_many(struct problem *problem)
{
	return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
		"Too many tags for a queue; the limit is %d.", TAGS_MAX);
}

enum fault tags_check(const struct json_value *tags, struct problem *problem)
{
	const struct json_value *tag;
	int count = 0;

	PARAMS_EACH(tag, tags)
	{
		enum fault fault;

		if (tag->kind != JSON_STRING)
			return problem_set(problem, FAULT_SERIALIZATION,
				"The value of a tag must be a string.");
		fault = check_key(tag->name, problem);
		if (fault == FAULT_NONE)
			fault = check_value(tag->string, problem);
		if (fault != FAULT_NONE)
			return fault;
		if (++count > TAGS_MAX)
			return too_many(problem);
	}
	return FAULT_NONE;
}

/* How many there would be, those that `tags` replaces once. */
struct union_count {
	const struct json_value *tags;
	int count;
};

static void count_other(void *arg, const char *key, const char *value)
{
	struct union_count *count = arg;

	(void)value;
	if (json_member(count->tags, key) == NULL)
		count->count++;
}

enum fault tag_queue(struct call *call)
{
	struct store *store = call->service->store;
	struct union_count count = {.count = 0};
	struct store_queue *queue;
	const struct json_value *tag;
	enum fault fault = operation_queue(call, &queue);
	int err;

	if (fault == FAULT_NONE)
		fault = params_object(call->params, "Tags", &count.tags, &call->problem);
	if (fault != FAULT_NONE)
		return fault;
	if (params_count(count.tags) == 0)
		return problem_set(&call->problem, FAULT_MISSING_PARAMETER,
			"The request must contain the parameter Tags.");
	fault = tags_check(count.tags, &call->problem);
	if (fault != FAULT_NONE)
		return fault;
	count.count = params_count(count.tags);
	err = store_queue_tags(store, queue, count_other, &count);
	if (err == 0 && count.count > TAGS_MAX)
		return too_many(&call->problem);
	PARAMS_EACH(tag, count.tags)
	{
		if (err == 0)
			err = store_queue_tag(store, queue, tag->name, tag->string);
	}
	return operation_failed(&call->problem, err);
}

enum fault untag_queue(struct call *call)
{
	struct store_queue *queue;
	const struct json_value *keys, *key;
	enum fault fault = operation_queue(call, &queue);
	int err = 0;

	if (fault == FAULT_NONE)
		fault = params_texts(call->params, "TagKeys", &keys, &call->problem);
	if (fault != FAULT_NONE)
		return fault;
	if (params_count(keys) == 0)
		return problem_set(&call->problem, FAULT_MISSING_PARAMETER,
			"The request must contain the parameter TagKeys.");
	PARAMS_EACH(key, keys)
	{
		fault = check_key(key->string, &call->problem);
		if (fault != FAULT_NONE)
			return fault;
	}
	PARAMS_EACH(key, keys)
	{
		if (err == 0)
			err = store_queue_untag(call->service->store, queue, key->string);
	}
	return operation_failed(&call->problem, err);
}

struct tag_list {
	struct answer *answer;
	bool open;
};

static void answer_tag(void *arg, const char *key, const char *value)
{
	struct tag_list *list = arg;

	if (!list->open)
		answer_open_map(list->answer, "Tags");
	list->open = true;
	answer_text(list->answer, key, value);
}

enum fault list_queue_tags(struct call *call)
{
	struct tag_list list = {.answer = &call->answer};
	struct store_queue *queue;
	enum fault fault = operation_queue(call, &queue);
	int err;

	if (fault != FAULT_NONE)
		return fault;
	err = store_queue_tags(call->service->store, queue, answer_tag, &list);
	if (list.open)
		answer_close_map(&call->answer);
	return operation_failed(&call->problem, err);
}
