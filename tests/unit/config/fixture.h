/*
 * What the tests of the configuration share: a directory of their own, files in it, and an
 * environment that is not the process's.
 */
#ifndef TESTS_CONFIG_FIXTURE_H
#define TESTS_CONFIG_FIXTURE_H

#include "config/config.h"

#include <stddef.h>

/* cmocka group set-up and tear-down: a temporary directory as the working directory. */
int fixture_enter(void **state);
int fixture_leave(void **state);

/* Writes a file of that name. */
void fixture_write(const char *name, const void *bytes, size_t len);

/* LINE_TOKEN=secret-line-token, HOST=api.example.com, EMPTY=, QUOTES="'", BAD=(not UTF-8),
 * YAML=(text that would be YAML), CREDENTIALS_DIRECTORY=credentials. */
extern const struct config_environment fixture_environment;

/*
 * Loads the text as t.yaml. Returns config_load()'s code; `errors` is cleared first. On success
 * *ret_config is to be freed.
 */
int fixture_load(const char *yaml, struct config **ret_config, struct buf *errors);

/* The same for a text that nothing is wrong with; the test fails when there is. */
struct config *fixture_load_valid(const char *yaml);

/* A text that is refused, and all of what is said about it. */
struct fixture_bad_case {
	const char *yaml, *errors;
};

/* Loads each; returns how many were not refused with exactly these errors, and prints them all. */
size_t fixture_check_bad(const struct fixture_bad_case *cases, size_t count);

#endif
