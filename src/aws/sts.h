/*
 * STS: temporary keys for a role, and whose keys these are. API version 2011-06-15, over
 * aws/query_call.h, which also repeats IDPCommunicationError and (web identity only)
 * InvalidIdentityToken.
 */
#ifndef AWS_STS_H
#define AWS_STS_H

#include "aws/credentials.h"
#include "aws/endpoint.h"
#include "bunshin/clock.h"

#include <uv.h>

struct sts;
struct query_call;

struct sts_options {
	const struct endpoint *endpoint; /* copied */
	const char *region;		 /* signing region; copied */
	const char *ca_file;		 /* NULL: the system's; copied */
	int64_t timeout_ms;		 /* of one attempt [5000] */
};

/* loop and clock are borrowed. 0, ERR_NOMEM or ERR_IO. */
int sts_new(uv_loop_t *loop, struct clock clock, const struct sts_options *options,
	struct sts **ret_sts);
/* Cancels what is under way; handles close on later turns of the loop. NULL is fine. */
void sts_close(struct sts *sts);

/*
 * Exactly once, from the loop, never from inside the call, never after sts_cancel(). err 0, or the
 * transport's code, ERR_ACCESS_DENIED, ERR_BAD_CREDENTIALS, ERR_EXPIRED_CREDENTIALS,
 * ERR_CLOCK_SKEW, ERR_THROTTLED, ERR_UNAVAILABLE, ERR_REFUSED, ERR_PROTOCOL; reason "" or
 * "AssumeRole: AccessDenied (HTTP 403): ...", borrowed, never a key or a token.
 */
typedef void sts_done(void *arg, int err, const char *reason);

struct sts_role {
	const char *role_arn;
	const char *session_name;
	const char *external_id; /* NULL: none */
	unsigned duration_s;	 /* 0: not said */
};

/*
 * Each returns 0, ERR_NOMEM, ERR_LIMIT (calls at once, or texts past any that STS takes) or
 * ERR_ARGUMENT (keys that no header can hold, a time or region that cannot be signed by); all texts
 * are copied. *ret_set (keys, expiry, account_id,
 * principal: the assumed role's ARN) must live until done or cancel; it is filled on 0 only.
 */
int sts_assume_role(struct sts *sts, const struct credentials_set *keys,
	const struct sts_role *role, struct credentials_set *ret_set, sts_done *done, void *arg,
	struct query_call **ret_call);
/* Unsigned: the token is the proof. external_id is ignored. */
int sts_assume_role_with_web_identity(struct sts *sts, const struct sts_role *role,
	const char *token, struct credentials_set *ret_set, sts_done *done, void *arg,
	struct query_call **ret_call);

struct sts_identity {
	char account_id[16];
	char arn[CREDENTIALS_PRINCIPAL_MAX];
};
int sts_get_caller_identity(struct sts *sts, const struct credentials_set *keys,
	struct sts_identity *ret_identity, sts_done *done, void *arg, struct query_call **ret_call);
void sts_cancel(struct query_call *call);

/* "bunshin-" and 16 random hex digits, a valid RoleSessionName. */
#define STS_SESSION_NAME_SIZE 32
void sts_session_name(struct clock clock, char ret_name[STS_SESSION_NAME_SIZE]);

#endif
