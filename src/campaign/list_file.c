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

static int spool(struct list_file *file, struct buf *error)
{
	int fd = open_temporary();

	if (fd < 0)
		return complain(error, "cannot make a temporary file for", file->name);
	if (copy_all(file->fd, fd) < 0) {
		complain(error, "cannot copy", file->name);
		close(fd);
		return ERR_IO;
	}
	list_file_close(file);
	file->fd = fd;
	return 0;
}

int list_file_open(struct list_file *file, const char *path, struct buf *error)
{
	bool standard_input = strcmp(path, "-") == 0;
	struct stat info;

	*file = (struct list_file){.name = standard_input ? "<stdin>" : path};
	file->fd = standard_input ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
	if (file->fd < 0 || fstat(file->fd, &info) < 0)
		return complain(error, "cannot read", file->name);
	if (S_ISDIR(info.st_mode)) {
		buf_appendf(error, "%s is a directory", file->name);
		return ERR_ARGUMENT;
	}
	/* A regular standard input may have been read in part already, hence the copy. */
	return S_ISREG(info.st_mode) && !standard_input ? 0 : spool(file, error);
}

void list_file_close(struct list_file *file)
{
	if (file->fd > STDIN_FILENO)
		close(file->fd);
	file->fd = -1;
}

static ssize_t read_at(const struct list_file *file, char *bytes, size_t size, uint64_t offset)
{
	ssize_t n;

	do
		n = pread(file->fd, bytes, size, (off_t)offset);
	while (n < 0 && errno == EINTR);
	return n;
}

static int list_file_read(void *arg, char *bytes, size_t size, size_t *ret_len)
{
	struct list_file *file = arg;
	ssize_t n = read_at(file, bytes, size, file->offset);

	if (n < 0) {
		snprintf(file->reason, sizeof(file->reason), "cannot read: %s", strerror(errno));
		return ERR_IO;
	}
	file->offset += (uint64_t)n;
	*ret_len = (size_t)n;
	return 0;
}

struct recipients_input list_file_rewind(struct list_file *file)
{
	file->offset = 0;
	return (struct recipients_input){list_file_read, file};
}

enum recipients_format list_file_format(const struct list_file *file)
{
	char start[4096];
	ssize_t n = read_at(file, start, sizeof(start), 0);

	return recipients_guess_format(file->name, start, n > 0 ? (size_t)n : 0);
}
