#include "localq/service.h"

#include "bunshin/error.h"
#include "localq/operations.h"
#include "localq/params.h"
#include "localq/text.h"

#include <stdio.h>
#include <string.h>

#define ATTRIBUTES_BYTES_MAX ((size_t)2 << 20)
/* Idle, and between two slices while there is more to sweep. */
#define SWEEP_INTERVAL_US 5000000
#define SWEEP_PAUSE_US 2000
#define SWEEP_MESSAGES 500

void service_random_uuid(struct service *service, uint8_t ret[16])
{
	uint64_t random[2] = {clock_random(service->clock), clock_random(service->clock)};

	memcpy(ret, random, 16);
	ret[6] = (ret[6] & 0x0f) | 0x40; /* version 4 (RFC 4122) */
	ret[8] = (ret[8] & 0x3f) | 0x80;
}

static void sweep_fired(struct clock_timer *timer)
{
	struct service *service = list_entry(timer, struct service, sweep);
	bool more = false;

	if (store_begin(service->store) == 0)
		store_sweep(
			service->store, clock_wall_epoch_ms(service->clock), SWEEP_MESSAGES, &more);
	/* Should the mover have found no memory for its timer. */
	mover_resume(service);
	service->wants_flush(service->arg);
	/* Without memory for the timer sweeping ends; nothing depends on it but space. */
	clock_timer_after(
		service->clock, &service->sweep, more ? SWEEP_PAUSE_US : SWEEP_INTERVAL_US);
}

int service_open(struct service *service, const struct service_options *options,
	char detail[STORE_DETAIL_MAX])
{
	int err;

	memset(service, 0, sizeof(*service));
	snprintf(detail, STORE_DETAIL_MAX, "%s", "the region's name is too long");
	if (strlen(options->region) > SERVICE_REGION_MAX)
		return ERR_ARGUMENT;
	snprintf(service->region, sizeof(service->region), "%s", options->region);
	service->clock = options->clock;
	service->wants_flush = options->wants_flush;
	service->failed = options->failed;
	service->arg = options->arg;
	buf_init(&service->attributes, ATTRIBUTES_BYTES_MAX);
	buf_init(&service->system_attributes, ATTRIBUTES_BYTES_MAX);
	list_init(&service->finished);
	poller_init(&service->poller);
	service->sweep.fire = sweep_fired;
	service->hasher = hasher_new();
	if (service->hasher == NULL) {
		snprintf(detail, STORE_DETAIL_MAX, "OpenSSL offers no MD5 or SHA-256 here");
		return ERR_NOMEM;
	}
	err = store_open(options->dir, &service->store, detail);
	if (err == 0)
		err = clock_timer_after(service->clock, &service->sweep, SWEEP_INTERVAL_US);
	if (err == 0) {
		mover_init(service);
		err = mover_resume(service);
	}
	if (err < 0) {
		clock_timer_clear(service->clock, &service->sweep);
		hasher_free(service->hasher);
		store_close(service->store);
	}
	return err;
}

void service_close(struct service *service)
{
	clock_timer_clear(service->clock, &service->sweep);
	mover_close(service);
	store_close(service->store);
	hasher_free(service->hasher);
	buf_free(&service->attributes);
	buf_free(&service->system_attributes);
}

void call_init(struct call *call, struct service *service)
{
	uint64_t random[2] = {clock_random(service->clock), clock_random(service->clock)};
	uint8_t id[16];

	memset(&call->problem, 0, sizeof(call->problem));
	memset(&call->timeout, 0, sizeof(call->timeout));
	memcpy(id, random, sizeof(id));
	text_uuid(id, call->request_id);
	call->service = service;
	call->params = NULL;
	call->watch = NULL;
	call->answer.buf.max = ANSWER_MAX_BYTES;
	list_init(&call->node);
	answer_begin(&call->answer);
}

void call_recycle(struct call *call, size_t keep_bytes)
{
	cJSON_Delete(call->params);
	call->params = NULL;
	if (call->answer.buf.capacity > keep_bytes)
		buf_free(&call->answer.buf);
}

void call_free(struct call *call)
{
	call_recycle(call, 0);
}

/* The error as the JSON protocol says it, in place of whatever was written. */
static void answer_problem(struct call *call)
{
	answer_begin(&call->answer);
	answer_text(&call->answer, "__type", fault_row(call->problem.fault)->type);
	answer_text(&call->answer, "message", call->problem.message);
	answer_end(&call->answer);
	if (call->answer.buf.err == 0)
		return;
	/* Not even for that is there memory: an empty answer, whose status says it all. */
	call->problem.fault = FAULT_INTERNAL;
	buf_clear(&call->answer.buf);
}

void service_finish(struct service *service, struct call *call)
{
	if (call->problem.fault == FAULT_NONE) {
		answer_end(&call->answer);
		operation_failed(&call->problem, call->answer.buf.err);
	}
	if (call->problem.fault != FAULT_NONE)
		answer_problem(call);
	list_append(&service->finished, &call->node);
	service->wants_flush(service->arg);
}

void service_refuse(struct service *service, struct call *call)
{
	service_finish(service, call);
}

static enum fault run(struct service *service, struct call *call)
{
	const struct operation *operation = operation_find(call->operation_name);
	enum fault fault;

	if (operation == NULL)
		return problem_set(&call->problem, FAULT_UNKNOWN_OPERATION,
			"The operation %.100s is not known here.", call->operation_name);
	fault = params_parse_json(call->body, call->body_bytes, &call->params, &call->problem);
	if (fault != FAULT_NONE)
		return fault;
	if (store_begin(service->store) < 0)
		return problem_set(&call->problem, FAULT_INTERNAL, "The database failed.");
	return operation->run(call);
}

void service_handle(struct service *service, struct call *call)
{
	/* The problem of a call without a fault may still hold words of an entry's. */
	call->problem.fault = run(service, call);
	if (call->watch == NULL)
		service_finish(service, call);
}

void service_forget(struct service *service, struct call *call)
{
	(void)service;
	poller_remove(call);
	list_remove(&call->node);
}

/* Nothing of this turn happened; everybody who took part in it, or waits, is told so. */
static void abort_turn(struct service *service)
{
	service->failed(service->arg, store_detail(service->store));
	poller_end(service, NULL, FAULT_INTERNAL, "The database failed.");
	list_for_each (node, &service->finished) {
		struct call *call = list_entry(node, struct call, node);

		/* A refusal stays one: it changed nothing. */
		if (call->problem.fault != FAULT_NONE)
			continue;
		problem_set(&call->problem, FAULT_INTERNAL, "The database failed.");
		answer_problem(call);
	}
	store_abort(service->store);
}

void service_flush(struct service *service)
{
	struct list finished;

	poller_serve_awake(service);
	if (store_commit(service->store) < 0)
		abort_turn(service);
	if (list_is_empty(&service->finished))
		return;
	/* A reply may bring in the next request, which belongs to the next turn. */
	finished = service->finished;
	finished.next->prev = finished.prev->next = &finished;
	list_init(&service->finished);
	while (!list_is_empty(&finished)) {
		struct call *call = list_entry(list_first(&finished), struct call, node);

		list_remove(&call->node);
		call->reply(call);
	}
}

void service_drain(struct service *service)
{
	service->draining = true;
	poller_end(service, NULL, FAULT_NONE, "");
}
