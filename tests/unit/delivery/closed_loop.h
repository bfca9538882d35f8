/*
 * Workers with endless demand, each behind a limiter of its own, against one model of a provider,
 * in virtual time: the limiter's decisions change what it is told next, which no list of calls can
 * show. Deterministic: the same options and seed give the same run.
 */
#ifndef TESTS_DELIVERY_CLOSED_LOOP_H
#define TESTS_DELIVERY_CLOSED_LOOP_H

#include "base/random.h"
#include "delivery/limiter.h"

#include <stdbool.h>
#include <stdint.h>

#define LOOP_WORKERS_MAX 4
#define LOOP_EVENTS_MAX 8192
#define LOOP_SERVERS_MAX 1024
#define LOOP_TIMEOUT_US 10000000

enum provider_kind {
	PROVIDER_QUEUE,	 /* `count` servers, and a queue before them; late answers time out */
	PROVIDER_BUCKET, /* 429 above `count` a second: a token bucket of `share` seconds */
	PROVIDER_SECOND, /* 429 to all but the first `count` of every second of the wall clock */
	PROVIDER_CAP,	 /* 503 to what comes while `count` are being served */
	PROVIDER_MIX,	 /* a `share` of the answers takes `slow_us` */
	PROVIDER_TAIL,	 /* log-normal latencies, `share` is sigma, latency_us the median */
	PROVIDER_NOISE,	 /* 503 to a `share`, whatever the load */
};

/* May be changed between two runs. */
struct provider {
	enum provider_kind kind;
	unsigned count;
	uint64_t latency_us; /* give or take 5 % */
	uint64_t rejection_us;
	uint64_t slow_us;
	double share;
};

struct loop_event {
	uint64_t at_us, started_us;
	unsigned worker;
	bool arrives; /* at the provider, up to a tenth of its latency after the start */
	bool accepted;
};

struct closed_loop {
	struct provider provider;
	unsigned workers;
	struct limiter limiters[LOOP_WORKERS_MAX];
	unsigned in_flight[LOOP_WORKERS_MAX];
	uint64_t now_us;
	struct random random;
	struct loop_event events[LOOP_EVENTS_MAX]; /* a heap */
	unsigned event_count;
	/* the provider's state */
	uint64_t free_at_us[LOOP_SERVERS_MAX];
	double tokens;
	uint64_t tokens_us;
	unsigned serving;
};

struct loop_result {
	double goodput;	   /* accepted a second */
	double rejected;   /* share of all answers */
	double latency_us; /* mean, of the accepted */
	double limit;	   /* of the first worker, mean */
};

void closed_loop_init(struct closed_loop *loop, const struct provider *provider, unsigned ceiling,
	unsigned workers, uint64_t seed);
/* Runs until the instant, and tells what was since the run before. */
struct loop_result closed_loop_run(struct closed_loop *loop, uint64_t until_us);

#endif
