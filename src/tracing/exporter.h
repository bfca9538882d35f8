/*
 * Spans on their way to a collector: collected into batches, sent one request at a time, bounded.
 * It reaches the collector through a table and time through the clock, so tests run it in virtual
 * time. Nothing waits for it: a span that finds no room is dropped and counted.
 *
 * A batch is sent when it is full, an interval after its first span, or once half of what may wait
 * does. OTLP/HTTP, "Failures" and
 * "OTLP/HTTP Throttling", say what an answer means:
 *  - 2xx: sent; what the collector refused of it (partialSuccess) is counted.
 *  - 429, 502, 503, 504, and no answer: the same batch again after Retry-After, an hour at most,
 *    else after 1 s, 2 s, ... 30 s with jitter; given up after five minutes.
 *  - anything else: given up.
 * While a batch waits to be sent again, what comes waits behind it, up to queue_bytes.
 *
 *	bunshin_trace_spans_exported_total
 *	bunshin_trace_spans_dropped_total{reason=...}  queue_full, refused (by the collector),
 *expired (it could not be reached for long), stopped (the worker did, before they were sent),
 *memory bunshin_trace_requests_failed_total bunshin_trace_waiting_bytes
 */
#ifndef TRACING_EXPORTER_H
#define TRACING_EXPORTER_H

#include "base/metrics.h"
#include "bunshin/clock.h"
#include "tracing/otlp.h"
#include "tracing/span.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Borrowed for the callback. */
struct exporter_answer {
	int err; /* 0: an answer came */
	int status;
	int64_t retry_after_ms; /* below 0: none */
	const char *body;
	size_t body_bytes;
	const char *detail; /* for people, on err; never NULL */
};
typedef void exporter_answered(void *arg, const struct exporter_answer *answer);

/* One request at a time. */
struct exporter_transport {
	/*
	 * Copies the body. 0, and later, from the loop, `done` once; or an error code, and never.
	 */
	int (*start)(
		void *impl, const char *body, size_t bytes, exporter_answered *done, void *arg);
	/* Gives up the one under way; `done` is not called. */
	void (*cancel)(void *impl);
	void *impl;
};

struct exporter_options {
	struct clock clock;
	struct metrics *metrics; /* borrowed */
	struct exporter_transport transport;
	const struct otlp_attribute *resource; /* read by exporter_new() alone */
	size_t resource_count;
	unsigned batch_spans; /* at most, in a request; at least 1 */
	int64_t interval_ms;
	size_t queue_bytes; /* of what has not been sent yet, the request under way included */
	/* A request failed, or spans were refused. status 0: err says why. NULL: nobody listens. */
	void (*trouble)(void *arg, int err, int status, const char *words);
	void *arg;
};

struct exporter;

/* 0 or ERR_NOMEM. */
int exporter_new(const struct exporter_options *options, struct exporter **ret_exporter);
/* Cancels what is under way and drops what waits. NULL is fine. */
void exporter_free(struct exporter *exporter);

/* Takes a span in, or drops and counts it. */
void exporter_add(
	struct exporter *exporter, const struct span *span, const struct span_source *source);
/* Counts a span that the caller had no room for (is_full), or no memory. */
void exporter_miss(struct exporter *exporter, bool is_full);

/*
 * Sends what waits, each batch once, until until_us (monotonic); what is left then is dropped.
 * Nothing is taken in any more. `done` runs once, from the loop, and may free the exporter; where
 * there is no memory for a timer, before this returns.
 */
void exporter_finish(
	struct exporter *exporter, uint64_t until_us, void (*done)(void *arg), void *arg);

#endif
