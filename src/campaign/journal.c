#include "campaign/journal.h"

#include "bunshin/error.h"
#include "campaign/journal_lock.h"
#include "campaign/journal_private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *journal_reject_name(enum journal_reject reject)
{
	static const char *const names[JOURNAL_REJECTS] = {
		"invalid", "malformed", "duplicate", "suppressed", "refused"};

	return (unsigned)reject < JOURNAL_REJECTS ? names[reject] : "unknown";
}

int journal_file_path(const char *directory, const char *name, const char *ending, struct buf *path)
{
	buf_append_string(path, directory);
	if (directory[0] != '\0' && directory[strlen(directory) - 1] != '/')
		buf_append_char(path, '/');
	for (const char *p = name; *p != '\0'; p++) {
		bool plain = (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') ||
			     (*p >= '0' && *p <= '9') || strchr("._-", *p);

		buf_appendf(path, plain ? "%c" : "%%%02X", (unsigned char)*p);
	}
	return buf_append_string(path, ending);
}

int journal_path(const char *directory, const char *name, struct buf *path)
{
	return journal_file_path(directory, name, ".campaign", path);
}

/* opening */

/* Everything that is there, as of one instant. */
static int load(struct journal *journal)
{
	int rc = journal_step(journal, JOURNAL_READ);

	if (rc == 0)
		rc = journal_packing_load(journal);
	if (rc == 0)
		rc = journal_campaign_load(journal);
	if (rc == 0)
		rc = journal_rows_load(journal);
	return journal_end_write(journal, rc);
}

/* Before anything is read, so that what is committed meanwhile is read the next time. */
static int note_version(struct journal *journal, bool *ret_changed)
{
	int64_t before = journal->data_version;
	int rc = journal_step(journal, JOURNAL_DATA_VERSION);

	if (rc < 0)
		return rc;
	journal->data_version = sqlite3_column_int64(journal->statements[JOURNAL_DATA_VERSION], 0);
	journal_reset(journal, JOURNAL_DATA_VERSION);
	*ret_changed = journal->data_version != before;
	return 0;
}

static int open_file(struct journal *journal, bool to_write)
{
	bool changed;
	int rc = journal_connect(journal, journal->path, to_write);

	if (rc == 0)
		rc = journal_check_kind(journal);
	if (rc == 0 && journal->to_send)
		rc = journal_check_pages(journal);
	if (rc == 0)
		rc = journal_prepare_statements(journal);
	if (rc == 0)
		rc = note_version(journal, &changed);
	if (rc == 0)
		rc = load(journal);
	return rc;
}

/* A sender that died may have left work that only a connection that writes can do. */
static bool needs_recovery(const struct journal *journal)
{
	return journal->code == SQLITE_READONLY || journal->code == SQLITE_CANTOPEN;
}

static int open_to_read(struct journal *journal)
{
	int rc = open_file(journal, false);

	if (rc != ERR_IO || !needs_recovery(journal))
		return rc;
	journal_disconnect(journal);
	return open_file(journal, true);
}

int journal_open_to_send(struct journal *journal)
{
	int rc = open_file(journal, true);

	/* A finished one stays a file that needs nothing beside it. */
	if (rc == 0 && journal->finished_epoch_ms == 0)
		rc = journal_run(journal, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
	return rc;
}

int journal_make(const char *path, bool to_send, struct journal **ret_journal, struct buf *error)
{
	struct journal *journal = calloc(1, sizeof(*journal));
	int rc = journal ? 0 : ERR_NOMEM;

	if (rc == 0) {
		journal->lock_fd = -1;
		journal->to_send = to_send;
		journal->path = strdup(path);
		rc = journal->path ? 0 : ERR_NOMEM;
	}
	if (rc == 0 && to_send)
		rc = journal_lock_take(path, &journal->lock_fd, error);
	else if (rc < 0)
		buf_appendf(error, "%s: %s", path, error_message(rc));
	if (rc < 0) {
		journal_close(journal);
		return rc;
	}
	*ret_journal = journal;
	return 0;
}

static int check_there(const char *path, struct buf *error)
{
	if (access(path, F_OK) == 0)
		return 0;
	if (errno == ENOENT) {
		buf_appendf(error, "there is no %s", path);
		return ERR_NOT_FOUND;
	}
	buf_appendf(error, "cannot open %s: %s", path, strerror(errno));
	return ERR_IO;
}

int journal_open(const char *path, bool to_send, struct journal **ret_journal, struct buf *error)
{
	struct journal *journal;
	int rc = check_there(path, error);

	if (rc == 0)
		rc = journal_make(path, to_send, &journal, error);
	if (rc < 0)
		return rc;
	rc = to_send ? journal_open_to_send(journal) : open_to_read(journal);
	if (journal_tell(journal, "cannot use", rc, error) < 0)
		journal_close(journal);
	else
		*ret_journal = journal;
	return rc;
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	journal_disconnect(journal);
	if (journal->new_path)
		unlink(journal->new_path);
	free(journal->new_path);
	if (journal->path)
		journal_lock_release(journal->path, journal->lock_fd);
	journal_campaign_free(journal);
	free(journal->pack_field);
	journal_rows_free(journal);
	journal_rows_written(journal);
	free(journal->notes);
	free(journal->path);
	free(journal);
}

pid_t journal_sender(const char *path)
{
	return journal_lock_holder(path);
}

const struct journal_campaign *journal_campaign(const struct journal *journal)
{
	return &journal->campaign;
}

/* while it is sent */

static uint64_t count_rejects(const struct journal *journal)
{
	uint64_t count = 0;

	for (int i = 0; i < JOURNAL_REJECTS; i++)
		count += journal->rejects[i];
	return count;
}

int journal_progress(struct journal *journal, struct journal_progress *ret_progress)
{
	bool changed = false;
	int rc = note_version(journal, &changed);

	/* What this process has written itself is no change; only its rejects are not counted. */
	if (rc == 0 && journal->to_send)
		rc = journal_rows_count(journal);
	else if (rc == 0 && changed)
		rc = load(journal);
	if (rc < 0)
		return rc;
	*ret_progress = (struct journal_progress){
		.state = journal->finished_epoch_ms != 0 ? JOURNAL_FINISHED : JOURNAL_UNFINISHED,
		.confirmed = journal->confirmed.count,
		.begun_epoch_ms = journal->begun_epoch_ms,
		.finished_epoch_ms = journal->finished_epoch_ms,
	};
	memcpy(ret_progress->rejects, journal->rejects, sizeof(journal->rejects));
	return 0;
}

int journal_commit(struct journal *journal, struct buf *error)
{
	int rc;

	if (journal->confirmed.fresh == 0 && journal->note_count == 0)
		return 0;
	rc = journal_begin_write(journal);
	if (rc == 0)
		rc = journal_end_write(journal, journal_rows_store(journal));
	if (rc == 0)
		journal_rows_written(journal);
	return journal_tell(journal, "cannot write", rc, error);
}

/* The campaign's row with its present times, in a transaction of its own, synced. */
static int store_durably(struct journal *journal)
{
	int rc = journal_run(journal, "PRAGMA synchronous=FULL");

	if (rc == 0)
		rc = journal_begin_write(journal);
	if (rc == 0)
		rc = journal_end_write(
			journal, journal_campaign_store(journal, &journal->campaign));
	sqlite3_exec(journal->db, "PRAGMA synchronous=NORMAL", NULL, NULL, NULL);
	return rc;
}

int journal_set_deadline(struct journal *journal, int64_t deadline_epoch_ms, struct buf *error)
{
	int64_t before = journal->campaign.deadline_epoch_ms;
	int rc;

	journal->campaign.deadline_epoch_ms = deadline_epoch_ms;
	rc = store_durably(journal);
	if (rc < 0)
		journal->campaign.deadline_epoch_ms = before;
	return journal_tell(journal, "cannot write", rc, error);
}

/* Makes one file of it. Somebody who reads may be in the way: then it stays as it is. */
static void fold(struct journal *journal)
{
	sqlite3_busy_timeout(journal->db, 0);
	sqlite3_exec(journal->db, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode=DELETE",
		NULL, NULL, NULL);
	sqlite3_busy_timeout(journal->db, JOURNAL_BUSY_TIMEOUT_MS);
}

int journal_finish(struct journal *journal, int64_t now_epoch_ms, struct buf *error)
{
	int rc = journal_commit(journal, error);
	uint64_t known;

	if (rc < 0)
		return rc;
	rc = journal_rows_count(journal);
	if (rc < 0)
		return journal_tell(journal, "cannot read", rc, error);
	known = journal->confirmed.count + count_rejects(journal);
	if (known != journal->campaign.rows) {
		buf_appendf(error, "%s: %llu rows are neither in the queue nor rejected",
			journal->path, (unsigned long long)(journal->campaign.rows - known));
		return ERR_ARGUMENT;
	}
	journal->finished_epoch_ms = now_epoch_ms;
	rc = store_durably(journal);
	if (rc < 0)
		journal->finished_epoch_ms = 0;
	else
		fold(journal);
	return journal_tell(journal, "cannot write", rc, error);
}
