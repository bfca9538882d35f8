/* A directory of its own for a test, and what is in it. */
#ifndef TESTS_RESULTS_DIRECTORY_H
#define TESTS_RESULTS_DIRECTORY_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define DIRECTORY_PATH_SIZE 128

/* Made; its path. Fails the test when it cannot be. */
void directory_make(char path[DIRECTORY_PATH_SIZE]);
/* Removed, with every file in it. */
void directory_remove(const char *path);

/* The content of a file; false: there is none. */
bool directory_read(const char *path, const char *name, struct buf *out);
void directory_write(const char *path, const char *name, const char *bytes, size_t len);
bool directory_has(const char *path, const char *name);
/* How many files there are whose names begin so. */
size_t directory_count(const char *path, const char *prefix);
void directory_delete(const char *path, const char *name);

#endif
