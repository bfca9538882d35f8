#include "base/log_journal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define JOURNAL_PATH "/run/systemd/journal/socket"

static const char *journal_path = JOURNAL_PATH;

void log_journal_set_path(const char *path)
{
	journal_path = path ? path : JOURNAL_PATH;
}

bool log_journal_is(int fd, const char *journal_stream)
{
	char expected[48];
	struct stat stat;

	if (!journal_stream || fstat(fd, &stat) != 0)
		return false;
	snprintf(expected, sizeof(expected), "%" PRIu64 ":%" PRIu64, (uint64_t)stat.st_dev,
		(uint64_t)stat.st_ino);
	return strcmp(journal_stream, expected) == 0;
}

int log_journal_open(void)
{
	return socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

bool log_journal_send(int fd, const char *text, size_t len)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t path_len = strlen(journal_path);
	ssize_t sent;

	if (path_len >= sizeof(address.sun_path))
		return false;
	memcpy(address.sun_path, journal_path, path_len + 1);
	do {
		sent = sendto(
			fd, text, len, MSG_NOSIGNAL, (struct sockaddr *)&address, sizeof(address));
	} while (sent < 0 && errno == EINTR);
	return sent >= 0;
}
