#include "aws/instance/keeper.h"

#include "base/list.h"
#include "bunshin/error.h"

#include <stdlib.h>

struct keeper {
	struct keeper_options options;
	struct protection protection;
	struct clock_timer timer; /* to look again */
	bool told;		  /* of trouble, which goes on */
	void (*done)(void *arg);  /* of keeper_finish() */
	void *arg;
};

static int64_t now_ms(const struct keeper *keeper)
{
	return (int64_t)(clock_monotonic_us(keeper->options.clock) / 1000);
}

static void keeper_look(struct keeper *keeper);

static void note(struct keeper *keeper, int err, const char *reason)
{
	const struct keeper_options *options = &keeper->options;

	if (err != 0 && !keeper->told) {
		keeper->told = true;
		options->trouble(options->arg, reason);
	} else if (err == 0 && keeper->told) {
		keeper->told = false;
		options->trouble(options->arg, NULL);
	}
}

static void on_set(void *arg, int err, const char *reason)
{
	struct keeper *keeper = arg;
	const struct keeper_options *options = &keeper->options;
	enum protection_state before = keeper->protection.state;
	void (*done)(void *arg) = keeper->done;

	protection_ended(&keeper->protection, err, now_ms(keeper), clock_random(options->clock));
	note(keeper, err, reason);
	if (err == 0 && keeper->protection.state != before)
		options->event(
			options->arg, keeper->protection.state == PROTECTION_HELD
					      ? "scale-in protection is held: there is work"
					      : "scale-in protection is let go: there is no work");
	if (keeper->protection.finishing && keeper->protection.state == PROTECTION_FREE) {
		keeper->done = NULL;
		if (done != NULL)
			done(keeper->arg);
		return;
	}
	keeper_look(keeper);
}

/* From the loop: asks for what is due, or looks again when it will be. */
static void keeper_look(struct keeper *keeper)
{
	const struct keeper_options *options = &keeper->options;
	int64_t wait_ms;
	enum protection_action action =
		protection_next(&keeper->protection, now_ms(keeper), &wait_ms);
	int err;

	if (action != PROTECTION_WAIT) {
		protection_began(&keeper->protection, action, now_ms(keeper));
		err = options->setter.set(
			options->setter.impl, action == PROTECTION_HOLD, on_set, keeper);
		if (err == 0)
			return;
		protection_ended(
			&keeper->protection, err, now_ms(keeper), clock_random(options->clock));
		note(keeper, err, error_message(err));
		protection_next(&keeper->protection, now_ms(keeper), &wait_ms);
	}
	if (wait_ms >= 0 &&
		clock_timer_after(options->clock, &keeper->timer, (uint64_t)wait_ms * 1000) != 0)
		note(keeper, ERR_NOMEM, error_message(ERR_NOMEM));
}

static void on_due(struct clock_timer *timer)
{
	keeper_look(list_entry(timer, struct keeper, timer));
}

/* What is due is asked for from the loop, never from inside of a call. */
static int look_soon(struct keeper *keeper)
{
	return clock_timer_after(keeper->options.clock, &keeper->timer, 0);
}

int keeper_new(const struct keeper_options *options, struct keeper **ret_keeper)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));

	if (keeper == NULL)
		return ERR_NOMEM;
	keeper->options = *options;
	keeper->timer.fire = on_due;
	protection_init(&keeper->protection, options->renew_ms, now_ms(keeper));
	if (look_soon(keeper) != 0) {
		free(keeper);
		return ERR_NOMEM;
	}
	*ret_keeper = keeper;
	return 0;
}

void keeper_busy(struct keeper *keeper, bool busy)
{
	bool changes = keeper->protection.busy != busy;

	if (keeper->protection.finishing)
		return;
	protection_busy(&keeper->protection, busy, now_ms(keeper));
	/* It is told each second: a timer that could not be set is, the next time. */
	if (changes || !clock_timer_is_set(&keeper->timer))
		look_soon(keeper);
}

bool keeper_finish(struct keeper *keeper, void (*done)(void *arg), void *arg)
{
	protection_finish(&keeper->protection);
	if (keeper->protection.asked == PROTECTION_WAIT &&
		keeper->protection.state == PROTECTION_FREE)
		return false;
	keeper->done = done;
	keeper->arg = arg;
	look_soon(keeper);
	return true;
}

void keeper_free(struct keeper *keeper)
{
	if (keeper == NULL)
		return;
	keeper->options.setter.cancel(keeper->options.setter.impl);
	clock_timer_clear(keeper->options.clock, &keeper->timer);
	free(keeper);
}
