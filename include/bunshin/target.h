/*
 * The target table: how the delivery core makes one attempt at one provider.
 *
 * Real: http/http_target.h. Tests: a fake in virtual time. A target renders and sends; it does
 * not judge. What the answer means is the core's outcome table.
 */
#ifndef BUNSHIN_TARGET_H
#define BUNSHIN_TARGET_H

#include "bunshin/queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TARGET_EXCERPT_MAX 4096 /* bytes of an answer's body that a result carries */

/* What came of one attempt; borrowed for the callback. */
struct target_result {
	/*
	 * 0: an answer arrived and `status` holds. Otherwise why none did: ERR_TEMPLATE (a missing
	 * variable, a header value with a line break, a body that is not JSON: nothing was sent),
	 * ERR_NOT_ALLOWED (a host or an address that no message may choose: nothing was sent),
	 * ERR_DNS, ERR_CONNECT, ERR_TLS, ERR_TIMEOUT, ERR_NETWORK, ERR_PROTOCOL,
	 * ERR_ANSWER_TOO_LARGE, ERR_NOMEM.
	 */
	int err;
	int status;		/* 100-599 */
	int64_t retry_after_ms; /* Retry-After, seconds or date, as a delay; -1: absent or
				   unreadable */
	const char
		*reason; /* for people, never NULL: 'missing variable "name"'; "" with an answer */
	const char *request_id; /* the provider's own id of the request; "" when it gave none */
	const char *excerpt;	/* start of the answer's body, at most TARGET_EXCERPT_MAX bytes */
	size_t excerpt_bytes;
	/* The whole body, where the destination has batches of records; else NULL. */
	const char *answer;
	size_t answer_bytes;
	bool answer_is_whole; /* it was not cut for its length */
	uint64_t duration_us; /* from start to the end of the answer */
	/* With err: the request went out, or a part of it, so the provider may have accepted it.
	 * The core sets it of an answer that leaves that open, too. */
	bool unanswered;
};

/*
 * The request goes out now: its connection is there, which may have taken a while. Called with the
 * `arg` of start(), once for each time that the other side is sent it: not at all when it fails
 * before, again when a server refused to look at it and it is sent again at once. From the loop,
 * never from inside start(), always before `done`; it must not call the target.
 */
typedef void target_departs(void *arg);

/*
 * What one attempt is to bring. Borrowed for the call of start(), the messages apart, which stay
 * alive until `done` or cancel.
 *
 * Mostly it is one message. It is several where the destination gathers them: then whatever the
 * target renders by one of them but its recipient is the same in all.
 */
struct target_request {
	const struct queue_message *const *messages;
	size_t message_count;	     /* at least 1 */
	const char *idempotency_key; /* of the request: of one message alone, that message's */
	/*
	 * Where the destination has batches of format list: a JSON array of the recipients that
	 * this request is for, which stands for the field that they are in. NULL elsewhere.
	 */
	const char *recipients;
	size_t recipients_bytes;
	target_departs *departs; /* NULL: nobody wants to know */
};

/* For one message, without a list; `message` points to the caller's pointer to it. */
static inline struct target_request target_request_for(const struct queue_message *const *message)
{
	return (struct target_request){.messages = message,
		.message_count = 1,
		.idempotency_key = (*message)->idempotency_key};
}

typedef void target_done(void *arg, const struct target_result *result);

/* An attempt under way; only good for cancel(), and only until its `done` begins. */
struct target_attempt;

struct target_ops {
	/*
	 * Starts one attempt. Returns 0 and calls `done` exactly once, later, from the loop, never
	 * from inside start(); or returns a negative code (ERR_NOMEM, ERR_LIMIT) and never calls
	 * it.
	 */
	int (*start)(void *impl, const struct target_request *request, target_done *done, void *arg,
		struct target_attempt **ret_attempt);
	/* Gives the attempt up; `done` is not called. The provider may still have accepted it. */
	void (*cancel)(void *impl, struct target_attempt *attempt);
};

/* A value type: copy it freely. `impl` outlives every copy. */
struct target {
	const struct target_ops *ops;
	void *impl;
};

#endif
