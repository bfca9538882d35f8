/*
 * An environment for the settings under test, in place of the process's own.
 */
#ifndef TEST_AWS_VARIABLES_H
#define TEST_AWS_VARIABLES_H

/* Both borrowed; value NULL: not set. At most 8 names. */
void variables_set(const char *name, const char *value);
/* As getenv(). */
const char *variables_get(const char *name);
void variables_clear(void);

#endif
