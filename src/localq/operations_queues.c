#include "localq/operations.h"

#include "bunshin/error.h"
#include "localq/blob.h"
#include "localq/operations_tags.h"
#include "localq/params.h"
#include "localq/queue_attributes.h"
#include "localq/service.h"

#include <stdio.h>
#include <string.h>

#define LIST_MAX 1000
#define NAME_RULE \
	"Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
#define URL_MAX (SERVICE_HOST_MAX + TEXT_QUEUE_NAME_MAX + 32)

static const char *queue_url(const struct call *call, const char *name, char ret[URL_MAX])
{
	snprintf(ret, URL_MAX, "http://%s/%s/%s", call->host, SERVICE_ACCOUNT, name);
	return ret;
}

const char *operation_arn(const struct call *call, const char *name, char ret[OPERATION_ARN_MAX])
{
	snprintf(ret, OPERATION_ARN_MAX, "arn:aws:sqs:%s:%s:%s", call->service->region,
		SERVICE_ACCOUNT, name);
	return ret;
}

/* The attribute and the name say the same. */
static enum fault check_fifo(
	struct call *call, const char *name, const struct json_value *attributes)
{
	const char *value = params_text_or_null(attributes, "FifoQueue");
	bool wanted = value != NULL && strcmp(value, "true") == 0;
	bool named = text_is_fifo_name(name, strlen(name));

	if (named && value == NULL)
		return problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE, NAME_RULE);
	if (wanted && !named)
		return problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE,
			"The name of a FIFO queue can only include alphanumeric characters, "
			"hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in "
			"length.");
	return FAULT_NONE;
}

static enum fault read_queue_name(struct call *call, const char **ret)
{
	enum fault fault = params_required_text(call->params, "QueueName", ret, &call->problem);
	size_t len;

	if (fault != FAULT_NONE)
		return fault;
	len = strlen(*ret);
	if (!text_is_queue_name(*ret, len))
		return problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE, NAME_RULE);
	return FAULT_NONE;
}

/*
 * A redrive policy that is being set must name a queue that exists, of the same kind, and that
 * takes this one's messages.
 */
static enum fault check_redrive(
	struct call *call, const char *name, bool fifo, const struct queue_attributes *attributes)
{
	char arn[OPERATION_ARN_MAX];
	const char *text = attributes->set[QUEUE_ATTRIBUTE_REDRIVE_POLICY];
	const struct store_queue *target;
	struct redrive redrive;

	if (redrive_parse(text, &redrive) == ERR_NOMEM)
		return operation_failed(&call->problem, ERR_NOMEM);
	if (redrive.max_receives == 0)
		return FAULT_NONE;
	if (text_is_fifo_name(redrive.dead_letter_queue, strlen(redrive.dead_letter_queue)) != fifo)
		return redrive_refuse(&call->problem, text,
			"Dead-letter queue must be same type of queue as the source..");
	target = store_queue_find(call->service->store, redrive.dead_letter_queue);
	if (target == NULL)
		return redrive_refuse(&call->problem, text, "Dead letter target does not exist.");
	if (!redrive_is_allowed(
		    queue_attribute_text(&target->attributes, QUEUE_ATTRIBUTE_REDRIVE_ALLOW_POLICY),
		    operation_arn(call, name, arn)))
		return redrive_refuse(&call->problem, text,
			"The dead letter queue's redrive allow policy does not permit this source "
			"queue.");
	return FAULT_NONE;
}

/* Does an existing queue have the attributes that a CreateQueue names? */
static enum fault check_same(const struct store_queue *queue, const struct queue_attributes *wanted,
	uint32_t given, struct problem *problem)
{
	for (unsigned i = 0; i < QUEUE_ATTRIBUTE_COUNT; i++) {
		const char *has = queue_attribute_text(&queue->attributes, i);
		const char *want = queue_attribute_text(wanted, i);

		if ((given & 1u << i) == 0 || (has == NULL && want == NULL))
			continue;
		if (has == NULL || want == NULL || strcmp(has, want) != 0)
			return problem_set(problem, FAULT_QUEUE_NAME_EXISTS,
				"A queue already exists with the same name and a different value "
				"for attribute %s",
				queue_attribute_name(i));
	}
	return FAULT_NONE;
}

static enum fault make_queue(struct call *call, const char *name,
	struct queue_attributes *attributes, const struct json_value *tags)
{
	struct store *store = call->service->store;
	struct store_queue *queue;
	const struct json_value *tag;
	int64_t reserved_ms;
	int err = store_name_reserved_until(store, name, &reserved_ms);

	if (err == 0 && reserved_ms > operation_now_ms(call))
		return problem_set(&call->problem, FAULT_QUEUE_DELETED_RECENTLY,
			"You must wait 60 seconds after deleting a queue before you can create "
			"another with the same name.");
	if (err == 0)
		err = store_queue_create(store, name, attributes, operation_now_ms(call), &queue);
	PARAMS_EACH(tag, tags)
	{
		if (err == 0)
			err = store_queue_tag(store, queue, tag->name, tag->string);
	}
	return operation_failed(&call->problem, err);
}

static enum fault create_or_compare(struct call *call, const char *name,
	struct queue_attributes *attributes, const struct json_value *tags)
{
	struct store_queue *queue = store_queue_find(call->service->store, name);
	const bool fifo = text_is_fifo_name(name, strlen(name));
	const struct json_value *map;
	uint32_t given;
	enum fault fault = params_object(call->params, "Attributes", &map, &call->problem);

	if (fault == FAULT_NONE)
		fault = check_fifo(call, name, map);
	if (fault == FAULT_NONE)
		fault = queue_attributes_read(map, fifo, attributes, &given, &call->problem);
	if (fault != FAULT_NONE)
		return fault;
	if (queue != NULL)
		return check_same(queue, attributes, given, &call->problem);
	fault = check_redrive(call, name, fifo, attributes);
	if (fault == FAULT_NONE && fifo)
		fault = operation_failed(
			&call->problem, queue_attributes_complete_fifo(attributes));
	if (fault != FAULT_NONE)
		return fault;
	return make_queue(call, name, attributes, tags);
}

enum fault create_queue(struct call *call)
{
	struct queue_attributes attributes = {{NULL}};
	const char *name;
	const struct json_value *tags;
	char url[URL_MAX];
	enum fault fault = read_queue_name(call, &name);

	if (fault == FAULT_NONE)
		fault = params_object(call->params, "tags", &tags, &call->problem);
	if (fault == FAULT_NONE)
		fault = tags_check(tags, &call->problem);
	if (fault == FAULT_NONE)
		fault = create_or_compare(call, name, &attributes, tags);
	queue_attributes_free(&attributes);
	if (fault == FAULT_NONE)
		answer_text(&call->answer, "QueueUrl", queue_url(call, name, url));
	return fault;
}

enum fault delete_queue(struct call *call)
{
	struct store_queue *queue;
	enum fault fault = operation_queue(call, &queue);

	if (fault != FAULT_NONE)
		return fault;
	poller_end(call->service, queue, FAULT_QUEUE_DOES_NOT_EXIST,
		"The specified queue does not exist.");
	return operation_failed(
		&call->problem, store_queue_delete(call->service->store, queue,
					operation_now_ms(call), SERVICE_NAME_RESERVED_MS));
}

enum fault purge_queue(struct call *call)
{
	struct store_queue *queue;
	enum fault fault = operation_queue(call, &queue);

	if (fault != FAULT_NONE)
		return fault;
	if (queue->purged_ms != 0 &&
		operation_now_ms(call) < queue->purged_ms + SERVICE_PURGE_INTERVAL_MS)
		return problem_set(&call->problem, FAULT_PURGE_IN_PROGRESS,
			"Only one PurgeQueue operation on %s is allowed every 60 seconds.",
			queue->name);
	return operation_failed(&call->problem,
		store_queue_purge(call->service->store, queue, operation_now_ms(call)));
}

enum fault get_queue_url(struct call *call)
{
	char url[URL_MAX];
	const char *name;
	enum fault fault = params_required_text(call->params, "QueueName", &name, &call->problem);

	if (fault != FAULT_NONE)
		return fault;
	if (store_queue_find(call->service->store, name) == NULL)
		return problem_set(&call->problem, FAULT_QUEUE_DOES_NOT_EXIST,
			"The specified queue does not exist.");
	answer_text(&call->answer, "QueueUrl", queue_url(call, name, url));
	return FAULT_NONE;
}

/* What GetQueueAttributes adds to the settable attributes. */
enum derived {
	DERIVED_ARN,
	DERIVED_CREATED,
	DERIVED_MODIFIED,
	DERIVED_VISIBLE,
	DERIVED_IN_FLIGHT,
	DERIVED_DELAYED,
	DERIVED_COUNT,
};

static const char *const derived_names[DERIVED_COUNT] = {
	[DERIVED_ARN] = "QueueArn",
	[DERIVED_CREATED] = "CreatedTimestamp",
	[DERIVED_MODIFIED] = "LastModifiedTimestamp",
	[DERIVED_VISIBLE] = "ApproximateNumberOfMessages",
	[DERIVED_IN_FLIGHT] = "ApproximateNumberOfMessagesNotVisible",
	[DERIVED_DELAYED] = "ApproximateNumberOfMessagesDelayed",
};

#define DERIVED_COUNTS (1u << DERIVED_VISIBLE | 1u << DERIVED_IN_FLIGHT | 1u << DERIVED_DELAYED)

/* Which attributes are asked for, as bits of both kinds. */
static enum fault read_attribute_names(
	struct call *call, uint32_t *ret_settable, uint32_t *ret_derived)
{
	const struct json_value *names, *item;
	enum fault fault = params_texts(call->params, "AttributeNames", &names, &call->problem);

	*ret_settable = *ret_derived = 0;
	if (fault != FAULT_NONE)
		return fault;
	PARAMS_EACH(item, names)
	{
		const char *name = item->string;
		enum queue_attribute settable = queue_attribute_find(name);
		unsigned derived = 0;

		while (derived < DERIVED_COUNT && strcmp(derived_names[derived], name) != 0)
			derived++;
		if (strcmp(name, "All") == 0)
			*ret_settable = *ret_derived = UINT32_MAX;
		else if (settable < QUEUE_ATTRIBUTE_COUNT)
			*ret_settable |= 1u << settable;
		else if (derived < DERIVED_COUNT)
			*ret_derived |= 1u << derived;
		else
			return problem_set(&call->problem, FAULT_INVALID_ATTRIBUTE_NAME,
				"Unknown Attribute %s.", name);
	}
	return FAULT_NONE;
}

static void answer_derived(struct call *call, const struct store_queue *queue, uint32_t derived,
	const struct store_counts *counts)
{
	const int64_t numbers[DERIVED_COUNT] = {
		[DERIVED_CREATED] = queue->created_ms / 1000,
		[DERIVED_MODIFIED] = queue->modified_ms / 1000,
		[DERIVED_VISIBLE] = counts->visible,
		[DERIVED_IN_FLIGHT] = counts->in_flight,
		[DERIVED_DELAYED] = counts->delayed,
	};
	char arn[OPERATION_ARN_MAX];

	if (derived & 1u << DERIVED_ARN) {
		answer_text(&call->answer, derived_names[DERIVED_ARN],
			operation_arn(call, queue->name, arn));
	}
	for (unsigned i = DERIVED_CREATED; i < DERIVED_COUNT; i++)
		if (derived & 1u << i)
			answer_int_text(&call->answer, derived_names[i], numbers[i]);
}

enum fault get_queue_attributes(struct call *call)
{
	struct store_counts counts = {0};
	struct store_queue *queue;
	uint32_t settable, derived;
	enum fault fault = operation_queue(call, &queue);

	if (fault == FAULT_NONE)
		fault = read_attribute_names(call, &settable, &derived);
	if (fault == FAULT_NONE && (derived & DERIVED_COUNTS) != 0)
		fault = operation_failed(&call->problem,
			store_count(call->service->store, queue, operation_now_ms(call), &counts));
	if (fault != FAULT_NONE || (settable | derived) == 0)
		return fault;
	answer_open_map(&call->answer, "Attributes");
	answer_derived(call, queue, derived, &counts);
	for (unsigned i = 0; i < QUEUE_ATTRIBUTE_COUNT; i++) {
		const char *value = queue_attribute_text(&queue->attributes, i);

		/* SQS shows the period of a key as long as there is a key. */
		if (i == QUEUE_ATTRIBUTE_KMS_REUSE_PERIOD &&
			queue->attributes.set[QUEUE_ATTRIBUTE_KMS_KEY] == NULL)
			continue;
		if (value != NULL && (settable & 1u << i))
			answer_text(&call->answer, queue_attribute_name(i), value);
	}
	answer_close_map(&call->answer);
	return FAULT_NONE;
}

/* Copies what holds now, for the changes to go on top. */
static int copy_attributes(const struct queue_attributes *from, struct queue_attributes *to)
{
	int err = 0;

	for (unsigned i = 0; i < QUEUE_ATTRIBUTE_COUNT && err == 0; i++)
		err = queue_attribute_set(to, i, from->set[i]);
	return err;
}

enum fault operation_set_attribute(struct call *call, struct store_queue *queue,
	enum queue_attribute attribute, const char *value)
{
	struct queue_attributes attributes = {{NULL}};
	int err = copy_attributes(&queue->attributes, &attributes);

	if (err == 0)
		err = queue_attribute_set(&attributes, attribute, value);
	if (err == 0)
		err = store_queue_change(
			call->service->store, queue, &attributes, operation_now_ms(call));
	queue_attributes_free(&attributes);
	return operation_failed(&call->problem, err);
}

static enum fault change_attributes(struct call *call, struct store_queue *queue,
	const struct json_value *map, struct queue_attributes *attributes)
{
	uint32_t given;
	enum fault fault =
		operation_failed(&call->problem, copy_attributes(&queue->attributes, attributes));

	if (fault == FAULT_NONE)
		fault = queue_attributes_read(
			map, queue->is_fifo, attributes, &given, &call->problem);
	if (fault == FAULT_NONE && (given & 1u << QUEUE_ATTRIBUTE_REDRIVE_POLICY))
		fault = check_redrive(call, queue->name, queue->is_fifo, attributes);
	if (fault != FAULT_NONE)
		return fault;
	return operation_failed(&call->problem, store_queue_change(call->service->store, queue,
							attributes, operation_now_ms(call)));
}

enum fault set_queue_attributes(struct call *call)
{
	struct queue_attributes attributes = {{NULL}};
	struct store_queue *queue;
	const struct json_value *map;
	enum fault fault = operation_queue(call, &queue);

	if (fault == FAULT_NONE)
		fault = params_object(call->params, "Attributes", &map, &call->problem);
	if (fault != FAULT_NONE)
		return fault;
	if (map == NULL)
		return problem_set(&call->problem, FAULT_MISSING_PARAMETER,
			"The request must contain the parameter Attributes.");
	fault = change_attributes(call, queue, map, &attributes);
	queue_attributes_free(&attributes);
	return fault;
}

/* ListQueues or ListDeadLetterSourceQueues under way. */
struct listing {
	struct call *call;
	const char *member;			/* of the answer */
	const struct store_queue *dead_letters; /* only queues whose redrive policy names it */
	size_t count, limit;
	char last[TEXT_QUEUE_NAME_MAX + 1]; /* the last one written */
	bool more;
};

static void list_one(void *arg, const char *name)
{
	struct listing *listing = arg;
	char url[URL_MAX];

	if (listing->dead_letters != NULL &&
		!store_queue_feeds(store_queue_find(listing->call->service->store, name),
			listing->dead_letters))
		return;
	if (listing->count == listing->limit) {
		listing->more = true;
		return;
	}
	if (listing->count++ == 0)
		answer_open_list(&listing->call->answer, listing->member);
	answer_text(&listing->call->answer, NULL, queue_url(listing->call, name, url));
	snprintf(listing->last, sizeof(listing->last), "%s", name);
}

/* A page's token is the name it ended with. */
static enum fault read_token(struct call *call, char ret_after[BLOB_DECODED_MAX(128) + 1])
{
	const char *token;
	size_t len = 0;
	enum fault fault = params_text(call->params, "NextToken", &token, &call->problem);

	if (fault == FAULT_NONE && token != NULL &&
		(strlen(token) > 128 ||
			!blob_decode(token, strlen(token), (uint8_t *)ret_after, &len) ||
			!text_is_queue_name(ret_after, len)))
		fault = problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE,
			"Invalid or expired next token.");
	ret_after[len] = '\0';
	return fault;
}

/* One page of the queues whose names begin with prefix. */
static enum fault list_page(struct listing *listing, const char *prefix)
{
	struct call *call = listing->call;
	char after[BLOB_DECODED_MAX(128) + 1], token[BLOB_ENCODED_BYTES(80) + 1] = "";
	int64_t limit = LIST_MAX;
	bool paged;
	int err;
	enum fault fault =
		params_int(call->params, "MaxResults", 1, LIST_MAX, &limit, &paged, &call->problem);

	if (fault == FAULT_NONE)
		fault = read_token(call, after);
	if (fault != FAULT_NONE)
		return fault;
	listing->limit = (size_t)limit;
	/* Of the sources there is no index: all queues are looked at. */
	err = store_queue_list(call->service->store, prefix, after,
		listing->dead_letters != NULL ? SIZE_MAX / 2 : listing->limit + 1, list_one,
		listing);
	if (err < 0)
		return operation_failed(&call->problem, err);
	if (listing->count > 0)
		answer_close_list(&call->answer);
	if (paged && listing->more) {
		blob_encode((const uint8_t *)listing->last, strlen(listing->last), token);
		answer_text(&call->answer, "NextToken", token);
	}
	return FAULT_NONE;
}

enum fault list_queues(struct call *call)
{
	struct listing listing = {.call = call, .member = "QueueUrls"};
	const char *prefix;
	enum fault fault = params_text(call->params, "QueueNamePrefix", &prefix, &call->problem);

	return fault != FAULT_NONE ? fault : list_page(&listing, prefix != NULL ? prefix : "");
}

enum fault list_dead_letter_source_queues(struct call *call)
{
	struct listing listing = {.call = call, .member = "queueUrls"};
	struct store_queue *queue = NULL;
	enum fault fault = operation_queue(call, &queue);

	listing.dead_letters = queue;
	return fault != FAULT_NONE ? fault : list_page(&listing, "");
}
