/*
 * A JSON reader for hostile text: strict RFC 8259, bounded depth and size, no recursion, no
 * allocation per value once its arrays have grown. Strings are unescaped into a copy of the text,
 * so the original stays as it is.
 *
 * Refused: invalid UTF-8, lone surrogates, control characters in strings, anything after the
 * document but white space. A name may repeat: the last one wins on look-up. Numbers stay text.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JSON_DEPTH_MAX 64
#define JSON_VALUES_MAX 262144 /* of one document, containers included */

enum json_kind {
	JSON_NULL,
	JSON_FALSE,
	JSON_TRUE,
	JSON_NUMBER,
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT
};

struct json_value {
	enum json_kind kind;
	uint32_t span;	     /* of the array of values: this one and all inside it */
	uint32_t count;	     /* array elements, or object members */
	uint32_t name_bytes; /* as an object's member */
	const char *name;    /* unescaped, NUL-terminated; NULL outside objects */
	const char *raw;     /* the value's own text in the original, quotes included */
	size_t raw_bytes;
	const char *string; /* JSON_STRING: unescaped, NUL-terminated (may also hold NULs) */
	size_t string_bytes;
};

/* A parser's memory, reused from document to document. Zero it to begin with. */
struct json {
	struct json_value *values; /* in document order; values[0] is the root */
	size_t count, capacity;
	char *strings;
	size_t strings_capacity;
	bool has_nuls;	     /* a name or string of the document has a NUL in it */
	size_t error_offset; /* after ERR_SYNTAX: the byte where it stopped making sense */
};

/*
 * Parses one document of at most UINT32_MAX/2 bytes. The text is borrowed: `raw` points into it;
 * everything else lives in `json` until the next parse or json_free. Returns 0, ERR_SYNTAX,
 * ERR_TOO_LARGE (deeper than JSON_DEPTH_MAX, more than JSON_VALUES_MAX values, or too long) or
 * ERR_NOMEM.
 */
int json_parse(struct json *json, const char *text, size_t len);
void json_free(struct json *json);

/* NULL-tolerant look-ups, so that they chain: a NULL or unfitting value gives NULL. */
const struct json_value *json_root(const struct json *json);
const struct json_value *json_member(const struct json_value *object, const char *name);
const struct json_value *json_element(const struct json_value *array, size_t index);
/* "a.b.0": members and array indexes; NULL when any step is missing. */
const struct json_value *json_path(const struct json_value *value, const char *path);

/* A member's name, as JSON_NAME("name"). */
struct json_name {
	const char *text;
	uint32_t bytes;
};
#define JSON_NAME(literal)                   \
	{                                    \
		literal, sizeof(literal) - 1 \
	}

/*
 * What json_member() gives for each of these names, in one pass over the object: ret[i] for
 * names[i], which are distinct. It is quickest with names in the order in which the members come.
 */
void json_members(const struct json_value *object, const struct json_name names[], size_t count,
	const struct json_value *ret[]);

/* The first child, or NULL; then the following ones, NULL after the last. */
const struct json_value *json_first(const struct json_value *container);
const struct json_value *json_next(
	const struct json_value *container, const struct json_value *child);

/* The string's content, or NULL when the value is not a string or holds a NUL. */
const char *json_text(const struct json_value *value);
/* A number written as an integer that fits; ERR_SYNTAX for anything else, 1.0 and 1e3 included. */
int json_int(const struct json_value *value, int64_t *ret);

#endif
