#include "aws/instance/instance.h"

#include "aws/imds.h"
#include "aws/instance/group.h"
#include "aws/instance/hook.h"
#include "aws/instance/keeper.h"
#include "aws/instance/notices.h"
#include "aws/instance/notices_codec.h"
#include "aws/instance/task_protection.h"
#include "base/list.h"
#include "bunshin/error.h"

#include <stdlib.h>
#include <string.h>

#define NOTICES_PART "instance notices"
#define HOOK_PART "lifecycle hook"
#define PROTECTION_PART "scale-in protection"
#define TOO_LATE "it did not end in time"

/* Half of the time that ECS protection lasts. */
#define TASK_RENEW_MS ((int64_t)TASK_PROTECTION_MINUTES * 60 * 1000 / 2)

struct instance {
	struct instance_options options;
	/* Each NULL where it is not wanted. */
	struct imds *imds;
	struct notices *notices;
	struct group *group;
	struct hook *hook;
	struct task_protection *task;
	struct keeper *keeper;

	struct group_call *request;    /* EC2 protection under way */
	protection_set_done *set_done; /* of it */
	void *set_arg;
	bool terminating; /* the group terminates the instance */

	/* instance_finish(): what is waited for, until the timer fires. */
	void (*done)(void *arg);
	void *arg;
	bool finishing;
	struct imds_call *question; /* not NULL: whether it is being terminated */
	bool completing, letting_go;
	struct clock_timer timer; /* the end of it */
};

static const struct credentials_context *context_of(const struct instance *instance)
{
	return instance->options.context;
}

bool instance_is_needed(const struct instance_options *options)
{
	return options->notices || options->lifecycle_hook != NULL ||
	       options->protection != INSTANCE_PROTECTION_NONE;
}

bool instance_needs_credentials(const struct instance_options *options)
{
	return options->lifecycle_hook != NULL || options->protection == INSTANCE_PROTECTION_EC2;
}

/* ---- what the parts report */

static void on_event(void *arg, const char *what)
{
	struct instance *instance = arg;

	if (instance->options.event != NULL)
		instance->options.event(instance->options.arg, what);
}

static void on_notices_trouble(void *arg, const char *reason)
{
	struct instance *instance = arg;

	instance->options.trouble(instance->options.arg, NOTICES_PART, reason);
}

static void on_hook_trouble(void *arg, const char *reason)
{
	struct instance *instance = arg;

	instance->options.trouble(instance->options.arg, HOOK_PART, reason);
}

static void on_protection_trouble(void *arg, const char *reason)
{
	struct instance *instance = arg;

	instance->options.trouble(instance->options.arg, PROTECTION_PART, reason);
}

/* An instance on its way out cannot be protected, and need not be. */
static void group_protection_end(struct instance *instance)
{
	if (instance->task != NULL)
		return;
	keeper_free(instance->keeper);
	instance->keeper = NULL;
}

static void on_terminating(void *arg)
{
	struct instance *instance = arg;

	instance->terminating = true;
	group_protection_end(instance);
	if (instance->hook != NULL)
		hook_begin(instance->hook);
}

static void on_leave(void *arg, const char *why)
{
	struct instance *instance = arg;

	instance->options.leave(instance->options.arg, why);
}

/* ---- the two ways to set protection */

static void on_group_set(void *arg, int err, const char *reason)
{
	struct instance *instance = arg;

	instance->request = NULL;
	instance->set_done(instance->set_arg, err, reason);
}

static int group_set(void *impl, bool held, protection_set_done *done, void *arg)
{
	struct instance *instance = impl;

	instance->set_done = done;
	instance->set_arg = arg;
	return group_call(instance->group, held ? AUTOSCALING_PROTECT : AUTOSCALING_UNPROTECT, NULL,
		on_group_set, instance, &instance->request);
}

static void group_set_cancel(void *impl)
{
	struct instance *instance = impl;

	if (instance->request != NULL)
		group_cancel(instance->request);
	instance->request = NULL;
}

static int task_set(void *impl, bool held, protection_set_done *done, void *arg)
{
	return task_protection_set(impl, held, done, arg);
}

static void task_set_cancel(void *impl)
{
	task_protection_cancel(impl);
}

/* ---- the parts */

static int open_notices(struct instance *instance)
{
	const struct notices_options options = {
		.clock = context_of(instance)->clock,
		.imds = instance->imds,
		.leave = on_leave,
		.terminating = on_terminating,
		.trouble = on_notices_trouble,
		.event = on_event,
		.arg = instance,
	};

	return notices_new(&options, &instance->notices);
}

static int open_group(
	struct instance *instance, const struct instance_options *wanted, struct buf *error)
{
	const struct group_options options = {
		.context = wanted->context,
		.credentials = wanted->credentials,
		.imds = instance->imds,
		.name = wanted->autoscaling_group,
		.allow_insecure_endpoint = wanted->allow_insecure_endpoint,
	};

	return group_new(&options, &instance->group, error);
}

static int open_hook(struct instance *instance, const struct instance_options *wanted)
{
	const struct hook_options options = {
		.clock = wanted->context->clock,
		.group = instance->group,
		.name = wanted->lifecycle_hook,
		.trouble = on_hook_trouble,
		.event = on_event,
		.arg = instance,
	};

	return hook_new(&options, &instance->hook);
}

static int open_keeper(
	struct instance *instance, const struct instance_options *wanted, struct buf *error)
{
	struct keeper_options options = {
		.clock = wanted->context->clock,
		.setter = {group_set, group_set_cancel, instance},
		.trouble = on_protection_trouble,
		.event = on_event,
		.arg = instance,
	};

	if (wanted->protection == INSTANCE_PROTECTION_ECS) {
		int err = task_protection_new(wanted->context, &instance->task, error);

		if (err != 0)
			return err;
		options.setter =
			(struct protection_setter){task_set, task_set_cancel, instance->task};
		options.renew_ms = TASK_RENEW_MS;
	}
	return keeper_new(&options, &instance->keeper);
}

static int open_parts(
	struct instance *instance, const struct instance_options *wanted, struct buf *error)
{
	int err = 0;

	if (wanted->notices || instance_needs_credentials(wanted))
		err = imds_new(wanted->context, &instance->imds);
	if (err == 0 && instance_needs_credentials(wanted))
		err = open_group(instance, wanted, error);
	if (err == 0 && wanted->lifecycle_hook != NULL)
		err = open_hook(instance, wanted);
	if (err == 0 && wanted->protection != INSTANCE_PROTECTION_NONE)
		err = open_keeper(instance, wanted, error);
	if (err == 0 && wanted->notices)
		err = open_notices(instance);
	return err;
}

static void on_finish_due(struct clock_timer *timer);

int instance_new(
	const struct instance_options *options, struct instance **ret_instance, struct buf *error)
{
	struct instance *instance = calloc(1, sizeof(*instance));
	int err;

	if (instance == NULL)
		return ERR_NOMEM;
	instance->options = *options;
	/* The parts have copies of these. */
	instance->options.lifecycle_hook = NULL;
	instance->options.autoscaling_group = NULL;
	instance->timer.fire = on_finish_due;
	err = open_parts(instance, options, error);
	if (err != 0) {
		instance_close(instance);
		return err;
	}
	*ret_instance = instance;
	return 0;
}

void instance_busy(struct instance *instance, bool busy)
{
	if (instance != NULL && instance->keeper != NULL && !instance->finishing)
		keeper_busy(instance->keeper, busy);
}

/* ---- the end */

static void parts_close(struct instance *instance)
{
	if (instance->question != NULL)
		imds_cancel(instance->question);
	instance->question = NULL;
	notices_free(instance->notices);
	instance->notices = NULL;
	keeper_free(instance->keeper);
	instance->keeper = NULL;
	task_protection_close(instance->task);
	instance->task = NULL;
	hook_free(instance->hook);
	instance->hook = NULL;
}

void instance_close(struct instance *instance)
{
	if (instance == NULL)
		return;
	clock_timer_clear(context_of(instance)->clock, &instance->timer);
	parts_close(instance);
	group_close(instance->group);
	imds_free(instance->imds);
	free(instance);
}

/* Every part has ended, or the time has. */
static void on_finish_due(struct clock_timer *timer)
{
	struct instance *instance = list_entry(timer, struct instance, timer);
	void (*done)(void *arg) = instance->done;
	bool completing = instance->completing || instance->question != NULL;
	const struct instance_options *options = &instance->options;

	if (completing && instance->hook != NULL)
		options->trouble(options->arg, HOOK_PART, TOO_LATE);
	if ((instance->letting_go || instance->question != NULL) && instance->keeper != NULL)
		options->trouble(options->arg, PROTECTION_PART, TOO_LATE);
	parts_close(instance);
	done(instance->arg);
}

/* `done` is called from a turn of its own: nothing of what it may close is on the stack then. */
static void finish_if_ended(struct instance *instance)
{
	if (instance->question == NULL && !instance->completing && !instance->letting_go)
		clock_timer_after(context_of(instance)->clock, &instance->timer, 0);
}

static void on_completed(void *arg)
{
	struct instance *instance = arg;

	instance->completing = false;
	finish_if_ended(instance);
}

static void on_let_go(void *arg)
{
	struct instance *instance = arg;

	instance->letting_go = false;
	finish_if_ended(instance);
}

static void let_go(struct instance *instance)
{
	if (instance->keeper != NULL)
		instance->letting_go = keeper_finish(instance->keeper, on_let_go, instance);
}

static void complete(struct instance *instance)
{
	int err;

	if (instance->hook == NULL)
		return;
	err = hook_complete(instance->hook, on_completed, instance);
	instance->completing = err == 0;
	if (err != 0)
		on_hook_trouble(instance, error_message(err));
}

/*
 * Where it is not known whether the instance is on its way out, both are tried: a hook that is not
 * under way is none to complete.
 */
static void finish_on_ec2(struct instance *instance, bool may_end, bool may_stay)
{
	if (!may_stay)
		group_protection_end(instance);
	if (may_end)
		complete(instance);
	if (may_stay && instance->task == NULL)
		let_go(instance);
	finish_if_ended(instance);
}

static void on_state(void *arg, int err, int status, const char *body, const char *reason)
{
	struct instance *instance = arg;
	bool known = err == ERR_NOT_FOUND && status == 404; /* in no group */
	bool terminating = false;

	instance->question = NULL;
	if (err == 0)
		known = lifecycle_state_read(body, strlen(body), &terminating) == 0;
	finish_on_ec2(instance, terminating || !known, !terminating);
}

void instance_finish(struct instance *instance, void (*done)(void *arg), void *arg)
{
	if (instance == NULL) {
		done(arg);
		return;
	}
	instance->finishing = true;
	instance->done = done;
	instance->arg = arg;
	if (instance->notices != NULL)
		notices_stop(instance->notices);
	if (clock_timer_after(context_of(instance)->clock, &instance->timer,
		    INSTANCE_FINISH_MS * 1000) != 0) {
		done(arg); /* nothing would end a wait */
		return;
	}
	if (instance->task != NULL)
		let_go(instance);
	if (instance->group == NULL)
		finish_if_ended(instance);
	else if (instance->terminating)
		finish_on_ec2(instance, true, false);
	else if (imds_get(instance->imds, NOTICES_LIFECYCLE_PATH, on_state, instance,
			 &instance->question) != 0)
		finish_on_ec2(instance, true, true);
}
