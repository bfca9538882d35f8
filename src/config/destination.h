/*
 * The destinations of a configuration. Private to config_load(); the rules of reader.h hold.
 */
#ifndef CONFIG_DESTINATION_H
#define CONFIG_DESTINATION_H

#include "config/reader.h"

/* A body waits for the headers: the Content-Type says how it is escaped. */
struct body_draft {
	struct substitution text;
	bool given;
};

/* The list; null is an empty one. */
int destination_read_list(struct reader *reader, const yaml_node_t *node);
/* An option that is no plain scalar: url, headers, body, accept. */
int destination_read_option(struct reader *reader, const struct scope *scope, const char *path,
	const struct option *option, const yaml_node_t *node);

/* destination_headers.c */
int destination_read_headers(struct reader *reader, const struct scope *scope, const char *path,
	const yaml_node_t *node);
/* How a body is escaped: by the Content-Type, or by its first character when there is none. */
enum template_context destination_body_context(
	const struct config_destination *destination, const char *body);

/* Compiles a value and reports why it cannot be. *ret_template is untouched on failure. */
int destination_compile(struct reader *reader, struct where where, const char *path,
	const struct substitution *value, enum template_context context,
	struct template **ret_template);

void destination_free(struct config_destination *destination);

#endif
