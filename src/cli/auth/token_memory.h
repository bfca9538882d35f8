/*
 * Where the workers of a host share their tokens: a file beside the ledger.
 */
#ifndef CLI_AUTH_TOKEN_MEMORY_H
#define CLI_AUTH_TOKEN_MEMORY_H

#include "base/buf.h"
#include "base/mapped_file.h"

/*
 * ledger_path with ".tokens" behind it; NULL: memory of this process and the children that it
 * forks. As mapped_file_open().
 */
int token_memory_open(const char *ledger_path, struct mapped_file *ret, struct buf *error);
/* The same, but memory where the file cannot be had. 0 or ERR_NOMEM. */
int token_memory_open_any(const char *ledger_path, struct mapped_file *ret);

#endif
