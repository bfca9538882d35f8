#include "campaign/producer.h"

#include "base/list.h"
#include "base/random.h"
#include "bunshin/error.h"
#include "campaign/group_order.h"
#include "campaign/pace.h"
#include "campaign/schedule.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define REASON_MAX 2048

/* A message that was pulled and is not settled. */
struct entry {
	struct list node; /* in producer->ready; self-linked while in a flight or held */
	struct group_item item;
	struct recipients_place place;
	unsigned attempts;
	bool unconfirmed;  /* an attempt ended without the queue's own word on this entry */
	bool alone;	   /* goes in a batch of its own */
	uint64_t first_us; /* of the first attempt */
	size_t bytes;	   /* as SQS counts them */
	size_t held;	   /* as memory counts them */
	const char *body;
	size_t body_bytes;
	const char *group_id, *deduplication_id; /* NULL: none */
	size_t attribute_count;
	struct queue_attribute attributes[];
};

/* One batch, under way or (its failed entries) backing off. */
struct flight {
	struct list node; /* in producer->flying or producer->waiting */
	struct producer *producer;
	struct queue_call *call; /* NULL while backing off */
	struct clock_timer retry;
	uint64_t launched_us;
	size_t count;
	struct entry *entries[QUEUE_BATCH_MAX];
};

struct producer {
	struct queue queue;
	struct clock clock;
	struct producer_source source;
	struct producer_events events;
	struct producer_options options;
	struct producer_totals totals;
	struct list ready; /* entries to send now, in front of the source's next ones */
	size_t ready_count;
	struct list flying, waiting; /* flights */
	unsigned calls;		     /* flights in `flying` */
	size_t held_bytes;
	bool stopping; /* the source is not asked any more */
	bool told_to_stop;
	bool finished;
	int err; /* what stopped it; nothing is tried again */
	struct buf reason;
	uint64_t progress_us; /* the start, then the last success */
	uint64_t failing_us;  /* the launch of the first failure since; 0: none failed since */
	struct pace pace;
	struct group_order *order; /* NULL: none is kept */
	struct clock_timer start, pace_timer;
};

const struct producer_options producer_defaults = {
	.in_flight = 64,
	.held_bytes = (size_t)32 << 20,
	.max_attempts = 10,
	.base_ms = 100,
	.throttled_base_ms = 500,
	.cap_ms = 20000,
	.patience_ms = 120000,
	.first_patience_ms = 10000,
	.held_back = 10000,
};

static void advance(struct producer *producer);

/* entries */

static char *put(char **cursor, const char *bytes, size_t len)
{
	char *copy = *cursor;

	memcpy(copy, bytes, len);
	copy[len] = '\0';
	*cursor += len + 1;
	return copy;
}

static size_t text_size(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static const char *put_text(char **cursor, const char *text)
{
	return text ? put(cursor, text, strlen(text)) : NULL;
}

/* One block: the struct, its attributes, and all the bytes they point to. */
static struct entry *entry_new(const struct campaign_message *message)
{
	size_t text =
		message_bytes(message->body_bytes, message->attributes, message->attribute_count);
	size_t size = sizeof(struct entry) +
		      message->attribute_count * sizeof(struct queue_attribute) + text + 1 +
		      3 * message->attribute_count + text_size(message->group_id) +
		      text_size(message->deduplication_id);
	struct entry *entry = malloc(size);
	char *cursor;

	if (!entry)
		return NULL;
	*entry = (struct entry){
		.place = message->place,
		.bytes = text,
		.held = size,
		.body_bytes = message->body_bytes,
		.attribute_count = message->attribute_count,
	};
	list_init(&entry->node);
	cursor = (char *)&entry->attributes[message->attribute_count];
	entry->body = put(&cursor, message->body, message->body_bytes);
	for (size_t i = 0; i < message->attribute_count; i++) {
		const struct queue_attribute *from = &message->attributes[i];
		struct queue_attribute *to = &entry->attributes[i];

		to->name = put(&cursor, from->name, strlen(from->name));
		to->type = put(&cursor, from->type, strlen(from->type));
		to->value = put(&cursor, from->value, from->value_bytes);
		to->value_bytes = from->value_bytes;
	}
	entry->group_id = put_text(&cursor, message->group_id);
	entry->deduplication_id = put_text(&cursor, message->deduplication_id);
	return entry;
}

static void entry_free(struct producer *producer, struct entry *entry)
{
	producer->held_bytes -= entry->held;
	free(entry);
}

static void ready_append(struct producer *producer, struct entry *entry)
{
	list_append(&producer->ready, &entry->node);
	producer->ready_count++;
}

static struct entry *ready_first(const struct producer *producer)
{
	struct list *node = list_first(&producer->ready);

	return node ? list_entry(node, struct entry, node) : NULL;
}

static void ready_remove(struct producer *producer, struct entry *entry)
{
	list_remove(&entry->node);
	producer->ready_count--;
}

/* the end of an entry */

enum verdict { ACCEPTED, TRY_AGAIN, REFUSED, HOPELESS };

static enum verdict judge(int result)
{
	if (result == 0)
		return ACCEPTED;
	if (result == ERR_LIMIT) /* the client's own limit of requests under way */
		return TRY_AGAIN;
	if (result == ERR_QUEUE_MISSING)
		return HOPELESS;
	switch (error_class(result)) {
	case ERROR_TRANSIENT:
	case ERROR_THROTTLED:
		return TRY_AGAIN;
	case ERROR_PERMANENT:
		return REFUSED;
	default:
		return HOPELESS;
	}
}

/* It was never sent, and is not going to be. */
static void give_back(struct producer *producer, struct entry *entry)
{
	struct recipients_place *unsent = &producer->totals.unsent;

	if (unsent->row == 0 || entry->place.row < unsent->row)
		*unsent = entry->place;
	producer->totals.untried++;
	entry_free(producer, entry);
}

/* Those held that will not be sent; all: whatever has become of the one before. */
static void give_back_held(struct producer *producer, bool all)
{
	struct group_item *item;

	while (producer->order && (item = group_order_take(producer->order, all)))
		give_back(producer, list_entry(item, struct entry, item));
}

/* The next of its group may go; or none, when this one would come behind them. */
static void leave_group(struct producer *producer, struct entry *entry, int err)
{
	struct group_item *next;

	if (!producer->order || !entry->item.group)
		return;
	if (err == 0 || judge(err) == REFUSED) {
		next = group_order_next(producer->order, &entry->item);
		if (next)
			ready_append(producer, list_entry(next, struct entry, item));
		return;
	}
	group_order_block(producer->order, &entry->item);
	give_back_held(producer, false);
}

static void settle(struct producer *producer, struct entry *entry, int err, const char *reason)
{
	if (err == 0)
		producer->totals.accepted++;
	else
		producer->totals.failed++;
	if (producer->events.settled)
		producer->events.settled(producer->events.arg, entry->place, err,
			err != 0 && entry->unconfirmed, reason);
	leave_group(producer, entry, err);
	entry_free(producer, entry);
}

/* stopping */

/* Entries that were sent before are settled as failed; those that never were are unsent. */
static void give_up(struct producer *producer, struct entry *entry)
{
	if (entry->attempts > 0)
		settle(producer, entry, producer->err, buf_string(&producer->reason));
	else
		give_back(producer, entry);
}

static void give_up_flight(struct producer *producer, struct flight *flight)
{
	clock_timer_clear(producer->clock, &flight->retry);
	for (size_t i = 0; i < flight->count; i++)
		give_up(producer, flight->entries[i]);
	list_remove(&flight->node);
	free(flight);
}

/* The first error wins. What is under way is waited for, all else is given up. */
static void fail(struct producer *producer, int err, const char *reason)
{
	struct entry *entry;

	if (producer->err != 0)
		return;
	producer->err = err;
	producer->stopping = true;
	producer->totals.failing = true;
	buf_append_string(&producer->reason, *reason ? reason : error_message(err));
	give_back_held(producer, true);
	while ((entry = ready_first(producer))) {
		ready_remove(producer, entry);
		give_up(producer, entry);
	}
	list_for_each_safe (node, &producer->waiting)
		give_up_flight(producer, list_entry(node, struct flight, node));
	producer->totals.waiting = 0;
}

/* the answer of a batch */

/* Did the queue take the request apart, or did the call fail as one? */
static bool failed_whole(const int results[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (results[i] == 0 || results[i] != results[0])
			return false;
	return true;
}

/* No answer, or none that says what was done: the message may be in the queue. */
static bool may_have_arrived(int result)
{
	return result == ERR_TIMEOUT || result == ERR_NETWORK || result == ERR_PROTOCOL ||
	       result == ERR_ANSWER_TOO_LARGE || result == ERR_UNAVAILABLE ||
	       result == ERR_CANCELLED;
}

static bool out_of_patience(const struct producer *producer)
{
	bool short_one = producer->totals.accepted == 0 || producer->told_to_stop;
	int64_t patience_ms =
		short_one ? producer->options.first_patience_ms : producer->options.patience_ms;
	/* By the rate there may be minutes in which nothing is tried. */
	uint64_t since_us =
		producer->options.rate_count > 0 ? producer->failing_us : producer->progress_us;

	return clock_monotonic_us(producer->clock) - since_us >= (uint64_t)patience_ms * 1000;
}

static uint64_t backoff_us(const struct producer *producer, unsigned attempts, bool throttled)
{
	uint64_t base = (uint64_t)(throttled ? producer->options.throttled_base_ms
					     : producer->options.base_ms);
	uint64_t cap = (uint64_t)producer->options.cap_ms;
	unsigned doublings = attempts > 1 ? attempts - 1 : 0;
	uint64_t ceiling_ms = doublings < 32 ? base << doublings : cap;

	if (ceiling_ms > cap)
		ceiling_ms = cap;
	return random_below(clock_random(producer->clock), ceiling_ms * 1000 + 1);
}

static void retry_due(struct clock_timer *timer)
{
	struct flight *flight = list_entry(timer, struct flight, retry);
	struct producer *producer = flight->producer;

	for (size_t i = 0; i < flight->count; i++)
		ready_append(producer, flight->entries[i]);
	producer->totals.waiting -= flight->count;
	list_remove(&flight->node);
	free(flight);
	advance(producer);
}

/* Keeps the flight, with the entries left in it, until their next attempt. */
static void back_off(struct producer *producer, struct flight *flight, bool throttled)
{
	unsigned attempts = 0;
	uint64_t delay_us;

	for (size_t i = 0; i < flight->count; i++)
		if (flight->entries[i]->attempts > attempts)
			attempts = flight->entries[i]->attempts;
	delay_us = backoff_us(producer, attempts, throttled);
	list_append(&producer->waiting, &flight->node);
	producer->totals.waiting += flight->count;
	flight->retry.fire = retry_due;
	if (clock_timer_after(producer->clock, &flight->retry, delay_us) < 0)
		fail(producer, ERR_NOMEM, "");
}

/* One entry's result. True: it stays in the flight, to be tried again. */
static bool keep(struct producer *producer, struct entry *entry, int result, const char *reason)
{
	enum verdict verdict = judge(result);

	entry->unconfirmed = entry->unconfirmed || may_have_arrived(result);
	if (verdict == ACCEPTED || verdict == REFUSED) {
		settle(producer, entry, result, reason);
		return false;
	}
	if (verdict == TRY_AGAIN && producer->err == 0) {
		bool others_pass = producer->progress_us > entry->first_us;

		if (entry->attempts < producer->options.max_attempts || !others_pass)
			return true;
	}
	settle(producer, entry, result, reason);
	return false;
}

/* A call that can never work, with several entries: find out which of them it is. */
static void isolate(struct producer *producer, struct flight *flight)
{
	for (size_t i = 0; i < flight->count; i++) {
		flight->entries[i]->alone = true;
		ready_append(producer, flight->entries[i]);
	}
	free(flight);
}

/* Must-stop results first, since they change what becomes of the other entries. */
static void look_for_the_end(
	struct producer *producer, const int results[], size_t count, const char *detail)
{
	for (size_t i = 0; i < count; i++) {
		enum verdict verdict = judge(results[i]);

		if (verdict == HOPELESS)
			fail(producer, results[i], detail);
		else if (verdict == TRY_AGAIN && out_of_patience(producer))
			fail(producer, results[i], detail);
	}
}

static bool results_hold_success(const int results[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (results[i] == 0)
			return true;
	return false;
}

static void land(
	struct producer *producer, struct flight *flight, const int results[], const char *detail)
{
	size_t count = flight->count, kept = 0;
	bool throttled = false, explained = false;

	if (producer->failing_us == 0)
		producer->failing_us = flight->launched_us;
	if (results_hold_success(results, count))
		producer->progress_us = producer->failing_us = clock_monotonic_us(producer->clock);
	look_for_the_end(producer, results, count, detail);
	if (results_hold_success(results, count))
		producer->failing_us = 0;
	if (count > 1 && producer->err == 0 && failed_whole(results, count) &&
		judge(results[0]) == REFUSED) {
		isolate(producer, flight);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		struct entry *entry = flight->entries[i];
		const char *reason = results[i] == 0 ? "" : error_message(results[i]);

		/* `detail` describes the first failure only */
		if (results[i] != 0 && !explained && *detail)
			reason = detail;
		explained = explained || results[i] != 0;
		throttled = throttled || error_class(results[i]) == ERROR_THROTTLED;
		if (keep(producer, entry, results[i], reason))
			flight->entries[kept++] = entry;
	}
	flight->count = kept;
	if (kept > 0)
		back_off(producer, flight, throttled);
	else
		free(flight);
}

static void call_done(void *arg, const int results[], size_t count, const char *detail)
{
	struct flight *flight = arg;
	struct producer *producer = flight->producer;

	flight->call = NULL;
	assert(count == flight->count);
	list_remove(&flight->node);
	producer->calls--;
	producer->totals.in_flight -= count;
	land(producer, flight, results, detail);
	advance(producer);
}

/* sending */

static bool has_room(const struct producer *producer)
{
	size_t room = (size_t)producer->options.in_flight * QUEUE_BATCH_MAX;

	if (producer->order && group_order_held(producer->order) >= producer->options.held_back)
		return false;
	return producer->held_bytes < producer->options.held_bytes &&
	       producer->totals.waiting < room;
}

/* It goes at once, or when its turn comes, or not at all. 0 or ERR_NOMEM. */
static int admit(struct producer *producer, struct entry *entry)
{
	int answer = GROUP_FREE;

	if (producer->order && entry->group_id)
		answer = group_order_enter(producer->order, &entry->item, entry->group_id);
	if (answer == GROUP_FREE)
		ready_append(producer, entry);
	else if (answer != GROUP_HELD)
		give_back(producer, entry);
	return answer < 0 ? answer : 0;
}

/* Pulls one message from the source; false: there is none, or no room. */
static bool pull(struct producer *producer)
{
	struct buf reason = BUF_INIT(REASON_MAX);
	struct campaign_message message;
	struct entry *entry;
	int rc;

	if (producer->stopping || !has_room(producer))
		return false;
	rc = producer->source.next(producer->source.arg, &message, &reason);
	if (rc > 0) {
		producer->totals.pulled++;
		entry = entry_new(&message);
		if (entry) {
			producer->held_bytes += entry->held;
			rc = admit(producer, entry);
		} else {
			producer->totals.unsent = message.place;
			producer->totals.untried++;
			rc = ERR_NOMEM;
		}
		if (rc == 0) {
			buf_free(&reason);
			return true;
		}
	}
	producer->stopping = true;
	producer->totals.source_ended = rc == 0;
	if (rc < 0)
		fail(producer, rc, buf_string(&reason));
	buf_free(&reason);
	return false;
}

/* The first that may go now; NULL: there is none, or no room for more. */
static struct entry *find_ready(struct producer *producer)
{
	while (producer->ready_count == 0 && pull(producer))
		;
	return ready_first(producer);
}

/* the rate */

static bool is_paced(const struct producer *producer)
{
	return !producer->told_to_stop &&
	       clock_monotonic_us(producer->clock) < producer->pace.due_us;
}

static void pace_due(struct clock_timer *timer)
{
	advance(list_entry(timer, struct producer, pace_timer));
}

static bool fits(const struct flight *flight, size_t bytes, const struct entry *entry)
{
	if (flight->count == 0)
		return true;
	return !entry->alone && !flight->entries[0]->alone &&
	       bytes + entry->bytes <= PRODUCER_BATCH_MAX_BYTES;
}

/* The next batch, or NULL: nothing to send now (or out of memory, see producer->err). */
static struct flight *pack(struct producer *producer)
{
	struct flight *flight = calloc(1, sizeof(*flight));
	size_t most = pace_batch_max(&producer->pace, QUEUE_BATCH_MAX);
	struct entry *entry;
	size_t bytes = 0;

	if (!flight) {
		fail(producer, ERR_NOMEM, "");
		return NULL;
	}
	flight->producer = producer;
	list_init(&flight->node);
	while (flight->count < most) {
		entry = find_ready(producer);
		if (!entry || !fits(flight, bytes, entry))
			break;
		ready_remove(producer, entry);
		bytes += entry->bytes;
		flight->entries[flight->count++] = entry;
	}
	if (flight->count == 0 || producer->err != 0) {
		/* The source failed in the middle of a batch: what it gave before is still good. */
		if (flight->count > 0)
			return flight;
		free(flight);
		return NULL;
	}
	return flight;
}

static void launch(struct producer *producer, struct flight *flight)
{
	struct queue_send sends[QUEUE_BATCH_MAX];
	int results[QUEUE_BATCH_MAX];
	uint64_t now_us = clock_monotonic_us(producer->clock);
	unsigned delay_s = schedule_delay_s(
		producer->options.visible_epoch_ms, clock_wall_epoch_ms(producer->clock));
	int rc;

	pace_take(&producer->pace, (unsigned)flight->count, now_us);
	flight->launched_us = now_us;
	for (size_t i = 0; i < flight->count; i++) {
		struct entry *entry = flight->entries[i];

		sends[i] = (struct queue_send){
			.body = entry->body,
			.body_bytes = entry->body_bytes,
			.attributes = entry->attributes,
			.attribute_count = entry->attribute_count,
			.group_id = entry->group_id,
			.deduplication_id = entry->deduplication_id,
			.delay_s = delay_s,
			.no_delay = producer->options.visible_epoch_ms != 0 && delay_s == 0,
		};
		if (entry->attempts == 0)
			entry->first_us = now_us;
		else
			producer->totals.retried++;
		entry->attempts++;
	}
	rc = producer->queue.ops->send_batch(
		producer->queue.impl, sends, flight->count, call_done, flight, &flight->call);
	if (rc == 0) {
		list_append(&producer->flying, &flight->node);
		producer->calls++;
		producer->totals.calls++;
		producer->totals.in_flight += flight->count;
		return;
	}
	for (size_t i = 0; i < flight->count; i++)
		results[i] = rc;
	land(producer, flight, results, "");
}

static bool is_done(const struct producer *producer)
{
	return producer->stopping && producer->calls == 0 && producer->ready_count == 0 &&
	       list_is_empty(&producer->waiting) &&
	       (!producer->order || group_order_held(producer->order) == 0);
}

/* One message is pulled ahead, so that the source's end is known when the last has been sent. */
static void wait_for_the_rate(struct producer *producer)
{
	if (!is_paced(producer) || producer->calls >= producer->options.in_flight)
		return;
	if (find_ready(producer) &&
		clock_timer_set(producer->clock, &producer->pace_timer, producer->pace.due_us) < 0)
		fail(producer, ERR_NOMEM, "");
}

/* Sends as much as there is room for; ends it all when nothing is left. The last thing to do. */
static void advance(struct producer *producer)
{
	struct flight *flight;

	while (producer->calls < producer->options.in_flight && !is_paced(producer) &&
		(flight = pack(producer)))
		launch(producer, flight);
	wait_for_the_rate(producer);
	if (!is_done(producer) || producer->finished)
		return;
	producer->finished = true;
	clock_timer_clear(producer->clock, &producer->pace_timer);
	producer->events.finished(
		producer->events.arg, producer->err, buf_string(&producer->reason));
}

static void start_due(struct clock_timer *timer)
{
	advance(list_entry(timer, struct producer, start));
}

/* the outside */

int producer_new(struct queue queue, struct clock clock, const struct producer_source *source,
	const struct producer_events *events, const struct producer_options *options,
	struct producer **ret_producer)
{
	struct producer *producer = calloc(1, sizeof(*producer));

	if (!producer)
		return ERR_NOMEM;
	if (options->keep_group_order && group_order_new(&producer->order) < 0) {
		free(producer);
		return ERR_NOMEM;
	}
	producer->queue = queue;
	producer->clock = clock;
	producer->source = *source;
	producer->events = *events;
	producer->options = *options;
	producer->pace = (struct pace){options->rate_count, options->rate_per_ms, 0};
	list_init(&producer->ready);
	list_init(&producer->flying);
	list_init(&producer->waiting);
	buf_init(&producer->reason, REASON_MAX);
	producer->start.fire = start_due;
	producer->pace_timer.fire = pace_due;
	*ret_producer = producer;
	return 0;
}

static void discard_held(struct producer *producer)
{
	struct group_item *item;

	while (producer->order && (item = group_order_take(producer->order, true)))
		free(list_entry(item, struct entry, item));
	group_order_free(producer->order);
}

static void discard_flights(struct producer *producer, struct list *flights)
{
	list_for_each_safe (node, flights) {
		struct flight *flight = list_entry(node, struct flight, node);

		if (flight->call)
			producer->queue.ops->cancel(producer->queue.impl, flight->call);
		clock_timer_clear(producer->clock, &flight->retry);
		for (size_t i = 0; i < flight->count; i++)
			free(flight->entries[i]);
		list_remove(node);
		free(flight);
	}
}

void producer_free(struct producer *producer)
{
	struct entry *entry;

	if (!producer)
		return;
	clock_timer_clear(producer->clock, &producer->start);
	clock_timer_clear(producer->clock, &producer->pace_timer);
	discard_flights(producer, &producer->flying);
	discard_flights(producer, &producer->waiting);
	discard_held(producer);
	while ((entry = ready_first(producer))) {
		ready_remove(producer, entry);
		free(entry);
	}
	buf_free(&producer->reason);
	free(producer);
}

int producer_start(struct producer *producer)
{
	producer->progress_us = clock_monotonic_us(producer->clock);
	return clock_timer_set(producer->clock, &producer->start, producer->progress_us);
}

/* What waits for its turn by the rate and was never sent, could wait for long. */
static void give_up_what_waits(struct producer *producer)
{
	if (producer->options.rate_count == 0)
		return;
	list_for_each_safe (node, &producer->ready) {
		struct entry *entry = list_entry(node, struct entry, node);

		if (entry->attempts > 0)
			continue;
		ready_remove(producer, entry);
		give_up(producer, entry);
	}
}

void producer_stop(struct producer *producer)
{
	producer->told_to_stop = true;
	give_back_held(producer, true);
	give_up_what_waits(producer);
	if (producer->stopping)
		return;
	producer->stopping = true;
	/* From the loop, since `finished` must not be called from here. */
	if (clock_timer_set(
		    producer->clock, &producer->start, clock_monotonic_us(producer->clock)) < 0)
		fail(producer, ERR_NOMEM, "");
}

const struct producer_totals *producer_totals(const struct producer *producer)
{
	return &producer->totals;
}
