#include "campaign/messages.h"

#include "aws/sqs_limits.h"
#include "aws/uuid.h"
#include "base/utf8.h"
#include "bunshin/error.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ATTRIBUTES_MAX = 4, REASON_MAX = 4096 };

struct messages {
	struct recipients *recipients;
	const struct template *template;
	unsigned char run_id[16];
	char campaign[MESSAGES_NAME_MAX + 1];
	char destination[MESSAGES_NAME_MAX + 1];
	char deadline[24];
	char key[UUID_TEXT_SIZE];
	struct queue_attribute attributes[ATTRIBUTES_MAX]; /* [0]: IdempotencyKey, made per row */
	size_t attribute_count;
	struct buf body, reason;
	struct recipients_error error;
	bool columns_checked, ended;
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
	messages->recipients = recipients;
	messages->template = options->template;
	memcpy(messages->run_id, options->run_id, sizeof(messages->run_id));
	buf_init(&messages->body, MESSAGE_MAX_BYTES);
	buf_init(&messages->reason, REASON_MAX);
	add_attribute(messages, "IdempotencyKey", "String", messages->key, UUID_TEXT_SIZE - 1);
	add_text(messages, "Campaign", messages->campaign, options->campaign);
	add_text(messages, "Destination", messages->destination, options->destination);
	if (options->deadline_epoch_ms != 0) {
		int len = snprintf(messages->deadline, sizeof(messages->deadline), "%" PRId64,
			options->deadline_epoch_ms);

		add_attribute(messages, "Deadline", "Number", messages->deadline, (size_t)len);
	}
	*ret_messages = messages;
	return 0;
}

void messages_free(struct messages *messages)
{
	if (!messages)
		return;
	buf_free(&messages->body);
	buf_free(&messages->reason);
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

static void make_key(struct messages *messages, uint64_t row)
{
	char number[24];
	int len = snprintf(number, sizeof(number), "%" PRIu64, row);

	uuid_v5(messages->run_id, number, (size_t)len, "", 0, messages->key);
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
				    messages->attribute_count) > MESSAGE_MAX_BYTES)) {
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
	if (messages->columns_checked || !messages->template)
		return true;
	messages->columns_checked = true;
	buf_clear(&messages->reason);
	template_each_variable(messages->template, visit_variable, messages);
	if (messages->reason.len == 0)
		return true;
	messages->ended = true;
	messages->error = (struct recipients_error){1, 1, buf_string(&messages->reason), true};
	return false;
}

int messages_next(struct messages *messages, struct campaign_message *ret_message)
{
	int event = messages->ended ? RECIPIENTS_END : recipients_next(messages->recipients);

	if (event == RECIPIENTS_INVALID)
		messages->error = *recipients_error(messages->recipients);
	if (event == RECIPIENTS_ROW)
		event = has_all_columns(messages) ? render(messages) : RECIPIENTS_INVALID;
	if (event != RECIPIENTS_ROW)
		return event;
	make_key(messages, messages_place(messages).row);
	*ret_message = (struct campaign_message){
		.body = buf_string(&messages->body),
		.body_bytes = messages->body.len,
		.attributes = messages->attributes,
		.attribute_count = messages->attribute_count,
		.place = messages_place(messages),
	};
	return RECIPIENTS_ROW;
}

int messages_check(struct messages *messages,
	void (*report)(void *arg, const struct recipients_error *error), void *arg,
	struct messages_check *ret_check)
{
	struct messages_check check = {0};
	size_t entries = QUEUE_BATCH_MAX, bytes = 0;
	struct campaign_message message;
	int event;

	while ((event = messages_next(messages, &message)) > RECIPIENTS_END) {
		if (event == RECIPIENTS_INVALID) {
			check.invalid++;
			check.fatal = messages->error.fatal;
			if (report)
				report(arg, &messages->error);
			continue;
		}
		check.valid++;
		bytes += message_bytes(
			message.body_bytes, message.attributes, message.attribute_count);
		if (entries++ < QUEUE_BATCH_MAX && bytes <= MESSAGE_MAX_BYTES)
			continue;
		check.requests++;
		entries = 1;
		bytes = message_bytes(
			message.body_bytes, message.attributes, message.attribute_count);
	}
	if (event < 0)
		return event;
	check.rows = messages_place(messages).row;
	*ret_check = check;
	return 0;
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
