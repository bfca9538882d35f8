#include "aws/instance/hook.h"

#include "base/list.h"
#include "bunshin/error.h"

#include <stdlib.h>
#include <string.h>

struct hook {
	struct hook_options options;
	char *name;
	struct clock_timer timer; /* to the next heartbeat, or the next try to complete it */
	struct group_call *call;  /* not NULL: under way */
	bool begun;
	bool told; /* of trouble, which goes on */
	void (*done)(void *arg);
	void *arg;
};

static void note(struct hook *hook, int err, const char *reason)
{
	const struct hook_options *options = &hook->options;

	if (err != 0 && !hook->told) {
		hook->told = true;
		options->trouble(options->arg, reason);
	} else if (err == 0 && hook->told) {
		hook->told = false;
		options->trouble(options->arg, NULL);
	}
}

static void again_after(struct hook *hook, uint64_t delay_ms)
{
	int err = clock_timer_after(hook->options.clock, &hook->timer, delay_ms * 1000);

	if (err != 0)
		note(hook, err, error_message(err));
}

/* ---- heartbeats */

static void on_heartbeat(void *arg, int err, const char *reason)
{
	struct hook *hook = arg;

	hook->call = NULL;
	note(hook, err, reason);
}

static void on_heartbeat_due(struct clock_timer *timer)
{
	struct hook *hook = list_entry(timer, struct hook, timer);
	int err = 0;

	/* One that takes longer than 30 s waits for keys: another would, too. */
	if (hook->call == NULL)
		err = group_call(hook->options.group, AUTOSCALING_HEARTBEAT, hook->name,
			on_heartbeat, hook, &hook->call);
	if (err != 0)
		note(hook, err, error_message(err));
	again_after(hook, HOOK_HEARTBEAT_MS);
}

void hook_begin(struct hook *hook)
{
	if (hook->begun || hook->done != NULL)
		return;
	hook->begun = true;
	hook->timer.fire = on_heartbeat_due;
	again_after(hook, HOOK_HEARTBEAT_MS);
}

/* ---- completion */

static bool is_passing(int err)
{
	switch (error_class(err)) {
	case ERROR_TRANSIENT:
	case ERROR_THROTTLED:
	case ERROR_LOCAL:
		return true;
	default:
		return false;
	}
}

static void on_complete(void *arg, int err, const char *reason)
{
	struct hook *hook = arg;
	const struct hook_options *options = &hook->options;

	hook->call = NULL;
	if (err == ERR_NOT_FOUND) {
		options->event(options->arg, "no lifecycle action of this hook is under way");
		err = 0;
	} else if (err == 0) {
		options->event(options->arg, "the lifecycle hook is completed");
	}
	note(hook, err, reason);
	if (err != 0 && is_passing(err))
		again_after(hook, HOOK_AGAIN_MS);
	else
		hook->done(hook->arg);
}

static void on_complete_due(struct clock_timer *timer)
{
	struct hook *hook = list_entry(timer, struct hook, timer);
	int err = group_call(hook->options.group, AUTOSCALING_COMPLETE, hook->name, on_complete,
		hook, &hook->call);

	if (err == 0)
		return;
	note(hook, err, error_message(err));
	again_after(hook, HOOK_AGAIN_MS);
}

static void cancel(struct hook *hook)
{
	clock_timer_clear(hook->options.clock, &hook->timer);
	if (hook->call != NULL)
		group_cancel(hook->call);
	hook->call = NULL;
}

int hook_complete(struct hook *hook, void (*done)(void *arg), void *arg)
{
	cancel(hook);
	hook->done = done;
	hook->arg = arg;
	hook->timer.fire = on_complete_due;
	return clock_timer_after(hook->options.clock, &hook->timer, 0);
}

/* ---- */

int hook_new(const struct hook_options *options, struct hook **ret_hook)
{
	struct hook *hook = calloc(1, sizeof(*hook));

	if (hook == NULL)
		return ERR_NOMEM;
	hook->options = *options;
	hook->timer.fire = on_heartbeat_due;
	hook->name = strdup(options->name);
	if (hook->name == NULL) {
		free(hook);
		return ERR_NOMEM;
	}
	*ret_hook = hook;
	return 0;
}

void hook_free(struct hook *hook)
{
	if (hook == NULL)
		return;
	cancel(hook);
	free(hook->name);
	free(hook);
}
