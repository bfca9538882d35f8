#include "delivery/receiver.h"

#include "bunshin/error.h"
#include "delivery/core.h"

#include <stdio.h>
#include <stdlib.h>

#define SECOND_US 1000000ull

/* After a receive that failed: quick at first, never a storm. */
static const struct backoff failure_backoff = {.base_ms = 200, .cap_ms = 20000};

/* Of a poller, past the end of any receive that the layers below have not forgotten. */
#define OVERDUE_WAITS 4
#define OVERDUE_S 30

struct poller {
	struct list node; /* among those that poll, or the parked ones */
	struct receiver *receiver;
	struct queue_call *call;
	uint64_t asked_us;
	unsigned asked;
	struct clock_timer overdue;
	struct gauge *age_s; /* of its poll */
};

/* With half of the queue for others, so many in a row mean that nothing else is there. */
#define IN_VAIN_MAX 100
#define SCOUT_PAUSE_MIN_US 100000
#define SCOUT_PAUSE_MAX_US 1000000

static void wake_fired(struct clock_timer *timer)
{
	receiver_pump(list_entry(timer, struct receiver, wake));
}

static void scout_fired(struct clock_timer *timer)
{
	receiver_pump(list_entry(timer, struct receiver, scout));
}

static void poller_overdue(struct clock_timer *timer);

int receiver_init(struct receiver *receiver, struct delivery *delivery, unsigned max_polls)
{
	*receiver = (struct receiver){
		.delivery = delivery, .max_polls = max_polls, .allowed = 1, .idle = true};
	list_init(&receiver->polling);
	list_init(&receiver->parked);
	receiver->wake.fire = wake_fired;
	receiver->scout.fire = scout_fired;
	receiver->pollers = calloc(max_polls, sizeof(*receiver->pollers));
	if (!receiver->pollers)
		return ERR_NOMEM;
	for (unsigned i = 0; i < max_polls; i++) {
		struct poller *poller = &receiver->pollers[i];

		poller->receiver = receiver;
		poller->overdue.fire = poller_overdue;
		list_append(&receiver->parked, &poller->node);
	}
	return 0;
}

void receiver_free(struct receiver *receiver)
{
	free(receiver->pollers);
	receiver->pollers = NULL;
}

static int open_results(struct receiver *receiver, struct metrics *metrics)
{
	static const char *const labels[RECEIVER_RESULTS] = {
		[RECEIVED_FULL] = "result=\"full\"",
		[RECEIVED_PART] = "result=\"part\"",
		[RECEIVED_EMPTY] = "result=\"empty\"",
		[RECEIVED_FAILED] = "result=\"failed\"",
	};

	for (size_t i = 0; i < RECEIVER_RESULTS; i++) {
		receiver->results[i] = metrics_counter(metrics, "bunshin_receives_total",
			"Receives that were answered, by what they brought.", labels[i]);
		if (!receiver->results[i])
			return ERR_NOMEM;
	}
	return 0;
}

int receiver_open_metrics(struct receiver *receiver, struct metrics *metrics)
{
	int err = open_results(receiver, metrics);

	if (err)
		return err;
	for (unsigned i = 0; i < receiver->max_polls; i++) {
		char labels[32];

		snprintf(labels, sizeof(labels), "poller=\"%u\"", i);
		receiver->pollers[i].age_s = metrics_gauge_max(metrics, "bunshin_poll_age_seconds",
			"Since the poller's receive was started; 0: parked.", labels);
		if (!receiver->pollers[i].age_s)
			return ERR_NOMEM;
	}
	return 0;
}

void receiver_show(struct receiver *receiver)
{
	uint64_t now_us = clock_monotonic_us(receiver->delivery->clock);

	for (unsigned i = 0; i < receiver->max_polls; i++) {
		const struct poller *poller = &receiver->pollers[i];

		gauge_set(poller->age_s,
			poller->call ? (int64_t)((now_us - poller->asked_us) / SECOND_US) : 0);
	}
}

static void poller_park(struct poller *poller)
{
	struct receiver *receiver = poller->receiver;

	poller->call = NULL;
	clock_timer_clear(receiver->delivery->clock, &poller->overdue);
	list_remove(&poller->node);
	list_prepend(&receiver->parked, &poller->node);
	receiver->poll_count--;
	receiver->reserved -= poller->asked;
}

static void adapt(struct receiver *receiver, unsigned asked, size_t got)
{
	enum receiver_result result = got == asked ? RECEIVED_FULL
				      : got > 0	   ? RECEIVED_PART
						   : RECEIVED_EMPTY;

	counter_add(receiver->results[result], 1);
	receiver->answered_polls++;
	if (got == asked)
		receiver->full_polls++;
	if (got == asked || (got > 0 && receiver->idle))
		receiver->allowed = receiver->max_polls;
	else if (2 * got < asked && receiver->allowed > 1)
		receiver->allowed--;
	receiver->idle = got == 0;
}

/* Up at once, down slowly. */
static void measure(struct receiver *receiver, const struct queue_batch *batch)
{
	size_t bytes = batch->count ? batch->bytes / batch->count : 0;

	if (bytes >= receiver->message_bytes)
		receiver->message_bytes = bytes;
	else if (batch->count)
		receiver->message_bytes -= (receiver->message_bytes - bytes) / 8;
}

/* Longer each time, one poll alone afterwards. */
static void pause_polls(struct receiver *receiver)
{
	struct clock clock = receiver->delivery->clock;
	int64_t delay_ms;

	/* Polls that were out when the first of them failed say nothing new. */
	if (clock_timer_is_set(&receiver->wake))
		return;
	delay_ms = backoff_delay_ms(&failure_backoff, receiver->failures, clock_random(clock));
	/* Full jitter may draw next to nothing; a floor keeps a broken queue from a busy loop. */
	if (delay_ms < failure_backoff.base_ms / 2)
		delay_ms = failure_backoff.base_ms / 2;
	receiver->failures++;
	receiver->allowed = 1;
	receiver->idle = true;
	clock_timer_after(clock, &receiver->wake, (uint64_t)delay_ms * 1000);
}

static void back_off(struct receiver *receiver)
{
	receiver->connected = false;
	pause_polls(receiver);
}

/* All that came was for lanes that had too much of it, now or when it was for them last. */
static bool is_vain(const struct delivery *delivery)
{
	for (size_t i = 0; i < delivery->lane_count; i++) {
		const struct lane *lane = &delivery->lanes[i];

		if (lane->came && !lane->crowding && !lane->crowded)
			return false;
	}
	return true;
}

/* Nothing is asked for any more but what the crowded lanes have room for. */
static void pause_scout(struct receiver *receiver)
{
	receiver->scout_pause_us =
		receiver->scout_pause_us ? receiver->scout_pause_us * 2 : SCOUT_PAUSE_MIN_US;
	if (receiver->scout_pause_us > SCOUT_PAUSE_MAX_US)
		receiver->scout_pause_us = SCOUT_PAUSE_MAX_US;
	receiver->in_vain = 0;
	clock_timer_after(receiver->delivery->clock, &receiver->scout, receiver->scout_pause_us);
}

/* Whom it was for, and whether there was room, says how eagerly to go on. */
static void take(struct receiver *receiver, struct queue_batch *batch, uint64_t asked_us)
{
	struct delivery *delivery = receiver->delivery;
	uint64_t crowded = core_counted(delivery, COUNT_CROWDED);
	size_t count = batch->count;
	bool vain;

	for (size_t i = 0; i < delivery->lane_count; i++)
		delivery->lanes[i].came = delivery->lanes[i].crowding = false;
	intake_take(delivery, batch, asked_us);
	crowded = core_counted(delivery, COUNT_CROWDED) - crowded;
	vain = count > 0 && is_vain(delivery);
	for (size_t i = 0; i < delivery->lane_count; i++)
		if (!vain || crowded > 0)
			delivery->lanes[i].crowded = vain && delivery->lanes[i].crowding;
	if (!vain) {
		receiver->scout_pause_us = 0;
		receiver->in_vain = 0;
		clock_timer_clear(delivery->clock, &receiver->scout);
		return;
	}
	receiver->in_vain += (unsigned)crowded;
	if (receiver->in_vain >= IN_VAIN_MAX && !clock_timer_is_set(&receiver->scout))
		pause_scout(receiver);
}

static void answered(
	struct receiver *receiver, unsigned asked, struct queue_batch *batch, uint64_t asked_us)
{
	struct delivery *delivery = receiver->delivery;

	if (!receiver->connected) {
		receiver->connected = true;
		core_notify(delivery, &(struct delivery_event){.kind = DELIVERY_QUEUE_CONNECTED,
					      .operation = "receive"});
	}
	adapt(receiver, asked, batch->count);
	measure(receiver, batch);
	inflight_received(&delivery->inflight, batch->count);
	if (receiver->deletes_denied)
		pause_polls(receiver);
	else
		receiver->failures = 0;
	take(receiver, batch, asked_us);
}

static void received(void *arg, int err, struct queue_batch *batch, const char *detail)
{
	struct poller *poller = arg;
	struct receiver *receiver = poller->receiver;
	struct delivery *delivery = receiver->delivery;

	poller_park(poller);
	if (err) {
		counter_add(receiver->results[RECEIVED_FAILED], 1);
		core_queue_failed(delivery, "receive", err, detail);
		inflight_refused(&delivery->inflight, err);
		back_off(receiver);
	} else {
		answered(receiver, poller->asked, batch, poller->asked_us);
	}
	core_advance(delivery);
}

static void poller_overdue(struct clock_timer *timer)
{
	struct poller *poller = list_entry(timer, struct poller, overdue);
	struct receiver *receiver = poller->receiver;
	struct delivery *delivery = receiver->delivery;
	struct queue queue = delivery->options.queue;

	queue.ops->cancel(queue.impl, poller->call);
	poller_park(poller);
	counter_add(delivery->metrics.polls_overdue, 1);
	core_queue_failed(delivery, "receive", ERR_TIMEOUT,
		"a receive has not ended long after its deadline; given up and begun anew");
	back_off(receiver);
	core_advance(delivery);
}
static int start_poll(struct receiver *receiver, unsigned asked)
{
	struct delivery *delivery = receiver->delivery;
	struct queue queue = delivery->options.queue;
	struct queue_receive params = {.max_messages = asked,
		.wait_s = delivery->options.wait_s,
		.visibility_s = delivery->options.visibility_s};
	struct poller *poller = list_entry(list_first(&receiver->parked), struct poller, node);
	int err;

	poller->asked = asked;
	poller->asked_us = clock_monotonic_us(delivery->clock);
	list_remove(&poller->node);
	list_append(&receiver->polling, &poller->node);
	receiver->poll_count++;
	receiver->reserved += asked;
	err = queue.ops->receive(queue.impl, &params, received, poller, &poller->call);
	if (err)
		poller_park(poller);
	else /* Without memory for the timer the layers below keep the deadline. */
		clock_timer_after(delivery->clock, &poller->overdue,
			(OVERDUE_WAITS * params.wait_s + OVERDUE_S) * SECOND_US);
	return err;
}

/*
 * What the lanes have room for; total: slots that may be used, an open breaker's not; quantum: how
 * many are worth a receive. One lane's backlog takes nothing from the others: what comes for it
 * beyond its own room goes back. crowded_only: as if the others had none.
 */
static size_t room(
	struct delivery *delivery, bool crowded_only, size_t *ret_total, size_t *ret_quantum)
{
	size_t sum = 0, quantum = 0;

	*ret_total = 0;
	for (size_t i = 0; i < delivery->lane_count; i++)
		if (!crowded_only || delivery->lanes[i].crowded)
			sum += lane_room(&delivery->lanes[i], ret_total, &quantum);
	/* Waiting for ten makes full receives, which cost least. */
	*ret_quantum = quantum > QUEUE_BATCH_MAX ? QUEUE_BATCH_MAX : quantum < 1 ? 1 : quantum;
	return sum;
}

/* What was sent but not yet settled is bounded too, or a queue that fails would fill the memory. */
static bool is_clogged(struct delivery *delivery, size_t total)
{
	size_t working = delivery->counts[MESSAGE_RECEIVED] + delivery->counts[MESSAGE_SENDING];

	return delivery->held - working > 2 * total + 100 * QUEUE_BATCH_MAX;
}

/* Messages that there is memory for, beside those held and those that are on their way. */
static size_t memory_left(const struct receiver *receiver)
{
	const struct delivery *delivery = receiver->delivery;
	size_t limit = delivery->options.held_bytes;
	size_t taken = delivery->held_bytes + receiver->reserved * receiver->message_bytes;
	size_t left = taken < limit ? limit - taken : 0;

	if (!receiver->message_bytes)
		return receiver->poll_count || delivery->held_bytes > limit ? 0 : QUEUE_BATCH_MAX;
	/* However large they are, one at a time must go. */
	if (left < receiver->message_bytes)
		return taken == 0 ? 1 : 0;
	return left / receiver->message_bytes;
}

void receiver_pump(struct receiver *receiver)
{
	struct delivery *delivery = receiver->delivery;
	unsigned allowed = receiver->deletes_denied ? 1 : receiver->allowed;
	size_t total, quantum, free_slots;

	if (receiver->stopped || delivery->hold.control.paused ||
		clock_timer_is_set(&receiver->wake))
		return;
	free_slots = room(delivery, clock_timer_is_set(&receiver->scout), &total, &quantum);
	/* Nothing is going to end and make more room. */
	if (delivery->held == 0 && receiver->poll_count == 0)
		quantum = 1;
	while (receiver->poll_count < allowed && !is_clogged(delivery, total)) {
		size_t left = free_slots > receiver->reserved ? free_slots - receiver->reserved : 0;
		size_t memory = memory_left(receiver);

		if (left < quantum || memory == 0)
			break;
		left = left < memory ? left : memory;
		if (start_poll(receiver,
			    (unsigned)(left > QUEUE_BATCH_MAX ? QUEUE_BATCH_MAX : left))) {
			back_off(receiver);
			break;
		}
	}
}

void receiver_deletes_denied(struct receiver *receiver, bool denied)
{
	if (!denied && receiver->deletes_denied && receiver->connected) {
		receiver->failures = 0;
		clock_timer_clear(receiver->delivery->clock, &receiver->wake);
	}
	receiver->deletes_denied = denied;
}

void receiver_stop(struct receiver *receiver)
{
	receiver->stopped = true;
	clock_timer_clear(receiver->delivery->clock, &receiver->wake);
	clock_timer_clear(receiver->delivery->clock, &receiver->scout);
}

void receiver_cancel(struct receiver *receiver)
{
	struct queue queue = receiver->delivery->options.queue;

	list_for_each_safe (node, &receiver->polling) {
		struct poller *poller = list_entry(node, struct poller, node);

		queue.ops->cancel(queue.impl, poller->call);
		poller_park(poller);
	}
}

bool receiver_is_forgotten(const struct receiver *receiver)
{
	return receiver->poll_count == 0 && !clock_timer_is_set(&receiver->wake) &&
	       !clock_timer_is_set(&receiver->scout);
}
