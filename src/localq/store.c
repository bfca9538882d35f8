#include "localq/store.h"

#include "bunshin/error.h"
#include "localq/checkpoint.h"
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
#include <uv.h>

#define BUSY_TIMEOUT_MS 2000
#define DIR_MAX (PATH_MAX - 16) /* a longer one is refused: there are files in it */

/*
 * Of SQLite's own: one lock for the process, taken once, and the index of the log in memory that
 * all connections of the process share. So a transaction makes no system call but for its data.
 */
#define VFS "unix-excl"

/* What is deleted is not overwritten with zeros: Debian builds SQLite so that it would be. */
/* The page size is a new database's; larger pages are fewer levels of its trees with many messages.
 */
static const char pragmas[] = "PRAGMA page_size=8192;"
			      "PRAGMA journal_mode=WAL;"
			      "PRAGMA temp_store=MEMORY;"
			      "PRAGMA secure_delete=OFF;"
			      "PRAGMA cache_size=-65536;"
			      "PRAGMA wal_autocheckpoint=0;"
			      "PRAGMA journal_size_limit=134217728";

static const char *const sync_pragmas[] = {
	[STORE_SYNC_NORMAL] = "PRAGMA synchronous=NORMAL",
	[STORE_SYNC_FULL] = "PRAGMA synchronous=FULL",
};

static const char *const sql[STORE_STATEMENTS] = {
#define X(id, text) text,
	STORE_STATEMENT_LIST(X)
#undef X
};

int store_fail(struct store *store)
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

int store_fail_damaged(struct store *store, int64_t id)
{
	if (sqlite3_errcode(store->db) == SQLITE_NOMEM)
		return store_fail_nomem(store);
	snprintf(store->detail, sizeof(store->detail), "message %lld in the database is damaged",
		(long long)id);
	store->failed = true;
	return ERR_STORE;
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
		err = store_fail(store);
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

bool store_copy_trouble(struct store *store, char ret[STORE_DETAIL_MAX])
{
	char detail[CHECKPOINT_DETAIL_MAX];

	if (store->checkpointer == NULL || !checkpointer_trouble(store->checkpointer, detail))
		return false;
	snprintf(ret, STORE_DETAIL_MAX, "%s", detail);
	return true;
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

static void enter(struct store *store)
{
	if (store->checkpointer != NULL)
		checkpointer_enter(store->checkpointer);
}

static void leave(struct store *store)
{
	store->open = false;
	if (store->checkpointer != NULL)
		checkpointer_leave(store->checkpointer, store->log_frames);
}

static int begin(struct store *store)
{
	int err;

	if (store->stale) {
		roll_back(store);
		store->failed = false;
		err = store_queues_load(store);
		if (err < 0)
			return err;
		store->stale = false;
	}
	return store_run(store, STORE_BEGIN);
}

int store_begin(struct store *store)
{
	int err;

	if (store->open)
		return store_check(store);
	enter(store);
	err = begin(store);
	if (err == 0) {
		store->open = true;
		store->changes_before = sqlite3_total_changes64(store->db);
	} else {
		leave(store);
	}
	return err;
}

bool store_has_written(const struct store *store)
{
	return store->open &&
	       (sqlite3_total_changes64(store->db) != store->changes_before ||
		       store->gathered.sent_count > 0 || store->gathered.deleted_count > 0);
}

int store_try_write(struct store *store, int64_t now)
{
	int err = store_settle(store);

	if (err < 0)
		return err;
	store_bind_text(store, STORE_SETTING_PUT, 1, "tried_ms");
	store_bind_int(store, STORE_SETTING_PUT, 2, now);
	return store_run(store, STORE_SETTING_PUT);
}

static int write_counts(struct store *store)
{
	int err = 0;

	while (store->changed != NULL && err == 0) {
		struct store_queue *queue = store->changed;

		store_bind_int(store, STORE_LANE_COUNTS, 1, queue->lane);
		store_bind_int(store, STORE_LANE_COUNTS, 2, queue->messages);
		store_bind_int(store, STORE_LANE_COUNTS, 3, queue->fresh_id);
		store_bind_int(store, STORE_LANE_COUNTS, 4, queue->turn);
		err = store_run(store, STORE_LANE_COUNTS);
		queue->is_changed = false;
		store->changed = queue->next_changed;
	}
	return err;
}

int store_commit(struct store *store)
{
	int err;

	if (!store->open)
		return store->failed ? ERR_STORE : 0;
	if (store->failed)
		return ERR_STORE;
	err = store_settle(store);
	if (err == 0)
		err = write_counts(store);
	if (err == 0)
		err = store_run(store, STORE_COMMIT);
	if (err == 0)
		leave(store);
	return err;
}

void store_abort(struct store *store)
{
	for (int i = 0; i < STORE_STATEMENTS; i++)
		sqlite3_reset(store->statements[i]);
	roll_back(store);
	if (store->open)
		leave(store);
	store->failed = false;
	store->stale = true;
	store->gathered.sent_count = store->gathered.deleted_count = 0;
	store_queues_free(store);
}

/* Makes a directory, and makes sure that a loss of power does not take it away. */
static int make_one(const char *path, mode_t mode)
{
	char parent[PATH_MAX];
	char *slash;
	int fd;

	if (mkdir(path, mode) < 0)
		return errno == EEXIST ? 0 : -1;
	snprintf(parent, sizeof(parent), "%s", path);
	slash = strrchr(parent, '/');
	if (slash == NULL)
		strcpy(parent, ".");
	else
		slash[slash == parent] = '\0';
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return 0; /* not ours to read: as far as it goes */
	fsync(fd);
	close(fd);
	return 0;
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
		if (make_one(path, 0755) < 0)
			return -1;
		*p = '/';
	}
	return make_one(path, 0700);
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

int store_run_sql(struct store *store, const char *text)
{
	return sqlite3_exec(store->db, text, NULL, NULL, NULL) == SQLITE_OK ? 0 : store_fail(store);
}

static int prepare_all(struct store *store)
{
	for (int i = 0; i < STORE_STATEMENTS; i++)
		if (sqlite3_prepare_v3(store->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
			    &store->statements[i], NULL) != SQLITE_OK)
			return store_fail(store);
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

/*
 * For the whole process, which is why it is done before any connection is opened; where another
 * part of the process was first nothing is lost but speed: statistics cost a lock an allocation.
 */
static void configure_sqlite(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int count_frames(void *arg, sqlite3 *db, const char *name, int frames)
{
	struct store *store = arg;

	(void)db;
	(void)name;
	store->log_frames = frames;
	return SQLITE_OK;
}

static int start_checkpointer(struct store *store, const char *path)
{
	char detail[CHECKPOINT_DETAIL_MAX];
	int err;

	sqlite3_wal_hook(store->db, count_frames, store);
	err = checkpointer_start(path, VFS, &store->checkpointer, detail);
	if (err < 0)
		snprintf(store->detail, sizeof(store->detail), "%s", detail);
	return err;
}

static int open_database(struct store *store, const char *dir, enum store_sync sync)
{
	static uv_once_t configured = UV_ONCE_INIT;
	char path[PATH_MAX] = ":memory:";
	int err;

	uv_once(&configured, configure_sqlite);
	if (dir != NULL) {
		snprintf(path, sizeof(path), "%.*s/queue.db", DIR_MAX, dir);
		err = make_private_file(store, path);
		if (err < 0)
			return err;
	}
	if (sqlite3_open_v2(path, &store->db,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
		    dir != NULL ? VFS : NULL) != SQLITE_OK)
		return store->db == NULL ? ERR_NOMEM : store_fail(store);
	sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
	err = store_run_sql(store, pragmas);
	if (err == 0)
		err = store_run_sql(store, sync_pragmas[sync]);
	if (err == 0 && dir != NULL)
		err = start_checkpointer(store, path);
	if (err == 0)
		err = store_schema_make(store);
	if (err == 0)
		err = prepare_all(store);
	if (err == 0)
		err = load_handle_key(store);
	if (err == 0)
		err = store_queues_load(store);
	return err;
}

int store_open(
	const char *dir, enum store_sync sync, struct store **ret, char detail[STORE_DETAIL_MAX])
{
	struct store *store = calloc(1, sizeof(*store));
	int err = 0;

	*detail = '\0';
	if (store == NULL)
		return ERR_NOMEM;
	store->lock_fd = -1;
	buf_init(&store->content, STORE_CONTENT_MAX);
	if (dir != NULL)
		err = lock_directory(store, dir, detail);
	if (err == 0) {
		err = open_database(store, dir, sync);
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
	checkpointer_stop(store->checkpointer);
	buf_free(&store->content);
	for (int i = 0; i < STORE_STATEMENTS; i++)
		sqlite3_finalize(store->statements[i]);
	sqlite3_close(store->db);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	free(store);
}
