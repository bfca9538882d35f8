#include "results/log.h"

#include "base/buf.h"
#include "bunshin/error.h"
#include "results/log_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define AGAIN_US 1000000 /* after something that did not work */

struct results_log {
	struct results_log_options options;
	char *path;
	int directory;		  /* -1: not open */
	struct log_number number; /* held once fd is there */
	int fd;			  /* of the file that is being written; -1: none */
	uint64_t end;		  /* its size */
	bool torn;		  /* it ends inside of a line that somebody else began */
	bool midway;		  /* it ends inside of a line whose rest comes first in `waiting` */
	uint64_t again_us;	  /* nothing is opened or renamed before */
	struct buf waiting;
	uint64_t lines; /* in `waiting` */
	struct counter *written, *lost, *unsent_bytes;
};

static bool may_try(const struct results_log *log)
{
	return clock_monotonic_us(log->options.clock) >= log->again_us;
}

static void tell(struct results_log *log, const char *what, int error)
{
	log->again_us = clock_monotonic_us(log->options.clock) + AGAIN_US;
	if (log->options.trouble)
		log->options.trouble(log->options.arg, what, error);
}

/* Whether it ends inside of a line: its writer was killed. */
static bool is_torn(int fd, uint64_t size)
{
	char last;

	return size > 0 && pread(fd, &last, 1, (off_t)size - 1) == 1 && last != '\n';
}

/* False: told of. */
static bool open_file(struct results_log *log)
{
	struct stat status;

	log->fd = log_files_write(&log->number);
	if (log->fd < 0) {
		tell(log, "opening the outcome log", -log->fd);
		log->fd = -1;
		return false;
	}
	log->end = fstat(log->fd, &status) == 0 ? (uint64_t)status.st_size : 0;
	log->torn = is_torn(log->fd, log->end);
	log->midway = false;
	return true;
}

/* False: told of, or not tried again yet. */
static bool ensure_open(struct results_log *log)
{
	int error = 0;

	if (log->fd >= 0)
		return true;
	if (!may_try(log))
		return false;
	if (log->directory < 0) {
		log->directory = log_files_open(log->path);
		error = log->directory < 0 ? -log->directory : 0;
	}
	if (!error && !log->number.held)
		error = -log_files_take(log->directory, &log->number);
	if (error) {
		tell(log, "opening the directory of the outcome log", error);
		return false;
	}
	return open_file(log);
}

static int open_metrics(struct results_log *log)
{
	struct metrics *metrics = log->options.metrics;

	log->written = metrics_counter(metrics, "bunshin_outcomes_written_total",
		"Lines written into the outcome log.", "");
	log->lost = metrics_counter(metrics, "bunshin_outcomes_lost_total",
		"Lines that the outcome log has no room for, or that could not be written.", "");
	log->unsent_bytes = metrics_counter(metrics, "bunshin_outcomes_unsent_deleted_bytes_total",
		"Bytes of the outcome log that were deleted to make room before they were sent to "
		"the results queue.",
		"");
	return log->written && log->lost && log->unsent_bytes ? 0 : ERR_NOMEM;
}

int results_log_new(const struct results_log_options *options, struct results_log **ret_log)
{
	struct results_log *log = calloc(1, sizeof(*log));

	if (!log)
		return ERR_NOMEM;
	log->options = *options;
	log->directory = log->fd = -1;
	buf_init(&log->waiting, LOG_WAITING_MAX);
	log->path = strdup(options->directory);
	if (!log->path || open_metrics(log)) {
		results_log_free(log);
		return ERR_NOMEM;
	}
	ensure_open(log);
	*ret_log = log;
	return 0;
}

void results_log_free(struct results_log *log)
{
	if (!log)
		return;
	if (log->waiting.len > 0) {
		results_log_flush(log);
		counter_add(log->lost, log->lines);
	}
	if (log->fd >= 0)
		close(log->fd);
	log_files_release(&log->number);
	if (log->directory >= 0)
		close(log->directory);
	buf_free(&log->waiting);
	free(log->path);
	free(log);
}

/* True: a line of any length finds room. Else it is lost. */
static bool has_room(struct results_log *log)
{
	if (log->waiting.max - log->waiting.len >= RESULTS_LINE_MAX)
		return true;
	results_log_flush(log);
	if (log->waiting.max - log->waiting.len >= RESULTS_LINE_MAX)
		return true;
	counter_add(log->lost, 1);
	return false;
}

static void appended(struct results_log *log, int err)
{
	/* Short of memory, the buffer is as it was. */
	if (err) {
		log->waiting.err = 0;
		counter_add(log->lost, 1);
	} else {
		log->lines++;
	}
}

void results_log_append(struct results_log *log, const struct result_record *record)
{
	if (has_room(log))
		appended(log, result_record_append(record, &log->waiting));
}

void results_log_append_status(struct results_log *log, const struct result_status *status)
{
	if (has_room(log))
		appended(log, result_status_append(status, &log->waiting));
}

/*
 * No file is larger than it may be, unless what waits is.
 *
 * If the process dies between the two steps, the next one finds no file that is being written, and
 * makes it.
 */
static void rotate(struct results_log *log)
{
	int error;

	if (log->end == 0 || log->end + log->waiting.len <= log->options.file_bytes ||
		log->midway || log->torn || !may_try(log))
		return;
	error = -log_files_rotate(&log->number);
	if (error) {
		tell(log, "rotating the outcome log", error);
		return;
	}
	close(log->fd);
	log->fd = -1;
	open_file(log);
	counter_add(log->unsent_bytes,
		log_files_prune(log->directory, log->options.keep_bytes, log->options.shipped));
}

/* False: not all of it. *ret_written: how much. */
static bool write_all(int fd, const char *bytes, size_t len, size_t *ret_written)
{
	*ret_written = 0;
	while (*ret_written < len) {
		ssize_t n = write(fd, bytes + *ret_written, len - *ret_written);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		*ret_written += (size_t)n;
	}
	return true;
}

static void end_torn_line(struct results_log *log)
{
	size_t n;

	if (!log->torn || !write_all(log->fd, "\n", 1, &n))
		return;
	log->torn = false;
	log->end++;
}

static uint64_t count_lines(const char *bytes, size_t len)
{
	uint64_t count = 0;

	for (const char *p = bytes; (p = memchr(p, '\n', len - (size_t)(p - bytes))) != NULL; p++)
		count++;
	return count;
}

/* The first n bytes have been written. */
static void drop_written(struct results_log *log, size_t n)
{
	uint64_t whole;

	if (n == 0)
		return;
	log->end += n;
	log->midway = log->waiting.data[n - 1] != '\n';
	whole = n == log->waiting.len ? log->lines : count_lines(log->waiting.data, n);
	counter_add(log->written, whole);
	log->lines -= whole;
	memmove(log->waiting.data, log->waiting.data + n, log->waiting.len - n);
	buf_truncate(&log->waiting, log->waiting.len - n);
}

void results_log_flush(struct results_log *log)
{
	bool whole;
	size_t n;

	if (log->waiting.len == 0 || !ensure_open(log))
		return;
	rotate(log);
	if (log->fd < 0)
		return;
	end_torn_line(log);
	if (log->torn) {
		tell(log, "writing the outcome log", errno);
		return;
	}
	whole = write_all(log->fd, log->waiting.data, log->waiting.len, &n);
	if (!whole)
		tell(log, "writing the outcome log", errno);
	drop_written(log, n);
}

size_t results_log_waiting(const struct results_log *log)
{
	return log->waiting.len;
}

struct log_number *results_log_number(struct results_log *log)
{
	return log->number.held ? &log->number : NULL;
}

uint64_t results_log_end(const struct results_log *log)
{
	return log->end;
}
