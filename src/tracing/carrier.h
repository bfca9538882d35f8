/*
 * The trace that a message belongs to, what is done about it here, and what goes on to the
 * provider. Pure.
 *
 * A message carries its trace in the attributes `traceparent` and `tracestate` (String) or in the
 * system attribute AWSTraceHeader; a valid `traceparent` wins.
 *
 * Ids. The trace id is that of the message; of one without a context it is made of the message id
 * (SipHash, a fixed key), so every receive of it, on whichever host, belongs to one trace, and all
 * hosts agree on whether it is sampled. The span id is made of the receipt handle, which is another
 * at each receive: one span is one stay of a message with a worker, and its one attempt.
 */
#ifndef TRACING_CARRIER_H
#define TRACING_CARRIER_H

#include "bunshin/queue.h"
#include "tracing/context.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_SAMPLE_ALL 1000000 /* millionths */

/* What a message has with it, all borrowed from the message. */
struct trace_carrier {
	bool has_traceparent, has_xray; /* valid ones */
	struct trace_context traceparent, xray;
	const char
		*tracestate; /* NULL: none, or no valid traceparent beside it; no NUL behind it */
	size_t tracestate_bytes;
	const char *xray_text;
	unsigned invalid; /* of the three, those that were dropped for their form */
};
void trace_carrier_read(const struct queue_message *message, struct trace_carrier *ret);

/* Where it goes on from here. */
struct trace_course {
	bool sampled; /* by us: a span is made of it */
	/* Of the span, when sampled; its parent is context.parent_id. */
	struct trace_context context;
	uint8_t span_id[SPAN_ID_BYTES];
};
/*
 * share: of the messages that nobody before us decided about, in millionths, at most
 * TRACE_SAMPLE_ALL; by the trace id, as OpenTelemetry's consistent probability sampling has it: the
 * id's last 7 bytes, as a number, are at or above (1 - share) of their range.
 */
void trace_course_take(const struct trace_carrier *carrier, const struct queue_message *message,
	uint32_t share, struct trace_course *ret);
/* The same, at less cost: sampled or not, without the ids. */
bool trace_is_sampled(const struct queue_message *message, uint32_t share);

#define TRACE_HEADERS_MAX 3

/* The value is printable ASCII without a NUL behind it. */
struct trace_header {
	const char *name;
	const char *value;
	size_t value_bytes;
};

struct trace_headers {
	struct trace_header rows[TRACE_HEADERS_MAX];
	size_t count;
	/* What rows may point to. */
	char traceparent[TRACEPARENT_SIZE], xray[XRAY_SIZE];
};
/*
 * What the provider is sent. A message that is sampled here: traceparent (and tracestate) with our
 * span as the parent, whatever form its context came in, and X-Amzn-Trace-Id when it came with one:
 * our span as the parent where that is its context, else as it came. One that is not: what it came
 * with, unchanged but for the version and unknown flags of traceparent, since no span of ours would
 * stand between. course NULL: not sampled. Borrows from `message` and from *ret.
 */
void trace_headers_make(const struct trace_carrier *carrier, const struct trace_course *course,
	struct trace_headers *ret);

#endif
