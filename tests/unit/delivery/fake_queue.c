#include "fake_queue.h"

#include "bunshin/error.h"
#include "delivery/core.h"
#include "fake_message.h"
#include "fake_queue_checks.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One operation under way: going there, maybe waiting there for a message, coming back. */
struct queue_call {
	struct list node;      /* in calls or orphans */
	struct list poll_node; /* in polls */
	struct fake_queue *queue;
	size_t record;
	struct call_plan plan;
	struct clock_timer timer;
	struct fake_message *messages[QUEUE_BATCH_MAX];
	struct fake_message *sent[QUEUE_BATCH_MAX]; /* OP_SEND: what to put; not yet in the queue */
	unsigned max_messages, wait_s, visibility_s;
	struct queue_batch *batch; /* OP_RECEIVE: what it brings */
	queue_receive_done *receive_done;
	queue_batch_done *batch_done;
	queue_attributes_done *attributes_done;
	void *arg;
};

static struct call_record *record_of(const struct queue_call *call)
{
	return &call->queue->log[call->record];
}

/* ---- messages */

static void show(struct fake_message *message);

static void reappeared(struct clock_timer *timer)
{
	struct fake_message *message = list_entry(timer, struct fake_message, reappear);

	world_timer_fired(message->queue->world);
	message->ran_out += !fake_message_receipt(message)->return_handled;
	world_trace(message->queue->world, "%s is visible again", message->id);
	show(message);
}

static void set_hidden(struct fake_message *message, bool hidden)
{
	if (message->hidden == hidden)
		return;
	message->hidden = hidden;
	message->first->hidden_of_group += hidden ? 1 : (size_t)-1;
}

static struct fake_message *first_of_group(struct fake_message *message)
{
	const struct fake_queue *queue = message->queue;

	for (size_t i = 0; queue->fifo && i < queue->count; i++)
		if (fake_message_same_group(queue->messages[i], message))
			return queue->messages[i];
	return message;
}

static void message_enter(struct fake_message *message)
{
	struct fake_queue *queue = message->queue;
	const struct queue_attribute *key = fake_message_attribute(message, "IdempotencyKey");

	if (queue->count == queue->capacity) {
		size_t capacity = queue->capacity ? queue->capacity * 2 : 16;

		queue->messages =
			world_grow(queue->messages, queue->capacity * sizeof(queue->messages[0]),
				capacity * sizeof(queue->messages[0]));
		queue->capacity = capacity;
	}
	message->reappear.fire = reappeared;
	message->first = first_of_group(message);
	message->index = queue->count;
	queue->messages[queue->count++] = message;
	snprintf(message->id, sizeof(message->id), "%c%zu", queue->name, message->index);
	if (key)
		snprintf(message->key, sizeof(message->key), "%.*s", (int)key->value_bytes,
			key->value);
	else
		snprintf(message->key, sizeof(message->key), "key-%s", message->id);
	show(message);
}

struct fake_message *fake_queue_put_grouped(struct fake_queue *queue, const char *group_id,
	const char *body, size_t body_bytes, const struct queue_attribute attributes[],
	size_t attribute_count)
{
	struct fake_message *message =
		fake_message_make(queue, body, body_bytes, attributes, attribute_count);

	if (group_id)
		message->group_id = world_copy(group_id, strlen(group_id));
	message_enter(message);
	return message;
}

struct fake_message *fake_queue_put(struct fake_queue *queue, const char *body, size_t body_bytes,
	const struct queue_attribute attributes[], size_t attribute_count)
{
	return fake_queue_put_grouped(queue, NULL, body, body_bytes, attributes, attribute_count);
}

struct fake_message *fake_queue_find(struct fake_queue *queue, const char *id)
{
	size_t index = strtoul(id + 1, NULL, 10);

	if (id[0] != queue->name || index >= queue->count)
		world_fail(queue->world, "no message \"%s\"", id);
	return queue->messages[index];
}

size_t fake_queue_alive(const struct fake_queue *queue)
{
	return queue->count - queue->deleted_count;
}

static void delete_message(struct fake_message *message)
{
	if (message->deleted)
		return;
	message->deleted = true;
	message->deleted_us = world_now_us(message->queue->world);
	message->queue->deleted_count++;
	list_remove(&message->node);
	set_hidden(message, false);
	world_timer_clear(message->queue->world, &message->reappear);
	world_trace(message->queue->world, "%s is deleted", message->id);
}

/* ---- receiving */

/* Takes a message for a receiver: invisible, counted, with a new handle. */
static void hide(struct fake_message *message, unsigned visibility_s)
{
	struct world *world = message->queue->world;

	list_remove(&message->node);
	set_hidden(message, true);
	if (message->receive_count == message->receipts_capacity) {
		size_t capacity = message->receipts_capacity ? message->receipts_capacity * 2 : 4;

		message->receipts = world_grow(message->receipts,
			message->receipts_capacity * sizeof(message->receipts[0]),
			capacity * sizeof(message->receipts[0]));
		message->receipts_capacity = capacity;
	}
	message->receipts[message->receive_count++] = (struct receipt){0};
	message->attempts_out = 0; /* those that are out are another receipt's */
	message->received_us = world_now_us(world);
	if (message->receive_count == 1)
		message->first_received_epoch_ms = world_wall_ms(world);
	message->visible_us = message->received_us + visibility_s * S;
	world_timer_set(world, &message->reappear, message->visible_us);
}

static void answer_later(struct queue_call *call)
{
	struct world *world = call->queue->world;

	world_timer_set(world, &call->timer, world_now_us(world) + call->plan.back_us);
}

/* One of its group is hidden, and not by the receive that takes it, which has hidden all it took.
 */
static bool is_blocked(const struct fake_queue *queue, const struct fake_message *message,
	struct fake_message *const taken[], size_t taken_count)
{
	size_t own = 0;

	for (size_t i = 0; i < taken_count; i++)
		own += taken[i]->first == message->first;
	return queue->fifo && message->first->hidden_of_group > own;
}

/* What may be handed out next beside what has been taken; NULL: nothing. */
static struct fake_message *next_visible(
	const struct fake_queue *queue, struct fake_message *const taken[], size_t taken_count)
{
	list_for_each (node, &queue->visible) {
		struct fake_message *message = list_entry(node, struct fake_message, node);

		if (!is_blocked(queue, message, taken, taken_count))
			return message;
	}
	return NULL;
}

/* Gives a receive what is visible. */
static void serve(struct queue_call *call)
{
	struct fake_queue *queue = call->queue;
	struct call_record *record = record_of(call);
	struct fake_message *message;
	size_t count = 0;

	while (count < call->max_messages &&
		(message = next_visible(queue, call->messages, count))) {
		if (queue->max_receives && message->receive_count >= queue->max_receives) {
			message->redriven = true;
			delete_message(message);
			continue;
		}
		hide(message, call->visibility_s);
		record->messages[count] = message->index;
		record->receipts[count] = message->receive_count;
		call->messages[count++] = message;
	}
	record->got = record->count = count;
	record->handled_us = world_now_us(queue->world);
	call->batch = fake_message_batch(queue->world, call->messages, count);
	answer_later(call);
}

/* Something may be handed out that could not before. */
static void wake_polls(struct fake_queue *queue)
{
	struct list *first;

	while ((first = list_first(&queue->polls)) && next_visible(queue, NULL, 0)) {
		struct queue_call *call = list_entry(first, struct queue_call, poll_node);

		list_remove(&call->poll_node);
		serve(call);
	}
}

/* What it is to stand before in the visible list: a FIFO queue keeps the order of arrival. */
static struct list *place_of(const struct fake_message *message)
{
	struct fake_queue *queue = message->queue;

	if (!queue->fifo)
		return &queue->visible;
	list_for_each (node, &queue->visible)
		if (list_entry(node, struct fake_message, node)->index > message->index)
			return node;
	return &queue->visible;
}

static void show(struct fake_message *message)
{
	struct fake_queue *queue = message->queue;

	message->visible_us = world_now_us(queue->world);
	set_hidden(message, false);
	list_append(place_of(message), &message->node);
	wake_polls(queue);
}

void fake_queue_remove(struct fake_queue *queue, size_t index)
{
	delete_message(queue->messages[index]);
	wake_polls(queue);
}

/* ---- the other operations, as the queue carries them out */

static int handle_delete(struct fake_message *message, uint32_t receipt)
{
	/* An old handle works until the message is received again; so does SQS. */
	if (receipt != message->receive_count)
		return message->queue->stale_delete_err;
	delete_message(message);
	wake_polls(message->queue); /* the next of its group */
	return 0;
}

static int handle_change(struct fake_message *message, uint32_t receipt, unsigned visibility_s)
{
	struct world *world = message->queue->world;
	uint64_t now_us = world_now_us(world);

	if (message->deleted || receipt != message->receive_count || now_us >= message->visible_us)
		return ERR_RECEIPT_INVALID;
	if (now_us + visibility_s * S > message->received_us + QUEUE_VISIBILITY_MAX_S * S)
		return ERR_REFUSED; /* "Total VisibilityTimeout for the message is beyond the limit"
				     */
	world_timer_clear(world, &message->reappear);
	message->visible_us = now_us + visibility_s * S;
	world_trace(world, "%s invisible for %u s", message->id, visibility_s);
	if (visibility_s == 0)
		show(message);
	else
		world_timer_set(world, &message->reappear, message->visible_us);
	return 0;
}

static int handle_send(struct queue_call *call, size_t i)
{
	struct fake_message *original = call->messages[i];

	message_enter(call->sent[i]);
	call->sent[i] = NULL;
	if (original)
		original->copies++;
	return 0;
}

static void handle_entry(struct queue_call *call, size_t i)
{
	struct call_record *record = record_of(call);
	int *result = &record->results[i];

	*result = call->plan.entry_err[i];
	if (*result)
		return;
	if (record->op == OP_DELETE) {
		*result = handle_delete(call->messages[i], record->receipts[i]);
	} else if (record->op == OP_CHANGE) {
		fake_queue_check_handled(call->queue, record, i);
		*result = handle_change(
			call->messages[i], record->receipts[i], record->visibility_s[i]);
	} else {
		*result = handle_send(call, i);
	}
}

/* The request has arrived. */
static void handle(struct queue_call *call)
{
	struct fake_queue *queue = call->queue;
	struct call_record *record = record_of(call);
	bool carried_out = !call->plan.err || call->plan.lost;

	if (record->op == OP_RECEIVE && carried_out && !next_visible(queue, NULL, 0) &&
		call->wait_s && !record->cancelled) {
		list_append(&queue->polls, &call->poll_node);
		world_timer_set(
			queue->world, &call->timer, world_now_us(queue->world) + call->wait_s * S);
		return;
	}
	if (record->op == OP_RECEIVE && carried_out) {
		serve(call);
		return;
	}
	record->handled_us = world_now_us(queue->world);
	for (size_t i = 0; carried_out && i < record->count; i++)
		handle_entry(call, i);
	answer_later(call);
}

/* ---- calls: their way there and back */

static void call_destroy(struct queue_call *call)
{
	list_remove(&call->node);
	list_remove(&call->poll_node);
	world_timer_clear(call->queue->world, &call->timer);
	if (call->batch)
		queue_batch_unref(call->batch);
	for (size_t i = 0; i < QUEUE_BATCH_MAX; i++)
		fake_message_destroy(call->sent[i]);
	free(call);
}

static void answer_receive(struct queue_call *call)
{
	struct queue_batch *batch = call->batch;
	int err = call->plan.err;

	call->batch = NULL;
	if (err && batch) {
		queue_batch_unref(batch);
		batch = NULL;
	}
	call->receive_done(call->arg, err, batch, err ? "invented failure" : "");
}

static void answer_batch(struct queue_call *call)
{
	struct call_record *record = record_of(call);
	size_t count = record->count;
	bool failed = false;
	int results[QUEUE_BATCH_MAX];

	for (size_t i = 0; i < count; i++) {
		if (call->plan.err)
			record->results[i] = call->plan.err;
		results[i] = record->results[i];
		failed |= results[i] != 0;
		if (record->op == OP_SEND && !results[i] && call->messages[i])
			call->messages[i]->copy_confirmed = true;
	}
	call->batch_done(call->arg, results, count, failed ? "invented failure" : "");
}

static void answer_attributes(struct queue_call *call)
{
	const struct fake_queue *queue = call->queue;
	struct queue_attributes attributes = {.in_flight = queue->in_flight_elsewhere,
		.visible = queue->visible_elsewhere,
		.visibility_s = 30};
	int err = call->plan.err;

	for (size_t i = 0; i < queue->count; i++) {
		if (queue->messages[i]->deleted)
			continue;
		if (list_is_empty(&queue->messages[i]->node))
			attributes.in_flight++;
		else
			attributes.visible++;
	}
	call->attributes_done(
		call->arg, err, err ? NULL : &attributes, err ? "invented failure" : "");
}

static void answer(struct queue_call *call)
{
	struct fake_queue *queue = call->queue;
	struct call_record *record = record_of(call);

	record->answered_us = world_now_us(queue->world);
	record->err = call->plan.err;
	queue->calls_out[record->op]--;
	queue->asked_out -= record->asked;
	list_remove(&call->node);
	world_trace(queue->world, "%c: call %zu answered %s", queue->name, call->record,
		call->plan.err ? error_name(call->plan.err) : "");
	if (record->op == OP_RECEIVE)
		answer_receive(call);
	else if (record->op == OP_ATTRIBUTES)
		answer_attributes(call);
	else
		answer_batch(call);
	call_destroy(call);
}

static void call_fired(struct clock_timer *timer)
{
	struct queue_call *call = list_entry(timer, struct queue_call, timer);
	bool waited = !list_is_empty(&call->poll_node);

	world_timer_fired(call->queue->world);
	if (waited) {
		list_remove(&call->poll_node);
		serve(call);
	} else if (record_of(call)->handled_us == UINT64_MAX) {
		handle(call);
	} else if (record_of(call)->cancelled) {
		call_destroy(call);
	} else {
		answer(call);
	}
}

static void plan_fault(struct fake_queue *queue, const struct call_record *record,
	struct fault *fault, struct call_plan *plan)
{
	if (fault->op != record->op || !fault->times)
		return;
	if (fault->skip) {
		fault->skip--;
		return;
	}
	fault->times--;
	plan->hangs |= fault->hangs;
	plan->lost |= fault->lost;
	if (fault->entry != WHOLE_CALL) {
		if ((size_t)fault->entry < record->count)
			plan->entry_err[fault->entry] = fault->err;
	} else if (fault->sync) {
		plan->sync_err = fault->err;
	} else {
		plan->err = fault->err;
	}
}

static size_t log_new(struct fake_queue *queue, const struct call_record *record)
{
	if (queue->log_count == queue->log_capacity) {
		size_t capacity = queue->log_capacity ? queue->log_capacity * 2 : 64;

		queue->log = world_grow(queue->log, queue->log_capacity * sizeof(queue->log[0]),
			capacity * sizeof(queue->log[0]));
		queue->log_capacity = capacity;
	}
	queue->log[queue->log_count] = *record;
	return queue->log_count++;
}

/* Logs the call and decides how it goes; NULL with *ret_err when it does not start. */
static struct queue_call *call_new(
	struct fake_queue *queue, struct call_record *record, void *arg, int *ret_err)
{
	struct call_plan plan = {.there_us = queue->there_us, .back_us = queue->back_us};
	struct queue_call *call;

	record->at_us = world_now_us(queue->world);
	record->handled_us = record->answered_us = UINT64_MAX;
	for (size_t i = 0; i < queue->fault_count; i++)
		plan_fault(queue, record, &queue->faults[i], &plan);
	if (queue->plan)
		queue->plan(queue, record, &plan);
	record->err = plan.sync_err;
	*ret_err = plan.sync_err;
	world_trace(queue->world, "%c: call %zu of kind %d, %zu entries%s", queue->name,
		queue->log_count, record->op, record->count,
		plan.sync_err ? ", does not start" : "");
	call = world_alloc(sizeof(*call));
	*call = (struct queue_call){
		.queue = queue, .record = log_new(queue, record), .plan = plan, .arg = arg};
	list_init(&call->node);
	list_init(&call->poll_node);
	call->timer.fire = call_fired;
	if (plan.sync_err) {
		call_destroy(call);
		return NULL;
	}
	list_append(&queue->calls, &call->node);
	queue->calls_out[record->op]++;
	queue->asked_out += record->asked;
	if (!plan.hangs)
		world_timer_set(queue->world, &call->timer, record->at_us + plan.there_us);
	return call;
}

/* ---- the table */

static int receive(void *impl, const struct queue_receive *params, queue_receive_done *done,
	void *arg, struct queue_call **ret_call)
{
	struct fake_queue *queue = impl;
	struct call_record record = {
		.op = OP_RECEIVE, .asked = params->max_messages, .wait_s = params->wait_s};
	struct queue_call *call;
	int err;

	fake_queue_check_receive(queue, params);
	call = call_new(queue, &record, arg, &err);
	if (!call)
		return err;
	call->max_messages = params->max_messages;
	call->wait_s = params->wait_s;
	call->visibility_s = params->visibility_s;
	call->receive_done = done;
	*ret_call = call;
	return 0;
}

/* Reads a handle back into message and receive; fails on one that was never given out. */
static struct fake_message *parse_handle(
	struct fake_queue *queue, const char *handle, uint32_t *ret_receipt)
{
	char name = '\0';
	size_t index = 0;
	unsigned receipt = 0;

	if (sscanf(handle, "%c-%zu-%u", &name, &index, &receipt) != 3 || name != queue->name ||
		index >= queue->count || receipt < 1 ||
		receipt > queue->messages[index]->receive_count)
		world_fail(queue->world, "unknown receipt handle \"%s\"", handle);
	*ret_receipt = receipt;
	return queue->messages[index];
}

static int batch_start(struct fake_queue *queue, struct call_record *record,
	struct fake_message *const messages[], queue_batch_done *done, void *arg,
	struct queue_call **ret_call)
{
	struct queue_call *call;
	int err;

	call = call_new(queue, record, arg, &err);
	if (!call)
		return err;
	memcpy(call->messages, messages, record->count * sizeof(messages[0]));
	call->batch_done = done;
	*ret_call = call;
	return 0;
}

static int delete_batch(void *impl, const char *const receipt_handles[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct fake_queue *queue = impl;
	struct call_record record = {.op = OP_DELETE, .count = count};
	struct fake_message *messages[QUEUE_BATCH_MAX];

	fake_queue_check_count(queue, count);
	for (size_t i = 0; i < count; i++) {
		messages[i] = parse_handle(queue, receipt_handles[i], &record.receipts[i]);
		record.messages[i] = messages[i]->index;
	}
	fake_queue_check_delete(queue, &record);
	return batch_start(queue, &record, messages, done, arg, ret_call);
}

static int change_visibility_batch(void *impl, const struct queue_visibility entries[],
	size_t count, queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct fake_queue *queue = impl;
	struct call_record record = {.op = OP_CHANGE, .count = count};
	struct fake_message *messages[QUEUE_BATCH_MAX];
	const struct batch_call *asked_by = arg;

	fake_queue_check_count(queue, count);
	record.is_extension = asked_by->batcher == &asked_by->batcher->delivery->extender;
	for (size_t i = 0; i < count; i++) {
		messages[i] = parse_handle(queue, entries[i].receipt_handle, &record.receipts[i]);
		record.messages[i] = messages[i]->index;
		record.visibility_s[i] = entries[i].visibility_s;
	}
	fake_queue_check_change(queue, &record);
	return batch_start(queue, &record, messages, done, arg, ret_call);
}

static bool is_copy_of(const struct queue_send *entry, const struct fake_message *message)
{
	const char *group = message->group_id ? message->group_id : "";
	const char *copied_to = entry->group_id ? entry->group_id : "";

	/* Of a packed message it has fewer recipients, which stand at the end in these tests. */
	size_t bytes = strcspn(message->body, "[");

	bool same = message->body_bytes == entry->body_bytes &&
		    memcmp(message->body, entry->body, entry->body_bytes) == 0;
	bool packed = bytes > 0 && bytes < message->body_bytes &&
		      memcmp(message->body, entry->body, bytes) == 0;

	return (same || packed) && (!message->group_id || strcmp(group, copied_to) == 0) &&
	       entry->trace_header && strcmp(entry->trace_header, FAKE_TRACE_HEADER) == 0;
}

/* What a copy is a copy of: by body and group, rather one that has no copy yet. NULL: none. */
static struct fake_message *original_of(struct fake_queue *source, const struct queue_send *entry)
{
	struct fake_message *found = NULL;

	for (size_t i = 0; i < source->count; i++) {
		if (!is_copy_of(entry, source->messages[i]))
			continue;
		if (!found || found->copy_confirmed)
			found = source->messages[i];
	}
	return found;
}

static int send_batch(void *impl, const struct queue_send entries[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct fake_queue *queue = impl;
	struct call_record record = {.op = OP_SEND, .count = count};
	struct fake_message *messages[QUEUE_BATCH_MAX];
	int err;

	fake_queue_check_count(queue, count);
	err = fake_queue_check_send(queue, entries, count);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++) {
		messages[i] = original_of(&queue->world->queue, &entries[i]);
		record.messages[i] = messages[i] ? messages[i]->index : SIZE_MAX;
	}
	err = batch_start(queue, &record, messages, done, arg, ret_call);
	for (size_t i = 0; !err && i < count; i++) {
		struct fake_message *sent = fake_message_make(queue, entries[i].body,
			entries[i].body_bytes, entries[i].attributes, entries[i].attribute_count);

		if (entries[i].group_id)
			sent->group_id =
				world_copy(entries[i].group_id, strlen(entries[i].group_id));
		(*ret_call)->sent[i] = sent;
	}
	return err;
}

static int get_attributes(
	void *impl, queue_attributes_done *done, void *arg, struct queue_call **ret_call)
{
	struct fake_queue *queue = impl;
	struct call_record record = {.op = OP_ATTRIBUTES};
	struct queue_call *call;
	int err;

	call = call_new(queue, &record, arg, &err);
	if (!call)
		return err;
	call->attributes_done = done;
	*ret_call = call;
	return 0;
}

static void cancel(void *impl, struct queue_call *call)
{
	struct fake_queue *queue = impl;
	struct call_record *record = record_of(call);

	world_trace(queue->world, "%c: call %zu cancelled", queue->name, call->record);
	record->cancelled = true;
	queue->calls_out[record->op]--;
	queue->asked_out -= record->asked;
	if (queue->cancel_is_in_time || call->plan.hangs || record->handled_us != UINT64_MAX ||
		!list_is_empty(&call->poll_node)) {
		call_destroy(call);
		return;
	}
	list_remove(&call->node);
	list_append(&queue->orphans, &call->node);
}

struct queue fake_queue_table(struct fake_queue *queue)
{
	static const struct queue_ops ops = {.receive = receive,
		.delete_batch = delete_batch,
		.change_visibility_batch = change_visibility_batch,
		.send_batch = send_batch,
		.get_attributes = get_attributes,
		.cancel = cancel};

	return (struct queue){.ops = &ops, .impl = queue};
}

void fake_queue_init(struct fake_queue *queue, struct world *world, char name)
{
	*queue = (struct fake_queue){.world = world, .name = name, .there_us = MS, .back_us = MS};
	list_init(&queue->visible);
	list_init(&queue->polls);
	list_init(&queue->calls);
	list_init(&queue->orphans);
}

void fake_queue_free(struct fake_queue *queue)
{
	if (!list_is_empty(&queue->calls))
		world_fail(queue->world, "%c: a call is still under way", queue->name);
	list_for_each_safe (node, &queue->orphans)
		call_destroy(list_entry(node, struct queue_call, node));
	for (size_t i = 0; i < queue->count; i++) {
		world_timer_clear(queue->world, &queue->messages[i]->reappear);
		fake_message_destroy(queue->messages[i]);
	}
	free(queue->messages);
	free(queue->log);
}

void fake_queue_fail(struct fake_queue *queue, struct fault fault)
{
	if (queue->fault_count == FAULTS_MAX)
		world_fail(queue->world, "too many faults");
	if (!fault.times)
		fault.times = 1;
	queue->faults[queue->fault_count++] = fault;
}

static const struct call_record *nth(
	const struct fake_queue *queue, enum queue_op op, bool extension, size_t n)
{
	for (size_t i = 0; i < queue->log_count; i++)
		if (queue->log[i].op == op && queue->log[i].is_extension == extension && n-- == 0)
			return &queue->log[i];
	return NULL;
}

const struct call_record *fake_queue_call(
	const struct fake_queue *queue, enum queue_op op, size_t n)
{
	return nth(queue, op, false, n);
}

const struct call_record *fake_queue_extension(const struct fake_queue *queue, size_t n)
{
	return nth(queue, OP_CHANGE, true, n);
}

size_t fake_queue_calls(const struct fake_queue *queue, enum queue_op op)
{
	size_t n = 0;

	while (nth(queue, op, false, n))
		n++;
	return n;
}

size_t fake_queue_extensions(const struct fake_queue *queue)
{
	size_t n = 0;

	while (nth(queue, OP_CHANGE, true, n))
		n++;
	return n;
}
