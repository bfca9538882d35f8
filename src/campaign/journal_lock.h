/*
 * The lock of the process that sends a campaign: on a file of its own, PATH.lock, which holds the
 * process's id for people. It goes with the process. Whoever gives it up removes the file; one that
 * a dead process left is taken over.
 */
#ifndef CAMPAIGN_JOURNAL_LOCK_H
#define CAMPAIGN_JOURNAL_LOCK_H

#include "base/buf.h"

#include <sys/types.h>

/* path: of the journal. 0; ERR_PENDING, ERR_IO or ERR_NOMEM with a sentence in `error`. */
int journal_lock_take(const char *path, int *ret_fd, struct buf *error);
/* fd -1 is fine. */
void journal_lock_release(const char *path, int fd);
/* The process that holds it; 0: nobody, -1: somebody whose id is not known. */
pid_t journal_lock_holder(const char *path);

#endif
