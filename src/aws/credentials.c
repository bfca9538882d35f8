#include "aws/credentials.h"

#include "aws/credentials/renewal.h"
#include "aws/credentials/set.h"
#include "aws/credentials/waiters.h"
#include "bunshin/error.h"

#include <stdio.h>
#include <stdlib.h>

#define NEVER_US UINT64_MAX
#define REFUSED_PAUSE_US ((uint64_t)10 * 1000000)

enum phase {
	IDLE,	 /* nobody has wanted any yet */
	ASKING,	 /* providers[asked] is at it */
	RESTING, /* until due */
	DUE,	 /* will ask when the loop turns */
	GAVE_UP, /* there are none, for good */
};

struct credentials {
	struct clock clock;
	struct credentials_provider *providers;
	size_t count;

	enum phase phase;
	size_t asked;
	const struct credentials_provider *chosen; /* the one that answered; NULL until then */
	struct clock_timer ask_timer;
	uint64_t due_us;      /* NEVER_US: at no time */
	int64_t due_epoch_ms; /* the same by the wall, which may jump; 0: it is not asked */
	uint64_t pause_us;    /* until then a refusal asks nobody */

	/* Here and not on the stack: 19 KiB of secrets each. */
	struct credentials_set set; /* generation 0: none yet */
	struct credentials_set previous;
	struct credentials_set incoming;
	int64_t end_epoch_ms; /* from then on `set` is not given out; 0: always */

	int err; /* of the last failure while failing; else 0 */
	char reason[CREDENTIALS_REASON_MAX];

	struct credentials_waiters *waiters;
	struct credentials_status status;
	enum credentials_state told;
	bool new_keys; /* since `changed` ran */
	void (*changed)(void *arg, const struct credentials_status *status);
	void *arg;
};

static void on_ask_timer(struct clock_timer *timer);

int credentials_new(struct clock clock, const struct credentials_provider *providers, size_t count,
	struct credentials **ret_credentials)
{
	struct credentials *credentials = calloc(1, sizeof(*credentials));

	if (credentials == NULL)
		goto fail;
	credentials->providers = calloc(count + 1, sizeof(*providers));
	if (credentials->providers == NULL ||
		credentials_waiters_new(clock, &credentials->waiters) != 0)
		goto fail;
	for (size_t i = 0; i < count; i++)
		credentials->providers[i] = providers[i];
	credentials->count = count;
	credentials->clock = clock;
	credentials->due_us = NEVER_US;
	credentials->ask_timer.fire = on_ask_timer;
	credentials->status = (struct credentials_status){
		.source = "none",
		.account_id = credentials->set.account_id,
		.principal = credentials->set.principal,
		.reason = credentials->reason,
	};
	*ret_credentials = credentials;
	return 0;
fail:
	if (credentials != NULL)
		free(credentials->providers);
	free(credentials);
	for (size_t i = 0; i < count; i++)
		providers[i].free(providers[i].impl);
	return ERR_NOMEM;
}

void credentials_free(struct credentials *credentials)
{
	if (credentials == NULL)
		return;
	credentials_waiters_close(credentials->waiters);
	clock_timer_clear(credentials->clock, &credentials->ask_timer);
	for (size_t i = 0; i < credentials->count; i++)
		credentials->providers[i].free(credentials->providers[i].impl);
	free(credentials->providers);
	credentials_set_forget(&credentials->set);
	credentials_set_forget(&credentials->previous);
	credentials_wipe(&credentials->incoming);
	free(credentials);
}

/* ---- where things stand */

static bool is_under_way(const struct credentials *credentials)
{
	return credentials->phase == ASKING || credentials->phase == DUE;
}

static bool has_keys(const struct credentials *credentials)
{
	return credentials->set.generation != 0;
}

static bool has_passed(const struct credentials *credentials, int64_t epoch_ms)
{
	return epoch_ms != 0 && clock_wall_epoch_ms(credentials->clock) >= epoch_ms;
}

/* Of keys that ended while no renewal has failed, one is under way: they are due before. */
static enum credentials_state state_now(const struct credentials *credentials)
{
	if (!has_keys(credentials))
		return credentials->phase == GAVE_UP ? CREDENTIALS_ABSENT : CREDENTIALS_SEARCHING;
	if (credentials->err == 0)
		return CREDENTIALS_READY;
	return has_passed(credentials, credentials->end_epoch_ms) ? CREDENTIALS_ENDED
								  : CREDENTIALS_STALE;
}

const struct credentials_status *credentials_status(struct credentials *credentials)
{
	credentials->status.state = state_now(credentials);
	return &credentials->status;
}

const char *credentials_state_name(enum credentials_state state)
{
	static const char *const names[] = {
		[CREDENTIALS_SEARCHING] = "searching",
		[CREDENTIALS_READY] = "ready",
		[CREDENTIALS_STALE] = "stale",
		[CREDENTIALS_ENDED] = "ended",
		[CREDENTIALS_ABSENT] = "absent",
	};

	return names[state];
}

void credentials_observe(struct credentials *credentials,
	void (*changed)(void *arg, const struct credentials_status *status), void *arg)
{
	credentials->changed = changed;
	credentials->arg = arg;
}

/* The last thing that happens in an event. */
static void tell(struct credentials *credentials)
{
	const struct credentials_status *status = credentials_status(credentials);

	if (status->state == credentials->told && !credentials->new_keys)
		return;
	credentials->told = status->state;
	credentials->new_keys = false;
	if (credentials->changed != NULL)
		credentials->changed(credentials->arg, status);
}

/* ---- timers; one that could not be set for want of memory is set at the next occasion */

/* Also at the end of keys that fail to be renewed, so that it is told then. */
static void ask_timer_set(struct credentials *credentials)
{
	uint64_t now_us = clock_monotonic_us(credentials->clock);
	uint64_t wake_us = credentials->due_us;

	if (wake_us == NEVER_US)
		return;
	if (credentials->err != 0 && credentials->end_epoch_ms != 0 && wake_us > now_us) {
		int64_t left_ms =
			credentials->end_epoch_ms - clock_wall_epoch_ms(credentials->clock);

		if (left_ms > 0 && (uint64_t)left_ms < (wake_us - now_us) / 1000)
			wake_us = now_us + (uint64_t)left_ms * 1000;
	}
	clock_timer_set(credentials->clock, &credentials->ask_timer, wake_us);
}

static void rest(struct credentials *credentials, int64_t delay_ms)
{
	credentials->phase = RESTING;
	credentials->due_us = clock_monotonic_us(credentials->clock) + (uint64_t)delay_ms * 1000;
	ask_timer_set(credentials);
}

/* By either clock: a machine that slept or was set right finds its keys older than it thought. */
static bool is_due(const struct credentials *credentials)
{
	return clock_monotonic_us(credentials->clock) >= credentials->due_us ||
	       has_passed(credentials, credentials->due_epoch_ms);
}

static void catch_up(struct credentials *credentials)
{
	if (credentials->phase == RESTING && is_due(credentials)) {
		credentials->phase = DUE;
		credentials->due_us = clock_monotonic_us(credentials->clock);
		ask_timer_set(credentials);
	}
	if (credentials->phase != ASKING && !clock_timer_is_set(&credentials->ask_timer))
		ask_timer_set(credentials);
	credentials_waiters_catch_up(credentials->waiters);
}

/* ---- asking */

/* Takes `incoming` over. Keys that must appear in no log are not used until they cannot. */
static int set_adopt(struct credentials *credentials)
{
	struct credentials_set *set = &credentials->set;
	struct credentials_set *incoming = &credentials->incoming;
	int err;

	incoming->generation = set->generation;
	if (!credentials_set_is_same(set, incoming)) {
		err = credentials_set_hide(incoming);
		if (err != 0)
			return err;
		incoming->generation++;
		credentials_set_forget(&credentials->previous);
		credentials->previous = *set;
		credentials->new_keys = true;
		credentials->status.renewals++;
		credentials->status.renewed_epoch_ms = clock_wall_epoch_ms(credentials->clock);
	}
	*set = *incoming;
	return 0;
}

static void succeed(struct credentials *credentials)
{
	int64_t now_ms = clock_wall_epoch_ms(credentials->clock);
	int64_t expires_ms = credentials->set.expires_epoch_ms;
	int64_t delay_ms;

	credentials->chosen = &credentials->providers[credentials->asked];
	credentials->status.source = credentials->chosen->name;
	credentials->status.expires_epoch_ms = expires_ms;
	credentials->status.failures_in_row = 0;
	credentials->err = 0;
	credentials->reason[0] = '\0';
	credentials->phase = RESTING;
	credentials->due_us = NEVER_US;
	credentials->due_epoch_ms = 0;
	credentials->end_epoch_ms = 0;
	if (expires_ms == 0)
		return;
	delay_ms =
		credentials_renewal_delay_ms(expires_ms - now_ms, clock_random(credentials->clock));
	credentials->due_epoch_ms = now_ms + delay_ms;
	/* The last moments of keys, shorter than the pause between two requests, are not cut. */
	if (expires_ms > now_ms && !credentials->chosen->outlives)
		credentials->end_epoch_ms =
			expires_ms > now_ms + delay_ms ? expires_ms : now_ms + delay_ms;
	rest(credentials, delay_ms);
}

static void describe_search(struct credentials *credentials)
{
	size_t used = (size_t)snprintf(credentials->reason, sizeof(credentials->reason),
		"no AWS credentials found%s", credentials->count > 0 ? "; tried: " : "");

	for (size_t i = 0; i < credentials->count && used < sizeof(credentials->reason); i++)
		used += (size_t)snprintf(credentials->reason + used,
			sizeof(credentials->reason) - used, "%s%s", i > 0 ? ", " : "",
			credentials->providers[i].name);
}

/* No later search can do better, unless somebody changes what it found. */
static bool is_for_good(int err)
{
	enum error_class class = error_class(err);

	return class == ERROR_AUTH || class == ERROR_PERMANENT;
}

static void fail(struct credentials *credentials, int err, const char *why)
{
	uint64_t random = clock_random(credentials->clock);
	bool outlived;

	credentials->status.failures++;
	credentials->status.failures_in_row++;
	credentials->err = err == ERR_NOT_FOUND ? ERR_NO_CREDENTIALS : err;
	credentials->due_epoch_ms = 0;
	if (err == ERR_NOT_FOUND && credentials->chosen == NULL) {
		describe_search(credentials);
	} else {
		if (err == ERR_NOT_FOUND)
			why = "no longer configured";
		snprintf(credentials->reason, sizeof(credentials->reason), "%s: %s",
			credentials->providers[credentials->asked].name,
			why[0] != '\0' ? why : error_message(err));
	}
	if (!has_keys(credentials) && is_for_good(credentials->err)) {
		credentials->phase = GAVE_UP;
		credentials->due_us = NEVER_US;
		return;
	}
	outlived = has_keys(credentials) && credentials->chosen->outlives &&
		   has_passed(credentials, credentials->set.expires_epoch_ms);
	rest(credentials,
		outlived ? credentials_outlived_delay_ms(random)
			 : credentials_retry_delay_ms(credentials->status.failures_in_row, random));
}

/* Of the one asked. The phase stays ASKING when it is the next one's turn. */
static void take_answer(struct credentials *credentials, int err, const char *reason)
{
	bool renewal = has_keys(credentials);
	const char *fault;

	if (err == ERR_NOT_FOUND && !renewal && credentials->asked + 1 < credentials->count) {
		credentials->asked++;
		return;
	}
	if (err == 0) {
		fault = credentials_set_fault(&credentials->incoming);
		err = fault != NULL ? ERR_NO_CREDENTIALS : set_adopt(credentials);
		reason = fault != NULL ? fault : "";
	}
	credentials_wipe(&credentials->incoming);
	if (err == 0)
		succeed(credentials);
	else
		fail(credentials, err, reason);
	if (renewal)
		credentials->pause_us = clock_monotonic_us(credentials->clock) + REFUSED_PAUSE_US;
	credentials_waiters_release(credentials->waiters);
}

static void on_answer(void *arg, int err, const char *reason);

/* The one whose turn it is, and those after it, until one takes its time or the search ends. */
static void ask(struct credentials *credentials)
{
	while (credentials->phase == ASKING) {
		char reason[CREDENTIALS_REASON_MAX] = "";
		int err = ERR_NOT_FOUND;

		if (credentials->asked < credentials->count) {
			const struct credentials_provider *provider =
				&credentials->providers[credentials->asked];

			credentials_wipe(&credentials->incoming);
			err = provider->get(provider->impl, &credentials->incoming, on_answer,
				credentials, reason);
		}
		if (err == CREDENTIALS_LATER)
			break;
		take_answer(credentials, err, reason);
	}
	tell(credentials);
}

static void on_answer(void *arg, int err, const char *reason)
{
	struct credentials *credentials = arg;

	take_answer(credentials, err, reason);
	ask(credentials);
}

static void ask_begin(struct credentials *credentials)
{
	clock_timer_clear(credentials->clock, &credentials->ask_timer);
	credentials->phase = ASKING;
	credentials->asked = credentials->chosen != NULL
				     ? (size_t)(credentials->chosen - credentials->providers)
				     : 0;
	ask(credentials);
}

static void on_ask_timer(struct clock_timer *timer)
{
	struct credentials *credentials = list_entry(timer, struct credentials, ask_timer);

	catch_up(credentials);
	if (credentials->phase == DUE)
		ask_begin(credentials);
	else
		tell(credentials);
}

void credentials_start(struct credentials *credentials)
{
	if (credentials->phase == IDLE || credentials->phase == GAVE_UP)
		ask_begin(credentials);
}

/* Why there are no keys to give out. */
static int explain(const struct credentials *credentials, char reason[CREDENTIALS_REASON_MAX])
{
	if (has_keys(credentials) && credentials->err != 0) {
		snprintf(reason, CREDENTIALS_REASON_MAX, "expired, and not renewed: %.*s",
			CREDENTIALS_REASON_MAX - 40, credentials->reason);
		return ERR_EXPIRED_CREDENTIALS;
	}
	if (is_under_way(credentials) && credentials->err == 0) {
		snprintf(reason, CREDENTIALS_REASON_MAX, "%s has not answered yet",
			credentials->providers[credentials->asked].name);
		return ERR_PENDING;
	}
	snprintf(reason, CREDENTIALS_REASON_MAX, "%s", credentials->reason);
	return is_under_way(credentials) ? ERR_PENDING : credentials->err;
}

int credentials_get(struct credentials *credentials, const struct credentials_set **ret_set,
	char reason[CREDENTIALS_REASON_MAX])
{
	char unread[CREDENTIALS_REASON_MAX];

	catch_up(credentials);
	/* Keys that somebody may have borrowed are left to the loop. */
	if (credentials->phase == IDLE || (credentials->phase == DUE && !has_keys(credentials)))
		ask_begin(credentials);
	if (!has_keys(credentials) || has_passed(credentials, credentials->end_epoch_ms))
		return explain(credentials, reason != NULL ? reason : unread);
	*ret_set = &credentials->set;
	return 0;
}

bool credentials_refused(struct credentials *credentials, uint64_t generation)
{
	catch_up(credentials);
	if (!has_keys(credentials))
		return is_under_way(credentials);
	if (generation != credentials->set.generation)
		return true;
	if (!is_under_way(credentials)) {
		if (clock_monotonic_us(credentials->clock) < credentials->pause_us)
			return false;
		ask_begin(credentials);
	}
	return is_under_way(credentials) || generation != credentials->set.generation;
}

void credentials_wait(struct credentials *credentials, struct credentials_waiter *waiter)
{
	catch_up(credentials);
	credentials_waiters_add(credentials->waiters, waiter, !is_under_way(credentials));
}
