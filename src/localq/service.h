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

#include "base/list.h"
#include "bunshin/clock.h"
#include "localq/answer.h"
#include "localq/fault.h"
#include "localq/hasher.h"
#include "localq/mover.h"
#include "localq/poller.h"
#include "localq/store.h"

#include <cjson/cJSON.h>
#include <stdbool.h>

#define SERVICE_ACCOUNT "000000000000"
#define SERVICE_HOST_MAX 256
#define SERVICE_REGION_MAX 64
#define SERVICE_NAME_RESERVED_MS 60000	/* after DeleteQueue (SQS API) */
#define SERVICE_PURGE_INTERVAL_MS 60000 /* between two PurgeQueue (SQS API) */
#define SERVICE_IN_FLIGHT_MAX 120000	/* of one queue (SQS quota) */

struct operation;
struct call;

struct service_options {
	const char *dir; /* NULL: in memory */
	const char *region;
	struct clock clock;
	/* Answers are ready or a queue wants a look: call service_flush this turn. */
	void (*wants_flush)(void *arg);
	/* A transaction failed, for the log. */
	void (*failed)(void *arg, const char *detail);
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
	void (*failed)(void *arg, const char *detail);
	void *arg;
};

/* What a ReceiveMessage asks for; the lists point into the call's params. */
struct receive {
	struct store_queue *queue;
	size_t max;
	int64_t visibility_ms;
	int64_t wait_us;	    /* 0: short poll */
	uint32_t system_attributes; /* bit per system attribute, receive.c */
	const cJSON *attribute_names;
};

/*
 * One request. The endpoint embeds it and fills in the first part; service_handle takes it from
 * there and calls `reply` exactly once, from a later service_flush, unless service_forget() came
 * first. Freed with call_free.
 */
struct call {
	const char *operation_name; /* "SendMessage"; borrowed for service_handle */
	const char *body;	    /* JSON; borrowed for service_handle */
	size_t body_bytes;
	const char *queue_path;		  /* the request's path: stands for an absent QueueUrl */
	char host[SERVICE_HOST_MAX];	  /* for queue URLs */
	void (*reply)(struct call *call); /* send call->answer with call_status */
	bool (*is_alive)(struct call *call);

	struct service *service;
	struct list node; /* in `finished`, or among a queue's waiting receives */
	cJSON *params;
	struct answer answer;
	struct problem problem; /* fault != FAULT_NONE: this is the answer */
	char request_id[TEXT_UUID_BYTES];
	struct receive receive;
	struct watch *watch; /* waiting there; NULL: not waiting */
	struct clock_timer timeout;
};

/*
 * Opens the store. Returns 0 or what store_open returns, or ERR_ARGUMENT (region too long),
 * `detail` then says what is wrong.
 */
int service_open(struct service *service, const struct service_options *options,
	char detail[STORE_DETAIL_MAX]);
/* Every call must have been answered or forgotten. */
void service_close(struct service *service);

/* Makes a zeroed or recycled call usable. */
void call_init(struct call *call, struct service *service);
/* Frees what it holds but an answer's memory of at most keep_bytes, for the next call_init. */
void call_recycle(struct call *call, size_t keep_bytes);
void call_free(struct call *call);

/* Runs the operation. */
void service_handle(struct service *service, struct call *call);
/* Answers a call that was not handled, call->problem being filled. */
void service_refuse(struct service *service, struct call *call);
/* The client is gone: the call is not replied to. It may be freed afterwards. */
void service_forget(struct service *service, struct call *call);
/* Serves waiting receives, commits, replies. */
void service_flush(struct service *service);
/* From now on no receive waits; those that do are answered at the next flush. */
void service_drain(struct service *service);

/* Version 4 (RFC 4122). */
void service_random_uuid(struct service *service, uint8_t ret[16]);

/* For the poller: the answer (or problem) of a call is there. */
void service_finish(struct service *service, struct call *call);

#endif
