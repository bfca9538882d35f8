/*
 * What a request says, as a tree in the shape of SQS's JSON protocol, whatever the protocol it came
 * in. A member that is null is absent; unknown members are ignored; of a name that is repeated the
 * last counts.
 */
#ifndef LOCALQ_PARAMS_H
#define LOCALQ_PARAMS_H

#include "base/json.h"
#include "localq/fault.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Parses the body of a JSON request; an empty one is {}. *ret is its root, an object, good until
 * `json` (zeroed, or used before) is parsed into again or freed, and the body, into which numbers
 * point, is gone. All strings in it are valid UTF-8 without a NUL: one that held U+0000 holds
 * U+0001 there, which SQS takes nowhere either. SERIALIZATION, INTERNAL.
 */
enum fault params_parse(struct json *json, const char *body, size_t len,
	const struct json_value **ret, struct problem *problem);

/* The member, or NULL when it is absent; NULL-tolerant. */
const struct json_value *params_member(const struct json_value *object, const char *name);
/* The member's text, or NULL when it is absent or no string. */
const char *params_text_or_null(const struct json_value *object, const char *name);

/* `item`, a const struct json_value *, runs through what is in the list or object (NULL: nothing).
 */
#define PARAMS_EACH(item, container) \
	for ((item) = json_first(container); (item) != NULL; (item) = json_next(container, item))
/* How many there are; 0 for NULL. */
static inline size_t params_count(const struct json_value *container)
{
	return container != NULL ? container->count : 0;
}

/* Each: SERIALIZATION when the member has another type; *ret is NULL when it is absent. */
enum fault params_text(const struct json_value *object, const char *name, const char **ret,
	struct problem *problem);
enum fault params_object(const struct json_value *object, const char *name,
	const struct json_value **ret, struct problem *problem);
enum fault params_list(const struct json_value *object, const char *name,
	const struct json_value **ret, struct problem *problem);
/* A list whose items are all strings. */
enum fault params_texts(const struct json_value *object, const char *name,
	const struct json_value **ret, struct problem *problem);

/* As params_text; MISSING_PARAMETER when it is absent or empty. */
enum fault params_required_text(const struct json_value *object, const char *name, const char **ret,
	struct problem *problem);

/*
 * An integer; *ret is untouched when it is absent. INVALID_PARAMETER_VALUE out of [min, max].
 * ret_given may be NULL.
 */
enum fault params_int(const struct json_value *object, const char *name, int64_t min, int64_t max,
	int64_t *ret, bool *ret_given, struct problem *problem);

#endif
