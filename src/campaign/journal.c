#include "campaign/journal.h"

#include "bunshin/error.h"
#include "campaign/journal_lock.h"
#include "campaign/journal_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define APPLICATION_ID 0x42756e6a /* "Bunj" */
#define SCHEMA_VERSION 1
#define BUSY_TIMEOUT_MS 5000

static const char *const statement_texts[JOURNAL_STATEMENTS] = {
#define X(id, text) text,
	JOURNAL_STATEMENT_LIST(X)
#undef X
};

static const struct {
	const char *name, *sql;
} tables[] = {
#define X(name, sql) {#name, sql},
	JOURNAL_TABLE_LIST(X)
#undef X
};

enum { TABLES = sizeof(tables) / sizeof(tables[0]) };

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

/* statements */

/* Remembers the database's words. ERR_NOMEM or ERR_IO. */
static int fail(struct journal *journal)
{
	int code = sqlite3_extended_errcode(journal->db);

	journal->code = code & 0xff;
	snprintf(journal->detail, sizeof(journal->detail), "%s", sqlite3_errmsg(journal->db));
	return journal->code == SQLITE_NOMEM || code == SQLITE_IOERR_NOMEM ? ERR_NOMEM : ERR_IO;
}

int journal_damaged(struct journal *journal, const char *what)
{
	snprintf(journal->detail, sizeof(journal->detail), "it is damaged: %s", what);
	return ERR_IO;
}

void journal_reset(struct journal *journal, enum journal_statement which)
{
	sqlite3_reset(journal->statements[which]);
}

int journal_step(struct journal *journal, enum journal_statement which)
{
	int code = sqlite3_step(journal->statements[which]);
	int rc = 0;

	if (code == SQLITE_ROW)
		return 1;
	if (code != SQLITE_DONE)
		rc = fail(journal);
	journal_reset(journal, which);
	return rc;
}

/* Begins a transaction that writes. */
static int begin_write(struct journal *journal)
{
	return journal_step(journal, JOURNAL_WRITE);
}

/* Ends one; a failed one is rolled back. */
static int end_write(struct journal *journal, int rc)
{
	if (rc == 0)
		rc = journal_step(journal, JOURNAL_COMMIT);
	/* Some errors have rolled back already. */
	if (rc < 0 && !sqlite3_get_autocommit(journal->db))
		sqlite3_exec(journal->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

static int run_sql(struct journal *journal, const char *text)
{
	return sqlite3_exec(journal->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(journal);
}

/* For people; returns rc. */
static int tell(const struct journal *journal, const char *what, int rc, struct buf *error)
{
	if (rc == ERR_IO)
		buf_appendf(error, "%s %s: %s", what, journal->path, journal->detail);
	else if (rc < 0)
		buf_appendf(error, "%s %s: %s", what, journal->path, error_message(rc));
	return rc;
}

/* is it a journal? */

/* The one value of a query: a number, or with `text` whether it is that text. */
static int query(struct journal *journal, const char *sql, const char *text, int64_t *ret)
{
	sqlite3_stmt *statement;
	const char *found;
	int rc = 0;

	if (sqlite3_prepare_v2(journal->db, sql, -1, &statement, NULL) != SQLITE_OK)
		return fail(journal);
	if (sqlite3_step(statement) != SQLITE_ROW) {
		rc = fail(journal);
	} else if (text) {
		found = (const char *)sqlite3_column_text(statement, 0);
		*ret = found && strcmp(found, text) == 0;
	} else {
		*ret = sqlite3_column_int64(statement, 0);
	}
	sqlite3_finalize(statement);
	return rc;
}

/* Tables, and nothing but tables, as this program makes them. */
static int check_tables(struct journal *journal)
{
	int64_t count = 0, same = 1;
	int rc = query(journal, "SELECT count(*) FROM sqlite_schema", NULL, &count);

	for (int i = 0; i < TABLES && rc == 0 && same; i++) {
		char sql[128];

		snprintf(sql, sizeof(sql), "SELECT max(sql) FROM sqlite_schema WHERE name='%s'",
			tables[i].name);
		rc = query(journal, sql, tables[i].sql, &same);
	}
	if (rc == 0 && (count != TABLES || !same))
		rc = journal_damaged(journal, "its tables are not those of a journal");
	return rc;
}

static int check_kind(struct journal *journal)
{
	int64_t id = 0, version = 0;
	int rc = query(journal, "PRAGMA application_id", NULL, &id);

	if (rc == 0)
		rc = query(journal, "PRAGMA user_version", NULL, &version);
	if (rc < 0)
		return rc;
	if (id != APPLICATION_ID) {
		snprintf(
			journal->detail, sizeof(journal->detail), "it is no journal of a campaign");
		return ERR_IO;
	}
	if (version != SCHEMA_VERSION) {
		snprintf(journal->detail, sizeof(journal->detail),
			"it was written by a newer version of bunshin (version %lld, this one "
			"knows %d)",
			(long long)version, SCHEMA_VERSION);
		return ERR_IO;
	}
	return check_tables(journal);
}

/* Of the whole file; what is wrong is found now and not in the middle of a campaign. */
static int check_pages(struct journal *journal)
{
	int64_t fine;
	int rc = query(journal, "PRAGMA quick_check(1)", "ok", &fine);

	if (rc == 0 && !fine)
		rc = journal_damaged(journal, "its pages do not fit together");
	return rc;
}

/* opening */

static int connect_file(struct journal *journal, const char *path, bool to_write)
{
	int flags = to_write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;

	if (sqlite3_open_v2(path, &journal->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return journal->db ? fail(journal) : ERR_NOMEM;
	sqlite3_busy_timeout(journal->db, BUSY_TIMEOUT_MS);
	/* The file may be anybody's: what stands in it runs nothing, and has bounds. */
	sqlite3_db_config(journal->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(journal->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_limit(journal->db, SQLITE_LIMIT_LENGTH, 2 * JOURNAL_TEXT_MAX * JOURNAL_TEXTS);
	return run_sql(journal, "PRAGMA cell_size_check=ON; PRAGMA cache_size=-1024");
}

static void disconnect(struct journal *journal)
{
	for (int i = 0; i < JOURNAL_STATEMENTS; i++) {
		sqlite3_finalize(journal->statements[i]);
		journal->statements[i] = NULL;
	}
	sqlite3_close(journal->db);
	journal->db = NULL;
}

static int prepare(struct journal *journal)
{
	for (int i = 0; i < JOURNAL_STATEMENTS; i++)
		if (sqlite3_prepare_v3(journal->db, statement_texts[i], -1,
			    SQLITE_PREPARE_PERSISTENT, &journal->statements[i], NULL) != SQLITE_OK)
			return fail(journal);
	return 0;
}

/* Everything that is there, as of one instant. */
static int load(struct journal *journal)
{
	int rc = journal_step(journal, JOURNAL_READ);

	if (rc == 0)
		rc = journal_campaign_load(journal);
	if (rc == 0)
		rc = journal_rows_load(journal);
	return end_write(journal, rc);
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
	int rc = connect_file(journal, journal->path, to_write);

	if (rc == 0)
		rc = check_kind(journal);
	if (rc == 0 && journal->to_send)
		rc = check_pages(journal);
	if (rc == 0)
		rc = prepare(journal);
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
	disconnect(journal);
	return open_file(journal, true);
}

static int open_to_send(struct journal *journal)
{
	int rc = open_file(journal, true);

	/* A finished one stays a file that needs nothing beside it. */
	if (rc == 0 && journal->finished_epoch_ms == 0)
		rc = run_sql(journal, "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");
	return rc;
}

static int make(const char *path, bool to_send, struct journal **ret_journal, struct buf *error)
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
		rc = make(path, to_send, &journal, error);
	if (rc < 0)
		return rc;
	rc = to_send ? open_to_send(journal) : open_to_read(journal);
	if (tell(journal, "cannot use", rc, error) < 0)
		journal_close(journal);
	else
		*ret_journal = journal;
	return rc;
}

void journal_close(struct journal *journal)
{
	if (!journal)
		return;
	disconnect(journal);
	if (journal->new_path)
		unlink(journal->new_path);
	free(journal->new_path);
	if (journal->path)
		journal_lock_release(journal->path, journal->lock_fd);
	journal_campaign_free(journal);
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

/* beginning */

static int says_errno(struct journal *journal)
{
	snprintf(journal->detail, sizeof(journal->detail), "%s", strerror(errno));
	return ERR_IO;
}

/* An empty file that only its owner may read; what SQLite makes beside it gets the same mode. */
static int make_file(struct journal *journal)
{
	int fd;

	unlink(journal->new_path);
	fd = open(journal->new_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return says_errno(journal);
	close(fd);
	return 0;
}

/* Nobody sees the file before it is whole: it needs nothing beside it, and is synced at the end. */
static int make_tables(struct journal *journal)
{
	char numbers[100];
	int rc = run_sql(
		journal, "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; BEGIN IMMEDIATE");

	for (int i = 0; i < TABLES && rc == 0; i++)
		rc = run_sql(journal, tables[i].sql);
	snprintf(numbers, sizeof(numbers),
		"PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", APPLICATION_ID,
		SCHEMA_VERSION);
	if (rc == 0)
		rc = run_sql(journal, numbers);
	return rc == 0 ? prepare(journal) : rc;
}

static int create(struct journal *journal)
{
	int rc;

	if (asprintf(&journal->new_path, "%s.new", journal->path) < 0) {
		journal->new_path = NULL;
		return ERR_NOMEM;
	}
	rc = make_file(journal);
	if (rc == 0)
		rc = connect_file(journal, journal->new_path, true);
	return rc == 0 ? make_tables(journal) : rc;
}

int journal_prepare(const char *path, struct journal **ret_journal, struct buf *error)
{
	struct journal *journal;
	int rc = make(path, true, &journal, error);

	if (rc < 0)
		return rc;
	if (access(path, F_OK) == 0) {
		buf_appendf(error, "there is a %s already", path);
		journal_close(journal);
		return ERR_ARGUMENT;
	}
	/* Which rows there will be is not known yet. */
	journal->campaign.rows = JOURNAL_ROWS_MAX;
	rc = create(journal);
	if (tell(journal, "cannot make", rc, error) < 0)
		journal_close(journal);
	else
		*ret_journal = journal;
	return rc;
}

static int sync_directory(struct journal *journal)
{
	char path[PATH_MAX];
	char *slash;
	int fd, rc;

	snprintf(path, sizeof(path), "%s", journal->path);
	slash = strrchr(path, '/');
	if (slash)
		slash[slash == path ? 1 : 0] = '\0';
	fd = open(slash ? path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return says_errno(journal);
	rc = fsync(fd) == 0 ? 0 : says_errno(journal);
	close(fd);
	return rc;
}

/* Only who holds the lock gets here; a file system without RENAME_NOREPLACE has its word for it. */
static int give_name(struct journal *journal)
{
	if (renameat2(AT_FDCWD, journal->new_path, AT_FDCWD, journal->path, RENAME_NOREPLACE) < 0) {
		if (errno != EINVAL && errno != ENOSYS)
			return says_errno(journal);
		if (rename(journal->new_path, journal->path) < 0)
			return says_errno(journal);
	}
	free(journal->new_path);
	journal->new_path = NULL;
	return sync_directory(journal);
}

static bool is_too_large(const struct journal_campaign *campaign)
{
	const char *const texts[] = {campaign->name, campaign->list, campaign->template_file,
		campaign->key_column, campaign->group_column, campaign->rules,
		campaign->suppression, campaign->destination, campaign->queue_url,
		campaign->endpoint};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i] && strlen(texts[i]) > JOURNAL_TEXT_MAX)
			return true;
	return campaign->rows > JOURNAL_ROWS_MAX;
}

/* The last transaction under the other name. */
static int complete(struct journal *journal, const struct journal_campaign *campaign)
{
	int rc = run_sql(journal, "PRAGMA synchronous=FULL");

	if (rc == 0)
		rc = begin_write(journal);
	if (rc < 0)
		return rc;
	rc = journal_rows_store(journal);
	if (rc == 0)
		rc = journal_campaign_store(journal, campaign);
	return end_write(journal, rc);
}

int journal_begin(struct journal *journal, const struct journal_campaign *campaign,
	int64_t now_epoch_ms, struct buf *error)
{
	int rc;

	if (is_too_large(campaign)) {
		buf_appendf(error, "the campaign is too large for a journal: %llu rows",
			(unsigned long long)campaign->rows);
		return ERR_TOO_LARGE;
	}
	journal->begun_epoch_ms = now_epoch_ms;
	rc = complete(journal, campaign);
	if (rc == 0) {
		journal_rows_written(journal);
		disconnect(journal);
		rc = give_name(journal);
	}
	if (rc == 0) {
		rc = open_to_send(journal);
		if (rc < 0)
			unlink(journal->path);
	}
	return tell(journal, "cannot make", rc, error);
}

void journal_discard(struct journal *journal)
{
	if (!journal)
		return;
	disconnect(journal);
	unlink(journal->path);
	journal_close(journal);
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
	rc = begin_write(journal);
	if (rc == 0)
		rc = end_write(journal, journal_rows_store(journal));
	if (rc == 0)
		journal_rows_written(journal);
	return tell(journal, "cannot write", rc, error);
}

/* The campaign's row with its present times, in a transaction of its own, synced. */
static int store_durably(struct journal *journal)
{
	int rc = run_sql(journal, "PRAGMA synchronous=FULL");

	if (rc == 0)
		rc = begin_write(journal);
	if (rc == 0)
		rc = end_write(journal, journal_campaign_store(journal, &journal->campaign));
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
	return tell(journal, "cannot write", rc, error);
}

/* Makes one file of it. Somebody who reads may be in the way: then it stays as it is. */
static void fold(struct journal *journal)
{
	sqlite3_busy_timeout(journal->db, 0);
	sqlite3_exec(journal->db, "PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode=DELETE",
		NULL, NULL, NULL);
	sqlite3_busy_timeout(journal->db, BUSY_TIMEOUT_MS);
}

int journal_finish(struct journal *journal, int64_t now_epoch_ms, struct buf *error)
{
	int rc = journal_commit(journal, error);
	uint64_t known;

	if (rc < 0)
		return rc;
	rc = journal_rows_count(journal);
	if (rc < 0)
		return tell(journal, "cannot read", rc, error);
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
	return tell(journal, "cannot write", rc, error);
}
