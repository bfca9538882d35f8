/*
 * A rate shared by every worker of the host: a token bucket kept as one number, the theoretical
 * arrival time of the generic cell rate algorithm (ITU-T I.371), in memory that they share.
 * Lock-free; a worker that dies takes nothing with it but the token it had.
 *
 * What it promises, for any number of takers, and even when their clocks were read in another order
 * than they take: between any two instants T apart at most 1 + (T + burst_ns) / interval_ns tokens
 * are taken; and none is lost while somebody asks at every instant that a taker was told, and what
 * has taken one goes out at once.
 *
 * The other side counts what arrives, and a request may go out later than it took its token: its
 * connection was still to be opened, which takes 100 ms over TLS from afar, or its process did not
 * run. What is late goes out together, and what comes behind it finds open connections and is not
 * late: a campaign would begin with 1.1 seconds' worth in its first second. So whoever goes out
 * says so, and the cell has a second theoretical time, that of departures. It is ahead of the other
 * one only after some were late, and then nothing is taken until the rate is made up for, within a
 * second at most. Where all are late by the same it costs nothing. A rate of 20 a second or less
 * has none: with one token at a time, being late by the same would cost.
 *
 * Pure: time is an argument, CLOCK_MONOTONIC in microseconds, which all processes of a boot agree
 * on. A number left over from an earlier boot is recognised and ignored: no honest one is further
 * ahead than the burst and one interval, or, for a taker that was held up between reading the clock
 * and taking, 10 s more. A reload that makes the rate much higher recognises the old rate's number
 * in the same way.
 */
#ifndef DELIVERY_RATE_H
#define DELIVERY_RATE_H

#include "base/mapped_file.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RATE_CELLS 1024 /* destinations of one host */

struct rate_cell {
	_Atomic uint64_t name;	       /* hash of the destination's name; 0: free */
	_Atomic uint64_t arrival_ns;   /* of the next token, at the latest; 0: never used */
	_Atomic uint64_t departure_ns; /* of the latest request, at the earliest; 0: none yet */
};

/* A value type: copy it freely. cell NULL: no limit. */
struct rate {
	struct rate_cell *cell; /* borrowed, shared */
	uint64_t interval_ns;	/* between two tokens; at least 1 */
	uint64_t burst_ns;	/* how far ahead of its time a token may be taken */
};

/*
 * For mapped_file_open(); arg NULL. check() refuses another magic, version or number of cells, a
 * wrong checksum, and fewer bytes than RATE_FILE_BYTES; what the cells hold is always usable.
 */
extern const struct mapped_file_kind rate_file;
#define RATE_FILE_BYTES (64 + RATE_CELLS * sizeof(struct rate_cell))

/*
 * The cell of a destination, found or taken; two processes that name the same one get the same.
 * Cells are never given back. NULL: all are taken. memory: formatted or checked by rate_file.
 */
struct rate_cell *rate_cell_of(void *memory, size_t bytes, const char *destination);

/*
 * count tokens per per_ms, divided by hosts, all at least 1. The interval is rounded up to whole
 * nanoseconds (so 10^9/s is the most there is), never down: not a token too many. The burst is
 * 50 ms worth of tokens, but at least one: so much is made up for when a worker wakes late, or
 * there was nothing to send for a moment. After a second without a token the rate begins anew, with
 * 1 ms worth: providers count by the second, and the first one is not to have 5 % more. Where the
 * burst is one, a token may still be taken 1 ms early, since timers have no finer grain, and a
 * millisecond lost with every token would be a slower rate.
 */
struct rate rate_make(struct rate_cell *cell, uint64_t count, int64_t per_ms, uint64_t hosts);

/*
 * Takes one token. False: none now; *ret_wait_us (at least 1) until there is one, unless another
 * takes it. Exact: a microsecond earlier there is none.
 */
bool rate_take(const struct rate *rate, uint64_t now_us, uint64_t *ret_wait_us);
/*
 * A request goes out for which a token was taken; once for each time that it does. Never waits.
 * Without a cell there is nothing to do.
 */
void rate_depart(const struct rate *rate, uint64_t now_us);
/* As rate_take(), but takes none. */
bool rate_has(const struct rate *rate, uint64_t now_us, uint64_t *ret_wait_us);

/*
 * Another rate is in force for the cell: what takers of a slower one have put further ahead than
 * this one could is brought back to where a taker of this one may have put it (what is owed for
 * late departures stays, at most a second), so that nobody waits for the old rate, and nobody gets
 * a token that this rate would not have given. Whoever changes rates reads the arrival, then the
 * clock, then calls; false: taken from in between, begin anew. Without a cell there is nothing to
 * do.
 */
uint64_t rate_arrival_ns(const struct rate *rate);
bool rate_rein(const struct rate *rate, uint64_t arrival_ns, uint64_t now_us);

/* Tokens that can be taken at once, at the most. Without a cell UINT64_MAX. */
uint64_t rate_burst(const struct rate *rate);

/*
 * Tokens that can be taken until now_us + horizon_us, those of now included, if nobody else takes
 * any: for sizing receives. No limit: UINT64_MAX.
 */
uint64_t rate_within(const struct rate *rate, uint64_t now_us, uint64_t horizon_us);

#endif
