/*
 * The insides of the core, shared by its files. Private to delivery.
 */
#ifndef DELIVERY_CORE_H
#define DELIVERY_CORE_H

#include "base/list.h"
#include "base/metrics.h"
#include "delivery/batcher.h"
#include "delivery/breaker.h"
#include "delivery/delivery.h"
#include "delivery/message.h"
#include "delivery/receiver.h"

#define CORE_LINGER_US 50000 /* a batch that is not full waits this long at most */

/* One destination: its waiting messages, its slots, its breaker. */
struct lane {
	struct delivery *delivery;
	char *name;
	struct target target;
	unsigned concurrency;
	struct status_range *accept;
	size_t accept_count;
	struct list waiting; /* RECEIVED messages */
	size_t waiting_count;
	unsigned sending;
	struct breaker breaker;
	struct clock_timer wake; /* for the breaker's probe, and after a start that failed */
};

/* The counters behind delivery_stats, and the rest of what /metrics will show. */
struct core_metrics {
	struct counter *received, *attempts, *accepted, *retried, *failed, *failed_left, *expired,
		*postponed, *deleted, *returned, *lost, *extended, *queue_errors;
	struct gauge *states[MESSAGE_END_FIRST];
	struct gauge *held_bytes;
	struct histogram *latency_us; /* SentTimestamp to acceptance */
	struct histogram *attempt_us;
};

/* A clean stop, phase by phase; each ends early when nothing is left to wait for. */
enum drain_phase {
	DRAIN_NO,
	DRAIN_POLLS,	/* receives under way may still answer */
	DRAIN_ATTEMPTS, /* idle polls have been given up; attempts may finish */
	DRAIN_SETTLE,	/* attempts have been given up; calls to the queue may finish */
	DRAIN_OVER,
};

struct delivery {
	struct delivery_options options;
	struct clock clock;
	struct lane *lanes;
	size_t lane_count;
	struct list states[MESSAGE_END_FIRST]; /* [MESSAGE_RECEIVED] unused: those lists are the
						  lanes' */
	size_t counts[MESSAGE_END_FIRST];
	size_t held;	   /* messages, all states */
	size_t held_bytes; /* of batches */
	struct receiver receiver;
	struct batcher deleter;	 /* DeleteMessageBatch for what is done */
	struct batcher returner; /* ChangeMessageVisibilityBatch for what backs off */
	struct batcher extender; /* ChangeMessageVisibilityBatch for what is still at work */
	struct batcher copier;	 /* SendMessageBatch to the failure queue */
	struct core_metrics metrics;
	enum drain_phase drain;
	struct clock_timer drain_timer; /* the end of the phase; OVER: the call of drain_done */
	uint64_t drain_end_us;		/* of the grace time */
	void (*drain_done)(void *arg, size_t held);
	void *drain_arg;
};

/* core.c: what a message's life consists of. Each leaves the message in a state of the table. */
void core_take(struct delivery *delivery, struct queue_batch *batch);
void core_accept(struct message *message, const struct target_result *result);
void core_fail(struct message *message, const struct target_result *result, const char *reason);
/* Terminal, but no failure queue takes it: left to the queue's redrive policy. */
void core_leave(struct message *message, const struct target_result *result, const char *reason);
void core_expire(struct message *message);
void core_return(struct message *message, int64_t delay_ms);
void core_lose(struct message *message);
/* Something became free or ended: refill, and see whether a drain is over. */
void core_advance(struct delivery *delivery);
int64_t core_backoff_ms(const struct message *message);
void core_notify(struct delivery *delivery, const struct delivery_event *event);
void core_queue_failed(
	struct delivery *delivery, const char *operation, int err, const char *detail);

/* lane.c */
int lane_init(
	struct lane *lane, struct delivery *delivery, const struct delivery_destination *from);
void lane_free(struct lane *lane);
/* Starts what may be started. */
void lane_pump(struct lane *lane);
/* Slots without an attempt, of those that may be used now; these are added to *total. */
size_t lane_free_slots(struct lane *lane, size_t *total);
/* Puts everything that waits back. */
void lane_release(struct lane *lane);
/* Gives up every attempt in flight and puts its message back. */
void lane_abandon(struct lane *lane);

/* settle.c: the four batchers' two halves, and the retry of what failed. */
void settle_init(struct delivery *delivery);
void settle_start(struct message *message); /* the settlement that its state wants */
void settle_retry_fired(struct clock_timer *timer);

/* drain.c: the clean stop. */
void drain_init(struct delivery *delivery);
void drain_advance(struct delivery *delivery);

/* keeper.c: visibility. */
void keeper_watch(struct message *message);
void keeper_fired(struct clock_timer *timer);
/* The message may still be started: visible to nobody else for long enough. */
bool keeper_holds(const struct message *message, uint64_t now_us);
void keeper_init(struct delivery *delivery);
/* Seconds that a visibility change may still ask for; 0: none. */
unsigned keeper_seconds_left(const struct message *message, uint64_t now_us);

#endif
