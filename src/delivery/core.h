/*
 * The insides of the core, shared by its files. Private to delivery.
 */
#ifndef DELIVERY_CORE_H
#define DELIVERY_CORE_H

#include "base/buf.h"
#include "base/json.h"
#include "base/list.h"
#include "base/metrics.h"
#include "delivery/batcher.h"
#include "delivery/campaign.h"
#include "delivery/counts.h"
#include "delivery/delivery.h"
#include "delivery/inflight.h"
#include "delivery/lane.h"
#include "delivery/latency.h"
#include "delivery/message.h"
#include "delivery/receiver.h"

#define CORE_LINGER_US 50000 /* a batch that is not full waits this long at most */

/* What is counted of no destination in particular; the rest is in the lanes. */
struct core_metrics {
	struct counter *received, *deleted, *returned, *extended, *queue_errors, *polls_overdue,
		*ledger_cut_short;
	struct counts unrouted; /* messages alone: of those that no destination is for */
	struct gauge *states[MESSAGE_END_FIRST];
	struct gauge *held_bytes, *held_bytes_limit;
	/* In force: shorter than configured once it is cut short. Rounded up. */
	struct gauge *ledger_window_s;
};

/* progress.c */
struct progress {
	uint64_t moves;	     /* of messages from one state to another */
	uint64_t moves_seen; /* when it was asked last */
	uint64_t asked_us;
	uint64_t latest_us;
};

/* Over time, for delivery_work; what changes seldom is as it was when it was asked last. */
struct load {
	uint64_t ended_us; /* of attempts that have ended */
	uint64_t asked_us;
	uint64_t slots_us, ceiling_us;
	uint64_t token_waits;
};

/* hold.c: what control keeps from being started. */
struct hold {
	bool known; /* control was set */
	struct control control;
	bool doubted, asked; /* wants_control() was called, or is about to be */
	struct clock_timer ask;
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
	bool has_routes;	/* some lane has conditions: bodies are read */
	struct list *groups;	/* GROUP_BUCKETS of them; NULL: the queue is not FIFO */
	bool groups_moved;	/* one left its row: the next of it may be first in any lane */
	struct latency latency; /* of the queue's answers, long polls aside */
	struct list states[MESSAGE_END_FIRST]; /* [MESSAGE_RECEIVED] unused: those lists are the
						  lanes' */
	size_t counts[MESSAGE_END_FIRST];
	size_t held;	   /* messages, all states */
	size_t held_bytes; /* of batches */
	bool started;
	struct progress progress;
	struct load load;
	struct hold hold;
	struct receiver receiver;
	struct inflight inflight;
	struct batcher deleter;	 /* DeleteMessageBatch for what is done */
	struct batcher returner; /* ChangeMessageVisibilityBatch for what backs off */
	struct batcher extender; /* ChangeMessageVisibilityBatch for what is still at work */
	struct batcher copier;	 /* SendMessageBatch to the failure queue */
	struct core_metrics metrics;
	struct campaigns campaigns;
	struct json json;	 /* scratch */
	struct buf list;	 /* scratch: the recipients of a request */
	uint64_t ledger_told_us; /* when its being cut short was last told; 0: never */
	enum drain_phase drain;
	struct clock_timer drain_timer; /* the end of the phase */
	struct clock_timer drain_over;	/* calls drain_done: that may free the delivery */
	uint64_t drain_end_us;		/* of the grace time */
	void (*drain_done)(void *arg, size_t held);
	void *drain_arg;
};

/* intake.c */
/* asked_us: when the receive was sent. The batch's reference is the callee's. */
void intake_take(struct delivery *delivery, struct queue_batch *batch, uint64_t asked_us);

/* core.c: one more of that outcome, and how many there were. */
void core_count(struct message *message, enum count what);
uint64_t core_counted(const struct delivery *delivery, enum count what);

/* core.c: what a message's life consists of. Each leaves the message in a state of the table. */
void core_accept(struct message *message, const struct target_result *result);
void core_fail(struct message *message, const struct target_result *result, const char *reason);
/* Its copy to the failure queue is confirmed. */
void core_copied(struct message *message);
/* Terminal, but no failure queue takes it: left to the queue's redrive policy. */
void core_leave(struct message *message, const struct target_result *result, const char *reason);
void core_expire(struct message *message);
/* Its campaign is cancelled: deleted without a send. */
void core_cancel(struct message *message);
/* Accepted before, says the ledger: deleted without a send. */
void core_suppress(struct message *message);
/* Not to be sent yet. */
void core_postpone(struct message *message, int64_t delay_ms, const char *reason);
/* Its attempt was cancelled in a drain: put back, with what came of it unknown. */
void core_give_up(struct message *message);
/* Its attempt was accepted: writes that into the ledger. */
void core_record(struct message *message);
/* Its attempt brought no acceptance: takes its claim in the ledger back. */
void core_unclaim(struct message *message);
void core_return(struct message *message, int64_t delay_ms);
/* Its attempt brought no acceptance, but another may. result NULL: of a packed message. */
void core_retry(struct message *message, const struct target_result *result, const char *reason,
	int64_t delay_ms);
/* Something was written into the ledger: tells when that is too small. */
void core_watch_ledger(struct delivery *delivery);
void core_lose(struct message *message);
/* Something became free or ended: refill, and see whether a drain is over. */
void core_advance(struct delivery *delivery);
int64_t core_backoff_ms(const struct message *message);
void core_notify(struct delivery *delivery, const struct delivery_event *event);
void core_queue_failed(
	struct delivery *delivery, const char *operation, int err, const char *detail);

/* settle.c: the four batchers' two halves, and the retry of what failed. */
void settle_init(struct delivery *delivery);
void settle_start(struct message *message); /* the settlement that its state wants */
void settle_retry_fired(struct clock_timer *timer);

/*
 * drain.c: the clean stop. drain_advance() may end it, and with it the delivery: it comes last in
 * whatever the loop has called, and so does core_advance().
 */
void drain_init(struct delivery *delivery);
void drain_advance(struct delivery *delivery);

/* hold.c */
void hold_init(struct delivery *delivery);
/* Its campaign is cancelled. */
bool hold_cancels(const struct message *message);
/* Nothing may be started; when that is for doubt alone, control is asked for. */
bool hold_keeps(struct delivery *delivery);

/* progress.c: delivery_work.progress_us. */
uint64_t progress_look(struct delivery *delivery);

/* keeper.c: visibility. */
/* The instant, at the earliest, at which what such a receive has brought now is visible again. */
uint64_t keeper_visible_us(const struct delivery *delivery, uint64_t asked_us, uint64_t now_us);
void keeper_watch(struct message *message);
void keeper_fired(struct clock_timer *timer);
/* The message may still be started: visible to nobody else for long enough. */
bool keeper_holds(const struct message *message, uint64_t now_us);
void keeper_init(struct delivery *delivery);
/* Seconds that a visibility change may still ask for; 0: none. */
unsigned keeper_seconds_left(const struct message *message, uint64_t now_us);

#endif
