/*
 * The file behind a recipient list: read as often as wanted, from the start; gzip, by its first
 * bytes, is taken off. What cannot be read twice (standard input, a pipe) is first copied, as it
 * is: to a file that is kept, or else to an unlinked temporary one in $TMPDIR.
 */
#ifndef CAMPAIGN_LIST_FILE_H
#define CAMPAIGN_LIST_FILE_H

#include "aws/digest.h"
#include "base/buf.h"
#include "campaign/gunzip.h"
#include "campaign/recipients.h"

#include <stdint.h>

struct list_file {
	int fd;
	uint64_t offset;       /* of the next read */
	const char *name;      /* for people; borrowed */
	struct gunzip *gunzip; /* of this pass; NULL: it is not gzip */
	struct digest sha256;  /* of this pass, from its start */
	bool hashed;	       /* ret_sha256 holds */
	unsigned char hash[DIGEST_SHA256_BYTES];
	char reason[256]; /* after a read failed */
};

/*
 * path "-": standard input. keep (may be NULL): where a copy is kept, complete and on the disk when
 * this returns; a file of that name is replaced; not used where no copy is needed. 0; ERR_NOT_FOUND
 * (no such file), ERR_IO, ERR_ARGUMENT (a directory) or ERR_NOMEM with a sentence in `error`.
 * list_file_close() is harmless after a failure.
 */
int list_file_open(struct list_file *file, const char *path, const char *keep, struct buf *error);
void list_file_close(struct list_file *file);

/*
 * The next pass begins at the start; one at a time. `file` is the input's arg, borrowed. The
 * input's errors: ERR_IO, ERR_SYNTAX (gzip that is corrupt or cut off), ERR_NOMEM; file->reason
 * says why.
 */
struct recipients_input list_file_rewind(struct list_file *file);
/* By its name, .gz left out, else by its first bytes. Between two passes: the next one begins anew.
 */
enum recipients_format list_file_format(struct list_file *file);

/* Of the bytes of the file, gzip left on: once a pass has come to its end. NULL before. */
const unsigned char *list_file_sha256(const struct list_file *file);

#endif
