/*
 * SQS's older Query protocol: a form of names with dots and values becomes the JSON text that a
 * client of the JSON protocol would have sent, so that everything behind it is one code.
 *
 *	Action=SendMessage&MessageBody=hello&MessageAttribute.1.Name=a&MessageAttribute.1.Value...
 *
 * Lists are flattened and count from 1, with gaps and in any order; `.member.` between a list and
 * its number is allowed (API: making Query requests). What is not known is left out, as unknown
 * members of JSON are.
 */
#ifndef LOCALQ_QUERY_H
#define LOCALQ_QUERY_H

#include "base/buf.h"
#include "localq/fault.h"

#include <stddef.h>

#define QUERY_ACTION_MAX 64
#define QUERY_PARAMETERS_MAX 4096
#define QUERY_DEPTH_MAX 8 /* parts of a name */

/*
 * Decodes application/x-www-form-urlencoded. `json` (its limit set by the caller) is overwritten.
 * MISSING_ACTION; UNKNOWN_OPERATION: an action that is too long, or holds a NUL; NO_SUCH_VERSION;
 * MISSING_PARAMETER: an entry of a map without its name; SERIALIZATION: no form, too many
 * parameters, a name that makes no sense; INVALID_PARAMETER_VALUE: no number where one belongs;
 * INTERNAL (out of memory). Whether the text is valid UTF-8 is for the reader of the JSON to say.
 */
enum fault query_decode(const char *form, size_t len, char ret_action[QUERY_ACTION_MAX + 1],
	struct buf *json, struct problem *problem);

#endif
