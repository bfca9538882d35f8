/*
 * The backlog: how much the queue holds, asked now and then and written on the board.
 *
 * Each question is a request that SQS bills (0.40 USD a million): one a minute is 1,440 a day, one
 * every 5 s is 17,280.
 */
#ifndef CLI_RUN_BACKLOG_H
#define CLI_RUN_BACKLOG_H

#include "aws/sqs_client.h"
#include "bunshin/clock.h"
#include "supervisor/board.h"

struct backlog;

/* All is borrowed and outlives it. 0 or ERR_NOMEM. */
int backlog_new(struct clock clock, struct sqs_client *client, const char *queue_url,
	struct board *board, struct backlog **ret_backlog);
/*
 * Asks, unless it has within the last interval_us. To be called each second; the first call asks.
 * While the queue does not say, which is told in the log once, the board says that it is not known.
 */
void backlog_tick(struct backlog *backlog, uint64_t interval_us);
/* Before the client goes. NULL is fine. */
void backlog_free(struct backlog *backlog);

#endif
