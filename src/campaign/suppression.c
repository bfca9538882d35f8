#include "campaign/suppression.h"

#include "base/utf8.h"
#include "bunshin/error.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BLOCK_BYTES ((size_t)64 << 10)

static bool ends_with(const char *name, size_t len, const char *ending)
{
	size_t ending_len = strlen(ending);

	return len >= ending_len && strncasecmp(name + len - ending_len, ending, ending_len) == 0;
}

enum suppression_format suppression_format_of(const char *name)
{
	size_t len = strlen(name);

	if (ends_with(name, len, ".gz"))
		len -= 3;
	if (ends_with(name, len, ".csv"))
		return SUPPRESSION_CSV;
	if (ends_with(name, len, ".jsonl") || ends_with(name, len, ".ndjson"))
		return SUPPRESSION_JSONL;
	return SUPPRESSION_LINES;
}

/* lines */

struct lines {
	struct key_set *set;
	struct buf *error;
	struct buf line; /* a line's beginning, from the block before */
	uint64_t number, count;
};

static int wrong(struct lines *lines, const char *what)
{
	buf_appendf(lines->error, "%" PRIu64 ": %s", lines->number, what);
	return ERR_SYNTAX;
}

static int take_line(struct lines *lines, const char *text, size_t len)
{
	lines->number++;
	if (lines->number == 1 && len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	if (len > 0 && text[len - 1] == '\r')
		len--;
	if (len == 0)
		return 0;
	if (len > SUPPRESSION_LINE_MAX)
		return wrong(lines, "the line is longer than 64 KiB");
	if (!utf8_is_valid(text, len) || memchr(text, '\0', len))
		return wrong(lines, "the line is no text in UTF-8");
	lines->count++;
	return key_set_suppress(lines->set, text, len);
}

/* What is left of the block begins a line that the next one ends. */
static int take_block(struct lines *lines, const char *block, size_t len)
{
	const char *end;
	int err = 0;

	while (!err && (end = memchr(block, '\n', len))) {
		size_t part = (size_t)(end - block);

		if (lines->line.len > 0) {
			err = buf_append(&lines->line, block, part);
			if (!err)
				err = take_line(lines, buf_string(&lines->line), lines->line.len);
			buf_clear(&lines->line);
		} else {
			err = take_line(lines, block, part);
		}
		len -= part + 1;
		block = end + 1;
	}
	return err ? err : buf_append(&lines->line, block, len);
}

static int read_lines(const struct recipients_input *input, struct lines *lines, char *block)
{
	size_t len;
	int err;

	do {
		err = input->read(input->arg, block, BLOCK_BYTES, &len);
		if (!err)
			err = take_block(lines, block, len);
	} while (!err && len > 0);
	if (!err && lines->line.len > 0)
		err = take_line(lines, buf_string(&lines->line), lines->line.len);
	if (err == ERR_TOO_LARGE) {
		lines->number++;
		err = wrong(lines, "the line is longer than 64 KiB");
	}
	return err;
}

static int suppress_lines(const struct recipients_input *input, struct key_set *set,
	uint64_t *ret_count, struct buf *error)
{
	struct lines lines = {.set = set, .error = error};
	char *block = malloc(BLOCK_BYTES);
	int err;

	if (!block)
		return ERR_NOMEM;
	buf_init(&lines.line, SUPPRESSION_LINE_MAX + 4); /* with its mark and its CR */
	err = read_lines(input, &lines, block);
	*ret_count = lines.count;
	buf_free(&lines.line);
	free(block);
	return err;
}

/* rows */

static int wrong_row(uint64_t line, const char *reason, struct buf *error)
{
	buf_appendf(error, "%" PRIu64 ": %s", line, reason);
	return ERR_SYNTAX;
}

static int take_row(
	struct recipients *recipients, const char *column, struct key_set *set, struct buf *error)
{
	struct template_value value;

	if (!recipients_may_have(recipients, column)) {
		buf_appendf(error, "1: there is no column \"%s\"", column);
		return ERR_SYNTAX;
	}
	if (!recipients_lookup(recipients, column, &value) || value.text_bytes == 0)
		return wrong_row(
			recipients_place(recipients).line, "its key is missing or empty", error);
	return key_set_suppress(set, value.text, value.text_bytes);
}

static int suppress_rows(const struct recipients_input *input, enum recipients_format format,
	const char *column, struct key_set *set, uint64_t *ret_count, struct buf *error)
{
	struct recipients *recipients;
	uint64_t count = 0;
	int event, err = recipients_new(format, input, &recipients);

	if (err)
		return err;
	while (!err && (event = recipients_next(recipients)) != RECIPIENTS_END) {
		if (event < 0)
			err = event;
		else if (event == RECIPIENTS_INVALID)
			err = wrong_row(recipients_error(recipients)->line,
				recipients_error(recipients)->reason, error);
		else
			err = take_row(recipients, column, set, error);
		count++;
	}
	recipients_free(recipients);
	*ret_count = count;
	return err;
}

int suppression_read(const struct recipients_input *input, enum suppression_format format,
	const char *column, struct key_set *set, uint64_t *ret_count, struct buf *error)
{
	uint64_t count = 0;
	int err;

	if (format == SUPPRESSION_LINES)
		err = suppress_lines(input, set, &count, error);
	else
		err = suppress_rows(input,
			format == SUPPRESSION_CSV ? RECIPIENTS_CSV : RECIPIENTS_JSONL, column, set,
			&count, error);
	if (!err)
		*ret_count = count;
	return err;
}
