/*
 * The journal of systemd as the log's receiver: its native protocol, one datagram a line
 * (systemd.io/JOURNAL_NATIVE_PROTOCOL). For the log's own use.
 */
#ifndef BASE_LOG_JOURNAL_H
#define BASE_LOG_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Is fd the stream that JOURNAL_STREAM names (systemd.exec(5): "DEVICE:INODE", decimal)? NULL or
 * another text: no. A variable that was inherited beyond a redirection names another file.
 */
bool log_journal_is(int fd, const char *journal_stream);

/* A datagram socket, close-on-exec and non-blocking; -1: errno says why. The caller closes it. */
int log_journal_open(void);

/*
 * Sends KEY=VALUE lines. Looks the path up each time, so that a journal that was started again is
 * found. Does not wait. False: it is not there, or has no room.
 */
bool log_journal_send(int fd, const char *text, size_t len);

/* Where it listens; for tests. NULL: where systemd has it. Borrowed. */
void log_journal_set_path(const char *path);

#endif
