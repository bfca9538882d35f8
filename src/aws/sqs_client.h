/*
 * SQS client: AWS JSON 1.0 over the HTTP client, signed with SigV4.
 * Protocol facts: SQS API model 2012-11-05; error codes and retry classes as in the AWS SDKs.
 *
 * The same promises as bunshin/queue.h: what is passed in is copied, `done` runs exactly once,
 * later, from the loop, never after sqs_call_cancel().
 *
 * One call is one request, repeated in the SDKs' standard retry mode (2026 revision; sqs_retry.h):
 * transport errors, 5xx and throttles, up to max_attempts in all, full jitter, out of a bucket of
 * 500 tokens a client. Besides, once a call each and outside of those attempts:
 *  - keys refused as expired or unknown: renewed, signed again (credentials_refused());
 *  - a clock that the Date header shows to be off by 4 minutes or more: the client signs by the
 *    corrected time from then on;
 *  - a kept-alive connection that was closed before any answer: again at once.
 * Each attempt is signed anew. A call waits for keys that are being looked for as long as its
 * time-out, then it is ERR_TIMEOUT. What is reported is the outcome of the last attempt.
 *
 * A repeated SendMessageBatch may store its messages twice on a standard queue, when only the
 * answer was lost. The copies carry the same IdempotencyKey attribute where they have one, and so
 * are one message to whoever looks it up; without that attribute they are two.
 *
 * Each attempt of a receive has a deadline of its wait and SQS_POLL_SLACK_MS, connecting included;
 * the connection is given up when the other side has not taken what was sent for 10 s.
 */
#ifndef AWS_SQS_CLIENT_H
#define AWS_SQS_CLIENT_H

#include "aws/credentials.h"
#include "aws/sqs_error.h"
#include "bunshin/clock.h"
#include "bunshin/queue.h"

#include <uv.h>

#define SQS_BATCH_MAX_BYTES ((size_t)1 << 20) /* bodies and attributes of one send (SQS quota) */

#define SQS_POLL_SLACK_MS 5000

struct sqs_client;

struct sqs_client_options {
	/*
	 * http(s)://host[:port], a '/' after it is fine; NULL: the region's own,
	 * https://sqs.REGION.amazonaws.com or its like in other partitions.
	 */
	const char *endpoint;
	const char *region; /* signing region, never NULL */
	int64_t timeout_ms; /* of each attempt of all calls but receives [10000] */
	/* Calls under way, waiting ones too: receives, and all others together, each [1024]. */
	unsigned max_in_flight;
	unsigned max_attempts; /* of one call [3] */
	const char *ca_file;   /* PEM; NULL: the system's; copied */
	/*
	 * The offset of the clock that is signed by has changed. It must not call the client. NULL:
	 * nobody listens.
	 */
	void (*clock_corrected)(void *arg, int64_t offset_ms);
	void *arg;
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
	 * transport's words; ", 3 attempts" follows ID or the words when there were more than one
	 * (requests sent). With err 0 it is "" unless an entry failed or a message was dropped.
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
/* Since the start. requests less retries and renewed are the calls that were sent at all. */
struct sqs_client_stats {
	uint64_t requests;  /* sent, repetitions included: the cost of a run */
	uint64_t retries;   /* repetitions, for a stale connection too */
	uint64_t throttled; /* answers that asked to slow down */
	uint64_t renewed;   /* requests signed again with other keys, or by another time */
	uint64_t exhausted; /* repetitions not made since the bucket was empty */
	uint64_t dropped;   /* messages received and dropped (see sqs_outcome) */
	uint64_t by_operation[SQS_OPERATIONS]; /* requests, of enum sqs_operation */
	/*
	 * Requests as SQS bills them, of standard and of FIFO queues: each 64 KiB of a payload that
	 * are begun are one ("Amazon SQS pricing", notes). What counts as payload is not said in
	 * full; here it is the body of the request, or of the answer where that is larger.
	 */
	uint64_t billed, billed_fifo;
	int64_t clock_offset_ms; /* how far SQS's clock is ahead, as signed by; 0: not corrected */
};
const struct sqs_client_stats *sqs_client_stats(const struct sqs_client *client);

typedef void sqs_receive_done(
	void *arg, const struct sqs_outcome *outcome, struct queue_batch *batch);
/* results as in bunshin/queue.h */
typedef void sqs_batch_done(
	void *arg, const struct sqs_outcome *outcome, const int results[], size_t count);
typedef void sqs_url_done(void *arg, const struct sqs_outcome *outcome, const char *queue_url);

/* attributes: NULL on an error. */
typedef void sqs_attributes_done(
	void *arg, const struct sqs_outcome *outcome, const struct queue_attributes *attributes);

/*
 * Each returns 0 or ERR_NOMEM, ERR_LIMIT, ERR_ARGUMENT (a count, number, name or text that SQS does
 * not take), ERR_TOO_LARGE, or what credentials_get() says but for ERR_PENDING.
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
int sqs_get_attributes(struct sqs_client *client, const char *queue_url, sqs_attributes_done *done,
	void *arg, struct queue_call **ret_call);
int sqs_get_queue_url(struct sqs_client *client, const char *queue_name, sqs_url_done *done,
	void *arg, struct queue_call **ret_call);
int sqs_create_queue(struct sqs_client *client, const char *queue_name, sqs_url_done *done,
	void *arg, struct queue_call **ret_call);
void sqs_call_cancel(struct sqs_client *client, struct queue_call *call);

#endif
