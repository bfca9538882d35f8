/*
 * Auto Scaling's API, version 2011-01-01, as far as an instance speaks of itself: over
 * aws/query_call.h, signed with the chain's keys.
 * Source: EC2 Auto Scaling API reference, "CompleteLifecycleAction",
 * "RecordLifecycleActionHeartbeat", "SetInstanceProtection".
 *
 * Keys that are being looked for are waited for, and those that are refused as expired or unknown
 * are asked for again, once a call.
 */
#ifndef AWS_INSTANCE_AUTOSCALING_H
#define AWS_INSTANCE_AUTOSCALING_H

#include "aws/credentials/provider.h"
#include "aws/endpoint_choice.h"

struct autoscaling;
struct autoscaling_call;

/* All borrowed but `choice`, which is copied. 0, ERR_NOMEM or ERR_IO. */
int autoscaling_new(const struct credentials_context *context, struct credentials *credentials,
	const struct endpoint_choice *choice, struct autoscaling **ret_autoscaling);
/* Cancels; handles close on later turns of the loop. NULL is fine. */
void autoscaling_close(struct autoscaling *autoscaling);

/*
 * Once, from the loop, never from inside the call that starts it, never after cancel. err 0, what
 * credentials_get() says, or query_done's; besides
 *	ERR_NOT_FOUND	complete, heartbeat: no such action is under way (any more)
 *	ERR_PENDING	protection: the instance is not in service yet, or no longer
 */
typedef void autoscaling_done(void *arg, int err, const char *reason);

/* Texts are copied. */
struct autoscaling_request {
	enum {
		AUTOSCALING_COMPLETE,  /* CompleteLifecycleAction, CONTINUE */
		AUTOSCALING_HEARTBEAT, /* RecordLifecycleActionHeartbeat */
		AUTOSCALING_PROTECT,   /* SetInstanceProtection */
		AUTOSCALING_UNPROTECT,
	} kind;
	const char *group;
	const char *instance_id;
	const char *hook; /* the first two */
};

/* 0 or ERR_NOMEM. */
int autoscaling_call(struct autoscaling *autoscaling, const struct autoscaling_request *request,
	autoscaling_done *done, void *arg, struct autoscaling_call **ret_call);
/* Not for a call whose `done` has begun. */
void autoscaling_cancel(struct autoscaling_call *call);

#endif
