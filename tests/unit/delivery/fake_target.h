/*
 * A provider in virtual time: answers each attempt as a script or a callback says, records every
 * one, and fails the test when an attempt should not have been made.
 */
#ifndef TESTS_DELIVERY_FAKE_TARGET_H
#define TESTS_DELIVERY_FAKE_TARGET_H

#include "base/list.h"
#include "bunshin/clock.h"
#include "bunshin/target.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWERS_MAX 256

struct world;
struct fake_message;

struct attempt_record {
	size_t message;
	unsigned nth;		  /* of its message, from 1 */
	uint64_t at_us, ended_us; /* UINT64_MAX: still out */
	uint64_t left_us;	  /* when it went out; UINT64_MAX: it has not */
	bool cancelled, accepted;
	char *recipients; /* of the request; NULL: it had no list */
	char key[40];	  /* of the request */
	size_t count;	  /* messages in it */
};

/* How one attempt goes. Zero: 200 after the target's latency. */
struct answer {
	int start_err;
	uint64_t latency_us; /* leaves_us included */
	uint64_t leaves_us;  /* until it goes out; less than latency_us */
	bool never;
	int err, status;
	int64_t retry_after_ms; /* 0: absent; RETRY_AFTER_0: 0 */
	const char *reason, *excerpt, *request_id;
	size_t excerpt_bytes; /* 0: strlen */
	/* Means an acceptance to the core though it is no 2xx, or none though it is one. */
	bool accepted, not_accepted;
	bool unanswered;
	bool cut; /* its answer is longer than what is told of it */
};

#define RETRY_AFTER_0 INT64_MIN

struct fake_target {
	struct world *world;
	char name[16];
	unsigned concurrency;
	uint64_t latency_us; /* 10 ms */
	/* Answers in order of attempts; after the last, `otherwise`. */
	struct answer script[ANSWERS_MAX];
	size_t script_count, script_next;
	struct answer otherwise;
	/* Has a last word. */
	void (*plan)(struct fake_target *target, const struct fake_message *message,
		struct answer *answer);
	bool tells_nothing;	/* of departures */
	const char *recipients; /* of the request that is being planned; NULL: it has no list */
	/* A list with one of these in it is answered 400; their JSON values, up to a NULL. */
	const char *const *bad;
	/* What an answer says of these messages, up to a NULL, is that they failed: no acceptance.
	 */
	const char *const *failed_ids;
	struct list attempts; /* in flight */
	unsigned out, out_most;
	struct attempt_record *log;
	size_t log_count, log_capacity;
};

void fake_target_init(
	struct fake_target *target, struct world *world, const char *name, unsigned concurrency);
void fake_target_free(struct fake_target *target);
struct target fake_target_table(struct fake_target *target);
/* Appends to the script, `times` times. */
void fake_target_answer(struct fake_target *target, unsigned times, struct answer answer);

#endif
