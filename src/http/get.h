/*
 * One blocking GET, for a command that asks once and ends.
 */
#ifndef HTTP_GET_H
#define HTTP_GET_H

#include "base/buf.h"

#include <stdint.h>

/*
 * url: http only, on this machine; never through a proxy, redirects are not followed. unix_path
 * (may be NULL): the socket to connect to instead of the URL's host. The body is appended to
 * `answer`, bounded by its limit. Returns the status of the answer, or 0 with a reason for people
 * in `answer`.
 */
int http_get(const char *url, const char *unix_path, int64_t timeout_ms, struct buf *answer);

#endif
