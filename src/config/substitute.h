/*
 * ${NAME}, ${NAME:-default}, ${file:PATH} and ${credential:NAME} in the values of a configuration,
 * after YAML has been parsed, so that no value can become YAML. $$ is a $; a $ before anything
 * else stands for itself.
 */
#ifndef CONFIG_SUBSTITUTE_H
#define CONFIG_SUBSTITUTE_H

#include "base/buf.h"
#include "config/config.h"

#include <stdbool.h>

#define SUBSTITUTE_FILE_MAX_BYTES ((size_t)64 * 1024)
#define SUBSTITUTE_MAX_BYTES ((size_t)4 << 20) /* one value, everything filled in */
#define SUBSTITUTE_HIDDEN "[hidden]"

/* Zero it to begin with; substitution_free() in any case. */
struct substitution {
	struct buf text;  /* the value; never holds a NUL */
	struct buf shown; /* the same for people: what came from a file or credential is [hidden] */
	bool hidden;	  /* is any of it? */
	struct buf parts; /* each replacement, NUL-terminated, one after the other */
};

/*
 * Fills `result` from the text. What came from a file or a credential is registered with
 * log_add_secret(). 0; ERR_NOMEM; or ERR_CONFIG with the reason appended to `error` ("environment
 * variable LINE_TOKEN is not set").
 */
int substitute(const char *text, const struct config_environment *environment,
	struct substitution *result, struct buf *error);
/* Wipes it, too. */
void substitution_free(struct substitution *result);

#endif
