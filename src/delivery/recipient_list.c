#include "delivery/recipient_list.h"

#include "bunshin/error.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct queue_attribute *keys_of(const struct queue_message *message)
{
	for (size_t i = 0; i < message->attribute_count; i++)
		if (strcmp(message->attributes[i].name, RECIPIENT_LIST_KEYS) == 0)
			return &message->attributes[i];
	return NULL;
}

static bool is_recipient(const struct json_value *value)
{
	return (value->kind == JSON_STRING && value->string_bytes > 0) ||
	       value->kind == JSON_NUMBER;
}

/* NULL, or what is wrong with the field's value. */
static const char *problem_of(const struct json_value *value)
{
	if (!value)
		return "is not there";
	if (value->kind != JSON_ARRAY)
		return is_recipient(value) ? NULL : "is neither a text, a number nor a list";
	if (value->count == 0)
		return "is an empty list";
	if (value->count > RECIPIENT_LIST_MAX)
		return "is a list of more than 10,000 recipients";
	for (const struct json_value *one = json_first(value); one; one = json_next(value, one))
		if (!is_recipient(one))
			return "is a list with something in it that is neither a text nor a number";
	return NULL;
}

/* The field's value; NULL: what is wrong with it, or with the body, is in ret_problem. */
static const struct json_value *find(const struct queue_message *message, const char *field,
	struct json *json, int *ret_err, char ret_problem[RECIPIENT_LIST_PROBLEM_SIZE])
{
	const struct json_value *root, *value;
	int err = json_parse(json, message->body, message->body_bytes);

	*ret_err = err == ERR_NOMEM ? err : ERR_SYNTAX;
	root = err ? NULL : json_root(json);
	if (!root || root->kind != JSON_OBJECT) {
		snprintf(ret_problem, RECIPIENT_LIST_PROBLEM_SIZE,
			"the message body is not a JSON object, so it has no recipients in \"%s\"",
			field);
		return NULL;
	}
	value = json_member(root, field);
	if (problem_of(value)) {
		snprintf(ret_problem, RECIPIENT_LIST_PROBLEM_SIZE,
			"the field \"%s\" of the message body, for the recipients, %s", field,
			problem_of(value));
		return NULL;
	}
	return value;
}

/* NULL: out of memory. */
static struct recipient_list *make(const struct json_value *value)
{
	bool packed = value->kind == JSON_ARRAY;
	size_t count = packed ? value->count : 1;
	size_t bytes = sizeof(struct recipient_list) +
		       count * (sizeof(struct recipient) + sizeof(struct recipient_key));
	struct recipient_list *recipients = calloc(1, bytes);

	if (!recipients)
		return NULL;
	recipients->packed = packed;
	recipients->list = value->raw;
	recipients->list_bytes = value->raw_bytes;
	recipients->bytes = bytes;
	recipients->count = count;
	recipients->keys = (struct recipient_key *)(void *)&recipients->all[count];
	recipients->counts[RECIPIENT_WAITING] = count;
	recipients->ranges[recipients->range_count++] = recipient_list_all(recipients);
	return recipients;
}

static void fill(struct recipient *recipient, const struct json_value *value,
	const struct recipient_key *message, const struct recipient_key *own)
{
	const char *text = value->kind == JSON_STRING ? value->string : value->raw;
	size_t bytes = value->kind == JSON_STRING ? value->string_bytes : value->raw_bytes;

	recipient->raw = value->raw;
	recipient->raw_bytes = (uint32_t)value->raw_bytes;
	recipient->key = own ? *own : recipient_key_make(message, text, bytes);
}

int recipient_list_read(const struct queue_message *message, const char *field, struct json *json,
	struct recipient_list **ret_recipients, char ret_problem[RECIPIENT_LIST_PROBLEM_SIZE])
{
	struct recipient_key key = recipient_key_of_text(message->idempotency_key);
	const struct queue_attribute *keys = keys_of(message);
	const struct recipient_key *own = NULL;
	const struct json_value *value, *one;
	struct recipient_list *recipients;
	int err;

	value = find(message, field, json, &err, ret_problem);
	if (!value)
		return err;
	if (value->kind == JSON_ARRAY && keys) {
		if (keys->value_bytes != value->count * sizeof(*own)) {
			snprintf(ret_problem, RECIPIENT_LIST_PROBLEM_SIZE,
				"attribute " RECIPIENT_LIST_KEYS
				" has %zu bytes; %u recipients need 16 each",
				keys->value_bytes, (unsigned)value->count);
			return ERR_SYNTAX;
		}
		own = (const struct recipient_key *)(const void *)keys->value;
	}
	recipients = make(value);
	if (!recipients)
		return ERR_NOMEM;
	one = recipients->packed ? json_first(value) : value;
	for (size_t i = 0; i < recipients->count; i++) {
		fill(&recipients->all[i], one, &key, own ? &own[i] : NULL);
		one = recipients->packed ? json_next(value, one) : NULL;
	}
	if (!recipients->packed)
		recipients->all[0].key = key;
	*ret_recipients = recipients;
	return 0;
}

void recipient_list_free(struct recipient_list *recipients)
{
	if (!recipients)
		return;
	for (size_t i = 0; i < recipients->count; i++)
		failure_unref(recipients->all[i].failure);
	free(recipients->copy_body);
	free(recipients->copy_keys);
	free(recipients);
}

void recipient_list_move(
	struct recipient_list *recipients, struct recipient *recipient, enum recipient_state to)
{
	recipients->counts[recipient->state]--;
	recipients->counts[to]++;
	recipient->state = to;
	recipient->claim = (struct ledger_claim){0};
	failure_unref(recipient->failure);
	recipient->failure = NULL;
}

static void push(struct recipient_list *recipients, uint32_t from, uint32_t to)
{
	assert(recipients->range_count < RECIPIENT_LIST_RANGES_MAX);
	recipients->ranges[recipients->range_count++] = (struct recipient_range){from, to};
}

bool recipient_list_next(struct recipient_list *recipients, size_t max)
{
	struct recipient_range next;

	if (recipients->range_count == 0)
		return false;
	next = recipients->ranges[--recipients->range_count];
	if (next.to - next.from > max) {
		push(recipients, next.from + (uint32_t)max, next.to);
		next.to = next.from + (uint32_t)max;
	}
	recipients->out = next;
	return true;
}

void recipient_list_put_back(struct recipient_list *recipients)
{
	push(recipients, recipients->out.from, recipients->out.to);
}

void recipient_list_split(struct recipient_list *recipients)
{
	struct recipient_range out = recipients->out;
	size_t half = recipients->counts[RECIPIENT_SENDING] / 2, seen = 0;
	uint32_t middle = out.from;

	for (uint32_t i = out.from; i < out.to; i++) {
		if (recipients->all[i].state != RECIPIENT_SENDING)
			continue;
		if (seen++ < half)
			middle = i + 1;
		recipient_list_move(recipients, &recipients->all[i], RECIPIENT_WAITING);
	}
	push(recipients, middle, out.to);
	push(recipients, out.from, middle);
}

size_t recipient_list_keys(
	struct recipient_list *recipients, struct recipient_range range, enum recipient_state state)
{
	size_t count = 0;

	for (uint32_t i = range.from; i < range.to; i++)
		if (recipients->all[i].state == state)
			recipients->keys[count++] = recipients->all[i].key;
	return count;
}

int recipient_list_print(const struct recipient_list *recipients, struct recipient_range range,
	enum recipient_state state, struct buf *out)
{
	char before = '[';

	for (uint32_t i = range.from; i < range.to; i++) {
		const struct recipient *recipient = &recipients->all[i];

		if (recipient->state != state)
			continue;
		buf_append_char(out, before);
		buf_append(out, recipient->raw, recipient->raw_bytes);
		before = ',';
	}
	if (before == '[')
		buf_append_char(out, before);
	return buf_append_char(out, ']');
}

int recipient_list_make_copy(struct recipient_list *recipients, const struct queue_message *message)
{
	struct recipient_range all = recipient_list_all(recipients);
	const char *end = recipients->list + recipients->list_bytes;
	struct buf body = BUF_INIT(message->body_bytes + 2);
	size_t count = recipient_list_keys(recipients, all, RECIPIENT_FAILED);

	buf_append(&body, message->body, (size_t)(recipients->list - message->body));
	recipient_list_print(recipients, all, RECIPIENT_FAILED, &body);
	if (buf_append(&body, end, (size_t)(message->body + message->body_bytes - end)))
		goto failed;
	free(recipients->copy_body);
	recipients->copy_body = body.data;
	recipients->copy_body_bytes = body.len;
	if (!keys_of(message))
		return 0;
	free(recipients->copy_keys);
	recipients->copy_keys_bytes = 0;
	recipients->copy_keys = malloc(count * sizeof(struct recipient_key));
	if (!recipients->copy_keys)
		return ERR_NOMEM;
	memcpy(recipients->copy_keys, recipients->keys, count * sizeof(struct recipient_key));
	recipients->copy_keys_bytes = count * sizeof(struct recipient_key);
	return 0;
failed:
	buf_free(&body);
	return ERR_NOMEM;
}
