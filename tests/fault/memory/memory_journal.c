/* The journal of a campaign: whatever there is no memory for, it says nothing that is not so. */
#include "reach_sqlite.h"
#include "sweep.h"

#include "bunshin/error.h"
#include "campaign/journal.h"
#include "journal_world.h"

#include <string.h>
#include <unistd.h>

#define PATH journal_world_path
#define ROWS JOURNAL_WORLD_ROWS

static int enter(void **state)
{
	return reach_sqlite() && sqlite_never_sync() ? journal_world_enter(state) : -1;
}

static int leave(void **state)
{
	int rc = journal_world_leave(state);

	return rc < 0 ? rc : sqlite3_shutdown();
}

static bool is_sent(uint64_t row)
{
	return row % 1000 != 1;
}

/* Every third row of the rejects before the list's end is known, as `campaign send` does it. */
static int begin(struct journal **ret_journal, struct buf *error)
{
	struct journal_campaign campaign = journal_world_campaign();
	struct journal *journal;
	int rc = journal_prepare(PATH, &journal, error);

	if (rc < 0)
		return rc;
	for (uint64_t row = 1; row <= ROWS && rc == 0; row += 1000) {
		rc = journal_reject(journal, row, row, JOURNAL_REJECT_DUPLICATE, "twice");
		if (rc == 0 && row % 3000 == 1)
			rc = journal_commit(journal, error);
	}
	if (rc == 0)
		rc = journal_begin(journal, &campaign, JOURNAL_WORLD_BEGUN, error);
	if (rc < 0)
		journal_close(journal);
	else
		*ret_journal = journal;
	return rc;
}

static int send_all(struct journal *journal, struct buf *error)
{
	int rc = 0;

	for (uint64_t row = 1; row <= ROWS && rc == 0; row++) {
		if (is_sent(row))
			rc = journal_confirm(journal, row);
		if (rc == 0 && row % 5000 == 0)
			rc = journal_commit(journal, error);
	}
	return rc == 0 ? journal_finish(journal, JOURNAL_WORLD_BEGUN + 1, error) : rc;
}

static void check(const struct journal *journal, bool whole)
{
	journal_world_assert_campaign(journal_campaign(journal));
	for (uint64_t row = 1; row <= ROWS; row++) {
		bool confirmed = journal_is_confirmed(journal, row);

		assert_true(whole ? confirmed == is_sent(row) : is_sent(row) || !confirmed);
	}
}

/* With memory, from what is there. */
static void complete(void)
{
	struct buf error = BUF_INIT(1000);
	struct journal_progress progress;
	struct journal *journal;

	if (access(PATH, F_OK) < 0)
		assert_int_equal(begin(&journal, &error), 0);
	else
		journal = journal_world_open(true);
	check(journal, false);
	assert_int_equal(journal_progress(journal, &progress), 0);
	if (progress.state == JOURNAL_UNFINISHED && send_all(journal, &error) < 0)
		fail_msg("%s", buf_string(&error));
	journal_close(journal);
	journal = journal_world_open(false);
	check(journal, true);
	journal_close(journal);
}

static int keep(const void *arg)
{
	struct buf error = BUF_INIT(1000);
	struct journal *journal = NULL;
	int rc;

	journal_world_clean();
	sweep_on();
	rc = begin(&journal, &error);
	if (rc == 0)
		rc = send_all(journal, &error);
	sweep_off();
	journal_close(journal);
	complete();
	buf_free(&error);
	return rc;
}

/* A finished one, which no opening changes. */
static int read_back(const void *arg)
{
	bool to_send = arg != NULL;
	struct buf error = BUF_INIT(1000);
	struct journal *journal = NULL;
	struct journal_progress progress;
	enum journal_reject reject;
	const char *reason;
	int rc;

	if (access(PATH, F_OK) < 0)
		complete();
	sweep_on();
	rc = journal_open(PATH, to_send, &journal, &error);
	if (rc == 0)
		rc = journal_progress(journal, &progress);
	if (rc == 0)
		(void)journal_find_reject(journal, 1001, &reject, &reason);
	sweep_off();
	if (rc == 0) {
		check(journal, true);
		assert_int_equal(progress.state, JOURNAL_FINISHED);
		assert_int_equal(progress.rejects[JOURNAL_REJECT_DUPLICATE], 10);
		assert_true(journal_find_reject(journal, 1001, &reject, &reason));
	}
	journal_close(journal);
	buf_free(&error);
	return rc;
}

int main(void)
{
	static const unsigned long single[] = {1, 0};
	static const struct sweep table[] = {
		SWEEP("journal: kept", keep, .degrades = true, .stretches = single),
		SWEEP("journal: read", read_back, .degrades = true, .stretches = single),
		SWEEP("journal: opened to send", read_back, .arg = "", .degrades = true,
			.stretches = single),
	};

	return SWEEP_TABLE("journal", table, enter, leave);
}
