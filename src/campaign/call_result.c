#include "campaign/call_result.h"

#include "bunshin/error.h"

enum call_verdict call_judge(int result)
{
	if (result == 0)
		return CALL_DONE;
	if (result == ERR_LIMIT) /* the client's own limit of requests under way */
		return CALL_TRY_AGAIN;
	if (result == ERR_QUEUE_MISSING)
		return CALL_HOPELESS;
	switch (error_class(result)) {
	case ERROR_TRANSIENT:
	case ERROR_THROTTLED:
		return CALL_TRY_AGAIN;
	case ERROR_PERMANENT:
		return CALL_REFUSED;
	case ERROR_NONE:
	case ERROR_AUTH:
	case ERROR_LOCAL:
	default:
		return CALL_HOPELESS;
	}
}

bool call_may_have_arrived(int result)
{
	return result == ERR_TIMEOUT || result == ERR_NETWORK || result == ERR_PROTOCOL ||
	       result == ERR_ANSWER_TOO_LARGE || result == ERR_UNAVAILABLE ||
	       result == ERR_CANCELLED;
}

bool call_failed_whole(const int results[], size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (results[i] == 0 || results[i] != results[0])
			return false;
	return true;
}
