#include "bunshin/error.h"
#include "cli/top/reader.h"
#include "cli/top/status.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define COLUMNS_MAX 64
#define ROWS_MAX 3600 /* of one answer; 900 is what is promised */

/* Where a column goes; all others are passed over. */
static const struct field {
	const char *name;
	size_t offset; /* in struct history_row */
} fields[] = {
	{"t_ms", offsetof(struct history_row, t_ms)},
	{"accepted", offsetof(struct history_row, accepted)},
	{"failed", offsetof(struct history_row, failed)},
	{"visible", offsetof(struct history_row, visible)},
	{"attempt_p50_ms", offsetof(struct history_row, attempt_p50_ms)},
	{"attempt_p99_ms", offsetof(struct history_row, attempt_p99_ms)},
	{"acceptance_p50_ms", offsetof(struct history_row, acceptance_p50_ms)},
	{"acceptance_p99_ms", offsetof(struct history_row, acceptance_p99_ms)},
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))
#define NOWHERE FIELDS

struct columns {
	size_t count;
	size_t field[COLUMNS_MAX]; /* which of `fields`, or NOWHERE */
};

static double *at(struct history_row *row, size_t field)
{
	return (double *)(void *)((char *)row + fields[field].offset);
}

static size_t find_field(const char *name)
{
	size_t i = 0;

	while (i < FIELDS && !(name && strcmp(fields[i].name, name) == 0))
		i++;
	return i;
}

static void read_columns(
	struct reader *reader, const struct json_value *root, struct columns *columns)
{
	const struct json_value *array = reader_array(reader, root, "columns");
	bool has_time = false;

	if (array && array->count > COLUMNS_MAX)
		reader_fail(reader, "columns", "a short list");
	for (const struct json_value *name = json_first(array); name && reader->err == 0;
		name = json_next(array, name)) {
		size_t field = find_field(json_text(name));

		has_time |= field == 0;
		columns->field[columns->count++] = field;
	}
	if (!has_time)
		reader_fail(reader, "columns", "a list with t_ms");
}

static void read_row(struct reader *reader, const struct json_value *array,
	const struct columns *columns, struct history_row *row)
{
	size_t column = 0;

	for (size_t i = 0; i < FIELDS; i++)
		*at(row, i) = NAN;
	if (array->kind != JSON_ARRAY || array->count != columns->count) {
		reader_fail(reader, "rows", "a list of rows as long as \"columns\"");
		return;
	}
	for (const struct json_value *value = json_first(array); value;
		value = json_next(array, value), column++)
		if (columns->field[column] != NOWHERE)
			*at(row, columns->field[column]) = reader_value(reader, value, "rows");
}

static void append(struct history *history, const struct history_row *row)
{
	if (history->count > 0 && !(row->t_ms > history->rows[history->count - 1].t_ms))
		return;
	if (history->count == HISTORY_ROWS_MAX)
		memmove(history->rows, history->rows + 1,
			(--history->count) * sizeof(history->rows[0]));
	history->rows[history->count++] = *row;
}

/* Only looks (history NULL), or appends too. */
static void read_rows(struct reader *reader, const struct json_value *array,
	const struct columns *columns, struct history *history)
{
	struct history_row row;

	if (array && array->count > ROWS_MAX)
		reader_fail(reader, "rows", "a list of at most an hour");
	for (const struct json_value *value = json_first(array); value && reader->err == 0;
		value = json_next(array, value)) {
		read_row(reader, value, columns, &row);
		if (isnan(row.t_ms))
			reader_fail(reader, "t_ms", "there");
		if (history && reader->err == 0)
			append(history, &row);
	}
}

static int read_document(struct history *history, const struct json_value *root, struct buf *error)
{
	struct reader reader = {.error = error};
	struct columns columns = {.count = 0};
	const struct json_value *rows = reader_array(&reader, root, "rows");
	double now_ms = reader_number(&reader, root, "now_ms");

	if (isnan(now_ms))
		reader_fail(&reader, "now_ms", "there");
	read_columns(&reader, root, &columns);
	if (reader.err == 0)
		read_rows(&reader, rows, &columns, NULL);
	if (reader.err != 0)
		return reader.err;
	if (history->count > 0 && now_ms < history->rows[history->count - 1].t_ms)
		history->count = 0;
	else
		read_rows(&reader, rows, &columns, history);
	return 0;
}

int64_t history_since(const struct history *history)
{
	return history->count > 0 ? (int64_t)history->rows[history->count - 1].t_ms : 0;
}

int history_read(struct history *history, const char *text, size_t len, struct buf *error)
{
	struct json json = {.count = 0};
	int err = json_parse(&json, text, len);

	if (err == ERR_SYNTAX || (err == 0 && json_root(&json)->kind != JSON_OBJECT)) {
		buf_append_string(error, "the answer is not a JSON object");
		err = ERR_PROTOCOL;
	} else if (err != 0) {
		buf_append_string(error, error_message(err));
	} else {
		err = read_document(history, json_root(&json), error);
	}
	json_free(&json);
	return err;
}
