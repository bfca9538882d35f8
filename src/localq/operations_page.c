/*
 * The two operations that SQS does not have, for the admin page and for scripts: what queues there
 * are and how they stand, and a look at messages that leaves them as they are. Called by
 * X-Amz-Target: BunshinQueue.Overview and BunshinQueue.PeekMessages; both only read.
 */
#include "base/hex.h"
#include "bunshin/error.h"
#include "localq/attributes.h"
#include "localq/operations.h"
#include "localq/params.h"
#include "localq/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define OVERVIEW_MAX 100
#define OVERVIEW_DEFAULT 50
#define PEEK_MAX (STORE_PEEK_MAX - 1)
#define PEEK_DEFAULT 10
#define BODY_MAX ((int64_t)1 << 20)
/* Once an answer is that long no further message is put into it. */
#define PEEK_ANSWER_BYTES ((size_t)8 << 20)
#define POSITION_BYTES 88

/* Overview under way: the page's names, since nothing may be asked of the store meanwhile. */
struct overview {
	const char *search; /* "": all */
	const char *exact;  /* the one of this name; NULL: all that fit */
	const char *after;  /* a name, or "" */
	size_t limit;
	size_t total, found; /* all queues; those that fit the search */
	char names[OVERVIEW_MAX][TEXT_QUEUE_NAME_MAX + 1];
	size_t count;
	bool more;
};

static void note_name(void *arg, const char *name)
{
	struct overview *overview = arg;

	overview->total++;
	if (strstr(name, overview->search) == NULL ||
		(overview->exact != NULL && strcmp(name, overview->exact) != 0))
		return;
	overview->found++;
	if (strcmp(name, overview->after) <= 0)
		return;
	if (overview->count == overview->limit)
		overview->more = true;
	else
		memcpy(overview->names[overview->count++], name, strlen(name) + 1);
}

static enum fault answer_queue(struct call *call, struct store_queue *queue, int64_t now)
{
	struct store *store = call->service->store;
	struct answer *answer = &call->answer;
	struct store_counts counts;
	int64_t oldest_ms;
	char url[SERVICE_HOST_MAX + TEXT_QUEUE_NAME_MAX + 32], arn[OPERATION_ARN_MAX];
	int err = store_count(store, queue, now, &counts);

	if (err == 0)
		err = store_oldest_sent(store, queue, &oldest_ms);
	if (err < 0)
		return operation_failed(&call->problem, err);
	snprintf(url, sizeof(url), "http://%s/%s/%s", call->host, SERVICE_ACCOUNT, queue->name);
	answer_open(answer, NULL);
	answer_text(answer, "QueueName", queue->name);
	answer_text(answer, "QueueUrl", url);
	answer_text(answer, "QueueArn", operation_arn(call, queue->name, arn));
	answer_int(answer, "Visible", counts.visible);
	answer_int(answer, "InFlight", counts.in_flight);
	answer_int(answer, "Delayed", counts.delayed);
	if (oldest_ms != 0)
		answer_int(answer, "OldestSentTimestamp", oldest_ms);
	answer_bool(answer, "Fifo", queue->is_fifo);
	answer_bool(answer, "IsDeadLetterQueue", store_queue_is_dead_letter(store, queue));
	if (queue->redrive.max_receives > 0) {
		answer_text(answer, "DeadLetterQueueName", queue->redrive.dead_letter_queue);
		answer_int(answer, "MaxReceiveCount", queue->redrive.max_receives);
	}
	answer_close(answer);
	return FAULT_NONE;
}

static enum fault read_overview(struct call *call, struct overview *overview)
{
	int64_t limit = OVERVIEW_DEFAULT;
	enum fault fault = params_text(call->params, "Search", &overview->search, &call->problem);

	if (fault == FAULT_NONE)
		fault = params_text(call->params, "QueueName", &overview->exact, &call->problem);
	if (fault == FAULT_NONE)
		fault = params_text(call->params, "NextToken", &overview->after, &call->problem);
	if (fault == FAULT_NONE)
		fault = params_int(
			call->params, "MaxResults", 1, OVERVIEW_MAX, &limit, NULL, &call->problem);
	if (overview->search == NULL)
		overview->search = "";
	if (overview->after == NULL)
		overview->after = "";
	overview->limit = (size_t)limit;
	return fault;
}

enum fault overview_queues(struct call *call)
{
	struct store *store = call->service->store;
	int64_t now = operation_now_ms(call);
	struct overview overview = {.count = 0};
	enum fault fault = read_overview(call, &overview);

	/* All names are looked at: it is counted how many there are, and how many fit. */
	if (fault == FAULT_NONE)
		fault = operation_failed(&call->problem,
			store_queue_list(store, "", "", SIZE_MAX / 2, note_name, &overview));
	if (fault != FAULT_NONE)
		return fault;
	answer_open_list(&call->answer, "Queues");
	for (size_t i = 0; i < overview.count && fault == FAULT_NONE; i++) {
		struct store_queue *queue = store_queue_find(store, overview.names[i]);

		if (queue != NULL)
			fault = answer_queue(call, queue, now);
	}
	answer_close_list(&call->answer);
	answer_int(&call->answer, "QueueCount", (int64_t)overview.total);
	answer_int(&call->answer, "MatchCount", (int64_t)overview.found);
	answer_int(&call->answer, "Time", now);
	if (overview.more)
		answer_text(&call->answer, "NextToken", overview.names[overview.count - 1]);
	return fault;
}

/* PeekMessages under way. */
struct peek {
	struct call *call;
	int64_t now, limit, body_max;
	int64_t count;
	char next[POSITION_BYTES]; /* "": this was all */
};

static void write_position(const struct store_position *position, char ret[POSITION_BYTES])
{
	snprintf(ret, POSITION_BYTES, "%" PRId64 ".%" PRId64 ".%" PRId64 ".%" PRId64,
		position->visible_ms, position->receives, position->id, position->fresh_id);
}

/* "1767225600000.0.17.42", as write_position makes them. */
static bool read_position(const char *text, struct store_position *ret)
{
	int64_t *const numbers[] = {&ret->visible_ms, &ret->receives, &ret->id, &ret->fresh_id};
	char copy[POSITION_BYTES], *at = copy;

	if (strlen(text) >= sizeof(copy))
		return false;
	memcpy(copy, text, strlen(text) + 1);
	for (size_t i = 0; i < 4; i++) {
		char *end = at + strcspn(at, ".");
		bool last = *end == '\0';

		*end = '\0';
		if (last != (i == 3) || !text_to_int(at, numbers[i]))
			return false;
		at = end + 1;
	}
	return true;
}

/* The longest beginning of at most `max` bytes that does not cut a character in two. */
static size_t cut_text(const char *text, size_t len, size_t max)
{
	if (len <= max)
		return len;
	while (max > 0 && ((unsigned char)text[max] & 0xc0) == 0x80)
		max--;
	return max;
}

/* MessageAttributes, all of them; names are at most 256 bytes and hold no NUL. */
static int answer_attributes(struct call *call, const struct store_message *message)
{
	static const char all[] = "[\"All\"]";
	struct json names = {0};
	int err;

	if (message->attributes_bytes == 0)
		return 0;
	err = json_parse(&names, all, sizeof(all) - 1);
	if (err == 0)
		err = attributes_answer(&call->answer, call->service->hasher,
			&call->service->attributes, json_root(&names), message->attributes,
			message->attributes_bytes);
	json_free(&names);
	return err;
}

static void answer_state(struct answer *answer, const struct store_peeked *peeked, int64_t now)
{
	const struct store_message *message = &peeked->message;
	const char *state = message->receives > 0 ? "InFlight" : "Delayed";

	if (peeked->visible_ms <= now)
		state = "Visible";
	answer_text(answer, "State", state);
	answer_int(answer, "SentTimestamp", message->sent_ms);
	answer_int(answer, "VisibleTimestamp", peeked->visible_ms);
	answer_int(answer, "ReceiveCount", message->receives);
	if (message->receives > 0)
		answer_int(answer, "FirstReceiveTimestamp", message->first_received_ms);
	if (message->group_id != NULL)
		answer_text(answer, "MessageGroupId", message->group_id);
	if (message->deduplication_id != NULL)
		answer_text(answer, "MessageDeduplicationId", message->deduplication_id);
	if (message->trace_header != NULL)
		answer_text(answer, "AWSTraceHeader", message->trace_header);
	if (message->dead_letter_source != NULL)
		answer_text(answer, "DeadLetterQueueSource", message->dead_letter_source);
}

static int answer_peeked(void *arg, const struct store_peeked *peeked)
{
	struct peek *peek = arg;
	struct answer *answer = &peek->call->answer;
	const struct store_message *message = &peeked->message;
	char uuid[HEX_UUID_SIZE], md5[33], position[POSITION_BYTES];
	size_t shown = cut_text(message->body, message->body_bytes, (size_t)peek->body_max);
	int err;

	write_position(&peeked->position, position);
	if (peek->count == peek->limit || answer->buf.len > PEEK_ANSWER_BYTES) {
		memcpy(peek->next, position, sizeof(position));
		return 1;
	}
	peek->count++;
	hex_print_uuid(message->message_id, uuid);
	hex_print(message->md5, sizeof(message->md5), md5);
	answer_open(answer, NULL);
	answer_text(answer, "MessageId", uuid);
	answer_text(answer, "Position", position);
	answer_state(answer, peeked, peek->now);
	answer_text(answer, "MD5OfBody", md5);
	answer_int(answer, "BodyBytes", (int64_t)message->body_bytes);
	answer_bool(answer, "BodyIsWhole", shown == message->body_bytes);
	answer_bytes(answer, "Body", message->body, shown);
	err = answer_attributes(peek->call, message);
	answer_close(answer);
	return err < 0 ? err : answer->buf.err;
}

/* Where to begin: at a position, with what is hidden, or at the beginning. */
static enum fault read_start(struct call *call, int64_t now, struct store_position *ret)
{
	const char *position, *state;
	enum fault fault = params_text(call->params, "Position", &position, &call->problem);

	memset(ret, 0, sizeof(*ret));
	if (fault == FAULT_NONE)
		fault = params_text(call->params, "From", &state, &call->problem);
	if (fault != FAULT_NONE)
		return fault;
	if (state != NULL && strcmp(state, "Visible") != 0 && strcmp(state, "Hidden") != 0)
		return problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE,
			"From must be Visible or Hidden.");
	if (state != NULL && strcmp(state, "Hidden") == 0)
		*ret = (struct store_position){.visible_ms = now + 1, .fresh_id = INT64_MAX};
	if (position != NULL && !read_position(position, ret))
		return problem_set(&call->problem, FAULT_INVALID_PARAMETER_VALUE,
			"Position must be one that PeekMessages has answered.");
	return FAULT_NONE;
}

enum fault peek_messages(struct call *call)
{
	struct peek peek = {
		.call = call,
		.now = operation_now_ms(call),
		.limit = PEEK_DEFAULT,
		.body_max = BODY_MAX,
	};
	struct store_position start;
	struct store_queue *queue;
	int err;
	enum fault fault = operation_queue(call, &queue);

	if (fault == FAULT_NONE)
		fault = params_int(call->params, "MaxNumberOfMessages", 1, PEEK_MAX, &peek.limit,
			NULL, &call->problem);
	if (fault == FAULT_NONE)
		fault = params_int(call->params, "MaxBodyBytes", 0, BODY_MAX, &peek.body_max, NULL,
			&call->problem);
	if (fault == FAULT_NONE)
		fault = read_start(call, peek.now, &start);
	if (fault != FAULT_NONE)
		return fault;
	answer_int(&call->answer, "Time", peek.now);
	answer_open_list(&call->answer, "Messages");
	err = store_peek(call->service->store, queue, &start, answer_peeked, &peek);
	answer_close_list(&call->answer);
	if (peek.next[0] != '\0')
		answer_text(&call->answer, "NextPosition", peek.next);
	return operation_failed(&call->problem, err);
}
