#include "config/file.h"

#include "bunshin/error.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define READ_BYTES 4096

static int read_all(int fd, struct buf *out)
{
	char bytes[READ_BYTES];
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_IO;
		if (buf_append(out, bytes, (size_t)n) != 0)
			return out->err;
	}
	return 0;
}

int file_read(const char *path, bool regular_only, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | (regular_only ? O_NONBLOCK : 0));
	struct stat status;
	int err, saved_errno;

	if (fd < 0)
		return ERR_IO;
	if (regular_only && fstat(fd, &status) == 0 && !S_ISREG(status.st_mode)) {
		errno = S_ISDIR(status.st_mode) ? EISDIR : EINVAL;
		err = ERR_IO;
	} else {
		err = read_all(fd, out);
	}
	saved_errno = errno;
	close(fd);
	errno = saved_errno;
	return err;
}
