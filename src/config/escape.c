#include "config/escape.h"

#include "base/utf8.h"
#include "bunshin/error.h"

/* RFC 3986, section 2.3. */
static bool is_unreserved(unsigned char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '.' || c == '_' || c == '~';
}

static int append_percent(const struct template_value *value, bool form, struct buf *out)
{
	static const char hex[] = "0123456789ABCDEF";
	size_t room = value->text_bytes, used = 0;
	char *to;

	for (size_t i = 0; i < value->text_bytes; i++)
		if (!is_unreserved((unsigned char)value->text[i]))
			room += 2;
	to = buf_reserve(out, room);
	if (to == NULL)
		return out->err;
	for (size_t i = 0; i < value->text_bytes; i++) {
		unsigned char c = (unsigned char)value->text[i];

		if (is_unreserved(c)) {
			to[used++] = (char)c;
		} else if (form && c == ' ') {
			to[used++] = '+';
		} else {
			to[used++] = '%';
			to[used++] = hex[c >> 4];
			to[used++] = hex[c & 15];
		}
	}
	buf_advance(out, used);
	return 0;
}

static const char *header_problem(const struct template_value *value)
{
	for (size_t i = 0; i < value->text_bytes; i++) {
		if (value->text[i] == '\r' || value->text[i] == '\n')
			return "holds a line break, not allowed in a header";
		if (value->text[i] == '\0')
			return "holds a NUL byte, not allowed in a header";
	}
	return NULL;
}

static const char *raw_url_problem(const struct template_value *value)
{
	for (size_t i = 0; i < value->text_bytes; i++)
		if (value->text[i] <= ' ' || value->text[i] > '~')
			return "holds a character that must be percent-encoded in a URL";
	return NULL;
}

static const char *find_problem(enum escape escape, const struct template_value *value)
{
	switch (escape) {
	case ESCAPE_JSON_STRING:
	case ESCAPE_JSON_VALUE:
		return utf8_is_valid(value->text, value->text_bytes) ? NULL : "is not valid UTF-8";
	case ESCAPE_HEADER:
		return header_problem(value);
	case ESCAPE_URL_RAW:
		return raw_url_problem(value);
	case ESCAPE_NONE:
	case ESCAPE_URL:
	case ESCAPE_FORM:
		break;
	}
	return NULL;
}

int escape_append(enum escape escape, const struct template_value *value, struct buf *out,
	const char **ret_problem)
{
	const char *problem = find_problem(escape, value);

	if (problem != NULL) {
		*ret_problem = problem;
		return ERR_TEMPLATE;
	}
	switch (escape) {
	case ESCAPE_JSON_STRING:
		return buf_append_json(out, value->text, value->text_bytes);
	case ESCAPE_JSON_VALUE:
		if (value->is_json)
			break;
		buf_append_char(out, '"');
		buf_append_json(out, value->text, value->text_bytes);
		return buf_append_char(out, '"');
	case ESCAPE_URL:
	case ESCAPE_FORM:
		return append_percent(value, escape == ESCAPE_FORM, out);
	case ESCAPE_NONE:
	case ESCAPE_URL_RAW:
	case ESCAPE_HEADER:
		break;
	}
	return buf_append(out, value->text, value->text_bytes);
}
