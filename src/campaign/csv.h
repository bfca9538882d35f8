/*
 * CSV (RFC 4180) as a stream: bytes in, one row at a time out. Does no I/O and holds one row.
 *
 * Fields are separated by commas; a field in double quotes may hold commas, line breaks and
 * doubled quotes. Rows end with LF or CRLF, the last one may end with the input. A UTF-8 byte
 * order mark at the start is dropped, and so are empty lines. The first row fixes the number of
 * fields of all the others.
 *
 * A row that is wrong inside (invalid UTF-8, NUL, too long, a quote in an unquoted field, the wrong
 * number of fields) is reported once, at its first error, and the next row is read as if nothing
 * had happened. Where a quote that was opened on an earlier line goes wrong, nobody can tell which
 * lines belong to the row: the error is `fatal` and nothing more is read.
 */
#ifndef CAMPAIGN_CSV_H
#define CAMPAIGN_CSV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct csv;

struct csv_limits {
	size_t field_bytes; /* of one field's content */
	size_t row_bytes;   /* of all of a row's contents */
	size_t fields;	    /* in a row */
};

/* Lines and columns count from 1; a column is a character, not a byte. */
struct csv_position {
	uint64_t line, column;
};

struct csv_field {
	const char *text; /* NUL-terminated, holds no NUL */
	size_t bytes;
	struct csv_position start;
};

struct csv_row {
	const struct csv_field *fields;
	size_t count;  /* at least 1 */
	uint64_t line; /* where it starts */
};

struct csv_error {
	struct csv_position at;
	uint64_t row_line; /* where the row starts */
	char reason[120];
	bool fatal; /* every later call returns CSV_MORE and reads nothing */
};

enum csv_event {
	CSV_MORE,    /* all bytes are used, no row is complete */
	CSV_ROW,     /* csv_row() has the next row */
	CSV_INVALID, /* csv_error() says what is wrong with the next row */
};

/* 0 or ERR_NOMEM. */
int csv_new(const struct csv_limits *limits, struct csv **ret_csv);
void csv_free(struct csv *csv); /* NULL is fine */

/*
 * Reads up to the end of the next row and says in *ret_used how many of the bytes that took; call
 * it again with the rest. Returns an event or ERR_NOMEM.
 */
int csv_feed(struct csv *csv, const char *bytes, size_t len, size_t *ret_used);
/* The input has ended. CSV_MORE: no row was left. Nothing may be fed afterwards. */
int csv_end(struct csv *csv);

/* Borrowed until the next csv_feed or csv_end. */
const struct csv_row *csv_row(const struct csv *csv);
const struct csv_error *csv_error(const struct csv *csv);

#endif
