#include "config/template.h"

#include "base/json.h"
#include "bunshin/error.h"
#include "config/quote.h"
#include "config/template_segments.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* What the braces hold, before it becomes a segment. */
struct tag {
	const char *name;
	size_t name_bytes;
	const char *fallback; /* NULL: none */
	size_t fallback_bytes;
	const char *end; /* behind the closing braces */
	bool raw;
};

/* How far a JSON text has come: only as much as tells a string literal from the rest. */
struct json_position {
	bool in_string, after_backslash;
};

static void json_position_advance(struct json_position *position, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (position->after_backslash)
			position->after_backslash = false;
		else if (position->in_string && text[i] == '\\')
			position->after_backslash = true;
		else if (text[i] == '"')
			position->in_string = !position->in_string;
	}
}

static int syntax_error(struct buf *error, const char *what, size_t offset)
{
	return buf_appendf(error, "%s at offset %zu", what, offset) == ERR_NOMEM ? ERR_NOMEM
										 : ERR_SYNTAX;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static void trim(const char **text, size_t *len)
{
	while (*len > 0 && is_space((*text)[0])) {
		(*text)++;
		(*len)--;
	}
	while (*len > 0 && is_space((*text)[*len - 1]))
		(*len)--;
}

/*
 * Letters, digits, everything beyond ASCII, and _ - @ : and single inner spaces, in steps parted
 * by dots. The signs that other template languages start a command with (# / ^ & > !) are thus
 * errors here and not variables that are missing at run time.
 */
static bool name_is_valid(const char *name, size_t len)
{
	char before = '.';

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c == '.' || c == ' ') {
			if (before == '.' || before == ' ')
				return false;
		} else if (!(c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
				   (c >= 'a' && c <= 'z') || c == '_' || c == '-' || c == '@' ||
				   c == ':')) {
			return false;
		}
		before = (char)c;
	}
	return before != '.';
}

/* `text` starts with "{{". Returns 0 or ERR_SYNTAX / ERR_NOMEM with the reason. */
static int parse_tag(const char *source, const char *text, struct tag *tag, struct buf *error)
{
	size_t offset = (size_t)(text - source);
	bool raw = text[2] == '{';
	const char *inner = text + (raw ? 3 : 2);
	const char *close = strstr(inner, raw ? "}}}" : "}}");
	const char *bar;

	if (close == NULL)
		return syntax_error(error, raw ? "unclosed {{{" : "unclosed {{", offset);
	*tag = (struct tag){.raw = raw, .end = close + (raw ? 3 : 2), .name = inner};
	bar = memchr(inner, '|', (size_t)(close - inner));
	tag->name_bytes = (size_t)((bar != NULL ? bar : close) - inner);
	if (bar != NULL) {
		tag->fallback = bar + 1;
		tag->fallback_bytes = (size_t)(close - tag->fallback);
	}
	trim(&tag->name, &tag->name_bytes);
	if (tag->name_bytes == 0)
		return syntax_error(error, "empty variable name", offset);
	if (!name_is_valid(tag->name, tag->name_bytes)) {
		buf_append_string(error, "malformed variable name ");
		quote_append(error, tag->name, tag->name_bytes);
		return syntax_error(error, "", offset);
	}
	return 0;
}

static enum escape escape_for(enum template_context context, bool raw, bool in_string)
{
	switch (context) {
	case TEMPLATE_JSON:
		return raw ? ESCAPE_NONE : in_string ? ESCAPE_JSON_STRING : ESCAPE_JSON_VALUE;
	case TEMPLATE_URL:
		return raw ? ESCAPE_URL_RAW : ESCAPE_URL;
	case TEMPLATE_FORM:
		return raw ? ESCAPE_NONE : ESCAPE_FORM;
	case TEMPLATE_HEADER:
		return ESCAPE_HEADER; /* raw too: a line break would be a second header */
	case TEMPLATE_TEXT:
		break;
	}
	return ESCAPE_NONE;
}

/* The next segment, zeroed, or NULL: out of memory. */
static struct segment *add_segment(struct template *template)
{
	if (template->count == template->capacity) {
		size_t capacity = template->capacity == 0 ? 8 : 2 * template->capacity;
		struct segment *grown =
			realloc(template->segments, capacity * sizeof(template->segments[0]));

		if (grown == NULL)
			return NULL;
		template->segments = grown;
		template->capacity = capacity;
	}
	template->segments[template->count] = (struct segment){0};
	return &template->segments[template->count++];
}

static int add_literal(struct template *template, const char *text, size_t len)
{
	struct segment *segment;

	if (len == 0)
		return 0;
	segment = add_segment(template);
	if (segment == NULL)
		return ERR_NOMEM;
	segment->text = text;
	segment->text_bytes = len;
	return 0;
}

/* Is the default, where a whole value stands, one itself ({{count|0}})? Otherwise it is a string.
 */
static int default_is_json(const struct tag *tag, bool *ret_is_json)
{
	struct json json = {0};
	int err = json_parse(&json, tag->fallback, tag->fallback_bytes);

	json_free(&json);
	if (err == ERR_NOMEM)
		return err;
	*ret_is_json = err == 0;
	return 0;
}

static int compile_default(
	struct segment *segment, const struct tag *tag, size_t offset, struct buf *error)
{
	struct template_value value = {.text = tag->fallback, .text_bytes = tag->fallback_bytes};
	struct buf escaped = BUF_INIT(SIZE_MAX / 2);
	const char *problem = "";
	int err;

	if (segment->whole_value && (err = default_is_json(tag, &value.is_json)) != 0)
		return err;
	err = escape_append(segment->escape, &value, &escaped, &problem);
	if (err == 0) {
		segment->fallback = escaped.len == 0 ? strdup("")
						     : buf_take(&escaped, &segment->fallback_bytes);
		err = segment->fallback == NULL ? ERR_NOMEM : 0;
	} else if (err == ERR_TEMPLATE) {
		buf_appendf(error, "the default %s", problem);
		err = syntax_error(error, "", offset);
	}
	buf_free(&escaped);
	return err;
}

static int add_variable(struct template *template, const char *text, const struct tag *tag,
	bool in_string, struct buf *error)
{
	struct segment *segment = add_segment(template);

	if (segment == NULL)
		return ERR_NOMEM;
	segment->text = text;
	segment->text_bytes = (size_t)(tag->end - text);
	segment->raw = tag->raw;
	segment->escape = escape_for(template->context, tag->raw, in_string);
	segment->whole_value = template->context == TEMPLATE_JSON && !in_string;
	template->has_variables = true;
	template->has_raw |= tag->raw;
	segment->name = strndup(tag->name, tag->name_bytes);
	if (segment->name == NULL)
		return ERR_NOMEM;
	if (tag->fallback == NULL)
		return 0;
	return compile_default(segment, tag, (size_t)(text - template->source), error);
}

static int compile_segments(struct template *template, struct buf *error)
{
	struct json_position position = {0};
	const char *text = template->source;
	const char *open;
	int err;

	while ((open = strstr(text, "{{")) != NULL) {
		struct tag tag;

		json_position_advance(&position, text, (size_t)(open - text));
		err = add_literal(template, text, (size_t)(open - text));
		if (err == 0)
			err = parse_tag(template->source, open, &tag, error);
		if (err == 0)
			err = add_variable(template, open, &tag, position.in_string, error);
		if (err != 0)
			return err;
		text = tag.end;
	}
	return add_literal(template, text, strlen(text));
}

/*
 * What a variable is for the check of the whole: `null` where a value stands, since it merges with
 * nothing beside it (1{{x}} and {{x}}{{y}} are refused) and is no name of a member; and a letter
 * inside a string, which is no escape after a backslash.
 */
static const char *placeholder(const struct segment *segment)
{
	return segment->whole_value ? "null" : "x";
}

/* The offset in the source of byte `filled` of the filled-in text. */
static size_t source_offset(const struct template *template, size_t filled)
{
	for (size_t i = 0; i < template->count; i++) {
		const struct segment *segment = &template->segments[i];
		size_t start = (size_t)(segment->text - template->source);
		size_t len =
			segment->name == NULL ? segment->text_bytes : strlen(placeholder(segment));

		if (filled < len)
			return segment->name == NULL ? start + filled : start;
		filled -= len;
	}
	return strlen(template->source);
}

static int check_json(const struct template *template, struct buf *error)
{
	struct buf filled = BUF_INIT(SIZE_MAX / 2);
	struct json json = {0};
	int err;

	for (size_t i = 0; i < template->count; i++) {
		const struct segment *segment = &template->segments[i];

		if (segment->name == NULL)
			buf_append(&filled, segment->text, segment->text_bytes);
		else
			buf_append_string(&filled, placeholder(segment));
	}
	err = filled.err;
	if (err == 0)
		err = json_parse(&json, buf_string(&filled), filled.len);
	if (err == ERR_SYNTAX) {
		size_t offset = source_offset(template, json.error_offset);

		err = syntax_error(error, "not JSON", offset);
		buf_append_string(
			error, template->source[offset] == '\0' ? ", the end" : ", near ");
		if (template->source[offset] != '\0')
			quote_append(error, template->source + offset,
				strlen(template->source + offset));
	} else if (err == ERR_TOO_LARGE) {
		buf_appendf(error, "nested deeper than %d levels", JSON_DEPTH_MAX);
		err = ERR_SYNTAX;
	}
	json_free(&json);
	buf_free(&filled);
	return err;
}

static int check_header(const struct template *template, struct buf *error)
{
	size_t offset = strcspn(template->source, "\r\n");

	if (template->source[offset] == '\0')
		return 0;
	return syntax_error(error, "a line break, not allowed in a header,", offset);
}

int template_compile(const char *text, enum template_context context,
	struct template **ret_template, struct buf *error)
{
	struct template *template = calloc(1, sizeof(*template));
	int err = ERR_NOMEM;

	if (template == NULL)
		return err;
	template->context = context;
	template->source = strdup(text);
	if (template->source != NULL)
		err = compile_segments(template, error);
	if (err == 0 && context == TEMPLATE_JSON)
		err = check_json(template, error);
	if (err == 0 && context == TEMPLATE_HEADER)
		err = check_header(template, error);
	if (err != 0) {
		template_free(template);
		return err;
	}
	*ret_template = template;
	return 0;
}

void template_free(struct template *template)
{
	if (template == NULL)
		return;
	for (size_t i = 0; i < template->count; i++) {
		free(template->segments[i].name);
		free(template->segments[i].fallback);
	}
	free(template->segments);
	free(template->source);
	free(template);
}

const char *template_source(const struct template *template)
{
	return template->source;
}

bool template_is_constant(const struct template *template)
{
	return !template->has_variables;
}

void template_each_variable(const struct template *template,
	void (*visit)(void *arg, const char *name, bool has_default), void *arg)
{
	for (size_t i = 0; i < template->count; i++)
		if (template->segments[i].name != NULL)
			visit(arg, template->segments[i].name,
				template->segments[i].fallback != NULL);
}

bool template_has_in_string(const struct template *template, const char *name)
{
	for (size_t i = 0; i < template->count; i++) {
		const struct segment *segment = &template->segments[i];

		if (template->context == TEMPLATE_JSON && segment->name != NULL &&
			!segment->whole_value && strcmp(segment->name, name) == 0)
			return true;
	}
	return false;
}
