/*
 * What a sink writes down: one JSON object a line, buffered.
 *
 *	{"time_epoch_ms":1795996800123,"method":"POST","path":"/push","headers":{"Host":"..."},
 *	 "body":"...","status":200}
 *
 * time: the arrival. body: "body_base64" instead when it is not UTF-8. status: what was answered;
 * null when nothing was. With a provider that is played an accepted request has a member more,
 * "recipients":500, of how many it was. A header that was sent twice has its values joined by ", ".
 */
#ifndef CLI_SINK_RECORD_H
#define CLI_SINK_RECORD_H

#include "base/buf.h"
#include "http/server.h"

#include <stdint.h>

struct sink_record {
	int fd; /* -1: nothing is recorded */
	struct buf lines;
};

/* Appends to the file, making it when needed; path NULL: records nothing. 0, or ERR_IO (errno). */
int sink_record_open(struct sink_record *record, const char *path);
/* status 0: no answer; recipients 0: not known, or none. 0, ERR_IO (errno) when it had to write and
 * could not, or ERR_NOMEM. */
int sink_record_add(struct sink_record *record, const struct http_call *call, int64_t time_epoch_ms,
	int status, uint64_t recipients);
/* Writes out what is buffered. 0 or ERR_IO (errno). */
int sink_record_flush(struct sink_record *record);
/* Flushes, too. */
int sink_record_close(struct sink_record *record);

#endif
