/*
 * The machine that the process runs on, seen from an Auto Scaling group or an ECS service: watches
 * for its end, keeps it from being scaled in while there is work, and tells the group when the work
 * is done.
 *
 *	notices.h		the end of an EC2 instance, by its metadata
 *	group.h			which instance of which group this is, and its calls
 *	autoscaling.h		the Auto Scaling API
 *	task_protection.h	the ECS agent's endpoint
 *	protection.h		when protection is held: pure
 *	keeper.h		holds it, through EC2 or ECS
 *	hook.h			the lifecycle hook: heartbeats, completion
 *
 * Nothing in here ever stops delivery: what fails is told once through `trouble` and tried again.
 *
 * A hook and a protection are one process's (or one supervisor's) of its own. Two services on one
 * instance need a lifecycle hook each, and only one of them may hold the protection: the first to
 * finish would let go what the other still needs.
 */
#ifndef AWS_INSTANCE_INSTANCE_H
#define AWS_INSTANCE_INSTANCE_H

#include "aws/credentials/provider.h"
#include "base/buf.h"

#include <stdbool.h>

/* All that instance_finish() may take. */
#define INSTANCE_FINISH_MS 10000

enum instance_protection {
	INSTANCE_PROTECTION_NONE,
	INSTANCE_PROTECTION_EC2, /* SetInstanceProtection of the instance's group */
	INSTANCE_PROTECTION_ECS, /* the ECS agent: ECS_AGENT_URI */
};

/* Texts are copied; everything else is borrowed and outlives the instance. */
struct instance_options {
	const struct credentials_context *context; /* `sts` is not used */
	/* May be NULL where instance_needs_credentials() is false. */
	struct credentials *credentials;
	bool notices;		       /* watch for the end of the EC2 instance */
	const char *lifecycle_hook;    /* to complete in the end; NULL: none */
	const char *autoscaling_group; /* NULL: the instance's tag, out of its metadata */
	enum instance_protection protection;
	bool allow_insecure_endpoint; /* plain http to the Auto Scaling API on another machine */
	/*
	 * The instance is going to end: drain now. Once, from the loop. `why` is for people.
	 * NULL where `notices` is false.
	 */
	void (*leave)(void *arg, const char *why);
	/*
	 * A part does not work: once when that begins, with the reason, and once with NULL when it
	 * works again. `part` is static: "instance notices", "lifecycle hook", "scale-in
	 * protection". From the loop; the texts are for people and hold no secret. To be logged.
	 */
	void (*trouble)(void *arg, const char *part, const char *reason);
	/*
	 * Something worth a line of the log has happened: protection held or let go, the hook
	 * completed, a rebalance recommended (which is not acted upon). From the loop. NULL: nobody
	 * wants to know.
	 */
	void (*event)(void *arg, const char *what);
	void *arg;
};

struct instance;

/* Nothing is asked for: no instance is needed, the calls below take NULL. */
bool instance_is_needed(const struct instance_options *options);
/* The hook, and protection through EC2, are signed calls; notices and ECS are not. */
bool instance_needs_credentials(const struct instance_options *options);

/*
 * Asks nothing before the loop turns. 0; ERR_NOMEM; ERR_IO; or ERR_CONFIG with a sentence in
 * `error`: ECS protection without an ECS_AGENT_URI that may be used, an endpoint in
 * AWS_ENDPOINT_URL_AUTO_SCALING or AWS_ENDPOINT_URL that is none or plain http to another machine.
 *
 * No callback runs from inside a call of this API, but for `done` as instance_finish() says. Only
 * `leave` may call instance_finish(), and only `done` instance_close().
 */
int instance_new(
	const struct instance_options *options, struct instance **ret_instance, struct buf *error);
/*
 * Whether there is work: messages held, or a backlog known. To be told about once a second; only
 * the moment of a change is looked at. False before the first call. Ignored after
 * instance_finish(). NULL is fine.
 */
void instance_busy(struct instance *instance, bool busy);
/*
 * Everything has drained: completes the lifecycle hook if the group terminates the instance (or may
 * do: its metadata does not say), and lets the protection go; that of an instance which is
 * terminated is left, as it means nothing any more. Once. `done` is called once, from the
 * loop, after INSTANCE_FINISH_MS at the latest; from inside, when the instance is NULL or there is
 * no memory for a timer. `leave` is not called any more. What fails goes to `trouble`.
 * Before this call, each 30 s while the group terminates the instance, the hook's time is extended.
 */
void instance_finish(struct instance *instance, void (*done)(void *arg), void *arg);
/*
 * Cancels everything: no callback follows. Handles close on later turns of the loop. Protection
 * that is held stays held, as after a crash: the next process lets it go once it is idle. NULL is
 * fine.
 */
void instance_close(struct instance *instance);

#endif
