/*
 * The shared config and credentials files, parsed. Pure: text in, look-ups out.
 * Format: AWS SDKs and Tools Reference Guide, "Shared config and credentials files": INI sections
 * [default], [profile x], [services x], [sso-session x] in the config file and [x] in the
 * credentials file; '#' and ';' begin comment lines; an indented "key = value" under a key without
 * a value is nested below it. Where its readers differ, shared_files.c says whom this one follows.
 */
#ifndef AWS_CREDENTIALS_SHARED_FILES_H
#define AWS_CREDENTIALS_SHARED_FILES_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define SHARED_FILE_MAX_BYTES ((size_t)1 << 20)

struct shared_files;

/*
 * NULL text: the file does not exist. 0, ERR_NOMEM, or ERR_SYNTAX with "PATH:LINE: what is wrong"
 * in `error` (never a value: it may be a key).
 */
int shared_files_parse(const char *config_path, const char *config, size_t config_bytes,
	const char *credentials_path, const char *credentials, size_t credentials_bytes,
	struct shared_files **ret_files, struct buf *error);
/*
 * Reads both files from disk, where AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, read through
 * `lookup`, or else ~/.aws (HOME) say; "~/" at the start of a path is HOME. Also ERR_IO with a
 * sentence, for one that is there and cannot be read; ERR_TOO_LARGE with one.
 */
int shared_files_read(const char *(*lookup)(const char *name), struct shared_files **ret_files,
	struct buf *error);
/* Wipes what was read. NULL is fine. */
void shared_files_free(struct shared_files *files);
/* Wipes the keys and tokens in it, which are then absent: for who wants the settings only. */
void shared_files_forget_keys(struct shared_files *files);

/* Names of profiles are case-sensitive, those of keys are not. */
bool shared_files_has_profile(const struct shared_files *files, const char *profile);
/* Of both files together; the credentials file wins key by key. NULL: absent or empty. */
const char *shared_files_get(
	const struct shared_files *files, const char *profile, const char *key);
/* `key` nested below `group` in section [services NAME]: ("mine", "sqs", "endpoint_url"). */
const char *shared_files_get_service(
	const struct shared_files *files, const char *services, const char *group, const char *key);

#endif
