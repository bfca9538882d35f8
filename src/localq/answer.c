#include "localq/answer.h"

#include "localq/answer_xml.h"
#include "localq/blob.h"

#include <string.h>

/* `before` and `after` stand around the quotes; '\0': nothing does. */
static void append_quoted(struct buf *buf, char before, const char *text, size_t len, char after)
{
	if (before != '\0')
		buf_append_char(buf, before);
	buf_append_char(buf, '"');
	buf_append_json(buf, text, len);
	buf_append_char(buf, '"');
	if (after != '\0')
		buf_append_char(buf, after);
}

/* Something is in the container already. */
static bool needs_comma(const struct buf *buf)
{
	char last = buf->len > 0 ? buf->data[buf->len - 1] : '{';

	return last != '{' && last != '[';
}

/* What goes before a value: a comma unless it is the first in its container, and its name. */
static struct buf *begin_value(struct answer *answer, const char *name)
{
	struct buf *buf = &answer->buf;
	char comma = needs_comma(buf) ? ',' : '\0';

	if (name != NULL)
		append_quoted(buf, comma, name, strlen(name), ':');
	else if (comma != '\0')
		buf_append_char(buf, comma);
	return buf;
}

static char *put(char *out, const char *text, size_t len)
{
	memcpy(out, text, len);
	return out + len;
}

/* A value whose text and name need no escape, all in one piece; `quote` stands around it. */
static void append_plain(
	struct answer *answer, const char *name, const char *quote, const char *text)
{
	struct buf *buf = &answer->buf;
	size_t quote_len = strlen(quote), len = strlen(text);
	size_t name_len = name != NULL ? strlen(name) : 0;
	bool comma = needs_comma(buf);
	size_t bytes = comma + (name != NULL ? name_len + 3 : 0) + 2 * quote_len + len;
	char *out;

	if (answer->is_xml) {
		xml_plain(answer, name, text, len);
		return;
	}
	out = buf_reserve(buf, bytes);
	if (out == NULL)
		return;
	if (comma)
		*out++ = ',';
	if (name != NULL) {
		*out++ = '"';
		out = put(out, name, name_len);
		out = put(out, "\":", 2);
	}
	out = put(out, quote, quote_len);
	out = put(out, text, len);
	put(out, quote, quote_len);
	buf_advance(buf, bytes);
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

void answer_plain(struct answer *answer, const char *name, const char *text)
{
	append_plain(answer, name, "\"", text);
}

void answer_bool(struct answer *answer, const char *name, bool value)
{
	append_plain(answer, name, "", value ? "true" : "false");
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

	append_plain(answer, name, "", digits_of(value, room));
}

void answer_int_text(struct answer *answer, const char *name, int64_t value)
{
	char room[24];

	answer_plain(answer, name, digits_of(value, room));
}
