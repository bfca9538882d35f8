#include "campaign/messages.h"

#include "aws/sqs_limits.h"
#include "aws/uuid.h"
#include "base/utf8.h"
#include "bunshin/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* LIST_BYTES: what a body and its attributes grow by when they become a pack, or more. */
enum { ATTRIBUTES_MAX = 5, REASON_MAX = 4096, LIST_BYTES = 64 };

struct messages {
	struct recipients *recipients;
	const struct template *template;
	unsigned char key_space[16];
	enum messages_key key_kind;
	char *key_column, *group_column, *pack_field;
	struct pack_finder finder; /* with a pack_field */
	struct pack_field field;
	bool fifo;
	char campaign[MESSAGES_NAME_MAX + 1];
	char destination[MESSAGES_NAME_MAX + 1];
	char deadline[24];
	char key[UUID_TEXT_SIZE];
	struct queue_attribute attributes[ATTRIBUTES_MAX]; /* [0]: IdempotencyKey, made per row */
	size_t attribute_count;
	struct digest sha1;
	struct buf body, recipient_key, group, reason;
	struct recipients_error error;
	bool columns_checked, ended, leaves_keys_out;
	bool (*skip)(void *arg, uint64_t row);
	void *skip_arg;
};

static void add_attribute(struct messages *messages, const char *name, const char *type,
	const char *value, size_t len)
{
	messages->attributes[messages->attribute_count++] =
		(struct queue_attribute){name, type, value, len};
}

static void add_text(struct messages *messages, const char *name, char *copy, const char *value)
{
	if (!value)
		return;
	snprintf(copy, MESSAGES_NAME_MAX + 1, "%s", value);
	add_attribute(messages, name, "String", copy, strlen(copy));
}

int messages_new(struct recipients *recipients, const struct messages_options *options,
	struct messages **ret_messages)
{
	struct messages *messages = calloc(1, sizeof(*messages));

	if (!messages)
		return ERR_NOMEM;
	if (digest_init(&messages->sha1, "SHA1")) {
		free(messages);
		return ERR_NOMEM;
	}
	messages->recipients = recipients;
	messages->template = options->template;
	memcpy(messages->key_space, options->key_space, sizeof(messages->key_space));
	messages->key_kind = options->key;
	messages->skip = options->skip;
	messages->skip_arg = options->skip_arg;
	buf_init(&messages->body, MESSAGE_MAX_BYTES);
	messages->fifo = options->fifo;
	buf_init(&messages->recipient_key, RECIPIENTS_ROW_MAX_BYTES * 2);
	buf_init(&messages->group, RECIPIENTS_ROW_MAX_BYTES);
	buf_init(&messages->reason, REASON_MAX);
	add_attribute(messages, "IdempotencyKey", "String", messages->key, UUID_TEXT_SIZE - 1);
	add_text(messages, "Campaign", messages->campaign, options->campaign);
	add_text(messages, "Destination", messages->destination, options->destination);
	if (options->traceparent)
		add_attribute(messages, "traceparent", "String", options->traceparent,
			strlen(options->traceparent));
	if (options->deadline_epoch_ms != 0) {
		int len = snprintf(messages->deadline, sizeof(messages->deadline), "%" PRId64,
			options->deadline_epoch_ms);

		add_attribute(messages, "Deadline", "Number", messages->deadline, (size_t)len);
	}
	if (options->key == MESSAGES_KEY_COLUMN)
		messages->key_column = strdup(options->key_column);
	if (options->group_column)
		messages->group_column = strdup(options->group_column);
	if (options->pack_field)
		messages->pack_field = strdup(options->pack_field);
	if ((options->key == MESSAGES_KEY_COLUMN && !messages->key_column) ||
		(options->group_column && !messages->group_column) ||
		(options->pack_field && !messages->pack_field)) {
		messages_free(messages);
		return ERR_NOMEM;
	}
	pack_finder_init(&messages->finder, messages->pack_field);
	*ret_messages = messages;
	return 0;
}

int campaign_key_space(const char *name, unsigned char ret_space[16])
{
	static const char prefix[] = "bunshin:campaign:";
	char text[UUID_TEXT_SIZE];
	int err = uuid_v5(uuid_namespace_url, prefix, sizeof(prefix) - 1, name, strlen(name), text);

	return err ? err : uuid_parse(text, ret_space);
}

void messages_free(struct messages *messages)
{
	if (!messages)
		return;
	buf_free(&messages->body);
	buf_free(&messages->recipient_key);
	buf_free(&messages->group);
	buf_free(&messages->reason);
	free(messages->key_column);
	free(messages->group_column);
	free(messages->pack_field);
	pack_finder_free(&messages->finder);
	digest_free(&messages->sha1);
	free(messages);
}

const struct recipients_error *messages_error(const struct messages *messages)
{
	return &messages->error;
}

struct recipients_place messages_place(const struct messages *messages)
{
	return recipients_place(messages->recipients);
}

size_t message_bytes(size_t body_bytes, const struct queue_attribute *attributes, size_t count)
{
	size_t bytes = body_bytes;

	for (size_t i = 0; i < count; i++)
		bytes += strlen(attributes[i].name) + strlen(attributes[i].type) +
			 attributes[i].value_bytes;
	return bytes;
}

bool message_text_fits(const char *text, size_t len, const char **ret_reason)
{
	if (len == 0)
		*ret_reason = "empty text, which SQS refuses";
	else if (!sqs_text_is_valid(text, len))
		*ret_reason = utf8_is_valid(text, len)
				      ? "a control character, U+FFFE or U+FFFF, which SQS refuses"
				      : "invalid UTF-8";
	else
		return true;
	return false;
}

static int invalid(struct messages *messages)
{
	messages->error = (struct recipients_error){
		messages_place(messages).line, 1, buf_string(&messages->reason), false};
	return RECIPIENTS_INVALID;
}

/* The body and its checks: RECIPIENTS_ROW, RECIPIENTS_INVALID or ERR_NOMEM. */
static int render(struct messages *messages)
{
	size_t most = MESSAGE_MAX_BYTES - (messages->pack_field ? LIST_BYTES : 0);
	const char *reason;
	int rc;

	buf_clear(&messages->body);
	buf_clear(&messages->reason);
	rc = messages->template ? template_render(messages->template, recipients_lookup,
					  messages->recipients, &messages->body, &messages->reason)
				: recipients_append_json(messages->recipients, &messages->body);
	if (rc == ERR_NOMEM)
		return rc;
	if (rc == ERR_TOO_LARGE ||
		(rc == 0 && message_bytes(messages->body.len, messages->attributes,
				    messages->attribute_count) > most)) {
		buf_clear(&messages->reason);
		buf_append_string(&messages->reason, "the message is larger than 1 MiB");
		return invalid(messages);
	}
	if (rc < 0)
		return invalid(messages);
	if (message_text_fits(buf_string(&messages->body), messages->body.len, &reason))
		return RECIPIENTS_ROW;
	buf_appendf(&messages->reason, "the message holds %s", reason);
	return invalid(messages);
}

void messages_leave_keys_out(struct messages *messages)
{
	static const char nil[UUID_TEXT_SIZE] = "00000000-0000-0000-0000-000000000000";

	messages->leaves_keys_out = true;
	memcpy(messages->key, nil, sizeof(nil));
}

/* What the recipient is known by: RECIPIENTS_ROW, RECIPIENTS_INVALID or ERR_NOMEM. */
static int find_key(struct messages *messages)
{
	struct template_value value;

	buf_clear(&messages->recipient_key);
	buf_clear(&messages->reason);
	if (messages->key_kind == MESSAGES_KEY_NUMBER)
		buf_append_uint(&messages->recipient_key, messages_place(messages).row);
	else if (messages->key_kind == MESSAGES_KEY_ROW)
		recipients_append_json(messages->recipients, &messages->recipient_key);
	else if (recipients_lookup(messages->recipients, messages->key_column, &value))
		buf_append(&messages->recipient_key, value.text, value.text_bytes);
	if (messages->recipient_key.err)
		return ERR_NOMEM;
	if (messages->recipient_key.len > 0)
		return RECIPIENTS_ROW;
	buf_appendf(
		&messages->reason, "its key, \"%s\", is missing or empty", messages->key_column);
	return invalid(messages);
}

/* The column's value as a MessageGroupId: as find_key(). */
static int find_group(struct messages *messages)
{
	struct buf *group = &messages->group;
	struct template_value value;

	if (!messages->group_column)
		return RECIPIENTS_ROW;
	buf_clear(group);
	buf_clear(&messages->reason);
	if (recipients_lookup(messages->recipients, messages->group_column, &value))
		buf_append(group, value.text, value.text_bytes);
	if (group->err)
		return ERR_NOMEM;
	if (group->len == strlen(buf_string(group)) && sqs_group_id_is_valid(buf_string(group)))
		return RECIPIENTS_ROW;
	buf_appendf(&messages->reason,
		"its group, \"%s\", is no MessageGroupId (1 to 128 ASCII characters without "
		"spaces)",
		messages->group_column);
	return invalid(messages);
}

/* The recipient within the body: as find_key(). */
static int find_field(struct messages *messages)
{
	const char *reason;
	int err;

	if (!messages->pack_field)
		return RECIPIENTS_ROW;
	err = pack_finder_find(&messages->finder, buf_string(&messages->body), messages->body.len,
		&messages->field, &reason);
	if (err != ERR_SYNTAX)
		return err == 0 ? RECIPIENTS_ROW : err;
	buf_clear(&messages->reason);
	buf_appendf(&messages->reason, "cannot be packed by \"%s\": the message %s",
		messages->pack_field, reason);
	return invalid(messages);
}

/* Of a message of a FIFO queue: nobody else's, unless there is a column for it. */
static const char *group_of(const struct messages *messages)
{
	const char *key = buf_string(&messages->recipient_key);

	if (messages->group_column)
		return buf_string(&messages->group);
	if (!messages->fifo)
		return NULL;
	if (messages->key_kind != MESSAGES_KEY_NUMBER &&
		strlen(key) == messages->recipient_key.len && sqs_group_id_is_valid(key))
		return key;
	return messages->key;
}

/* 0 or ERR_NOMEM. */
static int make_idempotency_key(struct messages *messages)
{
	const struct buf *key = &messages->recipient_key;

	if (messages->leaves_keys_out)
		return 0;
	return uuid_v5_with(
		&messages->sha1, messages->key_space, key->data, key->len, "", 0, messages->key);
}

/* Notes the first variable that no row of this list can have. */
static void visit_variable(void *arg, const char *name, bool has_default)
{
	struct messages *messages = arg;

	if (!has_default && messages->reason.len == 0 &&
		!recipients_may_have(messages->recipients, name))
		buf_appendf(&messages->reason,
			"the template needs the column \"%s\", which the list does not have", name);
}

/* Once: a column that is missing is one error of the list, not one of every row. */
static bool has_all_columns(struct messages *messages)
{
	if (messages->columns_checked)
		return true;
	messages->columns_checked = true;
	buf_clear(&messages->reason);
	if (messages->template)
		template_each_variable(messages->template, visit_variable, messages);
	if (messages->reason.len == 0 && messages->key_column &&
		!recipients_may_have(messages->recipients, messages->key_column))
		buf_appendf(&messages->reason, "the list does not have the key column \"%s\"",
			messages->key_column);
	if (messages->reason.len == 0 && messages->group_column &&
		!recipients_may_have(messages->recipients, messages->group_column))
		buf_appendf(&messages->reason, "the list does not have the group column \"%s\"",
			messages->group_column);
	if (messages->reason.len == 0)
		return true;
	messages->ended = true;
	messages->error = (struct recipients_error){1, 1, buf_string(&messages->reason), true};
	return false;
}

/* The next row that is not passed over. What breaks the list itself always counts. */
static int next_row(struct messages *messages)
{
	struct recipients *recipients = messages->recipients;
	int event;

	do
		event = recipients_next(recipients);
	while (event > RECIPIENTS_END && messages->skip &&
		!(event == RECIPIENTS_INVALID && recipients_error(recipients)->fatal) &&
		messages->skip(messages->skip_arg, recipients_place(recipients).row));
	return event;
}

int messages_next(struct messages *messages, struct campaign_message *ret_message)
{
	int event = messages->ended ? RECIPIENTS_END : next_row(messages);

	if (event == RECIPIENTS_INVALID)
		messages->error = *recipients_error(messages->recipients);
	if (event == RECIPIENTS_ROW)
		event = has_all_columns(messages) ? render(messages) : RECIPIENTS_INVALID;
	if (event == RECIPIENTS_ROW)
		event = find_key(messages);
	if (event == RECIPIENTS_ROW)
		event = find_group(messages);
	if (event == RECIPIENTS_ROW)
		event = find_field(messages);
	if (event == RECIPIENTS_ROW && make_idempotency_key(messages))
		event = ERR_NOMEM;
	if (event != RECIPIENTS_ROW)
		return event;
	*ret_message = (struct campaign_message){
		.body = buf_string(&messages->body),
		.body_bytes = messages->body.len,
		.attributes = messages->attributes,
		.attribute_count = messages->attribute_count,
		.place = messages_place(messages),
		.idempotency_key = messages->key,
		.group_id = group_of(messages),
		.deduplication_id = messages->fifo ? messages->key : NULL,
		.field = messages->field,
	};
	if (messages->key_kind != MESSAGES_KEY_NUMBER) {
		ret_message->key = buf_string(&messages->recipient_key);
		ret_message->key_bytes = messages->recipient_key.len;
	}
	return RECIPIENTS_ROW;
}

int message_template_compile(
	const char *text, size_t len, struct template **ret_template, struct buf *error)
{
	enum template_context context = TEMPLATE_TEXT;
	const char *first;
	char *copy;
	int rc;

	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	if (len > 0 && text[len - 1] == '\n')
		len--;
	if (len > 0 && text[len - 1] == '\r')
		len--;
	if (memchr(text, '\0', len)) {
		buf_append_string(error, "the template holds a NUL character");
		return ERR_SYNTAX;
	}
	copy = strndup(text, len);
	if (!copy)
		return ERR_NOMEM;
	first = copy + strspn(copy, " \t\r\n");
	if (*first == '[' || (*first == '{' && first[1] != '{'))
		context = TEMPLATE_JSON;
	rc = template_compile(copy, context, ret_template, error);
	free(copy);
	return rc;
}
