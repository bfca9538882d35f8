#include "cli/run/backlog.h"

#include "base/log.h"
#include "bunshin/error.h"

#include <stdbool.h>
#include <stdlib.h>

struct backlog {
	struct clock clock;
	struct sqs_client *client;
	const char *queue_url;
	struct board *board;
	struct queue_call *asking;
	uint64_t asked_us; /* 0: never */
	bool failing;	   /* which was told of */
};

static void failed(struct backlog *backlog, int err, const char *reason)
{
	if (!backlog->failing)
		log_warn("the backlog is not known: the queue does not say", LOG_ERR(err),
			LOG_STR("reason", reason));
	backlog->failing = true;
	board_backlog_set(backlog->board,
		&(struct board_backlog){.visible = -1, .in_flight = -1, .delayed = -1});
}

static void answered(
	void *arg, const struct sqs_outcome *outcome, const struct queue_attributes *counts)
{
	struct backlog *backlog = arg;

	backlog->asking = NULL;
	if (outcome->err) {
		failed(backlog, outcome->err, outcome->detail);
		return;
	}
	if (backlog->failing)
		log_info("the backlog is known again", LOG_INT("waiting", counts->visible));
	backlog->failing = false;
	board_backlog_set(backlog->board, &(struct board_backlog){.visible = counts->visible,
						  .in_flight = counts->in_flight,
						  .delayed = counts->delayed,
						  .asked_us = clock_monotonic_us(backlog->clock)});
}

void backlog_tick(struct backlog *backlog, uint64_t interval_us)
{
	uint64_t now_us = clock_monotonic_us(backlog->clock);
	int err;

	if (backlog->asking || (backlog->asked_us != 0 && now_us - backlog->asked_us < interval_us))
		return;
	backlog->asked_us = now_us;
	err = sqs_get_attributes(
		backlog->client, backlog->queue_url, answered, backlog, &backlog->asking);
	if (!err)
		return;
	backlog->asking = NULL;
	failed(backlog, err, error_message(err));
}

int backlog_new(struct clock clock, struct sqs_client *client, const char *queue_url,
	struct board *board, struct backlog **ret_backlog)
{
	struct backlog *backlog = calloc(1, sizeof(*backlog));

	if (!backlog)
		return ERR_NOMEM;
	backlog->clock = clock;
	backlog->client = client;
	backlog->queue_url = queue_url;
	backlog->board = board;
	*ret_backlog = backlog;
	return 0;
}

void backlog_free(struct backlog *backlog)
{
	if (!backlog)
		return;
	if (backlog->asking)
		sqs_call_cancel(backlog->client, backlog->asking);
	free(backlog);
}
