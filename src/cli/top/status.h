/*
 * What `bunshin top` knows of a running `bunshin run`: the documents /status.json and
 * /history.json of its admin port (docs/configuration.md, "The admin port"), checked.
 *
 * Whoever stands at that address has written them. A member that is missing or null is unknown; one
 * of the wrong type makes the whole document refused. Texts are as they came, and may hold anything
 * that JSON can say but a NUL: they go to a terminal through canvas.h only.
 */
#ifndef CLI_TOP_STATUS_H
#define CLI_TOP_STATUS_H

#include "base/buf.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATUS_DESTINATIONS_MAX 256
#define STATUS_CAMPAIGNS_MAX 50
#define STATUS_FAILURES_MAX 20
#define STATUS_WORKERS_MAX 1024
#define STATUS_CHECKS_MAX 64
#define STATUS_CANCELLED_MAX 64

/* Counts, rates and instants alike are double: exact up to 2^53. NAN: not known. */

struct status_latency {
	double p50, p95, p99; /* milliseconds */
};

struct status_destination {
	const char *name, *breaker;
	double busy, limit, configured, rate, attempts_per_second, accepted_per_second;
};

struct status_campaign {
	const char *name;
	double accepted, failed, expired, cancelled, suppressed, retried, accepted_per_second;
	double first_ms, last_ms, deadline_ms;
};

struct status_failure {
	const char *outcome, *destination, *class, *reason;
	double status, count, last_ms;
	const char *message_id, *campaign, *request_id, *answer; /* of one of them */
};

struct status_worker {
	double number, pid, generation, memory_bytes, busy, slots, held, received, since_ms,
		heartbeat_age_ms;
	const char *state;
};

struct status_check {
	const char *name, *health, *detail;
};

/*
 * A document, and the memory that its texts lie in; large: not for the stack. Zero it to begin
 * with. A text that is unknown is "". A list that is longer than its array is cut; what it says
 * beyond is counted in `..._more`.
 */
struct status {
	struct json json;
	const char *version, *host;
	double now_ms, started_ms;
	const char *health, *state, *words; /* the verdict */
	const char *queue_name, *queue_url;
	double visible, in_flight, delayed, falling_per_second, empty_ms;
	bool paused;
	double control_rate_per_second;
	struct {
		double received, accepted, failed, retried, expired, attempts;
	} rates;
	struct {
		double received, accepted, suppressed, failed, failed_left, expired, cancelled,
			retried, postponed, lost, attempts;
	} totals;
	struct status_latency attempt, acceptance;
	double busy, limit, held, held_bytes;
	double sqs_per_second, sqs_throttled, sqs_errors, sqs_cost_usd;

	size_t destination_count, campaign_count, failure_count, worker_count, check_count,
		cancelled_count;
	size_t destinations_more, campaigns_more, failures_more, workers_more, checks_more,
		cancelled_more;
	struct status_destination destinations[STATUS_DESTINATIONS_MAX];
	struct status_campaign campaigns[STATUS_CAMPAIGNS_MAX];
	struct status_failure failures[STATUS_FAILURES_MAX];
	struct status_worker workers[STATUS_WORKERS_MAX];
	struct status_check checks[STATUS_CHECKS_MAX];
	const char *cancelled[STATUS_CANCELLED_MAX]; /* campaigns */
};

/*
 * Reads /status.json into `status`, whose earlier content is gone; the text is borrowed for the
 * call. 0, ERR_PROTOCOL (no JSON, or not of this form; a sentence in `error`), ERR_TOO_LARGE or
 * ERR_NOMEM; on failure `status` is unusable until the next call.
 */
int status_read(struct status *status, const char *text, size_t len, struct buf *error);
void status_free(struct status *status);

/* ---- what was */

#define HISTORY_ROWS_MAX 900

/* One second; NAN: not known. */
struct history_row {
	double t_ms;
	double accepted, failed, visible;
	double attempt_p50_ms, attempt_p99_ms, acceptance_p50_ms, acceptance_p99_ms;
};

/* The latest rows, the oldest first, each later than the one before. Zero it to begin with. */
struct history {
	size_t count;
	struct history_row rows[HISTORY_ROWS_MAX];
};

/* For `since` of the next question: the latest row's instant; 0: none. */
int64_t history_since(const struct history *history);
/*
 * Appends what /history.json says after the latest row, dropping the oldest rows. When its now_ms
 * is before the latest row, that clock was set back: everything is forgotten, and the next question
 * is for all. Columns are found by their names. Errors as above; then `history` is as it was.
 */
int history_read(struct history *history, const char *text, size_t len, struct buf *error);

#endif
