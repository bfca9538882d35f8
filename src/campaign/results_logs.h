/*
 * Outcome logs of this host into the results database: reads what workers append to
 * outcomes-N.jsonl in a directory, and what was rotated to outcomes-N.jsonl.S, once.
 *
 * How far each file has been read is kept in the database, with the records that were read up to
 * there. If the process dies
 *  - before the commit: both are as before, and the piece is read again.
 *  - after it: the piece is not read again.
 * A file that was rotated is the same file by its inode; one that was removed before it was read is
 * lost to this reader. A line whose end has not been written yet is left for later.
 */
#ifndef CAMPAIGN_RESULTS_LOGS_H
#define CAMPAIGN_RESULTS_LOGS_H

#include "base/buf.h"
#include "campaign/results_db.h"

#include <stdbool.h>
#include <stdint.h>

#define RESULTS_LOGS_TURN_BYTES ((size_t)8 << 20) /* read before others get their turn */

struct results_logs;

/* The directory's name is copied, the database borrowed. 0 or ERR_NOMEM. */
int results_logs_new(const char *directory, struct results_db *db, struct results_logs **ret_logs);
void results_logs_free(struct results_logs *logs); /* NULL is fine */

/*
 * Reads what is new, about RESULTS_LOGS_TURN_BYTES of it at most, and commits. *ret_more: there is
 * more. 0, or with a sentence in `error`: ERR_IO (the directory or a file cannot be read, or the
 * database not written), ERR_NOMEM. It may be tried again.
 */
int results_logs_read(struct results_logs *logs, bool *ret_more, struct buf *error);

/* Lines that made no sense, since results_logs_new(). */
uint64_t results_logs_broken(const struct results_logs *logs);

#endif
