#include "localq/answer.h"

#include "localq/answer_xml.h"
#include "localq/blob.h"

#include <string.h>

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* None of eight bytes is below 0x20, a quote or a backslash: the classic test for a zero byte. */
static bool eight_are_plain(const char *text)
{
	uint64_t x, quote, backslash;

	memcpy(&x, text, 8);
	quote = x ^ ONES * '"';
	backslash = x ^ ONES * '\\';
	return ((((x - ONES * 0x20) & ~x) | ((quote - ONES) & ~quote) |
			((backslash - ONES) & ~backslash)) &
		       HIGHS) == 0;
}

/* Nothing of it needs an escape; false: something may. */
static bool is_plain(const char *text, size_t len)
{
	size_t at = 0;

	while (len - at >= 8) {
		if (!eight_are_plain(text + at))
			return false;
		at += 8;
	}
	/* The last eight once more, in place of fewer. */
	if (len >= 8)
		return eight_are_plain(text + len - 8);
	for (; at < len; at++)
		if ((uint8_t)text[at] < 0x20 || text[at] == '"' || text[at] == '\\')
			return false;
	return true;
}

/* `before` and `after` stand around the quotes; '\0': nothing does. */
static void append_quoted(struct buf *buf, char before, const char *text, size_t len, char after)
{
	bool plain = is_plain(text, len);
	char *start = buf_reserve(buf, len + 4), *at = start;

	if (start == NULL)
		return;
	if (before != '\0')
		*at++ = before;
	*at++ = '"';
	if (plain) {
		memcpy(at, text, len);
		at += len;
	} else {
		buf_advance(buf, (size_t)(at - start));
		buf_append_json(buf, text, len);
		start = at = buf_reserve(buf, 2);
		if (start == NULL)
			return;
	}
	*at++ = '"';
	if (after != '\0')
		*at++ = after;
	buf_advance(buf, (size_t)(at - start));
}

/* What goes before a value: a comma unless it is the first in its container, and its name. */
static struct buf *begin_value(struct answer *answer, const char *name)
{
	struct buf *buf = &answer->buf;
	char last = buf->len > 0 ? buf->data[buf->len - 1] : '{';
	char comma = last != '{' && last != '[' ? ',' : '\0';

	if (name != NULL)
		append_quoted(buf, comma, name, strlen(name), ':');
	else if (comma != '\0')
		buf_append_char(buf, comma);
	return buf;
}

void answer_begin(struct answer *answer)
{
	buf_clear(&answer->buf);
	if (answer->is_xml)
		xml_begin(answer);
	else
		buf_append_char(&answer->buf, '{');
}

void answer_end(struct answer *answer)
{
	if (answer->is_xml)
		xml_end(answer);
	else
		buf_append_char(&answer->buf, '}');
}

struct answer_mark answer_mark(const struct answer *answer)
{
	return (struct answer_mark){answer->buf.len, answer->depth};
}

void answer_rewind(struct answer *answer, struct answer_mark mark)
{
	buf_truncate(&answer->buf, mark.len);
	answer->depth = mark.depth;
}

void answer_open(struct answer *answer, const char *name)
{
	if (answer->is_xml)
		xml_open(answer, name);
	else
		buf_append_char(begin_value(answer, name), '{');
}

void answer_close(struct answer *answer)
{
	if (answer->is_xml)
		xml_close(answer);
	else
		buf_append_char(&answer->buf, '}');
}

void answer_open_list(struct answer *answer, const char *name)
{
	if (answer->is_xml)
		xml_open_list(answer, name);
	else
		buf_append_char(begin_value(answer, name), '[');
}

void answer_close_list(struct answer *answer)
{
	if (answer->is_xml)
		xml_close_group(answer);
	else
		buf_append_char(&answer->buf, ']');
}

void answer_open_map(struct answer *answer, const char *name)
{
	if (answer->is_xml)
		xml_open_map(answer, name);
	else
		buf_append_char(begin_value(answer, name), '{');
}

void answer_close_map(struct answer *answer)
{
	if (answer->is_xml)
		xml_close_group(answer);
	else
		buf_append_char(&answer->buf, '}');
}

void answer_text(struct answer *answer, const char *name, const char *text)
{
	answer_bytes(answer, name, text, strlen(text));
}

void answer_bytes(struct answer *answer, const char *name, const char *text, size_t len)
{
	if (answer->is_xml)
		xml_text(answer, name, text, len);
	else
		append_quoted(begin_value(answer, name), '\0', text, len, '\0');
}

static void append_base64(struct buf *buf, const uint8_t *bytes, size_t len)
{
	char *room = buf_reserve(buf, BLOB_ENCODED_BYTES(len));

	if (room == NULL)
		return;
	blob_encode(bytes, len, room);
	buf_advance(buf, BLOB_ENCODED_BYTES(len));
}

void answer_base64(struct answer *answer, const char *name, const uint8_t *bytes, size_t len)
{
	if (answer->is_xml) {
		xml_open_value(answer, name);
		append_base64(&answer->buf, bytes, len);
		xml_close_value(answer, name);
		return;
	}
	buf_append_char(begin_value(answer, name), '"');
	append_base64(&answer->buf, bytes, len);
	buf_append_char(&answer->buf, '"');
}

/* A value that needs neither quotes nor escapes. */
static void append_plain(struct answer *answer, const char *name, const char *text)
{
	if (answer->is_xml)
		xml_plain(answer, name, text, strlen(text));
	else
		buf_append_string(begin_value(answer, name), text);
}

void answer_bool(struct answer *answer, const char *name, bool value)
{
	append_plain(answer, name, value ? "true" : "false");
}

/* The digits, at the end of `room`; returns where they begin. */
static const char *digits_of(int64_t value, char room[24])
{
	uint64_t left = value < 0 ? -(uint64_t)value : (uint64_t)value;
	char *at = room + 23;

	*at = '\0';
	do
		*--at = (char)('0' + left % 10);
	while ((left /= 10) != 0);
	if (value < 0)
		*--at = '-';
	return at;
}

void answer_int(struct answer *answer, const char *name, int64_t value)
{
	char room[24];

	append_plain(answer, name, digits_of(value, room));
}

void answer_int_text(struct answer *answer, const char *name, int64_t value)
{
	char room[24];

	answer_text(answer, name, digits_of(value, room));
}
