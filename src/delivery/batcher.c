#include "delivery/batcher.h"

#include "bunshin/error.h"
#include "delivery/core.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void call_free(struct batch_call *call)
{
	list_remove(&call->node);
	call->batcher->call_count--;
	free(call);
}

/* As SQS counts them: the body, and names, types and values of the attributes. */
static size_t bytes_of(const struct queue_message *message)
{
	size_t bytes = message->body_bytes;

	for (size_t i = 0; i < message->attribute_count; i++)
		bytes += strlen(message->attributes[i].name) + strlen(message->attributes[i].type) +
			 message->attributes[i].value_bytes;
	return bytes;
}

/* Moves up to ten waiting messages into the call. */
static void fill(struct batcher *batcher, struct batch_call *call)
{
	size_t bytes = 0;

	list_for_each_safe (node, &batcher->waiting) {
		struct batch_link *link = list_entry(node, struct batch_link, node);

		if (batcher->may_join && !batcher->may_join(link->message, call))
			continue;
		if (batcher->max_bytes)
			bytes += bytes_of(link->message->queued);
		if (call->count && (bytes > batcher->max_bytes || link->message->settle_alone))
			break;
		list_remove(&link->node);
		batcher->waiting_count--;
		link->call = call;
		link->slot = (unsigned)call->count;
		call->links[call->count] = link;
		call->messages[call->count++] = link->message;
		if (link->message->settle_alone || call->count == QUEUE_BATCH_MAX)
			break;
	}
}

static void release_link(struct batch_call *call, size_t i)
{
	call->links[i]->call = NULL;
	call->links[i]->batcher = NULL;
}

/*
 * Hands the messages their results. The call no longer counts, so that they may be added again; and
 * one may end others of its group, in this very call: those are found forgotten.
 */
static void settle_all(struct batch_call *call, const int results[], int common)
{
	list_remove(&call->node);
	call->batcher->call_count--;
	for (size_t i = 0; i < call->count; i++) {
		struct message *message = call->messages[i];

		if (!message)
			continue;
		release_link(call, i);
		call->batcher->settled(message, results ? results[i] : common, call->started_us);
	}
	free(call);
}

/* Puts what fill() took back, in front. */
static void unfill(struct batcher *batcher, struct batch_call *call)
{
	while (call->count) {
		struct batch_link *link = call->links[--call->count];

		link->call = NULL;
		list_prepend(&batcher->waiting, &link->node);
		batcher->waiting_count++;
	}
}

/*
 * Of those that wait, some may not be in any call now: the rest leaves when it fills one, or when
 * the linger time is over (partial). False: nothing could be started now.
 */
static bool start_call(struct batcher *batcher, bool partial)
{
	struct batch_call *call = calloc(1, sizeof(*call));
	int err;

	if (!call)
		return false;
	call->batcher = batcher;
	call->started_us = clock_monotonic_us(batcher->delivery->clock);
	list_append(&batcher->calls, &call->node);
	batcher->call_count++;
	fill(batcher, call);
	if (batcher->may_join && call->count < QUEUE_BATCH_MAX && !partial)
		unfill(batcher, call);
	if (!call->count) {
		call_free(call);
		return false;
	}
	err = batcher->start(batcher, call);
	if (err)
		settle_all(call, NULL, err);
	return true;
}

static void flush(struct batcher *batcher, bool partial)
{
	while (batcher->call_count < batcher->max_calls &&
		(batcher->waiting_count >= QUEUE_BATCH_MAX ||
			(partial && batcher->waiting_count))) {
		if (!start_call(batcher, partial))
			break;
	}
	if (!batcher->waiting_count)
		clock_timer_clear(batcher->delivery->clock, &batcher->linger);
	else if (!clock_timer_is_set(&batcher->linger) &&
		 clock_timer_after(batcher->delivery->clock, &batcher->linger, CORE_LINGER_US) &&
		 !partial)
		flush(batcher, true); /* out of memory for a timer: the linger is a maximum */
}

static void linger_fired(struct clock_timer *timer)
{
	struct batcher *batcher = list_entry(timer, struct batcher, linger);

	flush(batcher, true);
	/* Calls that could not be started may have ended messages. */
	core_advance(batcher->delivery);
}

void batcher_init(struct batcher *batcher)
{
	list_init(&batcher->waiting);
	list_init(&batcher->calls);
	batcher->linger.fire = linger_fired;
}

void batcher_stop(struct batcher *batcher)
{
	struct queue queue = batcher->delivery->options.queue;

	if (batcher == &batcher->delivery->copier)
		queue = batcher->delivery->options.failure_queue;
	clock_timer_clear(batcher->delivery->clock, &batcher->linger);
	list_for_each_safe (node, &batcher->calls) {
		struct batch_call *call = list_entry(node, struct batch_call, node);

		queue.ops->cancel(queue.impl, call->call);
		for (size_t i = 0; i < call->count; i++)
			if (call->messages[i])
				release_link(call, i);
		call_free(call);
	}
}

void batcher_add(struct batcher *batcher, struct batch_link *link)
{
	assert(!link->batcher);
	link->batcher = batcher;
	list_append(&batcher->waiting, &link->node);
	batcher->waiting_count++;
	flush(batcher, false);
}

void batcher_forget(struct batch_link *link)
{
	if (link->call) {
		link->call->messages[link->slot] = NULL;
	} else if (link->batcher) {
		list_remove(&link->node);
		link->batcher->waiting_count--;
	}
	link->call = NULL;
	link->batcher = NULL;
}

void batcher_done(void *arg, const int results[], size_t count, const char *detail)
{
	struct batch_call *call = arg;
	struct batcher *batcher = call->batcher;
	struct delivery *delivery = batcher->delivery;

	call->call = NULL;
	assert(count == call->count);
	latency_record(&delivery->latency, clock_monotonic_us(delivery->clock) - call->started_us);
	for (size_t i = 0; i < count; i++) {
		if (results[i]) {
			core_queue_failed(delivery, batcher->operation, results[i], detail);
			break;
		}
	}
	settle_all(call, results, 0);
	flush(batcher, false);
	core_advance(delivery);
}
