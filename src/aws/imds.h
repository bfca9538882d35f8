/*
 * The EC2 instance metadata service, version 2: a session token by PUT, then GETs with it.
 * Source: EC2 user guide, "Use the Instance Metadata Service".
 *
 * The token (6 h) is kept and asked for again a little before its end and on a 401; calls that want
 * one at the same time share one PUT. Attempts: 3, a second each, full jitter between them. Nobody
 * being there is not tried again: a machine that is not on EC2 need not wait to be told so. Once
 * somebody was there, it is.
 */
#ifndef AWS_IMDS_H
#define AWS_IMDS_H

#include "aws/credentials/provider.h"

#define IMDS_BODY_MAX_BYTES ((size_t)64 << 10)

struct imds;
struct imds_call;

/* The context is borrowed and outlives it. 0 or ERR_NOMEM. Nothing is asked. */
int imds_new(const struct credentials_context *context, struct imds **ret_imds);
/* Cancels; wipes the token. Also from inside `done`. NULL is fine. */
void imds_free(struct imds *imds);

/*
 * Once, from the loop, never from inside imds_get() or after imds_cancel(). status: of the HTTP
 * answer, 0 without one. reason: borrowed, a sentence for people; "" on 0. err:
 *   0		body (NUL-terminated, borrowed; wiped afterwards) is what the path holds: at most
 *		IMDS_BODY_MAX_BYTES, no NUL in it. NULL on any other err
 *   ERR_NOT_FOUND	status 404: nothing at this path. Status 0: not on EC2, since nobody answers
 *			there (no route, refused, time-out before a connection), or something that
 *			knows no session tokens; or AWS_EC2_METADATA_DISABLED
 *   ERR_TIMEOUT	connected, but no answer came; if it was the token's, the reason speaks of
 *			the hop limit
 *   ERR_REFUSED	403 (switched off for this instance), 400, or 401 to a new token
 *   ERR_CONFIG		the endpoint in the settings is no URL
 *   ERR_UNAVAILABLE (429, 5xx), ERR_PROTOCOL, ERR_NETWORK, ERR_TLS, ERR_LIMIT, ERR_NOMEM
 */
typedef void imds_done(void *arg, int err, int status, const char *body, const char *reason);

/* path: "/latest/meta-data/placement/region"; copied. Returns 0 or ERR_NOMEM. */
int imds_get(struct imds *imds, const char *path, imds_done *done, void *arg,
	struct imds_call **ret_call);
/* Not for a call whose `done` has begun. */
void imds_cancel(struct imds_call *call);

#endif
