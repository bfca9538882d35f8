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
#include <stdint.h>

enum outcome {
	OUTCOME_ACCEPTED,     /* the provider has it: delete */
	OUTCOME_RETRY,	      /* back off, then try again */
	OUTCOME_THROTTLED,    /* the same, and the provider asks to slow down */
	OUTCOME_REFUSED,      /* 401, 403: nothing more to this destination until a probe passes */
	OUTCOME_QUOTA,	      /* the same, because what was paid for is used up */
	OUTCOME_PERMANENT,    /* this message can never be accepted */
	OUTCOME_UNREGISTERED, /* the same, and neither can any other to this recipient */
	OUTCOME_AMBIGUOUS,    /* the provider may have accepted it, or not */
};
#define OUTCOME_COUNT (OUTCOME_AMBIGUOUS + 1)

/* The reason of a failure that is OUTCOME_UNREGISTERED; lists are cleaned by it. */
#define OUTCOME_UNREGISTERED_REASON "unregistered"

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
	/*
	 * What may have been accepted is not sent again: then an attempt that went out and got no
	 * answer is OUTCOME_AMBIGUOUS, too.
	 */
	bool ambiguous_is_final;
	/* Where a JSON body says in how many seconds to try again; NULL: nowhere. */
	const char *retry_after_path;
};

/*
 * The rules come first, then the sets, then the design's table. `json` is scratch of the caller's
 * for rules with a path; a body that is no JSON, or longer than the excerpt, has no paths.
 * *ret_rule is set to the rule that decided, or NULL.
 */
enum outcome outcome_classify(const struct outcome_table *table, const struct target_result *result,
	struct json *json, const struct outcome_rule **ret_rule);
/*
 * When to try again, as a delay: the header's, else what stands at retry_after_path, a number of
 * seconds with or without decimals; up to OUTCOME_RETRY_AFTER_MAX_MS. -1: neither says.
 */
#define OUTCOME_RETRY_AFTER_MAX_MS                                    \
	INT64_C(43200000) /* the longest that SQS can put it back for \
			   */
int64_t outcome_retry_after_ms(
	const struct outcome_table *table, const struct target_result *result, struct json *json);
const char *outcome_name(enum outcome outcome); /* "accepted"; static */

#endif
