/*
 * What the result of a call to a queue (bunshin/queue.h), or of one entry of it, means to those who
 * send, receive and delete: 0 or a code of bunshin/error.h, an unknown one included. Pure.
 */
#ifndef CAMPAIGN_CALL_RESULT_H
#define CAMPAIGN_CALL_RESULT_H

#include <stdbool.h>
#include <stddef.h>

enum call_verdict {
	CALL_DONE,
	CALL_TRY_AGAIN, /* it may go well another time */
	CALL_REFUSED,	/* this one never will; others may */
	CALL_HOPELESS,	/* nor will any other: credentials, no such queue, no memory */
};

enum call_verdict call_judge(int result);

/* No answer, or none that says what was done: the message may be in the queue. */
bool call_may_have_arrived(int result);

/* All entries failed for one reason: the call did, and the queue has not taken it apart. */
bool call_failed_whole(const int results[], size_t count);

#endif
