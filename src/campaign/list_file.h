/*
 * The file behind a recipient list: read as often as wanted, from the start. What cannot be read
 * twice (standard input, a pipe) is first copied to an unlinked temporary file in $TMPDIR.
 */
#ifndef CAMPAIGN_LIST_FILE_H
#define CAMPAIGN_LIST_FILE_H

#include "base/buf.h"
#include "campaign/recipients.h"

#include <stdint.h>

struct list_file {
	int fd;
	uint64_t offset;  /* of the next read */
	const char *name; /* for people; borrowed */
	char reason[256]; /* after a read failed */
};

/*
 * path "-": standard input. 0; ERR_NOT_FOUND (no such file), ERR_IO or ERR_ARGUMENT (a directory)
 * with a sentence in `error`. list_file_close() is harmless after a failure.
 */
int list_file_open(struct list_file *file, const char *path, struct buf *error);
void list_file_close(struct list_file *file);

/* The next pass begins at the start. `file` is the input's arg, borrowed. */
struct recipients_input list_file_rewind(struct list_file *file);
/* By its name, else by its first bytes. Does not move the pass. */
enum recipients_format list_file_format(const struct list_file *file);

#endif
