#include "localq/operations.h"

#include "bunshin/error.h"
#include "localq/params.h"
#include "localq/receive.h"
#include "localq/service.h"
#include "localq/text.h"

#include <string.h>

#define BATCH_MAX 10

static const struct operation operations[] = {
	{"ReceiveMessage", receive_message, true},
	{"DeleteMessageBatch", delete_message_batch, true},
	{"SendMessageBatch", send_message_batch, true},
	{"ChangeMessageVisibilityBatch", change_message_visibility_batch, true},
	{"SendMessage", send_message, true},
	{"DeleteMessage", delete_message, false},
	{"ChangeMessageVisibility", change_message_visibility, false},
	{"GetQueueAttributes", get_queue_attributes, true},
	{"GetQueueUrl", get_queue_url, true},
	{"CreateQueue", create_queue, true},
	{"DeleteQueue", delete_queue, false},
	{"PurgeQueue", purge_queue, false},
	{"SetQueueAttributes", set_queue_attributes, false},
	{"ListQueues", list_queues, true},
	{"ListDeadLetterSourceQueues", list_dead_letter_source_queues, true},
	{"StartMessageMoveTask", start_message_move_task, true},
	{"ListMessageMoveTasks", list_message_move_tasks, true},
	{"CancelMessageMoveTask", cancel_message_move_task, true},
	{"ListQueueTags", list_queue_tags, true},
	{"TagQueue", tag_queue, false},
	{"AddPermission", add_permission, false},
	{"RemovePermission", remove_permission, false},
	{"UntagQueue", untag_queue, false},
	{"BunshinQueue.Overview", overview_queues, true},
	{"BunshinQueue.PeekMessages", peek_messages, true},
};

const struct operation *operation_find(const char *name)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	return NULL;
}

enum fault operation_failed(struct problem *problem, int err)
{
	return err == 0 ? FAULT_NONE
			: problem_set(problem, FAULT_INTERNAL, "%s.", error_message(err));
}

enum fault operation_queue(struct call *call, struct store_queue **ret)
{
	const char *url, *name;
	enum fault fault = params_text(call->params, "QueueUrl", &url, &call->problem);

	if (fault != FAULT_NONE)
		return fault;
	if (url == NULL && call->queue_path != NULL && strlen(call->queue_path) > 1)
		url = call->queue_path;
	if (url == NULL || *url == '\0')
		return problem_set(&call->problem, FAULT_MISSING_PARAMETER,
			"The request must contain the parameter QueueUrl.");
	/* Whatever the host and the account: a URL of AWS works here, too. */
	name = strrchr(url, '/');
	if (name == NULL)
		return problem_set(&call->problem, FAULT_INVALID_ADDRESS,
			"The address %s is not valid for this endpoint.", url);
	*ret = store_queue_find(call->service->store, name + 1);
	if (*ret == NULL)
		return problem_set(&call->problem, FAULT_QUEUE_DOES_NOT_EXIST,
			"The specified queue does not exist.");
	return FAULT_NONE;
}

/* The ids; ret_ids has room for BATCH_MAX. */
static enum fault check_ids(const struct json_value *entries, const char *entry_kind,
	const char *ret_ids[], struct problem *problem)
{
	const struct json_value *entry;
	enum fault fault;
	size_t count = 0;

	PARAMS_EACH(entry, entries)
	{
		const char *id;

		if (entry->kind != JSON_OBJECT)
			return problem_set(
				problem, FAULT_SERIALIZATION, "Entries must be a list of objects.");
		fault = params_text(entry, "Id", &id, problem);
		if (fault != FAULT_NONE)
			return fault;
		if (id == NULL)
			return problem_set(problem, FAULT_MISSING_PARAMETER,
				"The request must contain the parameter %s.%zu.Id.", entry_kind,
				count + 1);
		if (!text_is_entry_id(id, strlen(id)))
			return problem_set(problem, FAULT_INVALID_ENTRY_ID,
				"A batch entry id can only contain alphanumeric characters, "
				"hyphens and underscores. It can be at most 80 letters long.");
		for (size_t i = 0; i < count; i++)
			if (strcmp(ret_ids[i], id) == 0)
				return problem_set(
					problem, FAULT_IDS_NOT_DISTINCT, "Id %s repeated.", id);
		ret_ids[count++] = id;
	}
	return FAULT_NONE;
}

static enum fault check_entries(struct call *call, const char *entry_kind,
	const struct json_value **ret, const char *ret_ids[])
{
	struct problem *problem = &call->problem;
	enum fault fault = params_list(call->params, "Entries", ret, problem);
	int count = params_count(*ret);

	if (fault != FAULT_NONE)
		return fault;
	if (count == 0)
		return problem_set(problem, FAULT_EMPTY_BATCH,
			"There should be at least one %s in the request.", entry_kind);
	if (count > BATCH_MAX)
		return problem_set(problem, FAULT_TOO_MANY_ENTRIES,
			"Maximum number of entries per request are %d. You have sent %d.",
			BATCH_MAX, count);
	return check_ids(*ret, entry_kind, ret_ids, problem);
}

static void answer_failed(struct answer *answer, const char *const ids[],
	const struct problem problems[], size_t count)
{
	bool open = false;

	for (size_t i = 0; i < count; i++) {
		if (problems[i].fault == FAULT_NONE)
			continue;
		if (!open)
			answer_open_list(answer, "Failed");
		open = true;
		answer_open(answer, NULL);
		answer_plain(answer, "Id", ids[i]);
		answer_bool(answer, "SenderFault", fault_is_senders(problems[i].fault));
		answer_text(answer, "Code", fault_row(problems[i].fault)->code);
		answer_text(answer, "Message", problems[i].message);
		answer_close(answer);
	}
	if (open)
		answer_close_list(answer);
}

enum fault operation_batch(struct call *call, const char *entry_kind, struct store_queue *queue,
	enum fault (*run)(struct call *call, struct store_queue *queue,
		const struct json_value *entry, struct problem *problem))
{
	struct answer *answer = &call->answer;
	struct problem problems[BATCH_MAX];
	const char *ids[BATCH_MAX];
	const struct json_value *entries = NULL, *entry;
	bool open = false;
	size_t count = 0;
	enum fault fault = check_entries(call, entry_kind, &entries, ids);

	if (fault != FAULT_NONE)
		return fault;
	PARAMS_EACH(entry, entries)
	{
		struct answer_mark start = answer_mark(answer);

		problems[count].fault = FAULT_NONE;
		if (!open)
			answer_open_list(answer, "Successful");
		answer_open(answer, NULL);
		answer_plain(answer, "Id", ids[count]);
		fault = run(call, queue, entry, &problems[count]);
		answer_close(answer);
		if (fault == FAULT_NONE)
			open = true;
		else
			answer_rewind(answer, start);
		count++;
	}
	if (open)
		answer_close_list(answer);
	answer_failed(answer, ids, problems, count);
	return FAULT_NONE;
}
