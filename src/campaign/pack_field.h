/*
 * Where the recipient stands in a message's body: the member of a JSON object that `campaign send
 * --pack` makes a list of. Pure; the body may hold anything.
 */
#ifndef CAMPAIGN_PACK_FIELD_H
#define CAMPAIGN_PACK_FIELD_H

#include "base/buf.h"
#include "base/json.h"

#include <stddef.h>

#define PACK_FIELD_MAX 64 /* bytes of its name */

/* Bytes of the body: the value as it stands there, quotes included. */
struct pack_field {
	size_t at, bytes;
};

/*
 * Looks for the member in one body after the other. Most bodies are like the one before but for the
 * value: of those nothing but the value is parsed. Zero it, then pack_finder_init().
 */
struct pack_finder {
	const char *name; /* of the member; borrowed */
	struct json json;
	struct buf last; /* a body that has it, at: */
	struct pack_field field;
};

void pack_finder_init(struct pack_finder *finder, const char *name);
void pack_finder_free(struct pack_finder *finder);

/*
 * Finds the member in the outermost object. 0; ERR_SYNTAX: the body is no JSON object, or has that
 * member not exactly once, or its value is neither a number nor a string of at least a character;
 * *ret_reason then says which (static, a whole predicate: "is no JSON object"); ERR_NOMEM.
 */
int pack_finder_find(struct pack_finder *finder, const char *body, size_t body_bytes,
	struct pack_field *ret_field, const char **ret_reason);

#endif
