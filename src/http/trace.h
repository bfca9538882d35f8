/*
 * The headers by which an attempt belongs to the trace that its message came from: X-Amzn-Trace-Id
 * (AWSTraceHeader), and traceparent and tracestate of W3C Trace Context. Pure.
 */
#ifndef HTTP_TRACE_H
#define HTTP_TRACE_H

#include "bunshin/queue.h"
#include "config/config.h"

#include <stddef.h>

#define TRACE_HEADERS_MAX 3

/* The value is printable ASCII without a NUL behind it; borrowed from the message. */
struct trace_header {
	const char *name;
	const char *value;
	size_t value_bytes;
};

/*
 * Those of the message that may go on, and how many they are. Left out: one that the destination
 * sets itself, in any case; one whose value is not of its form (traceparent: version, trace id,
 * parent id and flags, 55 lower-case characters, neither id all zeros; tracestate: up to 512
 * bytes; the other: up to 256).
 */
size_t trace_headers(const struct config_destination *destination,
	const struct queue_message *message, struct trace_header ret_headers[TRACE_HEADERS_MAX]);

#endif
