/*
 * Dead-letter queues: whose they are, moving what is in them as a whole, emptying them.
 * SQS API model 2012-11-05: GetQueueAttributes, ListDeadLetterSourceQueues, StartMessageMoveTask,
 * ListMessageMoveTasks, CancelMessageMoveTask, PurgeQueue.
 *
 * A move task is SQS's own: it goes on when the caller is gone. It takes a queue that is the
 * dead-letter queue of another by a redrive policy, and one task a queue at a time; every other
 * queue is ERR_REFUSED. Without a destination each message goes back to the queue that its redrive
 * policy moved it from; a message that was sent there (a worker's copy) has no such queue, and the
 * task ends as SQS_MOVE_FAILED, "CouldNotDetermineMessageSource" (Developer Guide, "Troubleshooting
 * DLQ redrive"). With one all go there. What is moved gets a new message id and a new age.
 *
 * Calls promise what those of sqs_client.h do. One that was repeated may have been carried out the
 * first time: a task that was started then refuses to be started, and is in the list.
 */
#ifndef AWS_SQS_REDRIVE_H
#define AWS_SQS_REDRIVE_H

#include "aws/sqs_client.h"

#define SQS_SOURCES_MAX 10
#define SQS_MOVES_MAX 10

struct sqs_queue_description {
	const char *arn;
	struct queue_attributes attributes;
	/* Its own redrive policy: what was received that often moves on. 0 and "": it has none. */
	unsigned max_receives;
	const char *dead_letter_arn;
};

/* The queues whose redrive policy names this one. */
struct sqs_sources {
	const char *urls[SQS_SOURCES_MAX];
	size_t count;
	bool more; /* there are others */
};

enum sqs_move_status {
	SQS_MOVE_RUNNING,
	SQS_MOVE_CANCELLING, /* still active */
	SQS_MOVE_COMPLETED,
	SQS_MOVE_CANCELLED,
	SQS_MOVE_FAILED,
};

struct sqs_move {
	enum sqs_move_status status;
	const char *handle;	     /* "" unless it is running */
	const char *destination_arn; /* "": back to where each message came from */
	const char *failure;	     /* "" unless it failed */
	int64_t moved, to_move;	     /* approximate; to_move -1: not known yet */
	int64_t started_epoch_ms;    /* 0: not known */
	unsigned messages_per_s;     /* 0: as fast as SQS likes */
};

/* What was answered: each operation fills in what is named at it. Borrowed for the callback. */
struct sqs_redrive_answer {
	struct sqs_queue_description queue;
	struct sqs_sources sources;
	const char *task_handle;
	struct sqs_move moves[SQS_MOVES_MAX]; /* the newest first */
	size_t move_count;
	int64_t moved;
};

/* answer: NULL on an error. */
typedef void sqs_redrive_done(
	void *arg, const struct sqs_outcome *outcome, const struct sqs_redrive_answer *answer);

/* `queue`. */
int sqs_describe_queue(struct sqs_client *client, const char *queue_url, sqs_redrive_done *done,
	void *arg, struct queue_call **ret_call);
/* `sources`. */
int sqs_list_sources(struct sqs_client *client, const char *queue_url, sqs_redrive_done *done,
	void *arg, struct queue_call **ret_call);
/* `task_handle`. destination_arn may be NULL; messages_per_s 0-500, 0: as fast as SQS likes. */
int sqs_start_move(struct sqs_client *client, const char *source_arn, const char *destination_arn,
	unsigned messages_per_s, sqs_redrive_done *done, void *arg, struct queue_call **ret_call);
/* `moves`: the last ten of this source. */
int sqs_list_moves(struct sqs_client *client, const char *source_arn, sqs_redrive_done *done,
	void *arg, struct queue_call **ret_call);
/* `moved` so far: what was moved stays moved. */
int sqs_cancel_move(struct sqs_client *client, const char *task_handle, sqs_redrive_done *done,
	void *arg, struct queue_call **ret_call);
/* Nothing. ERR_THROTTLED when it was purged within the last 60 s. */
int sqs_purge(struct sqs_client *client, const char *queue_url, sqs_redrive_done *done, void *arg,
	struct queue_call **ret_call);

#endif
