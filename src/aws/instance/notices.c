#include "aws/instance/notices.h"

#include "aws/instance/notices_codec.h"
#include "base/list.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct notices {
	struct notices_options options;
	struct clock_timer timer; /* set: to the next round */
	struct imds_call *call;	  /* not NULL: a round is under way */
	size_t step;		  /* of the round: what is asked for */
	unsigned failures;	  /* rounds in a row */
	bool failed;		  /* this round, with: */
	char reason[CREDENTIALS_REASON_MAX];
	bool left;	  /* `leave` was called */
	bool terminating; /* the group terminates the instance */
	bool rebalanced;  /* that was told */
	bool stopped;
};

static void leave(struct notices *notices, const char *why)
{
	if (notices->left)
		return;
	notices->left = true;
	notices->options.leave(notices->options.arg, why);
}

/* ---- what the paths hold; 0, ERR_PROTOCOL or ERR_NOMEM */

static int take_lifecycle(struct notices *notices, const char *body)
{
	bool terminating;
	int err = lifecycle_state_read(body, strlen(body), &terminating);

	if (err != 0 || !terminating || notices->terminating)
		return err;
	notices->terminating = true;
	notices->options.terminating(notices->options.arg);
	if (!notices->stopped)
		leave(notices, "the Auto Scaling group is terminating this instance");
	return 0;
}

static int take_spot(struct notices *notices, const char *body)
{
	char time[UNITS_TEXT_MAX], why[128];
	struct spot_notice notice;
	int err = spot_notice_read(body, strlen(body), &notice);

	if (err != 0)
		return err;
	snprintf(why, sizeof(why), "this spot instance will be %s at %s",
		spot_action_name(notice.action), units_format_rfc3339(notice.time_epoch_ms, time));
	leave(notices, why);
	return 0;
}

static int take_rebalance(struct notices *notices, const char *body)
{
	int64_t time_epoch_ms;
	int err = rebalance_notice_read(body, strlen(body), &time_epoch_ms);

	if (err != 0 || notices->rebalanced)
		return err;
	notices->rebalanced = true;
	notices->options.event(notices->options.arg,
		"EC2 recommends to rebalance this spot instance: its interruption is likelier now");
	return 0;
}

static const struct step {
	const char *path;
	int (*take)(struct notices *notices, const char *body);
	bool after_leaving; /* worth asking for */
} steps[] = {
	/* First: by the time that it is known to be a scale-in, the hook's heartbeat is. */
	{NOTICES_LIFECYCLE_PATH, take_lifecycle, true},
	{"/latest/meta-data/spot/instance-action", take_spot, false},
	{"/latest/meta-data/events/recommendations/rebalance", take_rebalance, false},
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))

/* ---- rounds */

static void step_ask(struct notices *notices);

static uint64_t pause_us(const struct notices *notices)
{
	uint64_t ms = NOTICES_POLL_MS;

	for (unsigned i = 0; i < notices->failures && ms < NOTICES_POLL_MOST_MS; i++)
		ms *= 2;
	return (ms < NOTICES_POLL_MOST_MS ? ms : NOTICES_POLL_MOST_MS) * 1000;
}

static void round_end(struct notices *notices)
{
	const struct notices_options *options = &notices->options;

	if (notices->failed && notices->failures++ == 0)
		options->trouble(options->arg, notices->reason);
	if (!notices->failed && notices->failures > 0) {
		notices->failures = 0;
		options->trouble(options->arg, NULL);
	}
	if (notices->stopped || (notices->left && notices->terminating))
		return;
	/* Without a timer there are no more rounds, and that would go unnoticed. */
	if (clock_timer_after(options->clock, &notices->timer, pause_us(notices)) != 0)
		options->trouble(options->arg, "out of memory: instance notices have ended");
}

static void round_fail(struct notices *notices, const char *reason)
{
	if (notices->failed)
		return;
	notices->failed = true;
	snprintf(notices->reason, sizeof(notices->reason), "%s", reason);
}

static void on_answer(void *arg, int err, int status, const char *body, const char *reason)
{
	struct notices *notices = arg;
	const struct step *step = &steps[notices->step];
	char wrong[128];

	notices->call = NULL;
	if (err == 0) {
		err = step->take(notices, body);
		if (err != 0) {
			snprintf(wrong, sizeof(wrong), "%s: %s", step->path, error_message(err));
			reason = wrong;
		}
	} else if (err == ERR_NOT_FOUND && status == 404) {
		err = 0;
	}
	if (err != 0)
		round_fail(notices, reason);
	notices->step++;
	/* Where nobody answers the other paths only take time. */
	if (err != 0 && status == 0)
		notices->step = STEPS;
	if (!notices->stopped)
		step_ask(notices);
}

/* From the loop: the next question of the round that is worth asking, or the round's end. */
static void step_ask(struct notices *notices)
{
	while (notices->step < STEPS && notices->left && !steps[notices->step].after_leaving)
		notices->step++;
	if (notices->step < STEPS) {
		int err = imds_get(notices->options.imds, steps[notices->step].path, on_answer,
			notices, &notices->call);

		if (err == 0)
			return;
		round_fail(notices, error_message(err));
	}
	round_end(notices);
}

static void on_due(struct clock_timer *timer)
{
	struct notices *notices = list_entry(timer, struct notices, timer);

	notices->step = 0;
	notices->failed = false;
	step_ask(notices);
}

/* ---- */

int notices_new(const struct notices_options *options, struct notices **ret_notices)
{
	struct notices *notices = calloc(1, sizeof(*notices));

	if (notices == NULL)
		return ERR_NOMEM;
	notices->options = *options;
	notices->timer.fire = on_due;
	if (clock_timer_after(options->clock, &notices->timer, 0) != 0) {
		free(notices);
		return ERR_NOMEM;
	}
	*ret_notices = notices;
	return 0;
}

void notices_stop(struct notices *notices)
{
	notices->stopped = true;
	clock_timer_clear(notices->options.clock, &notices->timer);
	if (notices->call != NULL)
		imds_cancel(notices->call);
	notices->call = NULL;
}

void notices_free(struct notices *notices)
{
	if (notices == NULL)
		return;
	notices_stop(notices);
	free(notices);
}
