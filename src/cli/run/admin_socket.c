#include "cli/run/admin_socket.h"

#include "base/log.h"
#include "bunshin/error.h"
#include "http/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define UNIX_PREFIX "unix:"
#define UNIX_MODE 0660
#define LOCK_TRIES 100
#define LOCK_PAUSE_NS 10000000L

const char *admin_socket_path(const char *address)
{
	size_t len = strlen(UNIX_PREFIX);

	return strncmp(address, UNIX_PREFIX, len) == 0 ? address + len : NULL;
}

/*
 * Locks the directory of a path, so that nobody takes a socket that another has just bound, and not
 * yet listened on, for a stale one. The descriptor whose end is the lock's; -1: it goes without.
 */
static int lock_directory(const char *path)
{
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
	const char *slash = strrchr(path, '/');
	char directory[sizeof(((struct sockaddr_un *)NULL)->sun_path)] = ".";
	int fd;

	if (slash)
		snprintf(directory, sizeof(directory), "%.*s",
			slash == path ? 1 : (int)(slash - path), path);
	fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; fd >= 0 && i < LOCK_TRIES; i++) {
		if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
			break;
		nanosleep(&pause, NULL);
	}
	return fd;
}

/* A socket at that path on which nobody listens any more. */
static bool is_stale(const struct sockaddr_un *address)
{
	struct stat status;
	bool refused;
	int fd;

	if (lstat(address->sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) != 0 &&
		  errno == ECONNREFUSED;
	close(fd);
	return refused;
}

/* 0, or -1 with errno: EADDRINUSE only when somebody listens there. */
static int bind_path(int fd, const struct sockaddr_un *address)
{
	struct stat status;

	if (bind(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
		return 0;
	if (errno != EADDRINUSE)
		return -1;
	if (is_stale(address) && unlink(address->sun_path) == 0)
		return bind(fd, (const struct sockaddr *)address, sizeof(*address));
	if (lstat(address->sun_path, &status) == 0 && !S_ISSOCK(status.st_mode))
		errno = EEXIST;
	else
		errno = EADDRINUSE;
	return -1;
}

static int bind_and_listen(int fd, const struct sockaddr_un *address, struct admin_file *ret_file)
{
	mode_t mask = umask(0777 & ~UNIX_MODE);
	int result = bind_path(fd, address);
	struct stat status;

	umask(mask);
	if (result != 0)
		return ERR_IO;
	if (lstat(address->sun_path, &status) != 0 || listen(fd, SOMAXCONN) != 0) {
		result = errno;
		unlink(address->sun_path);
		errno = result;
		return ERR_IO;
	}
	*ret_file = (struct admin_file){.dev = status.st_dev, .ino = status.st_ino};
	return 0;
}

/* 0, ERR_ARGUMENT: too long or none, or ERR_IO with errno. */
static int open_unix(const char *path, int *ret_fd, struct admin_file *ret_file)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd, lock, err, saved;

	if (path[0] == '\0' || strlen(path) >= sizeof(address.sun_path))
		return ERR_ARGUMENT;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return ERR_IO;
	lock = lock_directory(path);
	err = bind_and_listen(fd, &address, ret_file);
	saved = errno;
	if (lock >= 0)
		close(lock);
	if (err)
		close(fd);
	else
		*ret_fd = fd;
	errno = saved;
	return err;
}

static int open_any(const char *listen, int *ret_fd, char ret_address[ADMIN_ADDRESS_SIZE],
	struct admin_file *ret_file)
{
	const char *path = admin_socket_path(listen);
	char address[LISTEN_TEXT_MAX];
	int family, err;

	if (path) {
		snprintf(ret_address, ADMIN_ADDRESS_SIZE, "%s", listen);
		return open_unix(path, ret_fd, ret_file);
	}
	err = listen_open(listen, ret_fd, &family, address);
	if (!err)
		snprintf(ret_address, ADMIN_ADDRESS_SIZE, "%s", address);
	return err;
}

int admin_socket_open(const char *listen, int *ret_fd, char ret_address[ADMIN_ADDRESS_SIZE],
	struct admin_file *ret_file, struct buf *error)
{
	int err;

	*ret_fd = -1;
	ret_address[0] = '\0';
	*ret_file = (struct admin_file){.ino = 0};
	if (!listen)
		return 0;
	err = open_any(listen, ret_fd, ret_address, ret_file);
	if (!err)
		return 0;
	ret_address[0] = '\0';
	if (err == ERR_IO && errno == EADDRINUSE) {
		log_warn("the admin port is in use: this one goes on without",
			LOG_STR("address", listen));
		return 0;
	}
	buf_appendf(error, "admin.listen: cannot listen on %s: %s", listen,
		err == ERR_IO ? strerror(errno) : error_message(err));
	return err;
}

void admin_socket_close(int fd, const char *address, const struct admin_file *file)
{
	const char *path = admin_socket_path(address);
	struct stat status;
	int lock;

	if (fd < 0)
		return;
	if (path && file->ino != 0) {
		lock = lock_directory(path);
		if (lstat(path, &status) == 0 && status.st_dev == file->dev &&
			status.st_ino == file->ino)
			unlink(path);
		if (lock >= 0)
			close(lock);
	}
	close(fd);
}
