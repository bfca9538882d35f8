/*
 * What the answer to an attempt means: the design's outcome table, as a pure function.
 */
#ifndef DELIVERY_OUTCOME_H
#define DELIVERY_OUTCOME_H

#include "bunshin/target.h"

#include <stddef.h>

enum outcome {
	OUTCOME_ACCEPTED,  /* the provider has it: delete */
	OUTCOME_RETRY,	   /* back off, then try again */
	OUTCOME_THROTTLED, /* the same, and the provider asks to slow down */
	OUTCOME_REFUSED,   /* 401, 403: nothing more to this destination until a probe passes */
	OUTCOME_PERMANENT, /* this message can never be accepted */
};

/* Statuses from first to last, both included, 100-599. */
struct status_range {
	int first, last;
};

/* accept (borrowed) comes first; what it does not name falls to the table. */
enum outcome outcome_classify(const struct target_result *result,
	const struct status_range accept[], size_t accept_count);
const char *outcome_name(enum outcome outcome); /* "accepted"; static */

#endif
