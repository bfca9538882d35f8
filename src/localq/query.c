#include "localq/query.h"

#include "bunshin/error.h"
#include "localq/answer.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One parameter: the parts of its name, and its value. */
struct parameter {
	const char *parts[QUERY_DEPTH_MAX]; /* NUL-terminated */
	size_t depth;
	const char *value;
	size_t value_bytes;
	size_t order; /* in the form */
};

struct form {
	char *text; /* decoded in place; parts and values point into it */
	struct parameter *parameters;
	size_t count, capacity;
	struct answer json; /* the writer */
	const char *tags;   /* what a map of tags is called, which differs */
	struct problem *problem;
};

enum kind {
	KIND_TEXT,
	KIND_INTEGER,
	KIND_TEXTS,
	KIND_MAP,
	KIND_TAGS,
	KIND_ATTRIBUTES,
	KIND_ENTRIES
};

/* What a first part means, in any operation. */
static const struct row {
	const char *part, *member;
	enum kind kind;
	const char *key; /* of a map's entries: Name or Key */
} rows[] = {
	{"QueueUrl", "QueueUrl", KIND_TEXT, NULL}, {"QueueName", "QueueName", KIND_TEXT, NULL},
	{"QueueOwnerAWSAccountId", "QueueOwnerAWSAccountId", KIND_TEXT, NULL},
	{"QueueNamePrefix", "QueueNamePrefix", KIND_TEXT, NULL},
	{"NextToken", "NextToken", KIND_TEXT, NULL}, {"Label", "Label", KIND_TEXT, NULL},
	{"Id", "Id", KIND_TEXT, NULL}, {"MessageBody", "MessageBody", KIND_TEXT, NULL},
	{"MessageDeduplicationId", "MessageDeduplicationId", KIND_TEXT, NULL},
	{"MessageGroupId", "MessageGroupId", KIND_TEXT, NULL},
	{"ReceiptHandle", "ReceiptHandle", KIND_TEXT, NULL},
	{"ReceiveRequestAttemptId", "ReceiveRequestAttemptId", KIND_TEXT, NULL},
	{"SourceArn", "SourceArn", KIND_TEXT, NULL},
	{"DestinationArn", "DestinationArn", KIND_TEXT, NULL},
	{"TaskHandle", "TaskHandle", KIND_TEXT, NULL},
	{"MaxResults", "MaxResults", KIND_INTEGER, NULL},
	{"MaxNumberOfMessages", "MaxNumberOfMessages", KIND_INTEGER, NULL},
	{"MaxNumberOfMessagesPerSecond", "MaxNumberOfMessagesPerSecond", KIND_INTEGER, NULL},
	{"VisibilityTimeout", "VisibilityTimeout", KIND_INTEGER, NULL},
	{"WaitTimeSeconds", "WaitTimeSeconds", KIND_INTEGER, NULL},
	{"DelaySeconds", "DelaySeconds", KIND_INTEGER, NULL},
	{"AttributeName", "AttributeNames", KIND_TEXTS, NULL},
	{"MessageAttributeName", "MessageAttributeNames", KIND_TEXTS, NULL},
	{"MessageSystemAttributeName", "MessageSystemAttributeNames", KIND_TEXTS, NULL},
	{"TagKey", "TagKeys", KIND_TEXTS, NULL},
	{"AWSAccountId", "AWSAccountIds", KIND_TEXTS, NULL},
	{"ActionName", "Actions", KIND_TEXTS, NULL}, {"Attribute", "Attributes", KIND_MAP, "Name"},
	{"Tag", "Tags", KIND_TAGS, "Key"}, {"Tags", "Tags", KIND_TAGS, "Key"},
	{"MessageAttribute", "MessageAttributes", KIND_ATTRIBUTES, "Name"},
	{"MessageSystemAttribute", "MessageSystemAttributes", KIND_ATTRIBUTES, "Name"},
	{"SendMessageBatchRequestEntry", "Entries", KIND_ENTRIES, NULL},
	{"DeleteMessageBatchRequestEntry", "Entries", KIND_ENTRIES, NULL},
	{"ChangeMessageVisibilityBatchRequestEntry", "Entries", KIND_ENTRIES, NULL},
	{"Entries", "Entries", KIND_ENTRIES, NULL}, /* botocore's name for no entries */
};

static const char *const versions[] = {"2012-11-05", "2011-10-01", "2009-02-01", "2008-01-01"};

static enum fault malformed(struct form *form, const char *what)
{
	return problem_set(form->problem, FAULT_SERIALIZATION, "The form is malformed: %s.", what);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* In place; *len shrinks. False: a percent sign without two digits. */
static bool unescape(char *text, size_t *len)
{
	size_t to = 0;

	for (size_t from = 0; from < *len; from++) {
		char c = text[from];

		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			int high = from + 2 < *len ? hex_digit(text[from + 1]) : -1;
			int low = from + 2 < *len ? hex_digit(text[from + 2]) : -1;

			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			from += 2;
		}
		text[to++] = c;
	}
	*len = to;
	return true;
}

/* "A.1.member.2" in place; `member` is left out. */
static enum fault split_name(struct form *form, char *name, struct parameter *ret)
{
	for (char *part = name; part != NULL;) {
		char *dot = strchr(part, '.');

		if (dot != NULL)
			*dot = '\0';
		if (ret->depth == QUERY_DEPTH_MAX)
			return malformed(form, "a name of too many parts");
		if (ret->depth == 0 || strcmp(part, "member") != 0)
			ret->parts[ret->depth++] = part;
		part = dot != NULL ? dot + 1 : NULL;
	}
	return FAULT_NONE;
}

static enum fault add_parameter(
	struct form *form, char *name, size_t name_bytes, char *value, size_t value_bytes)
{
	struct parameter *parameter;

	if (form->count == QUERY_PARAMETERS_MAX)
		return malformed(form, "too many parameters");
	if (!unescape(name, &name_bytes) || !unescape(value, &value_bytes))
		return malformed(form, "a percent sign without two hexadecimal digits");
	if (memchr(name, '\0', name_bytes) != NULL)
		return malformed(form, "a name with a NUL");
	name[name_bytes] = '\0';
	value[value_bytes] = '\0';
	if (form->count == form->capacity) {
		size_t capacity = form->capacity > 0 ? 2 * form->capacity : 32;
		struct parameter *grown =
			realloc(form->parameters, capacity * sizeof(*form->parameters));

		if (grown == NULL)
			return problem_set(form->problem, FAULT_INTERNAL, "Out of memory.");
		form->parameters = grown;
		form->capacity = capacity;
	}
	parameter = &form->parameters[form->count];
	*parameter = (struct parameter){
		.value = value, .value_bytes = value_bytes, .order = form->count};
	form->count++;
	return split_name(form, name, parameter);
}

/* The text is NUL-terminated, and every & and = becomes one. */
static enum fault read_form(struct form *form, size_t len)
{
	char *at = form->text, *end = form->text + len;
	enum fault fault = FAULT_NONE;

	while (at < end && fault == FAULT_NONE) {
		char *stop = memchr(at, '&', (size_t)(end - at));
		char *equals;

		if (stop == NULL)
			stop = end;
		equals = memchr(at, '=', (size_t)(stop - at));
		if (equals == NULL)
			equals = stop;
		if (stop > at)
			fault = add_parameter(form, at, (size_t)(equals - at),
				equals < stop ? equals + 1 : stop,
				equals < stop ? (size_t)(stop - equals - 1) : 0);
		at = stop + 1;
	}
	return fault;
}

/* Numbers among themselves by their value: 2 before 10. */
static int compare_parts(const char *a, const char *b)
{
	bool numbers = *a >= '0' && *a <= '9' && *b >= '0' && *b <= '9';

	if (numbers && strlen(a) != strlen(b))
		return strlen(a) < strlen(b) ? -1 : 1;
	return strcmp(a, b);
}

/* So that what has a beginning in common stands together. */
static int compare_parameters(const void *left, const void *right)
{
	const struct parameter *a = left, *b = right;

	for (size_t i = 0; i < a->depth && i < b->depth; i++) {
		int order = compare_parts(a->parts[i], b->parts[i]);

		if (order != 0)
			return order;
	}
	if (a->depth != b->depth)
		return a->depth < b->depth ? -1 : 1;
	return a->order < b->order ? -1 : 1;
}

/* Parameters that have their first `depth` parts in common. */
struct group {
	const struct parameter *first;
	size_t count, depth;
};

/* Takes those off `rest` that agree in the next part, too. False: there are none. */
static bool next_group(struct group *rest, struct group *ret)
{
	size_t count = 1;

	/* One that ends here says nothing about what it has parts of. */
	while (rest->count > 0 && rest->first->depth == rest->depth) {
		rest->first++;
		rest->count--;
	}
	if (rest->count == 0)
		return false;
	while (count < rest->count &&
		strcmp(rest->first[count].parts[rest->depth], rest->first->parts[rest->depth]) == 0)
		count++;
	*ret = (struct group){rest->first, count, rest->depth + 1};
	rest->first += count;
	rest->count -= count;
	return true;
}

/* Of a group whose members differ in their next part. */
static const struct parameter *find_value(const struct group *group, const char *part)
{
	const struct parameter *found = NULL;

	for (size_t i = 0; i < group->count; i++)
		if (group->first[i].depth == group->depth + 1 &&
			strcmp(group->first[i].parts[group->depth], part) == 0)
			found = &group->first[i];
	return found;
}

/* The number of a list's item; those after it follow in the group. */
static enum fault check_number(struct form *form, const struct group *item)
{
	const char *number = item->first->parts[item->depth - 1];

	if (*number == '\0' || *number == '0' || strlen(number) > 9 ||
		number[strspn(number, "0123456789")] != '\0')
		return malformed(form, "an item of a list whose number is none");
	return FAULT_NONE;
}

static enum fault write_integer(
	struct form *form, const struct row *row, const struct parameter *parameter)
{
	const char *digits = parameter->value + (*parameter->value == '-');
	size_t len = strlen(digits);

	if (len == 0 || len > 18 || digits[strspn(digits, "0123456789")] != '\0' ||
		strlen(parameter->value) != parameter->value_bytes)
		return problem_set(form->problem, FAULT_INVALID_PARAMETER_VALUE,
			"Value %.100s for parameter %s is invalid. Reason: Must be an integer.",
			parameter->value, row->part);
	answer_int(&form->json, row->member, strtoll(parameter->value, NULL, 10));
	return FAULT_NONE;
}

static enum fault write_texts(struct form *form, const struct row *row, struct group group)
{
	struct group item;
	enum fault fault = FAULT_NONE;

	answer_open_list(&form->json, row->member);
	while (fault == FAULT_NONE && next_group(&group, &item)) {
		const struct parameter *value = &item.first[item.count - 1];

		fault = check_number(form, &item);
		if (fault == FAULT_NONE && value->depth == item.depth)
			answer_bytes(&form->json, NULL, value->value, value->value_bytes);
	}
	answer_close_list(&form->json);
	return fault;
}

/* The name of a map's entry. A NUL in it would end it. */
static enum fault entry_name(
	struct form *form, const struct row *row, const struct group *item, const char **ret)
{
	const struct parameter *name = find_value(item, row->key);

	if (name == NULL)
		return problem_set(form->problem, FAULT_MISSING_PARAMETER,
			"The request must contain the parameter %s.%s.%s.", row->part,
			item->first->parts[item->depth - 1], row->key);
	if (strlen(name->value) != name->value_bytes)
		return malformed(form, "a name with a NUL");
	*ret = name->value;
	return FAULT_NONE;
}

/* DataType, StringValue, BinaryValue and whatever else is below Value. */
static void write_attribute(struct form *form, const char *name, const struct group *item)
{
	answer_open(&form->json, name);
	for (size_t i = 0; i < item->count; i++) {
		const struct parameter *parameter = &item->first[i];

		if (parameter->depth == item->depth + 2 &&
			strcmp(parameter->parts[item->depth], "Value") == 0)
			answer_bytes(&form->json, parameter->parts[item->depth + 1],
				parameter->value, parameter->value_bytes);
	}
	answer_close(&form->json);
}

static enum fault write_map(struct form *form, const struct row *row, struct group group)
{
	struct group item;
	enum fault fault = FAULT_NONE;
	const char *name = "";

	answer_open_map(&form->json, row->kind == KIND_TAGS ? form->tags : row->member);
	while (fault == FAULT_NONE && next_group(&group, &item)) {
		const struct parameter *value;

		fault = check_number(form, &item);
		if (fault == FAULT_NONE)
			fault = entry_name(form, row, &item, &name);
		if (fault != FAULT_NONE)
			break;
		if (row->kind == KIND_ATTRIBUTES) {
			write_attribute(form, name, &item);
			continue;
		}
		value = find_value(&item, "Value");
		answer_bytes(&form->json, name, value != NULL ? value->value : "",
			value != NULL ? value->value_bytes : 0);
	}
	answer_close_map(&form->json);
	return fault;
}

static enum fault write_members(struct form *form, struct group group, bool in_entry);

static enum fault write_entries(struct form *form, const struct row *row, struct group group)
{
	struct group item;
	enum fault fault = FAULT_NONE;

	answer_open_list(&form->json, row->member);
	while (fault == FAULT_NONE && next_group(&group, &item)) {
		fault = check_number(form, &item);
		answer_open(&form->json, NULL);
		if (fault == FAULT_NONE)
			fault = write_members(form, item, true);
		answer_close(&form->json);
	}
	answer_close_list(&form->json);
	return fault;
}

static enum fault write_member(struct form *form, const struct row *row, const struct group *group)
{
	/* The last of those that are alike. */
	const struct parameter *value = &group->first[group->count - 1];

	switch (row->kind) {
	case KIND_TEXT:
		if (value->depth == group->depth)
			answer_bytes(&form->json, row->member, value->value, value->value_bytes);
		return FAULT_NONE;
	case KIND_INTEGER:
		return value->depth == group->depth ? write_integer(form, row, value) : FAULT_NONE;
	case KIND_TEXTS:
		return write_texts(form, row, *group);
	case KIND_MAP:
	case KIND_TAGS:
	case KIND_ATTRIBUTES:
		return write_map(form, row, *group);
	case KIND_ENTRIES:
		return write_entries(form, row, *group);
	}
	return FAULT_NONE;
}

static const struct row *find_row(const char *part, bool in_entry)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strcmp(rows[i].part, part) == 0)
			return in_entry && rows[i].kind == KIND_ENTRIES ? NULL : &rows[i];
	return NULL;
}

static enum fault write_members(struct form *form, struct group group, bool in_entry)
{
	struct group member;
	enum fault fault = FAULT_NONE;

	while (fault == FAULT_NONE && next_group(&group, &member)) {
		const struct row *row = find_row(member.first->parts[member.depth - 1], in_entry);

		if (row != NULL)
			fault = write_member(form, row, &member);
	}
	return fault;
}

/* Is it this text, whole? A value may hold NULs. */
static bool value_is(const struct parameter *parameter, const char *text)
{
	return parameter->value_bytes == strlen(text) && strcmp(parameter->value, text) == 0;
}

static enum fault read_action(struct form *form, const struct group *all, char *ret_action)
{
	const struct parameter *action = find_value(all, "Action");
	const struct parameter *version = find_value(all, "Version");
	bool known = version == NULL;

	if (action == NULL || action->value_bytes == 0)
		return problem_set(form->problem, FAULT_MISSING_ACTION,
			"The request must contain the parameter Action.");
	if (action->value_bytes > QUERY_ACTION_MAX || strlen(action->value) != action->value_bytes)
		return problem_set(form->problem, FAULT_UNKNOWN_OPERATION,
			"The action %.100s is not valid for this endpoint.", action->value);
	for (size_t i = 0; !known && i < sizeof(versions) / sizeof(versions[0]); i++)
		known = value_is(version, versions[i]);
	if (!known)
		return problem_set(form->problem, FAULT_NO_SUCH_VERSION,
			"The requested version ( %.100s ) is not valid.", version->value);
	strcpy(ret_action, action->value);
	return FAULT_NONE;
}

static enum fault decode(struct form *form, size_t len, char *ret_action)
{
	struct group all;
	enum fault fault = read_form(form, len);

	if (fault != FAULT_NONE)
		return fault;
	if (form->count > 0)
		qsort(form->parameters, form->count, sizeof(*form->parameters), compare_parameters);
	all = (struct group){form->parameters, form->count, 0};
	fault = read_action(form, &all, ret_action);
	if (fault != FAULT_NONE)
		return fault;
	form->tags = strcmp(ret_action, "CreateQueue") == 0 ? "tags" : "Tags";
	answer_begin(&form->json);
	fault = write_members(form, all, false);
	answer_end(&form->json);
	if (fault == FAULT_NONE && form->json.buf.err == ERR_TOO_LARGE)
		fault = problem_set(form->problem, FAULT_SERIALIZATION,
			"The form is too large: its values, with every control character, quote "
			"and backslash as an escape, have more than %zu bytes.",
			form->json.buf.max);
	else if (fault == FAULT_NONE && form->json.buf.err != 0)
		fault = problem_set(
			form->problem, FAULT_INTERNAL, "%s.", error_message(form->json.buf.err));
	return fault;
}

enum fault query_decode(const char *text, size_t len, char ret_action[QUERY_ACTION_MAX + 1],
	struct buf *json, struct problem *problem)
{
	struct form form = {.text = malloc(len + 1), .json.buf = *json, .problem = problem};
	enum fault fault;

	*ret_action = '\0';
	if (form.text == NULL)
		return problem_set(problem, FAULT_INTERNAL, "Out of memory.");
	memcpy(form.text, text, len);
	form.text[len] = '\0';
	fault = decode(&form, len, ret_action);
	*json = form.json.buf;
	free(form.parameters);
	free(form.text);
	return fault;
}
