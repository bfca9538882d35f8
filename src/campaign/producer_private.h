/*
 * Shared by the parts of the producer: producer_entry.c has the entries and how they end,
 * producer_answer.c what the answer of a batch makes of them, producer.c sends.
 */
#ifndef CAMPAIGN_PRODUCER_PRIVATE_H
#define CAMPAIGN_PRODUCER_PRIVATE_H

#include "base/list.h"
#include "campaign/group_order.h"
#include "campaign/pace.h"
#include "campaign/producer.h"

#define PRODUCER_REASON_MAX 2048

/* A message that was pulled and is not settled. */
struct entry {
	struct list node; /* in producer->ready; self-linked while in a flight or held */
	struct group_item item;
	const struct recipients_place *places; /* of its recipients; at least one */
	size_t recipients;
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

/* producer_entry.c */

/* A copy, in one block. NULL: out of memory. */
struct entry *producer_entry_new(const struct campaign_message *message);
void producer_ready_append(struct producer *producer, struct entry *entry);
struct entry *producer_ready_first(const struct producer *producer); /* NULL: there is none */
void producer_ready_remove(struct producer *producer, struct entry *entry);

/* It was never sent, and is not going to be. */
void producer_give_back(struct producer *producer, struct entry *entry);
/* Those held that will not be sent; all: whatever has become of the one before. */
void producer_give_back_held(struct producer *producer, bool all);
/* Its end: tells, counts, lets the next of its group go, and frees it. */
void producer_settle(struct producer *producer, struct entry *entry, int err, const char *reason);
/* Entries that were sent before are settled as failed; those that never were are unsent. */
void producer_give_up(struct producer *producer, struct entry *entry);
/* The first error wins. What is under way is waited for, all else is given up. */
void producer_fail(struct producer *producer, int err, const char *reason);

/* producer_answer.c: a batch was answered; the flight is freed, or backs off. */
void producer_land(
	struct producer *producer, struct flight *flight, const int results[], const char *detail);

/* producer.c: sends as much as there is room for; ends it all when nothing is left. The last thing
 * to do. */
void producer_advance(struct producer *producer);

#endif
