/*
 * Copies the write-ahead log of a store into its database, on a thread and a connection of its own,
 * so that no commit waits for the copying or for an fsync of what it copied.
 *
 * A pass (SQLite: a PASSIVE checkpoint) runs beside the writer and copies what was committed when
 * it began. SQLite begins the log anew only when a transaction starts with everything copied, which
 * under constant writing never happens by itself; the log would grow without end. So when the log
 * is long, passes follow one another until little is left, and the last of them runs while the
 * writer is held back between two transactions. That pause is the longest that a commit waits: two
 * fsyncs of a few pages.
 *
 * Death of the process at any line loses nothing: the log holds all that was committed until a
 * transaction overwrites it, which needs a pass that has ended, with the database on the disk.
 *
 * The writer's thread calls enter, leave and trouble; start and stop may be called from anywhere,
 * while no transaction is open.
 */
#ifndef LOCALQ_CHECKPOINT_H
#define LOCALQ_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>

#define CHECKPOINT_DETAIL_MAX 256

struct checkpointer;

/*
 * `path` is the database, in WAL mode, which a connection of this process has open through the same
 * `vfs`. Returns 0, ERR_NOMEM or ERR_STORE, `detail` then says what is wrong.
 */
int checkpointer_start(const char *path, const char *vfs, struct checkpointer **ret,
	char detail[CHECKPOINT_DETAIL_MAX]);
/* Waits for a pass under way. Does not copy what is left. NULL is fine. */
void checkpointer_stop(struct checkpointer *checkpointer);

/* Before a transaction begins: waits for a pause to end. */
void checkpointer_enter(struct checkpointer *checkpointer);
/* After its end, however it ended; the log holds `frames` (pages) now. */
void checkpointer_leave(struct checkpointer *checkpointer, int frames);
/*
 * Why the last pass failed, as SQLite says it; false: it did not. Nothing is lost by it and it is
 * tried again, but the log grows.
 */
bool checkpointer_trouble(struct checkpointer *checkpointer, char ret[CHECKPOINT_DETAIL_MAX]);

#endif
