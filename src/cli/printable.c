#include "cli/printable.h"

#include "base/utf8.h"

bool printable_acts(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c || (c >= 0x200e && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0xfeff;
}

static void append_escape(struct buf *out, uint32_t c)
{
	if (c == '\n')
		buf_append_string(out, "\\n");
	else if (c == '\r')
		buf_append_string(out, "\\r");
	else if (c == '\t')
		buf_append_string(out, "\\t");
	else if (c < 0x80)
		buf_appendf(out, "\\x%02x", (unsigned)c);
	else
		buf_appendf(out, "\\u{%x}", (unsigned)c);
}

void printable_append(struct buf *out, const char *text, size_t len, size_t max_bytes)
{
	size_t step, i;

	for (i = 0; i < len; i += step) {
		uint32_t c;

		step = utf8_sequence(text + i, len - i);
		if (i + (step ? step : 1) > max_bytes)
			break;
		if (step == 0) {
			step = 1;
			buf_appendf(out, "\\x%02x", (unsigned char)text[i]);
			continue;
		}
		c = utf8_decode(text + i, step);
		if (printable_acts(c))
			append_escape(out, c);
		else
			buf_append(out, text + i, step);
	}
	if (i < len)
		buf_appendf(out, "... (%zu bytes in all)", len);
}

void printable_append_json(struct buf *out, const char *text, size_t len)
{
	size_t step;

	buf_append_char(out, '"');
	for (size_t i = 0; i < len; i += step) {
		uint32_t c;

		step = utf8_sequence(text + i, len - i);
		if (step == 0) {
			step = 1;
			buf_append_string(out, "\\ufffd");
			continue;
		}
		c = utf8_decode(text + i, step);
		if (c >= 0x7f && printable_acts(c))
			buf_appendf(out, "\\u%04x", (unsigned)c);
		else
			buf_append_json(out, text + i, step);
	}
	buf_append_char(out, '"');
}
