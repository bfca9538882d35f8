/*
 * The real queue table: one SQS queue, through the client.
 *
 * idempotency_key of a received message: the value of its message attribute IdempotencyKey when
 * that is of type String (or String.label) and 1-128 printable ASCII characters (0x20-0x7e); else
 * UUIDv5 in the URL namespace of the queue URL as given here directly followed by the MessageId
 * (Python: uuid.uuid5(uuid.NAMESPACE_URL, queue_url + message_id)).
 */
#ifndef AWS_SQS_QUEUE_H
#define AWS_SQS_QUEUE_H

#include "aws/sqs_client.h"
#include "bunshin/queue.h"

struct sqs_queue;

/* The client is borrowed and outlives the queue; the URL is copied. 0 or ERR_NOMEM. */
int sqs_queue_new(struct sqs_client *client, const char *queue_url, struct sqs_queue **ret_queue);
/* No call may be under way. NULL is fine. */
void sqs_queue_free(struct sqs_queue *queue);
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

#endif
