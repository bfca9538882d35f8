/*
 * Tags of a queue: what SQS takes ("Amazon SQS quotas", "Tag restrictions" of the tagging
 * reference).
 */
#ifndef LOCALQ_OPERATIONS_TAGS_H
#define LOCALQ_OPERATIONS_TAGS_H

#include "localq/fault.h"

#include "base/json.h"

#define TAGS_MAX 50

/*
 * Every tag of the map (NULL: there are none), and that they are TAGS_MAX at most: keys of 1-128
 * and values of 0-256 characters, which are letters, digits, blanks or one of _ . : / = + - @, no
 * key with the prefix "aws:". Beyond ASCII every character counts as a letter. SERIALIZATION,
 * INVALID_PARAMETER_VALUE.
 */
enum fault tags_check(const struct json_value *tags, struct problem *problem);

#endif
