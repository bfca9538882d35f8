#include "localq/operations.h"

#include "bunshin/error.h"
#include "localq/attributes.h"
#include "localq/params.h"
#include "localq/service.h"

#include <string.h>

#define BATCH_BYTES_MAX ((size_t)1 << 20)
#define VISIBILITY_MAX_S 43200

/* A message on its way in; pointers into the request and the service's scratch buffers. */
struct outgoing {
	struct store_message message;
	int64_t delay_ms;
};

static size_t message_bytes(const cJSON *source)
{
	const char *body = cJSON_GetStringValue(params_member(source, "MessageBody"));

	return (body != NULL ? strlen(body) : 0) +
	       attributes_size(params_member(source, "MessageAttributes"));
}

static enum fault read_body(const struct store_queue *queue, const cJSON *source,
	struct outgoing *ret, struct problem *problem)
{
	int64_t limit =
		queue_attribute_int(&queue->attributes, QUEUE_ATTRIBUTE_MAXIMUM_MESSAGE_SIZE);
	const char *body;
	enum fault fault = params_required_text(source, "MessageBody", &body, problem);

	if (fault != FAULT_NONE)
		return fault;
	ret->message.body = body;
	ret->message.body_bytes = strlen(body);
	if (message_bytes(source) > (size_t)limit)
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"One or more parameters are invalid. Reason: Message must be shorter than "
			"%lld bytes.",
			(long long)limit);
	if (!text_is_message(body, ret->message.body_bytes))
		return problem_set(problem, FAULT_INVALID_MESSAGE_CONTENTS,
			"Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | "
			"#x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.");
	return FAULT_NONE;
}

static enum fault read_message_attributes(
	struct service *service, const cJSON *source, struct outgoing *ret, struct problem *problem)
{
	const cJSON *map, *system_map;
	enum fault fault = params_object(source, "MessageAttributes", &map, problem);

	buf_clear(&service->attributes);
	buf_clear(&service->system_attributes);
	if (fault == FAULT_NONE)
		fault = attributes_encode(map, &service->attributes, problem);
	if (fault == FAULT_NONE)
		fault = params_object(source, "MessageSystemAttributes", &system_map, problem);
	if (fault == FAULT_NONE)
		fault = attributes_trace_header(system_map, &service->system_attributes,
			&ret->message.trace_header, problem);
	if (fault != FAULT_NONE)
		return fault;
	ret->message.attributes = service->attributes.data;
	ret->message.attributes_bytes = service->attributes.len;
	if (service->attributes.err != 0)
		return operation_failed(problem, service->attributes.err);
	return operation_failed(problem, service->system_attributes.err);
}

static enum fault read_group(const cJSON *source, struct outgoing *ret, struct problem *problem)
{
	const char *group, *deduplication;
	enum fault fault = params_text(source, "MessageGroupId", &group, problem);

	if (fault == FAULT_NONE)
		fault = params_text(source, "MessageDeduplicationId", &deduplication, problem);
	if (fault != FAULT_NONE)
		return fault;
	if (group != NULL && !text_is_group_id(group, strlen(group)))
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Value %s for parameter MessageGroupId is invalid. Reason: MessageGroupId "
			"can only include alphanumeric and punctuation characters. 1 to 128 in "
			"length.",
			group);
	if (deduplication != NULL)
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Value %s for parameter MessageDeduplicationId is invalid. Reason: The "
			"request includes a parameter that is not valid for this queue type.",
			deduplication);
	ret->message.group_id = group;
	return FAULT_NONE;
}

static enum fault read_outgoing(struct call *call, const struct store_queue *queue,
	const cJSON *source, struct outgoing *ret, struct problem *problem)
{
	int64_t delay_s;
	bool given;
	enum fault fault;

	memset(ret, 0, sizeof(*ret));
	fault = read_body(queue, source, ret, problem);
	if (fault == FAULT_NONE)
		fault = read_message_attributes(call->service, source, ret, problem);
	if (fault == FAULT_NONE)
		fault = read_group(source, ret, problem);
	if (fault == FAULT_NONE)
		fault = params_int(source, "DelaySeconds", 0, 900, &delay_s, &given, problem);
	if (fault == FAULT_NONE)
		ret->delay_ms = given ? delay_s * 1000 : queue->delay_ms;
	return fault;
}

static void answer_md5(struct answer *answer, const char *name, const uint8_t md5[16])
{
	char hex[33];

	text_hex(md5, 16, hex);
	answer_text(answer, name, hex);
}

static enum fault put_message(struct call *call, struct store_queue *queue,
	struct outgoing *outgoing, struct problem *problem)
{
	struct service *service = call->service;
	struct answer *answer = &call->answer;
	struct store_message *message = &outgoing->message;
	uint8_t md5[16], system_md5[16];
	char uuid[TEXT_UUID_BYTES];
	int err;

	message->sent_ms = clock_wall_epoch_ms(service->clock);
	service_random_uuid(service, message->message_id);
	err = hasher_md5(service->hasher, message->body, message->body_bytes, message->md5);
	if (err == 0 && service->attributes.len > 0)
		err = hasher_md5(
			service->hasher, service->attributes.data, service->attributes.len, md5);
	if (err == 0 && service->system_attributes.len > 0)
		err = hasher_md5(service->hasher, service->system_attributes.data,
			service->system_attributes.len, system_md5);
	if (err == 0)
		err = store_send(
			service->store, queue, message, message->sent_ms, outgoing->delay_ms);
	if (err < 0)
		return operation_failed(problem, err);
	text_uuid(message->message_id, uuid);
	answer_text(answer, "MessageId", uuid);
	answer_md5(answer, "MD5OfMessageBody", message->md5);
	if (service->attributes.len > 0)
		answer_md5(answer, "MD5OfMessageAttributes", md5);
	if (service->system_attributes.len > 0)
		answer_md5(answer, "MD5OfMessageSystemAttributes", system_md5);
	poller_wake(service, queue);
	return FAULT_NONE;
}

static enum fault send_one(
	struct call *call, struct store_queue *queue, const cJSON *source, struct problem *problem)
{
	struct outgoing outgoing;
	enum fault fault = read_outgoing(call, queue, source, &outgoing, problem);

	if (fault != FAULT_NONE)
		return fault;
	return put_message(call, queue, &outgoing, problem);
}

enum fault send_message(struct call *call)
{
	struct store_queue *queue;
	enum fault fault = operation_queue(call, &queue);

	if (fault != FAULT_NONE)
		return fault;
	return send_one(call, queue, call->params, &call->problem);
}

enum fault send_message_batch(struct call *call)
{
	struct store_queue *queue;
	const cJSON *entry;
	size_t bytes = 0;
	enum fault fault = operation_queue(call, &queue);

	if (fault != FAULT_NONE)
		return fault;
	cJSON_ArrayForEach(entry, params_member(call->params, "Entries")) bytes +=
		message_bytes(entry);
	if (bytes > BATCH_BYTES_MAX)
		return problem_set(&call->problem, FAULT_BATCH_TOO_LONG,
			"Batch requests cannot be longer than %zu bytes. You have sent %zu bytes.",
			BATCH_BYTES_MAX, bytes);
	return operation_batch(call, "SendMessageBatchRequestEntry", queue, send_one);
}

static enum fault read_handle(
	struct call *call, const cJSON *source, struct handle *ret, struct problem *problem)
{
	const char *text;
	enum fault fault = params_required_text(source, "ReceiptHandle", &text, problem);

	if (fault != FAULT_NONE)
		return fault;
	if (!handle_read(text, strlen(text), store_handle_key(call->service->store), ret))
		return problem_set(problem, FAULT_RECEIPT_HANDLE_INVALID,
			"The input receipt handle \"%.128s\" is not a valid receipt handle.", text);
	return FAULT_NONE;
}

static enum fault delete_one(
	struct call *call, struct store_queue *queue, const cJSON *source, struct problem *problem)
{
	struct handle handle;
	enum fault fault = read_handle(call, source, &handle, problem);

	if (fault != FAULT_NONE)
		return fault;
	/* Long polls of a queue at its limit of messages in flight can go on now. */
	if (queue->in_flight_bound >= SERVICE_IN_FLIGHT_MAX)
		poller_wake(call->service, queue);
	return operation_failed(problem, store_delete(call->service->store, queue, &handle));
}

enum fault delete_message(struct call *call)
{
	struct store_queue *queue;
	enum fault fault = operation_queue(call, &queue);

	if (fault != FAULT_NONE)
		return fault;
	return delete_one(call, queue, call->params, &call->problem);
}

enum fault delete_message_batch(struct call *call)
{
	struct store_queue *queue;
	enum fault fault = operation_queue(call, &queue);

	if (fault != FAULT_NONE)
		return fault;
	return operation_batch(call, "DeleteMessageBatchRequestEntry", queue, delete_one);
}

static enum fault change_one(
	struct call *call, struct store_queue *queue, const cJSON *source, struct problem *problem)
{
	int64_t now = clock_wall_epoch_ms(call->service->clock), seconds = 0;
	enum store_change change;
	struct handle handle;
	const char *text = cJSON_GetStringValue(params_member(source, "ReceiptHandle"));
	bool given;
	int err;
	enum fault fault = params_int(
		source, "VisibilityTimeout", 0, VISIBILITY_MAX_S, &seconds, &given, problem);

	if (fault == FAULT_NONE)
		fault = read_handle(call, source, &handle, problem);
	if (fault == FAULT_NONE && !given)
		fault = problem_set(problem, FAULT_MISSING_PARAMETER,
			"The request must contain the parameter VisibilityTimeout.");
	if (fault != FAULT_NONE)
		return fault;
	if (now + seconds * 1000 > handle.received_ms + VISIBILITY_MAX_S * INT64_C(1000))
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Value %lld for parameter VisibilityTimeout is invalid. Reason: Total "
			"VisibilityTimeout for the message is beyond the limit [%d seconds].",
			(long long)seconds, VISIBILITY_MAX_S);
	err = store_change_visibility(
		call->service->store, queue, &handle, now + seconds * 1000, now, &change);
	if (err < 0)
		return operation_failed(problem, err);
	if (change == STORE_CHANGE_GONE)
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Value %.128s for parameter ReceiptHandle is invalid. Reason: Message does "
			"not exist or is not available for visibility timeout change.",
			text);
	if (change == STORE_CHANGE_NOT_IN_FLIGHT)
		return problem_set(problem, FAULT_MESSAGE_NOT_INFLIGHT,
			"The message referred to is not in flight.");
	poller_wake(call->service, queue);
	return FAULT_NONE;
}

enum fault change_message_visibility(struct call *call)
{
	struct store_queue *queue;
	enum fault fault = operation_queue(call, &queue);

	if (fault != FAULT_NONE)
		return fault;
	return change_one(call, queue, call->params, &call->problem);
}

enum fault change_message_visibility_batch(struct call *call)
{
	struct store_queue *queue;
	enum fault fault = operation_queue(call, &queue);

	if (fault != FAULT_NONE)
		return fault;
	return operation_batch(call, "ChangeMessageVisibilityBatchRequestEntry", queue, change_one);
}
