/*
 * A YAML file as libyaml's document, with line and column of every node.
 */
#ifndef CONFIG_DOCUMENT_H
#define CONFIG_DOCUMENT_H

#include "base/buf.h"

#include <stdbool.h>
#include <yaml.h>

/*
 * Reads one YAML document. Refused, besides what is no YAML: more than one document, aliases (a
 * few bytes of them can stand for gigabytes), tags, deep nesting. 0; ERR_NOMEM; ERR_IO or
 * ERR_CONFIG with whole lines, "PATH:LINE:COLUMN: reason\n", appended to `errors`. An empty text
 * gives a document without a root node. yaml_document_delete() it after success.
 */
int document_read(const char *path, yaml_document_t *ret_document, struct buf *errors);

/* A scalar's text when it has one; NULL for null (nothing, ~, null) and for other nodes. */
const char *document_text(const yaml_node_t *node);
bool document_is_null(const yaml_node_t *node);
/* "a map", "a list", for messages. */
const char *document_kind(const yaml_node_t *node);

#endif
