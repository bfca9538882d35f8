/*
 * What lies in a failure queue: pure, from received messages to groups of them.
 *
 * Two kinds of messages lie there. Copies that workers made say why in their attributes
 * (FailureReason, FailureStatus, FailureBody, Attempts, FirstReceived; delivery/settle.c). Those
 * that SQS's redrive policy moved say nothing: all that is known is how often they were received.
 */
#ifndef CAMPAIGN_FAILURES_H
#define CAMPAIGN_FAILURES_H

#include "bunshin/queue.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAILURE_REASON_MAX 256 /* bytes of a reason that a group keeps, with its NUL */
#define FAILURE_NAME_MAX 257   /* of a campaign or a destination, with the NUL */
#define FAILURE_EXCERPT_MAX 200
#define FAILURE_GROUPS_MAX 1000
#define FAILURE_SAMPLES_MAX 3

/* Bytes that somebody else wrote: valid UTF-8 or not, control characters and all; no NUL after. */
struct failure_text {
	const char *bytes;
	size_t len;
};

enum failure_origin {
	FAILURE_COPIED, /* by a worker, with its reason */
	FAILURE_MOVED,	/* by SQS's redrive policy */
	FAILURE_SENT, /* received for the first time and without a reason: somebody sent it here */
};

/* One message. Borrowed from it. */
struct failure {
	const struct queue_message *message;
	enum failure_origin origin;
	struct failure_text reason; /* of a copy; else empty */
	struct failure_text body;   /* what the provider answered; empty: nothing */
	struct failure_text campaign, destination;
	/* Of a message for many (RecipientKeys, base/recipient_key.h): how many; else 1. */
	uint64_t recipients;
	bool packed;
	int status;		   /* of the provider; 0: none */
	int64_t attempts;	   /* of a copy; 0: not known */
	int64_t first_received_ms; /* by a worker, of a copy; 0: not known */
	int64_t deadline_epoch_ms; /* INT64_MAX: none, or none that reads */
};

void failure_read(const struct queue_message *message, struct failure *ret);
/* The attribute, or NULL. */
const struct queue_attribute *failure_attribute(
	const struct queue_message *message, const char *name);
/* One of those that a worker's copy adds. */
bool failure_attribute_is_ours(const char *name);
/* Would a worker expire it at this time? */
bool failure_is_past(const struct failure *failure, int64_t now_epoch_ms);
/*
 * The reason in words: a copy's own, cut, or "moved by SQS after 5 receives", or "sent to this
 * queue without a reason". Receives that only looked count, too: SQS does not tell them apart.
 */
void failure_words(const struct failure *failure, char ret[FAILURE_REASON_MAX]);

/* Which messages are meant; NULL, and status -1: any. */
struct failure_filter {
	const char *campaign, *destination; /* exactly */
	const char *reason;		    /* somewhere in failure_words(), ASCII case aside */
	const char *message_id;		    /* exactly */
	int64_t status;			    /* 0: without one */
};
bool failure_filter_is_empty(const struct failure_filter *filter);
bool failure_matches(const struct failure *failure, const struct failure_filter *filter);

/* Of one reason, status, campaign and destination. */
struct failure_group {
	enum failure_origin origin;
	char reason[FAILURE_REASON_MAX]; /* of a moved one: after the fewest receives seen */
	char campaign[FAILURE_NAME_MAX], destination[FAILURE_NAME_MAX]; /* "": none */
	int status;
	uint64_t count;
	uint64_t recipients;	   /* of all of them: more than messages when some are for many */
	uint64_t past;		   /* of them, past their deadline */
	int64_t first_ms, last_ms; /* SentTimestamp: when the copies were made; 0: not known */
	uint32_t least_receives;   /* of the moved */
	size_t sample_count;	   /* message ids of the first ones */
	char samples[FAILURE_SAMPLES_MAX][101];
	char body[FAILURE_EXCERPT_MAX]; /* the first one's, cut; not NUL-terminated */
	size_t body_bytes;
	char answer[FAILURE_EXCERPT_MAX]; /* the provider's to the first one, cut; the same */
	size_t answer_bytes;
};

struct failure_groups;

/* 0 or ERR_NOMEM. */
int failure_groups_new(struct failure_groups **ret_groups);
void failure_groups_free(struct failure_groups *groups); /* NULL is fine */
/* 0 or ERR_NOMEM, and nothing has been counted then. */
int failure_groups_add(
	struct failure_groups *groups, const struct failure *failure, int64_t now_epoch_ms);
/* The largest first, equal ones in the order of their first message. Valid until the next add. */
const struct failure_group *const *failure_groups_sorted(
	struct failure_groups *groups, size_t *ret_count);
/* Messages that would have been a group beyond FAILURE_GROUPS_MAX. */
uint64_t failure_groups_others(const struct failure_groups *groups);

#endif
