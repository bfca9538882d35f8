/*
 * The delivery core: receive -> dispatch -> classify -> delete | back off | copy to the failure
 * queue. It reaches the world through three tables only (bunshin/queue.h, target.h, clock.h) and
 * runs the same on sockets and in virtual time.
 *
 * Not thread-safe; every call is made from the loop that the tables run on.
 */
#ifndef DELIVERY_DELIVERY_H
#define DELIVERY_DELIVERY_H

#include "base/metrics.h"
#include "base/recipient_key.h"
#include "bunshin/clock.h"
#include "bunshin/queue.h"
#include "bunshin/target.h"
#include "delivery/backoff.h"
#include "delivery/control.h"
#include "delivery/ledger.h"
#include "delivery/outcome.h"
#include "delivery/rate.h"
#include "delivery/route.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DELIVERY_DESTINATIONS_MAX 64
#define DELIVERY_RECEIVERS_MAX 256

struct delivery;

/* The name is copied; what the other pointers lead to is borrowed and outlives the delivery. */
struct delivery_destination {
	const char *name;
	struct target target;
	int64_t attempt_max_ms; /* no attempt of the target lasts longer; at least 1 */
	unsigned concurrency;	/* attempts in flight at most; at least 1 */
	bool adaptive;		/* finds below `concurrency` what the provider takes */
	/*
	 * Requests for several, at most batch_max: for the recipients in the field of this name
	 * (recipient_list.h), or of any messages (records). Neither: each message has a request of
	 * its own. How long a message waits for others: batch_linger_us.
	 */
	const char *batch_field;
	bool batch_records;
	unsigned batch_max; /* at least 1 with one of the two */
	uint64_t batch_linger_us;
	struct rate rate;		/* cell NULL: no limit */
	struct rate_cell *control_cell; /* of the rate that control sets; NULL: of this process */
	unsigned breaker_failures;	/* in a row that open the breaker; 0: failures never do */
	struct outcome_table outcomes;
	const struct route_condition *when; /* count 0: takes whatever comes to it */
	size_t when_count;
	unsigned max_attempts; /* at least 1 */
	struct backoff backoff;
};

/*
 * What happened, for the log at the edge. Borrowed for the call. The observer must not call back
 * into the delivery.
 */
enum delivery_event_kind {
	DELIVERY_ACCEPTED,   /* an attempt was accepted */
	DELIVERY_SUPPRESSED, /* the ledger knows it as accepted: being deleted, not sent again */
	DELIVERY_ATTEMPT_FAILED, /* or was given up in a drain; again delay_ms from now */
	DELIVERY_FAILED,	 /* terminal: on its way to the failure queue */
	DELIVERY_FAILED_COPIED,	 /* that copy is confirmed: being deleted; `result` is what is still
				    known of the attempt, NULL when there was none */
	DELIVERY_FAILED_LEFT,	 /* terminal, but there is no failure queue, or it refuses the copy:
				    left to the queue's redrive */
	DELIVERY_EXPIRED,	 /* past its deadline: not sent, being deleted */
	DELIVERY_CANCELLED,	 /* its campaign is cancelled: not sent, being deleted */
	DELIVERY_POSTPONED,	 /* not to be sent yet, `reason` says why: put back */
	DELIVERY_LOST,		 /* visibility ran out; it will be received again */
	DELIVERY_RECIPIENTS,	 /* what `of` says has happened to some recipients of a packed
				    message */
	DELIVERY_BREAKER_OPENED, /* the destination refused us, or fails again and again */
	DELIVERY_BREAKER_CLOSED,
	DELIVERY_LEDGER_CUT_SHORT, /* it is full: keys leave after delay_ms instead of the window */
	DELIVERY_QUEUE_FULL,	   /* so many messages are in flight that SQS hands nothing out */
	DELIVERY_QUEUE_FLOWS,	   /* it does again */
	DELIVERY_QUEUE_FAILED,	   /* a call to the queue failed; `reason` has the words */
	DELIVERY_QUEUE_CONNECTED,  /* the first receive that worked, at the start or after failures
				    */
};

/* What has become of the message is known for good, and its delete follows. */
static inline bool delivery_event_is_end(enum delivery_event_kind kind)
{
	return kind == DELIVERY_ACCEPTED || kind == DELIVERY_SUPPRESSED ||
	       kind == DELIVERY_FAILED_COPIED || kind == DELIVERY_EXPIRED ||
	       kind == DELIVERY_CANCELLED;
}

struct delivery_event {
	enum delivery_event_kind kind;
	const struct queue_message *message; /* NULL for breaker and queue events */
	const char *destination;	     /* "" when none is known */
	const struct target_result *result;  /* of the attempt, else NULL */
	int err;	       /* queue events: its code; FAILED: why, when no attempt */
	const char *reason;    /* never NULL */
	const char *operation; /* queue events: "receive", "delete", ... */
	int64_t delay_ms;
	/* Monotonic: when the message was received; when its latest attempt here began, 0: none. */
	uint64_t received_us, attempt_us;
	/*
	 * A packed message is one for a list of recipients. What becomes of them is told by events
	 * of their own, DELIVERY_RECIPIENTS: `of` is one of the kinds above, from ACCEPTED to
	 * CANCELLED, and holds for each of these keys. The message's own event, with `packed`,
	 * comes when all of it has ended here, and says nothing of them that was not told before.
	 */
	enum delivery_event_kind of;
	const struct recipient_key *recipients;
	size_t recipient_count;
	bool packed;
};

/* The kind of an event, or what a DELIVERY_RECIPIENTS says of its recipients. */
static inline enum delivery_event_kind delivery_event_of(const struct delivery_event *event)
{
	return event->kind == DELIVERY_RECIPIENTS ? event->of : event->kind;
}

/* So many recipients are told of what has become of them; 0: their own events have told it. */
static inline size_t delivery_event_recipients(const struct delivery_event *event)
{
	if (event->kind == DELIVERY_RECIPIENTS)
		return event->recipient_count;
	return event->packed ? 0 : 1;
}

/* How a message's stay here ended. */
enum delivery_left {
	DELIVERY_LEFT_DELETED,
	DELIVERY_LEFT_RETURNED, /* put back for now */
	DELIVERY_LEFT_LOST,	/* its visibility ran out */
	DELIVERY_LEFT_DROPPED,	/* the delivery was freed */
};

/*
 * What has become of a message is told before the delete of it is sent: an event that is its end,
 * then before_delete(), then the call. Whoever keeps a log of them writes it down in
 * before_delete(). If the process dies
 *  - before before_delete() has returned: no delete was sent. The message comes back; if it was
 *    accepted, and the ledger outlives the process, it is SUPPRESSED then.
 *  - after it: the outcome is in the log, and in it a second time when the delete was not sent or
 *    did nothing, since then the message comes back too.
 * Between a copy's confirmation and FAILED_COPIED the message comes back and fails again, or is
 * accepted after all; its copy is there all the same.
 */
struct delivery_observer {
	void (*notify)(void *arg, const struct delivery_event *event); /* NULL: nobody listens */
	/* A delete is about to be started: of messages that notify() was told of. NULL: none. */
	void (*before_delete)(void *arg);
	/*
	 * The message is held no more; of it, the last that is told. NULL: nobody listens. It must
	 * not call back into the delivery.
	 */
	void (*left)(void *arg, const struct queue_message *message, enum delivery_left how);
	void *arg;
};

struct delivery_options {
	struct clock clock;
	struct queue queue;
	struct queue failure_queue;			 /* ops NULL: none */
	const struct delivery_destination *destinations; /* at least one */
	size_t destination_count;
	unsigned receivers;    /* concurrent long polls; 0: from the concurrency */
	unsigned wait_s;       /* 0-20 */
	unsigned visibility_s; /* 1-43200 */
	size_t held_bytes;     /* no receive is started while more than this is held */
	/*
	 * The queue is FIFO: messages of one group are sent one after the other, in the order in
	 * which they came; when one goes back, those behind it go back too.
	 */
	bool fifo;
	bool failure_fifo;	 /* the failure queue is */
	struct ledger *ledger;	 /* borrowed, outlives the delivery; NULL: none */
	unsigned fleet_hosts;	 /* that the rate of control is divided by; 0: 1 */
	int64_t grace_ms;	 /* of a drain */
	struct metrics *metrics; /* borrowed, outlives the delivery */
	struct delivery_observer observer;
	/*
	 * There is something to start, and control is in doubt (delivery_doubt_control()). From
	 * the loop, once for each doubt; it may call the delivery. NULL: it is never doubted.
	 */
	void (*wants_control)(void *arg);
	void *wants_control_arg;
};

/* 0, ERR_NOMEM or ERR_ARGUMENT. Nothing is started. */
int delivery_new(const struct delivery_options *options, struct delivery **ret_delivery);
/* Before the start, when it was not known yet: 1-43200. */
void delivery_set_visibility(struct delivery *delivery, unsigned visibility_s);
/* Begins to receive. */
void delivery_start(struct delivery *delivery);

/*
 * What the operator asks of all workers of the queue, from now on; copied. At any time from the
 * loop, before the start too, but not from inside a callback of the delivery other than
 * wants_control(). No attempt is started against it once this has been called; what is in flight
 * finishes. It may call the `done` of a drain.
 *
 *  - paused: nothing is received and nothing started. What waits goes back for DELIVERY_PAUSE_MS,
 *    and so does what receives bring that were out already: each of them brings messages once more
 *    at most, and for so long they are not handed to anybody, so that nothing circles between
 *    workers that pause at different instants. It costs each a receive count. If the process dies,
 *    before or after, what it held comes back by its visibility timeout.
 *  - rate: of each destination, beside its own.
 *  - cancelled: what waits and what comes is deleted unsent, and told as DELIVERY_CANCELLED. If the
 *    process dies before the delete is sent, or that does not work, the message comes back, and is
 *    cancelled by whoever receives it, or sent when its campaign is cancelled no more.
 */
#define DELIVERY_PAUSE_MS 5000
void delivery_set_control(struct delivery *delivery, const struct control *control);
/* What is in force; NULL: none was ever set. */
const struct control *delivery_control(const struct delivery *delivery);
/*
 * What is in force may be out of date: nothing is started until delivery_set_control() or
 * delivery_trust_control(), which goes on by what is in force. The first message that could be
 * started calls wants_control().
 */
void delivery_doubt_control(struct delivery *delivery);
void delivery_trust_control(struct delivery *delivery);

/*
 * Clean stop: no more receives, what was not started goes back (visibility 0), attempts in flight
 * may finish, deletes are flushed. `done` runs once, from the loop, when nothing is held any more
 * or the grace time is over (held: how many messages were still held; they come back by
 * themselves). It may free the delivery. A second drain is ignored. Where there is no memory for a
 * single timer, `done` may run before this returns.
 */
void delivery_drain(struct delivery *delivery, void (*done)(void *arg, size_t held), void *arg);

/*
 * Cancels every call and attempt and frees everything at once; what was held comes back by its
 * visibility timeout. No callback runs afterwards. NULL is fine. Not from inside the observer.
 */
void delivery_free(struct delivery *delivery);

/* Messages held here, in any state. */
size_t delivery_held(const struct delivery *delivery);
/* True while a receive that has not been answered yet may still bring messages. */
bool delivery_is_receiving(const struct delivery *delivery);

struct delivery_stats {
	uint64_t received; /* messages, redeliveries included */
	uint64_t attempts;
	uint64_t accepted;
	uint64_t suppressed;  /* deleted without a send: accepted before */
	uint64_t retried;     /* attempts that ended in a back-off */
	uint64_t failed;      /* copied to the failure queue */
	uint64_t failed_left; /* terminal, left to the queue's redrive policy */
	uint64_t expired;
	uint64_t cancelled; /* deleted without a send: their campaign is cancelled */
	uint64_t postponed;
	uint64_t crowded; /* put back since their destination has a backlog and others have not */
	uint64_t deleted;
	uint64_t returned; /* put back for now: back-off, release, breaker */
	uint64_t lost;	   /* visibility ran out while held */
	uint64_t extended;
	uint64_t sending; /* in flight now */
};
void delivery_get_stats(const struct delivery *delivery, struct delivery_stats *ret_stats);
/* What readiness depends on. */
struct delivery_health {
	bool connected; /* the latest receive worked */
	bool draining;
	bool deletes_denied;  /* the latest delete was refused for want of permission */
	bool in_flight_limit; /* SQS hands nothing out: too much is in flight */
	bool paused;	      /* by control */
};
void delivery_get_health(const struct delivery *delivery, struct delivery_health *ret_health);
/*
 * How much there is to do, and whether it gets done.
 *
 * progress_us is the monotonic time of the last sign of progress: now, unless something is overdue
 * and no message has moved from one state to another since the question before. Overdue is
 *  - an attempt that is out longer than its target may take (attempt_max_ms) and 5 s;
 *  - a call to the queue that has not ended after two minutes, receives apart, which are given up
 *    and begun anew by themselves;
 *  - a message that could be sent while no attempt of its lane is out and no timer of it is set;
 *  - a message that is to be settled and is in no batch, nor waits to be;
 *  - an empty core that neither receives nor waits to, and is not paused.
 * So an outage of the queue, an idle hour, an open breaker, a slow rate and an attempt of ten
 * minutes never make it old, each of them having an end that somebody watches. A completion that
 * never comes does, once nothing else moves any more: until then the other slots do their work, and
 * to end the process would send again what they have out. Before the start and in a drain it is
 * now.
 *
 * Ask every second. After more than 5 s without a question it is now: a process that was stopped
 * finds everything overdue, and must not be taken to have stood still by itself.
 */
struct delivery_work {
	uint64_t busy;	  /* attempts in flight */
	uint64_t slots;	  /* attempts that may be */
	uint64_t ceiling; /* attempts that may be by configuration, whatever the limiters say */
	uint64_t waiting; /* messages that wait for a slot */
	/* Since the start: those three over time, in microseconds. */
	uint64_t busy_us, slots_us, ceiling_us;
	uint64_t token_waits; /* starts put off for want of a token of a rate */
	uint64_t polls;	      /* receives that were answered without an error */
	uint64_t full_polls;  /* of them, those that brought as many as were asked for */
	uint64_t progress_us;
};
void delivery_get_work(struct delivery *delivery, struct delivery_work *ret_work);
/* Of the n-th destination: not closed. */
bool delivery_breaker_is_open(const struct delivery *delivery, size_t destination);
/* The same, and it was opened because a quota is used up. */
bool delivery_quota_is_used_up(const struct delivery *delivery, size_t destination);
/* Brings those metrics up to date that pass with time; before they are read. */
void delivery_show(struct delivery *delivery);
/* Microseconds from SentTimestamp to acceptance by the n-th destination, resolution 1 ms. */
const struct histogram *delivery_latency(const struct delivery *delivery, size_t destination);

#endif
