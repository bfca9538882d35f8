#include "localq/operations.h"

#include "base/hex.h"
#include "bunshin/error.h"
#include "localq/attributes.h"
#include "localq/fifo.h"
#include "localq/params.h"
#include "localq/service.h"

#include <string.h>

#define BATCH_BYTES_MAX ((size_t)1 << 20)
#define VISIBILITY_MAX_S 43200

/* A message on its way in; pointers into the request and the service's scratch buffers. */
struct outgoing {
	struct store_message message;
	int64_t delay_ms;
	char content_id[FIFO_DEDUPLICATION_BYTES]; /* may be the message's deduplication id */
};

/* What counts towards SQS's limits. */
static size_t message_bytes(const struct json_value *source)
{
	const struct json_value *body = params_member(source, "MessageBody");

	return (body != NULL && body->kind == JSON_STRING ? body->string_bytes : 0) +
	       attributes_size(params_member(source, "MessageAttributes"));
}

/* `map`: the message's attributes, or NULL. */
static enum fault read_body(const struct store_queue *queue, const struct json_value *source,
	const struct json_value *map, bool in_batch, struct outgoing *ret, struct problem *problem)
{
	int64_t limit =
		queue_attribute_int(&queue->attributes, QUEUE_ATTRIBUTE_MAXIMUM_MESSAGE_SIZE);
	const struct json_value *body = params_member(source, "MessageBody");
	const char *text;

	if (body == NULL || body->kind != JSON_STRING || body->string_bytes == 0)
		return params_required_text(source, "MessageBody", &text, problem);
	ret->message.body = body->string;
	ret->message.body_bytes = body->string_bytes;
	if (ret->message.body_bytes + attributes_size(map) > (size_t)limit)
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"One or more parameters %s. Reason: Message must be shorter than %lld "
			"bytes.",
			in_batch ? "cannot be validated" : "are invalid", (long long)limit);
	if (!text_is_message(body->string, body->string_bytes))
		return problem_set(problem, FAULT_INVALID_MESSAGE_CONTENTS,
			"Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | "
			"#x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.");
	return FAULT_NONE;
}

static enum fault read_message_attributes(struct service *service, const struct json_value *source,
	const struct json_value *map, struct outgoing *ret, struct problem *problem)
{
	const struct json_value *system_map;
	enum fault fault;

	buf_clear(&service->attributes);
	buf_clear(&service->system_attributes);
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

static enum fault read_outgoing(struct call *call, const struct store_queue *queue,
	const struct json_value *source, struct outgoing *ret, struct problem *problem)
{
	const struct json_value *map;
	int64_t delay_s;
	bool given;
	enum fault fault = params_object(source, "MessageAttributes", &map, problem);

	memset(ret, 0, sizeof(*ret));
	if (fault == FAULT_NONE)
		fault = read_body(queue, source, map, source != call->params, ret, problem);
	if (fault == FAULT_NONE)
		fault = read_message_attributes(call->service, source, map, ret, problem);
	if (fault == FAULT_NONE)
		fault = fifo_read(queue, source, call->service->hasher, ret->content_id,
			&ret->message, problem);
	if (fault == FAULT_NONE)
		fault = params_int(source, "DelaySeconds", 0, 900, &delay_s, &given, problem);
	if (fault != FAULT_NONE)
		return fault;
	if (queue->is_fifo && given && delay_s != 0)
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Value %lld for parameter DelaySeconds is invalid. Reason: The request "
			"include parameter that is not valid for this queue type.",
			(long long)delay_s);
	ret->delay_ms = given && !queue->is_fifo ? delay_s * 1000 : queue->delay_ms;
	return FAULT_NONE;
}

static void answer_md5(struct answer *answer, const char *name, const uint8_t md5[16])
{
	char hex[33];

	hex_print(md5, 16, hex);
	answer_plain(answer, name, hex);
}

/* Stores it, unless a FIFO queue remembers it: *ret_sent is then the first one, and nothing is
 * stored. */
static int store_once(struct service *service, struct store_queue *queue,
	const struct outgoing *outgoing, struct store_sent *ret_sent)
{
	const struct store_message *message = &outgoing->message;
	struct store *store = service->store;
	const char *scope = "";
	int err = ERR_NOT_FOUND;

	if (queue->is_fifo) {
		scope = fifo_scope(queue, message);
		err = store_deduplication_find(
			store, queue, scope, message->deduplication_id, message->sent_ms, ret_sent);
	}
	if (err != ERR_NOT_FOUND)
		return err;
	err = store_send(store, queue, message, message->sent_ms, outgoing->delay_ms, ret_sent);
	if (err == 0 && queue->is_fifo)
		err = store_deduplication_add(
			store, queue, scope, message->deduplication_id, message->sent_ms, ret_sent);
	return err;
}

static enum fault put_message(struct call *call, struct store_queue *queue,
	struct outgoing *outgoing, struct problem *problem)
{
	struct service *service = call->service;
	struct answer *answer = &call->answer;
	struct store_message *message = &outgoing->message;
	uint8_t md5[16], system_md5[16];
	char uuid[HEX_UUID_SIZE], sequence[FIFO_SEQUENCE_BYTES];
	struct store_sent sent;
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
		err = store_once(service, queue, outgoing, &sent);
	if (err < 0)
		return operation_failed(problem, err);
	hex_print_uuid(sent.message_id, uuid);
	answer_plain(answer, "MessageId", uuid);
	answer_md5(answer, "MD5OfMessageBody", message->md5);
	if (service->attributes.len > 0)
		answer_md5(answer, "MD5OfMessageAttributes", md5);
	if (service->system_attributes.len > 0)
		answer_md5(answer, "MD5OfMessageSystemAttributes", system_md5);
	if (queue->is_fifo)
		answer_plain(answer, "SequenceNumber", fifo_sequence(sent.number, sequence));
	poller_wake(service, queue);
	return FAULT_NONE;
}

static enum fault send_one(struct call *call, struct store_queue *queue,
	const struct json_value *source, struct problem *problem)
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
	const struct json_value *entry;
	size_t bytes = 0;
	enum fault fault = operation_queue(call, &queue);

	if (fault != FAULT_NONE)
		return fault;
	PARAMS_EACH(entry, params_member(call->params, "Entries")) bytes += message_bytes(entry);
	if (bytes > BATCH_BYTES_MAX)
		return problem_set(&call->problem, FAULT_BATCH_TOO_LONG,
			"Batch requests cannot be longer than %zu bytes. You have sent %zu bytes.",
			BATCH_BYTES_MAX, bytes);
	fault = fifo_check_batch(queue, params_member(call->params, "Entries"), &call->problem);
	if (fault != FAULT_NONE)
		return fault;
	return operation_batch(call, "SendMessageBatchRequestEntry", queue, send_one);
}

static enum fault read_handle(struct call *call, const struct json_value *source,
	struct handle *ret, struct problem *problem)
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

static enum fault delete_one(struct call *call, struct store_queue *queue,
	const struct json_value *source, struct problem *problem)
{
	int64_t now = operation_now_ms(call);
	struct handle handle;
	bool expired;
	int err;
	enum fault fault = read_handle(call, source, &handle, problem);

	if (fault != FAULT_NONE)
		return fault;
	err = store_delete(call->service->store, queue, &handle, now, &expired);
	if (err == 0 && expired)
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Value %.128s for parameter ReceiptHandle is invalid. Reason: The receipt "
			"handle has expired.",
			params_text_or_null(source, "ReceiptHandle"));
	/*
	 * Long polls can go on now: of a queue at its limit of messages in flight, or whose group
	 * is free.
	 */
	if (queue->is_fifo || queue->in_flight_bound >= SERVICE_IN_FLIGHT_MAX - 1)
		poller_wake(call->service, queue);
	return operation_failed(problem, err);
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

static enum fault change_one(struct call *call, struct store_queue *queue,
	const struct json_value *source, struct problem *problem)
{
	int64_t now = operation_now_ms(call), seconds = 0;
	enum store_change change;
	struct handle handle;
	const char *text = params_text_or_null(source, "ReceiptHandle");
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
