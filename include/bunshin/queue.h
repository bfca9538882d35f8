/*
 * The queue table: how the delivery core reaches SQS, and what a received message is.
 *
 * Real: aws/sqs_queue.h. Tests: a fake in virtual time. Rules for every operation:
 *  - it returns 0 and then calls `done` exactly once, later, from the loop; or it returns a
 *    negative error code and never calls `done`;
 *  - `done` is never called from inside the operation, and never after cancel();
 *  - what the caller passes in is copied before the operation returns;
 *  - it may repeat its request a few times within seconds before it reports a failure; patience
 *    beyond that is the caller's business.
 */
#ifndef BUNSHIN_QUEUE_H
#define BUNSHIN_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_BATCH_MAX 10		      /* entries in one batch call (SQS quota) */
#define QUEUE_VISIBILITY_MAX_S (12 * 60 * 60) /* total since the receive (SQS quota) */
#define QUEUE_ATTRIBUTES_MAX 10		      /* message attributes on one message (SQS quota) */

/* A message attribute. `value` is decoded (binary values: raw bytes), not NUL-terminated. */
struct queue_attribute {
	const char *name;
	const char *type; /* String, Number or Binary, maybe with a .label */
	const char *value;
	size_t value_bytes;
};

/*
 * One received message. Every pointer lives as long as the queue_batch that it came in. The
 * strings are NUL-terminated; the body may be any UTF-8 text.
 */
struct queue_message {
	const char *message_id;
	const char *receipt_handle;
	const char *body;
	size_t body_bytes;
	const struct queue_attribute *attributes;
	size_t attribute_count;
	/*
	 * The same for every receive of one message: the IdempotencyKey attribute, else UUIDv5 of
	 * the queue URL and the message id.
	 */
	const char *idempotency_key;
	const char *group_id;	  /* MessageGroupId; NULL: none */
	const char *trace_header; /* AWSTraceHeader; NULL: none */
	uint32_t receive_count;	  /* ApproximateReceiveCount, this receive included; at least 1 */
	int64_t sent_epoch_ms;	  /* SentTimestamp; 0: unknown */
	int64_t first_received_epoch_ms; /* ApproximateFirstReceiveTimestamp; 0: unknown */
	/* Of a receive that asked for all system attributes; NULL: none, or not asked for. */
	const char *sender_id;		/* SenderId */
	const char *sequence_number;	/* SequenceNumber: FIFO queues */
	const char *deduplication_id;	/* MessageDeduplicationId: FIFO queues */
	const char *dead_letter_source; /* DeadLetterQueueSourceArn */
	/*
	 * NULL; or why this message can never be delivered, for people: a pointer to a body that
	 * is kept elsewhere, a broken envelope. `body` is then as it was received.
	 */
	const char *refused;
};

/*
 * What one receive brought. It owns the memory of its messages and is freed when the last
 * reference goes. The receive callback is given one reference.
 */
struct queue_batch {
	struct queue_message *messages;
	size_t count;
	size_t bytes; /* memory held, for accounting */
	unsigned references;
	void (*free)(struct queue_batch *batch);
};

static inline struct queue_batch *queue_batch_ref(struct queue_batch *batch)
{
	batch->references++;
	return batch;
}

static inline void queue_batch_unref(struct queue_batch *batch)
{
	if (--batch->references == 0)
		batch->free(batch);
}

struct queue_receive {
	unsigned max_messages; /* 1-10 */
	unsigned wait_s;       /* 0-20 */
	unsigned visibility_s; /* 0-43200 */
	bool all_attributes;   /* sender_id and what stands behind it in queue_message, too */
};

struct queue_visibility {
	const char *receipt_handle;
	unsigned visibility_s; /* from now; 0 returns the message at once */
};

struct queue_send {
	const char *body;
	size_t body_bytes;
	const struct queue_attribute *attributes;
	size_t attribute_count;
	unsigned delay_s;	      /* 0-900; 0: the queue's own delay, which is mostly none */
	bool no_delay;		      /* with delay_s 0: none at all; not on a FIFO queue */
	const char *group_id;	      /* NULL: none */
	const char *deduplication_id; /* NULL: none */
	/* AWSTraceHeader, as it was received: printable ASCII without blanks; NULL: none */
	const char *trace_header;
};

/*
 * err 0: `batch` (never NULL, maybe of count 0) with one reference for the callee. Otherwise
 * batch is NULL and `detail` a text for people with the service's own words and request id,
 * borrowed for the call, never NULL.
 */
typedef void queue_receive_done(void *arg, int err, struct queue_batch *batch, const char *detail);

/*
 * results[i] is entry i's outcome, 0 or an error code; when the whole call failed, all hold its
 * code. `detail` describes the first failure ("" when there is none). Both are borrowed.
 */
typedef void queue_batch_done(void *arg, const int results[], size_t count, const char *detail);

/* Of the queue itself (GetQueueAttributes). The counts are approximate. */
struct queue_attributes {
	int64_t visible, in_flight, delayed;
	unsigned visibility_s; /* VisibilityTimeout, 0-43200 */
};

/* As queue_receive_done; attributes: borrowed, NULL on err. */
typedef void queue_attributes_done(
	void *arg, int err, const struct queue_attributes *attributes, const char *detail);

/* An operation under way; only good for cancel(), and only until its `done` begins. */
struct queue_call;

struct queue_ops {
	int (*receive)(void *impl, const struct queue_receive *params, queue_receive_done *done,
		void *arg, struct queue_call **ret_call);
	/* count 1-10. Deleting a message twice is success (SQS). */
	int (*delete_batch)(void *impl, const char *const receipt_handles[], size_t count,
		queue_batch_done *done, void *arg, struct queue_call **ret_call);
	int (*change_visibility_batch)(void *impl, const struct queue_visibility entries[],
		size_t count, queue_batch_done *done, void *arg, struct queue_call **ret_call);
	/* count 1-10 and at most 1 MiB in all. */
	int (*send_batch)(void *impl, const struct queue_send entries[], size_t count,
		queue_batch_done *done, void *arg, struct queue_call **ret_call);
	int (*get_attributes)(
		void *impl, queue_attributes_done *done, void *arg, struct queue_call **ret_call);
	/*
	 * Gives the operation up; `done` is not called. The service may still carry it out: a
	 * cancelled receive may leave messages invisible until their visibility timeout.
	 */
	void (*cancel)(void *impl, struct queue_call *call);
};

/* A value type: copy it freely. `impl` outlives every copy. */
struct queue {
	const struct queue_ops *ops;
	void *impl;
};

#endif
