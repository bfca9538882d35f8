/* JSON text as a cJSON tree, and why there is none. */
#ifndef LOCALQ_TREE_H
#define LOCALQ_TREE_H

#include <cjson/cJSON.h>
#include <stddef.h>

/*
 * One document with nothing but white space behind it. On 0 the caller frees *ret with
 * cJSON_Delete; otherwise ERR_SYNTAX, or ERR_NOMEM, which cJSON itself does not tell apart.
 */
int tree_parse(const char *text, size_t len, cJSON **ret);

#endif
