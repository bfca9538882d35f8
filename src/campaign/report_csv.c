#include "base/units.h"
#include "bunshin/error.h"
#include "campaign/report.h"

#include <inttypes.h>
#include <string.h>

int report_key_line(const struct report_row *row, struct buf *out)
{
	if (row->key_bytes == 0 || memchr(row->key, '\n', row->key_bytes) ||
		memchr(row->key, '\r', row->key_bytes))
		return ERR_SYNTAX;
	buf_append(out, row->key, row->key_bytes);
	return buf_append_char(out, '\n');
}

int report_csv_header(struct buf *out)
{
	return buf_append_string(out,
		"line,row,recipient,idempotency_key,outcome,reason,status,attempts,first,last,"
		"request_id,uncertain\n");
}

static void append_field(struct buf *out, const char *text, size_t len)
{
	const char *quote;

	if (!memchr(text, '"', len) && !memchr(text, ',', len) && !memchr(text, '\n', len) &&
		!memchr(text, '\r', len)) {
		buf_append(out, text, len);
		return;
	}
	buf_append_char(out, '"');
	while ((quote = memchr(text, '"', len))) {
		size_t part = (size_t)(quote - text) + 1;

		buf_append(out, text, part);
		buf_append_char(out, '"');
		text += part;
		len -= part;
	}
	buf_append(out, text, len);
	buf_append_char(out, '"');
}

/* What somebody outside has written: no spreadsheet takes it for a formula. */
static void append_foreign(struct buf *out, const char *text)
{
	struct buf safe = BUF_INIT(8192);

	if (!*text || !strchr("=+-@\t\r", *text)) {
		append_field(out, text, strlen(text));
		return;
	}
	buf_append_char(&safe, '\'');
	buf_append_string(&safe, text);
	append_field(out, buf_string(&safe), safe.len);
	buf_free(&safe);
}

static void append_number(struct buf *out, int64_t number)
{
	if (number != 0)
		buf_appendf(out, "%" PRId64, number);
	buf_append_char(out, ',');
}

static void append_time(struct buf *out, int64_t epoch_ms)
{
	char text[UNITS_TEXT_MAX];

	if (epoch_ms != 0)
		buf_append_string(out, units_format_rfc3339(epoch_ms, text));
	buf_append_char(out, ',');
}

int report_csv_row(const struct report_row *row, struct buf *out)
{
	buf_appendf(out, "%" PRIu64 ",%" PRIu64 ",", row->place.line, row->place.row);
	append_field(out, row->key, row->key_bytes);
	buf_appendf(out, ",%s,", row->idempotency_key);
	if (row->outcome == REPORT_LEFT_OUT)
		buf_appendf(out, "left out: %s,", journal_reject_name(row->reject));
	else
		buf_appendf(out, "%s,", report_outcome_name(row->outcome));
	append_foreign(out, row->reason);
	buf_append_char(out, ',');
	append_number(out, row->status);
	append_number(out, row->attempts);
	append_time(out, row->first_epoch_ms);
	append_time(out, row->last_epoch_ms);
	append_foreign(out, row->request_id);
	return buf_append_string(out, row->uncertain ? ",yes\n" : ",\n");
}
