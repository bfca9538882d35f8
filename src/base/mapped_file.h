/*
 * A file of fixed size, mapped and shared by every process that opens it, and surviving all of
 * them: what the workers of one host have in common.
 *
 * Created whole or not at all: it is made under another name in the same directory, its blocks are
 * reserved (a full disk is an error here, never a SIGBUS later), formatted, synced, and then
 * linked to its name; of two that do so at once, one wins and both use the winner's. The mode is
 * 0600.
 */
#ifndef BASE_MAPPED_FILE_H
#define BASE_MAPPED_FILE_H

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>

struct mapped_file {
	void *memory; /* page-aligned; NULL: not open */
	size_t bytes;
	bool created;  /* by this call */
	bool replaced; /* a file that was there could not be used; it is now PATH.bad */
};

/* What a kind of file looks like. Both are given the argument of mapped_file_open(). */
struct mapped_file_kind {
	/* Fills fresh memory, all zero. 0 or an error code. */
	int (*format)(void *arg, void *memory, size_t bytes);
	/*
	 * Whether a file that was there can be used. 0, or ERR_SYNTAX with why not in `reason`, a
	 * phrase like "version 7, this program knows 1". It must not write, nor trust anything: the
	 * file may be of any content, and of any size of at least one byte.
	 */
	int (*check)(void *arg, const void *memory, size_t bytes, struct buf *reason);
};

/*
 * Opens the file, or creates it with `bytes` bytes; one that is there keeps its size. One that
 * check() refuses, or that is empty, is renamed to PATH.bad (over an older one) and replaced, which
 * `replaced` tells, and `reason` in a sentence; otherwise `reason` is empty after success. 0;
 * ERR_NOMEM; a code of format(), or of check() other than ERR_SYNTAX; ERR_IO with a sentence in
 * `reason` that names the path (a missing directory, no permission, no space, not a regular file,
 * a symbolic link in the last component). *ret is untouched on failure.
 *
 * Blocks, for ten seconds at most while another process is at work on the same name; not for the
 * loop. Safe against any number of processes doing the same. May leave PATH.new behind when it is
 * killed, where the file system has no files without a name; the next creator removes it. A limit
 * on file sizes (RLIMIT_FSIZE) is an error like a full disk if SIGXFSZ is ignored.
 */
int mapped_file_open(const char *path, size_t bytes, const struct mapped_file_kind *kind, void *arg,
	struct mapped_file *ret, struct buf *reason);
/*
 * Memory of this process and the children that it forks, formatted likewise. 0, ERR_NOMEM or
 * format()'s code; *ret is untouched on failure.
 */
int mapped_file_anonymous(
	size_t bytes, const struct mapped_file_kind *kind, void *arg, struct mapped_file *ret);
/* Unmaps; the file stays. A zeroed or closed one is fine. */
void mapped_file_close(struct mapped_file *file);

#endif
