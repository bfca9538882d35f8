/* The shared files from disk; shared_files.c reads what is in them. */
#include "aws/credentials/shared_files.h"
#include "bunshin/error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct file {
	char path[PATH_MAX];
	bool exists;
	struct buf text;
};

/* False: there is no such path, since HOME is not set. */
static bool find_path(struct file *file, const char *(*lookup)(const char *name),
	const char *variable, const char *in_home)
{
	const char *home = lookup("HOME");
	const char *path = lookup(variable);
	int len;

	if (path == NULL || path[0] == '\0')
		path = in_home;
	if (strncmp(path, "~/", 2) != 0)
		len = snprintf(file->path, sizeof(file->path), "%s", path);
	else if (home != NULL && home[0] != '\0')
		len = snprintf(file->path, sizeof(file->path), "%s/%s", home, path + 2);
	else
		return false;
	return len < (int)sizeof(file->path);
}

/* All of it into memory that is reserved at once, so that wiping it leaves nothing behind. */
static int read_text(int fd, struct buf *text)
{
	const size_t capacity = SHARED_FILE_MAX_BYTES + 1;
	ssize_t n = 1;

	buf_init(text, capacity);
	if (buf_reserve(text, capacity) == NULL)
		return text->err;
	while (n != 0 && text->len < capacity) {
		n = read(fd, text->data + text->len, capacity - text->len);
		if (n < 0 && errno != EINTR)
			return ERR_IO;
		buf_advance(text, n > 0 ? (size_t)n : 0);
	}
	return text->len == capacity ? ERR_TOO_LARGE : 0;
}

static int read_file(struct file *file, struct buf *error)
{
	/* Not to wait for the writer of a named pipe. */
	int fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	int err;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	err = fd < 0 ? ERR_IO : read_text(fd, &file->text);
	if (err == ERR_IO)
		buf_appendf(error, "cannot read %s: %s", file->path, strerror(errno));
	if (err == ERR_TOO_LARGE)
		buf_appendf(
			error, "%s is larger than %zu bytes", file->path, SHARED_FILE_MAX_BYTES);
	if (fd >= 0)
		close(fd);
	file->exists = err == 0;
	return err;
}

int shared_files_read(
	const char *(*lookup)(const char *name), struct shared_files **ret_files, struct buf *error)
{
	struct file config = {.exists = false}, credentials = {.exists = false};
	int err = 0;

	if (find_path(&config, lookup, "AWS_CONFIG_FILE", "~/.aws/config"))
		err = read_file(&config, error);
	if (err == 0 && find_path(&credentials, lookup, "AWS_SHARED_CREDENTIALS_FILE",
				"~/.aws/credentials"))
		err = read_file(&credentials, error);
	if (err == 0)
		err = shared_files_parse(config.path,
			config.exists ? buf_string(&config.text) : NULL, config.text.len,
			credentials.path, credentials.exists ? buf_string(&credentials.text) : NULL,
			credentials.text.len, ret_files, error);
	buf_wipe(&config.text);
	buf_wipe(&credentials.text);
	return err;
}
