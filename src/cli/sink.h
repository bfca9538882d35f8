/*
 * A mock provider: takes every request, waits, answers as told, writes it down, and counts.
 *
 * A request's fate (its latency; cut, failed or accepted) is drawn when it arrives. It is recorded
 * and counted right before it is answered; one that gets no answer is recorded without one, when it
 * is cut or the sink stops (with `never`: on arrival).
 */
#ifndef CLI_SINK_H
#define CLI_SINK_H

#include "bunshin/clock.h"
#include "cli/sink/play.h"
#include "http/http2_server.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct sink;

/* HTTP/2 instead of HTTP/1.1, as of http/http2_server.h. Zero: as the provider does, or its
 * default. */
struct sink_http2 {
	bool on;
	const char *certificate, *key; /* NULL: clear */
	unsigned streams, goaway_after;
	uint32_t refuse_ppm; /* of the streams, in parts of a million */
};

/* Probabilities are in parts of a million. */
struct sink_options {
	const char *listen;
	int64_t latency_low_ms, latency_high_ms; /* uniform, both included */
	uint32_t fail_ppm;			 /* answered with fail_status */
	uint32_t close_ppm; /* cut without an answer; with fail_ppm at most 10^6 */
	int status;	    /* of accepted requests, 2xx */
	int fail_status;
	int64_t retry_after_s; /* sent with fail_status; -1: no */
	bool dedup; /* 409 for an idempotency key that was accepted before, as LINE does */
	bool never; /* no answer, ever */
	uint64_t seed;
	const char *record; /* file; NULL: none */
	/*
	 * What is not made to fail is answered as this provider does; provider NULL: `status` is,
	 * and `dedup` is looked at.
	 */
	struct play_options play;
	struct sink_http2 http2;
};

struct sink_totals {
	uint64_t requests;	 /* arrived */
	uint64_t accepted;	 /* answered 2xx */
	uint64_t failed;	 /* answered otherwise */
	uint64_t closed;	 /* cut on purpose */
	uint64_t unanswered;	 /* still waiting, or their connection went first */
	uint64_t duplicates;	 /* of the accepted: their key had been accepted before */
	uint64_t conflicts;	 /* of the failed: answered 409 for that reason */
	struct play_totals play; /* with a provider */
	struct http2_server_totals http2;
};

/*
 * Listens. fatal runs once, from the loop, when the sink cannot go on (the record cannot be
 * written, out of memory): it is then only good for closing. 0, or a code with a sentence in error.
 */
int sink_new(uv_loop_t *loop, struct clock clock, const struct sink_options *options,
	void (*fatal)(void *arg, const char *reason), void *arg, char *error, size_t error_bytes,
	struct sink **ret_sink);
/* "http://127.0.0.1:9400", with the real port; borrowed. */
const char *sink_url(const struct sink *sink);
/*
 * Stops: what has no answer yet gets none. The totals are final then. The record is flushed; 0, or
 * ERR_IO when that failed. The memory goes on a later turn of the loop. NULL is fine.
 */
int sink_close(struct sink *sink, struct sink_totals *ret_totals);

#endif
