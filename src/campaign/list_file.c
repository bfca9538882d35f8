#include "campaign/list_file.h"

#include "bunshin/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COPY_BYTES ((size_t)64 << 10)

static int complain(struct buf *error, const char *what, const char *name)
{
	int code = errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;

	buf_appendf(error, "%s %s: %s", what, name, strerror(errno));
	return code;
}

/* A file that is gone once it is closed; -1 with errno. */
static int open_temporary(void)
{
	const char *directory = getenv("TMPDIR");
	char path[4096];
	int fd;

	if (!directory || !*directory)
		directory = "/tmp";
	if (snprintf(path, sizeof(path), "%s/bunshin-XXXXXX", directory) >= (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		bytes += n;
		len -= (size_t)n;
	}
	return 0;
}

static int copy_all(int from, int to)
{
	char block[COPY_BYTES];

	for (;;) {
		ssize_t n = read(from, block, sizeof(block));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || (n > 0 && write_all(to, block, (size_t)n) < 0))
			return -1;
		if (n == 0)
			return 0;
	}
}

/* A file beside `keep` that is to become it. */
static int open_unfinished(const char *keep, char *path, size_t size)
{
	if (snprintf(path, size, "%s.tmp", keep) >= (int)size) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
}

/* So that the name is on the disk as well. */
static int sync_directory(const char *path)
{
	const char *slash = strrchr(path, '/');
	char directory[4096];
	int fd, rc;

	snprintf(directory, sizeof(directory), "%.*s", slash ? (int)(slash - path) + 1 : 1,
		slash ? path : ".");
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	rc = fsync(fd);
	close(fd);
	return rc;
}

/*
 * If the process dies before the rename there is no copy, but for one that says it is unfinished;
 * the next run writes over that. After it there is a whole one.
 */
static int copy_to(struct list_file *file, int fd, const char *unfinished, const char *keep)
{
	if (copy_all(file->fd, fd) < 0)
		return -1;
	if (!keep)
		return 0;
	if (fsync(fd) < 0 || rename(unfinished, keep) < 0)
		return -1;
	return sync_directory(keep);
}

static int spool(struct list_file *file, const char *keep, struct buf *error)
{
	char unfinished[4096];
	int fd = keep ? open_unfinished(keep, unfinished, sizeof(unfinished)) : open_temporary();

	if (fd < 0)
		return complain(error, "cannot make a file for a copy of", file->name);
	if (copy_to(file, fd, unfinished, keep) < 0) {
		complain(error, "cannot copy", file->name);
		close(fd);
		if (keep)
			unlink(unfinished);
		return ERR_IO;
	}
	if (file->fd > STDIN_FILENO)
		close(file->fd);
	file->fd = fd;
	return 0;
}

int list_file_open(struct list_file *file, const char *path, const char *keep, struct buf *error)
{
	bool standard_input = strcmp(path, "-") == 0;
	struct stat info;

	*file = (struct list_file){.name = standard_input ? "<stdin>" : path, .fd = -1};
	if (digest_init(&file->sha256, "SHA256"))
		return ERR_NOMEM;
	file->fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (file->fd < 0 || fstat(file->fd, &info) < 0)
		return complain(error, "cannot read", file->name);
	if (S_ISDIR(info.st_mode)) {
		buf_appendf(error, "%s is a directory", file->name);
		return ERR_ARGUMENT;
	}
	/* A regular standard input may have been read in part already, hence the copy. */
	return S_ISREG(info.st_mode) && !standard_input ? 0 : spool(file, keep, error);
}

void list_file_close(struct list_file *file)
{
	gunzip_free(file->gunzip);
	file->gunzip = NULL;
	digest_free(&file->sha256);
	if (file->fd > STDIN_FILENO)
		close(file->fd);
	file->fd = -1;
}

const unsigned char *list_file_sha256(const struct list_file *file)
{
	return file->hashed ? file->hash : NULL;
}

static ssize_t read_at(const struct list_file *file, char *bytes, size_t size, uint64_t offset)
{
	ssize_t n;

	do
		n = pread(file->fd, bytes, size, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n;
}

/* Of every pass: the last one has to be over the same bytes as the first. */
static int hash(struct list_file *file, const char *bytes, size_t len)
{
	int err = file->offset == 0 ? digest_begin(&file->sha256) : 0;

	if (err)
		return err;
	if (file->hashed)
		return 0; /* asked once more for what has ended */
	if (len > 0)
		return digest_update(&file->sha256, bytes, len);
	err = digest_end(&file->sha256, file->hash);
	file->hashed = !err;
	return err;
}

static int read_plain(void *arg, char *bytes, size_t size, size_t *ret_len)
{
	struct list_file *file = arg;
	ssize_t n = read_at(file, bytes, size, file->offset);
	int err;

	if (n < 0) {
		snprintf(file->reason, sizeof(file->reason), "cannot read: %s", strerror(errno));
		return ERR_IO;
	}
	err = hash(file, bytes, (size_t)n);
	file->offset += (uint64_t)n;
	*ret_len = (size_t)n;
	return err;
}

static int read_gzip(struct list_file *file, char *bytes, size_t size, size_t *ret_len)
{
	int err = gunzip_read(file->gunzip, bytes, size, ret_len);

	if (err == ERR_SYNTAX)
		snprintf(file->reason, sizeof(file->reason), "%s", gunzip_reason(file->gunzip));
	return err;
}

/* Whether it is gzip is seen when the first bytes are wanted. */
static int begin_pass(struct list_file *file)
{
	const struct recipients_input plain = {read_plain, file};
	char start[2];
	ssize_t n = read_at(file, start, sizeof(start), 0);

	return n > 0 && gunzip_is_gzip(start, (size_t)n) ? gunzip_new(&plain, &file->gunzip) : 0;
}

static int list_file_read(void *arg, char *bytes, size_t size, size_t *ret_len)
{
	struct list_file *file = arg;
	int err = file->offset == 0 && !file->gunzip ? begin_pass(file) : 0;

	if (err)
		return err;
	return file->gunzip ? read_gzip(file, bytes, size, ret_len)
			    : read_plain(file, bytes, size, ret_len);
}

struct recipients_input list_file_rewind(struct list_file *file)
{
	gunzip_free(file->gunzip);
	file->gunzip = NULL;
	file->offset = 0;
	file->hashed = false;
	file->reason[0] = '\0';
	return (struct recipients_input){list_file_read, file};
}

enum recipients_format list_file_format(struct list_file *file)
{
	struct recipients_input input = list_file_rewind(file);
	char start[4096];
	size_t len = 0;

	if (input.read(input.arg, start, sizeof(start), &len))
		len = 0;
	list_file_rewind(file);
	return recipients_guess_format(file->name, start, len);
}
