/*
 * Writes what an operation answers, as JSON or as the XML of the Query protocol. Operations name
 * members as the JSON protocol does and say what is a list and what a map; how those look on the
 * wire is decided here alone.
 *
 * The first failure sticks in `buf.err` (ERR_NOMEM, ERR_TOO_LARGE); check once at the end.
 */
#ifndef LOCALQ_ANSWER_H
#define LOCALQ_ANSWER_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ten messages of 1 MiB, every byte of them an XML entity of six, and what is around them. */
#define ANSWER_MAX_BYTES ((size_t)64 << 20)

#define ANSWER_DEPTH_MAX 12

/* For XML: where the writer is. */
enum answer_kind { ANSWER_OBJECT, ANSWER_LIST, ANSWER_MAP };
struct answer_level {
	enum answer_kind kind;
	const char *element; /* of a list's items, a map's entries; an object's own name */
};

/* Zeroed it writes JSON. All texts are borrowed. */
struct answer {
	struct buf buf;
	bool is_xml;
	/* For XML, set before answer_begin(): */
	const char *operation;
	bool has_result; /* the operation has an output, be it empty */
	const char *request_id;
	struct answer_level levels[ANSWER_DEPTH_MAX];
	unsigned depth;
};

/* Empties it and opens the outermost object. */
void answer_begin(struct answer *answer);
void answer_end(struct answer *answer);

/* A place to go back to: what was written since, all of it, is dropped. */
struct answer_mark {
	size_t len;
	unsigned depth;
};
struct answer_mark answer_mark(const struct answer *answer);
void answer_rewind(struct answer *answer, struct answer_mark mark);

/* In place of everything: the Query protocol's error. `code` needs no escape. */
void answer_error_xml(
	struct answer *answer, bool is_senders, const char *code, const char *message);

/* An object: an item of a list (name NULL) or a member. */
void answer_open(struct answer *answer, const char *name);
void answer_close(struct answer *answer);
void answer_open_list(struct answer *answer, const char *name);
void answer_close_list(struct answer *answer);
/* A map from names to values: its entries are written as members. */
void answer_open_map(struct answer *answer, const char *name);
void answer_close_map(struct answer *answer);

/* Members, or items of a list (name NULL). Text is valid UTF-8. */
void answer_text(struct answer *answer, const char *name, const char *text);
void answer_bytes(struct answer *answer, const char *name, const char *text, size_t len);
/* The same where neither text nor name needs an escape, as ids, digests and numbers do not. */
void answer_plain(struct answer *answer, const char *name, const char *text);
void answer_base64(struct answer *answer, const char *name, const uint8_t *bytes, size_t len);
/* Their names need no escape. */
void answer_bool(struct answer *answer, const char *name, bool value);
void answer_int(struct answer *answer, const char *name, int64_t value);
/* A number written as a string: every attribute of SQS is one. */
void answer_int_text(struct answer *answer, const char *name, int64_t value);

#endif
