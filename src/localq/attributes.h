/*
 * Message attributes: checked, put into their canonical form, filtered, written.
 *
 * The canonical form is what SQS takes its MD5 over: sorted by name, each u32 length and name,
 * u32 length and type, one byte (1 string, 2 binary), u32 length and value; big-endian. It is also
 * how the store keeps them, so that a digest over the returned ones is a digest over its parts.
 */
#ifndef LOCALQ_ATTRIBUTES_H
#define LOCALQ_ATTRIBUTES_H

#include "base/buf.h"
#include "localq/answer.h"
#include "localq/fault.h"
#include "localq/hasher.h"

#include "base/json.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ATTRIBUTES_MAX 10
/* Bytes. X-Ray's are of some hundred; SQS names no limit. */
#define ATTRIBUTES_TRACE_HEADER_MAX 4096

/* Names, types and values, as they count against the size of a message (API: quotas). */
size_t attributes_size(const struct json_value *map);

/*
 * Appends the canonical form of a MessageAttributes map (NULL: nothing) to `into`, whose err the
 * caller checks. INVALID_PARAMETER_VALUE, SERIALIZATION, INTERNAL.
 */
enum fault attributes_encode(
	const struct json_value *map, struct buf *into, struct problem *problem);

/*
 * The one system attribute that a sender may set. *ret is its value or NULL; `into` gets the
 * canonical form for MD5OfMessageSystemAttributes.
 */
enum fault attributes_trace_header(
	const struct json_value *map, struct buf *into, const char **ret, struct problem *problem);

/* One attribute, pointing into the canonical form. */
struct attribute {
	const char *name, *type, *value;
	size_t name_bytes, type_bytes, value_bytes;
	bool binary;
	const char *canonical;
	size_t canonical_bytes;
};

/* Takes the first attribute off *rest. False: the end (or a form that is broken). */
bool attributes_next(const char **rest, size_t *rest_bytes, struct attribute *ret);

/*
 * Writes MD5OfMessageAttributes and MessageAttributes with what `names`, MessageAttributeNames
 * (All, .*, prefix.*, a name), selects; nothing when it selects none. `scratch` is overwritten.
 * Returns 0 or ERR_NOMEM.
 */
int attributes_answer(struct answer *answer, struct hasher *hasher, struct buf *scratch,
	const struct json_value *names, const char *canonical, size_t canonical_bytes);

#endif
