/*
 * Text of others in quotes: in error messages and in YAML.
 */
#ifndef CONFIG_QUOTE_H
#define CONFIG_QUOTE_H

#include "base/buf.h"

#include <stddef.h>

/*
 * "text" for an error message: cut after about 60 bytes, control characters and invalid UTF-8
 * escaped, so that it stays one readable line. Returns 0 or the buffer's error.
 */
int quote_append(struct buf *out, const char *text, size_t len);

/*
 * "text" as a YAML double-quoted scalar that config_load() reads back to the very same text:
 * what YAML folds or refuses is escaped, and every $ doubled. The text is valid UTF-8.
 */
int quote_append_yaml(struct buf *out, const char *text, size_t len);
/* The same for a key, in which a $ is just that. */
int quote_append_yaml_key(struct buf *out, const char *text, size_t len);

#endif
