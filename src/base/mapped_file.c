/*
 * Who may be at it at the same time, and why every one of them ends on the same good file:
 *
 * - Creators. Each fills a file that has no name yet (O_TMPFILE), or the one of the fixed name
 *   PATH.new, and links it to PATH, which fails when something is there. The loser opens what the
 *   winner linked, which has been whole since before it had the name.
 * - Killed creators. A file without a name goes with its process. PATH.new stays, but only one of
 *   them: whoever comes next removes it. Its creator holds a lock on it for as long as it lives, so
 *   nobody removes it under a living one.
 * - Replacers. Who finds the file bad locks that very file, and renames it only if PATH still is
 *   that file. Nobody but the holder of its lock takes it from PATH, so between the look and the
 *   rename it cannot have become the good file of another; and a good file is never renamed.
 *
 * The locks are on files of mode 0600, not on the directory, which others may be able to open and
 * lock as well.
 */
#include "base/mapped_file.h"

#include "bunshin/error.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define WHY_MAX 1024
#define TRIES 1000
#define NAP_MS 10 /* while somebody else is at work: ten seconds in all */

/* What a step may return besides 0 and error codes. */
enum {
	STEP_ABSENT = 1, /* there is no file; or this way of making one does not exist here */
	STEP_AGAIN,	 /* somebody else was faster: look again */
	STEP_LOCKED,	 /* somebody else is at work: look again later */
};

struct opening {
	const char *path;
	char *directory;
	char *fresh; /* PATH.new */
	char *bad;   /* PATH.bad */
	size_t bytes;
	const struct mapped_file_kind *kind;
	void *arg;
	struct mapped_file file;
	struct buf why;	     /* what check() says */
	struct buf replaced; /* what was done about it, if anything was */
	struct buf *reason;
};

static int fail(struct opening *opening, const char *verb, const char *why)
{
	buf_clear(opening->reason);
	buf_appendf(opening->reason, "cannot %s %s: %s", verb, opening->path, why);
	return ERR_IO;
}

static int fail_errno(struct opening *opening, const char *verb)
{
	return errno == ENOMEM ? ERR_NOMEM : fail(opening, verb, strerror(errno));
}

static int map(struct opening *opening, int fd, size_t bytes, const char *verb)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return fail_errno(opening, verb);
	opening->file.memory = memory;
	opening->file.bytes = bytes;
	return 0;
}

/* Does the name stand for this very file? */
static bool is_named(int fd, const char *path)
{
	struct stat by_fd, by_name;

	return fstat(fd, &by_fd) == 0 && lstat(path, &by_name) == 0 &&
	       by_fd.st_dev == by_name.st_dev && by_fd.st_ino == by_name.st_ino;
}

/* Creating. */

/* Until the process dies, or closes it. 0, or STEP_LOCKED, or -1 with errno. */
static int lock(int fd)
{
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return errno == EWOULDBLOCK || errno == EINTR ? STEP_LOCKED : -1;
}

/* Removes what a killed creator left behind. */
static int remove_stale(struct opening *opening)
{
	int fd = open(opening->fresh, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	int step;

	if (fd < 0)
		return errno == ENOENT ? STEP_AGAIN : fail(opening, "create", strerror(errno));
	step = lock(fd);
	if (step == 0 && is_named(fd, opening->fresh) && unlink(opening->fresh) != 0)
		step = -1;
	if (step < 0)
		step = fail(opening, "create", strerror(errno));
	close(fd);
	return step == 0 ? STEP_AGAIN : step;
}

/* A new file of the name PATH.new, locked. */
static int make_named(struct opening *opening, int *ret_fd)
{
	int fd = open(opening->fresh, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	int step;

	if (fd < 0 && errno == EEXIST)
		return remove_stale(opening);
	if (fd < 0)
		return fail_errno(opening, "create");
	step = lock(fd);
	if (step < 0)
		step = fail(opening, "create", strerror(errno));
	/* Between open() and flock() it looked like a dead creator's, and may have been removed. */
	if (step == 0 && is_named(fd, opening->fresh)) {
		*ret_fd = fd;
		return 0;
	}
	close(fd);
	return step ? step : STEP_AGAIN;
}

/* Space, content, and all of it on the disk. */
static int fill(struct opening *opening, int fd)
{
	int err;

	/* Whatever the umask says. */
	if (fchmod(fd, 0600) != 0)
		return fail(opening, "create", strerror(errno));
	do
		err = posix_fallocate(fd, 0, (off_t)opening->bytes);
	while (err == EINTR);
	if (err)
		return fail(opening, "create", strerror(err));
	err = map(opening, fd, opening->bytes, "create");
	if (err)
		return err;
	err = opening->kind->format(opening->arg, opening->file.memory, opening->bytes);
	if (err) {
		fail(opening, "create", error_message(err));
		return err;
	}
	return fsync(fd) == 0 ? 0 : fail(opening, "create", strerror(errno));
}

static int link_unnamed(struct opening *opening, int fd)
{
	char self[sizeof("/proc/self/fd/-2147483648")];

	/* The one needs a privilege, the other /proc. */
	if (linkat(fd, "", AT_FDCWD, opening->path, AT_EMPTY_PATH) == 0)
		return 0;
	if (errno == EEXIST)
		return STEP_AGAIN;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, self, AT_FDCWD, opening->path, AT_SYMLINK_FOLLOW) == 0)
		return 0;
	return errno == EEXIST ? STEP_AGAIN : -1;
}

/* STEP_ABSENT: this file system, or this system, cannot do it so. */
static int create_unnamed(struct opening *opening)
{
	int fd = open(opening->directory, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	int step;

	/* EISDIR, ENOENT: a kernel that does not know the flag. The directory is known to exist. */
	if (fd < 0 &&
		(errno == EOPNOTSUPP || errno == EISDIR || errno == ENOENT || errno == EINVAL))
		return STEP_ABSENT;
	if (fd < 0)
		return fail_errno(opening, "create");
	step = fill(opening, fd);
	if (step == 0)
		step = link_unnamed(opening, fd);
	close(fd);
	return step == -1 ? STEP_ABSENT : step;
}

static int create_named(struct opening *opening)
{
	int fd = -1, step = make_named(opening, &fd);

	if (step)
		return step;
	step = fill(opening, fd);
	if (step == 0 && linkat(AT_FDCWD, opening->fresh, AT_FDCWD, opening->path, 0) != 0)
		step = errno == EEXIST ? STEP_AGAIN : fail_errno(opening, "create");
	unlink(opening->fresh);
	close(fd);
	return step;
}

static int create(struct opening *opening)
{
	int directory = open(opening->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC), step;

	if (directory < 0) {
		buf_clear(opening->reason);
		buf_appendf(opening->reason, "cannot create %s: %s: %s", opening->path,
			opening->directory, strerror(errno));
		return ERR_IO;
	}
	step = create_unnamed(opening);
	if (step == STEP_ABSENT) {
		mapped_file_close(&opening->file);
		step = create_named(opening);
	}
	/* Many that start at once may fill the disk together, until one is through. */
	if (step == ERR_IO && access(opening->path, F_OK) == 0)
		step = STEP_AGAIN;
	/* Whole it is in any case; this is for the name, and for that of a bad one. */
	if (step == 0 && fsync(directory) != 0)
		step = fail(opening, "create", strerror(errno));
	if (step == 0)
		opening->file.created = true;
	close(directory);
	return step;
}

/* Opening what is there. */

/* Takes a file that cannot be used out of the way. */
static int set_aside(struct opening *opening, int fd, const char *why)
{
	int step = lock(fd);

	if (step < 0)
		return fail(opening, "replace", strerror(errno));
	if (step)
		return step;
	if (!is_named(fd, opening->path))
		return STEP_AGAIN;
	if (rename(opening->path, opening->bad) != 0)
		return fail(opening, "replace", strerror(errno));
	buf_clear(&opening->replaced);
	buf_appendf(&opening->replaced, "cannot use %s: %s; it is now %s", opening->path, why,
		opening->bad);
	return STEP_ABSENT;
}

/*
 * It may have been copied here with holes in it. Not posix_fallocate(): where the file system
 * cannot do it, that writes zeros over what it has read as zero, and others are at work there.
 */
static int fill_holes(struct opening *opening, int fd)
{
	int err;

	do
		err = fallocate(fd, 0, 0, (off_t)opening->file.bytes) == 0 ? 0 : errno;
	while (err == EINTR);
	if (err && err != EOPNOTSUPP)
		return fail(opening, "reserve the space of", strerror(err));
	return 0;
}

static int use(struct opening *opening, int fd)
{
	struct stat status;
	int err;

	if (fstat(fd, &status) != 0)
		return fail(opening, "open", strerror(errno));
	if (!S_ISREG(status.st_mode))
		return fail(opening, "open", "not a regular file");
	if (status.st_size == 0)
		return set_aside(opening, fd, "it is empty");
	err = map(opening, fd, (size_t)status.st_size, "open");
	if (err)
		return err;
	buf_clear(&opening->why);
	err = opening->kind->check(
		opening->arg, opening->file.memory, opening->file.bytes, &opening->why);
	if (opening->why.err == ERR_NOMEM)
		return ERR_NOMEM;
	if (err == ERR_SYNTAX)
		return set_aside(opening, fd, buf_string(&opening->why));
	return err ? err : fill_holes(opening, fd);
}

static int open_existing(struct opening *opening)
{
	/* O_NONBLOCK: a device or a FIFO in its place must not hold us up. */
	int fd = open(opening->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	int step;

	if (fd < 0 && errno == ENOENT)
		return STEP_ABSENT;
	if (fd < 0 && errno == ELOOP)
		return fail(opening, "open", "a symbolic link, which is not followed");
	if (fd < 0 && (errno == EISDIR || errno == ENXIO || errno == ENODEV))
		return fail(opening, "open", "not a regular file");
	if (fd < 0)
		return fail_errno(opening, "open");
	step = use(opening, fd);
	close(fd);
	return step;
}

static int open_or_create(struct opening *opening)
{
	static const struct timespec nap = {.tv_nsec = NAP_MS * 1000000L};
	int step = 0;

	for (int i = 0; i < TRIES; i++) {
		step = open_existing(opening);
		if (step == STEP_ABSENT) {
			mapped_file_close(&opening->file);
			step = create(opening);
		}
		if (step <= 0)
			return step;
		mapped_file_close(&opening->file);
		if (step == STEP_LOCKED)
			nanosleep(&nap, NULL);
	}
	return fail(opening, "open",
		step == STEP_LOCKED ? "another process has locked it"
				    : "other processes keep replacing it");
}

static char *join(const char *path, size_t len, const char *end)
{
	size_t end_bytes = strlen(end) + 1;
	char *joined = malloc(len + end_bytes);

	if (!joined)
		return NULL;
	memcpy(joined, path, len);
	memcpy(joined + len, end, end_bytes);
	return joined;
}

/* "/a/b" -> "/a", "/b" -> "/", "b" -> "." */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return join(path, slash == path ? 1 : (size_t)(slash - path), "");
}

int mapped_file_open(const char *path, size_t bytes, const struct mapped_file_kind *kind, void *arg,
	struct mapped_file *ret, struct buf *reason)
{
	struct opening opening = {
		.path = path,
		.directory = directory_of(path),
		.fresh = join(path, strlen(path), ".new"),
		.bad = join(path, strlen(path), ".bad"),
		.bytes = bytes,
		.kind = kind,
		.arg = arg,
		.why = BUF_INIT(WHY_MAX),
		.replaced = BUF_INIT(reason->max),
		.reason = reason,
	};
	int err = ERR_NOMEM;

	buf_clear(reason);
	if (opening.directory && opening.fresh && opening.bad)
		err = open_or_create(&opening);
	if (err) {
		mapped_file_close(&opening.file);
	} else {
		opening.file.replaced = opening.replaced.len > 0 || opening.replaced.err;
		*ret = opening.file;
		/* Whatever failed on the way. */
		buf_clear(reason);
		reason->err = opening.replaced.err;
		buf_append_string(reason, buf_string(&opening.replaced));
	}
	buf_free(&opening.why);
	buf_free(&opening.replaced);
	free(opening.directory);
	free(opening.fresh);
	free(opening.bad);
	return err;
}

int mapped_file_anonymous(
	size_t bytes, const struct mapped_file_kind *kind, void *arg, struct mapped_file *ret)
{
	struct mapped_file file = {.bytes = bytes, .created = true};
	int err;

	file.memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (file.memory == MAP_FAILED)
		return ERR_NOMEM;
	err = kind->format(arg, file.memory, bytes);
	if (err)
		mapped_file_close(&file);
	else
		*ret = file;
	return err;
}

void mapped_file_close(struct mapped_file *file)
{
	if (file->memory)
		munmap(file->memory, file->bytes);
	*file = (struct mapped_file){0};
}
