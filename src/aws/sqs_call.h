/*
 * One request under way: the inside of struct queue_call, shared by the client and the queue table
 * over it, so that the table needs no memory of its own.
 */
#ifndef AWS_SQS_CALL_H
#define AWS_SQS_CALL_H

#include "aws/sigv4.h"
#include "aws/sqs_client.h"
#include "aws/sqs_codec.h"
#include "base/buf.h"
#include "base/list.h"
#include "http/client.h"

struct queue_call {
	struct list node; /* among the client's calls, or its free ones */
	struct sqs_client *client;
	struct http_exchange *exchange; /* NULL once answered */
	enum sqs_operation operation;
	union {
		sqs_receive_done *receive;
		sqs_batch_done *batch;
		sqs_counts_done *counts;
		sqs_url_done *url;
	} done;
	void *arg;
	size_t count;		      /* entries of a batch */
	struct buf queue_url;	      /* of a receive: the idempotency keys are made of it */
	struct sqs_sent_digests sent; /* of a send */

	/* sqs_queue.c's: whom its own completion tells. */
	union {
		queue_receive_done *receive;
		queue_batch_done *batch;
	} queue_done;
	void *queue_arg;
};

/* A call with an exchange to write the body into; the caller fills `done` in. 0 or ERR_NOMEM. */
int sqs_call_new(struct sqs_client *client, enum sqs_operation operation, void *arg,
	struct queue_call **ret_call);
/*
 * Signs and starts the call whose body is written, unless `err` is already something else than 0.
 * Returns 0 with *ret_call set, or the error with the call gone.
 */
int sqs_call_send(struct queue_call *call, int err, struct queue_call **ret_call);
/* Decodes what came and tells `done` (sqs_calls.c). outcome->err 0: a 2xx answer. */
void sqs_call_complete(struct queue_call *call, struct sqs_decoder *decoder,
	struct sqs_outcome *outcome, const struct buf *answer);

/* The client's time-out for all but long polls, and its "MD5" digest. */
int64_t sqs_client_timeout_ms(const struct sqs_client *client);
struct digest *sqs_client_md5(struct sqs_client *client);

#endif
