/*
 * SQS client: AWS JSON 1.0 over the HTTP client, signed with SigV4.
 * Protocol facts: SQS API model 2012-11-05; error codes and retry classes as in the AWS SDKs.
 *
 * One call is one signed request; nothing is retried here. The same promises as
 * bunshin/queue.h: what is passed in is copied, `done` runs exactly once, later, from the loop,
 * never after sqs_call_cancel().
 */
#ifndef AWS_SQS_CLIENT_H
#define AWS_SQS_CLIENT_H

#include "aws/credentials.h"
#include "bunshin/clock.h"
#include "bunshin/queue.h"

#include <uv.h>

#define SQS_BATCH_MAX_BYTES ((size_t)1 << 20) /* bodies and attributes of one send (SQS quota) */

struct sqs_client;

struct sqs_client_options {
	/*
	 * http(s)://host[:port], a '/' after it is fine; NULL: the region's own,
	 * https://sqs.REGION.amazonaws.com or its like in other partitions.
	 */
	const char *endpoint;
	const char *region;	/* signing region, never NULL */
	int64_t timeout_ms;	/* for all but long polls, which get their wait on top [10000] */
	unsigned max_in_flight; /* of long polls, and of all other calls together, each [1024] */
};

/*
 * What every completion says of its own call; borrowed. err: the transport's codes of
 * http/client.h; for SQS's own errors what aws/sqs_error.h makes of them; ERR_PROTOCOL for an
 * answer that is not what the operation answers; ERR_NOMEM.
 */
struct sqs_outcome {
	int err;
	const char *code; /* SQS's error code ("QueueDoesNotExist"), "" when there was none */
	/*
	 * For people, never NULL: "CODE (HTTP 400, request id ID): SQS's message", or the
	 * transport's words. With err 0 it is "" unless an entry failed or a message was dropped.
	 */
	const char *detail;
	const char *request_id;	 /* x-amzn-RequestId, "" when there was none */
	int64_t server_epoch_ms; /* Date header; 0: none */
	unsigned dropped; /* of a receive: messages that were corrupt or malformed and thus not
			   * handed on; they return after their visibility timeout */
};

/*
 * loop, clock, credentials: borrowed, outlive the client. 0, ERR_NOMEM, ERR_IO, or ERR_ARGUMENT
 * (bad endpoint or region).
 */
int sqs_client_new(uv_loop_t *loop, struct clock clock, struct credentials *credentials,
	const struct sqs_client_options *options, struct sqs_client **ret_client);
/*
 * Cancels what is in flight; may be called from a `done`. Its handles close on a later turn of the
 * loop. Batches that are out stay alive. NULL is fine.
 */
void sqs_client_close(struct sqs_client *client);
/* Requests sent so far, for the cost of a run. */
uint64_t sqs_client_requests(const struct sqs_client *client);
/* Messages received and dropped so far (see sqs_outcome). */
uint64_t sqs_client_dropped(const struct sqs_client *client);

typedef void sqs_receive_done(
	void *arg, const struct sqs_outcome *outcome, struct queue_batch *batch);
/* results as in bunshin/queue.h */
typedef void sqs_batch_done(
	void *arg, const struct sqs_outcome *outcome, const int results[], size_t count);
typedef void sqs_url_done(void *arg, const struct sqs_outcome *outcome, const char *queue_url);

struct sqs_counts {
	int64_t visible, in_flight,
		delayed;      /* ApproximateNumberOfMessages, ...NotVisible, ...Delayed */
	int64_t visibility_s; /* the queue's VisibilityTimeout */
};
typedef void sqs_counts_done(
	void *arg, const struct sqs_outcome *outcome, const struct sqs_counts *counts);

/*
 * Each returns 0 or ERR_NOMEM, ERR_LIMIT, ERR_ARGUMENT (a count, number, name or text that SQS does
 * not take), ERR_TOO_LARGE, or what credentials_get() says.
 */
int sqs_receive(struct sqs_client *client, const char *queue_url,
	const struct queue_receive *params, sqs_receive_done *done, void *arg,
	struct queue_call **ret_call);
int sqs_delete_batch(struct sqs_client *client, const char *queue_url,
	const char *const receipt_handles[], size_t count, sqs_batch_done *done, void *arg,
	struct queue_call **ret_call);
int sqs_change_visibility_batch(struct sqs_client *client, const char *queue_url,
	const struct queue_visibility entries[], size_t count, sqs_batch_done *done, void *arg,
	struct queue_call **ret_call);
int sqs_send_batch(struct sqs_client *client, const char *queue_url,
	const struct queue_send entries[], size_t count, sqs_batch_done *done, void *arg,
	struct queue_call **ret_call);
int sqs_get_counts(struct sqs_client *client, const char *queue_url, sqs_counts_done *done,
	void *arg, struct queue_call **ret_call);
int sqs_get_queue_url(struct sqs_client *client, const char *queue_name, sqs_url_done *done,
	void *arg, struct queue_call **ret_call);
int sqs_create_queue(struct sqs_client *client, const char *queue_name, sqs_url_done *done,
	void *arg, struct queue_call **ret_call);
void sqs_call_cancel(struct sqs_client *client, struct queue_call *call);

#endif
