#include "localq/answer.h"

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

static void append_quoted(struct buf *buf, const char *text, size_t len)
{
	size_t start = 0, at = 0;

	buf_append_char(buf, '"');
	while (at < len) {
		at += plain_prefix(text + at, len - at);
		while (at < len && escape_letter((uint8_t)text[at]) == '\0')
			at++;
		buf_append(buf, text + start, at - start);
		if (at < len)
			append_escape(buf, (uint8_t)text[at++]);
		start = at;
	}
	buf_append_char(buf, '"');
}

/* What goes before a value: a comma unless it is the first in its container, and its name. */
static struct buf *begin_value(struct answer *answer, const char *name)
{
	struct buf *buf = &answer->buf;
	char last = buf->len > 0 ? buf->data[buf->len - 1] : '{';

	if (last != '{' && last != '[')
		buf_append_char(buf, ',');
	if (name != NULL) {
		append_quoted(buf, name, strlen(name));
		buf_append_char(buf, ':');
	}
	return buf;
}

void answer_begin(struct answer *answer)
{
	buf_clear(&answer->buf);
	buf_append_char(&answer->buf, '{');
}

void answer_end(struct answer *answer)
{
	buf_append_char(&answer->buf, '}');
}

void answer_open(struct answer *answer, const char *name)
{
	buf_append_char(begin_value(answer, name), '{');
}

void answer_close(struct answer *answer)
{
	buf_append_char(&answer->buf, '}');
}

void answer_open_list(struct answer *answer, const char *name)
{
	buf_append_char(begin_value(answer, name), '[');
}

void answer_close_list(struct answer *answer)
{
	buf_append_char(&answer->buf, ']');
}

void answer_open_map(struct answer *answer, const char *name)
{
	answer_open(answer, name);
}

void answer_close_map(struct answer *answer)
{
	answer_close(answer);
}

void answer_text(struct answer *answer, const char *name, const char *text)
{
	answer_bytes(answer, name, text, strlen(text));
}

void answer_bytes(struct answer *answer, const char *name, const char *text, size_t len)
{
	append_quoted(begin_value(answer, name), text, len);
}

void answer_base64(struct answer *answer, const char *name, const uint8_t *bytes, size_t len)
{
	struct buf *buf = begin_value(answer, name);
	char *room;

	buf_append_char(buf, '"');
	room = buf_reserve(buf, BLOB_ENCODED_BYTES(len));
	if (room != NULL) {
		blob_encode(bytes, len, room);
		buf_advance(buf, BLOB_ENCODED_BYTES(len));
	}
	buf_append_char(buf, '"');
}

void answer_bool(struct answer *answer, const char *name, bool value)
{
	buf_append_string(begin_value(answer, name), value ? "true" : "false");
}

void answer_int(struct answer *answer, const char *name, int64_t value)
{
	buf_appendf(begin_value(answer, name), "%" PRId64, value);
}

void answer_int_text(struct answer *answer, const char *name, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRId64, value);
	answer_text(answer, name, text);
}
