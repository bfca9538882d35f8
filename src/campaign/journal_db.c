/* The journal's database: its statements, and whether a file is one. */
#include "bunshin/error.h"
#include "campaign/journal_private.h"

#include <stdio.h>
#include <string.h>

#define APPLICATION_ID 0x42756e6a /* "Bunj" */

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

/* statements */

int journal_fail(struct journal *journal)
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
		rc = journal_fail(journal);
	journal_reset(journal, which);
	return rc;
}

int journal_begin_write(struct journal *journal)
{
	return journal_step(journal, JOURNAL_WRITE);
}

int journal_end_write(struct journal *journal, int rc)
{
	if (rc == 0)
		rc = journal_step(journal, JOURNAL_COMMIT);
	/* Some errors have rolled back already. */
	if (rc < 0 && !sqlite3_get_autocommit(journal->db))
		sqlite3_exec(journal->db, "ROLLBACK", NULL, NULL, NULL);
	return rc;
}

int journal_run(struct journal *journal, const char *text)
{
	return sqlite3_exec(journal->db, text, NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : journal_fail(journal);
}

int journal_tell(const struct journal *journal, const char *what, int rc, struct buf *error)
{
	if (rc == ERR_IO)
		buf_appendf(error, "%s %s: %s", what, journal->path, journal->detail);
	else if (rc < 0)
		buf_appendf(error, "%s %s: %s", what, journal->path, error_message(rc));
	return rc;
}

int journal_set_version(struct journal *journal, int version)
{
	char text[64];

	snprintf(text, sizeof(text), "PRAGMA user_version=%d", version);
	return journal_run(journal, text);
}

/* is it a journal? */

/* The one value of a query: a number, or with `text` whether it is that text. */
static int query(struct journal *journal, const char *sql, const char *text, int64_t *ret)
{
	sqlite3_stmt *statement;
	const char *found;
	int rc = 0;

	if (sqlite3_prepare_v2(journal->db, sql, -1, &statement, NULL) != SQLITE_OK)
		return journal_fail(journal);
	if (sqlite3_step(statement) != SQLITE_ROW) {
		rc = journal_fail(journal);
	} else if (text) {
		found = (const char *)sqlite3_column_text(statement, 0);
		*ret = found && strcmp(found, text) == 0;
	} else {
		*ret = sqlite3_column_int64(statement, 0);
	}
	sqlite3_finalize(statement);
	return rc;
}

static int check_table(
	struct journal *journal, const char *name, const char *text, int64_t *ret_same)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "SELECT max(sql) FROM sqlite_schema WHERE name='%s'", name);
	return query(journal, sql, text, ret_same);
}

/* Tables, and nothing but tables, as this program makes them. */
static int check_tables(struct journal *journal)
{
	bool packed = journal->version == JOURNAL_VERSION_PACKED;
	int64_t count = 0, same = 1;
	int rc = query(journal, "SELECT count(*) FROM sqlite_schema", NULL, &count);

	for (int i = 0; i < TABLES && rc == 0 && same; i++)
		rc = check_table(journal, tables[i].name, tables[i].sql, &same);
	if (rc == 0 && same && packed)
		rc = check_table(journal, "packing", JOURNAL_PACKING_TABLE, &same);
	if (rc == 0 && (count != TABLES + packed || !same))
		rc = journal_damaged(journal, "its tables are not those of a journal");
	return rc;
}

int journal_check_kind(struct journal *journal)
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
	if (version != JOURNAL_VERSION && version != JOURNAL_VERSION_PACKED) {
		snprintf(journal->detail, sizeof(journal->detail),
			"it was written by a newer version of bunshin (version %lld, this one "
			"knows %d)",
			(long long)version, JOURNAL_VERSION_PACKED);
		return ERR_IO;
	}
	journal->version = version;
	return check_tables(journal);
}

int journal_check_pages(struct journal *journal)
{
	int64_t fine = 0;
	int rc = query(journal, "PRAGMA quick_check(1)", "ok", &fine);

	if (rc == 0 && !fine)
		rc = journal_damaged(journal, "its pages do not fit together");
	return rc;
}

/* the connection */

int journal_connect(struct journal *journal, const char *path, bool to_write)
{
	int flags = to_write ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;

	if (sqlite3_open_v2(path, &journal->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
		return journal->db ? journal_fail(journal) : ERR_NOMEM;
	sqlite3_busy_timeout(journal->db, JOURNAL_BUSY_TIMEOUT_MS);
	/* The file may be anybody's: what stands in it runs nothing, and has bounds. */
	sqlite3_db_config(journal->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(journal->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_limit(journal->db, SQLITE_LIMIT_LENGTH, 2 * JOURNAL_TEXT_MAX * JOURNAL_TEXTS);
	return journal_run(journal, "PRAGMA cell_size_check=ON; PRAGMA cache_size=-1024");
}

void journal_disconnect(struct journal *journal)
{
	for (int i = 0; i < JOURNAL_STATEMENTS; i++) {
		sqlite3_finalize(journal->statements[i]);
		journal->statements[i] = NULL;
	}
	sqlite3_close(journal->db);
	journal->db = NULL;
}

int journal_prepare_statements(struct journal *journal)
{
	for (int i = 0; i < JOURNAL_STATEMENTS; i++)
		if (sqlite3_prepare_v3(journal->db, statement_texts[i], -1,
			    SQLITE_PREPARE_PERSISTENT, &journal->statements[i], NULL) != SQLITE_OK)
			return journal_fail(journal);
	return 0;
}

/* Nobody sees the file before it is whole: it needs nothing beside it, and is synced at the end. */
int journal_make_tables(struct journal *journal)
{
	char numbers[100];
	int rc = journal_run(
		journal, "PRAGMA journal_mode=MEMORY; PRAGMA synchronous=OFF; BEGIN IMMEDIATE");

	for (int i = 0; i < TABLES && rc == 0; i++)
		rc = journal_run(journal, tables[i].sql);
	snprintf(numbers, sizeof(numbers),
		"PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT", APPLICATION_ID,
		JOURNAL_VERSION);
	if (rc == 0)
		rc = journal_run(journal, numbers);
	return rc == 0 ? journal_prepare_statements(journal) : rc;
}
