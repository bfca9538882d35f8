#include "cli/campaign/watch.h"

#include "bunshin/error.h"

#include <string.h>

static int open_journal(struct watch_view *view, struct buf *error)
{
	int err = journal_open(buf_string(&view->journal_path), false, &view->journal, error);

	if (err != ERR_NOT_FOUND)
		return err;
	buf_clear(error);
	return 0;
}

int watch_view_open(struct watch_view *view, const char *directory, struct buf *error)
{
	int err;

	buf_init(&view->journal_path, 8192);
	err = journal_path(directory, view->campaign, &view->journal_path);
	if (err < 0) {
		buf_append_string(error, error_message(err));
		return err;
	}
	return open_journal(view, error);
}

void watch_view_close(struct watch_view *view)
{
	journal_close(view->journal);
	view->journal = NULL;
	buf_free(&view->journal_path);
}

/* What the journal says; it may come while one watches. */
static void read_journal(struct watch_view *view, uint64_t *total)
{
	struct tally_view *shown = &view->shown;
	struct buf ignored = BUF_INIT(2048);
	const struct journal_campaign *campaign;
	struct journal_progress progress;
	uint64_t refused;

	if (!view->journal)
		(void)open_journal(view, &ignored);
	buf_free(&ignored);
	*total = shown->is_sent ? shown->confirmed : shown->to_send;
	if (!view->journal)
		return;
	if (journal_progress(view->journal, &progress) < 0) {
		/* It may be readable again in a second; until then it says what it said. */
		journal_close(view->journal);
		view->journal = NULL;
		return;
	}
	campaign = journal_campaign(view->journal);
	shown->has_journal = true;
	shown->is_sent = progress.state == JOURNAL_FINISHED;
	shown->confirmed = progress.confirmed;
	refused = progress.rejects[JOURNAL_REJECT_REFUSED];
	shown->to_send = campaign->valid > refused ? campaign->valid - refused : 0;
	shown->deadline_epoch_ms = campaign->deadline_epoch_ms;
	*total = shown->is_sent ? progress.confirmed : shown->to_send;
}

struct heard {
	struct tally_workers *workers;
	int64_t now_epoch_ms;
};

static void hear(void *arg, const struct result_status *status)
{
	struct heard *heard = arg;

	tally_workers_add(heard->workers, status, heard->now_epoch_ms);
}

static void keep_reason(void *arg, const struct results_reason *reason)
{
	struct tally_view *shown = arg;

	if (shown->reason_count < TALLY_REASONS_MAX)
		tally_reason_copy(&shown->reasons[shown->reason_count++], reason);
}

static int read_results(struct watch_view *view, struct tally_input *input)
{
	const struct results_tally *outcomes = input->outcomes;
	struct heard heard = {&input->workers, input->now_epoch_ms};
	uint64_t accepted = 0, other = 0;
	int64_t from, to;
	int err;

	err = results_db_each_status(view->db, input->now_epoch_ms - TALLY_FRESH_MS, hear, &heard);
	if (err == 0)
		err = results_db_last_heard(view->db, &input->last_heard_epoch_ms);
	if (err == 0 &&
		tally_window(outcomes, input->last_heard_epoch_ms, input->now_epoch_ms, &from, &to))
		err = results_db_count_ended(view->db, view->campaign, from, to, &accepted, &other);
	input->recent = accepted + other;
	view->shown.reason_count = 0;
	if (err == 0)
		err = results_db_each_reason(
			view->db, view->campaign, TALLY_REASONS_MAX, keep_reason, &view->shown);
	return err;
}

int watch_view_read(struct watch_view *view, int64_t now_epoch_ms, struct buf *error)
{
	struct results_tally outcomes;
	struct tally_input input = {
		.total = view->total, .outcomes = &outcomes, .now_epoch_ms = now_epoch_ms};
	struct tally_view *shown = &view->shown;
	int err;

	shown->campaign = view->campaign;
	shown->now_epoch_ms = now_epoch_ms;
	read_journal(view, &input.total);
	if (view->total > 0)
		input.total = view->total;
	input.deadline_epoch_ms = shown->deadline_epoch_ms;
	err = results_db_hold(view->db);
	if (err == 0)
		err = results_db_tally(view->db, view->campaign, &outcomes);
	if (err == 0)
		err = read_results(view, &input);
	results_db_release(view->db);
	if (err < 0) {
		buf_appendf(error, "cannot read the results: %s",
			err == ERR_NOMEM ? error_message(err) : results_db_detail(view->db));
		return err;
	}
	shown->last_heard_epoch_ms = input.last_heard_epoch_ms;
	tally_make(&input, &shown->tally);
	return 0;
}
