/*
 * A failure queue and the one that messages go back to, in virtual time, as SQS behaves:
 * visibility, fresh receipt handles, old ones that delete nothing. Calls take time, and the k-th of
 * them can go wrong in every way that there is.
 */
#ifndef TESTS_CAMPAIGN_TWO_QUEUES_H
#define TESTS_CAMPAIGN_TWO_QUEUES_H

#include "base/list.h"
#include "base/manual_clock.h"
#include "bunshin/queue.h"

#include <stdbool.h>

#define STORED_MAX 4000
#define CALL_US 10000

enum fault_kind {
	FAULT_NOTHING,
	FAULT_SYNC,	 /* the operation itself returns `err` */
	FAULT_REFUSED,	 /* the answer is `err`, nothing was done */
	FAULT_LOST,	 /* it was done, but the answer is `err` */
	FAULT_ONE_ENTRY, /* of a batch the first: `err`, not done */
	FAULT_KINDS,
};

struct stored {
	char id[16], handle[24];
	char body[24];
	unsigned attribute_count;
	struct queue_attribute attributes[QUEUE_ATTRIBUTES_MAX];
	char *memory; /* of the attributes */
	unsigned receives;
	uint64_t visible_us;
	bool gone;
};

struct two_queues;

struct one_queue {
	struct two_queues *both;
	char name;
	struct stored stored[STORED_MAX];
	size_t count;
};

struct two_queues {
	struct manual_clock manual;
	struct clock clock;
	struct one_queue failures, source;
	struct list calls; /* under way */
	unsigned long call_count;
	unsigned long fault_at;	   /* the call that goes wrong, from 1 on; 0: none */
	unsigned long fault_until; /* and those after it, up to this one */
	enum fault_kind fault;
	int fault_err;
	unsigned receive_max; /* messages a receive gives at most [10] */
	unsigned ops[5];      /* calls by kind: receive, delete, change, send, attributes */
};

void two_queues_open(struct two_queues *both);
void two_queues_close(struct two_queues *both);
struct queue two_queues_table(struct one_queue *queue);
/* Bodies are "m0", "m1", ...; the attributes are copied. */
struct stored *two_queues_put(
	struct one_queue *queue, const struct queue_attribute attributes[], size_t attribute_count);
/* Messages of that body that are there. */
size_t two_queues_find(const struct one_queue *queue, const char *body);
size_t two_queues_visible(const struct one_queue *queue);
size_t two_queues_alive(const struct one_queue *queue);

#endif
