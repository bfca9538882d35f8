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

enum option_type {
	OPTION_INT,	     /* int64_t; `zero_word`, when there is one, is its 0 */
	OPTION_DURATION,     /* int64_t milliseconds */
	OPTION_BYTES,	     /* int64_t */
	OPTION_SHARE,	     /* int64_t millionths */
	OPTION_RATE,	     /* struct config_rate; null is its count 0 */
	OPTION_WORKERS,	     /* struct config_workers; in a file also a map {min: N, max: N} */
	OPTION_BOOL,	     /* bool; `choices` is "true|false" */
	OPTION_CHOICE,	     /* an enum: the index in `choices` */
	OPTION_WORD,	     /* char *, one of `choices` */
	OPTION_NAME,	     /* char * of min to max letters, digits and `marks` */
	OPTION_TEXT,	     /* char * of min to max bytes */
	OPTION_JSON_PATH,    /* char * of at most max bytes, "a.b.0" */
	OPTION_PATH,	     /* char *, a file's path */
	OPTION_LISTEN,	     /* char *, "127.0.0.1:9797", "[::1]:0", "unix:/run/x.sock" */
	OPTION_QUEUE_URL,    /* char * */
	OPTION_BASE_URL,     /* char *, an http or https URL with a path or without */
	OPTION_ENDPOINT,     /* char *; the last that is written as one scalar */
	OPTION_URL_TEMPLATE, /* struct template * */
	OPTION_BODY,	     /* struct template *, compiled once the Content-Type is known */
	OPTION_HEADERS,	     /* a map: name to template */
	OPTION_STATUSES,     /* struct config_status_set; may be empty when `fallback` is "[]" */
	OPTION_CONDITIONS,   /* config_destination.when: a map of paths to values */
	OPTION_PAIRS,	     /* struct config_pairs: a map of names to texts, max of them at most */
	OPTION_SECRETS,	     /* struct config_secrets: a list of texts, or one alone */
	OPTION_NAMES,	     /* struct config_names: a list of host names, or one alone */
	OPTION_HOSTS,	     /* struct config_hosts: the same of rules, host_rule.h */
	OPTION_ADDRESSES,    /* struct config_addresses: the same of address_range.h */
};
#define OPTION_SCALAR_LAST OPTION_ENDPOINT
#define OPTION_JSON_PATH_MAX 128   /* bytes */
#define OPTION_SOCKET_PATH_MAX 107 /* bytes: sockaddr_un has room for one more, the NUL */

/* Which struct an option is a field of; lists have one of their own. */
enum option_place { OPTION_IN_CONFIG, OPTION_IN_DESTINATION, OPTION_IN_RULE };

struct option {
	const char *path; /* "queue.wait", "destinations[].timeout" */
	enum option_type type;
	size_t offset; /* in the struct of its place */
	/* Of numbers in their stored unit, a rate's count, bytes of text, status codes. */
	int64_t min, max, step; /* step 0: any, else whole seconds */
	const char *fallback;	/* the default as one would write it; NULL: none */
	const char *choices;	/* "auto|text|json" */
	const char *zero_word;	/* "auto" */
	const char *marks;	/* "_.-"; NULL: all of printable ASCII but blanks and colons */
	const char *inherits;	/* the option of config that null stands for: a number or choice */
	bool nullable; /* takes null, and an empty text for a path or a URL; see fallback */
	bool required;
	/* A text, or the values of pairs (header fields): hidden wherever it would be shown. */
	bool secret;
	const char *help; /* one line */
};

extern const struct option options[];
extern const size_t option_count;

/* By full path, or NULL. */
const struct option *option_find(const char *path);
/* Is it a section ("queue", "destinations[]", "destinations[].request")? */
bool option_is_section(const char *path);
enum option_place option_place(const struct option *option);
/* "", "destinations[].": what the paths of all options of a place start with. */
const char *option_prefix(enum option_place place);

/*
 * Parses text and stores it at base + option->offset, freeing a string that was there. For the
 * scalar types. text NULL: null, for a nullable option. 0, ERR_SYNTAX (not of the form
 * option_append_expectation() tells), ERR_LIMIT (only the step is wrong) or ERR_NOMEM; the old
 * value stays on failure.
 */
int option_set(const struct option *option, const char *text, void *base);
/* Every default of a place, for the scalar types and OPTION_STATUSES. base is zeroed. */
int option_set_defaults(enum option_place place, void *base);
/* Fills what was null in a destination with what it inherits. */
void option_inherit(const struct config *config, struct config_destination *destination);

/* "200-299" or "409", within the option's range; 0 or ERR_SYNTAX. */
int option_parse_statuses(
	const struct option *option, const char *text, struct config_status_range *ret_range);
/* Steps parted by dots, none empty, at most OPTION_JSON_PATH_MAX bytes. */
bool option_is_json_path(const char *text);

/* For the scalar types: "a duration from 0s to 20s (like 20s)". */
int option_append_expectation(const struct option *option, struct buf *out);
/* A number as one writes it: "20s", "64KiB", "5". */
void option_append_number(const struct option *option, int64_t number, struct buf *out);

/*
 * For an unknown key below prefix ("queue.", "destinations[]."): '; did you mean "wait"?',
 * or where such a key belongs, or which keys there are.
 */
int option_append_suggestion(const char *prefix, const char *key, struct buf *out);

#endif
