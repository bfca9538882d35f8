#include "localq/service.h"

#include "base/hex.h"
#include "bunshin/error.h"
#include "localq/declare.h"
#include "localq/operations.h"
#include "localq/params.h"
#include "localq/query.h"
#include "localq/text.h"

#include <stdio.h>
#include <string.h>

#define ATTRIBUTES_BYTES_MAX ((size_t)2 << 20)
/* What the largest form becomes as JSON: each of its bytes an escape of six. */
#define TEXT_MAX_BYTES ((size_t)48 << 20)
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

/* The log grows as long as it cannot be copied, and transactions fail in the end. */
static void watch_copying(struct service *service)
{
	char reason[STORE_DETAIL_MAX], detail[STORE_DETAIL_MAX + 64];
	bool fails = store_copy_trouble(service->store, reason);

	if (fails && !service->copying_fails) {
		snprintf(detail, sizeof(detail), "the log cannot be copied into the database: %s",
			reason);
		service->failing = true;
		service->failed(service->arg, detail);
	}
	service->copying_fails = fails;
}

static void sweep_fired(struct clock_timer *timer)
{
	struct service *service = list_entry(timer, struct service, sweep);
	bool more = false;

	watch_copying(service);
	if (store_begin(service->store) == 0) {
		store_sweep(
			service->store, clock_wall_epoch_ms(service->clock), SWEEP_MESSAGES, &more);
		/* Without requests nobody would find out that it works again. */
		if (service->failing)
			store_try_write(service->store, clock_wall_epoch_ms(service->clock));
	}
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
	service->reply = options->reply;
	service->failed = options->failed;
	service->recovered = options->recovered;
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
	err = store_open(options->dir, options->sync, &service->store, detail);
	if (err == 0 && options->declarations != NULL)
		err = declare_queues(service, options->declarations, detail);
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

void call_init(struct call *call, struct clock clock)
{
	uint64_t random[2] = {clock_random(clock), clock_random(clock)};
	uint8_t id[16];

	memset(&call->problem, 0, sizeof(call->problem));
	memset(&call->timeout, 0, sizeof(call->timeout));
	memcpy(id, random, sizeof(id));
	hex_print_uuid(id, call->request_id);
	call->service = NULL;
	call->operation = NULL;
	call->params = NULL;
	call->watch = NULL;
	call->protocol = PROTOCOL_JSON;
	call->text.max = TEXT_MAX_BYTES;
	call->answer.buf.max = ANSWER_MAX_BYTES;
	list_init(&call->node);
}

void call_recycle(struct call *call, size_t keep_bytes)
{
	if (call->json.strings_capacity > keep_bytes ||
		call->json.capacity * sizeof(*call->json.values) > keep_bytes)
		json_free(&call->json);
	if (call->text.capacity > keep_bytes)
		buf_free(&call->text);
	if (call->answer.buf.capacity > keep_bytes)
		buf_free(&call->answer.buf);
}

void call_free(struct call *call)
{
	call_recycle(call, 0);
}

/* What the Query protocol says in its own words. */
static const char *query_words(const struct problem *problem)
{
	return problem->fault == FAULT_QUEUE_DOES_NOT_EXIST
		       ? "The specified queue does not exist for this wsdl version."
		       : problem->message;
}

/* In place of whatever was written. */
void call_refuse(struct call *call)
{
	const struct fault_row *row = fault_row(call->problem.fault);

	call->answer.is_xml = call->protocol == PROTOCOL_QUERY;
	call->answer.request_id = call->request_id;
	if (call->answer.is_xml) {
		answer_error_xml(&call->answer, fault_is_senders(call->problem.fault), row->code,
			query_words(&call->problem));
	} else {
		answer_begin(&call->answer);
		answer_text(&call->answer, "__type", row->type);
		answer_text(&call->answer, "message", call->problem.message);
		answer_end(&call->answer);
	}
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
		call_refuse(call);
	list_append(&service->finished, &call->node);
	service->wants_flush(service->arg);
}

enum fault call_decode(struct call *call, const char *operation, const char *body, size_t bytes)
{
	call->operation = operation_find(operation);
	if (call->operation == NULL)
		return problem_set(&call->problem, FAULT_UNKNOWN_OPERATION,
			"The operation %.100s is not known here.", operation);
	return params_parse(&call->json, body, bytes, &call->params, &call->problem);
}

enum fault call_decode_form(struct call *call, const char *form, size_t bytes)
{
	char action[QUERY_ACTION_MAX + 1];
	enum fault fault = query_decode(form, bytes, action, &call->text, &call->problem);

	if (fault != FAULT_NONE)
		return fault;
	if (strchr(action, '.') != NULL) /* an operation of our own, which JSON can name */
		return problem_set(&call->problem, FAULT_UNKNOWN_OPERATION,
			"The action %s is not valid for this endpoint.", action);
	return call_decode(call, action, call->text.data, call->text.len);
}

static void begin_answer(struct call *call)
{
	struct answer *answer = &call->answer;

	answer->is_xml = call->protocol == PROTOCOL_QUERY;
	answer->operation = call->operation->name;
	answer->has_result = call->operation->has_result;
	answer->request_id = call->request_id;
	answer_begin(answer);
}

static enum fault run(struct service *service, struct call *call)
{
	if (store_begin(service->store) < 0)
		return problem_set(&call->problem, FAULT_INTERNAL, "The database failed.");
	return call->operation->run(call);
}

void service_handle(struct service *service, struct call *call)
{
	call->service = service;
	begin_answer(call);
	/* The problem of a call without a fault may still hold words of an entry's. */
	call->problem.fault = run(service, call);
	if (call->watch == NULL)
		service_finish(service, call);
}

/* Nothing of this turn happened; everybody who took part in it, or waits, is told so. */
static void abort_turn(struct service *service)
{
	service->failing = true;
	service->failed(service->arg, store_detail(service->store));
	poller_end(service, NULL, FAULT_INTERNAL, "The database failed.");
	list_for_each (node, &service->finished) {
		struct call *call = list_entry(node, struct call, node);

		/* A refusal stays one: it changed nothing. */
		if (call->problem.fault != FAULT_NONE)
			continue;
		problem_set(&call->problem, FAULT_INTERNAL, "The database failed.");
		call_refuse(call);
	}
	store_abort(service->store);
}

/* Commits. A transaction that wrote nothing proves nothing. */
static int commit(struct service *service)
{
	bool wrote = store_has_written(service->store);
	int err = store_commit(service->store);

	if (err == 0 && wrote && service->failing && !service->copying_fails) {
		service->failing = false;
		if (service->recovered != NULL)
			service->recovered(service->arg);
	}
	return err;
}

void service_flush(struct service *service)
{
	struct list finished;

	poller_serve_awake(service);
	if (commit(service) < 0)
		abort_turn(service);
	/* A reply may bring in the next request, which belongs to the next turn. */
	list_init(&finished);
	list_splice(&service->finished, &finished);
	while (!list_is_empty(&finished)) {
		struct call *call = list_entry(list_first(&finished), struct call, node);

		list_remove(&call->node);
		service->reply(service->arg, call);
	}
}

void service_drain(struct service *service)
{
	service->draining = true;
	poller_end(service, NULL, FAULT_NONE, "");
}
