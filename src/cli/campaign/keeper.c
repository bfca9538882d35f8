#include "cli/campaign/keeper.h"

#include "base/list.h"
#include "bunshin/error.h"

#include <stdio.h>

static void note_failure(struct campaign_keeper *keeper, const char *reason)
{
	if (keeper->has_failed)
		return;
	keeper->has_failed = true;
	snprintf(keeper->error, sizeof(keeper->error), "%s", reason);
	keeper->failed(keeper->arg);
}

static int commit(struct campaign_keeper *keeper)
{
	struct buf error = BUF_INIT(sizeof(keeper->error));
	int rc = journal_commit(keeper->journal, &error);

	if (rc < 0)
		note_failure(keeper, error.len > 0 ? buf_string(&error) : error_message(rc));
	buf_free(&error);
	return rc;
}

static int arm(struct campaign_keeper *keeper)
{
	return clock_timer_after(keeper->clock, &keeper->timer, CAMPAIGN_COMMIT_EVERY_US);
}

static void on_timer(struct clock_timer *timer)
{
	struct campaign_keeper *keeper = list_entry(timer, struct campaign_keeper, timer);

	if (commit(keeper) == 0 && arm(keeper) < 0)
		note_failure(keeper, error_message(ERR_NOMEM));
}

int campaign_keeper_start(struct campaign_keeper *keeper, struct journal *journal,
	struct clock clock, void (*failed)(void *arg), void *arg)
{
	*keeper = (struct campaign_keeper){
		.journal = journal, .clock = clock, .failed = failed, .arg = arg};
	keeper->timer.fire = on_timer;
	return journal ? arm(keeper) : 0;
}

void campaign_keeper_stop(struct campaign_keeper *keeper)
{
	if (keeper->journal)
		clock_timer_clear(keeper->clock, &keeper->timer);
}

void campaign_keeper_confirm(struct campaign_keeper *keeper, struct recipients_place place)
{
	int rc = keeper->journal ? journal_confirm(keeper->journal, place.row) : 0;

	if (rc == 0)
		return;
	keeper->unnoted++;
	note_failure(keeper, error_message(rc));
}

void campaign_keeper_refuse(
	struct campaign_keeper *keeper, struct recipients_place place, const char *reason)
{
	int rc;

	if (!keeper->journal)
		return;
	rc = journal_reject(keeper->journal, place.row, place.line, JOURNAL_REJECT_REFUSED, reason);
	if (rc < 0)
		note_failure(keeper, error_message(rc));
	else
		keeper->refused++;
}

bool campaign_keeper_end(struct campaign_keeper *keeper, bool complete, uint64_t *ret_lost)
{
	struct buf error = BUF_INIT(sizeof(keeper->error));
	bool finished = false;
	int rc = 0;

	*ret_lost = 0;
	if (!keeper->journal)
		return complete;
	campaign_keeper_stop(keeper);
	if (complete && !keeper->has_failed)
		rc = journal_finish(keeper->journal, clock_wall_epoch_ms(keeper->clock), &error);
	else
		(void)commit(keeper);
	finished = complete && !keeper->has_failed && rc == 0;
	if (rc < 0)
		note_failure(keeper, error.len > 0 ? buf_string(&error) : error_message(rc));
	buf_free(&error);
	*ret_lost = journal_uncommitted_rows(keeper->journal) + keeper->unnoted;
	return finished;
}
