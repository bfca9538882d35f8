#include "base/html.h"

#include "base/utf8.h"

#include <string.h>

/* What stands for a byte; NULL: the byte itself. */
static const char *reference_of(unsigned char byte)
{
	switch (byte) {
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '&':
		return "&amp;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return byte < 0x20 || byte == 0x7f ? " " : NULL;
	}
}

static int append_sequence(struct buf *out, const char *text, size_t bytes)
{
	const char *reference = bytes == 1 ? reference_of((unsigned char)text[0]) : NULL;

	if (bytes == 0)
		return buf_append_string(out, "\xef\xbf\xbd");
	if (bytes == 2 && text[0] == '\xc2' && (unsigned char)text[1] < 0xa0)
		reference = " ";
	return reference ? buf_append_string(out, reference) : buf_append(out, text, bytes);
}

int html_append(struct buf *out, const char *text)
{
	size_t left = strlen(text);

	while (left > 0 && !out->err) {
		size_t bytes = utf8_sequence(text, left);

		append_sequence(out, text, bytes);
		text += bytes > 0 ? bytes : 1;
		left -= bytes > 0 ? bytes : 1;
	}
	return out->err;
}
