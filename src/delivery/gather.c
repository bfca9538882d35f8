#include "delivery/gather.h"

#include "base/hash.h"
#include "bunshin/error.h"
#include "delivery/attempt.h"
#include "delivery/core.h"
#include "delivery/group.h"
#include "delivery/item_failures.h"

#include <stdlib.h>
#include <string.h>

#define SHARE_OF_ONE (1.0 / 16) /* of the packed share: how much one message changes it */

struct bundle {
	struct list node;     /* in open or ready */
	struct list bucket;   /* while it is open */
	struct list messages; /* by `mate` */
	size_t count;
	uint64_t hash;
	uint64_t due_us;
	bool half;
	bool kept; /* it is being worked on: not freed when it is empty */
	struct lane *lane;
	/* Of its request, `queued` being the block that all of them are in. */
	const struct queue_message **queued;
	const char **ids;
	struct recipient_key *keys;
	bool *failed; /* what an answer to records says */
};

/* ---- what is alike */

/* The parts of a message that all in a bundle have in common. */
struct content {
	const char *parts[3];
	size_t bytes[3];
};

static struct content content_of(const struct message *message)
{
	const struct queue_message *queued = message->queued;
	const struct queue_attribute *campaign = message_attribute(queued, "Campaign");
	const struct recipient_list *recipients = message->recipients;
	struct content content = {.parts = {"", "", ""}};

	if (!recipients)
		return content;
	content.parts[0] = queued->body;
	content.bytes[0] = (size_t)(recipients->list - queued->body);
	content.parts[1] = recipients->list + recipients->list_bytes;
	content.bytes[1] = (size_t)(queued->body + queued->body_bytes - content.parts[1]);
	if (campaign) {
		content.parts[2] = campaign->value;
		content.bytes[2] = campaign->value_bytes;
	}
	return content;
}

static uint64_t hash_content(const struct content *content)
{
	uint64_t hash = 0;

	for (size_t i = 0; i < 3; i++)
		hash = hash * UINT64_C(0x9e3779b97f4a7c15) +
		       hash_bytes(content->parts[i], content->bytes[i]);
	return hash;
}

static struct message *first_of(const struct bundle *bundle)
{
	return list_entry(list_first(&bundle->messages), struct message, mate);
}

static bool is_alike(const struct bundle *bundle, uint64_t hash, const struct content *content)
{
	struct content own;

	if (bundle->hash != hash)
		return false;
	own = content_of(first_of(bundle));
	for (size_t i = 0; i < 3; i++)
		if (own.bytes[i] != content->bytes[i] ||
			memcmp(own.parts[i], content->parts[i], own.bytes[i]) != 0)
			return false;
	return true;
}

/* ---- bundles */

static void bundle_free(struct bundle *bundle)
{
	list_remove(&bundle->node);
	list_remove(&bundle->bucket);
	free(bundle->queued);
	free(bundle);
}

static void join(struct bundle *bundle, struct message *message)
{
	list_append(&bundle->messages, &message->mate);
	message->bundle = bundle;
	bundle->count++;
}

static void leave(struct message *message)
{
	struct bundle *bundle = message->bundle;

	list_remove(&message->mate);
	message->bundle = NULL;
	message->follows = false;
	bundle->count--;
	if (bundle->count == 0 && !bundle->kept)
		bundle_free(bundle);
}

/* It takes no more. */
static void close_bundle(struct bundle *bundle)
{
	list_remove(&bundle->node);
	list_remove(&bundle->bucket);
}

static struct bundle *bundle_new(struct lane *lane)
{
	struct bundle *bundle = calloc(1, sizeof(*bundle));

	if (!bundle)
		return NULL;
	bundle->lane = lane;
	list_init(&bundle->node);
	list_init(&bundle->bucket);
	list_init(&bundle->messages);
	return bundle;
}

struct gather *gather_new(void)
{
	struct gather *gather = calloc(1, sizeof(*gather));

	if (!gather)
		return NULL;
	list_init(&gather->open);
	list_init(&gather->ready);
	list_init(&gather->packed);
	for (size_t i = 0; i < GATHER_BUCKETS; i++)
		list_init(&gather->buckets[i]);
	return gather;
}

void gather_free(struct gather *gather)
{
	free(gather);
}

static struct bundle *find(struct list *bucket, uint64_t hash, const struct content *content)
{
	list_for_each (node, bucket) {
		struct bundle *bundle = list_entry(node, struct bundle, bucket);

		if (is_alike(bundle, hash, content))
			return bundle;
	}
	return NULL;
}

/* 0 or ERR_NOMEM. */
static int add_single(struct message *message)
{
	struct lane *lane = message->lane;
	struct gather *gather = lane->gather;
	struct content content = content_of(message);
	uint64_t hash = hash_content(&content);
	struct list *bucket = &gather->buckets[hash % GATHER_BUCKETS];
	struct bundle *bundle = message->delivery->groups ? NULL : find(bucket, hash, &content);

	if (!bundle) {
		bundle = bundle_new(lane);
		if (!bundle)
			return ERR_NOMEM;
		bundle->hash = hash;
		bundle->due_us = clock_monotonic_us(lane->delivery->clock) +
				 lane->destination.batch_linger_us;
		list_append(&gather->open, &bundle->node);
		list_append(bucket, &bundle->bucket);
	}
	join(bundle, message);
	if (bundle->count == lane->destination.batch_max || message->delivery->groups) {
		close_bundle(bundle);
		list_append(&gather->ready, &bundle->node);
	}
	return 0;
}

int gather_add(struct message *message)
{
	struct gather *gather = message->lane->gather;
	bool packed = message_is_packed(message);

	gather->packed_share += ((packed ? 1 : 0) - gather->packed_share) * SHARE_OF_ONE;
	if (!packed)
		return add_single(message);
	list_append(&gather->packed, &message->mate);
	return 0;
}

void gather_moved(struct message *message, enum message_state to)
{
	if (to == MESSAGE_RECEIVED && !message->bundle)
		list_prepend(&message->lane->gather->packed, &message->mate);
	else if (!message->bundle)
		list_remove(&message->mate);
	else if (to != MESSAGE_RECEIVED && to != MESSAGE_SENDING)
		leave(message);
}

size_t gather_per_request(const struct lane *lane)
{
	double packed = lane->gather->packed_share;

	return (size_t)(1 / (packed + (1 - packed) / lane->destination.batch_max));
}

size_t gather_ahead(const struct lane *lane, size_t slots)
{
	return (size_t)((double)slots * (1 - lane->gather->packed_share) + 0.5);
}

/* ---- turns */

/* The first that waits for nothing but a slot. */
static struct message *next_packed(const struct gather *gather)
{
	list_for_each (node, &gather->packed) {
		struct message *message = list_entry(node, struct message, mate);

		if (group_is_first(message))
			return message;
	}
	return NULL;
}

static struct message *next_ready(const struct gather *gather)
{
	list_for_each (node, &gather->ready) {
		struct message *first = first_of(list_entry(node, struct bundle, node));

		if (group_is_first(first))
			return first;
	}
	return NULL;
}

/* Of a bundle that is not full, the oldest, once it is due. */
static struct message *next_open(struct lane *lane, uint64_t now_us)
{
	struct list *node = list_first(&lane->gather->open);
	struct bundle *bundle = node ? list_entry(node, struct bundle, node) : NULL;

	if (!bundle)
		return NULL;
	/* Without memory to wait, it goes. */
	if (bundle->due_us > now_us && lane_wake_at(lane, bundle->due_us))
		return NULL;
	return first_of(bundle);
}

struct message *gather_next(struct lane *lane, uint64_t now_us)
{
	struct gather *gather = lane->gather;
	struct message *packed = next_packed(gather), *single = next_ready(gather);

	if (single && single->bundle->half)
		return single;
	/* One that is full does not keep back one that is due for long: it has been due before. */
	if (!single)
		single = next_open(lane, now_us);
	if (packed && single) {
		gather->packed_went = !gather->packed_went;
		return gather->packed_went ? packed : single;
	}
	return packed ? packed : single;
}

/* ---- how a request ended */

/* Half of them in each, to go before all others. */
static bool split(struct bundle *bundle)
{
	struct bundle *second = bundle_new(bundle->lane);
	size_t half = bundle->count / 2;

	if (!second)
		return false;
	list_for_each_safe (node, &bundle->messages) {
		struct message *message = list_entry(node, struct message, mate);

		message_move(message, MESSAGE_RECEIVED);
		message->follows = false;
		message->attempt = NULL;
		if (half > 0) {
			half--;
			continue;
		}
		leave(message);
		join(second, message);
	}
	bundle->half = second->half = true;
	list_prepend(&bundle->lane->gather->ready, &second->node);
	list_prepend(&bundle->lane->gather->ready, &bundle->node);
	return true;
}

static void end_item(struct message *message, const struct target_result *result)
{
	if (message->queued->receive_count >= message->lane->destination.max_attempts)
		core_fail(message, result, "attempts exhausted");
	else
		core_retry(message, result, "the answer says that it failed (batchItemFailures)",
			core_backoff_ms(message));
}

static void end_each(
	struct bundle *bundle, const struct target_result *result, enum outcome outcome)
{
	size_t i = 0;

	list_for_each_safe (node, &bundle->messages) {
		struct message *message = list_entry(node, struct message, mate);

		if (bundle->failed[i++])
			end_item(message, result);
		else
			attempt_judge(message, result, outcome);
	}
}

/*
 * What a 2xx answer to records says of each message. The outcome of those that it does not say have
 * failed; *ret_result has why it is a full failure, in words that are the caller's.
 */
static enum outcome read_failures(struct bundle *bundle, const struct target_result *result,
	struct target_result *ret_result, char words[ITEM_FAILURES_REASON_SIZE])
{
	int err;

	*ret_result = *result;
	if (result->err || result->status < 200 || result->status > 299)
		return OUTCOME_ACCEPTED; /* a code that was configured as one */
	err = item_failures_read(&bundle->lane->delivery->json, result->answer,
		result->answer_bytes, result->answer_is_whole, bundle->ids, bundle->count,
		bundle->failed, words);
	if (!err)
		return OUTCOME_ACCEPTED;
	memset(bundle->failed, 0, bundle->count * sizeof(bundle->failed[0]));
	ret_result->reason = err == ERR_NOMEM ? error_message(err) : words;
	return OUTCOME_RETRY;
}

static void bundle_departs(void *arg)
{
	const struct bundle *bundle = arg;

	lane_depart(bundle->lane);
}

static void bundle_done(void *arg, const struct target_result *result)
{
	struct bundle *bundle = arg;
	struct lane *lane = bundle->lane;
	struct delivery *delivery = lane->delivery;
	struct message *first = first_of(bundle);
	char words[ITEM_FAILURES_REASON_SIZE];
	struct target_result unclear, read;
	enum outcome outcome = attempt_outcome(lane, &result, &unclear);
	size_t i = 0;

	first->attempt = NULL;
	if (outcome == OUTCOME_ACCEPTED && lane->destination.batch_records) {
		outcome = read_failures(bundle, result, &read, words);
		result = &read;
	}
	/* First of all: before anybody is told of an acceptance, and before the deletes. */
	list_for_each (node, &bundle->messages) {
		struct message *message = list_entry(node, struct message, mate);

		if (outcome == OUTCOME_ACCEPTED && !bundle->failed[i])
			core_record(message);
		else
			core_unclaim(message);
		i++;
	}
	attempt_ended(lane, first->attempt_us, outcome, result);
	bundle->kept = true;
	if (bundle->count == 1 || !attempt_verdict(first, outcome, result).may_be_one ||
		!split(bundle))
		end_each(bundle, result, outcome);
	bundle->kept = false;
	if (bundle->count == 0)
		bundle_free(bundle);
	lane_pump(lane);
	core_advance(delivery);
}

/* ---- the start */

/* 0 or ERR_NOMEM. */
static int make_room(struct bundle *bundle)
{
	size_t each = sizeof(bundle->queued[0]) + sizeof(bundle->ids[0]) + sizeof(bundle->keys[0]) +
		      sizeof(bundle->failed[0]);

	free(bundle->queued);
	bundle->queued = calloc(bundle->count, each);
	if (!bundle->queued)
		return ERR_NOMEM;
	bundle->ids = (const char **)(void *)(bundle->queued + bundle->count);
	bundle->keys = (struct recipient_key *)(void *)(bundle->ids + bundle->count);
	bundle->failed = (bool *)(void *)(bundle->keys + bundle->count);
	return 0;
}

/* The recipients as a JSON array, in the delivery's scratch. 0 or ERR_NOMEM. */
static int list_recipients(struct bundle *bundle, struct target_request *request)
{
	struct buf *list = &bundle->lane->delivery->list;
	char before = '[';

	buf_clear(list);
	list_for_each (node, &bundle->messages) {
		const struct message *message = list_entry(node, struct message, mate);

		buf_append_char(list, before);
		buf_append(list, message->recipients->all[0].raw,
			message->recipients->all[0].raw_bytes);
		before = ',';
	}
	request->recipients = buf_string(list);
	request->recipients_bytes = list->len + 1;
	return buf_append_char(list, ']') ? ERR_NOMEM : 0;
}

/* What the request has; its key is in `text` where it is not a message's own. 0 or ERR_NOMEM. */
static int describe(
	struct bundle *bundle, struct target_request *request, char text[RECIPIENT_KEY_TEXT_SIZE])
{
	struct recipient_key key;
	size_t i = 0;
	int err = make_room(bundle);

	if (err)
		return err;
	list_for_each (node, &bundle->messages) {
		const struct message *message = list_entry(node, struct message, mate);

		bundle->queued[i] = message->queued;
		bundle->ids[i] = message->queued->message_id;
		bundle->keys[i++] = recipient_key_of_text(message->queued->idempotency_key);
	}
	*request = target_request_for(bundle->queued);
	request->message_count = bundle->count;
	request->departs = bundle_departs;
	if (bundle->count > 1) {
		key = recipient_key_batch(bundle->keys, bundle->count);
		recipient_key_print(&key, text);
		request->idempotency_key = text;
	}
	return first_of(bundle)->recipients ? list_recipients(bundle, request) : 0;
}

/* It could not even be started: all of it goes back. */
static void start_failed(struct bundle *bundle, int err, uint64_t now_us)
{
	const struct target_result result = {.err = err,
		.retry_after_ms = -1,
		.reason = error_message(err),
		.request_id = "",
		.excerpt = ""};

	list_for_each_safe (node, &bundle->messages) {
		struct message *message = list_entry(node, struct message, mate);

		core_unclaim(message);
		core_retry(message, &result, result.reason, ATTEMPT_START_PAUSE_MS);
	}
	attempt_pause(bundle->lane, now_us);
}

static bool send(struct bundle *bundle, uint64_t now_us)
{
	struct lane *lane = bundle->lane;
	struct target target = lane->destination.target;
	struct message *first = first_of(bundle);
	char text[RECIPIENT_KEY_TEXT_SIZE];
	struct target_request request;
	int err = describe(bundle, &request, text);

	if (err) {
		start_failed(bundle, err, now_us);
		return false;
	}
	list_for_each (node, &bundle->messages) {
		struct message *message = list_entry(node, struct message, mate);

		message->follows = message != first;
		message_move(message, MESSAGE_SENDING);
		message->attempt_us = now_us;
	}
	err = target.ops->start(target.impl, &request, bundle_done, bundle, &first->attempt);
	if (err) {
		start_failed(bundle, err, now_us);
		return false;
	}
	counter_add(lane->counts.sent_recipients, bundle->count);
	attempt_started(lane, now_us);
	return true;
}

/* What cannot be sent now leaves the bundle. */
static void claim_each(struct bundle *bundle, uint64_t now_us)
{
	list_for_each_safe (node, &bundle->messages) {
		struct message *message = list_entry(node, struct message, mate);

		if (lane_may_send(message, now_us))
			attempt_claim(message);
	}
}

static void unclaim_each(struct bundle *bundle)
{
	list_for_each (node, &bundle->messages)
		core_unclaim(list_entry(node, struct message, mate));
}

bool gather_start(struct message *first)
{
	struct bundle *bundle = first->bundle;
	struct lane *lane = bundle->lane;
	uint64_t now_us = clock_monotonic_us(lane->delivery->clock), wait_us;
	bool started = true;

	/* Hundreds of claims would be made in vain. */
	if (!lane_has_token(lane, now_us, &wait_us))
		return attempt_waits_for_token(lane, now_us, wait_us);
	close_bundle(bundle);
	bundle->kept = true;
	claim_each(bundle, now_us);
	if (bundle->count > 0 && !lane_take_token(lane, now_us, &wait_us)) {
		unclaim_each(bundle);
		bundle->kept = false;
		list_prepend(&lane->gather->ready, &bundle->node);
		return attempt_waits_for_token(lane, now_us, wait_us);
	}
	if (bundle->count > 0)
		started = send(bundle, now_us);
	bundle->kept = false;
	if (bundle->count == 0)
		bundle_free(bundle);
	return started;
}
