/*
 * A client of a service of the AWS Query protocol: signs a form, posts it, repeats it, reads the
 * XML that comes back. STS and Auto Scaling are tables of operations over it.
 *
 * Repeated on transport errors, 5xx and throttling: 3 attempts in all, full jitter (a random part
 * of 1 s, then of 2 s). A clock that the service says is wrong is corrected by its Date, once a
 * call.
 */
#ifndef AWS_QUERY_CALL_H
#define AWS_QUERY_CALL_H

#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "aws/query_codec.h"
#include "aws/xml_fields.h"
#include "bunshin/clock.h"

#include <uv.h>

struct query_client;
struct query_call;

struct query_client_options {
	const char *service;		 /* "sts": what it is signed for; static */
	const char *name;		 /* "STS": for people; static */
	const struct endpoint *endpoint; /* copied */
	const char *region;		 /* signing region; copied */
	const char *ca_file;		 /* NULL: the system's; copied */
	int64_t timeout_ms;		 /* of one attempt [5000] */
};

/* One operation of a service: static. */
struct query_operation {
	const char *name;		/* "AssumeRole" */
	const struct query_code *codes; /* of the service's own */
	size_t code_count;
	const char *repeated; /* a code that is repeated besides; NULL: none */
	bool is_signed;
	/*
	 * Reads the answer of a success into the call's `result`: 0; ERR_PROTOCOL with what is
	 * wrong in `problem`; ERR_NOMEM.
	 */
	int (*read)(void *result, const char *text, size_t len, char problem[XML_PROBLEM_SIZE]);
};

/*
 * Exactly once, from the loop, never from inside the call, never after query_cancel(). err 0, or
 * the transport's code, what query_answer_error() says, or ERR_PROTOCOL; reason "" or "AssumeRole:
 * AccessDenied (HTTP 403): ...", borrowed, never a key or a token.
 */
typedef void query_done(void *arg, int err, const char *reason);

/* loop and clock are borrowed. 0, ERR_NOMEM or ERR_IO. */
int query_client_new(uv_loop_t *loop, struct clock clock,
	const struct query_client_options *options, struct query_client **ret_client);
/* Cancels what is under way; handles close on later turns of the loop. NULL is fine. */
void query_client_close(struct query_client *client);

/*
 * A call with an empty form, to be filled by query_form_...() and handed to query_call_send().
 * `result` (for `read`) must live until done or cancel. 0, ERR_LIMIT (too many at once) or
 * ERR_NOMEM.
 */
int query_call_new(struct query_client *client, const struct query_operation *operation,
	void *result, query_done *done, void *arg, struct query_call **ret_call);
/* Of a call that is not sent yet; wiped in the end. */
struct buf *query_call_form(struct query_call *call);
/* What the form holds from here on is a secret, which no reason must repeat. */
void query_call_hide_from(struct query_call *call, size_t at);
/*
 * Sends it unless `err` is not 0; signed with the keys, which are copied (NULL: the operation is
 * not signed). Returns err; or 0; ERR_NOMEM; ERR_LIMIT (a form past any that a service takes); or
 * ERR_ARGUMENT (keys that no header can hold, a time or region that cannot be signed by). The call
 * is gone on an error.
 */
int query_call_send(struct query_call *call, const struct credentials_set *keys, int err,
	struct query_call **ret_call);
/* Not for a call whose `done` has begun. */
void query_cancel(struct query_call *call);

#endif
