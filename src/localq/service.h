/*
 * The queue service without HTTP: requests in, answers out, one transaction a turn.
 *
 * Requests that arrive in one turn of the loop run at once and in one transaction; their answers
 * are handed out by service_flush, after the commit. When the commit fails every one of them is
 * answered with an internal failure and nothing of it happened. Waiting receives are served from
 * inside the flush, so what arrives in a turn also leaves in it, in the same transaction.
 */
#ifndef LOCALQ_SERVICE_H
#define LOCALQ_SERVICE_H

#include "base/hex.h"
#include "base/list.h"
#include "bunshin/clock.h"
#include "localq/answer.h"
#include "localq/fault.h"
#include "localq/hasher.h"
#include "localq/mover.h"
#include "localq/poller.h"
#include "localq/store.h"

#include "base/json.h"
#include <stdbool.h>

#define SERVICE_ACCOUNT "000000000000"
#define SERVICE_HOST_MAX 256
#define SERVICE_REGION_MAX 64
#define SERVICE_NAME_RESERVED_MS 60000	/* after DeleteQueue (SQS API) */
#define SERVICE_PURGE_INTERVAL_MS 60000 /* between two PurgeQueue (SQS API) */
#define SERVICE_IN_FLIGHT_MAX 120000	/* of one queue (SQS quota) */

struct operation;
struct call;
struct declarations;

struct service_options {
	const char *dir; /* NULL: in memory */
	enum store_sync sync;
	const char *region;
	struct clock clock;
	/* Answers are ready or a queue wants a look: call service_flush this turn. */
	void (*wants_flush)(void *arg);
	/* The call is answered, and what it did is kept: service_flush() calls it. */
	void (*reply)(void *arg, struct call *call);
	/*
	 * The database fails, for the log: a transaction, whose calls are answered with an internal
	 * failure, or the copying of the log, which is told once. Called for each transaction.
	 */
	void (*failed)(void *arg, const char *detail);
	/* A transaction that wrote something was committed since, and the log is copied. May be
	 * NULL. */
	void (*recovered)(void *arg);
	struct declarations *declarations; /* declare.h; NULL: none */
	void *arg;
};

struct service {
	struct store *store;
	struct clock clock;
	struct hasher *hasher;
	struct poller poller;
	struct list finished;			  /* calls answered, to be committed */
	struct clock_timer sweep;		  /* abandoned and expired messages */
	struct mover mover;			  /* message move tasks */
	struct buf attributes, system_attributes; /* scratch of one message */
	bool draining;				  /* no receive waits any more */
	char region[SERVICE_REGION_MAX + 1];
	void (*wants_flush)(void *arg);
	void (*reply)(void *arg, struct call *call);
	void (*failed)(void *arg, const char *detail);
	void (*recovered)(void *arg);
	bool failing; /* the last transaction that wrote something failed, or: */
	bool copying_fails;
	void *arg;
};

/* What a ReceiveMessage asks for; the lists point into the call's params. */
struct receive {
	struct store_queue *queue;
	size_t max;
	int64_t visibility_ms;
	int64_t wait_us;	    /* 0: short poll */
	uint32_t system_attributes; /* bit per system attribute, receive.c */
	const struct json_value *attribute_names;
	const char *attempt; /* ReceiveRequestAttemptId of a FIFO queue; NULL: none */
	int64_t looked_ms;   /* when receive_run() looked last */
};

enum protocol { PROTOCOL_JSON, PROTOCOL_QUERY };

/*
 * One request. The endpoint embeds it, fills in the first part and decodes it; service_handle takes
 * it from there, and the service's `reply` gives it back, exactly once, with an answer or a problem
 * that is written into the answer. Freed with call_free.
 */
struct call {
	const char *queue_path;	     /* the request's path: stands for an absent QueueUrl */
	char host[SERVICE_HOST_MAX]; /* for queue URLs */
	/* Is there still somebody to give messages to? Asked on the service's thread. */
	bool (*is_alive)(struct call *call);

	enum protocol protocol; /* the endpoint's choice */
	struct buf text;	/* JSON that was made of a form */
	const struct operation *operation;
	struct service *service; /* once it is handled */
	struct list node;	 /* in `finished`, or among a queue's waiting receives */
	struct json json;	 /* the memory of `params` */
	const struct json_value *params;
	struct answer answer;
	struct problem problem; /* fault != FAULT_NONE: this is the answer */
	char request_id[HEX_UUID_SIZE];
	struct receive receive;
	struct watch *watch; /* waiting there; NULL: not waiting */
	struct clock_timer timeout;
};

/*
 * Opens the store and makes the declared queues. Returns 0 or what store_open and declare_queues
 * return, or ERR_ARGUMENT (region too long), `detail` then says what is wrong.
 */
int service_open(struct service *service, const struct service_options *options,
	char detail[STORE_DETAIL_MAX]);
/* Every call must have been answered or forgotten. */
void service_close(struct service *service);

/* Makes a zeroed or recycled call usable; the clock is for random bits. */
void call_init(struct call *call, struct clock clock);
/* Frees what it holds but an answer's memory of at most keep_bytes, for the next call_init. */
void call_recycle(struct call *call, size_t keep_bytes);
void call_free(struct call *call);

/*
 * Finds the operation ("SendMessage") and reads its parameters from JSON. Both are borrowed until
 * the call is replied to. A fault is left in call->problem, too: the call is then refused.
 */
enum fault call_decode(struct call *call, const char *operation, const char *body, size_t bytes);
/* The same from the form of a Query request, which is borrowed for this call only. */
enum fault call_decode_form(struct call *call, const char *form, size_t bytes);
/* Writes the answer of a call that is not handled, call->problem being filled. */
void call_refuse(struct call *call);

/* Runs the operation of a decoded call. */
void service_handle(struct service *service, struct call *call);
/* Serves waiting receives, commits, replies. */
void service_flush(struct service *service);
/* From now on no receive waits; those that do are answered at the next flush. */
void service_drain(struct service *service);

/* Version 4 (RFC 4122). */
void service_random_uuid(struct service *service, uint8_t ret[16]);

/* For the poller: the answer (or problem) of a call is there. */
void service_finish(struct service *service, struct call *call);

#endif
