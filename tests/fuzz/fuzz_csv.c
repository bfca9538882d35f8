/* The same rows and errors come out however the text is cut into pieces, and fit their promises. */
#include "fuzz.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "campaign/csv.h"

#include <string.h>

static const struct csv_limits limits = {64, 200, 8};

static void show_row(const struct csv_row *row, struct buf *out)
{
	size_t bytes = 0;

	FUZZ_CHECK(row->count >= 1 && row->count <= limits.fields);
	buf_appendf(out, "row %llu %zu\n", (unsigned long long)row->line, row->count);
	for (size_t i = 0; i < row->count; i++) {
		const struct csv_field *field = &row->fields[i];

		FUZZ_CHECK(strlen(field->text) == field->bytes);
		FUZZ_CHECK(field->bytes <= limits.field_bytes);
		FUZZ_CHECK(utf8_is_valid(field->text, field->bytes));
		FUZZ_CHECK(field->start.line >= row->line && field->start.column >= 1);
		bytes += field->bytes;
		buf_appendf(out, "%llu:%llu %s\n", (unsigned long long)field->start.line,
			(unsigned long long)field->start.column, field->text);
	}
	FUZZ_CHECK(bytes <= limits.row_bytes);
}

static void show(const struct csv *csv, int event, struct buf *out)
{
	const struct csv_error *error = csv_error(csv);

	if (event == CSV_ROW)
		show_row(csv_row(csv), out);
	if (event != CSV_INVALID)
		return;
	FUZZ_CHECK(error->row_line >= 1 && error->at.line >= error->row_line);
	FUZZ_CHECK(error->at.column >= 1);
	buf_appendf(out, "error %llu %llu:%llu %s %d\n", (unsigned long long)error->row_line,
		(unsigned long long)error->at.line, (unsigned long long)error->at.column,
		error->reason, error->fatal);
}

static char *read_in_pieces(const char *text, size_t len, size_t piece)
{
	struct buf out = BUF_INIT((size_t)64 << 20);
	struct csv *csv;
	size_t used, taken;
	int event;

	FUZZ_CHECK(csv_new(&limits, &csv) == 0);
	while (len > 0) {
		event = csv_feed(csv, text, len < piece ? len : piece, &used);
		FUZZ_CHECK(event >= CSV_MORE && used > 0 && used <= len);
		show(csv, event, &out);
		text += used;
		len -= used;
	}
	event = csv_end(csv);
	FUZZ_CHECK(event >= CSV_MORE);
	show(csv, event, &out);
	FUZZ_CHECK(csv_end(csv) == CSV_MORE);
	csv_free(csv);
	buf_append_char(&out, '\0');
	FUZZ_CHECK(out.err == 0);
	return buf_take(&out, &taken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	char *whole = read_in_pieces(text, size, size + 1);
	static const size_t pieces[] = {1, 2, 3, 17};

	for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		char *again = read_in_pieces(text, size, pieces[i]);

		FUZZ_CHECK(strcmp(whole, again) == 0);
		free(again);
	}
	free(whole);
	return 0;
}
