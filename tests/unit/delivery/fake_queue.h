/*
 * A queue in virtual time, as SQS behaves: visibility clocks, receive counts, a fresh receipt
 * handle at every receive, long polls that wake on arrival, the order of FIFO queues. It takes time
 * to get there and back, fails on demand, logs every call, and fails the test when the core asks
 * for what it must not.
 */
#ifndef TESTS_DELIVERY_FAKE_QUEUE_H
#define TESTS_DELIVERY_FAKE_QUEUE_H

#include "base/list.h"
#include "bunshin/clock.h"
#include "bunshin/queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAULTS_MAX 64
#define WHOLE_CALL (-1)

struct world;
struct delivery;

enum queue_op { OP_RECEIVE, OP_DELETE, OP_CHANGE, OP_SEND, OP_ATTRIBUTES, OP_COUNT };

/* What was done to one receipt handle. */
struct receipt {
	unsigned attempts;
	uint64_t told; /* which of the world's events told what became of it; 0: none yet */
	bool delete_issued;
	bool return_issued;  /* a visibility change that gives the message back */
	bool return_handled; /* ... and the queue has carried it out */
};

/* One message and everything that is true about it. */
struct fake_message {
	struct fake_queue *queue;
	size_t index;
	char id[24], key[32];
	char *body;
	size_t body_bytes;
	struct queue_attribute attributes[QUEUE_ATTRIBUTES_MAX];
	size_t attribute_count;
	char *group_id;
	struct fake_message *first; /* of its group, of a FIFO queue; maybe itself */
	bool hidden;		    /* with a receiver, or put back for later */
	size_t hidden_of_group;	    /* of the first: how many are */
	const char *refused;	    /* static; NULL: it can be delivered */
	int64_t deadline_epoch_ms;  /* INT64_MAX: none; what the test says that it is */
	int64_t sent_epoch_ms, first_received_epoch_ms;
	uint32_t receive_count;
	uint64_t received_us; /* the last time */
	uint64_t visible_us;  /* invisible before */
	bool deleted;
	bool redriven; /* by the queue's own policy; then it counts as deleted */
	uint64_t deleted_us;
	struct list node; /* in the visible list */
	struct clock_timer reappear;
	struct receipt *receipts; /* [receive_count - 1] is the current one */
	size_t receipts_capacity;
	unsigned attempts;	 /* started */
	unsigned attempts_out;	 /* in flight now, of the current receipt */
	unsigned accepted_told;	 /* acceptances that the core has been told of */
	bool accepted_elsewhere; /* by what another core has sent, says the test */
	bool cancelled_told;	 /* the core has said that it is cancelled */
	unsigned copies;	 /* in the failure queue */
	bool copy_confirmed;	 /* and the core has been told */
	unsigned ran_out; /* receives whose visibility ran out, nobody having given it back */
};

struct call_record {
	enum queue_op op;
	uint64_t at_us;	      /* the core's call */
	uint64_t handled_us;  /* UINT64_MAX: not yet */
	uint64_t answered_us; /* UINT64_MAX: not yet */
	bool cancelled;
	bool is_extension; /* OP_CHANGE */
	size_t count;	   /* entries */
	size_t messages[QUEUE_BATCH_MAX];
	uint32_t receipts[QUEUE_BATCH_MAX]; /* 1: the first receive's */
	unsigned visibility_s[QUEUE_BATCH_MAX];
	int results[QUEUE_BATCH_MAX];
	unsigned asked, wait_s; /* OP_RECEIVE */
	size_t got;
	int err; /* of the whole call */
};

/* How one call goes. */
struct call_plan {
	int sync_err;	   /* the operation itself returns this */
	uint64_t there_us; /* until the queue handles it */
	uint64_t back_us;  /* from there until the answer */
	int err;	   /* the whole call fails */
	bool lost;	   /* ... but was carried out: the answer got lost */
	int entry_err[QUEUE_BATCH_MAX];
	bool hangs; /* carried out by nobody and never answered */
};

/* A scripted failure: skips `skip` calls of its kind, then hits the next `times` (0: one). */
struct fault {
	enum queue_op op;
	unsigned skip, times;
	int err;
	int entry; /* WHOLE_CALL, or which entry; one that a call does not have is not hit */
	bool sync, lost, hangs;
};

struct fake_queue {
	struct world *world;
	/*
	 * Messages are handed out in the order in which they came, several of a group in one
	 * receive, none of a group while one of it is invisible.
	 */
	bool fifo;
	char name; /* in handles */
	struct fake_message **messages;
	size_t count, capacity;
	size_t deleted_count;
	struct list visible;
	struct list polls;   /* calls that wait for a message, oldest first */
	struct list calls;   /* every call under way */
	struct list orphans; /* cancelled, but on their way */
	size_t calls_out[OP_COUNT];
	size_t asked_out; /* messages that receives in flight ask for */
	struct call_record *log;
	size_t log_count, log_capacity;
	struct fault faults[FAULTS_MAX];
	size_t fault_count;
	/* Defaults of every call, and a last word on each. */
	uint64_t there_us, back_us;
	void (*plan)(
		struct fake_queue *queue, const struct call_record *call, struct call_plan *plan);
	uint32_t max_receives; /* maxReceiveCount of the redrive policy; 0: none */
	int stale_delete_err;  /* a delete with an old handle: 0 (no effect, as SQS) or a code */
	/* What get_attributes answers beyond what is there. */
	int64_t in_flight_elsewhere, visible_elsewhere;
	bool cancel_is_in_time; /* a cancelled call is not carried out */
};

void fake_queue_init(struct fake_queue *queue, struct world *world, char name);
/* Nothing of the core may be under way any more. */
void fake_queue_free(struct fake_queue *queue);
struct queue fake_queue_table(struct fake_queue *queue);

/* A message that is visible now; body and attributes are copied. */
struct fake_message *fake_queue_put(struct fake_queue *queue, const char *body, size_t body_bytes,
	const struct queue_attribute attributes[], size_t attribute_count);
struct fake_message *fake_queue_put_grouped(struct fake_queue *queue, const char *group_id,
	const char *body, size_t body_bytes, const struct queue_attribute attributes[],
	size_t attribute_count);
void fake_queue_fail(struct fake_queue *queue, struct fault fault);
size_t fake_queue_alive(const struct fake_queue *queue);
/* Its retention ends: it is gone, held by somebody or not. */
void fake_queue_remove(struct fake_queue *queue, size_t index);
/* By a message's id. */
struct fake_message *fake_queue_find(struct fake_queue *queue, const char *id);
/* The n-th logged call (0: the first) of a kind, or NULL; extensions are not among OP_CHANGE. */
const struct call_record *fake_queue_call(
	const struct fake_queue *queue, enum queue_op op, size_t n);
const struct call_record *fake_queue_extension(const struct fake_queue *queue, size_t n);
size_t fake_queue_calls(const struct fake_queue *queue, enum queue_op op);
size_t fake_queue_extensions(const struct fake_queue *queue);
/* Of one group, in a FIFO queue. */
bool fake_message_same_group(const struct fake_message *a, const struct fake_message *b);
static inline struct receipt *fake_message_receipt(struct fake_message *message)
{
	return message->receive_count ? &message->receipts[message->receive_count - 1] : NULL;
}
const struct queue_attribute *fake_message_attribute(
	const struct fake_message *message, const char *name);

#endif
