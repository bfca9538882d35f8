/*
 * The registered secrets, for the log's own use (registering them: base/log.h).
 */
#ifndef BASE_LOG_SECRETS_H
#define BASE_LOG_SECRETS_H

#include "base/redact.h"

#include <stddef.h>

#define LOG_SECRETS_MARK REDACT_MARK

/*
 * The end of the run of secrets, overlapping or side by side, that starts at text[at]; `at` itself
 * when no secret starts there.
 */
size_t log_secrets_run(const char *text, size_t len, size_t at);

/* For redact_excerpt(). */
extern const struct redact_secrets log_secrets_known;

/* Bytes of the longest secret; 0: there are none. */
size_t log_secrets_longest(void);

#endif
