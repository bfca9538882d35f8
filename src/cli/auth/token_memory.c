#include "cli/auth/token_memory.h"

#include "base/log.h"
#include "bunshin/error.h"
#include "signing/token_table.h"

#include <limits.h>
#include <stdio.h>

int token_memory_open(const char *ledger_path, struct mapped_file *ret, struct buf *error)
{
	char path[PATH_MAX];
	int err;

	if (!ledger_path)
		return mapped_file_anonymous(TOKEN_FILE_BYTES, &token_file, NULL, ret);
	if (snprintf(path, sizeof(path), "%s.tokens", ledger_path) >= (int)sizeof(path))
		return ERR_TOO_LARGE;
	err = mapped_file_open(path, TOKEN_FILE_BYTES, &token_file, NULL, ret, error);
	if (!err && ret->replaced)
		log_error("a file could not be used and was moved aside; what it knew is forgotten",
			LOG_STR("path", path), LOG_STR("reason", buf_string(error)));
	if (!err)
		buf_clear(error);
	return err;
}

int token_memory_open_any(const char *ledger_path, struct mapped_file *ret)
{
	struct buf error = BUF_INIT(4096);
	int err = token_memory_open(ledger_path, ret, &error);

	buf_free(&error);
	return err && err != ERR_NOMEM && ledger_path ? token_memory_open(NULL, ret, &error) : err;
}
