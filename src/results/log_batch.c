#include "results/log_batch.h"

#include "bunshin/error.h"
#include "results/record.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- packing */

/* Puts a line that stands at `from` behind the others. False: no room. */
static bool add_line(struct log_batch *batch, size_t from, size_t len)
{
	struct log_entry *entry = batch->count ? &batch->entries[batch->count - 1] : NULL;
	size_t at = entry ? entry->at + entry->len : 0;

	if (!entry || entry->len + len > LOG_ENTRY_BYTES) {
		if (batch->count == QUEUE_BATCH_MAX)
			return false;
		entry = &batch->entries[batch->count++];
		*entry = (struct log_entry){.at = at};
	}
	if (at != from)
		memmove(batch->bytes + at, batch->bytes + from, len);
	entry->len += len;
	batch->records += result_line_is_record(batch->bytes + at, len);
	return true;
}

size_t log_batch_pack(struct log_batch *batch, size_t len, bool ended)
{
	size_t at = 0;

	batch->count = 0;
	batch->full = false;
	batch->records = 0;
	while (at < len) {
		const char *line = batch->bytes + at;
		const char *end = memchr(line, '\n', len - at);
		size_t bytes = end ? (size_t)(end - line) + 1 : len - at;

		/* A line is not that long: what comes of it can be left out now. */
		if (!end && !ended && bytes < RESULTS_LINE_MAX)
			break;
		if (!end || !result_line_is_whole(line, bytes)) {
			batch->broken++;
		} else if (!add_line(batch, at, bytes)) {
			batch->full = true;
			break;
		}
		at += bytes;
	}
	return at;
}

/* ---- reading */

void log_reader_open(struct log_reader *reader, struct log_number *number)
{
	*reader = (struct log_reader){.number = number, .at = number->sent, .fd = -1};
}

void log_reader_close(struct log_reader *reader)
{
	if (reader->number && reader->fd >= 0)
		close(reader->fd);
	reader->fd = -1;
}

static void go_to(struct log_reader *reader, uint64_t sequence)
{
	log_reader_close(reader);
	reader->at = (struct log_position){.sequence = sequence};
}

/* Opens the file that it is in, or the next that there is. 0, ERR_NOT_FOUND (none) or ERR_IO. */
static int ensure_open(struct log_reader *reader)
{
	const struct log_number *number = reader->number;
	struct stat status;

	while (reader->fd < 0) {
		int fd =
			reader->at.sequence ? log_files_read(number, reader->at.sequence) : -ENOENT;

		if (fd == -ENOENT && reader->at.sequence < number->sequence) {
			go_to(reader, log_files_next(number, reader->at.sequence));
			continue;
		}
		if (fd < 0)
			return fd == -ENOENT ? ERR_NOT_FOUND : ERR_IO;
		reader->fd = fd;
		/* Shorter than it was: somebody has put another one in its place. */
		if (fstat(fd, &status) == 0 && (uint64_t)status.st_size < reader->at.offset)
			reader->at.offset = 0;
	}
	return 0;
}

int log_reader_fill(struct log_reader *reader, struct log_batch *batch, bool written,
	struct log_position *ret_end)
{
	batch->count = 0;
	if (!batch->bytes)
		batch->bytes = malloc(LOG_BATCH_BYTES);
	if (!batch->bytes)
		return ERR_NOMEM;
	for (;;) {
		int err = ensure_open(reader);
		bool is_last = reader->at.sequence >= reader->number->sequence;
		ssize_t n = err ? 0
				: pread(reader->fd, batch->bytes, LOG_BATCH_BYTES,
					  (off_t)reader->at.offset);

		*ret_end = reader->at;
		if (err || n < 0)
			return err == ERR_NOT_FOUND ? 0 : ERR_IO;
		ret_end->offset += log_batch_pack(
			batch, (size_t)n, (size_t)n < LOG_BATCH_BYTES && (!is_last || written));
		batch->full |= (size_t)n == LOG_BATCH_BYTES;
		if (batch->count > 0)
			return 0;
		if (ret_end->offset > reader->at.offset)
			reader->at = *ret_end; /* nothing of it was a line */
		else if (is_last)
			return 0;
		else
			go_to(reader, log_files_next(reader->number, reader->at.sequence));
	}
}
