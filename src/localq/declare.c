#include "localq/declare.h"

#include "bunshin/error.h"
#include "localq/operations.h"
#include "localq/operations_tags.h"
#include "localq/queue_attributes.h"
#include "localq/service.h"
#include "localq/text.h"

#include <stdio.h>
#include <string.h>

#define BODY_MAX ((size_t)4 << 20)

enum fault declare_check_name(const char *name, struct problem *problem)
{
	if (text_is_queue_name(name, strlen(name)))
		return FAULT_NONE;
	return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
		"expected 1 to %d letters, digits, hyphens and underscores, with .fifo at the end "
		"for a FIFO queue",
		TEXT_QUEUE_NAME_MAX);
}

/* {"name":"value"} as the request's reader would give it. */
static enum fault parse_pair(
	const char *name, const char *value, struct json *json, struct problem *problem)
{
	struct answer text = {.buf = BUF_INIT(BODY_MAX)};
	int err;

	answer_begin(&text);
	answer_text(&text, name, value);
	answer_end(&text);
	err = text.buf.err != 0 ? text.buf.err : json_parse(json, text.buf.data, text.buf.len);
	buf_free(&text.buf);
	if (err == ERR_SYNTAX)
		return problem_set(problem, FAULT_SERIALIZATION, "%s is not UTF-8", name);
	return operation_failed(problem, err);
}

enum fault declare_check_attribute(const char *name, const char *value, struct problem *problem)
{
	struct queue_attributes attributes = {{NULL}};
	struct json json = {0};
	uint32_t given;
	enum fault fault = parse_pair(name, value, &json, problem);

	if (fault == FAULT_NONE)
		fault = queue_attributes_read(json_root(&json),
			queue_attribute_is_fifo(queue_attribute_find(name)), &attributes, &given,
			problem);
	queue_attributes_free(&attributes);
	json_free(&json);
	return fault;
}

enum fault declare_check_tag(const char *name, const char *value, struct problem *problem)
{
	struct json json = {0};
	enum fault fault = parse_pair(name, value, &json, problem);

	if (fault == FAULT_NONE)
		fault = tags_check(json_root(&json), problem);
	json_free(&json);
	return fault;
}

/* One operation of one declaration, its request being written. */
struct request {
	struct service *service;
	struct answer body;
};

static void begin_request(struct request *request, struct service *service)
{
	*request = (struct request){.service = service, .body = {.buf = BUF_INIT(BODY_MAX)}};
	answer_begin(&request->body);
}

/* Runs it in the transaction that is open, as if a client had asked. Frees the request. */
static enum fault run_request(
	struct request *request, const char *operation, struct problem *problem)
{
	struct call call;
	enum fault fault;

	answer_end(&request->body);
	fault = operation_failed(problem, request->body.buf.err);
	memset(&call, 0, sizeof(call));
	call_init(&call, request->service->clock);
	call.service = request->service;
	if (fault == FAULT_NONE) {
		fault = call_decode(
			&call, operation, request->body.buf.data, request->body.buf.len);
		if (fault == FAULT_NONE)
			fault = call.operation->run(&call);
		*problem = call.problem;
	}
	call_free(&call);
	buf_free(&request->body.buf);
	return fault;
}

static void write_pairs(struct answer *body, const char *member, const struct declared_pair *pairs,
	size_t count, bool fifo)
{
	answer_open_map(body, member);
	for (size_t i = 0; i < count; i++)
		answer_text(body, pairs[i].name, pairs[i].value);
	if (fifo)
		answer_text(body, "FifoQueue", "true");
	answer_close_map(body);
}

/* Without its redrive policy, whose queue may come later. */
static enum fault create(
	struct service *service, const struct declaration *declaration, struct problem *problem)
{
	struct request request;

	begin_request(&request, service);
	answer_text(&request.body, "QueueName", declaration->name);
	write_pairs(&request.body, "Attributes", declaration->attributes,
		declaration->attribute_count,
		text_ends_in_fifo(declaration->name, strlen(declaration->name)));
	write_pairs(&request.body, "tags", declaration->tags, declaration->tag_count, false);
	return run_request(&request, "CreateQueue", problem);
}

static bool has_attribute(const struct store_queue *queue, const struct declared_pair *pair)
{
	enum queue_attribute attribute = queue_attribute_find(pair->name);
	const char *has = attribute == QUEUE_ATTRIBUTE_COUNT
				  ? NULL
				  : queue_attribute_text(&queue->attributes, attribute);

	return strcmp(has != NULL ? has : "", pair->value) == 0;
}

static bool has_redrive(const struct store_queue *queue, const struct declaration *declaration)
{
	if (declaration->redrive_queue == NULL)
		return true;
	if (*declaration->redrive_queue == '\0')
		return queue->redrive.max_receives == 0;
	return queue->redrive.max_receives == declaration->max_receives &&
	       strcmp(queue->redrive.dead_letter_queue, declaration->redrive_queue) == 0;
}

/* RedrivePolicy's text is JSON in a string of JSON: both names need no escapes. */
static void write_redrive(
	struct answer *body, const struct service *service, const struct declaration *declaration)
{
	char text[OPERATION_ARN_MAX + 80] = "";

	if (*declaration->redrive_queue != '\0')
		snprintf(text, sizeof(text),
			"{\"deadLetterTargetArn\":\"arn:aws:sqs:%s:%s:%s\",\"maxReceiveCount\":%u}",
			service->region, SERVICE_ACCOUNT, declaration->redrive_queue,
			declaration->max_receives);
	answer_text(body, "RedrivePolicy", text);
}

static void write_url(struct answer *body, const char *name)
{
	char url[TEXT_QUEUE_NAME_MAX + 2];

	snprintf(url, sizeof(url), "/%s", name);
	answer_text(body, "QueueUrl", url);
}

/* What differs is set; *ret_changed says whether anything did. */
static enum fault align_attributes(struct service *service, const struct declaration *declaration,
	bool *ret_changed, struct problem *problem)
{
	const struct store_queue *queue = store_queue_find(service->store, declaration->name);
	struct request request;

	*ret_changed = false;
	begin_request(&request, service);
	write_url(&request.body, declaration->name);
	answer_open_map(&request.body, "Attributes");
	for (size_t i = 0; i < declaration->attribute_count; i++) {
		if (has_attribute(queue, &declaration->attributes[i]))
			continue;
		answer_text(&request.body, declaration->attributes[i].name,
			declaration->attributes[i].value);
		*ret_changed = true;
	}
	if (!has_redrive(queue, declaration)) {
		write_redrive(&request.body, service, declaration);
		*ret_changed = true;
	}
	answer_close_map(&request.body);
	if (*ret_changed)
		return run_request(&request, "SetQueueAttributes", problem);
	buf_free(&request.body.buf);
	return FAULT_NONE;
}

static enum fault align_tags(
	struct service *service, const struct declaration *declaration, struct problem *problem)
{
	struct request request;

	if (declaration->tag_count == 0)
		return FAULT_NONE;
	begin_request(&request, service);
	write_url(&request.body, declaration->name);
	write_pairs(&request.body, "Tags", declaration->tags, declaration->tag_count, false);
	return run_request(&request, "TagQueue", problem);
}

/* The queue of a redrive policy must be declared or there, and of the same kind. */
static enum fault check_redrive(
	struct service *service, const struct declaration *declaration, struct problem *problem)
{
	const char *target = declaration->redrive_queue;

	if (target == NULL || *target == '\0')
		return FAULT_NONE;
	if (store_queue_find(service->store, target) == NULL)
		return problem_set(problem, FAULT_INVALID_PARAMETER_VALUE,
			"the queue %s is neither declared nor there", target);
	return FAULT_NONE;
}

static enum fault create_missing(struct service *service, struct declarations *declarations)
{
	for (size_t i = 0; i < declarations->count; i++) {
		struct declaration *declaration = &declarations->list[i];
		enum fault fault;

		if (store_queue_find(service->store, declaration->name) != NULL)
			continue;
		declarations->refused = i;
		declaration->outcome = DECLARED_CREATED;
		fault = create(service, declaration, &declarations->problem);
		if (fault != FAULT_NONE)
			return fault;
	}
	return FAULT_NONE;
}

static enum fault align(struct service *service, struct declarations *declarations)
{
	for (size_t i = 0; i < declarations->count; i++) {
		struct declaration *declaration = &declarations->list[i];
		enum fault fault = check_redrive(service, declaration, &declarations->problem);
		bool changed = false;

		declarations->refused = i;
		declarations->refused_redrive = fault != FAULT_NONE;
		if (fault == FAULT_NONE)
			fault = align_attributes(
				service, declaration, &changed, &declarations->problem);
		if (fault == FAULT_NONE)
			fault = align_tags(service, declaration, &declarations->problem);
		if (fault != FAULT_NONE)
			return fault;
		if (changed && declaration->outcome == DECLARED_AS_IT_WAS)
			declaration->outcome = DECLARED_CHANGED;
	}
	return FAULT_NONE;
}

int declare_queues(struct service *service, struct declarations *declarations, char *detail)
{
	enum fault fault = FAULT_NONE;
	int err = store_begin(service->store);

	for (size_t i = 0; i < declarations->count; i++)
		declarations->list[i].outcome = DECLARED_AS_IT_WAS;
	declarations->refused_redrive = false;
	memset(&declarations->problem, 0, sizeof(declarations->problem));
	if (err == 0)
		fault = create_missing(service, declarations);
	if (err == 0 && fault == FAULT_NONE)
		fault = align(service, declarations);
	if (err == 0 && fault == FAULT_NONE)
		err = store_commit(service->store);
	if (err == 0 && fault == FAULT_NONE)
		return 0;
	snprintf(detail, STORE_DETAIL_MAX, "%.*s", STORE_DETAIL_MAX - 1,
		err < 0 ? store_detail(service->store) : declarations->problem.message);
	store_abort(service->store);
	if (err < 0)
		return err;
	return fault == FAULT_INTERNAL ? ERR_STORE : ERR_REFUSED;
}
