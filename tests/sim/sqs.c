/* The queue's calls: their way there and back, and the faults on it. */
#include "bunshin/error.h"
#include "sim.h"

#include <stdlib.h>
#include <string.h>

#define STREAM_CALL 31
#define OUTAGE_MAX 3

/* ---- the call objects, reused */

static struct queue_call *call_get(struct sqs *queue)
{
	struct queue_call *call = queue->pool;

	if (call)
		queue->pool = call->pool_next;
	else
		call = arena_alloc(&queue->sim->memory, sizeof(*call));
	return call;
}

static void call_put(struct queue_call *call)
{
	struct sqs *queue = call->queue;

	list_remove(&call->node);
	list_remove(&call->poll_node);
	events_clear(&queue->sim->events, &call->event);
	call->pool_next = queue->pool;
	queue->pool = call;
}

/* ---- the way there and back */

static void come_back(struct queue_call *call, uint64_t after_us)
{
	struct sim *sim = call->queue->sim;
	uint64_t back_us =
		chance_below(sim->plan.seed, STREAM_CALL, call->key + 1, sim->plan.queue_us + 1);

	if (fault_happens(&sim->faults, SLOW_ANSWER, call->key))
		back_us += chance_below(sim->plan.seed, STREAM_CALL, call->key + 2, 20 * S);
	call->stage = CALL_COMING;
	list_remove(&call->poll_node);
	events_set(&sim->events, &call->event, sim->now_us + after_us + back_us);
}

void sqs_wake(struct sqs *queue)
{
	struct list *first;

	while ((first = list_first(&queue->polls)) && sqs_has_some(queue)) {
		struct queue_call *call = list_entry(first, struct queue_call, poll_node);

		list_remove(&call->poll_node);
		sqs_take(queue, call);
		come_back(call, 0);
	}
}

static void arrive_receive(struct queue_call *call)
{
	struct sqs *queue = call->queue;
	uint64_t wait_us = call->params.wait_s * S;

	if (!call->carried_out) {
		come_back(call, 0);
	} else if (fault_happens(&queue->sim->faults, RECEIVE_EMPTY, call->key)) {
		come_back(call, wait_us);
	} else if (sqs_take(queue, call) || !wait_us) {
		come_back(call, 0);
	} else {
		call->stage = CALL_WAITS;
		list_append(&queue->polls, &call->poll_node);
		events_set(&queue->sim->events, &call->event, queue->sim->now_us + wait_us);
	}
}

static int carry_out(struct queue_call *call, size_t i)
{
	struct sim *sim = call->queue->sim;
	struct receipt *receipt = call->receipts[i];
	struct mail *mail = receipt->mail;
	int err;

	switch (call->op) {
	case OP_DELETE:
		err = sqs_delete(receipt);
		sim_trace(sim, TRACE_DELETED, TRACE_NONE, mail->index, receipt->nth,
			(uint64_t)(int64_t)err);
		return err;
	case OP_CHANGE:
		invariant_change_arrives(call, receipt);
		err = sqs_change(receipt, call->visibility_s[i]);
		sim_trace(sim, TRACE_CHANGED, TRACE_NONE, mail->index, receipt->nth,
			(uint64_t)(int64_t)err);
		return err;
	case OP_SEND:
	default:
		mail->copies++;
		sim_trace(sim, TRACE_COPIED, TRACE_NONE, mail->index, receipt->nth, 0);
		return 0;
	}
}

static void arrive_batch(struct queue_call *call)
{
	static const int errors[] = {
		ERR_THROTTLED, ERR_UNAVAILABLE, ERR_REFUSED, ERR_ACCESS_DENIED, ERR_TOO_LARGE};
	struct sim *sim = call->queue->sim;

	for (size_t i = 0; i < call->count && call->carried_out; i++) {
		if (fault_happens(&sim->faults, ENTRY_FAILED, call->key + i * 977))
			call->results[i] = errors[chance_below(
				sim->plan.seed, STREAM_CALL, call->key + 10 + i, 5)];
		else
			call->results[i] = carry_out(call, i);
	}
	for (size_t i = 0; i < call->count && call->err; i++)
		call->results[i] = call->err;
	come_back(call, 0);
}

static void call_fired(struct event *event)
{
	struct queue_call *call = list_entry(event, struct queue_call, event);

	switch (call->stage) {
	case CALL_GOING:
		if (call->op == OP_RECEIVE)
			arrive_receive(call);
		else
			arrive_batch(call);
		break;
	case CALL_WAITS:
		come_back(call, 0);
		break;
	case CALL_COMING:
	default:
		if (call->worker)
			worker_answered(call->worker, &call->answer);
		else
			call_put(call);
		break;
	}
}

/* ---- the answer, in the worker */

static void deliver_receive(struct queue_call *call, struct worker *worker)
{
	struct sim *sim = worker->sim;
	struct queue_batch *batch = NULL;

	sim_trace(sim, TRACE_POLL_END, worker->index, TRACE_NONE, (uint64_t)(int64_t)call->err,
		call->count);
	worker->asked_out -= call->params.max_messages;
	for (size_t i = 0; i < call->count && !call->err; i++)
		worker_holds(worker, call->receipts[i], call->params.visibility_s, call->asked_us);
	if (!call->err)
		batch = sqs_batch_make(worker, call->receipts, call->count);
	call->receive_done(call->arg, call->err, batch, call->err ? "a fault of the run" : "");
}

static void told(struct worker *worker, struct queue_call *call, size_t i)
{
	struct receipt *receipt = call->receipts[i];
	int result = call->results[i];

	sim_trace(worker->sim, TRACE_TOLD, worker->index, receipt->mail->index, (uint64_t)call->op,
		(uint64_t)(int64_t)result);
	if (call->op == OP_DELETE) {
		/* A worker allows for the time that the receive's answer took. */
		uint64_t doubt_us = worker->sim->plan.visibility_s * S / 4;

		receipt->delete_told |= !result;
		worker->told.deleted += !result && call->asked_us + doubt_us < receipt->believed_us;
		worker->told.maybe_deleted += !result && call->asked_us < receipt->believed_us;
	} else if (call->op == OP_SEND) {
		receipt->copied |= !result;
		receipt->mail->copies_told += !result;
	} else if (call->extends) {
		receipt->extensions_out--;
		receipt->extended_us = worker->sim->now_us;
		if (!result)
			receipt->believed_us = call->asked_us + call->visibility_s[i] * S;
		else if (result == ERR_RECEIPT_INVALID)
			receipt->believed_us = worker->sim->now_us;
	}
}

static void deliver_batch(struct queue_call *call, struct worker *worker)
{
	bool failed = false;

	sim_trace(worker->sim, TRACE_CALL_END, worker->index, TRACE_NONE, (uint64_t)call->op,
		(uint64_t)(int64_t)call->err);
	for (size_t i = 0; i < call->count; i++) {
		failed |= call->results[i] != 0;
		told(worker, call, i);
	}
	call->batch_done(call->arg, call->results, call->count, failed ? "a fault of the run" : "");
}

static void deliver_attributes(struct queue_call *call, struct worker *worker)
{
	struct sqs *queue = call->queue;
	struct queue_attributes attributes = {.in_flight = (int64_t)queue->in_flight,
		.visible = sqs_has_some(queue),
		.visibility_s = worker->sim->plan.visibility_s};

	sim_trace(worker->sim, TRACE_CALL_END, worker->index, TRACE_NONE, (uint64_t)call->op,
		(uint64_t)(int64_t)call->err);
	call->attributes_done(call->arg, call->err, call->err ? NULL : &attributes,
		call->err ? "a fault of the run" : "");
}

static void deliver(struct worker *worker, struct answer *answer)
{
	struct queue_call *call = list_entry(answer, struct queue_call, answer);

	/* From here on nobody may cancel it, and a crash need not look after it. */
	list_remove(&call->node);
	call->worker = NULL;
	worker->calls_out--;
	if (call->op == OP_RECEIVE)
		deliver_receive(call, worker);
	else if (call->op == OP_ATTRIBUTES)
		deliver_attributes(call, worker);
	else
		deliver_batch(call, worker);
	call_put(call);
}

void sqs_orphan(struct queue_call *call)
{
	struct sim *sim = call->queue->sim;

	list_remove(&call->node);
	call->worker->calls_out--;
	call->worker = NULL;
	if (call->answer.waiting) { /* it had arrived at a worker that was stopped */
		list_remove(&call->answer.node);
		call_put(call);
		return;
	}
	/* A request on its way may still arrive, a long poll may be noticed to be gone, or not. */
	if (call->stage == CALL_WAITS &&
		chance_below(sim->plan.seed, STREAM_CALL, call->key + 3, 4) > 0)
		call_put(call);
	else if (call->stage == CALL_GOING)
		call->carried_out &=
			chance_below(sim->plan.seed, STREAM_CALL, call->key + 4, 2) == 0;
}

/* ---- the start of a call */

static bool outage(struct sim *sim)
{
	for (unsigned i = 0; i < OUTAGE_MAX; i++)
		if (sim->now_us >= sim->fleet.outage_from_us[i] &&
			sim->now_us < sim->fleet.outage_until_us[i])
			return !sim->faults.healed;
	return false;
}

/* Decides how it goes. 0, or the operation's own error. */
static int decide(struct sim *sim, struct queue_call *call)
{
	static const int refusals[] = {ERR_THROTTLED, ERR_UNAVAILABLE, ERR_CONNECT, ERR_DNS,
		ERR_ACCESS_DENIED, ERR_EXPIRED_CREDENTIALS, ERR_OVER_LIMIT, ERR_QUEUE_MISSING};
	static const int losses[] = {ERR_TIMEOUT, ERR_NETWORK, ERR_PROTOCOL, ERR_UNAVAILABLE};
	uint64_t draw = chance_bits(sim->plan.seed, STREAM_CALL, call->key);

	call->carried_out = true;
	if (fault_happens(&sim->faults, CALL_NOT_STARTED, call->key))
		return draw & 1 ? ERR_NOMEM : ERR_LIMIT;
	if (outage(sim) || fault_happens(&sim->faults, CALL_REFUSED, call->key)) {
		call->err = refusals[draw % 8];
		call->carried_out = false;
	} else if (fault_happens(&sim->faults, ANSWER_LOST, call->key)) {
		call->err = losses[draw % 4];
	}
	return 0;
}

/* Everything but what the operation adds; NULL with *ret_err: it does not start. */
static struct queue_call *call_start(
	struct worker *worker, struct sqs *queue, enum table_op op, void *arg, int *ret_err)
{
	struct sim *sim = worker->sim;
	struct queue_call *call = call_get(queue);
	uint64_t there_us;

	*call = (struct queue_call){.queue = queue,
		.worker = worker,
		.worker_index = worker->index,
		.life = worker->life,
		.key = chance_key(worker->index, (uint64_t)op, ++worker->calls_ever[op], 0),
		.op = op,
		.asked_us = sim->now_us,
		.arg = arg};
	list_init(&call->node);
	list_init(&call->poll_node);
	call->event.fire = call_fired;
	call->answer.deliver = deliver;
	*ret_err = decide(sim, call);
	if (*ret_err) {
		call_put(call);
		return NULL;
	}
	there_us = chance_below(sim->plan.seed, STREAM_CALL, call->key + 5, sim->plan.queue_us + 1);
	if (fault_happens(&sim->faults, SLOW_REQUEST, call->key))
		there_us += chance_below(sim->plan.seed, STREAM_CALL, call->key + 6, 20 * S);
	list_append(&worker->calls, &call->node);
	worker->calls_out++;
	events_set(&sim->events, &call->event, sim->now_us + there_us);
	return call;
}

void sqs_init(struct sqs *queue, struct sim *sim)
{
	*queue = (struct sqs){.sim = sim};
	list_init(&queue->visible);
	list_init(&queue->ready);
	list_init(&queue->polls);
}

/* ---- the table */

static int receive(void *impl, const struct queue_receive *params, queue_receive_done *done,
	void *arg, struct queue_call **ret_call)
{
	struct worker *worker = impl;
	struct queue_call *call;
	int err;

	worker_point(worker, OP_RECEIVE, false);
	invariant_receive(worker, params);
	call = call_start(worker, &worker->sim->queue, OP_RECEIVE, arg, &err);
	if (call) {
		call->params = *params;
		call->receive_done = done;
		worker->asked_out += params->max_messages;
		sim_trace(worker->sim, TRACE_POLL, worker->index, TRACE_NONE, params->max_messages,
			0);
		*ret_call = call;
	}
	worker_point(worker, OP_RECEIVE, true);
	return err;
}

struct receipt *sqs_receipt(struct sim *sim, const char *handle)
{
	size_t index = 0;

	for (const char *p = handle + 1; *p >= '0' && *p <= '9'; p++)
		index = index * 10 + (size_t)(*p - '0');
	if (handle[0] != 'h' || index >= sim->receipt_count)
		invariant_broken(
			sim, INV_STALE, NULL, "a handle that was never given out: \"%s\"", handle);
	return sim->receipts[index];
}

static struct receipt *receipt_of(struct worker *worker, const char *handle)
{
	struct receipt *receipt = sqs_receipt(worker->sim, handle);

	if (receipt->worker != worker->index || receipt->life != worker->life)
		invariant_broken(worker->sim, INV_STALE, receipt->mail,
			"worker %u uses a handle of worker %u, life %u", worker->index,
			receipt->worker, receipt->life);
	return receipt;
}

static int batch_start(struct worker *worker, struct sqs *queue, enum table_op op,
	const struct queue_call *wanted, void *arg, struct queue_call **ret_call)
{
	struct queue_call *call;
	int err;

	call = call_start(worker, queue, op, arg, &err);
	if (call) {
		call->count = wanted->count;
		call->extends = wanted->extends;
		call->batch_done = wanted->batch_done;
		memcpy(call->receipts, wanted->receipts, sizeof(call->receipts));
		memcpy(call->visibility_s, wanted->visibility_s, sizeof(call->visibility_s));
		for (size_t i = 0; i < call->count; i++)
			call->receipts[i]->extensions_out += call->extends;
		sim_trace(worker->sim, TRACE_CALL, worker->index, TRACE_NONE, op, call->count);
		*ret_call = call;
	}
	worker_point(worker, op, true);
	return err;
}

static int delete_batch(void *impl, const char *const receipt_handles[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct worker *worker = impl;
	struct queue_call wanted = {.count = count, .batch_done = done};

	worker_point(worker, OP_DELETE, false);
	invariant_batch(worker, OP_DELETE, count);
	for (size_t i = 0; i < count; i++) {
		wanted.receipts[i] = receipt_of(worker, receipt_handles[i]);
		invariant_delete(worker, wanted.receipts[i]);
		invariant_delete_order(worker, wanted.receipts, i);
	}
	return batch_start(worker, &worker->sim->queue, OP_DELETE, &wanted, arg, ret_call);
}

static int change_visibility_batch(void *impl, const struct queue_visibility entries[],
	size_t count, queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct worker *worker = impl;
	struct queue_call wanted = {.count = count, .batch_done = done};

	worker_point(worker, OP_CHANGE, false);
	invariant_batch(worker, OP_CHANGE, count);
	wanted.extends = worker_call_extends(arg);
	for (size_t i = 0; i < count; i++) {
		wanted.receipts[i] = receipt_of(worker, entries[i].receipt_handle);
		wanted.visibility_s[i] = entries[i].visibility_s;
		invariant_change(
			worker, wanted.receipts[i], wanted.visibility_s[i], wanted.extends);
	}
	return batch_start(worker, &worker->sim->queue, OP_CHANGE, &wanted, arg, ret_call);
}

static int send_batch(void *impl, const struct queue_send entries[], size_t count,
	queue_batch_done *done, void *arg, struct queue_call **ret_call)
{
	struct worker *worker = impl;
	struct queue_call wanted = {.count = count, .batch_done = done};

	worker_point(worker, OP_SEND, false);
	invariant_batch(worker, OP_SEND, count);
	invariant_send(worker, entries, count);
	for (size_t i = 0; i < count; i++)
		wanted.receipts[i] =
			invariant_copy(worker, &entries[i], worker_call_handle(arg, i));
	return batch_start(worker, &worker->sim->failure_queue, OP_SEND, &wanted, arg, ret_call);
}

static int get_attributes(
	void *impl, queue_attributes_done *done, void *arg, struct queue_call **ret_call)
{
	struct worker *worker = impl;
	struct queue_call *call;
	int err;

	worker_point(worker, OP_ATTRIBUTES, false);
	call = call_start(worker, &worker->sim->queue, OP_ATTRIBUTES, arg, &err);
	if (call) {
		call->attributes_done = done;
		sim_trace(worker->sim, TRACE_CALL, worker->index, TRACE_NONE, OP_ATTRIBUTES, 0);
		*ret_call = call;
	}
	worker_point(worker, OP_ATTRIBUTES, true);
	return err;
}

static void cancel(void *impl, struct queue_call *call)
{
	struct worker *worker = impl;

	worker_point(worker, OP_CANCEL_CALL, false);
	if (call->worker != worker)
		invariant_broken(worker->sim, INV_END, NULL,
			"worker %u cancels a call that has ended", worker->index);
	if (call->op == OP_RECEIVE)
		worker->asked_out -= call->params.max_messages;
	for (size_t i = 0; i < call->count && call->extends; i++)
		call->receipts[i]->extensions_out--;
	sqs_orphan(call);
	worker_point(worker, OP_CANCEL_CALL, true);
}

struct queue sqs_table(struct worker *worker)
{
	static const struct queue_ops ops = {.receive = receive,
		.delete_batch = delete_batch,
		.change_visibility_batch = change_visibility_batch,
		.send_batch = send_batch,
		.get_attributes = get_attributes,
		.cancel = cancel};

	return (struct queue){.ops = &ops, .impl = worker};
}
