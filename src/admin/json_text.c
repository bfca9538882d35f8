#include "admin/json_text.h"

#include "base/utf8.h"

#include <string.h>

void json_text_write(struct buf *out, const char *text)
{
	size_t len, step;

	if (text == NULL) {
		buf_append_string(out, "null");
		return;
	}
	len = strlen(text);
	buf_append_char(out, '"');
	for (size_t i = 0; i < len; i += step) {
		step = utf8_sequence(text + i, len - i);
		if (step > 0)
			buf_append_json(out, text + i, step);
		else
			buf_append_char(out, '?');
		step += step == 0;
	}
	buf_append_char(out, '"');
}
