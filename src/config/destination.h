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
int destination_read_list(struct reader *reader, const char *path, const yaml_node_t *node);
/* An option that is no plain scalar. */
int destination_read_option(struct reader *reader, const struct scope *scope, const char *path,
	const struct option *option, const yaml_node_t *node);

/* destination_headers.c */
int destination_read_headers(struct reader *reader, const struct scope *scope, const char *path,
	const yaml_node_t *node);
/* How a body is escaped: by the Content-Type, or by its first character when there is none. */
enum template_context destination_body_context(
	const struct config_destination *destination, const char *body);

/* destination_statuses.c: a list of ranges, or one alone. */
int destination_read_statuses(struct reader *reader, const struct scope *scope, const char *path,
	const struct option *option, const yaml_node_t *node);
/* No status may be in two sets of one destination. */
int destination_check_statuses(struct reader *reader, const struct scope *scope);

/* destination_rules.c: outcomes.when_body. */
int destination_read_rules(struct reader *reader, const struct scope *scope, const char *path,
	const yaml_node_t *node);
void destination_free_rules(struct config_destination *destination);

/*
 * destination_auth.c: a list of secrets, or one alone; and what belongs to which type of auth, is
 * missing, or is no secret, key or header of that type.
 */
int destination_read_secrets(struct reader *reader, const struct scope *scope, const char *path,
	const struct option *option, const yaml_node_t *node);
int destination_check_auth(struct reader *reader, const struct scope *scope);
void destination_free_auth(struct config_auth *auth);

/* destination_batch.c: once the body is compiled. */
int destination_check_batch(struct reader *reader, const struct scope *scope);

/*
 * destination_hosts.c: a list of hosts, or of addresses, or one alone; and whether they go together
 * with request.url.
 */
int destination_read_hosts(struct reader *reader, const struct scope *scope, const char *path,
	const yaml_node_t *node);
int destination_read_addresses(struct reader *reader, const struct scope *scope, const char *path,
	const yaml_node_t *node);
int destination_check_hosts(struct reader *reader, const struct scope *scope);

/* destination_when.c */
int destination_read_when(struct reader *reader, const struct scope *scope, const char *path,
	const yaml_node_t *node);
void destination_free_when(struct config_destination *destination);

/*
 * Once everything is read: what a destination leaves to config.retry is copied from there, and the
 * two together are checked.
 */
int destination_settle_retry(struct reader *reader);

/* Compiles a value and reports why it cannot be. *ret_template is untouched on failure. */
int destination_compile(struct reader *reader, struct where where, const char *path,
	const struct substitution *value, enum template_context context,
	struct template **ret_template);

/* What a header field may be called: a token of RFC 9110, 5.6.2, that is not the client's own.
 * NULL, or why not. */
const char *destination_header_problem(const char *name);
/* One that the destination has under request.headers; any case. */
bool destination_has_header(const struct config_destination *destination, const char *name);
/* Registers a header's secret value: the whole, each long word, and what came from outside. */
int destination_register_secret(const struct substitution *value);

void destination_free(struct config_destination *destination);

#endif
