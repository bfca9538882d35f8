/*
 * The one option table. Reading, defaults, range errors, config_print() and the check that the
 * reference, the sample and the man page agree all go through it.
 */
#ifndef CONFIG_OPTIONS_H
#define CONFIG_OPTIONS_H

#include "base/buf.h"
#include "config/config.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OPTIONS_LIST_PREFIX "destinations[]."

enum option_type {
	OPTION_INT,	     /* int64_t; `zero_word`, when there is one, is its 0 */
	OPTION_DURATION,     /* int64_t milliseconds */
	OPTION_BYTES,	     /* int64_t */
	OPTION_CHOICE,	     /* an enum: the index in `choices` */
	OPTION_WORD,	     /* char *, one of `choices` */
	OPTION_NAME,	     /* char * of 1-64 letters, digits and _ . - */
	OPTION_PATH,	     /* char *, a file's path */
	OPTION_QUEUE_URL,    /* char * */
	OPTION_ENDPOINT,     /* char * */
	OPTION_URL_TEMPLATE, /* struct template * */
	OPTION_BODY,	     /* struct template *, compiled once the Content-Type is known */
	OPTION_HEADERS,	     /* a map: name to template */
	OPTION_STATUSES,     /* a list of status codes and ranges of them */
};

struct option {
	const char *path; /* "queue.wait", "destinations[].timeout" */
	enum option_type type;
	size_t offset; /* in struct config; below destinations[]: in struct config_destination */
	int64_t min, max, step; /* numbers, in their stored unit; step 0: any, else whole seconds */
	const char *fallback;	/* the default as one would write it; NULL: none */
	const char *choices;	/* "auto|text|json" */
	const char *zero_word;	/* "auto" */
	bool nullable; /* takes null, and an empty text for a path or a URL; see fallback */
	bool required;
	const char *help; /* one line */
};

extern const struct option options[];
extern const size_t option_count;

/* By full path, or NULL. */
const struct option *option_find(const char *path);
/* Is it a section ("queue", "destinations[]", "destinations[].request")? */
bool option_is_section(const char *path);
bool option_is_in_destination(const struct option *option);

/*
 * Parses text and stores it at base + option->offset, freeing a string that was there. For the
 * types up to OPTION_ENDPOINT. text NULL: null, for a nullable option. 0, ERR_SYNTAX (not of the
 * form option_append_expectation() tells), ERR_LIMIT (only the step is wrong) or ERR_NOMEM; the
 * old value stays on failure.
 */
int option_set(const struct option *option, const char *text, void *base);
/* Every default below destinations[] or of the rest, for the types up to OPTION_ENDPOINT. */
int option_set_defaults(bool in_destination, void *base);

/* "200-299" or "409"; 0 or ERR_SYNTAX. */
int option_parse_statuses(const char *text, struct config_status_range *ret_range);

/* "a duration from 0s to 20s (like 20s)" */
int option_append_expectation(const struct option *option, struct buf *out);

/*
 * For an unknown key below prefix ("queue.", "destinations[]."): '; did you mean "wait"?',
 * or where such a key belongs, or which keys there are.
 */
int option_append_suggestion(const char *prefix, const char *key, struct buf *out);

#endif
