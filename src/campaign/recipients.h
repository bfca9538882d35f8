/*
 * A recipient list, read row by row: CSV whose first row names the columns, or JSON lines (one
 * object a line). Never holds more than one row and one block of input.
 *
 * A row's columns are template variables: a CSV column by its exact name; a member of a JSON object
 * by its exact name, else as a path ("coupon.code", "items.0").
 */
#ifndef CAMPAIGN_RECIPIENTS_H
#define CAMPAIGN_RECIPIENTS_H

#include "base/buf.h"
#include "config/template.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RECIPIENTS_ROW_MAX_BYTES ((size_t)2 << 20) /* as written; a message holds at most 1 MiB */
#define RECIPIENTS_COLUMNS_MAX 1000

enum recipients_format { RECIPIENTS_CSV, RECIPIENTS_JSONL };

/*
 * Where the bytes come from. read() fills up to `size` bytes and returns 0; *ret_len 0 is the end.
 * It may block. A negative code ends the iteration with that code.
 */
struct recipients_input {
	int (*read)(void *arg, char *bytes, size_t size, size_t *ret_len);
	void *arg;
};

struct recipients;

/* What is wrong with a row, or with the whole list. */
struct recipients_error {
	uint64_t line, column; /* where; from 1, a column is a character */
	const char *reason;
	bool fatal; /* of the list, not of one row: it cannot be read any further */
};

/* Where and which the present row is. */
struct recipients_place {
	uint64_t row;  /* from 1, counting every row, also the invalid ones; not the header */
	uint64_t line; /* where it starts, from 1 */
};

enum recipients_event { RECIPIENTS_END, RECIPIENTS_ROW, RECIPIENTS_INVALID };

/* The input's arg is borrowed and outlives the iterator. 0 or ERR_NOMEM. */
int recipients_new(enum recipients_format format, const struct recipients_input *input,
	struct recipients **ret_recipients);
void recipients_free(struct recipients *recipients); /* NULL is fine */

/*
 * The next row. RECIPIENTS_INVALID: it is unusable, recipients_error() says why, and the next call
 * goes on behind it (after a fatal error: returns RECIPIENTS_END). Negative: the input's own error,
 * or ERR_NOMEM; the iterator is then only good for freeing.
 */
int recipients_next(struct recipients *recipients);

/* All of these are borrowed until the next recipients_next. */
struct recipients_place recipients_place(const struct recipients *recipients);
const struct recipients_error *recipients_error(const struct recipients *recipients);
/* After RECIPIENTS_ROW. A template_lookup; `recipients` is a struct recipients *. */
bool recipients_lookup(void *recipients, const char *name, struct template_value *ret_value);
/* After RECIPIENTS_ROW: appends the row as one JSON object (JSON lines: as it was written). */
int recipients_append_json(const struct recipients *recipients, struct buf *out);

/*
 * Whether rows can have this variable; known for CSV once recipients_next returned a row, and
 * always true for JSON lines.
 */
bool recipients_may_have(const struct recipients *recipients, const char *name);

/*
 * Pure: which format the list is in, by its name's ending (.csv, .jsonl, .ndjson, .gz
 * behind it left out) or else by its
 * first bytes: JSON lines when they begin with "{".
 */
enum recipients_format recipients_guess_format(const char *name, const char *bytes, size_t len);

#endif
