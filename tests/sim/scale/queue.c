/* A standard queue of SQS with its limits, of messages that are numbers. */
#include "bunshin/error.h"
#include "scale.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE UINT32_MAX

/* 300 bytes, all of them the same. */
static char body[301];

struct batch_block {
	struct queue_batch batch;
	struct queue_message messages[QUEUE_BATCH_MAX];
	struct queue_attribute deadlines[QUEUE_BATCH_MAX];
	char handles[QUEUE_BATCH_MAX][HANDLE_MAX], ids[QUEUE_BATCH_MAX][ID_MAX],
		texts[QUEUE_BATCH_MAX][HANDLE_MAX];
};

/* ---- receipts */

static char *put_number(char *to, uint32_t number)
{
	char digits[10];
	size_t n = 0;

	do
		digits[n++] = (char)('0' + number % 10);
	while (number /= 10);
	while (n > 0)
		*to++ = digits[--n];
	return to;
}

/* "INDEX.SERIAL" */
static void put_handle(char *to, uint32_t index, uint32_t serial)
{
	to = put_number(to, index);
	*to++ = '.';
	*put_number(to, serial) = '\0';
}

static void read_handle(const char *handle, uint32_t *ret_index, uint32_t *ret_serial)
{
	char *end;

	*ret_index = (uint32_t)strtoul(handle, &end, 10);
	*ret_serial = (uint32_t)strtoul(end + 1, NULL, 10);
}

struct receipt *queue_receipt_at(struct world *world, uint32_t index, uint32_t serial)
{
	struct receipt *receipt;

	if (index >= world->queue.receipt_count)
		world_broken(world, "a handle that was never given out: %" PRIu32, index);
	receipt = &world->queue.receipts[index];
	return receipt->used && receipt->serial == serial ? receipt : NULL;
}

struct receipt *queue_receipt(struct world *world, const char *handle)
{
	uint32_t index, serial;

	read_handle(handle, &index, &serial);
	return queue_receipt_at(world, index, serial);
}

static uint32_t receipt_index(const struct queue_side *queue, const struct receipt *receipt)
{
	return (uint32_t)(receipt - queue->receipts);
}

static void receipt_drop(struct world *world, struct receipt *receipt)
{
	struct queue_side *queue = &world->queue;

	events_clear(&world->events, &receipt->event);
	receipt->used = false;
	receipt->free_next = queue->receipt_free;
	queue->receipt_free = receipt_index(queue, receipt);
	queue->in_flight--;
}

static void show(struct world *world, struct receipt *receipt)
{
	struct queue_side *queue = &world->queue;
	uint32_t mail = receipt->mail;

	receipt_drop(world, receipt);
	if (queue->back_count == queue->back_capacity)
		world_broken(world, "more messages are back than there are");
	queue->back[(queue->back_first + queue->back_count++) % queue->back_capacity] = mail;
}

static void wake(struct world *world);

static void visible_again(struct event *event)
{
	struct receipt *receipt = list_entry(event, struct receipt, event);
	struct world *world = receipt->world;

	if (receipt->throttled)
		world->queue.backed_off++;
	else
		world->queue.ran_out++;
	show(world, receipt);
	wake(world);
}

static struct receipt *receipt_new(struct world *world, uint32_t mail, uint32_t worker)
{
	struct queue_side *queue = &world->queue;
	struct receipt *receipt;
	uint32_t index = queue->receipt_free;

	if (index != NONE)
		queue->receipt_free = queue->receipts[index].free_next;
	else if (queue->receipt_count < queue->receipt_capacity)
		index = (uint32_t)queue->receipt_count++;
	else
		world_broken(world, "more messages are in flight than may be");
	receipt = &queue->receipts[index];
	*receipt = (struct receipt){.event.fire = visible_again,
		.world = world,
		.mail = mail,
		.serial = ++queue->serial,
		.worker = worker,
		.used = true};
	if (++queue->in_flight > queue->in_flight_most)
		queue->in_flight_most = queue->in_flight;
	return receipt;
}

static void hide_until(struct world *world, struct receipt *receipt, uint64_t visible_us)
{
	receipt->visible_us = visible_us;
	events_set(&world->events, &receipt->event, visible_us);
}

/* ---- receiving */

static bool has_some(const struct world *world)
{
	const struct queue_side *queue = &world->queue;

	return queue->in_flight < world->options.in_flight_limit &&
	       (queue->back_count > 0 || queue->fresh < world->options.messages);
}

static uint32_t next_mail(struct queue_side *queue)
{
	uint32_t mail;

	if (queue->back_count == 0)
		return queue->fresh++;
	mail = queue->back[queue->back_first];
	queue->back_first = (queue->back_first + 1) % queue->back_capacity;
	queue->back_count--;
	return mail;
}

static void come_back(struct queue_call *call);

static void take(struct queue_call *call)
{
	struct world *world = call->worker->world;

	list_remove(&call->wait);
	while (call->count < call->params.max_messages && has_some(world)) {
		struct receipt *receipt =
			receipt_new(world, next_mail(&world->queue), call->worker->index);

		world->mails[receipt->mail].receives++;
		hide_until(world, receipt, world->now_us + call->params.visibility_s * S);
		call->receipts[call->count] = receipt_index(&world->queue, receipt);
		call->serials[call->count++] = receipt->serial;
	}
	world->queue.empty_receives += call->count == 0;
	come_back(call);
}

/* Whoever waits longest gets what there is. */
static void wake(struct world *world)
{
	struct list *first;

	while ((first = list_first(&world->queue.waiting)) && has_some(world))
		take(list_entry(first, struct queue_call, wait));
}

/* ---- deleting and changing */

static int delete_one(struct world *world, struct queue_call *call, size_t i)
{
	struct receipt *receipt = queue_receipt_at(world, call->receipts[i], call->serials[i]);

	/* A standard queue takes an old handle, and nothing comes of it. */
	if (!receipt) {
		world->queue.stale_deletes++;
		return 0;
	}
	world->mails[receipt->mail].deleted = true;
	world->queue.deleted++;
	receipt_drop(world, receipt);
	return 0;
}

static int change_one(struct world *world, struct queue_call *call, size_t i)
{
	struct receipt *receipt = queue_receipt_at(world, call->receipts[i], call->serials[i]);

	if (!receipt)
		return ERR_RECEIPT_INVALID;
	if (call->visibility_s[i])
		hide_until(world, receipt, world->now_us + call->visibility_s[i] * S);
	else
		show(world, receipt);
	return 0;
}

/* ---- calls */

static void call_put(struct queue_call *call)
{
	struct world *world = call->worker->world;

	events_clear(&world->events, &call->event);
	list_remove(&call->node);
	list_remove(&call->wait);
	call->pool_next = world->queue.pool;
	world->queue.pool = call;
}

static uint64_t half_way_us(struct world *world)
{
	const struct options *options = &world->options;

	return (options->queue_min_us +
		       world_draw(world, options->queue_max_us - options->queue_min_us + 1)) /
	       2;
}

static void come_back(struct queue_call *call)
{
	struct world *world = call->worker->world;

	call->coming = true;
	events_set(&world->events, &call->event, world->now_us + half_way_us(world));
}

static void arrive(struct queue_call *call)
{
	struct world *world = call->worker->world;

	if (!per_window_take(&world->queue.started[call->api], world->now_us, S,
		    world->options.queue_rate)) {
		world->queue.throttled++;
		call->err = ERR_THROTTLED;
		for (size_t i = 0; i < call->count; i++)
			call->results[i] = call->err;
		come_back(call);
		return;
	}
	if (call->api == API_RECEIVE && !has_some(world) && call->params.wait_s > 0) {
		list_append(&world->queue.waiting, &call->wait);
		events_set(&world->events, &call->event, world->now_us + call->params.wait_s * S);
		return;
	}
	if (call->api == API_RECEIVE) {
		take(call);
		return;
	}
	for (size_t i = 0; i < call->count; i++)
		call->results[i] = call->api == API_DELETE ? delete_one(world, call, i)
							   : change_one(world, call, i);
	come_back(call);
	wake(world);
}

static void batch_free(struct queue_batch *batch)
{
	free(list_entry(batch, struct batch_block, batch));
}

static void describe(struct batch_block *block, size_t i, const struct world *world,
	const struct receipt *receipt)
{
	int64_t deadline_ms = mail_deadline_ms(&world->options, receipt->mail);

	put_handle(block->handles[i], receipt_index(&world->queue, receipt), receipt->serial);
	block->ids[i][0] = 'm';
	*put_number(&block->ids[i][1], receipt->mail) = '\0';
	if (deadline_ms != INT64_MAX)
		snprintf(block->texts[i], sizeof(block->texts[i]), "%" PRId64, deadline_ms);
	block->deadlines[i] = (struct queue_attribute){.name = "Deadline",
		.type = "Number",
		.value = block->texts[i],
		.value_bytes = strlen(block->texts[i])};
	block->messages[i] = (struct queue_message){.message_id = block->ids[i],
		.receipt_handle = block->handles[i],
		.body = body,
		.body_bytes = sizeof(body) - 1,
		.attributes = &block->deadlines[i],
		.attribute_count = deadline_ms != INT64_MAX,
		.idempotency_key = block->ids[i],
		.receive_count = world->mails[receipt->mail].receives,
		.sent_epoch_ms = EPOCH_MS,
		.first_received_epoch_ms = EPOCH_MS};
}

/* What has run out on its way is told all the same, as by SQS; its handle is an old one. */
static struct queue_batch *batch_make(struct queue_call *call)
{
	struct world *world = call->worker->world;
	struct batch_block *block = world_alloc(1, sizeof(*block));

	for (size_t i = 0; i < call->count; i++) {
		const struct receipt *receipt = &world->queue.receipts[call->receipts[i]];

		if (receipt->serial != call->serials[i])
			world_broken(world, "an answer took longer than the visibility");
		describe(block, i, world, receipt);
	}
	block->batch = (struct queue_batch){.messages = block->messages,
		.count = call->count,
		.bytes = call->count * 1000, /* as an answer of that many has */
		.references = 1,
		.free = batch_free};
	return &block->batch;
}

static void answer(struct queue_call *call)
{
	struct queue_call own = *call;
	const char *detail = own.err ? "throttled" : "";
	struct queue_attributes attributes = {0};

	call_put(call);
	if (own.api == API_RECEIVE) {
		own.receive_done(own.arg, own.err, own.err ? NULL : batch_make(&own), detail);
	} else if (own.api == API_ATTRIBUTES) {
		const struct queue_side *queue = &own.worker->world->queue;

		attributes.in_flight = (int64_t)queue->in_flight;
		attributes.visible = (int64_t)(own.worker->world->options.messages - queue->fresh +
					       queue->back_count);
		attributes.visibility_s = own.worker->world->options.visibility_s;
		own.attributes_done(own.arg, own.err, own.err ? NULL : &attributes, detail);
	} else {
		own.batch_done(own.arg, own.results, own.count, detail);
	}
}

static void call_fired(struct event *event)
{
	struct queue_call *call = list_entry(event, struct queue_call, event);

	if (call->coming)
		answer(call);
	else if (!list_is_empty(&call->wait))
		take(call); /* nothing has come in time */
	else
		arrive(call);
}

static struct queue_call *call_start(struct worker *worker, enum api api, void *arg)
{
	struct world *world = worker->world;
	struct queue_call *call = world->queue.pool;

	if (call)
		world->queue.pool = call->pool_next;
	else
		call = world_alloc(1, sizeof(*call));
	*call = (struct queue_call){
		.worker = worker, .api = api, .arg = arg, .event.fire = call_fired};
	list_init(&call->node);
	list_init(&call->wait);
	list_append(&worker->calls, &call->node);
	world->queue.requests[api]++;
	events_set(&world->events, &call->event, world->now_us + half_way_us(world));
	return call;
}

/* ---- the table */

static int receive(void *impl, const struct queue_receive *params, queue_receive_done *done,
	void *arg, struct queue_call **ret_call)
{
	struct worker *worker = impl;
	struct queue_call *call = call_start(worker, API_RECEIVE, arg);

	if (params->max_messages < 1 || params->max_messages > QUEUE_BATCH_MAX)
		world_broken(worker->world, "a receive of %u", params->max_messages);
	call->params = *params;
	call->receive_done = done;
	*ret_call = call;
	return 0;
}

static struct queue_call *batch_start(
	struct worker *worker, enum api api, size_t count, queue_batch_done *done, void *arg)
{
	struct queue_call *call = call_start(worker, api, arg);

	if (count < 1 || count > QUEUE_BATCH_MAX)
		world_broken(worker->world, "a batch of %zu", count);
	call->count = count;
	call->batch_done = done;
	return call;
}

/* Only what was accepted, or is past its deadline, and only by whoever has received it. */
static void check_delete(struct worker *worker, uint32_t index, uint32_t serial)
{
	struct world *world = worker->world;
	const struct receipt *receipt = queue_receipt_at(world, index, serial);

	if (!receipt)
		return; /* it has run out */
	if (receipt->worker != worker->index)
		world_broken(
			world, "worker %" PRIu32 " deletes what another received", worker->index);
	if (!receipt->accepted &&
		world_wall_ms(world) < mail_deadline_ms(&world->options, receipt->mail))
		world_broken(world,
			"message %" PRIu32 " is deleted, neither accepted nor past its deadline",
			receipt->mail);
}

static int delete_batch(void *impl, const char *const receipt_handles[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct worker *worker = impl;
	struct queue_call *call = batch_start(worker, API_DELETE, count, done, arg);

	for (size_t i = 0; i < count; i++) {
		read_handle(receipt_handles[i], &call->receipts[i], &call->serials[i]);
		check_delete(worker, call->receipts[i], call->serials[i]);
	}
	*ret_call = call;
	return 0;
}

static int change_visibility_batch(void *impl, const struct queue_visibility entries[],
	size_t count, queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct queue_call *call = batch_start(impl, API_CHANGE, count, done, arg);

	for (size_t i = 0; i < count; i++) {
		read_handle(entries[i].receipt_handle, &call->receipts[i], &call->serials[i]);
		call->visibility_s[i] = entries[i].visibility_s;
	}
	*ret_call = call;
	return 0;
}

static int send_batch(void *impl, const struct queue_send entries[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	const struct worker *worker = impl;

	world_broken(worker->world, "there is no failure queue");
}

static int get_attributes(
	void *impl, queue_attributes_done *done, void *arg, struct queue_call **ret_call)
{
	struct queue_call *call = call_start(impl, API_ATTRIBUTES, arg);

	call->attributes_done = done;
	*ret_call = call;
	return 0;
}

/* What it was to bring, or has brought, comes back by its visibility. */
static void cancel(void *impl, struct queue_call *call)
{
	call_put(call);
}

struct queue queue_table(struct worker *worker)
{
	static const struct queue_ops ops = {.receive = receive,
		.delete_batch = delete_batch,
		.change_visibility_batch = change_visibility_batch,
		.send_batch = send_batch,
		.get_attributes = get_attributes,
		.cancel = cancel};

	return (struct queue){.ops = &ops, .impl = worker};
}

void queue_open(struct world *world)
{
	struct queue_side *queue = &world->queue;

	memset(body, 'x', sizeof(body) - 1);
	list_init(&queue->waiting);
	queue->receipt_free = NONE;
	queue->receipt_capacity = world->options.in_flight_limit;
	queue->receipts = world_alloc(queue->receipt_capacity, sizeof(*queue->receipts));
	queue->back_capacity = world->options.messages;
	queue->back = world_alloc(queue->back_capacity, sizeof(*queue->back));
}

void queue_close(struct world *world)
{
	struct queue_call *call;

	while ((call = world->queue.pool) != NULL) {
		world->queue.pool = call->pool_next;
		free(call);
	}
	free(world->queue.receipts);
	free(world->queue.back);
}
