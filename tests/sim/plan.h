/*
 * What a run is like, drawn from its seed: the queue, the fleet, the destinations, how messages
 * come. What goes wrong in it is in faults.h.
 */
#ifndef SIM_PLAN_H
#define SIM_PLAN_H

#include "delivery/backoff.h"
#include "faults.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MS UINT64_C(1000)
#define S (1000 * MS)
#define HOUR (3600 * S)
#define PLAN_WORKERS_MAX 6
#define PLAN_HOSTS_MAX 2
#define PLAN_DESTINATIONS_MAX 4

/* How long a provider takes. */
enum latency_kind {
	LATENCY_CONSTANT,
	LATENCY_UNIFORM,
	LATENCY_LOG_NORMAL,
	LATENCY_TWO_PEAKS, /* one in twenty takes fifty times as long */
};

struct plan_destination {
	char name[16];
	unsigned concurrency;
	bool adaptive;
	uint64_t rate; /* per rate_per_ms; 0: no limit */
	int64_t rate_per_ms;
	unsigned breaker_failures;
	int64_t attempt_max_ms;
	unsigned max_attempts;
	struct backoff backoff;
	bool routes;	  /* takes only bodies with its kind */
	bool looks;	  /* has rules that look into answers' bodies */
	bool remembers;	  /* answers 409 to an idempotency key that it has accepted */
	bool retry_after; /* says when to come back */
	enum latency_kind latency;
	uint64_t latency_us;
	uint64_t limit_per_s; /* of the provider: 429 above it; 0: none */
	bool dead;	      /* for good */
	bool trickles;	      /* its rate lets one through in an hour: messages are held for long */
};

enum plan_ledger { PLAN_NO_LEDGER, PLAN_TINY_LEDGER, PLAN_LEDGER };

struct plan {
	uint64_t seed;
	size_t messages;
	bool fifo;
	unsigned groups; /* FIFO, or tenants of a standard queue; 0: no groups */
	unsigned hosts, workers, destinations;
	struct plan_destination destination[PLAN_DESTINATIONS_MAX];
	enum plan_ledger ledger;
	int64_t window_ms;
	unsigned visibility_s, wait_s, receivers;
	size_t held_bytes;
	int64_t grace_ms;
	bool failure_queue, failure_fifo;
	unsigned redrive;	/* maxReceiveCount; 0: no redrive policy */
	size_t in_flight_limit; /* of the queue */
	bool stale_is_told;	/* a standard queue's old handles fail instead of "working" */
	uint64_t queue_us;	/* one way to the queue, at most */
	uint64_t put_us;	/* messages come within this time */
	uint64_t storm_us;	/* faults end here */
	uint64_t night_us;	/* the run goes on until then at least, for what takes 12 hours */
	uint64_t limit_us;	/* everything has ended by then */
};

void plan_draw(struct plan *plan, uint64_t seed, size_t messages, struct faults *faults);

#endif
