/*
 * How a template variable's value is written where it stands. Pure.
 */
#ifndef CONFIG_ESCAPE_H
#define CONFIG_ESCAPE_H

#include "base/buf.h"
#include "config/template.h"

enum escape {
	ESCAPE_NONE,
	ESCAPE_JSON_STRING, /* inside a JSON string literal */
	ESCAPE_JSON_VALUE,  /* where a whole JSON value stands */
	ESCAPE_URL,
	ESCAPE_URL_RAW, /* {{{}}} in a URL: as it is, but only visible ASCII */
	ESCAPE_FORM,
	ESCAPE_HEADER,
};

/*
 * Appends the value. 0; the buffer's error; or ERR_TEMPLATE, *ret_problem then saying what the
 * value is or holds ("is not valid UTF-8"; static).
 */
int escape_append(enum escape escape, const struct template_value *value, struct buf *out,
	const char **ret_problem);

#endif
