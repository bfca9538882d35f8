#include "config/quote.h"

#include "base/utf8.h"

#include <stdbool.h>
#include <stdint.h>

#define QUOTED_MAX_BYTES 60

/* Of a well-formed sequence of n bytes. */
static uint32_t code_point_of(const char *text, size_t n)
{
	static const unsigned char lead_mask[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
	uint32_t code_point = (unsigned char)text[0] & lead_mask[n];

	for (size_t i = 1; i < n; i++)
		code_point = code_point << 6 | ((unsigned char)text[i] & 0x3fu);
	return code_point;
}

static bool is_control(uint32_t code_point)
{
	return code_point < 0x20 || (code_point >= 0x7f && code_point < 0xa0);
}

/* Line breaks that YAML 1.1 would fold, and what its reader takes for no character. */
static bool yaml_must_escape(uint32_t code_point)
{
	return is_control(code_point) || code_point == 0x2028 || code_point == 0x2029 ||
	       code_point == 0xfeff || code_point == 0xfffe || code_point == 0xffff;
}

int quote_append(struct buf *out, const char *text, size_t len)
{
	size_t i = 0;

	buf_append_char(out, '"');
	while (i < len && i < QUOTED_MAX_BYTES) {
		size_t n = utf8_sequence(text + i, len - i);
		uint32_t code_point = n == 0 ? 0 : code_point_of(text + i, n);

		if (n == 0) {
			buf_appendf(out, "\\x%02x", (unsigned)(unsigned char)text[i]);
			n = 1;
		} else if (code_point >= 0x7f && is_control(code_point)) {
			buf_appendf(out, "\\u%04x", (unsigned)code_point);
		} else {
			buf_append_json(out, text + i, n);
		}
		i += n;
	}
	return buf_append_string(out, i < len ? "...\"" : "\"");
}

static int append_yaml(struct buf *out, const char *text, size_t len, const char *dollar)
{
	buf_append_char(out, '"');
	for (size_t i = 0; i < len;) {
		size_t n = utf8_sequence(text + i, len - i);
		uint32_t code_point = n == 0 ? 0xfffd : code_point_of(text + i, n);

		if (n == 0)
			n = 1;
		if (code_point == '\n')
			buf_append_string(out, "\\n");
		else if (code_point == '"' || code_point == '\\')
			buf_appendf(out, "\\%c", (int)code_point);
		else if (code_point == '$')
			buf_append_string(out, dollar);
		else if (yaml_must_escape(code_point))
			buf_appendf(out, "\\u%04x", (unsigned)code_point);
		else
			buf_append(out, text + i, n);
		i += n;
	}
	return buf_append_char(out, '"');
}

int quote_append_yaml(struct buf *out, const char *text, size_t len)
{
	return append_yaml(out, text, len, "$$");
}

int quote_append_yaml_key(struct buf *out, const char *text, size_t len)
{
	return append_yaml(out, text, len, "$");
}
