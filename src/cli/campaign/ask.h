/*
 * One question to the queue (GetQueueAttributes) before anything is sent: is it there, are the keys
 * good, and how far is SQS's clock from this one (Date header). It opens the connection, too.
 */
#ifndef CLI_CAMPAIGN_ASK_H
#define CLI_CAMPAIGN_ASK_H

#include "aws/sqs_client.h"
#include "base/buf.h"
#include "bunshin/clock.h"

#include <stdbool.h>

struct runtime;

struct campaign_answer {
	int err;			/* 0, or the queue's error */
	char words[700];		/* of it, for people */
	struct queue_attributes counts; /* err 0 */
	/* SQS's clock less this one lies between the two, within a second or so. */
	bool offset_known;
	int64_t offset_least_ms, offset_most_ms;
};

/* Embedded by its owner, zeroed; stays where it is until it is answered or cancelled. */
struct campaign_ask {
	struct sqs_client *client;
	struct clock clock;
	struct queue_call *call; /* under way */
	int64_t sent_epoch_ms;
	bool answered;
	struct campaign_answer answer; /* once it is */
};

/* Never fails: what cannot be asked is an answer of that error. */
void campaign_ask_start(struct campaign_ask *ask, struct sqs_client *client, struct clock clock,
	const char *queue_url);
void campaign_ask_cancel(struct campaign_ask *ask); /* harmless when answered */

/*
 * The same to its end, running the loop. It asks twice when the first answer was good, since the
 * first takes long (connecting), and the offset is the better known the quicker an answer comes.
 * 0, or ERR_CANCELLED: a signal came; the answer is untouched.
 */
int campaign_ask(struct runtime *runtime, struct sqs_client *client, const char *queue_url,
	struct campaign_answer *ret_answer);

/* Is the offset worth a warning (CAMPAIGN_OFFSET_WARN_MS)? Then it is appended, for people. */
bool campaign_answer_offset(const struct campaign_answer *answer, struct buf *out);
/* Is it an error that sending would meet as well? Who may not read attributes may yet send. */
bool campaign_answer_is_fatal(const struct campaign_answer *answer);

#endif
