#include "campaign/journal_lock.h"

#include "bunshin/error.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int lock_path(const char *path, char name[PATH_MAX])
{
	if (snprintf(name, PATH_MAX, "%s.lock", path) < PATH_MAX)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}

/* Open file description locks: independent of SQLite's, and of what else this process closes. */
static int lock_call(int fd, int command, struct flock *lock)
{
	*lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
	return fcntl(fd, command, lock);
}

/* A file that another took away between our open and our lock is not the lock any more. */
static bool is_in_place(int fd, const char *name)
{
	struct stat ours, theirs;

	return fstat(fd, &ours) == 0 && stat(name, &theirs) == 0 && ours.st_ino == theirs.st_ino &&
	       ours.st_dev == theirs.st_dev;
}

static void write_pid(int fd)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

	/* Only for people: a full disk is found out where it matters. */
	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, (size_t)len, 0) < 0)
		return;
}

static pid_t read_pid(int fd)
{
	char text[32], *end;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	long pid;

	if (n <= 0)
		return -1;
	text[n] = '\0';
	pid = strtol(text, &end, 10);
	return *end == '\n' && pid > 0 && pid <= INT_MAX ? (pid_t)pid : -1;
}

static int cannot(const char *what, const char *name, struct buf *error)
{
	buf_appendf(error, "cannot %s %s: %s", what, name, strerror(errno));
	return ERR_IO;
}

static int is_taken(const char *path, int fd, struct buf *error)
{
	pid_t pid = read_pid(fd);

	buf_appendf(error, "another process is sending %s", path);
	if (pid > 0)
		buf_appendf(error, " (process %ld)", (long)pid);
	return ERR_PENDING;
}

int journal_lock_take(const char *path, int *ret_fd, struct buf *error)
{
	char name[PATH_MAX];
	struct flock lock;
	int fd, rc;

	if (lock_path(path, name) < 0)
		return cannot("make the lock of", path, error);
	for (;;) {
		fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return cannot("open", name, error);
		if (lock_call(fd, F_OFD_SETLK, &lock) < 0) {
			rc = errno == EAGAIN || errno == EACCES ? is_taken(path, fd, error)
								: cannot("lock", name, error);
			close(fd);
			return rc;
		}
		if (is_in_place(fd, name))
			break;
		close(fd);
	}
	write_pid(fd);
	*ret_fd = fd;
	return 0;
}

void journal_lock_release(const char *path, int fd)
{
	char name[PATH_MAX];

	if (fd < 0)
		return;
	if (lock_path(path, name) == 0)
		unlink(name);
	close(fd);
}

pid_t journal_lock_holder(const char *path)
{
	char name[PATH_MAX];
	struct flock lock;
	pid_t pid = 0;
	int fd;

	if (lock_path(path, name) < 0)
		return 0;
	fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == EACCES ? -1 : 0;
	if (lock_call(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
		pid = read_pid(fd);
	close(fd);
	return pid;
}
