#include "bunshin/error.h"
#include "campaign/producer_private.h"
#include "campaign/schedule.h"

#include <assert.h>
#include <limits.h>
#include <stdlib.h>

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

/* sending */

static void call_done(void *arg, const int results[], size_t count, const char *detail)
{
	struct flight *flight = arg;
	struct producer *producer = flight->producer;

	flight->call = NULL;
	assert(count == flight->count);
	list_remove(&flight->node);
	producer->calls--;
	producer->totals.in_flight -= count;
	producer_land(producer, flight, results, detail);
	producer_advance(producer);
}

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
		producer_ready_append(producer, entry);
	else if (answer != GROUP_HELD)
		producer_give_back(producer, entry);
	return answer < 0 ? answer : 0;
}

/* Pulls one message from the source; false: there is none, or no room. */
static bool pull(struct producer *producer)
{
	struct buf reason = BUF_INIT(PRODUCER_REASON_MAX);
	struct campaign_message message;
	struct entry *entry;
	int rc;

	if (producer->stopping || !has_room(producer))
		return false;
	rc = producer->source.next(producer->source.arg, &message, &reason);
	if (rc > 0) {
		producer->totals.pulled += campaign_message_recipients(&message);
		entry = producer_entry_new(&message);
		if (entry) {
			producer->held_bytes += entry->held;
			rc = admit(producer, entry);
		} else {
			producer->totals.unsent = message.place;
			producer->totals.untried += campaign_message_recipients(&message);
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
		producer_fail(producer, rc, buf_string(&reason));
	buf_free(&reason);
	return false;
}

/* The first that may go now; NULL: there is none, or no room for more. */
static struct entry *find_ready(struct producer *producer)
{
	while (producer->ready_count == 0 && pull(producer))
		;
	return producer_ready_first(producer);
}

/* the rate */

static bool is_paced(const struct producer *producer)
{
	return !producer->told_to_stop &&
	       clock_monotonic_us(producer->clock) < producer->pace.due_us;
}

static void pace_due(struct clock_timer *timer)
{
	producer_advance(list_entry(timer, struct producer, pace_timer));
}

/* Of a batch that is being filled. */
struct room {
	size_t bytes, recipients;
};

static bool fits(const struct flight *flight, const struct room *room, const struct entry *entry)
{
	if (flight->count == 0)
		return true;
	return !entry->alone && !flight->entries[0]->alone && entry->bytes <= room->bytes &&
	       entry->recipients <= room->recipients;
}

static void add(struct flight *flight, struct room *room, struct entry *entry)
{
	room->bytes -= entry->bytes < room->bytes ? entry->bytes : room->bytes;
	room->recipients -=
		entry->recipients < room->recipients ? entry->recipients : room->recipients;
	flight->entries[flight->count++] = entry;
}

/* The next batch, or NULL: nothing to send now (or out of memory, see producer->err). */
static struct flight *fill(struct producer *producer)
{
	struct flight *flight = calloc(1, sizeof(*flight));
	struct room room = {PRODUCER_BATCH_MAX_BYTES, pace_batch_max(&producer->pace, INT_MAX)};
	struct entry *entry;

	if (!flight) {
		producer_fail(producer, ERR_NOMEM, "");
		return NULL;
	}
	flight->producer = producer;
	list_init(&flight->node);
	while (flight->count < QUEUE_BATCH_MAX && room.recipients > 0) {
		entry = find_ready(producer);
		if (!entry || !fits(flight, &room, entry))
			break;
		producer_ready_remove(producer, entry);
		add(flight, &room, entry);
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
	unsigned recipients = 0;
	int rc;

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
		recipients += (unsigned)entry->recipients;
	}
	pace_take(&producer->pace, recipients, now_us);
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
	producer_land(producer, flight, results, "");
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
		producer_fail(producer, ERR_NOMEM, "");
}

void producer_advance(struct producer *producer)
{
	struct flight *flight;

	while (producer->calls < producer->options.in_flight && !is_paced(producer) &&
		(flight = fill(producer)))
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
	producer_advance(list_entry(timer, struct producer, start));
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
	buf_init(&producer->reason, PRODUCER_REASON_MAX);
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
	while ((entry = producer_ready_first(producer))) {
		producer_ready_remove(producer, entry);
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
		producer_ready_remove(producer, entry);
		producer_give_up(producer, entry);
	}
}

void producer_stop(struct producer *producer)
{
	producer->told_to_stop = true;
	producer_give_back_held(producer, true);
	give_up_what_waits(producer);
	if (producer->stopping)
		return;
	producer->stopping = true;
	/* From the loop, since `finished` must not be called from here. */
	if (clock_timer_set(
		    producer->clock, &producer->start, clock_monotonic_us(producer->clock)) < 0)
		producer_fail(producer, ERR_NOMEM, "");
}

const struct producer_totals *producer_totals(const struct producer *producer)
{
	return &producer->totals;
}
