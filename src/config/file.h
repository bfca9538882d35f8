/*
 * Reading a whole small file.
 */
#ifndef CONFIG_FILE_H
#define CONFIG_FILE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

/*
 * Appends the file's content, which is bounded by what `out` may still take. regular_only: refuses
 * anything else, so that nothing blocks. 0; ERR_TOO_LARGE; ERR_NOMEM; or ERR_IO with errno set.
 */
int file_read(const char *path, bool regular_only, struct buf *out);

#endif
