/*
 * What became of messages, as lines of JSON: what workers write into their outcome log and send to
 * the results queue, and what `bunshin campaign` reads there.
 *
 * A line is one object without line breaks, at most RESULTS_LINE_MAX bytes with its "\n". There are
 * two kinds:
 *
 *  a record, what became of one message at one moment:
 *	{"v":1,"outcome":"failed","key":"6fa459ea-...","campaign":"morning","destination":"line",
 *	 "message_id":"...","status":400,"reason":"refused by the provider","request_id":"...",
 *	 "attempts":3,"first":1700000000000,"last":1700000004000,"unanswered":true}
 *  a status, what one worker is doing (each few seconds while it has work, and once when that
 *  ends):
 *	{"v":1,"worker":"host:1234","at":1700000000000,"in_flight":500,"slots":500,"waiting":40,
 *	 "accepted":123456,"limit":"rate","control":"3f2a..."}
 *
 * Members that say nothing (status 0, "", false) are left out. A reader skips lines of another "v"
 * and members that it does not know.
 */
#ifndef RESULTS_RECORD_H
#define RESULTS_RECORD_H

#include "base/buf.h"
#include "base/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESULTS_LINE_MAX 4096

/* In the order of their weight: of two records of one key the one that stands later here holds. */
enum result_outcome {
	RESULT_RETRYING,   /* an attempt failed; it will be tried again */
	RESULT_CANCELLED,  /* its campaign was cancelled: deleted, not sent */
	RESULT_EXPIRED,	   /* past its deadline: deleted, not sent */
	RESULT_FAILED,	   /* for good */
	RESULT_SUPPRESSED, /* the ledger knows it as accepted: deleted, not sent again */
	RESULT_ACCEPTED,   /* by the provider */
	RESULT_OUTCOMES
};
/*
 * The reason of a RESULT_FAILED whose recipient the provider does not know any more; the core's
 * OUTCOME_UNREGISTERED_REASON.
 */
#define RESULT_UNREGISTERED "unregistered"
const char *result_outcome_name(enum result_outcome outcome); /* "accepted"; static */

/* Texts are NUL-terminated and never NULL; decoded ones live until the next decoding. */
struct result_record {
	enum result_outcome outcome;
	const char *key;	 /* the idempotency key */
	const char *campaign;	 /* "": none */
	const char *destination; /* "": none was found */
	const char *message_id;
	int status;		/* of the attempt's answer; 0: there was none, or no attempt */
	const char *reason;	/* one line, for people; "" when accepted */
	const char *request_id; /* the provider's own; "": it gave none */
	unsigned attempts;	/* ApproximateReceiveCount: this one included */
	int64_t first_epoch_ms; /* first received; 0: unknown */
	int64_t last_epoch_ms;	/* of this record */
	/* The request went out and no answer came back: the provider may have accepted it. */
	bool unanswered;
};

/* Why a worker is not faster at this moment. */
enum result_limit {
	RESULT_LIMIT_NONE,	  /* nothing: there is less to do than it could */
	RESULT_LIMIT_QUEUE,	  /* the queue hands out less than there are slots */
	RESULT_LIMIT_CONCURRENCY, /* all slots are busy */
	RESULT_LIMIT_PROVIDER,	  /* the limiter went below `concurrency`: throttling, latency */
	RESULT_LIMIT_RATE,	  /* the configured rate, or that of `campaign rate` */
	RESULT_LIMIT_BREAKER,	  /* a breaker is open */
	RESULT_LIMIT_PAUSED,
	RESULT_LIMIT_QUOTA, /* the breaker of a destination whose quota is used up */
	RESULT_LIMITS
};
const char *result_limit_name(enum result_limit limit); /* "rate"; static */

struct result_status {
	const char *worker; /* "HOST:PID", unlike any other of the fleet */
	int64_t at_epoch_ms;
	uint64_t in_flight, slots, waiting; /* attempts out, allowed at once, held without a slot */
	uint64_t accepted;		    /* since the worker's start */
	enum result_limit limit;
	const char *control; /* which control is in force (delivery/control.h); "": none was read */
};

/*
 * Appends the line, its "\n" included. Texts are made fit: what is no UTF-8, and control
 * characters, become '?', as does U+FFFE and U+FFFF, which SQS refuses in a body; long ones are cut
 * at a character (reason 512 bytes, the rest 256). 0 or the buffer's error.
 */
int result_record_append(const struct result_record *record, struct buf *out);
int result_status_append(const struct result_status *status, struct buf *out);

/*
 * A whole line, "\n" included, looks like one that was written here and is text that SQS takes:
 * what is left of a line of which the rest was lost does not. What it says is not looked at.
 */
bool result_line_is_whole(const char *line, size_t len);
/* Of a whole line: it is a record. */
bool result_line_is_record(const char *line, size_t len);

enum result_line { RESULT_LINE_RECORD, RESULT_LINE_STATUS };

/*
 * Reads one line (without its "\n", which may be there). *ret_line says which of the two was filled
 * in. 0; ERR_SYNTAX: it is none, or of another version, or a text in it is one that the writer
 * would have made fit, so that what is read may be printed; ERR_NOMEM. Hostile input is fine.
 */
int result_line_read(struct json *json, const char *line, size_t len, enum result_line *ret_line,
	struct result_record *ret_record, struct result_status *ret_status);

#endif
