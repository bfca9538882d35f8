/*
 * The inside of the client: shared by sqs_client.c (its start and end), sqs_call.c (the life of a
 * call), sqs_attempt.c (one request of it), sqs_calls.c (bodies and answers), and sqs_queue.c, so
 * that the queue table needs no memory of its own.
 *
 * How a call moves: sqs_call_new() takes one out of the pool, the operation writes its body, and
 * sqs_call_send() signs and sends it. When an attempt has ended, sqs_call.c judges whether the call
 * is done, repeated after a pause, or sent again at once; each attempt is a new exchange, signed
 * anew, with the same body.
 */
#ifndef AWS_SQS_CALL_H
#define AWS_SQS_CALL_H

#include "aws/endpoint.h"
#include "aws/sigv4.h"
#include "aws/sqs_client.h"
#include "aws/sqs_codec.h"
#include "aws/sqs_redrive.h"
#include "aws/sqs_retry.h"
#include "aws/sqs_tags.h"
#include "aws/uuid.h"
#include "base/buf.h"
#include "base/list.h"
#include "http/client.h"

#define SQS_REQUEST_MAX ((size_t)4 << 20)
#define SQS_REQUEST_ID_SIZE 128
#define SQS_DATE_SIZE 32 /* "Fri, 02 Jan 2026 03:04:05 GMT" and more than its NUL */

enum call_state {
	CALL_SPARE,  /* in the pool */
	CALL_READY,  /* nothing under way: it is being filled in, or was just judged */
	CALL_KEYS,   /* waits for keys to sign with; `timer` ends the wait */
	CALL_SENT,   /* `exchange` is out */
	CALL_PAUSED, /* will be sent again when `timer` fires */
	CALL_ENDING, /* has failed, and says so when `timer` fires (sqs_retry.h: an empty bucket) */
	CALL_DONE,   /* its `done` runs */
	CALL_STATES
};

/* What the last attempt came to; the text of an sqs_outcome. */
struct sqs_verdict {
	int err;
	char code[SQS_CODE_SIZE];
	char detail[SQS_DETAIL_SIZE];
	char request_id[SQS_REQUEST_ID_SIZE];
	int64_t server_epoch_ms;
	int64_t retry_after_ms; /* x-amz-retry-after; -1: none */
	bool answered;		/* by SQS, whatever it said; else the transport failed */
};

/* A ReceiveRequestAttemptId (sqs_queue.h). */
struct sqs_receive_id {
	char text[UUID_TEXT_SIZE]; /* "": of no FIFO queue */
	bool lost;		   /* it may have reached SQS, and no answer came since */
	uint64_t sent_us;	   /* monotonic: when first sent; meaningful while lost */
};

struct queue_call {
	struct list node; /* among the client's calls, or its free ones */
	struct sqs_client *client;
	enum call_state state;
	enum sqs_operation operation;
	union {
		sqs_receive_done *receive;
		sqs_batch_done *batch;
		sqs_attributes_done *attributes;
		sqs_url_done *url;
		sqs_redrive_done *redrive;
		sqs_tags_done *tags;
	} done;
	void *arg;
	bool fifo;		      /* it is about a FIFO queue */
	size_t count;		      /* entries of a batch */
	struct buf body;	      /* the same for every attempt, but for the id of a receive */
	struct buf queue_url;	      /* of a receive: the idempotency keys are made of it */
	enum sqs_unwrap unwrap;	      /* of a receive; sqs_queue.c sets it */
	struct sqs_sent_digests sent; /* of a send */
	struct queue_receive receive; /* of a receive, what it asks for */
	struct sqs_receive_id id;     /* the same */

	/* The attempts. */
	int64_t timeout_ms; /* of each, and of the wait for keys */
	struct http_exchange *exchange;
	struct clock_timer timer;
	struct credentials_waiter waiter;
	char invocation_id[UUID_TEXT_SIZE]; /* "" until it is sent a second time */
	struct sqs_retry retry;
	unsigned requests;	    /* sent so far */
	bool resent;		    /* once: since a connection was stale */
	bool renewed;		    /* once: since its keys were refused */
	bool retimed;		    /* once: since the clock was wrong */
	bool signs_again;	    /* the next request is for one of the latter two */
	uint64_t generation;	    /* of the keys that the last one was signed with */
	uint64_t refused;	    /* the generation that was refused; meaningful when renewed */
	int64_t clock_offset_ms;    /* that the last one was signed by */
	int64_t sent_epoch_ms;	    /* of the last one, by this machine's clock */
	struct sqs_verdict verdict; /* of the last one */

	/* sqs_queue.c's: the table, and whom its own completion tells. */
	struct sqs_queue *queue;
	union {
		queue_receive_done *receive;
		queue_batch_done *batch;
		queue_attributes_done *attributes;
	} queue_done;
	void *queue_arg;
};

struct sqs_client {
	struct clock clock;
	struct credentials *credentials;
	/* Two, so that long polls cannot take every slot from the deletes. */
	struct http_client *polls;
	struct http_client *others;
	unsigned polls_in_flight, others_in_flight; /* calls, in whatever state */
	unsigned max_in_flight, max_attempts;
	struct sigv4 *signer;
	struct sqs_decoder decoder;
	struct endpoint endpoint;
	char region[64];
	int64_t timeout_ms;
	void (*clock_corrected)(void *arg, int64_t offset_ms);
	void *arg;
	struct list calls; /* under way */
	struct list spare; /* to be used again */
	struct sqs_retry_bucket bucket;
	struct buf authorization;
	char date[SQS_DATE_SIZE]; /* of the latest answer that had one; "": none yet */
	int64_t date_epoch_ms;	  /* what it says */
	struct sqs_client_stats stats;

	/* A `done` is running: what it borrows must live until it returns. */
	bool completing;
	bool closed;
};

/* sqs_client.c */
void sqs_client_destroy(struct sqs_client *client);

/*
 * sqs_call.c. A call to write the body of; the caller fills `done` in. 0, ERR_NOMEM, or ERR_LIMIT.
 */
int sqs_call_new(struct sqs_client *client, enum sqs_operation operation, void *arg,
	struct queue_call **ret_call);
/*
 * Signs and starts the call whose body is written, unless `err` is already something else than 0.
 * Returns 0 with *ret_call set, or the error with the call gone.
 */
int sqs_call_send(struct queue_call *call, int err, struct queue_call **ret_call);
/* An http_done: an attempt has ended. */
void sqs_call_attempted(
	void *call, struct http_exchange *exchange, const struct http_response *response);
/* Gives up what is under way and frees the memory. */
void sqs_call_free(struct queue_call *call);

/*
 * sqs_attempt.c. Signs and starts one request of the call: `exchange` is then set. 0 or the error,
 * nothing being under way then.
 */
int sqs_attempt_start(struct queue_call *call, const struct credentials_set *keys);
/* Fills the verdict in, and looks at the Date. */
void sqs_attempt_judge(struct queue_call *call, struct http_exchange *exchange,
	const struct http_response *response);
/* A verdict of our own: err, in the words given, or when these are empty in those of err. */
void sqs_verdict_set(struct queue_call *call, int err, const char *words);
/* "", or ", 3 attempts" when there were more than one. */
#define SQS_ATTEMPTS_SIZE 32
void sqs_attempts_words(const struct queue_call *call, char ret_words[SQS_ATTEMPTS_SIZE]);

/*
 * sqs_calls.c. A receive with an id of before (copied), or a fresh one where that is NULL; else as
 * sqs_receive().
 */
int sqs_receive_with(struct sqs_client *client, const char *queue_url,
	const struct queue_receive *params, const struct sqs_receive_id *id, sqs_receive_done *done,
	void *arg, struct queue_call **ret_call);
/* Gives a receive of a FIFO queue, whose id was answered, a fresh one. 0 or the buffer's error. */
int sqs_receive_renew_id(struct queue_call *call);
/* Decodes what came and tells `done`. outcome->err 0: a 2xx answer; else answer may be NULL. */
void sqs_call_complete(struct queue_call *call, struct sqs_decoder *decoder,
	struct sqs_outcome *outcome, const struct buf *answer);
/*
 * A 2xx answer that did not decode: err (0: it did, nothing happens) goes into the outcome, and
 * `words`, which are written, become its detail.
 */
void sqs_outcome_fail(const struct queue_call *call, struct sqs_outcome *outcome, int err,
	const struct buf *answer, char words[SQS_DETAIL_SIZE]);

/* sqs_redrive.c: sqs_call_complete() of its operations. */
void sqs_redrive_complete(struct queue_call *call, struct sqs_decoder *decoder,
	struct sqs_outcome *outcome, const struct buf *answer);

/* sqs_tags.c: sqs_call_complete() of its operations. */
void sqs_tags_complete(struct queue_call *call, struct sqs_decoder *decoder,
	struct sqs_outcome *outcome, const struct buf *answer);

#endif
