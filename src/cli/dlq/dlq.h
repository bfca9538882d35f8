/*
 * `bunshin dlq`: one file a verb (VERB.c), and what they share: options, the session with the queue
 * (session.c), the pass over it (scan.c), move tasks (move.c), words (words.c).
 */
#ifndef CLI_DLQ_DLQ_H
#define CLI_DLQ_DLQ_H

#include "aws/sqs_queue.h"
#include "aws/sqs_redrive.h"
#include "campaign/failure_pass.h"
#include "campaign/failures.h"
#include "cli/cli.h"
#include "cli/connect.h"
#include "cli/runtime.h"

#include <stdbool.h>
#include <stdint.h>

/* argv[0] is the verb. Each returns the exit code. */
int dlq_list(int argc, char **argv);
int dlq_show(int argc, char **argv);
int dlq_redrive(int argc, char **argv);
int dlq_purge(int argc, char **argv);

/* ---- options */

struct dlq_options {
	const char *command; /* "dlq list" */
	/* from the command line; borrowed from argv */
	const char *queue_url, *endpoint;
	struct failure_filter filter;
	int64_t limit; /* messages that match; 0: all */
	bool allow_insecure, json, yes;
};

/* The rows of an option table that all verbs have. */
#define DLQ_QUEUE_OPTIONS(o)                                                                   \
	{"queue-url", 0, CLI_STRING, "URL", &(o)->queue_url, 0, 0, "the failure queue"},       \
		{"endpoint", 0, CLI_STRING, "URL", &(o)->endpoint, 0, 0,                       \
			"the SQS endpoint [AWS_ENDPOINT_URL_SQS, or the queue URL's host]"},   \
		{"allow-insecure-endpoint", 0, CLI_FLAG, NULL, &(o)->allow_insecure, 0, 0,     \
			"plain http to SQS on another machine, which can be read on the way"}, \
	{                                                                                      \
		"json", 0, CLI_FLAG, NULL, &(o)->json, 0, 0, "print JSON"                      \
	}
#define DLQ_FILTER_OPTIONS(o)                                                                   \
	{"campaign", 0, CLI_STRING, "NAME", &(o)->filter.campaign, 0, 0,                        \
		"only messages of this campaign"},                                              \
		{"reason", 0, CLI_STRING, "TEXT", &(o)->filter.reason, 0, 0,                    \
			"only those with this in their reason"},                                \
		{"status", 0, CLI_INT, "N", &(o)->filter.status, 0, 999,                        \
			"only those that the provider answered so; 0: that it did not answer"}, \
		{"destination", 0, CLI_STRING, "NAME", &(o)->filter.destination, 0, 0,          \
			"only those for this destination"},                                     \
	{                                                                                       \
		"id", 0, CLI_STRING, "MESSAGE_ID", &(o)->filter.message_id, 0, 0,               \
			"only this message"                                                     \
	}

/* Returns -1 to go on, else the exit code. */
int dlq_check_options(const struct dlq_options *options);
/* "20", "20/s". -1 to go on. */
int dlq_parse_rate(const char *command, const char *text, int64_t max, int64_t *ret);

/* ---- session.c */

#define DLQ_ARN_MAX 513
#define DLQ_URL_MAX 1025

/* A queue, described; its texts are copies. */
struct dlq_queue {
	char url[DLQ_URL_MAX], arn[DLQ_ARN_MAX];
	char name[81];
	struct queue_attributes counts;
	unsigned max_receives; /* 0: no redrive policy of its own */
	char dead_letter_arn[DLQ_ARN_MAX];
};

struct dlq_session {
	const struct dlq_options *options;
	struct runtime runtime;
	struct connect connect;
	struct sqs_queue *source, *target; /* the failure queue, and where its messages go */
	struct dlq_queue queue;		   /* the failure queue */
	struct failure_pass *pass;	   /* under way, or over; NULL: none yet */
	bool opened;
};

/*
 * Connects, and describes the failure queue. A redrive policy of its own is warned about. Returns
 * -1 to go on, else the exit code, the reason having been printed. dlq_close() after either.
 */
int dlq_open(struct dlq_session *session, const struct dlq_options *options);
void dlq_close(struct dlq_session *session);
/* Each runs the loop until the answer is there. -1 to go on, else the exit code. */
int dlq_describe(struct dlq_session *session, const char *url, struct dlq_queue *ret);
/* The URLs of up to SQS_SOURCES_MAX queues that have the failure queue as their dead-letter queue.
 */
struct dlq_sources {
	char urls[SQS_SOURCES_MAX][DLQ_URL_MAX];
	size_t count;
	bool more;
};
int dlq_sources(struct dlq_session *session, struct dlq_sources *ret);
/* May these keys delete, and give messages back? */
int dlq_probe(struct dlq_session *session);
/* The client's table of operations for a queue that is not the failure queue. */
int dlq_open_target(struct dlq_session *session, const char *url);
/* Prints the error of a call, and returns its exit code. */
int dlq_call_failed(
	const struct dlq_session *session, const char *what, int err, const char *detail);

/*
 * Asks for `word` to be typed, unless --yes. -1 to go on; else the exit code: nobody can be asked
 * (CLI_USAGE), or something else was typed.
 */
int dlq_confirm(const struct dlq_options *options, const char *question, const char *word);
/* Before any work: can somebody be asked at all? */
int dlq_check_confirm(const struct dlq_options *options);

/* ---- scan.c */

struct dlq_scan {
	struct dlq_session *session;
	/*
	 * One that matches the filter. *wish is FAILURE_LEAVE beforehand. False: it does not count
	 * for the limit.
	 */
	bool (*visit)(void *arg, const struct failure *failure, struct failure_outgoing *outgoing,
		enum failure_wish *wish);
	void *arg;
	bool moves; /* FAILURE_SEND is said */
	int64_t rate;
	/* What came of it. */
	uint64_t matched;
	uint64_t taken; /* of them, what counts for the limit */
	bool limited;	/* ended since the limit was reached */
	bool interrupted;
	struct failure_pass_totals totals;
	int err;
	char reason[600]; /* of err */
	uint64_t told;	  /* failures printed */
	bool finished, bar_shown;
	struct clock_timer tick;
};

/*
 * Runs a pass over the failure queue to its end. Ctrl-C ends it early: what was received is
 * finished or given back; the second one ends it at once. Returns -1 to go on (even after an error
 * of the pass: scan->err), or an exit code.
 */
int dlq_scan(struct dlq_scan *scan);
/* "12,345 of about 12,400 messages", and what is said about the rest, on stderr or a stream. */
void dlq_print_seen(FILE *stream, const struct dlq_scan *scan);
/* The members that the JSON of every verb has: {"queue":...,"seen":... */
void dlq_json_begin(struct buf *out, const struct dlq_scan *scan);
/* The exit code of a pass that only looked, or of one that did something. */
int dlq_scan_code(const struct dlq_scan *scan);

/* ---- move.c: SQS's own move tasks */

/* Starts one and follows it. destination_arn may be NULL. Returns the exit code. */
int dlq_move_start(struct dlq_session *session, const char *destination_arn, int64_t rate);
/* Prints the last tasks of the queue. */
int dlq_move_list(struct dlq_session *session);
int dlq_move_cancel(struct dlq_session *session);

/* ---- words.c */

#define DLQ_NUMBER_MAX 32
/* "12,345" */
const char *dlq_number(uint64_t number, char ret[DLQ_NUMBER_MAX]);
/* "message" or "messages" */
const char *dlq_messages(uint64_t count);

#endif
