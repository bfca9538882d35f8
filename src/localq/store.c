#include "localq/store.h"

#include "bunshin/error.h"
#include "localq/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SCHEMA_VERSION 2
#define BUSY_TIMEOUT_MS 2000
#define DIR_MAX (PATH_MAX - 16) /* a longer one is refused: there are files in it */

/*
 * Columns that a receive rewrites come first, the body comes last: what stands before it is read
 * without touching the pages that a long body overflows to.
 */
static const char schema[] =
	"BEGIN;"
	"CREATE TABLE settings(name TEXT PRIMARY KEY, value) WITHOUT ROWID;"
	"CREATE TABLE queues(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
	" created_ms INTEGER NOT NULL, modified_ms INTEGER NOT NULL, purged_ms INTEGER NOT NULL);"
	"CREATE TABLE queue_attributes(queue INTEGER NOT NULL, name TEXT NOT NULL,"
	" value TEXT NOT NULL, PRIMARY KEY(queue,name)) WITHOUT ROWID;"
	"CREATE TABLE queue_tags(queue INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,"
	" PRIMARY KEY(queue,name)) WITHOUT ROWID;"
	"CREATE TABLE reserved_names(name TEXT PRIMARY KEY, until_ms INTEGER NOT NULL)"
	" WITHOUT ROWID;"
	/* A lane without a queue is abandoned: its messages wait to be swept. */
	"CREATE TABLE lanes(id INTEGER PRIMARY KEY AUTOINCREMENT, queue INTEGER UNIQUE);"
	"CREATE TABLE messages(id INTEGER PRIMARY KEY, lane INTEGER NOT NULL,"
	" visible_ms INTEGER NOT NULL, receives INTEGER NOT NULL,"
	" first_received_ms INTEGER NOT NULL, sent_ms INTEGER NOT NULL, message_id BLOB NOT NULL,"
	" md5 BLOB NOT NULL, trace_header TEXT, group_id TEXT, dead_letter_source TEXT,"
	" attributes BLOB, body TEXT NOT NULL);"
	"CREATE INDEX messages_by_time ON messages(lane, visible_ms, receives);"
	"PRAGMA user_version=1;"
	"COMMIT";

/* From version 1 to 2. Moves of a deleted queue go with it, so its name is enough. */
static const char schema_moves[] =
	"BEGIN;"
	"CREATE TABLE moves(id INTEGER PRIMARY KEY AUTOINCREMENT, task TEXT NOT NULL UNIQUE,"
	" source TEXT NOT NULL, destination TEXT, rate INTEGER NOT NULL, status INTEGER NOT NULL,"
	" moved INTEGER NOT NULL, to_move INTEGER NOT NULL, started_ms INTEGER NOT NULL,"
	" paced_ms INTEGER NOT NULL, failure TEXT);"
	"CREATE INDEX moves_by_source ON moves(source, id);"
	"PRAGMA user_version=2;"
	"COMMIT";

static const char pragmas[] = "PRAGMA locking_mode=EXCLUSIVE;"
			      "PRAGMA journal_mode=WAL;"
			      "PRAGMA synchronous=NORMAL;"
			      "PRAGMA temp_store=MEMORY;"
			      "PRAGMA cache_size=-65536;"
			      "PRAGMA wal_autocheckpoint=4000;"
			      "PRAGMA journal_size_limit=67108864";

static const char *const sql[STORE_STATEMENTS] = {
#define X(id, text) text,
	STORE_STATEMENT_LIST(X)
#undef X
};

/* Remembers the database's words; the transaction has failed. Returns ERR_STORE or ERR_NOMEM. */
static int fail(struct store *store)
{
	int code = sqlite3_errcode(store->db);

	snprintf(store->detail, sizeof(store->detail), "%s", sqlite3_errmsg(store->db));
	store->failed = true;
	return code == SQLITE_NOMEM ? ERR_NOMEM : ERR_STORE;
}

int store_fail_nomem(struct store *store)
{
	snprintf(store->detail, sizeof(store->detail), "%s", error_message(ERR_NOMEM));
	store->failed = true;
	return ERR_NOMEM;
}

int store_check(const struct store *store)
{
	return store->open && !store->failed ? 0 : ERR_STORE;
}

void store_reset(struct store *store, enum store_statement which)
{
	sqlite3_reset(store->statements[which]);
}

int store_step(struct store *store, enum store_statement which)
{
	int code = sqlite3_step(store->statements[which]);
	int err = 0;

	if (code == SQLITE_ROW)
		return 1;
	if (code != SQLITE_DONE)
		err = fail(store);
	store_reset(store, which);
	return err;
}

int store_run(struct store *store, enum store_statement which)
{
	return store_step(store, which);
}

void store_bind_int(struct store *store, enum store_statement which, int at, int64_t value)
{
	sqlite3_bind_int64(store->statements[which], at, value);
}

void store_bind_text(struct store *store, enum store_statement which, int at, const char *text)
{
	if (text != NULL)
		sqlite3_bind_text(store->statements[which], at, text, -1, SQLITE_STATIC);
	else
		sqlite3_bind_null(store->statements[which], at);
}

const char *store_detail(const struct store *store)
{
	return store->detail;
}

const uint8_t *store_handle_key(const struct store *store)
{
	return store->handle_key;
}

/* Some errors have rolled back already. This may fail for want of memory, and is tried again. */
static void roll_back(struct store *store)
{
	if (!sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
}

int store_begin(struct store *store)
{
	int err;

	if (store->open)
		return store_check(store);
	if (store->stale) {
		roll_back(store);
		store->failed = false;
		err = store_queues_load(store);
		if (err < 0)
			return err;
		store->stale = false;
	}
	err = store_run(store, STORE_BEGIN);
	if (err == 0)
		store->open = true;
	return err;
}

int store_commit(struct store *store)
{
	int err;

	if (!store->open)
		return store->failed ? ERR_STORE : 0;
	if (store->failed)
		return ERR_STORE;
	err = store_run(store, STORE_COMMIT);
	if (err == 0)
		store->open = false;
	return err;
}

void store_abort(struct store *store)
{
	for (int i = 0; i < STORE_STATEMENTS; i++)
		sqlite3_reset(store->statements[i]);
	roll_back(store);
	store->open = false;
	store->failed = false;
	store->stale = true;
	store_queues_free(store);
}

/* mkdir -p */
static int make_directory(const char *dir)
{
	char path[PATH_MAX];

	if (strlen(dir) > DIR_MAX) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(path, dir);
	for (char *p = path + 1; *p != '\0'; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -1;
		*p = '/';
	}
	return mkdir(path, 0700) < 0 && errno != EEXIST ? -1 : 0;
}

/* One process has the directory; the lock goes when it dies, however it dies. */
static int lock_directory(struct store *store, const char *dir, char *detail)
{
	char path[PATH_MAX];

	if (make_directory(dir) < 0) {
		snprintf(detail, STORE_DETAIL_MAX, "cannot make the directory %s: %s", dir,
			strerror(errno));
		return ERR_IO;
	}
	snprintf(path, sizeof(path), "%.*s/lock", DIR_MAX, dir);
	store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock_fd < 0) {
		snprintf(detail, STORE_DETAIL_MAX, "cannot open %s/lock: %s", dir, strerror(errno));
		return ERR_IO;
	}
	if (flock(store->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		snprintf(detail, STORE_DETAIL_MAX,
			"%s is in use by another bunshin queue; stop that one, or give this one a "
			"directory of its own",
			dir);
		return ERR_LIMIT;
	}
	return 0;
}

static int run_sql(struct store *store, const char *text)
{
	return sqlite3_exec(store->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(store);
}

static int read_version(struct store *store, int *ret)
{
	sqlite3_stmt *statement;

	if (sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &statement, NULL) != SQLITE_OK)
		return fail(store);
	if (sqlite3_step(statement) != SQLITE_ROW) {
		sqlite3_finalize(statement);
		return fail(store);
	}
	*ret = sqlite3_column_int(statement, 0);
	sqlite3_finalize(statement);
	return 0;
}

static int make_schema(struct store *store)
{
	int version = 0, err;

	err = read_version(store, &version);
	if (err < 0)
		return err;
	if (version > SCHEMA_VERSION) {
		snprintf(store->detail, sizeof(store->detail),
			"the database was written by a newer version of bunshin (schema %d, this "
			"one knows %d)",
			version, SCHEMA_VERSION);
		return ERR_CONFIG;
	}
	if (version < 1)
		err = run_sql(store, schema);
	if (err == 0 && version < 2)
		err = run_sql(store, schema_moves);
	return err;
}

static int prepare_all(struct store *store)
{
	for (int i = 0; i < STORE_STATEMENTS; i++)
		if (sqlite3_prepare_v3(store->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &store->statements[i], NULL) != SQLITE_OK)
			return fail(store);
	return 0;
}

/* The key of the receipt handles: drawn once, then kept. */
static int load_handle_key(struct store *store)
{
	sqlite3_stmt *get = store->statements[STORE_SETTING_GET];
	sqlite3_stmt *put = store->statements[STORE_SETTING_PUT];
	int err;

	store_bind_text(store, STORE_SETTING_GET, 1, "handle_key");
	err = store_step(store, STORE_SETTING_GET);
	if (err < 0)
		return err;
	if (err == 1 && sqlite3_column_bytes(get, 0) == HANDLE_KEY_BYTES) {
		memcpy(store->handle_key, sqlite3_column_blob(get, 0), HANDLE_KEY_BYTES);
		store_reset(store, STORE_SETTING_GET);
		return 0;
	}
	store_reset(store, STORE_SETTING_GET);
	if (RAND_bytes(store->handle_key, HANDLE_KEY_BYTES) != 1)
		return ERR_NOMEM;
	store_bind_text(store, STORE_SETTING_PUT, 1, "handle_key");
	sqlite3_bind_blob(put, 2, store->handle_key, HANDLE_KEY_BYTES, SQLITE_STATIC);
	return store_run(store, STORE_SETTING_PUT);
}

/* SQLite would let everybody read what it makes; the files beside it follow this one's mode. */
static int make_private_file(struct store *store, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0) {
		snprintf(store->detail, sizeof(store->detail), "cannot open queue.db: %s",
			strerror(errno));
		return ERR_IO;
	}
	close(fd);
	return 0;
}

static int open_database(struct store *store, const char *dir)
{
	char path[PATH_MAX] = ":memory:";
	int err;

	if (dir != NULL) {
		snprintf(path, sizeof(path), "%.*s/queue.db", DIR_MAX, dir);
		err = make_private_file(store, path);
		if (err < 0)
			return err;
	}
	if (sqlite3_open_v2(path, &store->db,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		    NULL) != SQLITE_OK)
		return store->db == NULL ? ERR_NOMEM : fail(store);
	sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
	err = run_sql(store, pragmas);
	if (err == 0)
		err = make_schema(store);
	if (err == 0)
		err = prepare_all(store);
	if (err == 0)
		err = load_handle_key(store);
	if (err == 0)
		err = store_queues_load(store);
	return err;
}

int store_open(const char *dir, struct store **ret, char detail[STORE_DETAIL_MAX])
{
	struct store *store = calloc(1, sizeof(*store));
	int err = 0;

	*detail = '\0';
	if (store == NULL)
		return ERR_NOMEM;
	store->lock_fd = -1;
	if (dir != NULL)
		err = lock_directory(store, dir, detail);
	if (err == 0) {
		err = open_database(store, dir);
		if (err < 0)
			snprintf(detail, STORE_DETAIL_MAX, "%s", store->detail);
	}
	if (err < 0) {
		store_close(store);
		return err;
	}
	*ret = store;
	return 0;
}

void store_close(struct store *store)
{
	if (store == NULL)
		return;
	store_queues_free(store);
	for (int i = 0; i < STORE_STATEMENTS; i++)
		sqlite3_finalize(store->statements[i]);
	sqlite3_close(store->db);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	free(store);
}
