/* The public face of the core: made, started, counted, freed. */
#include "delivery/delivery.h"

#include "bunshin/error.h"
#include "delivery/core.h"
#include "delivery/group.h"

#include <stdlib.h>
#include <string.h>

#define LIST_MAX_BYTES ((size_t)4 << 20) /* no message is that large */

static int open_states(struct core_metrics *c, struct metrics *m)
{
	for (int state = 0; state < MESSAGE_END_FIRST; state++) {
		char labels[64] = "state=\"";
		size_t n = strlen(labels);

		for (const char *p = message_state_name(state); *p; p++)
			labels[n++] = *p == ' ' ? '_' : *p;
		labels[n++] = '"';
		labels[n] = '\0';
		c->states[state] = metrics_gauge(
			m, "bunshin_messages_held", "Messages held, by state.", labels);
		if (!c->states[state])
			return ERR_NOMEM;
	}
	return 0;
}

static int open_metrics(struct delivery *delivery)
{
	struct metrics *m = delivery->options.metrics;
	struct core_metrics *c = &delivery->metrics;
	const struct {
		struct counter **counter;
		const char *name, *help, *labels;
	} counters[] = {
		{&c->received, "bunshin_messages_received_total",
			"Messages received, again or not.", ""},
		{&c->deleted, "bunshin_messages_deleted_total", "Messages deleted from the queue.",
			""},
		{&c->returned, "bunshin_messages_returned_total", "Messages put back for now.", ""},
		{&c->extended, "bunshin_visibility_extended_total", "Visibility extensions.", ""},
		{&c->queue_errors, "bunshin_queue_errors_total", "Calls to the queue that failed.",
			""},
		{&c->polls_overdue, "bunshin_polls_overdue_total",
			"Receives given up since they had not ended long after their deadline.",
			""},
		{&c->ledger_cut_short, "bunshin_ledger_cut_short_total",
			"Keys that left the ledger before the end of its window.", ""},
	};

	for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++) {
		*counters[i].counter =
			metrics_counter(m, counters[i].name, counters[i].help, counters[i].labels);
		if (!*counters[i].counter)
			return ERR_NOMEM;
	}
	c->held_bytes = metrics_gauge(m, "bunshin_held_bytes", "Memory of held messages.", "");
	c->held_bytes_limit = metrics_gauge(m, "bunshin_held_bytes_limit",
		"Memory of held messages above which none are received.", "");
	c->ledger_window_s = metrics_gauge_min(m, "bunshin_ledger_window_seconds",
		"How long keys stay in the ledger: its window, or less once it is full.", "");
	if (!c->held_bytes || !c->held_bytes_limit || !c->ledger_window_s)
		return ERR_NOMEM;
	gauge_set(c->held_bytes_limit, (int64_t)delivery->options.held_bytes);
	if (delivery->options.ledger)
		gauge_set(c->ledger_window_s, (delivery->options.ledger->window_ms + 999) / 1000);
	return open_states(c, m);
}

static bool are_valid(const struct delivery_options *o)
{
	if (o->destination_count < 1 || o->destination_count > DELIVERY_DESTINATIONS_MAX ||
		!o->metrics || !o->queue.ops || o->wait_s > 20 || o->visibility_s < 1 ||
		o->visibility_s > QUEUE_VISIBILITY_MAX_S || o->receivers > DELIVERY_RECEIVERS_MAX ||
		o->grace_ms < 0)
		return false;
	for (size_t i = 0; i < o->destination_count; i++) {
		const struct delivery_destination *d = &o->destinations[i];

		if (!d->name || !d->target.ops || d->attempt_max_ms < 1 || d->concurrency < 1 ||
			d->max_attempts < 1 ||
			((d->batch_field || d->batch_records) && d->batch_max < 1) ||
			d->backoff.base_ms < 1 || d->backoff.cap_ms < d->backoff.base_ms)
			return false;
	}
	return true;
}

/* Messages that one slot may make use of. */
static unsigned batch_of(const struct delivery_destination *destination)
{
	unsigned max = destination->batch_max;

	if (!destination->batch_field && !destination->batch_records)
		return 1;
	return max < QUEUE_BATCH_MAX ? max : QUEUE_BATCH_MAX;
}

/* One poll for every twenty slots keeps them filled at a queue latency near the provider's. */
static unsigned receivers_for(const struct delivery_options *options)
{
	unsigned slots = 0;

	if (options->receivers)
		return options->receivers;
	for (size_t i = 0; i < options->destination_count; i++)
		slots += options->destinations[i].concurrency * batch_of(&options->destinations[i]);
	return slots / 20 + 1 > 64 ? 64 : slots / 20 + 1;
}

int delivery_new(const struct delivery_options *options, struct delivery **ret_delivery)
{
	struct delivery *delivery;
	int err = 0;

	if (!are_valid(options))
		return ERR_ARGUMENT;
	delivery = calloc(1, sizeof(*delivery));
	if (!delivery)
		return ERR_NOMEM;
	delivery->options = *options;
	delivery->options.destinations = NULL; /* copied into the lanes */
	delivery->clock = options->clock;
	delivery->load.asked_us = clock_monotonic_us(delivery->clock);
	delivery->campaigns.metrics = options->metrics;
	buf_init(&delivery->list, LIST_MAX_BYTES);
	for (int state = 0; state < MESSAGE_END_FIRST; state++)
		list_init(&delivery->states[state]);
	inflight_init(&delivery->inflight, delivery);
	err = receiver_init(&delivery->receiver, delivery, receivers_for(options));
	settle_init(delivery);
	keeper_init(delivery);
	drain_init(delivery);
	hold_init(delivery);
	delivery->lanes = calloc(options->destination_count, sizeof(*delivery->lanes));
	if (options->fifo)
		delivery->groups = group_buckets_new();
	if (err || !delivery->lanes || (options->fifo && !delivery->groups))
		err = ERR_NOMEM;
	while (!err && delivery->lane_count < options->destination_count) {
		err = lane_init(&delivery->lanes[delivery->lane_count], delivery,
			&options->destinations[delivery->lane_count]);
		if (!err)
			delivery->has_routes |=
				delivery->lanes[delivery->lane_count++].destination.when_count > 0;
	}
	if (!err)
		err = open_metrics(delivery);
	if (!err)
		err = counts_open_messages(&delivery->metrics.unrouted, options->metrics, "");
	if (!err)
		err = receiver_open_metrics(&delivery->receiver, options->metrics);
	if (!err)
		err = inflight_open_metrics(&delivery->inflight, options->metrics);
	if (err) {
		delivery_free(delivery);
		return err;
	}
	*ret_delivery = delivery;
	return 0;
}

void delivery_set_visibility(struct delivery *delivery, unsigned visibility_s)
{
	delivery->options.visibility_s = visibility_s;
}

void delivery_start(struct delivery *delivery)
{
	progress_look(delivery);
	delivery->started = true;
	receiver_pump(&delivery->receiver);
}

static void drop_all(struct list *messages)
{
	while (!list_is_empty(messages))
		message_drop(list_entry(list_first(messages), struct message, node));
}

void delivery_free(struct delivery *delivery)
{
	if (!delivery)
		return;
	receiver_stop(&delivery->receiver);
	receiver_cancel(&delivery->receiver);
	inflight_stop(&delivery->inflight);
	batcher_stop(&delivery->deleter);
	batcher_stop(&delivery->returner);
	batcher_stop(&delivery->extender);
	batcher_stop(&delivery->copier);
	for (size_t i = 0; i < delivery->lane_count; i++)
		drop_all(&delivery->lanes[i].waiting);
	for (int state = 0; state < MESSAGE_END_FIRST; state++)
		drop_all(&delivery->states[state]);
	clock_timer_clear(delivery->clock, &delivery->drain_timer);
	clock_timer_clear(delivery->clock, &delivery->drain_over);
	clock_timer_clear(delivery->clock, &delivery->hold.ask);
	for (size_t i = 0; i < delivery->lane_count; i++)
		lane_free(&delivery->lanes[i]);
	free(delivery->lanes);
	free(delivery->groups);
	json_free(&delivery->json);
	buf_free(&delivery->list);
	receiver_free(&delivery->receiver);
	free(delivery);
}

size_t delivery_held(const struct delivery *delivery)
{
	return delivery->held;
}

bool delivery_is_receiving(const struct delivery *delivery)
{
	return delivery->receiver.poll_count > 0;
}

static uint64_t attempts(const struct delivery *delivery)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < delivery->lane_count; i++)
		sum += delivery->lanes[i].counts.attempts->value;
	return sum;
}

static uint64_t attempts_out(const struct delivery *delivery)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < delivery->lane_count; i++)
		sum += delivery->lanes[i].sending;
	return sum;
}

void delivery_get_stats(const struct delivery *delivery, struct delivery_stats *ret_stats)
{
	const struct core_metrics *m = &delivery->metrics;

	*ret_stats = (struct delivery_stats){.received = m->received->value,
		.attempts = attempts(delivery),
		.accepted = core_counted(delivery, COUNT_ACCEPTED),
		.suppressed = core_counted(delivery, COUNT_SUPPRESSED),
		.retried = core_counted(delivery, COUNT_RETRIED),
		.failed = core_counted(delivery, COUNT_FAILED),
		.failed_left = core_counted(delivery, COUNT_FAILED_LEFT),
		.expired = core_counted(delivery, COUNT_EXPIRED),
		.cancelled = core_counted(delivery, COUNT_CANCELLED),
		.postponed = core_counted(delivery, COUNT_POSTPONED),
		.crowded = core_counted(delivery, COUNT_CROWDED),
		.deleted = m->deleted->value,
		.returned = m->returned->value,
		.lost = core_counted(delivery, COUNT_LOST),
		.extended = m->extended->value,
		.sending = attempts_out(delivery)};
}

void delivery_get_health(const struct delivery *delivery, struct delivery_health *ret_health)
{
	*ret_health = (struct delivery_health){.connected = delivery->receiver.connected,
		.draining = delivery->drain != DRAIN_NO,
		.deletes_denied = delivery->receiver.deletes_denied,
		.in_flight_limit = delivery->inflight.reached,
		.paused = delivery->hold.control.paused};
}

/* Of attempts that are out: what they have taken so far. */
static uint64_t under_way_us(const struct delivery *delivery, uint64_t now_us)
{
	uint64_t sum = 0;

	list_for_each (node, &delivery->states[MESSAGE_SENDING]) {
		const struct message *message = list_entry(node, struct message, node);

		sum += message->follows ? 0 : now_us - message->attempt_us;
	}
	return sum;
}

void delivery_get_work(struct delivery *delivery, struct delivery_work *ret_work)
{
	uint64_t now_us = clock_monotonic_us(delivery->clock);
	struct load *load = &delivery->load;

	*ret_work = (struct delivery_work){.busy = attempts_out(delivery),
		.waiting = delivery->counts[MESSAGE_RECEIVED],
		.busy_us = load->ended_us + under_way_us(delivery, now_us),
		.token_waits = load->token_waits,
		.polls = delivery->receiver.answered_polls,
		.full_polls = delivery->receiver.full_polls,
		.progress_us = progress_look(delivery)};
	for (size_t i = 0; i < delivery->lane_count; i++) {
		ret_work->slots += (uint64_t)(delivery->lanes[i].limiter.limit + 0.5);
		ret_work->ceiling += delivery->lanes[i].destination.concurrency;
	}
	load->slots_us += ret_work->slots * (now_us - load->asked_us);
	load->ceiling_us += ret_work->ceiling * (now_us - load->asked_us);
	load->asked_us = now_us;
	ret_work->slots_us = load->slots_us;
	ret_work->ceiling_us = load->ceiling_us;
}

bool delivery_breaker_is_open(const struct delivery *delivery, size_t destination)
{
	return delivery->lanes[destination].breaker.state != BREAKER_CLOSED;
}

bool delivery_quota_is_used_up(const struct delivery *delivery, size_t destination)
{
	return delivery_breaker_is_open(delivery, destination) &&
	       delivery->lanes[destination].quota_used_up;
}

void delivery_show(struct delivery *delivery)
{
	receiver_show(&delivery->receiver);
	for (size_t i = 0; i < delivery->lane_count; i++)
		lane_show(&delivery->lanes[i]);
}

const struct histogram *delivery_latency(const struct delivery *delivery, size_t destination)
{
	return delivery->lanes[destination].counts.latency_us;
}
