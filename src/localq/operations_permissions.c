/*
 * AddPermission and RemovePermission: they edit the queue's policy, a statement a label, as SQS
 * does. The policy is kept and shown; nothing here is allowed or refused by it.
 */
#include "bunshin/error.h"
#include "localq/operations.h"
#include "localq/params.h"
#include "localq/service.h"
#include "localq/text.h"

#include <stdio.h>
#include <string.h>

#define POLICY_MAX ((size_t)1 << 20)
#define STATEMENTS_MAX 20 /* SQS quotas: policies */
#define ACTIONS_MAX 7	  /* of one statement (SQS API: OverLimit) */
#define ACCOUNT_DIGITS 12
#define ACCOUNTS_SHOWN_MAX 256 /* bytes, in a message */

static const char *const actions[] = {"*", "ChangeMessageVisibility", "DeleteMessage",
	"GetQueueAttributes", "GetQueueUrl", "ListDeadLetterSourceQueues", "PurgeQueue",
	"ReceiveMessage", "SendMessage"};
/* Those that can be given to nobody (SQS API, AddPermission). */
static const char *const owners_actions[] = {"AddPermission", "CreateQueue", "DeleteQueue",
	"ListQueues", "RemovePermission", "SetQueueAttributes"};

static enum fault read_label(struct call *call, const char **ret)
{
	enum fault fault = params_required_text(call->params, "Label", ret, &call->problem);

	if (fault == FAULT_NONE && !text_is_entry_id(*ret, strlen(*ret)))
		fault = problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE,
			"Value %s for parameter Label is invalid. Reason: Can only include "
			"alphanumeric characters, hyphens, or underscores. 1 to 80 in length.",
			*ret);
	return fault;
}

static bool is_account(const char *id)
{
	return strlen(id) == ACCOUNT_DIGITS && strspn(id, "0123456789") == ACCOUNT_DIGITS;
}

/* Of several accounts SQS keeps those that are some, and refuses only when none is. */
static enum fault read_accounts(struct call *call, const struct json_value **ret)
{
	const struct json_value *item;
	struct buf shown = BUF_INIT(ACCOUNTS_SHOWN_MAX);
	enum fault fault = params_texts(call->params, "AWSAccountIds", ret, &call->problem);

	if (fault != FAULT_NONE)
		return fault;
	PARAMS_EACH(item, *ret)
	{
		if (is_account(item->string)) {
			buf_free(&shown);
			return FAULT_NONE;
		}
		buf_appendf(&shown, "%s%.100s", shown.len > 0 ? ", " : "", item->string);
	}
	fault = problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE,
		"Value [%s] for parameter PrincipalId is invalid. Reason: Unable to verify.",
		buf_string(&shown));
	buf_free(&shown);
	return fault;
}

static bool is_among(const char *const *names, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

#define IS_AMONG(names, name) is_among(names, sizeof(names) / sizeof(names[0]), name)

static enum fault read_actions(struct call *call, const struct json_value **ret)
{
	const struct json_value *item;
	enum fault fault = params_texts(call->params, "Actions", ret, &call->problem);

	if (fault == FAULT_NONE && params_count(*ret) == 0)
		fault = problem_set(&call->problem, FAULT_MISSING_PARAMETER,
			"The request must contain the parameter Actions.");
	if (fault != FAULT_NONE)
		return fault;
	if (params_count(*ret) > ACTIONS_MAX)
		return problem_set(&call->problem, FAULT_OVER_LIMIT,
			"%zu Actions were found, maximum allowed is %d.", params_count(*ret),
			ACTIONS_MAX);
	PARAMS_EACH(item, *ret)
	{
		if (IS_AMONG(actions, item->string))
			continue;
		return problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE,
			"Value SQS:%.100s for parameter ActionName is invalid. Reason: %s",
			item->string,
			IS_AMONG(owners_actions, item->string)
				? "Only the queue owner is allowed to invoke this action."
				: "Please refer to the appropriate WSDL for a list of valid "
				  "actions. ");
	}
	return FAULT_NONE;
}

static bool is_any(const char *text)
{
	return true;
}

/* Those that `is_kept`, with something around each: one as itself, several as a list. */
static void answer_texts(struct answer *answer, const char *name, const struct json_value *list,
	bool (*is_kept)(const char *), const char *before, const char *behind)
{
	const struct json_value *item;
	size_t count = 0;
	char text[128];

	PARAMS_EACH(item, list) count += is_kept(item->string);
	if (count > 1)
		answer_open_list(answer, name);
	PARAMS_EACH(item, list)
	{
		if (!is_kept(item->string))
			continue;
		snprintf(text, sizeof(text), "%s%s%s", before, item->string, behind);
		answer_text(answer, count > 1 ? NULL : name, text);
	}
	if (count > 1)
		answer_close_list(answer);
}

static void write_statement(struct answer *answer, const char *label,
	const struct json_value *accounts, const struct json_value *names, const char *arn)
{
	answer_begin(answer);
	answer_text(answer, "Sid", label);
	answer_text(answer, "Effect", "Allow");
	answer_open(answer, "Principal");
	answer_texts(answer, "AWS", accounts, is_account, "arn:aws:iam::", ":root");
	answer_close(answer);
	answer_texts(answer, "Action", names, is_any, "SQS:", "");
	answer_text(answer, "Resource", arn);
	answer_end(answer);
}

/* The policy's statements: a list, or one object; NULL: none. */
static const struct json_value *statements_of(const struct json_value *policy)
{
	return json_member(policy, "Statement");
}

static bool is_labelled(const struct json_value *statement, const char *label)
{
	const char *sid = json_text(json_member(statement, "Sid"));

	return sid != NULL && strcmp(sid, label) == 0;
}

static bool has_label(const struct json_value *statements, const char *label)
{
	const struct json_value *statement;

	if (statements != NULL && statements->kind == JSON_OBJECT)
		return is_labelled(statements, label);
	PARAMS_EACH(statement, statements)
	{
		if (is_labelled(statement, label))
			return true;
	}
	return false;
}

static void append_item(struct buf *into, bool *first, const char *text, size_t len)
{
	if (!*first)
		buf_append_char(into, ',');
	*first = false;
	buf_append(into, text, len);
}

/* All statements but the labelled one, and `added` ("": none). The number of them. */
static size_t append_statements(struct buf *into, const struct json_value *statements,
	const char *without, const struct buf *added)
{
	const struct json_value *statement;
	bool first = true;
	size_t count = 0;

	buf_append_string(into, "\"Statement\":[");
	if (statements != NULL && statements->kind == JSON_OBJECT) {
		if (!is_labelled(statements, without)) {
			append_item(into, &first, statements->raw, statements->raw_bytes);
			count++;
		}
		statements = NULL;
	}
	PARAMS_EACH(statement, statements)
	{
		if (is_labelled(statement, without))
			continue;
		append_item(into, &first, statement->raw, statement->raw_bytes);
		count++;
	}
	if (added->len > 0) {
		append_item(into, &first, added->data, added->len);
		count++;
	}
	buf_append_char(into, ']');
	return count;
}

/* What else the policy says stays as it was written. */
static void append_others(struct buf *into, const struct json_value *policy, const char *arn)
{
	const struct json_value *member;

	if (policy == NULL) {
		buf_appendf(
			into, "\"Version\":\"2008-10-17\",\"Id\":\"%s/SQSDefaultPolicy\",", arn);
		return;
	}
	PARAMS_EACH(member, policy)
	{
		struct answer name = {.buf = BUF_INIT(POLICY_MAX)};

		if (strcmp(member->name, "Statement") == 0)
			continue;
		answer_begin(&name);
		answer_text(&name, member->name, "");
		/* {"name":"": what is between the brace and the empty text */
		buf_append(into, name.buf.data + 1, name.buf.len > 3 ? name.buf.len - 3 : 0);
		buf_append(into, member->raw, member->raw_bytes);
		buf_append_char(into, ',');
		buf_free(&name.buf);
	}
}

static enum fault refuse_size(struct call *call)
{
	return problem_set(&call->problem, FAULT_OVER_LIMIT,
		"The policy would have more than %d bytes.", QUEUE_POLICY_BYTES_MAX);
}

/* Writes the policy without the labelled statement and with the added one; none: no policy. */
static enum fault change_policy(struct call *call, struct store_queue *queue,
	const struct json_value *policy, const char *without, const struct buf *added)
{
	struct buf text = BUF_INIT(POLICY_MAX);
	char arn[OPERATION_ARN_MAX];
	enum fault fault;
	size_t count;

	buf_append_char(&text, '{');
	append_others(&text, policy, operation_arn(call, queue->name, arn));
	count = append_statements(&text, statements_of(policy), without, added);
	buf_append_char(&text, '}');
	if (added->len > 0 && count > STATEMENTS_MAX)
		fault = problem_set(&call->problem, FAULT_OVER_LIMIT,
			"%zu statements were found in the submitted policy, max allowed is %d",
			count, STATEMENTS_MAX);
	else if (added->len > 0 && (text.err == ERR_TOO_LARGE || text.len > QUEUE_POLICY_BYTES_MAX))
		fault = refuse_size(call);
	else
		fault = operation_failed(&call->problem, text.err);
	if (fault == FAULT_NONE)
		fault = operation_set_attribute(
			call, queue, QUEUE_ATTRIBUTE_POLICY, count > 0 ? buf_string(&text) : "");
	buf_free(&text);
	return fault;
}

/* The queue and its policy (NULL: none); the caller frees `json`. */
static enum fault read_policy(struct call *call, struct store_queue **ret_queue, struct json *json,
	const struct json_value **ret)
{
	const char *text;
	enum fault fault = operation_queue(call, ret_queue);
	int err;

	*ret = NULL;
	if (fault != FAULT_NONE)
		return fault;
	text = queue_attribute_text(&(*ret_queue)->attributes, QUEUE_ATTRIBUTE_POLICY);
	if (text == NULL)
		return FAULT_NONE;
	err = json_parse(json, text, strlen(text));
	if (err == 0)
		*ret = json_root(json);
	return operation_failed(&call->problem, err);
}

static enum fault add(struct call *call, struct store_queue *queue, const struct json_value *policy)
{
	const struct json_value *accounts, *names;
	struct answer statement = {.buf = BUF_INIT(QUEUE_POLICY_BYTES_MAX)};
	char arn[OPERATION_ARN_MAX];
	const char *label;
	enum fault fault = read_label(call, &label);

	if (fault == FAULT_NONE)
		fault = read_accounts(call, &accounts);
	if (fault == FAULT_NONE)
		fault = read_actions(call, &names);
	if (fault != FAULT_NONE)
		return fault;
	if (has_label(statements_of(policy), label))
		return problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE,
			"Value %s for parameter Label is invalid. Reason: Already exists.", label);
	write_statement(&statement, label, accounts, names, operation_arn(call, queue->name, arn));
	fault = statement.buf.err == ERR_TOO_LARGE
			? refuse_size(call)
			: operation_failed(&call->problem, statement.buf.err);
	if (fault == FAULT_NONE)
		fault = change_policy(call, queue, policy, label, &statement.buf);
	buf_free(&statement.buf);
	return fault;
}

enum fault add_permission(struct call *call)
{
	const struct json_value *policy;
	struct store_queue *queue;
	struct json json = {0};
	enum fault fault = read_policy(call, &queue, &json, &policy);

	if (fault == FAULT_NONE)
		fault = add(call, queue, policy);
	json_free(&json);
	return fault;
}

enum fault remove_permission(struct call *call)
{
	const struct json_value *policy;
	const struct buf nothing = BUF_INIT(1);
	struct store_queue *queue;
	struct json json = {0};
	const char *label;
	enum fault fault = read_policy(call, &queue, &json, &policy);

	if (fault == FAULT_NONE)
		fault = read_label(call, &label);
	if (fault == FAULT_NONE && !has_label(statements_of(policy), label))
		fault = problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE,
			"Value %s for parameter Label is invalid. Reason: can't find label.",
			label);
	if (fault == FAULT_NONE)
		fault = change_policy(call, queue, policy, label, &nothing);
	json_free(&json);
	return fault;
}
