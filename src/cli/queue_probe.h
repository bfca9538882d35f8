/*
 * What the credentials may do with a queue, found out without touching a message: its attributes
 * are read, then a delete and a change of visibility are asked for a receipt handle that is made
 * up. Whoever may not do them is told so before SQS looks at the handle.
 *
 * Not found out: whether messages may be received (that would take one), or sent.
 */
#ifndef CLI_QUEUE_PROBE_H
#define CLI_QUEUE_PROBE_H

#include "bunshin/queue.h"

#define QUEUE_PROBE_WORDS_SIZE 700

struct queue_probe;

struct queue_probe_answer {
	/*
	 * 0: permitted. ERR_PENDING: not asked, since the attributes' answer leaves no hope, or not
	 * wanted. Else the queue's error.
	 */
	int err;
	/* "" when permitted or not asked; "may not delete (sqs:DeleteMessage): ..." */
	char words[QUEUE_PROBE_WORDS_SIZE];
};

struct queue_probe_result {
	struct queue_probe_answer attributes, delete, visibility;
	struct queue_attributes counts; /* when attributes.err is 0 */
};

/* How much is asked: of a queue that is only sent to, nothing but the attributes. */
enum queue_probe_extent { QUEUE_PROBE_ATTRIBUTES, QUEUE_PROBE_ALL };

/* Once, from the loop; the probe is gone when it returns. result: borrowed. */
typedef void queue_probe_done(void *arg, const struct queue_probe_result *result);

/*
 * The queue is copied; what it stands for outlives the probe. 0, ERR_NOMEM, or what the first
 * operation says: nothing is under way then.
 */
int queue_probe_start(struct queue queue, enum queue_probe_extent extent, queue_probe_done *done,
	void *arg, struct queue_probe **ret_probe);
/* Before `done` begins: it is not called. NULL is fine. */
void queue_probe_cancel(struct queue_probe *probe);

#endif
