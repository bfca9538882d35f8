/*
 * The rows of a list that are not to be sent, as CSV (RFC 4180) with the columns line, row, key,
 * reason, detail. Written under another name, "PATH.tmp", which becomes PATH when it is complete;
 * without a row there is no file, and one that is left over from before goes.
 *
 * If the process dies before rejects_file_finish() has returned, the file of before is there, or
 * none, and PATH.tmp may be.
 */
#ifndef CAMPAIGN_REJECTS_FILE_H
#define CAMPAIGN_REJECTS_FILE_H

#include "base/buf.h"
#include "campaign/check.h"

struct rejects_file;

/* The path is copied; nothing is opened yet. 0 or ERR_NOMEM. */
int rejects_file_new(const char *path, struct rejects_file **ret_file);
/* Without rejects_file_finish() PATH.tmp is removed. NULL is fine. */
void rejects_file_free(struct rejects_file *file);

/* 0, or ERR_IO, rejects_file_reason() says why. */
int rejects_file_add(struct rejects_file *file, const struct campaign_reject *reject);
int rejects_file_finish(struct rejects_file *file);

const char *rejects_file_reason(const struct rejects_file *file); /* a sentence with the path */
uint64_t rejects_file_rows(const struct rejects_file *file);

#endif
