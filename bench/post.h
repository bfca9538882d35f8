/*
 * What the programs that only POST have in common: floor.c (curl and libuv alone) and client.c (the
 * client of src/http). The same options, bodies and headers, and the same line at the end:
 *
 *	requests 90000 failed 0 seconds 1.234 rate 72934 cpu_us_per_request 13.52 kib_each 23.1
 *
 * Requests of the warm-up are in none of the figures, nor those that are answered once the last one
 * was started, but in failed and kib_each: what the process's memory grew by at its peak since
 * post_begin(), for each request in flight.
 */
#ifndef BENCH_POST_H
#define BENCH_POST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POST_HEADERS 3

struct post_options {
	const char *url;
	const char *ca_file; /* PEM; NULL: what curl trusts by itself */
	const char *body;    /* of `bytes` bytes and a NUL */
	long shard, bytes, concurrency, requests, warmup;
	bool http2;
};

struct post_header {
	const char *name, *value;
};

/* Those of a LINE push message, as the worker's benchmark sends them. */
extern const struct post_header post_headers[POST_HEADERS];

/* Prints the line behind the program's name and exits with 1 unless ok. */
void post_check(bool ok, const char *what);

/*
 * Reads the options into the one struct that there is, and makes the body: the bench's message,
 * {"to":"U...","text":"xxx"}; of fewer bytes than its frame, only x. Exits with 2 on bad ones.
 */
const struct post_options *post_parse(int argc, char **argv);

/*
 * Once, before the first request; the clocks run from the end of the warm-up to the start of the
 * last request.
 */
void post_begin(void);
/* True: one more request is to be made. Counts it as started. */
bool post_start(void);
/* An answer has come, or will not. */
void post_finish(bool accepted);
/* All that were started have finished. */
bool post_is_done(void);
/* Prints the line. Returns the exit code: 0 when every request was answered with a 2xx. */
int post_report(void);

#endif
