#include "localq/checkpoint.h"

#include "bunshin/error.h"

#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <uv.h>

/* In frames, that is pages of 8 KiB. */
#define LONG_FRAMES 4000    /* passes begin */
#define REST_FRAMES 1000    /* so little may be left for a pause */
#define PASSES_MAX 2	    /* before a pause, whatever is left: the disk does not keep up */
#define COPY_NICE 5	    /* the thread, below the others: a third of a core that all want */
#define WAIT_NS 1000000000u /* without a commit: what is left is copied; also after an error */

struct checkpointer {
	sqlite3 *db;
	uv_thread_t thread;
	uv_mutex_t mutex;
	uv_cond_t wake;	  /* for the thread: the log is long, the writer has left, or stop */
	uv_cond_t resume; /* for the writer: the pause is over */
	bool stop;
	bool inside;	/* the writer has a transaction open */
	bool pausing;	/* and may not open another one */
	bool asleep;	/* the thread waits for the log to become long */
	int frames;	/* in the log, after the last transaction */
	int copied;	/* of them */
	uint64_t turns; /* transactions, to tell a second without one */
	uint64_t logs;	/* how often the log began anew */
	char trouble[CHECKPOINT_DETAIL_MAX];
};

/* With the mutex, which is free meanwhile. */
static void pass(struct checkpointer *cp)
{
	uint64_t logs = cp->logs;
	int frames, copied, code;

	uv_mutex_unlock(&cp->mutex);
	code = sqlite3_wal_checkpoint_v2(cp->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &frames, &copied);
	uv_mutex_lock(&cp->mutex);
	snprintf(cp->trouble, sizeof(cp->trouble), "%s",
		code == SQLITE_OK ? "" : sqlite3_errmsg(cp->db));
	if (code == SQLITE_OK && cp->logs == logs)
		cp->copied = copied;
}

/*
 * The kernel begins to write out early what the pass in the pause must wait for: SQLite itself
 * syncs the database only when all of the log has been copied. What goes wrong here goes wrong
 * there again.
 */
static void sync_ahead(struct checkpointer *cp)
{
	static const int files[] = {SQLITE_FCNTL_FILE_POINTER, SQLITE_FCNTL_JOURNAL_POINTER};

	uv_mutex_unlock(&cp->mutex);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		sqlite3_file *file = NULL;

		if (sqlite3_file_control(cp->db, "main", files[i], &file) == SQLITE_OK &&
			file != NULL && file->pMethods != NULL)
			file->pMethods->xSync(file, SQLITE_SYNC_NORMAL | SQLITE_SYNC_DATAONLY);
	}
	uv_mutex_lock(&cp->mutex);
}

static void pass_in_pause(struct checkpointer *cp)
{
	cp->pausing = true;
	while (cp->inside)
		uv_cond_wait(&cp->wake, &cp->mutex);
	pass(cp);
	cp->pausing = false;
	uv_cond_signal(&cp->resume);
}

static void shorten_log(struct checkpointer *cp)
{
	for (int passes = 1; passes <= PASSES_MAX; passes++) {
		pass(cp);
		/* In a moment without writes the log may have begun anew by itself. */
		if (cp->stop || *cp->trouble != '\0' || cp->frames < LONG_FRAMES)
			return;
		if (cp->frames - cp->copied <= REST_FRAMES)
			break;
		sync_ahead(cp);
	}
	sync_ahead(cp);
	pass_in_pause(cp);
}

static bool is_long(const struct checkpointer *cp)
{
	return cp->frames >= LONG_FRAMES && cp->copied < cp->frames;
}

static void run(void *arg)
{
	struct checkpointer *cp = arg;
	bool idle = false;

	/* Copying is in less of a hurry than answering. When it cannot be said, so be it. */
	setpriority(PRIO_PROCESS, 0, COPY_NICE);
	uv_mutex_lock(&cp->mutex);
	while (!cp->stop) {
		uint64_t turns = cp->turns;

		if (is_long(cp))
			shorten_log(cp);
		else if (idle && cp->copied < cp->frames)
			pass(cp);
		if (cp->stop || (is_long(cp) && *cp->trouble == '\0'))
			continue;
		cp->asleep = *cp->trouble == '\0';
		idle = uv_cond_timedwait(&cp->wake, &cp->mutex, WAIT_NS) != 0 && cp->turns == turns;
		cp->asleep = false;
	}
	uv_mutex_unlock(&cp->mutex);
}

void checkpointer_enter(struct checkpointer *cp)
{
	uv_mutex_lock(&cp->mutex);
	while (cp->pausing)
		uv_cond_wait(&cp->resume, &cp->mutex);
	cp->inside = true;
	uv_mutex_unlock(&cp->mutex);
}

void checkpointer_leave(struct checkpointer *cp, int frames)
{
	uv_mutex_lock(&cp->mutex);
	cp->inside = false;
	cp->turns++;
	if (frames < cp->frames) {
		cp->logs++;
		cp->copied = 0;
	}
	cp->frames = frames;
	if (cp->pausing || (cp->asleep && is_long(cp)))
		uv_cond_signal(&cp->wake);
	uv_mutex_unlock(&cp->mutex);
}

bool checkpointer_trouble(struct checkpointer *cp, char ret[CHECKPOINT_DETAIL_MAX])
{
	uv_mutex_lock(&cp->mutex);
	snprintf(ret, CHECKPOINT_DETAIL_MAX, "%s", cp->trouble);
	uv_mutex_unlock(&cp->mutex);
	return *ret != '\0';
}

/* The first read makes the connection see that there is a log. */
static int connect_database(struct checkpointer *cp, const char *path, const char *vfs)
{
	if (sqlite3_open_v2(path, &cp->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, vfs) !=
			SQLITE_OK ||
		sqlite3_exec(cp->db,
			"PRAGMA synchronous=NORMAL; PRAGMA wal_autocheckpoint=0;"
			"PRAGMA cache_size=16; SELECT count(*) FROM sqlite_schema",
			NULL, NULL, NULL) != SQLITE_OK)
		return cp->db == NULL || sqlite3_errcode(cp->db) == SQLITE_NOMEM ? ERR_NOMEM
										 : ERR_STORE;
	return 0;
}

static int start_thread(struct checkpointer *cp)
{
	if (uv_mutex_init(&cp->mutex) < 0)
		return ERR_NOMEM;
	if (uv_cond_init(&cp->wake) < 0)
		goto no_wake;
	if (uv_cond_init(&cp->resume) < 0)
		goto no_resume;
	if (uv_thread_create(&cp->thread, run, cp) == 0)
		return 0;
	uv_cond_destroy(&cp->resume);
no_resume:
	uv_cond_destroy(&cp->wake);
no_wake:
	uv_mutex_destroy(&cp->mutex);
	return ERR_NOMEM;
}

int checkpointer_start(const char *path, const char *vfs, struct checkpointer **ret,
	char detail[CHECKPOINT_DETAIL_MAX])
{
	struct checkpointer *cp = calloc(1, sizeof(*cp));
	int err;

	snprintf(detail, CHECKPOINT_DETAIL_MAX, "%s", error_message(ERR_NOMEM));
	if (cp == NULL)
		return ERR_NOMEM;
	err = connect_database(cp, path, vfs);
	if (err == ERR_STORE)
		snprintf(detail, CHECKPOINT_DETAIL_MAX, "%s", sqlite3_errmsg(cp->db));
	if (err == 0)
		err = start_thread(cp);
	if (err < 0) {
		sqlite3_close(cp->db);
		free(cp);
		return err;
	}
	*ret = cp;
	return 0;
}

void checkpointer_stop(struct checkpointer *cp)
{
	if (cp == NULL)
		return;
	uv_mutex_lock(&cp->mutex);
	cp->stop = true;
	uv_cond_signal(&cp->wake);
	uv_mutex_unlock(&cp->mutex);
	uv_thread_join(&cp->thread);
	uv_cond_destroy(&cp->resume);
	uv_cond_destroy(&cp->wake);
	uv_mutex_destroy(&cp->mutex);
	sqlite3_close(cp->db);
	free(cp);
}
