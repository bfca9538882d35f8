#include "aws/instance/protection.h"

#include "base/random.h"

#include <string.h>

void protection_init(struct protection *protection, int64_t renew_ms, int64_t now_ms)
{
	memset(protection, 0, sizeof(*protection));
	protection->renew_ms = renew_ms;
	protection->idle_since_ms = now_ms;
}

void protection_busy(struct protection *protection, bool busy, int64_t now_ms)
{
	if (protection->busy && !busy)
		protection->idle_since_ms = now_ms;
	protection->busy = busy;
}

void protection_finish(struct protection *protection)
{
	protection->busy = false;
	protection->finishing = true;
	protection->failures = 0;
}

/* What is wanted now or next, and from when on. */
static enum protection_action wanted(const struct protection *protection, int64_t *ret_from_ms)
{
	*ret_from_ms = protection->idle_since_ms + PROTECTION_IDLE_MS;
	if (!protection->busy)
		return protection->state == PROTECTION_FREE ? PROTECTION_WAIT : PROTECTION_LET_GO;
	*ret_from_ms = protection->asked_ms;
	if (protection->state != PROTECTION_HELD)
		return PROTECTION_HOLD;
	*ret_from_ms += protection->renew_ms;
	return protection->renew_ms > 0 ? PROTECTION_HOLD : PROTECTION_WAIT;
}

static int64_t later_of(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

enum protection_action protection_next(
	const struct protection *protection, int64_t now_ms, int64_t *ret_wait_ms)
{
	int64_t from_ms;
	enum protection_action action = wanted(protection, &from_ms);
	bool is_renewal = action == PROTECTION_HOLD && protection->state == PROTECTION_HELD;

	*ret_wait_ms = -1;
	if (protection->asked != PROTECTION_WAIT || action == PROTECTION_WAIT)
		return PROTECTION_WAIT;
	if (protection->finishing)
		from_ms = now_ms;
	else if (protection->changed && !is_renewal)
		from_ms = later_of(from_ms, protection->changed_ms + PROTECTION_CHANGE_MS);
	if (protection->failures > 0)
		from_ms = later_of(from_ms, protection->retry_ms);
	if (now_ms >= from_ms)
		return action;
	*ret_wait_ms = from_ms - now_ms;
	return PROTECTION_WAIT;
}

void protection_began(struct protection *protection, enum protection_action action, int64_t now_ms)
{
	protection->asked = action;
	protection->asked_ms = now_ms;
}

static int64_t retry_delay_ms(unsigned failures, uint64_t random)
{
	int64_t delay_ms = PROTECTION_RETRY_BASE_MS;

	while (--failures > 0 && delay_ms < PROTECTION_RETRY_CAP_MS)
		delay_ms *= 2;
	if (delay_ms > PROTECTION_RETRY_CAP_MS)
		delay_ms = PROTECTION_RETRY_CAP_MS;
	return delay_ms / 2 + (int64_t)random_below(random, (uint64_t)delay_ms / 2 + 1);
}

void protection_ended(struct protection *protection, int err, int64_t now_ms, uint64_t random)
{
	enum protection_state to =
		protection->asked == PROTECTION_HOLD ? PROTECTION_HELD : PROTECTION_FREE;

	protection->asked = PROTECTION_WAIT;
	if (err != 0) {
		protection->state = PROTECTION_UNKNOWN;
		protection->retry_ms = now_ms + retry_delay_ms(++protection->failures, random);
		return;
	}
	protection->failures = 0;
	if (protection->state != to) {
		protection->state = to;
		protection->changed = true;
		protection->changed_ms = protection->asked_ms;
	}
}
