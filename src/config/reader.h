/*
 * The walk over a configuration's nodes, guided by the option table. Private to config_load().
 *
 * Every function returns 0 or ERR_NOMEM; what is wrong with the configuration is reported and
 * counted, and the walk goes on.
 */
#ifndef CONFIG_READER_H
#define CONFIG_READER_H

#include "base/buf.h"
#include "config/config.h"
#include "config/options.h"
#include "config/substitute.h"

#include <stdbool.h>
#include <stddef.h>
#include <yaml.h>

#define READER_ERRORS_MAX 100
/* Room for a key of 60 characters that are all escaped, so that no path is cut within one. */
#define READER_PATH_MAX 512

/* Where a value stands. Zeroed: nowhere in particular. */
struct where {
	const char *origin; /* "--queue-url"; NULL: the file */
	size_t line, column;
	const yaml_node_t *node; /* of the file; lives as long as the document */
};

struct reader {
	const struct config_environment *environment;
	struct config *config;
	yaml_document_t *document;
	struct buf *errors;
	size_t error_count;
	struct where *destination_wheres; /* option_count of each destination */
};

/* The map being read. */
struct scope {
	const char *prefix;	 /* in the table: "destinations[].request." */
	const char *shown;	 /* in messages: "destinations[0].request." */
	void *base;		 /* what the options' offsets count from */
	struct where *wheres;	 /* by index in the table, filled as options are read */
	struct body_draft *body; /* of a destination itself */
};

/* One line: "FILE:LINE:COLUMN: PATH: what"; path NULL: none. */
int reader_report(struct reader *reader, struct where where, const char *path, const char *format,
	...) __attribute__((format(printf, 4, 5)));
bool reader_is_full(const struct reader *reader);
struct where reader_where(const yaml_node_t *node);

/*
 * A scalar's text, substituted. *ret_fits is false when it is none and that has been reported
 * (`expected` says what it should be). `result` is to be freed in any case.
 */
int reader_substitute(struct reader *reader, const yaml_node_t *node, const char *path,
	const char *expected, struct substitution *result, bool *ret_fits);

/* Substitutes and stores an option of a scalar type, whose offset counts from scope->base. */
int reader_read_scalar(struct reader *reader, const struct scope *scope, const char *path,
	const struct option *option, const yaml_node_t *node);

/* A key and its value, of the document's memory. */
struct entry {
	const char *name; /* NULL: the key has no text, which has been reported */
	const yaml_node_t *key, *value;
	char path[READER_PATH_MAX]; /* how messages call it; one of unusual characters is quoted */
};
int reader_entry(struct reader *reader, const struct scope *scope, const yaml_node_pair_t *pair,
	struct entry *ret_entry);

/* Reads a map's options, those in sections too. null is an empty map. */
int reader_read_map(struct reader *reader, const struct scope *scope, const yaml_node_t *node);

/*
 * A list of at most max maps; null is an empty one. *ret_count is 0 when it is empty, or none and
 * that has been reported.
 */
int reader_list(struct reader *reader, const char *path, const yaml_node_t *node, size_t max,
	size_t *ret_count);
/* The node of the list's element. */
const yaml_node_t *reader_item(const struct reader *reader, const yaml_node_t *list, size_t index);
/* Reports what no option of a list's element was given for, although it must be. */
int reader_check_required(
	struct reader *reader, const struct scope *scope, const yaml_node_t *node);

/* A map of names to texts, in pairs.c. */
int pairs_read(struct reader *reader, const struct scope *scope, const char *path,
	const struct option *option, const yaml_node_t *node);
void pairs_free(struct config_pairs *pairs);

/* A list of host names, in names.c. */
int names_read(struct reader *reader, const struct scope *scope, const char *path,
	const struct option *option, const yaml_node_t *node);
void names_free(struct config_names *names);

/* The map that `workers` may be, in workers.c. */
int workers_read_map(struct reader *reader, const struct scope *scope, const yaml_node_t *node);

/* Where an option was given; zeroed: it was not. */
struct where where_of(const struct where *wheres, const struct option *option);
bool where_is_given(struct where where);

/* An override's value. */
int reader_override(struct reader *reader, const struct option *option,
	const struct config_override *override, struct where *wheres);

/* For an option at base: what config_print() shows instead of the value; NULL: the value. */
int shown_set(struct config *config, const void *field, const char *text);
const char *shown_find(const struct config *config, const void *field);
void shown_free(struct config *config);

#endif
