/*
 * Request templates: compiled once, rendered for every message.
 *
 * {{name}} and {{a.b.0}} are escaped for where they stand, {{{name}}} is raw, {{name|default}}
 * has a default (the text after the bar, as it is, escaped like a value). A missing variable is an
 * error that names it. White space around the name is ignored; "{{" has no other meaning. A name is
 * made of letters, digits, _ - @ :, single inner spaces and anything beyond ASCII, in steps parted
 * by dots.
 *
 * A variable that is JSON's null counts as missing ("Hello null" is never meant), except where a
 * whole JSON value stands. There, a default that is a JSON value stands as it is ({{count|0}}).
 */
#ifndef CONFIG_TEMPLATE_H
#define CONFIG_TEMPLATE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

enum template_context {
	TEMPLATE_TEXT,	 /* nothing is escaped */
	TEMPLATE_JSON,	 /* inside a string literal: JSON string escapes; elsewhere: a whole JSON
			  * value,   quoted when the variable is a string */
	TEMPLATE_URL,	 /* percent-encoded but unreserved A-Za-z0-9-._~ */
	TEMPLATE_FORM,	 /* the same, for application/x-www-form-urlencoded: space is + */
	TEMPLATE_HEADER, /* refused when it holds CR, LF or NUL, raw or not */
};

struct template;

/* A variable's value, borrowed for the render. */
struct template_value {
	const char *text; /* a string's content; a number's, boolean's, null's, array's or object's
			     JSON */
	size_t text_bytes;
	bool is_json; /* text is a JSON value other than a string */
};

/* Finds a variable; false: there is none. */
typedef bool template_lookup(void *arg, const char *name, struct template_value *ret_value);

/*
 * Copies the text. 0, ERR_NOMEM, or ERR_SYNTAX with what is wrong and the offset in `error`
 * (appended): unclosed braces, an empty or malformed name, or (TEMPLATE_JSON) a text that is not
 * JSON once its variables are filled in.
 */
int template_compile(const char *text, enum template_context context,
	struct template **ret_template, struct buf *error);
void template_free(struct template *template);

/*
 * Appends the rendering to `out`. 0; ERR_TEMPLATE with the reason appended to `reason` ('missing
 * variable "name"', 'variable "name" holds a line break, not allowed in a header'); ERR_NOMEM; or
 * out's error. On failure `out` is as long as it was. Re-entrant.
 */
int template_render(const struct template *template, template_lookup *lookup, void *arg,
	struct buf *out, struct buf *reason);

/* The text it was compiled from; borrowed. */
const char *template_source(const struct template *template);
/* True when it has no variables at all. */
bool template_is_constant(const struct template *template);
/* Calls visit with each variable's name, in order, repeats included; default: it has one. */
void template_each_variable(const struct template *template,
	void (*visit)(void *arg, const char *name, bool has_default), void *arg);
/* TEMPLATE_JSON: the variable stands inside a string literal, once at least. */
bool template_has_in_string(const struct template *template, const char *name);

#endif
