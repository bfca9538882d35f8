/*
 * Writes what an operation answers. Operations name members as the JSON protocol does and say
 * what is a list and what a map; how those look on the wire is decided here alone.
 *
 * The first failure sticks in `buf.err` (ERR_NOMEM, ERR_TOO_LARGE); check once at the end.
 */
#ifndef LOCALQ_ANSWER_H
#define LOCALQ_ANSWER_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ten messages of 1 MiB, every byte of them escaped, and what is around them. */
#define ANSWER_MAX_BYTES ((size_t)32 << 20)

struct answer {
	struct buf buf;
};

/* Empties it and opens the outermost object. */
void answer_begin(struct answer *answer);
void answer_end(struct answer *answer);

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
void answer_base64(struct answer *answer, const char *name, const uint8_t *bytes, size_t len);
void answer_bool(struct answer *answer, const char *name, bool value);
void answer_int(struct answer *answer, const char *name, int64_t value);
/* A number written as a string: every attribute of SQS is one. */
void answer_int_text(struct answer *answer, const char *name, int64_t value);

#endif
