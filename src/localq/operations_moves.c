/*
 * Message move tasks (SQS API: StartMessageMoveTask and the two beside it). The words of the
 * refusals are SQS's.
 */
#include "base/hex.h"
#include "bunshin/error.h"
#include "localq/blob.h"
#include "localq/operations.h"
#include "localq/params.h"

#include <stdio.h>
#include <string.h>

#define RATE_MAX 500
#define RESULTS_MAX 10
/* {"taskId":"UUID","sourceArn":"ARN"} */
#define HANDLE_TEXT_MAX (HEX_UUID_SIZE + OPERATION_ARN_MAX + 32)
#define HANDLE_MAX (BLOB_ENCODED_BYTES(HANDLE_TEXT_MAX) + 1)

_Static_assert(RESULTS_MAX == STORE_MOVES_KEPT, "those that can be listed are kept");

/* The queue that a member names by its ARN; *ret is NULL when the member is absent. */
static enum fault arn_queue(struct call *call, const char *member, struct store_queue **ret)
{
	const char *arn, *name;
	enum fault fault = params_text(call->params, member, &arn, &call->problem);

	*ret = NULL;
	if (fault != FAULT_NONE || arn == NULL || *arn == '\0')
		return fault;
	name = queue_arn_name(arn);
	if (name != NULL)
		*ret = store_queue_find(call->service->store, name);
	if (*ret == NULL)
		return problem_set(&call->problem, FAULT_RESOURCE_NOT_FOUND,
			"The resource that you specified for the %s parameter doesn't exist.",
			member);
	return FAULT_NONE;
}

static enum fault source_queue(struct call *call, struct store_queue **ret)
{
	enum fault fault = arn_queue(call, "SourceArn", ret);

	if (fault == FAULT_NONE && *ret == NULL)
		fault = problem_set(&call->problem, FAULT_MISSING_PARAMETER,
			"The request must contain the parameter SourceArn.");
	return fault;
}

static void write_handle(
	const struct call *call, const char *task, const char *source, char ret[HANDLE_MAX])
{
	char text[HANDLE_TEXT_MAX], arn[OPERATION_ARN_MAX];

	snprintf(text, sizeof(text), "{\"taskId\":\"%s\",\"sourceArn\":\"%s\"}", task,
		operation_arn(call, source, arn));
	blob_encode((const uint8_t *)text, strlen(text), ret);
	ret[BLOB_ENCODED_BYTES(strlen(text))] = '\0';
}

/* The task that a handle names. False: it names none. */
static bool read_handle(const char *handle, char ret_task[HEX_UUID_SIZE])
{
	char text[BLOB_DECODED_MAX(HANDLE_MAX) + 1];
	size_t len = strlen(handle);
	const char *task;
	struct json json = {0};

	if (len >= HANDLE_MAX || !blob_decode(handle, len, (uint8_t *)text, &len))
		return false;
	text[len] = '\0';
	task = json_parse(&json, text, len) == 0
		       ? json_text(json_member(json_root(&json), "taskId"))
		       : NULL;
	if (task != NULL && strlen(task) == HEX_UUID_SIZE - 1)
		memcpy(ret_task, task, HEX_UUID_SIZE);
	else
		task = NULL;
	json_free(&json);
	return task != NULL;
}

static enum fault start(struct call *call, struct store_queue *source,
	const struct store_queue *destination, int64_t rate)
{
	char task[HEX_UUID_SIZE], handle[HANDLE_MAX];
	uint8_t uuid[16];
	int err;

	service_random_uuid(call->service, uuid);
	hex_print_uuid(uuid, task);
	err = store_move_start(
		call->service->store, source, destination, rate, task, operation_now_ms(call));
	if (err == ERR_LIMIT)
		return problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE,
			"There is already a task running. Only one active task is allowed for a "
			"source queue arn at a given time.");
	if (err < 0)
		return operation_failed(&call->problem, err);
	mover_wake(call->service);
	write_handle(call, task, source->name, handle);
	answer_text(&call->answer, "TaskHandle", handle);
	return FAULT_NONE;
}

enum fault start_message_move_task(struct call *call)
{
	struct store_queue *source, *destination = NULL;
	int64_t rate = 0;
	enum fault fault = source_queue(call, &source);

	if (fault == FAULT_NONE && !store_queue_is_dead_letter(call->service->store, source))
		fault = problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE,
			"Source queue must be configured as a Dead Letter Queue.");
	if (fault == FAULT_NONE)
		fault = arn_queue(call, "DestinationArn", &destination);
	if (fault == FAULT_NONE && destination != NULL && destination->is_fifo != source->is_fifo)
		fault = problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE,
			"The source queue and the destination queue must be of the same type.");
	if (fault == FAULT_NONE && destination == source)
		fault = problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE,
			"The source queue and the destination queue must not be the same.");
	if (fault == FAULT_NONE)
		fault = params_int(call->params, "MaxNumberOfMessagesPerSecond", 1, RATE_MAX, &rate,
			NULL, &call->problem);
	return fault == FAULT_NONE ? start(call, source, destination, rate) : fault;
}

static void answer_move(struct call *call, const struct store_move *move)
{
	static const char *const statuses[] = {
		[STORE_MOVE_RUNNING] = "RUNNING",
		[STORE_MOVE_CANCELLING] = "CANCELLING",
		[STORE_MOVE_COMPLETED] = "COMPLETED",
		[STORE_MOVE_CANCELLED] = "CANCELLED",
		[STORE_MOVE_FAILED] = "FAILED",
	};
	struct answer *answer = &call->answer;
	char handle[HANDLE_MAX], arn[OPERATION_ARN_MAX];

	answer_open(answer, NULL);
	if (move->status == STORE_MOVE_RUNNING) {
		write_handle(call, move->task, move->source, handle);
		answer_text(answer, "TaskHandle", handle);
	}
	answer_text(answer, "Status", statuses[move->status]);
	answer_text(answer, "SourceArn", operation_arn(call, move->source, arn));
	if (move->destination[0] != '\0')
		answer_text(answer, "DestinationArn", operation_arn(call, move->destination, arn));
	if (move->rate > 0)
		answer_int(answer, "MaxNumberOfMessagesPerSecond", move->rate);
	answer_int(answer, "ApproximateNumberOfMessagesMoved", move->moved);
	answer_int(answer, "ApproximateNumberOfMessagesToMove", move->to_move);
	if (move->failure[0] != '\0')
		answer_text(answer, "FailureReason", move->failure);
	answer_int(answer, "StartedTimestamp", move->started_ms);
	answer_close(answer);
}

enum fault list_message_move_tasks(struct call *call)
{
	struct store_move moves[RESULTS_MAX];
	struct store_queue *source;
	int64_t limit = 1;
	size_t count = 0;
	enum fault fault = source_queue(call, &source);

	if (fault == FAULT_NONE)
		fault = params_int(
			call->params, "MaxResults", 1, RESULTS_MAX, &limit, NULL, &call->problem);
	if (fault == FAULT_NONE)
		fault = operation_failed(&call->problem,
			store_moves_of(call->service->store, source, (size_t)limit, moves, &count));
	if (fault != FAULT_NONE || count == 0)
		return fault;
	answer_open_list(&call->answer, "Results");
	for (size_t i = 0; i < count; i++)
		answer_move(call, &moves[i]);
	answer_close_list(&call->answer);
	return FAULT_NONE;
}

enum fault cancel_message_move_task(struct call *call)
{
	struct store *store = call->service->store;
	char task[HEX_UUID_SIZE];
	struct store_move move;
	const char *handle;
	int err;
	enum fault fault =
		params_required_text(call->params, "TaskHandle", &handle, &call->problem);

	if (fault != FAULT_NONE)
		return fault;
	if (!read_handle(handle, task))
		return problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE,
			"Value for parameter TaskHandle is invalid.");
	err = store_move_find(store, task, &move);
	if (err == ERR_NOT_FOUND)
		return problem_set(
			&call->problem, FAULT_RESOURCE_NOT_FOUND, "Task does not exist.");
	if (err < 0)
		return operation_failed(&call->problem, err);
	if (move.status != STORE_MOVE_RUNNING)
		return problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE,
			"Only active tasks can be cancelled.");
	move.status = STORE_MOVE_CANCELLING;
	err = store_move_update(store, &move);
	if (err < 0)
		return operation_failed(&call->problem, err);
	mover_wake(call->service);
	answer_int(&call->answer, "ApproximateNumberOfMessagesMoved", move.moved);
	return FAULT_NONE;
}
