#include "campaign/recipients.h"

#include "base/json.h"
#include "base/utf8.h"
#include "bunshin/error.h"
#include "campaign/csv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BLOCK_BYTES ((size_t)64 << 10)

static const char byte_order_mark[] = "\xef\xbb\xbf";

struct recipients {
	enum recipients_format format;
	struct recipients_input input;
	char *block;
	size_t block_used, block_len;
	bool input_ended;
	bool ended; /* nothing more to give */
	struct recipients_place place;
	struct recipients_error error;

	struct csv *csv;
	char **columns; /* the header; NULL until it was read */
	size_t column_count;

	struct buf line; /* JSON lines: the present one */
	uint64_t lines;	 /* read so far */
	bool line_too_long;
	struct json json;
};

int recipients_new(enum recipients_format format, const struct recipients_input *input,
	struct recipients **ret_recipients)
{
	static const struct csv_limits limits = {
		RECIPIENTS_ROW_MAX_BYTES, RECIPIENTS_ROW_MAX_BYTES, RECIPIENTS_COLUMNS_MAX};
	struct recipients *recipients = calloc(1, sizeof(*recipients));

	if (!recipients)
		return ERR_NOMEM;
	recipients->format = format;
	recipients->input = *input;
	buf_init(&recipients->line, RECIPIENTS_ROW_MAX_BYTES);
	recipients->block = malloc(BLOCK_BYTES);
	if (!recipients->block || csv_new(&limits, &recipients->csv) < 0) {
		recipients_free(recipients);
		return ERR_NOMEM;
	}
	*ret_recipients = recipients;
	return 0;
}

void recipients_free(struct recipients *recipients)
{
	if (!recipients)
		return;
	for (size_t i = 0; i < recipients->column_count; i++)
		free(recipients->columns[i]);
	free(recipients->columns);
	csv_free(recipients->csv);
	buf_free(&recipients->line);
	json_free(&recipients->json);
	free(recipients->block);
	free(recipients);
}

struct recipients_place recipients_place(const struct recipients *recipients)
{
	return recipients->place;
}

const struct recipients_error *recipients_error(const struct recipients *recipients)
{
	return &recipients->error;
}

/* More input, or the end of it. */
static int refill(struct recipients *recipients)
{
	size_t len = 0;
	int rc =
		recipients->input.read(recipients->input.arg, recipients->block, BLOCK_BYTES, &len);

	if (rc < 0)
		return rc;
	recipients->block_used = 0;
	recipients->block_len = len;
	recipients->input_ended = len == 0;
	return 0;
}

static int invalid(struct recipients *recipients, struct csv_position at, const char *reason)
{
	recipients->error = (struct recipients_error){at.line, at.column, reason, false};
	return RECIPIENTS_INVALID;
}

static int fatal(struct recipients *recipients, struct csv_position at, const char *reason)
{
	invalid(recipients, at, reason);
	recipients->error.fatal = true;
	recipients->ended = true;
	return RECIPIENTS_INVALID;
}

/* CSV */

/* The next csv_event, CSV_MORE meaning the end of the list. */
static int csv_step(struct recipients *recipients)
{
	int event = CSV_MORE;

	while (event == CSV_MORE && !recipients->input_ended) {
		size_t used;
		int rc;

		event = csv_feed(recipients->csv, recipients->block + recipients->block_used,
			recipients->block_len - recipients->block_used, &used);
		recipients->block_used += used;
		if (event != CSV_MORE)
			break;
		rc = refill(recipients);
		if (rc < 0)
			return rc;
	}
	return event == CSV_MORE ? csv_end(recipients->csv) : event;
}

static int find_column(const struct recipients *recipients, const char *name, size_t *ret_index)
{
	for (size_t i = 0; i < recipients->column_count; i++) {
		if (strcmp(recipients->columns[i], name) == 0) {
			*ret_index = i;
			return 0;
		}
	}
	return ERR_NOT_FOUND;
}

static int take_header(struct recipients *recipients, const struct csv_row *row)
{
	size_t ignored;

	recipients->columns = calloc(row->count, sizeof(*recipients->columns));
	if (!recipients->columns)
		return ERR_NOMEM;
	for (size_t i = 0; i < row->count; i++) {
		const struct csv_field *field = &row->fields[i];

		if (field->bytes == 0)
			return fatal(
				recipients, field->start, "the header has an empty column name");
		if (find_column(recipients, field->text, &ignored) == 0)
			return fatal(
				recipients, field->start, "the header has this column name twice");
		recipients->columns[i] = strdup(field->text);
		if (!recipients->columns[i])
			return ERR_NOMEM;
		recipients->column_count++;
	}
	return 0;
}

static int read_header(struct recipients *recipients)
{
	int event = csv_step(recipients);

	if (event == CSV_ROW)
		return take_header(recipients, csv_row(recipients->csv));
	if (event == CSV_INVALID) {
		const struct csv_error *error = csv_error(recipients->csv);

		return fatal(recipients, error->at, error->reason);
	}
	if (event == CSV_MORE)
		return fatal(recipients, (struct csv_position){1, 1},
			"the list is empty; its first row must name the columns");
	return event;
}

static int next_csv(struct recipients *recipients)
{
	const struct csv_error *error;
	int event;

	if (!recipients->columns) {
		int rc = read_header(recipients);

		if (rc != 0)
			return rc;
	}
	event = csv_step(recipients);
	if (event < 0)
		return event;
	if (event == CSV_MORE) {
		recipients->ended = true;
		return RECIPIENTS_END;
	}
	recipients->place.row++;
	if (event == CSV_ROW) {
		recipients->place.line = csv_row(recipients->csv)->line;
		return RECIPIENTS_ROW;
	}
	error = csv_error(recipients->csv);
	recipients->place.line = error->row_line;
	return error->fatal ? fatal(recipients, error->at, error->reason)
			    : invalid(recipients, error->at, error->reason);
}

static int append_csv_json(const struct recipients *recipients, struct buf *out)
{
	const struct csv_row *row = csv_row(recipients->csv);

	buf_append_char(out, '{');
	for (size_t i = 0; i < row->count; i++) {
		const char *column = recipients->columns[i];

		buf_append_string(out, i == 0 ? "\"" : ",\"");
		buf_append_json(out, column, strlen(column));
		buf_append_string(out, "\":\"");
		buf_append_json(out, row->fields[i].text, row->fields[i].bytes);
		buf_append_char(out, '"');
	}
	return buf_append_char(out, '}');
}

/* JSON lines */

static void take_line_part(struct recipients *recipients, const char *bytes, size_t len)
{
	if (recipients->line_too_long)
		return;
	if (buf_append(&recipients->line, bytes, len) == ERR_TOO_LARGE)
		recipients->line_too_long = true;
}

/* Reads one line into `line`, its line feed dropped. 1; 0: there is none; or a negative code. */
static int read_line(struct recipients *recipients)
{
	bool any = false;

	buf_clear(&recipients->line);
	recipients->line_too_long = false;
	for (;;) {
		const char *from = recipients->block + recipients->block_used;
		size_t left = recipients->block_len - recipients->block_used;
		const char *end = left > 0 ? memchr(from, '\n', left) : NULL;
		size_t len = end ? (size_t)(end - from) : left;
		int rc;

		if (left > 0) {
			any = true;
			take_line_part(recipients, from, len);
			recipients->block_used += len + (end ? 1 : 0);
		}
		if (recipients->line.err == ERR_NOMEM)
			return ERR_NOMEM;
		if (end || recipients->input_ended)
			break;
		rc = refill(recipients);
		if (rc < 0)
			return rc;
	}
	if (any)
		recipients->lines++;
	return any ? 1 : 0;
}

static bool is_blank(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (text[i] != ' ' && text[i] != '\t' && text[i] != '\r')
			return false;
	return true;
}

static uint64_t column_of(const char *text, size_t offset)
{
	uint64_t column = 1;

	for (size_t i = 0; i < offset; i++)
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			column++;
	return column;
}

static void drop_byte_order_mark(struct buf *line)
{
	size_t len = sizeof(byte_order_mark) - 1;

	if (line->len < len || memcmp(line->data, byte_order_mark, len) != 0)
		return;
	memmove(line->data, line->data + len, line->len - len);
	buf_truncate(line, line->len - len);
}

static int parse_line(struct recipients *recipients)
{
	const char *text = buf_string(&recipients->line);
	size_t len = recipients->line.len;
	struct csv_position at = {recipients->lines, 1};
	int rc;

	if (recipients->line_too_long)
		return invalid(recipients, at, "the line is longer than 2 MiB");
	rc = json_parse(&recipients->json, text, len);
	if (rc == ERR_NOMEM)
		return rc;
	if (rc == ERR_TOO_LARGE)
		return invalid(recipients, at, "the JSON is nested too deeply");
	if (rc < 0) {
		size_t offset = recipients->json.error_offset;

		at.column = column_of(text, offset < len ? offset : len);
		return invalid(recipients, at,
			utf8_is_valid(text, len) ? "malformed JSON"
						 : "malformed JSON (the file must be UTF-8)");
	}
	if (json_root(&recipients->json)->kind != JSON_OBJECT)
		return invalid(recipients, at, "expected a JSON object");
	return RECIPIENTS_ROW;
}

static int next_jsonl(struct recipients *recipients)
{
	int rc;

	do {
		rc = read_line(recipients);
		if (rc < 0)
			return rc;
		if (rc == 0) {
			recipients->ended = true;
			return RECIPIENTS_END;
		}
		if (recipients->lines == 1)
			drop_byte_order_mark(&recipients->line);
	} while (!recipients->line_too_long &&
		 is_blank(buf_string(&recipients->line), recipients->line.len));
	recipients->place.row++;
	recipients->place.line = recipients->lines;
	return parse_line(recipients);
}

static bool json_variable(
	const struct recipients *recipients, const char *name, struct template_value *ret_value)
{
	const struct json *json = &recipients->json;
	const struct json_value *value = json_member(json_root(json), name);

	if (!value)
		value = json_path(json_root(json), name);
	if (!value)
		return false;
	if (value->kind == JSON_STRING)
		*ret_value = (struct template_value){value->string, value->string_bytes, false};
	else
		*ret_value = (struct template_value){value->raw, value->raw_bytes, true};
	return true;
}

/* both */

int recipients_next(struct recipients *recipients)
{
	if (recipients->ended)
		return RECIPIENTS_END;
	return recipients->format == RECIPIENTS_CSV ? next_csv(recipients) : next_jsonl(recipients);
}

bool recipients_lookup(void *arg, const char *name, struct template_value *ret_value)
{
	const struct recipients *recipients = arg;
	const struct csv_field *field;
	size_t i;

	if (recipients->format == RECIPIENTS_JSONL)
		return json_variable(recipients, name, ret_value);
	if (find_column(recipients, name, &i) < 0)
		return false;
	field = &csv_row(recipients->csv)->fields[i];
	*ret_value = (struct template_value){field->text, field->bytes, false};
	return true;
}

int recipients_append_json(const struct recipients *recipients, struct buf *out)
{
	const struct json_value *root;

	if (recipients->format == RECIPIENTS_CSV)
		return append_csv_json(recipients, out);
	root = json_root(&recipients->json);
	return buf_append(out, root->raw, root->raw_bytes);
}

bool recipients_may_have(const struct recipients *recipients, const char *name)
{
	size_t ignored;

	return recipients->format == RECIPIENTS_JSONL ||
	       find_column(recipients, name, &ignored) == 0;
}

static bool ends_with(const char *name, const char *ending)
{
	size_t len = strlen(name), ending_len = strlen(ending);

	return len >= ending_len && strcasecmp(name + len - ending_len, ending) == 0;
}

enum recipients_format recipients_guess_format(const char *name, const char *bytes, size_t len)
{
	size_t i = 0;

	if (ends_with(name, ".csv") || ends_with(name, ".csv.gz"))
		return RECIPIENTS_CSV;
	if (ends_with(name, ".jsonl") || ends_with(name, ".ndjson") ||
		ends_with(name, ".jsonl.gz") || ends_with(name, ".ndjson.gz"))
		return RECIPIENTS_JSONL;
	if (len >= 3 && memcmp(bytes, byte_order_mark, 3) == 0)
		i = 3;
	while (i < len && strchr(" \t\r\n", bytes[i]) && bytes[i] != '\0')
		i++;
	return i < len && bytes[i] == '{' ? RECIPIENTS_JSONL : RECIPIENTS_CSV;
}
