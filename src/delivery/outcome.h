/*
 * What the answer to an attempt means: the design's outcome table, as a pure function, and what a
 * destination's configuration changes in it.
 */
#ifndef DELIVERY_OUTCOME_H
#define DELIVERY_OUTCOME_H

#include "base/json.h"
#include "bunshin/target.h"

#include <stdbool.h>
#include <stddef.h>

enum outcome {
	OUTCOME_ACCEPTED,  /* the provider has it: delete */
	OUTCOME_RETRY,	   /* back off, then try again */
	OUTCOME_THROTTLED, /* the same, and the provider asks to slow down */
	OUTCOME_REFUSED,   /* 401, 403: nothing more to this destination until a probe passes */
	OUTCOME_PERMANENT, /* this message can never be accepted */
};
#define OUTCOME_COUNT (OUTCOME_PERMANENT + 1)

/* Statuses from first to last, both included, 100-599. */
struct status_range {
	int first, last;
};

/* A set of ranges; borrowed. */
struct status_set {
	const struct status_range *ranges;
	size_t count;
};

/* A rule that looks into the answer's body: of several, the first that fits decides. */
struct outcome_rule {
	struct status_set statuses; /* count 0: any */
	const char *path; /* of a JSON body, "error.details.0.errorCode"; NULL: the text */
	/*
	 * With a path: the scalar there is this text (equals), or holds it (contains); both NULL:
	 * it is there at all. Without one: the body holds this text (contains). Case counts.
	 */
	const char *equals, *contains;
	enum outcome outcome;
};

/* Zeroed: the design's table, with nothing accepted; `accept` is what the configuration says. */
struct outcome_table {
	struct status_set sets[OUTCOME_COUNT]; /* by outcome; they do not overlap */
	const struct outcome_rule *rules;
	size_t rule_count;
};

/*
 * The rules come first, then the sets, then the design's table. `json` is scratch of the caller's
 * for rules with a path; a body that is no JSON, or longer than the excerpt, has no paths.
 * *ret_rule is set to the rule that decided, or NULL.
 */
enum outcome outcome_classify(const struct outcome_table *table, const struct target_result *result,
	struct json *json, const struct outcome_rule **ret_rule);
const char *outcome_name(enum outcome outcome); /* "accepted"; static */

#endif
