#include "delivery/outcome.h"

#include "bunshin/error.h"

static enum outcome from_error(int err)
{
	switch (error_class(err)) {
	case ERROR_PERMANENT:
		return OUTCOME_PERMANENT;
	case ERROR_THROTTLED:
		return OUTCOME_THROTTLED;
	case ERROR_AUTH:
		return OUTCOME_REFUSED;
	case ERROR_NONE:
	case ERROR_TRANSIENT:
	case ERROR_LOCAL:
	default:
		return OUTCOME_RETRY;
	}
}

static enum outcome from_status(int status)
{
	switch (status) {
	case 429:
	case 503:
		return OUTCOME_THROTTLED;
	case 408:
	case 425:
		return OUTCOME_RETRY;
	case 401:
	case 403:
		return OUTCOME_REFUSED;
	default:
		break;
	}
	if (status >= 400 && status <= 499)
		return OUTCOME_PERMANENT;
	/*
	 * 5xx, and what should not be here: a 3xx is never followed, and a provider that redirects
	 * is out of order for now rather than done with every message.
	 */
	return OUTCOME_RETRY;
}

enum outcome outcome_classify(
	const struct target_result *result, const struct status_range accept[], size_t accept_count)
{
	if (result->err)
		return from_error(result->err);
	for (size_t i = 0; i < accept_count; i++)
		if (result->status >= accept[i].first && result->status <= accept[i].last)
			return OUTCOME_ACCEPTED;
	return from_status(result->status);
}

const char *outcome_name(enum outcome outcome)
{
	static const char *const names[] = {
		[OUTCOME_ACCEPTED] = "accepted",
		[OUTCOME_RETRY] = "retry",
		[OUTCOME_THROTTLED] = "throttled",
		[OUTCOME_REFUSED] = "refused",
		[OUTCOME_PERMANENT] = "permanent",
	};

	return names[outcome];
}
