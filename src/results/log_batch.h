/*
 * Lines of an outcome log made into the entries of one SendMessageBatch. Private to results.
 *
 * An entry is lines, one after the other, as they stand in the log, LOG_ENTRY_BYTES at most: SQS
 * counts a request for each 64 KiB of one (SQS pricing). What is no whole line is left out.
 */
#ifndef RESULTS_LOG_BATCH_H
#define RESULTS_LOG_BATCH_H

#include "bunshin/queue.h"
#include "results/log_files.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOG_ENTRY_BYTES ((size_t)60 << 10)
#define LOG_BATCH_BYTES (QUEUE_BATCH_MAX * LOG_ENTRY_BYTES)

struct log_entry {
	size_t at, len; /* in log_batch.bytes */
};

/* Zeroed to begin with. */
struct log_batch {
	char *bytes; /* LOG_BATCH_BYTES of them; owned */
	struct log_entry entries[QUEUE_BATCH_MAX];
	size_t count;
	bool full;	  /* there is more than it has room for */
	uint64_t records; /* in it */
	uint64_t broken;  /* left out as no lines, ever */
};

/*
 * Packs len bytes (at most LOG_BATCH_BYTES) that stand in batch->bytes, in place, and forgets what
 * was in it. Returns how many of them it has done with: up to the end of the last line that found
 * room. ended: nothing will follow them, so what has no line end is no line.
 */
size_t log_batch_pack(struct log_batch *batch, size_t len, bool ended);

/* Reads on from a place in a number's files. */
struct log_reader {
	struct log_number *number; /* borrowed; may rotate meanwhile */
	struct log_position at;	   /* what comes before it has been read */
	int fd;			   /* of the file at->sequence; -1: not open */
};

/* From what has been sent on. log_reader_close() is needed. */
void log_reader_open(struct log_reader *reader, struct log_number *number);
/* Zeroed or closed is fine. */
void log_reader_close(struct log_reader *reader);
/*
 * Fills the batch with what comes next and sets *ret_end to the place behind it; the reader stays
 * where it is, or goes to the start of a later file when there was nothing more in the one that it
 * was in. written: nobody writes the number's last file any more. 0, ERR_NOMEM, or ERR_IO: a file
 * cannot be read. A count of 0: there is nothing more for now, and *ret_end is worth keeping
 * still.
 */
int log_reader_fill(struct log_reader *reader, struct log_batch *batch, bool written,
	struct log_position *ret_end);

#endif
