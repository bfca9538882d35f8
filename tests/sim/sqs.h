/*
 * SQS as the workers see it: standard and FIFO queues with visibility clocks, receive counts and
 * handles, and everything that may go wrong with a call. Also the failure queue, which only takes
 * what is sent.
 */
#ifndef SIM_SQS_H
#define SIM_SQS_H

#include "base/list.h"
#include "bunshin/queue.h"
#include "events.h"
#include "mail.h"
#include "worker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum call_stage {
	CALL_GOING,  /* to the queue */
	CALL_WAITS,  /* a long poll */
	CALL_COMING, /* the answer, or that there is none */
};

/* One call under way. */
struct queue_call {
	struct event event;
	struct answer answer;
	struct list node;      /* in its worker's calls; alone once the worker does not care */
	struct list poll_node; /* among the queue's long polls */
	struct sqs *queue;
	struct worker *worker; /* NULL: nobody waits for the answer */
	unsigned worker_index;
	uint32_t life;
	uint64_t key; /* what the draws about it hang on */
	enum table_op op;
	enum call_stage stage;
	bool extends; /* a visibility change that keeps, rather than gives back */
	int err;      /* of the whole call */
	bool carried_out;
	uint64_t asked_us;
	struct queue_receive params;
	size_t count;
	struct receipt *receipts[QUEUE_BATCH_MAX];
	unsigned visibility_s[QUEUE_BATCH_MAX];
	int results[QUEUE_BATCH_MAX];
	queue_receive_done *receive_done;
	queue_batch_done *batch_done;
	queue_attributes_done *attributes_done;
	void *arg;
	struct queue_call *pool_next;
};

struct sqs {
	struct sim *sim;
	struct list visible; /* standard: messages */
	struct list ready;   /* FIFO: groups with nothing in flight and something visible */
	struct list polls;   /* long polls that wait */
	size_t in_flight;
	struct queue_call *pool;
};

void sqs_init(struct sqs *queue, struct sim *sim);
/* The table for one worker, of both queues. */
struct queue sqs_table(struct worker *worker);

/* A message arrives in the queue, or is visible again. */
void sqs_show(struct mail *mail);
/* Calls under way of a worker that has died: they may still arrive, nobody waits. */
void sqs_orphan(struct queue_call *call);
/* Gives the long polls that wait what there is. */
void sqs_wake(struct sqs *queue);

/* Reads a handle back into what it was made for. */
struct receipt *sqs_receipt(struct sim *sim, const char *handle);

/* sqs_store.c: what the queue does with a call that arrived. */

/* Receives into the call, as many as are there; false: there is nothing. */
bool sqs_take(struct sqs *queue, struct queue_call *call);
bool sqs_has_some(const struct sqs *queue);
/* One entry of a batch; 0 or an error code. */
int sqs_delete(struct receipt *receipt);
int sqs_change(struct receipt *receipt, unsigned visibility_s);
void sqs_put(struct mail *mail); /* for the first time */

/* sqs_batch.c: the received messages as the core wants them, in the memory of the worker. */
struct queue_batch *sqs_batch_make(
	struct worker *worker, struct receipt *const receipts[], size_t count);

#endif
