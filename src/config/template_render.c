#include "base/json.h"
#include "bunshin/error.h"
#include "config/template_segments.h"

#include <string.h>

static int refuse(struct buf *reason, const char *what, const char *name, const char *problem)
{
	buf_appendf(reason, "%s \"%s\"%s%s", what, name, problem[0] == '\0' ? "" : " ", problem);
	return reason->err == ERR_NOMEM ? ERR_NOMEM : ERR_TEMPLATE;
}

/* JSON's null is no text: "Hello null" is never what was meant. */
static bool is_null_text(const struct segment *segment, const struct template_value *value)
{
	return value->is_json && !segment->whole_value && value->text_bytes == 4 &&
	       memcmp(value->text, "null", 4) == 0;
}

static int render_variable(const struct segment *segment, template_lookup *lookup, void *arg,
	struct buf *out, struct buf *reason)
{
	struct template_value value = {0};
	const char *problem = "";
	bool found = lookup(arg, segment->name, &value);
	bool null = found && is_null_text(segment, &value);
	int err;

	if ((!found || null) && segment->fallback != NULL)
		return buf_append(out, segment->fallback, segment->fallback_bytes);
	if (!found)
		return refuse(reason, "missing variable", segment->name, "");
	if (null)
		return refuse(reason, "variable", segment->name, "is null");
	err = escape_append(segment->escape, &value, out, &problem);
	return err == ERR_TEMPLATE ? refuse(reason, "variable", segment->name, problem) : err;
}

/* "." or "..", plain or percent-encoded: a server resolves it, away from the path that was meant.
 */
static bool is_dot_segment(const char *text, size_t len)
{
	size_t dots = 0;

	while (len > 0 && dots < 3) {
		size_t n = text[0] == '.' ? 1 : 3;

		if (n == 3 &&
			(len < 3 || text[0] != '%' || text[1] != '2' || (text[2] | 32) != 'e'))
			return false;
		text += n;
		len -= n;
		dots++;
	}
	return dots == 1 || dots == 2;
}

static bool has_dot_segment(const char *url)
{
	size_t path_len = strcspn(url, "?#");

	for (size_t start = 0; start <= path_len;) {
		size_t len = strcspn(url + start, "/?#");

		if (is_dot_segment(url + start, len))
			return true;
		start += len + 1;
	}
	return false;
}

/* Raw variables can break what compiling proved, so the whole is proved again. */
static int check_rendered_json(const char *text, size_t len, struct buf *reason)
{
	struct json json = {0};
	int err = json_parse(&json, text, len);

	if (err == ERR_SYNTAX || err == ERR_TOO_LARGE) {
		buf_appendf(
			reason, "the filled-in text is not JSON at offset %zu", json.error_offset);
		err = reason->err == ERR_NOMEM ? ERR_NOMEM : ERR_TEMPLATE;
	}
	json_free(&json);
	return err;
}

static int check_rendered(
	const struct template *template, const char *text, size_t len, struct buf *reason)
{
	if (template->context == TEMPLATE_JSON && template->has_raw)
		return check_rendered_json(text, len, reason);
	if (template->context == TEMPLATE_URL && template->has_variables && has_dot_segment(text)) {
		buf_append_string(
			reason, "the filled-in URL has \".\" or \"..\" as a step of its path");
		return reason->err == ERR_NOMEM ? ERR_NOMEM : ERR_TEMPLATE;
	}
	return 0;
}

int template_render(const struct template *template, template_lookup *lookup, void *arg,
	struct buf *out, struct buf *reason)
{
	size_t start = out->len;
	int err = out->err;

	for (size_t i = 0; i < template->count && err == 0; i++) {
		const struct segment *segment = &template->segments[i];

		if (segment->name == NULL)
			err = buf_append(out, segment->text, segment->text_bytes);
		else
			err = render_variable(segment, lookup, arg, out, reason);
	}
	if (err == 0)
		err = check_rendered(template, buf_string(out) + start, out->len - start, reason);
	if (err != 0)
		buf_truncate(out, start);
	return err;
}
