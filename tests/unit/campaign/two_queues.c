#include "two_queues.h"

#include "bunshin/error.h"
#include "failmalloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum kind { RECEIVE, DELETE, CHANGE, SEND };

/* One call under way. It is carried out when it is made; its answer comes later. */
struct call {
	struct list node;
	struct two_queues *both;
	struct clock_timer timer;
	enum kind kind;
	union {
		queue_receive_done *receive;
		queue_batch_done *batch;
	} done;
	void *arg;
	int err;
	struct queue_batch *batch;
	int results[QUEUE_BATCH_MAX];
	size_t count;
};

struct received {
	struct queue_batch batch;
	struct queue_message messages[QUEUE_BATCH_MAX];
	char handles[QUEUE_BATCH_MAX][24];
};

static void free_batch(struct queue_batch *batch)
{
	free(batch);
}

static void call_over(struct clock_timer *timer)
{
	struct call *call = list_entry(timer, struct call, timer);
	struct call copy = *call;

	list_remove(&call->node);
	free(call);
	if (copy.kind == RECEIVE)
		copy.done.receive(copy.arg, copy.err, copy.batch, copy.err ? "scripted" : "");
	else
		copy.done.batch(copy.arg, copy.results, copy.count, copy.err ? "scripted" : "");
}

/* How this call goes wrong. */
static enum fault_kind next_fault(struct two_queues *both, enum kind kind)
{
	unsigned long k = ++both->call_count;

	both->ops[kind]++;
	return both->fault_at > 0 && k >= both->fault_at && k <= both->fault_until ? both->fault
										   : FAULT_NOTHING;
}

static struct call *call_new(struct one_queue *queue, enum kind kind, void *arg)
{
	struct call *call = calloc(1, sizeof(*call));

	assert_non_null(call);
	call->both = queue->both;
	call->kind = kind;
	call->arg = arg;
	call->timer.fire = call_over;
	list_append(&queue->both->calls, &call->node);
	return call;
}

static int call_start(struct call *call, uint64_t after_us, struct queue_call **ret_call)
{
	assert_int_equal(clock_timer_after(call->both->clock, &call->timer, after_us), 0);
	*ret_call = (struct queue_call *)(void *)call;
	return 0;
}

static void hand_out(struct one_queue *queue, struct stored *stored, unsigned visibility_s,
	struct received *received)
{
	struct queue_message *message = &received->messages[received->batch.count];

	stored->receives++;
	stored->visible_us = queue->both->manual.now_us + (uint64_t)visibility_s * 1000000;
	snprintf(stored->handle, sizeof(stored->handle), "%s/%u", stored->id, stored->receives);
	strcpy(received->handles[received->batch.count], stored->handle);
	*message = (struct queue_message){
		.message_id = stored->id,
		.receipt_handle = received->handles[received->batch.count],
		.body = stored->body,
		.body_bytes = strlen(stored->body),
		.attributes = stored->attributes,
		.attribute_count = stored->attribute_count,
		.idempotency_key = "unused",
		.receive_count = stored->receives,
		.sent_epoch_ms = 1,
	};
	received->batch.count++;
}

static int fake_receive(void *impl, const struct queue_receive *params, queue_receive_done *done,
	void *arg, struct queue_call **ret_call)
{
	struct one_queue *queue = impl;
	struct two_queues *both = queue->both;
	enum fault_kind fault = next_fault(both, RECEIVE);
	struct received *received;
	struct call *call;
	size_t max = params->max_messages;

	if (fault == FAULT_SYNC)
		return both->fault_err;
	received = calloc(1, sizeof(*received));
	assert_non_null(received);
	received->batch = (struct queue_batch){
		.messages = received->messages, .references = 1, .free = free_batch};
	if (both->receive_max > 0 && max > both->receive_max)
		max = both->receive_max;
	for (size_t i = 0; i < queue->count && received->batch.count < max; i++) {
		struct stored *stored = &queue->stored[i];

		if (!stored->gone && stored->visible_us <= both->manual.now_us &&
			(fault == FAULT_NOTHING || fault == FAULT_LOST))
			hand_out(queue, stored, params->visibility_s, received);
	}
	call = call_new(queue, RECEIVE, arg);
	call->done.receive = done;
	call->batch = &received->batch;
	if (fault != FAULT_NOTHING) {
		call->err = both->fault_err;
		call->batch = NULL;
		free(received);
	}
	return call_start(call,
		call->batch && call->batch->count == 0 ? (uint64_t)params->wait_s * 1000000
						       : CALL_US,
		ret_call);
}

/* A batch call, judged entry by entry: true, this one is to be carried out. */
static bool entry_happens(struct call *call, enum fault_kind fault, size_t i)
{
	bool fails = fault == FAULT_REFUSED || fault == FAULT_LOST ||
		     (fault == FAULT_ONE_ENTRY && i == 0);

	call->results[i] = fails ? call->both->fault_err : 0;
	call->err = fails ? call->both->fault_err : call->err;
	call->count = i + 1;
	return !fails || fault == FAULT_LOST;
}

static struct stored *by_handle(struct one_queue *queue, const char *handle)
{
	for (size_t i = 0; i < queue->count; i++)
		if (!queue->stored[i].gone && strcmp(queue->stored[i].handle, handle) == 0)
			return &queue->stored[i];
	return NULL;
}

static int fake_delete(void *impl, const char *const handles[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct one_queue *queue = impl;
	enum fault_kind fault = next_fault(queue->both, DELETE);
	struct call *call;

	assert_in_range(count, 1, QUEUE_BATCH_MAX);
	if (fault == FAULT_SYNC)
		return queue->both->fault_err;
	call = call_new(queue, DELETE, arg);
	call->done.batch = done;
	for (size_t i = 0; i < count; i++) {
		struct stored *stored = by_handle(queue, handles[i]);

		if (entry_happens(call, fault, i) && stored)
			stored->gone = true;
	}
	return call_start(call, CALL_US, ret_call);
}

static int fake_change(void *impl, const struct queue_visibility entries[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct one_queue *queue = impl;
	enum fault_kind fault = next_fault(queue->both, CHANGE);
	struct call *call;

	assert_in_range(count, 1, QUEUE_BATCH_MAX);
	if (fault == FAULT_SYNC)
		return queue->both->fault_err;
	call = call_new(queue, CHANGE, arg);
	call->done.batch = done;
	for (size_t i = 0; i < count; i++) {
		struct stored *stored = by_handle(queue, entries[i].receipt_handle);

		assert_int_equal(entries[i].visibility_s, 0);
		if (!entry_happens(call, fault, i))
			continue;
		if (stored)
			stored->visible_us = queue->both->manual.now_us;
		else
			call->results[i] = ERR_RECEIPT_INVALID;
	}
	return call_start(call, CALL_US, ret_call);
}

static int fake_send(void *impl, const struct queue_send entries[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct one_queue *queue = impl;
	enum fault_kind fault = next_fault(queue->both, SEND);
	struct call *call;

	assert_in_range(count, 1, QUEUE_BATCH_MAX);
	if (fault == FAULT_SYNC)
		return queue->both->fault_err;
	call = call_new(queue, SEND, arg);
	call->done.batch = done;
	for (size_t i = 0; i < count; i++) {
		struct stored *stored;

		if (!entry_happens(call, fault, i))
			continue;
		stored = two_queues_put(queue, entries[i].attributes, entries[i].attribute_count);
		snprintf(stored->body, sizeof(stored->body), "%.*s", (int)entries[i].body_bytes,
			entries[i].body);
	}
	return call_start(call, CALL_US, ret_call);
}

static void fake_cancel(void *impl, struct queue_call *queue_call)
{
	struct call *call = (struct call *)(void *)queue_call;

	clock_timer_clear(call->both->clock, &call->timer);
	list_remove(&call->node);
	if (call->batch)
		queue_batch_unref(call->batch);
	free(call);
}

/* What the queue itself needs is not the memory that a test lets run out. */
#define PAUSED(call)         \
	int err;             \
	failmalloc_pause();  \
	err = call;          \
	failmalloc_resume(); \
	return err

static int op_receive(void *impl, const struct queue_receive *params, queue_receive_done *done,
	void *arg, struct queue_call **ret_call)
{
	PAUSED(fake_receive(impl, params, done, arg, ret_call));
}

static int op_delete(void *impl, const char *const handles[], size_t count, queue_batch_done *done,
	void *arg, struct queue_call **ret_call)
{
	PAUSED(fake_delete(impl, handles, count, done, arg, ret_call));
}

static int op_change(void *impl, const struct queue_visibility entries[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	PAUSED(fake_change(impl, entries, count, done, arg, ret_call));
}

static int op_send(void *impl, const struct queue_send entries[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	PAUSED(fake_send(impl, entries, count, done, arg, ret_call));
}

struct queue two_queues_table(struct one_queue *queue)
{
	static const struct queue_ops ops = {
		.receive = op_receive,
		.delete_batch = op_delete,
		.change_visibility_batch = op_change,
		.send_batch = op_send,
		.cancel = fake_cancel,
	};

	return (struct queue){.ops = &ops, .impl = queue};
}

struct stored *two_queues_put(
	struct one_queue *queue, const struct queue_attribute attributes[], size_t attribute_count)
{
	struct stored *stored = &queue->stored[queue->count];
	size_t bytes = 1;
	char *at;

	assert_true(queue->count < STORED_MAX);
	assert_true(attribute_count <= QUEUE_ATTRIBUTES_MAX);
	memset(stored, 0, sizeof(*stored));
	snprintf(stored->id, sizeof(stored->id), "%c-%zu", queue->name, queue->count);
	snprintf(stored->body, sizeof(stored->body), "m%zu", queue->count);
	queue->count++;
	for (size_t i = 0; i < attribute_count; i++)
		bytes += strlen(attributes[i].name) + strlen(attributes[i].type) + 2 +
			 attributes[i].value_bytes;
	at = stored->memory = malloc(bytes);
	assert_non_null(at);
	stored->attribute_count = (unsigned)attribute_count;
	for (size_t i = 0; i < attribute_count; i++) {
		struct queue_attribute *to = &stored->attributes[i];

		to->name = strcpy(at, attributes[i].name);
		at += strlen(at) + 1;
		to->type = strcpy(at, attributes[i].type);
		at += strlen(at) + 1;
		to->value = memcpy(at, attributes[i].value, attributes[i].value_bytes);
		to->value_bytes = attributes[i].value_bytes;
		at += attributes[i].value_bytes;
	}
	return stored;
}

size_t two_queues_find(const struct one_queue *queue, const char *body)
{
	size_t n = 0;

	for (size_t i = 0; i < queue->count; i++)
		n += !queue->stored[i].gone && strcmp(queue->stored[i].body, body) == 0;
	return n;
}

size_t two_queues_visible(const struct one_queue *queue)
{
	size_t n = 0;

	for (size_t i = 0; i < queue->count; i++)
		n += !queue->stored[i].gone &&
		     queue->stored[i].visible_us <= queue->both->manual.now_us;
	return n;
}

size_t two_queues_alive(const struct one_queue *queue)
{
	size_t n = 0;

	for (size_t i = 0; i < queue->count; i++)
		n += !queue->stored[i].gone;
	return n;
}

void two_queues_open(struct two_queues *both)
{
	memset(both, 0, sizeof(*both));
	manual_clock_init(&both->manual, 1, INT64_C(1767225600000));
	both->clock = manual_clock_table(&both->manual);
	both->failures.both = both->source.both = both;
	both->failures.name = 'f';
	both->source.name = 's';
	list_init(&both->calls);
}

static void free_stored(struct one_queue *queue)
{
	for (size_t i = 0; i < queue->count; i++)
		free(queue->stored[i].memory);
}

void two_queues_close(struct two_queues *both)
{
	assert_true(list_is_empty(&both->calls));
	assert_null(timer_heap_first(&both->manual.heap));
	free_stored(&both->failures);
	free_stored(&both->source);
	manual_clock_free(&both->manual);
}
