/*
 * Pauses and resumes the queue for whoever asks over the admin port: by the same tag that `bunshin
 * campaign pause` sets (delivery/control.h), so that every host of the fleet takes it over. What is
 * in the tags then goes onto the board at once, from which the workers of this host take it within
 * a quarter of a second; other hosts read it within seconds.
 *
 * If the process dies on the way, the tag is set or it is not; whoever asked has had no answer.
 */
#ifndef CLI_RUN_PAUSER_H
#define CLI_RUN_PAUSER_H

#include "aws/sqs_client.h"
#include "bunshin/clock.h"
#include "supervisor/board.h"

#include <stdbool.h>

struct pauser;

struct pauser_options {
	struct clock clock;
	struct sqs_client *client;
	const char *queue_url;
	struct board *board;
	/* It has ended: error NULL, the queue is as it was asked for; else why not, for people. */
	void (*done)(void *arg, const char *error);
	void *arg;
};

/* All is borrowed and outlives it. 0 or ERR_NOMEM. */
int pauser_new(const struct pauser_options *options, struct pauser **ret_pauser);
/* Before the client goes. `done` is not called any more. NULL is fine. */
void pauser_free(struct pauser *pauser);

/*
 * peer: who asks, for the log. 0: `done` is called once, from the loop; ERR_PENDING: the change
 * before has not ended; or the error of a request that could not be sent.
 */
int pauser_set(struct pauser *pauser, bool paused, const char *peer);
/* Somebody who may not has tried: a line in the log, at most one a second. */
void pauser_refused(struct pauser *pauser, const char *why, const char *peer);

#endif
