#include "localq/answer.h"

#include "localq/answer_xml.h"
#include "localq/blob.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* How many bytes from the start need no escape, counted in eights. */
static size_t plain_prefix(const char *text, size_t len)
{
	size_t at = 0;

	while (len - at >= 8) {
		uint64_t x, quote, backslash;

		memcpy(&x, text + at, 8);
		quote = x ^ ONES * '"';
		backslash = x ^ ONES * '\\';
		/* Below 0x20, or equal: the classic test for a zero byte. */
		if (((x - ONES * 0x20) & ~x & HIGHS) != 0 ||
			((quote - ONES) & ~quote & HIGHS) != 0 ||
			((backslash - ONES) & ~backslash & HIGHS) != 0)
			break;
		at += 8;
	}
	return at;
}

/* The letter after the backslash (RFC 8259, section 7); 0: no escape, 'u': by its number. */
static char escape_letter(uint8_t c)
{
	switch (c) {
	case '"':
	case '\\':
		return (char)c;
	case '\n':
		return 'n';
	case '\r':
		return 'r';
	case '\t':
		return 't';
	case '\b':
		return 'b';
	case '\f':
		return 'f';
	default:
		return c < 0x20 ? 'u' : '\0';
	}
}

static void append_escape(struct buf *buf, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";
	const char escape[] = {'\\', escape_letter(c), '0', '0', hex[c >> 4], hex[c & 15]};

	buf_append(buf, escape, escape[1] == 'u' ? 6 : 2);
}

/* How many bytes from the start need no escape. */
static size_t plain_bytes(const char *text, size_t len)
{
	size_t at = plain_prefix(text, len);

	while (at < len && escape_letter((uint8_t)text[at]) == '\0')
		at++;
	return at;
}

static void append_escaped(struct buf *buf, const char *text, size_t len)
{
	while (len > 0) {
		size_t plain = plain_bytes(text, len);

		buf_append(buf, text, plain);
		if (plain == len)
			return;
		append_escape(buf, (uint8_t)text[plain++]);
		text += plain;
		len -= plain;
	}
}

/* `before` and `after` stand around the quotes; '\0': nothing does. */
static void append_quoted(struct buf *buf, char before, const char *text, size_t len, char after)
{
	size_t plain = plain_bytes(text, len);
	char *start = buf_reserve(buf, plain + 4), *at = start;

	if (start == NULL)
		return;
	if (before != '\0')
		*at++ = before;
	*at++ = '"';
	memcpy(at, text, plain);
	at += plain;
	if (plain < len) {
		buf_advance(buf, (size_t)(at - start));
		append_escaped(buf, text + plain, len - plain);
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

void answer_int(struct answer *answer, const char *name, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	append_plain(answer, name, text);
}

void answer_int_text(struct answer *answer, const char *name, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	answer_text(answer, name, text);
}
