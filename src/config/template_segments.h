/*
 * A compiled template, as template.c builds it and template_render.c fills it. Private to the two.
 */
#ifndef CONFIG_TEMPLATE_SEGMENTS_H
#define CONFIG_TEMPLATE_SEGMENTS_H

#include "config/escape.h"
#include "config/template.h"

#include <stdbool.h>
#include <stddef.h>

/* A stretch of the source: literal text, or a variable. */
struct segment {
	const char *text; /* literal: into the source; variable: the tag, braces included */
	size_t text_bytes;
	char *name;	/* NULL: literal */
	char *fallback; /* already escaped; NULL: no default */
	size_t fallback_bytes;
	enum escape escape;
	bool raw;
	bool whole_value; /* JSON: stands where a value does, not inside a string literal */
};

struct template
{
	char *source;
	struct segment *segments;
	size_t count, capacity;
	enum template_context context;
	bool has_variables, has_raw;
};

#endif
