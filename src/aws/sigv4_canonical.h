/*
 * The canonical forms of SigV4's task 1: pure text to text, appended to a buffer. Each returns 0 or
 * the buffer's error; sigv4_canonical_headers() also ERR_ARGUMENT.
 */
#ifndef AWS_SIGV4_CANONICAL_H
#define AWS_SIGV4_CANONICAL_H

#include "aws/sigv4.h"
#include "base/buf.h"

/*
 * Dot segments and doubled slashes removed, then everything but unreserved characters and '/'
 * percent-encoded, a second time for what the wire form has encoded already.
 */
int sigv4_canonical_path(struct buf *out, const char *path);

/*
 * Parameters decoded and encoded once in the canonical way, sorted by encoded name, then value; a
 * bare name gets its '='. `scratch` is overwritten.
 */
int sigv4_canonical_query(struct buf *out, struct buf *scratch, const char *query);

/* The headers that are signed, sorted; of one name in the order given. */
struct sigv4_signed_headers {
	const struct sigv4_header *sorted[SIGV4_HEADERS_MAX];
	size_t count;
};

/* Picks and sorts; ERR_ARGUMENT past SIGV4_HEADERS_MAX. */
int sigv4_signed_headers_add(
	struct sigv4_signed_headers *set, const struct sigv4_header *headers, size_t count);
/* "name:value\n" each: trimmed, inner blanks collapsed, values of one name joined by ','. */
int sigv4_canonical_headers(struct buf *out, const struct sigv4_signed_headers *set);
/* "content-type;host;x-amz-date" */
int sigv4_signed_names(struct buf *out, const struct sigv4_signed_headers *set);

#endif
