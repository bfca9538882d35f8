#include "campaign/results_db.h"

#include "bunshin/error.h"
#include "campaign/results_db_private.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define APPLICATION_ID 0x42756e72 /* "Bunr" */
#define SCHEMA_VERSION 1
#define BUSY_TIMEOUT_MS 5000

/* Before the schema: what cannot be set within its transaction. */
static const char writer_pragmas[] = "PRAGMA journal_mode=WAL;"
				     "PRAGMA synchronous=FULL;"
				     "PRAGMA wal_autocheckpoint=16000;"
				     "PRAGMA journal_size_limit=67108864";

static const char schema[] =
	"BEGIN IMMEDIATE;"
	"CREATE TABLE texts(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);"
	"CREATE TABLE records(key BLOB NOT NULL UNIQUE, campaign INTEGER NOT NULL,"
	" ended INTEGER NOT NULL, at INTEGER NOT NULL, outcome INTEGER NOT NULL,"
	" status INTEGER NOT NULL, reason INTEGER NOT NULL, reason_group INTEGER,"
	" destination INTEGER NOT NULL, attempts INTEGER NOT NULL, first INTEGER NOT NULL,"
	" unanswered INTEGER NOT NULL, message_id BLOB, request_id BLOB);"
	"CREATE INDEX records_by_time ON records(campaign, ended, at);"
	"CREATE INDEX records_by_group ON records(reason_group, key)"
	" WHERE reason_group IS NOT NULL;"
	"CREATE TABLE tallies(campaign INTEGER NOT NULL, outcome INTEGER NOT NULL,"
	" keys INTEGER NOT NULL, uncertain INTEGER NOT NULL, first INTEGER NOT NULL,"
	" PRIMARY KEY(campaign, outcome)) WITHOUT ROWID;"
	"CREATE TABLE reason_groups(id INTEGER PRIMARY KEY, campaign INTEGER NOT NULL,"
	" outcome INTEGER NOT NULL, status INTEGER NOT NULL, reason INTEGER NOT NULL,"
	" keys INTEGER NOT NULL, UNIQUE(campaign, outcome, status, reason));"
	"CREATE INDEX reason_groups_by_keys ON reason_groups(campaign, keys);"
	"CREATE TABLE statuses(worker TEXT PRIMARY KEY, at INTEGER NOT NULL,"
	" in_flight INTEGER NOT NULL, slots INTEGER NOT NULL, waiting INTEGER NOT NULL,"
	" accepted INTEGER NOT NULL, work_limit INTEGER NOT NULL, control TEXT NOT NULL)"
	" WITHOUT ROWID;"
	"CREATE TABLE logs(device INTEGER NOT NULL, inode INTEGER NOT NULL,"
	" position INTEGER NOT NULL, head_hash INTEGER NOT NULL, head_bytes INTEGER NOT NULL,"
	" PRIMARY KEY(device, inode)) WITHOUT ROWID;";

static const char *const sql[RDB_STATEMENTS] = {
#define X(id, text) text,
	RESULTS_DB_STATEMENT_LIST(X)
#undef X
};

/* ---- statements */

/* Remembers the database's words. Returns ERR_IO or ERR_NOMEM. */
static int fail(struct results_db *db)
{
	int code = sqlite3_errcode(db->db);

	snprintf(db->detail, sizeof(db->detail), "%s", sqlite3_errmsg(db->db));
	return code == SQLITE_NOMEM ? ERR_NOMEM : ERR_IO;
}

void results_db_reset(struct results_db *db, enum results_db_statement which)
{
	sqlite3_reset(db->statements[which]);
}

int results_db_step(struct results_db *db, enum results_db_statement which)
{
	int code = sqlite3_step(db->statements[which]);
	int err = 0;

	if (code == SQLITE_ROW)
		return 1;
	if (code != SQLITE_DONE)
		err = fail(db);
	results_db_reset(db, which);
	return err;
}

void results_db_bind_int(
	struct results_db *db, enum results_db_statement which, int at, int64_t value)
{
	sqlite3_bind_int64(db->statements[which], at, value);
}

void results_db_bind_text(
	struct results_db *db, enum results_db_statement which, int at, const char *text)
{
	sqlite3_bind_text(db->statements[which], at, text, -1, SQLITE_STATIC);
}

/* -1: no lower-case hex digit. */
static int digit(char c)
{
	static const signed char plus_one[256] = {['0'] = 1,
		['1'] = 2,
		['2'] = 3,
		['3'] = 4,
		['4'] = 5,
		['5'] = 6,
		['6'] = 7,
		['7'] = 8,
		['8'] = 9,
		['9'] = 10,
		['a'] = 11,
		['b'] = 12,
		['c'] = 13,
		['d'] = 14,
		['e'] = 15,
		['f'] = 16};

	return plus_one[(unsigned char)c] - 1;
}

/* Only the form that is given back for these bytes. */
static bool parse_uuid(const char *text, unsigned char ret_bytes[ID_BYTES])
{
	int n = 0, high, low;

	for (int i = 0; i < 36; i++) {
		if (i == 8 || i == 13 || i == 18 || i == 23) {
			if (text[i] != '-')
				return false;
			continue;
		}
		high = digit(text[i]);
		low = high < 0 ? -1 : digit(text[++i]);
		if (low < 0)
			return false;
		ret_bytes[n++] = (unsigned char)(high << 4 | low);
	}
	return text[36] == '\0';
}

static void format_uuid(const unsigned char bytes[ID_BYTES], char text[ID_TEXT_SIZE])
{
	static const char digits[] = "0123456789abcdef";

	for (int i = 0; i < ID_BYTES; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*text++ = '-';
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 15];
	}
	*text = '\0';
}

void results_db_bind_id(struct results_db *db, enum results_db_statement which, int at,
	const char *text, unsigned slot)
{
	sqlite3_stmt *statement = db->statements[which];

	if (text[0] == '\0')
		sqlite3_bind_null(statement, at);
	else if (parse_uuid(text, db->ids[slot]))
		sqlite3_bind_blob(statement, at, db->ids[slot], ID_BYTES, SQLITE_STATIC);
	else
		results_db_bind_text(db, which, at, text);
}

const char *results_db_column_text(sqlite3_stmt *statement, int column)
{
	const char *text = (const char *)sqlite3_column_text(statement, column);

	return text != NULL ? text : "";
}

const char *results_db_column_id(sqlite3_stmt *statement, int column, char text[ID_TEXT_SIZE])
{
	if (sqlite3_column_type(statement, column) != SQLITE_BLOB)
		return results_db_column_text(statement, column);
	text[0] = '\0';
	if (sqlite3_column_bytes(statement, column) == ID_BYTES)
		format_uuid(sqlite3_column_blob(statement, column), text);
	return text;
}

const char *results_db_detail(const struct results_db *db)
{
	return db->detail;
}

/* ---- opening */

static int run_sql(struct results_db *db, const char *text)
{
	return sqlite3_exec(db->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(db);
}

static int read_number(struct results_db *db, const char *text, int64_t *ret)
{
	sqlite3_stmt *statement;
	int err = 0;

	if (sqlite3_prepare_v2(db->db, text, -1, &statement, NULL) != SQLITE_OK)
		return fail(db);
	if (sqlite3_step(statement) == SQLITE_ROW)
		*ret = sqlite3_column_int64(statement, 0);
	else
		err = fail(db);
	sqlite3_finalize(statement);
	return err;
}

/* One process writes; the lock goes when it dies, however it dies. */
static int take_lock(struct results_db *db, const char *path, struct buf *error)
{
	struct buf name = BUF_INIT(8192);
	int err = 0;

	if (buf_appendf(&name, "%s.lock", path) < 0) {
		err = name.err == ERR_NOMEM ? ERR_NOMEM : ERR_IO;
		buf_appendf(error, "%s: %s", path, error_message(err));
		goto done;
	}
	db->lock_fd = open(buf_string(&name), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (db->lock_fd < 0) {
		buf_appendf(error, "cannot open %s: %s", buf_string(&name), strerror(errno));
		err = ERR_IO;
	} else if (flock(db->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		buf_appendf(error, "%s is being written by another bunshin", path);
		err = ERR_PENDING;
	}
done:
	buf_free(&name);
	return err;
}

/* SQLite would let everybody read what it makes; the files beside it follow this one's mode. */
static int make_private_file(const char *path, struct buf *error)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0) {
		buf_appendf(error, "cannot open %s: %s", path, strerror(errno));
		return ERR_IO;
	}
	close(fd);
	return 0;
}

/* Whose file is it? *ret_empty: nobody's yet. */
static int check_file(struct results_db *db, const char *path, bool *ret_empty, struct buf *error)
{
	int64_t id = 0, version = 0, tables = 0;
	int err = read_number(db, "PRAGMA application_id", &id);

	if (err == 0)
		err = read_number(db, "PRAGMA user_version", &version);
	if (err == 0)
		err = read_number(db, "SELECT count(*) FROM sqlite_schema", &tables);
	if (err < 0) {
		if (sqlite3_errcode(db->db) == SQLITE_NOTADB) {
			buf_appendf(error, "%s is no database of results: %s", path, db->detail);
			return ERR_CONFIG;
		}
		buf_appendf(error, "%s: %s", path, db->detail);
		return err;
	}
	*ret_empty = id == 0 && version == 0 && tables == 0;
	if (*ret_empty)
		return 0;
	if (id != APPLICATION_ID) {
		buf_appendf(error, "%s is a database of something else", path);
		return ERR_CONFIG;
	}
	if (version != SCHEMA_VERSION) {
		buf_appendf(error,
			"%s was written by a newer version of bunshin (schema %" PRId64
			", this one knows %d)",
			path, version, SCHEMA_VERSION);
		return ERR_CONFIG;
	}
	return 0;
}

static int make_schema(struct results_db *db)
{
	char numbers[100];
	int err = run_sql(db, schema);

	snprintf(numbers, sizeof(numbers), "PRAGMA application_id=%d;PRAGMA user_version=%d;COMMIT",
		APPLICATION_ID, SCHEMA_VERSION);
	return err < 0 ? err : run_sql(db, numbers);
}

static int prepare_all(struct results_db *db)
{
	char cache[100];
	size_t bytes = db->read_only ? RESULTS_DB_CACHE_BYTES / 4 : RESULTS_DB_CACHE_BYTES;
	int err;

	snprintf(cache, sizeof(cache), "PRAGMA cache_size=-%zu;PRAGMA temp_store=MEMORY",
		bytes / 1024);
	err = run_sql(db, cache);
	for (int i = 0; err == 0 && i < RDB_STATEMENTS; i++)
		if (sqlite3_prepare_v3(db->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &db->statements[i], NULL) != SQLITE_OK)
			err = fail(db);
	return err;
}

static int open_file(struct results_db *db, const char *path, struct buf *error)
{
	int flags = db->read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
	bool empty;
	int err;

	if (db->read_only && access(path, F_OK) < 0 && errno == ENOENT) {
		buf_appendf(error, "there is no %s", path);
		return ERR_NOT_FOUND;
	}
	err = db->read_only ? 0 : make_private_file(path, error);
	if (err < 0)
		return err;
	if (sqlite3_open_v2(path, &db->db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
		err = db->db != NULL ? fail(db) : ERR_NOMEM;
		buf_appendf(error, "cannot open %s: %s", path,
			err == ERR_NOMEM ? error_message(err) : db->detail);
		return err;
	}
	sqlite3_busy_timeout(db->db, BUSY_TIMEOUT_MS);
	err = check_file(db, path, &empty, error);
	if (err < 0)
		return err;
	if (empty && db->read_only) {
		buf_appendf(error, "%s holds nothing yet", path);
		return ERR_NOT_FOUND;
	}
	err = db->read_only ? 0 : run_sql(db, writer_pragmas);
	if (err == 0 && empty)
		err = make_schema(db);
	if (err == 0)
		err = prepare_all(db);
	if (err < 0)
		buf_appendf(error, "%s: %s", path, db->detail);
	return err;
}

int results_db_open(const char *path, bool read_only, struct results_db **ret_db, struct buf *error)
{
	struct results_db *db = calloc(1, sizeof(*db));
	int err = 0;

	if (db == NULL) {
		buf_append_string(error, error_message(ERR_NOMEM));
		return ERR_NOMEM;
	}
	db->lock_fd = -1;
	db->read_only = read_only;
	buf_init(&db->found, 16384);
	if (!read_only)
		err = take_lock(db, path, error);
	if (err == 0)
		err = open_file(db, path, error);
	if (err < 0) {
		results_db_close(db);
		return err;
	}
	*ret_db = db;
	return 0;
}

void results_db_close(struct results_db *db)
{
	if (db == NULL)
		return;
	for (int i = 0; i < RDB_STATEMENTS; i++)
		sqlite3_finalize(db->statements[i]);
	sqlite3_close(db->db); /* rolls back */
	results_db_forget(db);
	buf_free(&db->found);
	if (db->lock_fd >= 0)
		close(db->lock_fd);
	free(db);
}

/* ---- transactions */

bool results_db_is_dirty(const struct results_db *db)
{
	return db->dirty;
}

static int forget_old_statuses(struct results_db *db)
{
	if (!db->statuses)
		return 0;
	results_db_bind_int(db, RDB_STATUS_FORGET, 1, RESULTS_DB_WORKERS_MAX);
	return results_db_step(db, RDB_STATUS_FORGET);
}

int results_db_commit(struct results_db *db, struct buf *error)
{
	int err = db->err;

	if (err == 0 && db->dirty)
		err = results_db_flush(db);
	if (err == 0 && db->dirty)
		err = forget_old_statuses(db);
	if (err == 0 && db->dirty)
		err = results_db_step(db, RDB_COMMIT);
	if (err < 0) {
		buf_appendf(error, "cannot write the results: %s",
			err == ERR_NOMEM ? error_message(err) : db->detail);
		/* Some errors have rolled back already. */
		if (!sqlite3_get_autocommit(db->db))
			sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL);
		results_db_forget(db);
	}
	db->dirty = db->statuses = false;
	db->err = 0;
	return err;
}

int results_db_hold(struct results_db *db)
{
	return db->read_only ? results_db_step(db, RDB_HOLD) : 0;
}

void results_db_release(struct results_db *db)
{
	if (db->read_only && !sqlite3_get_autocommit(db->db))
		(void)results_db_step(db, RDB_COMMIT);
}
