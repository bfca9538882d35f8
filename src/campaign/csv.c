#include "campaign/csv.h"

#include "base/buf.h"
#include "bunshin/error.h"
#include "campaign/utf8_stream.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum csv_state {
	FIELD_START,
	UNQUOTED,
	QUOTED,
	QUOTE_SEEN, /* a quote inside a quoted field: its end, or the first of two */
	CR_SEEN,    /* a CR outside quotes: an LF must follow */
	LOST,	    /* text after a closing quote: to the end of the line */
	DEAD,	    /* after a fatal error, or after csv_end */
};

struct csv {
	struct csv_limits limits;
	enum csv_state state;
	struct utf8_stream utf8;
	unsigned mark;		   /* bytes of a byte order mark seen; MARK_DONE: past the start */
	struct csv_position at;	   /* of the character the present byte belongs to */
	struct csv_position quote; /* of the present field's opening quote */
	struct csv_position cr;	   /* of the CR behind CR_SEEN */
	bool started;		   /* the present row has a byte */
	bool blank;		   /* and none but a CR: an empty line is no row */
	bool reported;		   /* the row or error has been handed out */
	bool invalid; /* the present row has an error; nothing of it is kept any more */
	struct buf text;
	struct csv_field *fields; /* `text` is filled in once the row is complete */
	size_t *offsets;	  /* into text, beside fields */
	size_t count, capacity;
	size_t expected; /* fields in the first row; 0: none yet */
	size_t row_bytes;
	uint64_t row_line;
	struct csv_row row;
	struct csv_error error;
};

enum { MARK_DONE = 3 };
static const unsigned char mark[MARK_DONE] = {0xef, 0xbb, 0xbf};

int csv_new(const struct csv_limits *limits, struct csv **ret_csv)
{
	struct csv *csv = calloc(1, sizeof(*csv));

	if (!csv)
		return ERR_NOMEM;
	csv->limits = *limits;
	csv->at = (struct csv_position){1, 0};
	csv->blank = true;
	buf_init(&csv->text, limits->row_bytes + limits->fields + 1);
	*ret_csv = csv;
	return 0;
}

void csv_free(struct csv *csv)
{
	if (!csv)
		return;
	buf_free(&csv->text);
	free(csv->fields);
	free(csv->offsets);
	free(csv);
}

const struct csv_row *csv_row(const struct csv *csv)
{
	return &csv->row;
}

const struct csv_error *csv_error(const struct csv *csv)
{
	return &csv->error;
}

/* The first error of a row is the one that is told. */
static void __attribute__((format(printf, 3, 4)))
spoil(struct csv *csv, struct csv_position at, const char *format, ...)
{
	va_list args;

	if (csv->invalid)
		return;
	csv->invalid = true;
	csv->error.at = at;
	csv->error.row_line = csv->row_line;
	csv->error.fatal = false;
	va_start(args, format);
	vsnprintf(csv->error.reason, sizeof(csv->error.reason), format, args);
	va_end(args);
}

/* Row boundaries are lost from here on; this is told instead of any earlier error of the row. */
static void spoil_all(struct csv *csv, const char *reason)
{
	csv->invalid = false;
	spoil(csv, csv->quote, "%s", reason);
	csv->error.fatal = true;
	csv->state = DEAD;
}

static void row_begin(struct csv *csv)
{
	csv->state = FIELD_START;
	csv->reported = false;
	csv->started = false;
	csv->blank = true;
	csv->invalid = false;
	csv->count = 0;
	csv->row_bytes = 0;
	buf_clear(&csv->text);
}

static int grow(struct csv *csv)
{
	size_t capacity = csv->capacity ? csv->capacity * 2 : 16;
	struct csv_field *fields;
	size_t *offsets;

	fields = realloc(csv->fields, capacity * sizeof(*fields));
	if (!fields)
		return ERR_NOMEM;
	csv->fields = fields;
	offsets = realloc(csv->offsets, capacity * sizeof(*offsets));
	if (!offsets)
		return ERR_NOMEM;
	csv->offsets = offsets;
	csv->capacity = capacity;
	return 0;
}

/* A field starts at the character that comes next, whatever that is. */
static int field_begin(struct csv *csv)
{
	struct csv_position next = {csv->at.line, csv->at.column + 1};

	if (csv->invalid)
		return 0;
	if (csv->count == csv->limits.fields) {
		spoil(csv, next, "more than %zu fields", csv->limits.fields);
		return 0;
	}
	if (csv->count == csv->capacity && grow(csv) < 0)
		return ERR_NOMEM;
	csv->fields[csv->count] = (struct csv_field){.start = next};
	csv->offsets[csv->count++] = csv->text.len;
	return 0;
}

static int field_append(struct csv *csv, const char *bytes, size_t len)
{
	struct csv_field *field;

	if (csv->invalid)
		return 0;
	field = &csv->fields[csv->count - 1];
	if (len > csv->limits.field_bytes - field->bytes) {
		spoil(csv, field->start, "the field is longer than %zu bytes",
			csv->limits.field_bytes);
		return 0;
	}
	if (len > csv->limits.row_bytes - csv->row_bytes) {
		spoil(csv, field->start, "the row is longer than %zu bytes", csv->limits.row_bytes);
		return 0;
	}
	field->bytes += len;
	csv->row_bytes += len;
	return buf_append(&csv->text, bytes, len);
}

static int field_end(struct csv *csv)
{
	return csv->invalid ? 0 : buf_append_char(&csv->text, '\0');
}

static void check_count(struct csv *csv)
{
	const struct csv_field *at;

	if (csv->invalid || csv->count == csv->expected)
		return;
	at = &csv->fields[csv->count < csv->expected ? csv->count - 1 : csv->expected];
	spoil(csv, at->start, "expected %zu field%s, got %zu", csv->expected,
		csv->expected == 1 ? "" : "s", csv->count);
}

static int row_end(struct csv *csv)
{
	csv->reported = true;
	if (csv->expected == 0 && !csv->invalid)
		csv->expected = csv->count;
	check_count(csv);
	if (csv->invalid)
		return CSV_INVALID;
	for (size_t i = 0; i < csv->count; i++)
		csv->fields[i].text = csv->text.data + csv->offsets[i];
	csv->row = (struct csv_row){csv->fields, csv->count, csv->row_line};
	return CSV_ROW;
}

static int end_of_line(struct csv *csv)
{
	int rc;

	csv->at = (struct csv_position){csv->at.line + 1, 0};
	if (csv->blank) {
		row_begin(csv);
		return CSV_MORE;
	}
	rc = field_end(csv);
	return rc < 0 ? rc : row_end(csv);
}

static int next_field(struct csv *csv)
{
	int rc = field_end(csv);

	csv->state = FIELD_START;
	return rc < 0 ? rc : field_begin(csv);
}

/* Outside quotes. */
static int plain_byte(struct csv *csv, char c)
{
	switch (c) {
	case '\n':
		return end_of_line(csv);
	case '\r':
		csv->state = CR_SEEN;
		csv->cr = csv->at;
		return 0;
	case ',':
		return next_field(csv);
	case '"':
		if (csv->state == FIELD_START) {
			csv->state = QUOTED;
			csv->quote = csv->at;
			return 0;
		}
		spoil(csv, csv->at, "a quote inside an unquoted field");
		return 0;
	default:
		csv->state = UNQUOTED;
		return field_append(csv, &c, 1);
	}
}

static int quoted_byte(struct csv *csv, char c)
{
	if (c == '"') {
		csv->state = QUOTE_SEEN;
		return 0;
	}
	if (c == '\n')
		csv->at = (struct csv_position){csv->at.line + 1, 0};
	return field_append(csv, &c, 1);
}

static int byte_after_quote(struct csv *csv, char c)
{
	if (c == '"') {
		csv->state = QUOTED;
		return field_append(csv, &c, 1);
	}
	if (c == ',' || c == '\n' || c == '\r')
		return plain_byte(csv, c);
	if (csv->quote.line != csv->at.line) {
		spoil_all(csv, "text after the closing quote of a field that starts here");
		return row_end(csv);
	}
	spoil(csv, csv->at, "text after a closing quote");
	csv->state = LOST;
	return 0;
}

static int structure(struct csv *csv, char c)
{
	switch (csv->state) {
	case FIELD_START:
	case UNQUOTED:
		return plain_byte(csv, c);
	case QUOTED:
		return quoted_byte(csv, c);
	case QUOTE_SEEN:
		return byte_after_quote(csv, c);
	case CR_SEEN:
		if (c == '\n')
			return end_of_line(csv);
		spoil(csv, csv->cr, "a carriage return without a line feed");
		csv->state = UNQUOTED;
		return plain_byte(csv, c);
	case LOST:
		return c == '\n' ? end_of_line(csv) : 0;
	case DEAD:
		break;
	}
	return 0;
}

/* Marks where the byte stands and whether it may stand there at all. */
static void check_byte(struct csv *csv, char c)
{
	bool first = csv->utf8.need == 0;
	enum utf8_event event;

	if (first)
		csv->at.column++;
	event = utf8_stream_push(&csv->utf8, (unsigned char)c);
	if (event == UTF8_BROKEN) {
		spoil(csv, csv->at, "invalid UTF-8 (the file must be UTF-8)");
		if (!first)
			check_byte(csv, c);
	} else if (c == '\0') {
		spoil(csv, csv->at, "a NUL character");
	}
}

static int take_byte(struct csv *csv, char c)
{
	int rc;

	if (!csv->started) {
		csv->started = true;
		csv->row_line = csv->at.line;
		rc = field_begin(csv);
		if (rc < 0)
			return rc;
	}
	if (c != '\r' && c != '\n')
		csv->blank = false;
	check_byte(csv, c);
	return structure(csv, c);
}

#ifdef __SSE2__
/* A bit for each of sixteen bytes that is no ordinary ASCII; signed, so what is beyond it, too. */
static unsigned others_of_sixteen(const char *bytes)
{
	__m128i block = _mm_loadu_si128((const __m128i *)(const void *)bytes);
	__m128i quote = _mm_cmpeq_epi8(block, _mm_set1_epi8('"'));
	__m128i comma = _mm_cmpeq_epi8(block, _mm_set1_epi8(','));
	__m128i delete = _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f));
	__m128i below = _mm_cmplt_epi8(block, _mm_set1_epi8(' '));

	return (unsigned)_mm_movemask_epi8(
		_mm_or_si128(_mm_or_si128(quote, comma), _mm_or_si128(delete, below)));
}
#endif

/* A run of ordinary ASCII inside a field, the bulk of most files, goes in one piece. */
static size_t plain_run(const struct csv *csv, const char *bytes, size_t len)
{
	size_t n = 0;

	if ((csv->state != UNQUOTED && csv->state != QUOTED) || csv->utf8.need != 0)
		return 0;
#ifdef __SSE2__
	for (; len - n >= 16; n += 16) {
		unsigned others = others_of_sixteen(bytes + n);

		if (others != 0)
			return n + (size_t)__builtin_ctz(others);
	}
#endif
	while (n < len && bytes[n] >= ' ' && bytes[n] < 0x7f && bytes[n] != '"' && bytes[n] != ',')
		n++;
	return n;
}

static int take(struct csv *csv, const char *bytes, size_t len, size_t *ret_used)
{
	size_t used = 0;
	int rc = CSV_MORE;

	while (used < len && rc == CSV_MORE) {
		size_t run = plain_run(csv, bytes + used, len - used);

		if (run > 0) {
			csv->at.column += run;
			rc = field_append(csv, bytes + used, run);
			used += run;
		} else {
			rc = take_byte(csv, bytes[used++]);
		}
	}
	*ret_used = used;
	return rc;
}

/* Matches the byte order mark, which may come in pieces; what only began like one is content. */
static int take_mark(struct csv *csv, const char *bytes, size_t len, size_t *ret_used)
{
	size_t seen, replayed;

	*ret_used = 0;
	while (*ret_used < len && csv->mark < MARK_DONE) {
		if ((unsigned char)bytes[*ret_used] != mark[csv->mark])
			break;
		csv->mark++;
		(*ret_used)++;
	}
	if (csv->mark == MARK_DONE || *ret_used == len)
		return CSV_MORE;
	seen = csv->mark;
	csv->mark = MARK_DONE;
	/* Too short to hold a line break, so no row can end in it. */
	return take(csv, (const char *)mark, seen, &replayed);
}

int csv_feed(struct csv *csv, const char *bytes, size_t len, size_t *ret_used)
{
	size_t mark_used = 0;
	int rc = CSV_MORE;

	*ret_used = len;
	if (csv->state == DEAD)
		return CSV_MORE;
	if (csv->reported)
		row_begin(csv);
	if (csv->mark < MARK_DONE)
		rc = take_mark(csv, bytes, len, &mark_used);
	if (rc != CSV_MORE || csv->mark < MARK_DONE)
		return rc;
	rc = take(csv, bytes + mark_used, len - mark_used, ret_used);
	*ret_used += mark_used;
	return rc;
}

/* A row that ends with the input instead of a line break. */
static int last_row(struct csv *csv)
{
	int rc;

	if (csv->utf8.need != 0)
		spoil(csv, csv->at, "invalid UTF-8 (the file must be UTF-8)");
	if (csv->state == CR_SEEN)
		spoil(csv, csv->cr, "a carriage return without a line feed");
	if (csv->state == QUOTED) {
		if (csv->quote.line != csv->at.line)
			spoil_all(csv, "the quote that opens here is never closed");
		else
			spoil(csv, csv->quote, "the quote that opens here is never closed");
	}
	rc = field_end(csv);
	return rc < 0 ? rc : row_end(csv);
}

int csv_end(struct csv *csv)
{
	size_t used;
	int rc = CSV_MORE;

	if (csv->state == DEAD)
		return CSV_MORE;
	if (csv->reported)
		row_begin(csv);
	if (csv->mark < MARK_DONE) {
		size_t seen = csv->mark;

		csv->mark = MARK_DONE;
		rc = take(csv, (const char *)mark, seen, &used);
	}
	if (rc == CSV_MORE && csv->started)
		rc = last_row(csv);
	csv->state = DEAD;
	return rc;
}
