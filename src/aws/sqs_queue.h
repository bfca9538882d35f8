/*
 * The real queue table: one SQS queue, through the client.
 *
 * idempotency_key of a received message: the value of its message attribute IdempotencyKey when
 * that is of type String (or String.label) and 1-128 printable ASCII characters (0x20-0x7e); else
 * UUIDv5 in the URL namespace of the queue URL as given here directly followed by the MessageId
 * (Python: uuid.uuid5(uuid.NAMESPACE_URL, queue_url + message_id)).
 *
 * On a FIFO queue (its URL ends in .fifo) each receive has a ReceiveRequestAttemptId of its own.
 * What becomes of an id:
 *  - the request never reached SQS (name, connection): the repetition within the call keeps it;
 *  - the answer was lost (the request may have reached SQS, and no whole answer came, for whatever
 *    reason): the repetition within the call keeps it, so that SQS hands the same messages out
 *    again instead of blocking their groups;
 *  - the call ended like that: the next receive of this table repeats the oldest of at most 16 such
 *    ids that was first sent less than min(visibility, 5 minutes) - 1 s ago;
 *  - any answer came, good or bad: it is never sent again, a repetition has a fresh one.
 */
#ifndef AWS_SQS_QUEUE_H
#define AWS_SQS_QUEUE_H

#include "aws/envelope.h"
#include "aws/sqs_client.h"
#include "bunshin/queue.h"

struct sqs_queue;

/* The client is borrowed and outlives the queue; the URL is copied. 0 or ERR_NOMEM. */
int sqs_queue_new(struct sqs_client *client, const char *queue_url, struct sqs_queue **ret_queue);
/* No call may be under way. NULL is fine. */
void sqs_queue_free(struct sqs_queue *queue);
/*
 * SQS_UNWRAP_SNS: a body that is an SNS notification is replaced by its Message, and its
 * MessageAttributes become the message's; any other body is left as it is, a broken notification is
 * `refused` (aws/envelope.h). Pointers of the SQS extended client to S3 are refused in any case.
 */
void sqs_queue_set_unwrap(struct sqs_queue *queue, enum sqs_unwrap unwrap);
/* All receives ask for all system attributes (bunshin/queue.h). */
void sqs_queue_set_all_attributes(struct sqs_queue *queue, bool all);
struct queue sqs_queue_table(struct sqs_queue *queue);

/*
 * Pure: what a queue URL says. region is "" when the host does not name one (a custom endpoint);
 * endpoint is scheme, host and port, in lower case. 0, or ERR_ARGUMENT with *ret_parts untouched
 * when it is not http(s)://host[:port]/account/name.
 */
struct sqs_queue_url {
	char endpoint[300];
	char region[64];
	char account[64];
	char name[81];
};
int sqs_queue_url_parse(const char *url, struct sqs_queue_url *ret_parts);
/*
 * Pure: the queue's ARN, of the account and name in its URL. 0, or ERR_ARGUMENT with *ret_arn
 * untouched when it is no queue URL.
 */
#define SQS_QUEUE_ARN_SIZE 300
int sqs_queue_arn(const char *queue_url, const char *region, char ret_arn[SQS_QUEUE_ARN_SIZE]);
/* A FIFO queue's name, and so its URL, ends in ".fifo". */
bool sqs_queue_url_is_fifo(const char *url);

#endif
