/*
 * What a request says, as a cJSON tree in the shape of SQS's JSON protocol, whatever the protocol
 * it came in. A member that is null is absent; unknown members are ignored.
 */
#ifndef LOCALQ_PARAMS_H
#define LOCALQ_PARAMS_H

#include "localq/fault.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Parses the body of a JSON request; an empty one is {}. On FAULT_NONE the caller frees *ret with
 * cJSON_Delete. All strings in it are valid UTF-8; one that held U+0000 holds U+0001 there, which
 * SQS takes nowhere either (cJSON would silently end the string). SERIALIZATION, INTERNAL.
 */
enum fault params_parse_json(const char *body, size_t len, cJSON **ret, struct problem *problem);

/* The member, or NULL when it is absent. */
const cJSON *params_member(const cJSON *object, const char *name);

/* Each: SERIALIZATION when the member has another type; *ret is NULL when it is absent. */
enum fault params_text(
	const cJSON *object, const char *name, const char **ret, struct problem *problem);
enum fault params_object(
	const cJSON *object, const char *name, const cJSON **ret, struct problem *problem);
enum fault params_list(
	const cJSON *object, const char *name, const cJSON **ret, struct problem *problem);
/* A list whose items are all strings. */
enum fault params_texts(
	const cJSON *object, const char *name, const cJSON **ret, struct problem *problem);

/* As params_text; MISSING_PARAMETER when it is absent. */
enum fault params_required_text(
	const cJSON *object, const char *name, const char **ret, struct problem *problem);

/*
 * An integer; *ret is untouched when it is absent. INVALID_PARAMETER_VALUE out of [min, max].
 * ret_given may be NULL.
 */
enum fault params_int(const cJSON *object, const char *name, int64_t min, int64_t max, int64_t *ret,
	bool *ret_given, struct problem *problem);

#endif
