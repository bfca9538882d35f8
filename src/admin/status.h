/*
 * What is now: the document /status.json, out of a struct. Pure. The status page and `bunshin top`
 * are clients of this document and of nothing else; docs/operations.md has its fields for users.
 *
 * Texts are borrowed, of any bytes: what is no UTF-8 is shown as a question mark; NULL: null.
 * Counts below 0 and numbers that are NAN are not known: null. Times are epoch milliseconds, below
 * 0: null. Lists have the bounds below: more is not written.
 */
#ifndef ADMIN_STATUS_H
#define ADMIN_STATUS_H

#include "admin/admin.h"
#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATUS_DESTINATIONS_MAX 64
#define STATUS_CAMPAIGNS_MAX 50
#define STATUS_FAILURES_MAX 20
#define STATUS_WORKERS_MAX 1024
#define STATUS_CHECKS_MAX 32

/* Milliseconds; NAN: there was none to measure. */
struct status_latency {
	double p50, p95, p99;
};

struct status_destination {
	const char *name;
	int64_t busy, limit; /* attempts in flight, and how many may be now */
	int64_t configured;  /* how many may be by configuration, over all workers */
	double rate;	     /* a second, of this host; NAN: no limit */
	const char *breaker; /* "closed", "open" */
	double attempts_per_second, accepted_per_second;
};

struct status_campaign {
	const char *name;
	int64_t accepted, failed, expired, cancelled, suppressed, retried;
	double accepted_per_second;
	int64_t first_ms, last_ms, deadline_ms;
};

struct status_failure {
	const char *outcome; /* "failed", "failed_left", "expired", "lost", "retrying" */
	const char *destination, *class, *reason;
	int64_t status; /* below 0: there was no answer */
	int64_t count, last_ms;
	/* One of them, the latest that was looked at. */
	const char *message_id, *campaign, *request_id, *answer;
	int64_t attempt;
};

struct status_worker {
	int64_t number, pid;
	const char *state; /* "starting", "running", "stopping", "waiting", "silent" */
	int64_t generation;
	int64_t memory_bytes;
	int64_t busy, slots, held, received;
	int64_t since_ms;
	int64_t heartbeat_age_ms;
};

struct status {
	const char *version, *host;
	int64_t now_ms, started_ms;
	struct {
		enum admin_health health;
		const char *state, *words;
	} verdict;
	struct {
		const char *url, *name;
		int64_t visible, in_flight, delayed, asked_ms;
		double falling_per_second; /* NAN: it does not fall, or that is not known */
		int64_t empty_ms;
	} queue;
	struct {
		bool writable;	    /* a token is configured */
		const bool *paused; /* NULL: not known */
		double rate_per_second;
		const char *cancelled; /* names parted by blanks */
		int64_t read_ms;
	} control;
	struct {
		double received, accepted, failed, retried, expired, attempts;
	} rates;
	struct {
		int64_t received, accepted, suppressed, failed, failed_left, expired, cancelled,
			retried, postponed, lost, attempts, sqs_requests;
	} totals;
	struct status_latency attempt_ms, acceptance_ms;
	struct {
		int64_t busy, limit, held, held_bytes;
	} slots;
	struct {
		double requests_per_second;
		int64_t throttled, errors;
		double cost_usd;
	} sqs;
	const struct status_destination *destinations;
	size_t destination_count;
	const struct status_campaign *campaigns;
	size_t campaign_count;
	const struct status_failure *failures;
	size_t failure_count;
	const struct status_worker *workers;
	size_t worker_count;
	const struct admin_check *checks;
	size_t check_count;
};

/* Appends the document and a newline. 0 or the buffer's error. */
int status_write(const struct status *status, struct buf *out);

#endif
