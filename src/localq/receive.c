#include "localq/receive.h"

#include "base/hex.h"
#include "bunshin/error.h"
#include "localq/attributes.h"
#include "localq/fifo.h"
#include "localq/operations.h"
#include "localq/params.h"
#include "localq/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SENDER_ID "AIDALOCALLOCALLOCAL00"

/* X(id, name): the system attributes, in the order in which they are answered. */
#define SYSTEM_LIST(X)                                       \
	X(SENDER_ID, "SenderId")                             \
	X(SENT_TIMESTAMP, "SentTimestamp")                   \
	X(RECEIVE_COUNT, "ApproximateReceiveCount")          \
	X(FIRST_RECEIVE, "ApproximateFirstReceiveTimestamp") \
	X(GROUP_ID, "MessageGroupId")                        \
	X(DEDUPLICATION_ID, "MessageDeduplicationId")        \
	X(SEQUENCE_NUMBER, "SequenceNumber")                 \
	X(TRACE_HEADER, "AWSTraceHeader")                    \
	X(DEAD_LETTER_SOURCE, "DeadLetterQueueSourceArn")

enum system_attribute {
#define X(id, name) SYSTEM_##id,
	SYSTEM_LIST(X)
#undef X
		SYSTEM_COUNT,
};

static const char *const system_names[SYSTEM_COUNT] = {
#define X(id, name) name,
	SYSTEM_LIST(X)
#undef X
};

/* Adds the names of one list to *mask. */
static enum fault read_system_names(const struct json_value *params, const char *list_name,
	uint32_t *mask, struct problem *problem)
{
	const struct json_value *list, *item;
	enum fault fault = params_texts(params, list_name, &list, problem);

	if (fault != FAULT_NONE)
		return fault;
	PARAMS_EACH(item, list)
	{
		unsigned i = 0;

		if (strcmp(item->string, "All") == 0) {
			*mask = UINT32_MAX;
			continue;
		}
		while (i < SYSTEM_COUNT && strcmp(system_names[i], item->string) != 0)
			i++;
		if (i == SYSTEM_COUNT)
			return problem_set(problem, FAULT_INVALID_ATTRIBUTE_NAME,
				"Unknown Attribute %s.", item->string);
		*mask |= 1u << i;
	}
	return FAULT_NONE;
}

static enum fault read_receive(struct call *call, struct receive *receive)
{
	struct problem *problem = &call->problem;
	const struct json_value *params = call->params;
	int64_t max = 1, visibility, wait;
	bool given;
	enum fault fault = operation_queue(call, &receive->queue);

	if (fault != FAULT_NONE)
		return fault;
	wait = queue_attribute_int(&receive->queue->attributes, QUEUE_ATTRIBUTE_WAIT_TIME_SECONDS);
	fault = params_int(
		params, "MaxNumberOfMessages", INT32_MIN, INT32_MAX, &max, NULL, problem);
	if (fault == FAULT_NONE && (max < 1 || max > STORE_RECEIVE_MAX))
		fault = problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"Value %lld for parameter MaxNumberOfMessages is invalid. Reason: Must be "
			"between 1 and %d, if provided.",
			(long long)max, STORE_RECEIVE_MAX);
	if (fault == FAULT_NONE)
		fault = params_int(params, "WaitTimeSeconds", 0, 20, &wait, NULL, problem);
	if (fault == FAULT_NONE)
		fault = params_int(
			params, "VisibilityTimeout", 0, 43200, &visibility, &given, problem);
	if (fault == FAULT_NONE)
		fault = params_texts(
			params, "MessageAttributeNames", &receive->attribute_names, problem);
	receive->system_attributes = 0;
	if (fault == FAULT_NONE)
		fault = read_system_names(params, "MessageSystemAttributeNames",
			&receive->system_attributes, problem);
	if (fault == FAULT_NONE)
		fault = read_system_names(
			params, "AttributeNames", &receive->system_attributes, problem);
	if (fault == FAULT_NONE)
		fault = fifo_read_attempt(receive->queue, params, &receive->attempt, problem);
	if (fault != FAULT_NONE)
		return fault;
	receive->max = (size_t)max;
	receive->wait_us = wait * 1000000;
	receive->visibility_ms = given ? visibility * 1000 : receive->queue->visibility_ms;
	return FAULT_NONE;
}

static void answer_system_attributes(struct call *call, const struct store_message *message)
{
	struct answer *answer = &call->answer;
	uint32_t mask = call->receive.system_attributes;
	char arn[64 + SERVICE_REGION_MAX + TEXT_QUEUE_NAME_MAX], sequence[FIFO_SEQUENCE_BYTES];

	answer_open_map(answer, "Attributes");
	if (mask & 1u << SYSTEM_SENDER_ID)
		answer_plain(answer, "SenderId", SENDER_ID);
	if (mask & 1u << SYSTEM_SENT_TIMESTAMP)
		answer_int_text(answer, "SentTimestamp", message->sent_ms);
	if (mask & 1u << SYSTEM_RECEIVE_COUNT)
		answer_int_text(answer, "ApproximateReceiveCount", message->receives);
	if (mask & 1u << SYSTEM_FIRST_RECEIVE)
		answer_int_text(
			answer, "ApproximateFirstReceiveTimestamp", message->first_received_ms);
	if (mask & 1u << SYSTEM_GROUP_ID && message->group_id != NULL)
		answer_text(answer, "MessageGroupId", message->group_id);
	if (mask & 1u << SYSTEM_DEDUPLICATION_ID && message->deduplication_id != NULL)
		answer_text(answer, "MessageDeduplicationId", message->deduplication_id);
	if (mask & 1u << SYSTEM_SEQUENCE_NUMBER && call->receive.queue->is_fifo)
		answer_plain(answer, "SequenceNumber",
			fifo_sequence(store_id_number(message->id), sequence));
	if (mask & 1u << SYSTEM_TRACE_HEADER && message->trace_header != NULL)
		answer_text(answer, "AWSTraceHeader", message->trace_header);
	if (mask & 1u << SYSTEM_DEAD_LETTER_SOURCE && message->dead_letter_source != NULL) {
		snprintf(arn, sizeof(arn), "arn:aws:sqs:%s:%s:%s", call->service->region,
			SERVICE_ACCOUNT, message->dead_letter_source);
		answer_text(answer, "DeadLetterQueueSourceArn", arn);
	}
	answer_close_map(answer);
}

/* The receive under way. */
struct writer {
	struct call *call;
	int64_t now; /* or when what is repeated was received */
	size_t count;
};

static int write_message(void *arg, const struct store_message *message)
{
	struct writer *writer = arg;
	struct call *call = writer->call;
	struct answer *answer = &call->answer;
	struct handle handle = {
		message->id, writer->now, call->receive.queue->lane, message->receives};
	char text[HANDLE_TEXT_BYTES + 1], uuid[HEX_UUID_SIZE], md5[33];
	int err;

	handle_write(&handle, store_handle_key(call->service->store), text);
	hex_print_uuid(message->message_id, uuid);
	hex_print(message->md5, sizeof(message->md5), md5);
	if (writer->count++ == 0)
		answer_open_list(answer, "Messages");
	answer_open(answer, NULL);
	answer_plain(answer, "MessageId", uuid);
	answer_plain(answer, "ReceiptHandle", text);
	answer_plain(answer, "MD5OfBody", md5);
	answer_bytes(answer, "Body", message->body, message->body_bytes);
	if (call->receive.system_attributes != 0)
		answer_system_attributes(call, message);
	err = attributes_answer(answer, call->service->hasher, &call->service->attributes,
		call->receive.attribute_names, message->attributes, message->attributes_bytes);
	answer_close(answer);
	return err < 0 ? err : answer->buf.err;
}

/* What an attempt was given before, or else what there is. */
static int take(struct call *call, struct writer *writer, struct store_received *ret)
{
	const struct receive *receive = &call->receive;
	struct store *store = call->service->store;
	int64_t now = writer->now;
	int err = ERR_NOT_FOUND;

	if (receive->attempt != NULL)
		err = store_attempt_repeat(store, receive->queue, receive->attempt,
			receive->visibility_ms, now, &writer->now, write_message, writer, ret);
	if (err != ERR_NOT_FOUND)
		return err;
	err = store_receive(store, receive->queue, receive->max, receive->visibility_ms, now,
		write_message, writer, ret);
	if (err == 0 && receive->attempt != NULL && ret->count > 0)
		err = store_attempt_add(
			store, receive->queue, receive->attempt, now, receive->visibility_ms, ret);
	return err;
}

enum fault receive_run(struct call *call, struct store_received *ret)
{
	struct service *service = call->service;
	struct receive *receive = &call->receive;
	struct writer writer = {call, clock_wall_epoch_ms(service->clock), 0};
	bool over;
	int err;

	receive->looked_ms = writer.now;
	memset(ret, 0, sizeof(*ret));
	err = store_is_over_limit(
		service->store, receive->queue, SERVICE_IN_FLIGHT_MAX, writer.now, &over);
	if (err == 0 && over) {
		/* A long poll is told nothing and finds nothing, as whoever asks a FIFO queue. */
		if (receive->wait_us > 0 || receive->queue->is_fifo)
			return FAULT_NONE;
		return problem_set(&call->problem, FAULT_OVER_LIMIT,
			"Too many messages are in flight in this queue (%d).",
			SERVICE_IN_FLIGHT_MAX);
	}
	if (err == 0)
		err = take(call, &writer, ret);
	if (err < 0)
		return operation_failed(&call->problem, err);
	if (ret->count > 0)
		answer_close_list(&call->answer);
	if (ret->moved != NULL)
		poller_wake(service, ret->moved);
	return FAULT_NONE;
}

enum fault receive_message(struct call *call)
{
	struct service *service = call->service;
	struct store_received received;
	enum fault fault = read_receive(call, &call->receive);

	if (fault != FAULT_NONE)
		return fault;
	/* Those who wait already come first. */
	poller_serve(service, call->receive.queue);
	fault = receive_run(call, &received);
	if (fault != FAULT_NONE)
		return fault;
	if (received.count == 0 && call->receive.wait_us > 0 && !service->draining)
		fault = operation_failed(&call->problem, poller_add(service, call));
	/* What was taken comes back some day; what was cleared away may have hidden more. */
	if (received.count > 0 || received.more)
		poller_wake(service, call->receive.queue);
	return fault;
}
