/*
 * The real target: renders a destination's request template with a message and sends it.
 *
 * Template variables are the fields of the message body when it is a JSON object ({{name}},
 * {{a.b.0}}), then the built-in ones: body, idempotency_key, message_id, receive_count,
 * sent_epoch_ms, first_received_at (RFC 3339), attributes.NAME (a message attribute). A field wins
 * over a built-in name, except over idempotency_key, which is always the request's own. Where a
 * request has a list of recipients, the variable that is called as the field they are in is that
 * list. What else is asked of a message is asked of the request's first.
 *
 * The message's trace goes along as headers (tracing/carrier.h), unless the destination's `trace`
 * is none; one that the destination sets itself wins.
 */
#ifndef HTTP_HTTP_TARGET_H
#define HTTP_HTTP_TARGET_H

#include "base/buf.h"
#include "bunshin/clock.h"
#include "bunshin/target.h"
#include "config/config.h"
#include "http/signer.h"

#include <uv.h>

struct http_target;

/*
 * `destination` is borrowed and outlives the target; its templates are compiled already. The
 * target has an HTTP client of its own, so that no other destination shares its connections.
 * Returns 0, ERR_NOMEM or ERR_IO.
 */
int http_target_new(uv_loop_t *loop, struct clock clock,
	const struct config_destination *destination, struct http_target **ret_target);
/* Cancels attempts in flight; the memory goes on a later turn of the loop. NULL is fine. */
void http_target_close(struct http_target *target);
struct target http_target_table(struct http_target *target);

/*
 * Every request from now on is signed by it; its `impl` outlives the target. An attempt for which
 * there is nothing to sign with ends with the signer's error, of class auth, and nothing is sent.
 */
void http_target_set_signer(struct http_target *target, struct http_signer signer);

/*
 * For batches of records (http/event_records.h), before the first attempt: the queue that they say
 * they come from. Copied. 0 or ERR_NOMEM.
 */
int http_target_set_queue(struct http_target *target, const char *arn, const char *region);

/*
 * Spans are made here of the messages that are sampled (tracing/carrier.h), with this share in
 * millionths: what the provider is told of the trace has that span as the parent. Without this call
 * messages only pass their trace on.
 */
void http_target_make_spans(struct http_target *target, uint32_t share);
/* What its connections are doing. */
struct http_target_connections {
	unsigned open;	       /* TCP connections */
	unsigned most_streams; /* requests at once on the busiest HTTP/2 one since the last call */
	uint64_t opened;       /* since the start */
	uint64_t refused;      /* requests, unseen, by HTTP/2's means; since the start */
};

void http_target_get_connections(
	struct http_target *target, struct http_target_connections *ret_connections);

/* Since the start: trace contexts that were not of their form, of attempts that were started. */
uint64_t http_target_invalid_traces(const struct http_target *target);

/*
 * The request as it would be sent, for `invoke`: method, url, "Name: value" lines and body, as text
 * for people; the values of secret headers are "[hidden]". 0, ERR_TEMPLATE (reason says which
 * variable), the signer's error, or ERR_NOMEM.
 */
int http_target_preview(struct http_target *target, const struct target_request *request,
	struct buf *out, struct buf *reason);

/* Pure: Retry-After, seconds or an RFC 9110 date, as a delay from now; -1: unreadable. */
int64_t http_retry_after_ms(const char *value, int64_t now_epoch_ms);

#endif
