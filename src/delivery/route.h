/*
 * Which destination a message goes to when no attribute says so: the first whose conditions all
 * hold. Pure.
 */
#ifndef DELIVERY_ROUTE_H
#define DELIVERY_ROUTE_H

#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>

/* The field of the body at `path` ("user.lang") is one of these texts. Borrowed. */
struct route_condition {
	const char *path;
	const char *const *values; /* a number or a literal is compared as it is written */
	size_t value_count;
};

/* All of them; none: always. A body that is not a JSON object has no fields. */
bool route_matches(
	const struct route_condition conditions[], size_t count, const struct json_value *body);

#endif
